//! The transport between the StatelyDB client and the server in memory. It fails in every way in which a network and
//! the service can fail.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use monitor_domain::secret::Secret;
use monitor_stately::StatelyStore;
use monitor_stately::client::{Client, ClientSettings};
use monitor_stately::timer::Timer;
use monitor_stately::transport::{Request, Response, Transport, Unreached};
use monitor_stately::wire::path;
use monitor_stately_server::{Delivery, Fault as Injected, RpcCode, Schema, Settings, State, Trouble};

use crate::calendar::timestamp;
use crate::connection::{FOR_EVER_MS, is_down, is_gone, later};
use crate::faults::Fault;
use crate::machine::Shared;
use crate::world::Noted;

const STORE_ID: u64 = 17;
const SCHEMA_ID: u64 = 5;
const ACCESS_KEY: &str = "an-access-key";
/// Short enough that tokens expire within a scenario.
const TOKEN_LIFE_SECS: u64 = 1_800;

/// A server that uses virtual time.
pub(crate) fn server(shared: &Shared) -> Arc<Mutex<State>> {
    let shared = shared.clone();
    let settings = Settings {
        access_key: Some(ACCESS_KEY.to_owned()),
        token_life_secs: TOKEN_LIFE_SECS,
        clock: Arc::new(move || timestamp(shared.lock().now_ms).epoch_ms()),
        ..Settings::default()
    };
    Arc::new(Mutex::new(State::new(Schema::product(), settings)))
}

/// A function's own client.
pub(crate) fn connect(server: &Arc<Mutex<State>>, shared: &Shared) -> StatelyStore<Connection, Shared> {
    let connection = Connection { server: server.clone(), shared: shared.clone(), storing: Arc::default() };
    let jitter_seed = shared.lock().chance.number();
    let settings = ClientSettings::new(STORE_ID, SCHEMA_ID, Some(Secret::new(ACCESS_KEY)));
    let client = Client::with_timer(connection, ClientSettings { jitter_seed, ..settings }, shared.clone());
    // Small batches, so that decisions are split.
    StatelyStore::new(client).with_max_batch(10)
}

/// A client without faults, to read what is stored.
pub(crate) fn direct(server: &Arc<Mutex<State>>) -> StatelyStore<Direct, NoTime> {
    let settings = ClientSettings::new(STORE_ID, SCHEMA_ID, Some(Secret::new(ACCESS_KEY)));
    StatelyStore::new(Client::with_timer(Direct(server.clone()), settings, NoTime))
}

/// A timer for a client that never waits.
pub(crate) struct NoTime;

impl Timer for NoTime {
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _: Duration) {
        std::future::pending().await
    }
}

/// A transport to the StatelyDB server without faults.
pub(crate) struct Direct(Arc<Mutex<State>>);

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
    let request = monitor_stately_server::Request {
        headers,
        ..monitor_stately_server::Request::post(request.path, request.body)
    };
    let mut server = lock(server);
    let answer = server.handle(&request);
    server.clear_calls();
    let content_type = answer.header("content-type").unwrap_or_default().to_owned();
    (Response { status: answer.status, content_type, body: answer.body }, answer.delivery)
}

/// A function's connection to the StatelyDB server.
pub struct Connection {
    server: Arc<Mutex<State>>,
    shared: Shared,
    /// What the running put or deletion stores, as far as its time matters.
    storing: Arc<Mutex<Vec<Noted>>>,
}

impl Connection {
    pub(crate) fn stores(&self, noted: Vec<Noted>) {
        *lock(&self.storing) = noted;
    }

    /// The server's fault for the next request, if one strikes.
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

/// Delivers a request to the server, whether or not its sender still waits.
fn arrives(
    server: &Mutex<State>,
    shared: &Shared,
    (request, path, storing): (Request, &str, Vec<Noted>),
) -> (Response, Delivery) {
    let asked = request.body.clone();
    let (response, delivery) = carry_out(server, request);
    let mut machine = shared.lock();
    machine.note(path.as_bytes());
    machine.note(&asked);
    machine.note(&response.body);
    if [path::PUT, path::DELETE].contains(&path) && response.status == 200 {
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
            // Half of the connections are closed, the others hang.
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
