//! Times in which too few permanent runners of a target were online.

use super::{CHECK_MS, Model, NOTIFY_MS, RECHECK_MS, TICK_MS, next_tick};
use crate::world::{Answered, POOL_MINIMUM, RUNNERS, Truth};

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
