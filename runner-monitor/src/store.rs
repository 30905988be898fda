//! The store: one SQLite file, or a service.

use std::time::Duration;

use monitor_domain::time::Timestamp;
use monitor_embedded::store::{Displaced, EmbeddedStore};
use monitor_http::NetworkStore;
use monitor_pipeline::counters::Counters;
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::{Key, Put, Query};
use monitor_pipeline::ports::{PutOutcome, Store, StoreError};

/// How long changes and notifications are kept after they are no longer pending.
const KEEP: Duration = Duration::from_secs(3 * 86_400);

/// The store that the operator selected with `--store`.
pub(crate) enum ChosenStore {
    /// SQLite in one file, and how long it keeps outages that have ended.
    Embedded(Box<EmbeddedStore>, Duration),
    /// StatelyDB or DynamoDB.
    Network(NetworkStore),
}

impl ChosenStore {
    /// Reads and writes since the store was opened.
    pub(crate) fn counters(&self) -> Counters {
        match self {
            ChosenStore::Embedded(store, _) => store.counters(),
            ChosenStore::Network(store) => store.counters(),
        }
    }

    /// Whether the store's file is still where it was opened; see [`EmbeddedStore::in_place`].
    pub(crate) fn in_place(&self) -> Result<(), Displaced> {
        match self {
            ChosenStore::Embedded(store, _) => store.in_place(),
            ChosenStore::Network(_) => Ok(()),
        }
    }

    /// Deletes history that is no longer needed. In a service, items have an expiry instead, so there is nothing to do.
    pub(crate) async fn prune(&self, now: Timestamp) -> Result<u64, StoreError> {
        match self {
            ChosenStore::Embedded(store, keep_outages) => {
                let outages = store.prune_outages(now.minus(*keep_outages)).await?;
                Ok(outages + store.prune(now.minus(KEEP)).await?)
            }
            ChosenStore::Network(_) => Ok(0),
        }
    }
}

impl Store for ChosenStore {
    async fn put(&self, puts: Vec<Put>) -> Result<PutOutcome, StoreError> {
        match self {
            ChosenStore::Embedded(store, _) => store.put(puts).await,
            ChosenStore::Network(store) => store.put(puts).await,
        }
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        match self {
            ChosenStore::Embedded(store, _) => store.get(keys).await,
            ChosenStore::Network(store) => store.get(keys).await,
        }
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        match self {
            ChosenStore::Embedded(store, _) => store.list(query).await,
            ChosenStore::Network(store) => store.list(query).await,
        }
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        match self {
            ChosenStore::Embedded(store, _) => store.delete(keys).await,
            ChosenStore::Network(store) => store.delete(keys).await,
        }
    }

    fn max_batch(&self) -> usize {
        match self {
            ChosenStore::Embedded(store, _) => store.max_batch(),
            ChosenStore::Network(store) => store.max_batch(),
        }
    }
}
