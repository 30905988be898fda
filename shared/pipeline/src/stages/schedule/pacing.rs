//! Which jobs a tick sends, and when each of them is due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use monitor_domain::pace::{Pace, Quota, QuotaEstimator, TickPlan};
use monitor_domain::subject::{CredentialId, Subject};
use monitor_domain::target::{Target, TargetId};
use monitor_domain::time::Timestamp;
use tracing::{info, warn};

use super::settings::ScheduleSettings;
use crate::ports::RunnerSource;

/// The longest delay that a queue allows.
pub(super) const LONGEST_DELAY: Duration = Duration::from_secs(900);
/// GitHub is asked for a credential's remaining quota only if its targets could need more requests an hour than this,
/// at one request a check. That is half of the smallest hourly quota that GitHub grants, 5,000 requests.
const NEVER_SHORT: usize = 2_500;

/// The most requests of a poll of one repository: four lists of runs, and the jobs of fifty runs.
const REQUESTS_OF_A_POLL: usize = 54;
/// The most questions about jobs in one check.
const QUESTIONS_OF_A_CHECK: usize = 30;

/// What the schedule stage remembers of each credential between ticks. It may be lost at any time, for example when a
/// Lambda restarts: then the next tick knows only what GitHub reports.
#[derive(Debug, Default)]
pub struct QuotaEstimators {
    estimated: Mutex<BTreeMap<CredentialId, Estimated>>,
    /// The uptime at the last tick, by the clock that nobody can set.
    ticked_up: Mutex<Option<Duration>>,
}

#[derive(Debug, Default)]
struct Estimated {
    quota_estimator: QuotaEstimator,
    is_throttled: bool,
}

/// A credential whose quota does not last: its targets are checked less often until the quota resets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// The throttled credential.
    pub credential: CredentialId,
    /// The number of its targets.
    pub targets: usize,
    /// How many of them are checked in this tick.
    pub jobs: usize,
    /// The effective interval: the time between two checks of one target at this rate.
    pub every: Duration,
    /// The remaining quota.
    pub quota: Quota,
}

/// A job to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) target: Target,
    /// When the job is due.
    pub(super) at: Timestamp,
    /// When it expires.
    pub(super) valid_until: Timestamp,
}

/// The jobs of one tick.
#[derive(Debug, Default)]
pub(super) struct DispatchPlan {
    pub(super) due: Vec<Due>,
    pub(super) throttled: Vec<Throttled>,
    /// Whether there are so many jobs that none may be sent twice: once they are sent, that must be stored.
    pub(super) is_once: bool,
}

/// The targets of one tick.
pub(super) struct Targets<'a> {
    /// All watched targets.
    pub(super) all: Vec<Target>,
    /// Those that were not watched at the previous tick.
    pub(super) added: &'a BTreeSet<TargetId>,
    /// The last tick that stored that its jobs were sent. The heartbeat would not do: a tick may fail after it.
    pub(super) jobs_sent_at: Option<Timestamp>,
}

/// The pace of one credential at this tick.
struct CredentialPlan {
    pace: Pace,
    tick: u64,
    starts_at: Timestamp,
    /// How many of the tick's jobs the quota allows.
    allowed: usize,
    /// Whether the jobs of this interval have already been sent.
    is_repeated: bool,
    /// The index of the next target in the credential's list.
    index: usize,
}

