//! Many targets of a credential that lose all of their runners at about the same time.

use super::*;

const NAMES: [&str; 4] = ["one", "two", "three", "four"];

/// Four targets with two healthy runners each.
async fn four_targets<S: Store>(store: &S) -> Installation<'_, S> {
    let mut this = Installation::new(store);
    let document = serde_json::from_str(r#"{"failureThreshold":2}"#).unwrap_or_default();
    this.check.configured = NAMES.map(|name| TargetSpec::One(repository(name))).to_vec();
    this.check.policy = Policy::new(document, &this.check.configured).unwrap_or_default();
    for name in NAMES {
        this.source.set(&repository(name), vec![runner(1, Status::Idle), runner(2, Status::Idle)]);
    }
    this.tick().await;
    for name in NAMES {
        this.check(&repository(name)).await;
    }
    this.notify_all().await;
    this
}

fn lose<S: Store>(this: &Installation<'_, S>, name: &str, runners: &[u64]) {
    runners.iter().for_each(|id| this.source.set_status(&repository(name), *id, Status::Offline));
}

/// Checks the targets three times, a minute apart, and returns what each opened outage says about others.
async fn opened<S: Store>(this: &Installation<'_, S>) -> Vec<(String, Option<u32>)> {
    let mut opened = Vec::new();
    for _ in 0..3 {
        this.clock.advance(MINUTE);
        for name in NAMES {
            for event in this.check(&repository(name)).await.events {
                if let Event::OutageOpened { outage } = event {
                    opened.push((name.to_owned(), outage.lost_targets));
                }
            }
        }
    }
    opened
}

pub(super) async fn outages_of_many_targets_at_once_say_so<S: Store>(store: &S) {
    let this = four_targets(store).await;
    // The fourth has a runner left, so its outage may have any cause.
    for name in ["one", "two", "three"] {
        lose(&this, name, &[1, 2]);
    }
    lose(&this, "four", &[1]);
    let mut found = opened(&this).await;
    found.sort();
    let expected = [("four", None), ("one", Some(3)), ("one", Some(3)), ("three", Some(3)), ("three", Some(3))];
    let expected: Vec<(String, Option<u32>)> = expected
        .into_iter()
        .chain([("two", Some(3)), ("two", Some(3))])
        .map(|(name, targets)| (name.to_owned(), targets))
        .collect();
    assert_eq!(found, expected);
    let recorded = crate::records::read_outages(store, repository("two").id()).await;
    let recorded = recorded.unwrap_or_else(|error| panic!("{error}"));
    assert!(recorded.len() == 2 && recorded.iter().all(|outage| outage.lost_targets == Some(3)), "{recorded:?}");
}

pub(super) async fn a_target_counts_once_and_only_while_it_is_recent<S: Store>(store: &S) {
    let this = four_targets(store).await;
    let no_reason = |opened: Vec<(String, Option<u32>)>| opened.iter().all(|(_, targets)| targets.is_none());
    lose(&this, "one", &[1, 2]);
    lose(&this, "two", &[1, 2]);
    assert!(no_reason(opened(&this).await), "two are not many");
    // The first two lose them once more.
    for name in ["one", "two"] {
        [1, 2].iter().for_each(|id| this.source.set_status(&repository(name), *id, Status::Idle));
    }
    opened(&this).await;
    lose(&this, "one", &[1, 2]);
    lose(&this, "two", &[1, 2]);
    assert!(no_reason(opened(&this).await), "two of them twice are not many either");
    this.clock.advance(20 * MINUTE);
    lose(&this, "three", &[1, 2]);
    assert!(no_reason(opened(&this).await), "the others were long ago");
}
