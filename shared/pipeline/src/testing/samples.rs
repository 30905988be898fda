//! Sample values: the same arguments return the same value, and no field that a store could lose is left empty.

use std::time::Duration;

use monitor_domain::change::{Change, Event, RunnerName};
use monitor_domain::fleet::{Counts, CredentialRecord, ExpiryWarning, Failing, TargetRecord};
use monitor_domain::groups::RunnerGroups;
use monitor_domain::jobs::{Job, JobId, JobName, JobState};
use monitor_domain::muting::Authority;
use monitor_domain::notifications::{Flap, Notification, NotificationItem, ResolvedItem, UnresolvedItem};
use monitor_domain::observation::{Failure, Fault, PageTag};
use monitor_domain::outage::{Ending, LastHealthy, Outage, OutageId, Peers, Visibility};
use monitor_domain::pool::PoolCounts;
use monitor_domain::routing::Part;
use monitor_domain::runner::{Absence, Down, Flapping, Health, Runner, RunnerId, Status, Suspicion};
use monitor_domain::scope::Scope;
use monitor_domain::subject::{CredentialId, Revision, Subject};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_domain::versions::{VersionEnd, VersionRecord, VersionWarning};
use monitor_domain::watchlist::{UnresolvedEntry, Watchlist};
use monitor_domain::weekly::{PlannedChecks, ReportRow, ReportedRemoval, ReportedVersion, Shortlist, WeeklyReport};

use crate::commands::Asker;
use crate::items::{
    AccessToken, Acknowledgement, Attempt, Claim, Cursor, Delivered, Item, JobItem, LastSeen, LiveMessage, Marker,
    MessagePlace, Mute, OutageItem, PartEnding, RunnerItem, SendEnding, Sent,
};
use crate::person::PersonId;

/// This many seconds after the start of the samples, 2027-01-15 08:00 UTC and 7 ms.
pub fn at(secs: u64) -> Timestamp {
    Timestamp::from_epoch_ms(1_800_000_000_007).plus(Duration::from_secs(secs))
}

/// A target. Panics if the name is not a target's.
pub fn target(name: &str) -> Target {
    name.parse().expect("the name must be a target's, for example acme/web")
}

/// A subject. Panics if the name is not a subject's.
pub fn subject(name: &str) -> Subject {
    name.parse().expect("the name must be a subject's, for example acme/web or monitor")
}

/// A target's record at a revision.
pub fn target_record(name: &str, revision: u64) -> TargetRecord {
    let page = PageTag {
        etag: Some(format!("W/\"{revision:08x}\"")),
        given_to: "0f1e2d3c".to_owned(),
        runner_ids: vec![RunnerId(7), RunnerId(11)],
    };
    TargetRecord {
        revision: Revision(revision),
        last_notifiable: Revision(revision / 2),
        watched_since: Some(at(0)),
        observed_at: at(60 * revision),
        pages: vec![page, PageTag { etag: None, given_to: "0f1e2d3c".to_owned(), runner_ids: Vec::new() }],
        ..TargetRecord::new(target(name))
    }
}

/// A healthy runner that was seen once.
pub fn runner(id: u64, name: &str) -> Runner {
    Runner {
        id: RunnerId(id),
        current_id: RunnerId(id),
        name: name.to_owned(),
        os: "linux".to_owned(),
        labels: vec!["self-hosted".to_owned(), "linux".to_owned(), "x64".to_owned()],
        ephemeral: false,
        group_id: Some(3),
        version: Some("2.331.0".to_owned()),
        updated_at: None,
        pool: None,
        waiting: None,
        is_pooled: false,
        connected: true,
        status: Status::Idle,
        busy: false,
        job: None,
        first_seen_at: at(0),
        status_since: at(0),
        health: Health::Healthy,
        absence: None,
        recent_outages: Vec::new(),
        flapping: None,
    }
}

/// A runner of a target, as an item.
pub fn runner_item(target_name: &str, id: u64) -> Item {
    Item::Runner(RunnerItem { target: target(target_name).id().clone(), runner: runner(id, &format!("runner-{id}")) })
}

