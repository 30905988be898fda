//! What is stored: the items, their keys and the queries over them.
//!
//! Every item type has one writer; docs/ARCHITECTURE.md has the table.

use std::fmt;

use monitor_domain::change::Change;
use monitor_domain::fleet::{CredentialRecord, TargetRecord};
use monitor_domain::notifications::Notification;
use monitor_domain::outage::{Outage, OutageId};
use monitor_domain::routing::Part;
use monitor_domain::runner::{Runner, RunnerId};
use monitor_domain::scope::Scope;
use monitor_domain::subject::{CredentialId, Revision, Subject};
use monitor_domain::target::TargetId;
use monitor_domain::time::Timestamp;
use monitor_domain::watchlist::Watchlist;
use serde::{Deserialize, Serialize};

use crate::commands::PersonId;

/// One stored item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "item", rename_all = "camelCase")]
pub enum Item {
    /// A target's own record; written by the check stage.
    Target(TargetRecord),
    /// A runner; written by the check stage.
    Runner(RunnerItem),
    /// An outage; written by the notify stage: where none is when it opens, and whole when it has ended.
    Outage(OutageItem),
    /// When a subject was last looked after with nothing to commit; written by who decides about the subject.
    LastSeen(LastSeen),
    /// A committed change; never altered. Written by whoever decides about the subject.
    Change(Change),
    /// A credential's record; written by the check stage.
    Credential(CredentialRecord),
    /// The list of targets; written by the schedule stage.
    Watchlist(Watchlist),
    /// A claim to send a notice; never altered. Written by the notify stage.
    Claim(Claim),
    /// How an attempt to send ended; written by the notify stage that claimed it.
    Sent(Sent),
    /// How far a subject's changes are notified and recorded: a hint for the check stage, never ahead of the truth. Written by the
    /// notify stage.
    Cursor(Cursor),
    /// Runners of whom nothing is told for a time; written by the respond stage.
    Mute(Mute),
    /// An outage that somebody looks after; written by the respond stage.
    Acknowledgement(Acknowledgement),
    /// The access token of a GitHub App's installation, sealed; written by the check stage.
    AccessToken(AccessToken),
    /// Something that is done at most once; never altered. For a target a check by hand, written by the check stage; for the
    /// monitor a request of Slack's that changes something, written by the respond stage.
    Marker(Marker),
}

/// A runner within its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunnerItem {
    /// The target.
    pub target: TargetId,
    /// The runner.
    #[serde(flatten)]
    pub runner: Runner,
}

/// An outage within its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutageItem {
    /// The target.
    pub target: TargetId,
    /// The outage.
    #[serde(flatten)]
    pub outage: Outage,
}

/// A sign of life of a subject: for a target, when the last look that changed nothing began; for the monitor, the
/// last tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastSeen {
    /// Which subject.
    pub subject: Subject,
    /// When.
    pub at: Timestamp,
    /// For the monitor, the last tick whose jobs were sent, where a tick sends so many that none may be sent twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs_sent_at: Option<Timestamp>,
    /// For the monitor, when the next tick is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_tick_at: Option<Timestamp>,
}

/// The number of a notice within its subject, from 1; and of an attempt to send it, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Which notice.
    pub notification: u64,
    /// Which attempt.
    pub attempt: u32,
}

/// A claim to send a notice: whoever stored it may send until the lease ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// What the notice is about.
    pub subject: Subject,
    /// Which notice and attempt.
    #[serde(flatten)]
    pub number: Attempt,
    /// Tells one's own claim, whose answer was lost, from another's.
    pub nonce: u64,
    /// The last revision told before it.
    pub after: Revision,
    /// The last revision that it tells.
    pub through: Revision,
    /// When it was claimed.
    pub claimed_at: Timestamp,
    /// Until when nobody else may send it.
    pub lease_until: Timestamp,
    /// Whether it goes as plain text, because its layout was refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain_text: bool,
    /// Whether it takes up the parts that an earlier attempt left untold, as they were then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumes: bool,
    /// The channel that its first part goes to; none for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// What it tells there. As `message`, because `notification` is its number.
    #[serde(rename = "message")]
    pub notification: Notification,
    /// What it tells in further channels, in the order in which that is sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<Part>,
    /// The earlier messages whose outages were open before it: with the notice they say what is sent and what is edited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub live: Vec<LiveMessage>,
}

impl Claim {
    /// Whether its lease still runs at `now`. A lease that a clock ahead of this one gave is over.
    pub fn holds(&self, now: Timestamp) -> bool {
        !self.lease_until.is_due(now, self.lease_until.since(self.claimed_at))
    }

