//! The two stores behind a network that fails: the embedded one, and the StatelyDB client over the server in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use monitor_domain::target::Target;
use monitor_embedded::store::EmbeddedStore;
use monitor_pipeline::items::{Item, Key, Put, Query};
use monitor_pipeline::ports::{PutOutcome, Store, StoreError};
use monitor_pipeline::records::{FleetOnRecord, read_fleet};
use monitor_stately::client::{Client, ClientSettings};
use monitor_stately::timer::Timer;
use monitor_stately::transport::{Request, Response, Transport, Unreached};
use monitor_stately::wire::path;
use monitor_stately::{AccessKey, StatelyStore};
use monitor_stately_server::{Delivery, Fault as Injected, RpcCode, Schema, Settings, State, Trouble};

use crate::faults::{Fault, StoreKind};
use crate::machine::{Shared, timestamp};

/// How long somebody waits who gives up in the end.
const FOR_EVER_MS: i64 = 60_000;
/// After how long the embedded store is given up.
const GIVEN_UP_MS: i64 = 1_000;
const STORE_ID: u64 = 17;
const SCHEMA_ID: u64 = 5;
const ACCESS_KEY: &str = "an-access-key";
/// Tokens that live for so long expire in the middle of a story.
const TOKEN_LIFE_SECS: u64 = 1_800;

/// What is stored in a story, whoever reads it.
#[derive(Clone)]
pub enum Stored {
    /// In SQLite.
    Embedded(Arc<EmbeddedStore>),
    /// In the StatelyDB server.
    Stately(Arc<Mutex<State>>),
}

/// The store as a function has it. Each has a connection of its own, which is warm from one message to the next.
pub enum SimulatedStore {
    /// The embedded store.
    Embedded(Arc<EmbeddedStore>, Shared),
    /// The StatelyDB store.
    Stately(StatelyStore<Connection, Shared>, Shared),
}

/// Takes the value of a future that does not wait.
pub fn ready<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => anyhow::bail!("the store waits where nobody else is"),
    }
}

impl Stored {
    /// An empty one.
    pub fn new(kind: StoreKind, shared: &Shared) -> anyhow::Result<Self> {
        Ok(match kind {
            StoreKind::Embedded => Self::Embedded(Arc::new(EmbeddedStore::open_in_memory()?)),
            StoreKind::Stately => {
                let shared = shared.clone();
                let settings = Settings {
                    access_key: Some(ACCESS_KEY.to_owned()),
                    token_life_secs: TOKEN_LIFE_SECS,
                    clock: Arc::new(move || timestamp(shared.lock().now_ms).epoch_ms()),
                    ..Settings::default()
                };
                Self::Stately(Arc::new(Mutex::new(State::new(Schema::product(), settings))))
            }
        })
    }

    /// A function's own way to it.
    pub fn connect(&self, shared: &Shared) -> SimulatedStore {
        match self {
            Self::Embedded(store) => SimulatedStore::Embedded(store.clone(), shared.clone()),
            Self::Stately(server) => {
                let connection = Connection { server: server.clone(), shared: shared.clone(), storing: Arc::default() };
                let jitter_seed = shared.lock().chance.number();
                let settings = ClientSettings {
                    jitter_seed,
                    ..ClientSettings::new(STORE_ID, SCHEMA_ID, Some(AccessKey::new(ACCESS_KEY)))
                };
                let client = Client::with_timer(connection, settings, shared.clone());
                // Small batches, so that decisions are split.
                SimulatedStore::Stately(StatelyStore::new(client).with_max_batch(10), shared.clone())
            }
        }
    }

    /// Everything that a query lists, at once and without fault.
    pub fn list(&self, query: &Query) -> anyhow::Result<Vec<Item>> {
        match self {
            Self::Embedded(store) => Ok(ready(store.list(query))??),
            Self::Stately(server) => Ok(ready(direct(server).list(query))??),
        }
    }

    /// What a check would read of a target.
    pub fn fleet(&self, target: &Target) -> anyhow::Result<FleetOnRecord> {
        match self {
            Self::Embedded(store) => Ok(ready(read_fleet(&**store, target))??),
            Self::Stately(server) => Ok(ready(read_fleet(&direct(server), target))??),
        }
    }
}

impl SimulatedStore {
    fn shared(&self) -> &Shared {
        let (Self::Embedded(_, shared) | Self::Stately(_, shared)) = self;
        shared
    }

