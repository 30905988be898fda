//! The tick: update the list of targets and send a job for each.

mod pacing;
mod settings;
mod weekly;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use monitor_domain::subject::{CredentialId, Subject};
use monitor_domain::target::{Target, TargetId, TargetSpec};
use monitor_domain::time::Timestamp;
use monitor_domain::watchlist::{Configured, DROPS_PER_TICK, Tick, Unresolved, Watchlist, tick};
use tracing::{info, warn};

use self::pacing::{DispatchPlan, Due, LONGEST_DELAY, Targets, dispatch_plan};
use crate::items::{Item, LastSeen};
use crate::keys::Put;
use crate::messages::{CheckJob, Reason, StateChange};
use crate::ports::{Clock, Outgoing, RunnerSource, Sender, Store, StoreError};
use crate::records::{self, Backlog, Committed, StoredFleet};
pub use pacing::{QuotaEstimators, Throttled};
pub use settings::ScheduleSettings;

use crate::stages::{Disposition, Stopwatch, announce};

/// A tick stalled if this much time passes between its start and its heartbeat.
const STALLED: Duration = Duration::from_secs(15);
/// How many targets that were taken off the list are read at the same time.
const READS_AT_ONCE: usize = 20;

/// The schedule stage with its ports.
pub struct Schedule<'a, St, Gh, Jobs, Changes, Cl> {
    /// The database.
    pub store: &'a St,
    /// GitHub, to find the repositories of `acme/*`.
    pub source: &'a Gh,
    /// The queue for jobs.
    pub jobs: &'a Jobs,
    /// The queue for state-change messages.
    pub changes: &'a Changes,
    /// The clock.
    pub clock: &'a Cl,
    /// The settings.
    pub settings: &'a ScheduleSettings,
    /// What the process remembers between ticks.
    pub quota_estimators: &'a QuotaEstimators,
}

/// The result of a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleReport {
    /// What the host does with the message.
    pub disposition: Disposition,
    /// The targets for which a job was sent.
    pub targets: Vec<Target>,
    /// Targets taken off the list whose end is still pending.
    pub dropped: Vec<Target>,
    /// The credentials whose quota does not last, so that fewer jobs were sent.
    pub throttled: Vec<Throttled>,
    /// The commit time of the oldest notification, of the monitor itself or of a target taken off the list, that was
    /// pending when the tick began.
    pub pending_since: Option<Timestamp>,
}

impl ScheduleReport {
    fn nothing(disposition: Disposition) -> Self {
        Self { disposition, targets: Vec::new(), dropped: Vec::new(), throttled: Vec::new(), pending_since: None }
    }
}

