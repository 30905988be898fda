//! Moments in whole milliseconds, and durations as written in a policy.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::quote::{quote, shown};

/// A moment in milliseconds since 1970-01-01 UTC. Whole milliseconds survive storing and reading unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// How far the clocks of two machines may differ, in either direction.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

const BEYOND_CALENDARS: &str = " ms since 1970";

impl Timestamp {
    /// The moment this many milliseconds after the epoch.
    pub const fn from_epoch_ms(epoch_ms: i64) -> Self {
        Self(epoch_ms)
    }

    /// Milliseconds since the epoch.
    pub const fn epoch_ms(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, as in Slack's date format.
    pub const fn epoch_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The time since `earlier`; zero if it is in the future (clocks differ between machines).
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whether a stored wait until this moment is over at `now`. `longest` is the maximum duration of such a wait.
    ///
    /// A moment further ahead than `longest` was stored before the clock was set back. How much of the wait is left is
    /// unknown, so it counts as over: a clock that jumps must not cause silence.
    pub fn is_due(self, now: Timestamp, longest: Duration) -> bool {
        self <= now || self.since(now) > longest.saturating_add(CLOCK_TOLERANCE)
    }

    /// Whether `wait` has passed since the stored moment `start`. As in [`is_due`](Self::is_due), a start that is
    /// impossibly far ahead counts as long ago.
    pub fn has_waited(self, start: Timestamp, wait: Duration) -> bool {
        self.since(start) >= wait || start.is_impossible(self)
    }

    /// Whether this moment, which was stored as the present, is further ahead of `now` than clocks differ.
    pub fn is_impossible(self, now: Timestamp) -> bool {
        self.since(now) > CLOCK_TOLERANCE
    }

    /// This moment plus `duration`, limited to the largest moment that can be represented.
    pub fn plus(self, duration: Duration) -> Timestamp {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This moment minus `duration`.
    pub fn minus(self, duration: Duration) -> Timestamp {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(moment) => f.write_str(&moment.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => write!(f, "{}{BEYOND_CALENDARS}", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let moment = match DateTime::parse_from_rfc3339(text) {
            // Years of more than four digits, which have a sign, and moments beyond any calendar: a nonsensical header
            // must not produce an item that cannot be read.
            Err(error) => {
                if let Some(Ok(epoch_ms)) = text.strip_suffix(BEYOND_CALENDARS).map(str::parse) {
                    return Ok(Self(epoch_ms));
                }
                if text.starts_with(['+', '-']) { text.parse()? } else { return Err(error) }
            }
            Ok(moment) => moment,
        };
        Ok(Self(moment.timestamp_millis()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| {
            D::Error::custom(format!("must be a time, for example 2026-11-23T09:30:00Z; found `{}`", quote(&text, 40)))
        })
    }
}

/// The error for a text that is not a number with `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number with s, m, h or d, for example 90s, 15m, 24h or 7d; found `{0}`")]
pub struct DurationError(String);

/// Parses `90s`, `15m`, `24h` or `7d`.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let fault = || DurationError(shown(text, 40));
    let text = text.trim();
    let unit_secs = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => return Err(fault()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| fault())?;
    Ok(Duration::from_secs(u64::from(number) * unit_secs))
}

/// Formats a duration for [`parse_duration`], in the largest unit that divides it.
pub fn format_duration(duration: Duration) -> String {
    let secs = duration.as_secs();
    match secs {
        0 => "0s".to_owned(),
        _ if secs.is_multiple_of(86_400) => format!("{}d", secs / 86_400),
        _ if secs.is_multiple_of(3_600) => format!("{}h", secs / 3_600),
        _ if secs.is_multiple_of(60) => format!("{}m", secs / 60),
        _ => format!("{secs}s"),
    }
}

/// A duration for people, in its two largest units: `2 h 5 min`, `3 days`, `40 s`.
pub fn spoken_duration(duration: Duration) -> String {
    let secs = duration.as_secs();
    let (days, hours, minutes) = (secs / 86_400, secs / 3_600 % 24, secs / 60 % 60);
    let plural = if days == 1 { "day" } else { "days" };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{secs} s"),
        (0, 0, m) if m < 5 && !secs.is_multiple_of(60) => format!("{m} min {} s", secs % 60),
        (0, 0, m) => format!("{m} min"),
        (0, h, 0) => format!("{h} h"),
        (0, h, m) => format!("{h} h {m} min"),
        (d, 0, _) => format!("{d} {plural}"),
        (d, h, _) => format!("{d} {plural} {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_as_it_is_read() {
        for text in ["60s", "90s", "15m", "24h", "7d"] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(parse_duration(&format_duration(duration)).unwrap(), duration, "{text}");
        }
        for text in ["", "s", "10", "-1s", "1.5h", "1 week", "h1", "99999999999s", "5é"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn spoken_durations_name_two_units_at_most() {
        let spoken = |secs| spoken_duration(Duration::from_secs(secs));
        assert_eq!(spoken(0), "0 s");
        assert_eq!(spoken(125), "2 min 5 s");
        assert_eq!(spoken(3_600), "1 h");
        assert_eq!(spoken(7_500), "2 h 5 min");
        assert_eq!(spoken(86_400), "1 day");
        assert_eq!(spoken(2 * 86_400 + 3_700), "2 days 1 h");
    }

    #[test]
    fn moments_survive_their_written_form_and_refuse_others() {
        let moment = Timestamp::from_epoch_ms(1_763_900_000_123);
        assert_eq!(moment.to_string().parse::<Timestamp>().unwrap(), moment);
        assert_eq!(moment.since(moment.plus(Duration::from_secs(1))), Duration::ZERO);
        for bad in ["yesterday", "+2026", "1763900000123", "x ms since 1970", "2026-11-23 09:30:00"] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wait_ends_in_time_and_at_once_if_the_clock_was_set_back() {
        let (secs, hour) = (Duration::from_secs, Duration::from_secs(3_600));
        let start = Timestamp::from_epoch_ms(1_800_000_000_000);
        for (wait, longest) in [(secs(0), hour), (secs(10), secs(10)), (hour, hour), (secs(90), hour)] {
            let end = start.plus(wait);
            assert!(end.is_due(end, longest) && end.is_due(end.plus(hour), longest));
            assert!(start.plus(wait).has_waited(start, wait) && start.plus(hour * 30).has_waited(start, wait));
            if wait > secs(0) {
                let just_before = end.minus(Duration::from_millis(1));
                assert!(!end.is_due(just_before, longest) && !just_before.has_waited(start, wait));
                // The clock of another machine is a minute behind.
                assert!(
                    !start.minus(secs(60)).has_waited(start, wait)
                        && !end.is_due(end.minus(longest + secs(60)), longest)
                );
            }
            for back in [Duration::from_millis(60_001), secs(7_200), secs(86_400 * 365)] {
                assert!(end.is_due(end.minus(longest + back), longest), "{wait:?} {back:?}");
                assert!(start.minus(back).has_waited(start, wait), "{wait:?} {back:?}");
                assert!(start.is_impossible(start.minus(back)) && !start.is_impossible(start.plus(back)));
            }
        }
        let (first, last) = (Timestamp::from_epoch_ms(i64::MIN), Timestamp::from_epoch_ms(i64::MAX));
        assert!(last.is_due(first, hour) && first.has_waited(last, Duration::MAX));
        assert!(!last.is_due(start, Duration::MAX));
    }

    #[test]
    fn moments_far_from_now_survive_their_written_form_too() {
        let ahead: Timestamp = "9999-12-31T23:59:59-23:59".parse().unwrap();
        for epoch_ms in [i64::MIN, -62_200_000_000_000, -1, 0, ahead.epoch_ms(), 8_000_000_000_000_000, i64::MAX] {
            let moment = Timestamp::from_epoch_ms(epoch_ms);
            assert_eq!(moment.to_string().parse(), Ok(moment), "{moment}");
        }
    }
}
