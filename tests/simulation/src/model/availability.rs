//! How available runners were, counted by hand from the true history and GitHub's log of checks.

use super::{CHECK_MS, Model, Source, TICK_MS, next_tick};
use crate::calendar::MINUTE_MS;
use crate::operations::What;
use crate::world::{Answered, Truth};

/// A runner that is offline for this long surely has an outage.
const LONG_MS: i64 = 30 * MINUTE_MS;
/// A time without ticks of this length is surely known as a gap.
const LONG_GAP_MS: i64 = 25 * MINUTE_MS;

/// What the availability of a runner must be, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// The least and the most time in which it was observed.
    pub observed_ms: (i64, i64),
    /// The least and the most of that which outages took.
    pub down_ms: (i64, i64),
}

/// How much of a time some spans cover.
fn covered(spans: impl IntoIterator<Item = (i64, i64)>, (from_ms, until_ms): (i64, i64)) -> i64 {
    let clipped = spans.into_iter().map(|(began_ms, ended_ms)| (began_ms.max(from_ms), ended_ms.min(until_ms)));
    let mut clipped: Vec<(i64, i64)> = clipped.filter(|(began_ms, ended_ms)| began_ms < ended_ms).collect();
    clipped.sort_unstable();
    let (mut sum_ms, mut reached_ms) = (0, from_ms);
    for (began_ms, ended_ms) in clipped {
        sum_ms += (ended_ms - began_ms.max(reached_ms)).max(0);
        reached_ms = reached_ms.max(ended_ms);
    }
    sum_ms
}

/// When a check has surely seen what is so since `at_ms`: that of the first tick which nothing disturbs.
fn seen_by(at_ms: i64, disturbed: &[(i64, i64)]) -> i64 {
    let mut tick_ms = next_tick(at_ms);
    while let Some((_, until_ms)) =
        disturbed.iter().find(|(from_ms, until_ms)| *from_ms <= tick_ms + CHECK_MS && *until_ms > tick_ms)
    {
        tick_ms = next_tick(*until_ms);
    }
    tick_ms + CHECK_MS
}

/// How long outages last at most: until a check has seen that the runner is online, and through a time online that is too
/// short to be confirmed.
fn lasting(offline: &[(i64, i64)], disturbed: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut lasting: Vec<(i64, i64)> = Vec::new();
    for (began_ms, ended_ms) in offline {
        let seen_ms = seen_by(*ended_ms, disturbed);
        match lasting.last_mut() {
            Some((_, last_seen_ms)) if *began_ms <= seen_by(*last_seen_ms, disturbed) => *last_seen_ms = seen_ms,
            _ => lasting.push((*began_ms, seen_ms)),
        }
    }
    lasting
}

impl Model<'_> {
    /// Counts from a time to the end; `None` for a runner that was not registered or not monitored in all of it.
    pub fn availability(&self, place: usize, name: &str, from_ms: i64) -> Option<Counted> {
        let whole = (from_ms, self.end_ms);
        let since_ms = (from_ms - TICK_MS).max(0);
        let is_whole = self.was_always(place, name, (since_ms, self.end_ms), |truth| truth != Truth::Absent)
            && self.was_always_listed(place, (since_ms, self.end_ms), true);
        let history = self.world.history.get(&(place, name.to_owned())).filter(|_| is_whole)?;
        let ends = history.iter().skip(1).map(|(at_ms, _)| *at_ms).chain([self.end_ms]);
        let offline: Vec<(i64, i64)> = history
            .iter()
            .zip(ends)
            .filter(|((_, truth), _)| *truth == Truth::Offline)
            .map(|((began_ms, _), ended_ms)| (*began_ms, ended_ms))
            .collect();

        let disturbed: Vec<(i64, i64)> = self.disturbed(place).collect();
        let is_sure = |(began_ms, ended_ms): &&(i64, i64)| {
            *began_ms >= from_ms + TICK_MS
                && ended_ms - began_ms >= LONG_MS
                && self.is_calm(place, began_ms - TICK_MS, ended_ms + TICK_MS)
        };
        let least_down =
            offline.iter().filter(is_sure).map(|(began_ms, ended_ms)| (began_ms + TICK_MS + CHECK_MS, *ended_ms));
        let until_seen = lasting(&offline, &disturbed);
        let down_ms =
            (covered(least_down, whole), covered(until_seen.into_iter().chain(disturbed.iter().copied()), whole));
        let length_ms = self.end_ms - from_ms;
        let observed_ms =
            (length_ms - covered(disturbed, whole), length_ms - covered(self.surely_unobserved(place), whole));
        Some(Counted { observed_ms, down_ms })
    }

    /// The times in which something disturbs a target.
    fn disturbed(&self, place: usize) -> impl Iterator<Item = (i64, i64)> {
        let is_of = move |of: Option<usize>| of.is_none_or(|of| of == place);
        let disturbances = self.disturbances.iter().filter(move |disturbance| is_of(disturbance.place));
        disturbances.map(|disturbance| (disturbance.from_ms, disturbance.until_ms))
    }

    /// The times in which nobody can know what a target was like: from a failed check to the next, and while no tick
    /// started.
    fn surely_unobserved(&self, place: usize) -> Vec<(i64, i64)> {
        let is_whole = |from_ms: i64, until_ms: i64| {
            let mut windows = self.disturbances.iter().filter(|one| one.source == Source::Window);
            !windows.any(|window| window.from_ms < until_ms && window.until_ms > from_ms)
        };
        let mut checks: Vec<_> = self.world.checks[place].iter().collect();
        checks.sort_by_key(|check| check.at_ms);
        let pairs = checks.windows(2).filter(|pair| !matches!(pair[0].answered, Answered::List { .. }));
        // Checks that overlap may be stored in another order.
        let failed = pairs.map(|pair| (pair[0].at_ms + CHECK_MS, pair[1].at_ms));
        let down = self.scenario.operations.iter().filter_map(|operation| match operation.what {
            What::MonitorDown { for_ms } if for_ms >= LONG_GAP_MS => {
                Some((operation.at_ms + TICK_MS, operation.at_ms + for_ms))
            }
            _ => None,
        });
        failed.chain(down).filter(|(from_ms, until_ms)| is_whole(*from_ms, *until_ms)).collect()
    }
}
