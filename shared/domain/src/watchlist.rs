//! Which targets are watched, and whether the monitor itself ran.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::change::{Change, Step};
use crate::fleet::Counts;
use crate::subject::{Revision, Subject};
use crate::target::{Target, TargetId, TargetSpec};
use crate::time::Timestamp;

/// The list of targets as last committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Watchlist {
    /// The last committed revision.
    pub revision: Revision,
    /// The last revision with something to tell.
    pub last_tellable: Revision,
    /// The targets to be checked at each tick, in order of their identity.
    pub targets: Vec<Target>,
    /// Targets taken off the list whose outages may still be open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropping: Vec<Target>,
    /// Whether the list came up empty and was refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_refused: bool,
}

/// What the configured list amounts to, with `acme/*` resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configured {
    /// The targets found.
    pub targets: Vec<Target>,
    /// Lines that could not be resolved this time: what they stood for stays watched.
    pub unresolved: Vec<TargetSpec>,
}

/// What a tick comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The list from now on.
    pub watchlist: Watchlist,
    /// Set where the list or the monitor's history changes: to be put with the list, provided that its revision does
    /// not exist yet.
    pub change: Option<Change>,
}

/// Decides the list of targets at a tick. `dropped` are those of `dropping` that are known to be closed.
///
/// A gap of at least `gap` since the last tick is told: nobody watched.
pub fn tick(
    before: Option<&Watchlist>,
    configured: Configured,
    dropped: &BTreeSet<TargetId>,
    (last_tick_at, gap): (Option<Timestamp>, Duration),
    (now, nonce): (Timestamp, u64),
) -> Tick {
    let known = before.cloned().unwrap_or_default();
    let mut steps = Vec::new();
    if let Some(from) = last_tick_at.filter(|last| now.since(*last) >= gap) {
        steps.push(Step::Unwatched { from, until: now });
    }

    let was: BTreeMap<&TargetId, &Target> = known.targets.iter().map(|target| (target.id(), target)).collect();
    let mut is: BTreeMap<TargetId, Target> =
        configured.targets.into_iter().map(|target| (target.id().clone(), target)).collect();
    for target in &known.targets {
        if configured.unresolved.iter().any(|spec| spec.covers(target)) {
            is.entry(target.id().clone()).or_insert_with(|| target.clone());
        }
    }

    let empty_refused = is.is_empty() && !was.is_empty();
    let mut dropping: Vec<Target> =
        known.dropping.iter().filter(|target| !dropped.contains(target.id())).cloned().collect();
    if empty_refused {
        if !known.empty_refused {
            steps.push(Step::EmptyListRefused { kept: u32::try_from(was.len()).unwrap_or(u32::MAX) });
        }
        is = known.targets.iter().map(|target| (target.id().clone(), target.clone())).collect();
    } else {
        let total = u32::try_from(is.len()).unwrap_or(u32::MAX);
        if known.empty_refused {
            steps.push(Step::ListRestored { total });
        }
        let added: Vec<Target> = is.values().filter(|target| !was.contains_key(target.id())).cloned().collect();
        if !added.is_empty() {
            steps.push(Step::TargetsAdded { targets: added, total });
        }
        dropping.extend(known.targets.iter().filter(|target| !is.contains_key(target.id())).cloned());
        // Back on the list before it was closed: it is simply watched on.
        dropping.retain(|target| !is.contains_key(target.id()));
    }

    let mut watchlist = Watchlist {
        revision: known.revision,
        last_tellable: known.last_tellable,
        targets: is.into_values().collect(),
        dropping,
        empty_refused,
    };
    let change = (watchlist != known || !steps.is_empty()).then(|| {
        watchlist.revision = known.revision.next();
        Change {
            subject: Subject::Monitor,
            revision: watchlist.revision,
            nonce,
            decided_at: now,
            observed_at: now,
            counts: Counts::default(),
            more: false,
            steps,
        }
    });
    if change.as_ref().is_some_and(Change::is_tellable) {
        watchlist.last_tellable = watchlist.revision;
    }
    Tick { watchlist, change }
}

/// In which way the jobs of one credential go out, so that no more than so many begin in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The time between two jobs.
    pub step: Duration,
    /// Where the interval is too short for all of them, they take turns: each goes out at every so many ticks.
    pub turns: u64,
}

impl Pace {
    /// The pace of `count` jobs; all at once where there is no limit. They begin in the first nine tenths of the interval,
    /// since one that begins after it is overtaken, and no later than `longest_delay`.
    pub fn of(count: usize, per_minute: Option<u32>, interval: Duration, longest_delay: Duration) -> Self {
        let Some(per_minute) = per_minute else { return Self { step: Duration::ZERO, turns: 1 } };
        let step = Duration::from_millis(60_000_u64.div_ceil(per_minute.max(1).into()));
        let window = (interval / 10 * 9).min(longest_delay);
        let fits = u64::try_from(window.as_millis() / step.as_millis()).unwrap_or(u64::MAX).max(1);
        Self { step, turns: u64::try_from(count).unwrap_or(u64::MAX).div_ceil(fits).max(1) }
    }

