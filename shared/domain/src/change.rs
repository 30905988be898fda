//! The records of what was decided, in order: a subject's outbox and history at once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fleet::Counts;
use crate::observation::Failure;
use crate::outage::{Ending, Outage, OutageId};
use crate::runner::{RunnerId, Status};
use crate::subject::{Revision, Subject};
use crate::target::Target;
use crate::time::Timestamp;

/// For at least so long a change that notifies nobody and concerns no outage is kept. Stores may delete older ones, each by itself and in any order.
pub const QUIET_CHANGES_KEPT: Duration = Duration::from_secs(30 * 86_400);

/// One committed revision of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What changed.
    pub subject: Subject,
    /// Its number. A store takes each number once.
    pub revision: Revision,
    /// Tells one's own commit, whose answer was lost, from another's.
    pub nonce: u64,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// When the look began that it rests on.
    pub observed_at: Timestamp,
    /// The target's runners afterwards.
    pub counts: Counts,
    /// Whether the same decision goes on in the next revision, so that it must not be told yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// What happened, in order.
    pub events: Vec<Event>,
}

impl Change {
    /// Whether a notice comes of it.
    pub fn is_notifiable(&self) -> bool {
        self.events.iter().any(Event::is_notifiable)
    }

    /// Whether it opens or closes an outage, which the notifier records whether or not anybody is notified of it.
    pub fn has_outage_events(&self) -> bool {
        self.events.iter().any(|event| event.outage_event().is_some())
    }
}

/// The changes after a revision, up to the first gap between their revisions: what follows a change that was not read must wait
/// for it.
///
/// The first may be any. Behind one that is older than quiet changes are kept ([`QUIET_CHANGES_KEPT`]) some may be missing: they
/// were deleted as old, with nothing pending in them.
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

/// A runner as a step names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunnerName {
    /// The id of its first registration.
    pub id: RunnerId,
    /// Its name.
    pub name: String,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "event")]
pub enum Event {
    /// The first complete look at a target.
    MonitoringStarted,
    /// A runner was read for the first time.
    Registered {
        /// Which.
        runner: RunnerName,
    },
    /// A runner is back under its name with another id.
    Reregistered {
        /// Which.
        runner: RunnerName,
        /// The id of the new registration.
        current_id: RunnerId,
    },
    /// The reading differs from the last one.
    StatusChanged {
        /// Which.
        runner: RunnerName,
        /// Before.
        from: Status,
        /// Now.
        to: Status,
    },
    /// A first bad reading.
    Suspected {
        /// Which.
        runner: RunnerName,
        /// The id of the outage, if it becomes one.
        outage_id: OutageId,
    },
    /// A suspicion ended without an outage.
    Cleared {
        /// Which.
        runner: RunnerName,
    },
    /// An outage was confirmed.
    OutageOpened {
        /// The outage.
        outage: Box<Outage>,
    },
    /// An outage ended; `outage.ending` says how.
    OutageClosed {
        /// The outage.
        outage: Box<Outage>,
    },
    /// An outage goes on for so long that people are reminded of it.
    #[serde(rename_all = "camelCase")]
    Reminded {
        /// The outage.
        outage: Box<Outage>,
        /// Whether that is the last reminder until it ends.
        is_last: bool,
    },
    /// The mute is over, and the outage is still open.
    MuteEnded {
        /// The outage, told from now on.
        outage: Box<Outage>,
    },
    /// A runner that was held to be gone is registered again.
    Returned {
        /// Which.
        runner: RunnerName,
        /// When it was first missed.
        gone_since: Timestamp,
        /// Whether its going had been told.
        alerted: bool,
    },
    /// A runner was forgotten.
    Retired {
        /// Which.
        runner: RunnerName,
    },
    /// Too many outages in too short a time: single ones are no longer told.
    FlappingStarted {
        /// Which.
        runner: RunnerName,
        /// When the first of these outages began.
        since: Timestamp,
        /// How many so far.
        outages: u32,
        /// Whether a mute keeps that from being told.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        muted: bool,
    },
    /// It has been calm for long enough, or is no longer watched.
    FlappingEnded {
        /// Which.
        runner: RunnerName,
        /// When the first of these outages began.
        since: Timestamp,
        /// How many there were.
        outages: u32,
        /// Since when it has been healthy; none where it is no longer watched.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        healthy_since: Option<Timestamp>,
        /// Whether nobody heard of its beginning either.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        muted: bool,
    },
    /// A look failed after good ones.
    ChecksFailing {
        /// Why.
        failure: Failure,
    },
    /// A subject cannot be seen for as long as the policy allows.
    BecameUnreachable {
        /// When the first failed look began.
        since: Timestamp,
        /// Why.
        failure: Failure,
        /// How many targets that concerns.
        targets: u32,
    },
    /// A subject can be seen again.
    ReachableAgain {
        /// When the first failed look began.
        since: Timestamp,
        /// When the first good look began.
        until: Timestamp,
        /// Whether the blindness had been told.
        notified: bool,
    },
    /// The target was taken off the list.
    Dropped {
        /// Whether something had been told that this ends.
        notified: bool,
    },
    /// The token expires soon.
    CredentialExpiring {
        /// When.
        expires_at: Timestamp,
    },
    /// Another token is in use than the one whose end was notified.
    TokenReplaced,
    /// The list of targets has new ones.
    TargetsAdded {
        /// Which.
        targets: Vec<Target>,
        /// How many are watched now.
        total: u32,
    },
    /// Targets are off the list.
    TargetsRemoved {
        /// Which.
        targets: Vec<Target>,
        /// How many are watched now.
        total: u32,
    },
    /// The list of targets came up empty after it was not: refused.
    EmptyListRefused {
        /// How many targets stay watched.
        kept: u32,
    },
    /// The list of targets is no longer empty.
    ListRestored {
        /// How many targets are watched now.
        total: u32,
    },
    /// An entry of the list, `acme/*`, cannot be resolved.
    EntryUnresolved {
        /// The entry.
        entry: String,
        /// Since when.
        since: Timestamp,
        /// Why.
        failure: Failure,
    },
    /// An entry can be resolved again.
    EntryResolved {
        /// The entry.
        entry: String,
        /// Since when it could not be.
        since: Timestamp,
        /// Since when it can be.
        until: Timestamp,
        /// Whether that it could not be was notified.
        notified: bool,
    },
    /// Nobody watched.
    Unwatched {
        /// The last sign of the monitor before.
        from: Timestamp,
        /// The first after.
        until: Timestamp,
    },
    /// Written by a later release.
    #[serde(other)]
    Unrecognised,
}

