//! Derives the pending notification of a subject from its committed changes.

use serde::{Deserialize, Serialize};

use crate::change::{Change, Event, RunnerName, in_order_after};
use crate::fleet::Counts;
use crate::observation::Failure;
use crate::outage::{Ending, Outage, OutageId, Visibility};
use crate::runner::{RunnerId, Status};
use crate::subject::{Revision, Subject};
use crate::target::Target;
use crate::time::Timestamp;
use crate::weekly::WeeklyReport;

/// Everything that one message says about one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// The target, credential or monitor that it is about.
    pub subject: Subject,
    /// The target as people write it; `None` for a credential or the monitor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The target's runners after the last of these changes.
    pub counts: Counts,
    /// The items, most urgent first; never empty.
    pub items: Vec<NotificationItem>,
}

impl Notification {
    /// Whether it only edits earlier messages: nothing new is sent.
    pub fn is_edit_only(&self) -> bool {
        self.items.iter().all(|item| matches!(item, NotificationItem::QueuesChanged { .. }))
    }
}

/// One item of a notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum NotificationItem {
    /// A target or credential is unreachable.
    #[serde(rename_all = "camelCase")]
    Unreachable {
        /// When the first failed check started.
        since: Timestamp,
        /// Why the latest check failed.
        failure: Failure,
        /// The number of targets affected.
        targets: u32,
    },
    /// Outages that opened and are still open.
    Offline {
        /// In the order in which they were confirmed.
        outages: Vec<Outage>,
    },
    /// Queues in which jobs wait too long.
    JobsWaiting {
        /// In the order in which they were confirmed.
        queues: Vec<Outage>,
    },
    /// Queues in which jobs still wait after they were notified.
    #[serde(rename_all = "camelCase")]
    JobsStillWaiting {
        /// In the order in which they were confirmed.
        queues: Vec<Outage>,
        /// When the reminder was decided.
        raised_at: Timestamp,
    },
    /// Queues in which other jobs wait than their alert says. The alert is edited; nothing is sent about them.
    QueuesChanged {
        /// In the order in which they changed.
        queues: Vec<Outage>,
    },
    /// Queues in which no job waits too long any more.
    JobsTaken {
        /// In the order in which they ended.
        queues: Vec<Outage>,
    },
    /// Outages that were suppressed by a mute and are still open after it.
    MuteEnded {
        /// In the order in which they were confirmed.
        outages: Vec<Outage>,
    },
    /// Outages that were notified before and are still open.
    #[serde(rename_all = "camelCase")]
    StillOffline {
        /// In the order in which they were confirmed.
        outages: Vec<Outage>,
        /// When the reminder was decided.
        raised_at: Timestamp,
        /// Whether this is the last reminder.
        is_last: bool,
    },
    /// Runners that are still offline and that GitHub will soon remove.
    #[serde(rename_all = "camelCase")]
    RemovalNear {
        /// In the order in which they were warned of; [`Outage::removal`] says when.
        outages: Vec<Outage>,
        /// When the check that led to the latest of these warnings started.
        raised_at: Timestamp,
    },
    /// Runners with a version to which GitHub soon gives no more jobs, or gives none any more.
    #[serde(rename_all = "camelCase")]
    VersionEnding {
        /// The version.
        version: String,
        /// When GitHub gives it no more jobs.
        ends_at: Timestamp,
        /// When the check that led to the warning started.
        raised_at: Timestamp,
        /// The runners that have it.
        runners: Vec<RunnerName>,
    },
    /// Runners that are no longer registered.
    Removed {
        /// The outages that the removal started or ended.
        outages: Vec<Outage>,
    },
    /// Runners that go offline too often to notify each outage.
    Flapping {
        /// The flapping runners.
        runners: Vec<Flap>,
    },
    /// The first complete check found runners offline.
    MonitoringStarts {
        /// The outages that are still open.
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
        /// The returned runners.
        runners: Vec<RunnerName>,
    },
    /// Runners that stopped flapping.
    Calm {
        /// The runners that have stopped.
        runners: Vec<Flap>,
    },
    /// A target or credential is reachable again.
    #[serde(rename_all = "camelCase")]
    ReachableAgain {
        /// When the first failed check started.
        since: Timestamp,
        /// When the first successful check started.
        until: Timestamp,
    },
    /// Runners or a target that the policy or the list of targets excludes now.
    #[serde(rename_all = "camelCase")]
    NoLongerMonitored {
        /// The outages that were open at that time.
        outages: Vec<Outage>,
        /// Whether the whole target is excluded.
        whole_target: bool,
        /// When monitoring of the whole target started again, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again_since: Option<Timestamp>,
    },
    /// The token expires soon, or has expired.
    #[serde(rename_all = "camelCase")]
    Expiring {
        /// When the token expires.
        expires_at: Timestamp,
        /// When the warning was decided.
        raised_at: Timestamp,
    },
    /// Entries of the list that cannot be resolved.
    EntriesUnresolved {
        /// The unresolved entries.
        entries: Vec<UnresolvedItem>,
    },
    /// Entries of the list that can be resolved again.
    EntriesResolved {
        /// The resolved entries.
        entries: Vec<ResolvedItem>,
    },
    /// The list of targets became empty. The empty list was refused.
    EmptyListRefused {
        /// The number of targets that stay monitored.
        kept: u32,
    },
    /// The list of targets is no longer empty.
    ListRestored {
        /// The number of targets monitored now.
        total: u32,
    },
    /// The monitor did not run.
    Unwatched {
        /// The last tick before the gap.
        from: Timestamp,
        /// The first tick after the gap.
        until: Timestamp,
    },
    /// The weekly report.
    WeekReported {
        /// What it says.
        report: Box<WeeklyReport>,
    },
    /// Targets were added to the list.
    TargetsAdded {
        /// The added targets.
        targets: Vec<Target>,
        /// The number of targets monitored now.
        total: u32,
    },
    /// Targets are no longer monitored: the settings do not name them, or their `acme/*` no longer finds them.
    TargetsRemoved {
        /// The removed targets.
        targets: Vec<Target>,
        /// The number of targets monitored now.
        total: u32,
    },
}

