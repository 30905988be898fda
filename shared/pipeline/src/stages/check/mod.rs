//! Check one target: read, ask GitHub, decide, commit.

mod by_hand;
mod credential;
mod groups;
mod observe;
mod outcome;
mod pass_on;
mod pools;
mod versions;

use std::time::Duration;

use futures_util::future::{join, try_join};
use monitor_domain::decision::{Decision, Handled};
use monitor_domain::fleet::{Counts, CredentialRecord, Fleet};
use monitor_domain::observation::{CredentialReport, Failure, Fault, Observation, Outcome};
use monitor_domain::overrides::Overrides;
use monitor_domain::policy::Policy;
use monitor_domain::polling::polled_by;
use monitor_domain::queues::JobsSeen;
use monitor_domain::quote::quote;
use monitor_domain::reconcile::{OfCredential, drop_target, reconcile};
use monitor_domain::runner::RunnerId;
use monitor_domain::subject::Subject;
use monitor_domain::target::{Target, TargetKind, TargetSpec};
use monitor_domain::time::Timestamp;
use tracing::{debug, warn};

use crate::items::{AccessToken, Cursor, Item, LastSeen};
use crate::keys::{Key, Put};
use crate::messages::{CheckJob, Reason};
use crate::ports::{Clock, RunnerSource, Sender, Store, StoreError};
use crate::records::{self, Backlog, Committed, StoredCredential, StoredFleet, handled};
use crate::stages::jobs::{jobs_seen, poll};
use crate::stages::lost_together::lost_together;
use crate::stages::{Disposition, LatestChecks, Stopwatch};
use outcome::{Announced, CheckOutcome, Stored, Tried};
pub use outcome::{CheckEnding, CheckReport};

/// How much of the error about an unreadable item is quoted, in characters.
const MAX_QUOTED: usize = 300;

/// The settings of the check stage.
#[derive(Clone, Debug)]
pub struct CheckSettings {
    /// The policy.
    pub policy: Policy,
    /// The configured list: a job for a target that is not on it is refused.
    pub configured: Vec<TargetSpec>,
    /// The time between two ticks of the schedule: an older job expires, because the next tick sends another.
    pub interval: Duration,
    /// Whether a webhook reports workflow jobs. Those that the policy polls are monitored all the same.
    pub jobs: bool,
}

/// The check stage with its ports.
pub struct Check<'a, St, Gh, Jobs, Changes, Cl> {
    /// The database.
    pub store: &'a St,
    /// GitHub.
    pub source: &'a Gh,
    /// The queue for rechecks.
    pub jobs: &'a Jobs,
    /// The queue for state-change messages.
    pub changes: &'a Changes,
    /// The clock.
    pub clock: &'a Cl,
    /// The settings.
    pub settings: &'a CheckSettings,
    /// The checks of this process that are not stored.
    pub latest: &'a LatestChecks,
}

