//! When a runner was surely available, surely down or surely not observed, counted from GitHub's log of checks.

use super::{
    CHECK_MS, Disturbance, Model, READINGS, RECHECK_MS, Reading, Source, TICK_MS, UNREACHABLE_AFTER_MS, count_apart,
};
use crate::operations::MINUTE_MS;
use crate::world::Answered;

/// What a time was like for a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sure {
    /// Checks read it as online.
    Up,
    /// Checks read it as offline, often enough for an outage.
    Down,
    /// No check succeeded for so long that the target counts as unreachable, or the monitor as stopped.
    Unobserved,
}

/// A time from one moment to another, with what it was like.
pub type SureTime = (i64, i64, Sure);

impl Model<'_> {
    /// The times of a runner of which the log of checks leaves no doubt. They do not overlap.
    pub fn sure_times(&self, place: usize, name: &str) -> Vec<SureTime> {
        let holes = self.holes(place);
        let readings = self.readings(place, name, 0, self.end_ms);
        // What was known of it before it was gone, or before its target was taken off the list, may be forgotten.
        let gone = readings.iter().filter(|(_, reading)| matches!(reading, Reading::Missing | Reading::Slipped));
        let gone_ms = gone.map(|(at_ms, _)| *at_ms).max().unwrap_or(-1);
        let known_ms = gone_ms.max(self.listed_since(place, self.end_ms));
        let readings: Vec<(i64, Reading)> = readings.into_iter().filter(|(at_ms, _)| *at_ms > known_ms).collect();
        let are_alike =
            |a: &(i64, Reading), b: &(i64, Reading)| a.1 == b.1 && b.0 - a.0 <= TICK_MS + RECHECK_MS + CHECK_MS;
        let runs = readings.chunk_by(are_alike).filter_map(|run| self.sure_run(place, run));
        let known_from_ms = readings.first().map_or(self.end_ms, |(at_ms, _)| *at_ms);
        let holes = holes.into_iter().filter(|(from_ms, ..)| *from_ms > known_from_ms);
        let mut times: Vec<SureTime> = runs.chain(holes).collect();
        times.sort_unstable();
        times
    }

    /// A run of equal readings without a gap, if nothing disturbed its checks.
    fn sure_run(&self, place: usize, run: &[(i64, Reading)]) -> Option<SureTime> {
        let ((from_ms, reading), (until_ms, _)) = (run.first()?, run.last()?);
        let apart = count_apart(run.iter().map(|(at_ms, _)| *at_ms));
        let threshold = self.rules(*from_ms, *until_ms).map(|rules| rules.failure_threshold).max().unwrap_or(1);
        let (needed, sure) = match reading {
            Reading::Healthy => (READINGS, Sure::Up),
            Reading::Unhealthy => (threshold as usize, Sure::Down),
            Reading::Missing | Reading::Slipped => return None,
        };
        let is_calm = self.is_calm(place, from_ms - 2 * TICK_MS, until_ms + MINUTE_MS);
        // If no tick follows, the time from the last tick on was not observed; its check came a moment later.
        let until_ms = until_ms - CHECK_MS;
        (is_calm && apart >= needed && *from_ms < until_ms).then_some((*from_ms, until_ms, sure))
    }

    /// The times in which no check of a target succeeded for too long, without the time until that could be noticed.
    fn holes(&self, place: usize) -> Vec<SureTime> {
        let is_good = |answered: Answered| matches!(answered, Answered::List { .. });
        let checks = self.world.checks[place].iter();
        let mut good_ms: Vec<i64> = checks
            .filter(|check| is_good(check.answered) && check.failed_ms(false).is_none())
            .map(|check| check.at_ms)
            .collect();
        good_ms.sort_unstable();
        let noticed_ms = TICK_MS + RECHECK_MS + CHECK_MS;
        let holes = good_ms.windows(2).filter(|pair| !self.may_miss(pair[0], pair[0] + noticed_ms)).map(|pair| {
            let (from_ms, until_ms) = (pair[0], pair[1]);
            (from_ms + noticed_ms, until_ms - TICK_MS - CHECK_MS, Sure::Unobserved)
        });
        let is_long = |hole: &SureTime| hole.1 - hole.0 > UNREACHABLE_AFTER_MS;
        let is_listed = |hole: &SureTime| self.was_always_listed(place, (hole.0, hole.1), true);
        holes.filter(|hole| is_long(hole) && is_listed(hole)).collect()
    }

    /// Whether a fault may end or delay the checks in between, so that the first that fails leaves no trace.
    fn may_miss(&self, from_ms: i64, until_ms: i64) -> bool {
        let is_window = |disturbance: &&Disturbance| disturbance.source == Source::Window;
        let mut windows = self.disturbances.iter().filter(is_window);
        windows.any(|window| window.from_ms < until_ms && window.until_ms > from_ms)
    }
}
