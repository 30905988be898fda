//! Workflow jobs that wait for a runner: what is stored of each, which of them wait too long, and why.
//!
//! The jobs that ask for the same labels are a queue. A queue whose oldest job has waited too long is stored and evaluated
//! like a runner that is offline, so that its alerts are muted, routed, reminded of and recorded as those of runners are.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::pool::{id_of_labels, label_set};
use crate::runner::Runner;
use crate::status::{RunnerId, Status};
use crate::target::Target;
use crate::time::Timestamp;

/// GitHub fails a job that no runner has taken for this long:
/// <https://docs.github.com/en/actions/reference/limits>
pub const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
/// How many jobs of a queue are named in a notification.
const NAMED_JOBS: usize = 5;

/// The number that GitHub gives a job. A job that is run again has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

/// How far a job has come; completed jobs are not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobState {
    /// GitHub holds it back, for an approval or for another run: no runner's fault.
    Held,
    /// It waits for a runner.
    Queued,
    /// A runner has taken it.
    InProgress,
}

/// A job that is not completed, as GitHub last reported it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// The repository whose workflow it belongs to.
    pub repository: Target,
    /// The name of the workflow, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Its name in the workflow.
    pub name: String,
    /// Its page on GitHub.
    pub url: String,
    /// The labels that a runner must have to take it.
    pub labels: Vec<String>,
    /// How far it has come.
    pub state: JobState,
    /// Since when it has been in the queue.
    pub queued_at: Timestamp,
    /// The runner that has taken it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// When the runner took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
}

impl Job {
    /// Whether it is for a runner of one's own: GitHub's own images have names such as `ubuntu-latest`.
    pub fn is_for_own_runner(&self) -> bool {
        let is_hosted = |label: &String| {
            let label = label.to_ascii_lowercase();
            ["ubuntu-", "windows-", "macos-"].iter().any(|image| label.starts_with(image))
        };
        !self.labels.is_empty() && !matches!(&self.labels[..], [label] if is_hosted(label))
    }

    /// Whether it waits for a runner at `now`.
    pub fn is_waiting(&self, now: Timestamp) -> bool {
        self.state == JobState::Queued && now.since(self.queued_at) < LONGEST_WAIT
    }

    /// What to store after a report about it at `now`; `None` if the stored job is the same or newer. Reports arrive twice
    /// and out of order, but a job never goes back.
    pub fn after(stored: Option<&Job>, reported: Job, now: Timestamp) -> Option<Job> {
        let Some(stored) = stored else { return Some(reported) };
        let mut next = reported;
        // A runner could take it only from now on.
        let is_released = stored.state == JobState::Held && next.state == JobState::Queued;
        next.state = next.state.max(stored.state);
        next.queued_at = if is_released { now } else { next.queued_at.min(stored.queued_at) };
        next.runner = next.runner.or_else(|| stored.runner.clone());
        next.started_at = next.started_at.or(stored.started_at);
        if next.labels.is_empty() {
            next.labels.clone_from(&stored.labels);
        }
        (next != *stored).then_some(next)
    }
}

/// What GitHub answers about one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobAnswer {
    /// It is not completed.
    Open(Job),
    /// It is completed, or GitHub no longer knows it.
    Ended,
}

/// What a check saw of its target's jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum JobsSeen {
    /// Jobs are not monitored.
    #[default]
    Off,
    /// They could not be read: nothing changes.
    Unknown,
    /// The stored jobs.
    Seen {
        /// All that are not completed.
        jobs: Vec<Job>,
        /// Those that wait, as GitHub has just said.
        confirmed: Vec<JobId>,
        /// The runners of other targets that could take these jobs: those of the organization, for a repository.
        elsewhere: Vec<Runner>,
        /// Whether GitHub refused to say so of some: only the reports say that they wait.
        is_unconfirmed: bool,
    },
}

/// A job in a notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobName {
    /// The repository.
    pub repository: Target,
    /// The workflow and the job, as people know it.
    pub name: String,
    /// Its page on GitHub.
    pub url: String,
    /// Since when it has waited.
    pub queued_at: Timestamp,
}

impl From<&Job> for JobName {
    fn from(job: &Job) -> Self {
        let name = match &job.workflow {
            Some(workflow) if *workflow != job.name => format!("{workflow} / {}", job.name),
            _ => job.name.clone(),
        };
        Self { repository: job.repository.clone(), name, url: job.url.clone(), queued_at: job.queued_at }
    }
}

