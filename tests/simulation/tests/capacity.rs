//! The large fleet at a sixteenth of its size and of GitHub's limits. `make capacity` runs it at full size.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use monitor_simulation::capacity::{Load, Outcome, play};

fn small() -> Load {
    Load { targets: 250, per_minute: 56, hourly_limit: 312, ..Load::default() }
}

fn played(load: &Load, hours: i64) -> Outcome {
    let outcome = play(load, hours).unwrap();
    assert_eq!((outcome.limited, outcome.never_seen), (0, 0), "{outcome:?}");
    assert!(outcome.most_in_a_minute <= u64::from(load.per_minute), "{outcome:?}");
    outcome
}

#[test]
fn with_quota_to_spare_every_target_is_checked_once_per_interval() {
    let outcome = played(&Load { hourly_limit: 800, pollers: 16, ..small() }, 1);
    assert_eq!((outcome.throttled_ticks, outcome.failed), (0, 0), "{outcome:?}");
    assert!(outcome.longest_gap_secs < 310.0, "{outcome:?}");
}

#[test]
fn a_quota_that_does_not_last_is_throttled_and_reported() {
    let outcome = played(&small(), 1);
    assert!(outcome.throttled_ticks >= 8, "the first checks use most of the hourly quota: {outcome:?}");
    assert!(outcome.throttled_to_secs > 300 && outcome.most_jobs < Some(250), "{outcome:?}");
}

#[test]
fn four_credentials_check_four_times_as_many_targets() {
    let one = Load { app: true, targets: 125, per_minute: 28, hourly_limit: 400, ..Load::default() };
    let four = played(&Load { credentials: 4, ..one.clone() }, 1);
    let one = played(&one, 1);
    assert!(four.checks.abs_diff(4 * one.checks) * 50 < four.checks, "{} is not 4 × {}", four.checks, one.checks);
    assert!(four.longest_gap_secs < 310.0, "{four:?}");
}

#[test]
fn the_pollers_of_a_github_app_share_one_token_and_its_etags() {
    let load = Load { app: true, targets: 250, per_minute: 56, hourly_limit: 1_000, ..Load::default() };
    let outcome = played(&Load { pollers: 16, ..load }, 2);
    assert_eq!((outcome.throttled_ticks, outcome.failed), (0, 0), "{outcome:?}");
    // Full answers: the first checks, those after each of two token renewals, and the 5 % that change in each of 24
    // intervals. With a token for each of 16 pollers, almost all of 6,000 answers would be full ones.
    assert!(outcome.answered_200 < 3 * 250 + 24 * 13 + 150, "{outcome:?}");
}
