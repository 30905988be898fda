//! The rules for outages, one by one.

mod support;

use std::collections::BTreeMap;

use monitor_domain::change::{Change, Event, QUIET_CHANGES_KEPT};
use monitor_domain::decision::Handled;
use monitor_domain::notifications::{NotificationItem, pending_notification};
use monitor_domain::observation::{
    Failure, Fault, Lookup, Observation, ObservedPage, ObservedRunner, Outcome, PageTag,
};
use monitor_domain::outage::{Ending, Visibility};
use monitor_domain::overrides::Overrides;
use monitor_domain::reconcile::{drop_target, lookups_wanted};
use monitor_domain::runner::{Health, RunnerId, Status};
use monitor_domain::subject::{Revision, Subject};

use support::{History, at, check, closed, failed_check, opened, page, runner, target};

use Status::{Busy, Idle, Offline};

#[test]
fn an_outage_opens_at_the_third_unhealthy_check_and_closes_at_the_second_healthy_one() {
    let mut history = History::watching("{}", &[runner(1, Busy), runner(2, Idle)]);
    let bad = [runner(1, Offline), runner(2, Idle)];
    let good = [runner(1, Idle), runner(2, Idle)];
    let suspected = history.see(300, &bad);
    assert!(
        matches!(suspected[..], [Event::StatusChanged { .. }, Event::Suspected { outage_id, .. }] if outage_id.0 == Revision(2))
    );
    assert!(opened(&history.see(360, &bad)).is_empty());
    let events = history.see(420, &bad);
    let outage = opened(&events)[0];
    assert_eq!((outage.id.0, outage.started_at, outage.confirmed_at), (Revision(2), at(300), at(420)));
    assert!(outage.in_job && outage.last_healthy.unwrap().at == at(0));
    assert_eq!((outage.peers.total, outage.peers.online), (1, 1));
    assert!(closed(&history.see(720, &good)).is_empty());
    let events = history.see(780, &good);
    assert_eq!((closed(&events)[0].resolved_at, closed(&events)[0].ending), (Some(at(720)), Some(Ending::Recovered)));
    assert_eq!(history.runner(1).health, Health::Healthy);
}

#[test]
fn checks_too_close_together_count_once() {
    let mut history = History::watching("{}", &[runner(1, Idle)]);
    for secs in [300, 310, 320, 329] {
        assert!(opened(&history.see(secs, &[runner(1, Offline)])).is_empty());
    }
    assert!(opened(&history.see(330, &[runner(1, Offline)])).is_empty());
    assert_eq!(opened(&history.see(360, &[runner(1, Offline)])).len(), 1);
}

#[test]
fn one_healthy_check_clears_a_suspicion() {
    let mut history = History::watching("{}", &[runner(1, Idle)]);
    history.see(300, &[runner(1, Offline)]);
    history.see(360, &[runner(1, Offline)]);
    let events = history.see(361, &[runner(1, Idle)]);
    assert!(events.iter().any(|event| matches!(event, Event::Cleared { .. })));
    history.see(420, &[runner(1, Offline)]);
    assert!(opened(&history.see(480, &[runner(1, Offline)])).is_empty());
}

#[test]
fn unhealthy_checks_on_both_sides_of_a_gap_are_not_consecutive() {
    let mut history = History::watching("{}", &[runner(1, Idle)]);
    history.see(300, &[runner(1, Offline)]);
    history.see(360, &[runner(1, Offline)]);
    // No check for as long as makes the target unreachable.
    for secs in [1_260, 1_320] {
        assert!(opened(&history.see(secs, &[runner(1, Offline)])).is_empty());
    }
    assert_eq!(opened(&history.see(1_380, &[runner(1, Offline)]))[0].started_at, at(1_260));
}

#[test]
fn failed_checks_between_unhealthy_checks_do_not_count() {
    let mut history = History::watching("{}", &[runner(1, Idle)]);
    history.see(300, &[runner(1, Offline)]);
    history.check(&failed_check(at(360), Fault::Service));
    history.check(&failed_check(at(420), Fault::Service));
    assert!(opened(&history.see(480, &[runner(1, Offline)])).is_empty());
    assert_eq!(opened(&history.see(540, &[runner(1, Offline)])).len(), 1);
}

#[test]
fn a_partial_check_changes_no_runner() {
    let mut ephemeral = runner(1, Busy);
    ephemeral.ephemeral = true;
    let mut history = History::watching("{}", &[ephemeral, runner(2, Idle)]);
    let before = history.fleet.runners.clone();
    for secs in [300, 360, 420] {
        let failure = Failure::new(Fault::BrokenAnswer, "page 2: HTML");
        history.check(&Observation::of(at(secs), Outcome::Partial(failure)));
    }
    assert_eq!(history.fleet.runners, before);
    assert_eq!(history.fleet.record.failing.as_ref().map(|failing| failing.since), Some(at(300)));
}