/// Why no runner takes the jobs of a queue, as far as the stored runners show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "why")]
pub enum WaitReason {
    /// No registered runner has all of the labels.
    NoRunner {
        /// A runner that lacks only one of them, and that label.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nearest: Option<(String, String)>,
    },
    /// Every runner with the labels is offline.
    Offline {
        /// The number of these runners.
        runners: u32,
        /// Since when the last of them has been offline.
        since: Timestamp,
    },
    /// GitHub gives no more jobs to the version of every runner with the labels.
    #[serde(rename_all = "camelCase")]
    VersionEnded {
        /// The number of these runners.
        runners: u32,
        /// The version of the first.
        version: String,
        /// When it ended.
        ended_at: Timestamp,
    },
    /// Every online runner with the labels runs a job.
    Busy {
        /// The number of these runners.
        runners: u32,
        /// The number of offline runners with the labels.
        offline: u32,
        /// Since when the first of them has been busy.
        since: Timestamp,
    },
    /// A runner with the labels is idle: it may be in a group that is not open to the repository.
    Idle {
        /// The number of idle runners.
        runners: u32,
        /// The name of the first.
        name: String,
    },
}

/// The waiting jobs of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingJobs {
    /// The number of waiting jobs.
    pub count: u32,
    /// Since when the oldest has waited.
    pub since: Timestamp,
    /// Why no runner takes them.
    pub reason: WaitReason,
    /// The oldest of them, oldest first.
    pub jobs: Vec<JobName>,
    /// Whether GitHub refused to confirm it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unconfirmed: bool,
}

/// `1 job waits`, `7 jobs wait`
impl fmt::Display for WaitingJobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => f.write_str("1 job waits"),
            count => write!(f, "{count} jobs wait"),
        }
    }
}

/// A queue whose oldest job has waited too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The labels that its jobs ask for, as the oldest job has them.
    pub labels: Vec<String>,
    /// Its jobs.
    pub waiting: WaitingJobs,
}

impl Queue {
    /// The name of the queue in messages.
    pub fn name(&self) -> String {
        format!("queue {}", self.labels.join(","))
    }

    /// The identity under which it is stored. The labels in another order or case are the same queue.
    pub fn id(&self) -> RunnerId {
        id_of_labels("queue:", &self.labels)
    }
}

/// The jobs by the labels that they ask for, the oldest first.
fn by_labels<'j>(jobs: impl Iterator<Item = &'j Job>) -> BTreeMap<Vec<String>, Vec<&'j Job>> {
    let mut sets: BTreeMap<Vec<String>, Vec<&Job>> = BTreeMap::new();
    jobs.for_each(|job| sets.entry(label_set(&job.labels)).or_default().push(job));
    sets.values_mut().for_each(|jobs| jobs.sort_by_key(|job| (job.queued_at, job.id)));
    sets
}

/// The jobs that have waited for `threshold` of their labels or longer, the oldest first: GitHub is asked about each
/// before anybody is notified.
pub fn overdue(jobs: &[Job], now: Timestamp, threshold: impl Fn(&[String]) -> Duration) -> Vec<&Job> {
    let is_overdue = |job: &&Job| job.is_waiting(now) && now.since(job.queued_at) >= threshold(&job.labels);
    let mut overdue: Vec<&Job> = jobs.iter().filter(is_overdue).collect();
    overdue.sort_by_key(|job| (job.queued_at, job.id));
    overdue
}

/// The queues in which a confirmed job is overdue. `confirmed`: GitHub has just said that these jobs are queued.
///
/// A queue that asks for no label `self-hosted` and that no stored runner could serve may be GitHub's own larger runners:
/// it is left out.
pub fn waiting_queues(jobs: &[Job], confirmed: &[JobId], runners: &[&Runner], now: Timestamp) -> Vec<Queue> {
    let waiting = by_labels(jobs.iter().filter(|job| job.is_waiting(now)));
    let queue_of = |jobs: Vec<&Job>| {
        let oldest = jobs.iter().find(|job| confirmed.contains(&job.id))?;
        let reason = reason(&oldest.labels, runners, now);
        let is_own = oldest.labels.iter().any(|label| label.eq_ignore_ascii_case("self-hosted"));
        if !is_own && matches!(reason, WaitReason::NoRunner { .. }) {
            return None;
        }
        let waiting = WaitingJobs {
            count: u32::try_from(jobs.len()).unwrap_or(u32::MAX),
            since: oldest.queued_at,
            reason,
            jobs: jobs.iter().take(NAMED_JOBS).map(|job| JobName::from(*job)).collect(),
            is_unconfirmed: false,
        };
        Some(Queue { labels: oldest.labels.clone(), waiting })
    };
    waiting.into_values().filter_map(queue_of).collect()
}

