//! A function from its start to its last invocation.

use std::process::ExitCode;
use std::time::Duration;

use crate::metrics::Metrics;
use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{LambdaEvent, service_fn};
use monitor_domain::time::Timestamp;
use monitor_telemetry::Format;
use serde_json::Value;
use tracing::error;

use crate::failure::Failure;

/// The identity and the deadline of an invocation.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The request id that Lambda gave it.
    pub request_id: String,
    /// When Lambda stops it.
    pub deadline: Timestamp,
}

impl Invocation {
    /// The time left until the deadline.
    pub fn left(&self, now: Timestamp) -> Duration {
        self.deadline.since(now)
    }
}

/// Serves invocations until Lambda ends the process. Sends no request before the first one.
pub fn serve(handler: impl AsyncFn(Value, Invocation) -> Result<Value, Failure>) -> ExitCode {
    if let Err(error) = monitor_telemetry::init(Format::Json, "info") {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let reason = panic.payload_as_str().unwrap_or_default();
        error!(place, reason, "a stage panicked");
    }));
    // One thread: a Lambda of this size has less than one CPU.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "the runtime could not be started");
            return ExitCode::FAILURE;
        }
    };
    let service = service_fn(|event: LambdaEvent<Value>| {
        let deadline = i64::try_from(event.context.deadline).unwrap_or(i64::MAX);
        let invocation =
            Invocation { request_id: event.context.request_id, deadline: Timestamp::from_epoch_ms(deadline) };
        handler(event.payload, invocation)
    });
    match runtime.block_on(lambda_runtime::Runtime::new(service).run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error, "the function stopped serving invocations");
            ExitCode::FAILURE
        }
    }
}

/// Prints what an invocation of a stack's function counted, for CloudWatch.
pub fn publish(metrics: Metrics, stack: Option<&str>, now: Timestamp, request_id: &str) {
    if let Some(line) = metrics.in_stack(stack).line(now, request_id) {
        println!("{line}");
    }
}

/// An answer in the form that Lambda accepts.
pub fn answer(answer: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(answer).map_err(Failure::setup)
}

/// Reads a request through an HTTP API or a function URL, payload version 2.0. `example` is the pattern of sample events.
pub fn request(event: Value, example: &str) -> Result<ApiGatewayV2httpRequest, Failure> {
    let is_request = event.get("requestContext").is_some();
    let request = Some(event).filter(|_| is_request).and_then(|event| serde_json::from_value(event).ok());
    // Anybody may have written the event, so the error quotes nothing from it.
    request.ok_or_else(|| {
        Failure::Event(format!(
            "the event must be a request from an HTTP API (payload version 2.0), for example one from {example}"
        ))
    })
}

/// Reads an event of SQS.
pub fn messages(event: Value) -> Result<SqsEvent, Failure> {
    serde_json::from_value(event).map_err(|error| {
        Failure::Event(format!(
            "the event must be an SQS event ({error}): send the message to the queue, or invoke with one from events/"
        ))
    })
}
