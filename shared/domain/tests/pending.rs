//! What one notification says about several changes. Each table row lists the events since the last delivered one.

mod support;

use std::collections::BTreeMap;

use monitor_domain::change::{Change, Event, RunnerName};
use monitor_domain::fleet::Counts;
use monitor_domain::notifications::{NotificationItem, pending_notification};
use monitor_domain::observation::{Failure, Fault};
use monitor_domain::outage::{Ending, Outage, Visibility};
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::scope::Scope;
use monitor_domain::subject::{CredentialId, Revision, Subject};
use monitor_domain::target::Target;

use support::{History, at, runner, target};

use Status::{Idle, Offline};

const QUICK: &str = r#"{"failureThreshold":1,"successThreshold":1,"repeatInterval":"1h","maxRepeats":2}"#;

/// One change per event, a minute apart.
fn changes(subject: &Subject, events: &[Event]) -> Vec<Change> {
    let change = |(index, event): (usize, &Event)| Change {
        subject: subject.clone(),
        revision: Revision(index as u64 + 1),
        nonce: 7,
        decided_at: minute(index),
        observed_at: minute(index),
        counts: Counts::default(),
        more: false,
        events: vec![event.clone()],
    };
    events.iter().enumerate().map(change).collect()
}

fn minute(index: usize) -> monitor_domain::time::Timestamp {
    at(index as u64 * 60)
}

fn names(runners: impl IntoIterator<Item = String>) -> String {
    runners.into_iter().collect::<Vec<_>>().join("+")
}

