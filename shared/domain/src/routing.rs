//! Who is told what: a notice taken apart by channel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::change::RunnerName;
use crate::notices::{Flap, News, Notice};
use crate::outage::Outage;
use crate::policy::{Policy, TargetPolicy};
use crate::runner::RunnerId;

/// What of a notice goes to one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// The channel, by id or name; none for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// What it is told.
    pub notice: Notice,
}

/// Takes a notice apart by channel: the default's part first, then the others in the order of their names.
///
/// Every piece of news is in exactly one part, so that together they are the notice, and there is at least one. Only that
/// a whole target is no longer watched stands in each part with outages that this ends: it is their reason.
/// `labels` are those of the runners that the notice names without them.
pub fn split(notice: Notice, policy: &Policy, labels: &BTreeMap<RunnerId, Vec<String>>) -> Vec<Part> {
    let Some(target) = &notice.target else { return vec![Part { channel: None, notice }] };
    if policy.channels().next().is_none() {
        return vec![Part { channel: None, notice }];
    }
    let policy = policy.for_target(target);
    let mut parts: BTreeMap<Option<&str>, Vec<News>> = BTreeMap::new();
    for news in &notice.news {
        for (channel, news) in portions(news, &policy, labels) {
            parts.entry(channel).or_default().push(news);
        }
    }
    let part = |(channel, news): (Option<&str>, Vec<News>)| {
        let Notice { subject, target, counts, .. } = notice.clone();
        Part { channel: channel.map(str::to_owned), notice: Notice { subject, target, counts, news } }
    };
    let parts: Vec<Part> = parts.into_iter().map(part).collect();
    // A notice without news is none, but it would not be lost either.
    if parts.is_empty() { vec![Part { channel: None, notice }] } else { parts }
}

/// One piece of news by channel; no channel is the default and comes first.
fn portions<'p>(
    news: &News,
    policy: &'p TargetPolicy<'p>,
    labels: &BTreeMap<RunnerId, Vec<String>>,
) -> Vec<(Option<&'p str>, News)> {
    let of_outage = |outage: &Outage| policy.channel_for(&outage.runner_name, &outage.labels);
    let of_runner = |runner: &RunnerName| {
        let labels = labels.get(&runner.id).map_or(&[][..], |labels| &labels[..]);
        policy.channel_for(&runner.name, labels)
    };
    let of_flap = |flap: &Flap| of_runner(&flap.runner);
    match news {
        News::Offline { outages } => grouped(outages, of_outage, |outages| News::Offline { outages }),
        News::MuteEnded { outages } => grouped(outages, of_outage, |outages| News::MuteEnded { outages }),
        News::StillOffline { outages, noticed_at, is_last } => {
            let (noticed_at, is_last) = (*noticed_at, *is_last);
            grouped(outages, of_outage, |outages| News::StillOffline { outages, noticed_at, is_last })
        }
        News::Removed { outages } => grouped(outages, of_outage, |outages| News::Removed { outages }),
        News::MonitoringStarts { outages } => grouped(outages, of_outage, |outages| News::MonitoringStarts { outages }),
        News::Recovered { outages } => grouped(outages, of_outage, |outages| News::Recovered { outages }),
        News::CameAndWent { outages } => grouped(outages, of_outage, |outages| News::CameAndWent { outages }),
        News::Flapping { runners } => grouped(runners, of_flap, |runners| News::Flapping { runners }),
        News::Calm { runners } => grouped(runners, of_flap, |runners| News::Calm { runners }),
        News::Returned { runners } => grouped(runners, of_runner, |runners| News::Returned { runners }),
        News::NoLongerMonitored { outages, whole_target, again_since } => {
            let (whole_target, again_since) = (whole_target, *again_since);
            let ended = |outages| News::NoLongerMonitored { outages, whole_target: *whole_target, again_since };
            let mut portions = grouped(outages, of_outage, ended);
            if *whole_target && !portions.iter().any(|(channel, _)| *channel == policy.channel()) {
                portions.push((policy.channel(), ended(Vec::new())));
            }
            portions
        }
        News::Blind { .. }
        | News::SeesAgain { .. }
        | News::Expiring { .. }
        | News::EntriesUnresolved { .. }
        | News::EntriesResolved { .. }
        | News::EmptyListRefused { .. }
        | News::ListRestored { .. }
        | News::Unwatched { .. }
        | News::TargetsAdded { .. }
        | News::TargetsRemoved { .. } => vec![(policy.channel(), news.clone())],
    }
}

/// Things by channel, in their order.
fn grouped<'p, T: Clone>(
    things: &[T],
    channel_of: impl Fn(&T) -> Option<&'p str>,
    news: impl Fn(Vec<T>) -> News,
) -> Vec<(Option<&'p str>, News)> {
    let mut groups: BTreeMap<Option<&str>, Vec<T>> = BTreeMap::new();
    for thing in things {
        groups.entry(channel_of(thing)).or_default().push(thing.clone());
    }
    groups.into_iter().map(|(channel, things)| (channel, news(things))).collect()
}