    /// What it sends: to which channel, none for the default, and what.
    pub fn parts(&self) -> impl Iterator<Item = (Option<&str>, &Notification)> {
        let first = (self.channel.as_deref(), &self.notification);
        std::iter::once(first).chain(self.further.iter().map(|part| (part.channel.as_deref(), &part.notification)))
    }
}

/// A message of which not every outage has ended: it is edited as they do. Only of chats that can edit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveMessage {
    /// Where it stands.
    pub place: Place,
    /// Its outages, those that have ended with their end.
    pub outages: Vec<Outage>,
}

/// A message in the chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The channel.
    pub channel: String,
    /// The message's id within it.
    pub ts: String,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// What the notice is about.
    pub subject: Subject,
    /// Which notice and attempt.
    #[serde(flatten)]
    pub number: Attempt,
    /// The last revision that it told.
    pub through: Revision,
    /// When.
    pub at: Timestamp,
    /// How.
    #[serde(flatten)]
    pub ending: SendEnding,
    /// Of a claim with several parts, what became of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartEnding>,
}

impl Sent {
    /// What became of each part of its claim.
    pub fn part_endings(&self) -> Vec<PartEnding> {
        if !self.parts.is_empty() {
            return self.parts.clone();
        }
        vec![PartEnding::of(&self.ending)]
    }
}

/// What became of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "part")]
pub enum PartEnding {
    /// It was taken.
    Delivered(Delivered),
    /// It is still to be sent.
    Waits,
}

impl PartEnding {
    /// What the ending of an attempt means for its only part.
    pub fn of(ending: &SendEnding) -> Self {
        match ending {
            SendEnding::Delivered(delivered) => PartEnding::Delivered(delivered.clone()),
            SendEnding::Deferred { .. } | SendEnding::LayoutRefused { .. } => PartEnding::Waits,
        }
    }
}

/// How an attempt to send ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "ending")]
pub enum SendEnding {
    /// It was taken.
    Delivered(Delivered),
    /// Not now: the next attempt is due at `until`.
    #[serde(rename_all = "camelCase")]
    Deferred {
        /// When to try again.
        until: Timestamp,
        /// Why.
        reason: String,
        /// Whether it may have been taken all the same.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        uncertain: bool,
    },
    /// Its layout was refused: the next attempt goes as plain text, now.
    #[serde(rename_all = "camelCase")]
    LayoutRefused {
        /// Why.
        reason: String,
    },
}

/// Where a message went, as far as the chat tells; a webhook tells nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivered {
    /// The channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The message's id within the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<String>,
}

impl Delivered {
    /// The message, if the chat says where it is.
    pub fn place(&self) -> Option<Place> {
        Some(Place { channel: self.channel.clone()?, ts: self.ts.clone()? })
    }
}

/// How far a subject's changes are notified, and a target's outages recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cursor {
    /// Which subject.
    pub subject: Subject,
    /// The last revision told.
    pub notified_through: Revision,
    /// The last revision whose outages are recorded.
    #[serde(default)]
    pub recorded_through: Revision,
    /// When the next attempt to send is due, if one was put off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
}

/// Runners of whom nothing is told for a time. Their outages are recorded; what is still open afterwards is told then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mute {
    /// Which.
    pub scope: Scope,
    /// When it was asked for.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// Why, for those who wonder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who asked for it.
    pub by: PersonId,
}

impl Mute {
    /// Whether it holds at `now`. One that was asked for by a clock that has been set back since is over.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        !self.until.is_due(now, self.until.since(self.since))
    }

    /// Its number in its key: of two mutes of the same runners, the later one holds.
    pub fn number_of(scope: &Scope) -> u64 {
        // SQLite's numbers have a sign.
        fnv(&scope.to_string().to_lowercase()) >> 1
    }
}

/// FNV-1a, 64 bits.
pub(crate) fn fnv(text: &str) -> u64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, fold)
}

/// An outage that somebody looks after: nobody is reminded of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledgement {
    /// The target.
    pub target: TargetId,
    /// The runner.
    pub runner_id: RunnerId,
    /// Its outage.
    pub outage_id: OutageId,
    /// Since when.
    pub at: Timestamp,
    /// Who.
    pub by: PersonId,
}

/// The access token with which every poller asks GitHub for one installation of a GitHub App: an ETag is worth something
/// only to the token that it was given to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessToken {
    /// The installation.
    pub credential: CredentialId,
    /// When GitHub ends it.
    pub expires_at: Timestamp,
    /// The token as whoever holds the App's private key can read it, and nobody else.
    pub sealed: String,
}

