//! A large fleet in small: a sixteenth of its targets, and of GitHub's limits. The whole is `make capacity`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use monitor_e2e::capacity::{Outcome, Scenario, play};

fn small() -> Scenario {
    Scenario { targets: 250, per_minute: 56, hourly_limit: 312, ..Scenario::default() }
}

async fn played(scenario: &Scenario, hours: u32) -> Outcome {
    let outcome = play(scenario, hours, |_| ()).await.unwrap();
    assert_eq!((outcome.limited, outcome.failed, outcome.never_seen), (0, 0, 0), "{outcome:?}");
    assert!(outcome.most_in_a_minute <= 56, "{outcome:?}");
    outcome
}

#[tokio::test]
async fn whatever_the_number_of_pollers_no_limit_is_met_and_the_second_hour_is_whole() {
    for pollers in [1, 16] {
        let outcome = played(&Scenario { pollers, ..small() }, 2).await;
        assert!((1..=12).contains(&outcome.stretched_ticks), "the first looks take most of an hour: {outcome:?}");
        assert!(outcome.looks > 3_000 && outcome.answered_304 > outcome.answered_200 * 3, "{outcome:?}");
    }
}

#[tokio::test]
async fn with_quota_to_spare_every_target_is_looked_at_once_in_an_interval() {
    let outcome = played(&Scenario { hourly_limit: 800, ..small() }, 1).await;
    assert_eq!(outcome.stretched_ticks, 0);
    assert!(outcome.longest_gap_secs < 310.0, "{outcome:?}");
}

#[tokio::test]
async fn a_quota_that_does_not_last_is_spread_and_said_so() {
    let outcome = played(&Scenario { changing: 400, same: true, ..small() }, 3).await;
    assert!(outcome.stretched_ticks > 30, "{outcome:?}");
}

#[tokio::test]
async fn four_credentials_look_at_four_times_as_many() {
    let one = played(&Scenario { hourly_limit: 800, pollers: 1, ..small() }, 1).await;
    let four = played(&Scenario { hourly_limit: 800, pollers: 1, credentials: 4, ..small() }, 1).await;
    assert!(four.looks.abs_diff(4 * one.looks) * 50 < four.looks, "{} is not 4 × {}", four.looks, one.looks);
    assert!(four.longest_gap_secs < 310.0, "{four:?}");
}
