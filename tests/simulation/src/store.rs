//! The stores behind an unreliable network: the embedded one, the StatelyDB client with the server in memory, and the
//! store on DynamoDB with a table in memory.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_dynamodb::DynamoStore;
use monitor_embedded::store::EmbeddedStore;
use monitor_pipeline::history::{TargetHistory, Unobserved};
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::{Key, Put, Query};
use monitor_pipeline::ports::{Clock, PutOutcome, Store, StoreError};
use monitor_pipeline::records::{StoredFleet, read_fleet, read_monitor};
use monitor_stately::StatelyStore;
use monitor_stately_server::State;

use crate::calendar::timestamp;
use crate::connection::{is_down, is_gone, later};
use crate::dynamodb::{self, Rows, SimulatedTable};
use crate::faults::{Fault, StoreKind};
use crate::machine::Shared;
use crate::stately::{self, Connection};
use crate::targets::place_of;
use crate::world::Noted;

/// The request timeout of the embedded store.
const GIVEN_UP_MS: i64 = 1_000;
/// The store of a scenario, without faults.
#[derive(Clone)]
pub enum Stored {
    /// In SQLite.
    Embedded(Arc<EmbeddedStore>),
    /// In the StatelyDB server.
    Stately(Arc<Mutex<State>>),
    /// In a DynamoDB table.
    DynamoDb(Arc<Mutex<Rows>>),
}

/// A function's connection to the store. It stays open from one message to the next.
pub enum SimulatedStore {
    /// The embedded store.
    Embedded(Arc<EmbeddedStore>, Shared),
    /// The StatelyDB store.
    Stately(Box<StatelyStore<Connection, Shared>>, Shared),
    /// The store on DynamoDB.
    DynamoDb(Box<DynamoStore<SimulatedTable>>, Shared),
}

/// Returns the value of a future that must be ready at once.
pub fn ready<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => anyhow::bail!("the store waits, although no other request is running"),
    }
}

impl Stored {
    /// Creates an empty store.
    pub fn new(kind: StoreKind, shared: &Shared) -> anyhow::Result<Self> {
        Ok(match kind {
            StoreKind::Embedded => Self::Embedded(Arc::new(EmbeddedStore::open_in_memory()?)),
            StoreKind::Stately => Self::Stately(stately::server(shared)),
            StoreKind::DynamoDb => Self::DynamoDb(Arc::default()),
        })
    }

    /// Opens a connection for one function.
    pub fn connect(&self, shared: &Shared) -> SimulatedStore {
        match self {
            Self::Embedded(store) => SimulatedStore::Embedded(store.clone(), shared.clone()),
            Self::Stately(server) => {
                SimulatedStore::Stately(Box::new(stately::connect(server, shared)), shared.clone())
            }
            Self::DynamoDb(rows) => SimulatedStore::DynamoDb(Box::new(dynamodb::connect(rows, shared)), shared.clone()),
        }
    }

    /// All items of a query, at once and without faults.
    pub fn list(&self, query: &Query) -> anyhow::Result<Vec<Item>> {
        match self {
            Self::Embedded(store) => Ok(ready(store.list(query))??),
            Self::Stately(server) => Ok(ready(stately::direct(server).list(query))??),
            Self::DynamoDb(rows) => Ok(ready(dynamodb::direct(rows).list(query))??),
        }
    }

    /// The fleet of a target as a check would read it.
    pub fn fleet(&self, target: &Target) -> anyhow::Result<StoredFleet> {
        match self {
            Self::Embedded(store) => Ok(ready(read_fleet(&**store, target))??),
            Self::Stately(server) => Ok(ready(read_fleet(&stately::direct(server), target))??),
            Self::DynamoDb(rows) => Ok(ready(read_fleet(&dynamodb::direct(rows), target))??),
        }
    }

    /// The history of a target at a time, from the start of the scenario on.
    pub fn history(&self, target: &Target, now: Timestamp) -> anyhow::Result<TargetHistory> {
        match self {
            Self::Embedded(store) => Ok(ready(read_history(&**store, target, now))??),
            Self::Stately(server) => Ok(ready(read_history(&stately::direct(server), target, now))??),
            Self::DynamoDb(rows) => Ok(ready(read_history(&dynamodb::direct(rows), target, now))??),
        }
    }
}

/// A clock that always shows the same time.
#[derive(Clone, Copy)]
struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn random(&self) -> u64 {
        0
    }

    async fn sleep(&self, _: Duration) {}
}

/// A target's history as the page and the reports read it.
async fn read_history(store: &impl Store, target: &Target, now: Timestamp) -> Result<TargetHistory, StoreError> {
    let monitor = read_monitor(store, &At(now)).await?;
    let unobserved = Unobserved::read(store, &monitor, now).await?;
    TargetHistory::read(store, target, &unobserved, timestamp(0)).await
}

impl SimulatedStore {
    fn shared(&self) -> &Shared {
        let (Self::Embedded(_, shared) | Self::Stately(_, shared) | Self::DynamoDb(_, shared)) = self;
        shared
    }

    /// Notes that a check had an answer about jobs: reading and storing them is part of it, as requests to GitHub are.
    fn had_jobs(&self, is_about_jobs: bool, but: Option<usize>) {
        let mut machine = self.shared().lock();
        if is_about_jobs && machine.world.jobs.webhook.is_some() {
            machine.has_answer_about_jobs(but);
        }
    }

    fn note(&self, puts: &[Put], outcome: PutOutcome) {
        let mut machine = self.shared().lock();
        for put in puts {
            machine.note(format!("{} {outcome:?}", put.item.key()).as_bytes());
        }
        if outcome == PutOutcome::Exists {
            machine.count(Fault::StoreConflict);
        }
    }
}

