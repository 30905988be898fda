//! Answers a delivery: one that GitHub signed is put on the queue for checks, and the poller stores it.

use std::borrow::Cow;
use std::time::Duration;

use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use monitor_domain::time::Timestamp;
use monitor_github::{MAX_WEBHOOK_BYTES, RefusedDeliveries, WebhookRefusal, WebhookSecret, read_webhook};
use monitor_pipeline::ports::{Outgoing, Sender};
use tokio::time::timeout;
use tracing::{debug, warn};

/// The status of a delivery that GitHub did not sign.
pub(crate) const UNAUTHORIZED: i64 = 401;
const ACCEPTED: i64 = 202;
const BAD_REQUEST: i64 = 400;
const TOO_LARGE: i64 = 413;
const NOT_UNDERSTOOD: i64 = 422;
const UNAVAILABLE: i64 = 503;

/// What a delivery is received with.
pub(crate) struct Receiver<'a, Q> {
    /// The secret that is set at the webhook.
    pub(crate) secret: &'a WebhookSecret,
    /// The queue for checks.
    pub(crate) queue: &'a Q,
    /// The refused deliveries so far.
    pub(crate) refused: &'a RefusedDeliveries,
    /// How long sending may take.
    pub(crate) within: Duration,
}

impl<Q: Sender> Receiver<'_, Q> {
    /// Answers one delivery. Nothing is sent before its signature is verified.
    pub(crate) async fn receive(
        &self,
        request: &ApiGatewayV2httpRequest,
        now: Timestamp,
        request_id: &str,
    ) -> ApiGatewayV2httpResponse {
        let mut response = ApiGatewayV2httpResponse::default();
        response.status_code = self.status(request, now, request_id).await;
        response
    }

    async fn status(&self, request: &ApiGatewayV2httpRequest, now: Timestamp, request_id: &str) -> i64 {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let Some(signature) = header("x-hub-signature-256") else {
            return self.refuse(&WebhookRefusal::Unsigned);
        };
        let text = request.body.as_deref().unwrap_or_default();
        // Four characters of Base64 are three bytes.
        let bytes = if request.is_base64_encoded { text.len() / 4 * 3 } else { text.len() };
        if bytes > MAX_WEBHOOK_BYTES {
            return TOO_LARGE;
        }
        let body = if request.is_base64_encoded {
            let Ok(body) = STANDARD.decode(text) else { return BAD_REQUEST };
            Cow::Owned(body)
        } else {
            Cow::Borrowed(text.as_bytes())
        };
        if let Err(refusal) = self.secret.verify(&body, Some(signature)) {
            return self.refuse(&refusal);
        }
        let delivery = header("x-github-delivery");
        match read_webhook(header("x-github-event").unwrap_or_default(), &body, now) {
            Ok(None) => ACCEPTED,
            Ok(Some(report)) => {
                let message = Outgoing { body: report.to_json(), ..Outgoing::default() };
                let reason = match timeout(self.within, self.queue.send(vec![message])).await {
                    Ok(Ok(())) => {
                        debug!(request_id, delivery, job = report.job.id.0, "the report of a job is in the queue");
                        return ACCEPTED;
                    }
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => "SQS does not answer in time".to_owned(),
                };
                warn!(request_id, delivery, reason, "the report of a job could not be sent to the queue");
                UNAVAILABLE
            }
            Err(refusal) => {
                warn!(request_id, delivery, %refusal, "a delivery of the webhook was not understood");
                NOT_UNDERSTOOD
            }
        }
    }

    fn refuse(&self, refusal: &WebhookRefusal) -> i64 {
        self.refused.note(refusal);
        UNAUTHORIZED
    }
}
