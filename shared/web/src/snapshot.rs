//! The state that every page shows. However many pages are open, the store is read once for all of them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use monitor_domain::fleet::Fleet;
use monitor_domain::outage::Outage;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_pipeline::chat_notes::{ChatNote, ChatNotes};
use monitor_pipeline::items::MessagePlace;
use monitor_pipeline::monitoring::Monitoring;
use monitor_pipeline::ports::{Clock, Store, StoreError};
use monitor_pipeline::records::read_outages;
use serde_json::json;
use tokio::sync::{Mutex, RwLock};
use tokio::time::Instant;

use crate::text::escaped;
use crate::view::{self, TargetView, VersionEnds, version_ends};

/// The store is read for a new state at most for one part of the time in this many.
const SHARE: u32 = 20;
/// The outages of all targets take one read for each target, so they may be older than the state by this factor.
const OUTAGES_SHARE: u32 = 10;

/// How long an error of the store is given to those who ask.
const FAILURE_LASTS: Duration = Duration::from_secs(1);
/// How many targets are read at the same time.
const READS_AT_ONCE: usize = 16;
/// How many targets are written at the same time.
const WRITTEN_AT_ONCE: usize = 32;

/// How many outages of all targets are kept in memory; the pages of a target and of a runner have all of their own.
pub(crate) const MOST_OUTAGES: usize = 5_000;
/// How many more are held while they are read, so that they are sorted less often.
const SPARE_OUTAGES: usize = 1_000;

/// Everything that is known of a fleet at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// When it was read, and what is stored of the monitor and its targets.
    pub(crate) monitoring: Monitoring,
    /// When versions of the runner end.
    pub(crate) ends: VersionEnds,
    /// Differs if anything else than the time of reading differs.
    pub(crate) tag: u64,
}

impl Snapshot {
    async fn read(store: &impl Store, clock: &impl Clock) -> Result<Self, StoreError> {
        let monitoring = Monitoring::read(store, clock).await?;
        let mut snapshot = Self { monitoring, ends: VersionEnds::new(), tag: 0 };
        snapshot.ends = version_ends(store, &snapshot.targets()).await?;
        let mut hasher = DefaultHasher::new();
        snapshot.monitoring.not_complete.hash(&mut hasher);
        snapshot.monitoring.monitor.ticked_at.map(Timestamp::epoch_ms).hash(&mut hasher);
        snapshot.ends.hash(&mut hasher);
        for fleet in snapshot.fleets() {
            // It cannot fail: the hasher takes everything.
            let _ = serde_json::to_writer(Hashed(&mut hasher), &TargetView::of(fleet, &snapshot.ends));
        }
        snapshot.tag = hasher.finish();
        Ok(snapshot)
    }

    /// The time of reading.
    pub(crate) fn now(&self) -> Timestamp {
        self.monitoring.now
    }

    /// The watched targets, in order.
    pub(crate) fn fleets(&self) -> &[Fleet] {
        &self.monitoring.fleets
    }

    fn targets(&self) -> Vec<Target> {
        self.fleets().iter().map(|fleet| fleet.record.target.clone()).collect()
    }

    /// A watched target by its name.
    pub(crate) fn fleet(&self, name: &str) -> Option<&Fleet> {
        let target: Target = name.parse().ok()?;
        self.fleets().iter().find(|fleet| fleet.record.target.id() == target.id())
    }

    /// As `runner-monitor status --json` prints it, piece by piece.
    pub(crate) fn json(self: Arc<Self>) -> impl Iterator<Item = serde_json::Result<Vec<u8>>> {
        let Monitoring { now, monitor, not_complete, .. } = &self.monitoring;
        let monitoring = view::monitoring(monitor.ticked_at, not_complete);
        let head = format!("{{\"now\":{},\"monitoring\":{monitoring},\"targets\":[", json!(now));
        let targets = parts(self.fleets().len()).map(move |part| {
            let mut piece = Vec::new();
            for index in part {
                if index > 0 {
                    piece.push(b',');
                }
                serde_json::to_writer(&mut piece, &TargetView::of(&self.fleets()[index], &self.ends))?;
            }
            Ok(piece)
        });
        std::iter::once(Ok(head.into_bytes())).chain(targets).chain([Ok(b"]}".to_vec())])
    }
}