impl<St: Store, Gh: RunnerSource, Jobs: Sender, Changes: Sender, Cl: Clock> Check<'_, St, Gh, Jobs, Changes, Cl> {
    /// Handles one job.
    pub async fn run(&self, job: &CheckJob) -> CheckReport {
        let now = self.clock.now();
        let target = &job.target;
        let idle = |ending| CheckReport {
            disposition: Disposition::Done,
            ending,
            events: Vec::new(),
            credential: CredentialReport::default(),
            pending_since: None,
        };
        if job.reason != Reason::Dropped && !self.is_configured(target) {
            warn!(target_id = %target, "refused to check a target that is not configured; add it to the list of targets");
            return idle(CheckEnding::NotConfigured);
        }
        let valid_until = job.valid_until.or(job.requested_at.map(|at| at.plus(self.settings.interval)));
        if job.reason == Reason::Schedule && valid_until.is_some_and(|until| now > until) {
            debug!(target_id = %target, "the job has expired: the next tick sends another");
            return idle(CheckEnding::Expired);
        }
        if job.reason == Reason::Manual {
            match self.may_check_by_hand(target, now).await {
                Ok(true) => {}
                Ok(false) => {
                    debug!(target_id = %target, "another requested check covers this job");
                    return idle(CheckEnding::Covered);
                }
                Err(error) => {
                    warn!(target_id = %target, %error, "the check failed before it could commit");
                    return CheckReport { disposition: error, ..idle(CheckEnding::Broken) };
                }
            }
        }
        match self.check_and_commit(job, now).await {
            Ok(outcome) => self.pass_on(target, outcome, now).await,
            Err(error) => {
                warn!(target_id = %target, %error, "the check failed before it could commit");
                CheckReport { disposition: error.into(), ..idle(CheckEnding::Broken) }
            }
        }
    }

    fn is_configured(&self, target: &Target) -> bool {
        match target.kind() {
            TargetKind::Pools => !self.settings.policy.pools_over_credentials().is_empty(),
            _ => self.settings.configured.iter().any(|spec| spec.covers(target)),
        }
    }

    /// Reads, asks and commits; tries once more if another check commits first, or if it takes too long.
    async fn check_and_commit(&self, job: &CheckJob, now: Timestamp) -> Result<CheckOutcome, StoreError> {
        for is_last in [false, true] {
            let tried = match job.reason {
                Reason::Dropped => self.drop_once(&job.target, now).await?,
                _ if let Some(credential) = job.target.pooled_credential() => {
                    Box::pin(self.check_pools(&job.target, credential, now, is_last)).await?
                }
                _ => self.check_once(job, now, is_last).await?,
            };
            match tried {
                Tried::Done(outcome) => return Ok(*outcome),
                Tried::Lost => debug!(target_id = %job.target, "another check committed first: checking again"),
                Tried::Late => {
                    debug!(target_id = %job.target, "the check took longer than the interval: checking again")
                }
            }
        }
        Ok(CheckOutcome::nothing(CheckEnding::Outrun))
    }

    /// Checks once. If the last try takes too long, it counts as a failed check.
    async fn check_once(&self, job: &CheckJob, now: Timestamp, is_last: bool) -> Result<Tried, StoreError> {
        let target = &job.target;
        let credential_id = self.source.credential(target);
        // The store is read before GitHub is asked: so a commit on this state is based on a newer observation.
        let read =
            try_join(records::read_fleet(self.store, target), records::read_credential(self.store, &credential_id));
        let (StoredFleet { mut fleet, cursor }, credential) = match read.await {
            Err(StoreError::Unreadable { key, reason }) => return self.unreadable(target, &key, &reason, now).await,
            read => read?,
        };
        // Failing checks count as begun too; a drop ends that.
        let is_begun = fleet.record.watched_since.is_some() || fleet.record.failing.is_some();
        if !is_begun && job.reason != Reason::Once && !self.is_listed(target).await? {
            return Ok(Tried::done(CheckOutcome::nothing(CheckEnding::NotConfigured)));
        }
        let pending_since = self.pending_since(&fleet, cursor.as_ref(), &credential).await;
        fleet.checked_at = self.latest.of(&fleet);
        let to_share = self.source.prepare(target, credential.access_token.as_ref()).await;
        let stopwatch = Stopwatch::start(self.clock);
        let ((mut observation, report), ()) = join(self.observe(target, &fleet), self.share(to_share)).await;
        let has_read = matches!(observation.outcome, Outcome::Complete { .. } | Outcome::Short { .. });
        let polled = polled_by(target, self.settings.policy.polled(), &self.settings.configured);
        let has_jobs = self.settings.jobs || !polled.is_empty();
        if has_jobs && has_read {
            let ports = (self.store, self.source, self.clock);
            observation.polled = Box::pin(poll(ports, target, polled, &fleet.record.polled)).await;
            let policy = self.settings.policy.for_target(target);
            let enterprises = self.enterprises();
            observation.jobs =
                Box::pin(jobs_seen(ports, target, &policy, (self.settings.interval, &enterprises))).await;
        } else if job.reason == Reason::Once {
            // A single check does not know whether the store's monitor receives reports of jobs.
            observation.jobs = JobsSeen::Unknown;
        }
        if has_read {
            observation.groups =
                Box::pin(groups::ask((self.store, self.source, self.clock), &fleet, &observation)).await;
        }
        let took = stopwatch.elapsed(self.clock);
        let is_late = took > self.settings.interval;
        if is_late {
            let failure = match observation.outcome {
                Outcome::Complete { .. } | Outcome::Short { .. } if !is_last => return Ok(Tried::Late),
                Outcome::Complete { .. } | Outcome::Short { .. } => too_slow(took, self.settings.interval),
                Outcome::Partial(failure) | Outcome::Failed(failure) => failure,
            };
            // Dated by its end: if the process stalled meanwhile, the time before says nothing about GitHub.
            observation = Observation::of(self.clock.now(), Outcome::Failed(failure));
        }
        let now = if is_late { observation.started_at } else { now };

        let policy = self.settings.policy.for_target(target);
        let (credential, announced) = self.settle_credential(credential, &observation, &report, &[], now).await?;

        let explains = credential.explains(&fleet.record, observation.started_at, self.settings.policy.base());
        let of_credential = OfCredential { explains, versions: &credential.versions };
        let mut decision = reconcile(&fleet, &observation, &policy, &Overrides::default(), of_credential, now);
        if decision.depends_on_overrides() {
            let overrides = records::read_overrides(self.store, target.id(), &decision, self.clock).await?;
            decision = reconcile(&fleet, &observation, &policy, &overrides, of_credential, now);
        }
        let of_loss = (target, &credential.id);
        if let Some(targets) = lost_together(self.store, self.clock, of_loss, &decision).await {
            decision.note_lost_targets(targets);
        }
        let ending = match &observation.outcome {
            Outcome::Complete { .. } if decision.is_empty() => CheckEnding::Seen(Counts::of(&fleet.runners)),
            Outcome::Complete { .. } => CheckEnding::Seen(decision.counts),
            Outcome::Short { failure, .. } | Outcome::Partial(failure) | Outcome::Failed(failure) => {
                if is_late {
                    CheckEnding::Late(failure.clone())
                } else {
                    CheckEnding::Failed(failure.clone())
                }
            }
        };
        let recheck = decision.recheck;
        let last_seen_at = decision.last_seen_at;
        let changes_nothing = matches!(ending, CheckEnding::Seen(_)) && decision.is_empty();
        let Some(stored) = self.commit(&fleet, decision, handled(cursor.as_ref())).await? else {
            return Ok(Tried::Lost);
        };
        if changes_nothing {
            self.latest.note(&fleet, observation.started_at);
        }
        if let Some(at) = last_seen_at {
            let subject = target.into();
            let item = Item::LastSeen(LastSeen { subject, slot: 0, at, jobs_sent_at: None, next_tick_at: None });
            let _ = self.store.put(&[Put::replacing(item)]).await?;
        }
        // After the commit, which these requests would delay: the next check uses the answers.
        let asked = Box::pin(self.learn_of_versions(&fleet, &credential, &observation, &report, now)).await;
        let of_answers = asked.unwrap_or_else(|error| {
            // The check itself is committed and must be announced.
            warn!(%error, "the answers about versions were not stored: they are asked for again");
            None
        });
        let announced =
            announced.into_iter().chain(of_answers).chain(stored.announced(target, cursor.as_ref(), now)).collect();
        Ok(Tried::done(CheckOutcome {
            ending,
            events: stored.events,
            credential: report,
            announced,
            recheck,
            pending_since,
        }))
    }

    /// Asks about the versions that are to be asked about, and commits the answers. Returns the state-change message to
    /// be sent.
    async fn learn_of_versions(
        &self,
        fleet: &Fleet,
        credential: &CredentialRecord,
        observation: &Observation,
        report: &CredentialReport,
        now: Timestamp,
    ) -> Result<Option<Announced>, StoreError> {
        let answers = versions::ask((self.store, self.source, self.clock), fleet, credential, observation).await;
        if answers.is_empty() {
            return Ok(None);
        }
        let read = records::read_credential(self.store, &credential.id).await?;
        let (_, announced) = self.settle_credential(read, observation, report, &answers, now).await?;
        Ok(announced)
    }

    /// Handles a target with a stored item that cannot be read: as a failed check, so that people are notified.
    ///
    /// This needs the target's own record; if that cannot be read, it is rebuilt from the target's history.
    async fn unreadable(&self, target: &Target, key: &str, reason: &str, now: Timestamp) -> Result<Tried, StoreError> {
        let StoredFleet { fleet, cursor } = records::read_damaged_fleet(self.store, target).await?;
        let detail = format!("the stored item `{key}` cannot be read: {reason}");
        let failure = Failure::new(Fault::Unreadable, quote(&detail, MAX_QUOTED));
        let observation = Observation::of(self.clock.now(), Outcome::Failed(failure.clone()));
        let policy = self.settings.policy.for_target(target);
        let backlog = Backlog::from(&fleet.record);
        let pending_since = records::pending_since(self.store, &Subject::from(target), backlog, cursor.as_ref()).await;
        let decision = reconcile(&fleet, &observation, &policy, &Overrides::default(), OfCredential::default(), now);
        let Some(stored) = self.commit(&fleet, decision, handled(cursor.as_ref())).await? else {
            return Ok(Tried::Lost);
        };
        let announced = stored.announced(target, cursor.as_ref(), now).into_iter().collect();
        let ending = CheckEnding::Failed(failure);
        Ok(Tried::done(CheckOutcome {
            events: stored.events,
            announced,
            pending_since,
            ..CheckOutcome::nothing(ending)
        }))
    }

    /// When the oldest pending notification of a target or its credential was committed.
    async fn pending_since(
        &self,
        fleet: &Fleet,
        cursor: Option<&Cursor>,
        credential: &StoredCredential,
    ) -> Option<Timestamp> {
        let Fleet { record, .. } = fleet;
        let (subject, backlog) = (Subject::from(&record.target), Backlog::from(record));
        let of_target = records::pending_since(self.store, &subject, backlog, cursor).await;
        let StoredCredential { record, cursor, .. } = credential;
        let (subject, backlog) = (Subject::Credential(record.id.clone()), Backlog::from(record));
        let of_credential = records::pending_since(self.store, &subject, backlog, cursor.as_ref()).await;
        of_target.into_iter().chain(of_credential).min()
    }

    /// Whether the schedule has a target on its list. A job sent before its target was dropped, or for a target that
    /// `acme/*` covers but does not find, must not start to watch the target: nothing would check it again.
    async fn is_listed(&self, target: &Target) -> Result<bool, StoreError> {
        let is_named = |spec: &TargetSpec| matches!(spec, TargetSpec::One(named) if named == target);
        Ok(match records::read_monitor(self.store, self.clock).await?.watchlist {
            Some(watchlist) => watchlist.checked().any(|listed| listed == target),
            // Before the first tick, entries such as `acme/*` are not resolved yet.
            None => self.settings.configured.iter().any(is_named),
        })
    }

    /// The enterprises among the configured targets: their runners may serve the jobs of any repository.
    fn enterprises(&self) -> Vec<Target> {
        let enterprise = |spec: &TargetSpec| match spec {
            TargetSpec::One(target) if target.kind() == TargetKind::Enterprise => Some(target.clone()),
            _ => None,
        };
        self.settings.configured.iter().filter_map(enterprise).collect()
    }

    async fn drop_once(&self, target: &Target, now: Timestamp) -> Result<Tried, StoreError> {
        let stored = records::read_fleet(self.store, target).await?;
        // Read after the records: a check that starts to watch it from here on takes the revision that this would
        // commit.
        if self.is_listed(target).await? {
            debug!(target_id = %target, "the target is on the list again: it is not dropped");
            return Ok(Tried::done(CheckOutcome::nothing(CheckEnding::Expired)));
        }
        let mut decision = drop_target(&stored.fleet, now);
        if stored.is_dropped() && !stored.is_handled() {
            // The drop is committed; the job is repeated until the notifier has recorded and notified it.
            decision.events.clear();
        }
        let StoredFleet { fleet, cursor } = stored;
        let Some(stored) = self.commit(&fleet, decision, handled(cursor.as_ref())).await? else {
            return Ok(Tried::Lost);
        };
        let announced = stored.announced(target, cursor.as_ref(), now).into_iter().collect();
        Ok(Tried::done(CheckOutcome {
            events: stored.events,
            announced,
            ..CheckOutcome::nothing(CheckEnding::Dropped)
        }))
    }

    /// Stores an access token for the other pollers.
    async fn share(&self, token: Option<AccessToken>) {
        let Some(token) = token else { return };
        let credential = token.credential.clone();
        // Without it each poller uses a token of its own: the only cost is full answers in place of 304.
        if let Err(error) = self.store.put(&[Put::replacing(Item::AccessToken(token))]).await {
            warn!(%credential, %error, "an access token could not be stored for the other pollers");
        }
    }

    /// Commits a decision in its parts, then deletes the runners that it retired. `None` if another check committed
    /// first.
    async fn commit(&self, fleet: &Fleet, decision: Decision, handled: Handled) -> Result<Option<Stored>, StoreError> {
        let id = fleet.record.target.id();
        let listed = |leftover: &RunnerId| decision.runners.iter().any(|change| change.runner.id == *leftover);
        let mut retired: Vec<RunnerId> = fleet.leftovers.iter().copied().filter(|leftover| !listed(leftover)).collect();
        let Fleet { record, .. } = fleet;
        let mut stored = Stored { events: Vec::new(), revision: record.revision, backlog: Backlog::from(record) };
        for commit in decision.commits(self.clock.random(), self.store.max_batch(), handled) {
            (stored.revision, stored.backlog) = (commit.record.revision, Backlog::from(&commit.record));
            stored.events.extend(commit.change.events.iter().cloned());
            let (change, items, retired_now) = records::items_of(commit);
            if records::commit(self.store, self.clock, change, items).await? == Committed::Lost {
                return Ok(None);
            }
            retired.extend(retired_now);
        }
        if !retired.is_empty() {
            let keys: Vec<Key> = retired.into_iter().map(|runner| Key::Runner(id.clone(), runner)).collect();
            for batch in keys.chunks(self.store.max_batch().max(1)) {
                self.store.delete(batch).await?;
            }
        }
        Ok(Some(stored))
    }
}

fn too_slow(took: Duration, interval: Duration) -> Failure {
    let (took_secs, interval_secs) = (took.as_secs(), interval.as_secs());
    let detail = format!(
        "the check took {took_secs} s and the interval is {interval_secs} s: what it saw is discarded; set a longer interval if GitHub answers"
    );
    Failure::new(Fault::Service, detail)
}
