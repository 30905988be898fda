//! Which workflow jobs wait too long, and why no runner takes them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::jobs::{Job, JobId, JobName, JobState, Queue, WaitReason, WaitingJobs};
use crate::pool::label_set;
use crate::runner::Runner;
use crate::status::Status;
use crate::time::Timestamp;

/// How many jobs of a queue are named in a notification.
const NAMED_JOBS: usize = 5;

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
        /// Those that wait, as GitHub has just said, or as the reports alone say.
        confirmed: Vec<JobId>,
        /// Those of them about which GitHub refused to answer: only the reports say that they wait.
        refused: Vec<JobId>,
        /// Those that waited too long when they were last reported, and of which GitHub has not just said anything.
        unanswered: Vec<JobId>,
        /// The runners of other targets that could take these jobs: those of its organization and of the enterprises.
        elsewhere: Vec<Runner>,
    },
}

/// How long before its runner is first seen busy a job may have started. A report of its end that was lost leaves an older
/// job behind.
const STARTED_BEFORE: Duration = Duration::from_secs(3_600);

/// The job that a listed runner runs; the inner `None` if it runs none that is stored. The outer `None` if nothing new is
/// known: its jobs were not read, or it is offline, and what it ran before that is of interest.
pub fn job_of(seen: &JobsSeen, runner: &Runner) -> Option<Option<JobName>> {
    match (seen, runner.status) {
        (JobsSeen::Off, _) | (_, Status::Idle | Status::Online) => Some(None),
        (JobsSeen::Seen { jobs, .. }, Status::Busy) => {
            let earliest = runner.status_since.minus(STARTED_BEFORE);
            let runs = |job: &&Job| {
                job.state == JobState::InProgress
                    && job.runner.as_deref() == Some(&*runner.name)
                    && job.started_at.is_none_or(|at| at >= earliest)
            };
            Some(jobs.iter().filter(runs).max_by_key(|job| (job.started_at, job.id)).map(JobName::from))
        }
        _ => None,
    }
}

/// The jobs by the labels that they ask for, the oldest first.
fn by_labels<'j>(jobs: impl Iterator<Item = &'j Job>) -> BTreeMap<Vec<String>, Vec<&'j Job>> {
    let mut sets: BTreeMap<Vec<String>, Vec<&Job>> = BTreeMap::new();
    jobs.for_each(|job| sets.entry(label_set(&job.labels)).or_default().push(job));
    sets.values_mut().for_each(|jobs| sort_oldest_first(jobs));
    sets
}

fn sort_oldest_first(jobs: &mut [&Job]) {
    jobs.sort_unstable_by_key(|job| (job.queued_at, job.id));
}

/// The jobs that have waited for `threshold` of their labels or longer, the oldest first: GitHub is asked about them before
/// anybody is notified.
pub fn overdue(jobs: &[Job], now: Timestamp, threshold: impl Fn(&[String]) -> Duration) -> Vec<&Job> {
    let is_overdue = |job: &&Job| job.is_waiting(now) && now.since(job.queued_at) >= threshold(&job.labels);
    let mut overdue: Vec<&Job> = jobs.iter().filter(is_overdue).collect();
    sort_oldest_first(&mut overdue);
    overdue
}

/// The overdue jobs that GitHub is asked about in one check, at most `most`. The oldest of each queue is among them, so
/// that a long queue does not hide another. The others take turns, so that the end of each is found in time, however many
/// older ones still wait. If there are too many queues, they take turns too, and leave a quarter of the places to the
/// others. `turn`: the number of the interval in which the check falls.
pub fn asked_about<'j>(overdue: &[&'j Job], most: usize, turn: u64) -> Vec<&'j Job> {
    let mut queues = BTreeSet::new();
    let (first, others): (Vec<&Job>, Vec<&Job>) = overdue.iter().partition(|job| queues.insert(label_set(&job.labels)));
    let for_first = most - others.len().min(most / 4);
    let first = in_turn(first, for_first, turn);
    let room = most - first.len();
    first.into_iter().chain(in_turn(others, room, turn)).collect()
}

/// As many of these jobs as there is room for, others in each interval if there are more.
fn in_turn(mut jobs: Vec<&Job>, room: usize, turn: u64) -> Vec<&Job> {
    if jobs.len() > room {
        // Each interval continues where the last one ended. The second term moves a check that is only made every few
        // intervals and would meet the same jobs for ever.
        let (places, turn) = (jobs.len() as u128, u128::from(turn));
        let begins_at = (turn * room as u128 + turn / 12) % places;
        jobs.rotate_left(usize::try_from(begins_at).unwrap_or(0));
        jobs.truncate(room);
    }
    jobs
}

