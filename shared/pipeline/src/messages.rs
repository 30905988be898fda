//! The messages between the stages, as JSON that a person can write by hand.

use monitor_domain::quote::quote;
use monitor_domain::subject::Subject;
use monitor_domain::target::{Target, TargetKind};
use monitor_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version that this release writes. It reads this one, and messages without any.
const VERSION: u64 = 1;

/// How much of another's words about a body is repeated.
const MOST_QUOTED: usize = 200;

const SHAPES: &str = r#"{"repository":"owner/name"}, {"organization":"NAME"} or {"enterprise":"NAME"}"#;

/// Look at one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckJob {
    /// Which target.
    pub target: Target,
    /// Who wants it.
    pub reason: Reason,
    /// When it was asked for; none in a message written by hand.
    pub requested_at: Option<Timestamp>,
    /// Until when it is worth doing; none where that is for one interval.
    pub good_until: Option<Timestamp>,
}

/// Why a target is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The schedule.
    Schedule,
    /// An earlier look left a verdict open.
    Recheck,
    /// A person, who wants a target on the list looked at now.
    Manual,
    /// A person, who looks once, whether or not the target is on the list. Nobody looks again by himself: not for the queue.
    Once,
    /// It was taken off the list: nothing is looked at, what is open is closed.
    Dropped,
}

/// A subject has something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WakeUp {
    /// Which subject.
    pub subject: Subject,
}

/// A message that cannot be used. The text names the field and the accepted shapes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is none of the accepted shapes.
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
    reason: Reason,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    good_until: Option<Timestamp>,
}

#[derive(Serialize)]
struct WakeUpForm<'a> {
    version: u64,
    subject: &'a Subject,
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
            reason: self.reason,
            requested_at: self.requested_at,
            good_until: self.good_until,
        };
        written(&form)
    }

    /// Reads a message. A field that is not known is a typing mistake in a message without a version, and a later
    /// release's addition in one with it.
    pub fn from_json(body: &str) -> Result<Self, MessageError> {
        let (fields, versioned) = fields(body, SHAPES)?;
        let known = ["version", "repository", "organization", "enterprise", "reason", "requestedAt", "goodUntil"];
        if let Some(strange) = fields.keys().find(|key| !versioned && !known.contains(&key.as_str())) {
            return Err(unreadable(format!("the field `{}` is not known", quote(strange, 40))));
        }
        let named: Vec<(&str, &Value)> = ["repository", "organization", "enterprise"]
            .into_iter()
            .filter_map(|field| fields.get(field).map(|value| (field, value)))
            .collect();
        let (field, name) = match named[..] {
            [(field, Value::String(name))] => (field, name),
            [(field, _)] => return Err(unreadable(format!("`{field}` is no text"))),
            [] => return Err(unreadable("it names no target".to_owned())),
            _ => return Err(unreadable("it names more than one target".to_owned())),
        };
        let target = match field {
            "repository" => Target::repository(name),
            "organization" => Target::organization(name),
            _ => Target::enterprise(name),
        };
        let target = target.map_err(|error| unreadable(format!("`{field}`: {error}")))?;
        let requested_at = read_field::<Timestamp>(&fields, "requestedAt")?;
        let good_until = read_field::<Timestamp>(&fields, "goodUntil")?;
        let reason = read_field::<Reason>(&fields, "reason")?.unwrap_or(Reason::Manual);
        Ok(Self { target, reason, requested_at, good_until })
    }
}

impl WakeUp {
    /// The message as JSON.
    pub fn to_json(&self) -> String {
        written(&WakeUpForm { version: VERSION, subject: &self.subject })
    }

    /// Reads a message.
    pub fn from_json(body: &str) -> Result<Self, MessageError> {
        const SHAPE: &str = r#"{"subject":"owner/name"}"#;
        let (fields, _) = fields(body, SHAPE)?;
        let subject = fields.get("subject").cloned().unwrap_or_default();
        let subject = serde_json::from_value(subject)
            .map_err(|error| MessageError::Unreadable(format!("`subject`: {}; accepted is {SHAPE}", words(error))))?;
        Ok(Self { subject })
    }
}

fn written(form: &impl Serialize) -> String {
    // Strings, numbers and options of them: there is nothing in it that could fail.
    serde_json::to_string(form).unwrap_or_default()
}

/// What `serde_json` says, which may repeat what it read.
fn words(error: serde_json::Error) -> String {
    quote(&error.to_string(), MOST_QUOTED)
}

fn unreadable(what: String) -> MessageError {
    MessageError::Unreadable(format!("{what}; accepted are {SHAPES}"))
}

/// The fields of a message, and whether it has a version.
fn fields(body: &str, shapes: &str) -> Result<(Map<String, Value>, bool), MessageError> {
    let fields: Map<String, Value> = serde_json::from_str(body).map_err(|error| {
        MessageError::Unreadable(format!("the body is no JSON object ({}); accepted are {shapes}", words(error)))
    })?;
    match fields.get("version") {
        None => Ok((fields, false)),
        Some(version) if version.as_u64() == Some(VERSION) => Ok((fields, true)),
        Some(version) => match version.as_u64() {
            Some(later) if later > VERSION => Err(MessageError::LaterVersion(later)),
            _ => Err(MessageError::Unreadable(format!("`version` is not {VERSION}; accepted are {shapes}"))),
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
            .map_err(|error| unreadable(format!("`{field}`: {}", words(error)))),
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
    fn a_typing_mistake_is_named_with_the_accepted_shapes() {
        let cases = [
            (r#"{"repo":"acme/web"}"#, "the field `repo` is not known"),
            (
                r#"{"repository":"acme"}"#,
                "`repository`: must be a repository as owner/name, for example acme/web; found `acme`",
            ),
            (r#"{"repository":7}"#, "`repository` is no text"),
            (r#"{}"#, "it names no target"),
            (r#"{"repository":"a/b","organization":"a"}"#, "more than one target"),
            (r#"{"version":1,"repository":"a/b","reason":"whim"}"#, "`reason`: unknown variant `whim`"),
            (r#"["acme/web"]"#, "no JSON object"),
            ("acme/web", "no JSON object"),
            (r#"{"version":"x","repository":"a/b"}"#, "`version` is not 1"),
        ];
        for (body, said) in cases {
            let error = CheckJob::from_json(body).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(r#"{"repository":"owner/name"}"#), "{body}: {error}");
        }
    }

    #[test]
    fn a_later_release_is_told_by_its_version_and_its_additions_are_passed_over() {
        assert_eq!(CheckJob::from_json(r#"{"version":2,"repository":"a/b"}"#), Err(MessageError::LaterVersion(2)));
        assert!(CheckJob::from_json(r#"{"version":1,"repository":"a/b","priority":5}"#).is_ok());
        assert!(WakeUp::from_json(r#"{"version":1,"subject":"monitor","urgent":true}"#).is_ok());
    }
}
