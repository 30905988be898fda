//! Why a request failed, in plain words: sorted by what can be done about it.

use std::error::Error as _;
use std::time::Duration;

use monitor_domain::observation::{Failure, Fault};
use monitor_domain::target::TargetKind;
use reqwest::StatusCode;

use crate::about::{About, CredentialKind, needed};
use crate::headers::text;
use crate::transfer::{Answer, Request};
use crate::wire::{error_message, is_html};

/// A failure, and whether the same request may fare better at once.
pub(crate) struct Setback {
    pub(crate) failure: Failure,
    pub(crate) again: Again,
}

/// Whether to send a request once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// It would fail in the same way, or has taken too long already.
    No,
    /// GitHub did not serve it: as often as the settings say.
    Unserved,
    /// The answer was damaged: once.
    Damaged,
}

impl Setback {
    pub(crate) fn lasting(fault: Fault, detail: impl Into<String>) -> Self {
        Self { failure: Failure::new(fault, detail), again: Again::No }
    }

    pub(crate) fn unserved(detail: impl Into<String>) -> Self {
        Self { failure: Failure::new(Fault::Service, detail), again: Again::Unserved }
    }

    pub(crate) fn damaged(detail: impl Into<String>) -> Self {
        Self { failure: Failure::new(Fault::BrokenAnswer, detail), again: Again::Damaged }
    }

    pub(crate) fn timed_out(timeout: Duration) -> Self {
        Self::lasting(Fault::Service, format!("GitHub did not answer within {timeout:?}"))
    }
}

impl From<Failure> for Setback {
    fn from(failure: Failure) -> Self {
        Self { failure, again: Again::No }
    }
}

/// A request that got no head of an answer.
pub(crate) fn unsent(error: &reqwest::Error, host: &str) -> Setback {
    if error.is_connect() {
        return Setback::lasting(Fault::Network, format!("no connection to {host}: {}", innermost(error)));
    }
    if error.is_timeout() {
        return Setback::lasting(Fault::Service, "GitHub did not answer within the HTTP client's own time");
    }
    if error.is_redirect() {
        return Setback::damaged(format!("{host} redirects without end"));
    }
    Setback::unserved(format!("the connection to {host} broke before GitHub answered"))
}

/// The cause behind the causes: the operating system's or the TLS library's own words, which know no address or secret.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = match error.source() {
        Some(source) => source,
        None => return "the reason is not known".to_owned(),
    };
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// An answer with a status that is no success, no 304 and no limit.
pub(crate) fn refused(request: &Request<'_>, answer: &Answer, kind: CredentialKind) -> Setback {
    let status = answer.status;
    let place = request.place();
    let about = request.about;
    if status.is_server_error() {
        return Setback::unserved(format!("GitHub answers {}", said(status)));
    }
    if is_html(&answer.body) {
        return Setback::damaged(format!(
            "{place}: expected {}, got an HTML page with status {}, as a proxy in between sends",
            request.expected,
            status.as_u16(),
        ));
    }
    let message = error_message(&answer.body);
    match (status.as_u16(), about) {
        // Anybody can answer 404: that a runner is gone, or an App not installed, is believed only in GitHub's own words.
        (404 | 410, _) if message.is_none() => {
            Setback::damaged(format!("{place}: expected {}, got status {}", request.expected, said(status)))
        }
        (401 | 403 | 404, About::Installation(account)) => {
            Setback::lasting(installation_fault(status, message.as_deref()), installation(status, message, account))
        }
        (401, _) if kind == CredentialKind::App => {
            Setback::lasting(Fault::Credential, "GitHub refuses the token that it gave to the GitHub App (401)")
        }
        (401, _) => Setback::lasting(
            Fault::Credential,
            "GitHub refuses the token (401): it is wrong, expired or revoked; give the monitor a new one",
        ),
        (403, _) => Setback::lasting(Fault::Forbidden, forbidden(answer, about, kind)),
        (404 | 410, _) => Setback::lasting(Fault::NotFound, not_found(about)),
        (451, _) => {
            Setback::lasting(Fault::NotFound, format!("{about}: GitHub has closed access for legal reasons (451)"))
        }
        (400 | 422, _) => Setback::lasting(
            Fault::BrokenAnswer,
            format!(
                "{place}: GitHub does not understand the request ({}); check the API version that is set",
                said(status)
            ),
        ),
        _ => Setback::damaged(format!("{place}: expected {}, got status {}", request.expected, said(status))),
    }
}

fn said(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

fn forbidden(answer: &Answer, about: About<'_>, kind: CredentialKind) -> String {
    if text(&answer.headers, "x-github-sso").is_some_and(|sso| sso.contains("required")) {
        return format!(
            "{about}: the organization asks for single sign-on (403); authorise the token for it on GitHub's page of tokens, under \"Configure SSO\""
        );
    }
    format!("{about}: the credential may not read this (403); it needs {}", needed(about, kind))
}

fn not_found(about: About<'_>) -> String {
    match about {
        About::Runners(target) => {
            format!("{target}: no such {}, or the credential has no access to it", word(target.kind()))
        }
        About::Runner(target, id) => format!("{target} has no runner {id}"),
        About::Repositories(account) | About::Installation(account) => {
            format!("{account}: no such account, or the credential has no access to it")
        }
    }
}

fn word(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Repository => "repository",
        TargetKind::Organization => "organization",
        TargetKind::Enterprise => "enterprise",
    }
}

/// GitHub's 404 to an App that it does not know at all, whatever is asked for.
const UNKNOWN_APP: &str = "Integration not found";

fn installation_fault(status: StatusCode, message: Option<&str>) -> Fault {
    // NotFound here means "not installed by this name", upon which another address is tried.
    if status == StatusCode::NOT_FOUND && message != Some(UNKNOWN_APP) { Fault::NotFound } else { Fault::Credential }
}

fn installation(status: StatusCode, message: Option<String>, account: &str) -> String {
    match status {
        StatusCode::UNAUTHORIZED => {
            "GitHub refuses the GitHub App's signature (401): check that app id and private key belong together, and this machine's clock".to_owned()
        }
        StatusCode::NOT_FOUND if message.as_deref() == Some(UNKNOWN_APP) => {
            "GitHub knows no App with this app id: check it on the App's settings page".to_owned()
        }
        StatusCode::NOT_FOUND => {
            format!("the GitHub App is not installed on {account}: install it there, or watch {account} with a token")
        }
        _ => format!("the GitHub App's installation on {account} is suspended or may not be used (403)"),
    }
}
