//! What a notification shows.

use std::collections::BTreeMap;

use monitor_domain::notifications::{Notification, NotificationItem};
use monitor_domain::outage::Outage;

/// One side of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Its start.
    Began,
    /// Its end.
    Ended,
}

/// The runner's name and the outage's number.
pub type OutageKey = (String, u64);

/// The key of an outage.
pub fn key_of(outage: &Outage) -> OutageKey {
    (outage.runner_name.clone(), outage.id.0.0)
}

/// The starts and ends of outages that a notification reports.
pub fn sides(notification: &Notification) -> Vec<(&Outage, Side)> {
    let mut sides = Vec::new();
    for item in &notification.items {
        match item {
            NotificationItem::Offline { outages }
            | NotificationItem::JobsWaiting { queues: outages }
            | NotificationItem::MonitoringStarts { outages }
            | NotificationItem::MuteEnded { outages } => {
                sides.extend(outages.iter().map(|outage| (outage, Side::Began)));
            }
            NotificationItem::Recovered { outages }
            | NotificationItem::Removed { outages }
            | NotificationItem::JobsTaken { queues: outages }
            | NotificationItem::NoLongerMonitored { outages, .. } => {
                sides.extend(outages.iter().map(|outage| (outage, Side::Ended)));
            }
            NotificationItem::CameAndWent { outages } => {
                sides.extend(outages.iter().flat_map(|outage| [(outage, Side::Began), (outage, Side::Ended)]));
            }
            _ => {}
        }
    }
    sides
}

/// The outages that a notification reports as newly open.
pub fn openings(notification: &Notification) -> impl Iterator<Item = &Outage> {
    notification.items.iter().flat_map(|item| match item {
        NotificationItem::Offline { outages }
        | NotificationItem::JobsWaiting { queues: outages }
        | NotificationItem::MonitoringStarts { outages }
        | NotificationItem::MuteEnded { outages } => &outages[..],
        _ => &[],
    })
}

/// The outages that a notification is a reminder of.
pub fn reminded(notification: &Notification) -> impl Iterator<Item = &Outage> {
    notification.items.iter().flat_map(|item| match item {
        NotificationItem::StillOffline { outages, .. } | NotificationItem::JobsStillWaiting { queues: outages, .. } => {
            &outages[..]
        }
        _ => &[],
    })
}

/// The outages of runners that a notification says GitHub will soon remove.
pub fn to_be_removed(notification: &Notification) -> impl Iterator<Item = &Outage> {
    notification
        .items
        .iter()
        .flat_map(|item| if let NotificationItem::RemovalNear { outages, .. } = item { &outages[..] } else { &[] })
}

/// How often each start and end is notified.
pub fn count<'a>(notifications: impl Iterator<Item = &'a Notification>) -> BTreeMap<(OutageKey, Side), usize> {
    let mut counts = BTreeMap::new();
    for (outage, side) in notifications.flat_map(sides) {
        *counts.entry((key_of(outage), side)).or_default() += 1;
    }
    counts
}

/// The name of a kind of notification item.
pub fn kind_of(item: &NotificationItem) -> &'static str {
    match item {
        NotificationItem::Unreachable { .. } => "unreachable",
        NotificationItem::Offline { .. } => "offline",
        NotificationItem::JobsWaiting { .. } => "jobs waiting",
        NotificationItem::JobsStillWaiting { .. } => "jobs still waiting",
        NotificationItem::QueuesChanged { .. } => "queues changed",
        NotificationItem::JobsTaken { .. } => "jobs taken",
        NotificationItem::MuteEnded { .. } => "mute ended",
        NotificationItem::StillOffline { .. } => "still offline",
        NotificationItem::RemovalNear { .. } => "removal near",
        NotificationItem::VersionEnding { .. } => "version ending",
        NotificationItem::Removed { .. } => "removed",
        NotificationItem::Flapping { .. } => "flapping",
        NotificationItem::MonitoringStarts { .. } => "monitoring starts",
        NotificationItem::Recovered { .. } => "recovered",
        NotificationItem::CameAndWent { .. } => "came and went",
        NotificationItem::Returned { .. } => "returned",
        NotificationItem::Calm { .. } => "calm",
        NotificationItem::ReachableAgain { .. } => "reachable again",
        NotificationItem::NoLongerMonitored { .. } => "no longer monitored",
        NotificationItem::Expiring { .. } => "expiring",
        NotificationItem::EntriesUnresolved { .. } => "entries unresolved",
        NotificationItem::EntriesResolved { .. } => "entries resolved",
        NotificationItem::EmptyListRefused { .. } => "empty list refused",
        NotificationItem::ListRestored { .. } => "list restored",
        NotificationItem::Unwatched { .. } => "unwatched",
        NotificationItem::WeekReported { .. } => "week reported",
        NotificationItem::TargetsAdded { .. } => "targets added",
        NotificationItem::TargetsRemoved { .. } => "targets removed",
    }
}
