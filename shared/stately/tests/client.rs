//! The client under failures: tokens, retries, deadlines.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{ACCESS_KEY, http, http_server, server, settings, store};
use monitor_domain::change::Event;
use monitor_domain::secret::Secret;
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::{Key, Put, Query};
use monitor_pipeline::ports::{PutOutcome, Store, StoreError};
use monitor_pipeline::testing::samples::{change, target};
use monitor_stately::StatelyStore;
use monitor_stately::client::{Client, ClientSettings, Form};
use monitor_stately::error::StatelyError;
use monitor_stately::key_path::KeyPath;
use monitor_stately_server::{Fault, InMemory, Method, RpcCode, Trouble};
use tokio::time::Instant;

fn client(server: &InMemory) -> Client<InMemory> {
    Client::new(server.clone(), settings())
}

fn path() -> [KeyPath; 1] {
    [KeyPath::new().text("repo", "acme/web")]
}

async fn get(client: &Client<InMemory>) -> Result<usize, StatelyError> {
    client.get(&path(), Form::Protobuf).await.map(|items| items.len())
}

fn counts(server: &InMemory, methods: [Method; 2]) -> [usize; 2] {
    let state = server.state();
    methods.map(|method| state.count(method))
}

fn fleet() -> Query {
    Query::Fleet(target("acme/web").id().clone())
}

fn first_change() -> Vec<Put> {
    vec![Put::new(Item::Change(change("acme/web", 1, Event::MonitoringStarted)))]
}

#[tokio::test(start_paused = true)]
async fn concurrent_callers_share_one_token() {
    let server = server();
    server.state().settings.latency_ms = 40;
    let client = Arc::new(client(&server));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = Arc::clone(&client);
        callers.spawn(async move { get(&client).await.unwrap() });
    }
    callers.join_all().await;
    assert_eq!(counts(&server, [Method::GetAuthToken, Method::Get]), [1, 20]);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_when_a_tenth_of_its_life_is_left() {
    let server = server();
    let client = client(&server);
    for (secs, tokens) in [(0, 1), (3_200, 1), (100, 2), (3_200, 2), (3_600, 3)] {
        tokio::time::advance(Duration::from_secs(secs)).await;
        get(&client).await.unwrap();
        assert_eq!(server.state().count(Method::GetAuthToken), tokens);
    }
}

