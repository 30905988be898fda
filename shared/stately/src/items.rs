//! Converts the pipeline's items to StatelyDB items and back.
//!
//! An item's whole content is JSON in its field `body`. The other fields mirror what people and other programs want to
//! read, and are not read back. LastSeen and Cursor have no body, only their fields.

mod read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use monitor_domain::outage::{Ending, Outage, Visibility};
use monitor_domain::runner::{Health, Runner, Status};
use monitor_domain::subject::Subject;
use monitor_domain::target::TargetId;
use monitor_domain::time::Timestamp;
use monitor_pipeline::expiry::expires_at;
use monitor_pipeline::items::{Item, JobItem, Mute, OutageItem, RunnerItem, SendEnding};
use monitor_pipeline::keys::Key;
use monitor_pipeline::ports::StoreError;
use serde::Serialize;

use crate::fields;
use crate::key_path::KeyPath;
use crate::payload::{Record, Value};
use crate::wire;

pub use read::Reader;

/// A body longer than this, in bytes, is deflated: DynamoDB, which StatelyDB is built on, limits items to 400 KB, and a
/// claim with a thousand outages is half a megabyte of text.
const LONGEST_PLAIN_BODY: usize = 64 << 10;
/// The prefix of a deflated body. JSON starts with a brace.
const DEFLATED: &str = "z:";
const DEFLATE_LEVEL: u8 = 6;

/// A slot as its key has it: the service takes zero for no value.
fn from_one(slot: u8) -> u64 {
    u64::from(slot) + 1
}

