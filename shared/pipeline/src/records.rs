//! Reads and commits the items that the stages decide about, over any store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use monitor_domain::change::{Change, Event, QUIET_CHANGES_KEPT};
use monitor_domain::decision::{Commit, Decision, Handled};
use monitor_domain::fleet::{CredentialRecord, Fleet, TargetRecord};
use monitor_domain::outage::{Outage, OutageId};
use monitor_domain::overrides::Overrides;
use monitor_domain::recording::OutageRecords;
use monitor_domain::runner::{Health, RunnerId};
use monitor_domain::subject::{CredentialId, Revision, Subject};
use monitor_domain::target::{Target, TargetId, TargetKind};
use monitor_domain::time::Timestamp;
use monitor_domain::versions::VersionRecord;
use monitor_domain::watchlist::Watchlist;
use tracing::warn;

use crate::items::{AccessToken, Acknowledgement, Cursor, Item, Marker, Mute, RunnerItem};
use crate::keys::{Key, Put, Query};
use crate::ports::{Clock, PutOutcome, Store, StoreError};

/// How many changes are read at a time.
const CHANGES_PER_READ: usize = 500;
/// How often a put is tried if the store does not answer.
const PUT_TRIES: u32 = 4;
/// How many changes are read at a time to find the first pending one, which is usually the first.
const PENDING_READ: usize = 20;

/// A target as stored, with the notifier's cursor.
pub struct StoredFleet {
    /// The target and its runners.
    pub fleet: Fleet,
    /// How far the notifier has got.
    pub cursor: Option<Cursor>,
}

impl StoredFleet {
    /// Whether the target was closed after being dropped, and this is recorded and notified. Until then every tick sends
    /// another job, which sends another state-change message.
    pub fn is_closed(&self) -> bool {
        self.is_dropped() && self.is_handled()
    }

    /// Whether a commit has closed it. A target without any check yet does not count: its first check may be about to
    /// begin.
    pub fn is_dropped(&self) -> bool {
        let Fleet { record, runners, pools, queues, .. } = &self.fleet;
        record.revision > Revision(0)
            && record.watched_since.is_none()
            && record.failing.is_none()
            && !record.unfinished
            && runners.is_empty()
            && pools.is_empty()
            && queues.is_empty()
    }

    /// Whether every change is recorded and notified.
    pub fn is_handled(&self) -> bool {
        Backlog::from(&self.fleet.record).is_done(handled(self.cursor.as_ref()))
    }
}

/// Reads what a check needs to know of a target, in one request.
pub async fn read_fleet(store: &impl Store, target: &Target) -> Result<StoredFleet, StoreError> {
    let mut fleet = Fleet::unknown(target.clone());
    let mut cursor = None;
    for item in store.list(&Query::Fleet(target.id().clone())).await? {
        match item {
            // The configured spelling of the name is the newer one.
            Item::Target(record) => fleet.record = TargetRecord { target: target.clone(), ..record },
            Item::Runner(RunnerItem { runner, .. }) if runner.health == Health::Retired => {
                fleet.leftovers.push(runner.id)
            }
            Item::Runner(RunnerItem { runner, .. }) if runner.pool.is_some() => fleet.pools.push(runner),
            Item::Runner(RunnerItem { runner, .. }) if runner.waiting.is_some() => fleet.queues.push(runner),
            Item::Runner(RunnerItem { runner, .. }) => fleet.runners.push(runner),
            Item::LastSeen(last_seen) => fleet.last_seen_at = Some(last_seen.at),
            Item::Cursor(read) => cursor = Some(read),
            _ => {}
        }
    }
    fleet.runners.sort_unstable_by_key(|runner| runner.id);
    fleet.pools.sort_unstable_by_key(|pool| pool.id);
    fleet.queues.sort_unstable_by_key(|queue| queue.id);
    // The page keeps thousands of fleets, and a runner takes hundreds of bytes.
    fleet.runners.shrink_to_fit();
    Ok(StoredFleet { fleet, cursor })
}

