//! Decodes GitHub's JSON into structs. The shapes follow GitHub's OpenAPI description. Fields not named here are
//! ignored, and optional ones may be missing or null.

use std::borrow::Cow;

use monitor_domain::observation::{ObservedRunner, UNKNOWN_OS};
use monitor_domain::pace::Quota;
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::time::Timestamp;
use serde::Deserialize;
use serde_json::error::Category;

/// One page of a target's runners.
pub(crate) struct RunnerPage {
    /// The total number of runners. GitHub may omit it for an enterprise.
    pub(crate) total_count: Option<u64>,
    pub(crate) runners: Vec<ObservedRunner>,
    /// Names of runners whose id cannot be stored.
    pub(crate) refused: Vec<String>,
}

/// The largest id that is accepted: databases use signed integers. GitHub's own have eight digits.
pub(crate) const MAX_RUNNER_ID: u64 = i64::MAX as u64;

/// A runner's id; `None` for a number that is not an id.
struct WireId(Option<u64>);

impl<'de> Deserialize<'de> for WireId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl serde::de::Visitor<'_> for Number {
            type Value = WireId;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number")
            }

            fn visit_u64<E>(self, number: u64) -> Result<WireId, E> {
                Ok(WireId(Some(number).filter(|&number| number <= MAX_RUNNER_ID)))
            }

            fn visit_i64<E>(self, _: i64) -> Result<WireId, E> {
                Ok(WireId(None))
            }

            // A number larger than any integer that serde reads.
            fn visit_f64<E>(self, _: f64) -> Result<WireId, E> {
                Ok(WireId(None))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

#[derive(Deserialize)]
struct WirePage<'a> {
    total_count: Option<u64>,
    #[serde(borrow)]
    runners: Vec<WireRunner<'a>>,
}

#[derive(Deserialize)]
struct WireRunner<'a> {
    id: WireId,
    name: String,
    os: Option<String>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    busy: Option<bool>,
    ephemeral: Option<bool>,
    version: Option<String>,
    labels: Option<Vec<WireLabel>>,
    runner_group_id: Option<i64>,
}

#[derive(Deserialize)]
struct WireLabel {
    name: String,
}

impl WireRunner<'_> {
    /// The runner, or its name if its id cannot be stored.
    fn read(self) -> Result<ObservedRunner, String> {
        let runner = self;
        let Some(id) = runner.id.0 else { return Err(runner.name) };
        let busy = runner.busy.unwrap_or(false);
        Ok(ObservedRunner {
            id: RunnerId(id),
            name: runner.name,
            os: runner.os.filter(|os| !os.is_empty()).unwrap_or_else(|| UNKNOWN_OS.to_owned()),
            status: Status::reported(&runner.status, busy),
            busy,
            ephemeral: runner.ephemeral.unwrap_or(false),
            version: runner.version.filter(|version| !version.is_empty()),
            labels: runner.labels.unwrap_or_default().into_iter().map(|label| label.name).collect(),
            group_id: runner.runner_group_id.and_then(|id| u64::try_from(id).ok()),
        })
    }
}

/// A repository in an account's list.
#[derive(Deserialize)]
pub(crate) struct Repository {
    pub(crate) full_name: String,
    pub(crate) archived: Option<bool>,
    pub(crate) disabled: Option<bool>,
}

/// A GitHub App's installation on an account.
#[derive(Deserialize)]
pub(crate) struct Installation {
    pub(crate) id: u64,
}

/// The token of an installation.
#[derive(Deserialize)]
pub(crate) struct AccessToken {
    pub(crate) token: String,
    pub(crate) expires_at: Timestamp,
}

/// Where a body is not as expected. It never contains a part of the body, as `serde_json`'s own messages may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    what: Category,
    line: usize,
    column: usize,
}

