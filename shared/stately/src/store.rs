//! The pipeline's `Store` on StatelyDB.

use std::collections::BTreeSet;

use monitor_domain::subject::Subject;
use monitor_domain::target::{Target, TargetId};
use monitor_pipeline::counters::{Counters, Counting};
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::{Key, Put, Query};
use monitor_pipeline::ports::{PutOutcome, Store, StoreError};

use crate::client::{Client, Form, List};
use crate::error::StatelyError;
use crate::fields;
use crate::items::{Reader, key_path, write};
use crate::key_path::KeyPath;
use crate::timer::{Timer, TokioTimer};
use crate::transport::Transport;
use crate::wire;

/// The most items in a batch. StatelyDB's limit is not documented. DynamoDB, which it is built on, takes 100 rows per
/// transaction, and an item with two key paths is two rows.
pub const MAX_BATCH: usize = 50;

/// The store on StatelyDB.
#[derive(Debug)]
pub struct StatelyStore<T, Ti = TokioTimer> {
    client: Client<T, Ti>,
    max_batch: usize,
    counting: Counting,
}

impl<T: Transport, Ti: Timer> StatelyStore<T, Ti> {
    /// A store over a client. Batches hold [`MAX_BATCH`] items.
    pub fn new(client: Client<T, Ti>) -> Self {
        Self { client, max_batch: MAX_BATCH, counting: Counting::default() }
    }

    /// The same store with another batch size, at least 10.
    #[must_use]
    pub fn with_max_batch(self, max_batch: usize) -> Self {
        Self { max_batch: max_batch.max(10), ..self }
    }

    /// The underlying client.
    pub fn client(&self) -> &Client<T, Ti> {
        &self.client
    }

    /// The requests since the store was created.
    pub fn counters(&self) -> Counters {
        self.counting.total()
    }

    fn read_all(&self, items: &[wire::Item]) -> Result<Vec<Item>, StoreError> {
        let mut reader = Reader::default();
        let mut read = Vec::with_capacity(items.len());
        for item in items {
            read.extend(reader.read(item)?);
        }
        Ok(read)
    }

    async fn listed(&self, list: List) -> Result<Vec<Item>, StoreError> {
        self.counting.read();
        // Zero means "all" on the wire.
        if list.limit == Some(0) {
            return Ok(Vec::new());
        }
        self.read_all(&self.client.list(&list).await.map_err(fault)?)
    }

    async fn got(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::with_capacity(keys.len());
        for keys in keys.chunks(self.max_batch) {
            self.counting.read();
            let paths: Vec<KeyPath> = keys.iter().map(key_path).collect();
            items.extend(self.read_all(&self.client.get(&paths, Form::Protobuf).await.map_err(fault)?)?);
        }
        let requested: BTreeSet<&Key> = keys.iter().collect();
        match items.iter().map(Item::key).find(|key| !requested.contains(key)) {
            Some(key) => Err(StoreError::Unreadable {
                key: key.to_string(),
                reason: "it was returned although another item was requested".to_owned(),
            }),
            None => Ok(items),
        }
    }

    /// Every target, by the watchlist: that costs one read per watched target, a scan reads everything ever stored.
    async fn targets(&self) -> Result<Vec<Item>, StoreError> {
        let mut ids: BTreeSet<TargetId> = BTreeSet::new();
        let watchlist = self.got(&[Key::Watchlist]).await?;
        let mut items = match watchlist.into_iter().next() {
            Some(Item::Watchlist(list)) => {
                ids.extend(list.checked().chain(&list.dropping).map(Target::id).cloned());
                let keys: Vec<Key> = ids.into_iter().map(Key::Target).collect();
                self.got(&keys).await?
            }
            _ => {
                self.counting.read();
                self.read_all(&self.client.scan(fields::REPOSITORY.name).await.map_err(fault)?)?
            }
        };
        items.sort_unstable_by_key(Item::key);
        Ok(items)
    }
}

