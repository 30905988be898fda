//! Why a request failed, in plain words, classified by what can be done about it.

use std::error::Error as _;
use std::time::Duration;

use monitor_domain::observation::{Failure, Fault};
use monitor_domain::quote::quote;
use monitor_domain::target::TargetKind;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::endpoint::{CredentialKind, Endpoint, needed};
use crate::headers::{names, text};
use crate::request::{Answer, Request};
use crate::wire::{self, is_html};

/// A failure, and whether to retry the request at once.
pub(crate) struct RequestError {
    pub(crate) failure: Failure,
    pub(crate) again: Again,
}

/// Whether to retry a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// No: it would fail again, or has already taken too long.
    No,
    /// As often as the settings say: GitHub did not serve it.
    Unserved,
    /// Once: the answer was damaged, or the connection was dead.
    Once,
}

impl RequestError {
    pub(crate) fn lasting(fault: Fault, detail: impl Into<String>) -> Self {
        Self { failure: Failure::new(fault, detail), again: Again::No }
    }

    pub(crate) fn unserved(detail: impl Into<String>) -> Self {
        Self { failure: Failure::new(Fault::Service, detail), again: Again::Unserved }
    }

    pub(crate) fn damaged(detail: impl Into<String>) -> Self {
        Self { failure: Failure::new(Fault::BrokenAnswer, detail), again: Again::Once }
    }

    pub(crate) fn timed_out(timeout: Duration) -> Self {
        Self::lasting(Fault::Service, format!("GitHub did not answer within {timeout:?}"))
    }
}

impl From<Failure> for RequestError {
    fn from(failure: Failure) -> Self {
        Self { failure, again: Again::No }
    }
}

/// The error of a request that got no answer headers. `proxy` is the proxy that it was sent through.
pub(crate) fn unsent(error: &reqwest::Error, host: &str, proxy: Option<&str>) -> RequestError {
    if error.is_connect() {
        let through = proxy.map_or_else(String::new, |proxy| format!(" through the proxy {proxy}"));
        let reason = innermost(error);
        let hint = certificate_hint(&reason).map_or_else(String::new, |hint| format!("; {hint}"));
        return RequestError::lasting(Fault::Network, format!("no connection to {host}{through}: {reason}{hint}"));
    }
    if is_dead(error) {
        let detail = format!("the connection to {host} was dead: it did not answer a ping");
        return RequestError { failure: Failure::new(Fault::Service, detail), again: Again::Once };
    }
    if error.is_timeout() {
        return RequestError::lasting(Fault::Service, "GitHub did not answer within the HTTP client's own timeout");
    }
    if error.is_redirect() {
        return RequestError::damaged(format!("{host} redirects endlessly"));
    }
    RequestError::unserved(format!("the connection to {host} broke before GitHub answered"))
}

/// Whether a connection was closed because it did not answer a ping. Only the text distinguishes this from hyper's
/// other timeouts.
fn is_dead(error: &reqwest::Error) -> bool {
    std::iter::successors(error.source(), |&cause| cause.source())
        .any(|cause| cause.to_string() == "keep-alive timed out")
}

/// The root cause: the message of the operating system or the TLS library, which contains no address or secret.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = match error.source() {
        Some(source) => source,
        None => return "unknown reason".to_owned(),
    };
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// What to do about a refused certificate.
fn certificate_hint(reason: &str) -> Option<&'static str> {
    if reason.contains("CaUsedAsEndEntity") {
        return Some(
            "the server uses a CA certificate (self-signed, CA:TRUE) as its own, which TLS forbids: give the server a certificate with CA:FALSE, and name that certificate or the CA that signed it in SSL_CERT_FILE",
        );
    }
    if reason.contains("UnknownIssuer") {
        return Some("no trusted CA has signed the server's certificate: name a PEM file with its CA in SSL_CERT_FILE");
    }
    None
}

/// What GitHub's own error body says about a refusal.
#[derive(Clone, Debug, Default)]
struct Said {
    message: String,
    documentation_url: Option<String>,
}

impl Said {
    /// The error in a body; `None` if it is not GitHub's.
    fn by_github(body: &[u8]) -> Option<Self> {
        let wire::Error { message, documentation_url } = wire::error(body)?;
        Some(Self { message, documentation_url })
    }

