//! Look at one target: read, ask GitHub, decide, commit.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{join, try_join};
use monitor_domain::change::Event;
use monitor_domain::credential::reconcile_credential;
use monitor_domain::cycle::Checked;
use monitor_domain::decision::{Decision, Handled};
use monitor_domain::fleet::{Counts, CredentialRecord, Fleet};
use monitor_domain::observation::{CredentialReport, Failure, Fault, Lookup, Observation, ObservedPage, Outcome};
use monitor_domain::overrides::Overrides;
use monitor_domain::policy::Policy;
use monitor_domain::quote::quote;
use monitor_domain::reconcile::{drop_target, lookups_wanted, reconcile};
use monitor_domain::runner::RunnerId;
use monitor_domain::subject::{CredentialId, Revision, Subject};
use monitor_domain::target::{Target, TargetSpec};
use monitor_domain::time::Timestamp;
use tracing::{debug, info, warn};

use crate::items::{AccessToken, Cursor, Item, Key, LastSeen, Marker, Put};
use crate::messages::{CheckJob, Reason, StateChange};
use crate::ports::{Clock, Outgoing, RunnerSource, Sender, Shortfall, Store, StoreError};
use crate::records::{self, Backlog, Committed, StoredCredential, StoredFleet, handled};
use crate::stages::{Disposition, LatestChecks, Stopwatch, announce};

/// How much is repeated of why a stored item cannot be read.
const MOST_QUOTED: usize = 300;
/// Of the checks of one target that people ask for, one begins in each window of this length.
const BY_HAND_WINDOW: Duration = Duration::from_secs(15);
/// How often a credential's history is tried to be written to while other checks do the same.
const CREDENTIAL_TRIES: u32 = 4;

/// What the check stage is set to.
#[derive(Clone, Debug)]
pub struct CheckSettings {
    /// The policy.
    pub policy: Policy,
    /// The configured list: a job for what is not on it is refused.
    pub configured: Vec<TargetSpec>,
    /// The time between two ticks of the schedule: an older job is overtaken by the next.
    pub interval: Duration,
}

/// The check stage with its ports.
pub struct Check<'a, St, Gh, Jobs, Changes, Cl> {
    /// The database.
    pub store: &'a St,
    /// GitHub.
    pub source: &'a Gh,
    /// Where rechecks go.
    pub jobs: &'a Jobs,
    /// Where state-change messages go.
    pub changes: &'a Changes,
    /// Time.
    pub clock: &'a Cl,
    /// What it is set to.
    pub settings: &'a CheckSettings,
    /// What this process knows of its checks beyond what is stored.
    pub latest: &'a LatestChecks,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// What is to become of the message.
    pub disposition: Disposition,
    /// How the check ended.
    pub ending: Ending,
    /// What was committed, in order.
    pub events: Vec<Event>,
    /// What GitHub said about the credential.
    pub credential: CredentialReport,
    /// When the oldest notification of the target or its credential was committed that was pending when the check began.
    pub pending_since: Option<Timestamp>,
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every runner was seen.
    Seen(Counts),
    /// The target could not be seen.
    Failed(Failure),
    /// It took longer than an interval: it counts as failed, whatever it saw.
    Late(Failure),
    /// The job came too late, and the next tick brings another if there is a need for it: GitHub was not asked.
    Expired,
    /// The target is not on the configured list: GitHub was not asked.
    NotConfigured,
    /// The target was taken off the list, and what was open of it is closed.
    Dropped,
    /// Others committed first, twice: what they saw is newer.
    Outrun,
    /// A person asked for it, and another check that begins after the job was received is under way to it: GitHub was not asked.
    Covered,
    /// The store or a queue failed; the disposition says more.
    Broken,
}

impl Ending {
    /// What it means for the completeness of its cycle.
    pub fn checked(&self) -> Checked {
        match self {
            Ending::Seen(_) => Checked::Seen,
            Ending::Failed(_) | Ending::Late(_) => Checked::FailureCounted,
            // What others have committed is newer than what this check saw.
            Ending::Outrun => Checked::Seen,
            Ending::Expired | Ending::NotConfigured | Ending::Dropped | Ending::Covered | Ending::Broken => Checked::No,
        }
    }
}

