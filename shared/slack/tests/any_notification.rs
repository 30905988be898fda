//! No notification, whatever it contains, becomes a message beyond Slack's limits.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod limits;

use monitor_domain::change::RunnerName;
use monitor_domain::fleet::Counts;
use monitor_domain::jobs::JobName;
use monitor_domain::notifications::{Flap, Notification, NotificationItem, ResolvedItem, UnresolvedItem};
use monitor_domain::observation::{Failure, Fault};
use monitor_domain::outage::{Ending, LastHealthy, Outage, OutageId, Peers, Visibility};
use monitor_domain::pool::PoolCounts;
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::subject::{CredentialId, Revision, Subject};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_domain::weekly::{PlannedChecks, ReportRow, ReportedRemoval, ReportedVersion, Shortlist, WeeklyReport};
use monitor_pipeline::ports::Form;
use monitor_slack::{WebBase, open_in, render, render_console, render_live, with_buttons};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Any characters, with many that affect Slack's markup, a terminal or the text direction.
fn text() -> impl Strategy<Value = String> {
    let nasty = "`*_~<>&|@#:!\n\r\t\0\u{1b}\u{7f}\u{85}\u{200B}\u{200D}\u{200F}\u{202A}\u{202E}\u{2028}\u{2066}\u{2068}\u{2069}\u{FEFF}אبé🦀👩\u{E0041}";
    let nasty = proptest::sample::select(nasty.chars().collect::<Vec<_>>());
    let one = prop_oneof![3 => nasty, 2 => any::<char>(), 2 => Just('m')];
    let few = vec(one.clone(), 0..30).prop_map(String::from_iter);
    let many = (vec(one, 1..30), 1..200_usize).prop_map(|(chars, times)| String::from_iter(chars).repeat(times));
    prop_oneof![3 => few, 1 => many]
}

fn moment() -> impl Strategy<Value = Timestamp> {
    let moment = prop_oneof![4 => 1_700_000_000_000..1_900_000_000_000_i64, 1 => any::<i64>()];
    moment.prop_map(Timestamp::from_epoch_ms)
}

fn target() -> impl Strategy<Value = Target> {
    let longest = format!("{}/{}", "o".repeat(39), "r".repeat(100));
    let names = ["acme/web".to_owned(), "orgs/_acme_".to_owned(), "enterprises/acme-corp".to_owned(), longest];
    proptest::sample::select(names.to_vec()).prop_map(|name| name.parse().unwrap())
}

fn outage() -> impl Strategy<Value = Outage> {
    let status = proptest::sample::select(vec![Status::Offline, Status::Unknown, Status::Idle]);
    let ending = proptest::sample::select(vec![Ending::Recovered, Ending::Removed, Ending::NoLongerMonitored]);
    let runner =
        (any::<u64>(), text(), prop_oneof![text(), Just("linux".to_owned())], option::of(text()), vec(text(), 0..6));
    let times = (moment(), moment(), option::of(moment()), option::of(moment()));
    let peers = (any::<u32>(), any::<u32>()).prop_map(|(total, online)| Peers { total, online });
    let kinds = (
        option::of(moment()),
        any::<bool>(),
        option::of((any::<u32>(), any::<u32>(), any::<u32>())),
        option::of(moment()),
    );
    (runner, status, any::<bool>(), times, peers, option::of(ending), kinds).prop_map(
        |(runner, status, in_job, times, peers, ending, (version_ended_at, ephemeral, pool, connected_at))| {
            let pool = pool.map(|(total, online, wanted)| PoolCounts { total, online, wanted });
            let (id, runner_name, os, version, labels) = runner;
            let job = JobName {
                repository: Target::repository("acme/web").unwrap(),
                name: runner_name.clone(),
                url: String::new(),
                queued_at: times.0,
                started_at: None,
            };
            let (started_at, confirmed_at, last, resolved_at) = times;
            let last_healthy = last.map(|at| LastHealthy { at, status: Status::Busy });
            let (id, runner_id) = (OutageId(Revision(id)), RunnerId(id));
            let visibility = Visibility::Alerted;
            Outage {
                id,
                runner_id,
                current_id: runner_id,
                runner_name,
                os,
                version,
                version_ended_at,
                ephemeral,
                lost_targets: None,
                pool,
                waiting: None,
                labels,
                status,
                in_job,
                job: in_job.then(|| Box::new(job)),
                started_at,
                confirmed_at,
                last_healthy,
                connected_at,
                peers,
                visibility,
                resolved_at,
                ending,
            }
        },
    )
}

