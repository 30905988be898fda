//! A DynamoDB table in memory that fails in every way in which a network and the service can fail. It behaves as the AWS
//! SDK does in front of it: three attempts, each for five seconds, with one token.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use monitor_domain::time::Timestamp;
use monitor_dynamodb::{DynamoStore, Page, Place, Range, Row, TARGETS_INDEX_KEY, Table, Try, Write, place};
use monitor_pipeline::ports::{PutOutcome, StoreError};

use crate::calendar::timestamp;
use crate::connection::{is_down, is_gone, later};
use crate::faults::Fault;
use crate::machine::Shared;
use crate::world::Noted;

/// How long an attempt lasts.
const ATTEMPT_MS: i64 = 5_000;
/// The attempts of a request.
const ATTEMPTS: u32 = 3;
/// How long a token is known.
const TOKEN_LIFE_MS: i64 = 600_000;
/// Rows on a page, so that lists have several.
const PAGE: usize = 20;

/// What a table contains.
#[derive(Default)]
pub struct Rows {
    rows: BTreeMap<Place, Row>,
    /// When the transactions with these tokens were carried out, and the time in their conditions.
    tokens: BTreeMap<String, (i64, Timestamp)>,
}

/// A request to write.
#[derive(Clone, Copy)]
struct Request<'a> {
    writes: &'a [Write],
    as_of: Timestamp,
    token: &'a str,
}

/// A function's connection to the table.
pub struct SimulatedTable {
    rows: Arc<Mutex<Rows>>,
    /// `None`: without faults, to read what is stored.
    shared: Option<Shared>,
    /// What the running put or deletion stores, as far as its time matters.
    storing: Arc<Mutex<Vec<Noted>>>,
}

/// A function's own store.
pub(crate) fn connect(rows: &Arc<Mutex<Rows>>, shared: &Shared) -> DynamoStore<SimulatedTable> {
    let jitter_seed = shared.lock().chance.number();
    let table = SimulatedTable { rows: rows.clone(), shared: Some(shared.clone()), storing: Arc::default() };
    // Small batches, so that decisions are split.
    DynamoStore::over(table, jitter_seed).with_max_batch(10)
}

/// A store without faults. Nothing has expired in it.
pub(crate) fn direct(rows: &Arc<Mutex<Rows>>) -> DynamoStore<SimulatedTable> {
    DynamoStore::over(SimulatedTable { rows: rows.clone(), shared: None, storing: Arc::default() }, 0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rows {
    /// Carries out a transaction, as one request that arrives. `None` if it is a repeat, which is answered like the first.
    fn carry_out(&mut self, Request { writes, as_of, token }: Request<'_>, now_ms: i64) -> Option<PutOutcome> {
        self.tokens.retain(|_, (done_ms, _)| now_ms - *done_ms < TOKEN_LIFE_MS);
        if let Some((_, known_as_of)) = self.tokens.get(token) {
            assert_eq!(*known_as_of, as_of, "DynamoDB refuses a token with another condition");
            return None;
        }
        if writes.iter().any(|write| write.is_refused_by(self.rows.get(&write.place()), as_of)) {
            return Some(PutOutcome::Exists);
        }
        for write in writes {
            match (self.rows.entry(write.place()), write) {
                (entry, Write::Put { row, .. }) => drop(entry.insert_entry(row.clone())),
                (Entry::Occupied(entry), Write::Delete(_)) => drop(entry.remove()),
                (Entry::Vacant(_), Write::Delete(_)) => {}
            }
        }
        // A put of one row has no token.
        if writes.len() > 1 {
            self.tokens.insert(token.to_owned(), (now_ms, as_of));
        }
        Some(PutOutcome::Done)
    }
}

impl SimulatedTable {
    pub(crate) fn stores(&self, noted: Vec<Noted>) {
        *lock(&self.storing) = noted;
    }

    /// A request's way to the table; an error is one that the SDK retries.
    async fn arrive(&self) -> Result<(), StoreError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let began_ms = shared.lock().now_ms;
        shared.latency(2, 20).await;
        if is_gone(shared, began_ms) {
            return Err(unanswered());
        }
        if is_down(shared) || shared.lock().strikes(Fault::StoreRequestLost) {
            return self.time_out(shared).await;
        }
        if shared.lock().strikes(Fault::StoreStalls) {
            shared.latency(4_000, 6_500).await;
        }
        Ok(())
    }

    /// An answer's way back.
    async fn answer(&self) -> Result<(), StoreError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        if shared.lock().strikes(Fault::StoreAnswerLost) {
            return self.time_out(shared).await;
        }
        shared.latency(2, 20).await;
        Ok(())
    }

    /// Half of the connections are closed, the others hang.
    async fn time_out(&self, shared: &Shared) -> Result<(), StoreError> {
        let says_so = shared.lock().chance.below(2) > 0;
        shared.wait(if says_so { 100 } else { ATTEMPT_MS }).await;
        Err(unanswered())
    }

    fn throttles(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.lock().strikes(Fault::StoreThrottles))
    }

    /// Waits before a request is repeated, as the SDK does; the error after the last attempt.
    async fn again(&self, attempt: &mut u32, error: StoreError) -> Result<(), StoreError> {
        if *attempt == ATTEMPTS || !matches!(error, StoreError::Unavailable(_)) {
            return Err(error);
        }
        self.sleep(Duration::from_millis(500 << *attempt)).await;
        *attempt += 1;
        Ok(())
    }

    async fn read_once(&self, keys: &[Place]) -> Result<(Vec<Row>, Vec<Place>), StoreError> {
        self.arrive().await?;
        // A throttled table answers in part.
        let answered = if self.throttles() { keys.len() / 2 } else { keys.len() };
        let (answered, left) = keys.split_at(answered);
        let rows = answered.iter().filter_map(|place| lock(&self.rows).rows.get(place).cloned()).collect();
        self.answer().await?;
        Ok((rows, left.to_vec()))
    }

    async fn page_once(&self, range: &Range, from: Option<&Row>) -> Result<Page, StoreError> {
        self.arrive().await?;
        if self.throttles() {
            return Err(unanswered());
        }
        let page = self.rows_of(range, from);
        self.answer().await?;
        Ok(page)
    }

    async fn targets_once(&self, from: Option<&Row>) -> Result<Page, StoreError> {
        self.arrive().await?;
        let page = {
            let rows = lock(&self.rows);
            let targets = rows.rows.iter().filter(|(_, row)| row.contains_key(TARGETS_INDEX_KEY));
            page(targets.map(|(place, _)| place).collect(), from.map(place), PAGE, |place| rows.rows[place].clone())
        };
        self.answer().await?;
        Ok(page)
    }

    async fn write_once(&self, request: Request<'_>) -> Result<Try<PutOutcome>, StoreError> {
        self.arrive().await?;
        if self.throttles() {
            return Ok(Try::Again("TransactionConflict".to_owned()));
        }
        let Some(shared) = &self.shared else {
            return Ok(Try::Done(lock(&self.rows).carry_out(request, 0).unwrap_or(PutOutcome::Done)));
        };
        let storing = lock(&self.storing).clone();
        if shared.lock().strikes(Fault::StoreIsLate) {
            let (rows, surroundings) = (self.rows.clone(), shared.clone());
            let (writes, as_of, token) = (request.writes.to_vec(), request.as_of, request.token.to_owned());
            later(shared, 5_000, move || {
                let _ = carried_out(&rows, &surroundings, Request { writes: &writes, as_of, token: &token }, storing);
            });
            shared.wait(ATTEMPT_MS).await;
            return Err(unanswered());
        }
        let ended = carried_out(&self.rows, shared, request, storing);
        self.answer().await?;
        Ok(Try::Done(ended))
    }

    fn rows_of(&self, range: &Range, from: Option<&Row>) -> Page {
        let rows = lock(&self.rows);
        let in_range = |place: &&Place| place.partition == range.partition && range.sort.contains(&place.sort);
        let mut places: Vec<&Place> = rows.rows.keys().filter(in_range).collect();
        if range.descending {
            places.reverse();
        }
        page(places, from.map(place), range.limit.min(PAGE), |place| rows.rows[place].clone())
    }
}