/// The parts of a list of targets that are written at once: the text about a large fleet is many megabytes.
pub(crate) fn parts(targets: usize) -> impl Iterator<Item = Range<usize>> {
    (0..targets).step_by(WRITTEN_AT_ONCE).map(move |begin| begin..targets.min(begin + WRITTEN_AT_ONCE))
}

/// Hashes what is written.
struct Hashed<'a>(&'a mut DefaultHasher);

impl std::io::Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An outage with its target and with what the chat has about it.
#[derive(Clone, Debug)]
pub(crate) struct OutageOf {
    pub(crate) target: Target,
    pub(crate) outage: Outage,
    pub(crate) note: ChatNote,
}

impl OutageOf {
    /// The outages of a target, in the same order.
    pub(crate) fn of_target(target: &Target, outages: Vec<Outage>, notes: &ChatNotes) -> impl Iterator<Item = Self> {
        outages.into_iter().map(|outage| Self { target: target.clone(), note: notes.of(&outage), outage })
    }

    /// As the API gives it.
    pub(crate) fn as_json(&self) -> serde_json::Value {
        let mut view = serde_json::json!(self.outage);
        if let Some(acknowledgement) = &self.note.acknowledgement {
            view["acknowledged"] = serde_json::json!({"at": acknowledgement.at, "by": acknowledgement.by.shown()});
        }
        if let Some(alert) = &self.note.alert {
            view["alert"] = thread_address(alert).into();
        }
        view
    }
}

/// The address of a message in Slack. It leads to the workspace in which the reader is signed in.
pub(crate) fn thread_address(message: &MessagePlace) -> String {
    format!("https://slack.com/archives/{}/p{}", escaped(&message.channel), escaped(&message.ts.replace('.', "")))
}

/// The latest state and the outages of all targets, each read again when it is old.
pub(crate) struct Snapshots<S, C> {
    store: Arc<S>,
    clock: C,
    /// The least time between two reads.
    pause: Duration,
    latest: Latest<Snapshot>,
    outages: Latest<Vec<OutageOf>>,
}

/// What a read of the store found.
type Read<T> = Result<Arc<T>, StoreError>;

/// A value with the time from which it is read again.
struct Latest<T> {
    value: RwLock<Option<(Read<T>, Instant)>>,
    /// Only one request reads; the others wait for what it finds.
    reading: Mutex<()>,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self { value: RwLock::default(), reading: Mutex::default() }
    }
}

impl<T> Latest<T> {
    async fn fresh(&self) -> Option<Read<T>> {
        let value = self.value.read().await;
        value.as_ref().filter(|(_, until)| Instant::now() < *until).map(|(value, _)| value.clone())
    }

    /// The value, read again if it is older than `pause` or the read took long. Those who have waited for a store that
    /// does not answer get the same error, not an attempt each.
    async fn get(&self, pause: Duration, share: u32, read: impl Future<Output = Result<T, StoreError>>) -> Read<T> {
        if let Some(value) = self.fresh().await {
            return value;
        }
        let _reading = self.reading.lock().await;
        if let Some(value) = self.fresh().await {
            return value;
        }
        // It is dropped first: two states of a large fleet would take twice the memory.
        self.value.write().await.take();
        let began = Instant::now();
        let value = read.await.map(Arc::new);
        let lasts = if value.is_ok() { pause.max(began.elapsed() * share) } else { pause.min(FAILURE_LASTS) };
        *self.value.write().await = Some((value.clone(), Instant::now() + lasts));
        value
    }
}

