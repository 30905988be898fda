//! A fake of the few SQS, SSM and Lambda calls that a function makes, with AWS's own wire format. It keeps what was
//! sent, for tests to inspect.
//!
//! It delivers no messages, invokes nothing and has no clock. Queue behaviour is tested elsewhere, with emulators.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::http::{Answer, Request};
use crate::server::{Server, lock};

/// The most messages that SQS accepts in one batch.
const MESSAGES_PER_CALL: usize = 10;
/// The most names that SSM accepts in one call.
const NAMES_PER_CALL: usize = 10;

/// A running fake of SQS, SSM and Lambda; it stops when it is dropped.
pub struct FakeAws {
    server: Server,
    state: Arc<Mutex<State>>,
}

/// A message as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentMessage {
    /// The message body.
    pub body: String,
    /// The delay before delivery, in seconds.
    pub delay_secs: u64,
    /// The message group id (FIFO).
    pub group: Option<String>,
    /// The de-duplication id (FIFO).
    pub deduplication_id: Option<String>,
    /// The message attribute `reason`.
    pub reason: Option<String>,
}

/// How a call fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallFault {
    /// The whole call is answered with this status and error code.
    Refused(u16, &'static str),
    /// The batch entries at these positions are refused; the flag is `SenderFault`.
    Entries(Vec<usize>, bool),
}

#[derive(Default)]
struct State {
    parameters: BTreeMap<String, String>,
    sent: BTreeMap<String, Vec<SentMessage>>,
    calls: BTreeMap<String, Vec<Value>>,
    events: BTreeMap<String, Vec<Value>>,
    visibility: Vec<(String, u64)>,
    faults: BTreeMap<String, VecDeque<CallFault>>,
    latency_ms: u64,
    most_in_flight: usize,
    keeps_messages: bool,
}

impl FakeAws {
    /// Starts the fake on a free port of 127.0.0.1.
    pub async fn start() -> std::io::Result<Self> {
        let state = Arc::new(Mutex::new(State { keeps_messages: true, ..State::default() }));
        let answering = Arc::clone(&state);
        let server = Server::start(0, move |request| lock(&answering).answer(request)).await?;
        Ok(Self { server, state })
    }

    /// The address, for `AWS_ENDPOINT_URL`.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Sets a parameter, by its full name.
    pub fn set_parameter(&self, name: &str, value: &str) {
        lock(&self.state).parameters.insert(name.to_owned(), value.to_owned());
    }

    /// Removes a parameter.
    pub fn remove_parameter(&self, name: &str) {
        lock(&self.state).parameters.remove(name);
    }

    /// Sets how long every answer takes.
    pub fn set_latency_ms(&self, latency_ms: u64) {
        lock(&self.state).latency_ms = latency_ms;
    }

    /// From now on only counts messages, so that memory measurements show the sender alone.
    pub fn forget_messages(&self) {
        lock(&self.state).keeps_messages = false;
    }

    /// Sets the faults of the next calls of an action such as `GetParameters`, in order.
    pub fn plan(&self, action: &str, faults: impl IntoIterator<Item = CallFault>) {
        lock(&self.state).faults.entry(action.to_owned()).or_default().extend(faults);
    }

    /// The bodies of the calls of an action so far.
    pub fn calls(&self, action: &str) -> Vec<Value> {
        lock(&self.state).calls.get(action).cloned().unwrap_or_default()
    }

    /// The most calls that were in flight at the same time.
    pub fn most_in_flight(&self) -> usize {
        lock(&self.state).most_in_flight
    }

    /// Takes all messages that were sent to a queue, by its URL.
    pub fn take_sent(&self, queue_url: &str) -> Vec<SentMessage> {
        lock(&self.state).sent.remove(queue_url).unwrap_or_default()
    }

    /// Takes all events with which a function was invoked asynchronously, by the function's name.
    pub fn take_events(&self, function: &str) -> Vec<Value> {
        lock(&self.state).events.remove(function).unwrap_or_default()
    }