    /// How long to hold back the job at `index`; none if it is not its turn.
    pub fn delay(self, index: usize, tick: u64) -> Option<Duration> {
        let index = u64::try_from(index).unwrap_or(u64::MAX);
        let place = u32::try_from(index / self.turns).unwrap_or(u32::MAX);
        (index % self.turns == tick % self.turns).then(|| self.step.saturating_mul(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_secs(900);

    fn configured(targets: &[&str]) -> Configured {
        Configured { targets: targets.iter().map(|t| t.parse().unwrap()).collect(), unresolved: Vec::new() }
    }

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_epoch_ms(1_800_000_000_000).plus(Duration::from_secs(minutes * 60))
    }

    fn names(targets: &[Target]) -> Vec<&str> {
        targets.iter().map(Target::as_str).collect()
    }

    fn first(targets: &[&str]) -> Tick {
        tick(None, configured(targets), &BTreeSet::new(), (None, GAP), (at(0), 1))
    }

    fn next(before: &Tick, configured: Configured, minutes: u64) -> Tick {
        let last = Some(at(minutes.saturating_sub(5)));
        tick(Some(&before.watchlist), configured, &BTreeSet::new(), (last, GAP), (at(minutes), 1))
    }

    fn steps(tick: &Tick) -> &[Step] {
        tick.change.as_ref().map_or(&[], |change| &change.steps)
    }

    #[test]
    fn a_dropped_target_stays_to_be_closed_until_it_is() {
        let first = first(&["acme/web", "Acme/Api"]);
        assert!(matches!(steps(&first), [Step::TargetsAdded { targets, total: 2 }] if targets.len() == 2));
        let second = next(&first, configured(&["acme/web"]), 5);
        assert_eq!(names(&second.watchlist.dropping), ["Acme/Api"]);
        let third = next(&second, configured(&["acme/web"]), 10);
        assert_eq!(names(&third.watchlist.dropping), ["Acme/Api"]);
        let closed = BTreeSet::from(["acme/api".parse::<Target>().unwrap().id().clone()]);
        let ticked = (Some(at(10)), GAP);
        let fourth = tick(Some(&third.watchlist), configured(&["acme/web"]), &closed, ticked, (at(15), 1));
        assert!(fourth.watchlist.dropping.is_empty());
        assert!(steps(&fourth).is_empty() && fourth.change.is_some());
    }

    #[test]
    fn an_empty_list_is_refused_once_and_told_when_restored() {
        let first = first(&["acme/web"]);
        let second = next(&first, configured(&[]), 5);
        assert!(matches!(steps(&second), [Step::EmptyListRefused { kept: 1 }]));
        assert_eq!(names(&second.watchlist.targets), ["acme/web"]);
        let third = next(&second, configured(&[]), 10);
        assert!(third.change.is_none() && third.watchlist.dropping.is_empty());
        let fourth = next(&third, configured(&["acme/web"]), 15);
        assert!(matches!(steps(&fourth), [Step::ListRestored { total: 1 }]));
    }

    #[test]
    fn what_cannot_be_resolved_stays_watched() {
        let first = first(&["acme/web", "acme/api", "other/x"]);
        let unresolved = Configured { targets: Vec::new(), unresolved: vec!["acme/*".parse().unwrap()] };
        let second = next(&first, unresolved, 5);
        assert_eq!(names(&second.watchlist.targets), ["acme/api", "acme/web"]);
        assert_eq!(names(&second.watchlist.dropping), ["other/x"]);
    }

    #[test]
    fn a_gap_in_which_nobody_watched_is_told() {
        let first = first(&["acme/web"]);
        let late = |minutes| {
            let ticked = (Some(at(0)), GAP);
            tick(Some(&first.watchlist), configured(&["acme/web"]), &BTreeSet::new(), ticked, (at(minutes), 1))
        };
        assert!(late(14).change.is_none());
        let told = late(180);
        assert!(matches!(steps(&told), [Step::Unwatched { from, until }] if *from == at(0) && *until == at(180)));
    }

    const INTERVAL: Duration = Duration::from_secs(300);
    const LONGEST: Duration = Duration::from_secs(900);

    fn delays(count: usize, per_minute: u32, interval: Duration, tick: u64) -> Vec<Duration> {
        let pace = Pace::of(count, Some(per_minute), interval, LONGEST);
        (0..count).filter_map(|index| pace.delay(index, tick)).collect()
    }

    #[test]
    fn jobs_keep_within_the_limit_and_the_interval() {
        assert_eq!(delays(3, 600, INTERVAL, 0), [0, 100, 200].map(Duration::from_millis));
        for (count, per_minute, interval) in
            [(4_000, 900, 300), (4_500, 900, 300), (10_000, 900, 60), (9_000, 7, 86_400)]
        {
            let delays = delays(count, per_minute, Duration::from_secs(interval), 5);
            let most = usize::try_from(per_minute).unwrap();
            let in_a_minute = |from: &Duration| {
                delays.iter().filter(|at| *at >= from && **at < *from + Duration::from_secs(60)).count()
            };
            assert!(delays.iter().all(|from| in_a_minute(from) <= most), "{count}");
            assert!(delays.iter().all(|at| *at < Duration::from_secs(interval * 9 / 10).min(LONGEST)), "{count}");
        }
        assert_eq!(delays(4_000, 900, INTERVAL, 7).len(), 4_000, "all of them at each tick");
        let unlimited = Pace::of(10_000, None, INTERVAL, LONGEST);
        assert!((0..10_000).all(|index| unlimited.delay(index, 3) == Some(Duration::ZERO)));
    }

    #[test]
    fn what_does_not_fit_into_one_interval_takes_turns() {
        let pace = Pace::of(10_000, Some(900), INTERVAL, LONGEST);
        assert_eq!(pace.turns, 3);
        for index in 0..10_000 {
            let turns = (100..103).filter(|tick| pace.delay(index, *tick).is_some()).count();
            assert_eq!(turns, 1, "each of them once in three ticks");
        }
    }
}
