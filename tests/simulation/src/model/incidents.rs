//! Times in which GitHub reported every runner offline.

use super::{CHECK_MS, Model, next_tick};
use crate::calendar::MINUTE_MS;
use crate::operations::What;
use crate::world::{Answered, Truth};

/// How long before an outage other targets may have lost their runners.
const RECENT_MS: i64 = 20 * MINUTE_MS;
/// Within this time an outage that ended before is over, and one that began is confirmed.
const SETTLED_MS: i64 = 20 * MINUTE_MS;
const CONFIRMED_MS: i64 = 20 * MINUTE_MS;
/// The fewest targets that make an incident.
pub const FEWEST_LOST: usize = 3;

impl Model<'_> {
    /// In how many targets a check just before `at_ms` listed no permanent runner online.
    pub fn targets_without_runners(&self, at_ms: i64) -> usize {
        if self.is_in_incident(at_ms) {
            return self.world.checks.len();
        }
        let is_lost = |answered: Answered| matches!(answered, Answered::List { online: 0, .. });
        let checks = self.world.checks.iter();
        let recent = |check_ms: i64| (at_ms - RECENT_MS..=at_ms).contains(&check_ms);
        checks.filter(|checks| checks.iter().any(|check| recent(check.at_ms) && is_lost(check.answered))).count()
    }

    /// Whether GitHub reports every runner offline, or did just before, whichever of its answers arrived.
    pub fn is_in_incident(&self, at_ms: i64) -> bool {
        self.scenario.operations.iter().any(|operation| match operation.what {
            What::Incident { for_ms } => (operation.at_ms..=operation.at_ms + for_ms + RECENT_MS).contains(&at_ms),
            _ => false,
        })
    }

    /// The incidents that must be recognised: the targets concerned, and when their outages begin.
    pub fn incidents(&self) -> Vec<(Vec<usize>, (i64, i64))> {
        let mut incidents = Vec::new();
        for operation in &self.scenario.operations {
            let What::Incident { for_ms } = operation.what else { continue };
            let (at_ms, until_ms) = (operation.at_ms, operation.at_ms + CONFIRMED_MS);
            let places: Vec<usize> =
                (0..self.world.checks.len()).filter(|place| self.surely_loses_all(*place, at_ms, until_ms)).collect();
            if for_ms > CONFIRMED_MS && places.len() >= FEWEST_LOST {
                incidents.push((places, (at_ms, next_tick(at_ms) + CHECK_MS)));
            }
        }
        incidents
    }

    /// Whether a target had a runner that was online for a while, and has none until its outages are confirmed.
    fn surely_loses_all(&self, place: usize, at_ms: i64, until_ms: i64) -> bool {
        let of_place = || self.world.history.keys().filter(|(of, _)| *of == place).map(|(_, name)| name);
        let before_ms = at_ms - SETTLED_MS;
        self.is_calm(place, before_ms, until_ms)
            && self.was_always_listed(place, (before_ms, until_ms), true)
            && of_place()
                .any(|name| self.was_always(place, name, (before_ms, at_ms - 1), |truth| truth == Truth::Online))
            && of_place().all(|name| !self.is_ever_online(place, name, at_ms + 1, until_ms))
    }

    fn is_ever_online(&self, place: usize, name: &str, from_ms: i64, until_ms: i64) -> bool {
        let history = self.world.history.get(&(place, name.to_owned())).map_or(&[][..], Vec::as_slice);
        let before = history.iter().rev().find(|(at_ms, _)| *at_ms <= from_ms);
        before.is_some_and(|(_, truth)| *truth == Truth::Online)
            || history.iter().any(|(at_ms, truth)| (from_ms..=until_ms).contains(at_ms) && *truth == Truth::Online)
    }
}
