//! How a check ends.

use std::time::Duration;

use monitor_domain::change::Event;
use monitor_domain::cycle::Checked;
use monitor_domain::fleet::Counts;
use monitor_domain::observation::{CredentialReport, Failure};
use monitor_domain::subject::Revision;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;

use crate::items::Cursor;
use crate::messages::StateChange;
use crate::records::Backlog;
use crate::stages::Disposition;

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// What the host does with the message.
    pub disposition: Disposition,
    /// How the check ended.
    pub ending: CheckEnding,
    /// The committed events, in order.
    pub events: Vec<Event>,
    /// What GitHub reported about the credential.
    pub credential: CredentialReport,
    /// The commit time of the oldest notification of the target or its credential that was pending when the check
    /// began.
    pub pending_since: Option<Timestamp>,
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckEnding {
    /// Every runner was seen.
    Seen(Counts),
    /// The check failed.
    Failed(Failure),
    /// It took longer than the interval: it counts as failed, whatever it saw.
    Late(Failure),
    /// The job has expired, and the next tick sends another if one is needed: GitHub was not asked.
    Expired,
    /// The target is not on the configured list: GitHub was not asked.
    NotConfigured,
    /// The target was taken off the list, and its open outages are closed.
    Dropped,
    /// Other checks committed first, twice: what they saw is newer.
    Outrun,
    /// A person asked for it, and another check of the target begins after the job was received: GitHub was not asked.
    Covered,
    /// The store or a queue failed; the disposition has the reason.
    Broken,
}

impl CheckEnding {
    /// Whether the target counts as checked in its cycle.
    pub fn checked(&self) -> Checked {
        match self {
            CheckEnding::Seen(_) => Checked::Seen,
            CheckEnding::Failed(_) | CheckEnding::Late(_) => Checked::FailureCounted,
            // What the others committed is newer than what this check saw.
            CheckEnding::Outrun => Checked::Seen,
            CheckEnding::Expired
            | CheckEnding::NotConfigured
            | CheckEnding::Dropped
            | CheckEnding::Covered
            | CheckEnding::Broken => Checked::No,
        }
    }
}

/// The result of one try to check and commit.
pub(super) enum Tried {
    Done(Box<CheckOutcome>),
    /// Another check committed first.
    Lost,
    /// It took so long that what it saw may be outdated.
    Late,
}

impl Tried {
    pub(super) fn done(outcome: CheckOutcome) -> Self {
        Tried::Done(Box::new(outcome))
    }
}

/// A state-change message to be sent.
pub(super) struct Announced {
    pub(super) message: StateChange,
    /// The last revision with work for the notifier.
    pub(super) last: Revision,
}

/// A committed decision.
pub(super) struct Stored {
    pub(super) events: Vec<Event>,
    /// The target's last revision.
    pub(super) revision: Revision,
    pub(super) backlog: Backlog,
}

impl Stored {
    /// The state-change message, if the notifier has something to do now, for this decision or an earlier one.
    pub(super) fn announced(&self, target: &Target, cursor: Option<&Cursor>, now: Timestamp) -> Option<Announced> {
        self.backlog.is_due(cursor, now).then(|| Announced {
            message: StateChange::of(target.into(), self.revision, &self.events),
            last: self.backlog.last(),
        })
    }
}

/// The outcome of a check that was not lost or late.
pub(super) struct CheckOutcome {
    pub(super) ending: CheckEnding,
    pub(super) events: Vec<Event>,
    pub(super) credential: CredentialReport,
    /// The subjects for which the notifier has something to do now.
    pub(super) announced: Vec<Announced>,
    pub(super) recheck: Option<Duration>,
    pub(super) pending_since: Option<Timestamp>,
}

impl CheckOutcome {
    pub(super) fn nothing(ending: CheckEnding) -> Self {
        Self {
            ending,
            events: Vec::new(),
            credential: CredentialReport::default(),
            announced: Vec::new(),
            recheck: None,
            pending_since: None,
        }
    }
}