    fn speaks_of(&self, what: &str) -> bool {
        self.message.to_ascii_lowercase().contains(what)
    }

    /// GitHub's message and page, for a line of a log or a message.
    fn quoted(&self) -> String {
        let words = format!("\"{}\"", quote(&without_tokens(&self.message), MAX_QUOTED));
        let page = self.documentation_url.as_deref().filter(|url| {
            url.starts_with("https://docs.github.com/")
                && url.len() <= MAX_QUOTED
                && url.bytes().all(|byte| byte.is_ascii_graphic())
        });
        match page {
            Some(page) => format!("{words} ({page})"),
            None => words,
        }
    }
}

/// How many characters of GitHub's message are quoted. The longest known ones have about 200.
const MAX_QUOTED: usize = 300;

/// A text without anything that looks like a token, which a proxy may have put there.
fn without_tokens(text: &str) -> String {
    let is_token = |word: &str| {
        ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "eyJ"].iter().any(|prefix| word.contains(prefix))
    };
    text.split(' ').map(|word| if is_token(word) { "***" } else { word }).collect::<Vec<_>>().join(" ")
}

/// The error of an answer whose status is not a success, not a 304 and not a limit.
pub(crate) fn refused(
    request: &Request<'_>,
    answer: &Answer,
    kind: CredentialKind,
    proxy: Option<&str>,
) -> RequestError {
    let status = answer.status;
    let place = request.place();
    let endpoint = request.endpoint;
    if status.is_server_error() {
        return RequestError::unserved(format!("GitHub answers {}", said(status)));
    }
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        let proxy = proxy.map_or_else(|| "a proxy".to_owned(), |proxy| format!("the proxy {proxy}"));
        return RequestError::lasting(Fault::Network, format!("{proxy} requires a user and a password (407)"));
    }
    if is_html(&answer.body) {
        return RequestError::damaged(format!(
            "{place}: expected {}, got an HTML page with status {}, probably from a proxy",
            request.expected,
            status.as_u16(),
        ));
    }
    let words = Said::by_github(&answer.body);
    match (status.as_u16(), endpoint, words) {
        // Any server can answer 404. Only GitHub's own error body means that a runner is gone or an App not installed.
        (404 | 410, _, None) => {
            RequestError::damaged(format!("{place}: expected {}, got status {}", request.expected, said(status)))
        }
        (401 | 403 | 404, Endpoint::Installation(account), words) => {
            installation_refused(status, &words.unwrap_or_default(), account)
        }
        (401, _, words) => RequestError::lasting(Fault::Credential, token_refused(words.as_ref(), kind)),
        (403, _, words) => forbidden(&answer.headers, words.as_ref(), endpoint, kind),
        (404 | 410, _, Some(words)) => {
            RequestError::lasting(Fault::NotFound, not_found(&answer.headers, &words, endpoint, kind))
        }
        (451, _, words) => {
            let words = words.map_or_else(String::new, |words| format!(": {}", words.quoted()));
            RequestError::lasting(
                Fault::NotFound,
                format!("{endpoint}: GitHub has closed access for legal reasons (451){words}"),
            )
        }
        (400 | 422, _, words) => {
            let hint = match &words {
                Some(words) if words.speaks_of("version") => "; check the API version in the settings",
                _ => "",
            };
            let words = words.map_or_else(String::new, |words| format!(": {}", words.quoted()));
            let detail = format!("{place}: GitHub does not understand the request ({}){hint}{words}", said(status));
            RequestError::lasting(Fault::BrokenAnswer, detail)
        }
        _ => RequestError::damaged(format!("{place}: expected {}, got status {}", request.expected, said(status))),
    }
}