/// An item's first key path.
pub fn key_path(key: &Key) -> KeyPath {
    let repo = |subject: &Subject| KeyPath::new().text("repo", &subject.to_string());
    let fleet = |subject: &Subject| KeyPath::new().text("fleet", &subject.to_string());
    let target = |target: &TargetId| KeyPath::new().text("repo", target.as_str());
    match key {
        Key::Target(id) => target(id),
        Key::Runner(id, runner) => target(id).number("runner", runner.0),
        Key::Outage(id, runner, outage) => target(id).number("runner", runner.0).number("outage", outage.0.0),
        Key::LastSeen(subject, slot) => fleet(subject).number("last_seen", from_one(*slot)),
        Key::Cursor(subject) => fleet(subject).only("cursor"),
        Key::Change(subject, revision) => repo(subject).number("change", revision.0),
        Key::Credential(_) => repo(&key.subject()).only("credential"),
        Key::AccessToken(_) => repo(&key.subject()).only("access_token"),
        Key::Watchlist => repo(&key.subject()).only("watchlist"),
        Key::Job(id, job) => target(id).number("job", job.0),
        Key::Marker(subject, number) => repo(subject).number("marker", *number),
        Key::Mute(number) => repo(&key.subject()).number("mute", *number),
        Key::Acknowledgement(id, runner, outage) => {
            target(id).number("acknowledged", runner.0).number("outage", outage.0.0)
        }
        Key::Claim(subject, number) => repo(subject)
            .number("notification", number.notification)
            .number("attempt", number.attempt.into())
            .only("claim"),
        Key::Sent(subject, number) => repo(subject)
            .number("notification", number.notification)
            .number("attempt", number.attempt.into())
            .only("sent"),
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn moment(moment: impl Into<Option<Timestamp>>) -> Value {
    Value::Moment(moment.into().map_or(0, Timestamp::epoch_ms))
}

/// When an item expires, in whole seconds; 0 if it does not.
fn expires(item: &Item) -> Value {
    Value::Moment(expires_at(item).map_or(0, Timestamp::epoch_secs))
}

fn status(status: Status) -> Value {
    Value::Status(match status {
        Status::Online => 1,
        Status::Offline => 2,
        Status::Busy => 3,
        Status::Unknown => 4,
        Status::Idle => 5,
    })
}

fn body(content: &impl Serialize) -> Result<Value, serde_json::Error> {
    let json = serde_json::to_string(content)?;
    if json.len() <= LONGEST_PLAIN_BODY {
        return Ok(Value::Text(json));
    }
    let deflated = miniz_oxide::deflate::compress_to_vec(json.as_bytes(), DEFLATE_LEVEL);
    Ok(Value::Text(format!("{DEFLATED}{}", STANDARD.encode(deflated))))
}

/// An item in the form in which it is put.
pub fn write(item: &Item) -> Result<wire::Item, StoreError> {
    let key = item.key();
    let refused = |error| StoreError::Refused(format!("{key}: it cannot be written as JSON: {error}"));
    record(item).map(|record| record.to_item()).map_err(refused)
}

/// An item as a record of fields.
pub fn record(item: &Item) -> Result<Record, serde_json::Error> {
    use Value::{Flag, Number, Texts};
    let new = |item_type| Record::new(item_type).with("repoId", Value::Text(item.key().subject().to_string()));
    Ok(match item {
        Item::Target(record) => new(&fields::REPOSITORY)
            .with("owner", text(record.target.owner()))
            .with("name", text(record.target.name()))
            .with("displayName", text(record.target.as_str()))
            .with("isActive", Flag(record.watched_since.is_some()))
            .with("revision", Number(record.revision.0))
            .with("lastNotifiable", Number(record.last_notifiable.0))
            .with("watchedSince", moment(record.watched_since))
            .with("lastSyncedAt", moment(record.observed_at))
            .with("failingSince", moment(record.failing.as_ref().map(|failing| failing.since)))
            .with("isUnreachable", Flag(record.failing.as_ref().is_some_and(|failing| failing.unreachable)))
            .with("unfinished", Flag(record.unfinished))
            .with("body", body(record)?),
        Item::Runner(RunnerItem { runner, .. }) => new(&fields::RUNNER)
            .with("runnerId", Number(runner.id.0))
            .with("name", text(&runner.name))
            .with("status", status(runner.status))
            .with("os", text(&runner.os))
            .with("labels", Texts(runner.labels.clone()))
            .with("lastSeenAt", moment(last_seen_at(runner)))
            .with("firstSeenAt", moment(runner.first_seen_at))
            .with("statusSince", moment(runner.status_since))
            .with("currentId", Number(runner.current_id.0))
            .with("busy", Flag(runner.busy))
            .with("ephemeral", Flag(runner.ephemeral))
            .with("version", text(runner.version.as_deref().unwrap_or_default()))
            .with("health", text(health(&runner.health)))
            .with("body", body(runner)?),
        Item::Outage(OutageItem { outage, .. }) => new(&fields::OUTAGE_EVENT)
            .with("outageId", Number(outage.id.0.0))
            .with("runnerId", Number(outage.runner_id.0))
            .with("status", status(outage.status))
            .with("startedAt", moment(outage.started_at))
            .with("resolvedAt", moment(outage.resolved_at))
            .with("description", Value::Text(description(outage)))
            .with("runnerName", text(&outage.runner_name))
            .with("confirmedAt", moment(outage.confirmed_at))
            .with("ending", text(outage.ending.map_or("", ending)))
            .with("os", text(&outage.os))
            .with("labels", Texts(outage.labels.clone()))
            .with("version", text(outage.version.as_deref().unwrap_or_default()))
            .with("currentId", Number(outage.current_id.0))
            .with("inJob", Flag(outage.in_job))
            .with("body", body(outage)?)
            .with("expiresAt", expires(item)),
        Item::LastSeen(last_seen) => new(&fields::LAST_SEEN)
            .with("slot", Number(from_one(last_seen.slot)))
            .with("seenAt", moment(last_seen.at))
            .with("jobsSentAt", moment(last_seen.jobs_sent_at))
            .with("nextTickAt", moment(last_seen.next_tick_at)),
        Item::Cursor(cursor) => new(&fields::CURSOR)
            .with("notifiedThrough", Number(cursor.notified_through.0))
            .with("recordedThrough", Number(cursor.recorded_through.0))
            .with("nextAttemptAt", moment(cursor.next_attempt_at)),
        Item::Credential(record) => new(&fields::CREDENTIAL)
            .with("credentialId", text(record.id.as_str()))
            .with("revision", Number(record.revision.0))
            .with("lastNotifiable", Number(record.last_notifiable.0))
            .with("body", body(record)?),
        Item::Watchlist(list) => new(&fields::WATCHLIST)
            .with("revision", Number(list.revision.0))
            .with("lastNotifiable", Number(list.last_notifiable.0))
            .with("targetCount", Number(list.targets.len() as u64))
            .with("body", body(list)?),
        Item::Change(change) => new(&fields::CHANGE)
            .with("revision", Number(change.revision.0))
            .with("nonce", Number(change.nonce))
            .with("decidedAt", moment(change.decided_at))
            .with("observedAt", moment(change.observed_at))
            .with("more", Flag(change.more))
            .with("notifiable", Flag(change.is_notifiable()))
            .with("body", body(change)?)
            .with("expiresAt", expires(item)),
        Item::Claim(claim) => new(&fields::CLAIM)
            .with("notification", Number(claim.number.notification))
            .with("attempt", Number(claim.number.attempt.into()))
            .with("nonce", Number(claim.nonce))
            .with("after", Number(claim.after.0))
            .with("through", Number(claim.through.0))
            .with("claimedAt", moment(claim.claimed_at))
            .with("leaseUntil", moment(claim.lease_until))
            .with("plainText", Flag(claim.plain_text))
            .with("body", body(claim)?)
            .with("expiresAt", expires(item)),
        Item::Mute(mute) => new(&fields::MUTE)
            .with("muteId", Number(Mute::number_of(&mute.scope)))
            .with("scope", Value::Text(mute.scope.to_string()))
            .with("since", moment(mute.since))
            .with("until", moment(mute.until))
            .with("reason", text(mute.reason.as_deref().unwrap_or_default()))
            .with("by", text(mute.by.as_str()))
            .with("body", body(mute)?)
            .with("expiresAt", expires(item)),
        Item::Job(JobItem { job, .. }) => new(&fields::WORKFLOW_JOB)
            .with("jobId", Number(job.id.0))
            .with("repository", text(job.repository.as_str()))
            .with("labels", Value::Texts(job.labels.clone()))
            .with("queuedAt", moment(job.queued_at))
            .with("body", body(job)?)
            .with("expiresAt", expires(item)),
        Item::Marker(marker) => new(&fields::MARKER)
            .with("markerId", Number(marker.number))
            .with("nonce", Number(marker.nonce))
            .with("markedAt", moment(marker.at))
            .with("body", body(marker)?)
            .with("expiresAt", expires(item)),
        Item::Acknowledgement(acknowledgement) => new(&fields::ACKNOWLEDGEMENT)
            .with("runnerId", Number(acknowledgement.runner_id.0))
            .with("outageId", Number(acknowledgement.outage_id.0.0))
            .with("acknowledgedAt", moment(acknowledgement.at))
            .with("by", text(acknowledgement.by.as_str()))
            .with("body", body(acknowledgement)?)
            .with("expiresAt", expires(item)),
        Item::AccessToken(token) => new(&fields::ACCESS_TOKEN)
            .with("credentialId", text(token.credential.as_str()))
            .with("endsAt", moment(token.expires_at))
            .with("body", body(token)?)
            .with("expiresAt", expires(item)),
        Item::Sent(sent) => {
            let (ending, channel, ts) = match &sent.ending {
                SendEnding::Delivered(delivered) => ("delivered", &delivered.channel, &delivered.ts),
                SendEnding::Deferred { .. } => ("deferred", &None, &None),
                SendEnding::LayoutRefused { .. } => ("layoutRefused", &None, &None),
            };
            new(&fields::SENT)
                .with("notification", Number(sent.number.notification))
                .with("attempt", Number(sent.number.attempt.into()))
                .with("through", Number(sent.through.0))
                .with("endedAt", moment(sent.at))
                .with("ending", text(ending))
                .with("channel", text(channel.as_deref().unwrap_or_default()))
                .with("ts", text(ts.as_deref().unwrap_or_default()))
                .with("body", body(sent)?)
                .with("expiresAt", expires(item))
        }
    })
}

/// The latest time at which the runner is known to have been connected.
fn last_seen_at(runner: &Runner) -> Option<Timestamp> {
    if runner.status.is_healthy() {
        return Some(runner.status_since);
    }
    let last_healthy = match &runner.health {
        Health::Suspect(suspicion) => suspicion.last_healthy,
        Health::Down(down) => down.outage.last_healthy,
        Health::Healthy | Health::Gone { .. } | Health::Retired => None,
    };
    last_healthy.or(runner.absence.as_ref().and_then(|absence| absence.last_healthy)).map(|last| last.at)
}

fn health(health: &Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Suspect(_) => "suspect",
        Health::Down(_) => "down",
        Health::Gone { .. } => "gone",
        Health::Retired => "retired",
    }
}

fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::Recovered => "recovered",
        Ending::Removed => "removed",
        Ending::NoLongerMonitored => "noLongerMonitored",
    }
}

fn description(outage: &Outage) -> String {
    let job = if outage.in_job { " while running a job" } else { "" };
    let end = match outage.ending {
        None => "still open",
        Some(Ending::Recovered) => "recovered",
        Some(Ending::Removed) => "no longer registered",
        Some(Ending::NoLongerMonitored) => "no longer monitored",
    };
    let suffix = match outage.visibility {
        Visibility::Alerted | Visibility::Baseline => "",
        Visibility::Suppressed => ", without an individual alert",
        Visibility::Muted => ", muted",
    };
    format!("{} became {}{job}; {end}{suffix}", outage.runner_name, outage.status)
}

#[cfg(test)]
mod tests;
