//! Counts the requests to a store.

use std::sync::atomic::{AtomicU64, Ordering};

/// A store's requests since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Gets and lists.
    pub reads: u64,
    /// Puts and deletes, including refused ones.
    pub writes: u64,
    /// Items written by puts.
    pub items_written: u64,
}

/// Counts as it goes.
#[derive(Debug, Default)]
pub struct Counting {
    reads: AtomicU64,
    writes: AtomicU64,
    items_written: AtomicU64,
}

impl Counting {
    /// Counts a get or a list.
    pub fn read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a put or a delete.
    pub fn write(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the items of a put.
    pub fn written(&self, items: usize) {
        self.items_written.fetch_add(u64::try_from(items).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The counts so far.
    pub fn total(&self) -> Counters {
        Counters {
            reads: self.reads.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            items_written: self.items_written.load(Ordering::Relaxed),
        }
    }
}
