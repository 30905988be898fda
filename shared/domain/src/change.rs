//! Committed changes in order: the outbox and the history of a subject.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fleet::Counts;
use crate::observation::Failure;
use crate::outage::{Ending, Outage, OutageId};
use crate::runner::{RunnerId, Status};
use crate::subject::{Revision, Subject};
use crate::target::Target;
use crate::time::Timestamp;
use crate::versions::VersionEnd;
use crate::weekly::WeeklyReport;

/// The shortest time for which a store keeps a change that notifies nobody and concerns no outage. A store may delete
/// older ones, one by one and in any order.
pub const QUIET_CHANGES_KEPT: Duration = Duration::from_secs(30 * 86_400);

/// One committed revision of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The target, credential or monitor that changed.
    pub subject: Subject,
    /// The number of this change. A store accepts each number once.
    pub revision: Revision,
    /// Distinguishes this process's own commit, whose response was lost, from another's.
    pub nonce: u64,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// When the check that led to it started.
    pub observed_at: Timestamp,
    /// The target's runners after the change.
    pub counts: Counts,
    /// Whether the decision continues in the next revision; its notification waits for the last part.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// What happened, in order.
    pub events: Vec<Event>,
}

impl Change {
    /// Whether it produces a notification.
    pub fn is_notifiable(&self) -> bool {
        self.events.iter().any(Event::is_notifiable)
    }

    /// Whether it opens or closes an outage. The notifier records outages whether or not anybody is notified.
    pub fn has_outage_events(&self) -> bool {
        self.events.iter().any(|event| event.outage_event().is_some())
    }

    /// Whether a report of availability needs it: it says when the target was not observed, or a runner not registered.
    pub fn has_absence(&self) -> bool {
        let is_one = |event: &Event| {
            matches!(event, Event::ReachableAgain { .. } | Event::Unwatched { .. } | Event::Returned { .. })
        };
        self.events.iter().any(is_one)
    }
}

/// The changes after a revision, up to the first gap in the revisions: a change that was not read yet must be processed
/// before the ones that follow it.
///
/// The first change returned may have any revision. A gap after a change older than [`QUIET_CHANGES_KEPT`] is skipped:
/// the missing changes expired, and nothing in them was pending.
pub fn in_order_after(revision: Revision, changes: &[Change]) -> Vec<&Change> {
    let later = changes.iter().filter(|change| change.revision > revision);
    let newest = changes.last().map_or_else(Timestamp::default, |change| change.decided_at);
    let in_order = later.scan(None, |last: &mut Option<&Change>, change| {
        let may_have_expired = |last: &Change| newest.has_waited(last.decided_at, QUIET_CHANGES_KEPT);
        let follows = last.is_none_or(|last| change.revision == last.revision.next() || may_have_expired(last));
        *last = Some(change);
        follows.then_some(change)
    });
    in_order.collect()
}

/// The identity and name of a runner in an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunnerName {
    /// The id of its first registration.
    pub id: RunnerId,
    /// The name at the time of the event.
    pub name: String,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "event")]