impl Event {
    /// Whether it would be otherwise if people had asked for something ([`crate::overrides::Overrides`]).
    pub fn depends_on_overrides(&self) -> bool {
        match self {
            Event::OutageOpened { outage } => outage.visibility.is_notified(),
            Event::FlappingStarted { muted, .. } => !muted,
            Event::Reminded { .. } | Event::MuteEnded { .. } => true,
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

    /// Whether what is pending may be otherwise for it: a notification comes of it, or an earlier one is no longer true.
    pub fn alters_pending(&self) -> bool {
        match self {
            Event::OutageClosed { outage } if outage.ending == Some(Ending::Removed) => true,
            Event::Returned { .. } | Event::Dropped { .. } | Event::MonitoringStarted => true,
            Event::Registered { .. } | Event::StatusChanged { to: Status::Unknown, .. } => true,
            event => event.is_notifiable(),
        }
    }

    /// Whether a notice comes of it.
    pub fn is_notifiable(&self) -> bool {
        match self {
            Event::OutageOpened { outage } | Event::OutageClosed { outage } => outage.visibility.is_notified(),
            Event::Returned { alerted, .. } => *alerted,
            Event::ReachableAgain { notified, .. }
            | Event::EntryResolved { notified, .. }
            | Event::Dropped { notified } => *notified,
            Event::FlappingStarted { muted, .. } | Event::FlappingEnded { muted, .. } => !muted,
            Event::Reminded { .. }
            | Event::MuteEnded { .. }
            | Event::BecameUnreachable { .. }
            | Event::EntryUnresolved { .. }
            | Event::CredentialExpiring { .. }
            | Event::TargetsAdded { .. }
            | Event::TargetsRemoved { .. }
            | Event::EmptyListRefused { .. }
            | Event::ListRestored { .. }
            | Event::Unwatched { .. } => true,
            Event::MonitoringStarted
            | Event::Registered { .. }
            | Event::Reregistered { .. }
            | Event::StatusChanged { .. }
            | Event::Suspected { .. }
            | Event::Cleared { .. }
            | Event::Retired { .. }
            | Event::ChecksFailing { .. }
            | Event::TokenReplaced
            | Event::Unrecognised => false,
        }
    }
}
