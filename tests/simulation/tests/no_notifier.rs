//! No notifier runs for a day in which outages start and end: afterwards each of them is recorded with its end.

use monitor_simulation::calendar::{HOUR_MS, MINUTE_MS};
use monitor_simulation::faults::StoreKind;
use monitor_simulation::invariants::examine;
use monitor_simulation::operations::{Muted, Operation, Scenario, What};
use monitor_simulation::simulation::play;

/// No notifier runs from 1 h to 25 h. `runner-1` goes offline five times and recovers each time, `runner-2` does the
/// same while it is muted, `runner-3` stays offline until later.
fn scenario(store: StoreKind) -> Scenario {
    let mut operations = vec![Operation { at_ms: HOUR_MS, what: What::NotifierDown { for_ms: 24 * HOUR_MS } }];
    let scope = Muted { target: None, runner: Some("runner-2".to_owned()) };
    operations.push(Operation { at_ms: HOUR_MS, what: What::Mute { scope, for_ms: 26 * HOUR_MS, unmute_ms: None } });
    let away = |at_ms: i64, runner: &str, for_ms| {
        let what = What::Outage { target: 0, runner: runner.to_owned(), for_ms };
        Operation { at_ms: at_ms + 20_000, what }
    };
    for time in 0..5 {
        operations.push(away((2 + 4 * time) * HOUR_MS, "runner-1", 30 * MINUTE_MS));
        operations.push(away((3 + 4 * time) * HOUR_MS, "runner-2", 30 * MINUTE_MS));
    }
    operations.push(away(7 * HOUR_MS, "runner-3", 20 * HOUR_MS));
    operations.sort_by_key(|operation| operation.at_ms);
    Scenario {
        seed: 11,
        hours: 32,
        store,
        is_bot: true,
        operations,
        windows: Vec::new(),
        crashes: Vec::new(),
        version_ends: None,
        report: None,
        webhook: None,
        has_pool_over_credential: false,
    }
}

#[test]
fn after_a_day_without_a_notifier_every_outage_is_recorded_with_its_end() -> anyhow::Result<()> {
    for store in [StoreKind::Embedded, StoreKind::Stately] {
        let scenario = scenario(store);
        let played = play(&scenario)?;
        let (violations, tally) = examine(&scenario, &played)?;
        assert!(violations.is_empty(), "{violations:?}");
        assert_eq!(tally.outages, 11);
        let of_day = |at_ms: i64| (HOUR_MS..25 * HOUR_MS).contains(&at_ms);
        assert!(!played.world.recorded.iter().any(|(at_ms, ..)| of_day(*at_ms)), "no notifier runs");
    }
    Ok(())
}