/// Up to 2,000 outages, of which few differ.
fn outages() -> impl Strategy<Value = Vec<Outage>> {
    let count = prop_oneof![6 => 0..5_usize, 2 => 5..60_usize, 1 => 2_000..2_001_usize];
    (vec(outage(), 1..4), count).prop_map(|(some, count)| some.into_iter().cycle().take(count).collect())
}

fn flaps() -> impl Strategy<Value = Vec<Flap>> {
    let flap =
        (text(), moment(), any::<u32>(), option::of(moment())).prop_map(|(name, since, outages, healthy_since)| Flap {
            runner: RunnerName { id: RunnerId(1), name },
            since,
            outages,
            healthy_since,
        });
    vec(flap, 0..40)
}

fn item() -> impl Strategy<Value = NotificationItem> {
    let fault = prop_oneof![
        Just(Fault::Credential),
        moment().prop_map(|until| Fault::Limited { until }),
        proptest::sample::select(vec![
            Fault::Network,
            Fault::Service,
            Fault::Forbidden,
            Fault::NotFound,
            Fault::BrokenAnswer,
            Fault::Unreadable
        ]),
    ];
    let named = || vec(text().prop_map(|name| RunnerName { id: RunnerId(1), name }), 0..40);
    let names = named();
    let entries = vec((text(), moment(), fault.clone(), text()), 1..40);
    let unresolved = entries.prop_map(|entries| NotificationItem::EntriesUnresolved {
        entries: (entries.into_iter())
            .map(|(entry, since, fault, detail)| UnresolvedItem { entry, since, failure: Failure::new(fault, detail) })
            .collect(),
    });
    let resolved = vec((text(), moment(), moment()), 1..40).prop_map(|entries| NotificationItem::EntriesResolved {
        entries: entries.into_iter().map(|(entry, since, until)| ResolvedItem { entry, since, until }).collect(),
    });
    let unreachable = (moment(), fault, text(), any::<u32>());
    prop_oneof![
        unreachable.prop_map(|(since, fault, detail, targets)| NotificationItem::Unreachable {
            since,
            failure: Failure::new(fault, detail),
            targets
        }),
        outages().prop_map(|outages| NotificationItem::Offline { outages }),
        outages().prop_map(|outages| NotificationItem::MuteEnded { outages }),
        (outages(), moment()).prop_map(|(outages, raised_at)| NotificationItem::RemovalNear { outages, raised_at }),
        (text(), moment(), moment(), named()).prop_map(|(version, ends_at, raised_at, runners)| {
            NotificationItem::VersionEnding { version, ends_at, raised_at, runners }
        }),
        (outages(), moment(), any::<bool>()).prop_map(|(outages, raised_at, is_last)| NotificationItem::StillOffline {
            outages,
            raised_at,
            is_last
        }),
        outages().prop_map(|outages| NotificationItem::Removed { outages }),
        outages().prop_map(|outages| NotificationItem::MonitoringStarts { outages }),
        outages().prop_map(|outages| NotificationItem::Recovered { outages }),
        outages().prop_map(|outages| NotificationItem::CameAndWent { outages }),
        (outages(), any::<bool>(), proptest::option::of(moment())).prop_map(|(outages, whole_target, again_since)| {
            NotificationItem::NoLongerMonitored { outages, whole_target, again_since }
        }),
        flaps().prop_map(|runners| NotificationItem::Flapping { runners }),
        flaps().prop_map(|runners| NotificationItem::Calm { runners }),
        names.prop_map(|runners| NotificationItem::Returned { runners }),
        (moment(), moment()).prop_map(|(since, until)| NotificationItem::ReachableAgain { since, until }),
        (moment(), moment()).prop_map(|(expires_at, raised_at)| NotificationItem::Expiring { expires_at, raised_at }),
        (moment(), moment()).prop_map(|(from, until)| NotificationItem::Unwatched { from, until }),
        week_reported(),
        unresolved,
        resolved,
        any::<u32>().prop_map(|kept| NotificationItem::EmptyListRefused { kept }),
        any::<u32>().prop_map(|total| NotificationItem::ListRestored { total }),
        (vec(target(), 0..60), any::<u32>())
            .prop_map(|(targets, total)| NotificationItem::TargetsAdded { targets, total }),
        (vec(target(), 0..60), any::<u32>())
            .prop_map(|(targets, total)| NotificationItem::TargetsRemoved { targets, total }),
    ]
}

