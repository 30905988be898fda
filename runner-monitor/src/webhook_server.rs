//! Reports of workflow jobs: the deliveries of a GitHub webhook over HTTP, behind a reverse proxy that terminates TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use monitor_github::{MAX_WEBHOOK_BYTES, RefusedDeliveries, Secret, WebhookRefusal, WebhookSecret, read_webhook};
use monitor_pipeline::messages::JobReport;
use monitor_pipeline::ports::{Chat, Clock, Store};
use monitor_pipeline::stages::{Disposition, KnownTargets, RecordJob};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::connections::{self, Answer, BodyError, Place};
use crate::engine::Engine;

/// How long a report may take to be stored. GitHub waits 10 s, and never sends a delivery again by itself.
const STORED_WITHIN: Duration = Duration::from_secs(8);

/// Receives the deliveries of the webhook.
pub(crate) struct Webhooks {
    secret: WebhookSecret,
    known: KnownTargets,
    refused: RefusedDeliveries,
}

impl Webhooks {
    /// With the secret that is set at the webhook.
    pub(crate) fn new(secret: &Secret) -> Self {
        let secret = WebhookSecret::new(secret.expose());
        Self { secret, known: KnownTargets::default(), refused: RefusedDeliveries::default() }
    }

    /// Whether a request claims to be a delivery.
    pub(crate) fn is_delivery(headers: &HeaderMap) -> bool {
        headers.contains_key("x-github-event")
    }

    /// Answers one delivery. Nothing is read from the store before its signature is verified.
    pub(crate) async fn receive(
        &self,
        store: &impl Store,
        clock: &impl Clock,
        request: Request<Incoming>,
        place: &Place,
    ) -> Answer {
        if request.method() != Method::POST {
            return answer(StatusCode::METHOD_NOT_ALLOWED);
        }
        let (head, body) = request.into_parts();
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let Some(signature) = header("x-hub-signature-256") else {
            return self.refuse(&WebhookRefusal::Unsigned);
        };
        let body = match place.read_body(body, MAX_WEBHOOK_BYTES).await {
            Ok(body) => body,
            Err(BodyError::TooLarge) => return answer(StatusCode::PAYLOAD_TOO_LARGE),
            Err(BodyError::TooSlow) => return answer(StatusCode::REQUEST_TIMEOUT),
            Err(BodyError::Broken) => return answer(StatusCode::BAD_REQUEST),
        };
        if let Err(refusal) = self.secret.verify(&body, Some(signature)) {
            return self.refuse(&refusal);
        }
        place.complete();
        let report = match read_webhook(header("x-github-event").unwrap_or_default(), &body, clock.now()) {
            Ok(Some(report)) => report,
            Ok(None) => return answer(StatusCode::ACCEPTED),
            Err(refusal) => {
                let delivery = header("x-github-delivery");
                warn!(delivery, %refusal, "a delivery of the webhook was not understood");
                return answer(StatusCode::UNPROCESSABLE_ENTITY);
            }
        };
        self.store(store, clock, &report).await
    }

    async fn store(&self, store: &impl Store, clock: &impl Clock, report: &JobReport) -> Answer {
        let stage = RecordJob { store, clock, known: &self.known };
        match timeout(STORED_WITHIN, stage.run(report)).await {
            Ok(Disposition::Done) => answer(StatusCode::ACCEPTED),
            // The checks ask GitHub about the job if another report of it arrives.
            Ok(_) | Err(_) => answer(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    fn refuse(&self, refusal: &WebhookRefusal) -> Answer {
        self.refused.note(refusal);
        answer(StatusCode::UNAUTHORIZED)
    }
}

/// The server for deliveries at an address of their own.
pub(crate) struct WebhookServer {
    listener: TcpListener,
    webhooks: Arc<Webhooks>,
}

impl WebhookServer {
    /// Listens at an address.
    pub(crate) async fn bind(address: SocketAddr, webhooks: Arc<Webhooks>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("--webhooks cannot listen on {address}: choose another address or port"))?;
        Ok(Self { listener, webhooks })
    }

    /// The bound address. For port 0 it has the port that the system chose.
    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers deliveries until `stop` turns true, then lets answers in progress end.
    pub(crate) async fn serve<Ch: Chat + 'static, Cl: Clock + Clone + 'static>(
        self,
        engine: Arc<Engine<Ch, Cl>>,
        stop: watch::Receiver<bool>,
    ) {
        let Self { listener, webhooks } = self;
        let receiving = webhooks.clone();
        let answer = move |request, place: Arc<Place>| {
            let (webhooks, engine) = (receiving.clone(), engine.clone());
            async move { webhooks.receive(&*engine.store, &engine.clock, request, &place).await }
        };
        connections::serve(listener, stop, answer, || {}).await;
        let refused = webhooks.refused.count();
        if refused > 0 {
            info!(refused, "deliveries of the webhook were refused");
        }
    }
}

fn answer(status: StatusCode) -> Answer {
    let mut response = Response::new(Full::from(Bytes::new()));
    *response.status_mut() = status;
    response
}