#[test]
fn the_first_check_lists_offline_runners_in_one_notification() {
    let mut history = History::new("{}");
    let fleet = [runner(1, Offline), runner(2, Idle)];
    // The first check needs confirmation like any other.
    assert!(opened(&history.see(0, &fleet)).is_empty() && opened(&history.see(60, &fleet)).is_empty());
    let events = history.see(120, &fleet);
    assert_eq!((opened(&events)[0].visibility, opened(&events)[0].started_at), (Visibility::Baseline, at(0)));
    let notified =
        pending_notification(&Subject::from(&target()), None, Revision(0), &history.changes).notification.unwrap();
    assert!(matches!(&notified.items[..], [NotificationItem::MonitoringStarts { outages }] if outages.len() == 1));
    let quiet = {
        let mut history = History::new("{}");
        history.see(0, &[runner(2, Idle)]);
        pending_notification(&Subject::from(&target()), None, Revision(0), &history.changes).notification
    };
    assert_eq!(quiet, None);
}

#[test]
fn an_outage_waits_one_recheck_for_other_suspects_and_no_longer() {
    let mut history = History::watching("{}", &[runner(1, Idle), runner(2, Idle), runner(3, Idle)]);
    history.see(300, &[runner(1, Offline), runner(2, Idle), runner(3, Idle)]);
    history.see(360, &[runner(1, Offline), runner(2, Offline), runner(3, Idle)]);
    // The first is confirmed, the second is not yet.
    let held = history.see(420, &[runner(1, Offline), runner(2, Offline), runner(3, Offline)]);
    assert!(opened(&held).is_empty());
    let events = history.see(480, &[runner(1, Offline), runner(2, Offline), runner(3, Offline)]);
    let names: Vec<u64> = opened(&events).iter().map(|outage| outage.runner_id.0).collect();
    // The third is still confirming, so the second waits for it; the first has waited enough.
    assert_eq!(names, [1]);
    let events = history.see(540, &[runner(1, Offline), runner(2, Offline), runner(3, Offline)]);
    assert_eq!(opened(&events).len(), 2);
}

#[test]
fn a_runner_that_is_no_longer_registered_is_notified_once_and_forgotten_later() {
    let mut history = History::watching("{}", &[runner(1, Idle), runner(2, Idle)]);
    assert!(opened(&history.see(300, &[runner(2, Idle)])).is_empty());
    let events = history.see(360, &[runner(2, Idle)]);
    let outage = closed(&events)[0];
    assert_eq!((outage.ending, outage.started_at, outage.status), (Some(Ending::Removed), at(300), Status::Unknown));
    assert_eq!(outage.last_healthy.unwrap().at, at(0), "when it was last on the list");
    let notified =
        pending_notification(&Subject::from(&target()), None, Revision(1), &history.changes[1..]).notification.unwrap();
    assert!(
        matches!(&notified.items[..], [NotificationItem::Removed { outages }] if outages.len() == 1),
        "{notified:?}"
    );
    assert!(history.see(420, &[runner(2, Idle)]).is_empty());
    let events = history.see(300 + 86_400, &[runner(2, Idle)]);
    assert!(matches!(events[..], [Event::Retired { .. }]));
    assert_eq!(history.fleet.runners.len(), 1);
}

