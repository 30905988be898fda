//! Times in which too few permanent runners of a target, or of all targets together, were online.

use super::{CHECK_MS, Model, NOTIFY_MS, RECHECK_MS, TICK_MS, UNREACHABLE_AFTER_MS, next_tick};
use crate::calendar::MINUTE_MS;
use crate::targets::TARGETS;
use crate::world::{Answered, CREDENTIAL_POOL_MINIMUM, POOL_MINIMUM, RUNNERS, SimulatedCheck, Truth};

/// When the pools of a credential are evaluated after a tick: half an interval later.
const POOLS_AFTER_MS: i64 = TICK_MS / 2;
/// How long an evaluation reads the targets at most: a longer one is discarded.
const READ_MS: i64 = TICK_MS + MINUTE_MS;
/// A target that no check listed within this time is not known. A quiet check is stored only every ten minutes.
const KNOWN_MS: i64 = UNREACHABLE_AFTER_MS + 10 * MINUTE_MS;
/// What a check listed may be stored this much later, and then counts until the target is not known.
const STORED_LATE_MS: i64 = 25 * MINUTE_MS;

/// A time in which the pool of a target was short.
#[derive(Clone, Copy, Debug)]
pub struct Shortage {
    /// When it began.
    pub began_ms: i64,
    /// When enough runners were online again, or the scenario ended.
    pub ended_ms: i64,
    /// It must be recorded as an outage by then.
    pub found_by_ms: Option<i64>,
}

