//! The pipeline's `Store` on a table.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use monitor_domain::time::Timestamp;
use monitor_pipeline::counters::{Counters, Counting};
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::{Key, Put, Query};
use monitor_pipeline::ports::{PutOutcome, Store, StoreError};

use crate::layout::{Place, Range};
use crate::parts;
use crate::row::{self, Row};
use crate::sdk::SdkTable;
use crate::table::{Page, Table, Try, Write};

/// The most items in a put. DynamoDB takes 100 rows in a transaction ("TransactWriteItems", API Reference); ten of them
/// are left for the other parts of large items.
pub const MAX_BATCH: usize = 90;
/// The most rows in a transaction, and in a read by keys.
const MAX_ROWS: usize = 100;
/// How often a request is sent that other requests get in the way of, or that is answered in part.
const MAX_TRIES: u32 = 8;
/// The longest pause before the second try; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// How long DynamoDB knows a token ("TransactWriteItems", API Reference). The time in conditions advances in steps of this
/// length, so that a repeat has the same condition: with another one, its token would be refused.
const TOKEN_LIFE_MS: u64 = 600_000;
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// The store on DynamoDB.
#[derive(Debug)]
pub struct DynamoStore<T = SdkTable> {
    table: T,
    max_batch: usize,
    /// Spreads the pauses of processes that get in each other's way.
    jitter: AtomicU64,
    counting: Counting,
}

impl DynamoStore {
    /// The store in a table that exists. `jitter_seed` should differ between processes.
    pub fn new(client: Client, table: impl Into<String>, jitter_seed: u64) -> Self {
        Self::over(SdkTable::new(client, table), jitter_seed)
    }
}

impl<T: Table> DynamoStore<T> {
    /// The store over a table. Batches hold [`MAX_BATCH`] items.
    pub fn over(table: T, jitter_seed: u64) -> Self {
        Self { table, max_batch: MAX_BATCH, jitter: AtomicU64::new(jitter_seed), counting: Counting::default() }
    }

    /// The same store with a smaller batch size, at least 10.
    #[must_use]
    pub fn with_max_batch(self, max_batch: usize) -> Self {
        Self { max_batch: max_batch.clamp(10, MAX_BATCH), ..self }
    }

    /// The table.
    pub fn table(&self) -> &T {
        &self.table
    }

    /// The requests since the store was created.
    pub fn counters(&self) -> Counters {
        self.counting.total()
    }

    /// Waits for half of the `longest` pause up to all of it.
    async fn pause(&self, longest: Duration) {
        let mut hasher = DefaultHasher::new();
        self.jitter.fetch_add(1, Ordering::Relaxed).hash(&mut hasher);
        let share = u32::try_from(hasher.finish() % 1_000).unwrap_or_default();
        self.table.sleep(longest / 2 + longest * share / 2_000).await;
    }

    /// Writes, and repeats what only other requests hindered.
    async fn write(&self, writes: &[Write]) -> Result<PutOutcome, StoreError> {
        self.counting.write();
        let now = self.table.now();
        let as_of = now.minus(Duration::from_millis(now.epoch_ms().unsigned_abs() % TOKEN_LIFE_MS));
        let token = token(self.table.name(), as_of, writes);
        let mut pauses = pauses();
        loop {
            match (self.table.write(writes, as_of, token.as_deref()).await?, pauses.next()) {
                (Try::Done(outcome), _) => return Ok(outcome),
                (Try::Again(_), Some(longest)) => self.pause(longest).await,
                (Try::Again(reason), None) => {
                    return Err(StoreError::Unavailable(format!("DynamoDB: {reason} in {MAX_TRIES} tries")));
                }
            }
        }
    }

