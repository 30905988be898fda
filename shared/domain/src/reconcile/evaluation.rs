//! The evaluation of one runner in a check: what its status counts for.

mod visibility;

use std::time::Duration;

use crate::change::{Event, RunnerName};
use crate::decision::RunnerChange;
use crate::groups::RunnerGroups;
use crate::jobs::Queue;
use crate::observation::ObservedRunner;
use crate::outage::{Ending, LastHealthy, Outage, OutageId, Visibility};
use crate::overrides::Overrides;
use crate::policy::{OnRemoved, TargetPolicy, Thresholds};
use crate::polling::PolledRuns;
use crate::pool::{PoolCounts, PoolRule};
use crate::queues::{JobsSeen, job_of};
use crate::reconcile::far_enough;
use crate::runner::{Absence, Down, Health, Runner, Status, Suspicion};
use crate::target::TargetId;
use crate::time::Timestamp;
use crate::versions::{self, VersionRecord};

/// The number of checks that must miss a runner before it is considered gone.
const POLLS_UNTIL_GONE: u32 = 2;

/// One runner while a check is evaluated.
pub(super) struct Evaluation<'a> {
    before: Option<&'a Runner>,
    runner: Runner,
    events: Vec<Event>,
    policy: &'a TargetPolicy<'a>,
    thresholds: Thresholds,
    is_ignored: bool,
    is_starting: bool,
    reports_versions: bool,
    versions: &'a [VersionRecord],
    jobs: &'a JobsSeen,
    at: Timestamp,
    /// When the previous check started.
    checked_at: Option<Timestamp>,
    /// Whether this check counted towards an outage, a recovery or a removal.
    counted: bool,
    overrides: &'a Overrides,
    target: &'a TargetId,
}

/// What is the same for all runners of a check.
pub(super) struct CheckContext<'a> {
    pub(super) policy: &'a TargetPolicy<'a>,
    pub(super) overrides: &'a Overrides,
    pub(super) target: &'a TargetId,
    pub(super) at: Timestamp,
    /// When the previous stored check started.
    pub(super) seen_at: Option<Timestamp>,
    /// When the previous check started, stored or not.
    pub(super) checked_at: Option<Timestamp>,
    /// Whether it is the first complete check of the target.
    pub(super) is_starting: bool,
    /// Whether GitHub reports versions of this target's runners.
    pub(super) reports_versions: bool,
    /// What GitHub said about versions.
    pub(super) versions: &'a [VersionRecord],
    /// The target's jobs.
    pub(super) jobs: &'a JobsSeen,
    /// The names of the target's runner groups, if GitHub was asked for them.
    pub(super) groups: Option<&'a RunnerGroups>,
    /// What is known now of the repositories whose jobs the check reads.
    pub(super) polled: &'a [PolledRuns],
    /// For the pools of a credential: the stored runners of its targets.
    pub(super) members: &'a [Runner],
}

impl From<&Runner> for RunnerName {
    fn from(runner: &Runner) -> Self {
        Self { id: runner.id, name: runner.name.clone() }
    }
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(before: &'a Runner, context: &CheckContext<'a>) -> Self {
        Self { before: Some(before), ..Self::registered(before.clone(), context) }.without_events()
    }

    /// The evaluation of a runner that is listed for the first time.
    pub(super) fn registered(mut runner: Runner, context: &CheckContext<'a>) -> Self {
        let CheckContext {
            policy,
            overrides,
            target,
            at,
            checked_at,
            is_starting,
            reports_versions,
            versions,
            jobs,
            ..
        } = *context;
        runner.is_pooled = runner.is_one() && policy.alerts_for_pool_only(&runner.labels);
        Self {
            before: None,
            policy,
            thresholds: policy.for_runner(&runner.name, &runner.labels),
            is_ignored: runner.is_one() && policy.ignores(&runner.name),
            events: vec![Event::Registered { runner: (&runner).into() }],
            is_starting,
            reports_versions,
            versions,
            jobs,
            at,
            checked_at,
            counted: false,
            overrides,
            target,
            runner,
        }
    }

    fn without_events(mut self) -> Self {
        self.events.clear();
        self
    }

    pub(super) fn runner(&self) -> &Runner {
        &self.runner
    }

    /// Whether the runner was stored before this check.
    pub(super) fn is_of_known(&self) -> bool {
        self.before.is_some()
    }

