//! Slack accepts nothing for a day in which outages start and end: afterwards one message per target reports them.

use monitor_domain::notifications::NotificationItem;
use monitor_domain::subject::Subject;
use monitor_domain::target::Target;
use monitor_simulation::calendar::{HOUR_MS, MINUTE_MS};
use monitor_simulation::faults::StoreKind;
use monitor_simulation::invariants::examine;
use monitor_simulation::operations::{Operation, Scenario, What};
use monitor_simulation::simulation::play;
use monitor_simulation::targets::TARGETS;

/// Slack is dead from 1 h to 25 h. `runner-1` goes offline five times and recovers each time, `runner-2` stays offline
/// until later.
fn scenario(store: StoreKind, is_bot: bool) -> Scenario {
    let mut operations = vec![Operation { at_ms: HOUR_MS, what: What::SlackDead { for_ms: 24 * HOUR_MS } }];
    for target in [0, 1, 2] {
        for time in 0..5 {
            let what = What::Outage { target, runner: "runner-1".to_owned(), for_ms: 30 * MINUTE_MS };
            operations.push(Operation { at_ms: (2 + 4 * time) * HOUR_MS + 20_000, what });
        }
        let what = What::Outage { target, runner: "runner-2".to_owned(), for_ms: 20 * HOUR_MS };
        operations.push(Operation { at_ms: 7 * HOUR_MS + 20_000, what });
    }
    operations.sort_by_key(|operation| operation.at_ms);
    Scenario {
        seed: 11,
        hours: 32,
        store,
        is_bot,
        operations,
        windows: Vec::new(),
        crashes: Vec::new(),
        version_ends: None,
        report: None,
        webhook: None,
        has_pool_over_credential: false,
    }
}

fn is_notified_in_one_message(store: StoreKind, is_bot: bool) -> anyhow::Result<()> {
    let scenario = scenario(store, is_bot);
    let played = play(&scenario)?;
    let (violations, tally) = examine(&scenario, &played)?;
    assert!(violations.is_empty(), "{violations:?}");
    assert_eq!(tally.promises.get("summary after a long Slack outage"), Some(&3));
    for name in &TARGETS[..3] {
        let subject = Subject::from(&name.parse::<Target>()?);
        let of_target = played.world.taken.iter().filter(|taken| taken.notification.subject == subject);
        let notified: Vec<_> = of_target.filter(|taken| taken.at_ms > HOUR_MS).collect();
        let [after, end] = &notified[..] else { panic!("{name}: {notified:?}") };
        let [NotificationItem::Offline { outages: open }, NotificationItem::CameAndWent { outages: over }] =
            &after.notification.items[..]
        else {
            panic!("{name}: {:?}", after.notification.items)
        };
        assert_eq!((open.len(), over.len()), (1, 5), "{name}");
        assert!((25 * HOUR_MS..25 * HOUR_MS + 35 * MINUTE_MS).contains(&after.at_ms), "{name}: {}", after.at_ms);
        assert!(
            matches!(&end.notification.items[..], [NotificationItem::Recovered { outages }] if outages.len() == 1),
            "{name}: {end:?}"
        );
        assert_eq!(end.thread.is_some(), is_bot, "{name}");
    }
    Ok(())
}

#[test]
fn after_a_day_without_slack_each_target_is_notified_in_one_message() -> anyhow::Result<()> {
    for is_bot in [false, true] {
        is_notified_in_one_message(StoreKind::Embedded, is_bot)?;
        is_notified_in_one_message(StoreKind::Stately, is_bot)?;
    }
    Ok(())
}
