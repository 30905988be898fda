//! A table in DynamoDB, by the AWS SDK. Its futures are boxed where they are awaited: each is tens of kilobytes.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, Delete, KeysAndAttributes, Put, ReturnConsumedCapacity, TransactWriteItem,
};
use aws_smithy_async::rt::sleep::{AsyncSleep as _, SharedAsyncSleep, default_async_sleep};
use aws_smithy_async::time::SharedTimeSource;
use monitor_domain::time::Timestamp;
use monitor_pipeline::ports::{PutOutcome, StoreError};

use crate::error::fault;
use crate::layout::{KEY, Place, Range, SORT_KEY, SortKeys, TARGETS_INDEX, TARGETS_INDEX_KEY};
use crate::row::{self, Row};
use crate::table::{Page, Table, Try, Write, absent, as_of_value};

/// A table in DynamoDB.
#[derive(Debug)]
pub struct SdkTable {
    client: Client,
    name: String,
    time: SharedTimeSource,
    sleep: Option<SharedAsyncSleep>,
    consumed: Mutex<Consumed>,
}

/// What AWS charges for requests: units of 4 KB read and of 1 KB written.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Consumed {
    /// Read request units.
    pub read_units: f64,
    /// Write request units.
    pub write_units: f64,
}

impl SdkTable {
    /// The table of this name. Time and pauses are those of the client.
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        let time = client.config().time_source().unwrap_or_default();
        let sleep = client.config().sleep_impl().or_else(default_async_sleep);
        Self { client, name: name.into(), time, sleep, consumed: Mutex::default() }
    }

    /// The units consumed so far, as DynamoDB reports them.
    pub fn consumed(&self) -> Consumed {
        *self.consumed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, capacity: &[ConsumedCapacity], add: impl FnOnce(&mut Consumed, f64)) {
        let units: f64 = capacity.iter().filter_map(ConsumedCapacity::capacity_units).sum();
        add(&mut self.consumed.lock().unwrap_or_else(PoisonError::into_inner), units);
    }

    fn count_read(&self, capacity: &[ConsumedCapacity]) {
        self.count(capacity, |consumed, units| consumed.read_units += units);
    }

    fn count_write(&self, capacity: &[ConsumedCapacity]) {
        self.count(capacity, |consumed, units| consumed.write_units += units);
    }

    /// Puts one row, which costs half of a transaction.
    async fn put(&self, row: &Row, must_not_exist: bool, as_of: Timestamp) -> Result<Try<PutOutcome>, StoreError> {
        let mut request = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(row.clone()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        if must_not_exist {
            let as_of = as_of_value(as_of);
            request = request.condition_expression(absent()).expression_attribute_values(":asOf", as_of);
        }
        match Box::pin(request.send()).await {
            Ok(answer) => {
                self.count_write(answer.consumed_capacity.as_slice());
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

    fn action(&self, write: &Write, as_of: Timestamp) -> Result<TransactWriteItem, StoreError> {
        let refused = |error: aws_sdk_dynamodb::error::BuildError| StoreError::Refused(error.to_string());
        let action = TransactWriteItem::builder();
        Ok(match write {
            Write::Put { row, must_not_exist } => {
                let mut put = Put::builder().table_name(&self.name).set_item(Some(row.clone()));
                if *must_not_exist {
                    let as_of = as_of_value(as_of);
                    put = put.condition_expression(absent()).expression_attribute_values(":asOf", as_of);
                }
                action.put(put.build().map_err(refused)?).build()
            }
            Write::Delete(place) => {
                let delete = Delete::builder().table_name(&self.name).set_key(Some(row::at(place)));
                action.delete(delete.build().map_err(refused)?).build()
            }
        })
    }

    async fn page_of(&self, query: QueryFluentBuilder, from: Option<Row>) -> Result<Page, StoreError> {
        let query = query
            .table_name(&self.name)
            .set_exclusive_start_key(from)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = Box::pin(query.send()).await.map_err(|error| fault(&error))?;
        self.count_read(answer.consumed_capacity.as_slice());
        Ok(Page { rows: answer.items.unwrap_or_default(), next: answer.last_evaluated_key })
    }
}

impl Table for SdkTable {
    async fn write(
        &self,
        writes: &[Write],
        as_of: Timestamp,
        token: Option<&str>,
    ) -> Result<Try<PutOutcome>, StoreError> {
        if let [Write::Put { row, must_not_exist }] = writes {
            return self.put(row, *must_not_exist, as_of).await;
        }
        let actions: Vec<TransactWriteItem> =
            writes.iter().map(|write| self.action(write, as_of)).collect::<Result<_, StoreError>>()?;
        let request = self
            .client
            .transact_write_items()
            .set_transact_items(Some(actions))
            .set_client_request_token(token.map(str::to_owned))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match Box::pin(request.send()).await {
            Ok(answer) => {
                self.count_write(answer.consumed_capacity());
                Ok(Try::Done(PutOutcome::Done))
            }
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => ending_of(cancelled),
                _ => Err(fault(&error)),
            },
        }
    }

    async fn read(&self, keys: &[Place]) -> Result<(Vec<Row>, Vec<Place>), StoreError> {
        let keys = keys.iter().map(row::at).collect();
        let requested = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        let requested = requested.map_err(|error| StoreError::Refused(error.to_string()))?;
        let request = self
            .client
            .batch_get_item()
            .request_items(&self.name, requested)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = Box::pin(request.send()).await.map_err(|error| fault(&error))?;
        self.count_read(answer.consumed_capacity());
        let rows = answer.responses.into_iter().flat_map(|mut tables| tables.remove(&self.name)).flatten().collect();
        let unprocessed = answer.unprocessed_keys.into_iter().flat_map(|mut tables| tables.remove(&self.name));
        Ok((rows, unprocessed.flat_map(|left| left.keys).map(|key| row::place(&key)).collect()))
    }

    async fn page(&self, range: &Range, from: Option<Row>) -> Result<Page, StoreError> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let query = self
            .client
            .query()
            .consistent_read(true)
            .scan_index_forward(!range.descending)
            .set_limit(i32::try_from(range.limit).ok())
            .expression_attribute_values(":pk", text(&range.partition));
        let query = match &range.sort {
            SortKeys::StartingWith(prefix) => query
                .key_condition_expression(format!("{KEY} = :pk AND begins_with({SORT_KEY}, :prefix)"))
                .expression_attribute_values(":prefix", text(prefix)),
            SortKeys::Between(first, last) => query
                .key_condition_expression(format!("{KEY} = :pk AND {SORT_KEY} BETWEEN :first AND :last"))
                .expression_attribute_values(":first", text(first))
                .expression_attribute_values(":last", text(last)),
        };
        self.page_of(query, from).await
    }

    async fn targets(&self, from: Option<Row>) -> Result<Page, StoreError> {
        let query = self
            .client
            .query()
            .index_name(TARGETS_INDEX)
            .key_condition_expression("#list = :targets")
            .expression_attribute_names("#list", TARGETS_INDEX_KEY)
            .expression_attribute_values(":targets", AttributeValue::S(TARGETS_INDEX.to_owned()));
        self.page_of(query, from).await
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn now(&self) -> Timestamp {
        let since = self.time.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_epoch_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep(&self, duration: Duration) {
        if let Some(sleep) = &self.sleep {
            sleep.sleep(duration).await;
        }
    }
}

/// How a cancelled transaction ended. It has a reason for each action ("TransactWriteItems", API Reference).
fn ending_of(cancelled: &TransactionCanceledException) -> Result<Try<PutOutcome>, StoreError> {
    let reasons = || cancelled.cancellation_reasons().iter().filter(|reason| reason.code() != Some("None"));
    let codes: BTreeSet<&str> = reasons().filter_map(|reason| reason.code()).collect();
    if codes.contains("ConditionalCheckFailed") {
        return Ok(Try::Done(PutOutcome::Exists));
    }
    // Another transaction touched an item at that moment, or the table is throttled.
    const PASSING: [&str; 3] = ["ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"];
    if !codes.is_empty() && codes.iter().all(|code| PASSING.contains(code)) {
        return Ok(Try::Again(codes.into_iter().collect::<Vec<_>>().join(", ")));
    }
    let texts: BTreeSet<String> = reasons()
        .map(|reason| format!("{}: {}", reason.code().unwrap_or_default(), reason.message().unwrap_or_default()))
        .collect();
    Err(StoreError::Refused(format!("DynamoDB: {}", texts.into_iter().collect::<Vec<_>>().join("; "))))
}
