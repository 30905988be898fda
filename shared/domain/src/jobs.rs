//! Workflow jobs that wait for a runner: what is stored of each, and of those that ask for the same labels.
//!
//! The jobs that ask for the same labels are a queue. A queue whose oldest job has waited too long is stored and evaluated
//! like a runner that is offline, so that its alerts are muted, routed, reminded of and recorded as those of runners are.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::pool::{id_of_labels, label_set};
use crate::status::RunnerId;
use crate::target::Target;
use crate::time::Timestamp;

/// GitHub fails a job that no runner has taken for this long:
/// <https://docs.github.com/en/actions/reference/limits>
pub const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// How soon after its creation GitHub says that a job is held back, if it said before that it is queued.
const HELD_BACK_WITHIN: Duration = Duration::from_secs(120);

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
    /// Whether it is for a runner of one's own: GitHub's own images have names such as `ubuntu-latest`, `windows-2025` and
    /// `macos-15-xlarge`.
    pub fn is_for_own_runner(&self) -> bool {
        let is_hosted = |label: &String| {
            let label = label.to_ascii_lowercase();
            let version = ["ubuntu-", "windows-", "macos-"].iter().find_map(|image| label.strip_prefix(image));
            let is_version = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
            version.is_some_and(|text| is_version(text) || text.starts_with("latest") || text.starts_with("slim"))
        };
        !self.labels.is_empty() && !matches!(&self.labels[..], [label] if is_hosted(label))
    }

    /// Whether it waits for a runner at `now`.
    pub fn is_waiting(&self, now: Timestamp) -> bool {
        self.state == JobState::Queued && now.since(self.queued_at) < LONGEST_WAIT
    }

    /// The identity of its queue: the labels in another order or case are the same queue.
    pub fn queue_id(&self) -> RunnerId {
        queue_id(&self.labels)
    }

    /// What to store after a report about it at `now`; `None` if the stored job is the same or newer. Reports arrive twice
    /// and out of order, but a job never goes back.
    pub fn after(stored: Option<&Job>, reported: Job, now: Timestamp) -> Option<Job> {
        let Some(stored) = stored else { return Some(reported) };
        let mut next = reported;
        // A runner could take it only from now on.
        let is_released = stored.state == JobState::Held && next.state == JobState::Queued;
        // Some jobs are queued first and held back at once. A later report that one is held back is an old one.
        let is_held_back = stored.state == JobState::Queued
            && next.state == JobState::Held
            && !now.has_waited(stored.queued_at, HELD_BACK_WITHIN);
        next.state = if is_held_back { JobState::Held } else { next.state.max(stored.state) };
        // Later reports have the time of its creation, also after a release.
        next.queued_at = if is_released { now } else { stored.queued_at };
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
    /// When it was queued.
    pub queued_at: Timestamp,
    /// When a runner took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
}

