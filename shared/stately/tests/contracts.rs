//! Runs the ports' contract suites against this store.

mod common;

use std::sync::Mutex;

use common::{http, http_server, server, settings, store};
use monitor_pipeline::testing::{commands, stages, store as suite};
use monitor_stately::StatelyStore;
use monitor_stately::client::Client;
use monitor_stately_server::PrefixRule;

#[tokio::test(flavor = "multi_thread")]
async fn the_store_meets_the_store_contract() {
    suite::run_all(async || store(&server())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_meets_its_contract_with_small_list_pages() {
    suite::run_all(async || {
        let server = server();
        server.state().settings.page_items = 3;
        store(&server)
    })
    .await;
}

/// How StatelyDB reads the end of a prefix is not documented. The store only uses prefixes where it does not matter.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_meets_its_contract_with_either_prefix_rule() {
    suite::run_all(async || {
        let server = server();
        server.state().settings.prefix_rule = PrefixRule::Segments;
        store(&server)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_meets_its_contract_over_http() {
    // Keeps the servers running until the end of this test.
    let servers = Mutex::new(Vec::new());
    suite::run_all(async || {
        let server = http_server().await;
        let store = StatelyStore::new(Client::new(http(&server), settings()));
        servers.lock().unwrap().push(server);
        store
    })
    .await;
}

#[tokio::test]
async fn the_stages_meet_their_contract_over_this_store() {
    stages::run_all(async || store(&server())).await;
}

#[tokio::test(start_paused = true)]
async fn commands_are_answered_over_this_store() {
    commands::run_all(async || store(&server())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stages_meet_their_contract_over_http() {
    let servers = Mutex::new(Vec::new());
    stages::run_all(async || {
        let server = http_server().await;
        let store = StatelyStore::new(Client::new(http(&server), settings()));
        servers.lock().unwrap().push(server);
        store
    })
    .await;
}