/// An open outage, with an alert of its own.
pub fn outage(runner: &Runner, id: u64) -> Outage {
    Outage {
        id: OutageId(Revision(id)),
        runner_id: runner.id,
        current_id: runner.current_id,
        runner_name: runner.name.clone(),
        os: runner.os.clone(),
        version: runner.version.clone(),
        version_ended_at: None,
        lost_targets: None,
        ephemeral: false,
        pool: None,
        waiting: None,
        labels: runner.labels.clone(),
        status: Status::Offline,
        in_job: true,
        job: Some(Box::new(JobName::from(&job_item("acme/web").job))),
        started_at: at(60 * id),
        confirmed_at: at(60 * id + 120),
        last_healthy: Some(LastHealthy { at: at(60 * id - 60), status: Status::Busy }),
        connected_at: None,
        peers: Peers { total: 7, online: 6 },
        visibility: Visibility::Alerted,
        resolved_at: None,
        ending: None,
    }
}

/// The same outage, ended.
pub fn ended(outage: &Outage, ending: Ending) -> Outage {
    Outage {
        resolved_at: Some(outage.confirmed_at.plus(Duration::from_secs(600))),
        ending: Some(ending),
        ..outage.clone()
    }
}

/// An outage of a target's runner, as an item.
pub fn outage_item(target_name: &str, runner_id: u64, id: u64) -> Item {
    let outage = outage(&runner(runner_id, &format!("runner-{runner_id}")), id);
    Item::Outage(OutageItem { target: target(target_name).id().clone(), outage })
}

/// A change with one event. Its nonce is its revision.
pub fn change(subject_name: &str, revision: u64, event: Event) -> Change {
    Change {
        subject: subject(subject_name),
        revision: Revision(revision),
        nonce: revision,
        decided_at: at(60 * revision),
        observed_at: at(60 * revision - 1),
        counts: Counts { total: 8, online: 7, down: 1 },
        more: false,
        events: vec![event],
    }
}

/// A notification of one recovery.
pub fn notification(subject_name: &str) -> Notification {
    let ended = ended(&outage(&runner(7, "build-7"), 3), Ending::Recovered);
    Notification {
        subject: subject(subject_name),
        target: subject_name.parse().ok(),
        counts: Counts { total: 8, online: 8, down: 0 },
        items: vec![NotificationItem::Recovered { outages: vec![ended] }],
    }
}

/// A claim to send a subject's notification, which covers changes up to the revision `10 * notification_number`.
pub fn claim(subject_name: &str, notification_number: u64, attempt: u32) -> Claim {
    let claimed_at = at(600 * notification_number + u64::from(attempt));
    Claim {
        subject: subject(subject_name),
        number: Attempt { notification: notification_number, attempt },
        nonce: u64::MAX - notification_number,
        after: Revision(10 * (notification_number - 1)),
        through: Revision(10 * notification_number),
        claimed_at,
        lease_until: claimed_at.plus(Duration::from_secs(90)),
        plain_text: attempt > 1,
        resumes: false,
        channel: None,
        notification: notification(subject_name),
        further: Vec::new(),
        live: vec![LiveMessage {
            place: MessagePlace { channel: "C0SAMPLE".to_owned(), ts: format!("{notification_number}.000100") },
            outages: vec![outage(&runner(7, "runner-7"), notification_number)],
        }],
    }
}

/// The ending of a claimed attempt.
pub fn sent(claim: &Claim, ending: SendEnding) -> Sent {
    let at = claim.claimed_at.plus(Duration::from_secs(2));
    Sent { subject: claim.subject.clone(), number: claim.number, through: claim.through, at, ending, parts: Vec::new() }
}

/// A subject's cursor, with everything up to this revision notified and recorded.
pub fn cursor(subject_name: &str, notified_through: u64) -> Cursor {
    let notified_through = Revision(notified_through);
    Cursor {
        subject: subject(subject_name),
        notified_through,
        recorded_through: notified_through,
        next_attempt_at: None,
    }
}

/// A mute that was set at the start of the samples and lasts for this many hours.
pub fn mute(scope: Scope, hours: u64) -> Mute {
    let reason = (hours % 2 == 1).then(|| "new “disk” <b>".to_owned());
    Mute { scope, since: at(0), until: at(3_600 * hours), reason, by: person() }
}

