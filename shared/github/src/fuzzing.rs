//! The decoders of GitHub's answers, exposed for `tests/fuzz`. Otherwise they are private to this crate.

use monitor_domain::observation::{CredentialReport, Failure, ObservedRunner};
use monitor_domain::runner::RunnerId;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

use crate::bearer_token::BearerToken;
use crate::client::GitHub;
use crate::credential::CredentialState;
use crate::endpoint::Endpoint;
use crate::exchange::{Decode, Reply};
use crate::list::runners_path;
use crate::request::{Answer, Request};
use crate::{exchange, headers, limits, wire};

/// The kind of a request to GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// A page of runners.
    Runners,
    /// One runner.
    Runner,
    /// A page of an account's repositories.
    Repositories,
    /// The App's installation on an account.
    Installation,
    /// A token for the App's installation.
    AccessToken,
}

/// The decoded content of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The total number of runners, if it is reported, and a page of runners.
    Runners(Option<u64>, Vec<ObservedRunner>),
    /// One runner.
    Runner(ObservedRunner),
    /// The names of repositories.
    Repositories(Vec<String>),
    /// An installation's id.
    Installation(u64),
    /// A token and when it expires.
    AccessToken(String, Timestamp),
}

/// A usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Good {
    /// The decoded content; `None` for a 304.
    pub content: Option<Content>,
    /// The page's ETag.
    pub etag: Option<String>,
    /// Whether there is a next page, and the number of the last.
    pub links: (bool, Option<u32>),
}

/// Decodes a body, or returns a description of why it does not fit.
pub fn read(question: Question, body: &[u8]) -> Result<Content, String> {
    decoder(question)(body).map_err(wire::Misfit::describe)
}

/// Interprets an answer as the client does. The request had an ETag if `conditional`.
pub fn interpret(
    github: &GitHub,
    (question, target): (Question, &Target),
    conditional: bool,
    (status, headers, body): (StatusCode, HeaderMap, Vec<u8>),
) -> (Result<Good, Failure>, CredentialReport) {
    let transport = &github.requester.transport;
    let credential_state = CredentialState::new(&transport.settings);
    let url = transport.url(&runners_path(target));
    let (endpoint, expected) = match question {
        Question::Runners => (Endpoint::Runners(target), "a list of runners"),
        Question::Runner => (Endpoint::Runner(target, RunnerId(7)), "a runner"),
        Question::Repositories => (Endpoint::Repositories(target.owner()), "a list of repositories"),
        Question::Installation => (Endpoint::Installation(target.owner()), "an installation"),
        Question::AccessToken => (Endpoint::Installation(target.owner()), "a token"),
    };
    let request = Request { method: Method::GET, url: url.clone(), endpoint, page: Some(2), expected };
    let bearer_token = BearerToken::new("token").expect("a plain word fits into a header");
    let answer = Answer { status, headers, body, url };
    credential_state.note(&answer.headers, endpoint, transport.now());
    let etag = conditional.then_some("W/\"1\"");
    let interpreted =
        exchange::interpret(transport, &credential_state, &bearer_token, &request, etag, &answer, decoder(question));
    let interpreted = interpreted
        .map_err(|request_error| request_error.failure)
        .map(|Reply { content, etag, links, .. }| Good { content, etag, links: (links.next, links.last) });
    (interpreted, credential_state.latest_report().report)
}

/// Until when no request may be sent: `Some` if the answer is a limit, `Some(Some(…))` if it names the end.
pub fn limited_until(
    status: u16,
    headers: &HeaderMap,
    message: Option<&str>,
    now: Timestamp,
) -> Option<Option<Timestamp>> {
    limits::sign(status, headers, message, now).map(|sign| match sign {
        limits::Sign::Until(until) | limits::Sign::UsedUpUntil(until) => Some(until),
        limits::Sign::Unexplained => None,
    })
}

/// The date of the answer, and the names in a list such as `x-oauth-scopes`.
pub fn date_and_names(headers: &HeaderMap, name: &str) -> (Option<Timestamp>, Option<Vec<String>>) {
    (headers::date(headers), headers::names(headers, name))
}

fn decoder(question: Question) -> Decode<Content> {
    match question {
        Question::Runners => {
            |body| wire::runner_page(body).map(|page| Content::Runners(page.total_count, page.runners))
        }
        Question::Runner => |body| wire::runner(body).map(Content::Runner),
        Question::Repositories => |body| {
            let names = wire::repositories(body)?.into_iter().map(|repository| repository.full_name);
            Ok(Content::Repositories(names.collect()))
        },
        Question::Installation => |body| wire::installation(body).map(|found| Content::Installation(found.id)),
        Question::AccessToken => {
            |body| wire::access_token(body).map(|it| Content::AccessToken(it.token, it.expires_at))
        }
    }
}
