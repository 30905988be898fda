//! The suites of the ports over this store.

mod common;

use std::sync::Mutex;

use common::{http, http_server, server, settings, store};
use monitor_pipeline::testing::{commands, stages, store as suite};
use monitor_stately::StatelyStore;
use monitor_stately::client::Client;
use monitor_stately_server::PrefixRule;

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_a_stores_promises() {
    suite::run_all(async || store(&server())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_them_where_lists_come_in_small_pages() {
    suite::run_all(async || {
        let server = server();
        server.state().settings.page_items = 3;
        store(&server)
    })
    .await;
}

/// How StatelyDB reads the end of a prefix is not documented: the store asks so that it makes no difference.
#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_them_however_prefixes_are_read() {
    suite::run_all(async || {
        let server = server();
        server.state().settings.prefix_rule = PrefixRule::Segments;
        store(&server)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_them_over_http() {
    // A server lives for as long as this test.
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
async fn the_stages_keep_their_promises_over_this_store() {
    stages::run_all(async || store(&server())).await;
}

#[tokio::test(start_paused = true)]
async fn commands_are_answered_over_this_store() {
    commands::run_all(async || store(&server())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stages_keep_them_over_http() {
    let servers = Mutex::new(Vec::new());
    stages::run_all(async || {
        let server = http_server().await;
        let store = StatelyStore::new(Client::new(http(&server), settings()));
        servers.lock().unwrap().push(server);
        store
    })
    .await;
}