/// Reads a target with a stored item that cannot be read: only its own record and its cursor.
///
/// A record that cannot be read is rebuilt from the target's changes. The changes lack its ETags and whether checks
/// failed; the next check restores both.
pub async fn read_damaged_fleet(store: &impl Store, target: &Target) -> Result<StoredFleet, StoreError> {
    let mut fleet = Fleet::unknown(target.clone());
    match store.get(&[Key::Target(target.id().clone())]).await {
        Ok(found) => {
            let record =
                found.into_iter().find_map(|item| if let Item::Target(record) = item { Some(record) } else { None });
            fleet.record = record.unwrap_or(fleet.record);
        }
        Err(StoreError::Unreadable { .. }) => {
            let subject = Subject::from(target);
            loop {
                let after = fleet.record.revision;
                let query = Query::Changes { subject: subject.clone(), after, limit: CHANGES_PER_READ };
                for item in store.list(&query).await? {
                    let Item::Change(change) = item else { continue };
                    if change.is_notifiable() {
                        fleet.record.last_notifiable = change.revision;
                    }
                    if change.has_outage_events() {
                        fleet.record.last_outage_change = change.revision;
                    }
                    fleet.record.revision = change.revision;
                    fleet.record.observed_at = change.observed_at;
                    fleet.record.watched_since = Some(change.observed_at);
                    fleet.record.unfinished = change.more;
                }
                if fleet.record.revision == after {
                    break;
                }
            }
        }
        Err(error) => return Err(error),
    }
    // A hint: without it, one state-change message too many is sent.
    let cursor = store.get(&[Key::Cursor(Subject::from(target))]).await.unwrap_or_default();
    let cursor = cursor.into_iter().find_map(|item| if let Item::Cursor(cursor) = item { Some(cursor) } else { None });
    Ok(StoredFleet { fleet, cursor })
}

/// A credential as stored, with the notifier's cursor and the access token of a GitHub App's installation.
pub struct StoredCredential {
    /// The credential's record.
    pub record: CredentialRecord,
    /// How far the notifier has got.
    pub cursor: Option<Cursor>,
    /// The access token that all pollers share; only for an installation of a GitHub App.
    pub access_token: Option<AccessToken>,
}

/// Reads what a check needs to know of a credential, in one request.
pub async fn read_credential(store: &impl Store, id: &CredentialId) -> Result<StoredCredential, StoreError> {
    let mut keys = vec![Key::Credential(id.clone()), Key::Cursor(Subject::Credential(id.clone()))];
    // Only an installation of a GitHub App has a token that does not come from the settings.
    keys.extend(id.account().map(|_| Key::AccessToken(id.clone())));
    let mut read = StoredCredential { record: CredentialRecord::new(id.clone()), cursor: None, access_token: None };
    for item in store.get(&keys).await? {
        match item {
            Item::Credential(record) => read.record = record,
            Item::Cursor(cursor) => read.cursor = Some(cursor),
            Item::AccessToken(token) => read.access_token = Some(token),
            _ => {}
        }
    }
    Ok(read)
}

/// The active mutes.
///
/// The clock is read after them. If a process read it first and then stalled, a mute stored meanwhile would seem to
/// come from a clock that is ahead.
pub async fn read_mutes(store: &impl Store, clock: &impl Clock) -> Result<Vec<Mute>, StoreError> {
    let items = store.list(&Query::Mutes).await?;
    let now = clock.now();
    let mutes = items.into_iter().filter_map(|item| if let Item::Mute(mute) = item { Some(mute) } else { None });
    Ok(mutes.filter(|mute| mute.is_in_force(now)).collect())
}

/// The acknowledgements of these outages of a target.
pub async fn read_acknowledgements(
    store: &impl Store,
    target: &TargetId,
    outages: impl IntoIterator<Item = (RunnerId, OutageId)>,
) -> Result<Vec<Acknowledgement>, StoreError> {
    let keys: Vec<Key> =
        outages.into_iter().map(|(runner, outage)| Key::Acknowledgement(target.clone(), runner, outage)).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let found = store.get(&keys).await?.into_iter();
    Ok(found.filter_map(|item| if let Item::Acknowledgement(item) = item { Some(item) } else { None }).collect())
}