impl Misfit {
    /// What was received instead, as text that follows "got".
    pub(crate) fn describe(self) -> String {
        let Self { what, line, column } = self;
        match what {
            Category::Eof => "truncated JSON".to_owned(),
            Category::Data => format!("JSON with an unexpected shape (line {line}, column {column})"),
            Category::Syntax | Category::Io => format!("invalid JSON (line {line}, column {column})"),
        }
    }
}

pub(crate) fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Misfit> {
    serde_json::from_slice(body).map_err(|error| Misfit {
        what: error.classify(),
        line: error.line(),
        column: error.column(),
    })
}

/// A page of `GET …/actions/runners`.
pub(crate) fn runner_page(body: &[u8]) -> Result<RunnerPage, Misfit> {
    let page: WirePage<'_> = decode(body)?;
    let (mut runners, mut refused) = (Vec::with_capacity(page.runners.len()), Vec::new());
    for runner in page.runners {
        match runner.read() {
            Ok(runner) => runners.push(runner),
            Err(name) => refused.push(name),
        }
    }
    Ok(RunnerPage { total_count: page.total_count, runners, refused })
}

/// `GET …/actions/runners/{runner_id}`.
pub(crate) fn runner(body: &[u8]) -> Result<ObservedRunner, Misfit> {
    let no_id = |_| Misfit { what: Category::Data, line: 1, column: 1 };
    decode::<WireRunner<'_>>(body)?.read().map_err(no_id)
}

/// A page of `GET …/repos`.
pub(crate) fn repositories(body: &[u8]) -> Result<Vec<Repository>, Misfit> {
    decode(body)
}

/// `GET /repositories/{repository_id}`.
pub(crate) fn repository(body: &[u8]) -> Result<Repository, Misfit> {
    decode(body)
}

/// `GET …/installation`.
pub(crate) fn installation(body: &[u8]) -> Result<Installation, Misfit> {
    decode(body)
}

/// `POST /app/installations/{installation_id}/access_tokens`.
pub(crate) fn access_token(body: &[u8]) -> Result<AccessToken, Misfit> {
    decode(body)
}

/// `GET /rate_limit`: the hourly quota.
pub(crate) fn quota(body: &[u8]) -> Result<Quota, Misfit> {
    #[derive(Deserialize)]
    struct Overview {
        resources: Resources,
    }
    #[derive(Deserialize)]
    struct Resources {
        core: Core,
    }
    #[derive(Deserialize)]
    struct Core {
        limit: u32,
        remaining: u32,
        reset: i64,
    }
    let Core { limit, remaining, reset } = decode::<Overview>(body)?.resources.core;
    Ok(Quota { limit, remaining, resets_at: Timestamp::from_epoch_ms(reset.saturating_mul(1_000)) })
}

/// `GET …/actions/runners/deprecations/{version}`: when GitHub gives the version no more jobs, if it has set a date.
pub(crate) fn version_end(body: &[u8]) -> Result<Option<Timestamp>, Misfit> {
    #[derive(Deserialize)]
    struct Deprecation {
        runtime_deprecates_at: Option<Timestamp>,
        // Only to distinguish the answer from other JSON.
        #[serde(rename = "runner_version")]
        _runner_version: String,
    }
    Ok(decode::<Deprecation>(body)?.runtime_deprecates_at)
}

/// GitHub's own error body.
#[derive(Deserialize)]
pub(crate) struct Error {
    pub(crate) message: String,
    pub(crate) documentation_url: Option<String>,
}

/// GitHub's own error; `None` if the body is not GitHub's.
pub(crate) fn error(body: &[u8]) -> Option<Error> {
    decode(body).ok()
}