fn said(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// GitHub's message to a token that it does not know, or that is no longer valid.
const BAD_CREDENTIALS: &str = "Bad credentials";

fn token_refused(words: Option<&Said>, kind: CredentialKind) -> String {
    // This message says nothing beyond the status.
    let more = match words {
        Some(words) if words.message != BAD_CREDENTIALS => format!(": {}", words.quoted()),
        _ => String::new(),
    };
    if kind == CredentialKind::App {
        return format!("GitHub refuses the token that it gave to the GitHub App (401){more}");
    }
    if !more.is_empty() {
        return format!("GitHub refuses the token (401){more}");
    }
    "GitHub refuses the token (401): it is wrong, expired or revoked; set a new one".to_owned()
}

/// The error of a 403 that is not a limit. GitHub has many reasons for a 403 and says which one; a permission is named
/// only if one is missing.
fn forbidden(headers: &HeaderMap, words: Option<&Said>, endpoint: Endpoint<'_>, kind: CredentialKind) -> RequestError {
    let lasting = |detail| RequestError::lasting(Fault::Forbidden, detail);
    let speaks_of = |what| words.is_some_and(|words: &Said| words.speaks_of(what));
    if text(headers, "x-github-sso").is_some_and(|sso| sso.contains("required")) || speaks_of("saml") {
        return lasting(format!(
            "{endpoint}: the organization requires single sign-on (403); authorise the token for it under \"Configure SSO\" on GitHub's token page"
        ));
    }
    let Some(words) = words else {
        return lasting(format!(
            "{endpoint}: access is refused (403), but not by GitHub itself: check whether a proxy answers"
        ));
    };
    if let Some(needed) = missing_permission(StatusCode::FORBIDDEN, headers, &words.message, endpoint, kind) {
        return lasting(format!(
            "{endpoint}: the credential may not read this (403): {}; it needs {needed}",
            words.quoted()
        ));
    }
    let quoted = words.quoted();
    // A suspension affects everything that the credential is used for.
    if words.speaks_of("suspended") {
        return RequestError::lasting(Fault::Credential, format!("GitHub refuses the credential (403): {quoted}"));
    }
    let hint = if words.speaks_of("ip allow list") { "; add this machine's address to that list" } else { "" };
    lasting(format!("{endpoint}: GitHub refuses access (403): {quoted}{hint}"))
}

/// The permission that is missing according to an answer, as text that follows "needs".
pub(crate) fn missing_permission(
    status: StatusCode,
    headers: &HeaderMap,
    message: &str,
    endpoint: Endpoint<'_>,
    kind: CredentialKind,
) -> Option<String> {
    // Single sign-on is not a permission.
    if text(headers, "x-github-sso").is_some() {
        return None;
    }
    match status {
        // GitHub's message to fine-grained tokens and Apps, and to classic tokens that may not do this.
        StatusCode::FORBIDDEN if message.starts_with("Resource not accessible by") => Some(needed(endpoint, kind)),
        // GitHub also answers 404 to a classic token without the scope, as if there were no such target.
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND if lacks_scope(headers) => {
            Some(needed(endpoint, CredentialKind::ClassicToken))
        }
        _ => None,
    }
}

/// Whether a classic token has none of the scopes that GitHub accepts.
fn lacks_scope(headers: &HeaderMap) -> bool {
    let (Some(scopes), Some(accepted)) = (names(headers, "x-oauth-scopes"), names(headers, "x-accepted-oauth-scopes"))
    else {
        return false;
    };
    !accepted.is_empty() && !scopes.iter().any(|scope| accepted.contains(scope))
}

fn not_found(headers: &HeaderMap, words: &Said, endpoint: Endpoint<'_>, kind: CredentialKind) -> String {
    let plain = match endpoint {
        Endpoint::Runners(target) => {
            format!("{target}: no such {}, or the credential has no access to it", word(target.kind()))
        }
        Endpoint::Runner(target, id) => return format!("{target} has no runner {id}"),
        Endpoint::Job(target, id) => return format!("{target} has no job {}", id.0),
        Endpoint::Groups(target) => format!("{target}: GitHub does not show its runner groups"),
        Endpoint::Jobs(target) => format!("{target}: GitHub does not show its workflow jobs"),
        Endpoint::AppHook => return "the GitHub App has no webhook".to_owned(),
        Endpoint::Hooks(target) => format!("{target}: GitHub does not show its webhooks"),
        Endpoint::Version(_, version) => return format!("GitHub does not list version {version} of the runner"),
        Endpoint::Repositories(account) | Endpoint::Installation(account) => {
            format!("{account}: no such account, or the credential has no access to it")
        }
    };
    match missing_permission(StatusCode::NOT_FOUND, headers, &words.message, endpoint, kind) {
        Some(needed) => format!("{plain}; the token lacks {needed}"),
        None if words.message != "Not Found" => format!("{plain}: {}", words.quoted()),
        None => plain,
    }
}

fn word(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Repository => "repository",
        TargetKind::Organization => "organization",
        TargetKind::Enterprise => "enterprise",
        TargetKind::Pools => "credential",
    }
}