/// The overrides that a decision depends on, in one request, or two if the decision contains reminders.
pub async fn read_overrides(
    store: &impl Store,
    target: &TargetId,
    decision: &Decision,
    clock: &impl Clock,
) -> Result<Overrides, StoreError> {
    let reminded = decision.all_events().filter_map(|event| match event {
        Event::Reminded { outage, .. } => Some((outage.runner_id, outage.id)),
        _ => None,
    });
    let muted = read_mutes(store, clock).await?.into_iter().map(|mute| mute.scope).collect();
    let acknowledged = read_acknowledgements(store, target, reminded).await?;
    let acknowledged = acknowledged.into_iter().map(|item| (item.runner_id, item.outage_id)).collect();
    Ok(Overrides { muted, acknowledged })
}

/// The monitor's own records.
#[derive(Clone, Debug, Default)]
pub struct StoredMonitor {
    /// The list of targets; `None` before the first tick.
    pub watchlist: Option<Watchlist>,
    /// The last tick.
    pub ticked_at: Option<Timestamp>,
    /// The last tick that stored that its jobs were sent.
    pub jobs_sent_at: Option<Timestamp>,
    /// When the next tick is due.
    pub next_tick_at: Option<Timestamp>,
    /// How far the monitor's own changes are notified.
    pub cursor: Option<Cursor>,
}

/// Reads the monitor's own records, in one request.
///
/// Of the heartbeats the latest counts. One that a clock stored which was ahead of this one counts only if there is no
/// other. The clock is read after them: if the process stalls meanwhile, newer ones would seem to come from such a clock.
pub async fn read_monitor(store: &impl Store, clock: &impl Clock) -> Result<StoredMonitor, StoreError> {
    let others = [Key::Watchlist, Key::Cursor(Subject::Monitor)];
    let keys: Vec<Key> = others.into_iter().chain(Key::heartbeats()).collect();
    let (mut read, mut heartbeats) = (StoredMonitor::default(), Vec::new());
    for item in store.get(&keys).await? {
        match item {
            Item::Watchlist(watchlist) => read.watchlist = Some(watchlist),
            Item::LastSeen(heartbeat) => heartbeats.push(heartbeat),
            Item::Cursor(cursor) => read.cursor = Some(cursor),
            _ => {}
        }
    }
    let now = clock.now();
    let is_possible = |at: Timestamp| !at.is_impossible(now);
    if let Some(latest) = heartbeats.iter().max_by_key(|heartbeat| (is_possible(heartbeat.at), heartbeat.at)) {
        (read.ticked_at, read.next_tick_at) = (Some(latest.at), latest.next_tick_at);
        // The latest heartbeat may be that of a tick which began before another had sent its jobs.
        let sent = heartbeats.iter().filter_map(|heartbeat| heartbeat.jobs_sent_at);
        read.jobs_sent_at = sent.filter(|at| is_possible(*at)).max().or(latest.jobs_sent_at);
    }
    // A tick that could store only its commit is a tick all the same.
    let committed_at = read.watchlist.as_ref().and_then(|list| list.ticked_at).filter(|at| is_possible(*at));
    if let Some(at) = committed_at.filter(|at| read.ticked_at.is_none_or(|beat| *at > beat)) {
        let interval = read.ticked_at.zip(read.next_tick_at).map(|(beat, next)| next.since(beat));
        read.next_tick_at = interval.map(|interval| at.plus(interval));
        read.ticked_at = Some(at);
    }
    Ok(read)
}

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Committed {
    /// It is stored.
    Done,
    /// Another process committed this revision first: the decision is based on outdated state.
    Lost,
}