/// Why none of these runners takes a job that asks for `labels`.
pub fn reason(labels: &[String], runners: &[&Runner], now: Timestamp) -> WaitReason {
    let registered = || runners.iter().copied().filter(|runner| !runner.is_gone() && !runner.never_connected());
    let fitting: Vec<&Runner> = registered().filter(|runner| runner.has_labels(labels)).collect();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let Some(last) = fitting.iter().map(|runner| runner.status_since).max() else {
        let missing = |runner: &Runner| {
            let mut missing = labels.iter().filter(|label| !runner.has_labels(std::slice::from_ref(label)));
            let first = missing.next()?;
            missing.next().is_none().then(|| (runner.name.clone(), first.clone()))
        };
        // A job for one label would have every runner as its nearest.
        let nearest = if labels.len() > 1 { registered().find_map(missing) } else { None };
        return WaitReason::NoRunner { nearest };
    };
    let online: Vec<&Runner> = fitting.iter().copied().filter(|runner| runner.status.is_healthy()).collect();
    let is_busy = |runner: &&&Runner| runner.busy || runner.status == Status::Busy;
    if let Some(idle) = online.iter().find(|runner| !is_busy(runner)) {
        let runners = number(online.iter().filter(|runner| !is_busy(runner)).count());
        return WaitReason::Idle { runners, name: idle.name.clone() };
    }
    if let Some(since) = online.iter().map(|runner| runner.status_since).min() {
        let (runners, offline) = (number(online.len()), number(fitting.len() - online.len()));
        return WaitReason::Busy { runners, offline, since };
    }
    let ended = |runner: &&Runner| {
        let outage = runner.open_outage()?;
        Some((runner.version.clone()?, outage.version_ended_at.filter(|at| *at <= now)?))
    };
    let ended: Vec<(String, Timestamp)> = fitting.iter().filter_map(ended).collect();
    match ended.first() {
        Some((version, ended_at)) if ended.len() == fitting.len() => {
            WaitReason::VersionEnded { runners: number(fitting.len()), version: version.clone(), ended_at: *ended_at }
        }
        _ => WaitReason::Offline { runners: number(fitting.len()), since: last },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::ObservedRunner;

    fn at(mins: i64) -> Timestamp {
        Timestamp::from_epoch_ms(1_800_000_000_000 + mins * 60_000)
    }

    fn labels(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    fn job(id: u64, wanted: &str, queued_at: Timestamp) -> Job {
        Job {
            id: JobId(id),
            repository: "acme/web".parse().unwrap(),
            workflow: Some("Train".to_owned()),
            name: format!("job-{id}"),
            url: format!("https://github.com/acme/web/actions/runs/1/job/{id}"),
            labels: labels(wanted),
            state: JobState::Queued,
            queued_at,
            runner: None,
            started_at: None,
        }
    }

    fn runner(id: u64, own: &str, status: Status) -> Runner {
        let observed = ObservedRunner {
            id: RunnerId(id),
            name: format!("runner-{id}"),
            os: "linux".to_owned(),
            status,
            busy: status == Status::Busy,
            ephemeral: false,
            version: Some("2.330.0".to_owned()),
            labels: labels(own),
        };
        Runner::first_seen(&observed, true, at(-60))
    }

    #[test]
    fn a_job_never_goes_back_in_whatever_order_reports_arrive() {
        let queued = job(1, "gpu", at(0));
        let started = Job {
            state: JobState::InProgress,
            runner: Some("gpu-1".to_owned()),
            started_at: Some(at(3)),
            ..queued.clone()
        };
        assert_eq!(Job::after(None, queued.clone(), at(9)), Some(queued.clone()));
        assert_eq!(Job::after(Some(&queued), queued.clone(), at(9)), None);
        assert_eq!(Job::after(Some(&queued), started.clone(), at(9)), Some(started.clone()));
        assert_eq!(Job::after(Some(&started), queued.clone(), at(9)), None, "a late report");
        let held = Job { state: JobState::Held, ..queued.clone() };
        let released = Job { queued_at: at(9), ..queued.clone() };
        assert_eq!(Job::after(Some(&held), queued.clone(), at(9)), Some(released), "it waits since it was released");
        assert_eq!(Job::after(Some(&queued), held, at(9)), None);
        let without_labels = Job { labels: Vec::new(), ..started.clone() };
        assert_eq!(Job::after(Some(&queued), without_labels, at(9)), Some(started));
    }

    #[test]
    fn jobs_for_githubs_images_are_not_for_own_runners() {
        for (wanted, is_own) in [
            ("ubuntu-latest", false),
            ("Windows-2025", false),
            ("macos-15", false),
            ("gpu", true),
            ("ubuntu-22.04,self-hosted", true),
        ] {
            assert_eq!(job(1, wanted, at(0)).is_for_own_runner(), is_own, "{wanted}");
        }
        assert!(!Job { labels: Vec::new(), ..job(1, "gpu", at(0)) }.is_for_own_runner());
    }

    #[test]
    fn a_queue_is_its_labels_in_any_order_and_case_and_begins_with_its_oldest_confirmed_job() {
        let jobs =
            [job(3, "GPU,self-hosted", at(5)), job(1, "self-hosted,gpu", at(0)), job(2, "gpu,self-hosted", at(1))];
        let threshold = |_: &[String]| Duration::from_secs(600);
        let ids = |jobs: Vec<&Job>| jobs.into_iter().map(|job| job.id.0).collect::<Vec<_>>();
        assert_eq!(ids(overdue(&jobs, at(11), threshold)), [1, 2]);
        assert!(overdue(&jobs, at(9), threshold).is_empty());
        assert!(overdue(&jobs, at(24 * 60 + 6), threshold).is_empty(), "GitHub has failed them");

        let runner = runner(1, "self-hosted,gpu", Status::Offline);
        let queues = waiting_queues(&jobs, &[JobId(2)], &[&runner], at(11));
        let [queue] = &queues[..] else { panic!("{queues:?}") };
        assert_eq!((queue.waiting.count, queue.waiting.since), (3, at(1)));
        assert_eq!(queue.name(), "queue gpu,self-hosted");
        let names: Vec<&str> = queue.waiting.jobs.iter().map(|job| &*job.name).collect();
        assert_eq!(names, ["Train / job-1", "Train / job-2", "Train / job-3"]);
        assert!(waiting_queues(&jobs, &[], &[&runner], at(11)).is_empty(), "GitHub confirmed none");
    }

    #[test]
    fn the_reason_is_what_the_stored_runners_show() {
        let wanted = labels("self-hosted,gpu");
        let of = |runners: &[Runner]| reason(&wanted, &runners.iter().collect::<Vec<_>>(), at(0));
        let idle = runner(1, "Self-Hosted,GPU,x64", Status::Idle);
        let busy = runner(2, "self-hosted,gpu", Status::Busy);
        let offline = runner(3, "self-hosted,gpu", Status::Offline);
        let other = runner(4, "self-hosted,cpu", Status::Idle);
        let others = [other.clone()];
        assert_eq!(of(&others), WaitReason::NoRunner { nearest: Some(("runner-4".into(), "gpu".into())) });
        assert_eq!(of(&[]), WaitReason::NoRunner { nearest: None });
        assert_eq!(of(&[offline.clone(), other]), WaitReason::Offline { runners: 1, since: at(-60) });
        let both = [offline.clone(), busy.clone()];
        assert_eq!(of(&both), WaitReason::Busy { runners: 1, offline: 1, since: at(-60) });
        let all = [offline, busy, idle];
        assert_eq!(of(&all), WaitReason::Idle { runners: 1, name: "runner-1".into() });
    }

    #[test]
    fn a_queue_that_may_be_githubs_own_larger_runners_is_left_out() {
        let jobs = [job(1, "larger-16-cores", at(0)), job(2, "gpu", at(0))];
        let gpu = runner(1, "gpu", Status::Busy);
        let queues = waiting_queues(&jobs, &[JobId(1), JobId(2)], &[&gpu], at(30));
        assert_eq!(queues.iter().map(Queue::name).collect::<Vec<_>>(), ["queue gpu"]);
    }
}