/// The access token of the GitHub App's installation on an account.
pub fn access_token(account: &str, sealed: &str) -> AccessToken {
    let credential = CredentialId::app_installation(account);
    AccessToken { credential, expires_at: at(3_600), sealed: sealed.to_owned() }
}

/// An acknowledgement of a runner's outage.
pub fn acknowledgement(target_name: &str, runner: u64, outage: u64) -> Acknowledgement {
    Acknowledgement {
        target: target(target_name).id().clone(),
        runner_id: RunnerId(runner),
        outage_id: OutageId(Revision(outage)),
        at: at(60 * outage + 300),
        by: person(),
    }
}

/// A marker with this number: of a check of a target, or of a request.
pub fn marker(subject_name: &str, number: u64) -> Marker {
    Marker { subject: subject(subject_name), number, nonce: 40 + number, at: at(60 * number) }
}

/// A person who sends a command.
pub fn asker() -> Asker {
    Asker { id: person(), authority: Authority::NoAdmins, request: None }
}

/// A person's id.
pub fn person() -> PersonId {
    PersonId::try_from("U2CERLKJA".to_owned()).expect("an id")
}

/// Failing checks, long enough to be unreachable.
pub fn failing() -> Failing {
    let failure = Failure::new(Fault::Limited { until: at(900) }, "GitHub's \"limit\" — wait until 08:15; it's 100 %");
    Failing { since: at(300), failure, unreachable: true, notified: false }
}

