//! Answers a request from Slack, or a command that an earlier invocation deferred.

use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use monitor_aws::{DEFERRED, Failure};
use monitor_pipeline::ports::{Clock, Sender, Store};
use monitor_pipeline::stages::Disposition;
use monitor_slack::incoming::RawRequest;
use monitor_slack::{CommandHandler, HttpAnswer, Replies};
use serde_json::Value;
use tracing::{Instrument as _, info_span};

/// The event that the function is invoked with.
pub(crate) enum Event {
    /// A request through an HTTP API or a function URL, payload version 2.0.
    Request(Box<ApiGatewayV2httpRequest>),
    /// A command that takes longer than Slack waits, or an announcement, as JSON.
    Deferred(String),
}

impl Event {
    pub(crate) fn read(event: Value) -> Result<Self, Failure> {
        let read = if event.get("requestContext").is_some() {
            serde_json::from_value(event).map(|request| Event::Request(Box::new(request))).ok()
        } else {
            // Nobody outside the account can send this: a request always comes with its context.
            event.get(DEFERRED).map(|work| Event::Deferred(work.to_string()))
        };
        // Anybody may have written the event, so the error quotes nothing from it.
        read.ok_or_else(|| {
            Failure::Event(
                "the event must be a request from an HTTP API (payload version 2.0) or a deferred command, for example \
                 one from events/slack-*.json, signed by events/sign"
                    .to_owned(),
            )
        })
    }
}

/// Answers one request.
pub(crate) async fn answer<St: Store, Jobs: Sender, Later: Sender, Cl: Clock>(
    command_handler: &CommandHandler<'_, St, Jobs, Later, Cl>,
    request: &ApiGatewayV2httpRequest,
    request_id: &str,
) -> ApiGatewayV2httpResponse {
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let body = request.body.as_deref().unwrap_or_default();
    let raw = RawRequest::new(headers, body.as_bytes(), request.is_base64_encoded);
    let span = info_span!("slack", stage = "slack", request_id);
    let HttpAnswer { status, body } = command_handler.receive(&raw).instrument(span).await;
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = status.into();
    if !body.is_empty() {
        let json = aws_lambda_events::http::HeaderValue::from_static("application/json; charset=utf-8");
        response.headers.insert("content-type", json);
        response.body = Some(body.into());
    }
    response
}

/// Answers a deferred command. If it fails, Lambda invokes the function with it again.
pub(crate) async fn follow_up<St: Store, Jobs: Sender, Later: Sender, Cl: Clock>(
    command_handler: &CommandHandler<'_, St, Jobs, Later, Cl>,
    replies: &Replies,
    work: &str,
    request_id: &str,
) -> Result<Value, Failure> {
    let span = info_span!("slack", stage = "slack", request_id);
    match command_handler.follow_up(work, replies).instrument(span).await {
        Disposition::Done => Ok(Value::Null),
        Disposition::Retry { reason, .. } | Disposition::DeadLetter { reason } => Err(Failure::Aborted(reason)),
    }
}