impl Model<'_> {
    /// Whether a check at this time listed fewer permanent runners online than the pool wants.
    pub fn lists_too_few(&self, place: usize, at_ms: i64) -> bool {
        self.world.checks[place].iter().filter(|check| check.at_ms == at_ms).any(|check| match check.answered {
            Answered::List { online, .. } => online.count_ones() < POOL_MINIMUM,
            Answered::Refused | Answered::Unserved => false,
        })
    }

    fn online_at(&self, place: usize, at_ms: i64) -> u32 {
        let is_online = |number: &usize| {
            let history = self.world.history.get(&(place, format!("runner-{number}")));
            let last = history.and_then(|history| history.iter().rev().find(|(from_ms, _)| *from_ms <= at_ms));
            last.is_some_and(|(_, truth)| *truth == Truth::Online)
        };
        u32::try_from((1..=RUNNERS).filter(is_online).count()).unwrap_or(0)
    }

    /// The times in which the pool of a target was short.
    pub fn shortages(&self, place: usize) -> Vec<Shortage> {
        let histories = self.world.history.iter().filter(|((of, _), _)| *of == place);
        let mut times: Vec<i64> = histories.flat_map(|(_, history)| history.iter().map(|(at_ms, _)| *at_ms)).collect();
        times.sort_unstable();
        times.dedup();
        let mut shortages: Vec<Shortage> = Vec::new();
        let mut began_ms = None;
        for at_ms in times.into_iter().filter(|at_ms| *at_ms <= self.end_ms) {
            let is_short = self.online_at(place, at_ms) < POOL_MINIMUM;
            match (began_ms, is_short) {
                (None, true) => began_ms = Some(at_ms),
                (Some(from_ms), false) => {
                    shortages.push(self.shortage(place, from_ms, at_ms));
                    began_ms = None;
                }
                _ => {}
            }
        }
        shortages.extend(began_ms.map(|from_ms| self.shortage(place, from_ms, self.end_ms)));
        shortages
    }

    fn lists(&self, place: usize, (from_ms, until_ms): (i64, i64)) -> impl Iterator<Item = (&SimulatedCheck, u32)> {
        let checks = self.world.checks[place].iter().filter(move |check| (from_ms..=until_ms).contains(&check.at_ms));
        checks.filter_map(|check| match check.answered {
            Answered::List { online, .. } => Some((check, online.count_ones())),
            Answered::Refused | Answered::Unserved => None,
        })
    }

    /// A target on the list whose runners an evaluation at this time could not know.
    pub fn unknown_at(&self, at_ms: i64) -> Option<usize> {
        (0..TARGETS.len()).find(|&place| {
            self.was_always_listed(place, (at_ms - KNOWN_MS - STORED_LATE_MS, at_ms + READ_MS), true)
                && self.lists(place, (at_ms - KNOWN_MS, at_ms + READ_MS)).next().is_none()
        })
    }

    /// How many permanent runners of all targets an evaluation at this time found online at least, whichever of the
    /// checks until then were stored.
    pub fn fewest_online(&self, at_ms: i64) -> u32 {
        let of_target = |place: usize| {
            let long = (at_ms - KNOWN_MS - STORED_LATE_MS, at_ms + READ_MS);
            // Off the list, or about to be, its runners may not count.
            if !self.was_always_listed(place, long, true) {
                return 0;
            }
            let is_calm = self.is_calm(place, long.0, long.1);
            let ended = self.lists(place, long).filter(|(check, _)| check.until_ms + CHECK_MS <= at_ms);
            let last_ms = ended.map(|(check, _)| check.at_ms).max().filter(|_| is_calm);
            let candidates = (last_ms.unwrap_or(long.0), if is_calm { at_ms + CHECK_MS } else { long.1 });
            self.lists(place, candidates).map(|(_, online)| online).min().unwrap_or(0)
        };
        (0..TARGETS.len()).map(of_target).sum()
    }

    /// Whether the same targets were on the list at every time in between, and at least one.
    fn has_one_list(&self, (from_ms, until_ms): (i64, i64)) -> bool {
        let always = |listed| {
            (0..TARGETS.len()).filter(move |place| self.was_always_listed(*place, (from_ms, until_ms), listed))
        };
        let on = always(true).count();
        on > 0 && on + always(false).count() == TARGETS.len()
    }

    /// The times in which the pool over the credential was short.
    pub fn shortages_of_credential(&self) -> Vec<Shortage> {
        let histories = self.world.history.values().flatten().map(|(at_ms, _)| *at_ms);
        let mut times: Vec<i64> = histories.chain(self.world.listed_history.iter().map(|(at_ms, _)| *at_ms)).collect();
        times.sort_unstable();
        times.dedup();
        let mut shortages = Vec::new();
        let mut began_ms = None;
        for at_ms in times.into_iter().filter(|at_ms| *at_ms <= self.end_ms) {
            let list = self.world.listed_history.iter().rev().find(|(from_ms, _)| *from_ms <= at_ms);
            let listed = (0..TARGETS.len()).filter(|place| list.is_some_and(|(_, list)| list[*place]));
            let is_short = listed.map(|place| self.online_at(place, at_ms)).sum::<u32>() < CREDENTIAL_POOL_MINIMUM;
            match (began_ms, is_short) {
                (None, true) => began_ms = Some(at_ms),
                (Some(from_ms), false) => {
                    shortages.push(self.shortage_of_credential(from_ms, at_ms));
                    began_ms = None;
                }
                _ => {}
            }
        }
        shortages.extend(began_ms.map(|from_ms| self.shortage_of_credential(from_ms, self.end_ms)));
        shortages
    }

    fn shortage_of_credential(&self, began_ms: i64, ended_ms: i64) -> Shortage {
        // A removed runner counts until a second list lacks it, and a runner may go offline just after its check.
        let bound = |from_ms: i64| {
            let rules = self.rules(from_ms, from_ms + 12 * TICK_MS);
            let threshold = i64::from(rules.map(|rules| rules.failure_threshold).max().unwrap_or(3));
            next_tick(from_ms) + (threshold + 1) * TICK_MS + POOLS_AFTER_MS + CHECK_MS + NOTIFY_MS
        };
        let found_by_ms = self.due(None, None, (began_ms, ended_ms), bound);
        let is_sure = |by_ms: &i64| self.has_one_list((began_ms - STORED_LATE_MS, *by_ms));
        Shortage { began_ms, ended_ms, found_by_ms: found_by_ms.filter(is_sure) }
    }

    /// Whether the pool over the credential was short from a time on until the end; `None` if that was not settled.
    pub fn is_short_from(&self, from_ms: i64) -> Option<bool> {
        if !self.has_one_list((from_ms - STORED_LATE_MS, self.end_ms)) {
            return None;
        }
        let last = self.shortages_of_credential().into_iter().rfind(|shortage| shortage.ended_ms > from_ms);
        match last {
            None => Some(false),
            Some(last) => (last.began_ms <= from_ms && last.ended_ms == self.end_ms).then_some(true),
        }
    }

    fn shortage(&self, place: usize, began_ms: i64, ended_ms: i64) -> Shortage {
        // A removed runner counts until a second list lacks it, and others may be confirmed together with the pool.
        let bound = |from_ms: i64| {
            let rules = self.rules(from_ms, from_ms + 12 * TICK_MS);
            let threshold = i64::from(rules.map(|rules| rules.failure_threshold).max().unwrap_or(3));
            next_tick(from_ms) + TICK_MS + CHECK_MS + (threshold + 2) * RECHECK_MS + TICK_MS + NOTIFY_MS
        };
        let found_by_ms = self.due(Some(place), None, (began_ms, ended_ms), bound);
        let is_sure = |by_ms: &i64| self.was_always_listed(place, (began_ms - TICK_MS, *by_ms), true);
        Shortage { began_ms, ended_ms, found_by_ms: found_by_ms.filter(is_sure) }
    }
}