/// Whether a body is an HTML page.
pub(crate) fn is_html(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_may_lack_optional_fields_and_have_unknown_ones() {
        let body = br#"{"runners": [
            {"id": 1, "name": "a", "status": "online", "from": {"the": ["future"]}},
            {"id": 2, "name": "b\u00e9", "os": "linux", "status": "offline", "busy": true, "ephemeral": true,
             "version": "2.331.0", "runner_group_id": 1, "labels": [{"name": "self-hosted", "type": "read-only"}, {"id": 3, "name": "gpu"}]},
            {"id": 3, "name": "c", "os": null, "status": "resting", "busy": null, "version": "", "labels": null}
        ]}"#;
        let page = runner_page(body).unwrap();
        assert_eq!(page.total_count, None);
        let bare = ObservedRunner {
            id: RunnerId(1),
            name: "a".to_owned(),
            os: "unknown".to_owned(),
            status: Status::Idle,
            busy: false,
            ephemeral: false,
            group_id: None,
            version: None,
            labels: vec![],
        };
        let full = ObservedRunner {
            id: RunnerId(2),
            name: "bé".to_owned(),
            os: "linux".to_owned(),
            status: Status::Offline,
            busy: true,
            ephemeral: true,
            group_id: Some(1),
            version: Some("2.331.0".to_owned()),
            labels: vec!["self-hosted".to_owned(), "gpu".to_owned()],
        };
        let strange = ObservedRunner { id: RunnerId(3), name: "c".to_owned(), status: Status::Unknown, ..bare.clone() };
        assert_eq!(page.runners, [bare, full, strange]);
    }

    #[test]
    fn a_runner_whose_id_cannot_be_stored_is_named_and_the_others_are_read() {
        let body = br#"{"total_count": 5, "runners": [
            {"id": 9223372036854775807, "name": "last", "status": "online"},
            {"id": 9223372036854775808, "name": "beyond", "status": "online"},
            {"id": 18446744073709551615, "name": "largest", "status": "online"},
            {"id": 99999999999999999999999, "name": "larger", "status": "online"},
            {"id": -1, "name": "negative", "status": "online"}
        ]}"#;
        let page = runner_page(body).unwrap();
        let names: Vec<&str> = page.runners.iter().map(|runner| &*runner.name).collect();
        assert_eq!(names, ["last"]);
        assert_eq!(page.refused, ["beyond", "largest", "larger", "negative"]);
        assert!(runner(br#"{"id": -1, "name": "negative", "status": "online"}"#).is_err());
    }

    #[test]
    fn a_version_may_have_no_date() {
        let at = "2026-11-05T08:04:55Z";
        for (rest, expected) in [
            (format!(r#","runtime_deprecates_at":"{at}","registration_deprecates_at":null"#), at.parse().ok()),
            (r#","runtime_deprecates_at":null"#.to_owned(), None),
            (String::new(), None),
        ] {
            let body = format!(r#"{{"runner_version":"2.336.0"{rest}}}"#);
            assert_eq!(version_end(body.as_bytes()), Ok(expected), "{body}");
        }
        assert!(
            version_end(b"{}").is_err()
                && version_end(br#"{"runner_version":"2","runtime_deprecates_at":"soon"}"#).is_err()
        );
    }

    #[test]
    fn a_misfit_names_the_position_and_never_the_content() {
        let misfit = |body: &[u8]| runner_page(body).map(|_| ()).unwrap_err().describe();
        assert_eq!(misfit(br#"{"runners": [{"id": "hush"}]}"#), "JSON with an unexpected shape (line 1, column 26)");
        assert_eq!(misfit(br#"{"runners": [{"id": 1"#), "truncated JSON");
        assert_eq!(misfit(b""), "truncated JSON");
        assert!(misfit(b"hush hush").starts_with("invalid JSON"));
        assert!(misfit(b"[]").starts_with("JSON with an unexpected shape"));
    }

    #[test]
    fn only_githubs_own_errors_have_a_message() {
        let message = |body: &[u8]| error(body).map(|error| error.message);
        assert_eq!(message(br#"{"message":"Not Found","status":"404"}"#).as_deref(), Some("Not Found"));
        assert_eq!(message(b"<html>"), None);
        assert!(is_html(b"\n <!DOCTYPE html>") && !is_html(b"{}"));
    }
}