    /// The visibility changes in order: receipt handle and seconds.
    pub fn visibility(&self) -> Vec<(String, u64)> {
        lock(&self.state).visibility.clone()
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        let function = invoked_function(&request.path);
        let target = request.header("x-amz-target").and_then(|target| target.split('.').nth(1)).unwrap_or_default();
        let action = if function.is_some() { "Invoke" } else { target }.to_owned();
        self.most_in_flight = self.most_in_flight.max(request.in_flight);
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let fault = self.faults.get_mut(&action).and_then(VecDeque::pop_front);
        let answered = match &fault {
            Some(CallFault::Refused(status, code)) => Err((*status, *code)),
            Some(CallFault::Entries(positions, is_senders)) => self.send_batch(&body, positions, *is_senders),
            None => match &*action {
                "Invoke" => self.invoke(function.unwrap_or_default(), request, &body),
                "GetParameters" => self.get_parameters(&body),
                "SendMessageBatch" => self.send_batch(&body, &[], false),
                "ChangeMessageVisibility" => self.change_visibility(&body),
                _ => Err((400, "UnknownOperationException")),
            },
        };
        let calls = self.calls.entry(action).or_default();
        calls.push(if self.keeps_messages { body } else { Value::Null });
        let (status, body) = match answered {
            Ok(body) => (if function.is_some() { 202 } else { 200 }, body),
            Err((status, code)) => {
                (status, json!({"__type": format!("com.amazonaws#{code}"), "message": "as planned"}))
            }
        };
        let mut answer = Answer::new(status, "application/x-amz-json-1.0", body.to_string());
        answer.delay_ms = self.latency_ms;
        answer
    }

    /// Accepts a signed event; Lambda would wait for the outcome without the header.
    fn invoke(&mut self, function: &str, request: &Request, event: &Value) -> Result<Value, (u16, &'static str)> {
        let signature = request.header("authorization").unwrap_or_default();
        if !signature.starts_with("AWS4-HMAC-SHA256 ") || !signature.contains("/lambda/aws4_request") {
            return Err((403, "InvalidSignatureException"));
        }
        if request.header("x-amz-invocation-type") != Some("Event") || !event.is_object() {
            return Err((400, "InvalidRequestContentException"));
        }
        self.events.entry(function.to_owned()).or_default().push(event.clone());
        Ok(json!({}))
    }

    fn get_parameters(&self, body: &Value) -> Result<Value, (u16, &'static str)> {
        let names: Vec<&str> = body["Names"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if names.is_empty() || names.len() > NAMES_PER_CALL || body["WithDecryption"] != true {
            return Err((400, "ValidationException"));
        }
        let (found, missing): (Vec<&str>, Vec<&str>) =
            names.into_iter().partition(|name| self.parameters.contains_key(*name));
        let parameter =
            |name: &str| json!({"Name": name, "Type": "String", "Value": self.parameters[name], "Version": 1});
        let found: Vec<Value> = found.into_iter().map(parameter).collect();
        Ok(json!({"Parameters": found, "InvalidParameters": missing}))
    }

    fn send_batch(&mut self, body: &Value, refused: &[usize], is_senders: bool) -> Result<Value, (u16, &'static str)> {
        let entries = body["Entries"].as_array().cloned().unwrap_or_default();
        if entries.is_empty() || entries.len() > MESSAGES_PER_CALL {
            return Err((400, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"));
        }
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for (position, entry) in entries.iter().enumerate() {
            if refused.contains(&position) {
                let code = if is_senders { "InvalidMessageContents" } else { "InternalError" };
                failed
                    .push(json!({"Id": entry["Id"], "SenderFault": is_senders, "Code": code, "Message": "as planned"}));
            } else {
                self.keep(&body["QueueUrl"], entry);
                successful.push(json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": ""}));
            }
        }
        Ok(json!({"Successful": successful, "Failed": failed}))
    }

    fn change_visibility(&mut self, body: &Value) -> Result<Value, (u16, &'static str)> {
        let receipt = body["ReceiptHandle"].as_str().unwrap_or_default().to_owned();
        self.visibility.push((receipt, body["VisibilityTimeout"].as_u64().unwrap_or_default()));
        Ok(json!({}))
    }

    fn keep(&mut self, queue_url: &Value, message: &Value) {
        if !self.keeps_messages {
            return;
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let sent = SentMessage {
            body: text(&message["MessageBody"]).unwrap_or_default(),
            delay_secs: message["DelaySeconds"].as_u64().unwrap_or_default(),
            group: text(&message["MessageGroupId"]),
            deduplication_id: text(&message["MessageDeduplicationId"]),
            reason: text(&message["MessageAttributes"]["reason"]["StringValue"]),
        };
        self.sent.entry(text(queue_url).unwrap_or_default()).or_default().push(sent);
    }
}

/// The function in a path of Lambda's API.
fn invoked_function(path: &str) -> Option<&str> {
    path.strip_prefix("/2015-03-31/functions/")?.strip_suffix("/invocations")
}