impl<St: Store, Gh: RunnerSource, Jobs: Sender, Changes: Sender, Cl: Clock> Schedule<'_, St, Gh, Jobs, Changes, Cl> {
    /// Handles one tick.
    pub async fn run(&self) -> ScheduleReport {
        match self.tick_once(self.clock.now()).await {
            Ok(report) => report,
            Err(error) => {
                warn!(%error, "the tick failed");
                ScheduleReport::nothing(error.into())
            }
        }
    }

    async fn tick_once(&self, now: Timestamp) -> Result<ScheduleReport, StoreError> {
        let stopwatch = Stopwatch::start(self.clock);
        let stored = records::read_monitor(self.store, self.clock).await?;
        let mut configured = self.resolve(now, &stopwatch).await;
        configured.pools = self.pools_of(&configured.targets, stored.watchlist.as_ref());
        let (closed, pending_since) = self.closed(stored.watchlist.as_ref().map_or(&[], |list| &list.dropping)).await;
        // At least three ticks: otherwise every late tick would count as a gap.
        let gap = self.settings.policy.base().unreachable_after.max(self.settings.interval * 3);
        let ticked_at = stored.ticked_at.filter(|_| !self.quota_estimators.has_ticked_within(gap, self.clock.uptime()));
        if ticked_at.is_none() && stored.ticked_at.is_some_and(|at| now.since(at) >= gap) {
            info!("the clock was set forward, but this process ticked all the time: there is no gap");
        }
        let ticked = (ticked_at, gap);
        let (before, jobs_sent_at) = (stored.watchlist.as_ref(), stored.jobs_sent_at);
        let backlog = before.map(Backlog::from).unwrap_or_default();
        let own = records::pending_since(self.store, &Subject::Monitor, backlog, stored.cursor.as_ref()).await;
        let pending_since = pending_since.into_iter().chain(own).min();
        let unreachable_after = self.settings.policy.base().unreachable_after;
        let Tick { mut watchlist, change } =
            tick(before, configured, &closed, ticked, unreachable_after, (now, self.clock.random()));
        let backlog = Backlog::from(&watchlist);
        let events = change.as_ref().map_or_else(Vec::new, |change| change.events.clone());
        let message = StateChange::of(Subject::Monitor, watchlist.revision, &events);
        if let Some(change) = change {
            // The time of the tick is part of the commit: a gap that is reported is over. The heartbeat is not: a commit
            // that is repeated for minutes would replace the newer heartbeats of other ticks.
            watchlist.ticked_at = Some(self.beats_at(now, &stopwatch));
            let altered = vec![Item::Watchlist(watchlist.clone())];
            if records::commit(self.store, self.clock, change, altered).await? == Committed::Lost {
                info!("another tick updated the list of targets first: it sends the jobs");
                return Ok(ScheduleReport::nothing(Disposition::Done));
            }
        }
        let beats_at = self.beats_at(now, &stopwatch);
        self.record_heartbeat(beats_at, jobs_sent_at).await?;
        self.quota_estimators.ticked(self.clock.uptime());

        let (mut known, mut added) = (BTreeSet::new(), BTreeSet::new());
        known.extend(before.iter().flat_map(|list| &list.targets).map(Target::id));
        let is_new = |target: &&Target| !known.contains(target.id());
        added.extend(watchlist.targets.iter().filter(is_new).map(|target| target.id().clone()));
        let targets = Targets { all: watchlist.targets.clone(), added: &added, jobs_sent_at };
        let DispatchPlan { due, throttled, is_once } =
            dispatch_plan(self.source, self.settings, self.quota_estimators, targets, now).await;
        let pools = watchlist.pools.iter().map(|pools| self.pools_due(pools, now));
        let jobs: Vec<Due> = due.iter().cloned().chain(pools).collect();
        let disposition = match self.send_jobs(&jobs, &watchlist.dropping, now).await {
            Ok(()) => {
                if is_once && let Err(error) = self.record_heartbeat(beats_at, Some(now)).await {
                    warn!(%error, "the sent jobs were not recorded: a repeated tick sends them again");
                }
                Disposition::Done
            }
            Err(error) => {
                warn!(%error, "not every job was sent");
                error.into()
            }
        };
        if backlog.is_due(stored.cursor.as_ref(), now)
            && let Err(error) = announce(self.changes, &message, backlog.last(), now).await
        {
            // The next tick sends another one.
            warn!(%error, "the state-change message was not sent");
        }
        // After the jobs: reading the history of thousands of targets takes a while, and no check waits for it.
        if let Err(error) = self.report_week(&watchlist, &stored, now).await {
            warn!(%error, "the weekly report was not made: the next tick makes it");
        }
        let targets = due.into_iter().map(|due| due.target).collect();
        Ok(ScheduleReport { disposition, targets, dropped: watchlist.dropping, throttled, pending_since })
    }

    /// Of the first `DROPS_PER_TICK` targets of `dropping`: those that are closed, and the commit time of the oldest
    /// pending notification of the others. A target that cannot be read is not closed, and does not hold back the
    /// others.
    async fn closed(&self, dropping: &[Target]) -> (BTreeSet<TargetId>, Option<Timestamp>) {
        let (mut closed, mut open) = (BTreeSet::new(), Vec::new());
        let its_turn = &dropping[..dropping.len().min(DROPS_PER_TICK)];
        for together in its_turn.chunks(READS_AT_ONCE) {
            let reads = together.iter().map(|target| records::read_fleet(self.store, target));
            for (target, read) in together.iter().zip(join_all(reads).await) {
                match read {
                    Ok(stored) if stored.is_closed() => drop(closed.insert(target.id().clone())),
                    Ok(stored) => open.push(stored),
                    Err(error) => {
                        warn!(target_id = %target, %error, "a dropped target could not be read: its job is sent again");
                    }
                }
            }
        }
        let mut oldest = None;
        for StoredFleet { fleet, cursor } in open {
            let (subject, backlog) = (Subject::from(&fleet.record.target), Backlog::from(&fleet.record));
            let since = records::pending_since(self.store, &subject, backlog, cursor.as_ref()).await;
            oldest = oldest.into_iter().chain(since).min();
        }
        (closed, oldest)
    }

    /// The time that a tick stores as its own. After a stall that is the present: the next tick would take the time of
    /// the start for a gap.
    fn beats_at(&self, now: Timestamp, since_tick: &Stopwatch) -> Timestamp {
        if since_tick.elapsed(self.clock) >= STALLED { self.clock.now() } else { now }
    }

    /// Stores the monitor's heartbeat.
    async fn record_heartbeat(&self, at: Timestamp, jobs_sent_at: Option<Timestamp>) -> Result<(), StoreError> {
        let interval = self.settings.interval;
        let (subject, slot) = (Subject::Monitor, LastSeen::slot_at(at, interval));
        let heartbeat = LastSeen { subject, slot, at, jobs_sent_at, next_tick_at: Some(at.plus(interval)) };
        self.store.put(&[Put::replacing(Item::LastSeen(heartbeat))]).await.map(drop)
    }

    /// Finds the repositories that entries such as `acme/*` stand for.
    async fn resolve(&self, now: Timestamp, since_tick: &Stopwatch) -> Configured {
        let mut configured = Configured::default();
        for spec in &self.settings.configured {
            match spec {
                TargetSpec::One(target) => configured.targets.push(target.clone()),
                TargetSpec::RepositoriesOf(account) => match self.source.repositories_of(account).await {
                    Ok(found) => {
                        configured.targets.extend(found);
                        configured.resolved.push(spec.clone());
                    }
                    Err(failure) => {
                        warn!(%account, %failure, "the account's repositories were not listed: those already known stay monitored");
                        // If the tick stalled before the request, its start says nothing about when the entry could not
                        // be resolved.
                        let at = self.beats_at(now, since_tick);
                        let is_explained = failure.fault.is_shared() && self.is_failing(account, at).await;
                        configured.unresolved.push(Unresolved { spec: spec.clone(), failure, at, is_explained });
                    }
                },
            }
        }
        configured
    }

    /// The pools of the credentials whose targets are checked, if the policy has such pools. The targets of the last tick
    /// count too: the settings may not name those that stay monitored.
    fn pools_of(&self, targets: &[Target], before: Option<&Watchlist>) -> Vec<Target> {
        if self.settings.policy.pools_over_credentials().is_empty() {
            return Vec::new();
        }
        let known = before.into_iter().flat_map(|list| &list.targets);
        let mut credentials = BTreeSet::new();
        credentials.extend(targets.iter().chain(known).map(|target| self.source.credential(target)));
        credentials.iter().filter_map(CredentialId::pools).collect()
    }

    /// The job for the pools of a credential: half an interval later, when many of its targets have been checked.
    fn pools_due(&self, pools: &Target, now: Timestamp) -> Due {
        let at = now.plus((self.settings.interval / 2).min(LONGEST_DELAY));
        Due { target: pools.clone(), at, valid_until: at.plus(self.settings.interval) }
    }

    /// Whether checks with the credential of an account fail too, or did just now. If that cannot be read, the answer is
    /// no: the entry is reported.
    async fn is_failing(&self, account: &str, at: Timestamp) -> bool {
        let Ok(target) = Target::organization(account) else { return false };
        let credential = self.source.credential(&target);
        let read = records::read_credential(self.store, &credential).await;
        let unreachable_after = self.settings.policy.base().unreachable_after;
        let is_recent = |recovered_at| !at.has_waited(recovered_at, unreachable_after);
        read.is_ok_and(|stored| stored.record.failing.is_some() || stored.record.recovered_at.is_some_and(is_recent))
    }

    async fn send_jobs(
        &self,
        due: &[Due],
        dropping: &[Target],
        now: Timestamp,
    ) -> Result<(), crate::ports::QueueError> {
        let job = |target: &Target, reason, valid_until| {
            CheckJob { target: target.clone(), reason, requested_at: Some(now), valid_until }.to_json()
        };
        // A queue's delay counts from the moment of sending, and preparing the jobs took some time.
        let sent_at = self.clock.now();
        let checks =
            due.iter().map(|due| (job(&due.target, Reason::Schedule, Some(due.valid_until)), due.at.since(sent_at)));
        let drops =
            dropping.iter().take(DROPS_PER_TICK).map(|target| (job(target, Reason::Dropped, None), Duration::ZERO));
        let messages = drops.chain(checks).map(|(body, delay)| Outgoing { body, delay, ..Outgoing::default() });
        self.jobs.send(messages.collect()).await
    }
}