    /// Updates the runner to what GitHub says now.
    pub(super) fn update_from(&mut self, observed: &ObservedRunner) {
        if self.runner.current_id != observed.id {
            self.events.push(Event::Reregistered { runner: (&self.runner).into(), current_id: observed.id });
        }
        if self.runner.status != observed.status {
            let (from, to) = (self.runner.status, observed.status);
            self.events.push(Event::StatusChanged { runner: (&self.runner).into(), from, to });
        }
        self.runner.read(observed, self.reports_versions, self.at);
        self.runner.is_pooled = self.policy.alerts_for_pool_only(&self.runner.labels);
    }

    /// Updates a pool to the number of its runners that are online.
    pub(super) fn update_pool(&mut self, rule: &PoolRule, counts: PoolCounts) {
        let status = if counts.is_enough() { Status::Online } else { Status::Offline };
        if self.runner.status != status {
            self.runner.status_since = self.at;
            self.runner.status = status;
        }
        self.runner.name = rule.name();
        self.runner.labels.clone_from(&rule.labels);
        self.runner.pool = Some(counts);
    }

    /// Evaluates a queue in which jobs wait too long. That is confirmed: GitHub was asked about each of them.
    pub(super) fn on_waiting(&mut self, queue: &Queue) {
        self.runner.name = queue.name();
        self.runner.labels.clone_from(&queue.labels);
        self.runner.waiting = Some(Box::new(queue.waiting.clone()));
        if let Health::Down(down) = &mut self.runner.health {
            let before = std::mem::replace(&mut down.outage.waiting, self.runner.waiting.clone());
            if before.is_none_or(|before| before.differs_from(&queue.waiting)) {
                self.events.push(Event::QueueChanged { outage: Box::new(down.outage.clone()) });
            }
            self.still_down();
        } else {
            let visibility = self.apply_mutes(Visibility::Alerted);
            let outage = self.runner.outage(OutageId::PENDING, queue.waiting.since, self.at, None, visibility);
            self.events.push(Event::OutageOpened { outage: Box::new(outage.clone()) });
            self.runner.health = Health::Down(Box::new(Down::new(outage)));
        }
    }

    /// Ends a queue in which no job waits too long any more.
    pub(super) fn on_taken(&mut self) {
        self.end_mute();
        self.close(self.at, Ending::Recovered);
        self.retire();
    }

    /// Forgets a pool that the policy no longer has, or a queue if jobs are no longer monitored.
    pub(super) fn retire_pool(&mut self) {
        self.stop_monitoring();
        self.retire();
    }

    /// Evaluates a runner that is registered, by its status.
    pub(super) fn on_observed(&mut self) {
        self.runner.absence = None;
        if let Some(job) = job_of(self.jobs, &self.runner) {
            self.runner.job = job.map(Box::new);
        }
        if let Health::Gone { since, alerted } = self.runner.health {
            self.events.push(Event::Returned { runner: (&self.runner).into(), gone_since: since, alerted });
            self.runner.health = Health::Healthy;
        }
        if self.is_ignored {
            self.stop_monitoring();
        } else if self.runner.status.is_healthy() {
            self.on_healthy();
        } else {
            self.on_unhealthy();
        }
    }

    fn on_healthy(&mut self) {
        match &mut self.runner.health {
            Health::Suspect(_) => {
                self.runner.health = Health::Healthy;
                self.events.push(Event::Cleared { runner: (&self.runner).into() });
            }
            Health::Down(down) => {
                down.outage.connected_at = Some(self.at);
                down.removal_warned_days = None;
                let counts = down
                    .counted_at
                    .is_none_or(|counted| far_enough(self.at, counted, self.thresholds.recheck_interval));
                if !counts {
                    return;
                }
                down.healthy_count += 1;
                down.counted_at = Some(self.at);
                let recovering_since = *down.recovering_since.get_or_insert(self.at);
                self.counted = true;
                if down.healthy_count >= self.thresholds.success_threshold {
                    self.close(recovering_since, Ending::Recovered);
                }
            }
            Health::Healthy => self.calm_down(),
            Health::Gone { .. } | Health::Retired => {}
        }
    }

    fn on_unhealthy(&mut self) {
        let waits = self.waits_for_first_connection();
        let connected = !self.runner.never_connected();
        match &mut self.runner.health {
            Health::Healthy => {
                self.suspect(self.is_starting);
                self.counted = !waits;
            }
            Health::Suspect(_) if waits => {}
            // No check for as long as would make the target unreachable: the unhealthy checks are not consecutive. If
            // the clock was set back, the gap is unknown and the suspicion continues: restarted at each jump, it might
            // never end.
            Health::Suspect(suspicion)
                if connected && self.at.since(suspicion.counted_at) >= self.thresholds.unreachable_after =>
            {
                let is_baseline = suspicion.is_baseline;
                self.suspect(is_baseline);
                self.counted = true;
            }
            Health::Suspect(suspicion) => {
                if far_enough(self.at, suspicion.counted_at, self.thresholds.recheck_interval) {
                    suspicion.unhealthy_count += 1;
                    suspicion.counted_at = self.at;
                    self.counted = true;
                }
            }
            Health::Down(down) => {
                down.restart_recovery();
                self.still_down();
            }
            Health::Gone { .. } | Health::Retired => {}
        }
    }

