//! Sessions: who may read the page, if it is served to others.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::html;
use monitor_access::{AccessKeys, OPEN_PATH, Refusal, Refusals, SESSION_LASTS};
use monitor_domain::secret::Secret;
use monitor_domain::subject::Subject;
use monitor_domain::time::Timestamp;
use monitor_pipeline::items::Marker;
use monitor_pipeline::ports::{Clock, Store};
use monitor_pipeline::records::mark;
use serde_json::json;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::layout::{bare_page, html_page};

/// A form has one field of about a hundred bytes.
const MAX_FORM_BYTES: usize = 1024;
/// How long a form may take to arrive.
const FORM_WITHIN: Duration = Duration::from_secs(10);
/// The field of the form, and of a link's query.
const FIELD: &str = "link";
/// What is answered without a session under a name of this machine: programs on it have no cookie.
const PROBES: [&str; 3] = ["/healthz", "/metrics", "/readyz"];

/// Sessions for the readers of the page.
#[derive(Debug)]
pub struct Access {
    keys: AccessKeys,
    is_https: bool,
    refusals: Refusals<Refusal>,
}

impl Access {
    /// Sessions from the links that a slash command makes with the same secret. `is_https` is how readers reach the page, as
    /// configured: a header that says so can be forged.
    pub fn new(signing_secret: &Secret, is_https: bool) -> Self {
        Self { keys: AccessKeys::new(signing_secret), is_https, refusals: Refusals::default() }
    }

    /// The answer to a request that needs a session and has none. `is_named` is set if it names a host of the page, and not
    /// this machine.
    pub(crate) fn refused(&self, request: &Request, is_named: bool, now: Timestamp) -> Option<Response> {
        self.refusals.log_due(now);
        let path = request.uri().path();
        match path {
            "/style.css" => return None,
            OPEN_PATH if is_named => return None,
            // A proxy that does not pass on the host would also make the metrics public, so nobody can sign in behind it.
            OPEN_PATH => {
                let what =
                    "A link opens the page under its own host name. A proxy in front has to pass on the header Host.";
                return Some(says(StatusCode::MISDIRECTED_REQUEST, "The link was not opened", what));
            }
            probe if PROBES.contains(&probe) && !is_named => return None,
            _ => {}
        }
        match self.session(request.headers(), now) {
            Ok(true) => None,
            Ok(false) => Some(needs_session(path)),
            Err(refusal) => Some(self.noted(refusal, needs_session(path), now)),
        }
    }

    /// Whether a request has a session.
    fn session(&self, headers: &HeaderMap, now: Timestamp) -> Result<bool, Refusal> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let Some((_, token)) = pairs.find(|(name, _)| *name == self.cookie_name()) else { return Ok(false) };
        match self.keys.read_session(token, now) {
            Ok(()) => Ok(true),
            // Every reader has one of these after twelve hours.
            Err(Refusal::Ended) => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }

    /// Counts a refusal, and names it to the host.
    fn noted(&self, refusal: Refusal, mut response: Response, now: Timestamp) -> Response {
        self.refusals.note(refusal, now);
        response.extensions_mut().insert(refusal);
        response
    }

    fn not_opened(&self, refusal: Refusal, now: Timestamp) -> Response {
        let what = match refusal {
            Refusal::BadSignature => "It is not a link of this monitor, or the signing secret has changed since.",
            Refusal::Ended => "It has ended: a link works for 10 minutes.",
            Refusal::Ahead => "It comes from a clock that is ahead of this machine's.",
            Refusal::Used => "It has opened a session before: a link works once.",
        };
        self.noted(refusal, says(StatusCode::FORBIDDEN, "The link was not opened", what), now)
    }

    /// The page that a link leads to. Its button opens the session, because programs that only preview a link must not use
    /// it up.
    pub(crate) fn button(&self, query: &str, now: Timestamp) -> Response {
        let token = field(query);
        match self.keys.read_link(token, now) {
            Ok(_) => {
                let content = html! {
                    h1 { "Runner Monitor" }
                    p .lead { "You see the page on this device for 12 hours." }
                    form method="post" action=(OPEN_PATH) {
                        input type="hidden" name=(FIELD) value=(token);
                        button type="submit" { "Open the page" }
                    }
                };
                private(StatusCode::OK, bare_page("Open the page", &content))
            }
            Err(refusal) => self.not_opened(refusal, now),
        }
    }