/// At least one item of every kind, and in them every kind of event, notification item, health and ending. All keys
/// differ.
pub fn every_item() -> Vec<Item> {
    let (web, name) = (target("Acme/Web"), "acme/web");
    let mut items = vec![
        Item::Target(TargetRecord {
            failing: Some(failing()),
            unfinished: true,
            groups: RunnerGroups { asked_at: at(60), names: vec![(3, "gpu machines".to_owned())] },
            version_warnings: vec![VersionWarning {
                version: "2.331.0".to_owned(),
                ends_at: at(86_400),
                is_withdrawn: true,
                days: Some(7),
                decided_at: at(1),
                moves: 1,
            }],
            ..target_record("Acme/Web", 42)
        }),
        Item::LastSeen(LastSeen {
            subject: subject(name),
            slot: 0,
            at: at(601),
            jobs_sent_at: None,
            next_tick_at: None,
        }),
        Item::LastSeen(LastSeen {
            subject: Subject::Monitor,
            slot: 3,
            at: at(602),
            jobs_sent_at: Some(at(302)),
            next_tick_at: Some(at(902)),
        }),
        Item::Target(target_record("credential:app:acme/pools", 6)),
        Item::Runner(RunnerItem {
            target: target("credential:app:acme/pools").id().clone(),
            runner: Runner {
                pool: Some(PoolCounts { total: 4, online: 1, wanted: 2 }),
                ..runner((1 << 52) + 7, "pool gpu")
            },
        }),
        Item::Runner(RunnerItem {
            target: web.id().clone(),
            runner: Runner { is_pooled: true, ..runner(21, "build-21") },
        }),
        Item::Credential(CredentialRecord {
            revision: Revision(3),
            last_notifiable: Revision(2),
            failing: Some(failing()),
            recovered_at: Some(at(1)),
            expiry_warning: Some(ExpiryWarning { expires_at: at(86_400), days: 1, token: Some(7) }),
            versions: every_version_end(),
            ..CredentialRecord::new(CredentialId::app_installation("Acme"))
        }),
        Item::Credential(CredentialRecord::new(CredentialId::token())),
        Item::Watchlist(Watchlist {
            pools: CredentialId::app_installation("acme").pools().into_iter().collect(),
            revision: Revision(5),
            last_notifiable: Revision(4),
            ticked_at: Some(at(300)),
            targets: vec![web.clone(), target("enterprises/acme-corp"), target("orgs/Acme")],
            dropping: vec![target("acme/old")],
            missing: vec![target("orgs/Acme")],
            empty_refused: true,
            unresolved: vec![UnresolvedEntry { entry: "acme/*".to_owned(), failing: failing() }],
            reported_until: Some(at(200)),
        }),
        Item::Change(Change {
            more: true,
            events: every_event(),
            nonce: u64::MAX,
            ..change(name, 42, Event::MonitoringStarted)
        }),
        Item::Change(change("credential:token", 1, Event::CredentialExpiring { expires_at: at(86_400) })),
        Item::Change(change("monitor", 1, Event::Unwatched { from: at(0), until: at(9_000) })),
        Item::Cursor(Cursor { next_attempt_at: Some(at(30)), ..cursor(name, 41) }),
        Item::Cursor(cursor("credential:app:acme", 2)),
    ];
    for (health, id) in every_health().into_iter().zip(7_u64..) {
        let absence = Absence {
            since: at(5),
            counted_at: at(65),
            count: 1,
            outage_id: OutageId(Revision(41)),
            last_healthy: Some(LastHealthy { at: at(4), status: Status::Busy }),
        };
        let flapping = Flapping { since: at(10), outages: 4, healthy_since: Some(at(500)), muted: true };
        let runner = Runner {
            current_id: RunnerId(id + 100),
            health,
            absence: Some(Box::new(absence)),
            recent_outages: vec![at(10), at(200)],
            flapping: Some(Box::new(flapping)),
            ..runner(id, "build \u{1F680} “7” 'a' \"b\" 100 % \\ Ü\u{301}\n\0")
        };
        items.push(Item::Runner(RunnerItem { target: web.id().clone(), runner }));
    }
    items.push(outage_item(name, 7, 41));
    let closed = ended(&outage(&runner(7, "build-7"), 12), Ending::Removed);
    items.push(Item::Outage(OutageItem { target: web.id().clone(), outage: closed }));
    for (ending, number) in every_ending().into_iter().zip(1_u64..) {
        let claim = Claim {
            notification: Notification { items: every_notification_item(), ..notification(name) },
            ..claim(name, number, 1)
        };
        items.extend([Item::Sent(sent(&claim, ending)), Item::Claim(claim)]);
    }
    let in_parts = Claim {
        resumes: true,
        channel: Some("#gpu \"alerts\"".to_owned()),
        further: ["C024BE91L", "ü"]
            .map(|channel| Part { channel: Some(channel.to_owned()), notification: notification(name) })
            .to_vec(),
        ..claim(name, 20, 2)
    };
    let parts = vec![
        PartEnding::Delivered(Delivered { channel: Some("C9".to_owned()), ts: Some("1.2".to_owned()) }),
        PartEnding::Waits,
        PartEnding::Waits,
    ];
    let deferred = SendEnding::Deferred { until: at(630), reason: "later".to_owned(), uncertain: false };
    items.extend([Item::Sent(Sent { parts, ..sent(&in_parts, deferred) }), Item::Claim(in_parts)]);
    items.extend([Item::Claim(claim("monitor", 1, 2)), Item::Claim(claim("credential:token", 1, 1))]);
    let scopes = [
        Scope::Target(web.clone()),
        Scope::Runner { target: web.clone(), name: "Build \"7\"".to_owned() },
        Scope::Named("gpu-*".to_owned()),
    ];
    items.extend(scopes.into_iter().zip(1_u64..).map(|(scope, hours)| Item::Mute(mute(scope, hours))));
    items.push(Item::Acknowledgement(acknowledgement(name, 7, 41)));
    items.push(Item::AccessToken(access_token("acme", "c2VhbGVk")));
    items.extend([Item::Marker(marker("monitor", 7)), Item::Marker(marker(name, 8))]);
    items.push(Item::Job(job_item(name)));
    items
}

/// A job that a runner has taken.
pub fn job_item(target: &str) -> JobItem {
    let job = Job {
        id: JobId(48_000_000_001),
        repository: self::target(target),
        workflow: Some("Nightly \"deep\"".to_owned()),
        name: "train (größer)".to_owned(),
        url: "https://github.com/acme/web/actions/runs/7/job/48000000001".to_owned(),
        labels: vec!["self-hosted".to_owned(), "GPU".to_owned()],
        state: JobState::InProgress,
        queued_at: at(60),
        runner: Some("build-7".to_owned()),
        started_at: Some(at(90)),
    };
    JobItem { target: self::target(target).id().clone(), job }
}

