//! One notification of each kind, single and grouped, and the extremes.

#[allow(dead_code, reason = "not every test uses them")]
pub(crate) mod answers;

use std::time::Duration;

use monitor_domain::change::RunnerName;
use monitor_domain::fleet::Counts;
use monitor_domain::jobs::{JobName, WaitReason, WaitingJobs};
use monitor_domain::notifications::{Flap, Notification, NotificationItem, ResolvedItem, UnresolvedItem};
use monitor_domain::observation::{Failure, Fault};
use monitor_domain::outage::{Ending, LastHealthy, Outage, OutageId, Peers, Visibility};
use monitor_domain::pool::PoolCounts;
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::subject::{CredentialId, Revision, Subject};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_domain::weekly::{PlannedChecks, ReportRow, ReportedRemoval, ReportedVersion, Shortlist, WeeklyReport};
use monitor_pipeline::items::Acknowledgement;
use monitor_pipeline::person::PersonId;
use monitor_pipeline::ports::Form;
use monitor_slack::{Message, WebBase, open_in, render, render_live, with_buttons};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// 2026-11-23 21:05 UTC.
fn start() -> Timestamp {
    Timestamp::from_epoch_ms(1_795_467_900_000)
}

/// Runner `build-01` and so on, offline since a little after the start.
pub(crate) fn outage(number: u64) -> Outage {
    let started_at = start().plus(MINUTE * u32::try_from(number % 50).unwrap());
    let (os, labels) = match number % 4 {
        0 => ("macos", vec!["self-hosted", "macOS", "ARM64"]),
        2 => ("windows", vec!["self-hosted", "Windows", "X64", "msvc", "gpu", "cuda-12"]),
        _ => ("linux", vec!["self-hosted", "Linux", "X64"]),
    };
    Outage {
        id: OutageId(Revision(40 + number)),
        runner_id: RunnerId(number),
        current_id: RunnerId(1000 + number),
        runner_name: format!("build-{number:02}"),
        os: os.to_owned(),
        version: Some("2.329.0".to_owned()),
        version_ended_at: None,
        lost_targets: None,
        ephemeral: false,
        pool: None,
        waiting: None,
        labels: labels.into_iter().map(str::to_owned).collect(),
        status: Status::Offline,
        in_job: number.is_multiple_of(3),
        job: None,
        started_at,
        confirmed_at: started_at.plus(MINUTE * 2),
        last_healthy: Some(LastHealthy {
            at: started_at.minus(MINUTE * 4),
            status: if number.is_multiple_of(3) { Status::Busy } else { Status::Idle },
        }),
        connected_at: None,
        peers: Peers { total: 3, online: u32::try_from(number % 4).unwrap() },
        visibility: Visibility::Alerted,
        resolved_at: None,
        ending: None,
    }
}

/// The outage of a runner whose job was reported.
fn in_known_job() -> Outage {
    let job = JobName { started_at: Some(start().minus(MINUTE * 20)), ..job(3) };
    Outage { job: Some(Box::new(job)), ..outage(3) }
}

fn job(number: u32) -> JobName {
    JobName {
        repository: "acme/web".parse().unwrap(),
        name: format!("Nightly / train-{number}"),
        url: format!("https://github.com/acme/web/actions/runs/7/job/{number}"),
        queued_at: start().plus(MINUTE * number),
        started_at: None,
    }
}

fn ended(number: u64, after: Duration, ending: Ending) -> Outage {
    let outage = outage(number);
    Outage { resolved_at: Some(outage.started_at.plus(after)), ending: Some(ending), ..outage }
}

fn outages(count: u64) -> Vec<Outage> {
    (1..=count).map(outage).collect()
}

fn runner(number: u64) -> RunnerName {
    RunnerName { id: RunnerId(number), name: format!("build-{number:02}") }
}

fn flap(number: u64, healthy_since: Option<Timestamp>) -> Flap {
    Flap { runner: runner(number), since: start(), outages: 3, healthy_since }
}

/// A notification about a target with 8 runners, `down` of which are offline.
pub(crate) fn about(target: &str, down: u32, items: Vec<NotificationItem>) -> Notification {
    let target: Target = target.parse().unwrap();
    let counts = Counts { total: 8, online: 8 - down.min(8), down };
    Notification { subject: Subject::from(&target), target: Some(target), counts, items }
}

