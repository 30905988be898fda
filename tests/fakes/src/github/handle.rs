//! From a request to its answer: faults, credentials, limits, content, in GitHub's order.

use ring::digest::{SHA256, digest};
use serde_json::json;

use super::counters::Counters;
use super::credential::{Token, TokenKind};
use super::fault::Fault;
use super::json as body;
use super::limits::Primary;
use super::route::{Call, Route};
use super::state::State;
use crate::http::{Answer, Delivery, Request, format_query};

/// The `X-GitHub-Api-Version` values of github.com; an Enterprise Server may lack the newest.
const API_VERSIONS: [&str; 2] = ["2022-11-28", "2026-03-10"];
const RUBBISH_BYTES: usize = 3 * 1024 * 1024;
pub(super) const ROOT_DOCUMENTATION: &str = "https://docs.github.com/rest";
const LIMITS_DOCUMENTATION: &str = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api";

impl State {
    /// Answers one request at this time, in epoch milliseconds; uses no clock and no network.
    pub fn handle(&mut self, request: &Request, now_ms: i64) -> Answer {
        let route = Route::of(request, |scope, id| self.numbered(scope, id));
        let endpoint = route.call.endpoint();
        self.count(&route, |counters| {
            counters.request(endpoint, request.in_flight);
        });

        let fault = self.faults.take_for_answer(endpoint, route.target.as_ref());
        let transport = fault.as_ref().and_then(|fault| transport_fault(fault, &route));
        let mut exchange = Exchange { request, route: &route, now_ms, fault: fault.as_ref(), limited: false };
        let mut answer = match transport {
            Some(answer) => answer,
            None => exchange.answer(self),
        };
        let limited = exchange.limited;
        if let Some(fault) = &fault {
            spoil(fault, &mut answer);
        }
        answer.delay_ms += self.latency_ms;
        let number = self.counters.requests;
        answer.add_header("x-github-request-id", format!("FA4E:{number:04X}:{now_ms:X}"));
        self.count(&route, |counters| counters.answer(&answer, limited));
        answer
    }

    fn count(&mut self, route: &Route, mut count: impl FnMut(&mut Counters)) {
        count(&mut self.counters);
        if let Some(target) = &route.target {
            count(self.target_counters.entry(target.clone()).or_default());
        }
    }
}

/// The answer of a fault that applies before GitHub handles the request.
fn transport_fault(fault: &Fault, route: &Route) -> Option<Answer> {
    let page = |title: &str| format!("<!DOCTYPE html><html><body><h1>{title}</h1></body></html>\n");
    Some(match fault {
        Fault::Status(status) => {
            let message = match status {
                500 => "Server Error",
                502 => "Bad Gateway",
                503 => "Service unavailable",
                _ => "Something went wrong",
            };
            Answer::json(*status, &body::error(*status, message, &route.documentation_url()))
        }
        Fault::StatusHtml(status) => Answer::new(*status, "text/html", page("This page is not available")),
        Fault::HtmlPage => Answer::new(200, "text/html", page("Please sign in to the network")),
        Fault::Hang => Answer::undelivered(Delivery::Never),
        Fault::Reset => Answer::undelivered(Delivery::Reset),
        _ => return None,
    })
}

/// Spoils an answer that would have been successful.
fn spoil(fault: &Fault, answer: &mut Answer) {
    if let Fault::Slow(delay_ms) = fault {
        answer.delay_ms += delay_ms;
    }
    if !matches!(answer.status, 200 | 201) {
        return;
    }
    match fault {
        Fault::CutOff => answer.delivery = Delivery::CutAfter(answer.body.len() / 2),
        Fault::BrokenJson => answer.body.truncate(answer.body.len() / 2),
        Fault::Rubbish => answer.body = vec![b'#'; RUBBISH_BYTES],
        Fault::WrongShape => {
            let wrong = json!({"id": "seven", "total_count": "all", "runners": {"id": null}});
            answer.body = wrong.to_string().into_bytes();
        }
        _ => {}
    }
}

/// A request while it passes the checks.
pub(super) struct Exchange<'a> {
    pub(super) request: &'a Request,
    pub(super) route: &'a Route,
    pub(super) now_ms: i64,
    fault: Option<&'a Fault>,
    limited: bool,
}