/// Stores a change with the items that it alters, all or none, provided that its revision is free.
///
/// A put whose answer is lost is repeated. If the revision is taken, the stored nonce shows whether this commit took
/// it.
pub async fn commit(
    store: &impl Store,
    clock: &impl Clock,
    change: Change,
    altered: Vec<Item>,
) -> Result<Committed, StoreError> {
    let (key, nonce) = (Key::Change(change.subject.clone(), change.revision), change.nonce);
    let mut puts = vec![Put::new(Item::Change(change))];
    puts.extend(altered.into_iter().map(Put::replacing));
    match put_until_answered(store, clock, &puts).await? {
        PutOutcome::Done => Ok(Committed::Done),
        PutOutcome::Exists => {
            let stored = store.get(&[key]).await?;
            let is_own = stored.iter().any(|item| matches!(item, Item::Change(change) if change.nonce == nonce));
            Ok(if is_own { Committed::Done } else { Committed::Lost })
        }
    }
}

/// A commit's change, the items that it alters besides, and the runners that it retires.
pub fn items_of(commit: Commit) -> (Change, Vec<Item>, Vec<RunnerId>) {
    let Commit { change, record, runners } = commit;
    let id = record.target.id().clone();
    let retired = runners.iter().filter(|runner| runner.health == Health::Retired).map(|runner| runner.id).collect();
    let mut items = vec![Item::Target(record)];
    items.extend(runners.into_iter().map(|runner| Item::Runner(RunnerItem { target: id.clone(), runner })));
    (change, items, retired)
}

/// Puts a batch, and retries if the store does not answer.
pub async fn put_until_answered(
    store: &impl Store,
    clock: &impl Clock,
    puts: &[Put],
) -> Result<PutOutcome, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match store.put(puts).await {
            Err(StoreError::Unavailable(_)) if tries < PUT_TRIES => {
                clock.sleep(Duration::from_millis(100 << (2 * tries))).await;
            }
            outcome => return outcome,
        }
    }
}

/// Stores a marker if there is none; returns whether this one is stored.
pub async fn mark(store: &impl Store, clock: &impl Clock, marker: Marker) -> Result<bool, StoreError> {
    let (key, nonce) = (Key::Marker(marker.subject.clone(), marker.number), marker.nonce);
    match put_until_answered(store, clock, &[Put::new(Item::Marker(marker))]).await? {
        PutOutcome::Done => Ok(true),
        PutOutcome::Exists => {
            let found = store.get(&[key]).await?;
            Ok(found.iter().any(|item| matches!(item, Item::Marker(marker) if marker.nonce == nonce)))
        }
    }
}

/// A cursor that defers an attempt for longer is ignored: the notifier then reads the claims itself.
const MAX_DEFERRAL: Duration = Duration::from_secs(3_600);

/// The revisions of a subject with work for the notifier, done or not, as its record has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// The last revision with a notifiable event.
    pub last_notifiable: Revision,
    /// The last revision that opens or closes an outage.
    pub last_outage_change: Revision,
    /// Everything before this revision was done when it was committed.
    pub first_pending: Revision,
}

impl From<&TargetRecord> for Backlog {
    fn from(record: &TargetRecord) -> Self {
        let TargetRecord { last_notifiable, last_outage_change, first_pending, .. } = *record;
        Self { last_notifiable, last_outage_change, first_pending }
    }
}

impl From<&CredentialRecord> for Backlog {
    fn from(record: &CredentialRecord) -> Self {
        Self { last_notifiable: record.last_notifiable, ..Self::default() }
    }
}

impl From<&Watchlist> for Backlog {
    fn from(watchlist: &Watchlist) -> Self {
        Self { last_notifiable: watchlist.last_notifiable, ..Self::default() }
    }
}

impl Backlog {
    /// The last revision with work for the notifier.
    pub fn last(&self) -> Revision {
        self.last_notifiable.max(self.last_outage_change)
    }

    /// Whether an outage is still to be recorded.
    pub fn is_unrecorded(&self, handled: Handled) -> bool {
        self.last_outage_change > handled.recorded_through
    }

    /// Whether the notifier has done everything.
    pub fn is_done(&self, handled: Handled) -> bool {
        self.last_notifiable <= handled.notified_through && !self.is_unrecorded(handled)
    }

