//! Stores over the local server, in memory and over HTTP.
#![allow(dead_code, clippy::unwrap_used, reason = "shared by several tests, which fail by panicking")]

use monitor_domain::secret::Secret;
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::Put;
use monitor_pipeline::ports::{PutOutcome, Store};
use monitor_stately::client::{Client, ClientSettings};
use monitor_stately::endpoint::Endpoint;
use monitor_stately::{HttpTransport, StatelyStore};
use monitor_stately_server::{InMemory, State, StatelyServer};

/// The access key that the server accepts.
pub(crate) const ACCESS_KEY: &str = "an-access-key";
/// The id of the store.
pub(crate) const STORE_ID: u64 = 17;

/// A server in memory that requires a token.
pub(crate) fn server() -> InMemory {
    let server = InMemory::new();
    set_up(&mut server.state());
    server
}

/// The same server over HTTP.
pub(crate) async fn http_server() -> StatelyServer {
    let server = StatelyServer::start().await.unwrap();
    set_up(&mut server.state());
    server
}

fn set_up(state: &mut State) {
    state.settings.access_key = Some(ACCESS_KEY.to_owned());
    // The suite of the stages counts runners from 0, which GitHub does not.
    state.settings.zero_ids = true;
}

/// Settings for a client with that access key.
pub(crate) fn settings() -> ClientSettings {
    ClientSettings::new(STORE_ID, 5, Some(Secret::new(ACCESS_KEY)))
}

/// A store on a server in memory.
pub(crate) fn store(server: &InMemory) -> StatelyStore<InMemory> {
    StatelyStore::new(Client::new(server.clone(), settings()))
}

/// A transport to a server over HTTP.
pub(crate) fn http(server: &StatelyServer) -> HttpTransport {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = Endpoint::parse(&server.base_url()).unwrap();
    HttpTransport::new(reqwest::Client::builder().no_proxy(), endpoint).unwrap()
}

/// Puts items and replaces existing ones.
pub(crate) async fn fill(store: &impl Store, items: impl IntoIterator<Item = Item>) {
    let puts: Vec<Put> = items.into_iter().map(Put::replacing).collect();
    for batch in puts.chunks(store.max_batch()) {
        assert_eq!(store.put(batch).await.unwrap(), PutOutcome::Done);
    }
}

pub(crate) mod installation;
