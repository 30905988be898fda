//! A proxy between a function and an AWS service that counts requests.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// What passed through a gateway.
#[derive(Default)]
struct Passed {
    requests: BTreeMap<String, u64>,
    units: Units,
}

type Counts = Arc<Mutex<Passed>>;

/// Request units of DynamoDB, as its answers report them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Units {
    /// Of 4 KB each.
    pub(crate) reads: f64,
    /// Of 1 KB each.
    pub(crate) writes: f64,
}

/// A proxy to a service on its own port; it stops when it is dropped.
pub(crate) struct Gateway {
    url: String,
    counts: Counts,
    accepting: JoinHandle<()>,
}

impl Gateway {
    /// Starts a proxy to the service at this address.
    pub(crate) async fn open(http: &reqwest::Client, upstream: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let counts = Counts::default();
        let (http, upstream, counted) = (http.clone(), upstream.to_owned(), Arc::clone(&counts));
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (http, upstream, counts) = (http.clone(), upstream.clone(), Arc::clone(&counted));
                let service = service_fn(move |request| {
                    let (http, upstream, counts) = (http.clone(), upstream.clone(), Arc::clone(&counts));
                    async move { Ok::<_, Infallible>(pass_on(&http, &upstream, &counts, request).await) }
                });
                connections.spawn(async move {
                    // Errors of a connection are the client's concern.
                    let io = TokioIo::new(stream);
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
                });
            }
        });
        Ok(Self { url, counts, accepting })
    }

    /// The proxy's address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The number of requests since the last call, by action.
    pub(crate) fn take_counts(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner).requests)
    }

    /// The units since the last call.
    pub(crate) fn take_units(&self) -> Units {
        std::mem::take(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner).units)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass_on(
    http: &reqwest::Client,
    upstream: &str,
    counts: &Counts,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let target = head.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or("?").to_owned();
    let action = target.rsplit('.').next().unwrap_or(&target).to_owned();
    *counts.lock().unwrap_or_else(PoisonError::into_inner).requests.entry(action.clone()).or_default() += 1;
    let Ok(body) = body.collect().await else { return plain(400, "the request was interrupted") };
    let mut headers = head.headers;
    for hop in ["host", "connection", "content-length", "transfer-encoding"] {
        headers.remove(hop);
    }
    let url = format!("{upstream}{}", head.uri.path());
    let sent = http.request(head.method, url).headers(headers).body(body.to_bytes()).send().await;
    let Ok(answer) = sent else { return plain(503, "the service behind the gateway cannot be reached") };
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if !matches!(name.as_str(), "connection" | "content-length" | "transfer-encoding") {
            response = response.header(name, value);
        }
    }
    let body = answer.bytes().await.unwrap_or_default();
    if target.starts_with("DynamoDB") {
        let units = units_in(&body);
        let passed = &mut counts.lock().unwrap_or_else(PoisonError::into_inner).units;
        match &*action {
            "Query" | "BatchGetItem" => passed.reads += units,
            _ => passed.writes += units,
        }
    }
    response.body(Full::new(body)).unwrap_or_else(|_| plain(502, "the answer cannot be forwarded"))
}

/// The units in an answer: of one table, or of each.
fn units_in(body: &[u8]) -> f64 {
    let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let units = |capacity: &serde_json::Value| capacity["CapacityUnits"].as_f64().unwrap_or_default();
    match &answer["ConsumedCapacity"] {
        serde_json::Value::Array(tables) => tables.iter().map(units).sum(),
        table => units(table),
    }
}

fn plain(status: u16, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response
}
