//! The weeks of which a report is due.

use super::{AFTERMATH_MS, CHECK_MS, Model, NOTIFY_MS, TICK_MS, next_tick};
use crate::calendar::{DAY_MS, HOUR_MS, MINUTE_MS, WEEK_HOURS};
use crate::targets::TARGETS;
use crate::world::Answered;

impl Model<'_> {
    /// The ends of the weeks of the scenario.
    pub fn week_ends(&self) -> Vec<i64> {
        let Some(hours) = self.scenario.report else { return Vec::new() };
        let ends = (0..).map(|week| (hours + week * WEEK_HOURS) * HOUR_MS);
        ends.take_while(|end_ms| *end_ms <= self.end_ms).collect()
    }

    /// The time in which the report of a week may be committed. A tick may be frozen after it found the report due.
    pub fn may_report(&self, week_end_ms: i64, decided_ms: i64) -> bool {
        (week_end_ms..week_end_ms + DAY_MS + AFTERMATH_MS).contains(&decided_ms)
    }

    /// By when people must have the report of a week; `None` if it is not certain that there is anything to say.
    pub fn reported_by(&self, week_end_ms: i64) -> Option<i64> {
        // A report that is later than a day is not sent.
        let limit_ms = week_end_ms + DAY_MS - TICK_MS;
        let bound = |from_ms: i64| next_tick(from_ms) + 2 * CHECK_MS + NOTIFY_MS;
        let by_ms = self.due(None, None, (week_end_ms, limit_ms), bound)?;
        self.surely_monitored(week_end_ms, by_ms).next().map(|_| by_ms)
    }

    /// The targets that were monitored before the end of a week and until a time.
    pub fn surely_monitored(&self, week_end_ms: i64, until_ms: i64) -> impl Iterator<Item = usize> {
        (0..TARGETS.len()).filter(move |place| {
            self.world.checks[*place].iter().any(|check| {
                let is_whole = matches!(check.answered, Answered::List { slipped: 0, .. });
                let (at_ms, end_ms) = (check.at_ms, check.until_ms + MINUTE_MS);
                is_whole
                    && end_ms < week_end_ms
                    && self.is_calm(*place, at_ms, end_ms)
                    && self.was_always_listed(*place, ((at_ms - TICK_MS).max(0), until_ms), true)
            })
        })
    }
}
