//! A fake GitHub with a clock that the test controls, and a client for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use monitor_fakes::FakeGitHub;
use monitor_fakes::github::{RunnerSpec, State};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;

/// 2026-11-23 12:00:00 UTC.
pub(crate) const NOON_MS: i64 = 1_795_435_200_000;

pub(crate) struct World {
    pub(crate) github: FakeGitHub,
    pub(crate) client: Client,
    now_ms: Arc<AtomicI64>,
}

impl World {
    /// A GitHub with `test-token`, `acme/web`, `orgs/acme` and `enterprises/big`.
    pub(crate) async fn start() -> Self {
        let mut state = State::new();
        state.add_token("test-token");
        state.add_target("Acme/Web");
        state.add_target("enterprises/big");
        let now_ms = Arc::new(AtomicI64::new(NOON_MS));
        let clock = Arc::clone(&now_ms);
        let github = FakeGitHub::start_with(state, 0, move || clock.load(Ordering::SeqCst)).await;
        Self { github: github.expect("a free port"), client: client(), now_ms }
    }

    pub(crate) fn advance_ms(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Registers `count` runners; returns their ids.
    pub(crate) fn add_runners(&self, target: &str, count: usize) -> Vec<u64> {
        let mut state = self.github.state();
        let spec = |number| RunnerSpec::new(&format!("runner-{number:03}"));
        (0..count).map(|number| state.add_runner(target, spec(number))).collect()
    }

    /// A `GET` with `test-token`.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.get_as("test-token", path)
    }

    pub(crate) fn get_as(&self, token: &str, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.github.base_url());
        self.client.get(url).bearer_auth(token)
    }

    /// Status and JSON body of a `GET` with `test-token`.
    pub(crate) async fn ask(&self, path: &str) -> (StatusCode, Value) {
        parts(self.get(path)).await
    }

    /// The names on one page of a list of runners.
    pub(crate) async fn names(&self, path: &str) -> Vec<String> {
        let (status, body) = self.ask(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        let runners = body["runners"].as_array().expect("a list of runners");
        let name = |runner: &Value| runner["name"].as_str().unwrap_or_default().to_owned();
        runners.iter().map(name).collect()
    }
}

/// A client that gives up after 5 s. It needs a crypto provider even for plain HTTP.
pub(crate) fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .user_agent("monitor-fakes-tests")
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(5));
    client.build().expect("a client")
}

pub(crate) async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

pub(crate) async fn parts(request: RequestBuilder) -> (StatusCode, Value) {
    let response = send(request).await;
    let status = response.status();
    (status, response.json().await.expect("a JSON body"))
}

/// A header as text; empty if it is missing.
pub(crate) fn header(response: &Response, name: &str) -> String {
    let value = response.headers().get(name);
    value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}
