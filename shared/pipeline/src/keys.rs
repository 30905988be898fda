//! How items are stored and found: keys, puts and queries.

use std::fmt;

use monitor_domain::jobs::JobId;
use monitor_domain::outage::OutageId;
use monitor_domain::runner::RunnerId;
use monitor_domain::subject::{CredentialId, Revision, Subject};
use monitor_domain::target::TargetId;

use crate::items::{Attempt, Item, LastSeen, Mute};

/// An item's key. Keys of one subject are adjacent, in the order of the variants' fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// See [`Item::Target`].
    Target(TargetId),
    /// See [`Item::Runner`].
    Runner(TargetId, RunnerId),
    /// See [`Item::Outage`].
    Outage(TargetId, RunnerId, OutageId),
    /// See [`Item::LastSeen`], with its slot.
    LastSeen(Subject, u8),
    /// See [`Item::Change`].
    Change(Subject, Revision),
    /// See [`Item::Credential`].
    Credential(CredentialId),
    /// See [`Item::Watchlist`].
    Watchlist,
    /// See [`Item::Claim`].
    Claim(Subject, Attempt),
    /// See [`Item::Sent`].
    Sent(Subject, Attempt),
    /// See [`Item::Cursor`].
    Cursor(Subject),
    /// See [`Item::Mute`], by [`Mute::number_of`].
    Mute(u64),
    /// See [`Item::Acknowledgement`].
    Acknowledgement(TargetId, RunnerId, OutageId),
    /// See [`Item::AccessToken`].
    AccessToken(CredentialId),
    /// See [`Item::Marker`].
    Marker(Subject, u64),
    /// See [`Item::Job`].
    Job(TargetId, JobId),
}

/// An item to be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The item.
    pub item: Item,
    /// Whether the whole batch is refused if an item exists under this key.
    pub must_not_exist: bool,
}

impl Put {
    /// Puts an item, replacing any that exists.
    pub fn replacing(item: Item) -> Self {
        Self { item, must_not_exist: false }
    }

    /// Puts an item that must not exist yet.
    pub fn new(item: Item) -> Self {
        Self { item, must_not_exist: true }
    }
}

/// A query that lists items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// What a check needs to know of a target: its Target, LastSeen, Cursor and Runner items, in one request.
    Fleet(TargetId),
    /// A subject's Change items after a revision, in order; at most `limit`.
    Changes {
        /// The subject.
        subject: Subject,
        /// Only later revisions than this.
        after: Revision,
        /// The maximum number of items.
        limit: usize,
    },
    /// A subject's Claim and Sent items, by notification and attempt, the latest first; at most `limit`. The Sent item
    /// of an attempt comes before its Claim.
    Notifications {
        /// The subject.
        subject: Subject,
        /// The maximum number of items.
        limit: usize,
    },
    /// A target's Outage items, of all its runners or one, in order of runner and outage.
    Outages {
        /// The target.
        target: TargetId,
        /// Only this runner.
        runner: Option<RunnerId>,
    },
    /// A target's Job items, in order of their number.
    Jobs {
        /// The target.
        target: TargetId,
    },
    /// Every Mute item, in order of its number, including those that have ended.
    Mutes,
    /// Every Target item, in order of identity. May be slow: for people, not for the pipeline.
    Targets,
}

impl Item {
    /// The key under which it is stored.
    pub fn key(&self) -> Key {
        match self {
            Item::Target(record) => Key::Target(record.target.id().clone()),
            Item::Runner(item) => Key::Runner(item.target.clone(), item.runner.id),
            Item::Outage(item) => Key::Outage(item.target.clone(), item.outage.runner_id, item.outage.id),
            Item::LastSeen(item) => Key::LastSeen(item.subject.clone(), item.slot),
            Item::Change(change) => Key::Change(change.subject.clone(), change.revision),
            Item::Credential(record) => Key::Credential(record.id.clone()),
            Item::Watchlist(_) => Key::Watchlist,
            Item::Claim(claim) => Key::Claim(claim.subject.clone(), claim.number),
            Item::Sent(sent) => Key::Sent(sent.subject.clone(), sent.number),
            Item::Cursor(cursor) => Key::Cursor(cursor.subject.clone()),
            Item::Mute(mute) => Key::Mute(Mute::number_of(&mute.scope)),
            Item::Acknowledgement(item) => Key::Acknowledgement(item.target.clone(), item.runner_id, item.outage_id),
            Item::AccessToken(token) => Key::AccessToken(token.credential.clone()),
            Item::Job(item) => Key::Job(item.target.clone(), item.job.id),
            Item::Marker(marker) => Key::Marker(marker.subject.clone(), marker.number),
        }
    }
}

impl Key {
    /// The keys of the monitor's heartbeats.
    pub fn heartbeats() -> impl Iterator<Item = Self> {
        (0..LastSeen::SLOTS).map(|slot| Self::LastSeen(Subject::Monitor, slot))
    }

    /// The subject that the item belongs to.
    pub fn subject(&self) -> Subject {
        match self {
            Key::Target(target)
            | Key::Runner(target, _)
            | Key::Outage(target, ..)
            | Key::Job(target, _)
            | Key::Acknowledgement(target, ..) => Subject::Target(target.clone()),
            Key::Credential(id) | Key::AccessToken(id) => Subject::Credential(id.clone()),
            Key::Watchlist | Key::Mute(_) => Subject::Monitor,
            Key::LastSeen(subject, _)
            | Key::Change(subject, _)
            | Key::Claim(subject, _)
            | Key::Sent(subject, _)
            | Key::Cursor(subject)
            | Key::Marker(subject, _) => subject.clone(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = self.subject();
        match self {
            Key::Target(_) => write!(f, "{subject} target"),
            Key::Runner(_, runner) => write!(f, "{subject} runner {runner}"),
            Key::Outage(_, runner, outage) => write!(f, "{subject} runner {runner} outage {}", outage.0),
            Key::LastSeen(_, 0) => write!(f, "{subject} last seen"),
            Key::LastSeen(_, slot) => write!(f, "{subject} last seen {slot}"),
            Key::Change(_, revision) => write!(f, "{subject} change {revision}"),
            Key::Credential(_) => write!(f, "{subject} credential"),
            Key::Watchlist => write!(f, "{subject} watchlist"),
            Key::Claim(_, number) => write!(f, "{subject} claim {}.{}", number.notification, number.attempt),
            Key::Sent(_, number) => write!(f, "{subject} sent {}.{}", number.notification, number.attempt),
            Key::Cursor(_) => write!(f, "{subject} cursor"),
            Key::Mute(number) => write!(f, "{subject} mute {number}"),
            Key::AccessToken(_) => write!(f, "{subject} access token"),
            Key::Job(_, job) => write!(f, "{subject} job {}", job.0),
            Key::Marker(_, number) => write!(f, "{subject} marker {number}"),
            Key::Acknowledgement(_, runner, outage) => {
                write!(f, "{subject} runner {runner} outage {} acknowledgement", outage.0)
            }
        }
    }
}