/// Something that is done at most once: whoever stored it first may do it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Marker {
    /// What it is about.
    pub subject: Subject,
    /// What is done, as a number within its subject, from 1: the window of a check by hand, or the signature of a request.
    pub number: u64,
    /// Tells one's own marker, whose answer was lost, from another's.
    pub nonce: u64,
    /// When it was stored.
    pub at: Timestamp,
}

/// An item's key. Keys of one subject lie together, in the order of the variants' fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// See [`Item::Target`].
    Target(TargetId),
    /// See [`Item::Runner`].
    Runner(TargetId, RunnerId),
    /// See [`Item::Outage`].
    Outage(TargetId, RunnerId, OutageId),
    /// See [`Item::LastSeen`].
    LastSeen(Subject),
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
}

/// An item to be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The item.
    pub item: Item,
    /// Whether the whole batch is refused if an item is there under this key.
    pub must_not_exist: bool,
}

impl Put {
    /// Puts an item, whether or not one is there.
    pub fn replacing(item: Item) -> Self {
        Self { item, must_not_exist: false }
    }

    /// Puts an item where there is none.
    pub fn new(item: Item) -> Self {
        Self { item, must_not_exist: true }
    }
}

/// A question that lists items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// What a check needs of a target: its Target, Freshness and Cursor items and all its Runner items, in one request.
    Fleet(TargetId),
    /// A subject's Change items after a revision, in order; at most `limit`.
    Changes {
        /// Which subject.
        subject: Subject,
        /// Only later ones.
        after: Revision,
        /// How many at most.
        limit: usize,
    },
    /// A subject's Claim and Sent items, by notice and attempt, the latest first; at most `limit`. The Sent item of
    /// an attempt comes before its Claim.
    Notifications {
        /// Which subject.
        subject: Subject,
        /// How many at most.
        limit: usize,
    },
    /// A target's Outage items, of all its runners or of one, in order of runner and outage.
    Outages {
        /// Which target.
        target: TargetId,
        /// Only of this runner.
        runner: Option<RunnerId>,
    },
    /// Every Mute item, in order of its number, those that have ended among them.
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
            Item::LastSeen(item) => Key::LastSeen(item.subject.clone()),
            Item::Change(change) => Key::Change(change.subject.clone(), change.revision),
            Item::Credential(record) => Key::Credential(record.id.clone()),
            Item::Watchlist(_) => Key::Watchlist,
            Item::Claim(claim) => Key::Claim(claim.subject.clone(), claim.number),
            Item::Sent(sent) => Key::Sent(sent.subject.clone(), sent.number),
            Item::Cursor(cursor) => Key::Cursor(cursor.subject.clone()),
            Item::Mute(mute) => Key::Mute(Mute::number_of(&mute.scope)),
            Item::Acknowledgement(item) => Key::Acknowledgement(item.target.clone(), item.runner_id, item.outage_id),
            Item::AccessToken(token) => Key::AccessToken(token.credential.clone()),
            Item::Marker(marker) => Key::Marker(marker.subject.clone(), marker.number),
        }
    }
}

impl Key {
    /// The subject that the item belongs to.
    pub fn subject(&self) -> Subject {
        match self {
            Key::Target(target)
            | Key::Runner(target, _)
            | Key::Outage(target, ..)
            | Key::Acknowledgement(target, ..) => Subject::Target(target.clone()),
            Key::Credential(id) | Key::AccessToken(id) => Subject::Credential(id.clone()),
            Key::Watchlist | Key::Mute(_) => Subject::Monitor,
            Key::LastSeen(subject)
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
            Key::LastSeen(_) => write!(f, "{subject} freshness"),
            Key::Change(_, revision) => write!(f, "{subject} change {revision}"),
            Key::Credential(_) => write!(f, "{subject} credential"),
            Key::Watchlist => write!(f, "{subject} watchlist"),
            Key::Claim(_, number) => write!(f, "{subject} claim {}.{}", number.notification, number.attempt),
            Key::Sent(_, number) => write!(f, "{subject} sent {}.{}", number.notification, number.attempt),
            Key::Cursor(_) => write!(f, "{subject} cursor"),
            Key::Mute(number) => write!(f, "{subject} mute {number}"),
            Key::AccessToken(_) => write!(f, "{subject} access token"),
            Key::Marker(_, number) => write!(f, "{subject} marker {number}"),
            Key::Acknowledgement(_, runner, outage) => {
                write!(f, "{subject} runner {runner} outage {} acknowledgement", outage.0)
            }
        }
    }
}
