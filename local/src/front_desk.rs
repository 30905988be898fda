//! Slash commands and buttons over HTTP, for a reverse proxy that speaks TLS to Slack.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use monitor_pipeline::ports::{Chat, Clock, Delivery};
use monitor_pipeline::stages::Disposition;
use monitor_slack::incoming::{MAX_BODY_BYTES, RawRequest, SigningSecret};
use monitor_slack::{Desk, HttpAnswer, Replies, WebBase};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::{error, warn};

use crate::engine::{Engine, Hastened};
use crate::store::ChosenStore;

/// How long an answer may take before it goes the longer way. Slack waits for 3 s in all, and the proxy is on the way.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a request may take to come in: whoever is slower is not Slack.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// Where requests of Slack's come in.
pub(crate) struct FrontDesk {
    listener: TcpListener,
    secret: SigningSecret,
    web: WebBase,
    replies: Replies,
}

impl FrontDesk {
    /// Listens at an address.
    pub(crate) async fn bind(
        address: SocketAddr,
        secret: SigningSecret,
        web: WebBase,
        http: reqwest::Client,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("--slack-commands cannot listen on {address}: choose another address or port"))?;
        Ok(Self { listener, secret, web, replies: Replies::new(http) })
    }

    /// The address that was bound, with the port that was found where 0 was asked for.
    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers requests until `stop` turns true, and lets those under way end.
    pub(crate) async fn serve<Ch: Chat + 'static, Cl: Clock + Clone + 'static>(
        self,
        engine: Arc<Engine<Ch, Cl>>,
        mut stop: watch::Receiver<bool>,
    ) {
        let Self { listener, secret, web, .. } = self;
        let counter = Arc::new(Counter { engine, secret, web });
        let router = Router::new().fallback(receive::<Ch, Cl>).with_state(counter);
        let stopped = async move {
            let _ = stop.wait_for(|stop| *stop).await;
        };
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
            error!(%error, "requests of Slack's are no longer answered");
        }
    }

    /// What answers what takes longer.
    pub(crate) fn follower(&self) -> Follower {
        Follower { secret: self.secret.clone(), web: self.web.clone(), replies: self.replies.clone() }
    }
}

/// What a request is answered with.
struct Counter<Ch, Cl> {
    engine: Arc<Engine<Ch, Cl>>,
    secret: SigningSecret,
    web: WebBase,
}

/// Answers what was put off.
pub(crate) struct Follower {
    secret: SigningSecret,
    web: WebBase,
    replies: Replies,
}

impl Follower {
    /// Answers one command that takes longer.
    pub(crate) async fn follow_up<Ch, Cl: Clock>(&self, engine: &Engine<Ch, Cl>, delivery: &Delivery) -> Disposition {
        desk(engine, &self.secret, &self.web).follow_up(&delivery.body, &self.replies).await
    }
}

fn desk<'a, Ch, Cl: Clock>(
    engine: &'a Engine<Ch, Cl>,
    secret: &'a SigningSecret,
    web: &'a WebBase,
) -> Desk<'a, ChosenStore, Hastened, Hastened, Cl> {
    let Engine { store, checks, commands, clock, .. } = engine;
    Desk { store, jobs: checks, later: commands, clock, secret, web, patience: PATIENCE }
}

/// One request, whatever its path: a proxy may put one before it.
async fn receive<Ch: Chat + 'static, Cl: Clock + Clone + 'static>(
    State(counter): State<Arc<Counter<Ch, Cl>>>,
    request: Request,
) -> Response {
    if request.method() != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let (head, body) = request.into_parts();
    let body = match tokio::time::timeout(READ_WITHIN, to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return broken_off(&error),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let desk = desk(&counter.engine, &counter.secret, &counter.web);
    let HttpAnswer { status, body } = desk.receive(&RawRequest::new(headers, &body, false)).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match body.is_empty() {
        true => status.into_response(),
        false => {
            (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], Body::from(body)).into_response()
        }
    }
}

/// A body that is too large, or did not come whole.
fn broken_off(error: &axum::Error) -> Response {
    let mut causes = std::iter::successors(Some(error as &dyn std::error::Error), |&inner| inner.source());
    if causes.any(|cause| cause.is::<http_body_util::LengthLimitError>()) {
        warn!(reason = "larger than 1 MiB", "a request was refused");
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    StatusCode::BAD_REQUEST.into_response()
}