    /// Opens a session with a link that nobody has used.
    pub(crate) async fn open(
        &self,
        store: &impl Store,
        clock: &impl Clock,
        headers: &HeaderMap,
        body: Body,
    ) -> Response {
        let now = clock.now();
        let form = match timeout(FORM_WITHIN, to_bytes(body, MAX_FORM_BYTES)).await {
            Ok(Ok(form)) => form,
            Ok(Err(_)) => {
                return says(StatusCode::PAYLOAD_TOO_LARGE, "The link was not opened", "The request is too large.");
            }
            Err(_) => {
                return says(StatusCode::REQUEST_TIMEOUT, "The link was not opened", "The request took too long.");
            }
        };
        let number = match self.keys.read_link(field(std::str::from_utf8(&form).unwrap_or_default()), now) {
            Ok(number) => number,
            Err(refusal) => return self.not_opened(refusal, now),
        };
        let marker = Marker { subject: Subject::Monitor, number, nonce: clock.random(), at: now };
        match mark(store, clock, marker).await {
            Ok(true) => {
                info!("a session of the page was opened");
                opened(Some(&self.cookie(&self.keys.session(clock.random(), now))))
            }
            // The button was pressed twice.
            Ok(false) if self.session(headers, now) == Ok(true) => opened(None),
            Ok(false) => self.not_opened(Refusal::Used, now),
            Err(error) => {
                warn!(%error, "a link could not be marked as used, so it opened no session");
                let what = "The store does not answer. Try the same link again in a minute.";
                says(StatusCode::SERVICE_UNAVAILABLE, "The link was not opened", what)
            }
        }
    }

    /// Browsers accept the prefix only over https, and only for this host and all of its paths.
    fn cookie_name(&self) -> &'static str {
        if self.is_https { "__Host-runner-monitor" } else { "runner-monitor" }
    }

    fn cookie(&self, session: &Secret) -> String {
        let (name, secure) = (self.cookie_name(), if self.is_https { "; Secure" } else { "" });
        let (token, lasts_secs) = (session.expose(), SESSION_LASTS.as_secs());
        format!("{name}={token}; Path=/; Max-Age={lasts_secs}; HttpOnly; SameSite=Lax{secure}")
    }
}

/// The token in a query or form. It has no character that would be escaped.
fn field(encoded: &str) -> &str {
    let mut pairs = encoded.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| *name == FIELD).map(|(_, value)| value).unwrap_or_default()
}

/// Leads to the fleet, with a new session if there is one.
fn opened(cookie: Option<&str>) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, "/"), (CACHE_CONTROL, "no-store")]).into_response();
    if let Some(Ok(cookie)) = cookie.map(HeaderValue::from_str) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

fn needs_session(path: &str) -> Response {
    if path.starts_with("/api/") {
        let error = "a session is needed: type /runner-dashboard in Slack";
        return (StatusCode::UNAUTHORIZED, [(CACHE_CONTROL, "no-store")], Json(json!({"error": error})))
            .into_response();
    }
    says(StatusCode::UNAUTHORIZED, "No session is open", "This page is for the people who use the monitor in Slack.")
}

fn says(status: StatusCode, title: &str, what: &str) -> Response {
    let content = html! {
        h1 { (title) }
        p .lead { (what) }
        p { "For a link to the page, type " code { "/runner-dashboard" } " in Slack." }
    };
    private(status, bare_page(title, &content))
}

fn private(status: StatusCode, content: String) -> Response {
    let mut response = html_page(status, content);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_from_a_query_or_a_form() {
        for (encoded, token) in
            [("link=1.2.3", "1.2.3"), ("a=b&link=1.2.3&link=4", "1.2.3"), ("", ""), ("link", ""), ("alink=1", "")]
        {
            assert_eq!(field(encoded), token, "{encoded}");
        }
    }

    #[test]
    fn a_cookie_is_for_this_host_alone_and_secure_where_the_page_is() {
        let secret = Secret::new("8f742231b10e8888abcd99yyyzzz85a5");
        let cookie = |is_https| Access::new(&secret, is_https).cookie(&Secret::new("1.2.3"));
        let common = "=1.2.3; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax";
        assert_eq!(cookie(true), format!("__Host-runner-monitor{common}; Secure"));
        assert_eq!(cookie(false), format!("runner-monitor{common}"));
        assert!(!format!("{:?}", Access::new(&secret, true)).contains("8f74"));
    }
}
