//! Which jobs go out at a tick, and when each of them does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use monitor_domain::pace::{Pace, Quota, QuotaEstimator, TickPlan};
use monitor_domain::subject::{CredentialId, Subject};
use monitor_domain::target::{Target, TargetId};
use monitor_domain::time::Timestamp;
use tracing::{info, warn};

use crate::ports::RunnerSource;
use crate::stages::ScheduleSettings;

/// The longest that a queue holds a job back.
const LONGEST_DELAY: Duration = Duration::from_secs(900);
/// GitHub is asked what is left of a credential's hour only where more could be needed: half of the least hour that it gives
/// to anybody, 5,000 requests, were every look to cost one.
const NEVER_SHORT: usize = 2_500;

/// What the schedule stage remembers of each credential from one tick to the next. It may be lost at any time, as with a
/// Lambda that is started anew: then the next tick knows no more than what GitHub tells.
#[derive(Debug, Default)]
pub struct QuotaEstimators {
    estimated: Mutex<BTreeMap<CredentialId, Estimated>>,
    /// The last tick, by the clock that nobody can set.
    ticked_up: Mutex<Option<Duration>>,
}

#[derive(Debug, Default)]
struct Estimated {
    quota_estimator: QuotaEstimator,
    is_throttled: bool,
}

/// A credential whose quota does not last: its targets are looked at less often until GitHub's next hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// Which credential.
    pub credential: CredentialId,
    /// How many targets it sees.
    pub targets: usize,
    /// How many of them are looked at at this tick.
    pub jobs: usize,
    /// How far apart the looks at one target are at this rate.
    pub every: Duration,
    /// What is left.
    pub quota: Quota,
}

/// A job that goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) target: Target,
    /// The moment at which it is to be done.
    pub(super) at: Timestamp,
    /// When it is no longer worth doing.
    pub(super) valid_until: Timestamp,
}

/// What goes out at a tick.
#[derive(Debug, Default)]
pub(super) struct DispatchPlan {
    pub(super) due: Vec<Due>,
    pub(super) throttled: Vec<Throttled>,
    /// Whether so many go out that none may go out twice: once they are sent, this is to be noted.
    pub(super) is_once: bool,
}

/// The targets of one tick.
pub(super) struct Targets<'a> {
    /// All that are watched.
    pub(super) all: Vec<Target>,
    /// Those that were not at the tick before.
    pub(super) added: &'a BTreeSet<TargetId>,
    /// The last tick that noted that its jobs were sent. A sign of life would not do: a tick may fail after it.
    pub(super) jobs_sent_at: Option<Timestamp>,
}

/// The pace of one credential at this tick.
struct CredentialPlan {
    pace: Pace,
    tick: u64,
    starts_at: Timestamp,
    /// How many of those whose turn it is may go.
    allowed: usize,
    /// Whether the jobs of this interval are on their way already.
    is_repeated: bool,
    /// The place in the credential's list of its next target.
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
            info!(%subject, targets = count, "the jobs of this interval are on their way already: none is sent twice");
        } else if jobs < count {
            let every_secs = pace.every(jobs).as_secs();
            warn!(%subject, targets = count, jobs, every_secs, "more targets than one credential can look at in an interval: each is looked at less often");
        }
        if !is_repeated
            && could_run_out(count, settings.interval)
            && let Some(quota) = source.quota(through).await
        {
            let tick_plan = TickPlan { interval: settings.interval, starts_at, jobs, first_checks: added.min(jobs) };
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
    /// The job of the credential's next target, if it goes out.
    fn next(&mut self, target: Target, is_new: bool, now: Timestamp) -> Option<Due> {
        let index = self.index;
        self.index += 1;
        if self.is_repeated && !is_new {
            return None;
        }
        let at = self.starts_at.plus(self.pace.delay(index, self.tick, self.allowed)?);
        let valid_until = at.plus(self.pace.patience());
        // A tick that comes too late for a job lets it pass: sent now, it would come on top of those whose time it is.
        (valid_until >= now).then_some(Due { target, at, valid_until })
    }
}

fn could_run_out(targets: usize, interval: Duration) -> bool {
    let an_hour = targets as f64 * 3_600.0 / interval.as_secs_f64().max(1.0);
    an_hour > NEVER_SHORT as f64
}

impl QuotaEstimators {
    /// Whether this process has ticked within `gap`, whatever has been done to the time of day since; false where nothing but
    /// the time of day is known.
    pub(super) fn has_ticked_within(&self, gap: Duration, uptime: Option<Duration>) -> bool {
        let ticked = *self.ticked_up.lock().unwrap_or_else(PoisonError::into_inner);
        ticked.zip(uptime).is_some_and(|(ticked, now)| now.saturating_sub(ticked) < gap)
    }

    /// Notes that the monitor runs.
    pub(super) fn ticked(&self, uptime: Option<Duration>) {
        *self.ticked_up.lock().unwrap_or_else(PoisonError::into_inner) = uptime;
    }

    fn of<T>(&self, credential: &CredentialId, with: impl FnOnce(&mut Estimated) -> T) -> T {
        let mut quota_estimators = self.estimated.lock().unwrap_or_else(PoisonError::into_inner);
        with(quota_estimators.entry(credential.clone()).or_default())
    }

    /// Logs that an interval is stretched, and that it is no longer: once each, as far as is remembered.
    fn log_throttling(&self, throttled: &Throttled, is_throttled: bool, unreachable_after: Duration) {
        let was_throttled =
            self.of(&throttled.credential, |estimated| std::mem::replace(&mut estimated.is_throttled, is_throttled));
        let Throttled { targets, jobs, every, quota, .. } = *throttled;
        let subject = Subject::Credential(throttled.credential.clone());
        let (every_secs, until, quota_remaining) = (every.as_secs(), quota.resets_at, quota.remaining);
        match (is_throttled, was_throttled) {
            (true, false) if every >= unreachable_after => {
                warn!(%subject, targets, jobs, every_secs, quota_remaining, %until, "the quota does not last: the interval is stretched so far that outages are told late");
            }
            (true, false) => {
                info!(%subject, targets, jobs, every_secs, quota_remaining, %until, "the quota does not last: the interval is stretched");
            }
            (false, true) => info!(%subject, targets, quota_remaining, "the interval is as set again"),
            _ => {}
        }
    }
}