impl<S: Store, C: Clock> Snapshots<S, C> {
    /// Of a store, read at most once in `pause`.
    pub(crate) fn new(store: Arc<S>, clock: C, pause: Duration) -> Self {
        Self { store, clock, pause, latest: Latest::default(), outages: Latest::default() }
    }

    /// The store.
    pub(crate) fn store(&self) -> &S {
        &self.store
    }

    /// The least time between two reads.
    pub(crate) fn pause(&self) -> Duration {
        self.pause
    }

    /// The latest state.
    ///
    /// # Errors
    ///
    /// The store's, if the state has to be read again and cannot.
    pub(crate) async fn latest(&self) -> Result<Arc<Snapshot>, StoreError> {
        self.latest.get(self.pause, SHARE, Snapshot::read(&*self.store, &self.clock)).await
    }

    /// The latest outages of all watched targets, at most [`MOST_OUTAGES`], latest first.
    ///
    /// # Errors
    ///
    /// The store's, if they have to be read again and cannot be.
    pub(crate) async fn outages(&self) -> Result<Arc<Vec<OutageOf>>, StoreError> {
        let read = async {
            // The state itself is not held: meanwhile it may be read again.
            let targets = self.latest().await?.targets();
            let mut latest: Vec<(&Target, Outage)> = Vec::new();
            for targets in targets.chunks(READS_AT_ONCE) {
                let reads = targets.iter().map(|target| read_outages(&*self.store, target.id()));
                for (target, outages) in targets.iter().zip(try_join_all(reads).await?) {
                    latest.extend(outages.into_iter().map(|outage| (target, outage)));
                }
                if latest.len() > MOST_OUTAGES + SPARE_OUTAGES {
                    keep_latest(&mut latest);
                }
            }
            keep_latest(&mut latest);
            let mut outages = Vec::with_capacity(latest.len());
            let mut by_target: BTreeMap<&Target, Vec<Outage>> = BTreeMap::new();
            for (target, outage) in latest {
                by_target.entry(target).or_default().push(outage);
            }
            let mut by_target = by_target.into_iter().peekable();
            while by_target.peek().is_some() {
                let targets: Vec<(&Target, Vec<Outage>)> = by_target.by_ref().take(READS_AT_ONCE).collect();
                let reads = targets.iter().map(|(target, of)| ChatNotes::read(&*self.store, target.id(), of));
                let notes = try_join_all(reads).await?;
                for ((target, of_target), notes) in targets.into_iter().zip(notes) {
                    outages.extend(OutageOf::of_target(target, of_target, &notes));
                }
            }
            outages.sort_by_key(|of| order(&of.target, &of.outage));
            Ok(outages)
        };
        self.outages.get(self.pause, SHARE * OUTAGES_SHARE, read).await
    }
}

/// The latest first.
fn order(target: &Target, outage: &Outage) -> impl Ord + use<> {
    (std::cmp::Reverse(outage.started_at), target.id().clone(), outage.runner_id)
}

fn keep_latest(outages: &mut Vec<(&Target, Outage)>) {
    outages.sort_by_key(|(target, outage)| order(target, outage));
    outages.truncate(MOST_OUTAGES);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_old_state_is_dropped_before_the_next_is_read() {
        let latest = Latest::default();
        let first = latest.get(Duration::ZERO, 0, async { Ok(7) }).await;
        let first = first.map(|value| Arc::downgrade(&value));
        let second = latest.get(Duration::ZERO, 0, async { Ok(first.map_or(9, |first| first.strong_count())) }).await;
        assert_eq!(second, Ok(Arc::new(0)));
    }

    #[test]
    fn every_target_is_in_one_part() {
        for targets in [0, 1, WRITTEN_AT_ONCE, 2 * WRITTEN_AT_ONCE + 1] {
            assert!(parts(targets).all(|part| !part.is_empty() && part.len() <= WRITTEN_AT_ONCE));
            assert!(parts(targets).flatten().eq(0..targets), "{targets}");
        }
    }
}