fn elsewhere(subject: Subject, item: NotificationItem) -> Notification {
    Notification { subject, target: None, counts: Counts::default(), items: vec![item] }
}

fn by_token(item: NotificationItem) -> Notification {
    elsewhere(Subject::Credential(CredentialId::token()), item)
}

fn unreachable(fault: Fault, detail: &str) -> NotificationItem {
    NotificationItem::Unreachable { since: start(), failure: Failure::new(fault, detail), targets: 12 }
}

/// Every sample, with its name.
pub(crate) fn all() -> Vec<(&'static str, Notification)> {
    [offline(), pools(), jobs(), foresight(), other_outages(), monitor(), mixed(), extremes()]
        .into_iter()
        .flatten()
        .collect()
}

fn offline() -> Vec<(&'static str, Notification)> {
    let never_seen =
        Outage { last_healthy: None, version: None, os: "unknown".to_owned(), labels: Vec::new(), ..outage(5) };
    let odd = Outage { status: Status::Unknown, peers: Peers { total: 1, online: 0 }, ..outage(8) };
    let of = |outages| vec![NotificationItem::Offline { outages }];
    vec![
        ("offline_one", about("acme/web", 1, of(outages(1)))),
        ("offline_one_running_a_job", about("orgs/acme", 5, of(vec![outage(3)]))),
        ("offline_one_running_a_known_job", about("orgs/acme", 5, of(vec![in_known_job()]))),
        ("offline_several_one_in_a_known_job", about("orgs/acme", 5, of(vec![outage(1), in_known_job()]))),
        ("offline_one_windows", about("enterprises/acme-corp", 1, of(vec![outage(2)]))),
        ("offline_one_never_seen_healthy", about("acme/web", 1, of(vec![never_seen]))),
        ("offline_one_in_an_odd_state", about("acme/web", 1, of(vec![odd]))),
        ("offline_one_of_an_ended_version", about("acme/web", 1, of(vec![of_ended_version(1)]))),
        (
            "offline_three_of_an_ended_version",
            about("acme/web", 3, of(vec![of_ended_version(1), outage(2), of_ended_version(4)])),
        ),
        ("offline_one_of_many_targets", about("acme/web", 8, of(vec![of_many_targets(1)]))),
        ("offline_7_of_many_targets", about("acme/web", 8, of((1..=7).map(of_many_targets).collect()))),
        ("offline_7_of_8", about("acme/web", 7, of(outages(7)))),
        ("offline_2_more", about("acme/web", 5, of(outages(2)))),
    ]
}

fn of_ended_version(number: u64) -> Outage {
    Outage { version_ended_at: Some(start().minus(HOUR * 20)), ..outage(number) }
}

fn of_many_targets(number: u64) -> Outage {
    Outage { lost_targets: Some(12), ..outage(number) }
}

/// A pool of which too few runners are online.
fn short_pool() -> Outage {
    Outage {
        runner_id: RunnerId(1 << 62),
        runner_name: "pool gpu".to_owned(),
        os: "unknown".to_owned(),
        version: None,
        labels: vec!["gpu".to_owned()],
        in_job: false,
        job: None,
        pool: Some(PoolCounts { total: 4, online: 1, wanted: 2 }),
        peers: Peers { total: 4, online: 1 },
        ..outage(1)
    }
}

