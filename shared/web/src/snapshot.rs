//! The state that every page shows. However many pages are open, the store is read once for all of them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};
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
use serde::ser::{Serialize, SerializeStruct as _, Serializer};
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

/// How many outages of all targets are kept in memory; the pages of a target and of a runner have all of their own.
pub(crate) const MOST_OUTAGES: usize = 5_000;

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
        let targets: Vec<Target> = monitoring.fleets.iter().map(|fleet| fleet.record.target.clone()).collect();
        let ends = version_ends(store, &targets).await?;
        let mut snapshot = Self { monitoring, ends, tag: 0 };
        let mut hasher = DefaultHasher::new();
        snapshot.monitoring.not_complete.hash(&mut hasher);
        snapshot.monitoring.monitor.ticked_at.map(Timestamp::epoch_ms).hash(&mut hasher);
        for view in snapshot.targets() {
            // It cannot fail: the hasher takes everything.
            let _ = serde_json::to_writer(Hashed(&mut hasher), &view);
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

    /// A watched target by its name.
    pub(crate) fn fleet(&self, name: &str) -> Option<&Fleet> {
        let target: Target = name.parse().ok()?;
        self.fleets().iter().find(|fleet| fleet.record.target.id() == target.id())
    }

    fn targets(&self) -> impl Iterator<Item = TargetView<'_>> {
        self.fleets().iter().map(|fleet| TargetView::of(fleet, &self.ends))
    }
}

/// As `runner-monitor status --json` prints it. A large fleet is many megabytes, so it is written target by target.
impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Monitoring { now, monitor, not_complete, .. } = &self.monitoring;
        let mut all = serializer.serialize_struct("Snapshot", 3)?;
        all.serialize_field("now", now)?;
        all.serialize_field("monitoring", &view::monitoring(monitor.ticked_at, not_complete))?;
        all.serialize_field("targets", &Targets(self))?;
        all.end()
    }
}

/// The targets of a snapshot.
struct Targets<'a>(&'a Snapshot);

impl Serialize for Targets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.targets())
    }
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
            let snapshot = self.latest().await?;
            let mut latest: Vec<(&Target, Outage)> = Vec::new();
            for fleets in snapshot.fleets().chunks(READS_AT_ONCE) {
                let reads = fleets.iter().map(|fleet| read_outages(&*self.store, fleet.record.target.id()));
                for (fleet, outages) in fleets.iter().zip(try_join_all(reads).await?) {
                    latest.extend(outages.into_iter().map(|outage| (&fleet.record.target, outage)));
                }
                if latest.len() > 2 * MOST_OUTAGES {
                    keep_latest(&mut latest);
                }
            }
            keep_latest(&mut latest);
            let mut by_target: BTreeMap<&Target, Vec<Outage>> = BTreeMap::new();
            for (target, outage) in latest {
                by_target.entry(target).or_default().push(outage);
            }
            let mut outages = Vec::new();
            let by_target: Vec<(&Target, Vec<Outage>)> = by_target.into_iter().collect();
            for targets in by_target.chunks(READS_AT_ONCE) {
                let reads = targets.iter().map(|(target, of)| ChatNotes::read(&*self.store, target.id(), of));
                for ((target, of_target), notes) in targets.iter().zip(try_join_all(reads).await?) {
                    outages.extend(OutageOf::of_target(target, of_target.clone(), &notes));
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
