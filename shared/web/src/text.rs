//! Times, durations and numbers as people read them, on the page and in a terminal, and values in addresses.

use std::time::Duration;

use monitor_domain::availability::Availability;
use monitor_domain::jobs::{Said, WaitReason};
use monitor_domain::time::{Timestamp, spoken_duration};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Why no runner takes the jobs of a queue, with times as `at` writes them.
pub fn sentence(reason: &WaitReason, at: impl Fn(Timestamp) -> String) -> String {
    let said = reason.sentence().into_iter().map(|said| match said {
        Said::Words(words) => words.into_owned(),
        Said::Name(name) => one_line(name),
        Said::At(moment) | Said::On(moment) => at(moment),
    });
    said.collect()
}

/// What a path segment or a query value may not contain as it is.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'=')
    .add(b'\'');

/// A value as a part of an address.
pub(crate) fn escaped(value: &str) -> String {
    utf8_percent_encode(value, ESCAPED).to_string()
}

/// A text that is safe to print on a terminal: control characters could move the cursor or reverse the text.
pub fn one_line(text: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect()
}

/// How long ago, for example `5 min ago`.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    match now.since(then) {
        gone if gone < Duration::from_secs(1) => "just now".to_owned(),
        gone => format!("{} ago", spoken_duration(gone)),
    }
}

/// A time in UTC, to the minute.
pub fn minute(moment: Timestamp) -> String {
    let utc = chrono::DateTime::<chrono::Utc>::from_timestamp_millis(moment.epoch_ms());
    utc.map_or_else(|| moment.to_string(), |utc| utc.format("%Y-%m-%d %H:%M UTC").to_string())
}

/// A date in UTC.
pub fn date(moment: Timestamp) -> String {
    minute(moment).split(' ').next().unwrap_or_default().to_owned()
}

/// `1 runner`, `2,000 runners`.
pub fn counted(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", grouped(count))
}

/// A number with commas between its thousands.
pub fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let first = digits.len() % 3;
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && index % 3 == first {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The available part of the observed time. 100 % means that there was no outage.
pub fn percent(availability: Availability) -> String {
    availability.percent().unwrap_or_else(|| "–".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        let numbers = [0, 7, 123, 1_000, 12_345, 123_456, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "7", "123", "1,000", "12,345", "123,456", "1,234,567"]);
        assert_eq!(
            (counted(1, "runner"), counted(2_000, "runner")),
            ("1 runner".to_owned(), "2,000 runners".to_owned())
        );
    }

    #[test]
    fn just_now_differs_from_earlier() {
        let at = |ms| Timestamp::from_epoch_ms(ms);
        assert_eq!(ago(at(1_000), at(1_999)), "just now");
        assert_eq!(ago(at(1_000), at(2_000)), "1 s ago");
        assert_eq!(ago(at(9_000), at(1_000)), "just now", "a clock that was set back");
    }

    #[test]
    fn a_hundred_percent_means_no_outage() {
        let observed = Duration::from_secs(1_000_000);
        let of = |down| percent(Availability { observed, down: Duration::from_secs(down) });
        assert_eq!((of(0).as_str(), of(1).as_str(), of(12_345).as_str()), ("100.00 %", "99.99 %", "98.76 %"));
        assert_eq!(percent(Availability::default()), "–");
    }
}
