//! The time of a scenario.

use monitor_domain::time::Timestamp;

/// A minute in milliseconds.
pub const MINUTE_MS: i64 = 60_000;
/// An hour in milliseconds.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// A day in milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;
/// A week in hours.
pub const WEEK_HOURS: i64 = 7 * 24;
/// The time between two ticks.
pub const INTERVAL_MS: i64 = 5 * MINUTE_MS;

/// The start of a scenario, in milliseconds since 1970.
const EPOCH_MS: i64 = 1_800_000_000_000;

/// The day of the week and the hour, some hours after the start: a Friday, 08:00.
pub fn day_and_hour(hours: i64) -> (usize, i64) {
    let of_week = (4 * 24 + 8 + hours).rem_euclid(WEEK_HOURS);
    (usize::try_from(of_week / 24).unwrap_or(0), of_week % 24)
}

/// Converts milliseconds since the start of the scenario into a timestamp.
pub fn timestamp(now_ms: i64) -> Timestamp {
    Timestamp::from_epoch_ms(EPOCH_MS + now_ms)
}

/// Converts a timestamp into milliseconds since the start of the scenario.
pub fn scenario_ms(at: Timestamp) -> i64 {
    at.epoch_ms() - EPOCH_MS
}
