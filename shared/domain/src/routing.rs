//! Splits a notification by channel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::change::RunnerName;
use crate::notifications::{Flap, Notification, NotificationItem};
use crate::outage::Outage;
use crate::policy::{Policy, TargetPolicy};
use crate::runner::RunnerId;

/// The part of a notification that is sent to one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// The channel, by id or name; `None` for the default channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The items for this channel.
    pub notification: Notification,
}

/// Splits a notification by channel: the default channel's part first, then the others in order of their names.
///
/// There is at least one part, and every item is in exactly one part. One exception: if a whole target is no longer
/// monitored, each part with outages that this ends says so, because it is their reason. `labels` are those of the
/// runners that the notification names without labels.
pub fn split(notification: Notification, policy: &Policy, labels: &BTreeMap<RunnerId, Vec<String>>) -> Vec<Part> {
    let Some(target) = &notification.target else { return vec![Part { channel: None, notification }] };
    if policy.channels().next().is_none() {
        return vec![Part { channel: None, notification }];
    }
    let policy = policy.for_target(target);
    let mut parts: BTreeMap<Option<&str>, Vec<NotificationItem>> = BTreeMap::new();
    for item in &notification.items {
        for (channel, item) in portions(item, &policy, labels) {
            parts.entry(channel).or_default().push(item);
        }
    }
    let part = |(channel, items): (Option<&str>, Vec<NotificationItem>)| {
        let Notification { subject, target, counts, .. } = notification.clone();
        Part { channel: channel.map(str::to_owned), notification: Notification { subject, target, counts, items } }
    };
    let parts: Vec<Part> = parts.into_iter().map(part).collect();
    // A notification without items never occurs, but it would not be lost either.
    if parts.is_empty() { vec![Part { channel: None, notification }] } else { parts }
}

/// Splits one item by channel; `None` is the default channel and comes first.
fn portions<'p>(
    item: &NotificationItem,
    policy: &'p TargetPolicy<'p>,
    labels: &BTreeMap<RunnerId, Vec<String>>,
) -> Vec<(Option<&'p str>, NotificationItem)> {
    let of_outage = |outage: &Outage| policy.channel_for(&outage.runner_name, &outage.labels);
    let of_runner = |runner: &RunnerName| {
        let labels = labels.get(&runner.id).map_or(&[][..], |labels| &labels[..]);
        policy.channel_for(&runner.name, labels)
    };
    let of_flap = |flap: &Flap| of_runner(&flap.runner);
    match item {
        NotificationItem::Offline { outages } => {
            grouped(outages, of_outage, |outages| NotificationItem::Offline { outages })
        }
        NotificationItem::JobsWaiting { queues } => {
            grouped(queues, of_outage, |queues| NotificationItem::JobsWaiting { queues })
        }
        NotificationItem::JobsStillWaiting { queues, raised_at } => {
            let raised_at = *raised_at;
            grouped(queues, of_outage, |queues| NotificationItem::JobsStillWaiting { queues, raised_at })
        }
        NotificationItem::QueuesChanged { queues } => {
            grouped(queues, of_outage, |queues| NotificationItem::QueuesChanged { queues })
        }
        NotificationItem::JobsTaken { queues } => {
            grouped(queues, of_outage, |queues| NotificationItem::JobsTaken { queues })
        }
        NotificationItem::MuteEnded { outages } => {
            grouped(outages, of_outage, |outages| NotificationItem::MuteEnded { outages })
        }
        NotificationItem::StillOffline { outages, raised_at, is_last } => {
            let (raised_at, is_last) = (*raised_at, *is_last);
            grouped(outages, of_outage, |outages| NotificationItem::StillOffline { outages, raised_at, is_last })
        }
        NotificationItem::RemovalNear { outages, raised_at } => {
            let raised_at = *raised_at;
            grouped(outages, of_outage, |outages| NotificationItem::RemovalNear { outages, raised_at })
        }
        NotificationItem::VersionEnding { version, ends_at, raised_at, runners } => {
            let (ends_at, raised_at) = (*ends_at, *raised_at);
            grouped(runners, of_runner, |runners| {
                let version = version.clone();
                NotificationItem::VersionEnding { version, ends_at, raised_at, runners }
            })
        }
        NotificationItem::Removed { outages } => {
            grouped(outages, of_outage, |outages| NotificationItem::Removed { outages })
        }
        NotificationItem::MonitoringStarts { outages } => {
            grouped(outages, of_outage, |outages| NotificationItem::MonitoringStarts { outages })
        }
        NotificationItem::Recovered { outages } => {
            grouped(outages, of_outage, |outages| NotificationItem::Recovered { outages })
        }
        NotificationItem::CameAndWent { outages } => {
            grouped(outages, of_outage, |outages| NotificationItem::CameAndWent { outages })
        }
        NotificationItem::Flapping { runners } => {
            grouped(runners, of_flap, |runners| NotificationItem::Flapping { runners })
        }
        NotificationItem::Calm { runners } => grouped(runners, of_flap, |runners| NotificationItem::Calm { runners }),
        NotificationItem::Returned { runners } => {
            grouped(runners, of_runner, |runners| NotificationItem::Returned { runners })
        }
        NotificationItem::NoLongerMonitored { outages, whole_target, again_since } => {
            let (whole_target, again_since) = (whole_target, *again_since);
            let ended =
                |outages| NotificationItem::NoLongerMonitored { outages, whole_target: *whole_target, again_since };
            let mut portions = grouped(outages, of_outage, ended);
            if *whole_target && !portions.iter().any(|(channel, _)| *channel == policy.channel()) {
                portions.push((policy.channel(), ended(Vec::new())));
            }
            portions
        }
        NotificationItem::Unreachable { .. }
        | NotificationItem::ReachableAgain { .. }
        | NotificationItem::Expiring { .. }
        | NotificationItem::EntriesUnresolved { .. }
        | NotificationItem::EntriesResolved { .. }
        | NotificationItem::EmptyListRefused { .. }
        | NotificationItem::ListRestored { .. }
        | NotificationItem::Unwatched { .. }
        | NotificationItem::WeekReported { .. }
        | NotificationItem::TargetsAdded { .. }
        | NotificationItem::TargetsRemoved { .. } => vec![(policy.channel(), item.clone())],
    }
}

/// Groups things by channel, in their order.
fn grouped<'p, T: Clone>(
    things: &[T],
    channel_of: impl Fn(&T) -> Option<&'p str>,
    item: impl Fn(Vec<T>) -> NotificationItem,
) -> Vec<(Option<&'p str>, NotificationItem)> {
    let mut groups: BTreeMap<Option<&str>, Vec<T>> = BTreeMap::new();
    for thing in things {
        groups.entry(channel_of(thing)).or_default().push(thing.clone());
    }
    groups.into_iter().map(|(channel, things)| (channel, item(things))).collect()
}
