//! Workflow jobs: as GitHub's API answers about one, and as its webhook reports them.

use std::sync::atomic::{AtomicU64, Ordering};

use monitor_domain::jobs::{Job, JobAnswer, JobId, JobState};
use monitor_domain::observation::{Failure, Fault};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_pipeline::messages::JobReport;
use reqwest::Method;
use ring::hmac;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tracing::warn;

use crate::credential::CredentialState;
use crate::endpoint::{CredentialKind, Endpoint, needed};
use crate::request::Request;
use crate::requester::Requester;
use crate::wire;

/// The largest body of a webhook that is read, in bytes. A job of a hundred steps is reported in 60 KB.
pub const MAX_WEBHOOK_BYTES: usize = 1 << 20;
/// How much of a name is stored, in characters.
const MAX_NAME: usize = 200;
/// How many labels of a job are stored. Jobs have a handful.
const MAX_LABELS: usize = 50;
/// The longest stored address of a page, in bytes.
const MAX_URL: usize = 500;

/// The secret with which GitHub signs the deliveries of a webhook.
pub struct WebhookSecret(hmac::Key);

impl WebhookSecret {
    /// The secret as it is set at GitHub.
    pub fn new(text: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, text.trim().as_bytes()))
    }

    /// The header `X-Hub-Signature-256` of a body, for tests and for the fake GitHub.
    pub fn sign(&self, body: &[u8]) -> String {
        let tag = hmac::sign(&self.0, body);
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256={hex}")
    }

    /// Verifies a body against the header `X-Hub-Signature-256`, in constant time.
    ///
    /// # Errors
    /// If the header is missing or is not this body's.
    pub fn verify(&self, body: &[u8], header: Option<&str>) -> Result<(), WebhookRefusal> {
        let header = header.ok_or(WebhookRefusal::Unsigned)?;
        let tag = header.strip_prefix("sha256=").and_then(bytes_of).ok_or(WebhookRefusal::BadSignature)?;
        hmac::verify(&self.0, body, &tag).map_err(|_| WebhookRefusal::BadSignature)
    }
}

/// The secret is not shown.
impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let is_hex = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = |index: usize| u8::from_str_radix(hex.get(index..index + 2)?, 16).ok();
    if is_hex { (0..64).step_by(2).map(byte).collect() } else { None }
}

/// Why a delivery of the webhook is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookRefusal {
    /// It has no signature: the webhook has no secret.
    #[error("the delivery is not signed: set the same secret at the webhook and here")]
    Unsigned,
    /// The signature is of another secret or body.
    #[error("the signature is not right: set the same secret at the webhook and here")]
    BadSignature,
    /// It is not what GitHub documents.
    #[error("the delivery cannot be read: {0}")]
    Unreadable(String),
}

/// The deliveries that a host refused. The first is logged, then every thousandth: a flood must not fill the log.
#[derive(Debug, Default)]
pub struct RefusedDeliveries(AtomicU64);

impl RefusedDeliveries {
    /// Counts one, and logs it if it is its turn.
    pub fn note(&self, refusal: &WebhookRefusal) {
        let refused = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        if refused % 1_000 == 1 {
            warn!(%refusal, refused, "a delivery of the webhook was refused");
        }
    }

    /// How many were refused so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a delivery whose signature was verified reports; `None` if it is not about a job for a runner of one's own.
///
/// # Errors
/// If it is a job's, but not of the shape that GitHub documents.
pub fn read_webhook(event: &str, body: &[u8], now: Timestamp) -> Result<Option<JobReport>, WebhookRefusal> {
    if event != "workflow_job" {
        return Ok(None);
    }
    let unreadable = |reason: String| WebhookRefusal::Unreadable(reason);
    // The category names no content of the delivery.
    let event: WireEvent = serde_json::from_slice(body)
        .map_err(|error| unreadable(format!("{:?} at column {}", error.classify(), error.column())))?;
    let repository = Target::repository(&event.repository.full_name)
        .map_err(|_| unreadable("`repository.full_name` is not a repository's".to_owned()))?;
    let enterprise = event.enterprise.and_then(|enterprise| Target::enterprise(&enterprise.slug).ok());
    let completed = event.action == "completed" || event.workflow_job.status == "completed";
    let Some(job) = event.workflow_job.into_job(repository, now) else {
        return Err(unreadable("`workflow_job.id` is not a job's".to_owned()));
    };
    // GitHub leaves the labels out at the end of some jobs.
    let is_own = job.is_for_own_runner() || (completed && job.labels.is_empty());
    Ok(is_own.then_some(JobReport { job, completed, enterprise }))
}

#[derive(Deserialize)]
struct WireEvent {
    action: String,
    workflow_job: WireJob,
    repository: WireRepository,
    enterprise: Option<WireEnterprise>,
}

#[derive(Deserialize)]
struct WireRepository {
    full_name: String,
}

#[derive(Deserialize)]
struct WireEnterprise {
    slug: String,
}

#[derive(Deserialize)]
pub(crate) struct WireJob {
    id: u64,
    name: Option<String>,
    workflow_name: Option<String>,
    html_url: Option<String>,
    status: String,
    #[serde(default)]
    labels: Vec<String>,
    created_at: Option<String>,
    started_at: Option<String>,
    runner_name: Option<String>,
}

impl WireJob {
    pub(crate) fn is_completed(&self) -> bool {
        self.status == "completed"
    }