/// Sends a request to the embedded store.
async fn request(shared: &Shared) -> Result<(), StoreError> {
    let began_ms = shared.lock().now_ms;
    shared.latency(2, 20).await;
    if is_gone(shared, began_ms) {
        return Err(StoreError::Unavailable("the connection ended".to_owned()));
    }
    if is_down(shared) || shared.lock().strikes(Fault::StoreRequestLost) {
        shared.wait(GIVEN_UP_MS).await;
        return Err(StoreError::Unavailable("no answer in time".to_owned()));
    }
    Ok(())
}

async fn answer(shared: &Shared) -> Result<(), StoreError> {
    if shared.lock().strikes(Fault::StoreAnswerLost) {
        shared.wait(GIVEN_UP_MS).await;
        return Err(StoreError::Unavailable("the answer was lost".to_owned()));
    }
    shared.latency(2, 20).await;
    Ok(())
}

/// Puts items into the embedded store now.
fn put_now(store: &EmbeddedStore, shared: &Shared, puts: &[Put]) -> Result<PutOutcome, StoreError> {
    let noted = Noted::of_puts(puts);
    let outcome = ready(store.put(puts)).unwrap_or_else(|error| Err(StoreError::Refused(error.to_string())))?;
    if outcome == PutOutcome::Done {
        let mut machine = shared.lock();
        let now_ms = machine.now_ms;
        machine.world.stored(now_ms, noted);
    }
    Ok(outcome)
}

/// Deletes items from the embedded store now.
fn delete_now(store: &EmbeddedStore, shared: &Shared, keys: &[Key]) -> Result<(), StoreError> {
    ready(store.delete(keys)).unwrap_or_else(|error| Err(StoreError::Refused(error.to_string())))?;
    let mut machine = shared.lock();
    let now_ms = machine.now_ms;
    machine.world.stored(now_ms, Noted::of_keys(keys));
    Ok(())
}

impl SimulatedStore {
    async fn put_any(&self, puts: &[Put]) -> Result<PutOutcome, StoreError> {
        match self {
            Self::Embedded(store, shared) => {
                request(shared).await?;
                if shared.lock().strikes(Fault::StoreIsLate) {
                    let (store, surroundings, puts) = (store.clone(), shared.clone(), puts.to_vec());
                    later(shared, 1_000, move || drop(put_now(&store, &surroundings, &puts)));
                    shared.wait(GIVEN_UP_MS).await;
                    return Err(StoreError::Unavailable("no answer in time".to_owned()));
                }
                let outcome = put_now(store, shared, puts)?;
                self.note(puts, outcome);
                answer(shared).await?;
                Ok(outcome)
            }
            Self::Stately(store, _) => {
                store.client().transport().stores(Noted::of_puts(puts));
                let outcome = store.put(puts).await?;
                self.note(puts, outcome);
                Ok(outcome)
            }
            Self::DynamoDb(store, _) => {
                store.table().stores(Noted::of_puts(puts));
                let outcome = store.put(puts).await?;
                self.note(puts, outcome);
                Ok(outcome)
            }
        }
    }

    async fn list_any(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        match self {
            Self::Embedded(store, shared) => {
                request(shared).await?;
                let items = store.list(query).await?;
                answer(shared).await?;
                Ok(items)
            }
            Self::Stately(store, _) => store.list(query).await,
            Self::DynamoDb(store, _) => store.list(query).await,
        }
    }

    async fn delete_any(&self, keys: &[Key]) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store, shared) => {
                request(shared).await?;
                if shared.lock().strikes(Fault::StoreIsLate) {
                    let (store, surroundings, keys) = (store.clone(), shared.clone(), keys.to_vec());
                    later(shared, 1_000, move || drop(delete_now(&store, &surroundings, &keys)));
                    shared.wait(GIVEN_UP_MS).await;
                    return Err(StoreError::Unavailable("no answer in time".to_owned()));
                }
                delete_now(store, shared, keys)?;
                answer(shared).await
            }
            Self::Stately(store, _) => {
                store.client().transport().stores(Noted::of_keys(keys));
                store.delete(keys).await
            }
            Self::DynamoDb(store, _) => {
                store.table().stores(Noted::of_keys(keys));
                store.delete(keys).await
            }
        }
    }
}

impl Store for SimulatedStore {
    async fn put(&self, puts: &[Put]) -> Result<PutOutcome, StoreError> {
        // The end of a job is marked.
        let is_about_jobs =
            puts.iter().all(|put| matches!(put.item, Item::Job(_) | Item::Marker(_)) && !put.must_not_exist);
        let outcome = self.put_any(puts).await;
        self.had_jobs(is_about_jobs, None);
        outcome
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        match self {
            Self::Embedded(store, shared) => {
                request(shared).await?;
                let items = store.get(keys).await?;
                answer(shared).await?;
                Ok(items)
            }
            Self::Stately(store, _) => store.get(keys).await,
            Self::DynamoDb(store, _) => store.get(keys).await,
        }
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        let items = self.list_any(query).await;
        // A check of a repository reads the runners of its organization.
        let other = if let Query::Fleet(target) = query { place_of(target.as_str()) } else { None };
        self.had_jobs(other.is_some() || matches!(query, Query::Jobs { .. }), other);
        items
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        let deleted = self.delete_any(keys).await;
        self.had_jobs(keys.iter().all(|key| matches!(key, Key::Job(..))), None);
        deleted
    }

    /// Small, so that decisions are split.
    fn max_batch(&self) -> usize {
        match self {
            Self::Embedded(..) => 5,
            Self::Stately(store, _) => store.max_batch(),
            Self::DynamoDb(store, _) => store.max_batch(),
        }
    }
}
