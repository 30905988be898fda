//! What can be known beforehand: versions that end, and runners that GitHub removes.

mod support;

use std::time::Duration;

use monitor_domain::change::Event;
use monitor_domain::fleet::Fleet;
use monitor_domain::notifications::{NotificationItem, pending_notification};
use monitor_domain::observation::ObservedRunner;
use monitor_domain::outage::{Ending, Outage};
use monitor_domain::overrides::Overrides;
use monitor_domain::runner::Status::{self, Busy, Idle, Offline};
use monitor_domain::scope::Scope;
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::time::Timestamp;
use monitor_domain::versions::{VersionEnd, VersionRecord};
use proptest::prelude::*;

use support::{History, at, runner, target};

const DAY_SECS: u64 = 86_400;

fn day(number: u64) -> Timestamp {
    at(number * DAY_SECS)
}

fn of_version(id: u64, status: Status, version: &str) -> ObservedRunner {
    ObservedRunner { version: Some(version.to_owned()), ..runner(id, status) }
}

fn ending(version: &str, ends_at: Timestamp) -> VersionRecord {
    let end = VersionEnd::At { at: ends_at };
    VersionRecord { version: version.to_owned(), asked_at: at(0), failed: false, end, tag: None }
}

/// The warnings about versions among events: the stage, and the ids of the runners.
fn warnings(events: &[Event]) -> Vec<(u32, Vec<u64>)> {
    let of = |event: &Event| match event {
        Event::VersionEnding { days, runners, .. } => Some((*days, runners.iter().map(|runner| runner.id.0).collect())),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

#[test]
fn a_version_is_warned_of_once_a_stage_with_the_runners_that_have_it() {
    let mut history = History::watching("{}", &[of_version(1, Idle, "2.336.0"), of_version(2, Busy, "2.336.0")]);
    history.versions = vec![ending("2.336.0", day(30)), ending("2.335.0", day(1))];
    let mut warned = Vec::new();
    for number in 0..35 {
        let third = of_version(3, Idle, if number < 20 { "2.337.0" } else { "2.336.0" });
        for half in 0..2 {
            let secs = number * DAY_SECS + half * DAY_SECS / 2 + 60;
            let events =
                history.see(secs, &[of_version(1, Idle, "2.336.0"), of_version(2, Busy, "2.336.0"), third.clone()]);
            warned.extend(warnings(&events).into_iter().map(|(days, runners)| (number, days, runners)));
        }
    }
    // Runner 3 got the old version on day 20: it had just changed its version, so it counts only from day 27 on.
    let expected = [(9, 21, vec![1, 2]), (23, 7, vec![1, 2]), (29, 1, vec![1, 2, 3]), (30, 0, vec![1, 2, 3])];
    assert_eq!(warned, expected);
}

#[test]
fn an_end_that_github_withdraws_is_no_longer_named_until_it_is_set_again() {
    let listed = [of_version(1, Idle, "2.336.0")];
    let mut history = History::watching("{}", &listed);
    let without = VersionRecord { end: VersionEnd::NoDate, ..ending("2.336.0", day(9)) };
    let answers = [ending("2.336.0", day(9)), without, ending("2.336.0", day(9))];
    let mut named = Vec::new();
    for (number, answer) in (1..).zip(answers) {
        history.versions = vec![answer];
        history.see(number * 3_600, &listed);
        named.push(history.fleet.version_ends_at(&history.fleet.runners[0]));
    }
    assert_eq!(named, [Some(day(9)), None, Some(day(9))]);
}

#[test]
fn runners_that_update_themselves_are_muted_or_ignored_or_gone_are_not_warned_of() {
    let old = |id| of_version(id, Idle, "2.336.0");
    let mut history = History::watching(r#"{"ignore":["runner-3"]}"#, &[old(1), old(2), old(3), old(4)]);
    let new = of_version(1, Idle, "2.336.1");
    history.see(DAY_SECS, &[new.clone(), old(2), old(3), old(4)]);
    let listed = [new.clone(), old(2), old(3)];
    // Runner 4 is gone after its second check without it.
    history.see(DAY_SECS + 60, &listed);
    history.see(DAY_SECS + 120, &listed);
    history.overrides.muted = vec![Scope::Named("runner-2".to_owned())];
    history.versions = vec![ending("2.336.1", day(9)), ending("2.336.0", day(3))];
    assert_eq!(
        warnings(&history.see(DAY_SECS + 600, &listed)),
        [],
        "one has just been updated, the others are not watched"
    );
    history.overrides = Overrides::default();
    assert_eq!(warnings(&history.see(DAY_SECS + 660, &listed)), [(7, vec![2])], "after the mute");
    assert_eq!(
        warnings(&history.see(8 * DAY_SECS, &listed)),
        [(1, vec![1]), (0, vec![2])],
        "it no longer updates itself"
    );
}

#[test]
fn an_unknown_end_warns_nobody() {
    for end in [VersionEnd::NoDate, VersionEnd::Unlisted, VersionEnd::Unanswered] {
        let mut history = History::watching("{}", &[of_version(1, Offline, "2.300.0")]);
        history.versions = vec![VersionRecord { end, ..ending("2.300.0", at(0)) }];
        for check in 1..20 {
            let events = history.see(check * 300, &[of_version(1, Offline, "2.300.0")]);
            assert_eq!(warnings(&events), []);
            let outages = events.iter().filter_map(Event::outage_event);
            assert!(outages.into_iter().all(|outage| outage.version_ended_at.is_none()));
        }
    }
}

/// The first outage that some checks open.
fn first_outage(history: &mut History, checks: impl IntoIterator<Item = (u64, ObservedRunner)>) -> Outage {
    for (secs, runner) in checks {
        let events = history.see(secs, &[runner]);
        if let Some(outage) = events.iter().find_map(Event::outage_event) {
            return outage.clone();
        }
    }
    panic!("no outage")
}

#[test]
fn the_end_of_a_version_is_a_reason_only_if_it_came_before_the_outage() {
    for (ends_secs, expected) in [(200, true), (301, false), (100_000, false)] {
        let mut history = History::watching("{}", &[runner(1, Idle)]);
        history.versions = vec![ending("2.331.0", at(ends_secs)), ending("2.330.0", at(1))];
        let outage = first_outage(&mut history, (1..9).map(|check| (check * 300, runner(1, Offline))));
        assert_eq!(outage.version_ended_at, expected.then(|| at(ends_secs)), "{ends_secs}");
    }
}

/// The warnings of a removal that one check a `step` makes while runner 1 is offline from the first of them on.
fn removal_warnings(ephemeral: bool, seen_online: bool, step_secs: u64) -> (Vec<u32>, Vec<(u32, u64)>) {
    let of = |status| ObservedRunner { ephemeral, ..runner(1, status) };
    let mut history = History::watching("{}", &[of(if seen_online { Idle } else { Offline })]);
    let (mut warned, mut left) = (Vec::new(), Vec::new());
    let until_open = (1..9).map(|check| check * 300);
    for secs in until_open.chain((1..=15 * DAY_SECS / step_secs).map(|check| check * step_secs)) {
        for event in history.see(secs, &[of(Offline)]) {
            if let Event::RemovalNear { outage, days } = event {
                let earliest = outage.removal().and_then(|removal| removal.earliest);
                assert_eq!(earliest, Some(day(14)), "last seen online at the first check");
                left.push((days, day(14).since(at(secs)).as_secs() / 3_600));
                warned.push(days);
            }
        }
    }
    (warned, left)
}

#[test]
fn a_removal_is_warned_of_3_days_and_1_day_before_it_can_come() {
    assert_eq!(removal_warnings(false, true, 3_600), (vec![3, 1], vec![(3, 72), (1, 24)]));
    // With checks that are far apart a stage is passed over, and nothing is said after the time has come.
    assert_eq!(removal_warnings(false, true, 5 * DAY_SECS / 2), (vec![3], vec![(3, 36)]));
    assert_eq!(removal_warnings(true, true, 3_600).0, [0; 0], "an ephemeral runner is removed after a day");
    assert_eq!(removal_warnings(false, false, 3_600).0, [0; 0], "nobody knows since when it has been offline");
}

#[test]
fn github_removed_a_runner_only_if_the_dates_fit() {
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    let mut history = History::watching("{}", &[runner(1, Idle)]);
    let outage = first_outage(&mut history, (1..9).map(|check| (check * 300, runner(1, Offline))));
    let removal = outage.removal().unwrap();
    assert_eq!((removal.earliest, removal.latest), (Some(day(14)), at(300 + 14 * DAY_SECS)));
    let ended = |at: Timestamp, ending| Outage { resolved_at: Some(at), ending: Some(ending), ..outage.clone() };
    for (after, expected) in [(0, false), (14 * 24 - 1, false), (14 * 24, true), (16 * 24, true), (17 * 24, false)] {
        let at = at(0).plus(hours(after));
        assert_eq!(ended(at, Ending::Removed).was_removed_by_github(), expected, "{after} h");
        assert!(!ended(at, Ending::Recovered).was_removed_by_github());
    }
    let ephemeral = Outage { ephemeral: true, ..ended(at(0).plus(hours(24)), Ending::Removed) };
    assert!(ephemeral.was_removed_by_github());
    let unseen = Outage { last_healthy: None, ..ended(day(14), Ending::Removed) };
    assert!(!unseen.was_removed_by_github(), "not before the latest moment");
    let never_connected = Outage { version: None, last_healthy: None, ..outage.clone() };
    assert_eq!(never_connected.removal(), None);
    assert_eq!(Outage { status: Status::Unknown, ..outage }.removal(), None, "it is gone");
}

#[test]
fn one_notification_names_the_latest_stage_of_each_version_and_no_removal_of_a_runner_that_is_back() {
    let old = |id, status| of_version(id, status, "2.336.0");
    let mut history = History::watching("{}", &[old(1, Idle), old(2, Idle), of_version(3, Idle, "2.335.0")]);
    history.versions = vec![ending("2.336.0", day(14)), ending("2.335.0", day(12))];
    let runners = |two| vec![old(1, Offline), old(2, two), of_version(3, Idle, "2.335.0")];
    let until_open = (1..9).map(|check| check * 300);
    for secs in until_open.chain((1..=13 * 24 + 1).map(|hour| hour * 3_600)) {
        history.see(secs, &runners(Offline));
    }
    for check in 1..9 {
        history.see(13 * DAY_SECS + 3_600 + check * 300, &runners(Idle));
    }
    let pending = pending_notification(&Subject::from(&target()), None, Revision(0), &history.changes);
    let items = pending.notification.unwrap().items;
    let versions: Vec<_> = items
        .iter()
        .filter_map(|item| match item {
            NotificationItem::VersionEnding { version, raised_at, runners, .. } => {
                Some((&**version, raised_at.since(at(0)).as_secs() / DAY_SECS, runners.len()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(versions, [("2.335.0", 12, 1), ("2.336.0", 13, 2)], "soonest end first, each with its latest stage");
    let removals: Vec<_> = items
        .iter()
        .filter_map(|item| match item {
            NotificationItem::RemovalNear { outages, .. } => Some(outages.iter().map(|outage| outage.runner_id.0)),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(removals, [1]);
}

proptest! {
    /// However versions, dates and checks go: each stage of a version is warned of at most once, in order, never after a
    /// later one, and names only registered runners with that version.
    #[test]
    fn stages_are_warned_of_in_order(
        ends_day in 0_u64..40,
        checks in proptest::collection::vec((1_u64..200, proptest::collection::vec(0_u8..3, 4)), 1..60),
    ) {
        let version = |kind: u8| ["2.336.0", "2.337.0", "2.338.0"][usize::from(kind)];
        let mut history = History::watching("{}", &[]);
        history.versions = vec![ending("2.336.0", day(ends_day))];
        let (mut secs, mut last) = (0, u32::MAX);
        for (hours, kinds) in checks {
            secs += hours * 3_600;
            let listed: Vec<_> = (1..).zip(&kinds).map(|(id, kind)| of_version(id, Idle, version(*kind))).collect();
            for (days, runners) in warnings(&history.see(secs, &listed)) {
                prop_assert!(days < last, "{days} after {last}");
                last = days;
                prop_assert!(!runners.is_empty());
                for id in runners {
                    prop_assert_eq!(kinds[id as usize - 1], 0);
                }
                let left = day(ends_day).since(at(secs));
                prop_assert!(left <= Duration::from_secs(u64::from(days) * DAY_SECS));
            }
        }
        let Fleet { record, .. } = &history.fleet;
        prop_assert!(record.version_warnings.len() <= 1);
    }
}