/// An entry of the list that cannot be resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnresolvedItem {
    /// The entry as written, for example `acme/*`.
    pub entry: String,
    /// When it first could not be resolved.
    pub since: Timestamp,
    /// Why it cannot be resolved.
    pub failure: Failure,
}

/// An entry of the list that can be resolved again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedItem {
    /// The entry as written, for example `acme/*`.
    pub entry: String,
    /// When it first could not be resolved.
    pub since: Timestamp,
    /// When it was resolved again.
    pub until: Timestamp,
}

/// A runner that flaps, or that has stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flap {
    /// The runner.
    pub runner: RunnerName,
    /// When the first of its outages started.
    pub since: Timestamp,
    /// The number of outages.
    pub outages: u32,
    /// Since when it has been healthy; `None` while it flaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_since: Option<Timestamp>,
}

/// The result of deriving a notification from changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingNotification {
    /// The last revision taken into account. Later changes wait for the rest of their decision.
    pub through: Revision,
    /// The pending notification; `None` if there is nothing to notify.
    pub notification: Option<Notification>,
}

/// Derives one notification from the changes after `notified_through`, in order of their revisions.
///
/// It stops before a decision whose last part is not committed yet, and before a gap in the revisions
/// ([`in_order_after`]).
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

/// The pending flapping of one runner.
struct Flaps {
    /// The start and the number of outages of earlier periods of flapping.
    earlier: Option<(Timestamp, u32)>,
    last: Flap,
    is_over: bool,
}

impl Flaps {
    /// All periods of flapping as one.
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
    /// At most one per queue, with the jobs that wait now.
    queues_changed: Vec<Outage>,
    /// Outages of runners that GitHub will soon remove, each with the time of its latest warning.
    to_be_removed: Vec<(Outage, Timestamp)>,
    /// At most one per version, soonest end first.
    versions: Vec<NotificationItem>,
    closed: Vec<Outage>,
    /// At most one per runner.
    flaps: Vec<Flaps>,
    /// Runners that returned and have not been removed since.
    returned: Vec<RunnerName>,
    /// Outages whose runner was registered again afterwards, whether or not that is notified.
    over: Vec<(RunnerId, OutageId)>,
    unreachable: Option<NotificationItem>,
    /// One per gap that is over, earliest first.
    reachable_again: Vec<NotificationItem>,
    dropped: bool,
    /// When monitoring of the target started again after it was dropped.
    again_since: Option<Timestamp>,
    /// Items of which at most one of each kind is notified, the latest.
    single: Vec<NotificationItem>,
    /// One per week, earliest first.
    reports: Vec<NotificationItem>,
    unresolved: Vec<UnresolvedItem>,
    resolved: Vec<ResolvedItem>,
    added: Vec<Target>,
    off_the_list: Vec<Target>,
    /// The number of targets on the list.
    listed: u32,
}