/// Decides about every job of a tick.
pub(super) async fn dispatch_plan(
    source: &impl RunnerSource,
    settings: &ScheduleSettings,
    quota_estimators: &QuotaEstimators,
    targets: Targets<'_>,
    now: Timestamp,
) -> DispatchPlan {
    let mut by_credential: BTreeMap<CredentialId, (&Target, usize, usize)> = BTreeMap::new();
    for target in &targets.all {
        let (_, count, added) = by_credential.entry(source.credential(target)).or_insert((target, 0, 0));
        *count += 1;
        *added += usize::from(targets.added.contains(target.id()));
    }
    // How much of this jobs really cost is learnt from GitHub's count, as everything else is.
    let polled_of = |credential: &CredentialId| {
        settings.policy.polled().iter().filter(|repository| source.credential(repository) == *credential).count()
    };
    let mut dispatch_plan = DispatchPlan::default();
    let mut credential_plan = BTreeMap::new();
    for (credential, (through, count, added)) in by_credential {
        let pace = Pace::of(count, settings.jobs_per_minute, settings.interval, LONGEST_DELAY);
        let (tick, starts_at) = (pace.tick(now), pace.starts_at(now));
        let jobs = pace.jobs();
        let mut allowed = jobs;
        let is_repeated = pace.is_tight && targets.jobs_sent_at.is_some_and(|before| pace.tick(before) == tick);
        dispatch_plan.is_once |= pace.is_tight && !is_repeated;
        let subject = Subject::Credential(credential.clone());
        if is_repeated {
            info!(%subject, targets = count, "the jobs of this interval have already been sent: none is sent twice");
        } else if jobs < count {
            let every_secs = pace.every(jobs).as_secs();
            warn!(%subject, targets = count, jobs, every_secs, "more targets than one credential can check in an interval: each is checked less often");
        }
        let polled = polled_of(&credential);
        let questions = if settings.jobs || polled > 0 { QUESTIONS_OF_A_CHECK * count } else { 0 };
        let at_most = count + REQUESTS_OF_A_POLL * polled + questions;
        if !is_repeated
            && could_run_out(at_most, settings.interval)
            && let Some(quota) = source.quota(through).await
        {
            let most_requests = at_most as f64 / count.max(1) as f64;
            let first_checks = added.min(jobs);
            let tick_plan = TickPlan { interval: settings.interval, starts_at, jobs, first_checks, most_requests };
            allowed =
                quota_estimators.of(&credential, |estimated| estimated.quota_estimator.allows(now, quota, &tick_plan));
            let every = pace.every(allowed);
            let throttled = Throttled { credential: credential.clone(), targets: count, jobs: allowed, every, quota };
            quota_estimators.log_throttling(&throttled, allowed < jobs, settings.policy.base().unreachable_after);
            if allowed < jobs {
                dispatch_plan.throttled.push(throttled);
            }
        }
        credential_plan.insert(credential, CredentialPlan { pace, tick, starts_at, allowed, is_repeated, index: 0 });
    }

    let mut moments: BTreeMap<CredentialId, (Vec<Timestamp>, usize)> = BTreeMap::new();
    for target in targets.all {
        let credential = source.credential(&target);
        let Some(credential_plan) = credential_plan.get_mut(&credential) else { continue };
        let is_new = targets.added.contains(target.id());
        if let Some(due) = credential_plan.next(target, is_new, now) {
            let (moments, first_checks) = moments.entry(credential).or_default();
            moments.push(due.at);
            *first_checks += usize::from(is_new);
            dispatch_plan.due.push(due);
        }
    }
    for (credential, (moments, first_checks)) in moments {
        let is_whole = credential_plan.get(&credential).is_some_and(|its| its.allowed >= its.pace.jobs());
        quota_estimators.of(&credential, |estimated| estimated.quota_estimator.sent(moments, first_checks, is_whole));
    }
    dispatch_plan
}

impl CredentialPlan {
    /// The job of the credential's next target, if it is sent in this tick.
    fn next(&mut self, target: Target, is_new: bool, now: Timestamp) -> Option<Due> {
        let index = self.index;
        self.index += 1;
        if self.is_repeated && !is_new {
            return None;
        }
        let at = self.starts_at.plus(self.pace.delay(index, self.tick, self.allowed)?);
        let valid_until = at.plus(self.pace.max_lateness());
        // A tick that is too late for a job drops it: sent now, it would add to the load of the jobs that are due.
        (valid_until >= now).then_some(Due { target, at, valid_until })
    }
}

fn could_run_out(targets: usize, interval: Duration) -> bool {
    let an_hour = targets as f64 * 3_600.0 / interval.as_secs_f64().max(1.0);
    an_hour > NEVER_SHORT as f64
}

impl QuotaEstimators {
    /// Whether this process has ticked within `gap`, however the time of day has been set since; false if only the time
    /// of day is known.
    pub(super) fn has_ticked_within(&self, gap: Duration, uptime: Option<Duration>) -> bool {
        let ticked = *self.ticked_up.lock().unwrap_or_else(PoisonError::into_inner);
        ticked.zip(uptime).is_some_and(|(ticked, now)| now.saturating_sub(ticked) < gap)
    }

    /// Remembers that this process ticked.
    pub(super) fn ticked(&self, uptime: Option<Duration>) {
        *self.ticked_up.lock().unwrap_or_else(PoisonError::into_inner) = uptime;
    }

    fn of<T>(&self, credential: &CredentialId, with: impl FnOnce(&mut Estimated) -> T) -> T {
        let mut quota_estimators = self.estimated.lock().unwrap_or_else(PoisonError::into_inner);
        with(quota_estimators.entry(credential.clone()).or_default())
    }

    /// Logs the start and the end of throttling, once each as long as the process remembers it.
    fn log_throttling(&self, throttled: &Throttled, is_throttled: bool, unreachable_after: Duration) {
        let was_throttled =
            self.of(&throttled.credential, |estimated| std::mem::replace(&mut estimated.is_throttled, is_throttled));
        let Throttled { targets, jobs, every, quota, .. } = *throttled;
        let subject = Subject::Credential(throttled.credential.clone());
        let (every_secs, until, quota_remaining) = (every.as_secs(), quota.resets_at, quota.remaining);
        match (is_throttled, was_throttled) {
            (true, false) if every >= unreachable_after => {
                warn!(%subject, targets, jobs, every_secs, quota_remaining, %until, "the quota does not last: checks are throttled so far that alerts come late");
            }
            (true, false) => {
                info!(%subject, targets, jobs, every_secs, quota_remaining, %until, "the quota does not last: checks are throttled");
            }
            (false, true) => info!(%subject, targets, quota_remaining, "checks are no longer throttled"),
            _ => {}
        }
    }
}