impl Exchange<'_> {
    fn answer(&mut self, state: &mut State) -> Answer {
        if self.request.header("user-agent").is_none_or(str::is_empty) {
            let text =
                "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.\n";
            return Answer::new(403, "text/plain", text);
        }
        let authorization = self.request.header("authorization").unwrap_or_default();
        let (scheme, credential) = authorization.split_once(' ').unwrap_or_default();
        if !["bearer", "token"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return self.error(401, "Requires authentication");
        }
        let versions = if self.route.enterprise_server { &API_VERSIONS[..1] } else { &API_VERSIONS[..] };
        let version = self.request.header("x-github-api-version").unwrap_or(versions[0]);
        if !versions.contains(&version) {
            return self.error(400, &format!("Version {version} of the API is not supported."));
        }

        let mut answer = match self.route.call {
            Call::GetInstallation
            | Call::CreateAccessToken(_)
            | Call::GetApp
            | Call::GetAppHook
            | Call::ListAppDeliveries => self.as_app(state, credential),
            _ => self.as_token(state, credential),
        };
        answer.add_header("x-github-api-version-selected", version);
        answer.add_header("x-github-media-type", "github.v3; format=json");
        if self.route.enterprise_server {
            answer.add_header("x-github-enterprise-version", "3.19.0");
        }
        answer
    }

    fn as_token(&mut self, state: &mut State, credential: &str) -> Answer {
        // Taken out of the state while in use, so that both can be borrowed.
        let known = state.tokens.remove_entry(credential);
        let Some((name, mut token)) = known else {
            return bad_credentials();
        };
        let ended = token.expires_at_ms.is_some_and(|end| self.now_ms >= end);
        state.swap_usage(&mut token);
        let answer = if ended { bad_credentials() } else { self.charged(state, &name, &mut token) };
        state.swap_usage(&mut token);
        state.tokens.insert(name, token);
        answer
    }

    fn charged(&mut self, state: &mut State, credential: &str, token: &mut Token) -> Answer {
        let limits_on = !self.route.enterprise_server;
        let refusal = if limits_on { self.refusal_by_limit(state, token) } else { None };
        self.limited = refusal.is_some();
        let mut answer = refusal.unwrap_or_else(|| {
            let answer = self.content(state, token);
            let answer = self.conditional(answer, credential);
            if answer.status != 304 && self.route.call != Call::RateLimit {
                token.usage.charge(self.now_ms);
            }
            answer
        });
        if limits_on {
            add_primary(&mut answer, token.usage.primary(self.now_ms));
        }
        let reported_end = token.reported_end_ahead_ms.map(|ahead| self.now_ms + ahead).or(token.expires_at_ms);
        if let (Some(expires_at_ms), TokenKind::Personal) = (reported_end, &token.kind) {
            let expires_at = body::date(expires_at_ms).format("%Y-%m-%d %H:%M:%S UTC");
            answer.add_header("github-authentication-token-expiration", expires_at.to_string());
        }
        answer
    }

    fn refusal_by_limit(&self, state: &State, token: &mut Token) -> Option<Answer> {
        let limits = &state.limits;
        if let Some(Fault::SecondaryLimit { status, retry_after_secs }) = self.fault {
            return Some(secondary_limit(*status, *retry_after_secs));
        }
        if self.request.in_flight > limits.max_in_flight {
            return Some(secondary_limit(limits.status, limits.retry_after_secs));
        }
        if self.route.call == Call::RateLimit {
            return None;
        }
        if token.usage.primary(self.now_ms).remaining == 0 {
            let holder = match &token.kind {
                TokenKind::Personal => "user ID 1".to_owned(),
                TokenKind::Installation { id, .. } => format!("installation ID {id}"),
            };
            return Some(primary_limit(&holder, limits.status));
        }
        // Every request with a token is a read here: one point.
        let free = token.usage.take_points(1, limits.points_per_minute, self.now_ms);
        (!free).then(|| secondary_limit(limits.status, limits.retry_after_secs))
    }

    /// Adds the `ETag`, and answers 304 if the client already has this answer.
    fn conditional(&self, mut answer: Answer, credential: &str) -> Answer {
        if answer.status != 200 || self.route.call == Call::RateLimit {
            return answer;
        }
        let query = format_query(&self.request.query);
        let etag = sha256_hex(&[credential.as_bytes(), self.request.path.as_bytes(), query.as_bytes(), &answer.body]);
        let etag = format!("W/\"{etag}\"");
        let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let given = self.request.header("if-none-match").unwrap_or_default();
        let same = given.split(',').any(|tag| strong(tag) == strong(&etag));
        if same && !self.fault.is_some_and(Fault::spoils_body) {
            answer.status = 304;
            answer.body.clear();
            answer.headers.retain(|(name, _)| name != "content-type");
        }
        answer.add_header("etag", etag);
        answer.add_header("cache-control", "private, max-age=60, s-maxage=60");
        answer
    }

    /// GitHub's error body with the documentation page of this request.
    pub(super) fn error(&self, status: u16, message: &str) -> Answer {
        let error = body::error(status, message, &self.route.documentation_url());
        Answer::json(status, &error)
    }

    pub(super) fn not_found(&self) -> Answer {
        self.error(404, "Not Found")
    }
}

fn bad_credentials() -> Answer {
    Answer::json(401, &body::error(401, "Bad credentials", ROOT_DOCUMENTATION))
}

/// The headers of the primary limit.
pub(super) fn add_primary(answer: &mut Answer, primary: Primary) {
    answer.add_header("x-ratelimit-limit", primary.limit.to_string());
    answer.add_header("x-ratelimit-remaining", primary.remaining.to_string());
    answer.add_header("x-ratelimit-used", primary.used.to_string());
    answer.add_header("x-ratelimit-reset", primary.reset_epoch_secs.to_string());
    answer.add_header("x-ratelimit-resource", "core");
}

/// The refusal of a request beyond the primary limit.
pub(super) fn primary_limit(holder: &str, status: u16) -> Answer {
    let message = format!("API rate limit exceeded for {holder}.");
    Answer::json(status, &body::error(status, &message, LIMITS_DOCUMENTATION))
}

fn secondary_limit(status: u16, retry_after_secs: Option<u64>) -> Answer {
    let message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    let page = format!("{LIMITS_DOCUMENTATION}#about-secondary-rate-limits");
    let mut answer = Answer::json(status, &body::error(status, message, &page));
    if let Some(secs) = retry_after_secs {
        answer.add_header("retry-after", secs.to_string());
    }
    answer
}

/// SHA-256 over parts, joined by a zero byte so that their boundaries matter.
pub(super) fn sha256_hex(parts: &[&[u8]]) -> String {
    let joined = parts.join(&0);
    let hash = digest(&SHA256, &joined);
    let hex = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
    hex.collect()
}