    /// Whether the notifier has something to do now: an outage is to be recorded, or a notification is pending whose
    /// next attempt is not deferred until later.
    pub fn is_due(&self, cursor: Option<&Cursor>, now: Timestamp) -> bool {
        let handled = handled(cursor);
        let deferred_until = cursor.and_then(|cursor| cursor.next_attempt_at);
        let is_deferred = deferred_until.is_some_and(|until| !until.is_due(now, MAX_DEFERRAL));
        self.is_unrecorded(handled) || (self.last_notifiable > handled.notified_through && !is_deferred)
    }

    /// The revision after which changes are read, given that everything up to `revision` is done.
    pub fn read_after(&self, revision: Revision) -> Revision {
        revision.max(Revision(self.first_pending.0.saturating_sub(1)))
    }
}

/// How far the notifier has got, according to its cursor.
pub fn handled(cursor: Option<&Cursor>) -> Handled {
    cursor.map_or_else(Handled::default, |cursor| Handled {
        notified_through: cursor.notified_through,
        recorded_through: cursor.recorded_through,
    })
}

/// When the oldest pending change of a subject was committed: one that is not notified yet, or whose outages are not
/// recorded. `None` if nothing is pending. The changes are read only if something is.
///
/// If they cannot be read, the epoch is returned: the notification counts as overdue rather than as done.
pub async fn pending_since(
    store: &impl Store,
    subject: &Subject,
    backlog: Backlog,
    cursor: Option<&Cursor>,
) -> Option<Timestamp> {
    let handled = handled(cursor);
    let (is_unnotified, is_unrecorded) =
        (backlog.last_notifiable > handled.notified_through, backlog.is_unrecorded(handled));
    let done = [(is_unnotified, handled.notified_through), (is_unrecorded, handled.recorded_through)];
    let done = done.into_iter().filter(|(is_pending, _)| *is_pending).map(|(_, revision)| revision).min()?;
    let is_pending = |change: &Change| {
        (change.revision > handled.notified_through && change.is_notifiable())
            || (change.revision > handled.recorded_through && change.has_outage_events())
    };
    let mut after = backlog.read_after(done);
    loop {
        let query = Query::Changes { subject: subject.clone(), after, limit: PENDING_READ };
        let read = match store.list(&query).await {
            Ok(read) => read,
            Err(error) => {
                warn!(%subject, %error, "the age of the pending notification could not be read: it counts as overdue");
                return Some(Timestamp::default());
            }
        };
        for item in &read {
            if let Item::Change(change) = item {
                after = after.max(change.revision);
                if is_pending(change) {
                    return Some(change.decided_at);
                }
            }
        }
        if read.len() < PENDING_READ {
            return None;
        }
    }
}

/// The changes after a revision, read in portions, with only the events that `keep` accepts.
pub async fn changes_after(
    store: &impl Store,
    subject: &Subject,
    mut after: Revision,
    keep: impl Fn(&Event) -> bool,
) -> Result<Vec<Change>, StoreError> {
    let mut changes: Vec<Change> = Vec::new();
    loop {
        let query = Query::Changes { subject: subject.clone(), after, limit: CHANGES_PER_READ };
        let read = store.list(&query).await?;
        let is_last = read.len() < CHANGES_PER_READ;
        changes.extend(read.into_iter().filter_map(|item| match item {
            Item::Change(mut change) => {
                // There may be many other events; of those only the revision matters.
                change.events.retain(&keep);
                Some(change)
            }
            _ => None,
        }));
        match changes.last() {
            Some(last) if !is_last && last.revision > after => after = last.revision,
            _ => return Ok(changes),
        }
    }
}

/// How much earlier than asked for changes are read: the clocks of two machines may differ.
const EARLIER: Duration = Duration::from_secs(3_600);