fn every_health() -> Vec<Health> {
    let down = runner(9, "build-9");
    let suspicion = Suspicion {
        since: at(60),
        counted_at: at(120),
        unhealthy_count: 2,
        outage_id: OutageId(Revision(41)),
        is_baseline: false,
        last_healthy: Some(LastHealthy { at: at(0), status: Status::Idle }),
    };
    let down = Down {
        healthy_count: 1,
        recovering_since: Some(at(700)),
        counted_at: Some(at(700)),
        notified_at: Some(at(650)),
        reminders: 2,
        ..Down::new(Outage { visibility: Visibility::Muted, ..outage(&down, 40) })
    };
    vec![
        Health::Healthy,
        Health::Suspect(Box::new(suspicion)),
        Health::Down(Box::new(down)),
        Health::Gone { since: at(90), alerted: true },
        Health::Retired,
    ]
}

fn every_ending() -> Vec<SendEnding> {
    let reason = || "it's \"full\"".to_owned();
    vec![
        SendEnding::Delivered(Delivered {
            channel: Some("C024BE91L".to_owned()),
            ts: Some("1800000000.000100".to_owned()),
        }),
        SendEnding::Delivered(Delivered::default()),
        SendEnding::Deferred { until: at(630), reason: reason(), uncertain: true },
        SendEnding::LayoutRefused { reason: reason() },
    ]
}

fn every_version_end() -> Vec<VersionRecord> {
    let ends = [VersionEnd::At { at: at(86_400) }, VersionEnd::NoDate, VersionEnd::Unlisted, VersionEnd::Unanswered];
    let record = |(minor, end): (u32, VersionEnd)| VersionRecord {
        version: format!("2.{minor}.0"),
        asked_at: at(1),
        failed: end == VersionEnd::Unanswered,
        end,
        tag: Some(PageTag { etag: Some("W/\"7\"".to_owned()), given_to: "token".to_owned(), runner_ids: Vec::new() }),
    };
    (331..).zip(ends).map(record).collect()
}

fn every_event() -> Vec<Event> {
    let runner = || RunnerName { id: RunnerId(7), name: "build-7".to_owned() };
    let open = outage(&self::runner(7, "build-7"), 40);
    let failure = || Failure::new(Fault::NotFound, "GitHub knows no such target (404)");
    vec![
        Event::MonitoringStarted,
        Event::Registered { runner: runner() },
        Event::Reregistered { runner: runner(), current_id: RunnerId(8) },
        Event::StatusChanged { runner: runner(), from: Status::Busy, to: Status::Unknown },
        Event::Suspected { runner: runner(), outage_id: OutageId(Revision(40)) },
        Event::Cleared { runner: runner() },
        Event::OutageOpened { outage: Box::new(open.clone()) },
        Event::OutageClosed { outage: Box::new(ended(&open, Ending::NoLongerMonitored)) },
        Event::Returned { runner: runner(), gone_since: at(1), alerted: true },
        Event::Retired { runner: runner() },
        Event::FlappingStarted { runner: runner(), since: at(1), outages: 3, muted: true },
        Event::FlappingEnded { runner: runner(), since: at(1), outages: 5, healthy_since: Some(at(2)), muted: true },
        Event::Reminded { outage: Box::new(open.clone()), is_last: true },
        Event::RemovalNear { outage: Box::new(open.clone()), days: 3 },
        Event::VersionEnding { version: "2.331.0".to_owned(), ends_at: at(86_400), days: 1, runners: vec![runner()] },
        Event::VersionAnswered { version: "2.331.0".to_owned(), end: VersionEnd::At { at: at(86_400) } },
        Event::MuteEnded { outage: Box::new(open.clone()) },
        Event::ChecksFailing { failure: failure() },
        Event::BecameUnreachable { since: at(1), failure: failure(), targets: 7 },
        Event::ReachableAgain { since: at(1), until: at(2), notified: true },
        Event::Dropped { notified: true },
        Event::CredentialExpiring { expires_at: at(86_400) },
        Event::TokenReplaced,
        Event::TargetsAdded { targets: vec![target("Acme/Web")], total: 2 },
        Event::TargetsRemoved { targets: vec![target("Acme/Web")], total: 1 },
        Event::EmptyListRefused { kept: 2 },
        Event::ListRestored { total: 2 },
        Event::EntryUnresolved { entry: "acme/*".to_owned(), since: at(1), failure: failure() },
        Event::EntryResolved { entry: "acme/*".to_owned(), since: at(1), until: at(2), notified: true },
        Event::Unwatched { from: at(1), until: at(2) },
        Event::WeekReported { report: Box::new(weekly_report()) },
        Event::Unrecognised,
    ]
}