/// What came of one try to check and commit.
enum Tried {
    Done(Box<CheckOutcome>),
    /// Another check committed first.
    Lost,
    /// It took so long that what it saw may no longer be so.
    Late,
}

impl Tried {
    fn done(outcome: CheckOutcome) -> Self {
        Tried::Done(Box::new(outcome))
    }
}

/// A state-change message that is due.
struct Announced {
    message: StateChange,
    /// The last revision with work for the notifier.
    last: Revision,
}

/// A decision as it was committed.
struct Stored {
    events: Vec<Event>,
    /// The target's last revision.
    revision: Revision,
    backlog: Backlog,
}

impl Stored {
    /// The state-change message about it, where the notifier has something to do now: for this decision or an earlier one.
    fn announced(&self, target: &Target, cursor: Option<&Cursor>, now: Timestamp) -> Option<Announced> {
        self.backlog.is_due(cursor, now).then(|| Announced {
            message: StateChange::of(target.into(), self.revision, &self.events),
            last: self.backlog.last(),
        })
    }
}

/// What one attempt to look and commit came to.
struct CheckOutcome {
    ending: Ending,
    events: Vec<Event>,
    credential: CredentialReport,
    /// The subjects for which the notifier has something to do now.
    announced: Vec<Announced>,
    recheck: Option<Duration>,
    pending_since: Option<Timestamp>,
}