    /// Whether it was registered ahead of use and may still take its time: an ephemeral runner for ever, others for the
    /// policy's `connectGrace`.
    fn waits_for_first_connection(&self) -> bool {
        let has_waited = || self.at.has_waited(self.runner.first_seen_at, self.thresholds.connect_grace);
        self.runner.never_connected() && (self.runner.ephemeral || !has_waited())
    }

    /// When it was last known to be healthy, if the previous check found it healthy.
    fn last_healthy(&self) -> Option<LastHealthy> {
        let (before, at) = (self.before?, self.checked_at?);
        before.status.is_healthy().then_some(LastHealthy { at, status: before.status })
    }

    fn suspect(&mut self, is_baseline: bool) {
        let last_healthy = self.last_healthy();
        self.runner.health = Health::Suspect(Box::new(Suspicion {
            since: self.at,
            counted_at: self.at,
            unhealthy_count: 1,
            outage_id: OutageId::PENDING,
            is_baseline,
            last_healthy,
        }));
        self.events.push(Event::Suspected { runner: (&self.runner).into(), outage_id: OutageId::PENDING });
    }

    /// Whether this check counted against it, but not yet often enough.
    pub(super) fn is_confirming(&self) -> bool {
        matches!(&self.runner.health, Health::Suspect(suspicion)
            if self.counted && suspicion.unhealthy_count < self.thresholds.failure_threshold)
    }

    /// Whether its outage opens now. `waited_for`: other suspects may be confirmed soon and notified together with it.
    pub(super) fn is_confirmed(&self, waited_for: bool) -> bool {
        matches!(&self.runner.health, Health::Suspect(suspicion) if self.counted
            && suspicion.unhealthy_count >= self.thresholds.failure_threshold
            && (!waited_for || suspicion.unhealthy_count > self.thresholds.failure_threshold))
    }

    /// Turns the suspicion into an outage.
    pub(super) fn open(&mut self) {
        let Health::Suspect(suspicion) = &self.runner.health else {
            return;
        };
        let (since, id, last_healthy) = (suspicion.since, suspicion.outage_id, suspicion.last_healthy);
        let visibility = if suspicion.is_baseline { Visibility::Baseline } else { Visibility::Alerted };
        self.open_with(since, id, last_healthy, visibility);
    }

    fn open_with(
        &mut self,
        started_at: Timestamp,
        id: OutageId,
        last_healthy: Option<LastHealthy>,
        visibility: Visibility,
    ) {
        let visibility = self.note_flapping(started_at, visibility);
        let visibility = self.apply_mutes(visibility);
        let version = self.runner.version.as_deref().and_then(|version| versions::known(self.versions, version));
        // A runner that was online well after the end got jobs all the same: then it is no reason.
        let is_reason = |end: &Timestamp| {
            *end <= started_at && last_healthy.is_none_or(|last| last.at <= end.plus(Duration::from_secs(86_400)))
        };
        let version_ended_at = version.and_then(VersionRecord::ends_at).filter(is_reason);
        let outage = self.runner.outage(id, started_at, self.at, last_healthy, visibility);
        let outage = Outage { version_ended_at, ..outage };
        self.events.push(Event::OutageOpened { outage: Box::new(outage.clone()) });
        self.runner.health = Health::Down(Box::new(Down::new(outage)));
    }

