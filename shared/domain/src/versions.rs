//! When GitHub stops giving jobs to a version of the runner, and which runners have to be updated until then.
//!
//! GitHub gives no job to a runner whose version has ended: the runner connects, exits and shows as offline, and its
//! jobs stay queued. <https://docs.github.com/en/actions/reference/runners/self-hosted-runners#runner-software-updates-on-self-hosted-runners>

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::observation::PageTag;
use crate::time::Timestamp;

/// The number of days before its end at which a version is warned of, soonest first.
const WARNING_DAYS: [u32; 3] = [1, 7, 21];
/// The stage of a version that has ended.
pub const ENDED: u32 = 0;
/// How long an answer about a version is used before GitHub is asked again.
const ASKED_EVERY: Duration = Duration::from_secs(86_400);
/// How long after a request without an answer GitHub is asked again.
const RETRIED_AFTER: Duration = Duration::from_secs(6 * 3_600);
/// One check of a credential's targets asks within each window of this length.
pub const ASKING_WINDOW: Duration = Duration::from_secs(3_600);
/// The most versions that one check asks about.
const QUESTIONS_PER_CHECK: usize = 5;
/// The most versions that are remembered: those asked about last.
const REMEMBERED: usize = 100;
/// A version that nobody has asked about for this long is forgotten: no runner has it any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(7 * 86_400);
/// A runner that changed its version within this time updates itself.
const RECENT_UPDATE: Duration = Duration::from_secs(7 * 86_400);
/// A date that moves by more than this is another date.
const SAME_DATE: Duration = Duration::from_secs(86_400);

/// What GitHub says about the end of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum VersionEnd {
    /// GitHub gives it jobs until this moment.
    At {
        /// The moment; it may be in the past.
        at: Timestamp,
    },
    /// GitHub has set no date.
    NoDate,
    /// GitHub does not know the version: it was never released, was withdrawn, or is too old to be listed.
    Unlisted,
    /// GitHub did not answer.
    Unanswered,
}

/// What GitHub last answered about a version, as stored with the credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionRecord {
    /// The version, as runners report it.
    pub version: String,
    /// When GitHub was last asked.
    pub asked_at: Timestamp,
    /// Whether the last request got no answer, so that `end` is from an earlier one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// The last answer.
    pub end: VersionEnd,
    /// The ETag of that answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<PageTag>,
}

impl VersionRecord {
    /// When GitHub gives it no more jobs, if that is known.
    pub fn ends_at(&self) -> Option<Timestamp> {
        match self.end {
            VersionEnd::At { at } => Some(at),
            VersionEnd::NoDate | VersionEnd::Unlisted | VersionEnd::Unanswered => None,
        }
    }
}

/// What is known of a version; `None` if GitHub was never asked about it.
pub fn known<'a>(records: &'a [VersionRecord], version: &str) -> Option<&'a VersionRecord> {
    records.iter().find(|record| record.version == version)
}

/// The versions about which GitHub is to be asked now, at most 5: those never asked about, then those asked about
/// longest ago. None while the last question is less than an hour old, so that a fleet asks in one go.
pub fn questions<'a>(
    records: &[VersionRecord],
    versions: impl Iterator<Item = &'a str>,
    now: Timestamp,
) -> Vec<&'a str> {
    let asked_at = |record: &VersionRecord| record.asked_at;
    if records.iter().map(asked_at).max().is_some_and(|last| !now.has_waited(last, ASKING_WINDOW)) {
        return Vec::new();
    }
    let is_due = |version: &&str| {
        known(records, version).is_none_or(|record| {
            now.has_waited(record.asked_at, if record.failed { RETRIED_AFTER } else { ASKED_EVERY })
        })
    };
    let due: BTreeSet<&str> = versions.filter(|version| is_version(version)).filter(is_due).collect();
    let mut due: Vec<&str> = due.into_iter().collect();
    due.sort_by_key(|version| known(records, version).map(asked_at));
    due.truncate(QUESTIONS_PER_CHECK);
    due
}

