//! A cycle is complete only if nothing is left out. Each single fault makes it incomplete, and is named.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use monitor_domain::cycle::{
    Checked, Cycle, DEFAULT_PENDING_LIMIT, StoredCycle, describe, pending_age, pending_limit, shortfalls,
};
use monitor_domain::target::{Target, TargetId};
use monitor_domain::time::Timestamp;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_epoch_ms(1_800_000_000_000);

fn target(number: usize) -> TargetId {
    format!("acme/app-{number}").parse::<Target>().unwrap().id().clone()
}

fn complete_cycle(targets: usize) -> Cycle {
    let mut cycle = Cycle { listed: (0..targets).map(target).collect(), ..Cycle::default() };
    for number in 0..targets {
        cycle.note(&target(number), if number % 2 == 0 { Checked::Seen } else { Checked::FailureCounted });
    }
    cycle
}

/// One fault that makes a cycle incomplete.
#[derive(Clone, Debug)]
enum Trouble {
    TickFails,
    NotChecked(prop::sample::Index),
    Pending(Duration),
    ClockSetBack(Duration),
    Fault,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        Just(Trouble::TickFails),
        any::<prop::sample::Index>().prop_map(Trouble::NotChecked),
        (0_u64..100_000).prop_map(|secs| Trouble::Pending(Duration::from_secs(secs))),
        (61_u64..100_000).prop_map(|secs| Trouble::ClockSetBack(Duration::from_secs(secs))),
        Just(Trouble::Fault),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_trouble_makes_a_cycle_incomplete_and_is_named(
        targets in 1_usize..30, troubles in prop::collection::vec(trouble(), 1..4), limit in 1_u64..100_000,
    ) {
        let limit = Duration::from_secs(limit);
        let mut cycle = complete_cycle(targets);
        prop_assert!(shortfalls(&cycle, limit, NOW).is_empty());
        for trouble in &troubles {
            match trouble {
                Trouble::TickFails => cycle.tick_failure = Some("the store is locked".to_owned()),
                Trouble::NotChecked(index) => drop(cycle.checked.remove(&target(index.index(targets)))),
                Trouble::Pending(over) => cycle.note_pending(Some(NOW.minus(limit + *over))),
                // No older notification may hide it.
                Trouble::ClockSetBack(ahead) => {
                    cycle.pending_since = cycle.pending_since.filter(|since| *since > NOW).or(Some(NOW.plus(*ahead)));
                }
                Trouble::Fault => drop(cycle.faults.insert("the store file was replaced".to_owned())),
            }
        }
        let said = describe(&shortfalls(&cycle, limit, NOW));
        let was_set_back = cycle.pending_since.is_some_and(|since| since > NOW);
        for trouble in &troubles {
            let text = match trouble {
                Trouble::TickFails => "the tick failed: the store is locked",
                Trouble::NotChecked(_) => "not checked",
                Trouble::Pending(_) | Trouble::ClockSetBack(_) if was_set_back => "before the clock was set back",
                Trouble::Pending(_) | Trouble::ClockSetBack(_) => "pending for",
                Trouble::Fault => "the store file was replaced",
            };
            prop_assert!(said.contains(text), "{text}: {said}");
        }
    }

    #[test]
    fn a_complete_cycle_leaves_nothing_out(
        listed in prop::collection::btree_set(0_usize..6, 0..5), checked in prop::collection::btree_set(0_usize..6, 0..6),
        pending in prop::option::of(-200_i64..2_000), limit in 1_i64..1_000, fails in any::<bool>(),
    ) {
        let cycle = Cycle {
            tick_failure: fails.then(|| "no".to_owned()),
            listed: listed.iter().copied().map(target).collect(),
            checked: checked.iter().copied().map(target).collect(),
            pending_since: pending.map(|secs| Timestamp::from_epoch_ms(NOW.epoch_ms() - secs * 1_000)),
            faults: BTreeSet::new(),
        };
        let is_complete = shortfalls(&cycle, Duration::from_secs(limit.unsigned_abs()), NOW).is_empty();
        let is_in_time = pending.is_none_or(|secs| (-60..limit).contains(&secs));
        prop_assert_eq!(is_complete, !fails && !listed.is_empty() && listed.is_subset(&checked) && is_in_time);
    }

