//! Decisions that are not about runners: the token, the list of targets, and the jobs that the hourly quota allows.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use monitor_domain::change::Event;
use monitor_domain::credential::reconcile_credential;
use monitor_domain::fleet::CredentialRecord;
use monitor_domain::observation::{CredentialReport, Failure, Fault, Outcome};
use monitor_domain::pace::{Quota, QuotaEstimator, TickPlan};
use monitor_domain::policy::Thresholds;
use monitor_domain::subject::CredentialId;
use monitor_domain::time::Timestamp;
use monitor_domain::watchlist::{Configured, Tick, Watchlist, tick};

const DAY: Duration = Duration::from_secs(86_400);

fn at(secs: u64) -> Timestamp {
    Timestamp::from_epoch_ms(1_800_000_000_000).plus(Duration::from_secs(secs))
}

fn failed(fault: Fault) -> Outcome {
    Outcome::Failed(Failure::new(fault, "it failed"))
}

/// Applies one check to a credential's record; returns the events.
fn check(
    record: &mut CredentialRecord,
    now: Timestamp,
    outcome: &Outcome,
    token: u64,
    expires_at: Timestamp,
) -> Vec<Event> {
    let report = CredentialReport { token: Some(token), expires_at: Some(expires_at), ..CredentialReport::default() };
    let commit = reconcile_credential(record, (now, outcome), &report, &[], 1, &Thresholds::default(), (now, 1));
    let Some(commit) = commit else { return Vec::new() };
    *record = commit.record;
    commit.change.events
}

#[test]
fn a_replacement_token_is_warned_of_if_it_expires_sooner() {
    let seen = Outcome::Complete { pages: Vec::new(), lookups: Default::default() };
    let mut record = CredentialRecord::new(CredentialId::token());
    let [in_ten_days, in_two_days, in_twenty_days] = [10, 2, 20].map(|days| at(0).plus(DAY * days));
    let events = check(&mut record, at(0), &seen, 1, in_ten_days);
    assert_eq!(events, [Event::CredentialExpiring { expires_at: in_ten_days }]);
    let events = check(&mut record, at(60), &seen, 2, in_two_days);
    assert_eq!(events, [Event::TokenReplaced, Event::CredentialExpiring { expires_at: in_two_days }]);
    assert!(check(&mut record, at(120), &seen, 2, in_two_days).is_empty(), "once");
    assert_eq!(check(&mut record, at(180), &seen, 3, in_twenty_days), [Event::TokenReplaced]);
    assert_eq!(record.expiry_warning, None, "its stages start again");
}

#[test]
fn only_faults_that_affect_all_targets_of_a_credential_count_against_it() {
    for (fault, is_shared) in [
        (Fault::Credential, true),
        (Fault::Limited { until: at(600) }, true),
        (Fault::Network, true),
        (Fault::Service, true),
        (Fault::Forbidden, false),
        (Fault::NotFound, false),
        (Fault::Incomplete, false),
        (Fault::BrokenAnswer, false),
        (Fault::Unreadable, false),
    ] {
        let mut record = CredentialRecord::new(CredentialId::token());
        let events = check(&mut record, at(0), &failed(fault), 1, at(0).plus(DAY * 300));
        assert_eq!(matches!(events[..], [Event::ChecksFailing { .. }]), is_shared, "{fault:?}: {events:?}");
    }
}

#[test]
fn a_list_that_is_restored_is_notified_with_the_number_that_is_monitored_now() {
    let tick = |before: Option<&Watchlist>, names: &[&str], secs| -> Tick {
        let targets = names.iter().map(|name| name.parse().unwrap()).collect();
        let configured = Configured { targets, ..Configured::default() };
        let ticked = (None, Duration::from_secs(1_200));
        tick(before, configured, &BTreeSet::new(), ticked, Duration::from_secs(600), (at(secs), 1))
    };
    let first = tick(None, &["acme/web"], 0);
    let refused = tick(Some(&first.watchlist), &[], 300);
    let restored = tick(Some(&refused.watchlist), &["acme/web", "acme/api", "acme/tools"], 600);
    let events = restored.change.unwrap().events;
    assert!(
        matches!(&events[..], [Event::ListRestored { total: 3 }, Event::TargetsAdded { targets, total: 3 }] if targets.len() == 2),
        "{events:?}"
    );
}

/// GitHub's count starts again when an hour ends: it no longer includes requests from before.
#[test]
fn after_the_end_of_an_hour_only_checks_since_then_are_compared_with_its_count() {
    let interval = Duration::from_secs(300);
    let round = |starts_at| TickPlan { interval, starts_at, jobs: 4_000, first_checks: 0, most_requests: 1.0 };
    let mut quota_estimator = QuotaEstimator::default();
    quota_estimator.allows(at(0), Quota { limit: 5_000, remaining: 3_000, resets_at: at(240) }, &round(at(60)));
    // A thousand checks in five minutes from 60 s on: 200 between the hour's end and the next tick, which used 100
    // requests.
    let moments = (0..1_000).map(|number| at(60).plus(Duration::from_millis(300 * number))).collect();
    quota_estimator.sent(moments, 0, false);
    let quota = Quota { limit: 5_000, remaining: 4_900, resets_at: at(240 + 3_600) };
    let allowed = quota_estimator.allows(at(300), quota, &round(at(360)));
    // At half a request each and a margin of a tenth, (4,900 - 250) requests last for about 700 in each of 11.6 rounds.
    assert!((650..760).contains(&allowed), "{allowed}");
}
