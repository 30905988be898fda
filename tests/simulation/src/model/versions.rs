//! Which runner had which version and when, and when people must have been warned of its end.

use super::{CHECK_MS, Model, NOTIFY_MS, next_tick};
use crate::calendar::{DAY_MS, MINUTE_MS};
use crate::world::Truth;

/// The days before a version's end at which people are warned; 0 is its end.
pub const STAGES: [i64; 4] = [21, 7, 1, 0];
/// The days before a removal at which people are warned.
pub const REMOVAL_STAGES: [i64; 2] = [3, 1];
/// A runner that changed its version within this time updates itself.
const UPDATED_MS: i64 = 7 * DAY_MS;

/// A time in which a runner had a version.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// The version.
    pub version: &'static str,
    /// Since when, with the same registration.
    pub from_ms: i64,
    /// Until when.
    pub until_ms: i64,
    /// Whether the runner had another version before, with the same registration.
    pub is_update: bool,
    /// How long it had that other version.
    pub before_ms: i64,
}

impl Model<'_> {
    /// The versions of a runner's name, in order.
    pub fn held(&self, place: usize, name: &str) -> Vec<Held> {
        let history = self.world.versions.get(&(place, name.to_owned())).map_or(&[][..], Vec::as_slice);
        let mut held: Vec<Held> = Vec::new();
        for (index, now) in history.iter().enumerate() {
            let Some(id) = now.id else { continue };
            let until_ms = history.get(index + 1).map_or(self.end_ms, |next| next.from_ms);
            let before = index.checked_sub(1).map(|before| history[before]).filter(|before| before.id == Some(id));
            match (before, held.last_mut()) {
                (Some(before), Some(last)) if before.version == now.version => last.until_ms = until_ms,
                (before, _) => held.push(Held {
                    version: now.version,
                    from_ms: now.from_ms,
                    until_ms,
                    is_update: before.is_some(),
                    before_ms: before.map_or(0, |before| now.from_ms - before.from_ms),
                }),
            }
        }
        held
    }

    /// Whether a runner had a version at some time in between.
    pub fn had_version(&self, place: usize, name: &str, version: &str, from_ms: i64, until_ms: i64) -> bool {
        self.held(place, name)
            .iter()
            .any(|held| held.version == version && held.from_ms <= until_ms && held.until_ms >= from_ms)
    }

    /// Whether a check at this time surely knew that a runner had just updated itself to a version.
    pub fn has_surely_updated(&self, place: usize, name: &str, version: &str, at_ms: i64) -> bool {
        const APART_MS: i64 = 30 * MINUTE_MS;
        self.held(place, name).iter().any(|held| {
            held.version == version
                && held.is_update
                && held.before_ms >= APART_MS
                && (held.from_ms..held.until_ms).contains(&at_ms)
                && (held.from_ms + APART_MS..held.from_ms + UPDATED_MS - APART_MS).contains(&at_ms)
                && self.is_calm(place, held.from_ms - APART_MS, held.from_ms + APART_MS)
                // A target that is taken off the list is forgotten.
                && self.was_always_listed(place, (held.from_ms - APART_MS, at_ms), true)
        })
    }

    /// By when a warning of a stage that begins at `stage_ms` must be sent, if a runner of the target surely has the
    /// version from then on, unmuted, and did not update itself to it.
    pub fn warned_by(&self, place: usize, version: &str, stage_ms: i64) -> Option<i64> {
        let bound = |from_ms: i64| next_tick(from_ms) + CHECK_MS + NOTIFY_MS;
        let by_ms = self.due(Some(place), None, (stage_ms, self.end_ms), bound)?;
        let names = self.world.versions.keys().filter(|(of, _)| *of == place).map(|(_, name)| name);
        let is_sure = |name: &String| {
            self.held(place, name).iter().any(|held| {
                let settled_ms = if held.is_update { held.from_ms + UPDATED_MS } else { held.from_ms };
                held.version == version
                    && settled_ms <= stage_ms
                    && by_ms < held.until_ms
                    && !self.is_ever_muted(place, name, stage_ms, by_ms)
            })
        };
        let is_listed = self.was_always_listed(place, (stage_ms - 30 * MINUTE_MS, by_ms), true);
        (is_listed && names.into_iter().any(is_sure)).then_some(by_ms)
    }

    /// By when a warning of a removal must be sent, if nothing ends the outage before.
    pub fn removal_warned_by(&self, place: usize, name: &str, stage_ms: i64, limit_ms: i64) -> Option<i64> {
        let bound = |from_ms: i64| next_tick(from_ms) + CHECK_MS + NOTIFY_MS;
        let by_ms = self.due(Some(place), None, (stage_ms, limit_ms), bound)?;
        let is_calm = self.is_calm(place, stage_ms - 30 * MINUTE_MS, by_ms);
        let is_sure = is_calm
            && self.was_always_listed(place, (stage_ms - 30 * MINUTE_MS, by_ms), true)
            && !self.is_ever_muted(place, name, stage_ms, by_ms);
        is_sure.then_some(by_ms)
    }

    /// Since when a runner had been offline at a time; `None` if it was not.
    pub fn offline_since(&self, place: usize, name: &str, at_ms: i64) -> Option<i64> {
        let history = self.world.history.get(&(place, name.to_owned()))?;
        let last = history.iter().rev().find(|(from_ms, _)| *from_ms <= at_ms)?;
        (last.1 == Truth::Offline).then_some(last.0)
    }

    /// Whether nothing at all was disturbed in between, at no target.
    pub fn is_undisturbed(&self, from_ms: i64, until_ms: i64) -> bool {
        !self.disturbances.iter().any(|one| one.from_ms < until_ms && one.until_ms > from_ms)
    }
}
