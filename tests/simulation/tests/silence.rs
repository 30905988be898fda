//! Slack takes nothing for a day in which outages open and close: afterwards each target is told in one message.

use monitor_domain::notices::News;
use monitor_domain::subject::Subject;
use monitor_domain::target::Target;
use monitor_simulation::faults::StoreKind;
use monitor_simulation::invariants::examine;
use monitor_simulation::operations::{HOUR_MS, MINUTE_MS, Operation, Story, TARGETS, What};
use monitor_simulation::simulation::play;

/// Slack is dead from 1 h to 25 h; `runner-1` goes away five times and is back each time, `runner-2` stays away until
/// after.
fn story(store: StoreKind, is_bot: bool) -> Story {
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
    Story { seed: 11, hours: 32, store, is_bot, operations, windows: Vec::new(), crashes: Vec::new() }
}

fn is_told_at_once(store: StoreKind, is_bot: bool) -> anyhow::Result<()> {
    let story = story(store, is_bot);
    let played = play(&story)?;
    let (violations, tally) = examine(&story, &played)?;
    assert!(violations.is_empty(), "{violations:?}");
    assert_eq!(tally.promises.get("news of a long silence of Slack"), Some(&3));
    for name in &TARGETS[..3] {
        let subject = Subject::from(&name.parse::<Target>()?);
        let of_target = played.world.taken.iter().filter(|taken| taken.notice.subject == subject);
        let told: Vec<_> = of_target.filter(|taken| taken.at_ms > HOUR_MS).collect();
        let [after, end] = &told[..] else { panic!("{name}: {told:?}") };
        let [News::Offline { outages: open }, News::CameAndWent { outages: over }] = &after.notice.news[..] else {
            panic!("{name}: {:?}", after.notice.news)
        };
        assert_eq!((open.len(), over.len()), (1, 5), "{name}");
        assert!((25 * HOUR_MS..25 * HOUR_MS + 35 * MINUTE_MS).contains(&after.at_ms), "{name}: {}", after.at_ms);
        assert!(matches!(&end.notice.news[..], [News::Recovered { outages }] if outages.len() == 1), "{name}: {end:?}");
        assert_eq!(end.thread.is_some(), is_bot, "{name}");
    }
    Ok(())
}

#[test]
fn after_a_day_without_slack_each_target_is_told_in_one_message() -> anyhow::Result<()> {
    for is_bot in [false, true] {
        is_told_at_once(StoreKind::Embedded, is_bot)?;
        is_told_at_once(StoreKind::Stately, is_bot)?;
    }
    Ok(())
}
