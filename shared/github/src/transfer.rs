//! One request over the wire: pace, limits, deadline, redirects, size. What the answer means is judged elsewhere.

use std::sync::{Mutex, PoisonError};

use monitor_domain::observation::Fault;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, IF_NONE_MATCH, LOCATION};
use reqwest::{Client, Method, Response, StatusCode, Url};
use tokio::time::timeout;

use crate::client::GitHub;
use crate::credential::{BearerToken, CredentialState};
use crate::endpoint::Endpoint;
use crate::refusal::{RequestError, unsent};

/// Addresses that one request may be sent on to; a renamed repository takes one.
const MAX_REDIRECTS: usize = 3;
/// Of an answer that is an error, more is not read. GitHub's own have some 200 bytes.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// What is sent.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) endpoint: Endpoint<'a>,
    /// The page of a list, from 1.
    pub(crate) page: Option<u32>,
    /// What a good answer holds, in words that follow "expected".
    pub(crate) expected: &'static str,
}

/// Where GitHub tells what is left of the hour: for nothing, and where nothing is left as well.
pub(crate) const RATE_LIMIT: &str = "/rate_limit";

impl Request<'_> {
    /// Whether it may be sent although nothing is left of the hour.
    fn is_free(&self) -> bool {
        self.url.path().ends_with(RATE_LIMIT)
    }

    /// What is asked for, in words that begin a failure's line.
    pub(crate) fn place(&self) -> String {
        match self.page {
            Some(page) => format!("page {page} of {}", self.endpoint),
            None => self.endpoint.to_string(),
        }
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The address that answered, after redirects.
    pub(crate) url: Url,
}

/// The HTTP client in use. Its requests share a connection where GitHub speaks HTTP/2, so that one that has timed out takes
/// the others along: another client opens another connection.
pub(crate) struct Connections {
    current: Mutex<(u64, Client)>,
    pub(crate) make: Option<Box<MakeClient>>,
}

type MakeClient = dyn Fn() -> Option<Client> + Send + Sync;

impl Connections {
    pub(crate) fn over(client: Client) -> Self {
        Self { current: Mutex::new((0, client)), make: None }
    }

    /// The client with its number.
    fn current(&self) -> (u64, Client) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Uses another client from here on, unless the one of this number is no longer in use.
    fn replace(&self, number: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 == number
            && let Some(client) = self.make.as_ref().and_then(|make| make())
        {
            *current = (number + 1, client);
        }
    }
}

impl GitHub {
    /// Sends a request as soon as its credential's pace allows, and reads its whole answer.
    pub(crate) async fn send(
        &self,
        credential_state: &CredentialState,
        bearer_token: &BearerToken,
        request: &Request<'_>,
        etag: Option<&str>,
    ) -> Result<Answer, RequestError> {
        self.check_limit(credential_state, request)?;
        let _permit = credential_state.pace.begin().await;
        // Those before it in the queue may have run into a limit meanwhile.
        self.check_limit(credential_state, request)?;
        let deadline = self.settings.timeout;
        let (number, client) = self.connections.current();
        let answer = match timeout(deadline, self.transfer(&client, bearer_token, request, etag)).await {
            Ok(answer) => answer?,
            Err(_) => {
                self.connections.replace(number);
                return Err(RequestError::timed_out(deadline));
            }
        };
        tracing::debug!(status = answer.status.as_u16(), path = answer.url.path(), "GitHub answered");
        credential_state.note(&answer.headers, request.endpoint, self.now());
        Ok(answer)
    }

    fn check_limit(&self, credential_state: &CredentialState, request: &Request<'_>) -> Result<(), RequestError> {
        let refusal = self.limits_of(credential_state, request.endpoint).refusal(self.now(), request.is_free());
        refusal.map_or(Ok(()), |failure| Err(failure.into()))
    }

    async fn transfer(
        &self,
        client: &Client,
        bearer_token: &BearerToken,
        request: &Request<'_>,
        etag: Option<&str>,
    ) -> Result<Answer, RequestError> {
        let host = self.api_url.host_str().unwrap_or_default();
        let mut url = request.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut building = client.request(request.method.clone(), url.clone());
            building = building.headers(self.headers.clone()).header(AUTHORIZATION, &bearer_token.authorization);
            if request.method == Method::POST {
                // reqwest leaves it out, and servers between here and GitHub may ask for it with 411.
                building = building.header(CONTENT_LENGTH, 0);
            }
            if let Some(etag) = etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
                building = building.header(IF_NONE_MATCH, etag);
            }
            let sent = building.send().await;
            let response = sent.map_err(|error| unsent(&error, host, self.settings.proxy.as_deref()))?;
            // Only where the HTTP client follows redirects itself; it leaves the token behind on another host.
            self.check_origin(request, response.url())?;
            match location(request, &response) {
                Some(next) => {
                    self.check_origin(request, &next)?;
                    url = next;
                }
                None => return self.read(request, response).await,
            }
        }
        Err(RequestError::damaged(format!("{}: {host} redirects without end", request.place())))
    }

    /// The token goes to the configured host and to no other.
    fn check_origin(&self, request: &Request<'_>, url: &Url) -> Result<(), RequestError> {
        if url.origin() == self.api_url.origin() {
            return Ok(());
        }
        let detail = format!(
            "{}: redirected to another address ({}), which is not followed; set the API address to where GitHub is",
            request.place(),
            url.host_str().unwrap_or("no host"),
        );
        Err(RequestError::lasting(Fault::BrokenAnswer, detail))
    }

    async fn read(&self, request: &Request<'_>, mut response: Response) -> Result<Answer, RequestError> {
        let status = response.status();
        let is_error = status.is_client_error() || status.is_server_error();
        let max_bytes = if is_error { MAX_ERROR_BYTES } else { self.settings.max_answer_bytes };
        let mut body = Vec::new();
        let mut too_large = response.content_length().is_some_and(|length| length > max_bytes as u64);
        while !too_large {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    too_large = body.len() + chunk.len() > max_bytes;
                    body.extend_from_slice(&chunk);
                }
                Ok(None) => break,
                // What arrived of an error's body is enough.
                Err(_) if is_error => break,
                Err(_) => {
                    let (place, expected) = (request.place(), request.expected);
                    return Err(RequestError::damaged(format!(
                        "{place}: expected {expected}, got an answer that breaks off"
                    )));
                }
            }
        }
        if too_large && !is_error {
            let (place, expected) = (request.place(), request.expected);
            return Err(RequestError::damaged(format!(
                "{place}: expected {expected}, got an answer of more than {max_bytes} bytes"
            )));
        }
        let url = response.url().clone();
        Ok(Answer { status, headers: std::mem::take(response.headers_mut()), body, url })
    }
}

/// Where a redirect leads. The query goes along where the new address has none: it holds page and page size.
fn location(request: &Request<'_>, response: &Response) -> Option<Url> {
    let redirects = matches!(response.status().as_u16(), 301 | 302 | 307 | 308);
    if !redirects || request.method != Method::GET {
        return None;
    }
    let mut next = response.url().join(response.headers().get(LOCATION)?.to_str().ok()?).ok()?;
    if next.query().is_none() {
        next.set_query(request.url.query());
    }
    Some(next)
}
