//! Each threshold is used in the right place. No two are equal in this policy, so none can be mistaken for another.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;

use monitor_domain::change::Event;
use monitor_domain::observation::{Fault, ObservedRunner};
use monitor_domain::runner::Status::{self, Idle, Offline};

use support::{History, at, closed, failed_check, opened, runner};

const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const POLICY: &str = r#"{
    "failureThreshold": 4, "successThreshold": 3, "recheckInterval": "40s", "unreachableAfter": "20m", "forgetAfter": "26h", "connectGrace": "50m",
    "flapThreshold": 5, "flapWindow": "3h", "flapClearAfter": "70m", "repeatInterval": "100m", "maxRepeats": 2
}"#;

fn watching(runners: &[ObservedRunner]) -> History {
    History::watching(POLICY, runners)
}

fn see(history: &mut History, secs: u64, status: Status) -> Vec<Event> {
    history.see(secs, &[runner(1, status)])
}

/// Checks every 40 s until an outage opens or ends; returns the number of checks.
fn until_decided(history: &mut History, from: u64, status: Status) -> u64 {
    let decides = |events: &[Event]| !opened(events).is_empty() || !closed(events).is_empty();
    (1..20).find(|n| decides(&see(history, from + 40 * (n - 1), status))).unwrap()
}

#[test]
fn no_two_thresholds_are_equal() {
    let history = watching(&[]);
    let policy = history.policy.for_target(&history.fleet.record.target);
    let t = policy.thresholds();
    let counts = BTreeSet::from([t.failure_threshold, t.success_threshold, t.flap_threshold, t.max_repeats]);
    let spans = [
        t.recheck_interval,
        t.unreachable_after,
        t.forget_after,
        t.connect_grace,
        t.flap_window,
        t.flap_clear_after,
        t.repeat_interval,
    ];
    assert_eq!((counts.len(), BTreeSet::from(spans).len()), (4, 7));
}

#[test]
fn checks_count_by_failure_threshold_success_threshold_and_recheck_interval() {
    let mut history = watching(&[runner(1, Idle)]);
    assert_eq!(until_decided(&mut history, 300, Offline), 4);
    assert_eq!(until_decided(&mut history, 600, Idle), 3);
    // Half a recheck interval apart, they count separately.
    see(&mut history, 1_000, Offline);
    for secs in [1_019, 1_020, 1_040] {
        assert!(opened(&see(&mut history, secs, Offline)).is_empty(), "{secs}");
    }
    assert!(opened(&see(&mut history, 1_059, Offline)).is_empty());
    assert_eq!(opened(&see(&mut history, 1_060, Offline)).len(), 1);
}

#[test]
fn a_target_becomes_unreachable_and_a_suspicion_void_after_unreachable_after() {
    let became_unreachable =
        |events: &[Event]| events.iter().any(|event| matches!(event, Event::BecameUnreachable { .. }));
    let mut history = watching(&[runner(1, Idle)]);
    history.check(&failed_check(at(300), Fault::NotFound));
    assert!(!became_unreachable(&history.check(&failed_check(at(300 + 20 * MINUTE - 1), Fault::NotFound))));
    assert!(became_unreachable(&history.check(&failed_check(at(300 + 20 * MINUTE), Fault::NotFound))));

    for (gap, counts_on) in [(20 * MINUTE - 1, true), (20 * MINUTE, false)] {
        let mut history = watching(&[runner(1, Idle)]);
        for secs in [300, 340, 380] {
            see(&mut history, secs, Offline);
        }
        assert_eq!(opened(&see(&mut history, 380 + gap, Offline)).len(), usize::from(counts_on), "{gap}");
    }
}

#[test]
fn a_gone_runner_is_forgotten_after_forget_after() {
    let mut history = watching(&[runner(1, Idle), runner(2, Idle)]);
    let others = [runner(2, Idle)];
    history.see(300, &others);
    history.see(340, &others);
    let retired = |events: &[Event]| events.iter().any(|event| matches!(event, Event::Retired { .. }));
    assert!(!retired(&history.see(300 + 26 * HOUR - 1, &others)));
    assert!(retired(&history.see(300 + 26 * HOUR, &others)));
}

#[test]
fn a_runner_registered_ahead_of_use_has_connect_grace() {
    let ahead = ObservedRunner { version: None, ..runner(1, Offline) };
    let mut history = watching(&[]);
    let mut see = |secs| history.see(secs, std::slice::from_ref(&ahead));
    assert_eq!(see(0).len(), 2, "registered, and suspected");
    for secs in [600, 1_200, 50 * MINUTE - 1] {
        assert!(opened(&see(secs)).is_empty(), "{secs}");
    }
    let found = (0..4).map(|n| opened(&see(50 * MINUTE + 40 * n)).len()).collect::<Vec<_>>();
    assert_eq!(found.iter().sum::<usize>(), 1, "{found:?}");
}

#[test]
fn outages_make_a_runner_flap_by_their_number_and_window_until_it_is_calm() {
    let started = |events: &[Event]| events.iter().any(|event| matches!(event, Event::FlappingStarted { .. }));
    // The fifth outage starts within three hours of the first, or it does not.
    for (last, flaps) in [(3 * HOUR - 1, true), (3 * HOUR, false)] {
        let mut history = watching(&[runner(1, Idle)]);
        let mut begin = 300;
        for start in [0, 2_000, 4_000, 6_000] {
            begin = 300 + start;
            until_decided(&mut history, begin, Offline);
            until_decided(&mut history, begin + 400, Idle);
            assert!(history.runner(1).flapping.is_none(), "{start}");
        }
        assert_eq!(begin, 6_300);
        let mut events = Vec::new();
        for n in 0..4 {
            events.extend(see(&mut history, 300 + last + 40 * n, Offline));
        }
        assert_eq!(started(&events), flaps, "{last}");
        if !flaps {
            continue;
        }
        let well_at = 300 + last + 400;
        for n in 0..3 {
            see(&mut history, well_at + 40 * n, Idle);
        }
        let ended = |events: &[Event]| events.iter().any(|event| matches!(event, Event::FlappingEnded { .. }));
        assert!(!ended(&see(&mut history, well_at + 70 * MINUTE - 1, Idle)));
        assert!(ended(&see(&mut history, well_at + 70 * MINUTE, Idle)));
    }
}

#[test]
fn reminders_follow_repeat_interval_and_end_with_max_repeats() {
    let mut history = watching(&[runner(1, Idle)]);
    until_decided(&mut history, 300, Offline);
    let confirmed = 300 + 3 * 40;
    let reminded = |events: &[Event]| {
        events.iter().find_map(|event| if let Event::Reminded { is_last, .. } = event { Some(*is_last) } else { None })
    };
    assert_eq!(reminded(&see(&mut history, confirmed + 100 * MINUTE - 1, Offline)), None);
    assert_eq!(reminded(&see(&mut history, confirmed + 100 * MINUTE, Offline)), Some(false));
    assert_eq!(reminded(&see(&mut history, confirmed + 200 * MINUTE, Offline)), Some(true));
    assert_eq!(reminded(&see(&mut history, confirmed + 300 * MINUTE, Offline)), None);
}
