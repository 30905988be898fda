//! What is stored: the items.
//!
//! Every item type has one writer; docs/ARCHITECTURE.md has the table.

use std::time::Duration;

use monitor_domain::change::Change;
use monitor_domain::fleet::{CredentialRecord, TargetRecord};
use monitor_domain::jobs::Job;
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

use crate::person::PersonId;

/// One stored item. [`json::decode`](crate::json::decode) reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "item", rename_all = "camelCase")]
pub enum Item {
    /// A target's own record; written by the check stage.
    Target(TargetRecord),
    /// A runner; written by the check stage.
    Runner(RunnerItem),
    /// An outage; written by the notify stage: as it opened if none is stored, and whole when it has ended.
    Outage(OutageItem),
    /// The heartbeat of a target or of the monitor; written by the stage that decides about the subject.
    LastSeen(LastSeen),
    /// A committed change; never altered. Written by the stage that decides about the subject.
    Change(Change),
    /// A credential's record; written by the check stage.
    Credential(CredentialRecord),
    /// The list of targets; written by the schedule stage.
    Watchlist(Watchlist),
    /// A claim to send a notification; never altered. Written by the notify stage.
    Claim(Claim),
    /// How an attempt to send ended; written by the process of the notify stage that claimed it.
    Sent(Sent),
    /// How far a subject's changes are notified and recorded: a hint for the check stage, never ahead of the truth.
    /// Written by the notify stage.
    Cursor(Cursor),
    /// Runners about which no notifications are sent for a while; written by the respond stage.
    Mute(Mute),
    /// An outage that somebody is working on; written by the respond stage.
    Acknowledgement(Acknowledgement),
    /// The access token of a GitHub App's installation, sealed; written by the check stage.
    AccessToken(AccessToken),
    /// Something that is done at most once; never altered. For a target: a check by hand, written by the check stage.
    /// For the monitor: a request from Slack that changes something, written by the respond stage.
    Marker(Marker),
    /// A workflow job that is not completed; written by the check stage and by the record of reports, which never takes
    /// a job back.
    Job(JobItem),
}

/// A workflow job within the target that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobItem {
    /// The target.
    pub target: TargetId,
    /// The job.
    #[serde(flatten)]
    pub job: Job,
}

/// A runner within its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunnerItem {
    /// The target.
    pub target: TargetId,
    /// The runner.
    #[serde(flatten)]
    pub runner: Runner,
}

/// An outage within its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutageItem {
    /// The target.
    pub target: TargetId,
    /// The outage.
    #[serde(flatten)]
    pub outage: Outage,
}

/// The heartbeat of a subject: for a target, when the last check that changed nothing began; for the monitor, the last
/// tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastSeen {
    /// The target or the monitor.
    pub subject: Subject,
    /// For the monitor: see [`LastSeen::slot_at`].
    #[serde(default, skip_serializing_if = "is_first")]
    pub slot: u8,
    /// The time of the check or tick.
    pub at: Timestamp,
    /// For the monitor: the last tick whose jobs were sent, if a tick sends so many that none may be sent twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs_sent_at: Option<Timestamp>,
    /// For the monitor: when the next tick is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_tick_at: Option<Timestamp>,
}

impl LastSeen {
    /// The number of slots that the monitor's heartbeats use in turn, each for half an interval.
    pub const SLOTS: u8 = 12;

    /// The slot of a tick at `at`. A slot is used again after six intervals: so the put of a process that was suspended
    /// for less does not replace a newer heartbeat.
    pub fn slot_at(at: Timestamp, interval: Duration) -> u8 {
        let half_ms = i64::try_from(interval.as_millis() / 2).unwrap_or(i64::MAX).max(1);
        let slot = (at.epoch_ms() / half_ms).rem_euclid(i64::from(Self::SLOTS));
        u8::try_from(slot).unwrap_or_default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first(slot: &u8) -> bool {
    *slot == 0
}

/// The number of a notification within its subject, and of an attempt to send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The number of the notification within its subject, from 1.
    pub notification: u64,
    /// The number of the attempt to send it, from 1.
    pub attempt: u32,
}

/// A claim to send a notification: the process that stored it may send until the lease ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// What the notification is about.
    pub subject: Subject,
    /// The numbers of the notification and the attempt.
    #[serde(flatten)]
    pub number: Attempt,
    /// A random number, by which a process recognises its own claim if the answer was lost.
    pub nonce: u64,
    /// The last revision notified before this claim.
    pub after: Revision,
    /// The last revision that the notification covers.
    pub through: Revision,
    /// When it was claimed.
    pub claimed_at: Timestamp,
    /// Until when no other process may send it.
    pub lease_until: Timestamp,
    /// Whether it is sent as plain text because its layout was refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain_text: bool,
    /// Whether it sends the parts that an earlier attempt left pending, unchanged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumes: bool,
    /// The channel of its first part; `None` for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The first part. Stored as `message`, because `notification` is the number.
    #[serde(rename = "message")]
    pub notification: Notification,
    /// The parts for further channels, in the order in which they are sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<Part>,
    /// The earlier messages with open outages. With the notification they determine what is sent and what is edited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub live: Vec<LiveMessage>,
}

impl Claim {
    /// Whether its lease is still valid at `now`. A lease from a clock ahead of this one has ended.
    pub fn holds(&self, now: Timestamp) -> bool {
        !self.lease_until.is_due(now, self.lease_until.since(self.claimed_at))
    }

