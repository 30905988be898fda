//! The messages between the stages: JSON that a person can also write by hand.

use monitor_domain::change::Event;
use monitor_domain::jobs::Job;
use monitor_domain::quote::quote;
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::{Target, TargetKind};
use monitor_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version that this release writes. It reads this version and messages without one.
const VERSION: u64 = 1;

/// How much of a parser's error about a body is quoted, in characters.
const MAX_QUOTED: usize = 200;

const SHAPES: &str = r#"{"repository":"owner/name"}, {"organization":"NAME"} or {"enterprise":"NAME"}"#;

/// A job: check one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckJob {
    /// The target to check.
    pub target: Target,
    /// Why the check is requested.
    pub reason: Reason,
    /// When it was requested; `None` in a message written by hand.
    pub requested_at: Option<Timestamp>,
    /// When the job expires; `None` means one interval after it was requested.
    pub valid_until: Option<Timestamp>,
}

/// What GitHub reported about a workflow job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobReport {
    /// The job.
    pub job: Job,
    /// Whether it is completed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub completed: bool,
    /// The enterprise that the report came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enterprise: Option<Target>,
}

/// A message on the queue for checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChecksMessage {
    /// Check a target.
    Check(CheckJob),
    /// Store the report of a workflow job.
    Report(Box<JobReport>),
}

impl ChecksMessage {
    /// Reads a message.
    pub fn from_json(body: &str) -> Result<Self, MessageError> {
        match fields(body, SHAPES)? {
            (fields, true) if fields.contains_key("job") => serde_json::from_value(Value::Object(fields))
                .map(|report| Self::Report(Box::new(report)))
                .map_err(|error| unreadable(format!("`job`: {}", describe_error(error)))),
            _ => CheckJob::from_json(body).map(Self::Check),
        }
    }
}

impl JobReport {
    /// The message as JSON.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Form<'a> {
            version: u64,
            #[serde(flatten)]
            report: &'a JobReport,
        }
        written(&Form { version: VERSION, report: self })
    }
}

/// Why a target is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The schedule.
    Schedule,
    /// An earlier check could not settle the state of a runner.
    Recheck,
    /// A person wants a target on the list checked now.
    Manual,
    /// A person checks a target once, whether or not it is on the list. Not for the queue: nothing checks it again.
    Once,
    /// The target was taken off the list: it is not checked, and its open outages are closed.
    Dropped,
}

/// The state of a subject has changed: what was committed, for the notifier and for other readers of the queue.
///
/// The notifier uses only the subject and reads the rest from the store: a message may be lost, late or repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The subject that changed.
    pub subject: Subject,
    /// The subject's last revision; `None` in a message written by hand.
    pub revision: Option<Revision>,
    /// What happened, up to [`MAX_CHANGES`]; empty if only an earlier commit is still pending.
    pub changes: Vec<ChangeSummary>,
    /// The number of changes left out.
    pub more: usize,
}

/// How many changes a message lists.
pub const MAX_CHANGES: usize = 20;
/// The maximum size of a message, in bytes.
const MAX_BYTES: usize = 8 * 1024;
/// How much of a runner's name is quoted in a message, in characters.
const MAX_NAME: usize = 100;

/// One event of a commit, in short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeSummary {
    /// The runner that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// What happened, for example `outageOpened`.
    pub change: String,
    /// When this state began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The message cannot be used. The text names the field and the accepted shapes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It has none of the accepted shapes.
    #[error("{0}")]
    Unreadable(String),
    /// A later release wrote it.
    #[error("the message has version {0}, this release reads version {VERSION}: update it, then redrive the message")]
    LaterVersion(u64),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckJobForm<'a> {
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enterprise: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pools_of: Option<&'a str>,
    reason: Reason,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<Timestamp>,
}

#[derive(Serialize)]
struct StateChangeForm<'a> {
    version: u64,
    subject: &'a Subject,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<Revision>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    changes: &'a [ChangeSummary],
    #[serde(skip_serializing_if = "is_zero")]
    more: usize,
}

