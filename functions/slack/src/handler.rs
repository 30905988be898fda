//! Answers a request from Slack, and a batch of deferred commands, of which it returns the messages to retry.

use std::time::Duration;

use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use monitor_aws::Failure;
use monitor_aws::batch::{self, Budget, FailureSink, Record};
use monitor_pipeline::ports::{Clock, QueueError, Sender, Store};
use monitor_slack::incoming::RawRequest;
use monitor_slack::{CommandHandler, HttpAnswer, Replies};
use serde_json::Value;
use tracing::{Instrument as _, info_span};

/// How many deferred commands are answered at the same time.
const AT_ONCE: usize = 4;

/// The event that the function is invoked with.
pub(crate) enum Event {
    /// A request through an HTTP API or a function URL, payload version 2.0.
    Request(Box<ApiGatewayV2httpRequest>),
    /// Messages from the queue of deferred commands.
    Messages(SqsEvent),
}

impl Event {
    pub(crate) fn read(event: Value) -> Result<Self, Failure> {
        let read = if event.get("Records").is_some() {
            serde_json::from_value(event).map(Event::Messages).ok()
        } else if event.get("requestContext").is_some() {
            serde_json::from_value(event).map(|request| Event::Request(Box::new(request))).ok()
        } else {
            None
        };
        // Anybody may have written the event, so the error quotes nothing from it.
        read.ok_or_else(|| {
            Failure::Event(
                "the event must be a request from an HTTP API (payload version 2.0) or an SQS event, for example one \
                 from events/slack-*.json, signed by events/sign"
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

/// Answers deferred commands.
pub(crate) async fn follow_up<St: Store, Jobs: Sender, Later: Sender, Cl: Clock>(
    command_handler: &CommandHandler<'_, St, Jobs, Later, Cl>,
    replies: &Replies,
    (event, budget): (SqsEvent, Budget),
    failure_sink: &impl FailureSink,
    request_id: &str,
) -> SqsBatchResponse {
    let answer = async |record: &Record| {
        let span = info_span!("slack", stage = "slack", request_id);
        command_handler.follow_up(&record.body, replies).instrument(span).await
    };
    batch::handle(event, budget, AT_ONCE, failure_sink, answer).await.response
}

/// Drops messages instead of dead-lettering them: they hold a secret address, and their queue has no dead-letter queue.
pub(crate) struct NoDeadLetters<Bs>(pub(crate) Bs);

impl<Bs: FailureSink> FailureSink for NoDeadLetters<Bs> {
    async fn dead_letter(&self, _: &Record, _: &str) -> Result<(), QueueError> {
        Ok(())
    }

    async fn put_off(&self, record: &Record, after: Duration) {
        self.0.put_off(record, after).await;
    }
}
