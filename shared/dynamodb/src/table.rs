//! The requests that the store sends to a table.

use std::future::Future;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use monitor_domain::time::Timestamp;
use monitor_pipeline::ports::{PutOutcome, StoreError};

use crate::layout::{Place, Range};
use crate::row::{self, EXPIRES_AT, Row};

/// A DynamoDB table, or a simulated one.
pub trait Table: Send + Sync {
    /// Carries out all writes in one transaction, or none. A row that had expired by `as_of` does not exist. `token`
    /// makes a repeat of the same writes with the same `as_of` harmless.
    fn write(
        &self,
        writes: &[Write],
        as_of: Timestamp,
        token: Option<&str>,
    ) -> impl Future<Output = Result<Try<PutOutcome>, StoreError>> + Send;

    /// Reads rows by their keys, strongly consistent. Returns the rows, and the keys that were not processed.
    fn read(&self, keys: &[Place]) -> impl Future<Output = Result<(Vec<Row>, Vec<Place>), StoreError>> + Send;

    /// Reads a page of a range, strongly consistent.
    fn page(&self, range: &Range, from: Option<Row>) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Reads a page of the index of targets. It may lack a target that was put within the last second.
    fn targets(&self, from: Option<Row>) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Identifies the table: two tables never share a token.
    fn name(&self) -> &str;

    /// The current time of day.
    fn now(&self) -> Timestamp;

    /// Waits.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// A write of one row.
#[derive(Clone, Debug)]
pub enum Write {
    /// Puts a row.
    Put {
        /// The row.
        row: Row,
        /// Whether it is refused if a live row exists under its key.
        must_not_exist: bool,
    },
    /// Deletes a row, if it exists.
    Delete(Place),
}

/// How a single request ended.
#[derive(Clone, Debug)]
pub enum Try<T> {
    /// It was answered.
    Done(T),
    /// Nothing was done, because another request was in the way or the table is throttled.
    Again(String),
}

/// Some rows of a range.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The rows, in order.
    pub rows: Vec<Row>,
    /// Where the next page starts; `None` after the last one.
    pub next: Option<Row>,
}

impl Write {
    /// Whether a put is refused because of the row that exists under its key.
    pub fn is_refused_by(&self, existing: Option<&Row>, as_of: Timestamp) -> bool {
        let Self::Put { must_not_exist, .. } = self else { return false };
        *must_not_exist && existing.is_some_and(|row| !row::has_expired(row, as_of))
    }

    /// The key of its row.
    pub fn place(&self) -> Place {
        match self {
            Self::Put { row, .. } => row::place(row),
            Self::Delete(place) => place.clone(),
        }
    }
}

/// The condition of a put that must not exist: no live row has its key. `:asOf` is [`as_of_value`].
pub(crate) fn absent() -> String {
    format!("attribute_not_exists({}) OR {EXPIRES_AT} <= :asOf", crate::layout::KEY)
}

/// A time as [`EXPIRES_AT`] has it.
pub(crate) fn as_of_value(as_of: Timestamp) -> AttributeValue {
    AttributeValue::N(as_of.epoch_secs().to_string())
}