fn pools() -> Vec<(&'static str, Notification)> {
    let offline = |outages| vec![NotificationItem::Offline { outages }];
    let over = Outage { resolved_at: Some(start().plus(HOUR)), ending: Some(Ending::Recovered), ..short_pool() };
    let other = Outage { runner_id: RunnerId(1 << 61), runner_name: "pool linux,x64".to_owned(), ..over.clone() };
    let at_start = |outages| vec![NotificationItem::MonitoringStarts { outages }];
    let still =
        NotificationItem::StillOffline { outages: vec![short_pool()], raised_at: start().plus(DAY), is_last: false };
    vec![
        ("pool_short", about("acme/web", 0, offline(vec![short_pool()]))),
        ("pool_short_with_its_runners", about("acme/web", 2, offline(vec![short_pool(), outage(2), outage(4)]))),
        (
            "pool_has_enough_again",
            about("acme/web", 0, vec![NotificationItem::Recovered { outages: vec![over.clone()] }]),
        ),
        ("pool_still_short", about("acme/web", 0, vec![still.clone()])),
        ("pool_short_when_monitoring_starts", about("acme/web", 0, at_start(vec![short_pool()]))),
        (
            "pool_short_when_monitoring_starts_with_runners",
            about("acme/web", 1, at_start(vec![short_pool(), outage(2)])),
        ),
        ("pool_over_app_short", about("credential:app:acme/pools", 0, offline(vec![short_pool()]))),
        ("pool_over_token_still_short", about("credential:token/pools", 0, vec![still.clone()])),
        (
            "pool_over_app_has_enough_again",
            about("credential:app:acme/pools", 0, vec![NotificationItem::Recovered { outages: vec![over.clone()] }]),
        ),
        (
            "pool_over_app_no_longer_monitored",
            about(
                "credential:app:acme/pools",
                0,
                vec![NotificationItem::NoLongerMonitored {
                    outages: vec![Outage { ending: Some(Ending::NoLongerMonitored), ..over.clone() }],
                    whole_target: false,
                    again_since: None,
                }],
            ),
        ),
        ("pool_was_short", about("acme/web", 0, vec![NotificationItem::CameAndWent { outages: vec![over.clone()] }])),
        (
            "pools_have_enough_again",
            about("acme/web", 0, vec![NotificationItem::Recovered { outages: vec![other, over] }]),
        ),
    ]
}

/// A queue with this many jobs, of which three are named.
fn queue(count: u32, reason: WaitReason) -> Outage {
    let jobs = (1..=count.min(3)).map(job).collect();
    let since = start().plus(MINUTE);
    let waiting = WaitingJobs { count, since, reason, jobs, is_unconfirmed: false };
    Outage {
        runner_name: "queue self-hosted,gpu".to_owned(),
        labels: vec!["self-hosted".to_owned(), "gpu".to_owned()],
        started_at: since,
        confirmed_at: start().plus(MINUTE * 13),
        waiting: Some(Box::new(waiting)),
        last_healthy: None,
        in_job: false,
        job: None,
        ..outage(1)
    }
}

fn jobs() -> Vec<(&'static str, Notification)> {
    let since = start().minus(MINUTE * 7);
    let offline = || WaitReason::Offline { runners: 3, since };
    let busy = WaitReason::Busy { runners: 2, offline: 1, since };
    let nearest = Some(("build-4".to_owned(), "gpu".to_owned()));
    let recovered = ended(1, HOUR, Ending::Recovered);
    let ended = WaitReason::VersionEnded { runners: 2, version: "2.330.0".to_owned(), ended_at: start().minus(DAY) };
    let idle = WaitReason::Idle { runners: 2, name: "build-7".to_owned() };
    let mut unconfirmed = queue(2, WaitReason::NoRunner { nearest: None });
    unconfirmed.waiting.as_mut().unwrap().is_unconfirmed = true;
    let waits = |queues| about("acme/web", 0, vec![NotificationItem::JobsWaiting { queues }]);
    let over = |reason, ending| {
        let queue = queue(4, reason);
        Outage { resolved_at: Some(start().plus(HOUR)), ending: Some(ending), ..queue }
    };
    let taken = |queues| about("acme/web", 0, vec![NotificationItem::JobsTaken { queues }]);
    let still = NotificationItem::JobsStillWaiting { queues: vec![queue(4, offline())], raised_at: start().plus(DAY) };
    vec![
        ("jobs_wait_for_offline_runners", waits(vec![queue(4, offline())])),
        ("jobs_wait_for_busy_runners", waits(vec![queue(1, busy.clone())])),
        ("jobs_wait_for_no_such_runner", waits(vec![queue(2, WaitReason::NoRunner { nearest })])),
        ("jobs_wait_unconfirmed", waits(vec![unconfirmed])),
        ("jobs_wait_for_an_ended_version", waits(vec![queue(2, ended)])),
        ("jobs_wait_although_runners_are_idle", waits(vec![queue(2, idle.clone())])),
        ("jobs_wait_in_three_queues", waits(vec![queue(4, offline()), queue(1, busy), queue(2, idle)])),
        ("jobs_still_wait", about("acme/web", 0, vec![still])),
        (
            "a_changed_queue_is_not_spoken_of",
            about(
                "acme/web",
                0,
                vec![
                    NotificationItem::Recovered { outages: vec![recovered] },
                    NotificationItem::QueuesChanged { queues: vec![queue(2, offline())] },
                ],
            ),
        ),
        ("jobs_taken", taken(vec![over(offline(), Ending::Recovered)])),
        (
            "jobs_taken_from_two_queues",
            taken(vec![over(offline(), Ending::Recovered), over(offline(), Ending::Recovered)]),
        ),
        ("jobs_no_longer_monitored", taken(vec![over(offline(), Ending::NoLongerMonitored)])),
    ]
}