    /// The rows of these places that exist.
    async fn rows(&self, places: impl IntoIterator<Item = Place>) -> Result<BTreeMap<Place, Row>, StoreError> {
        let places: BTreeSet<Place> = places.into_iter().collect();
        let places: Vec<Place> = places.into_iter().collect();
        let mut rows = BTreeMap::new();
        for places in places.chunks(MAX_ROWS) {
            let mut left = places.to_vec();
            let mut pauses = pauses();
            while !left.is_empty() {
                self.counting.read();
                let (found, unprocessed) = self.table.read(&left).await?;
                rows.extend(found.into_iter().map(|row| (row::place(&row), row)));
                // A busy table, or more than 16 MB. As long as something was answered, the next request follows at once.
                if !unprocessed.is_empty() && unprocessed.len() == left.len() {
                    let Some(longest) = pauses.next() else {
                        let reason = format!("DynamoDB: no item was answered in {MAX_TRIES} tries");
                        return Err(StoreError::Unavailable(reason));
                    };
                    self.pause(longest).await;
                }
                left = unprocessed;
            }
        }
        Ok(rows)
    }

    /// The live rows of a range, page by page.
    async fn range(&self, range: &Range) -> Result<Vec<Row>, StoreError> {
        let mut rows: Vec<Row> = Vec::new();
        let now = self.table.now();
        let mut left = range.clone();
        let mut from = None;
        while left.limit > 0 {
            self.counting.read();
            let Page { rows: found, next } = self.table.page(&left, from).await?;
            rows.extend(found.into_iter().filter(|row| !row::has_expired(row, now)));
            if next.is_none() {
                break;
            }
            // Expired rows count against the limit of a page, so further pages may be needed.
            left.limit = range.limit.saturating_sub(rows.len());
            from = next;
        }
        Ok(rows)
    }

    /// The places of all targets.
    async fn targets(&self) -> Result<Vec<Place>, StoreError> {
        let mut places = Vec::new();
        let mut from = None;
        loop {
            self.counting.read();
            let Page { rows, next } = self.table.targets(from).await?;
            places.extend(rows.iter().map(|row| Place::of_target(row::place(row).partition)));
            from = next;
            if from.is_none() {
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
}

/// The longest pause after each try but the last.
fn pauses() -> impl Iterator<Item = Duration> {
    (1..MAX_TRIES).scan(FIRST_PAUSE, |next, _| {
        let longest = *next;
        *next = (longest * 2).min(LONGEST_PAUSE);
        Some(longest)
    })
}

/// The token of a put that may happen only once: a repeat soon after, for example because its answer was lost, is answered
/// as the first one was. Other puts may be repeated with the same content and must then be done again.
fn token(table: &str, as_of: Timestamp, writes: &[Write]) -> Option<String> {
    if !writes.iter().any(|write| matches!(write, Write::Put { must_not_exist: true, .. })) {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    // Tokens are those of the account, not of the table.
    table.hash(&mut hasher);
    as_of.epoch_ms().hash(&mut hasher);
    for write in writes {
        let Write::Put { row, must_not_exist } = write else { continue };
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

impl<T: Table> Store for DynamoStore<T> {
    async fn put(&self, puts: &[Put]) -> Result<PutOutcome, StoreError> {
        if puts.len() > self.max_batch {
            let (count, most) = (puts.len(), self.max_batch);
            return Err(StoreError::Refused(format!("a batch of {count} items is too large; at most {most}")));
        }
        let mut writes = Vec::with_capacity(puts.len());
        for put in puts {
            let mut must_not_exist = put.must_not_exist;
            for row in parts::write(&put.item)? {
                writes.push(Write::Put { row, must_not_exist });
                // The parts of an earlier item may still be there.
                must_not_exist = false;
            }
        }
        if writes.is_empty() {
            return Ok(PutOutcome::Done);
        }
        if writes.len() > MAX_ROWS {
            let (items, rows) = (puts.len(), writes.len());
            return Err(StoreError::Refused(format!(
                "the {items} items of a batch need {rows} rows; DynamoDB takes {MAX_ROWS}"
            )));
        }
        let outcome = self.write(&writes).await?;
        if outcome == PutOutcome::Done {
            self.counting.written(puts.len());
        }
        Ok(outcome)
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        let now = self.table.now();
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
        let deletes: Vec<Write> = places.into_iter().map(Write::Delete).collect();
        for deletes in deletes.chunks(MAX_ROWS) {
            // A deletion has no condition, so its outcome is always the same.
            let _ = self.write(deletes).await?;
        }
        Ok(())
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }
}