    /// The job; `None` if its number is not one.
    pub(crate) fn into_job(self, repository: Target, now: Timestamp) -> Option<Job> {
        // Ids are stored as signed integers.
        let id = (1..=i64::MAX.unsigned_abs()).contains(&self.id).then_some(JobId(self.id))?;
        let cut = |text: String| text.chars().take(MAX_NAME).collect::<String>();
        let moment = |text: Option<String>| text.and_then(|text| text.parse::<Timestamp>().ok());
        let state = match &*self.status {
            "queued" => JobState::Queued,
            "in_progress" | "completed" => JobState::InProgress,
            // `waiting` for an approval, `pending` for other runs, `requested`: no runner could take it yet.
            _ => JobState::Held,
        };
        let has_started = state == JobState::InProgress;
        let named = |runner: Option<String>| runner.filter(|name| has_started && !name.is_empty());
        // A clock at GitHub that is ahead does not make a job wait for less than no time.
        let queued_at = moment(self.created_at).map_or(now, |at| at.min(now));
        Some(Job {
            id,
            repository,
            workflow: self.workflow_name.filter(|name| !name.is_empty()).map(cut),
            name: self.name.map(cut).unwrap_or_default(),
            url: self.html_url.filter(|url| url.starts_with("https://") && url.len() <= MAX_URL).unwrap_or_default(),
            labels: self.labels.into_iter().take(MAX_LABELS).map(cut).collect(),
            state,
            queued_at,
            runner: named(self.runner_name).map(cut),
            started_at: moment(self.started_at).filter(|_| has_started),
        })
    }
}

/// Asks GitHub about one job. A job that GitHub no longer knows has ended, but GitHub also answers so about a repository
/// that the credential cannot see: then the failure is a missing permission.
pub(crate) async fn job(
    requester: &Requester,
    credential_state: &CredentialState,
    repository: &Target,
    id: JobId,
    now: Timestamp,
) -> Result<JobAnswer, Failure> {
    let request = Request {
        method: Method::GET,
        url: requester.transport.url(&format!("/repos/{}/actions/jobs/{}", repository.as_str(), id.0)),
        endpoint: Endpoint::Job(repository, id),
        page: None,
        expected: "a job",
    };
    let reply = match requester.ask(credential_state, &request, None, |body| wire::decode::<WireJob>(body)).await {
        Ok(reply) => reply,
        Err(failure) if failure.fault == Fault::NotFound => {
            let url = requester.transport.url(&format!("/repos/{}", repository.as_str()));
            let whole = Request { url, expected: "a repository", ..request };
            let seen = requester.ask(credential_state, &whole, None, |body| wire::decode::<IgnoredAny>(body)).await;
            return match seen {
                Ok(_) => Ok(JobAnswer::Ended),
                Err(unseen) if unseen.fault == Fault::NotFound => {
                    Err(needs_actions_read(&failure, repository, requester.transport.kind))
                }
                Err(failure) => Err(failure),
            };
        }
        Err(failure) => return Err(failure),
    };
    let Some(job) = reply.content else { return Ok(JobAnswer::Ended) };
    if job.is_completed() {
        return Ok(JobAnswer::Ended);
    }
    Ok(job.into_job(repository.clone(), now).map_or(JobAnswer::Ended, JobAnswer::Open))
}

/// The same failure as a missing permission, which it names.
pub(crate) fn needs_actions_read(failure: &Failure, repository: &Target, kind: CredentialKind) -> Failure {
    let needs = needed(Endpoint::Jobs(repository), kind);
    Failure::new(Fault::Forbidden, format!("{failure}: the credential needs {needs}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn delivery(action: &str, status: &str, labels: &str, extra: &str) -> String {
        format!(
            r#"{{"action":"{action}","workflow_job":{{"id":42,"run_id":7,"name":"train","workflow_name":"Nightly",
            "html_url":"https://github.com/acme/web/actions/runs/7/job/42","status":"{status}","labels":[{labels}],
            "created_at":"2027-01-15T07:50:00Z","started_at":"2027-01-15T07:50:00Z","steps":[]{extra}}},
            "repository":{{"id":1,"full_name":"acme/web"}},"enterprise":{{"slug":"big"}},"sender":{{"login":"jo"}}}}"#
        )
    }

    fn read(body: &str) -> Result<Option<JobReport>, WebhookRefusal> {
        read_webhook("workflow_job", body.as_bytes(), Timestamp::from_epoch_ms(NOW))
    }

    #[test]
    fn githubs_own_test_vector_is_verified_and_nothing_else_is() {
        let secret = WebhookSecret::new("It's a Secret to Everybody\n");
        let header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(secret.verify(b"Hello, World!", Some(header)), Ok(()));
        assert_eq!(secret.sign(b"Hello, World!"), header);
        assert_eq!(secret.verify(b"Hello, World?", Some(header)), Err(WebhookRefusal::BadSignature));
        assert_eq!(secret.verify(b"Hello, World!", None), Err(WebhookRefusal::Unsigned));
        let short = &header[..header.len() - 1];
        for bad in [
            "",
            "sha256=",
            short,
            "sha1=757107",
            "sha256=\u{e9}57107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1",
        ] {
            assert_eq!(secret.verify(b"Hello, World!", Some(bad)), Err(WebhookRefusal::BadSignature), "{bad}");
        }
        assert_eq!(format!("{secret:?}"), "WebhookSecret(…)");
    }

    #[test]
    fn a_queued_job_waits_and_one_for_an_approval_does_not() {
        let report = read(&delivery("queued", "queued", r#""self-hosted","gpu""#, "")).unwrap().unwrap();
        assert!(!report.completed);
        assert_eq!(report.enterprise, Target::enterprise("big").ok());
        let Job { id, repository, workflow, name, labels, state, queued_at, runner, .. } = report.job;
        assert_eq!((id, repository.as_str(), state), (JobId(42), "acme/web", JobState::Queued));
        assert_eq!((workflow.as_deref(), &*name, runner), (Some("Nightly"), "train", None));
        assert_eq!(labels, ["self-hosted", "gpu"]);
        assert_eq!(queued_at, "2027-01-15T07:50:00Z".parse().unwrap());
        let held = read(&delivery("queued", "waiting", r#""gpu""#, "")).unwrap().unwrap();
        assert_eq!(held.job.state, JobState::Held, "GitHub's own example has this action with this status");
    }

    #[test]
    fn a_running_job_names_its_runner_and_a_queued_one_does_not() {
        let runner = r#","runner_id":5,"runner_name":"gpu-1""#;
        let running = read(&delivery("in_progress", "in_progress", r#""gpu""#, runner)).unwrap().unwrap();
        assert_eq!((running.job.state, running.job.runner.as_deref()), (JobState::InProgress, Some("gpu-1")));
        let queued = read(&delivery("queued", "queued", r#""gpu""#, runner)).unwrap().unwrap();
        assert_eq!(queued.job.runner, None);
        let ended = read(&delivery("completed", "completed", "", "")).unwrap().unwrap();
        assert!(ended.completed, "although GitHub names no labels");
    }

    #[test]
    fn other_events_and_githubs_own_runners_are_of_no_interest_and_nonsense_is_refused() {
        assert_eq!(read(&delivery("queued", "queued", r#""ubuntu-latest""#, "")), Ok(None));
        assert_eq!(read_webhook("ping", b"{}", Timestamp::from_epoch_ms(NOW)), Ok(None));
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"action":"queued","workflow_job":{"id":-1,"status":"queued"},"repository":{"full_name":"acme/web"}}"#,
        ] {
            assert!(matches!(read(bad), Err(WebhookRefusal::Unreadable(_))), "{bad}");
        }
        let no_repository = delivery("queued", "queued", r#""gpu""#, "").replace("acme/web\"}", "acme\"}");
        assert!(matches!(read(&no_repository), Err(WebhookRefusal::Unreadable(_))));
        let too_large =
            delivery("queued", "queued", r#""gpu""#, "").replace("\"id\":42", "\"id\":18446744073709551615");
        assert!(matches!(read(&too_large), Err(WebhookRefusal::Unreadable(_))));
    }
}