    fn note(&self, puts: &[Put], outcome: PutOutcome) {
        let mut machine = self.shared().lock();
        machine.note(format!("{puts:?} {outcome:?}").as_bytes());
        if outcome == PutOutcome::Exists {
            machine.came(Fault::StoreConflict);
        }
    }
}

fn endings(puts: &[Put]) -> Vec<Key> {
    puts.iter().map(|put| put.item.key()).filter(|key| matches!(key, Key::Sent(..))).collect()
}

/// Whether the store answers nobody now, or does so from now on.
fn is_down(shared: &Shared) -> bool {
    let mut machine = shared.lock();
    if machine.strikes(Fault::StoreIsDown) {
        machine.world.store_down_until_ms = machine.now_ms + machine.between(5_000, 60_000);
    }
    machine.world.store_down_until_ms > machine.now_ms
}

/// Whether somebody stood still for so long, with a request not sent yet, that the connection is gone.
fn is_gone(shared: &Shared, began_ms: i64) -> bool {
    shared.lock().now_ms - began_ms > FOR_EVER_MS
}

/// The embedded store's way there and back.
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

/// Puts into the embedded store, now.
fn put_now(store: &EmbeddedStore, shared: &Shared, puts: Vec<Put>) -> Result<PutOutcome, StoreError> {
    let endings = endings(&puts);
    let outcome = ready(store.put(puts)).unwrap_or_else(|error| Err(StoreError::Refused(error.to_string())))?;
    if outcome == PutOutcome::Done {
        let mut machine = shared.lock();
        let now_ms = machine.now_ms;
        machine.world.stored(now_ms, endings);
    }
    Ok(outcome)
}

impl Store for SimulatedStore {
    async fn put(&self, puts: Vec<Put>) -> Result<PutOutcome, StoreError> {
        match self {
            Self::Embedded(store, shared) => {
                request(shared).await?;
                if shared.lock().strikes(Fault::StoreIsLate) {
                    let (store, surroundings) = (store.clone(), shared.clone());
                    later(shared, 1_000, move || drop(put_now(&store, &surroundings, puts)));
                    shared.wait(GIVEN_UP_MS).await;
                    return Err(StoreError::Unavailable("no answer in time".to_owned()));
                }
                let outcome = put_now(store, shared, puts.clone())?;
                self.note(&puts, outcome);
                answer(shared).await?;
                Ok(outcome)
            }
            Self::Stately(store, _) => {
                store.client().transport().stores(endings(&puts));
                let outcome = store.put(puts.clone()).await?;
                self.note(&puts, outcome);
                Ok(outcome)
            }
        }
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
        }
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        match self {
            Self::Embedded(store, shared) => {
                request(shared).await?;
                let items = store.list(query).await?;
                answer(shared).await?;
                Ok(items)
            }
            Self::Stately(store, _) => store.list(query).await,
        }
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store, shared) => {
                request(shared).await?;
                if shared.lock().strikes(Fault::StoreIsLate) {
                    let (store, keys) = (store.clone(), keys.to_vec());
                    later(shared, 1_000, move || drop(ready(store.delete(&keys))));
                    shared.wait(GIVEN_UP_MS).await;
                    return Err(StoreError::Unavailable("no answer in time".to_owned()));
                }
                store.delete(keys).await?;
                answer(shared).await
            }
            Self::Stately(store, _) => store.delete(keys).await,
        }
    }

    /// Small, so that decisions are split.
    fn max_batch(&self) -> usize {
        match self {
            Self::Embedded(..) => 5,
            Self::Stately(store, _) => store.max_batch(),
        }
    }
}

/// Does something within half a minute, whoever waits for it.
fn later(shared: &Shared, least_ms: u64, what: impl FnOnce() + Send + 'static) {
    let mut machine = shared.lock();
    let late_ms = machine.between(least_ms, 30_000);
    machine.later(late_ms, what);
}

fn direct(server: &Arc<Mutex<State>>) -> StatelyStore<Direct, NoTime> {
    let settings = ClientSettings::new(STORE_ID, SCHEMA_ID, Some(AccessKey::new(ACCESS_KEY)));
    StatelyStore::new(Client::with_timer(Direct(server.clone()), settings, NoTime))
}

/// No time passes.
struct NoTime;

impl Timer for NoTime {
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _: Duration) {
        std::future::pending().await
    }
}

/// A way to the StatelyDB server without fault.
struct Direct(Arc<Mutex<State>>);

