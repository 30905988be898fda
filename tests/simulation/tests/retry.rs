//! A message that Slack does not accept is sent again after its backoff, not at the next check.

use monitor_domain::notifications::NotificationItem;
use monitor_simulation::calendar::{HOUR_MS, MINUTE_MS};
use monitor_simulation::faults::StoreKind;
use monitor_simulation::invariants::examine;
use monitor_simulation::operations::{Operation, Scenario, What};
use monitor_simulation::simulation::play;

/// `runner-1` goes offline at 1 h 7 min; the alert is due at 1 h 12 min, when Slack accepts nothing for some seconds.
fn scenario(store: StoreKind, is_bot: bool, for_ms: i64) -> Scenario {
    let operations = vec![
        Operation {
            at_ms: HOUR_MS + 7 * MINUTE_MS,
            what: What::Outage { target: 0, runner: "runner-1".to_owned(), for_ms: 40 * MINUTE_MS },
        },
        Operation { at_ms: HOUR_MS + 11 * MINUTE_MS, what: What::SlackDead { for_ms } },
    ];
    Scenario {
        seed: 11,
        hours: 6,
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

#[test]
fn the_next_attempt_is_made_when_it_is_due_and_not_at_the_next_check() -> anyhow::Result<()> {
    // The checks are at 1 h 10, 11, 12 and then at 1 h 15 min.
    for (for_ms, attempts) in [(MINUTE_MS + 20_000, 2), (2 * MINUTE_MS, 3)] {
        for (store, is_bot) in [(StoreKind::Embedded, false), (StoreKind::Stately, true)] {
            let scenario = scenario(store, is_bot, for_ms);
            let played = play(&scenario)?;
            let (violations, _) = examine(&scenario, &played)?;
            assert!(violations.is_empty(), "{violations:?}");
            let failed: Vec<i64> = played.world.deaths.iter().map(|(_, at_ms)| *at_ms).collect();
            assert_eq!(failed.len(), attempts - 1, "{failed:?}");
            let is_alert = |item: &NotificationItem| matches!(item, NotificationItem::Offline { .. });
            let alert = played.world.taken.iter().find(|taken| taken.notification.items.iter().any(is_alert));
            let moments = failed.iter().copied().chain(alert.map(|taken| taken.at_ms)).collect::<Vec<_>>();
            for (pair, backoff_ms) in moments.windows(2).zip([30_000, 60_000]) {
                let waited_ms = pair[1] - pair[0];
                assert!((backoff_ms - 1_000..backoff_ms + 3_000).contains(&waited_ms), "{moments:?}");
            }
            assert_eq!(moments.len(), attempts, "{moments:?}");
        }
    }
    Ok(())
}
