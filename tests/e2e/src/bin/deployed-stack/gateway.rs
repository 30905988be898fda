//! A proxy between a function and an AWS service that counts requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use monitor_fakes::http::{Answer, Request};
use monitor_fakes::server::{Server, answer_whole, lock};

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
    server: Server,
    counts: Counts,
}

impl Gateway {
    /// Starts a proxy to the service at this address.
    pub(crate) async fn open(http: &reqwest::Client, upstream: &str) -> std::io::Result<Self> {
        let counts = Counts::default();
        let (http, upstream, counted) = (http.clone(), upstream.to_owned(), Arc::clone(&counts));
        let server = Server::start_streaming(0, move |request, body| {
            let (http, upstream, counts) = (http.clone(), upstream.clone(), Arc::clone(&counted));
            answer_whole(request, body, move |request| pass_on(http, upstream, counts, request))
        });
        Ok(Self { server: server.await?, counts })
    }

    /// The proxy's address.
    pub(crate) fn url(&self) -> String {
        self.server.base_url()
    }

    /// The number of requests since the last call, by action.
    pub(crate) fn take_counts(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut lock(&self.counts).requests)
    }

    /// The units since the last call.
    pub(crate) fn take_units(&self) -> Units {
        std::mem::take(&mut lock(&self.counts).units)
    }
}

async fn pass_on(http: reqwest::Client, upstream: String, counts: Counts, request: Request) -> Answer {
    let target = request.header("x-amz-target").unwrap_or("?").to_owned();
    let action = target.rsplit('.').next().unwrap_or(&target).to_owned();
    *lock(&counts).requests.entry(action.clone()).or_default() += 1;
    let mut sent = http.post(format!("{upstream}{}", request.path)).body(request.body);
    for (name, value) in &request.headers {
        if !matches!(&**name, "host" | "connection" | "content-length" | "transfer-encoding") {
            sent = sent.header(name, value);
        }
    }
    let Ok(received) = sent.send().await else {
        return Answer::new(503, "text/plain", "the service behind the gateway cannot be reached");
    };
    let mut answer = Answer::new(received.status().as_u16(), "", "");
    let headers = received.headers().iter().filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?)));
    let kept = headers.filter(|(name, _)| !matches!(&**name, "connection" | "content-length" | "transfer-encoding"));
    answer.headers = kept.map(|(name, value)| (name, value.to_owned())).collect();
    answer.body = received.bytes().await.unwrap_or_default().to_vec();
    if target.starts_with("DynamoDB") {
        let units = units_in(&answer.body);
        let passed = &mut lock(&counts).units;
        match &*action {
            "Query" | "BatchGetItem" => passed.reads += units,
            _ => passed.writes += units,
        }
    }
    answer
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_are_counted_by_action_and_forwarded_with_their_headers() {
        let aws = monitor_fakes::FakeAws::start().await.expect("a free port");
        let http = monitor_e2e::http();
        let gateway = Gateway::open(&http, &aws.base_url()).await.expect("a free port");
        for (action, status) in [("SendMessageBatch", 200), ("CreateTable", 400)] {
            let request = http.post(gateway.url()).header("x-amz-target", format!("AmazonSQS.{action}"));
            let answer = request
                .body(r#"{"QueueUrl":"q","Entries":[{"Id":"0","MessageBody":"b"}]}"#)
                .send()
                .await
                .expect("an answer");
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()["content-type"], "application/x-amz-json-1.0");
        }
        assert_eq!(aws.take_sent("q")[0].body, "b");
        let counts = gateway.take_counts();
        assert_eq!(counts, [("CreateTable".to_owned(), 1), ("SendMessageBatch".to_owned(), 1)].into());
        assert!(gateway.take_counts().is_empty());
    }
}
