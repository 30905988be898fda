//! Splitting a notification by channel: nothing is lost, nothing is duplicated, and every item has a channel.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use monitor_domain::change::RunnerName;
use monitor_domain::fleet::Counts;
use monitor_domain::notifications::{Flap, Notification, NotificationItem};
use monitor_domain::outage::{Outage, OutageId, Peers, Visibility};
use monitor_domain::policy::Policy;
use monitor_domain::routing::{Part, split};
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::{Target, TargetSpec};
use monitor_domain::time::Timestamp;
use proptest::prelude::*;

const LABELS: [&str; 3] = ["linux", "gpu", "arm64"];
/// Runner `n` has the `n % 4`-th name. None of the policies below matches the last.
const NAMES: [&str; 4] = ["build", "spot", "gpu", "other"];
const POLICIES: [&str; 5] = [
    "{}",
    r##"{"targets":{"acme/*":{"channel":"#web"}}}"##,
    r##"{"labels":{"gpu":{"channel":"#gpu"}}}"##,
    r##"{"labels":{"gpu":{"channel":"#gpu"},"arm*":{"channel":"#arm"}},"runners":{"spot-*":{"channel":"#spot"}}}"##,
    r##"{"targets":{"acme/web":{"channel":"#web"}},"labels":{"linux":{"channel":"#gpu"}},"runners":{"gpu-*":{"channel":"#gpu"}}}"##,
];

fn name(runner: u64) -> String {
    format!("{}-{runner}", NAMES[usize::try_from(runner).unwrap() % NAMES.len()])
}

fn labels(runner: u64) -> Vec<String> {
    let label = LABELS[usize::try_from(runner / 4).unwrap() % LABELS.len()];
    vec!["self-hosted".to_owned(), label.to_owned()]
}

fn outage(runner: u64) -> Outage {
    let at = Timestamp::from_epoch_ms(1_800_000_000_000);
    Outage {
        id: OutageId(Revision(7)),
        runner_id: RunnerId(runner),
        current_id: RunnerId(runner),
        runner_name: name(runner),
        os: "linux".to_owned(),
        version: None,
        version_ended_at: None,
        lost_targets: None,
        ephemeral: false,
        pool: None,
        waiting: None,
        labels: labels(runner),
        status: Status::Offline,
        in_job: false,
        job: None,
        started_at: at,
        confirmed_at: at,
        last_healthy: None,
        connected_at: None,
        peers: Peers::default(),
        visibility: Visibility::Alerted,
        resolved_at: None,
        ending: None,
    }
}

fn flap(runner: u64) -> Flap {
    let since = Timestamp::from_epoch_ms(1_800_000_000_000);
    Flap { runner: runner_name(runner), since, outages: 3, healthy_since: None }
}

fn runner_name(runner: u64) -> RunnerName {
    RunnerName { id: RunnerId(runner), name: name(runner) }
}

fn item() -> impl Strategy<Value = NotificationItem> {
    let since = Timestamp::from_epoch_ms(0);
    let runners = || prop::collection::btree_set(0_u64..24, 1..12);
    fn outages(runners: BTreeSet<u64>) -> Vec<Outage> {
        runners.into_iter().map(outage).collect()
    }
    prop_oneof![
        runners().prop_map(|runners| NotificationItem::Offline { outages: outages(runners) }),
        runners().prop_map(|runners| NotificationItem::MuteEnded { outages: outages(runners) }),
        (runners(), any::<bool>()).prop_map(move |(runners, is_last)| {
            NotificationItem::StillOffline { outages: outages(runners), raised_at: since, is_last }
        }),
        runners().prop_map(|runners| NotificationItem::Removed { outages: outages(runners) }),
        runners().prop_map(|runners| NotificationItem::MonitoringStarts { outages: outages(runners) }),
        runners().prop_map(|runners| NotificationItem::Recovered { outages: outages(runners) }),
        runners().prop_map(|runners| NotificationItem::CameAndWent { outages: outages(runners) }),
        runners().prop_map(|runners| NotificationItem::Flapping { runners: runners.into_iter().map(flap).collect() }),
        runners().prop_map(|runners| NotificationItem::Calm { runners: runners.into_iter().map(flap).collect() }),
        runners()
            .prop_map(|runners| NotificationItem::Returned { runners: runners.into_iter().map(runner_name).collect() }),
        (prop::collection::btree_set(0_u64..24, 0..12), any::<bool>()).prop_map(|(runners, whole_target)| {
            let whole_target = whole_target || runners.is_empty();
            NotificationItem::NoLongerMonitored { outages: outages(runners), whole_target, again_since: None }
        }),
        Just(NotificationItem::ReachableAgain { since, until: since }),
    ]
}

fn notification(items: Vec<NotificationItem>) -> Notification {
    let target: Target = "acme/web".parse().unwrap();
    Notification { subject: Subject::from(&target), target: Some(target), counts: Counts::default(), items }
}