/// What GitHub will do.
fn foresight() -> Vec<(&'static str, Notification)> {
    let near = |count, days: u32| NotificationItem::RemovalNear {
        outages: outages(count),
        raised_at: start().plus(DAY * (14 - days)).minus(MINUTE * 3),
    };
    let version = |days: u32, count: u64| NotificationItem::VersionEnding {
        version: "2.329.0".to_owned(),
        ends_at: start().plus(DAY * days),
        raised_at: start(),
        runners: (1..=count).map(runner).collect(),
    };
    let by_github = |number| ended(number, DAY * 14, Ending::Removed);
    vec![
        ("removal_in_3_days", about("acme/web", 1, vec![near(1, 3)])),
        ("removal_of_3_in_1_day", about("acme/web", 3, vec![near(3, 1)])),
        (
            "removed_one_by_github",
            about("acme/web", 0, vec![NotificationItem::Removed { outages: vec![by_github(1)] }]),
        ),
        (
            "removed_2_by_github",
            about("acme/web", 0, vec![NotificationItem::Removed { outages: vec![by_github(1), by_github(2)] }]),
        ),
        ("version_ends_in_21_days", about("acme/web", 0, vec![version(21, 1)])),
        ("version_ends_in_a_day", about("orgs/acme", 0, vec![version(1, 5)])),
        ("version_has_ended", about("acme/web", 2, vec![version(0, 30)])),
    ]
}

fn still_offline(count: u64, after: Duration, is_last: bool) -> NotificationItem {
    NotificationItem::StillOffline { outages: outages(count), raised_at: start().plus(after), is_last }
}

/// Messages from a bot: with buttons, and edited.
#[allow(dead_code, reason = "not every test uses them")]
pub(crate) fn by_bot() -> Vec<(&'static str, Message)> {
    let web = WebBase::default();
    let target: Target = "acme/web".parse().unwrap();
    let person = PersonId::try_from("U2CERLKJA".to_owned()).unwrap();
    let acknowledged = |number: u64| Acknowledgement {
        target: target.id().clone(),
        runner_id: RunnerId(number),
        outage_id: outage(number).id,
        at: start().plus(HOUR),
        by: person.clone(),
    };
    let sent = |items: Vec<NotificationItem>| {
        let notification = about("acme/web", 3, items);
        let open = notification.items.iter().flat_map(open_in);
        with_buttons(render(&notification, Form::Blocks, &web), &target, open, |_| false)
    };
    let edited = |outages: &[Outage], item: NotificationItem, acknowledged: &[Acknowledgement]| {
        let notification = about("acme/web", 2, vec![item]);
        let open = outages.iter().filter(|outage| outage.is_open());
        let is_acknowledged = |outage: &Outage| acknowledged.iter().any(|item| item.runner_id == outage.runner_id);
        let message = render_live(outages, &notification, Form::Blocks, acknowledged, &web);
        with_buttons(message, &target, open, is_acknowledged)
    };
    let back = ended(1, HOUR * 2, Ending::Recovered);
    let recovered = || NotificationItem::Recovered { outages: vec![back.clone()] };
    vec![
        ("bot_offline_one", sent(vec![NotificationItem::Offline { outages: outages(1) }])),
        ("bot_offline_3", sent(vec![NotificationItem::Offline { outages: outages(3) }])),
        ("bot_offline_400", sent(vec![NotificationItem::Offline { outages: outages(400) }])),
        ("bot_recovered", sent(vec![recovered()])),
        ("bot_edited_over", edited(std::slice::from_ref(&back), recovered(), &[])),
        ("bot_edited_2_of_3_open", edited(&[back.clone(), outage(2), outage(3)], recovered(), &[acknowledged(2)])),
        ("bot_edited_reminder", edited(&outages(1), still_offline(1, DAY, false), &[])),
        (
            "bot_edited_all_acknowledged",
            edited(&[back.clone(), outage(2)], recovered(), &[acknowledged(1), acknowledged(2)]),
        ),
    ]
}