/// GitHub's message to an App that it does not know, a 404 to any request.
const UNKNOWN_APP: &str = "Integration not found";

/// The error of a refused request of the App itself.
fn installation_refused(status: StatusCode, words: &Said, account: &str) -> RequestError {
    let unknown_app = words.message == UNKNOWN_APP;
    let detail = match status {
        StatusCode::UNAUTHORIZED => format!(
            "GitHub refuses the GitHub App's signature (401): check that the app id and the private key belong together, and this machine's clock: {}",
            words.quoted()
        ),
        StatusCode::NOT_FOUND if unknown_app => {
            "GitHub knows no App with this app id: check it on the App's settings page".to_owned()
        }
        StatusCode::NOT_FOUND => {
            format!("the GitHub App is not installed on {account}: install it there, or monitor {account} with a token")
        }
        _ => format!("the GitHub App's installation on {account} may not be used (403): {}", words.quoted()),
    };
    // `NotFound` means "not installed by this name": the caller then tries another address.
    let fault = if status == StatusCode::NOT_FOUND && !unknown_app { Fault::NotFound } else { Fault::Credential };
    RequestError::lasting(fault, detail)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};
    use reqwest::{Method, Url};

    use super::*;
    use monitor_domain::target::Target;

    const IP_LIST: &str = "Although you appear to have the correct authorization credentials, the `acme` organization has an IP allow list enabled, and your IP address is not permitted to access this resource.";
    const OAUTH: &str = "Although you appear to have the correct authorization credentials, the `acme` organization has enabled OAuth App access restrictions, meaning that data access to third-parties is limited.";
    const LIFETIME: &str = "The 'acme' organization forbids access via a fine-grained personal access tokens if the token's lifetime is greater than 366 days.";
    const ADMIN: &str = "Must have admin rights to Repository.";
    const SAML: &str = "Resource protected by organization SAML enforcement. You must grant your Personal Access token access to this organization.";
    const SUSPENDED: &str = "Sorry. Your account was suspended.";

    /// The failure for an answer with this status, message and headers.
    fn failure(kind: CredentialKind, status: u16, message: &str, headers: &[(&'static str, &'static str)]) -> Failure {
        let target: Target = "orgs/acme".parse().unwrap();
        let request = Request {
            method: Method::GET,
            url: Url::parse("https://api.github.com/x").unwrap(),
            endpoint: Endpoint::Runners(&target),
            page: Some(1),
            expected: "a list of runners",
        };
        let page = "https://docs.github.com/rest/x";
        let body = serde_json::json!({"message": message, "documentation_url": page, "status": status.to_string()});
        let headers =
            headers.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: if message.is_empty() { Vec::new() } else { body.to_string().into_bytes() },
            url: request.url.clone(),
        };
        refused(&request, &answer, kind, None).failure
    }

    #[test]
    fn each_refusal_has_its_fault_and_says_githubs_own_reason() {
        use CredentialKind::{App, ClassicToken, FineGrainedToken};
        let scopes = [("x-oauth-scopes", "repo"), ("x-accepted-oauth-scopes", "admin:org, manage_runners:org")];
        let enough = [("x-oauth-scopes", "manage_runners:org"), scopes[1]];
        let sso = [("x-github-sso", "required; url=https://github.com/orgs/acme/sso?authorization_request=AB")];
        // Kind, status, GitHub's message, headers; fault, a part of the detail, whether it names a permission.
        let cases: [(_, u16, &str, &[_], Fault, &str, bool); 21] = [
            (ClassicToken, 403, IP_LIST, &[], Fault::Forbidden, "your IP address is not permitted", false),
            (App, 403, IP_LIST, &[], Fault::Forbidden, "add this machine's address to that list", false),
            (ClassicToken, 403, OAUTH, &scopes[..1], Fault::Forbidden, "OAuth App access restrictions", false),
            (FineGrainedToken, 403, LIFETIME, &[], Fault::Forbidden, "greater than 366 days", false),
            (ClassicToken, 403, ADMIN, &enough, Fault::Forbidden, "\"Must have admin rights to Repository.\"", false),
            (
                ClassicToken,
                403,
                "Repository access blocked",
                &[],
                Fault::Forbidden,
                "access blocked\" (https://",
                false,
            ),
            (ClassicToken, 403, "Access blocked due to abuse of terms", &[], Fault::Forbidden, "abuse of terms", false),
            (ClassicToken, 403, SAML, &[], Fault::Forbidden, "single sign-on (403)", false),
            (ClassicToken, 403, SAML, &sso, Fault::Forbidden, "\"Configure SSO\"", false),
            (ClassicToken, 403, SUSPENDED, &[], Fault::Credential, SUSPENDED, false),
            (App, 403, "This installation has been suspended", &[], Fault::Credential, "has been suspended", false),
            (ClassicToken, 403, "Must have admin rights", &scopes, Fault::Forbidden, "the scope `admin:org`", true),
            (
                FineGrainedToken,
                403,
                "Resource not accessible by personal access token",
                &[],
                Fault::Forbidden,
                "not accessible by",
                true,
            ),
            (
                App,
                403,
                "Resource not accessible by integration",
                &[],
                Fault::Forbidden,
                "`Self-hosted runners: read`",
                true,
            ),
            (ClassicToken, 403, "", &[], Fault::Forbidden, "not by GitHub itself", false),
            (ClassicToken, 401, "Bad credentials", &[], Fault::Credential, "wrong, expired or revoked", false),
            (
                ClassicToken,
                401,
                "Requires authentication",
                &[],
                Fault::Credential,
                "\"Requires authentication\"",
                false,
            ),
            (ClassicToken, 404, "Not Found", &scopes, Fault::NotFound, "lacks the scope `admin:org`", true),
            (ClassicToken, 404, "Not Found", &enough, Fault::NotFound, "no such organization", false),
            (
                ClassicToken,
                451,
                "Repository access blocked",
                &[],
                Fault::NotFound,
                "legal reasons (451): \"Repository",
                false,
            ),
            (ClassicToken, 407, "", &[], Fault::Network, "a proxy requires a user and a password", false),
        ];
        for (kind, status, message, headers, fault, says, names_permission) in cases {
            let failure = failure(kind, status, message, headers);
            assert_eq!(failure.fault, fault, "{failure}");
            assert!(failure.detail.contains(says), "{failure}");
            assert_eq!(
                failure.detail.contains("scope") || failure.detail.contains(": read`"),
                names_permission,
                "{failure}"
            );
            assert!(!failure.detail.contains("authorization_request"), "{failure}");
        }
    }

    #[test]
    fn githubs_messages_are_quoted_on_one_line_truncated_and_without_tokens() {
        let long = format!("line\n\u{1b}[31m ghp_secret {} end", "x".repeat(5_000));
        let failure = failure(CredentialKind::ClassicToken, 403, &long, &[]);
        assert!(failure.detail.contains("\"line\\n\\u{1b}[31m *** xxx"), "{failure}");
        assert!(
            failure.detail.len() < 500 && failure.detail.ends_with("…\" (https://docs.github.com/rest/x)"),
            "{failure}"
        );
        let said = |url: &str| Said { message: "no".to_owned(), documentation_url: Some(url.to_owned()) }.quoted();
        for url in ["https://evil.example/x", "https://docs.github.com/\n", "javascript:x"] {
            assert_eq!(said(url), "\"no\"");
        }
    }

    #[test]
    fn a_refused_certificate_is_reported_with_a_hint() {
        assert!(certificate_hint("invalid peer certificate: CaUsedAsEndEntity").unwrap().contains("CA:FALSE"));
        assert!(certificate_hint("invalid peer certificate: UnknownIssuer").unwrap().contains("SSL_CERT_FILE"));
        assert_eq!(certificate_hint("Connection refused (os error 111)"), None);
    }
}
