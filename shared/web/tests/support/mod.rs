//! A site over an embedded store, and requests to it.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode};
use monitor_embedded::store::EmbeddedStore;
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::{Key, Put, Query};
use monitor_pipeline::ports::{Clock as _, PutOutcome, Store, StoreError};
use monitor_pipeline::testing::doubles::StillClock;
use monitor_pipeline::testing::samples::at;
use monitor_web::{Hosts, Options, router};
use tokio::sync::watch;
use tower::ServiceExt as _;

/// The host name of every site.
pub(crate) const HOST: &str = "runners.acme.test";

/// The time at which every site starts.
pub(crate) const NOW_SECS: u64 = 100_000;

/// A store that counts how often the list of targets is read, and that can refuse puts or answer no read.
pub(crate) struct WatchedStore {
    store: EmbeddedStore,
    pub(crate) lists: AtomicUsize,
    pub(crate) is_down: AtomicBool,
    pub(crate) is_unreadable: AtomicBool,
    /// Reads that got no answer.
    pub(crate) unanswered: AtomicUsize,
}

impl WatchedStore {
    async fn readable(&self) -> Result<(), StoreError> {
        if !self.is_unreadable.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.unanswered.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Err(StoreError::Unavailable("no answer in time".to_owned()))
    }
}

impl Store for WatchedStore {
    async fn put(&self, puts: &[Put]) -> Result<PutOutcome, StoreError> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("down".to_owned()));
        }
        self.store.put(puts).await
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        self.readable().await?;
        self.store.get(keys).await
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        self.readable().await?;
        self.lists.fetch_add(usize::from(matches!(query, Query::Targets)), Ordering::SeqCst);
        self.store.list(query).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        self.store.delete(keys).await
    }

    fn max_batch(&self) -> usize {
        self.store.max_batch()
    }
}

/// A site with its store and clock.
pub(crate) struct Site {
    pub(crate) store: Arc<WatchedStore>,
    pub(crate) clock: StillClock,
    pub(crate) router: Router,
    _stop: watch::Sender<bool>,
}

impl Site {
    /// A site without sessions that shows these items.
    pub(crate) async fn new(items: Vec<Item>) -> Self {
        Self::with(items, |_| ()).await
    }

    /// A site with changed options.
    pub(crate) async fn with(items: Vec<Item>, change: impl FnOnce(&mut Options)) -> Self {
        let store = EmbeddedStore::open_in_memory().unwrap();
        let (lists, unanswered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (is_down, is_unreadable) = (AtomicBool::new(false), AtomicBool::new(false));
        let store = Arc::new(WatchedStore { store, lists, is_down, is_unreadable, unanswered });
        for item in items {
            assert_eq!(store.put(&[Put::replacing(item)]).await, Ok(PutOutcome::Done));
        }
        let clock = StillClock::default();
        clock.set_forward(at(NOW_SECS).since(clock.now()));
        let (stop, stopped) = watch::channel(false);
        let mut options = Options {
            hosts: Hosts::Named(vec![HOST.to_owned()]),
            access: None,
            streams: true,
            pause: Duration::from_millis(50),
            github: Arc::new(|target, id| format!("https://github.com/{target}/{id}")),
            stop: stopped,
        };
        change(&mut options);
        Self { router: router(store.clone(), clock.clone(), options), store, clock, _stop: stop }
    }

    /// The answer to one request.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// The answer to a GET on this machine.
    pub(crate) async fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let mut request = Request::get(path);
        if headers.iter().all(|(name, _)| *name != "host") {
            request = request.header("host", "localhost:8080");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.answer(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn page(&self, path: &str) -> (StatusCode, String) {
        let response = self.ask(path, &[]).await;
        let status = response.status();
        (status, String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().into()).unwrap())
    }

    pub(crate) async fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&self.page(path).await.1).unwrap()
    }
}
