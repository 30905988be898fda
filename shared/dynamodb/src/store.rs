//! The pipeline's `Store` on a DynamoDB table.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, Delete, KeysAndAttributes, Put as PutRow, ReturnConsumedCapacity,
    TransactWriteItem,
};
use aws_smithy_async::rt::sleep::{AsyncSleep as _, SharedAsyncSleep, default_async_sleep};
use aws_smithy_async::time::SharedTimeSource;
use monitor_domain::time::Timestamp;
use monitor_pipeline::counters::{Counters, Counting};
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::{Key, Put, Query};
use monitor_pipeline::ports::{PutOutcome, Store, StoreError};

use crate::error::fault;
use crate::layout::{KEY, Place, Range, SORT_KEY, SortKeys, TARGETS_INDEX, TARGETS_INDEX_KEY};
use crate::parts;
use crate::row::{self, EXPIRES_AT, Row};

/// The most items in a put. DynamoDB takes 100 rows in a transaction (`TransactWriteItems`, API Reference); ten of them
/// are left for the other parts of large items.
pub const MAX_BATCH: usize = 90;
/// The most rows in a transaction, and in a read by keys.
const MAX_ROWS: usize = 100;
/// How often a request is sent that other requests get in the way of, or that is answered in part.
const MAX_TRIES: u32 = 8;
/// The longest pause before the second try; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// The store on DynamoDB. The SDK's futures are boxed where they are awaited: each is tens of kilobytes.
#[derive(Debug)]
pub struct DynamoStore {
    client: Client,
    table: String,
    time: SharedTimeSource,
    sleep: Option<SharedAsyncSleep>,
    /// Spreads the pauses of processes that get in each other's way.
    jitter: AtomicU64,
    counting: Counting,
    consumed: Mutex<Consumed>,
}

/// What AWS charges for a store's requests: units of 4 KB read and of 1 KB written.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Consumed {
    /// Read request units.
    pub read_units: f64,
    /// Write request units.
    pub write_units: f64,
}

/// A row to be put, and whether none may exist under its key.
struct RowPut {
    row: Row,
    must_not_exist: bool,
}

/// How a single try ended.
enum Try<T> {
    Done(T),
    /// Another request was in the way, or the table is throttled.
    Again(String),
}

impl DynamoStore {
    /// The store in a table that exists. `jitter_seed` should differ between processes.
    pub fn new(client: Client, table: impl Into<String>, jitter_seed: u64) -> Self {
        let time = client.config().time_source().unwrap_or_default();
        let sleep = client.config().sleep_impl().or_else(default_async_sleep);
        Self {
            client,
            table: table.into(),
            time,
            sleep,
            jitter: AtomicU64::new(jitter_seed),
            counting: Counting::default(),
            consumed: Mutex::default(),
        }
    }

    /// The requests since the store was created.
    pub fn counters(&self) -> Counters {
        self.counting.total()
    }

