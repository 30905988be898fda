//! A proxy in front of an emulator that behaves as the service does under load.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use monitor_fakes::http::{Answer, Delivery, Request};
use monitor_fakes::server::{Server, answer_whole, lock};
use serde_json::{Value, json};

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is forwarded.
    None,
    /// A write is refused because another transaction touches the item. Other requests are forwarded.
    Conflict,
    /// It is refused because the table is throttled; a transaction is cancelled for that reason.
    Throttled,
    /// It is done, but the connection closes before its answer arrives.
    AnswerLost,
    /// Of a read by keys, only the first half is answered; of a query, a page of one row. Writes are forwarded.
    AnswerInPart,
    /// It is refused with this code, whatever it is.
    Code(&'static str),
}

/// The proxy. It ends with this value.
pub struct FaultProxy {
    url: String,
    script: Arc<Mutex<Script>>,
    _server: Server,
}

#[derive(Default)]
struct Script {
    next: VecDeque<Trouble>,
    cycle: Vec<Trouble>,
    requests: Vec<String>,
}

impl FaultProxy {
    /// Starts a proxy in front of `upstream` that forwards everything.
    pub async fn start(upstream: &str) -> anyhow::Result<Self> {
        let script = Arc::<Mutex<Script>>::default();
        let http = monitor_http::http().no_proxy().build()?;
        let (upstream, troubles) = (upstream.to_owned(), Arc::clone(&script));
        let server = Server::start_streaming(0, move |request, body| {
            let (upstream, http, troubles) = (upstream.clone(), http.clone(), Arc::clone(&troubles));
            answer_whole(request, body, move |request| forward(upstream, http, troubles, request))
        });
        let server = server.await?;
        Ok(Self { url: server.base_url(), script, _server: server })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The next requests have these troubles, and no later one.
    pub fn next(&self, troubles: impl IntoIterator<Item = Trouble>) {
        let mut script = lock(&self.script);
        script.next = troubles.into_iter().collect();
        script.cycle.clear();
    }

    /// All requests from now on have these troubles, over and over.
    pub fn always(&self, troubles: &[Trouble]) {
        lock(&self.script).cycle = troubles.to_vec();
    }

    /// The operations requested since the last call, for example `PutItem`.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.script).requests)
    }
}

async fn forward(upstream: String, http: reqwest::Client, script: Arc<Mutex<Script>>, received: Request) -> Answer {
    let target = received.header("x-amz-target").unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let trouble = {
        let mut script = lock(&script);
        script.requests.push(operation.clone());
        script.next.pop_front().unwrap_or_else(|| {
            let Some(first) = script.cycle.first().copied() else { return Trouble::None };
            script.cycle.rotate_left(1);
            first
        })
    };
    let mut request: Value = serde_json::from_slice(&received.body).unwrap_or_default();
    let mut left_out = Vec::new();
    match trouble {
        Trouble::Code(code) => return refused(code, None),
        Trouble::Conflict | Trouble::Throttled if operation == "TransactWriteItems" => {
            let code = if trouble == Trouble::Conflict { "TransactionConflict" } else { "ThrottlingError" };
            let count = request["TransactItems"].as_array().map_or(0, Vec::len);
            let mut reasons = vec![json!({"Code": "None"}); count];
            reasons[count - 1] = json!({"Code": code, "Message": "in the way"});
            return refused("TransactionCanceledException", Some(reasons));
        }
        Trouble::Conflict if operation == "PutItem" => return refused("TransactionConflictException", None),
        Trouble::Throttled => return refused("ThrottlingException", None),
        Trouble::AnswerInPart if operation == "BatchGetItem" => {
            for requested in request["RequestItems"].as_object_mut().into_iter().flat_map(|tables| tables.values_mut())
            {
                if let Some(keys) = requested["Keys"].as_array_mut() {
                    left_out = keys.split_off(keys.len().div_ceil(2));
                }
            }
        }
        Trouble::AnswerInPart if operation == "Query" => request["Limit"] = json!(1),
        _ => {}
    }
    let mut forwarded = http.post(upstream).body(request.to_string());
    for (name, value) in &received.headers {
        if !["content-length", "host", "accept-encoding"].contains(&&**name) {
            forwarded = forwarded.header(name, value);
        }
    }
    let Ok(answer) = forwarded.send().await else { return refused("InternalServerError", None) };
    let status = answer.status().as_u16();
    let Ok(body) = answer.bytes().await else { return refused("InternalServerError", None) };
    let mut answer = Answer::new(status, CONTENT_TYPE, body);
    if trouble == Trouble::AnswerLost {
        answer.delivery = Delivery::CutAfter(answer.body.len() / 2);
    }
    if !left_out.is_empty() {
        let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if let Some((table, requested)) = request["RequestItems"].as_object().and_then(|tables| tables.iter().next()) {
            let mut unanswered = requested.clone();
            unanswered["Keys"] = json!(left_out);
            body["UnprocessedKeys"] = json!({ table: unanswered });
        }
        answer.body = body.to_string().into();
    }
    answer
}

fn refused(code: &str, reasons: Option<Vec<Value>>) -> Answer {
    let mut body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": code });
    if let Some(reasons) = reasons {
        body["CancellationReasons"] = json!(reasons);
    }
    let status = if code == "InternalServerError" { 500 } else { 400 };
    Answer::new(status, CONTENT_TYPE, body.to_string())
}
