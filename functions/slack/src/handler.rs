//! A request of Slack's in, its answer out; a batch of commands that take longer in, what is to come again out.

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

/// How many commands that take longer are answered at once.
const AT_ONCE: usize = 4;

/// What the function is invoked with.
pub(crate) enum Event {
    /// By an HTTP API or a function URL, payload version 2.0.
    Request(Box<ApiGatewayV2httpRequest>),
    /// By the queue of commands that take longer.
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
        // What is in it may be anybody's: the error quotes nothing.
        read.ok_or_else(|| {
            Failure::Event(
                "this is neither a request of an HTTP API (payload version 2.0) nor an event of SQS; invoke with an \
                 event as in events/slack-*.json, signed by events/sign"
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

/// Answers commands that take longer.
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

/// Nothing is set aside: these messages hold an address that is a secret, and their queue has no dead-letter queue.
pub(crate) struct NothingKept<Bs>(pub(crate) Bs);

impl<Bs: FailureSink> FailureSink for NothingKept<Bs> {
    async fn dead_letter(&self, _: &Record, _: &str) -> Result<(), QueueError> {
        Ok(())
    }

    async fn put_off(&self, record: &Record, after: Duration) {
        self.0.put_off(record, after).await;
    }
}