impl Derivation {
    fn apply(&mut self, event: &Event, change: &Change) {
        match event {
            Event::OutageOpened { outage } if outage.visibility.is_notified() => {
                // Individual outages of a flapping runner are not notified: this one ended the flapping.
                self.flaps.retain(|flaps| flaps.is_over || flaps.last.runner.id != outage.runner_id);
                self.opened.push((**outage).clone());
            }
            Event::OutageClosed { outage } => {
                if outage.ending == Some(Ending::Removed) {
                    self.clear_return(outage.runner_id, &outage.runner_name);
                }
                if outage.visibility.is_notified() {
                    self.closed.push((**outage).clone());
                }
            }
            // After its target was dropped it has a new id, so a pending removal under its name is taken back.
            Event::Registered { runner } => {
                let removed = self.closed.iter().filter(|outage| outage.ending == Some(Ending::Removed));
                let namesakes = removed.filter(|outage| outage.runner_name == runner.name);
                self.over.extend(namesakes.map(|outage| (outage.runner_id, outage.id)));
            }
            // Also of a removal that is not notified, what was pending of the runner is no longer so.
            Event::StatusChanged { runner, to: Status::Unknown, .. } => self.clear_return(runner.id, &runner.name),
            Event::QueueChanged { outage } if outage.visibility.is_notified() => self.change_queue(outage),
            Event::MuteEnded { outage } => self.unmuted.push((**outage).clone()),
            Event::Reminded { outage, is_last } => {
                self.reminded.retain(|known| !is_same(&known.outage, outage));
                let outage = (**outage).clone();
                self.reminded.push(Reminder { outage, at: change.decided_at, is_last: *is_last });
            }
            Event::RemovalNear { outage, .. } => {
                self.to_be_removed.retain(|(known, _)| !is_same(known, outage));
                self.to_be_removed.push(((**outage).clone(), change.observed_at));
            }
            Event::VersionEnding { version, ends_at, runners, .. } => {
                self.versions.retain(|known| !matches!(known, NotificationItem::VersionEnding { version: known, .. } if known == version));
                self.versions.push(NotificationItem::VersionEnding {
                    version: version.clone(),
                    ends_at: *ends_at,
                    raised_at: change.observed_at,
                    runners: runners.clone(),
                });
            }
            Event::FlappingStarted { muted: true, .. } | Event::FlappingEnded { muted: true, .. } => {}
            Event::FlappingStarted { runner, since, outages, .. } => {
                let runner = runner.clone();
                self.flap(Flap { runner, since: *since, outages: *outages, healthy_since: None }, false);
            }
            Event::FlappingEnded { runner, since, outages, healthy_since, .. } => {
                if healthy_since.is_none() {
                    self.clear_return(runner.id, &runner.name);
                }
                let (runner, healthy_since) = (runner.clone(), *healthy_since);
                self.flap(Flap { runner, since: *since, outages: *outages, healthy_since }, true);
            }
            Event::Returned { runner, alerted, .. } => {
                self.clear_return(runner.id, &runner.name);
                let own = self.closed.iter().filter(|outage| outage.runner_id == runner.id);
                self.over.extend(own.map(|outage| (outage.runner_id, outage.id)));
                // A runner removed while it flapped is no longer monitored only until it returns.
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
                self.versions.clear();
                // Nobody knows whether they are still registered.
                self.returned.clear();
            }
            Event::Dropped { notified: false } => {
                self.again_since = None;
                self.versions.clear();
                self.returned.clear();
            }
            Event::MonitoringStarted => self.again_since = Some(change.observed_at),
            Event::CredentialExpiring { expires_at } => {
                self.only(NotificationItem::Expiring { expires_at: *expires_at, raised_at: change.decided_at });
            }
            Event::TargetsAdded { targets, total } => {
                // A target that is on the list again was never removed from it.
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
            Event::WeekReported { report } => {
                self.reports.push(NotificationItem::WeekReported { report: report.clone() })
            }
            _ => {}
        }
    }

    /// Resets what is known of a runner's return: it was removed, or has just returned. Its name counts too: after its target
    /// was dropped and monitored again it has a new id.
    fn clear_return(&mut self, runner: RunnerId, name: &str) {
        self.returned.retain(|known| known.id != runner && known.name != name);
    }

    /// Notes which jobs wait in a queue now. An alert that is still pending says so itself.
    fn change_queue(&mut self, queue: &Outage) {
        let mut pending = self.opened.iter_mut().chain(&mut self.unmuted);
        match pending.find(|known| is_same(known, queue)) {
            Some(known) => known.waiting.clone_from(&queue.waiting),
            None => {
                self.queues_changed.retain(|known| !is_same(known, queue));
                self.queues_changed.push(queue.clone());
            }
        }
    }

    /// Notes that a runner flaps, or that it has stopped.
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

    /// Replaces an earlier item of the same kind.
    fn only(&mut self, item: NotificationItem) {
        self.single.retain(|known| std::mem::discriminant(known) != std::mem::discriminant(&item));
        self.single.push(item);
    }

    /// Sorts outages by their outcome, and the other items by urgency.
    fn into_items(self) -> Vec<NotificationItem> {
        let Derivation {
            opened,
            mut unmuted,
            mut reminded,
            mut queues_changed,
            mut to_be_removed,
            mut versions,
            closed,
            flaps,
            returned,
            over,
            unreachable,
            reachable_again,
            dropped,
            again_since,
            single,
            mut reports,
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
            let is_missing = outage.ending == Some(Ending::Removed) && !over.contains(&(outage.runner_id, outage.id));
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
        // The first notification of an outage makes a reminder of it redundant.
        let is_new = |outage: &Outage| opened.iter().chain(&unmuted).any(|known| is_same(known, outage));
        reminded.retain(|reminder| !is_over(&reminder.outage) && !is_new(&reminder.outage));
        to_be_removed.retain(|(outage, _)| !is_over(outage));
        queues_changed.retain(|outage| !is_over(outage));
        let is_queue = |outage: &Outage| outage.waiting.is_some();
        let (mut waiting, mut taken) = (Vec::new(), Vec::new());
        waiting.extend(opened.iter().filter(|opened| is_queue(opened) && !is_over(opened)).cloned());
        waiting.extend(unmuted.extract_if(.., |outage| is_queue(outage)));
        let still_waiting: Vec<Reminder> = reminded.extract_if(.., |reminder| is_queue(&reminder.outage)).collect();
        for ended in [&mut recovered, &mut came_and_went, &mut unwatched] {
            taken.extend(ended.extract_if(.., |outage| is_queue(outage)));
        }
        let still_open = opened.into_iter().filter(|opened| !is_over(opened) && !is_queue(opened));
        let (baseline, mut alerts): (Vec<_>, Vec<_>) =
            still_open.partition(|outage| outage.visibility == Visibility::Baseline);
        // What a pool lacks says more than which runner it lacks.
        alerts.sort_by_key(|outage| outage.pool.is_none());

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
        add(NotificationItem::JobsWaiting { queues: waiting.clone() }, empty(&waiting));
        if let Some(raised_at) = still_waiting.iter().map(|reminder| reminder.at).max() {
            let queues = still_waiting.into_iter().map(|reminder| reminder.outage).collect();
            add(NotificationItem::JobsStillWaiting { queues, raised_at }, false);
        }
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
        if let Some(raised_at) = to_be_removed.iter().map(|(_, at)| *at).max() {
            let outages = to_be_removed.into_iter().map(|(outage, _)| outage).collect();
            add(NotificationItem::RemovalNear { outages, raised_at }, false);
        }
        versions.sort_by_key(|item| match item {
            NotificationItem::VersionEnding { ends_at, .. } => Some(*ends_at),
            _ => None,
        });
        versions.into_iter().for_each(|item| add(item, false));
        add(NotificationItem::Removed { outages: removed.clone() }, empty(&removed));
        add(NotificationItem::Flapping { runners: flapping.clone() }, flapping.is_empty());
        add(NotificationItem::MonitoringStarts { outages: baseline.clone() }, empty(&baseline));
        add(NotificationItem::JobsTaken { queues: taken.clone() }, empty(&taken));
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
        items.append(&mut reports);
        if !queues_changed.is_empty() {
            items.push(NotificationItem::QueuesChanged { queues: queues_changed });
        }
        items
    }
}
