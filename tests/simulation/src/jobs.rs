//! Workflow jobs: the true ones, which runner takes each, GitHub's answers about them, and the deliveries of its webhook.

use std::fmt;

use monitor_domain::jobs::{Job, JobAnswer, JobId, JobState};
use monitor_domain::observation::ObservedRunner;
use monitor_fakes::Chance;
use monitor_pipeline::items::JobItem;
use serde_json::json;

use crate::calendar::{DAY_MS, MINUTE_MS, timestamp};
use crate::targets::place_of;

/// The repositories that have jobs. The third is not monitored, so its jobs belong to the organization.
pub const REPOSITORIES: [&str; 4] = ["acme/web", "acme/api", "acme/tools", "late/one"];
/// The index of the organization in [`crate::targets::TARGETS`].
pub const ORGANIZATION: usize = 2;
/// The label of the first two permanent runners of each target.
pub const RARE_LABEL: &str = "gpu";
/// The labels that jobs ask for. The second to fourth are those of the same queue; the runners lack something of the
/// last four.
pub const LABELS: [&[&str]; 9] = [
    &["self-hosted", "fixed"],
    &["self-hosted", "gpu"],
    &["Self-Hosted", "GPU"],
    &["gpu", "self-hosted"],
    &["self-hosted", "fixed", "gpu"],
    &["self-hosted", "missing"],
    &["self-hosted", "gpu", "missing"],
    &["larger-16-cores"],
    &["ubuntu-latest"],
];
/// The index of labels that may be those of GitHub's larger runners.
pub const LARGER: usize = 7;
/// The index of the labels of GitHub's own images.
pub const HOSTED: usize = 8;
/// GitHub fails a job that has been queued for this long.
pub const LONGEST_WAIT_MS: i64 = DAY_MS;

/// How the webhook is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Whether its reports go through the queue for checks, as on AWS. Otherwise they are stored before the answer.
    pub is_queued: bool,
    /// Whether the organization's runners are open to the monitored repositories.
    pub is_open: bool,
    /// Whether deliveries are late, repeated and lost.
    pub is_unreliable: bool,
}

/// Jobs that one workflow asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The index of the repository in [`REPOSITORIES`].
    pub repository: usize,
    /// The index of the labels in [`LABELS`].
    pub labels: usize,
    /// How many jobs.
    pub count: u64,
    /// How long ago they were created when the first delivery is sent.
    pub before_ms: i64,
    /// How long they wait for an approval.
    pub held_ms: i64,
    /// How long each runs.
    pub runs_ms: i64,
    /// How long they wait for a runner until somebody cancels them.
    pub patience_ms: i64,
    /// Whether somebody deletes the run in place of that: GitHub reports nothing and no longer knows the job.
    pub is_deleted: bool,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, before_ms, held_ms, runs_ms, patience_ms, is_deleted, .. } = self;
        let (repository, labels) = (REPOSITORIES[self.repository], LABELS[self.labels].join(","));
        let [before, held, runs, patience] = [before_ms, held_ms, runs_ms, patience_ms].map(|ms| ms / MINUTE_MS);
        let end = if *is_deleted { "deleted" } else { "cancelled" };
        write!(f, "{repository} has {count} jobs for {labels}, created {before} min ago, held for {held} min, ")?;
        write!(f, "each {runs} min long, {end} after {patience} min without a runner")
    }
}

/// How far a job has truly come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It waits for an approval.
    Held,
    /// It waits for a runner.
    Queued,
    /// A runner has taken it.
    Running,
    /// It has ended.
    Ended,
}

/// A true job.
#[derive(Clone, Debug)]
pub struct TrueJob {
    /// Its number.
    pub id: u64,
    /// What asked for it.
    pub asked: Asked,
    /// When it was created.
    pub created_ms: i64,
    /// Since when a runner can take it.
    pub released_ms: Option<i64>,
    /// When a runner took it.
    pub taken_ms: Option<i64>,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// The runner that took it: its target, its id and its name.
    pub(crate) runner: Option<(usize, u64, String)>,
    pub(crate) known_from_ms: i64,
}

impl TrueJob {
    /// How far it had come at a time.
    pub fn progress(&self, at_ms: i64) -> Progress {
        let has = |moment: Option<i64>| moment.is_some_and(|moment| moment <= at_ms);
        match () {
            () if has(self.ended_ms) => Progress::Ended,
            () if has(self.taken_ms) => Progress::Running,
            () if has(self.released_ms) => Progress::Queued,
            () => Progress::Held,
        }
    }

    /// The labels that it asks for.
    pub fn labels(&self) -> Vec<String> {
        LABELS[self.asked.labels].iter().map(|label| (*label).to_owned()).collect()
    }

    fn url(&self) -> String {
        format!("https://github.com/{}/actions/runs/1/job/{}", REPOSITORIES[self.asked.repository], self.id)
    }

    /// The indices of the targets whose runners may take it.
    pub(crate) fn places(&self, is_open: bool) -> impl Iterator<Item = usize> {
        let repository = REPOSITORIES[self.asked.repository];
        let own = place_of(repository);
        let is_shared = repository.starts_with("acme/") && (is_open || own.is_none());
        own.into_iter().chain(is_shared.then_some(ORGANIZATION))
    }

