//! Whether monitoring itself is complete, by the store alone: for `status` and `health`.

use std::collections::BTreeMap;

use monitor_domain::cycle::{DEFAULT_PENDING_LIMIT, Shortfall, StoredCycle};
use monitor_domain::fleet::Fleet;
use monitor_domain::subject::Subject;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::Query;
use monitor_pipeline::ports::{Clock, Store};
use monitor_pipeline::records::{self, Backlog, StoredFleet, StoredMonitor, read_fleet};
use monitor_telemetry::SystemClock;
use serde_json::{Value, json};

/// What is stored of the monitor and its targets.
pub(crate) struct Monitoring {
    /// The time of the decision.
    pub(crate) now: Timestamp,
    /// The last tick; `None` if no monitor has run on this store.
    pub(crate) ticked_at: Option<Timestamp>,
    /// Why monitoring is not complete; empty if it is, or if no monitor has run on this store.
    pub(crate) not_complete: Vec<String>,
    /// The watched targets, in order.
    pub(crate) fleets: Vec<Fleet>,
}

impl Monitoring {
    pub(crate) async fn read(store: &impl Store) -> anyhow::Result<Self> {
        let mut stored = Vec::new();
        for target in watched(store).await? {
            stored.push(read_fleet(store, &target).await?);
        }
        let now = SystemClock.now();
        let monitor = records::read_monitor(store, now).await?;
        let not_complete = shortfalls(store, &monitor, &stored, now).await.iter().map(Shortfall::to_string).collect();
        let fleets = stored.into_iter().map(|stored| stored.fleet).collect();
        Ok(Self { now, ticked_at: monitor.ticked_at, not_complete, fleets })
    }
}

/// The key `monitoring` of a command's JSON.
pub(crate) fn as_json(ticked_at: Option<Timestamp>, not_complete: &[String]) -> Value {
    json!({"lastTickAt": ticked_at, "notComplete": not_complete})
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
        cycle.targets.extend(watchlist.targets.iter().map(|target| {
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
pub(crate) async fn watched(store: &impl Store) -> anyhow::Result<Vec<Target>> {
    let items = store.list(&Query::Targets).await?;
    let targets = items.into_iter().filter_map(|item| match item {
        Item::Target(record) if record.watched_since.is_some() || record.failing.is_some() => Some(record.target),
        _ => None,
    });
    Ok(targets.collect())
}