fn weekly_report() -> WeeklyReport {
    let row = |name: &str| ReportRow {
        target: target("Acme/Web"),
        name: name.to_owned(),
        observed_secs: 604_800,
        down_secs: 60,
        outages: 2,
    };
    WeeklyReport {
        from: at(1),
        until: at(2),
        targets: 3,
        unread: 1,
        runners: 12,
        observed_secs: 7_257_600,
        down_secs: 60,
        outages: 2,
        recovered: 1,
        recovery_secs: 30,
        checks: Some(PlannedChecks { planned: 6_048, missed: 2 }),
        pools: 1,
        worst_targets: Shortlist { shown: vec![row("")], more: 1 },
        worst_pools: Shortlist { shown: vec![row("pool gpu")], more: 0 },
        worst_runners: Shortlist { shown: vec![row("build-7")], more: 0 },
        versions: Shortlist {
            shown: vec![ReportedVersion { version: "2.331.0".to_owned(), ends_at: at(86_400), runners: 2, targets: 1 }],
            more: 0,
        },
        removals: Shortlist {
            shown: vec![ReportedRemoval {
                target: target("Acme/Web"),
                runner: "build-7".to_owned(),
                earliest: at(86_400),
            }],
            more: 0,
        },
    }
}

fn every_notification_item() -> Vec<NotificationItem> {
    let outages = || vec![ended(&outage(&runner(7, "build-7"), 12), Ending::Recovered)];
    let runner = RunnerName { id: RunnerId(7), name: "build-7".to_owned() };
    let flap = Flap { runner: runner.clone(), since: at(1), outages: 3, healthy_since: Some(at(2)) };
    vec![
        NotificationItem::Unreachable { since: at(1), failure: failing().failure, targets: 7 },
        NotificationItem::Offline { outages: outages() },
        NotificationItem::MuteEnded { outages: outages() },
        NotificationItem::StillOffline { outages: outages(), raised_at: at(4), is_last: true },
        NotificationItem::RemovalNear { outages: outages(), raised_at: at(4) },
        NotificationItem::VersionEnding {
            version: "2.331.0".to_owned(),
            ends_at: at(86_400),
            raised_at: at(4),
            runners: vec![runner.clone()],
        },
        NotificationItem::Removed { outages: outages() },
        NotificationItem::Flapping { runners: vec![flap.clone()] },
        NotificationItem::MonitoringStarts { outages: outages() },
        NotificationItem::Recovered { outages: outages() },
        NotificationItem::CameAndWent { outages: outages() },
        NotificationItem::Returned { runners: vec![runner] },
        NotificationItem::Calm { runners: vec![flap] },
        NotificationItem::ReachableAgain { since: at(1), until: at(2) },
        NotificationItem::NoLongerMonitored { outages: outages(), whole_target: true, again_since: Some(at(5)) },
        NotificationItem::Expiring { expires_at: at(86_400), raised_at: at(3) },
        NotificationItem::EmptyListRefused { kept: 2 },
        NotificationItem::ListRestored { total: 2 },
        NotificationItem::EntriesUnresolved {
            entries: vec![UnresolvedItem { entry: "acme/*".to_owned(), since: at(1), failure: failing().failure }],
        },
        NotificationItem::EntriesResolved {
            entries: vec![ResolvedItem { entry: "acme/*".to_owned(), since: at(1), until: at(2) }],
        },
        NotificationItem::Unwatched { from: at(1), until: at(2) },
        NotificationItem::WeekReported { report: Box::new(weekly_report()) },
        NotificationItem::TargetsAdded { targets: vec![target("orgs/Acme")], total: 2 },
        NotificationItem::TargetsRemoved { targets: vec![target("orgs/Acme")], total: 1 },
    ]
}