pub enum Event {
    /// The first complete check of a target.
    MonitoringStarted,
    /// A runner was listed for the first time.
    Registered {
        /// The new runner.
        runner: RunnerName,
    },
    /// A runner with a known name is registered under another id.
    Reregistered {
        /// The known runner.
        runner: RunnerName,
        /// The id of the new registration.
        current_id: RunnerId,
    },
    /// The reported status differs from the previous one.
    StatusChanged {
        /// The runner whose status changed.
        runner: RunnerName,
        /// The previous status.
        from: Status,
        /// The current status.
        to: Status,
    },
    /// The first unhealthy check of a runner.
    Suspected {
        /// The suspect runner.
        runner: RunnerName,
        /// The id of the outage, if it becomes one.
        outage_id: OutageId,
    },
    /// A suspicion ended without an outage.
    Cleared {
        /// The runner that is no longer suspect.
        runner: RunnerName,
    },
    /// An outage was confirmed.
    OutageOpened {
        /// The outage as it was when it was confirmed.
        outage: Box<Outage>,
    },
    /// An outage ended; `outage.ending` says how.
    OutageClosed {
        /// The outage with its end.
        outage: Box<Outage>,
    },
    /// Other jobs wait in a queue than before, or for another reason.
    QueueChanged {
        /// The queue's open outage, with the jobs that wait now.
        outage: Box<Outage>,
    },
    /// An outage has been open for so long that its notification is repeated.
    #[serde(rename_all = "camelCase")]
    Reminded {
        /// The open outage.
        outage: Box<Outage>,
        /// Whether this is the last reminder of the outage.
        is_last: bool,
    },
    /// GitHub will soon remove a runner that is still offline.
    RemovalNear {
        /// The open outage; [`Outage::removal`] says when.
        outage: Box<Outage>,
        /// The stage of the warning: 3 or 1 days ahead.
        days: u32,
    },
    /// A mute ended while the outage was still open.
    MuteEnded {
        /// The outage, which is notified from now on.
        outage: Box<Outage>,
    },
    /// A runner that was gone is registered again.
    Returned {
        /// The returned runner.
        runner: RunnerName,
        /// When it was first missing from the list.
        gone_since: Timestamp,
        /// Whether its removal was notified.
        alerted: bool,
    },
    /// A runner was forgotten.
    Retired {
        /// The forgotten runner.
        runner: RunnerName,
    },
    /// A runner had too many outages within the flapping window: individual outages are no longer notified.
    FlappingStarted {
        /// The flapping runner.
        runner: RunnerName,
        /// When the first of these outages started.
        since: Timestamp,
        /// The number of outages so far.
        outages: u32,
        /// Whether a mute suppresses the notification.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        muted: bool,
    },
    /// A runner has been healthy for long enough, or is no longer monitored.
    FlappingEnded {
        /// The runner that stopped flapping.
        runner: RunnerName,
        /// When the first of these outages started.
        since: Timestamp,
        /// The total number of outages.
        outages: u32,
        /// Since when it has been healthy; `None` if it is no longer monitored.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        healthy_since: Option<Timestamp>,
        /// Whether the start of the flapping was never notified either.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        muted: bool,
    },
    /// A check failed after successful ones.
    ChecksFailing {
        /// Why it failed.
        failure: Failure,
    },
    /// A subject has been unreachable for as long as the policy allows.
    BecameUnreachable {
        /// When the first failed check started.
        since: Timestamp,
        /// Why the latest check failed.
        failure: Failure,
        /// The number of targets affected.
        targets: u32,
    },
    /// A subject is reachable again.
    ReachableAgain {
        /// When the first failed check started.
        since: Timestamp,
        /// When the first successful check started.
        until: Timestamp,
        /// Whether it was notified as unreachable.
        notified: bool,
    },
    /// The target was removed from the list.
    Dropped {
        /// Whether the removal ends something that was notified.
        notified: bool,
    },
    /// The token expires soon, or has expired.
    CredentialExpiring {
        /// When the token expires.
        expires_at: Timestamp,
    },
    /// GitHub soon gives no more jobs to a version of the runner, or has stopped.
    #[serde(rename_all = "camelCase")]
    VersionEnding {
        /// The version.
        version: String,
        /// When GitHub gives it no more jobs.
        ends_at: Timestamp,
        /// The stage of the warning: 21, 7 or 1 days ahead, or 0 for a version that has ended.
        days: u32,
        /// The target's runners that have it and have not updated themselves recently.
        runners: Vec<RunnerName>,
    },
    /// GitHub named another end of a version.
    VersionAnswered {
        /// The version.
        version: String,
        /// Its end.
        end: VersionEnd,
    },
    /// The token in use is not the one whose expiry was notified.
    TokenReplaced,
    /// Targets were added to the list.
    TargetsAdded {
        /// The added targets.
        targets: Vec<Target>,
        /// The number of targets monitored now.
        total: u32,
    },
    /// Targets were removed from the list.
    TargetsRemoved {
        /// The removed targets.
        targets: Vec<Target>,
        /// The number of targets monitored now.
        total: u32,
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
    /// An entry of the list, for example `acme/*`, cannot be resolved.
    EntryUnresolved {
        /// The entry as written.
        entry: String,
        /// When it first could not be resolved.
        since: Timestamp,
        /// Why it cannot be resolved.
        failure: Failure,
    },
    /// An entry can be resolved again.
    EntryResolved {
        /// The entry as written.
        entry: String,
        /// When it first could not be resolved.
        since: Timestamp,
        /// When it was resolved again.
        until: Timestamp,
        /// Whether the failure was notified.
        notified: bool,
    },
    /// The monitor did not run.
    Unwatched {
        /// The last tick before the gap.
        from: Timestamp,
        /// The first tick after the gap.
        until: Timestamp,
    },
    /// The weekly report was due.
    WeekReported {
        /// What it says.
        report: Box<WeeklyReport>,
    },
    /// An event written by a later release.
    #[serde(other)]
    Unrecognised,
}

impl Event {
    /// Whether a mute or an acknowledgement could change it ([`crate::overrides::Overrides`]).
    pub fn depends_on_overrides(&self) -> bool {
        match self {
            Event::OutageOpened { outage } => outage.visibility.is_notified(),
            Event::FlappingStarted { muted, .. } => !muted,
            Event::Reminded { .. }
            | Event::MuteEnded { .. }
            | Event::RemovalNear { .. }
            | Event::VersionEnding { .. } => true,
            _ => false,
        }
    }