fn other_outages() -> Vec<(&'static str, Notification)> {
    let recovered = |number| ended(number, HOUR * 2 + MINUTE * 5, Ending::Recovered);
    let removed = |number| Outage { status: Status::Unknown, ..ended(number, MINUTE * 10, Ending::Removed) };
    let removed_offline = ended(1, DAY * 14, Ending::Removed);
    let dropped = |number| ended(number, DAY, Ending::NoLongerMonitored);
    let later = start().plus(HOUR);
    vec![
        ("mute_ended_one", about("acme/web", 1, vec![NotificationItem::MuteEnded { outages: outages(1) }])),
        ("mute_ended_3", about("acme/web", 3, vec![NotificationItem::MuteEnded { outages: outages(3) }])),
        ("still_offline_one", about("acme/web", 1, vec![still_offline(1, DAY, false)])),
        ("still_offline_one_last_reminder", about("orgs/acme", 1, vec![still_offline(1, DAY * 3, true)])),
        ("still_offline_3", about("acme/web", 4, vec![still_offline(3, DAY, false)])),
        (
            "monitoring_starts_one",
            about("acme/web", 1, vec![NotificationItem::MonitoringStarts { outages: outages(1) }]),
        ),
        ("monitoring_starts_3", about("acme/web", 3, vec![NotificationItem::MonitoringStarts { outages: outages(3) }])),
        ("recovered_one", about("acme/web", 0, vec![NotificationItem::Recovered { outages: vec![recovered(1)] }])),
        (
            "recovered_3",
            about("acme/web", 2, vec![NotificationItem::Recovered { outages: (1..=3).map(recovered).collect() }]),
        ),
        (
            "came_and_went_one",
            about("acme/web", 0, vec![NotificationItem::CameAndWent { outages: vec![recovered(3)] }]),
        ),
        (
            "came_and_went_2",
            about("acme/web", 0, vec![NotificationItem::CameAndWent { outages: vec![recovered(1), recovered(3)] }]),
        ),
        ("removed_one", about("acme/web", 0, vec![NotificationItem::Removed { outages: vec![removed(1)] }])),
        (
            "removed_one_after_14_days",
            about("orgs/acme", 0, vec![NotificationItem::Removed { outages: vec![removed_offline.clone()] }]),
        ),
        (
            "removed_2",
            about("acme/web", 0, vec![NotificationItem::Removed { outages: vec![removed_offline, removed(3)] }]),
        ),
        ("flapping_one", about("acme/web", 1, vec![NotificationItem::Flapping { runners: vec![flap(1, None)] }])),
        (
            "flapping_2",
            about("acme/web", 1, vec![NotificationItem::Flapping { runners: vec![flap(1, None), flap(2, None)] }]),
        ),
        ("calm_one", about("acme/web", 0, vec![NotificationItem::Calm { runners: vec![flap(1, Some(later))] }])),
        (
            "calm_one_no_longer_monitored",
            about("acme/web", 0, vec![NotificationItem::Calm { runners: vec![flap(1, None)] }]),
        ),
        (
            "calm_2",
            about("acme/web", 0, vec![NotificationItem::Calm { runners: vec![flap(1, Some(later)), flap(2, None)] }]),
        ),
        ("returned_one", about("acme/web", 0, vec![NotificationItem::Returned { runners: vec![runner(1)] }])),
        ("returned_2", about("acme/web", 0, vec![NotificationItem::Returned { runners: vec![runner(1), runner(2)] }])),
        (
            "no_longer_monitored_one",
            about(
                "acme/web",
                0,
                vec![NotificationItem::NoLongerMonitored {
                    outages: vec![dropped(1)],
                    whole_target: false,
                    again_since: None,
                }],
            ),
        ),
        (
            "no_longer_monitored_2_of_a_whole_target",
            about(
                "acme/web",
                0,
                vec![NotificationItem::NoLongerMonitored {
                    outages: vec![dropped(1), dropped(2)],
                    whole_target: true,
                    again_since: None,
                }],
            ),
        ),
        (
            "no_longer_monitored_and_monitored_again",
            about(
                "acme/web",
                0,
                vec![NotificationItem::NoLongerMonitored {
                    outages: vec![dropped(1)],
                    whole_target: true,
                    again_since: Some(later),
                }],
            ),
        ),
        (
            "recovered_and_offline_again",
            about(
                "acme/web",
                1,
                vec![
                    NotificationItem::Offline { outages: outages(1) },
                    NotificationItem::Recovered { outages: vec![recovered(1)] },
                ],
            ),
        ),
        (
            "came_and_went_and_registered_again",
            about(
                "acme/web",
                0,
                vec![
                    NotificationItem::CameAndWent { outages: vec![removed(1), recovered(3)] },
                    NotificationItem::Returned { runners: vec![runner(1)] },
                ],
            ),
        ),
        (
            "no_longer_monitored_without_outages",
            about(
                "acme/web",
                0,
                vec![NotificationItem::NoLongerMonitored {
                    outages: Vec::new(),
                    whole_target: true,
                    again_since: None,
                }],
            ),
        ),
    ]
}