// serde requires this signature.
#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl CheckJob {
    /// The message as JSON.
    pub fn to_json(&self) -> String {
        let named = |kind| (self.target.kind() == kind).then_some(self.target.name());
        let form = CheckJobForm {
            version: VERSION,
            repository: (self.target.kind() == TargetKind::Repository).then_some(self.target.as_str()),
            organization: named(TargetKind::Organization),
            enterprise: named(TargetKind::Enterprise),
            pools_of: self.target.pooled_credential(),
            reason: self.reason,
            requested_at: self.requested_at,
            valid_until: self.valid_until,
        };
        written(&form)
    }

    /// Reads a message. An unknown field is a typing mistake in a message without a version; in one with a version it
    /// was added by a later release and is ignored.
    pub fn from_json(body: &str) -> Result<Self, MessageError> {
        let (fields, versioned) = fields(body, SHAPES)?;
        let known =
            ["version", "repository", "organization", "enterprise", "poolsOf", "reason", "requestedAt", "validUntil"];
        if let Some(strange) = fields.keys().find(|key| !versioned && !known.contains(&key.as_str())) {
            return Err(unreadable(format!("the field `{}` is not known", quote(strange, 40))));
        }
        let named: Vec<(&str, &Value)> = ["repository", "organization", "enterprise", "poolsOf"]
            .into_iter()
            .filter_map(|field| fields.get(field).map(|value| (field, value)))
            .collect();
        let (field, name) = match named[..] {
            [(field, Value::String(name))] => (field, name),
            [(field, _)] => return Err(unreadable(format!("`{field}` must be a text"))),
            [] => return Err(unreadable("the message names no target".to_owned())),
            _ => return Err(unreadable("the message names more than one target".to_owned())),
        };
        let target = match field {
            "repository" => Target::repository(name),
            "organization" => Target::organization(name),
            "poolsOf" => Target::pools(name),
            _ => Target::enterprise(name),
        };
        let target = target.map_err(|error| unreadable(format!("`{field}`: {error}")))?;
        let requested_at = read_field::<Timestamp>(&fields, "requestedAt")?;
        let valid_until = read_field::<Timestamp>(&fields, "validUntil")?;
        let reason = read_field::<Reason>(&fields, "reason")?.unwrap_or(Reason::Manual);
        Ok(Self { target, reason, requested_at, valid_until })
    }
}

impl StateChange {
    /// The message about a commit. Notifiable events and those that open or close an outage come first.
    pub fn of(subject: Subject, revision: Revision, events: &[Event]) -> Self {
        let is_first = |event: &&Event| event.is_notifiable() || event.outage_event().is_some();
        let (first, rest): (Vec<&Event>, Vec<&Event>) = events.iter().partition(is_first);
        let changes = first.into_iter().chain(rest).take(MAX_CHANGES).map(ChangeSummary::from).collect();
        let more = events.len().saturating_sub(MAX_CHANGES);
        let mut message = Self { subject, revision: Some(revision), changes, more };
        while message.to_json().len() > MAX_BYTES && message.changes.pop().is_some() {
            message.more += 1;
        }
        message
    }

    /// The message as JSON.
    pub fn to_json(&self) -> String {
        let Self { subject, revision, changes, more } = self;
        written(&StateChangeForm { version: VERSION, subject, revision: *revision, changes, more: *more })
    }