    /// Whether an outage opened in this evaluation.
    pub(super) fn opens(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::OutageOpened { .. }))
    }

    /// Changes every copy of the outage in this evaluation.
    pub(super) fn update_outages(&mut self, alter: impl Fn(&mut Outage)) {
        if let Health::Down(down) = &mut self.runner.health {
            alter(&mut down.outage);
        }
        for event in &mut self.events {
            if let Event::OutageOpened { outage } | Event::OutageClosed { outage } = event {
                alter(outage);
            }
        }
    }

    fn close(&mut self, resolved_at: Timestamp, ending: Ending) {
        let health = std::mem::replace(&mut self.runner.health, Health::Healthy);
        let Health::Down(down) = health else {
            self.runner.health = health;
            return;
        };
        let outage = down.outage.ended(resolved_at, ending);
        if let Some(flapping) = &mut self.runner.flapping {
            flapping.healthy_since = Some(resolved_at);
        }
        self.events.push(Event::OutageClosed { outage: Box::new(outage) });
    }

    /// Stops monitoring a runner that the policy ignores now.
    fn stop_monitoring(&mut self) {
        if matches!(self.runner.health, Health::Suspect(_)) {
            self.runner.health = Health::Healthy;
            self.events.push(Event::Cleared { runner: (&self.runner).into() });
        }
        self.close(self.at, Ending::NoLongerMonitored);
        if let Some(flapping) = &mut self.runner.flapping {
            flapping.healthy_since = None;
        }
        self.end_flapping();
    }

    /// Evaluates a runner that is not on the list, as far as lookups were made.
    pub(super) fn on_missing(&mut self) {
        let last_healthy = self.last_healthy();
        let absence = self.runner.absence.get_or_insert_with(|| {
            Box::new(Absence {
                since: self.at,
                counted_at: self.at,
                count: 0,
                outage_id: OutageId::PENDING,
                last_healthy,
            })
        });
        if absence.count > 0 && !far_enough(self.at, absence.counted_at, self.thresholds.recheck_interval) {
            return;
        }
        absence.count += 1;
        absence.counted_at = self.at;
        // Healthy checks before and after one that misses the runner are not consecutive.
        if let Health::Down(down) = &mut self.runner.health {
            down.restart_recovery();
        }
        // An ephemeral runner deregisters after its job: that is expected.
        self.counted = !self.runner.ephemeral;
        if absence.count >= POLLS_UNTIL_GONE {
            let absence = absence.clone();
            self.runner.absence = None;
            self.on_gone(&absence);
        }
    }

    fn on_gone(&mut self, absence: &Absence) {
        let (since, before) = (absence.since, self.runner.status);
        self.runner.status = Status::Unknown;
        self.runner.status_since = self.at;
        let wanted = self.thresholds.on_removed == OnRemoved::Alert && !self.runner.ephemeral && !self.is_ignored;
        let mut alerted = wanted && !self.runner.never_connected() && self.runner.flapping.is_none();
        if wanted {
            self.end_mute();
        }
        match &self.runner.health {
            Health::Down(down) => {
                alerted = down.outage.visibility.is_notified();
                self.close(since, Ending::Removed);
            }
            health if alerted => {
                let (started_at, id, last_healthy) = match health {
                    Health::Suspect(suspicion) => (suspicion.since, suspicion.outage_id, suspicion.last_healthy),
                    _ => (since, absence.outage_id, absence.last_healthy),
                };
                let visibility = self.apply_mutes(Visibility::Alerted);
                alerted = visibility.is_notified();
                let outage = self.runner.outage(id, started_at, self.at, last_healthy, visibility);
                self.events.push(Event::OutageOpened { outage: Box::new(outage.clone()) });
                let outage = outage.ended(self.at, Ending::Removed);
                self.events.push(Event::OutageClosed { outage: Box::new(outage) });
            }
            _ => {}
        }
        if before != Status::Unknown {
            self.events.push(Event::StatusChanged { runner: (&self.runner).into(), from: before, to: Status::Unknown });
        }
        if let Some(flapping) = &mut self.runner.flapping {
            flapping.healthy_since = None;
            // People are notified that it is no longer monitored, so also of its return, when its alerts resume.
            alerted |= !flapping.muted;
        }
        self.end_flapping();
        if self.runner.ephemeral {
            self.retire();
        } else {
            self.runner.health = Health::Gone { since, alerted };
        }
    }

    /// Forgets a runner that has been gone for the policy's `forgetAfter`.
    pub(super) fn forget_when_due(&mut self) {
        // If the clock was set back, the runner is forgotten late. That does no harm; too early would lose the
        // notification of its return.
        if let Health::Gone { since, .. } = self.runner.health
            && self.at.since(since) >= self.thresholds.forget_after
        {
            self.retire();
        }
    }

    fn retire(&mut self) {
        self.runner.health = Health::Retired;
        self.events.push(Event::Retired { runner: (&self.runner).into() });
    }

    /// Whether the target should be checked again soon: this check counted, and the result is still open.
    pub(super) fn wants_recheck(&self) -> bool {
        let open = match &self.runner.health {
            Health::Suspect(_) => true,
            Health::Down(down) => down.healthy_count > 0,
            Health::Healthy => false,
            Health::Gone { .. } | Health::Retired => return false,
        };
        self.counted && (open || self.runner.absence.is_some())
    }

    /// The change of the runner; `None` if nothing changed.
    pub(super) fn into_change(self) -> Option<RunnerChange> {
        if self.before == Some(&self.runner) && self.events.is_empty() {
            return None;
        }
        Some(RunnerChange { runner: self.runner, events: self.events })
    }
}
