//! A proxy in front of an emulator that behaves as the service does under load.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

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
#[derive(Debug)]
pub struct FaultProxy {
    url: String,
    troubles: Troubles,
    task: JoinHandle<()>,
}

#[derive(Clone, Debug, Default)]
struct Troubles(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    next: VecDeque<Trouble>,
    cycle: Vec<Trouble>,
    requests: Vec<String>,
}

impl Troubles {
    fn lock(&self) -> std::sync::MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
struct Forwarding {
    upstream: String,
    http: reqwest::Client,
    troubles: Troubles,
}

impl FaultProxy {
    /// Starts a proxy in front of `upstream` that forwards everything.
    pub async fn start(upstream: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let troubles = Troubles::default();
        let http = monitor_http::http().no_proxy().build()?;
        let state = Forwarding { upstream: upstream.to_owned(), http, troubles: troubles.clone() };
        let app = axum::Router::new().fallback(forward).with_state(state);
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, troubles, task })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The next requests have these troubles, and no later one.
    pub fn next(&self, troubles: impl IntoIterator<Item = Trouble>) {
        let mut script = self.troubles.lock();
        script.next = troubles.into_iter().collect();
        script.cycle.clear();
    }

    /// All requests from now on have these troubles, over and over.
    pub fn always(&self, troubles: &[Trouble]) {
        self.troubles.lock().cycle = troubles.to_vec();
    }

    /// The operations requested since the last call, for example `PutItem`.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.troubles.lock().requests)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(State(to): State<Forwarding>, headers: HeaderMap, body: Bytes) -> Response<axum::body::Body> {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let trouble = {
        let mut script = to.troubles.lock();
        script.requests.push(operation.clone());
        script.next.pop_front().unwrap_or_else(|| {
            let Some(first) = script.cycle.first().copied() else { return Trouble::None };
            script.cycle.rotate_left(1);
            first
        })
    };
    let mut request: Value = serde_json::from_slice(&body).unwrap_or_default();
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
    let mut forwarded = to.http.post(&to.upstream).body(request.to_string());
    for (name, value) in &headers {
        if !["content-length", "host", "accept-encoding"].contains(&name.as_str()) {
            forwarded = forwarded.header(name, value);
        }
    }
    let Ok(answer) = forwarded.send().await else { return refused("InternalServerError", None) };
    let status = answer.status();
    let Ok(mut body) = answer.bytes().await else { return refused("InternalServerError", None) };
    if trouble == Trouble::AnswerLost {
        // The length that is promised never arrives.
        return Response::builder().header("content-length", "1000000").body(cut_off(body)).unwrap_or_default();
    }
    if !left_out.is_empty() {
        let mut answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if let Some((table, requested)) = request["RequestItems"].as_object().and_then(|tables| tables.iter().next()) {
            let mut unanswered = requested.clone();
            unanswered["Keys"] = json!(left_out);
            answer["UnprocessedKeys"] = json!({ table: unanswered });
        }
        body = answer.to_string().into();
    }
    let answer = Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    answer.body(body.into()).unwrap_or_default()
}

/// A body that ends with an error, so that the connection closes.
fn cut_off(body: Bytes) -> axum::body::Body {
    let half = body.slice(..body.len() / 2);
    let chunks = [Ok(half), Err(std::io::Error::other("cut off"))];
    axum::body::Body::from_stream(futures_util::stream::iter(chunks))
}

fn refused(code: &str, reasons: Option<Vec<Value>>) -> Response<axum::body::Body> {
    let mut body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": code });
    if let Some(reasons) = reasons {
        body["CancellationReasons"] = json!(reasons);
    }
    let status = if code == "InternalServerError" { 500 } else { 400 };
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST))
        .header("content-type", "application/x-amz-json-1.0")
        .body(body.to_string().into())
        .unwrap_or_default()
}
