//! One request over the wire: pace, limits, timeout, redirects, size. `exchange` interprets the answer.

use std::sync::{Arc, Mutex, PoisonError};

use monitor_domain::observation::Fault;
use monitor_domain::time::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, IF_NONE_MATCH, LOCATION};
use reqwest::{Client, Method, Response, Url};
use tokio::time::timeout;

use crate::bearer_token::BearerToken;
use crate::credential::CredentialState;
use crate::endpoint::{CredentialKind, Endpoint};
use crate::limits::Limits;
use crate::refusal::{RequestError, unsent};
use crate::request::{Answer, Request};
use crate::settings::{Settings, SettingsError};

/// The most redirects of one request; a renamed repository needs one.
const MAX_REDIRECTS: usize = 3;
/// How much of an error's body is read. GitHub's own have about 200 bytes.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// The HTTP client in use. With HTTP/2 its requests share a connection, so if one times out the others would too:
/// another client opens another connection.
pub(crate) struct Connections {
    current: Mutex<(u64, Client)>,
    pub(crate) make: Option<Box<MakeClient>>,
}

type MakeClient = dyn Fn() -> Option<Client> + Send + Sync;

impl Connections {
    pub(crate) fn over(client: Client) -> Self {
        Self { current: Mutex::new((0, client)), make: None }
    }

    /// The client in use and its number.
    fn current(&self) -> (u64, Client) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Uses another client from now on, unless the client with this number is no longer in use.
    fn replace(&self, number: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 == number
            && let Some(client) = self.make.as_ref().and_then(|make| make())
        {
            *current = (number + 1, client);
        }
    }
}

/// Returns the current time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Sends requests to one address.
pub(crate) struct Transport {
    pub(crate) connections: Connections,
    pub(crate) settings: Settings,
    /// The kind of the credential, as far as its format shows.
    pub(crate) kind: CredentialKind,
    api_url: Url,
    headers: HeaderMap,
    /// The limits of the App's own quota, which covers requests for its installations and their tokens.
    app_limits: Limits,
    clock: Clock,
}

impl Transport {
    pub(crate) fn new(
        http: Client,
        settings: Settings,
        kind: CredentialKind,
        clock: Clock,
    ) -> Result<Self, SettingsError> {
        Ok(Self {
            connections: Connections::over(http),
            api_url: settings.parsed_api_url()?,
            headers: settings.headers()?,
            settings,
            kind,
            app_limits: Limits::default(),
            clock,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The address of a path below the API.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.api_url.clone();
        let whole = format!("{}{path}", url.path().trim_end_matches('/'));
        url.set_path(&whole);
        url
    }

    /// Whether the API is an Enterprise Server's, whose address ends with `/api/v3`.
    pub(crate) fn is_enterprise_server(&self) -> bool {
        self.api_url.path().ends_with("/api/v3")
    }

    /// The limits of the quota that a request counts against: an App's own quota is separate from its installations'.
    pub(crate) fn limits_of<'a>(&'a self, credential_state: &'a CredentialState, endpoint: Endpoint<'_>) -> &'a Limits {
        if matches!(endpoint, Endpoint::Installation(_)) { &self.app_limits } else { &credential_state.limits }
    }

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
        // Requests before it in the queue may have reached a limit meanwhile.
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
                // reqwest omits it, and servers between here and GitHub may answer 411 without it.
                building = building.header(CONTENT_LENGTH, 0);
            }
            if let Some(etag) = etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
                building = building.header(IF_NONE_MATCH, etag);
            }
            let sent = building.send().await;
            let response = sent.map_err(|error| unsent(&error, host, self.settings.proxy.as_deref()))?;
            // Relevant only if the HTTP client follows redirects itself; it drops the token on another host.
            self.check_origin(request, response.url())?;
            match location(request, &response) {
                Some(next) => {
                    self.check_origin(request, &next)?;
                    url = next;
                }
                None => return self.read(request, response).await,
            }
        }
        Err(RequestError::damaged(format!("{}: {host} redirects endlessly", request.place())))
    }

    /// Refuses any other host than the configured one, so that the token is sent nowhere else.
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
                // The part of an error's body that arrived is enough.
                Err(_) if is_error => break,
                Err(_) => {
                    let (place, expected) = (request.place(), request.expected);
                    return Err(RequestError::damaged(format!("{place}: expected {expected}, got a truncated answer")));
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

/// The target of a redirect. It keeps the query, with page and page size, unless the new address has its own.
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