fn monitor() -> Vec<(&'static str, Notification)> {
    let app = || Subject::Credential(CredentialId::app_installation("Acme"));
    let later = start().plus(HOUR * 3);
    let expiring = |left| by_token(NotificationItem::Expiring { expires_at: start().plus(left), raised_at: start() });
    let named = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    let added = |names, total| NotificationItem::TargetsAdded { targets: named(names), total };
    let unresolved = |names: &[&str], fault, detail: &str| {
        let entry = |name: &&str| UnresolvedItem {
            entry: (*name).to_owned(),
            since: start(),
            failure: Failure::new(fault, detail),
        };
        NotificationItem::EntriesUnresolved { entries: names.iter().map(entry).collect() }
    };
    let resolved = |names: &[&str]| {
        let entry = |name: &&str| ResolvedItem { entry: (*name).to_owned(), since: start(), until: later };
        NotificationItem::EntriesResolved { entries: names.iter().map(entry).collect() }
    };
    let removed = |names, total| NotificationItem::TargetsRemoved { targets: named(names), total };
    vec![
        ("unreachable_token_refused", by_token(unreachable(Fault::Credential, "GitHub refuses the token (401)"))),
        ("unreachable_app_refused", elsewhere(app(), unreachable(Fault::Credential, "the App is not installed (404)"))),
        (
            "unreachable_limited",
            by_token(unreachable(Fault::Limited { until: later }, "GitHub's hourly limit is used up (403)")),
        ),
        (
            "unreachable_network",
            by_token(unreachable(Fault::Network, "no connection to api.github.com: name not resolved")),
        ),
        ("unreachable_service", by_token(unreachable(Fault::Service, "GitHub answers 502"))),
        (
            "unreachable_target_forbidden",
            about("orgs/acme", 0, vec![unreachable(Fault::Forbidden, "GitHub denies access (403)")]),
        ),
        (
            "unreachable_target_incomplete",
            about(
                "orgs/acme",
                0,
                vec![unreachable(
                    Fault::Incomplete,
                    "orgs/acme: the list is incomplete: GitHub counts 150 runners and lists 100",
                )],
            ),
        ),
        (
            "unreachable_target_not_found",
            about("acme/web", 0, vec![unreachable(Fault::NotFound, "no such repository, or no access (404)")]),
        ),
        (
            "unreachable_target_broken_answer",
            about("acme/web", 0, vec![unreachable(Fault::BrokenAnswer, "the answer is HTML, not JSON")]),
        ),
        ("reachable_again_token", by_token(NotificationItem::ReachableAgain { since: start(), until: later })),
        ("reachable_again_app", elsewhere(app(), NotificationItem::ReachableAgain { since: start(), until: later })),
        (
            "reachable_again_target",
            about("acme/web", 0, vec![NotificationItem::ReachableAgain { since: start(), until: later }]),
        ),
        ("expiring_in_14_days", expiring(DAY * 14)),
        ("expiring_in_hours", expiring(HOUR * 5)),
        ("expired", expiring(Duration::ZERO)),
        (
            "entry_unresolved_mistyped",
            elsewhere(
                Subject::Monitor,
                unresolved(&["acmee/*"], Fault::NotFound, "acmee: no such account, or no access (404)"),
            ),
        ),
        (
            "entry_unresolved_forbidden",
            elsewhere(
                Subject::Monitor,
                unresolved(
                    &["acme/*"],
                    Fault::Forbidden,
                    "acme: Resource protected by organization SAML enforcement (403)",
                ),
            ),
        ),
        (
            "entries_unresolved_2",
            elsewhere(Subject::Monitor, unresolved(&["acme/*", "Other/*"], Fault::Service, "GitHub answers 502")),
        ),
        ("entry_resolved", elsewhere(Subject::Monitor, resolved(&["acme/*"]))),
        ("entries_resolved_2", elsewhere(Subject::Monitor, resolved(&["acme/*", "Other/*"]))),
        (
            "unreachable_target_unreadable",
            about(
                "acme/web",
                0,
                vec![unreachable(
                    Fault::Unreadable,
                    "the stored item `acme/web runner 7` cannot be read: EOF while parsing a string",
                )],
            ),
        ),
        ("list_empty", elsewhere(Subject::Monitor, NotificationItem::EmptyListRefused { kept: 12 })),
        ("list_restored", elsewhere(Subject::Monitor, NotificationItem::ListRestored { total: 1 })),
        ("unwatched", elsewhere(Subject::Monitor, NotificationItem::Unwatched { from: start(), until: later })),
        ("week_reported", elsewhere(Subject::Monitor, week_reported(3))),
        ("week_reported_quiet", elsewhere(Subject::Monitor, week_reported(0))),
        ("week_reported_4000_targets", elsewhere(Subject::Monitor, week_reported(4_000))),
        ("targets_added_one", elsewhere(Subject::Monitor, added(&["orgs/acme"], 1))),
        (
            "targets_added_3",
            elsewhere(Subject::Monitor, added(&["acme/web", "Acme/Api.v2", "enterprises/acme-corp"], 12)),
        ),
        ("targets_removed_one", elsewhere(Subject::Monitor, removed(&["acme/web"], 11))),
        ("targets_removed_2", elsewhere(Subject::Monitor, removed(&["acme/web", "Acme/Api.v2"], 1))),
    ]
}