fn week_reported() -> impl Strategy<Value = NotificationItem> {
    let row = || {
        (target(), text(), any::<u64>(), any::<u64>(), any::<u32>()).prop_map(
            |(target, name, observed_secs, down_secs, outages)| ReportRow {
                target,
                name,
                observed_secs,
                down_secs,
                outages,
            },
        )
    };
    let rows = || (vec(row(), 0..11), any::<u32>()).prop_map(|(shown, more)| Shortlist { shown, more });
    let version = (text(), moment(), any::<u32>(), any::<u32>())
        .prop_map(|(version, ends_at, runners, targets)| ReportedVersion { version, ends_at, runners, targets });
    let removal = (target(), text(), moment()).prop_map(|(target, runner, earliest)| ReportedRemoval {
        target,
        runner,
        earliest,
    });
    let versions = (vec(version, 0..11), any::<u32>()).prop_map(|(shown, more)| Shortlist { shown, more });
    let removals = (vec(removal, 0..11), any::<u32>()).prop_map(|(shown, more)| Shortlist { shown, more });
    let lists = (rows(), rows(), rows(), versions, removals);
    (moment(), moment(), any::<[u32; 6]>(), any::<[u64; 3]>(), lists).prop_map(|(from, until, counts, secs, lists)| {
        let [targets, unread, runners, outages, recovered, pools] = counts;
        let [observed_secs, down_secs, recovery_secs] = secs;
        let checks = Some(PlannedChecks { planned: observed_secs, missed: down_secs });
        let (worst_targets, worst_pools, worst_runners, versions, removals) = lists;
        NotificationItem::WeekReported {
            report: Box::new(WeeklyReport {
                from,
                until,
                targets,
                unread,
                runners,
                observed_secs,
                down_secs,
                outages,
                recovered,
                recovery_secs,
                checks,
                pools,
                worst_targets,
                worst_pools,
                worst_runners,
                versions,
                removals,
            }),
        }
    })
}

fn notification() -> impl Strategy<Value = Notification> {
    let subject = prop_oneof![
        target().prop_map(|target| Subject::from(&target)),
        text().prop_map(|account| Subject::Credential(CredentialId::app_installation(&account))),
        Just(Subject::Credential(CredentialId::token())),
        Just(Subject::Monitor),
    ];
    let counts =
        (any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(total, online, down)| Counts { total, online, down });
    let size = prop_oneof![6 => 1..4_usize, 2 => 4..13_usize, 1 => 13..40_usize];
    let items = size.prop_flat_map(|size| vec(item(), size));
    (subject, option::of(target()), counts, items).prop_map(|(subject, target, counts, items)| Notification {
        subject,
        target,
        counts,
        items,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_notification_respects_the_limits_in_every_form(notification in notification()) {
        let web = WebBase::default();
        for form in [Form::Blocks, Form::PlainText] {
            limits::check(&render(&notification, form, &web));
        }
        let target = "acme/web".parse().unwrap();
        let open: Vec<Outage> = notification.items.iter().flat_map(open_in).cloned().collect();
        limits::check(&with_buttons(render(&notification, Form::Blocks, &web), &target, open.iter(), |_| false));
        let live = |form| render_live(&open, &notification, form, &[], &web);
        limits::check(&with_buttons(live(Form::Blocks), &target, open.iter(), |_| true));
        limits::check(&live(Form::PlainText));
        let console = render_console(&notification, false, &web);
        prop_assert!(console.chars().all(|c| c == '\n' || !c.is_control()), "{console:?}");
        prop_assert!(console.ends_with('\n'));
    }
}