/// Whether a text is a version as GitHub numbers them. It becomes part of a request's address.
pub fn is_version(text: &str) -> bool {
    text.len() <= 32 && text.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The records after some answers, without those that nobody asks about any more.
pub fn with_answers(records: &[VersionRecord], answers: &[VersionRecord], now: Timestamp) -> Vec<VersionRecord> {
    let mut after = records.to_vec();
    for answer in answers {
        let before = after.iter().position(|record| record.version == answer.version).map(|at| after.swap_remove(at));
        let mut answer = answer.clone();
        if let Some(before) = before.filter(|_| answer.failed) {
            (answer.end, answer.tag) = (before.end, before.tag);
        }
        after.push(answer);
    }
    after.retain(|record| !now.has_waited(record.asked_at, FORGOTTEN_AFTER));
    after.sort_unstable_by(|a, b| b.asked_at.cmp(&a.asked_at).then_with(|| a.version.cmp(&b.version)));
    after.truncate(REMEMBERED);
    after.sort_unstable_by(|a, b| a.version.cmp(&b.version));
    after
}

/// What a target's people were last warned of about a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionWarning {
    /// The version.
    pub version: String,
    /// The end that GitHub names.
    pub ends_at: Timestamp,
    /// Whether GitHub no longer names an end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_withdrawn: bool,
    /// The last stage that was warned of: 21, 7 or 1 days ahead, or 0 for a version that has ended. `None` if the date
    /// has moved so far that all stages lie ahead again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// When that was decided.
    pub decided_at: Timestamp,
    /// How often the date has moved to a later one.
    #[serde(default)]
    pub moves: u8,
}

/// A date that keeps moving is believed this often.
const MOST_MOVES: u8 = 2;

/// The next warning of a version that ends at `ends_at`, and whether people are to be warned now. `None` if nothing
/// changes.
///
/// Each stage is warned of once. A later date has its stages ahead of it again, except the one that it is in: that would
/// only repeat what was said of the earlier date.
pub(crate) fn next_warning(
    last: Option<&VersionWarning>,
    (version, ends_at): (&str, Timestamp),
    now: Timestamp,
) -> Option<(VersionWarning, bool)> {
    let until = |days: &u32| Duration::from_secs(u64::from(*days) * 86_400);
    let stage = if ends_at <= now {
        Some(ENDED)
    } else {
        WARNING_DAYS.into_iter().find(|stage| ends_at.since(now) <= until(stage))
    };
    // What a clock that was ahead decided is void.
    let last = last.filter(|last| !last.decided_at.is_impossible(now));
    let next = |days: Option<u32>, moves: u8| VersionWarning {
        version: version.to_owned(),
        ends_at,
        is_withdrawn: false,
        days,
        decided_at: now,
        moves,
    };
    let Some(last) = last else {
        return stage.map(|stage| (next(Some(stage), 0), true));
    };
    let is_passed = |stage: u32| last.days.is_some_and(|passed| stage >= passed);
    let has_moved = ends_at.since(last.ends_at) > SAME_DATE && last.moves < MOST_MOVES;
    match stage {
        Some(stage) if !is_passed(stage) => Some((next(Some(stage), last.moves), true)),
        stage if has_moved => Some((next(stage, last.moves + 1), false)),
        _ if ends_at != last.ends_at || last.is_withdrawn => {
            Some((VersionWarning { ends_at, is_withdrawn: false, ..last.clone() }, false))
        }
        _ => None,
    }
}