/// The report of a week in which this many targets, pools and runners were not always available.
fn week_reported(bad: u32) -> NotificationItem {
    let until = start();
    let row = |number: u32, name: &str| ReportRow {
        target: format!("acme/app-{number:02}").parse().unwrap(),
        name: if name.is_empty() { String::new() } else { format!("{name}{number:02}") },
        observed_secs: 604_800,
        down_secs: 60_000 / u64::from(number),
        outages: 12 / number + 1,
    };
    fn list<T>(bad: u32, entry: impl Fn(u32) -> T) -> Shortlist<T> {
        Shortlist { shown: (1..=bad.min(10)).map(entry).collect(), more: bad.saturating_sub(10) }
    }
    let version = |number: u32| ReportedVersion {
        version: format!("2.{}.0", 330 + number),
        ends_at: start().plus(DAY * (number * 9)).minus(DAY * 10),
        runners: 7 * number,
        targets: number,
    };
    let removal = |number: u32| ReportedRemoval {
        target: "acme/web".parse().unwrap(),
        runner: format!("build-{number:02}"),
        earliest: start().plus(DAY * number),
    };
    let runners = 12 * bad.max(1);
    NotificationItem::WeekReported {
        report: Box::new(WeeklyReport {
            from: until.minus(DAY * 7),
            until,
            targets: bad.max(1),
            unread: bad / 4_000 * 7,
            runners,
            observed_secs: 604_800 * u64::from(runners),
            down_secs: 60_000 * u64::from(bad),
            outages: 5 * bad,
            recovered: 4 * bad,
            recovery_secs: 7_500 * 4 * u64::from(bad),
            checks: Some(PlannedChecks { planned: 2_016 * u64::from(bad.max(1)), missed: 4 * u64::from(bad) }),
            pools: bad,
            worst_targets: list(bad, |number| row(number, "")),
            worst_pools: list(bad / 2, |number| row(number, "pool gpu")),
            worst_runners: list(bad, |number| row(number, "build-")),
            versions: list(bad.min(2), version),
            removals: list(bad.min(12), removal),
        }),
    }
}