#[tokio::test(start_paused = true)]
async fn while_a_token_is_valid_a_stalled_renewal_delays_calls_only_briefly() {
    let server = server();
    let client = client(&server);
    get(&client).await.unwrap();
    tokio::time::advance(Duration::from_secs(3_300)).await;
    server.state().inject(Fault::once(Trouble::RequestStalls).to(Method::GetAuthToken).times(9));
    let began_at = Instant::now();
    for _ in 0..5 {
        get(&client).await.unwrap();
    }
    assert!(began_at.elapsed() <= Duration::from_secs(2), "{:?}", began_at.elapsed());
    assert!(server.state().count(Method::GetAuthToken) <= 3, "one attempt, and a pause before the next");
    // After half a minute the renewal is retried.
    server.state().clear_faults();
    server.state().clear_calls();
    tokio::time::advance(Duration::from_secs(31)).await;
    get(&client).await.unwrap();
    assert_eq!(server.state().count(Method::GetAuthToken), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_once_even_in_a_stream() {
    let server = server();
    let store = store(&server);
    for query in [fleet(), Query::Outages { target: target("acme/web").id().clone(), runner: None }] {
        store.list(&query).await.unwrap();
        server.state().revoke_tokens();
        server.state().clear_calls();
        store.list(&query).await.unwrap();
        assert_eq!(counts(&server, [Method::GetAuthToken, Method::BeginList]), [1, 2]);
    }
    server.state().revoke_tokens();
    assert_eq!(store.put(&first_change()).await, Ok(PutOutcome::Done));
    // Refused again with a new token: the cause is not its age.
    let refusal = Trouble::Bare(RpcCode::Unauthenticated);
    server.state().inject(Fault::once(refusal).to(Method::Get).times(9));
    server.state().clear_calls();
    let error = store.get(&[Key::Watchlist]).await.unwrap_err();
    assert!(matches!(&error, StoreError::Denied(text) if text.contains("check STATELYDB_ACCESS_KEY")), "{error}");
    assert_eq!(counts(&server, [Method::GetAuthToken, Method::Get]), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_access_key_is_refused_at_once_and_not_shown() {
    let server = server();
    let wrong = ClientSettings { access_key: Some(Secret::new("wrong-hunter2")), ..settings() };
    let store = StatelyStore::new(Client::new(server.clone(), wrong.clone()));
    let error = store.list(&fleet()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Denied(text) if text.contains("check STATELYDB_ACCESS_KEY")), "{error}");
    assert!(!format!("{error:?} {wrong:?}").contains("hunter2"));
    assert_eq!(counts(&server, [Method::GetAuthToken, Method::BeginList]), [1, 0]);
}

#[tokio::test]
async fn a_data_plane_without_authentication_gets_no_token() {
    let server = InMemory::new();
    let store = StatelyStore::new(Client::new(server.clone(), ClientSettings::new(1, 1, None)));
    assert_eq!(store.put(&first_change()).await, Ok(PutOutcome::Done));
    assert_eq!(server.state().count(Method::GetAuthToken), 0);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_allows_a_retry_is_retried() {
    let codes = [
        "CachedSchemaTooOld",
        "ConcurrentModification",
        "StoreInUse",
        "StoreRequestLimitExceeded",
        "StoreThroughputExceeded",
    ];
    let troubles = codes.map(Trouble::stately_code).into_iter().chain([
        Trouble::Bare(RpcCode::Unavailable),
        Trouble::Bare(RpcCode::ResourceExhausted),
        Trouble::RequestLost,
        Trouble::AnswerLost,
        Trouble::AnswerCut(7),
        Trouble::EndMissing,
        Trouble::RequestStalls,
        Trouble::Proxy(503),
    ]);
    for trouble in troubles {
        let server = server();
        let store = store(&server);
        store.list(&fleet()).await.unwrap();
        server.state().clear_calls();
        server.state().inject(Fault::once(trouble.clone()));
        assert_eq!(store.list(&fleet()).await, Ok(Vec::new()), "{trouble:?}");
        assert_eq!(server.state().count(Method::BeginList), 2, "{trouble:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_allows_no_retry_is_reported_at_once() {
    let codes =
        ["ItemReusedWithDifferentKeyPath", "NonRecoverableTransaction", "SchemaVersionNotFound", "SchemaNotFound"];
    let bare = [RpcCode::InvalidArgument, RpcCode::PermissionDenied, RpcCode::NotFound].map(Trouble::Bare);
    for trouble in codes.map(Trouble::stately_code).into_iter().chain(bare) {
        let server = server();
        let store = store(&server);
        server.state().inject(Fault::once(trouble.clone()).to(Method::Put).times(9));
        let error = store.put(&first_change()).await.unwrap_err();
        let is_denied = matches!(trouble, Trouble::Bare(RpcCode::PermissionDenied));
        assert_eq!(matches!(&error, StoreError::Denied(_)), is_denied, "{trouble:?}: {error}");
        assert_eq!(matches!(&error, StoreError::Refused(_)), !is_denied, "{trouble:?}: {error}");
        assert_eq!(server.state().count(Method::Put), 1, "{trouble:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_its_deadline_and_says_why() {
    let troubles = [
        (Trouble::RequestStalls, "no response within 5000 ms"),
        (Trouble::AnswerStalls, "no response within"),
        (Trouble::RequestLost, "the connection ended"),
        (Trouble::stately_code("StoreThroughputExceeded"), "StoreThroughputExceeded"),
        (Trouble::Proxy(502), "HTTP status 502"),
    ];
    for (trouble, said) in troubles {
        let server = server();
        let store = store(&server);
        store.list(&fleet()).await.unwrap();
        server.state().inject(Fault::once(trouble.clone()).times(u64::MAX));
        let began_at = Instant::now();
        let error = store.list(&fleet()).await.unwrap_err();
        assert!(matches!(&error, StoreError::Unavailable(_)), "{trouble:?}: {error}");
        let text = error.to_string();
        assert!(text.contains("gave up after") && text.contains("in 10 s"), "{text}");
        assert!(text.contains(said) || text.contains("no response within"), "{text}");
        assert!(began_at.elapsed() <= Duration::from_secs(10), "{trouble:?}: {:?}", began_at.elapsed());
        assert!(server.state().count(Method::BeginList) < 40, "pauses grow");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retried_put_finds_the_item_of_its_own_lost_attempt() {
    let server = server();
    let store = store(&server);
    server.state().inject(Fault::once(Trouble::AnswerLost).to(Method::Put));
    assert_eq!(store.put(&first_change()).await, Ok(PutOutcome::Exists), "the pipeline reads whose it is");
    assert_eq!(server.state().count(Method::Put), 2);
    assert_eq!(store.get(&[first_change()[0].item.key()]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn over_http_a_lost_connection_is_reopened() {
    let server = http_server().await;
    let store = StatelyStore::new(Client::new(http(&server), settings()));
    assert_eq!(store.put(&first_change()).await, Ok(PutOutcome::Done));
    for trouble in [Trouble::RequestLost, Trouble::AnswerLost, Trouble::AnswerCut(3), Trouble::EndMissing] {
        server.state().inject(Fault::once(trouble.clone()));
        let changes = Query::Changes { subject: (&target("acme/web")).into(), after: Default::default(), limit: 9 };
        assert_eq!(store.list(&changes).await.unwrap().len(), 1, "{trouble:?}");
    }
    assert_eq!(server.state().count(Method::BeginList), 8);
}

#[tokio::test]
async fn an_unreachable_server_is_named_without_secrets() {
    let server = http_server().await;
    let transport = http(&server);
    drop(server);
    let settings = ClientSettings { deadline: Duration::from_millis(300), ..settings() };
    let store = StatelyStore::new(Client::new(transport, settings));
    let text = store.list(&fleet()).await.unwrap_err().to_string();
    assert!(text.contains("http://127.0.0.1:") && text.contains("gave up after"), "{text}");
    assert!(!text.contains(ACCESS_KEY), "{text}");
}