impl CheckOutcome {
    fn nothing(ending: Ending) -> Self {
        Self {
            ending,
            events: Vec::new(),
            credential: CredentialReport::default(),
            announced: Vec::new(),
            recheck: None,
            pending_since: None,
        }
    }
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
        if job.reason != Reason::Dropped && !self.settings.configured.iter().any(|spec| spec.covers(target)) {
            warn!(target_id = %target, "refused to check a target that is not configured; add it to the list of targets");
            return idle(Ending::NotConfigured);
        }
        let valid_until = job.valid_until.or(job.requested_at.map(|at| at.plus(self.settings.interval)));
        if job.reason == Reason::Schedule && valid_until.is_some_and(|until| now > until) {
            debug!(target_id = %target, "the job comes too late: the next tick brings another");
            return idle(Ending::Expired);
        }
        if job.reason == Reason::Manual {
            match self.may_check_by_hand(target, now).await {
                Ok(true) => {}
                Ok(false) => {
                    debug!(target_id = %target, "a check that somebody else asked for covers the job");
                    return idle(Ending::Covered);
                }
                Err(error) => {
                    warn!(target_id = %target, %error, "the check was broken off");
                    return CheckReport { disposition: error, ..idle(Ending::Broken) };
                }
            }
        }
        match self.check_and_commit(job, now).await {
            Ok(outcome) => self.pass_on(target, outcome, now).await,
            Err(error) => {
                warn!(target_id = %target, %error, "the check was broken off");
                CheckReport { disposition: error.into(), ..idle(Ending::Broken) }
            }
        }
    }

    /// Whether a check by hand may begin now. In each window one does; the first job after it sends one more for the next window,
    /// which covers all others: it begins after each of them was received.
    async fn may_check_by_hand(&self, target: &Target, now: Timestamp) -> Result<bool, Disposition> {
        let window_secs = BY_HAND_WINDOW.as_secs().cast_signed();
        let window = now.epoch_secs().div_euclid(window_secs);
        let marker = |window: i64| Marker {
            subject: target.into(),
            number: window.max(1).unsigned_abs(),
            nonce: self.clock.random(),
            at: now,
        };
        let markers = [marker(window), marker(window + 1)];
        let keys = markers.each_ref().map(|marker| Item::Marker(marker.clone()).key());
        let stored = self.store.get(&keys).await?;
        let [this, next] = markers;
        let is_free = |key: &Key| !stored.iter().any(|item| item.key() == *key);
        if is_free(&keys[0]) && records::mark(self.store, self.clock, this).await? {
            return Ok(true);
        }
        if is_free(&keys[1]) && records::mark(self.store, self.clock, next).await? {
            // As a recheck: a job by hand would find the window taken, by itself.
            let job = CheckJob {
                target: target.clone(),
                reason: Reason::Recheck,
                requested_at: Some(now),
                valid_until: None,
            };
            let begins = Timestamp::from_epoch_ms((window + 1) * window_secs * 1_000);
            let delay = Duration::from_secs(begins.since(now).as_millis().div_ceil(1_000).try_into().unwrap_or(0));
            self.jobs.send(vec![Outgoing { body: job.to_json(), delay, ..Outgoing::default() }]).await?;
        }
        Ok(false)
    }

    /// Reads, asks and commits; once more if another commits first, or if it takes too long.
    async fn check_and_commit(&self, job: &CheckJob, now: Timestamp) -> Result<CheckOutcome, StoreError> {
        for is_last in [false, true] {
            let tried = match job.reason {
                Reason::Dropped => self.drop_once(&job.target, now).await?,
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
        Ok(CheckOutcome::nothing(Ending::Outrun))
    }

    /// Checks once. The last try that takes too long counts as a failed check.
    async fn check_once(&self, job: &CheckJob, now: Timestamp, is_last: bool) -> Result<Tried, StoreError> {
        let target = &job.target;
        let credential_id = self.source.credential(target);
        // The store is read before GitHub is asked: what is committed on it then rests on a look that is newer.
        let read =
            try_join(records::read_fleet(self.store, target), records::read_credential(self.store, &credential_id));
        let (StoredFleet { mut fleet, cursor }, credential) = match read.await {
            Err(StoreError::Unreadable { key, reason }) => return self.unreadable(target, &key, &reason, now).await,
            read => read?,
        };
        // Checks that fail have begun with it, and a drop ends that.
        let is_begun = fleet.record.watched_since.is_some() || fleet.record.failing.is_some();
        if !is_begun && job.reason != Reason::Once && !self.is_listed(target).await? {
            return Ok(Tried::done(CheckOutcome::nothing(Ending::NotConfigured)));
        }
        let pending_since = self.pending_since(&fleet, cursor.as_ref(), &credential).await;
        fleet.checked_at = self.latest.of(&fleet);
        let to_share = self.source.prepare(target, credential.access_token.as_ref()).await;
        let stopwatch = Stopwatch::start(self.clock);
        let ((mut observation, report), ()) = join(self.observe(target, &fleet), self.share(to_share)).await;
        let took = stopwatch.elapsed(self.clock);
        let is_late = took > self.settings.interval;
        if is_late {
            let failure = match observation.outcome {
                Outcome::Complete { .. } | Outcome::Short { .. } if !is_last => return Ok(Tried::Late),
                Outcome::Complete { .. } | Outcome::Short { .. } => too_slow(took, self.settings.interval),
                Outcome::Partial(failure) | Outcome::Failed(failure) => failure,
            };
            // Dated by its end: of a process that stood still meanwhile, the time before says nothing of GitHub.
            observation = Observation { started_at: self.clock.now(), outcome: Outcome::Failed(failure) };
        }
        let now = if is_late { observation.started_at } else { now };

        let policy = self.settings.policy.for_target(target);
        let (credential, of_credential) = self.settle_credential(credential, &observation, &report, now).await?;

        let is_explained = credential.explains(&fleet.record, self.settings.policy.base());
        let mut decision = reconcile(&fleet, &observation, &policy, &Overrides::default(), is_explained, now);
        if decision.depends_on_overrides() {
            let overrides = records::read_overrides(self.store, target.id(), &decision, self.clock).await?;
            decision = reconcile(&fleet, &observation, &policy, &overrides, is_explained, now);
        }
        let ending = match &observation.outcome {
            Outcome::Complete { .. } if decision.is_empty() => Ending::Seen(Counts::of(&fleet.runners)),
            Outcome::Complete { .. } => Ending::Seen(decision.counts),
            Outcome::Short { failure, .. } | Outcome::Partial(failure) | Outcome::Failed(failure) => {
                if is_late {
                    Ending::Late(failure.clone())
                } else {
                    Ending::Failed(failure.clone())
                }
            }
        };
        let recheck = decision.recheck;
        let last_seen_at = decision.last_seen_at;
        let changes_nothing = matches!(ending, Ending::Seen(_)) && decision.is_empty();
        let Some(stored) = self.commit(&fleet, decision, handled(cursor.as_ref())).await? else {
            return Ok(Tried::Lost);
        };
        if changes_nothing {
            self.latest.note(&fleet, observation.started_at);
        }
        if let Some(at) = last_seen_at {
            let item = Item::LastSeen(LastSeen { subject: target.into(), at, jobs_sent_at: None, next_tick_at: None });
            let _ = self.store.put(vec![Put::replacing(item)]).await?;
        }
        let announced = of_credential.into_iter().chain(stored.announced(target, cursor.as_ref(), now)).collect();
        Ok(Tried::done(CheckOutcome {
            ending,
            events: stored.events,
            credential: report,
            announced,
            recheck,
            pending_since,
        }))
    }

    /// A check of a target of which something stored cannot be read: a failed one, so that people hear of it.
    ///
    /// The target's own record must be readable for that; where it is not, it is made anew from the target's history.
    async fn unreadable(&self, target: &Target, key: &str, reason: &str, now: Timestamp) -> Result<Tried, StoreError> {
        let StoredFleet { fleet, cursor } = records::read_damaged_fleet(self.store, target).await?;
        let detail = format!("the stored item `{key}` cannot be read: {reason}");
        let failure = Failure::new(Fault::Unreadable, quote(&detail, MOST_QUOTED));
        let observation = Observation { started_at: self.clock.now(), outcome: Outcome::Failed(failure.clone()) };
        let policy = self.settings.policy.for_target(target);
        let backlog = Backlog::from(&fleet.record);
        let pending_since = records::pending_since(self.store, &Subject::from(target), backlog, cursor.as_ref()).await;
        let decision = reconcile(&fleet, &observation, &policy, &Overrides::default(), false, now);
        let Some(stored) = self.commit(&fleet, decision, handled(cursor.as_ref())).await? else {
            return Ok(Tried::Lost);
        };
        let announced = stored.announced(target, cursor.as_ref(), now).into_iter().collect();
        let ending = Ending::Failed(failure);
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

    /// Whether the schedule has a target on its list. A job that was sent before its target was dropped, or for one that
    /// `acme/*` covers and does not find, must not begin to watch it: nobody would look at it again.
    async fn is_listed(&self, target: &Target) -> Result<bool, StoreError> {
        let is_named = |spec: &TargetSpec| matches!(spec, TargetSpec::One(named) if named == target);
        Ok(match records::read_monitor(self.store).await?.watchlist {
            Some(watchlist) => watchlist.targets.contains(target),
            // Before the first tick, nobody has found what `acme/*` stands for.
            None => self.settings.configured.iter().any(is_named),
        })
    }

    async fn drop_once(&self, target: &Target, now: Timestamp) -> Result<Tried, StoreError> {
        let stored = records::read_fleet(self.store, target).await?;
        // After the records: whoever begins to watch it anew from here on takes the revision that this would commit.
        if self.is_listed(target).await? {
            debug!(target_id = %target, "the target is on the list again: it is not dropped");
            return Ok(Tried::done(CheckOutcome::nothing(Ending::Expired)));
        }
        let mut decision = drop_target(&stored.fleet, now);
        if is_dropped(&stored.fleet) && !is_handled(&stored) {
            // It has been done, and comes again until the notifier has recorded and notified it.
            decision.events.clear();
        }
        let StoredFleet { fleet, cursor } = stored;
        let Some(stored) = self.commit(&fleet, decision, handled(cursor.as_ref())).await? else {
            return Ok(Tried::Lost);
        };
        let announced = stored.announced(target, cursor.as_ref(), now).into_iter().collect();
        Ok(Tried::done(CheckOutcome { events: stored.events, announced, ..CheckOutcome::nothing(Ending::Dropped) }))
    }

    /// Puts an access token on record for the other pollers.
    async fn share(&self, token: Option<AccessToken>) {
        let Some(token) = token else { return };
        let credential = token.credential.clone();
        // Without it each poller gets a token of its own: full answers in place of 304, no more.
        if let Err(error) = self.store.put(vec![Put::replacing(Item::AccessToken(token))]).await {
            warn!(%credential, %error, "an access token was not put on record for the other pollers");
        }
    }

    /// Lists the runners, and asks by id for those that are missing.
    async fn observe(&self, target: &Target, fleet: &Fleet) -> (Observation, CredentialReport) {
        let started_at = self.clock.now();
        let listing = self.source.list(target, &fleet.record.pages).await;
        let outcome = match listing.pages {
            // Under both of its names each of its outages would be recorded twice.
            Ok(_) if let Some(new) = listing.moved_to.filter(|new| self.is_configured_beside(new, target)) => {
                let detail =
                    format!("{target} has been renamed to {new}, which is watched too; take {target} off the list");
                Outcome::Failed(Failure::new(Fault::NotFound, detail))
            }
            Ok(pages) => {
                let lookups = self.look_up(target, fleet, &pages).await;
                // One that slipped from page to page while they were read is found by its id.
                let found = lookups.values().filter(|lookup| matches!(lookup, Lookup::Found(_))).count() as u64;
                match listing.shortfall.filter(|shortfall| shortfall.missing > found) {
                    Some(Shortfall { failure, .. }) => Outcome::Short { pages, lookups, failure },
                    None => Outcome::Complete { pages, lookups },
                }
            }
            Err(incomplete) if incomplete.partial => Outcome::Partial(incomplete.failure),
            Err(incomplete) => Outcome::Failed(incomplete.failure),
        };
        (Observation { started_at, outcome }, listing.report)
    }

    fn is_configured_beside(&self, new: &Target, old: &Target) -> bool {
        new != old && self.settings.configured.iter().any(|spec| spec.covers(new))
    }

    async fn look_up(&self, target: &Target, fleet: &Fleet, pages: &[ObservedPage]) -> BTreeMap<RunnerId, Lookup> {
        let mut lookups = BTreeMap::new();
        for id in lookups_wanted(fleet, pages) {
            match self.source.runner(target, id).await {
                Ok(lookup) => {
                    lookups.insert(id, lookup);
                }
                // Not asked is no verdict; the next look asks again.
                Err(failure) => {
                    debug!(target_id = %target, runner = id.0, %failure, "a missing runner could not be asked for");
                    if failure.fault.is_shared() {
                        break;
                    }
                }
            }
        }
        lookups
    }

    /// Commits what the check says of the credential. Gives its record then, and the state-change message that is due for it.
    async fn settle_credential(
        &self,
        stored: StoredCredential,
        observation: &Observation,
        report: &CredentialReport,
        now: Timestamp,
    ) -> Result<(CredentialRecord, Option<Announced>), StoreError> {
        let StoredCredential { mut record, mut cursor, .. } = stored;
        let mut committed = Vec::new();
        let check = (observation.started_at, &observation.outcome);
        let base = self.settings.policy.base();
        for _ in 0..CREDENTIAL_TRIES {
            let nonce = self.clock.random();
            // The present, not the beginning of the check: another may have begun later and committed first.
            let present = self.clock.now();
            let decide = |targets| reconcile_credential(&record, check, report, targets, base, (present, nonce));
            let Some(mut commit) = decide(0) else { break };
            // The whole list of targets is read for one number: only where a change carries it.
            if commit.change.events.iter().any(|event| matches!(event, Event::BecameUnreachable { .. })) {
                commit = decide(self.targets_served(&record.id).await?).unwrap_or(commit);
            }
            let altered = vec![Item::Credential(commit.record.clone())];
            let events = commit.change.events.clone();
            if records::commit(self.store, self.clock, commit.change, altered).await? == Committed::Done {
                record = commit.record;
                log_credential(&record.id, &events);
                committed = events;
                break;
            }
            // Lost to another check of the same credential, which saw the same: what it told explains this target's fault.
            StoredCredential { record, cursor, .. } = records::read_credential(self.store, &record.id).await?;
        }
        let backlog = Backlog::from(&record);
        let announced = backlog.is_due(cursor.as_ref(), now).then(|| Announced {
            message: StateChange::of(Subject::Credential(record.id.clone()), record.revision, &committed),
            last: backlog.last(),
        });
        Ok((record, announced))
    }

    async fn targets_served(&self, credential: &CredentialId) -> Result<u32, StoreError> {
        let watchlist = records::read_monitor(self.store).await?.watchlist.unwrap_or_default();
        let served = watchlist.targets.iter().filter(|target| credential.serves(target)).count();
        Ok(u32::try_from(served.max(1)).unwrap_or(u32::MAX))
    }

    /// Commits a decision in its parts, then deletes the runners that it retired. None where another committed first.
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

    /// Sends the recheck and the state-change messages, and logs what came of the check.
    async fn pass_on(&self, target: &Target, outcome: CheckOutcome, now: Timestamp) -> CheckReport {
        let mut disposition = Disposition::Done;
        if let Some(delay) = outcome.recheck {
            let job = CheckJob {
                target: target.clone(),
                reason: Reason::Recheck,
                requested_at: Some(now),
                valid_until: None,
            };
            let message = Outgoing { body: job.to_json(), delay, ..Outgoing::default() };
            if let Err(error) = self.jobs.send(vec![message]).await {
                // The next tick looks again in any case: the verdict comes later, no sooner than it should.
                warn!(target_id = %target, %error, "the recheck was not sent");
            }
        }
        for Announced { message, last } in &outcome.announced {
            if let Err(error) = announce(self.changes, message, *last, now).await {
                warn!(target_id = %target, %error, "the state-change message was not sent");
                disposition = error.into();
            }
        }
        match &outcome.ending {
            Ending::Failed(failure) if matches!(failure.fault, Fault::Limited { .. }) => {
                info!(target_id = %target, %failure, "not checked: the credential is limited");
            }
            // It befalls every target of the credential: the warning is the credential's, once.
            Ending::Failed(failure) if failure.fault.is_shared() => info!(target_id = %target, %failure, "not checked"),
            Ending::Failed(failure) => warn!(target_id = %target, %failure, "not checked"),
            Ending::Late(failure) => {
                warn!(target_id = %target, %failure, "the check took longer than the interval: it counts as failed");
            }
            Ending::Seen(counts) => {
                let events = outcome.events.len();
                debug!(target_id = %target, runners = counts.total, online = counts.online, events, "checked");
            }
            ending => debug!(target_id = %target, ?ending, "checked"),
        }
        let CheckOutcome { ending, events, credential, pending_since, .. } = outcome;
        CheckReport { disposition, ending, events, credential, pending_since }
    }
}

fn too_slow(took: Duration, interval: Duration) -> Failure {
    let (took_secs, interval_secs) = (took.as_secs(), interval.as_secs());
    let detail = format!(
        "the check took {took_secs} s and the interval is {interval_secs} s: what it saw is discarded; set a longer interval if GitHub answers"
    );
    Failure::new(Fault::Service, detail)
}

/// Says what befalls a credential when it begins and when it is over, and not once for each of its targets.
fn log_credential(credential: &CredentialId, events: &[Event]) {
    for event in events {
        match event {
            Event::ChecksFailing { failure } => {
                warn!(%credential, %failure, "checks fail, of every target of this credential");
            }
            Event::ReachableAgain { .. } => info!(%credential, "checks succeed again"),
            Event::CredentialExpiring { expires_at } => warn!(%credential, %expires_at, "the token expires"),
            _ => {}
        }
    }
}

/// Whether a target's records show that it was closed after being dropped, and that this is recorded and notified: until then
/// every tick sends another job, which sends another state-change message.
pub(super) fn is_closed(stored: &StoredFleet) -> bool {
    is_dropped(&stored.fleet) && is_handled(stored)
}

/// Whether there is a commit that closed it. One that nobody has looked at yet may be about to be begun.
fn is_dropped(Fleet { record, runners, .. }: &Fleet) -> bool {
    record.revision > Revision(0)
        && record.watched_since.is_none()
        && record.failing.is_none()
        && !record.unfinished
        && runners.is_empty()
}

fn is_handled(StoredFleet { fleet, cursor }: &StoredFleet) -> bool {
    Backlog::from(&fleet.record).is_done(handled(cursor.as_ref()))
}
