//! Workflow jobs: the true ones, which runner takes each, GitHub's answers about them, and the deliveries of its webhook.

use std::fmt;

use monitor_domain::jobs::{Job, JobAnswer, JobId, JobState};
use monitor_domain::observation::ObservedRunner;
use monitor_fakes::Chance;
use monitor_pipeline::items::JobItem;
use serde_json::json;

use crate::machine::{Machine, Wake, timestamp};
use crate::network::place_of;
use crate::operations::{CALM_MS, DAY_MS, HOUR_MS, MINUTE_MS, Operation, Scenario, TARGETS, What, minutes};
use crate::world::TrueRunner;

/// The repositories that have jobs. The third is not monitored, so its jobs belong to the organization.
pub const REPOSITORIES: [&str; 4] = ["acme/web", "acme/api", "acme/tools", "late/one"];
/// The index of the organization in [`TARGETS`].
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
/// The time between two attempts of GitHub to give jobs to runners.
const DISPATCH_MS: i64 = 15_000;
/// The first one, which is never at the time of a tick.
pub const FIRST_DISPATCH_MS: i64 = 7_000;
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
    runner: Option<(usize, u64, String)>,
    known_from_ms: i64,
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
    fn places(&self, is_open: bool) -> impl Iterator<Item = usize> {
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

    fn body(&self, number: usize, action: Action, chance: &mut Chance) -> Delivery {
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

impl Machine {
    /// The current second, which is as exact as GitHub's times are.
    fn second_ms(&self) -> i64 {
        self.now_ms / 1_000 * 1_000
    }

    /// A workflow asks for runners.
    pub(crate) fn ask_for_runners(&mut self, asked: &Asked) {
        let now_ms = self.second_ms();
        for _ in 0..asked.count {
            let number = self.world.jobs.all.len();
            let created_ms = now_ms - asked.before_ms;
            self.world.jobs.all.push(TrueJob {
                id: 1_000 + number as u64,
                asked: asked.clone(),
                created_ms,
                released_ms: (asked.held_ms == 0).then_some(created_ms),
                taken_ms: None,
                ended_ms: None,
                runner: None,
                known_from_ms: now_ms,
            });
            self.emit(number, if asked.held_ms == 0 { Action::Queued } else { Action::Waiting });
        }
    }

    /// GitHub ends the jobs whose time is over, and gives the others to idle runners, the oldest first.
    pub(crate) fn dispatch(&mut self) {
        self.at(self.now_ms + DISPATCH_MS, Wake::Dispatch);
        let now_ms = self.second_ms();
        for number in 0..self.world.jobs.all.len() {
            let job = &self.world.jobs.all[number];
            let is_over = match (job.released_ms, job.taken_ms) {
                _ if job.ended_ms.is_some() => continue,
                (_, Some(taken_ms)) => now_ms - taken_ms >= job.asked.runs_ms,
                (Some(since_ms), None) => {
                    let waited_ms = now_ms - since_ms;
                    waited_ms >= LONGEST_WAIT_MS || waited_ms >= job.asked.patience_ms
                }
                (None, None) => {
                    if now_ms - job.known_from_ms >= job.asked.held_ms {
                        self.world.jobs.all[number].released_ms = Some(now_ms);
                        self.emit(number, Action::Queued);
                    }
                    continue;
                }
            };
            if is_over {
                self.end_job(number, now_ms);
            } else if job.taken_ms.is_none() {
                self.give_to_a_runner(number, now_ms);
            }
        }
    }

    fn end_job(&mut self, number: usize, now_ms: i64) {
        let job = &mut self.world.jobs.all[number];
        job.ended_ms = Some(now_ms);
        let is_deleted = job.asked.is_deleted && job.taken_ms.is_none();
        if let Some((place, id, name)) = job.runner.clone() {
            self.world.alter(now_ms, place, &name, |runner| runner.busy &= runner.id != id);
        }
        if !is_deleted {
            self.emit(number, Action::Completed);
        }
    }

    fn give_to_a_runner(&mut self, number: usize, now_ms: i64) {
        let job = &self.world.jobs.all[number];
        let wanted = job.labels();
        let fits = |runner: &&TrueRunner| {
            let has = |label: &String| runner.labels.iter().any(|own| own.eq_ignore_ascii_case(label));
            runner.online && !runner.busy && wanted.iter().all(has)
        };
        let is_open = self.world.jobs.webhook.is_some_and(|webhook| webhook.is_open);
        let found = job.places(is_open).find_map(|place| {
            let runner = self.world.runners(place).iter().find(fits)?;
            Some((place, runner.id, runner.name.clone()))
        });
        let Some((place, id, name)) = found else { return };
        self.world.alter(now_ms, place, &name, |runner| runner.busy = true);
        let job = &mut self.world.jobs.all[number];
        (job.taken_ms, job.runner) = (Some(now_ms), Some((place, id, name)));
        self.emit(number, Action::InProgress);
    }

    /// Sends a delivery, with everything that can happen to it on the way.
    fn emit(&mut self, number: usize, action: Action) {
        let Some(webhook) = self.world.jobs.webhook else { return };
        let (now_ms, chance) = (self.now_ms, &mut self.job_chance);
        let delivery = self.world.jobs.body(number, action, chance);
        let below = |chance: &mut Chance, bound| i64::try_from(chance.below(bound)).unwrap_or(0);
        let soon_ms = 200 + below(chance, 2_800);
        let fate = if webhook.is_unreliable { chance.below(100) } else { 100 };
        let delays_ms = match fate {
            0..10 => vec![],
            10..25 => vec![minutes(1, 240, chance)],
            25..32 => vec![soon_ms, soon_ms + below(chance, 20)],
            32..38 => vec![soon_ms, minutes(1, 240, chance)],
            _ => vec![soon_ms],
        };
        let jobs = &self.world.jobs;
        let is_first = matches!(action, Action::Waiting | Action::Queued);
        let is_lost = jobs.lost_until_ms > now_ms || (jobs.lost_but_queued_until_ms > now_ms && !is_first);
        for delay_ms in delays_ms.into_iter().filter(|_| !is_lost) {
            self.world.jobs.deliveries.push(delivery.clone());
            let number = self.world.jobs.deliveries.len() - 1;
            self.at(now_ms + delay_ms, Wake::Deliver(number));
        }
    }
}

impl Scenario {
    /// The same scenario with workflow jobs, and a webhook that reports them.
    #[must_use]
    pub fn with_workflow_jobs(mut self) -> Self {
        let chance = &mut Chance::new(self.seed ^ 0x10b5);
        let busy_ms = (self.hours * HOUR_MS - CALM_MS).max(HOUR_MS);
        let moment = |chance: &mut Chance| i64::try_from(chance.below(busy_ms.unsigned_abs())).unwrap_or(0);
        self.webhook = Some(Webhook {
            is_queued: chance.below(2) > 0,
            is_open: chance.below(3) > 0,
            is_unreliable: chance.below(3) > 0,
        });
        let mut add = |at_ms: i64, what| self.operations.push(Operation { at_ms, what });
        for _ in 0..12 + chance.below(20) {
            let at_ms = moment(chance);
            add(at_ms, What::Job(draw_job(chance)));
        }
        // Both runners with the rare label are offline, and now and then those of the organization too.
        for _ in 0..2 + chance.below(3) {
            let place = usize::try_from(chance.below(TARGETS.len() as u64)).unwrap_or(0);
            let (at_ms, for_ms) = (moment(chance), minutes(30, 150, chance));
            let others = (chance.below(2) > 0).then_some(ORGANIZATION).filter(|other| *other != place);
            for target in std::iter::once(place).chain(others) {
                for runner in ["runner-1", "runner-2"] {
                    let at_ms = at_ms + minutes(0, 5, chance);
                    let for_ms = for_ms.min(busy_ms - at_ms).max(MINUTE_MS);
                    add(at_ms, What::Outage { target, runner: runner.to_owned(), for_ms });
                }
            }
            let asked = Asked { labels: 1 + usize::try_from(chance.below(4)).unwrap_or(0), ..draw_job(chance) };
            add(at_ms + minutes(1, 20, chance), What::Job(Asked { repository: repository_of(place), ..asked }));
        }
        // Long jobs take the runners with the rare label.
        for _ in 0..1 + chance.below(3) {
            let (at_ms, repository) = (moment(chance), usize::try_from(chance.below(4)).unwrap_or(0));
            let runs_ms = minutes(60, 120, chance);
            let asked =
                Asked { repository, labels: 1, count: 5, before_ms: 0, held_ms: 0, runs_ms, ..draw_job(chance) };
            add(at_ms, What::Job(asked));
        }
        let but_queued = chance.below(3) > 0;
        match chance.below(8) {
            0 => add(0, What::DeliveriesLost { but_queued, for_ms: busy_ms }),
            1 | 2 => {
                let (at_ms, for_ms) = (moment(chance), minutes(20, 400, chance));
                add(at_ms, What::DeliveriesLost { but_queued, for_ms });
            }
            _ => {}
        }
        if chance.below(4) == 0 {
            let (at_ms, for_ms) = (moment(chance), minutes(30, 240, chance));
            add(at_ms, What::JobsForbidden { for_ms: for_ms.min(busy_ms - at_ms) });
        }
        self.operations.sort_by_key(|operation| operation.at_ms);
        self
    }
}

/// The repository whose jobs a target's own runners take.
fn repository_of(place: usize) -> usize {
    // The organization's take those of a repository that is not monitored.
    REPOSITORIES.iter().position(|name| place_of(name) == Some(place)).unwrap_or(2)
}

fn draw_job(chance: &mut Chance) -> Asked {
    let labels = match chance.below(100) {
        0..30 => 0,
        30..50 => 1,
        50..58 => 2,
        58..64 => 3,
        64..74 => 4,
        74..84 => 5,
        84..92 => 6,
        92..96 => LARGER,
        _ => HOSTED,
    };
    let fits = labels < 5;
    let count = if chance.below(40) == 0 { 21 + chance.below(8) } else { 1 + chance.below(3) };
    // Nobody takes such a job, so it may be old before its first delivery arrives.
    let before_ms = if !fits && chance.below(3) == 0 { minutes(60, 1_300, chance) } else { 0 };
    let held_ms = if before_ms == 0 && chance.below(5) == 0 { minutes(15, 240, chance) } else { 0 };
    let runs_ms = if chance.below(6) == 0 { minutes(90, 120, chance) } else { minutes(1, 40, chance) };
    let patience_ms = if chance.below(4) == 0 { minutes(5, 240, chance) } else { LONGEST_WAIT_MS };
    Asked {
        repository: usize::try_from(chance.below(REPOSITORIES.len() as u64)).unwrap_or(0),
        labels,
        count,
        before_ms,
        held_ms,
        runs_ms,
        patience_ms: before_ms + patience_ms,
        is_deleted: chance.below(6) == 0,
    }
}
