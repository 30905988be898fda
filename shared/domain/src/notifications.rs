//! From what happened to what is told: a pure fold over a subject's changes.

use serde::{Deserialize, Serialize};

use crate::change::{Change, Event, RunnerName, in_order_after};
use crate::fleet::Counts;
use crate::observation::Failure;
use crate::outage::{Ending, Outage, Visibility};
use crate::runner::{RunnerId, Status};
use crate::subject::{Revision, Subject};
use crate::target::Target;
use crate::time::Timestamp;

/// Everything that one message tells about one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// What it is about.
    pub subject: Subject,
    /// The target as people write it; none for a credential or the monitor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The target's runners after the last of these changes.
    pub counts: Counts,
    /// What is told, most urgent first; never empty.
    pub items: Vec<NotificationItem>,
}

/// One kind of thing that is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum NotificationItem {
    /// A target or credential cannot be seen.
    #[serde(rename_all = "camelCase")]
    Unreachable {
        /// When the first failed look began.
        since: Timestamp,
        /// Why.
        failure: Failure,
        /// How many targets that concerns.
        targets: u32,
    },
    /// Outages that opened and are still open.
    Offline {
        /// In the order in which they were confirmed.
        outages: Vec<Outage>,
    },
    /// Outages that a mute kept quiet, and that are still open after it.
    MuteEnded {
        /// In the order in which they were confirmed.
        outages: Vec<Outage>,
    },
    /// Outages that were told and are still open.
    #[serde(rename_all = "camelCase")]
    StillOffline {
        /// In the order in which they were confirmed.
        outages: Vec<Outage>,
        /// When that was found.
        raised_at: Timestamp,
        /// Whether nobody is reminded of them again.
        is_last: bool,
    },
    /// Runners that are no longer registered.
    Removed {
        /// The outages that this began or ended.
        outages: Vec<Outage>,
    },
    /// Runners that went offline too often to tell each time.
    Flapping {
        /// Which.
        runners: Vec<Flap>,
    },
    /// The first complete look found runners offline.
    MonitoringStarts {
        /// Those still offline.
        outages: Vec<Outage>,
    },
    /// Outages that ended.
    Recovered {
        /// In the order in which they ended.
        outages: Vec<Outage>,
    },
    /// Outages that opened and ended since the last message.
    CameAndWent {
        /// In the order in which they ended.
        outages: Vec<Outage>,
    },
    /// Runners that are registered again.
    Returned {
        /// Which.
        runners: Vec<RunnerName>,
    },
    /// Runners that flap no more.
    Calm {
        /// Which.
        runners: Vec<Flap>,
    },
    /// A target or credential that could not be seen can be.
    #[serde(rename_all = "camelCase")]
    ReachableAgain {
        /// When the first failed look began.
        since: Timestamp,
        /// When the first good look began.
        until: Timestamp,
    },
    /// What the policy or the list of targets no longer wants to hear of.
    #[serde(rename_all = "camelCase")]
    NoLongerMonitored {
        /// Outages that were open then.
        outages: Vec<Outage>,
        /// Whether that is the whole target.
        whole_target: bool,
        /// Since when the whole target is monitored again, where it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again_since: Option<Timestamp>,
    },
    /// The token expires soon.
    #[serde(rename_all = "camelCase")]
    Expiring {
        /// When.
        expires_at: Timestamp,
        /// When this was noticed.
        raised_at: Timestamp,
    },
    /// Entries of the list that cannot be resolved.
    EntriesUnresolved {
        /// Which.
        entries: Vec<UnresolvedItem>,
    },
    /// Entries of the list that can be resolved again.
    EntriesResolved {
        /// Which.
        entries: Vec<ResolvedItem>,
    },
    /// The list of targets came up empty: refused.
    EmptyListRefused {
        /// How many targets stay watched.
        kept: u32,
    },
    /// The list of targets is no longer empty.
    ListRestored {
        /// How many targets are watched.
        total: u32,
    },
    /// Nobody watched.
    Unwatched {
        /// The last sign of the monitor before.
        from: Timestamp,
        /// The first after.
        until: Timestamp,
    },
    /// New targets are watched.
    TargetsAdded {
        /// Which.
        targets: Vec<Target>,
        /// How many are watched now.
        total: u32,
    },
    /// Targets are no longer watched: the settings do not name them, or their `acme/*` does not find them any more.
    TargetsRemoved {
        /// Which.
        targets: Vec<Target>,
        /// How many are watched now.
        total: u32,
    },
}

