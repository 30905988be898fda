//! Stores between a real one and the code under test.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use monitor_domain::subject::Subject;
use monitor_domain::target::TargetId;

use super::lock;
use crate::items::Item;
use crate::keys::{Key, Put, Query};
use crate::ports::{PutOutcome, Store, StoreError};

/// What happens to a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutFault {
    /// It succeeds.
    None,
    /// It is done, but the answer is lost.
    AnswerLost,
    /// It is not done, and there is no answer.
    RequestLost,
}

/// A store with planned faults that counts its requests.
pub struct FaultyStore<'s, S> {
    store: &'s S,
    faults: Mutex<VecDeque<PutFault>>,
    down: Mutex<bool>,
    counts: Mutex<Requests>,
    written: Mutex<Vec<Key>>,
    /// The keys that cannot be read.
    spoilt: Mutex<Vec<Key>>,
}

/// Requests to a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Gets and lists.
    pub reads: u32,
    /// Puts.
    pub puts: u32,
    /// Deletes.
    pub deletes: u32,
}

impl<'s, S: Store> FaultyStore<'s, S> {
    /// A store without planned faults.
    pub fn over(store: &'s S) -> Self {
        Self {
            store,
            faults: Mutex::default(),
            down: Mutex::new(false),
            counts: Mutex::default(),
            written: Mutex::default(),
            spoilt: Mutex::default(),
        }
    }

    /// Plans the faults of the next puts, in order.
    pub fn plan(&self, faults: impl IntoIterator<Item = PutFault>) {
        lock(&self.faults).extend(faults);
    }

    /// While it is down, no put is done after the planned ones.
    pub fn go_down(&self, down: bool) {
        *lock(&self.down) = down;
    }

    /// Takes out the count of requests.
    pub fn take_requests(&self) -> Requests {
        std::mem::take(&mut lock(&self.counts))
    }

    /// Takes out the keys written so far.
    pub fn take_written(&self) -> Vec<Key> {
        std::mem::take(&mut lock(&self.written))
    }

    /// From now on, the item under this key cannot be read, until it is put again.
    pub fn spoil(&self, key: Key) {
        lock(&self.spoilt).push(key);
    }

    /// All spoilt items can be read again.
    pub fn heal(&self) {
        lock(&self.spoilt).clear();
    }

    fn readable(&self, is_asked_for: impl Fn(&Key) -> bool) -> Result<(), StoreError> {
        match lock(&self.spoilt).iter().find(|key| is_asked_for(key)) {
            Some(key) => {
                Err(StoreError::Unreadable { key: key.to_string(), reason: "half of it is missing".to_owned() })
            }
            None => Ok(()),
        }
    }

    fn unavailable() -> StoreError {
        StoreError::Unavailable("no answer in time".to_owned())
    }
}

impl<S: Store> Store for FaultyStore<'_, S> {
    async fn put(&self, puts: &[Put]) -> Result<PutOutcome, StoreError> {
        lock(&self.counts).puts += 1;
        let planned = lock(&self.faults).pop_front();
        let fault = match planned {
            Some(fault) => fault,
            None if *lock(&self.down) => PutFault::RequestLost,
            None => PutFault::None,
        };
        if fault == PutFault::RequestLost {
            return Err(Self::unavailable());
        }
        lock(&self.written).extend(puts.iter().map(|put| put.item.key()));
        lock(&self.spoilt).retain(|key| !puts.iter().any(|put| put.item.key() == *key));
        let outcome = self.store.put(puts).await;
        // Other tasks may run between a write and its answer.
        tokio::task::yield_now().await;
        if fault == PutFault::AnswerLost { Err(Self::unavailable()) } else { outcome }
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        lock(&self.counts).reads += 1;
        tokio::task::yield_now().await;
        self.readable(|key| keys.contains(key))?;
        self.store.get(keys).await
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        lock(&self.counts).reads += 1;
        tokio::task::yield_now().await;
        self.readable(|key| match query {
            Query::Fleet(target) => {
                let is_of_fleet = matches!(key, Key::Target(_) | Key::Runner(..) | Key::LastSeen(..) | Key::Cursor(_));
                is_of_fleet && key.subject() == Subject::Target(target.clone())
            }
            Query::Changes { subject, after, .. } => {
                matches!(key, Key::Change(of, revision) if of == subject && revision > after)
            }
            Query::Jobs { target } => matches!(key, Key::Job(of, _) if of == target),
            _ => false,
        })?;
        self.store.list(query).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        lock(&self.counts).deletes += 1;
        self.store.delete(keys).await
    }

    fn max_batch(&self) -> usize {
        self.store.max_batch()
    }
}

/// A slow store that never answers about the runners of some targets.
pub struct SlowStore<'s, S> {
    store: &'s S,
    delay: Duration,
    lost: Mutex<Vec<TargetId>>,
    all_lost: Mutex<bool>,
}

impl<'s, S: Store> SlowStore<'s, S> {
    /// A store in which every answer takes `delay` of the runtime's time.
    pub fn over(store: &'s S, delay: Duration) -> Self {
        Self { store, delay, lost: Mutex::default(), all_lost: Mutex::new(false) }
    }

    /// From now on, reads of a target's fleet get no answer.
    pub fn lose(&self, target: TargetId) {
        lock(&self.lost).push(target);
    }

    /// From now on, no request gets an answer.
    pub fn lose_all(&self) {
        *lock(&self.all_lost) = true;
    }

    async fn answer(&self) -> Result<(), StoreError> {
        tokio::time::sleep(self.delay).await;
        if *lock(&self.all_lost) { Err(StoreError::Unavailable("no answer in time".to_owned())) } else { Ok(()) }
    }
}

impl<S: Store> Store for SlowStore<'_, S> {
    async fn put(&self, puts: &[Put]) -> Result<PutOutcome, StoreError> {
        self.answer().await?;
        self.store.put(puts).await
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        self.answer().await?;
        self.store.get(keys).await
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        self.answer().await?;
        match query {
            Query::Fleet(target) if lock(&self.lost).contains(target) => {
                Err(StoreError::Unavailable("no answer in time".to_owned()))
            }
            query => self.store.list(query).await,
        }
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        self.answer().await?;
        self.store.delete(keys).await
    }

    fn max_batch(&self) -> usize {
        self.store.max_batch()
    }
}
