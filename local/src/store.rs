//! Where records are kept: in one file, or in StatelyDB.

use monitor_domain::time::Timestamp;
use monitor_embedded::store::{Counters, EmbeddedStore};
use monitor_pipeline::items::{Item, Key, Put, Query};
use monitor_pipeline::ports::{PutOutcome, Store, StoreError};
use monitor_stately::{HttpTransport, StatelyStore};

/// The store that the operator chose.
pub(crate) enum ChosenStore {
    /// SQLite in one file.
    Embedded(EmbeddedStore),
    /// StatelyDB over HTTP.
    Stately(Box<StatelyStore<HttpTransport>>),
}

impl ChosenStore {
    /// What was asked since it was opened.
    pub(crate) fn counters(&self) -> Counters {
        match self {
            ChosenStore::Embedded(store) => store.counters(),
            ChosenStore::Stately(store) => {
                let monitor_stately::Counters { reads, writes, items_written } = store.counters();
                Counters { reads, writes, items_written }
            }
        }
    }

    /// Deletes old history that is told. StatelyDB does so by itself: items there say when they expire.
    pub(crate) async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        match self {
            ChosenStore::Embedded(store) => store.prune(before).await,
            ChosenStore::Stately(_) => Ok(0),
        }
    }
}

impl Store for ChosenStore {
    async fn put(&self, puts: Vec<Put>) -> Result<PutOutcome, StoreError> {
        match self {
            ChosenStore::Embedded(store) => store.put(puts).await,
            ChosenStore::Stately(store) => store.put(puts).await,
        }
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        match self {
            ChosenStore::Embedded(store) => store.get(keys).await,
            ChosenStore::Stately(store) => store.get(keys).await,
        }
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        match self {
            ChosenStore::Embedded(store) => store.list(query).await,
            ChosenStore::Stately(store) => store.list(query).await,
        }
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        match self {
            ChosenStore::Embedded(store) => store.delete(keys).await,
            ChosenStore::Stately(store) => store.delete(keys).await,
        }
    }

    fn max_batch(&self) -> usize {
        match self {
            ChosenStore::Embedded(store) => store.max_batch(),
            ChosenStore::Stately(store) => store.max_batch(),
        }
    }
}