/// Several items in one notification.
fn mixed() -> Vec<(&'static str, Notification)> {
    let recovered = |number| ended(number, MINUTE * 30, Ending::Recovered);
    let items = vec![
        NotificationItem::Offline { outages: vec![outage(1)] },
        NotificationItem::Flapping { runners: vec![flap(5, None)] },
        NotificationItem::Recovered { outages: vec![recovered(2), recovered(3)] },
    ];
    vec![("mixed", about("acme/web", 2, items))]
}

/// Names and sizes beyond any real installation.
fn extremes() -> Vec<(&'static str, Notification)> {
    let named = |name: &str| Outage { runner_name: name.to_owned(), ..outage(1) };
    let one = |outage| vec![NotificationItem::Offline { outages: vec![outage] }];
    let counts = |total| Counts { total, online: 0, down: total };
    let long_labels = (0..40).map(|number| format!("{number}-{}", "label".repeat(60))).collect();
    let fleet = |count| Notification {
        counts: counts(u32::try_from(count).unwrap()),
        ..about("acme/web", 8, vec![NotificationItem::Offline { outages: outages(count) }])
    };
    let everything: Vec<NotificationItem> = [offline(), foresight(), other_outages(), monitor()]
        .into_iter()
        .flatten()
        .flat_map(|(_, notification)| notification.items)
        .collect();
    vec![
        (
            "name_of_markup",
            about(
                "acme/web",
                1,
                one(named("*b* _i_ ~s~ `c` <!channel> <@U1> & :tada: ```x``` <https://evil.test|here>")),
            ),
        ),
        ("name_of_lines", about("acme/web", 1, one(named("first\nsecond\r\n> third\u{2028}fourth\u{0}\u{1b}[31m")))),
        ("name_with_reversed_text", about("acme/web", 1, one(named("good\u{202E}live\u{2066}\u{200F}")))),
        ("name_right_to_left", about("acme/web", 1, one(named("שרת בנייה 7")))),
        ("name_of_emoji", about("acme/web", 1, one(named(&"👩\u{200D}🔧🏳\u{FE0F}\u{200D}🌈".repeat(60))))),
        ("name_of_nothing", about("acme/web", 1, one(named(" \u{200B}\n ")))),
        ("name_of_ampersands", about("acme/web", 1, one(named(&"&<>".repeat(500))))),
        ("labels_of_300_characters", about("acme/web", 1, one(Outage { labels: long_labels, ..outage(1) }))),
        (
            "longest_target",
            about(
                &format!("{}/{}", "o".repeat(39), "r".repeat(100)),
                8,
                vec![NotificationItem::Offline { outages: outages(200) }],
            ),
        ),
        ("offline_200", fleet(200)),
        ("offline_2000", fleet(2_000)),
        ("recovered_2000", about("acme/web", 0, vec![NotificationItem::Recovered { outages: outages(2_000) }])),
        ("everything_at_once", about("acme/web", 8, everything)),
        (
            "times_out_of_range",
            about(
                "acme/web",
                1,
                vec![
                    NotificationItem::ReachableAgain {
                        since: Timestamp::from_epoch_ms(i64::MIN),
                        until: Timestamp::from_epoch_ms(i64::MAX),
                    },
                    NotificationItem::Expiring {
                        expires_at: Timestamp::from_epoch_ms(-1),
                        raised_at: Timestamp::from_epoch_ms(i64::MAX),
                    },
                ],
            ),
        ),
    ]
}