/// A short form of a notification: each item with the runners or targets that it names.
fn short(items: &[NotificationItem]) -> String {
    let of = |outages: &[Outage]| names(outages.iter().map(|outage| format!("{}/{}", outage.runner_id, outage.id.0)));
    let flaps = |runners: &[monitor_domain::notifications::Flap]| {
        names(runners.iter().map(|flap| format!("{}x{}", flap.runner.id, flap.outages)))
    };
    let targets = |targets: &[Target]| names(targets.iter().map(|target| target.as_str().to_owned()));
    let minutes = |at: &monitor_domain::time::Timestamp| at.since(minute(0)).as_secs() / 60;
    let one = |item: &NotificationItem| match item {
        NotificationItem::Unreachable { since, .. } => format!("unreachable since {}", minutes(since)),
        NotificationItem::Offline { outages } => format!("offline {}", of(outages)),
        NotificationItem::MuteEnded { outages } => format!("mute ended {}", of(outages)),
        NotificationItem::StillOffline { outages, is_last, .. } => {
            format!("{} {}", if *is_last { "last reminder" } else { "reminder" }, of(outages))
        }
        NotificationItem::Removed { outages } => format!("removed {}", of(outages)),
        NotificationItem::Flapping { runners } => format!("flapping {}", flaps(runners)),
        NotificationItem::MonitoringStarts { outages } => format!("starts {}", of(outages)),
        NotificationItem::Recovered { outages } => format!("recovered {}", of(outages)),
        NotificationItem::CameAndWent { outages } => format!("came and went {}", of(outages)),
        NotificationItem::Returned { runners } => {
            format!("registered {}", names(runners.iter().map(|runner| runner.id.to_string())))
        }
        NotificationItem::Calm { runners } => format!("calm {}", flaps(runners)),
        NotificationItem::ReachableAgain { since, until } => {
            format!("reachable, was not {}-{}", minutes(since), minutes(until))
        }
        NotificationItem::NoLongerMonitored { outages, whole_target: false, .. } => format!("ignored {}", of(outages)),
        NotificationItem::NoLongerMonitored { outages, again_since: None, .. } => format!("dropped {}", of(outages)),
        NotificationItem::NoLongerMonitored { outages, again_since: Some(since), .. } => {
            format!("dropped {}, again since {}", of(outages), minutes(since))
        }
        NotificationItem::Expiring { expires_at, .. } => format!("expires {}", minutes(expires_at)),
        NotificationItem::EmptyListRefused { kept } => format!("empty list, {kept} kept"),
        NotificationItem::ListRestored { total } => format!("list restored, {total}"),
        NotificationItem::Unwatched { from, until } => format!("not monitored {}-{}", minutes(from), minutes(until)),
        NotificationItem::TargetsAdded { targets: added, total } => format!("added {} of {total}", targets(added)),
        NotificationItem::TargetsRemoved { targets: removed, total } => {
            format!("off the list {} of {total}", targets(removed))
        }
        #[allow(unreachable_patterns, reason = "no row covers the other kinds")]
        other => format!("{other:?}"),
    };
    items.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// The notification pending after these events, in its short form.
fn pending(subject: &Subject, events: &[Event]) -> String {
    let mut changes = changes(subject, events);
    // The notifier keeps only these events in memory.
    changes.iter_mut().for_each(|change| change.events.retain(Event::alters_pending));
    let derived = pending_notification(subject, None, Revision(0), &changes);
    assert_eq!(derived.through, Revision(events.len() as u64), "one notification covers all events");
    short(&derived.notification.map_or_else(Vec::new, |notification| notification.items))
}

/// Outages of runners 1 to 3 as real decisions produce them.
struct Outages(BTreeMap<u64, Outage>);

impl Outages {
    fn new() -> Self {
        let well: Vec<_> = (1..=3).map(|id| runner(id, Idle)).collect();
        let mut history = History::watching(QUICK, &well);
        let away: Vec<_> = (1..=3).map(|id| runner(id, Offline)).collect();
        let events = history.see(300, &away);
        Self(support::opened(&events).into_iter().map(|outage| (outage.runner_id.0, outage.clone())).collect())
    }

    /// The outage of a runner with this number.
    fn of(&self, runner: u64, number: u64) -> Box<Outage> {
        let mut outage = self.0[&runner].clone();
        outage.id.0 = Revision(number);
        Box::new(outage)
    }

    fn opened(&self, runner: u64, number: u64, visibility: Visibility) -> Event {
        Event::OutageOpened { outage: Box::new(Outage { visibility, ..*self.of(runner, number) }) }
    }

    fn closed(&self, runner: u64, number: u64, visibility: Visibility, ending: Ending) -> Event {
        let ended =
            Outage { visibility, ending: Some(ending), resolved_at: Some(minute(9)), ..*self.of(runner, number) };
        Event::OutageClosed { outage: Box::new(ended) }
    }

    fn reminded(&self, runner: u64, is_last: bool) -> Event {
        Event::Reminded { outage: self.of(runner, 2), is_last }
    }
}

fn name(id: u64) -> RunnerName {
    RunnerName { id: RunnerId(id), name: format!("runner-{id}") }
}

fn returned(id: u64, alerted: bool) -> Event {
    Event::Returned { runner: name(id), gone_since: minute(1), alerted }
}

/// Removed, and nobody wants to hear of it.
fn removed_quietly(id: u64) -> Event {
    Event::StatusChanged { runner: name(id), from: Idle, to: Status::Unknown }
}

fn flaps(id: u64, since: usize, outages: u32) -> Event {
    Event::FlappingStarted { runner: name(id), since: minute(since), outages, muted: false }
}

fn calm(id: u64, since: usize, outages: u32, is_well: bool) -> Event {
    let healthy_since = is_well.then(|| minute(since + 1));
    Event::FlappingEnded { runner: name(id), since: minute(since), outages, healthy_since, muted: false }
}

fn unreachable(since: usize) -> Event {
    Event::BecameUnreachable { since: minute(since), failure: Failure::new(Fault::NotFound, "404"), targets: 1 }
}

fn reachable(since: usize, until: usize) -> Event {
    Event::ReachableAgain { since: minute(since), until: minute(until), notified: true }
}

fn assert_pending(subject: &Subject, rows: Vec<(&str, Vec<Event>)>) {
    for (expected, events) in rows {
        assert_eq!(pending(subject, &events), expected, "{events:#?}");
    }
}

#[test]
fn each_of_several_outages_of_a_runner_is_in_the_right_item() {
    use Ending::{NoLongerMonitored, Recovered, Removed};
    use Visibility::{Alerted, Baseline, Muted, Suppressed};
    let all = Outages::new();
    let [opened, quiet, muted] =
        [Alerted, Suppressed, Muted].map(|visibility| move |all: &Outages, number| all.opened(1, number, visibility));
    let closed = |number, ending| all.closed(1, number, Alerted, ending);
    let unmuted = |number| Event::MuteEnded { outage: all.of(1, number) };
    assert_pending(
        &Subject::from(&target()),
        vec![
            ("offline 1/4; came and went 1/2", vec![opened(&all, 2), closed(2, Recovered), opened(&all, 4)]),
            ("offline 1/4; recovered 1/2", vec![closed(2, Recovered), opened(&all, 4)]),
            (
                "came and went 1/2+1/4",
                vec![opened(&all, 2), closed(2, Recovered), opened(&all, 4), closed(4, Recovered)],
            ),
            ("recovered 1/2; came and went 1/4", vec![closed(2, Recovered), opened(&all, 4), closed(4, Recovered)]),
            ("mute ended 1/2", vec![muted(&all, 2), unmuted(2)]),
            ("came and went 1/2", vec![muted(&all, 2), unmuted(2), closed(2, Recovered)]),
            ("", vec![muted(&all, 2), all.closed(1, 2, Muted, Recovered)]),
            ("offline 1/4", vec![muted(&all, 2), all.closed(1, 2, Muted, Recovered), opened(&all, 4)]),
            ("offline 1/2", vec![quiet(&all, 2), opened(&all, 2)]),
            ("came and went 1/2", vec![all.opened(1, 2, Baseline), closed(2, Recovered)]),
            ("ignored 1/2", vec![opened(&all, 2), closed(2, NoLongerMonitored)]),
            ("removed 1/2", vec![opened(&all, 2), closed(2, Removed)]),
            ("removed 1/2; recovered 2/2", vec![closed(2, Removed), all.closed(2, 2, Alerted, Recovered)]),
        ],
    );
}

#[test]
fn a_removed_runner_that_is_registered_again_is_not_missing() {
    use Ending::{Recovered, Removed};
    use Visibility::{Alerted, Muted};
    let all = Outages::new();
    let opened = |number| all.opened(1, number, Alerted);
    let closed = |number, ending| all.closed(1, number, Alerted, ending);
    let gone = |number| [opened(number), closed(number, Removed)];
    let muted = [all.opened(1, 6, Muted), all.closed(1, 6, Muted, Removed)];
    let row = |parts: &[&[Event]]| parts.concat();
    assert_pending(
        &Subject::from(&target()),
        vec![
            ("registered 1", vec![returned(1, true)]),
            ("", vec![returned(1, false)]),
            ("came and went 1/2; registered 1", row(&[&gone(2), &[returned(1, true)]])),
            ("recovered 1/2; registered 1", vec![closed(2, Removed), returned(1, true)]),
            ("removed 1/4; came and went 1/2", row(&[&gone(2), &[returned(1, true)], &gone(4)])),
            ("removed 1/4", row(&[&[returned(1, true)], &gone(4)])),
            (
                "came and went 1/2+1/4; registered 1",
                row(&[&gone(2), &[returned(1, true)], &gone(4), &[returned(1, true)]]),
            ),
            ("offline 1/4; came and went 1/2; registered 1", row(&[&gone(2), &[returned(1, true), opened(4)]])),
            (
                "came and went 1/2+1/4; registered 1",
                row(&[&gone(2), &[returned(1, true), opened(4), closed(4, Recovered)]]),
            ),
            // Removed again during a mute: what was not notified does not undo the return.
            ("came and went 1/2", row(&[&gone(2), &[returned(1, true)], &muted])),
            ("came and went 1/2", row(&[&gone(2), &[returned(1, true)], &muted, &[returned(1, false)]])),
            // Muted while it was offline, then removed, then back: none of it was notified.
            ("", row(&[&muted, &[returned(1, false)]])),
            (
                "came and went 1/2; registered 1",
                vec![
                    all.opened(1, 2, Muted),
                    Event::MuteEnded { outage: all.of(1, 2) },
                    closed(2, Removed),
                    returned(1, true),
                ],
            ),
            ("", row(&[&[returned(1, true)], &muted])),
            ("removed 2/2; came and went 1/2; registered 1", {
                let other = [all.opened(2, 2, Alerted), all.closed(2, 2, Alerted, Removed)];
                row(&[&gone(2), &other, &[returned(1, true)]])
            }),
            // Removed once more when the policy ignores removals.
            ("", vec![returned(1, true), removed_quietly(1)]),
            ("came and went 1/2", row(&[&gone(2), &[returned(1, true), removed_quietly(1)]])),
            ("registered 1", vec![removed_quietly(1), returned(1, true)]),
        ],
    );
}

#[test]
fn a_runner_whose_id_changed_because_its_target_was_dropped_is_the_same_runner() {
    use Ending::Removed;
    use Visibility::Alerted;
    let all = Outages::new();
    // `runner-1` as it is known once its target is monitored again.
    let renumbered = |event: Event| match event {
        Event::OutageOpened { mut outage } => {
            outage.runner_id = RunnerId(21);
            Event::OutageOpened { outage }
        }
        Event::OutageClosed { mut outage } => {
            outage.runner_id = RunnerId(21);
            Event::OutageClosed { outage }
        }
        Event::FlappingStarted { mut runner, since, outages, muted } => {
            runner.id = RunnerId(21);
            Event::FlappingStarted { runner, since, outages, muted }
        }
        other => other,
    };
    let gone = |number| [all.opened(1, number, Alerted), all.closed(1, number, Alerted, Removed)];
    let renumbered_name = RunnerName { id: RunnerId(21), ..name(1) };
    let dropped = [Event::Dropped { notified: false }, Event::MonitoringStarted];
    let row = |parts: &[&[Event]]| parts.concat();
    assert_pending(
        &Subject::from(&target()),
        vec![
            ("removed 21/4", row(&[&[returned(1, true)], &dropped, &gone(4).map(renumbered)])),
            ("removed 21/4; came and went 1/2", {
                row(&[&gone(2), &[returned(1, true)], &dropped, &gone(4).map(renumbered)])
            }),
            ("removed 21/4; came and went 1/2", row(&[&gone(2), &dropped, &gone(4).map(renumbered)])),
            // Whether it is still registered is not known any more.
            ("came and went 1/2", row(&[&gone(2), &[returned(1, true)], &dropped])),
            ("came and went 1/2", row(&[&gone(2), &dropped, &[Event::Registered { runner: renumbered_name }]])),
            ("removed 1/2", row(&[&gone(2), &dropped, &[Event::Registered { runner: name(2) }]])),
            ("flapping 21x8", row(&[&[calm(1, 0, 5, true)], &dropped, &[renumbered(flaps(1, 4, 3))]])),
        ],
    );
}

#[test]
fn a_runner_flaps_or_does_not() {
    use Ending::Recovered;
    use Visibility::Alerted;
    let all = Outages::new();
    let alert = || all.opened(1, 9, Alerted);
    let muted = |event: Event| match event {
        Event::FlappingStarted { runner, since, outages, .. } => {
            Event::FlappingStarted { runner, since, outages, muted: true }
        }
        other => other,
    };
    assert_pending(
        &Subject::from(&target()),
        vec![
            ("flapping 1x3", vec![flaps(1, 0, 3)]),
            ("calm 1x5", vec![flaps(1, 0, 3), calm(1, 0, 5, true)]),
            ("flapping 1x8", vec![flaps(1, 0, 3), calm(1, 0, 5, true), flaps(1, 4, 3)]),
            ("flapping 1x8", vec![calm(1, 0, 5, true), flaps(1, 4, 3)]),
            ("calm 1x9", vec![flaps(1, 0, 3), calm(1, 0, 5, true), flaps(1, 4, 3), calm(1, 4, 4, true)]),
            ("calm 1x9", vec![calm(1, 0, 5, true), flaps(1, 4, 3), calm(1, 4, 4, true)]),
            (
                "calm 1x12",
                vec![calm(1, 0, 5, true), flaps(1, 4, 3), calm(1, 4, 4, true), flaps(1, 8, 3), calm(1, 8, 3, true)],
            ),
            ("flapping 2x3; calm 1x5", vec![flaps(1, 0, 3), flaps(2, 0, 3), calm(1, 0, 5, true)]),
            ("flapping 1x4", vec![muted(flaps(1, 0, 3)), flaps(1, 0, 4)]),
            // A runner that stays offline no longer flaps.
            ("offline 1/9", vec![flaps(1, 0, 3), alert()]),
            ("came and went 1/9", vec![flaps(1, 0, 3), alert(), all.closed(1, 9, Alerted, Recovered)]),
            (
                "flapping 1x3; came and went 1/9",
                vec![flaps(1, 0, 3), alert(), all.closed(1, 9, Alerted, Recovered), flaps(1, 6, 3)],
            ),
            ("offline 1/9; calm 1x5", vec![flaps(1, 0, 3), calm(1, 0, 5, true), alert()]),
            // Removed while it flaps, then back.
            ("calm 1x5", vec![flaps(1, 0, 3), calm(1, 0, 5, false)]),
            ("registered 1", vec![flaps(1, 0, 3), calm(1, 0, 5, false), returned(1, false)]),
            ("calm 1x5", vec![returned(1, true), calm(1, 0, 5, false)]),
            ("dropped ", vec![flaps(1, 0, 3), Event::Dropped { notified: true }]),
        ],
    );
}

#[test]
fn the_last_reminder_of_one_outage_says_nothing_about_another() {
    let all = Outages::new();
    let recovered = all.closed(1, 2, Visibility::Alerted, Ending::Recovered);
    assert_pending(
        &Subject::from(&target()),
        vec![
            ("last reminder 1/2", vec![all.reminded(1, false), all.reminded(1, true)]),
            ("reminder 2/2; last reminder 1/2", vec![all.reminded(1, true), all.reminded(2, false)]),
            (
                "reminder 1/2; last reminder 2/2+3/2",
                vec![all.reminded(1, false), all.reminded(2, true), all.reminded(3, true)],
            ),
            ("last reminder 2/2; recovered 1/2", vec![all.reminded(1, false), all.reminded(2, true), recovered]),
            (
                "offline 1/2; reminder 2/2",
                vec![all.opened(1, 2, Visibility::Alerted), all.reminded(1, false), all.reminded(2, false)],
            ),
        ],
    );
}

#[test]
fn a_target_is_reachable_or_not_and_on_the_list_or_not() {
    let all = Outages::new();
    let closed = |number| all.closed(1, number, Visibility::Alerted, Ending::NoLongerMonitored);
    let dropped = |notified| Event::Dropped { notified };
    let starts = || Event::MonitoringStarted;
    let rows = vec![
        ("unreachable since 0", vec![unreachable(0)]),
        ("reachable, was not 0-1", vec![unreachable(0), reachable(0, 1)]),
        ("unreachable since 2", vec![unreachable(0), reachable(0, 1), unreachable(2)]),
        ("unreachable since 2", vec![reachable(0, 1), unreachable(2)]),
        ("reachable, was not 0-1; reachable, was not 2-3", vec![reachable(0, 1), unreachable(2), reachable(2, 3)]),
        ("dropped ", vec![unreachable(0), dropped(true)]),
        ("dropped 1/2", vec![closed(2), dropped(true)]),
        ("dropped 1/2, again since 2", vec![closed(2), dropped(true), starts()]),
        ("dropped , again since 2", vec![unreachable(0), dropped(true), starts()]),
        ("dropped 1/2+1/6", vec![closed(2), dropped(true), starts(), closed(6), dropped(true)]),
        ("dropped 1/2", vec![closed(2), dropped(true), starts(), dropped(false)]),
        ("dropped 1/2, again since 4", vec![closed(2), dropped(true), starts(), dropped(false), starts()]),
        ("unreachable since 3; dropped 1/2, again since 2", vec![closed(2), dropped(true), starts(), unreachable(3)]),
        (
            "offline 1/8; dropped 1/2, again since 2",
            vec![closed(2), dropped(true), starts(), all.opened(1, 8, Visibility::Alerted)],
        ),
        ("", vec![starts()]),
        ("", vec![dropped(false), starts()]),
    ];
    assert_pending(&Subject::from(&target()), rows);
}

#[test]
fn a_credential_is_accepted_or_not_and_its_latest_warning_counts() {
    let expires = |minute_of: usize| Event::CredentialExpiring { expires_at: minute(minute_of) };
    assert_pending(
        &Subject::Credential(CredentialId::token()),
        vec![
            ("expires 50", vec![expires(90), expires(50)]),
            ("unreachable since 0; expires 50", vec![expires(50), unreachable(0)]),
            ("unreachable since 2", vec![unreachable(0), reachable(0, 1), unreachable(2)]),
            ("reachable, was not 0-1", vec![unreachable(0), reachable(0, 1)]),
            ("expires 50; reachable, was not 0-1", vec![unreachable(0), reachable(0, 1), expires(50)]),
            (
                "unreachable since 0",
                vec![Event::ChecksFailing { failure: Failure::new(Fault::Credential, "401") }, unreachable(0)],
            ),
        ],
    );
}

#[test]
fn a_target_is_on_the_list_or_off_it() {
    let targets = |names: &[&str]| names.iter().map(|name| name.parse::<Target>().unwrap()).collect::<Vec<_>>();
    let added = |names: &[&str], total| Event::TargetsAdded { targets: targets(names), total };
    let removed = |names: &[&str], total| Event::TargetsRemoved { targets: targets(names), total };
    let unwatched = |from, until| Event::Unwatched { from: minute(from), until: minute(until) };
    let refused = Event::EmptyListRefused { kept: 2 };
    let restored = Event::ListRestored { total: 2 };
    assert_pending(
        &Subject::Monitor,
        vec![
            ("added a/x of 2", vec![added(&["a/x"], 2)]),
            ("off the list a/x of 1", vec![added(&["a/x"], 2), removed(&["a/x"], 1)]),
            ("added a/x of 2", vec![added(&["a/x"], 2), removed(&["a/x"], 1), added(&["a/x"], 2)]),
            ("off the list a/x of 1", vec![removed(&["a/x"], 1), added(&["a/x"], 2), removed(&["a/x"], 1)]),
            ("off the list a/x of 2; added a/y of 2", vec![added(&["a/x", "a/y"], 3), removed(&["a/x"], 2)]),
            ("not monitored 0-20; not monitored 30-50", vec![unwatched(0, 20), unwatched(30, 50)]),
            ("empty list, 2 kept", vec![refused.clone(), restored.clone(), refused.clone()]),
            ("list restored, 2", vec![refused, restored]),
        ],
    );
}

/// The same with real decisions: nothing obsolete is pending.
#[test]
fn overlapping_states_are_notified_by_their_final_state() {
    let well = [runner(1, Idle), runner(2, Idle)];
    let others = [runner(2, Idle)];
    let mut history = History::watching(QUICK, &well);
    let pending = |history: &History, after: u64| {
        let subject = Subject::from(&target());
        let derived = pending_notification(&subject, None, Revision(after), &history.changes);
        short(&derived.notification.map_or_else(Vec::new, |notification| notification.items))
    };
    // Offline during a mute, removed after the mute, and back.
    history.overrides.muted = vec![Scope::Named("runner-1".to_owned())];
    history.see(300, &[runner(1, Offline), runner(2, Idle)]);
    history.overrides.muted.clear();
    history.see(600, &[runner(1, Offline), runner(2, Idle)]);
    assert_eq!(pending(&history, 0), "mute ended 1/2");
    history.see(900, &others);
    history.see(1_200, &others);
    assert_eq!(pending(&history, 0), "removed 1/2");
    history.see(1_500, &well);
    assert_eq!(pending(&history, 0), "came and went 1/2; registered 1");
    // It flaps, and is then healthy for long enough.
    let delivered = history.fleet.record.revision.0;
    for minutes in [30, 40, 50] {
        history.see(minutes * 60, &[runner(1, Offline), runner(2, Idle)]);
        history.see(minutes * 60 + 300, &well);
    }
    let begun = pending(&history, delivered);
    assert!(begun.starts_with("flapping 1x"), "{begun}");
    for minutes in (60..100).step_by(5) {
        history.see(minutes * 60, &well);
    }
    let over = pending(&history, delivered);
    assert!(over.contains("calm 1x") && !over.contains("flapping"), "{over}");
}