impl<T: Transport, Ti: Timer> Store for StatelyStore<T, Ti> {
    async fn put(&self, puts: &[Put]) -> Result<PutOutcome, StoreError> {
        if puts.len() > self.max_batch {
            let (count, most) = (puts.len(), self.max_batch);
            return Err(StoreError::Refused(format!("a batch of {count} items is too large; at most {most}")));
        }
        if puts.is_empty() {
            return Ok(PutOutcome::Done);
        }
        let on_wire = puts.iter().map(|put| {
            let (item, must_not_exist) = (Some(write(&put.item)?), put.must_not_exist);
            Ok(wire::PutItem { item, must_not_exist, overwrite_metadata_timestamps: false })
        });
        let on_wire = on_wire.collect::<Result<Vec<_>, StoreError>>()?;
        self.counting.write();
        match self.client.put(on_wire).await {
            Ok(_) => {
                self.counting.written(puts.len());
                Ok(PutOutcome::Done)
            }
            Err(error) if error.is_conflict() => Ok(PutOutcome::Exists),
            Err(error) => Err(fault(error)),
        }
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        self.got(keys).await
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        let limited = |limit: usize| u32::try_from(limit).ok();
        match query {
            Query::Fleet(target) => {
                let prefix = KeyPath::new().text("fleet", target.as_str());
                self.listed(List { prefix, ..List::default() }).await
            }
            Query::Changes { subject, after, limit } => {
                let changes = || KeyPath::new().text("repo", &subject.to_string());
                let after_path = (after.0 > 0).then(|| changes().number("change", after.0));
                let prefix = changes().any("change");
                let items =
                    self.listed(List { prefix, after: after_path, limit: limited(*limit), ..List::default() }).await?;
                in_order(
                    items,
                    |key| if let Key::Change(_, revision) = key { Some(*revision) } else { None },
                    Some(*after),
                )
            }
            Query::Notifications { subject, limit } => {
                let prefix = KeyPath::new().text("repo", &subject.to_string()).any("notification");
                let items =
                    self.listed(List { prefix, descending: true, limit: limited(*limit), ..List::default() }).await?;
                let place = |key: &Key| match key {
                    Key::Sent(_, number) => Some(std::cmp::Reverse((*number, 1))),
                    Key::Claim(_, number) => Some(std::cmp::Reverse((*number, 0))),
                    _ => None,
                };
                in_order(items, place, None)
            }
            Query::Outages { target, runner } => {
                let of_target = KeyPath::new().text("repo", target.as_str());
                let prefix = match runner {
                    Some(runner) => of_target.number("runner", runner.0).any("outage"),
                    None => of_target.any("runner"),
                };
                let item_types = vec![fields::OUTAGE_EVENT.name];
                let mut items = self.listed(List { prefix, item_types, ..List::default() }).await?;
                items.sort_unstable_by_key(Item::key);
                Ok(items)
            }
            Query::Jobs { target } => {
                let prefix = KeyPath::new().text("repo", target.as_str()).any("job");
                let mut items = self.listed(List { prefix, ..List::default() }).await?;
                items.sort_unstable_by_key(Item::key);
                Ok(items)
            }
            Query::Mutes => {
                let prefix = KeyPath::new().text("repo", &Subject::Monitor.to_string()).any("mute");
                let mut items = self.listed(List { prefix, ..List::default() }).await?;
                items.sort_unstable_by_key(Item::key);
                Ok(items)
            }
            Query::Targets => self.targets().await,
        }
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        for keys in keys.chunks(self.max_batch) {
            self.counting.write();
            let paths: Vec<KeyPath> = keys.iter().map(key_path).collect();
            self.client.delete(&paths).await.map_err(fault)?;
        }
        Ok(())
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }
}

/// Verifies that a list with a limit is in numeric order. Only the official clients show that the service sorts numbers
/// by size; sorted by their digits, a limited list would leave out the latest items.
fn in_order<P: PartialOrd>(
    items: Vec<Item>,
    place: impl Fn(&Key) -> Option<P>,
    after: Option<P>,
) -> Result<Vec<Item>, StoreError> {
    let mut last = after;
    for item in &items {
        let key = item.key();
        let Some(next) = place(&key) else {
            let reason = "it was listed among items of another type".to_owned();
            return Err(StoreError::Unreadable { key: key.to_string(), reason });
        };
        if last.as_ref().is_some_and(|last| *last >= next) {
            let reason = "it was listed out of order: StatelyDB does not order these keys as numbers".to_owned();
            return Err(StoreError::Unreadable { key: key.to_string(), reason });
        }
        last = Some(next);
    }
    Ok(items)
}

/// Classifies errors by whether a retry may help.
fn fault(error: StatelyError) -> StoreError {
    match error.service() {
        Some(service) if matches!(&*service.rpc_code, "unauthenticated" | "permission_denied") => {
            StoreError::Denied(format!("{error}{}", hint(&error)))
        }
        Some(service) if !service.may_pass() => StoreError::Refused(format!("{error}{}", hint(&error))),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

fn hint(error: &StatelyError) -> &'static str {
    let Some(service) = error.service() else { return "" };
    match (&*service.stately_code, &*service.rpc_code) {
        ("SchemaVersionNotFound" | "SchemaNotFound" | "SchemaVersionMismatch", _) => {
            "; publish the schema of this release, see schema/README.md, and check STATELYDB_SCHEMA_ID"
        }
        (_, "unauthenticated") => "; check STATELYDB_ACCESS_KEY",
        (_, "permission_denied") => "; the access key must belong to the store",
        (_, "not_found") => "; check STATELYDB_STORE_ID, STATELYDB_SCHEMA_ID and STATELYDB_REGION",
        _ => "",
    }
}