    /// The units consumed since the store was created, as DynamoDB reports them.
    pub fn consumed(&self) -> Consumed {
        *self.consumed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn consume_write(&self, capacity: &[ConsumedCapacity]) {
        let units: f64 = capacity.iter().filter_map(ConsumedCapacity::capacity_units).sum();
        self.consumed.lock().unwrap_or_else(PoisonError::into_inner).write_units += units;
    }

    fn consume_read(&self, capacity: &[ConsumedCapacity]) {
        let units: f64 = capacity.iter().filter_map(ConsumedCapacity::capacity_units).sum();
        self.consumed.lock().unwrap_or_else(PoisonError::into_inner).read_units += units;
    }

    fn now(&self) -> Timestamp {
        let since = self.time.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_epoch_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Repeats what only other requests hindered.
    async fn persist<T, F>(&self, send: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<Try<T>, StoreError>>,
    {
        let mut longest = FIRST_PAUSE;
        for tries in 1.. {
            match send().await? {
                Try::Done(done) => return Ok(done),
                Try::Again(reason) if tries == MAX_TRIES => {
                    return Err(StoreError::Unavailable(format!("DynamoDB: {reason} in {tries} tries")));
                }
                Try::Again(_) => {
                    self.pause(longest).await;
                    longest = (longest * 2).min(LONGEST_PAUSE);
                }
            }
        }
        unreachable!("the tries are counted up to MAX_TRIES")
    }

    /// Waits for half of `longest` up to all of it.
    async fn pause(&self, longest: Duration) {
        let mut hasher = DefaultHasher::new();
        self.jitter.fetch_add(1, Ordering::Relaxed).hash(&mut hasher);
        let share = u32::try_from(hasher.finish() % 1_000).unwrap_or_default();
        if let Some(sleep) = &self.sleep {
            sleep.sleep(longest / 2 + longest * share / 2_000).await;
        }
    }

    /// The rows of these places that exist, in any order.
    async fn rows(&self, places: impl IntoIterator<Item = Place>) -> Result<BTreeMap<Place, Row>, StoreError> {
        let places: BTreeSet<Place> = places.into_iter().collect();
        let places: Vec<Place> = places.into_iter().collect();
        let mut rows = BTreeMap::new();
        for places in places.chunks(MAX_ROWS) {
            self.counting.read();
            let left = Mutex::new(places.iter().map(row::at).collect::<Vec<Row>>());
            let found = Mutex::new(Vec::new());
            self.persist(|| self.rows_once(&left, &found)).await?;
            let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
            rows.extend(found.into_iter().map(|row| (row::place(&row), row)));
        }
        Ok(rows)
    }

    /// Reads the keys in `left` and removes those that are answered.
    async fn rows_once(&self, left: &Mutex<Vec<Row>>, found: &Mutex<Vec<Row>>) -> Result<Try<()>, StoreError> {
        let keys = left.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let requested = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        let requested = requested.map_err(|error| StoreError::Refused(error.to_string()))?;
        let request = self
            .client
            .batch_get_item()
            .request_items(&self.table, requested)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = Box::pin(request.send()).await.map_err(|error| fault(&error))?;
        self.consume_read(answer.consumed_capacity());
        let rows = answer.responses.unwrap_or_default().remove(&self.table).unwrap_or_default();
        found.lock().unwrap_or_else(PoisonError::into_inner).extend(rows);
        match answer.unprocessed_keys.unwrap_or_default().remove(&self.table) {
            Some(unanswered) if !unanswered.keys.is_empty() => {
                *left.lock().unwrap_or_else(PoisonError::into_inner) = unanswered.keys;
                Ok(Try::Again("items were not answered".to_owned()))
            }
            _ => Ok(Try::Done(())),
        }
    }

    /// Up to `limit` live rows of a range, page by page.
    async fn range(&self, range: &Range) -> Result<Vec<Row>, StoreError> {
        let mut rows: Vec<Row> = Vec::new();
        if range.limit == 0 {
            return Ok(rows);
        }
        let now = self.now();
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .scan_index_forward(!range.descending)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .expression_attribute_values(":pk", text(&range.partition));
        query = match &range.sort {
            SortKeys::StartingWith(prefix) => query
                .key_condition_expression(format!("{KEY} = :pk AND begins_with({SORT_KEY}, :prefix)"))
                .expression_attribute_values(":prefix", text(prefix)),
            SortKeys::Between(first, last) => query
                .key_condition_expression(format!("{KEY} = :pk AND {SORT_KEY} BETWEEN :first AND :last"))
                .expression_attribute_values(":first", text(first))
                .expression_attribute_values(":last", text(last)),
        };
        let mut start = None;
        loop {
            // Expired rows count against the limit of a page, so further pages may be needed.
            let wanted = range.limit.saturating_sub(rows.len());
            let page = query.clone().set_exclusive_start_key(start).set_limit(i32::try_from(wanted).ok());
            let answer = Box::pin(page.send()).await.map_err(|error| fault(&error))?;
            self.counting.read();
            self.consume_read(answer.consumed_capacity.as_slice());
            rows.extend(answer.items.unwrap_or_default().into_iter().filter(|row| !row::has_expired(row, now)));
            start = answer.last_evaluated_key;
            if start.is_none() || rows.len() >= range.limit {
                return Ok(rows);
            }
        }
    }

    /// The keys of all targets. The index may lack one that was put within the last second.
    async fn targets(&self) -> Result<Vec<Place>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(TARGETS_INDEX)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .key_condition_expression("#list = :targets")
            .expression_attribute_names("#list", TARGETS_INDEX_KEY)
            .expression_attribute_values(":targets", AttributeValue::S(TARGETS_INDEX.to_owned()));
        let mut places = Vec::new();
        let mut start = None;
        loop {
            let page = query.clone().set_exclusive_start_key(start);
            let answer = Box::pin(page.send()).await.map_err(|error| fault(&error))?;
            self.counting.read();
            self.consume_read(answer.consumed_capacity.as_slice());
            places
                .extend(answer.items.unwrap_or_default().iter().map(|row| Place::of_target(row::place(row).partition)));
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(places);
            }
        }
    }

    /// Reads the items of rows, in their order, with the other parts of those that have some.
    async fn items(&self, rows: Vec<Row>) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            let others = parts::others(&row);
            let row = if others.is_empty() { Some(row) } else { self.whole(row, others).await? };
            if let Some(row) = row {
                items.extend(row::read(&row)?);
            }
        }
        Ok(items)
    }

    /// A row with its other parts; `None` if it was deleted meanwhile.
    async fn whole(&self, first: Row, others: Vec<Place>) -> Result<Option<Row>, StoreError> {
        let (mut first, mut others) = (first, others);
        for _ in 0..MAX_TRIES {
            let rows = self.rows(others.iter().cloned()).await?;
            if let Some(row) = parts::join(&first, others.iter().map(|place| rows.get(place))) {
                return Ok(Some(row));
            }
            // Another put came between the two reads.
            let place = row::place(&first);
            let Some(newer) = self.rows([place.clone()]).await?.remove(&place) else { return Ok(None) };
            others = parts::others(&newer);
            first = newer;
        }
        Err(row::unreadable(&first, "its parts do not belong together"))
    }

    /// Puts one row, which costs half of a transaction.
    async fn put_row(&self, put: &RowPut, now: Timestamp) -> Result<Try<PutOutcome>, StoreError> {
        let mut request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(put.row.clone()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        if put.must_not_exist {
            request = request
                .condition_expression(absent())
                .expression_attribute_values(":now", AttributeValue::N(now.epoch_secs().to_string()));
        }
        match Box::pin(request.send()).await {
            Ok(answer) => {
                self.consume_write(answer.consumed_capacity.as_slice());
                Ok(Try::Done(PutOutcome::Done))
            }
            Err(SdkError::ServiceError(refused)) if refused.err().is_conditional_check_failed_exception() => {
                Ok(Try::Done(PutOutcome::Exists))
            }
            Err(SdkError::ServiceError(refused))
                if matches!(refused.err(), PutItemError::TransactionConflictException(_)) =>
            {
                Ok(Try::Again("TransactionConflict".to_owned()))
            }
            Err(error) => Err(fault(&error)),
        }
    }

    /// Sends a transaction.
    async fn transact(
        &self,
        actions: &[TransactWriteItem],
        token: Option<&str>,
    ) -> Result<Try<PutOutcome>, StoreError> {
        let request = self
            .client
            .transact_write_items()
            .set_transact_items(Some(actions.to_vec()))
            .set_client_request_token(token.map(str::to_owned))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let error = match Box::pin(request.send()).await {
            Ok(answer) => {
                self.consume_write(answer.consumed_capacity());
                return Ok(Try::Done(PutOutcome::Done));
            }
            Err(error) => error,
        };
        if let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() {
            let codes = || cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
            if codes().any(|code| code == "ConditionalCheckFailed") {
                return Ok(Try::Done(PutOutcome::Exists));
            }
            // Another transaction touched an item at that moment, or the table is throttled: nothing was put.
            let is_passing = |code: &str| {
                matches!(code, "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
            };
            let (passing, lasting): (Vec<&str>, Vec<&str>) =
                codes().filter(|code| *code != "None").partition(|code| is_passing(code));
            if let ([first, ..], []) = (&passing[..], &lasting[..]) {
                return Ok(Try::Again((*first).to_owned()));
            }
            return Err(StoreError::Refused(format!("DynamoDB: {}", because(cancelled))));
        }
        Err(fault(&error))
    }

    fn transaction(&self, rows: Vec<RowPut>, now: Timestamp) -> Result<Vec<TransactWriteItem>, StoreError> {
        let action = |put: RowPut| {
            let mut request = PutRow::builder().table_name(&self.table).set_item(Some(put.row));
            if put.must_not_exist {
                request = request
                    .condition_expression(absent())
                    .expression_attribute_values(":now", AttributeValue::N(now.epoch_secs().to_string()));
            }
            let request = request.build().map_err(|error| StoreError::Refused(error.to_string()))?;
            Ok(TransactWriteItem::builder().put(request).build())
        };
        rows.into_iter().map(action).collect()
    }
}

/// No live row exists under the key.
fn absent() -> String {
    format!("attribute_not_exists({KEY}) OR {EXPIRES_AT} <= :now")
}

/// Why a transaction was cancelled: the reasons of its items, without those that had none.
fn because(cancelled: &aws_sdk_dynamodb::types::error::TransactionCanceledException) -> String {
    let reasons = cancelled.cancellation_reasons().iter().filter(|reason| reason.code() != Some("None"));
    let texts: BTreeSet<String> = reasons
        .map(|reason| format!("{}: {}", reason.code().unwrap_or_default(), reason.message().unwrap_or_default()))
        .collect();
    texts.into_iter().collect::<Vec<_>>().join("; ")
}

/// The token of a put that may happen only once: a repeat within ten minutes, for example after its answer was lost, is
/// answered as the first one was. Other puts may be repeated with the same content and must then be done again.
fn token(table: &str, puts: &[Put], rows: &[RowPut]) -> Option<String> {
    if !puts.iter().any(|put| put.must_not_exist) {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    // Tokens are those of the account, not of the table.
    table.hash(&mut hasher);
    for RowPut { row, must_not_exist } in rows {
        must_not_exist.hash(&mut hasher);
        let mut attributes: Vec<(&String, &AttributeValue)> = row.iter().collect();
        attributes.sort_unstable_by_key(|(name, _)| *name);
        for (name, value) in attributes {
            name.hash(&mut hasher);
            match value {
                AttributeValue::S(text) | AttributeValue::N(text) => text.as_bytes().hash(&mut hasher),
                AttributeValue::B(bytes) => bytes.as_ref().hash(&mut hasher),
                _ => {}
            }
        }
    }
    Some(format!("{:016x}", hasher.finish()))
}

impl Store for DynamoStore {
    async fn put(&self, puts: Vec<Put>) -> Result<PutOutcome, StoreError> {
        if puts.len() > MAX_BATCH {
            let count = puts.len();
            return Err(StoreError::Refused(format!("a batch of {count} items is too large; at most {MAX_BATCH}")));
        }
        let now = self.now();
        let mut rows = Vec::with_capacity(puts.len());
        for put in &puts {
            let mut must_not_exist = put.must_not_exist;
            for row in parts::write(&put.item)? {
                rows.push(RowPut { row, must_not_exist });
                // The parts of an earlier item may still be there.
                must_not_exist = false;
            }
        }
        self.counting.write();
        let outcome = match &rows[..] {
            [] => return Ok(PutOutcome::Done),
            [row] => self.persist(|| self.put_row(row, now)).await?,
            _ => {
                if rows.len() > MAX_ROWS {
                    return Err(StoreError::Refused(format!(
                        "the {} items of a batch need {} rows; DynamoDB takes {MAX_ROWS}",
                        puts.len(),
                        rows.len()
                    )));
                }
                let token = token(&self.table, &puts, &rows);
                let actions = self.transaction(rows, now)?;
                self.persist(|| self.transact(&actions, token.as_deref())).await?
            }
        };
        if outcome == PutOutcome::Done {
            self.counting.written(puts.len());
        }
        Ok(outcome)
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        let now = self.now();
        let rows = self.rows(keys.iter().map(Place::of)).await?;
        self.items(rows.into_values().filter(|row| !row::has_expired(row, now)).collect()).await
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        let Some(range) = Range::of(query) else {
            let places = self.targets().await?;
            let mut items = self.items(self.rows(places).await?.into_values().collect()).await?;
            items.sort_unstable_by_key(Item::key);
            return Ok(items);
        };
        self.items(self.range(&range).await?).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        let places: BTreeSet<Place> = keys.iter().map(Place::of).collect();
        let places: Vec<Place> = places.into_iter().collect();
        for places in places.chunks(MAX_ROWS) {
            self.counting.write();
            let action = |place: &Place| {
                let delete = Delete::builder().table_name(&self.table).set_key(Some(row::at(place))).build();
                let delete = delete.map_err(|error| StoreError::Refused(error.to_string()))?;
                Ok(TransactWriteItem::builder().delete(delete).build())
            };
            let actions: Vec<TransactWriteItem> = places.iter().map(action).collect::<Result<_, StoreError>>()?;
            let _ = self.persist(|| self.transact(&actions, None)).await?;
        }
        Ok(())
    }

    fn max_batch(&self) -> usize {
        MAX_BATCH
    }
}
