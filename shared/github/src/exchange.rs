//! A request until it has a usable answer: interpreting answers and retrying.

use std::sync::Arc;
use std::time::Duration;

use monitor_domain::observation::{Failure, Fault, PageTag};
use reqwest::Url;
use reqwest::header::HeaderMap;
use ring::rand::{SecureRandom, SystemRandom};

use crate::bearer_token::BearerToken;
use crate::credential::CredentialState;
use crate::headers::{Links, links, text};
use crate::limits;
use crate::refusal::{Again, RequestError, refused};
use crate::request::{Answer, Request};
use crate::transport::Transport;
use crate::wire::{self, Misfit, is_html};

/// A usable answer.
pub(crate) struct Reply<T> {
    /// The decoded content; `None` for a 304.
    pub(crate) content: Option<T>,
    pub(crate) etag: Option<String>,
    pub(crate) links: Links,
    /// The fingerprint of the token that was sent.
    pub(crate) given_to: Arc<str>,
    /// The address that answered, after redirects.
    pub(crate) url: Url,
}

impl Reply<()> {
    /// With the content that was kept when the answer came.
    pub(crate) fn with<T>(self, content: Option<T>) -> Reply<T> {
        let Self { content: _, etag, links, given_to, url } = self;
        Reply { content, etag, links, given_to, url }
    }
}

/// Decodes a body into content.
pub(crate) type Decode<T> = fn(&[u8]) -> Result<T, Misfit>;

/// Decodes a body and keeps the content. Not generic, so that the exchange is compiled once for all kinds of content.
pub(crate) type Accept<'a> = &'a mut (dyn FnMut(&[u8]) -> Result<(), Misfit> + Send);

/// Sends a request with this token, and retries it as long as that can help.
pub(crate) async fn exchange(
    transport: &Transport,
    credential_state: &CredentialState,
    bearer_token: &BearerToken,
    request: &Request<'_>,
    known: Option<&PageTag>,
    accept: Accept<'_>,
) -> Result<Reply<()>, Failure> {
    let known = known.filter(|tag| *tag.given_to == *bearer_token.fingerprint);
    let etag = known.and_then(|tag| tag.etag.as_deref());
    let waits = &transport.settings.retry_waits;
    let mut unserved_waits = waits.iter();
    let mut repeated_waits = waits.first().into_iter();
    loop {
        let request_error = match transport.send(credential_state, bearer_token, request, etag).await {
            Ok(answer) => {
                match interpret(transport, credential_state, bearer_token, request, etag, &answer, &mut *accept) {
                    Ok(reply) => return Ok(reply),
                    Err(request_error) => request_error,
                }
            }
            Err(request_error) => request_error,
        };
        let wait = match request_error.again {
            Again::No => None,
            Again::Unserved => unserved_waits.next(),
            Again::Once => repeated_waits.next(),
        };
        let Some(wait) = wait else { return Err(request_error.failure) };
        tracing::debug!(failure = %request_error.failure, "retrying a request to GitHub");
        tokio::time::sleep(lengthened(*wait)).await;
    }
}

/// Interprets an answer: a usable reply, or the reason why it is not.
pub(crate) fn interpret<T>(
    transport: &Transport,
    credential_state: &CredentialState,
    bearer_token: &BearerToken,
    request: &Request<'_>,
    etag: Option<&str>,
    answer: &Answer,
    decode: impl FnOnce(&[u8]) -> Result<T, Misfit>,
) -> Result<Reply<T>, RequestError> {
    let status = answer.status.as_u16();
    let now = transport.now();
    let limits = transport.limits_of(credential_state, request.endpoint);
    if let Some(until) = limits::nearly_used_up(&answer.headers, now) {
        limits.stop(until);
    }
    let reply = |content| Reply {
        content,
        etag: text(&answer.headers, "etag").map(str::to_owned),
        links: links(&answer.headers),
        given_to: Arc::clone(&bearer_token.fingerprint),
        url: answer.url.clone(),
    };
    match status {
        200 | 201 | 304 if is_partial(&answer.headers) => Err(RequestError::lasting(
            Fault::Forbidden,
            format!(
                "{}: the answer is incomplete, because the token is not authorised for single sign-on; authorise it for the organization under \"Configure SSO\" on GitHub's token page",
                request.place()
            ),
        )),
        200 | 201 => {
            limits.served(now);
            let content = decode(&answer.body).map_err(|misfit| {
                let got = if is_html(&answer.body) { "an HTML page".to_owned() } else { misfit.describe() };
                RequestError::damaged(format!("{}: expected {}, got {got}", request.place(), request.expected))
            })?;
            Ok(reply(Some(content)))
        }
        304 if etag.is_some() => {
            limits.served(now);
            Ok(reply(None))
        }
        _ => {
            let message = wire::error(&answer.body).map(|error| error.message);
            match limits::sign(status, &answer.headers, message.as_deref(), now) {
                Some(sign) => Err(limits.hit(now, sign).into()),
                None => Err(refused(request, answer, transport.kind, transport.settings.proxy.as_deref())),
            }
        }
    }
}

/// Whether GitHub marks an answer as partial: `partial-results; organizations=21955855,20582480`.
fn is_partial(headers: &HeaderMap) -> bool {
    text(headers, "x-github-sso").is_some_and(|sso| sso.trim_start().starts_with("partial-results"))
}

/// The wait, randomly lengthened by up to half, so that requests that failed together are not retried together.
fn lengthened(wait: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness it is the plain wait.
    let _ = SystemRandom::new().fill(&mut byte);
    wait + wait * u32::from(byte[0]) / 512
}