    /// Reads a message. In the parts that are only for people, whatever this release cannot read is left out: another
    /// release may have written it.
    pub fn from_json(body: &str) -> Result<Self, MessageError> {
        const SHAPE: &str = r#"{"subject":"owner/name"}"#;
        let (fields, _) = fields(body, SHAPE)?;
        let subject = fields.get("subject").cloned().unwrap_or_default();
        let subject = serde_json::from_value(subject).map_err(|error| {
            MessageError::Unreadable(format!("`subject`: {}; accepted shape: {SHAPE}", describe_error(error)))
        })?;
        let list = fields.get("changes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let read = |change: &Value| serde_json::from_value(change.clone()).ok();
        let changes: Vec<ChangeSummary> = list.iter().take(MAX_CHANGES).filter_map(read).collect();
        let more = fields.get("more").and_then(Value::as_u64).unwrap_or_default();
        let left_out = usize::try_from(more).unwrap_or(usize::MAX).saturating_add(list.len() - changes.len());
        let revision = fields.get("revision").and_then(Value::as_u64).map(Revision);
        Ok(Self { subject, revision, changes, more: left_out })
    }
}

impl From<&Event> for ChangeSummary {
    fn from(event: &Event) -> Self {
        let change = |change: &str| Self { change: change.to_owned(), ..Self::default() };
        let of = |name: &str, kind: &str| Self { runner: Some(quote(name, MAX_NAME)), ..change(kind) };
        match event {
            Event::MonitoringStarted => change("monitoringStarted"),
            Event::Registered { runner } => of(&runner.name, "registered"),
            Event::Reregistered { runner, .. } => of(&runner.name, "reregistered"),
            Event::StatusChanged { runner, .. } => of(&runner.name, "statusChanged"),
            Event::Suspected { runner, .. } => of(&runner.name, "suspected"),
            Event::Cleared { runner } => of(&runner.name, "cleared"),
            Event::OutageOpened { outage } => {
                Self { since: Some(outage.started_at), ..of(&outage.runner_name, "outageOpened") }
            }
            Event::OutageClosed { outage } => Self {
                since: Some(outage.started_at),
                until: outage.resolved_at,
                ..of(&outage.runner_name, "outageClosed")
            },
            Event::QueueChanged { outage } => {
                Self { since: Some(outage.started_at), ..of(&outage.runner_name, "queueChanged") }
            }
            Event::Reminded { outage, .. } => {
                Self { since: Some(outage.started_at), ..of(&outage.runner_name, "reminderDue") }
            }
            Event::RemovalNear { outage, .. } => {
                let until = outage.removal().and_then(|removal| removal.earliest);
                Self { since: Some(outage.started_at), until, ..of(&outage.runner_name, "removalNear") }
            }
            Event::VersionEnding { ends_at, .. } => Self { until: Some(*ends_at), ..change("versionEnding") },
            Event::VersionAnswered { .. } => change("versionAnswered"),
            Event::MuteEnded { outage } => {
                Self { since: Some(outage.started_at), ..of(&outage.runner_name, "muteEnded") }
            }
            Event::Returned { runner, gone_since, .. } => {
                Self { since: Some(*gone_since), ..of(&runner.name, "returned") }
            }
            Event::Retired { runner } => of(&runner.name, "forgotten"),
            Event::FlappingStarted { runner, since, .. } => {
                Self { since: Some(*since), ..of(&runner.name, "flappingStarted") }
            }
            Event::FlappingEnded { runner, since, .. } => {
                Self { since: Some(*since), ..of(&runner.name, "flappingEnded") }
            }
            Event::ChecksFailing { .. } => change("checksFailing"),
            Event::BecameUnreachable { since, .. } => Self { since: Some(*since), ..change("unreachable") },
            Event::ReachableAgain { since, until, .. } => {
                Self { since: Some(*since), until: Some(*until), ..change("reachable") }
            }
            Event::Dropped { .. } => change("monitoringEnded"),
            Event::CredentialExpiring { expires_at } => {
                Self { until: Some(*expires_at), ..change("credentialExpiring") }
            }
            Event::TokenReplaced => change("tokenReplaced"),
            Event::TargetsAdded { .. } => change("targetsAdded"),
            Event::TargetsRemoved { .. } => change("targetsRemoved"),
            Event::EmptyListRefused { .. } => change("emptyListRefused"),
            Event::ListRestored { .. } => change("listRestored"),
            Event::EntryUnresolved { since, .. } => Self { since: Some(*since), ..change("entryUnresolved") },
            Event::EntryResolved { since, until, .. } => {
                Self { since: Some(*since), until: Some(*until), ..change("entryResolved") }
            }
            Event::Unwatched { from, until } => {
                Self { since: Some(*from), until: Some(*until), ..change("monitorAbsent") }
            }
            Event::WeekReported { report } => {
                Self { since: Some(report.from), until: Some(report.until), ..change("weekReported") }
            }
            Event::Unrecognised => change("unrecognised"),
        }
    }
}

fn written(form: &impl Serialize) -> String {
    // Strings, numbers and options of them: serializing cannot fail.
    serde_json::to_string(form).unwrap_or_default()
}

/// An error of `serde_json`, shortened because it may quote the input.
fn describe_error(error: serde_json::Error) -> String {
    quote(&error.to_string(), MAX_QUOTED)
}

fn unreadable(what: String) -> MessageError {
    MessageError::Unreadable(format!("{what}; accepted shapes: {SHAPES}"))
}

/// The fields of a message, and whether it has a version.
fn fields(body: &str, shapes: &str) -> Result<(Map<String, Value>, bool), MessageError> {
    let fields: Map<String, Value> = serde_json::from_str(body).map_err(|error| {
        MessageError::Unreadable(format!(
            "the body is not a JSON object ({}); accepted shapes: {shapes}",
            describe_error(error)
        ))
    })?;
    match fields.get("version") {
        None => Ok((fields, false)),
        Some(version) if version.as_u64() == Some(VERSION) => Ok((fields, true)),
        Some(version) => match version.as_u64() {
            Some(later) if later > VERSION => Err(MessageError::LaterVersion(later)),
            _ => Err(MessageError::Unreadable(format!("`version` must be {VERSION}; accepted shapes: {shapes}"))),
        },
    }
}

fn read_field<T: serde::de::DeserializeOwned>(
    fields: &Map<String, Value>,
    field: &str,
) -> Result<Option<T>, MessageError> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value.clone())
            .map(Some)
            .map_err(|error| unreadable(format!("`{field}`: {}", describe_error(error)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_by_hand_is_as_short_as_a_name() {
        let job = CheckJob::from_json(r#"{"repository":"Acme/Web"}"#).unwrap();
        assert_eq!((job.target.as_str(), job.reason, job.requested_at), ("Acme/Web", Reason::Manual, None));
        assert_eq!(CheckJob::from_json(r#"{"organization":"acme"}"#).unwrap().target.as_str(), "orgs/acme");
        assert_eq!(CheckJob::from_json(r#"{"enterprise":"a-corp"}"#).unwrap().target.as_str(), "enterprises/a-corp");
    }

    #[test]
    fn an_error_names_the_typing_mistake_and_the_accepted_shapes() {
        let cases = [
            (r#"{"repo":"acme/web"}"#, "the field `repo` is not known"),
            (
                r#"{"repository":"acme"}"#,
                "`repository`: must be a repository as owner/name, for example acme/web; found `acme`",
            ),
            (r#"{"repository":7}"#, "`repository` must be a text"),
            (r#"{}"#, "the message names no target"),
            (r#"{"repository":"a/b","organization":"a"}"#, "more than one target"),
            (r#"{"version":1,"repository":"a/b","reason":"whim"}"#, "`reason`: unknown variant `whim`"),
            (r#"["acme/web"]"#, "the body is not a JSON object"),
            ("acme/web", "the body is not a JSON object"),
            (r#"{"version":"x","repository":"a/b"}"#, "`version` must be 1"),
        ];
        for (body, said) in cases {
            let error = CheckJob::from_json(body).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(r#"{"repository":"owner/name"}"#), "{body}: {error}");
        }
    }

    #[test]
    fn a_later_release_is_reported_by_its_version_and_its_additions_are_ignored() {
        assert_eq!(CheckJob::from_json(r#"{"version":2,"repository":"a/b"}"#), Err(MessageError::LaterVersion(2)));
        assert!(CheckJob::from_json(r#"{"version":1,"repository":"a/b","priority":5}"#).is_ok());
        assert!(StateChange::from_json(r#"{"version":1,"subject":"monitor","urgent":true}"#).is_ok());
    }

    #[test]
    fn a_state_change_needs_only_its_subject_whatever_else_it_holds() {
        let read = |body: &str| StateChange::from_json(body).unwrap();
        let by_hand = StateChange { subject: "acme/web".parse().unwrap(), revision: None, changes: vec![], more: 0 };
        assert_eq!(read(r#"{"subject":"acme/web"}"#), by_hand);
        assert_eq!(read(r#"{"version":1,"subject":"acme/web"}"#), by_hand);
        let of_another_release =
            r#"{"version":1,"subject":"acme/web","revision":"r7","changes":{"runner":"build-7"},"more":-1,"kind":7}"#;
        assert_eq!(read(of_another_release), by_hand);
        let with_more = r#"{"version":1,"subject":"acme/web","revision":44,"changes":[
            {"runner":"build-7","change":"outageOpened","since":"2027-01-15T08:00:00.000Z","severity":"high"},
            {"change":{"kind":"moved"}}],"more":3}"#;
        let message = read(with_more);
        assert_eq!((message.revision, message.more), (Some(Revision(44)), 4));
        assert_eq!(message.changes.len(), 1);
        assert_eq!(message.changes[0].runner.as_deref(), Some("build-7"));
        assert!(StateChange::from_json(r#"{"changes":[]}"#).is_err(), "it has no subject");
    }

    #[test]
    fn a_state_change_lists_notifiable_events_first_and_stays_short() {
        use monitor_domain::change::RunnerName;
        use monitor_domain::runner::RunnerId;

        let registered = |id: u64, name: String| Event::Registered { runner: RunnerName { id: RunnerId(id), name } };
        let mut events: Vec<Event> = (1..=600).map(|id| registered(id, format!("runner-{id}"))).collect();
        let since = Timestamp::from_epoch_ms(1_800_000_000_000);
        let runner = RunnerName { id: RunnerId(7), name: "build-7".to_owned() };
        events.push(Event::FlappingStarted { runner, since, outages: 3, muted: false });
        let message = StateChange::of("acme/web".parse().unwrap(), Revision(44), &events);
        assert_eq!((message.changes.len(), message.more), (MAX_CHANGES, 581));
        let first = ChangeSummary {
            runner: Some("build-7".to_owned()),
            change: "flappingStarted".to_owned(),
            since: Some(since),
            until: None,
        };
        assert_eq!(message.changes[0], first);
        assert_eq!(StateChange::from_json(&message.to_json()), Ok(message));

        let hostile: Vec<Event> = (1..=30).map(|id| registered(id, "\u{1}\"\\".repeat(4_000))).collect();
        let message = StateChange::of("acme/web".parse().unwrap(), Revision(44), &hostile);
        let written = message.to_json();
        assert!(written.len() <= MAX_BYTES, "{} bytes", written.len());
        assert_eq!(message.changes.len() + message.more, 30);
    }
}
