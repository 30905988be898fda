//! GitHub's log of the looks, read for one runner.

use super::Model;
use crate::operations::MINUTE_MS;
use crate::world::{Answered, SimulatedCheck, bit_of};

/// Readings count that are so far apart.
const APART_MS: i64 = 30_000;

/// What a look said of a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Online.
    Good,
    /// Offline.
    Bad,
    /// Not on the list.
    Missing,
    /// Not on the list though it is registered: it depends on what asking by its id gave.
    Slipped,
}

fn reading(check: &SimulatedCheck, bit: u8) -> Option<Reading> {
    let Answered::List { online, offline, slipped } = check.answered else { return None };
    Some(match () {
        () if online & bit > 0 => Reading::Good,
        () if offline & bit > 0 => Reading::Bad,
        () if slipped & bit > 0 => Reading::Slipped,
        () => Reading::Missing,
    })
}

/// How many of these moments are far enough apart to count.
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
    /// The looks at a target that were answered in full, from one moment to another, with what each said of a runner.
    pub fn readings(&self, place: usize, name: &str, from_ms: i64, until_ms: i64) -> Vec<(i64, Reading)> {
        let bit = bit_of(name).unwrap_or(0);
        let checks = self.world.checks[place].iter().filter(|check| (from_ms..=until_ms).contains(&check.at_ms));
        let mut readings: Vec<(i64, Reading)> =
            checks.filter_map(|check| Some((check.at_ms, reading(check, bit)?))).collect();
        readings.sort_by_key(|(at_ms, _)| *at_ms);
        readings
    }

    /// Whether a runner was seen online in between, by a look whose outcome was not lost.
    pub(super) fn was_seen(&self, place: usize, name: &str, from_ms: i64, until_ms: i64) -> bool {
        let readings = self.readings(place, name, from_ms, until_ms);
        readings.iter().any(|(at_ms, reading)| *reading == Reading::Good && !self.may_lose(*at_ms, at_ms + MINUTE_MS))
    }
}
