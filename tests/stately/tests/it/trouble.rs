//! Injected faults, over a port and in memory.

use std::time::Duration;

use monitor_stately::transport::{Request, Response, Transport, Unreached};
use monitor_stately::wire::path;
use monitor_stately_server::{Fault, InMemory, Method, RpcCode, StatelyServer, Trouble};
use prost::Message;
use serde_json::json;

use crate::support::{code_of, framed, frames, item, list_request, product, put_request};

fn put_body(repo_id: &str) -> Vec<u8> {
    put_request(1, [item("LastSeen", json!({ "repoId": repo_id, "slot": "1", "seenAt": "1" }))]).encode_to_vec()
}

async fn put(server: &InMemory, repo_id: &str) -> Result<Response, Unreached> {
    let headers = vec![("content-type", "application/proto".to_owned())];
    server.post(Request { path: path::PUT, headers, body: put_body(repo_id) }).await
}

async fn list(server: &InMemory) -> Response {
    let headers = vec![("content-type", "application/connect+proto".to_owned())];
    let body = framed(&list_request(1, "/fleet-acme%/web").encode_to_vec());
    server.post(Request { path: path::BEGIN_LIST, headers, body }).await.unwrap()
}

fn kept(server: &InMemory) -> usize {
    server.state().item_count(1)
}

fn failed(server: &InMemory) -> Option<String> {
    server.state().calls().last().unwrap().failed.clone()
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_fault_affects_the_intended_request() {
    let carried_out = [
        (Trouble::stately_code("StoreThroughputExceeded"), Some(429), 0),
        (Trouble::stately_code("ConcurrentModification"), Some(409), 0),
        (Trouble::Bare(RpcCode::Unauthenticated), Some(401), 0),
        (Trouble::Proxy(502), Some(502), 0),
        (Trouble::RequestLost, None, 0),
        (Trouble::AnswerLost, None, 1),
        (Trouble::AnswerCut(3), None, 1),
        (Trouble::Late(5_000), Some(200), 1),
    ];
    for (trouble, status, kept_after) in carried_out {
        let server = InMemory::with(product());
        server.state().inject(Fault::once(trouble.clone()).to(Method::Put).after(1));
        assert_eq!(trouble.is_carried_out(), kept_after == 1);
        list(&server).await;
        assert_eq!(put(&server, "acme/first").await.unwrap().status, 200);
        let before = tokio::time::Instant::now();
        let answer = put(&server, "acme/second").await;
        assert_eq!(answer.as_ref().ok().map(|answer| answer.status), status, "{trouble:?}");
        assert_eq!(kept(&server), 1 + kept_after, "{trouble:?}");
        assert_eq!(failed(&server).is_none(), matches!(trouble, Trouble::Late(_)), "{trouble:?}");
        let late = if trouble == Trouble::Late(5_000) { Duration::from_secs(5) } else { Duration::ZERO };
        assert_eq!(before.elapsed(), late);
        assert_eq!(put(&server, "acme/third").await.unwrap().status, 200, "only once");
        assert!(server.state().clear_faults().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stall_lasts_until_the_caller_gives_up() {
    for (trouble, kept_after) in [(Trouble::RequestStalls, 0), (Trouble::AnswerStalls, 1)] {
        let server = InMemory::with(product());
        server.state().inject(Fault::once(trouble));
        let waited = tokio::time::timeout(Duration::from_secs(3_600), put(&server, "acme/web")).await;
        assert!(waited.is_err());
        assert_eq!(kept(&server), kept_after);
    }
}

#[tokio::test(start_paused = true)]
async fn every_response_is_delayed_by_the_latency() {
    let server = InMemory::with(product());
    server.state().settings.latency_ms = 250;
    let before = tokio::time::Instant::now();
    put(&server, "acme/web").await.unwrap();
    list(&server).await;
    assert_eq!(before.elapsed(), Duration::from_millis(500));
}

#[tokio::test]
async fn a_list_can_fail_in_its_stream_or_lack_its_end() {
    let server = InMemory::with(product());
    put(&server, "acme/web").await.unwrap();
    server.state().inject(Fault::once(Trouble::stately_code("StoreInUse")));
    let refused = list(&server).await;
    let end = frames(&refused.body).pop().unwrap();
    let end: serde_json::Value = serde_json::from_slice(&end.1).unwrap();
    assert_eq!((refused.status, code_of(&end["error"])), (200, "StoreInUse".to_owned()));
    server.state().inject(Fault::once(Trouble::EndMissing).times(2));
    for _ in 0..2 {
        let cut = list(&server).await;
        assert_eq!(frames(&cut.body).iter().map(|(flags, _)| *flags).collect::<Vec<_>>(), [0], "items and no end");
    }
    assert_eq!(frames(&list(&server).await.body).len(), 3);
}

#[tokio::test]
async fn over_a_port_a_lost_response_ends_the_connection_and_a_cut_one_ends_the_body() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = StatelyServer::start_with(0, product()).await.unwrap();
    for http2 in [false, true] {
        let builder = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5));
        let client = if http2 { builder.http2_prior_knowledge() } else { builder }.build().unwrap();
        let put = async |repo_id: &str| {
            let posted = client.post(format!("{}{}", server.base_url(), path::PUT));
            let answer = posted.header("content-type", "application/proto").body(put_body(repo_id)).send().await?;
            answer.bytes().await
        };
        let kept = server.state().item_count(1);
        for (trouble, repo_id) in
            [(Trouble::RequestLost, "a/lost"), (Trouble::AnswerLost, "a/stored"), (Trouble::AnswerCut(5), "a/cut")]
        {
            server.state().inject(Fault::once(trouble));
            assert!(put(&format!("{repo_id}-{http2}")).await.is_err(), "{repo_id}");
        }
        assert_eq!(server.state().item_count(1), kept + 2);
        put(&format!("a/last-{http2}")).await.unwrap();
        server.state().inject(Fault::once(Trouble::AnswerStalls));
        let stalled = tokio::time::timeout(Duration::from_millis(200), put(&format!("a/stalled-{http2}"))).await;
        assert!(stalled.is_err());
        assert_eq!(server.state().item_count(1), kept + 4);
    }
}
