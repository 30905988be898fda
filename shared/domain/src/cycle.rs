//! Decides whether a cycle was complete. The heartbeat, the log, `status` and the alarms all use this decision.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::reconcile::LAST_SEEN_LAG;
use crate::target::TargetId;
use crate::time::{Timestamp, spoken_duration};

/// How long a notification may be pending, unless the settings say otherwise.
pub const DEFAULT_PENDING_LIMIT: Duration = Duration::from_secs(900);
/// The range of that setting. The upper bound is longer than any problem that resolves itself.
pub const PENDING_LIMITS: std::ops::RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(86_400);
/// After this many intervals without a tick, nobody is monitoring. A notification pending for less is not overdue.
const INTERVALS: u32 = 3;
/// How far the clocks of two machines may differ. A moment further ahead was stored before the clock was set back.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The outcome of checking one target, as far as the completeness of its cycle is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The check succeeded: every runner was seen.
    Seen,
    /// The check failed, and the stored failure counts towards `unreachableAfter`.
    FailureCounted,
    /// Neither: the failure would never be notified.
    No,
}

/// One cycle: a tick, and the checks that it dispatched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cycle {
    /// Why the tick failed; `None` if it succeeded.
    pub tick_failure: Option<String>,
    /// The targets on the list.
    pub listed: BTreeSet<TargetId>,
    /// The targets that were checked successfully, or whose failure was counted.
    pub checked: BTreeSet<TargetId>,
    /// When the oldest pending notification was committed.
    pub pending_since: Option<Timestamp>,
    /// Other faults that keep the monitor from working, worded to follow "not complete:".
    pub faults: BTreeSet<String>,
}

/// Why a cycle was not complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// The tick did not settle the list of targets, or did not send every job.
    TickFailed(String),
    /// The list of targets is empty.
    NoTargets,
    /// Some targets were not checked.
    Unchecked {
        /// The number of unchecked targets.
        count: usize,
        /// The number of targets on the list.
        of: usize,
        /// The first unchecked target, by identity.
        first: TargetId,
    },
    /// A notification has been pending for longer than the limit.
    Pending {
        /// For how long; `None` if the clock was set back since it was committed.
        age: Option<Duration>,
    },
    /// Another fault, worded for people.
    Fault(String),
}

impl Cycle {
    /// Notes the outcome of a target's check.
    pub fn note(&mut self, target: &TargetId, checked: Checked) {
        if checked != Checked::No {
            self.checked.insert(target.clone());
        }
    }

    /// Notes the oldest pending notification of a subject; the older of two is kept.
    pub fn note_pending(&mut self, since: Option<Timestamp>) {
        self.pending_since = self.pending_since.into_iter().chain(since).min();
    }

    /// The listed targets that are not checked yet, in order of their identity.
    pub fn unchecked(&self) -> impl Iterator<Item = &TargetId> {
        self.listed.difference(&self.checked)
    }
}

/// The last tick and the targets on the list as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredCycle {
    /// The time of the last tick, and the time when the next one is due.
    pub tick: Option<(Timestamp, Timestamp)>,
    /// The targets on the list: when each was last seen according to the store, and whether its checks fail.
    pub targets: Vec<(TargetId, Option<Timestamp>, bool)>,
    /// When the oldest pending notification was committed.
    pub pending_since: Option<Timestamp>,
}