/// The queues in which a confirmed job is overdue. `confirmed`: GitHub has just said that these jobs are queued, or, of
/// those in `refused`, the reports alone say so.
///
/// A queue that asks for no label `self-hosted` and that no stored runner could serve may be GitHub's own larger runners:
/// it is left out.
pub fn waiting_queues(
    jobs: &[Job],
    confirmed: &[JobId],
    refused: &[JobId],
    runners: &[&Runner],
    now: Timestamp,
) -> Vec<Queue> {
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
            is_unconfirmed: refused.contains(&oldest.id),
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
    use crate::jobs::tests::{at, job, labels};
    use crate::runner::Health;
    use crate::status::{ObservedRunner, RunnerId};

    fn runner(id: u64, own: &str, status: Status) -> Runner {
        let observed = ObservedRunner {
            id: RunnerId(id),
            name: format!("runner-{id}"),
            os: "linux".to_owned(),
            status,
            busy: status == Status::Busy,
            ephemeral: false,
            group_id: None,
            version: Some("2.330.0".to_owned()),
            labels: labels(own),
        };
        Runner::first_seen(&observed, true, at(-60))
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
        let queues = waiting_queues(&jobs, &[JobId(2)], &[], &[&runner], at(11));
        let [queue] = &queues[..] else { panic!("{queues:?}") };
        assert_eq!((queue.waiting.count, queue.waiting.since), (3, at(1)));
        assert_eq!(queue.name(), "queue self-hosted,gpu", "the same whichever job is the oldest");
        let names: Vec<&str> = queue.waiting.jobs.iter().map(|job| &*job.name).collect();
        assert_eq!(names, ["Train / job-1", "Train / job-2", "Train / job-3"]);
        assert!(waiting_queues(&jobs, &[], &[], &[&runner], at(11)).is_empty(), "GitHub confirmed none");
    }

    #[test]
    fn each_overdue_job_is_asked_about_in_turn_and_the_oldest_of_each_queue_always() {
        let mut jobs: Vec<Job> = (1..=60).map(|id| job(id, "gpu", at(0))).collect();
        jobs.push(job(61, "cpu", at(1)));
        let overdue = overdue(&jobs, at(20), |_| Duration::from_secs(600));
        let asked_in = |turn: u64| -> Vec<u64> {
            let asked: Vec<u64> = asked_about(&overdue, 20, turn).iter().map(|job| job.id.0).collect();
            assert!(asked.len() == 20 && asked.contains(&1) && asked.contains(&61), "{asked:?}");
            asked
        };
        for first in 0..100 {
            let seen: BTreeSet<u64> = (first..first + 8).flat_map(asked_in).collect();
            assert_eq!(seen.len(), 61, "from turn {first}");
            for every in 1..=6 {
                let seen: BTreeSet<u64> = (0..300).flat_map(|check| asked_in(first + check * every)).collect();
                assert_eq!(seen.len(), 61, "every {every} intervals from turn {first}");
            }
        }
        assert_eq!(asked_about(&overdue[..3], 20, 7).len(), 3);
        let mut queues: Vec<Job> = (1..=25).map(|id| job(id, &format!("self-hosted,run-{id}"), at(0))).collect();
        queues.extend((26..=30).map(|id| job(id, "self-hosted,run-1", at(1))));
        let queues: Vec<&Job> = queues.iter().collect();
        let seen = |turns: std::ops::Range<u64>| -> BTreeSet<u64> {
            turns.flat_map(|turn| asked_about(&queues, 20, turn).into_iter().map(|job| job.id.0)).collect()
        };
        assert_eq!((seen(7..8).len(), seen(7..9).len()), (20, 30), "too many queues take turns");
        assert_eq!(asked_about(&overdue, 1, 7).len(), 1);
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
        let removed = Runner { health: Health::Gone { since: at(-30), alerted: true }, ..offline.clone() };
        assert_eq!(of(&[removed]), WaitReason::NoRunner { nearest: None });
        let both = [offline.clone(), busy.clone()];
        assert_eq!(of(&both), WaitReason::Busy { runners: 1, offline: 1, since: at(-60) });
        let all = [offline, busy, idle];
        assert_eq!(of(&all), WaitReason::Idle { runners: 1, name: "runner-1".into() });
    }

    #[test]
    fn a_queue_that_may_be_githubs_own_larger_runners_is_left_out() {
        let jobs = [job(1, "larger-16-cores", at(0)), job(2, "gpu", at(0))];
        let gpu = runner(1, "gpu", Status::Busy);
        let queues = waiting_queues(&jobs, &[JobId(1), JobId(2)], &[], &[&gpu], at(30));
        assert_eq!(queues.iter().map(Queue::name).collect::<Vec<_>>(), ["queue gpu"]);
    }
}