    /// The parts: the channel (`None` for the default) and the notification.
    pub fn parts(&self) -> impl Iterator<Item = (Option<&str>, &Notification)> {
        let first = (self.channel.as_deref(), &self.notification);
        std::iter::once(first).chain(self.further.iter().map(|part| (part.channel.as_deref(), &part.notification)))
    }
}

/// A message with an open outage: it is edited as its outages end. Only in chats that can edit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveMessage {
    /// Where it is in the chat.
    pub place: MessagePlace,
    /// Its outages, open and ended.
    pub outages: Vec<Outage>,
}

/// A message in the chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessagePlace {
    /// The channel.
    pub channel: String,
    /// The message's id within it.
    pub ts: String,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// What the notification is about.
    pub subject: Subject,
    /// The numbers of the notification and the attempt.
    #[serde(flatten)]
    pub number: Attempt,
    /// The last revision that it covers.
    pub through: Revision,
    /// When it ended.
    pub at: Timestamp,
    /// How it ended.
    #[serde(flatten)]
    pub ending: SendEnding,
    /// The state of each part, if the claim has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartEnding>,
}

impl Sent {
    /// The state of each part of its claim.
    pub fn part_endings(&self) -> Vec<PartEnding> {
        if !self.parts.is_empty() {
            return self.parts.clone();
        }
        vec![PartEnding::of(&self.ending)]
    }
}

/// The state of one part of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "part")]
pub enum PartEnding {
    /// The chat accepted it.
    Delivered(Delivered),
    /// It is still to be sent.
    Waits,
}

impl PartEnding {
    /// The state of the only part of an attempt, from the attempt's ending.
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
    /// The chat accepted it.
    Delivered(Delivered),
    /// Not sent: the next attempt is due at `until`.
    #[serde(rename_all = "camelCase")]
    Deferred {
        /// When the next attempt is due.
        until: Timestamp,
        /// Why it was deferred.
        reason: String,
        /// Whether the chat may have accepted it all the same.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        uncertain: bool,
    },
    /// Its layout was refused: the next attempt is due at once, as plain text.
    #[serde(rename_all = "camelCase")]
    LayoutRefused {
        /// Why it was refused.
        reason: String,
    },
}

/// Where a message is, as far as the chat reports it; a webhook reports nothing.
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
    /// The place of the message, if the chat reports it.
    pub fn place(&self) -> Option<MessagePlace> {
        Some(MessagePlace { channel: self.channel.clone()?, ts: self.ts.clone()? })
    }
}

/// How far a subject's changes are notified, and a target's outages recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cursor {
    /// The subject whose changes it counts.
    pub subject: Subject,
    /// The last notified revision.
    pub notified_through: Revision,
    /// The last revision whose outages are recorded.
    #[serde(default)]
    pub recorded_through: Revision,
    /// When the next attempt to send is due, if one was deferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
}

/// Runners about which no notifications are sent for a while. Their outages are recorded; open ones are reported at its
/// end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mute {
    /// The muted runners.
    pub scope: Scope,
    /// When it was set.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// The reason given by the person, shown to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who set it.
    pub by: PersonId,
}

impl Mute {
    /// Whether it is active at `now`. One that was set under a clock that has been set back since is over.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        !self.until.is_due(now, self.until.since(self.since))
    }

    /// Its number in its key. A second mute of the same runners replaces the first.
    pub fn number_of(scope: &Scope) -> u64 {
        // SQLite's integers are signed.
        fnv(&scope.to_string().to_lowercase()) >> 1
    }
}

/// FNV-1a, 64 bits.
pub(crate) fn fnv(text: &str) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}

/// An outage that somebody is working on: no reminders are sent for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledgement {
    /// The target.
    pub target: TargetId,
    /// The runner.
    pub runner_id: RunnerId,
    /// Its outage.
    pub outage_id: OutageId,
    /// When it was acknowledged.
    pub at: Timestamp,
    /// Who acknowledged it.
    pub by: PersonId,
}

/// The access token that every poller uses for one installation of a GitHub App: an ETag works only with the token that
/// it was issued for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessToken {
    /// The installation.
    pub credential: CredentialId,
    /// When it expires.
    pub expires_at: Timestamp,
    /// The token, encrypted: only a holder of the App's private key can read it.
    pub sealed: String,
}

/// Something that is done at most once, by the process that stores the marker first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Marker {
    /// The checked target, or the monitor for a request.
    pub subject: Subject,
    /// Identifies what is done, within the subject, from 1: the window of a check by hand, or the signature of a
    /// request.
    pub number: u64,
    /// A random number, by which a process recognises its own marker if the answer was lost.
    pub nonce: u64,
    /// When it was stored.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_within_five_intervals_of_each_other_use_different_slots() {
        for interval_secs in [10, 60, 300, 3_600] {
            let interval = Duration::from_secs(interval_secs);
            let (interval_ms, mut used) =
                (i64::try_from(interval_secs * 1_000).unwrap(), [0; LastSeen::SLOTS as usize]);
            for first_ms in (0..8 * interval_ms).step_by(2_521).map(|ms| 1_800_000_000_000 + ms) {
                let slot = |ms| LastSeen::slot_at(Timestamp::from_epoch_ms(ms), interval);
                used[usize::from(slot(first_ms))] += 1;
                for (intervals, percent) in (1..=5).flat_map(|intervals| (-49..=49).map(move |late| (intervals, late)))
                {
                    let later_ms = first_ms + interval_ms * intervals + interval_ms * percent / 100;
                    assert_ne!(slot(first_ms), slot(later_ms), "{first_ms} and {later_ms}, every {interval_secs} s");
                }
            }
            assert!(used.iter().all(|ticks| *ticks > 0), "{used:?}");
        }
    }
}