impl From<&Job> for JobName {
    fn from(job: &Job) -> Self {
        let name = match &job.workflow {
            Some(workflow) if *workflow != job.name => format!("{workflow} / {}", job.name),
            _ => job.name.clone(),
        };
        let (repository, url) = (job.repository.clone(), job.url.clone());
        Self { repository, name, url, queued_at: job.queued_at, started_at: job.started_at }
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

/// A part of a sentence. Each host writes names and times in its own way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// Words.
    Words(Cow<'static, str>),
    /// The name of a runner, a label or a version.
    Name(&'a str),
    /// A moment, to the minute.
    At(Timestamp),
    /// A day.
    On(Timestamp),
}

impl WaitReason {
    /// The reason as a sentence.
    pub fn sentence(&self) -> Vec<Said<'_>> {
        use Said::{At, Name, On};
        let words = |text: &'static str| Said::Words(Cow::Borrowed(text));
        let built = |text: String| Said::Words(Cow::Owned(text));
        match self {
            Self::NoRunner { nearest: None } => vec![words("No registered runner has all of these labels.")],
            Self::NoRunner { nearest: Some((name, missing)) } => vec![
                words("No registered runner has all of these labels; "),
                Name(name),
                words(" lacks only "),
                Name(missing),
                words("."),
            ],
            Self::Offline { runners: 1, since } => {
                vec![words("The only runner with these labels has been offline since "), At(*since), words(".")]
            }
            Self::Offline { runners, since } => vec![
                built(format!("All {runners} runners with these labels are offline, the last since ")),
                At(*since),
                words("."),
            ],
            Self::VersionEnded { runners, version, ended_at } => {
                let whose = if *runners == 1 { "the only runner" } else { "all runners" };
                let subject = format!("GitHub gives no more jobs to the version of {whose} with these labels: ");
                vec![built(subject), Name(version), words(" ended on "), On(*ended_at), words(".")]
            }
            Self::Busy { runners, offline, since } => {
                let subject = match runners {
                    1 if *offline == 0 => words("The only runner with these labels has been busy since "),
                    1 => words("The only online runner with these labels has been busy since "),
                    _ => built(format!("All {runners} online runners with these labels are busy, the first since ")),
                };
                let rest = match offline {
                    0 => words("."),
                    1 => words("; 1 more is offline."),
                    more => built(format!("; {more} more are offline.")),
                };
                vec![subject, At(*since), rest]
            }
            Self::Idle { runners: 0 | 1, name } => vec![
                Name(name),
                words(" has these labels and is idle: its runner group may not be open to the repository."),
            ],
            Self::Idle { runners, name } => {
                let others = if *runners == 2 { "1 other".to_owned() } else { format!("{} others", runners - 1) };
                let rest = "have these labels and are idle: their runner group may not be open to the repository.";
                vec![Name(name), built(format!(" and {others} {rest}"))]
            }
        }
    }
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

impl WaitingJobs {
    /// Whether people would want to know how it is now instead: other jobs wait, or for another reason.
    pub fn differs_from(&self, now: &Self) -> bool {
        (self.count, &self.jobs, self.is_unconfirmed) != (now.count, &now.jobs, now.is_unconfirmed)
            || std::mem::discriminant(&self.reason) != std::mem::discriminant(&now.reason)
    }
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
    /// The name of the queue in messages, for mutes and for rules: the same whichever of its jobs is the oldest.
    pub fn name(&self) -> String {
        let mut labels = label_set(&self.labels);
        labels.sort_by_key(|label| label != "self-hosted");
        format!("queue {}", labels.join(","))
    }

    /// The identity under which it is stored. The labels in another order or case are the same queue.
    pub fn id(&self) -> RunnerId {
        queue_id(&self.labels)
    }
}

fn queue_id(labels: &[String]) -> RunnerId {
    id_of_labels("queue:", labels)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn at(mins: i64) -> Timestamp {
        Timestamp::from_epoch_ms(1_800_000_000_000 + mins * 60_000)
    }

    pub(crate) fn labels(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    pub(crate) fn job(id: u64, wanted: &str, queued_at: Timestamp) -> Job {
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
        assert_eq!(
            Job::after(Some(&held), queued.clone(), at(9)),
            Some(released.clone()),
            "it waits since it was released"
        );
        assert_eq!(Job::after(Some(&released), queued.clone(), at(10)), None, "the same report again");
        assert_eq!(Job::after(Some(&queued), held.clone(), at(9)), None, "a late report");
        assert_eq!(
            Job::after(Some(&queued), held.clone(), at(1)),
            Some(held.clone()),
            "held back as soon as it was created"
        );
        assert_eq!(Job::after(Some(&started), held, at(1)), None);
        let without_labels = Job { labels: Vec::new(), ..started.clone() };
        assert_eq!(Job::after(Some(&queued), without_labels, at(9)), Some(started));
    }

    #[test]
    fn jobs_for_githubs_images_are_not_for_own_runners() {
        for (wanted, is_own) in [
            ("ubuntu-latest", false),
            ("Windows-2025", false),
            ("macos-15", false),
            ("macos-latest-xlarge", false),
            ("ubuntu-slim", false),
            ("windows-11-arm", false),
            ("macos-signing", true),
            ("ubuntu-gpu", true),
            ("gpu", true),
            ("ubuntu-22.04,self-hosted", true),
        ] {
            assert_eq!(job(1, wanted, at(0)).is_for_own_runner(), is_own, "{wanted}");
        }
        assert!(!Job { labels: Vec::new(), ..job(1, "gpu", at(0)) }.is_for_own_runner());
    }
}