    /// GitHub's answer about it.
    pub fn answer(&self, at_ms: i64) -> Option<JobAnswer> {
        let state = match self.progress(at_ms) {
            Progress::Held => JobState::Held,
            Progress::Queued => JobState::Queued,
            Progress::Running => JobState::InProgress,
            Progress::Ended => return Some(JobAnswer::Ended),
        };
        Some(JobAnswer::Open(Job {
            id: JobId(self.id),
            repository: REPOSITORIES[self.asked.repository].parse().ok()?,
            workflow: Some("Nightly".to_owned()),
            name: format!("job-{}", self.id),
            url: self.url(),
            labels: self.labels(),
            state,
            queued_at: timestamp(self.created_ms),
            runner: self.runner.as_ref().map(|(.., name)| name.clone()),
            started_at: self.taken_ms.map(timestamp),
        }))
    }
}

/// Labels as GitHub compares them: in any order and case.
pub fn set_of(labels: &[String]) -> Vec<String> {
    let mut set: Vec<String> = labels.iter().map(|label| label.to_lowercase()).collect();
    set.sort();
    set
}

/// What a delivery is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A job waits for an approval.
    Waiting,
    /// A job waits for a runner.
    Queued,
    /// A runner has taken a job.
    InProgress,
    /// A job has ended.
    Completed,
}

/// A delivery of the webhook.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The number of the job in [`Jobs::all`].
    pub job: usize,
    /// What it is about.
    pub action: Action,
    /// Its body.
    pub body: String,
}

/// GitHub's answer to a check that asked about a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// How far it has come.
    Progress(Progress),
    /// GitHub does not say so to this credential.
    Forbidden,
    /// There was no answer.
    Failed,
}

/// A question about a job.
#[derive(Clone, Copy, Debug)]
pub struct AskedJob {
    /// When the answer came.
    pub at_ms: i64,
    /// The number of the task that asked.
    pub task: u64,
    /// The number of the job in [`Jobs::all`].
    pub job: usize,
    /// The answer.
    pub answered: Answered,
}

/// A list of runners as GitHub gave it to a check.
#[derive(Clone, Debug)]
pub struct View {
    /// The index of the target.
    pub place: usize,
    /// When the check asked.
    pub at_ms: i64,
    /// The runners.
    pub runners: Vec<ObservedRunner>,
}

/// The jobs of a scenario, with what GitHub reported of them and what the monitor stored.
#[derive(Clone, Debug, Default)]
pub struct Jobs {
    /// How the webhook is set up; `None` if there is none.
    pub webhook: Option<Webhook>,
    /// Every job.
    pub all: Vec<TrueJob>,
    /// Every delivery that GitHub sends.
    pub deliveries: Vec<Delivery>,
    /// Until when every delivery is lost.
    pub lost_until_ms: i64,
    /// Until when every delivery is lost that is not about a job that begins to wait.
    pub lost_but_queued_until_ms: i64,
    /// Until when GitHub answers about no job.
    pub forbidden_until_ms: i64,
    /// The deliveries that were answered with success, and when.
    pub accepted: Vec<(i64, usize)>,
    /// Every put of a job, in order.
    pub stored: Vec<(i64, JobItem)>,
    /// Every question about a job, in order.
    pub asked: Vec<AskedJob>,
    /// Every list of runners that GitHub gave.
    pub views: Vec<View>,
}

impl Jobs {
    /// The number of the job with an id.
    pub fn number_of(&self, id: u64) -> Option<usize> {
        self.all.iter().position(|job| job.id == id)
    }

    /// Whether a runner runs one of the jobs.
    pub fn runs_on(&self, place: usize, runner: u64) -> bool {
        let is_it = |of: &(usize, u64, String)| of.0 == place && of.1 == runner;
        self.all.iter().any(|job| job.ended_ms.is_none() && job.runner.as_ref().is_some_and(is_it))
    }

    pub(crate) fn body(&self, number: usize, action: Action, chance: &mut Chance) -> Delivery {
        let job = &self.all[number];
        // GitHub's own examples have an action `queued` whose job has the status `waiting`.
        let (action_name, status) = match action {
            Action::Waiting if chance.below(3) == 0 => ("queued", "waiting"),
            Action::Waiting => ("waiting", "waiting"),
            Action::Queued => ("queued", "queued"),
            Action::InProgress => ("in_progress", "in_progress"),
            Action::Completed => ("completed", "completed"),
        };
        // GitHub leaves the labels out at the end of some jobs.
        let labels = if action == Action::Completed && chance.below(4) == 0 { Vec::new() } else { job.labels() };
        let body = json!({
            "action": action_name,
            "workflow_job": {
                "id": job.id,
                "run_id": 1,
                "run_attempt": 1,
                "name": format!("job-{}", job.id),
                "workflow_name": "Nightly",
                "html_url": job.url(),
                "status": status,
                "conclusion": (action == Action::Completed).then_some("success"),
                "labels": labels,
                "created_at": timestamp(job.created_ms).to_string(),
                "started_at": timestamp(job.taken_ms.unwrap_or(job.created_ms)).to_string(),
                "completed_at": job.ended_ms.map(|at_ms| timestamp(at_ms).to_string()),
                "runner_name": job.runner.as_ref().map(|(.., name)| name),
                "steps": [],
            },
            "repository": { "id": 1, "full_name": REPOSITORIES[job.asked.repository] },
            "sender": { "login": "somebody" },
        });
        Delivery { job: number, action, body: body.to_string() }
    }
}
