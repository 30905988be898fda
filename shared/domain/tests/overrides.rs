//! Mutes and acknowledgements, and the reminders that both suppress.

mod support;

use monitor_domain::change::Event;
use monitor_domain::notifications::{NotificationItem, pending_notification};
use monitor_domain::outage::Visibility;
use monitor_domain::runner::Status;
use monitor_domain::scope::Scope;
use monitor_domain::subject::{Revision, Subject};
use support::{History, closed, opened, runner, target};

const QUICK: &str = r#"{"failureThreshold":1,"successThreshold":1,"repeatInterval":"1h","maxRepeats":2}"#;
const HOUR: u64 = 3_600;

fn muted(name: &str) -> Vec<Scope> {
    vec![Scope::Named(name.to_owned())]
}

fn notified(history: &History, after: u64) -> Vec<NotificationItem> {
    let subject = Subject::from(&target());
    pending_notification(&subject, None, Revision(after), &history.changes)
        .notification
        .map_or_else(Vec::new, |notification| notification.items)
}

#[test]
fn a_muted_outage_is_stored_and_neither_its_start_nor_its_end_is_notified() {
    let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
    history.overrides.muted = muted("runner-*");
    let events = history.see(300, &[runner(1, Status::Offline)]);
    assert_eq!(opened(&events)[0].visibility, Visibility::Muted);
    history.see(600, &[runner(1, Status::Offline)]);
    let events = history.see(900, &[runner(1, Status::Idle)]);
    assert_eq!(closed(&events)[0].visibility, Visibility::Muted);
    assert!(notified(&history, 0).is_empty(), "{:?}", notified(&history, 0));
}

