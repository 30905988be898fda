//! Whether monitoring itself is complete, by the store alone.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use monitor_domain::cycle::{DEFAULT_PENDING_LIMIT, Shortfall, StoredCycle};
use monitor_domain::fleet::Fleet;
use monitor_domain::subject::Subject;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;

use crate::items::Item;
use crate::keys::Query;
use crate::ports::{Clock, Store, StoreError};
use crate::records::{self, Backlog, StoredFleet, StoredMonitor, read_fleet};

/// How many fleets are read at the same time.
const READS_AT_ONCE: usize = 16;

/// What is stored of the monitor and its targets.
#[derive(Clone, Debug)]
pub struct Monitoring {
    /// The time of the decision.
    pub now: Timestamp,
    /// Why monitoring is not complete; empty if it is, or if no monitor has run on this store.
    pub not_complete: Vec<String>,
    /// The watched targets, in order, without the pages of their last check.
    pub fleets: Vec<Fleet>,
    /// The monitor's own records; without a last tick if no monitor has run on this store.
    pub monitor: StoredMonitor,
}

impl Monitoring {
    /// Reads the monitor's records and every watched fleet.
    ///
    /// # Errors
    ///
    /// The store's, of the first item that could not be read.
    pub async fn read(store: &impl Store, clock: &impl Clock) -> Result<Self, StoreError> {
        let mut stored = Vec::new();
        for targets in watched(store).await?.chunks(READS_AT_ONCE) {
            let mut read = try_join_all(targets.iter().map(|target| read_fleet(store, target))).await?;
            // Only a check needs the ETags, and the page keeps thousands of fleets.
            read.iter_mut().for_each(|stored| stored.fleet.record.pages = Vec::new());
            stored.append(&mut read);
        }
        let now = clock.now();
        let monitor = records::read_monitor(store, clock).await?;
        let not_complete = shortfalls(store, &monitor, &stored, now).await.iter().map(Shortfall::to_string).collect();
        let fleets = stored.into_iter().map(|stored| stored.fleet).collect();
        Ok(Self { now, not_complete, fleets, monitor })
    }
}

/// Why monitoring is not complete: by the last tick, each target's last check, and pending notifications.
async fn shortfalls(
    store: &impl Store,
    monitor: &StoredMonitor,
    stored: &[StoredFleet],
    now: Timestamp,
) -> Vec<Shortfall> {
    let mut cycle = StoredCycle { tick: monitor.ticked_at.zip(monitor.next_tick_at), ..StoredCycle::default() };
    let by_id: BTreeMap<_, _> = stored.iter().map(|stored| (stored.fleet.record.target.id(), &stored.fleet)).collect();
    let mut pending = Vec::new();
    if let Some(watchlist) = &monitor.watchlist {
        pending.push((Subject::Monitor, Backlog::from(watchlist), monitor.cursor.as_ref()));
        cycle.targets.extend(watchlist.checked().map(|target| {
            let fleet = by_id.get(target.id());
            let is_failing = fleet.is_some_and(|fleet| fleet.record.failing.is_some());
            (target.id().clone(), fleet.and_then(|fleet| fleet.seen_at()), is_failing)
        }));
    }
    for StoredFleet { fleet, cursor } in stored {
        let record = &fleet.record;
        pending.push((Subject::from(&record.target), Backlog::from(record), cursor.as_ref()));
    }
    for (subject, backlog, cursor) in pending {
        let since = records::pending_since(store, &subject, backlog, cursor).await;
        cycle.pending_since = cycle.pending_since.into_iter().chain(since).min();
    }
    cycle.shortfalls(DEFAULT_PENDING_LIMIT, now)
}

/// The watched targets, in order.
pub async fn watched(store: &impl Store) -> Result<Vec<Target>, StoreError> {
    let items = store.list(&Query::Targets).await?;
    let targets = items.into_iter().filter_map(|item| match item {
        Item::Target(record) if record.watched_since.is_some() || record.failing.is_some() => Some(record.target),
        _ => None,
    });
    Ok(targets.collect())
}
