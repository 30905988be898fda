//! The store in a service, according to the settings.

use monitor_config::StoreSettings;
use monitor_dynamodb::DynamoStore;
use monitor_pipeline::counters::Counters;
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::{Key, Put, Query};
use monitor_pipeline::ports::{PutOutcome, Store, StoreError};
use monitor_stately::{HttpTransport, StatelyStore};

use crate::{SetupError, stately};

/// A store in a service.
#[derive(Debug)]
pub enum NetworkStore {
    /// StatelyDB over HTTP.
    Stately(Box<StatelyStore<HttpTransport>>),
    /// A DynamoDB table.
    DynamoDb(Box<DynamoStore>),
}

/// Opens the store. Only the chosen service's client is built; no request is sent.
pub fn store(
    http: reqwest::ClientBuilder,
    settings: &StoreSettings,
    dynamodb: impl FnOnce() -> aws_sdk_dynamodb::Client,
    jitter_seed: u64,
) -> Result<NetworkStore, SetupError> {
    Ok(match settings {
        StoreSettings::StatelyDb(settings) => {
            NetworkStore::Stately(Box::new(StatelyStore::new(stately(http, settings, jitter_seed)?)))
        }
        StoreSettings::DynamoDb(table) => {
            NetworkStore::DynamoDb(Box::new(DynamoStore::new(dynamodb(), table, jitter_seed)))
        }
    })
}

impl NetworkStore {
    /// The requests since the store was opened.
    pub fn counters(&self) -> Counters {
        match self {
            Self::Stately(store) => store.counters(),
            Self::DynamoDb(store) => store.counters(),
        }
    }
}

impl Store for NetworkStore {
    async fn put(&self, puts: &[Put]) -> Result<PutOutcome, StoreError> {
        match self {
            Self::Stately(store) => store.put(puts).await,
            Self::DynamoDb(store) => store.put(puts).await,
        }
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        match self {
            Self::Stately(store) => store.get(keys).await,
            Self::DynamoDb(store) => store.get(keys).await,
        }
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        match self {
            Self::Stately(store) => store.list(query).await,
            Self::DynamoDb(store) => store.list(query).await,
        }
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        match self {
            Self::Stately(store) => store.delete(keys).await,
            Self::DynamoDb(store) => store.delete(keys).await,
        }
    }

    fn max_batch(&self) -> usize {
        match self {
            Self::Stately(store) => store.max_batch(),
            Self::DynamoDb(store) => store.max_batch(),
        }
    }
}