#[test]
fn an_outage_still_open_after_a_mute_is_notified_then_and_so_is_its_end() {
    let mut history = History::watching(QUICK, &[runner(1, Status::Idle), runner(2, Status::Idle)]);
    history.overrides.muted = muted("self-hosted");
    history.see(300, &[runner(1, Status::Offline), runner(2, Status::Offline)]);
    history.see(600, &[runner(1, Status::Offline), runner(2, Status::Idle)]);
    history.overrides.muted.clear();
    let events = history.see(900, &[runner(1, Status::Offline), runner(2, Status::Idle)]);
    let [Event::MuteEnded { outage }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((outage.runner_name.as_str(), outage.visibility), ("runner-1", Visibility::Alerted));
    let items = notified(&history, 0);
    assert!(
        matches!(&items[..], [NotificationItem::MuteEnded { outages }] if outages == &[(**outage).clone()]),
        "{items:?}"
    );
    let through = history.fleet.record.revision.0;
    history.see(1_200, &[runner(1, Status::Idle), runner(2, Status::Idle)]);
    assert!(
        matches!(&notified(&history, through)[..], [NotificationItem::Recovered { outages }] if outages.len() == 1)
    );
    // In a single notification of everything, it came and went.
    assert!(matches!(&notified(&history, 0)[..], [NotificationItem::CameAndWent { outages }] if outages.len() == 1));
}

#[test]
fn a_muted_runner_that_is_removed_after_the_mute_is_notified_as_removed() {
    for (is_over, expected) in [(true, 1), (false, 0)] {
        let mut history = History::watching(QUICK, &[runner(1, Status::Idle), runner(2, Status::Idle)]);
        history.overrides.muted = muted("runner-1");
        history.see(300, &[runner(1, Status::Offline), runner(2, Status::Idle)]);
        if is_over {
            history.overrides.muted.clear();
        }
        // No check between the end of the mute and the removal.
        history.see(600, &[runner(2, Status::Idle)]);
        history.see(900, &[runner(2, Status::Idle)]);
        assert!(history.runner(1).is_gone());
        let items = notified(&history, 0);
        let removed =
            |item: &NotificationItem| matches!(item, NotificationItem::Removed { outages } if outages.len() == 1);
        assert_eq!((items.len(), items.iter().filter(|item| removed(item)).count()), (expected, expected), "{items:?}");
    }
}

#[test]
fn the_end_of_an_outage_notified_before_a_mute_is_notified_during_it() {
    let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
    history.see(300, &[runner(1, Status::Offline)]);
    history.overrides.muted = vec![Scope::Target(target())];
    assert!(history.see(300 + 3 * HOUR, &[runner(1, Status::Offline)]).is_empty(), "no reminder during a mute");
    let events = history.see(300 + 4 * HOUR, &[runner(1, Status::Idle)]);
    assert_eq!(closed(&events)[0].visibility, Visibility::Alerted);
}

#[test]
fn a_mute_suppresses_flapping_and_removal_and_flapping_that_continues_is_notified_after_it() {
    let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
    history.overrides.muted = muted("runner-1");
    let mut secs = 0;
    let mut flap = |history: &mut History| {
        secs += 300;
        let mut events = history.see(secs, &[runner(1, Status::Offline)]);
        secs += 300;
        events.extend(history.see(secs, &[runner(1, Status::Idle)]));
        events
    };
    for _ in 0..4 {
        flap(&mut history);
    }
    assert!(notified(&history, 0).is_empty(), "{:?}", notified(&history, 0));
    history.overrides.muted.clear();
    let started =
        |events: &[Event]| events.iter().any(|event| matches!(event, Event::FlappingStarted { muted: false, .. }));
    assert!(started(&flap(&mut history)));
    assert!(!started(&flap(&mut history)));
    assert!(matches!(&notified(&history, 0)[..], [NotificationItem::Flapping { runners }] if runners[0].outages == 5));

    let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
    history.overrides.muted = muted("runner-1");
    history.see(300, &[]);
    history.see(600, &[]);
    assert!(history.runner(1).is_gone());
    history.see(900, &[runner(1, Status::Idle)]);
    assert!(notified(&history, 0).is_empty(), "{:?}", notified(&history, 0));
}

#[test]
fn a_runner_that_flaps_during_a_mute_and_is_down_at_its_end_is_notified_once() {
    let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
    let [down, well] = [Status::Offline, Status::Idle].map(|status| [runner(1, status)]);
    history.overrides.muted = muted("runner-1");
    for secs in [300, 900] {
        history.see(secs, &down);
        history.see(secs + 300, &well);
    }
    history.see(1_500, &down);
    assert!(notified(&history, 0).is_empty(), "{:?}", notified(&history, 0));
    history.overrides.muted.clear();
    let events = history.see(1_800, &down);
    assert!(matches!(&events[..], [Event::FlappingStarted { outages: 3, muted: false, .. }]), "{events:?}");
    let through = history.fleet.record.revision.0;
    assert!(history.see(2_100, &down).is_empty());
    history.see(2_400, &well);
    history.see(2_700, &down);
    assert!(notified(&history, through).is_empty(), "{:?}", notified(&history, through));
    let reopened = history.see(2_700 + HOUR, &down);
    assert!(matches!(&reopened[..], [Event::OutageOpened { outage }] if outage.visibility == Visibility::Alerted));
}

#[test]
fn flapping_notified_before_a_mute_ends_as_calm_or_as_an_outage() {
    for is_back_in_the_mute in [true, false] {
        let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
        let [down, well] = [Status::Offline, Status::Idle].map(|status| [runner(1, status)]);
        for secs in [300, 900, 1_500] {
            history.see(secs, &down);
            history.see(secs + 300, &well);
        }
        let through = history.fleet.record.revision.0;
        assert!(notified(&history, 0).iter().any(|item| matches!(item, NotificationItem::Flapping { .. })));
        history.overrides.muted = muted("runner-1");
        for minutes in (35..75).step_by(5) {
            history.see(minutes * 60, &down);
        }
        assert!(notified(&history, through).is_empty(), "{:?}", notified(&history, through));
        if is_back_in_the_mute {
            history.see(80 * 60, &well);
            history.see(120 * 60, &well);
            assert!(matches!(&notified(&history, through)[..], [NotificationItem::Calm { .. }]));
        } else {
            history.overrides.muted.clear();
            history.see(80 * 60, &down);
            assert!(
                matches!(&notified(&history, through)[..], [NotificationItem::Offline { outages }] if outages.len() == 1)
            );
        }
    }
}

#[test]
fn an_open_outage_is_repeated_as_often_as_the_policy_says() {
    let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
    let down = [runner(1, Status::Offline)];
    history.see(300, &down);
    assert!(history.see(300 + HOUR - 1, &down).is_empty());
    let reminded = |events: &[Event]| match events {
        [Event::Reminded { is_last, .. }] => *is_last,
        other => panic!("{other:?}"),
    };
    assert!(!reminded(&history.see(300 + HOUR, &down)));
    assert!(history.see(600 + HOUR, &down).is_empty());
    let through = history.fleet.record.revision.0;
    assert!(reminded(&history.see(400 + 2 * HOUR, &down)));
    let items = notified(&history, through);
    assert!(
        matches!(&items[..], [NotificationItem::StillOffline { outages, is_last: true, .. }] if outages.len() == 1),
        "{items:?}"
    );
    assert!(history.see(30 * HOUR, &down).is_empty());
    // If the outage itself is still pending, no reminder is added.
    assert!(matches!(&notified(&history, 0)[..], [NotificationItem::Offline { .. }]));
    history.see(31 * HOUR, &[runner(1, Status::Idle)]);
    assert!(matches!(&notified(&history, through)[..], [NotificationItem::Recovered { .. }]));
}

#[test]
fn an_acknowledged_outage_is_not_repeated_but_the_next_one_is() {
    let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
    let down = [runner(1, Status::Offline)];
    let first = opened(&history.see(300, &down))[0].id;
    history.overrides.acknowledged.insert((history.runner(1).id, first));
    assert!(history.see(300 + 3 * HOUR, &down).is_empty());
    history.see(4 * HOUR, &[runner(1, Status::Idle)]);
    history.see(5 * HOUR, &down);
    assert!(matches!(&history.see(6 * HOUR, &down)[..], [Event::Reminded { .. }]));
}

#[test]
fn only_a_decision_with_something_to_notify_reads_the_overrides() {
    let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
    assert!(!history.decide(&support::check(support::at(300), &[runner(1, Status::Busy)])).depends_on_overrides());
    let down = support::check(support::at(300), &[runner(1, Status::Offline)]);
    assert!(history.decide(&down).depends_on_overrides());
    history.check(&down);
    let still = |secs| support::check(support::at(secs), &[runner(1, Status::Offline)]);
    assert!(!history.decide(&still(600)).depends_on_overrides());
    assert!(history.decide(&still(300 + HOUR)).depends_on_overrides());
    let back = support::check(support::at(900), &[runner(1, Status::Idle)]);
    assert!(!history.decide(&back).depends_on_overrides(), "the end of a notified outage is always notified");
}