#[test]
fn an_outage_whose_runner_is_removed_ends_as_removed() {
    let mut history = History::watching(r#"{"failureThreshold":1}"#, &[runner(1, Idle), runner(2, Idle)]);
    history.see(300, &[runner(1, Offline), runner(2, Idle)]);
    history.see(600, &[runner(2, Idle)]);
    let events = history.see(660, &[runner(2, Idle)]);
    assert_eq!((closed(&events)[0].ending, closed(&events)[0].resolved_at), (Some(Ending::Removed), Some(at(600))));
}

#[test]
fn healthy_checks_before_and_after_a_removal_are_not_consecutive() {
    let mut history = History::watching(r#"{"failureThreshold":1}"#, &[runner(1, Idle), runner(2, Idle)]);
    history.see(300, &[runner(1, Offline), runner(2, Idle)]);
    history.see(600, &[runner(1, Idle), runner(2, Idle)]);
    history.see(660, &[runner(2, Idle)]);
    let again = ObservedRunner { name: "runner-1".to_owned(), ..runner(99, Idle) };
    assert!(closed(&history.see(720, &[again.clone(), runner(2, Idle)])).is_empty());
    let events = history.see(780, &[again, runner(2, Idle)]);
    assert_eq!((closed(&events)[0].ending, closed(&events)[0].resolved_at), (Some(Ending::Recovered), Some(at(720))));
}

#[test]
fn absence_that_is_not_confirmed_by_id_changes_nothing() {
    let mut history = History::watching("{}", &[runner(1, Idle)]);
    for secs in [300, 360, 420] {
        assert!(history.check(&check(at(secs), &[])).iter().all(|event| !matches!(event, Event::OutageOpened { .. })));
    }
    let found = BTreeMap::from([(RunnerId(1), Lookup::Found(runner(1, Idle)))]);
    let outcome = Outcome::Complete { pages: vec![page(&[])], lookups: found };
    history.check(&Observation::of(at(480), outcome));
    assert_eq!((history.runner(1).absence.clone(), history.runner(1).status), (None, Idle));
}

#[test]
fn at_most_twenty_missing_runners_are_looked_up_starting_with_those_missed_before() {
    let everyone: Vec<_> = (1..=50).map(|id| runner(id, Idle)).collect();
    let mut history = History::watching("{}", &everyone);
    let first = lookups_wanted(&history.fleet, &[page(&[])]);
    assert_eq!(first, (1..=20).map(RunnerId).collect::<Vec<_>>());
    history.see(300, &[]);
    assert_eq!(lookups_wanted(&history.fleet, &[page(&[])]), first);
    history.see(360, &[]);
    assert_eq!(lookups_wanted(&history.fleet, &[page(&[])])[0], RunnerId(21));
}

#[test]
fn the_removal_of_an_ephemeral_runner_is_not_notified() {
    let mut ephemeral = runner(1, Busy);
    ephemeral.ephemeral = true;
    let mut history = History::watching("{}", &[ephemeral]);
    assert!(lookups_wanted(&history.fleet, &[page(&[])]).is_empty());
    history.see(300, &[]);
    let events = history.see(360, &[]);
    assert!(opened(&events).is_empty() && history.fleet.runners.is_empty());
    assert!(!history.changes.iter().any(|change| change.is_notifiable()));
}

#[test]
fn a_runner_registered_again_under_its_name_is_the_same_runner() {
    let mut history = History::watching("{}", &[runner(1, Idle), runner(2, Idle)]);
    let mut again = runner(99, Idle);
    again.name = "runner-1".to_owned();
    let events = history.see(300, &[again.clone(), runner(2, Idle)]);
    assert!(matches!(events[..], [Event::Reregistered { current_id: RunnerId(99), .. }]));
    assert_eq!((history.runner(1).current_id, history.fleet.runners.len()), (RunnerId(99), 2));
    // Also after it was considered gone.
    history.see(600, &[runner(2, Idle)]);
    history.see(660, &[runner(2, Idle)]);
    assert!(history.runner(1).is_gone());
    again.id = RunnerId(120);
    let events = history.see(720, &[again, runner(2, Idle)]);
    assert!(events.iter().any(|event| matches!(event, Event::Returned { alerted: true, .. })));
}

#[test]
fn a_runner_that_slips_from_page_to_page_counts_once() {
    let mut history = History::new("{}");
    let pages = vec![page(&[runner(1, Idle), runner(2, Idle)]), page(&[runner(2, Idle), runner(3, Idle)])];
    history.check(&Observation::of(at(0), Outcome::Complete { pages, lookups: BTreeMap::new() }));
    assert_eq!(history.fleet.runners.iter().map(|runner| runner.id.0).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_page_with_a_runner_that_is_not_stored_is_read_in_full_next_time() {
    let mut history = History::watching("{}", &[runner(1, Idle)]);
    let tag = PageTag {
        etag: Some("\"1\"".to_owned()),
        given_to: "token".to_owned(),
        runner_ids: vec![RunnerId(1), RunnerId(99)],
    };
    let outcome = Outcome::Complete { pages: vec![ObservedPage::Unchanged(tag)], lookups: BTreeMap::new() };
    history.check(&Observation::of(at(300), outcome));
    assert_eq!(history.fleet.record.pages[0].etag, None);
}

#[test]
fn three_outages_within_an_hour_become_one_flapping_notification() {
    let mut history = History::watching(r#"{"failureThreshold":1,"successThreshold":1}"#, &[runner(1, Idle)]);
    for round in 0..4 {
        history.see(600 * round + 300, &[runner(1, Offline)]);
        history.see(600 * round + 600, &[runner(1, Idle)]);
    }
    let notifiable: Vec<_> = history.changes.iter().filter(|change| change.is_notifiable()).collect();
    // Two outages with their ends, then the flapping.
    assert_eq!(notifiable.len(), 5);
    assert!(notifiable[4].events.iter().any(|event| matches!(event, Event::FlappingStarted { outages: 3, .. })));
    assert!(history.see(2_400 + 1_799, &[runner(1, Idle)]).is_empty());
    let events = history.see(2_400 + 1_800, &[runner(1, Idle)]);
    assert!(matches!(events[..], [Event::FlappingEnded { outages: 4, .. }]));
}

#[test]
fn a_flapping_runner_that_stays_offline_is_notified_as_an_outage() {
    let mut history = History::watching(r#"{"failureThreshold":1,"successThreshold":1}"#, &[runner(1, Idle)]);
    for round in 0..3 {
        history.see(600 * round + 300, &[runner(1, Idle)]);
        history.see(600 * round + 600, &[runner(1, Offline)]);
    }
    assert!(history.runner(1).flapping.is_some());
    assert!(opened(&history.see(1_800 + 1_740, &[runner(1, Offline)])).is_empty());
    let events = history.see(1_800 + 1_800, &[runner(1, Offline)]);
    assert_eq!((opened(&events)[0].visibility, opened(&events)[0].started_at), (Visibility::Alerted, at(1_800)));
    assert_eq!(closed(&history.see(4_000, &[runner(1, Idle)]))[0].visibility, Visibility::Alerted);
}

#[test]
fn what_other_targets_lose_is_no_reason_for_an_outage_that_began_before() {
    let policy = r#"{"failureThreshold":1,"successThreshold":1}"#;
    let reason_at = |history: &History, secs: u64| {
        let mut decision = history.decide(&check(at(secs), &[runner(1, Offline)]));
        let asks = decision.opens_with_all_runners_offline();
        decision.note_lost_targets(5);
        let events: Vec<Event> = decision.all_events().cloned().collect();
        (asks, opened(&events)[0].lost_targets)
    };
    let mut history = History::watching(policy, &[runner(1, Idle)]);
    assert_eq!(reason_at(&history, 300), (true, Some(5)));
    for round in 0..3 {
        history.see(600 * round + 300, &[runner(1, Idle)]);
        history.see(600 * round + 600, &[runner(1, Offline)]);
    }
    // The runner flaps, and its outage is notified half an hour after it began.
    assert_eq!(reason_at(&history, 1_800 + 1_800), (false, None));
}

#[test]
fn the_return_of_a_flapping_runner_that_was_removed_is_notified() {
    let others = [runner(2, Idle)];
    let mut history =
        History::watching(r#"{"failureThreshold":1,"successThreshold":1}"#, &[runner(1, Idle), runner(2, Idle)]);
    for round in 0..3 {
        history.see(600 * round + 300, &[runner(1, Idle), runner(2, Idle)]);
        history.see(600 * round + 600, &[runner(1, Offline), runner(2, Idle)]);
    }
    history.see(2_100, &others);
    let events = history.see(2_160, &others);
    assert!(events.iter().any(|event| matches!(event, Event::FlappingEnded { muted: false, .. })), "{events:?}");
    let events = history.see(2_400, &[runner(1, Idle), runner(2, Idle)]);
    assert!(events.iter().any(|event| matches!(event, Event::Returned { alerted: true, .. })), "{events:?}");
}

#[test]
fn runners_that_never_connected_are_notified_late_and_ephemeral_ones_never() {
    let mut pooled = runner(1, Offline);
    pooled.version = None;
    let mut just_in_time = runner(2, Offline);
    (just_in_time.version, just_in_time.ephemeral) = (None, true);
    let fleet = [pooled, just_in_time, runner(3, Idle)];
    let mut history = History::watching("{}", &fleet);
    let mut notified = Vec::new();
    for minutes in (5..=120).step_by(5) {
        let events = history.see(minutes * 60, &fleet);
        notified.extend(opened(&events).iter().map(|outage| (minutes, outage.runner_id.0, outage.started_at)));
    }
    assert_eq!(notified, [(65, 1, at(0))]);
}

#[test]
fn a_runner_once_seen_online_has_connected_even_if_no_version_is_reported() {
    let without_version = |status| {
        let mut runner = runner(1, status);
        runner.version = None;
        runner
    };
    let mut history = History::watching("{}", &[without_version(Idle)]);
    let mut notified = 0;
    for secs in [300, 360, 420] {
        notified += opened(&history.see(secs, &[without_version(Offline)])).len();
    }
    assert_eq!(notified, 1);
}

fn tag_of(page: &ObservedPage) -> PageTag {
    match page {
        ObservedPage::Unchanged(tag) | ObservedPage::Fresh { tag, .. } => tag.clone(),
    }
}

// An older Enterprise Server reports no version of any runner.
#[test]
fn a_missing_version_proves_nothing_if_no_runner_has_one() {
    let without = |id, status, os: &str, busy| {
        let (version, os) = (None, os.to_owned());
        ObservedRunner { version, os, busy, ..runner(id, status) }
    };
    let opened_within = |fleet: &[ObservedRunner]| {
        let mut history = History::watching("{}", fleet);
        let found = [300, 360, 420].map(|secs| history.see(secs, fleet));
        let found = found.iter().flat_map(|events| opened(events)).map(|outage| outage.runner_id.0);
        found.collect::<Vec<_>>()
    };
    let (offline, died) = (without(1, Offline, "linux", false), without(2, Offline, "linux", true));
    let (waiting, idle) = (without(3, Offline, "unknown", false), without(4, Idle, "linux", false));
    // A runner without an operating system has never connected.
    assert_eq!(opened_within(&[offline.clone(), died.clone(), waiting.clone(), idle]), [1, 2]);
    // If one runner has a version, a missing version means something. A runner that runs a job has connected.
    let with_version = runner(5, Idle);
    assert_eq!(opened_within(&[offline.clone(), died, waiting, with_version.clone()]), [2]);
    // The same if the runner with a version was listed before, or is on an unchanged page.
    let mut history = History::watching("{}", std::slice::from_ref(&with_version));
    let pages = vec![ObservedPage::Unchanged(tag_of(&page(&[with_version]))), page(&[offline])];
    history.check(&Observation::of(at(60), Outcome::Complete { pages, lookups: BTreeMap::new() }));
    assert!(history.runner(1).never_connected());
}

#[test]
fn a_list_that_lacks_runners_is_evaluated_but_removes_nobody_and_counts_as_a_failed_check() {
    let leaving = ObservedRunner { ephemeral: true, ..runner(3, Idle) };
    let mut history = History::watching("{}", &[runner(1, Idle), runner(2, Idle), leaving]);
    let failure = Failure::new(Fault::Incomplete, "GitHub counts 3 runners and lists 1");
    let mut short = |secs, listed: &[ObservedRunner]| {
        let (pages, lookups) = (vec![page(listed)], BTreeMap::new());
        history.check(&Observation::of(at(secs), Outcome::Short { pages, lookups, failure: failure.clone() }))
    };
    let events = short(300, &[runner(1, Offline)]);
    assert!(events.iter().any(|event| matches!(event, Event::ChecksFailing { .. })), "{events:?}");
    let events: Vec<Event> =
        [360, 420, 720, 1_020, 1_200].iter().flat_map(|&secs| short(secs, &[runner(1, Offline)])).collect();
    assert_eq!(
        opened(&events).iter().map(|outage| outage.runner_id.0).collect::<Vec<_>>(),
        [1],
        "listed runners are evaluated"
    );
    let unreachable: Vec<_> = events.iter().filter(|event| matches!(event, Event::BecameUnreachable { .. })).collect();
    assert!(
        matches!(unreachable[..], [Event::BecameUnreachable { since, failure, .. }] if since == &at(300) && failure.fault == Fault::Incomplete),
        "{events:?}"
    );
    for id in [2, 3] {
        let missing = history.runner(id);
        assert!(missing.absence.is_none() && missing.status == Idle, "{missing:?}");
    }
    assert!(
        history.fleet.record.pages.iter().all(|tag| tag.etag.is_none()),
        "only a full response says how many runners there are"
    );
    let events = history
        .see(1_500, &[runner(1, Offline), runner(2, Idle), ObservedRunner { ephemeral: true, ..runner(3, Idle) }]);
    assert!(events.iter().any(|event| matches!(event, Event::ReachableAgain { notified: true, .. })), "{events:?}");
}

#[test]
fn an_unreachable_target_is_notified_after_unreachable_after_and_when_it_is_reachable_again() {
    let mut history = History::watching("{}", &[runner(1, Idle), runner(2, Offline)]);
    history.see(60, &[runner(1, Offline), runner(2, Offline)]);
    for secs in [120, 420, 720] {
        let events = history.check(&failed_check(at(secs), Fault::NotFound));
        assert!(!events.iter().any(Event::is_notifiable), "{secs}");
    }
    let events = history.check(&failed_check(at(1_020), Fault::NotFound));
    assert!(events.iter().any(|event| matches!(event, Event::BecameUnreachable { since, .. } if *since == at(120))));
    assert!(
        events.iter().any(|event| matches!(event, Event::Cleared { .. })),
        "a suspicion ends when the target becomes unreachable"
    );
    assert!(history.check(&failed_check(at(1_320), Fault::NotFound)).is_empty());
    let events = history.see(1_620, &[runner(1, Idle), runner(2, Offline)]);
    assert!(events.iter().any(|event| matches!(event, Event::ReachableAgain { notified: true, .. })));
}

#[test]
fn a_credential_failure_is_not_repeated_for_each_target() {
    use monitor_domain::reconcile::{OfCredential, reconcile};
    let mut history = History::watching("{}", &[runner(1, Idle)]);
    history.check(&failed_check(at(300), Fault::Credential));
    let policy = history.policy.clone();
    let policy = policy.for_target(&target());
    let late = failed_check(at(1_500), Fault::Credential);
    let explains = OfCredential { explains: true, versions: &[] };
    let explained = reconcile(&history.fleet, &late, &policy, &Overrides::default(), explains, at(1_500));
    assert!(!explained.all_events().any(Event::is_notifiable));
    let alone = reconcile(&history.fleet, &late, &policy, &Overrides::default(), OfCredential::default(), at(1_500));
    assert!(alone.all_events().any(Event::is_notifiable));
    // The target's own fault is notified, whatever the credential explains.
    let gone = reconcile(
        &history.fleet,
        &failed_check(at(1_500), Fault::NotFound),
        &policy,
        &Overrides::default(),
        explains,
        at(1_500),
    );
    assert!(gone.all_events().any(Event::is_notifiable));
}

#[test]
fn a_dropped_target_closes_its_outages_in_one_notification_and_can_start_again() {
    let mut history = History::watching(r#"{"failureThreshold":1}"#, &[runner(1, Offline), runner(2, Idle)]);
    let decision = drop_target(&history.fleet, at(300));
    let events = history.store(decision.commits(7, 50, Handled::default()));
    assert_eq!(closed(&events)[0].ending, Some(Ending::NoLongerMonitored));
    let notified =
        pending_notification(&Subject::from(&target()), None, Revision(1), &history.changes[1..]).notification.unwrap();
    assert!(
        matches!(&notified.items[..], [NotificationItem::NoLongerMonitored { whole_target: true, outages, .. }] if outages.len() == 1)
    );
    let again = drop_target(&history.fleet, at(600));
    assert_eq!(
        (again.events, again.runners),
        (vec![Event::Dropped { notified: false }], vec![]),
        "nothing is closed twice"
    );
    let events = history.see(900, &[runner(1, Offline)]);
    assert_eq!(opened(&events)[0].visibility, Visibility::Baseline);
}

#[test]
fn dropping_a_target_is_notified_if_it_was_notified_as_unreachable() {
    for (unreachable_after_secs, is_notified) in [(1_200, true), (600, false)] {
        let mut history = History::watching("{}", &[runner(1, Idle)]);
        history.check(&failed_check(at(300), Fault::NotFound));
        history.check(&failed_check(at(300 + unreachable_after_secs), Fault::NotFound));
        let events = history.store(drop_target(&history.fleet, at(1_800)).commits(7, 50, Handled::default()));
        assert!(events.contains(&Event::Dropped { notified: is_notified }), "{events:?}");
    }
}

#[test]
fn an_ignored_runner_is_never_notified_and_its_open_outage_is_closed() {
    let mut history = History::watching(r#"{"failureThreshold":1}"#, &[runner(1, Idle)]);
    history.see(300, &[runner(1, Offline)]);
    history.policy = support::policy(r#"{"failureThreshold":1,"ignore":["runner-*"]}"#);
    let events = history.see(600, &[runner(1, Offline)]);
    assert_eq!(closed(&events)[0].ending, Some(Ending::NoLongerMonitored));
    assert!(history.see(900, &[runner(1, Offline)]).is_empty());
}

#[test]
fn an_outage_between_two_messages_is_notified_with_its_end() {
    let mut history =
        History::watching(r#"{"failureThreshold":1,"successThreshold":1}"#, &[runner(1, Idle), runner(2, Idle)]);
    history.see(300, &[runner(1, Offline), runner(2, Offline)]);
    history.see(600, &[runner(1, Idle), runner(2, Offline)]);
    let derived = pending_notification(&Subject::from(&target()), Some(&target()), Revision(1), &history.changes[1..]);
    let items = derived.notification.unwrap().items;
    assert!(
        matches!(&items[..], [NotificationItem::Offline { outages: open }, NotificationItem::CameAndWent { outages: past }]
        if open[0].runner_id == RunnerId(2) && past[0].runner_id == RunnerId(1))
    );
    assert_eq!(derived.through, Revision(3));
}

#[test]
fn pending_notifications_stop_before_an_unfinished_decision_and_before_a_gap() {
    let runners: Vec<_> = (1..=9).map(|id| runner(id, Offline)).collect();
    let mut history = History::new(r#"{"failureThreshold":1}"#);
    history.max_items = 5;
    history.see(0, &runners);
    assert!(history.changes.len() > 1 && history.changes[0].more);
    let subject = Subject::from(&target());
    let unfinished = pending_notification(&subject, None, Revision(0), &history.changes[..1]);
    assert_eq!((unfinished.through, unfinished.notification), (Revision(0), None));
    let whole = pending_notification(&subject, None, Revision(0), &history.changes);
    assert!(
        matches!(&whole.notification.unwrap().items[..], [NotificationItem::MonitoringStarts { outages }] if outages.len() == 9)
    );
    let gap = [history.changes[0].clone(), history.changes[2].clone()];
    assert_eq!(pending_notification(&subject, None, Revision(0), &gap).notification, None);
}

#[test]
fn pending_notifications_skip_a_gap_left_by_expired_changes() {
    let well: Vec<_> = (1..=9).map(|id| runner(id, Idle)).collect();
    let mut history = History::new(r#"{"failureThreshold":1}"#);
    history.max_items = 8;
    history.see(0, &well);
    let with_first = |status| [&[runner(1, status)], &well[1..]].concat();
    history.see(300, &with_first(Busy));
    let month = QUIET_CHANGES_KEPT.as_secs();
    history.see(month + 600, &with_first(Offline));
    let last = history.changes.len();
    assert!(last > 3 && history.changes[0].more);
    // Only the first part of the first check and the notifiable change are left.
    let left = [history.changes[0].clone(), history.changes[last - 1].clone()];
    let notified =
        |changes: &[Change]| pending_notification(&Subject::from(&target()), None, Revision(0), changes).notification;
    assert!(
        matches!(&notified(&left).unwrap().items[..], [NotificationItem::Offline { outages }] if outages.len() == 1)
    );
    let mut young = left.clone();
    young[1].decided_at = at(month - 1);
    assert_eq!(notified(&young), None, "the missing changes cannot have expired");
}

#[test]
fn a_target_record_names_the_first_pending_revision() {
    let mut history = History::watching(r#"{"failureThreshold":1}"#, &[runner(1, Idle)]);
    history.see(300, &[runner(1, Busy)]);
    assert_eq!((history.fleet.record.revision, history.fleet.record.first_pending), (Revision(2), Revision(0)));
    let mut check_with = |secs, status, (notified_through, recorded_through)| {
        let decision = history.decide(&check(at(secs), &[runner(1, status)]));
        let handled =
            Handled { notified_through: Revision(notified_through), recorded_through: Revision(recorded_through) };
        history.store(decision.commits(7, 50, handled));
        history.fleet.record.first_pending
    };
    assert_eq!(check_with(600, Offline, (0, 0)), Revision(3), "the outage");
    assert_eq!(check_with(900, Idle, (0, 0)), Revision(3), "nothing is notified yet");
    assert_eq!(check_with(1_200, Idle, (0, 0)), Revision(3), "nor when the outage has ended");
    assert_eq!(check_with(1_500, Busy, (99, 99)), Revision(3), "nothing for the notifier");
    assert_eq!(check_with(1_800, Offline, (99, 3)), Revision(3), "an earlier end is not recorded");
    check_with(2_100, Idle, (99, 99));
    assert_eq!(check_with(2_400, Idle, (99, 99)), Revision(9), "everything before it is notified and recorded");
}

#[test]
fn an_interrupted_decision_leaves_no_etag_behind() {
    // A 304 means "as stored": it must not be requested if only half of a page is stored.
    let well: Vec<_> = (1..=9).map(|id| runner(id, Idle)).collect();
    let away: Vec<_> = (1..=9).map(|id| runner(id, Offline)).collect();
    let mut history = History::watching("{}", &well);
    assert_eq!(history.fleet.record.pages.len(), 1);
    let commits = history.decide(&check(at(300), &away)).commits(7, 8, Handled::default());
    history.store(commits.into_iter().take(1).collect());
    assert!(history.fleet.record.pages.is_empty());
}

#[test]
fn an_interrupted_decision_leaves_its_target_events_to_the_next_check() {
    let well: Vec<_> = (1..=9).map(|id| runner(id, Idle)).collect();
    let busy: Vec<_> = (1..=9).map(|id| runner(id, Busy)).collect();
    let mut history = History::watching("{}", &well);
    history.check(&failed_check(at(300), Fault::NotFound));
    history.check(&failed_check(at(1_500), Fault::NotFound));
    let commits = history.decide(&check(at(1_800), &busy)).commits(7, 8, Handled::default());
    history.store(commits.into_iter().take(1).collect());
    let events = history.see(2_100, &busy);
    assert!(events.iter().any(|event| matches!(event, Event::ReachableAgain { notified: true, .. })), "{events:?}");
}

#[test]
fn no_part_of_a_decision_exceeds_a_batch() {
    let runners: Vec<_> = (1..=9).map(|id| runner(id, Offline)).collect();
    let history = History::new(r#"{"failureThreshold":1}"#);
    for max_items in 4..=21 {
        for commit in history.decide(&check(at(0), &runners)).commits(7, max_items, Handled::default()) {
            // Each part also contains the change and the target's record.
            let items = 2 + commit.runners.len();
            assert!(items <= max_items, "{items} items, at most {max_items} are accepted");
        }
    }
}

#[test]
fn an_interrupted_decision_is_finished_by_the_next_check() {
    let runners: Vec<_> = (1..=9).map(|id| runner(id, Offline)).collect();
    let mut history = History::new(r#"{"failureThreshold":1}"#);
    history.max_items = 8;
    let commits = history.decide(&check(at(0), &runners)).commits(7, 8, Handled::default());
    history.store(commits.into_iter().take(1).collect());
    assert!(history.fleet.record.unfinished && history.fleet.record.pages.is_empty());
    history.see(300, &runners);
    let notified =
        pending_notification(&Subject::from(&target()), None, Revision(0), &history.changes).notification.unwrap();
    assert!(matches!(&notified.items[..], [NotificationItem::MonitoringStarts { outages }] if outages.len() == 9));
}

#[test]
fn dropping_a_target_is_notified_if_flapping_of_its_runner_was() {
    for (is_muted, is_notified) in [(false, true), (true, false)] {
        let mut history = History::watching(r#"{"failureThreshold":1,"successThreshold":1}"#, &[runner(1, Idle)]);
        if is_muted {
            history.overrides.muted = vec![monitor_domain::scope::Scope::Target(target())];
        }
        for round in 0..3 {
            history.see(600 * round + 300, &[runner(1, Offline)]);
            history.see(600 * round + 600, &[runner(1, Idle)]);
        }
        assert!(history.runner(1).flapping.is_some() && history.runner(1).open_outage().is_none());
        let events = history.store(drop_target(&history.fleet, at(2_000)).commits(7, 50, Handled::default()));
        assert!(events.contains(&Event::Dropped { notified: is_notified }), "{events:?}");
    }
}

#[test]
fn a_drop_that_is_interrupted_between_its_parts_is_notified_all_the_same() {
    let others: Vec<_> = (2..=9).map(|id| runner(id, Idle)).collect();
    let all = |first| [runner(1, first)].into_iter().chain(others.clone()).collect::<Vec<_>>();
    let mut history = History::watching(r#"{"failureThreshold":1,"successThreshold":1}"#, &all(Idle));
    for round in 0..3 {
        history.see(600 * round + 300, &all(Offline));
        history.see(600 * round + 600, &all(Idle));
    }
    assert!(history.runner(1).flapping.is_some());
    for _ in 0..2 {
        let parts = drop_target(&history.fleet, at(2_000)).commits(7, 5, Handled::default());
        assert!(parts.len() > 1);
        history.store(parts.into_iter().take(1).collect());
    }
    let events = history.store(drop_target(&history.fleet, at(2_300)).commits(7, 5, Handled::default()));
    assert!(events.contains(&Event::Dropped { notified: true }), "{events:?}");
}

#[test]
fn checks_without_a_runner_on_both_sides_of_an_unreachable_time_are_not_consecutive() {
    let mut history = History::watching("{}", &[runner(1, Idle), runner(2, Idle)]);
    history.see(300, &[runner(2, Idle)]);
    assert_eq!(history.runner(1).absence.as_ref().map(|absence| absence.count), Some(1));
    for secs in [360, 1_260] {
        history.check(&failed_check(at(secs), Fault::Service));
    }
    assert!(history.fleet.record.failing.as_ref().is_some_and(|failing| failing.unreachable));
    history.see(1_560, &[runner(2, Idle)]);
    assert!(!history.runner(1).is_gone(), "it is missing for the first time again");
    assert!(!opened(&history.see(1_620, &[runner(2, Idle)])).is_empty());
    assert!(history.runner(1).is_gone());
}

#[test]
fn a_forgotten_runner_is_no_longer_counted() {
    let leaving = ObservedRunner { ephemeral: true, ..runner(1, Busy) };
    let mut history = History::watching("{}", &[leaving, runner(2, Idle)]);
    let totals = |history: &History| history.changes.iter().map(|change| change.counts.total).collect::<Vec<_>>();
    history.see(300, &[runner(2, Idle)]);
    history.see(360, &[runner(2, Idle)]);
    assert_eq!(totals(&history), [2, 2, 1]);
    // Nor is one that has been gone for long enough.
    history.see(420, &[]);
    history.see(480, &[]);
    history.see(480 + 86_400, &[]);
    assert_eq!(totals(&history)[3..], [1, 0, 0]);
}

#[test]
fn the_removal_of_an_ignored_runner_is_not_notified() {
    let mut history = History::watching(r#"{"ignore":["runner-1"]}"#, &[runner(1, Idle), runner(2, Idle)]);
    history.see(300, &[]);
    let events = history.see(360, &[]);
    let names: Vec<&str> = opened(&events).iter().map(|outage| outage.runner_name.as_str()).collect();
    assert_eq!(names, ["runner-2"]);
    assert!(matches!(history.runner(1).health, Health::Gone { alerted: false, .. }));
}

#[test]
fn what_github_says_about_a_runner_is_stored_even_if_its_health_is_unchanged() {
    let before = runner(1, Idle);
    let labels = ["self-hosted", "linux", "gpu"].map(str::to_owned).to_vec();
    for after in [
        ObservedRunner { labels, ..before.clone() },
        ObservedRunner { version: Some("2.332.0".to_owned()), ..before.clone() },
        ObservedRunner { os: "macos".to_owned(), ..before.clone() },
        ObservedRunner { name: "renamed".to_owned(), ..before.clone() },
        ObservedRunner { ephemeral: true, ..before.clone() },
    ] {
        let mut history = History::watching("{}", std::slice::from_ref(&before));
        history.see(300, std::slice::from_ref(&after));
        let stored = history.runner(1);
        assert_eq!((&stored.name, &stored.os, &stored.labels), (&after.name, &after.os, &after.labels));
        assert_eq!((&stored.version, stored.ephemeral), (&after.version, after.ephemeral));
        assert_eq!(history.changes.len(), 2, "{after:?}");
        history.see(600, std::slice::from_ref(&after));
        assert_eq!(history.changes.len(), 2, "the same observation again changes nothing: {after:?}");
    }
}
