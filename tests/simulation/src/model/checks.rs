//! GitHub's log of checks, read for one runner.

use super::Model;
use crate::calendar::MINUTE_MS;
use crate::world::{Answered, SimulatedCheck, bit_of};

/// The minimum time between two readings that both count.
const APART_MS: i64 = 30_000;

/// The reading of a runner in a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Online.
    Healthy,
    /// Offline.
    Unhealthy,
    /// Not on the list.
    Missing,
    /// Not on the list although it is registered: the result depends on the lookup by its id.
    Slipped,
}

fn reading(check: &SimulatedCheck, bit: u8) -> Option<Reading> {
    let Answered::List { online, offline, slipped } = check.answered else { return None };
    Some(match () {
        () if online & bit > 0 => Reading::Healthy,
        () if offline & bit > 0 => Reading::Unhealthy,
        () if slipped & bit > 0 => Reading::Slipped,
        () => Reading::Missing,
    })
}

/// How many of these times are far enough apart to count.
pub fn count_apart(moments: impl Iterator<Item = i64>) -> usize {
    let mut last_ms = None;
    moments
        .filter(|at_ms| {
            let counts = last_ms.is_none_or(|last_ms| at_ms - last_ms >= APART_MS);
            if counts {
                last_ms = Some(*at_ms);
            }
            counts
        })
        .count()
}

impl Model<'_> {
    /// The readings of a runner from the checks with a complete list between two times.
    pub fn readings(&self, place: usize, name: &str, from_ms: i64, until_ms: i64) -> Vec<(i64, Reading)> {
        let bit = bit_of(name).unwrap_or(0);
        let checks = self.world.checks[place].iter().filter(|check| (from_ms..=until_ms).contains(&check.at_ms));
        let mut readings: Vec<(i64, Reading)> =
            checks.filter_map(|check| Some((check.at_ms, reading(check, bit)?))).collect();
        readings.sort_by_key(|(at_ms, _)| *at_ms);
        readings
    }

    /// Whether a check whose result was not lost saw the runner online in between.
    pub(super) fn was_seen(&self, place: usize, name: &str, from_ms: i64, until_ms: i64) -> bool {
        let readings = self.readings(place, name, from_ms, until_ms);
        readings
            .iter()
            .any(|(at_ms, reading)| *reading == Reading::Healthy && !self.may_lose(*at_ms, at_ms + MINUTE_MS))
    }
}