    /// The outage that it opens or closes, as it is to be recorded.
    pub fn outage_event(&self) -> Option<&Outage> {
        match self {
            Event::OutageOpened { outage } | Event::OutageClosed { outage } => Some(outage),
            _ => None,
        }
    }

    /// Whether it can change the pending notification: it produces an item, or makes an earlier item obsolete.
    pub fn alters_pending(&self) -> bool {
        match self {
            Event::OutageClosed { outage } if outage.ending == Some(Ending::Removed) => true,
            Event::Returned { .. } | Event::Dropped { .. } | Event::MonitoringStarted => true,
            Event::Registered { .. } | Event::StatusChanged { to: Status::Unknown, .. } => true,
            event => event.is_notifiable(),
        }
    }

    /// Whether it produces a notification.
    pub fn is_notifiable(&self) -> bool {
        match self {
            Event::OutageOpened { outage } | Event::OutageClosed { outage } | Event::QueueChanged { outage } => {
                outage.visibility.is_notified()
            }
            Event::Returned { alerted, .. } => *alerted,
            Event::ReachableAgain { notified, .. }
            | Event::EntryResolved { notified, .. }
            | Event::Dropped { notified } => *notified,
            Event::FlappingStarted { muted, .. } | Event::FlappingEnded { muted, .. } => !muted,
            Event::Reminded { .. }
            | Event::RemovalNear { .. }
            | Event::MuteEnded { .. }
            | Event::VersionEnding { .. }
            | Event::BecameUnreachable { .. }
            | Event::EntryUnresolved { .. }
            | Event::CredentialExpiring { .. }
            | Event::TargetsAdded { .. }
            | Event::TargetsRemoved { .. }
            | Event::EmptyListRefused { .. }
            | Event::ListRestored { .. }
            | Event::Unwatched { .. }
            | Event::WeekReported { .. } => true,
            Event::MonitoringStarted
            | Event::Registered { .. }
            | Event::Reregistered { .. }
            | Event::StatusChanged { .. }
            | Event::Suspected { .. }
            | Event::Cleared { .. }
            | Event::Retired { .. }
            | Event::ChecksFailing { .. }
            | Event::VersionAnswered { .. }
            | Event::TokenReplaced
            | Event::Unrecognised => false,
        }
    }
}