/// A page of places, after the one at which the previous page ended.
fn page(places: Vec<&Place>, from: Option<Place>, limit: usize, row: impl Fn(&Place) -> Row) -> Page {
    let start = from.and_then(|from| places.iter().position(|place| **place == from)).map_or(0, |last| last + 1);
    let rows: Vec<Row> = places.iter().skip(start).take(limit).map(|place| row(place)).collect();
    // As in DynamoDB, a full page says that there may be another one.
    let next = if rows.len() == limit { rows.last().cloned() } else { None };
    Page { rows, next }
}

/// Delivers a transaction to the table, whether or not its sender still waits.
fn carried_out(rows: &Mutex<Rows>, shared: &Shared, request: Request<'_>, storing: Vec<Noted>) -> PutOutcome {
    let now_ms = shared.lock().now_ms;
    let ended = lock(rows).carry_out(request, now_ms);
    let mut machine = shared.lock();
    machine.note(format!("{} {ended:?}", request.token).as_bytes());
    if ended == Some(PutOutcome::Done) {
        machine.world.stored(now_ms, storing);
    }
    ended.unwrap_or(PutOutcome::Done)
}

fn unanswered() -> StoreError {
    StoreError::Unavailable("no answer in time".to_owned())
}

impl Table for SimulatedTable {
    async fn write(
        &self,
        writes: &[Write],
        as_of: Timestamp,
        token: Option<&str>,
    ) -> Result<Try<PutOutcome>, StoreError> {
        // The SDK invents a token for each request that has none.
        let invented = self.shared.as_ref().map_or(0, |shared| shared.lock().chance.number()).to_string();
        let request = Request { writes, as_of, token: token.unwrap_or(&invented) };
        let mut attempt = 1;
        loop {
            match self.write_once(request).await {
                Err(error) => self.again(&mut attempt, error).await?,
                done => return done,
            }
        }
    }

    async fn read(&self, keys: &[Place]) -> Result<(Vec<Row>, Vec<Place>), StoreError> {
        let mut attempt = 1;
        loop {
            match self.read_once(keys).await {
                Err(error) => self.again(&mut attempt, error).await?,
                done => return done,
            }
        }
    }

    async fn page(&self, range: &Range, from: Option<Row>) -> Result<Page, StoreError> {
        let mut attempt = 1;
        loop {
            match self.page_once(range, from.as_ref()).await {
                Err(error) => self.again(&mut attempt, error).await?,
                done => return done,
            }
        }
    }

    async fn targets(&self, from: Option<Row>) -> Result<Page, StoreError> {
        let mut attempt = 1;
        loop {
            match self.targets_once(from.as_ref()).await {
                Err(error) => self.again(&mut attempt, error).await?,
                done => return done,
            }
        }
    }

    fn name(&self) -> &str {
        "simulated"
    }

    fn now(&self) -> Timestamp {
        self.shared.as_ref().map_or(Timestamp::from_epoch_ms(0), |shared| timestamp(shared.lock().now_ms))
    }

    async fn sleep(&self, duration: Duration) {
        match &self.shared {
            // At least 1 ms, so that time advances.
            Some(shared) => shared.wait(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)).await,
            None => std::future::pending().await,
        }
    }
}