impl Transport for Direct {
    async fn post(&self, request: Request) -> Result<Response, Unreached> {
        let (response, delivery) = carry_out(&self.0, request);
        if delivery == Delivery::Whole { Ok(response) } else { Err(Unreached("broken off".to_owned())) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn carry_out(server: &Mutex<State>, request: Request) -> (Response, Delivery) {
    let headers = request.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let request = monitor_stately_server::Request { path: request.path.to_owned(), headers, body: request.body };
    let mut server = lock(server);
    let answer = server.handle(&request);
    server.clear_calls();
    (Response { status: answer.status, content_type: answer.content_type, body: answer.body }, answer.delivery)
}

/// A function's connection to the StatelyDB server.
pub struct Connection {
    server: Arc<Mutex<State>>,
    shared: Shared,
    /// The endings of attempts to send that the put under way stores.
    storing: Arc<Mutex<Vec<Key>>>,
}

impl Connection {
    fn stores(&self, endings: Vec<Key>) {
        *lock(&self.storing) = endings;
    }

    /// What becomes of a request that the server gets, if that is anything out of the ordinary.
    fn trouble(&self) -> Option<Trouble> {
        let mut machine = self.shared.lock();
        if machine.strikes(Fault::StoreThrottles) {
            const CODES: [&str; 4] =
                ["StoreThroughputExceeded", "StoreRequestLimitExceeded", "StoreInUse", "ConcurrentModification"];
            let code = machine.between(0, 3);
            return Some(Trouble::stately_code(CODES[usize::try_from(code).unwrap_or(0)]));
        }
        if machine.strikes(Fault::StoreBreaksOff) {
            return Some(match machine.between(0, 3) {
                0 => Trouble::Bare(RpcCode::Unavailable),
                1 => Trouble::Proxy(502),
                2 => Trouble::EndMissing,
                _ => Trouble::AnswerCut(usize::try_from(machine.between(0, 200)).unwrap_or(0)),
            });
        }
        None
    }

    fn arrives(&self, request: Request, trouble: Option<Trouble>) -> (Response, Delivery) {
        let (path, storing) = (request.path, lock(&self.storing).clone());
        if let Some(trouble) = trouble {
            lock(&self.server).inject(Injected::once(trouble));
        }
        arrives(&self.server, &self.shared, (request, path, storing))
    }
}

/// A request arrives, whether or not anybody still waits.
fn arrives(
    server: &Mutex<State>,
    shared: &Shared,
    (request, path, storing): (Request, &str, Vec<Key>),
) -> (Response, Delivery) {
    let asked = request.body.clone();
    let (response, delivery) = carry_out(server, request);
    let mut machine = shared.lock();
    machine.note(path.as_bytes());
    machine.note(&asked);
    machine.note(&response.body);
    if path == path::PUT && response.status == 200 {
        let now_ms = machine.now_ms;
        machine.world.stored(now_ms, storing);
    }
    (response, delivery)
}

impl Transport for Connection {
    async fn post(&self, request: Request) -> Result<Response, Unreached> {
        let shared = &self.shared;
        let gone = || Unreached("the connection ended".to_owned());
        let began_ms = shared.lock().now_ms;
        shared.latency(2, 20).await;
        if is_gone(shared, began_ms) {
            return Err(gone());
        }
        if is_down(shared) || shared.lock().strikes(Fault::StoreRequestLost) {
            // Half of the connections end, the others say nothing more.
            let says_so = shared.lock().chance.below(2) > 0;
            shared.wait(if says_so { 100 } else { FOR_EVER_MS }).await;
            return Err(gone());
        }
        if shared.lock().strikes(Fault::TokenExpires) {
            lock(&self.server).revoke_tokens();
        }
        if shared.lock().strikes(Fault::StoreStalls) {
            shared.latency(4_000, 6_500).await;
        }
        if request.path != path::GET_AUTH_TOKEN && shared.lock().strikes(Fault::StoreIsLate) {
            let (server, surroundings) = (self.server.clone(), shared.clone());
            let (path, storing) = (request.path, lock(&self.storing).clone());
            later(shared, 5_000, move || drop(arrives(&server, &surroundings, (request, path, storing))));
            shared.wait(FOR_EVER_MS).await;
            return Err(gone());
        }
        let (response, delivery) = self.arrives(request, self.trouble());
        if shared.lock().strikes(Fault::StoreAnswerLost) {
            let says_so = shared.lock().chance.below(2) > 0;
            shared.wait(if says_so { 100 } else { FOR_EVER_MS }).await;
            return Err(gone());
        }
        shared.latency(2, 20).await;
        if delivery == Delivery::Whole { Ok(response) } else { Err(gone()) }
    }
}
