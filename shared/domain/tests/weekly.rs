//! The weekly report: when it is due, and that what it lists is the worst of everything.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Datelike, Timelike, Utc};
use monitor_domain::availability::{Availability, RunnerReport, Span, TargetReport};
use monitor_domain::fleet::Fleet;
use monitor_domain::policy::{Policy, PolicyDocument};
use monitor_domain::runner::RunnerId;
use monitor_domain::runner::Status::{Idle, Offline};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_domain::weekly::{PlannedChecks, ReportBuilder, ReportTime, WeeklyReport};
use proptest::prelude::*;

use support::{History, at, runner};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn moment(text: &str) -> Timestamp {
    text.parse().expect("it can be read")
}

fn faults(json: &str) -> String {
    let document: PolicyDocument = serde_json::from_str(json).expect("JSON");
    let faults = Policy::new(document, &[]).expect_err("faults");
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn the_policy_names_a_day_and_an_hour() {
    let read = |json: &str| Policy::new(serde_json::from_str(json).unwrap(), &[]).unwrap().report();
    assert_eq!(read("{}"), None);
    assert_eq!(read(r#"{"report":null}"#), None);
    assert_eq!(read(r#"{"report":{"day":"Sunday","hour":23}}"#), Some(ReportTime { day: 6, hour: 23 }));
    for (json, fault) in [
        (r#"{"report":"monday"}"#, "report: must be an object with a day and an hour"),
        (r#"{"report":{"day":"monday"}}"#, "report: needs a day and an hour"),
        (r#"{"report":{"day":"someday","hour":9}}"#, "`day` must be a day from monday to sunday; found `someday`"),
        (r#"{"report":{"day":"monday","hour":24}}"#, "`hour` must be an hour from 0 to 23"),
        (r#"{"report":{"day":"monday","hour":9,"zone":"CET"}}"#, "`zone` is not a key of the report"),
        (r#"{"report":{"hour":9,"day":"monday","hour":8}}"#, "`hour` is given twice"),
        (r#"{"runners":{"*":{"report":{"day":"monday","hour":9}}}}"#, "must be at the top level of the policy"),
        (r#"{"reports":{"day":"monday","hour":9}}"#, "did you mean `report`?"),
    ] {
        assert!(faults(json).contains(fault), "{json}: {}", faults(json));
    }
}

#[test]
fn a_week_ends_at_the_hour_of_the_day() {
    let monday = ReportTime { day: 0, hour: 9 };
    let due = |reported, now: &str| monday.due(reported, moment(now)).map(|week| week.until);
    let this = moment("2026-11-30T09:00:00Z");
    assert_eq!(due(None, "2026-11-30T09:00:00Z"), Some(this));
    assert_eq!(due(None, "2026-12-01T08:59:59Z"), Some(this), "a day late");
    assert_eq!(due(None, "2026-12-01T09:00:00Z"), None, "too late");
    assert_eq!(due(None, "2026-11-30T08:59:59Z"), None, "the week before ended six days ago");
    assert_eq!(due(Some(this), "2026-11-30T09:05:00Z"), None, "once");
    assert_eq!(due(Some(this.minus(DAY * 7)), "2026-11-30T09:05:00Z"), Some(this));
    let week = monday.due(None, this).unwrap();
    assert_eq!(week.until.since(week.from), DAY * 7);
    // A clock that was two weeks ahead reported weeks that have not come yet.
    assert_eq!(due(Some(this.plus(DAY * 14)), "2026-11-30T09:05:00Z"), Some(this));
}

/// A target with runners of these down times and numbers of outages, in seconds of a day.
fn target_report(runners: &[(u64, usize)], pools: &[u64]) -> TargetReport {
    let of = |id: usize, name: &str, down: u64, outages: usize| RunnerReport {
        id: RunnerId(id as u64),
        name: format!("{name}-{id}"),
        availability: Availability { observed: DAY, down: Duration::from_secs(down) },
        outages,
    };
    let runners: Vec<_> =
        runners.iter().enumerate().map(|(id, (down, outages))| of(id, "build", *down, *outages)).collect();
    TargetReport {
        from: at(0),
        availability: runners.iter().fold(Availability::default(), |sum, one| sum.plus(one.availability)),
        outages: runners.iter().map(|runner| runner.outages).sum(),
        pools: pools.iter().enumerate().map(|(id, down)| of(id, "pool", *down, 1)).collect(),
        runners,
        recovered: 2,
        mean_time_to_recovery: Some(HOUR),
        unobserved: HOUR,
    }
}

fn fleet(number: usize) -> Fleet {
    Fleet::unknown(format!("acme/app-{number:04}").parse::<Target>().expect("a target"))
}

fn week() -> Span {
    Span { from: at(0), until: at(7 * 86_400) }
}

#[test]
fn a_target_that_was_not_monitored_in_the_week_is_not_in_the_report() {
    let mut builder = ReportBuilder::new(week(), None);
    builder.add(&fleet(1), &TargetReport { from: week().until, ..target_report(&[(60, 1)], &[]) });
    assert_eq!(builder.clone().finish(&BTreeMap::new()), None, "there is nothing to say");
    builder.leave_out();
    let unread = builder.clone().finish(&BTreeMap::new()).unwrap();
    assert_eq!((unread.targets, unread.unread), (0, 1), "what was left out may have something to say");
    builder.add(&fleet(2), &target_report(&[(60, 1)], &[]));
    let report = builder.finish(&BTreeMap::new()).unwrap();
    assert_eq!((report.targets, report.unread, report.runners, report.checks), (1, 1, 1, None));
}

#[test]
fn versions_and_removals_are_named_if_they_are_near() {
    let mut history = History::watching(r#"{"failureThreshold":1}"#, &[runner(1, Idle), runner(2, Idle)]);
    history.see(300, &[runner(1, Offline), runner(2, Idle)]);
    let version = history.fleet.runners[0].version.clone().unwrap();
    let report_until = |until: u64, ends_at: u64| {
        let mut builder = ReportBuilder::new(Span { from: at(0), until: at(until) }, None);
        builder.add(&history.fleet, &target_report(&[(60, 1)], &[]));
        builder.finish(&BTreeMap::from([(version.clone(), at(ends_at))])).unwrap()
    };
    // GitHub removes runner 1 on day 14, as it was last online at the start.
    let days = |days: u64| days * 86_400;
    let near = report_until(days(7), days(28));
    let [removal] = &near.removals.shown[..] else { panic!("{near:?}") };
    assert_eq!((removal.runner.as_str(), removal.earliest), ("runner-1", at(days(14))));
    let [ending] = &near.versions.shown[..] else { panic!("{near:?}") };
    assert_eq!((ending.runners, ending.targets, ending.ends_at), (2, 1, at(days(28))));
    let far = report_until(days(7) - 1, days(28));
    assert!(far.removals.shown.is_empty() && far.versions.shown.is_empty(), "{far:?}");
    assert_eq!(report_until(days(7), days(1)).versions.shown.len(), 1, "an ended version is named");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_week_is_reported_once_while_the_monitor_runs(
        day in 0u32..7,
        hour in 0u32..24,
        start_secs in 0i64..100_000_000_000,
        steps in prop::collection::vec(60u64..86_400, 1..120),
    ) {
        let time = ReportTime { day, hour };
        let mut now = Timestamp::from_epoch_ms(start_secs * 1_000);
        let mut reported = None;
        let mut last_until: Option<Timestamp> = None;
        for step in steps {
            now = now.plus(Duration::from_secs(step));
            let Some(Span { from, until }) = time.due(reported, now) else {
                // The moment of the last day, if there was one, was reported.
                let of_last_day = (0..24).map(|ago| now.minus(HOUR * ago)).find(|at| {
                    let utc = DateTime::<Utc>::from_timestamp_millis(at.epoch_ms()).unwrap();
                    (utc.weekday().num_days_from_monday(), utc.hour()) == (day, hour)
                });
                prop_assert!(of_last_day.is_none_or(|at| reported.is_some_and(|until| at.since(until) < HOUR)));
                continue;
            };
            let utc = DateTime::<Utc>::from_timestamp_millis(until.epoch_ms()).unwrap();
            prop_assert_eq!(utc.weekday().num_days_from_monday(), day);
            prop_assert_eq!((utc.hour(), utc.minute(), utc.second()), (hour, 0, 0));
            prop_assert!(until <= now && now.since(until) < DAY && until.since(from) == DAY * 7);
            // Steps are shorter than a day, so no week is missed once the first was reported.
            prop_assert!(last_until.is_none_or(|last| until == last.plus(DAY * 7)));
            (reported, last_until) = (Some(until), Some(until));
        }
        prop_assert!(last_until.is_none_or(|last| now.since(last) < DAY * 8));
    }

    #[test]
    fn the_report_lists_the_worst_and_counts_the_rest(
        targets in prop::collection::vec(
            (
                prop::collection::vec((prop_oneof![Just(0u64), 1u64..86_400], 0usize..4), 0..5),
                prop::collection::vec(prop_oneof![Just(0u64), 1u64..86_400], 0..2),
            ),
            0..40,
        )
    ) {
        let mut builder = ReportBuilder::new(week(), Some(Duration::from_secs(300)));
        let reports: Vec<TargetReport> = targets.iter().map(|(runners, pools)| target_report(runners, pools)).collect();
        for (number, report) in reports.iter().enumerate() {
            builder.add(&fleet(number), report);
        }
        let Some(report) = builder.finish(&BTreeMap::new()) else {
            prop_assert!(reports.is_empty());
            return Ok(());
        };
        let runners = || reports.iter().flat_map(|report| &report.runners);
        prop_assert_eq!(report.targets as usize, reports.len());
        prop_assert_eq!(report.runners as usize, runners().count());
        prop_assert_eq!(report.outages as usize, runners().map(|runner| runner.outages).sum::<usize>());
        let down: u64 = runners().map(|runner| runner.availability.down.as_secs()).sum();
        prop_assert_eq!(report.down_secs, down);
        prop_assert_eq!(report.observed_secs, runners().count() as u64 * 86_400);
        prop_assert_eq!(report.mean_time_to_recovery(), Some(HOUR));
        let number = reports.len() as u64;
        let checks = PlannedChecks { planned: number * 2_016, missed: number * 12 };
        prop_assert_eq!(report.checks, Some(checks));

        let mut offline: Vec<u64> =
            runners().map(|runner| runner.availability.down.as_secs()).filter(|down| *down > 0).collect();
        offline.sort_unstable_by(|a, b| b.cmp(a));
        let shown: Vec<u64> = report.worst_runners.shown.iter().map(|row| row.down_secs).collect();
        prop_assert_eq!(&shown[..], &offline[..offline.len().min(10)]);
        prop_assert_eq!(shown.len() + report.worst_runners.more as usize, offline.len());
        for list in [&report.worst_targets, &report.worst_pools] {
            let ratios: Vec<f64> = list.shown.iter().map(|row| row.availability().ratio().unwrap()).collect();
            prop_assert!(ratios.is_sorted_by(|one, next| *one <= next + 1e-5), "{ratios:?}");
            prop_assert!(list.shown.len() == 10 || list.more == 0);
        }
        let short = reports.iter().flat_map(|report| &report.pools).filter(|pool| !pool.availability.down.is_zero());
        prop_assert_eq!(report.worst_pools.shown.len() + report.worst_pools.more as usize, short.count());
        let written = serde_json::to_string(&report).unwrap();
        prop_assert!(written.len() < 10_000, "the size does not depend on the number of targets");
        prop_assert_eq!(serde_json::from_str::<WeeklyReport>(&written).unwrap(), report);
    }
}
