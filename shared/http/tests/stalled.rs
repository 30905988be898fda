//! GitHub behind HTTP/2 connections that stall, while new ones work.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use monitor_config::{HostOptions, Settings, Source};
use monitor_domain::time::Timestamp;
use monitor_fakes::Stalling;
use monitor_github::GitHub;
use monitor_pipeline::ports::RunnerSource;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const LIST: &str = r#"{"total_count":1,"runners":[{"id":5,"name":"a","status":"online","busy":false}]}"#;

/// How the first connection stalls after its first answer.
#[derive(Clone, Copy, PartialEq)]
enum Stop {
    /// The server process hangs: the kernel acknowledges what arrives, but nothing reads it.
    Whole,
    /// Pings are answered, requests are not.
    Requests,
}

/// An HTTP/2 server whose first connection stalls after one answer. Returns its address and its number of connections.
async fn server(stop: Stop) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let is_first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            tokio::spawn(serve(stream, is_first, stop));
        }
    });
    (address, connections)
}

async fn serve(stream: TcpStream, is_first: bool, stop: Stop) {
    let answered = Arc::new(AtomicBool::new(false));
    let is_stalled = Arc::new(AtomicBool::new(false));
    let io = Stalling::new(stream, Arc::clone(&is_stalled));
    let service = service_fn(move |_: hyper::Request<Incoming>| {
        let (answered, is_stalled) = (Arc::clone(&answered), Arc::clone(&is_stalled));
        async move {
            if is_first && answered.swap(true, Ordering::SeqCst) {
                if stop == Stop::Whole {
                    is_stalled.store(true, Ordering::SeqCst);
                }
                std::future::pending::<()>().await;
            }
            Ok::<_, std::convert::Infallible>(hyper::Response::new(Full::new(Bytes::from(LIST))))
        }
    });
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(io), service)
        .await;
}

/// GitHub as every host builds it. Without TLS there is no ALPN, so HTTP/2 is assumed.
fn github(address: &str) -> GitHub {
    let variables = [("GITHUB_TOKEN", "ghp_x"), ("GITHUB_API_URL", address), ("REPOS", "acme/web")];
    let variable =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let settings = Settings::read(&Source::variables(variable), &HostOptions::default()).unwrap();
    let clock = Arc::new(|| Timestamp::from_epoch_ms(1_795_435_200_000));
    monitor_http::github(|| monitor_http::http().http2_prior_knowledge(), &settings.github, clock).unwrap()
}

// https://github.com/hyperium/hyper/issues/2121 and similar: without pings, a dead connection is used until the kernel
// closes it.
#[tokio::test]
async fn a_stalled_connection_is_replaced_within_the_check_that_uses_it() {
    let (address, connections) = server(Stop::Whole).await;
    let github = github(&address);
    let target = "acme/web".parse().unwrap();
    assert!(github.list(&target, &[]).await.pages.is_ok());
    let began = Instant::now();
    let list = github.list(&target, &[]).await.pages;
    assert!(list.is_ok(), "{list:?}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_connection_on_which_a_request_timed_out_is_not_used_again() {
    let (address, connections) = server(Stop::Requests).await;
    let github = github(&address);
    let target = "acme/web".parse().unwrap();
    assert!(github.list(&target, &[]).await.pages.is_ok());
    let failed = github.list(&target, &[]).await.pages.unwrap_err();
    assert_eq!(failed.failure.detail, "GitHub did not answer within 20s");
    assert!(github.list(&target, &[]).await.pages.is_ok());
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}
