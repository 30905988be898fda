//! The items of one store in the order of their keys.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::keys::{KeyPath, Prefix};
use crate::record::Record;

/// A stored item. It is stored under each of its keys.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) item_type: String,
    pub(crate) keys: Vec<KeyPath>,
    pub(crate) record: Record,
    /// The record as protobuf.
    pub(crate) proto: Vec<u8>,
    pub(crate) created_ms: i64,
    pub(crate) created_version: u64,
    pub(crate) expires_ms: Option<i64>,
}

/// One store. A clone is cheap enough to serve as a transaction's snapshot.
#[derive(Clone, Default)]
pub(crate) struct Table {
    by_key: BTreeMap<KeyPath, Arc<Stored>>,
    expiring: BTreeSet<(i64, KeyPath)>,
    /// How often each group was written.
    versions: BTreeMap<KeyPath, u64>,
    /// The last generated number, by parent and item type.
    sequences: BTreeMap<(KeyPath, String), u64>,
}

/// A range of keys to list.
pub(crate) struct Walk<'a> {
    pub(crate) prefix: &'a Prefix,
    pub(crate) lower: Bound<KeyPath>,
    pub(crate) upper: Bound<KeyPath>,
    pub(crate) descending: bool,
}

impl Table {
    pub(crate) fn get(&self, key: &KeyPath) -> Option<&Arc<Stored>> {
        self.by_key.get(key)
    }

    /// Every item once, by its first key.
    pub(crate) fn items(&self) -> impl Iterator<Item = (&KeyPath, &Arc<Stored>)> {
        self.by_key.iter().filter(|(key, item)| item.keys.first() == Some(*key))
    }

    /// The number of items.
    pub(crate) fn len(&self) -> usize {
        self.items().count()
    }

    pub(crate) fn insert(&mut self, item: Stored) {
        if let Some(first) = item.keys.first() {
            self.remove(&first.clone());
        }
        let item = Arc::new(item);
        if let (Some(expires_ms), Some(first)) = (item.expires_ms, item.keys.first()) {
            self.expiring.insert((expires_ms, first.clone()));
        }
        for key in &item.keys {
            self.by_key.insert(key.clone(), Arc::clone(&item));
        }
    }

    /// Removes an item under all of its keys; `key` is any of them.
    pub(crate) fn remove(&mut self, key: &KeyPath) {
        let Some(item) = self.by_key.get(key).map(Arc::clone) else { return };
        if let (Some(expires_ms), Some(first)) = (item.expires_ms, item.keys.first()) {
            self.expiring.remove(&(expires_ms, first.clone()));
        }
        for key in &item.keys {
            self.by_key.remove(key);
        }
    }

    /// Removes expired items.
    pub(crate) fn expire(&mut self, now_ms: i64) {
        while let Some((expires_ms, key)) = self.expiring.first().cloned() {
            if expires_ms > now_ms {
                return;
            }
            self.expiring.pop_first();
            self.remove(&key);
        }
    }

    /// A group's version, which grows with each batch that writes to the group.
    pub(crate) fn version(&self, group: &KeyPath) -> u64 {
        self.versions.get(group).copied().unwrap_or_default()
    }

    pub(crate) fn raise_version(&mut self, group: &KeyPath) {
        *self.versions.entry(group.clone()).or_default() += 1;
    }

    /// The next number below a parent for items of a type, from 1.
    pub(crate) fn next_in_sequence(&mut self, parent: KeyPath, item_type: &str) -> u64 {
        let last = self.sequences.entry((parent, item_type.to_owned())).or_default();
        *last += 1;
        *last
    }

    /// The items that a prefix covers between two bounds, in order.
    pub(crate) fn walk(&self, walk: Walk<'_>) -> Vec<(&KeyPath, &Arc<Stored>)> {
        let start = walk.prefix.start();
        let lower = match walk.lower {
            Bound::Unbounded => Bound::Included(start),
            // A bound before the prefix does not widen the range.
            Bound::Included(key) | Bound::Excluded(key) if key < start => Bound::Included(start),
            bound => bound,
        };
        if is_empty(&lower, &walk.upper) {
            return Vec::new();
        }
        let range = self.by_key.range((lower, walk.upper));
        let enclosed = range.take_while(|(key, _)| walk.prefix.encloses(key));
        let mut covered: Vec<_> = enclosed.filter(|(key, _)| walk.prefix.covers(key)).collect();
        if walk.descending {
            covered.reverse();
        }
        covered
    }
}

/// Whether no key can be between two bounds; `BTreeMap::range` panics on crossed bounds.
fn is_empty(lower: &Bound<KeyPath>, upper: &Bound<KeyPath>) -> bool {
    match (lower, upper) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => low >= high,
        _ => false,
    }
}