/// The changes since a time, like [`changes_after`]. `last` is the last revision. Of a long history only the end is
/// read.
pub async fn changes_since(
    store: &impl Store,
    subject: &Subject,
    last: Revision,
    since: Timestamp,
    keep: impl Fn(&Event) -> bool,
) -> Result<Vec<Change>, StoreError> {
    let (mut before, mut after) = (0, last.0);
    let is_long = |before: u64, after: u64| after - before > CHANGES_PER_READ as u64;
    let newest = if is_long(before, after) { change_at(store, subject, last).await? } else { None };
    // Of earlier times quiet changes are missing, so that a missing one does not show on which side of `since` it was.
    let is_complete = newest.is_some_and(|newest| newest.since(since) < QUIET_CHANGES_KEPT);
    while is_complete && is_long(before, after) {
        let middle = before + (after - before) / 2;
        let at = change_at(store, subject, Revision(middle)).await?;
        if at.is_some_and(|at| at >= since.minus(EARLIER)) { after = middle } else { before = middle }
    }
    changes_after(store, subject, Revision(before), keep).await
}

/// When a change was decided; `None` if it is missing.
async fn change_at(store: &impl Store, subject: &Subject, revision: Revision) -> Result<Option<Timestamp>, StoreError> {
    let found = store.get(&[Key::Change(subject.clone(), revision)]).await?;
    Ok(found.iter().find_map(|item| if let Item::Change(change) = item { Some(change.decided_at) } else { None }))
}

/// When GitHub gives no more jobs to versions of the runner, as it answered last about each, for the credentials that
/// can serve these targets.
pub async fn read_versions<'a>(
    store: &impl Store,
    targets: impl Iterator<Item = &'a Target>,
) -> Result<BTreeMap<String, VersionRecord>, StoreError> {
    let targets = targets.filter(|one| one.kind() != TargetKind::Pools);
    let mut credentials: BTreeSet<CredentialId> =
        targets.map(|one| CredentialId::app_installation(one.owner())).collect();
    credentials.insert(CredentialId::token());
    let keys: Vec<Key> = credentials.into_iter().map(Key::Credential).collect();
    let mut versions: BTreeMap<String, VersionRecord> = BTreeMap::new();
    for item in store.get(&keys).await? {
        let Item::Credential(record) = item else { continue };
        for record in record.versions {
            let known = versions.get(&record.version);
            if known.is_none_or(|known| known.asked_at < record.asked_at) {
                versions.insert(record.version.clone(), record);
            }
        }
    }
    Ok(versions)
}

/// A target's record and its cursor, in one request. A cursor that cannot be read counts as absent: it is only a hint.
pub async fn read_backlog(
    store: &impl Store,
    target: &TargetId,
) -> Result<(Option<TargetRecord>, Option<Cursor>), StoreError> {
    let keys = [Key::Target(target.clone()), Key::Cursor(Subject::Target(target.clone()))];
    let found = match store.get(&keys).await {
        Err(StoreError::Unreadable { .. }) => store.get(&keys[..1]).await?,
        found => found?,
    };
    let (mut record, mut cursor) = (None, None);
    for item in found {
        match item {
            Item::Target(read) => record = Some(read),
            Item::Cursor(read) => cursor = Some(read),
            _ => {}
        }
    }
    Ok((record, cursor))
}

/// A target's outages in order of runner and outage, including those that the notifier has not recorded yet.
pub async fn read_outages(store: &impl Store, target: &TargetId) -> Result<Vec<Outage>, StoreError> {
    let (record, cursor) = read_backlog(store, target).await?;
    let (backlog, handled) = (record.as_ref().map(Backlog::from).unwrap_or_default(), handled(cursor.as_ref()));
    let mut pending = OutageRecords::default();
    if backlog.is_unrecorded(handled) {
        let (subject, after) = (Subject::Target(target.clone()), backlog.read_after(handled.recorded_through));
        let changes = changes_after(store, &subject, after, |event| event.outage_event().is_some()).await?;
        pending = OutageRecords::of(handled.recorded_through, &changes);
    }
    // Read after the cursor: an outage recorded meanwhile is included here, and merging it twice changes nothing.
    let items = store.list(&Query::Outages { target: target.clone(), runner: None }).await?;
    let recorded = items.into_iter().filter_map(|item| match item {
        Item::Outage(item) => Some(item.outage),
        _ => None,
    });
    Ok(pending.over(recorded.collect()))
}