/// An entry of the list that cannot be resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnresolvedItem {
    /// The entry as it is written, as in `acme/*`.
    pub entry: String,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub failure: Failure,
}

/// An entry of the list that can be resolved again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedItem {
    /// The entry as it is written, as in `acme/*`.
    pub entry: String,
    /// Since when it could not be.
    pub since: Timestamp,
    /// Since when it can be.
    pub until: Timestamp,
}

/// A runner that flaps or did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flap {
    /// Which.
    pub runner: RunnerName,
    /// When the first of its outages began.
    pub since: Timestamp,
    /// How many there were.
    pub outages: u32,
    /// Since when it is healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_since: Option<Timestamp>,
}

/// What a fold over changes comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingNotification {
    /// The last revision that was folded in. Changes after it wait for the end of their decision.
    pub through: Revision,
    /// What is to be told; none where nothing is.
    pub notification: Option<Notification>,
}

/// Folds the changes after `notified_through`, in order of their revisions, into one notice.
///
/// It stops before a decision whose last part is not there yet, and before a gap between the revisions ([`in_order_after`]).
pub fn pending_notification(
    subject: &Subject,
    target: Option<&Target>,
    notified_through: Revision,
    changes: &[Change],
) -> PendingNotification {
    let in_order = in_order_after(notified_through, changes);
    let whole = in_order.iter().rposition(|change| !change.more).map_or(0, |last| last + 1);
    let mut derivation = Derivation::default();
    for change in &in_order[..whole] {
        change.events.iter().for_each(|event| derivation.apply(event, change));
    }
    let last = in_order[..whole].last();
    let items = derivation.into_items();
    PendingNotification {
        through: last.map_or(notified_through, |change| change.revision),
        notification: (!items.is_empty()).then(|| Notification {
            subject: subject.clone(),
            target: target.cloned(),
            counts: last.map_or_else(Counts::default, |change| change.counts),
            items,
        }),
    }
}

struct Reminder {
    outage: Outage,
    at: Timestamp,
    is_last: bool,
}

fn is_same(a: &Outage, b: &Outage) -> bool {
    (a.runner_id, a.id) == (b.runner_id, b.id)
}

/// What is pending of a runner's flapping.
struct Flaps {
    /// Since when, and how many outages, of the times before the last.
    earlier: Option<(Timestamp, u32)>,
    last: Flap,
    is_over: bool,
}

impl Flaps {
    /// All times as one.
    fn in_all(&self) -> Flap {
        let (since, earlier) = self.earlier.unwrap_or((self.last.since, 0));
        Flap { since, outages: self.last.outages.saturating_add(earlier), ..self.last.clone() }
    }
}

#[derive(Default)]
struct Derivation {
    opened: Vec<Outage>,
    unmuted: Vec<Outage>,
    reminded: Vec<Reminder>,
    closed: Vec<Outage>,
    /// At most one for each runner.
    flaps: Vec<Flaps>,
    /// Runners that are registered again and have not left since.
    returned: Vec<RunnerName>,
    /// Runners whose last removal is followed by a registration, whether or not that is notified.
    back: Vec<RunnerId>,
    unreachable: Option<NotificationItem>,
    /// One for each gap that is over, the earliest first.
    reachable_again: Vec<NotificationItem>,
    dropped: bool,
    /// Since when the target is monitored again after it was dropped.
    again_since: Option<Timestamp>,
    /// Of which at most one of a kind is told, the latest.
    single: Vec<NotificationItem>,
    unresolved: Vec<UnresolvedItem>,
    resolved: Vec<ResolvedItem>,
    added: Vec<Target>,
    off_the_list: Vec<Target>,
    /// How many targets are on the list.
    listed: u32,
}