fn policy(json: &str) -> Policy {
    let configured: Vec<TargetSpec> = vec!["acme/web".parse().unwrap()];
    Policy::new(serde_json::from_str(json).unwrap(), &configured).unwrap()
}

/// The statements of an item: its kind, once per runner.
fn notified(item: &NotificationItem) -> Vec<(String, Option<u64>)> {
    let kind = serde_json::to_value(item).unwrap()["kind"].as_str().unwrap().to_owned();
    let runners: Vec<u64> = match item {
        NotificationItem::Offline { outages }
        | NotificationItem::MuteEnded { outages }
        | NotificationItem::StillOffline { outages, .. }
        | NotificationItem::Removed { outages }
        | NotificationItem::MonitoringStarts { outages }
        | NotificationItem::Recovered { outages }
        | NotificationItem::CameAndWent { outages }
        | NotificationItem::NoLongerMonitored { outages, .. } => {
            outages.iter().map(|outage| outage.runner_id.0).collect()
        }
        NotificationItem::Flapping { runners } | NotificationItem::Calm { runners } => {
            runners.iter().map(|flap| flap.runner.id.0).collect()
        }
        NotificationItem::Returned { runners } => runners.iter().map(|runner| runner.id.0).collect(),
        _ => return vec![(kind, None)],
    };
    runners.into_iter().map(|runner| (kind.clone(), Some(runner))).collect()
}

fn all_labels() -> BTreeMap<RunnerId, Vec<String>> {
    (0..24).map(|runner| (RunnerId(runner), labels(runner))).collect()
}

proptest! {
    #[test]
    fn the_parts_add_up_to_the_notification_and_each_item_goes_where_the_policy_says(
        items in prop::collection::vec(item(), 1..6),
        chosen in 0_usize..POLICIES.len(),
    ) {
        let (notification, policy) = (notification(items), policy(POLICIES[chosen]));
        let parts = split(notification.clone(), &policy, &all_labels());
        prop_assert!(!parts.is_empty());
        prop_assert_eq!(&split(notification.clone(), &policy, &all_labels()), &parts, "the same result twice");
        let channels: Vec<&Option<String>> = parts.iter().map(|part| &part.channel).collect();
        prop_assert!(channels.windows(2).all(|pair| pair[0] < pair[1]), "in order, each once: {:?}", channels);

        let mut before: Vec<_> = notification.items.iter().flat_map(notified).collect();
        let mut after: Vec<_> = parts.iter().flat_map(|part| &part.notification.items).flat_map(notified).collect();
        before.sort();
        after.sort();
        prop_assert_eq!(before, after, "nothing is lost, nothing is duplicated");

        let target = policy.for_target(notification.target.as_ref().unwrap());
        let ends = |item: &&NotificationItem| matches!(item, NotificationItem::NoLongerMonitored { whole_target: true, .. });
        for Part { channel, notification: of_part } in &parts {
            prop_assert!(!of_part.items.is_empty());
            prop_assert_eq!((&of_part.subject, of_part.counts), (&notification.subject, notification.counts));
            for (_, runner) in of_part.items.iter().flat_map(notified) {
                let wanted = match runner {
                    Some(runner) => target.channel_for(&name(runner), &labels(runner)),
                    None => target.channel(),
                };
                prop_assert_eq!(channel.as_deref(), wanted);
            }
        }
        let of_target = parts.iter().find(|part| part.channel.as_deref() == target.channel());
        let notified_there = of_target.map_or(0, |part| part.notification.items.iter().filter(ends).count());
        prop_assert_eq!(notified_there, notification.items.iter().filter(ends).count(), "the end of the whole target");
    }
}

#[test]
fn notifications_without_a_target_are_sent_to_the_default_channel() {
    let policy = policy(r##"{"targets":{"acme/web":{"channel":"#web"}}}"##);
    let unwatched =
        NotificationItem::Unwatched { from: Timestamp::from_epoch_ms(0), until: Timestamp::from_epoch_ms(9) };
    let of_monitor = Notification {
        subject: Subject::Monitor,
        target: None,
        counts: Counts::default(),
        items: vec![unwatched.clone()],
    };
    assert_eq!(
        split(of_monitor.clone(), &policy, &BTreeMap::new()),
        [Part { channel: None, notification: of_monitor }]
    );
    let of_target = split(notification(vec![unwatched]), &policy, &BTreeMap::new());
    assert_eq!(of_target[0].channel.as_deref(), Some("#web"));
}

#[test]
fn a_runner_without_known_labels_is_routed_by_its_name_and_target() {
    let policy = policy(POLICIES[3]);
    // 5 is spot-5 with gpu, 6 is gpu-6 with gpu.
    let flaps = NotificationItem::Flapping { runners: vec![flap(5), flap(6)] };
    let channels = |labels: &BTreeMap<RunnerId, Vec<String>>| {
        let parts = split(notification(vec![flaps.clone()]), &policy, labels);
        parts.into_iter().map(|part| part.channel.unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(channels(&all_labels()), ["#gpu", "#spot"]);
    assert_eq!(channels(&BTreeMap::new()), ["", "#spot"]);
}