    #[test]
    fn the_limit_is_never_less_than_three_intervals(setting in 0_u64..100_000, interval in 0_u64..100_000) {
        let limit = pending_limit(Duration::from_secs(setting), Duration::from_secs(interval));
        prop_assert_eq!(limit.as_secs(), setting.max(3 * interval));
    }
}

#[test]
fn a_cycle_without_targets_is_never_complete() {
    let said = describe(&shortfalls(&Cycle::default(), DEFAULT_PENDING_LIMIT, NOW));
    assert_eq!(said, "there is no target to check");
}

#[test]
fn a_failed_check_that_is_not_counted_leaves_its_target_unchecked() {
    let mut cycle = Cycle { listed: [target(0), target(1)].into(), ..Cycle::default() };
    cycle.note(&target(0), Checked::Seen);
    cycle.note(&target(1), Checked::No);
    let said = describe(&shortfalls(&cycle, DEFAULT_PENDING_LIMIT, NOW));
    assert_eq!(said, "1 of 2 targets were not checked, the first is acme/app-1");
}

#[test]
fn the_oldest_pending_notification_counts() {
    let mut cycle = complete_cycle(1);
    let [older, younger] = [901, 5].map(|secs| NOW.minus(Duration::from_secs(secs)));
    for since in [Some(younger), Some(older), None, Some(younger)] {
        cycle.note_pending(since);
    }
    let said = describe(&shortfalls(&cycle, DEFAULT_PENDING_LIMIT, NOW));
    assert_eq!(said, "a notification has been pending for 15 min");
    assert_eq!(pending_age(NOW.plus(Duration::from_secs(59)), NOW), Some(Duration::ZERO), "another machine's clock");
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// A tick 4 min ago, an interval of 5 min, and two targets seen since.
fn stored() -> StoredCycle {
    let tick = NOW.minus(minutes(4));
    let seen = Some(NOW.minus(minutes(1)));
    StoredCycle {
        tick: Some((tick, tick.plus(minutes(5)))),
        targets: vec![(target(0), seen, false), (target(1), seen, false)],
        pending_since: None,
    }
}

fn said(stored: &StoredCycle) -> String {
    describe(&stored.shortfalls(DEFAULT_PENDING_LIMIT, NOW))
}

#[test]
fn a_store_shows_that_ticks_are_missing_or_that_a_target_is_not_checked() {
    assert_eq!(said(&stored()), "");
    let ticked = |ago: u64| {
        let tick = NOW.minus(minutes(ago));
        StoredCycle { tick: Some((tick, tick.plus(minutes(5)))), ..stored() }
    };
    assert_eq!(said(&ticked(15)), "");
    assert_eq!(said(&ticked(16)), "the tick failed: the last tick was 16 min ago");
    let ahead = NOW.plus(minutes(2));
    let ahead = StoredCycle { tick: Some((ahead, ahead.plus(minutes(5)))), ..stored() };
    assert_eq!(said(&ahead), "the tick failed: the last tick is dated ahead of this machine's clock");

    let mut never = stored();
    never.targets[1].1 = None;
    assert_eq!(said(&never), "1 of 2 targets were not checked, the first is acme/app-1");
    never.targets[1].2 = true;
    assert_eq!(said(&never), "", "its failure is counted");
    // Three intervals, and the ten minutes by which the stored time may lag.
    for (ago, is_checked) in [(29, true), (30, false)] {
        let mut long_ago = stored();
        long_ago.targets[0].1 = Some(NOW.minus(minutes(ago)));
        assert_eq!(said(&long_ago).is_empty(), is_checked, "{ago} min");
    }
    let empty = StoredCycle { targets: Vec::new(), ..stored() };
    assert_eq!(said(&empty), "there is no target to check");
}

#[test]
fn a_store_shows_pending_notifications_unless_no_monitor_ever_ran() {
    let pending = |ago: u64| StoredCycle { pending_since: Some(NOW.minus(minutes(ago))), ..stored() };
    assert_eq!(said(&pending(14)), "");
    assert_eq!(said(&pending(15)), "a notification has been pending for 15 min");
    let unmonitored = StoredCycle { tick: None, ..pending(15) };
    assert_eq!(said(&unmonitored), "");
}