impl Derivation {
    fn apply(&mut self, event: &Event, change: &Change) {
        match event {
            Event::OutageOpened { outage } if outage.visibility.is_notified() => {
                // Single outages of a flapping runner are not notified: this one ended the flapping.
                self.flaps.retain(|flaps| flaps.is_over || flaps.last.runner.id != outage.runner_id);
                self.opened.push((**outage).clone());
            }
            Event::OutageClosed { outage } => {
                if outage.ending == Some(Ending::Removed) {
                    self.left(outage.runner_id, &outage.runner_name);
                }
                if outage.visibility.is_notified() {
                    self.closed.push((**outage).clone());
                }
            }
            // Found anew after its target was dropped, it has a new id: who was removed under its name is not missing.
            Event::Registered { runner } => {
                let removed = self.closed.iter().filter(|outage| outage.ending == Some(Ending::Removed));
                let namesakes = removed.filter(|outage| outage.runner_name == runner.name);
                self.back.extend(namesakes.map(|outage| outage.runner_id));
            }
            // Also of a removal that is not notified, what was pending of the runner is no longer so.
            Event::StatusChanged { runner, to: Status::Unknown, .. } => self.left(runner.id, &runner.name),
            Event::MuteEnded { outage } => self.unmuted.push((**outage).clone()),
            Event::Reminded { outage, is_last } => {
                self.reminded.retain(|known| !is_same(&known.outage, outage));
                let outage = (**outage).clone();
                self.reminded.push(Reminder { outage, at: change.decided_at, is_last: *is_last });
            }
            Event::FlappingStarted { muted: true, .. } | Event::FlappingEnded { muted: true, .. } => {}
            Event::FlappingStarted { runner, since, outages, .. } => {
                let runner = runner.clone();
                self.flap(Flap { runner, since: *since, outages: *outages, healthy_since: None }, false);
            }
            Event::FlappingEnded { runner, since, outages, healthy_since, .. } => {
                if healthy_since.is_none() {
                    self.left(runner.id, &runner.name);
                }
                let (runner, healthy_since) = (runner.clone(), *healthy_since);
                self.flap(Flap { runner, since: *since, outages: *outages, healthy_since }, true);
            }
            Event::Returned { runner, alerted, .. } => {
                self.left(runner.id, &runner.name);
                self.back.push(runner.id);
                // What flapped when it was removed is no longer watched only until it is back.
                let before = self.flaps.len();
                self.flaps.retain(|flaps| {
                    flaps.last.runner.id != runner.id || !flaps.is_over || flaps.last.healthy_since.is_some()
                });
                if *alerted || self.flaps.len() < before {
                    self.returned.push(runner.clone());
                }
            }
            Event::BecameUnreachable { since, failure, targets } => {
                self.unreachable =
                    Some(NotificationItem::Unreachable { since: *since, failure: failure.clone(), targets: *targets });
            }
            Event::ReachableAgain { since, until, notified: true } => {
                self.unreachable = None;
                self.reachable_again.push(NotificationItem::ReachableAgain { since: *since, until: *until });
            }
            Event::Dropped { notified: true } => {
                self.dropped = true;
                self.again_since = None;
                self.unreachable = None;
                self.flaps.retain(|flaps| flaps.is_over);
            }
            Event::Dropped { notified: false } => self.again_since = None,
            Event::MonitoringStarted => self.again_since = Some(change.observed_at),
            Event::CredentialExpiring { expires_at } => {
                self.only(NotificationItem::Expiring { expires_at: *expires_at, raised_at: change.decided_at });
            }
            Event::TargetsAdded { targets, total } => {
                // What left the list and is on it again has not left it.
                self.off_the_list.retain(|target| !targets.contains(target));
                self.added.retain(|target| !targets.contains(target));
                self.added.extend_from_slice(targets);
                self.listed = *total;
            }
            Event::TargetsRemoved { targets, total } => {
                self.added.retain(|target| !targets.contains(target));
                self.off_the_list.retain(|target| !targets.contains(target));
                self.off_the_list.extend_from_slice(targets);
                self.listed = *total;
            }
            Event::EntryUnresolved { entry, since, failure } => {
                self.resolved.retain(|resolved| resolved.entry != *entry);
                let (entry, failure) = (entry.clone(), failure.clone());
                self.unresolved.push(UnresolvedItem { entry, since: *since, failure });
            }
            Event::EntryResolved { entry, since, until, notified: true } => {
                self.unresolved.retain(|unresolved| unresolved.entry != *entry);
                self.resolved.push(ResolvedItem { entry: entry.clone(), since: *since, until: *until });
            }
            Event::EmptyListRefused { kept } => {
                self.single.retain(|item| !matches!(item, NotificationItem::ListRestored { .. }));
                self.only(NotificationItem::EmptyListRefused { kept: *kept });
            }
            Event::ListRestored { total } => {
                self.single.retain(|item| !matches!(item, NotificationItem::EmptyListRefused { .. }));
                self.only(NotificationItem::ListRestored { total: *total });
            }
            Event::Unwatched { from, until } => {
                self.single.push(NotificationItem::Unwatched { from: *from, until: *until })
            }
            _ => {}
        }
    }