impl StoredCycle {
    /// Why monitoring is not complete at `now`; empty if no monitor ever ran on this store.
    ///
    /// A target seen in one of the last cycles counts as checked: the stored time lags by up to [`LAST_SEEN_LAG`].
    pub fn shortfalls(&self, limit: Duration, now: Timestamp) -> Vec<Shortfall> {
        let Some((ticked_at, next_at)) = self.tick else { return Vec::new() };
        let interval = next_at.since(ticked_at);
        let overdue = interval.saturating_mul(INTERVALS);
        let tick_failure = if ticked_at > now.plus(CLOCK_SKEW) {
            Some("the last tick is dated ahead of this machine's clock".to_owned())
        } else if now.since(ticked_at) > overdue {
            Some(format!("the last tick was {} ago", spoken_duration(now.since(ticked_at))))
        } else {
            None
        };
        let bound = overdue + LAST_SEEN_LAG;
        let is_checked = |seen_at: Option<Timestamp>| seen_at.is_some_and(|at| ticked_at.since(at) <= bound);
        let checked = self.targets.iter().filter(|(_, seen_at, is_failing)| *is_failing || is_checked(*seen_at));
        let cycle = Cycle {
            tick_failure,
            listed: self.targets.iter().map(|(target, ..)| target.clone()).collect(),
            checked: checked.map(|(target, ..)| target.clone()).collect(),
            pending_since: self.pending_since,
            faults: BTreeSet::new(),
        };
        shortfalls(&cycle, pending_limit(limit, interval), now)
    }
}

/// Decides whether a cycle was complete: it was if there is no shortfall.
///
/// In a complete cycle the tick succeeded, there is at least one target, each target was seen or its failure counted,
/// and no notification has been pending for `pending_limit` (see [`pending_limit`]).
pub fn shortfalls(cycle: &Cycle, pending_limit: Duration, now: Timestamp) -> Vec<Shortfall> {
    let mut shortfalls = Vec::new();
    if let Some(reason) = &cycle.tick_failure {
        shortfalls.push(Shortfall::TickFailed(reason.clone()));
    } else if cycle.listed.is_empty() {
        shortfalls.push(Shortfall::NoTargets);
    }
    let mut unchecked = cycle.unchecked();
    if let Some(first) = unchecked.next() {
        let (count, of) = (1 + unchecked.count(), cycle.listed.len());
        shortfalls.push(Shortfall::Unchecked { count, of, first: first.clone() });
    }
    match cycle.pending_since.map(|since| pending_age(since, now)) {
        Some(Some(age)) if age < pending_limit => {}
        Some(age) => shortfalls.push(Shortfall::Pending { age }),
        None => {}
    }
    shortfalls.extend(cycle.faults.iter().cloned().map(Shortfall::Fault));
    shortfalls
}

/// How long a notification has been pending; `None` if its date is so far ahead that the clock was set back since.
pub fn pending_age(since: Timestamp, now: Timestamp) -> Option<Duration> {
    (since <= now.plus(CLOCK_SKEW)).then(|| now.since(since))
}

/// The pending time of the oldest notification in seconds, for a metric: 0 if none is pending, at most a day.
pub fn pending_secs(since: Option<Timestamp>, now: Timestamp) -> u64 {
    let longest = PENDING_LIMITS.end().as_secs();
    since.map_or(0, |since| pending_age(since, now).map_or(longest, |age| age.as_secs().min(longest)))
}

/// The longest time a notification may be pending: the setting, but at least three intervals.
pub fn pending_limit(setting: Duration, interval: Duration) -> Duration {
    setting.max(interval.saturating_mul(INTERVALS))
}

/// All reasons in one line.
pub fn describe(shortfalls: &[Shortfall]) -> String {
    shortfalls.iter().map(Shortfall::to_string).collect::<Vec<_>>().join("; ")
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shortfall::TickFailed(reason) => write!(f, "the tick failed: {reason}"),
            Shortfall::NoTargets => f.write_str("there is no target to check"),
            Shortfall::Unchecked { count: 1, of: 1, first } => write!(f, "{first} was not checked"),
            Shortfall::Unchecked { count, of, first } => {
                write!(f, "{count} of {of} targets were not checked, the first is {first}")
            }
            Shortfall::Pending { age: Some(age) } => {
                write!(f, "a notification has been pending for {}", spoken_duration(*age))
            }
            Shortfall::Pending { age: None } => {
                f.write_str("a notification has been pending since before the clock was set back")
            }
            Shortfall::Fault(text) => f.write_str(text),
        }
    }
}