/// Whether a runner that changed its version at `updated_at` updates itself, so that it needs no warning.
pub(crate) fn updates_itself(updated_at: Option<Timestamp>, now: Timestamp) -> bool {
    updated_at.is_some_and(|at| !now.has_waited(at, RECENT_UPDATE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(hours: u64) -> Timestamp {
        Timestamp::from_epoch_ms(1_800_000_000_000).plus(Duration::from_secs(hours * 3_600))
    }

    fn record(version: &str, asked_at: Timestamp, end: VersionEnd) -> VersionRecord {
        VersionRecord { version: version.to_owned(), asked_at, failed: false, end, tag: None }
    }

    #[test]
    fn each_version_is_asked_about_once_a_day_and_one_without_an_answer_every_six_hours() {
        let (mut records, mut asked) = (Vec::new(), Vec::new());
        for hour in 0..48 {
            for version in questions(&records, ["2.336.0", "2.337.0", "2.336.0"].into_iter(), at(hour)) {
                let failed = version == "2.337.0" && hour < 12;
                let answer = VersionRecord { failed, ..record(version, at(hour), VersionEnd::NoDate) };
                records = with_answers(&records, &[answer], at(hour));
                asked.push((hour, version));
            }
        }
        let expected =
            [(0, "2.336.0"), (0, "2.337.0"), (6, "2.337.0"), (12, "2.337.0"), (24, "2.336.0"), (36, "2.337.0")];
        assert_eq!(asked, expected);
    }

    #[test]
    fn a_fleet_of_many_versions_asks_about_five_an_hour_and_about_nothing_that_is_no_version() {
        let many: Vec<String> = (300..312).map(|minor| format!("2.{minor}.0")).collect();
        let mut records = Vec::new();
        for (hour, expected) in [(0, 5), (1, 5), (2, 2), (3, 0)] {
            let asked: Vec<VersionRecord> = questions(&records, many.iter().map(String::as_str), at(hour))
                .into_iter()
                .map(|version| record(version, at(hour), VersionEnd::Unlisted))
                .collect();
            assert_eq!(asked.len(), expected, "{hour}");
            records = with_answers(&records, &asked, at(hour));
            let minutes_later = at(hour).plus(Duration::from_secs(1_800));
            let is_quiet = questions(&records, ["9.9.9"].into_iter(), minutes_later).is_empty();
            assert_eq!(is_quiet, expected > 0, "within the hour of a question");
        }
        let odd = ["", "2..1", "2.336.0-rc", "../2", "two", "2.336.0/x", "٢.٣"];
        assert!(questions(&[], odd.into_iter(), at(0)).is_empty());
    }

    #[test]
    fn an_answer_that_fails_keeps_the_last_one_and_versions_nobody_has_are_forgotten() {
        let ends = VersionEnd::At { at: at(500) };
        let records = with_answers(&[], &[record("2.336.0", at(0), ends)], at(0));
        let failed = VersionRecord { failed: true, ..record("2.336.0", at(24), VersionEnd::Unanswered) };
        let records = with_answers(&records, &[failed], at(24));
        assert_eq!((records[0].end, records[0].asked_at, records[0].failed), (ends, at(24), true));
        let records = with_answers(&records, &[record("2.337.0", at(200), VersionEnd::NoDate)], at(200));
        assert_eq!(records.iter().map(|record| &*record.version).collect::<Vec<_>>(), ["2.337.0"]);
        let many: Vec<_> =
            (0..120).map(|minor| record(&format!("2.{minor}.0"), at(200 + minor), VersionEnd::NoDate)).collect();
        let records = with_answers(&records, &many, at(320));
        assert_eq!((records.len(), known(&records, "2.9.0")), (REMEMBERED, None), "the latest answers are kept");
    }

    /// Plays one check an hour; returns the stages that are warned of, with the days that were left.
    fn warned(hours: u64, ends_at: impl Fn(u64) -> Option<Timestamp>) -> Vec<(u32, u64)> {
        let (mut last, mut warned): (Option<VersionWarning>, _) = (None, Vec::new());
        for hour in 0..hours {
            let Some(ends_at) = ends_at(hour) else { continue };
            let Some((next, is_due)) = next_warning(last.as_ref(), ("2.336.0", ends_at), at(hour)) else { continue };
            if is_due {
                warned.push((next.days.unwrap(), ends_at.since(at(hour)).as_secs() / 86_400));
            }
            last = Some(next);
        }
        warned
    }

    #[test]
    fn a_clock_that_was_ahead_silences_no_stage() {
        let end = at(0).plus(25 * DAY);
        let ahead = next_warning(None, ("2.336.0", end), at(0).plus(30 * DAY)).unwrap().0;
        assert_eq!(ahead.days, Some(ENDED));
        assert_eq!(
            next_warning(Some(&ahead), ("2.336.0", end), at(96)).map(|(next, is_due)| (next.days, is_due)),
            Some((Some(21), true))
        );
    }

    #[test]
    fn a_version_is_warned_of_21_7_and_1_days_ahead_and_when_it_has_ended() {
        let end = at(0).plus(30 * DAY);
        assert_eq!(warned(40 * 24, |_| Some(end)), [(21, 21), (7, 7), (1, 1), (ENDED, 0)]);
        // First heard of two days ahead: the earlier stages are not made up for.
        assert_eq!(warned(40 * 24, |hour| (hour >= 28 * 24).then_some(end)), [(7, 2), (1, 1), (ENDED, 0)]);
        assert_eq!(warned(24, |_| Some(at(0))), [(ENDED, 0)]);
    }

    #[test]
    fn a_date_that_moves_alarms_nobody_and_the_later_date_has_its_own_stages() {
        // In the past, it alternates.
        assert_eq!(warned(240, |hour| Some(at(0).minus(DAY * (hour as u32 % 3)))), [(ENDED, 0)]);
        // It seemed to have ended, and ends in ten days: the stages that are still to come are warned of.
        let moved = |hour| Some(if hour < 24 { at(0) } else { at(24).plus(10 * DAY) });
        assert_eq!(warned(20 * 24, moved), [(ENDED, 0), (7, 7), (1, 1), (ENDED, 0)]);
        // It alternates between a past date and a future one, as long as it likes.
        let alternates = |hour: u64| Some(if (hour / 24).is_multiple_of(2) { at(0) } else { at(hour).plus(40 * DAY) });
        assert_eq!(warned(60 * 24, alternates), [(ENDED, 0); 3], "it is believed a few times");
        // Without a date for a while.
        let end = at(0).plus(5 * DAY);
        assert_eq!(warned(240, |hour| (hour % 7 != 3).then_some(end)), [(7, 5), (1, 1), (ENDED, 0)]);
    }
}