    /// A runner is not registered, or has just been registered again. Its name counts too: after its target was dropped and
    /// monitored again it has a new id.
    fn left(&mut self, runner: RunnerId, name: &str) {
        self.returned.retain(|known| known.id != runner && known.name != name);
        self.back.retain(|known| *known != runner);
    }

    /// A runner flaps, or does so no more.
    fn flap(&mut self, last: Flap, is_over: bool) {
        let is_same = |known: &RunnerName| known.id == last.runner.id || known.name == last.runner.name;
        match self.flaps.iter_mut().find(|flaps| is_same(&flaps.last.runner)) {
            Some(flaps) if flaps.last.since == last.since => (flaps.last, flaps.is_over) = (last, is_over),
            Some(flaps) => {
                let Flap { since, outages, .. } = flaps.in_all();
                *flaps = Flaps { earlier: Some((since, outages)), last, is_over };
            }
            None => self.flaps.push(Flaps { earlier: None, last, is_over }),
        }
    }

    /// Puts a piece of news in the place of an earlier one of its kind.
    fn only(&mut self, item: NotificationItem) {
        self.single.retain(|known| std::mem::discriminant(known) != std::mem::discriminant(&item));
        self.single.push(item);
    }

    /// Sorts outages by what became of them, and the rest by urgency.
    fn into_items(self) -> Vec<NotificationItem> {
        let Derivation {
            opened,
            mut unmuted,
            mut reminded,
            closed,
            flaps,
            returned,
            back,
            unreachable,
            reachable_again,
            dropped,
            again_since,
            single,
            unresolved,
            resolved,
            added,
            off_the_list,
            listed: total,
        } = self;
        let in_all = |is_over: bool| {
            let these = flaps.iter().filter(|flaps| flaps.is_over == is_over);
            these.map(Flaps::in_all).collect::<Vec<_>>()
        };
        let (flapping, calm) = (in_all(false), in_all(true));
        let (mut recovered, mut came_and_went, mut removed, mut unwatched) = (vec![], vec![], vec![], vec![]);
        for outage in &closed {
            // A removed runner that is registered again is not missing: its outage is over.
            let is_missing = outage.ending == Some(Ending::Removed) && !back.contains(&outage.runner_id);
            let is_later = |other: &Outage| {
                (other.runner_id == outage.runner_id || other.runner_name == outage.runner_name) && other.id > outage.id
            };
            let is_last = !closed.iter().any(is_later);
            let list = match outage.ending {
                _ if is_missing && is_last => &mut removed,
                Some(Ending::NoLongerMonitored) => &mut unwatched,
                _ if opened.iter().chain(&unmuted).any(|opened| is_same(opened, outage)) => &mut came_and_went,
                _ => &mut recovered,
            };
            list.push(outage.clone());
        }
        let is_over = |outage: &Outage| closed.iter().any(|closed| is_same(closed, outage));
        unmuted.retain(|outage| !is_over(outage));
        // Whoever hears of an outage for the first time needs no reminder of it.
        let is_new = |outage: &Outage| opened.iter().chain(&unmuted).any(|known| is_same(known, outage));
        reminded.retain(|reminder| !is_over(&reminder.outage) && !is_new(&reminder.outage));
        let still_open = opened.into_iter().filter(|opened| !is_over(opened));
        let (baseline, alerts): (Vec<_>, Vec<_>) =
            still_open.partition(|outage| outage.visibility == Visibility::Baseline);

        let mut items = Vec::new();
        let is_unreachable = unreachable.is_some();
        items.extend(unreachable);
        if !unresolved.is_empty() {
            items.push(NotificationItem::EntriesUnresolved { entries: unresolved });
        }
        let (mut expiring, mut others) = (Vec::new(), Vec::new());
        for one in single {
            if matches!(one, NotificationItem::Expiring { .. } | NotificationItem::EmptyListRefused { .. }) {
                expiring.push(one)
            } else {
                others.push(one)
            }
        }
        items.append(&mut expiring);
        let mut add = |one: NotificationItem, is_empty: bool| {
            if !is_empty {
                items.push(one);
            }
        };
        let empty = |outages: &Vec<Outage>| outages.is_empty();
        add(NotificationItem::Offline { outages: alerts.clone() }, empty(&alerts));
        add(NotificationItem::MuteEnded { outages: unmuted.clone() }, empty(&unmuted));
        // The last reminder of one outage says nothing about another.
        for is_last in [false, true] {
            let these = || reminded.iter().filter(|reminder| reminder.is_last == is_last);
            if let Some(raised_at) = these().map(|reminder| reminder.at).max() {
                let outages = these().map(|reminder| reminder.outage.clone()).collect();
                add(NotificationItem::StillOffline { outages, raised_at, is_last }, false);
            }
        }
        add(NotificationItem::Removed { outages: removed.clone() }, empty(&removed));
        add(NotificationItem::Flapping { runners: flapping.clone() }, flapping.is_empty());
        add(NotificationItem::MonitoringStarts { outages: baseline.clone() }, empty(&baseline));
        add(NotificationItem::Recovered { outages: recovered.clone() }, empty(&recovered));
        add(NotificationItem::CameAndWent { outages: came_and_went.clone() }, empty(&came_and_went));
        add(NotificationItem::Returned { runners: returned.clone() }, returned.is_empty());
        add(NotificationItem::Calm { runners: calm.clone() }, calm.is_empty());
        let nothing_dropped = unwatched.is_empty() && !dropped;
        let again_since = again_since.filter(|_| dropped);
        add(
            NotificationItem::NoLongerMonitored { outages: unwatched, whole_target: dropped, again_since },
            nothing_dropped,
        );
        items.extend(reachable_again.into_iter().filter(|_| !is_unreachable));
        if !resolved.is_empty() {
            items.push(NotificationItem::EntriesResolved { entries: resolved });
        }
        items.append(&mut others);
        if !off_the_list.is_empty() {
            items.push(NotificationItem::TargetsRemoved { targets: off_the_list, total });
        }
        if !added.is_empty() {
            items.push(NotificationItem::TargetsAdded { targets: added, total });
        }
        items
    }
}
