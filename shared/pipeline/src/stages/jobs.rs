//! Workflow jobs: store what GitHub reports of each, and ask GitHub about those that wait too long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use monitor_domain::jobs::{Job, JobAnswer, JobId, JobState, Queue};
use monitor_domain::observation::Fault;
use monitor_domain::policy::TargetPolicy;
use monitor_domain::polling::{PolledJobs, PolledRuns};
use monitor_domain::queues::{JobsSeen, asked_about, overdue, waiting_queues};
use monitor_domain::runner::Runner;
use monitor_domain::subject::Subject;
use monitor_domain::target::{Target, TargetId, TargetKind};
use monitor_domain::time::Timestamp;
use tracing::{debug, info, warn};

use crate::items::{Item, JobItem, Marker, fnv};
use crate::keys::{Key, Put, Query};
use crate::messages::JobReport;
use crate::ports::{Clock, PutOutcome, RunnerSource, Store, StoreError};
use crate::records;
use crate::stages::{Disposition, READS_FOR_A_PERSON, RETRY_AFTER};

/// How many overdue jobs of a target GitHub is asked about in one check.
const ASKED_WHEN_OVERDUE: usize = 20;
/// How many other jobs of a target GitHub is asked about in one check. The report of their end may be lost.
const ASKED_HOURLY: usize = 10;
/// How often each of these is asked about, if the interval is not longer.
const ASKED_EVERY: Duration = Duration::from_secs(3_600);
/// How old such a job is before it is asked about.
const ASKED_FROM: Duration = Duration::from_secs(300);
/// How often a report is evaluated again because another report of its job was stored meanwhile.
const RECORD_TRIES: u32 = 3;
/// How long the list of targets is remembered between reports.
const LIST_KEPT: Duration = Duration::from_secs(60);
/// The same before a report is ignored, because its target may be new. Most reports may be of other repositories.
const LIST_KEPT_IF_UNKNOWN: Duration = Duration::from_secs(5);

/// The list of targets, as this process read it last: a report of a job need not read it again.
#[derive(Debug, Default)]
pub struct KnownTargets(Mutex<Option<(Timestamp, Arc<BTreeSet<TargetId>>)>>);

impl KnownTargets {
    /// The list, at most as old as `kept`; `None` before the first tick has stored one.
    async fn read(
        &self,
        (store, clock): (&impl Store, &impl Clock),
        kept: Duration,
    ) -> Result<Option<Arc<BTreeSet<TargetId>>>, StoreError> {
        let now = clock.now();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, targets)) = known
            && at <= now
            && now.since(at) < kept
        {
            return Ok(Some(targets));
        }
        let Some(Item::Watchlist(list)) = store.get(&[Key::Watchlist]).await?.into_iter().next() else {
            return Ok(None);
        };
        let targets = Arc::new(list.targets.iter().map(|target| target.id().clone()).collect());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&targets)));
        Ok(Some(targets))
    }
}

/// Stores the reports of jobs.
pub struct RecordJob<'a, St, Cl> {
    /// The database.
    pub store: &'a St,
    /// The clock.
    pub clock: &'a Cl,
    /// The list of targets.
    pub known: &'a KnownTargets,
}

impl<St: Store, Cl: Clock> RecordJob<'_, St, Cl> {
    /// Handles one report. Reports may arrive late, twice and out of order.
    pub async fn run(&self, report: &JobReport) -> Disposition {
        match self.record(report).await {
            Ok(disposition) => disposition,
            Err(error) => {
                warn!(job = report.job.id.0, repository = %report.job.repository, %error, "the report of a job was not stored");
                error.into()
            }
        }
    }

    async fn record(&self, report: &JobReport) -> Result<Disposition, StoreError> {
        let JobReport { job, completed, enterprise } = report;
        let mut target = None;
        for kept in [LIST_KEPT, LIST_KEPT_IF_UNKNOWN] {
            let Some(known) = self.known.read((self.store, self.clock), kept).await? else {
                let reason = "the list of targets is not stored yet".to_owned();
                info!(job = job.id.0, repository = %job.repository, reason, "the report of a job was not stored");
                return Ok(Disposition::Retry { after: RETRY_AFTER, reason });
            };
            target = home(job, enterprise.as_ref(), &known);
            if target.is_some() {
                break;
            }
        }
        let Some(target) = target else {
            debug!(job = job.id.0, repository = %job.repository, "no target has the runners of this job");
            return Ok(Disposition::Done);
        };
        let key = Key::Job(target.clone(), job.id);
        let ended = Key::Marker(Subject::Target(target.clone()), number_of(job));
        for _ in 0..RECORD_TRIES {
            let found = self.store.get(&[key.clone(), ended.clone()]).await?;
            let stored = found.iter().find_map(|item| if let Item::Job(item) = item { Some(&item.job) } else { None });
            if found.iter().any(|item| matches!(item, Item::Marker(_))) {
                // The process that ended it may have failed before the job was deleted.
                if stored.is_some() {
                    self.store.delete(std::slice::from_ref(&key)).await?;
                }
                return Ok(Disposition::Done);
            }
            if *completed {
                end(self.store, self.clock, &target, job).await?;
                return Ok(Disposition::Done);
            }
            let Some(next) = Job::after(stored, job.clone(), self.clock.now()) else { return Ok(Disposition::Done) };
            let item = Item::Job(JobItem { target: target.clone(), job: next });
            if stored.is_some() {
                let _ = self.store.put(&[Put::replacing(item)]).await?;
                return Ok(Disposition::Done);
            }
            // Reports of one job can arrive at the same moment, in several processes.
            if self.store.put(&[Put::new(item)]).await? == PutOutcome::Done {
                if !self.store.get(std::slice::from_ref(&ended)).await?.is_empty() {
                    self.store.delete(std::slice::from_ref(&key)).await?;
                }
                return Ok(Disposition::Done);
            }
        }
        let reason = "other reports of the same job were stored meanwhile".to_owned();
        Ok(Disposition::Retry { after: RETRY_AFTER, reason })
    }
}

/// The target that a job belongs to: its repository if that is monitored, else the organization, else the
/// enterprise.
fn home(job: &Job, enterprise: Option<&Target>, known: &BTreeSet<TargetId>) -> Option<TargetId> {
    let organization = Target::organization(job.repository.owner()).ok();
    let candidates = [Some(&job.repository), organization.as_ref(), enterprise];
    candidates.into_iter().flatten().map(Target::id).find(|id| known.contains(*id)).cloned()
}

/// The number of the marker that a job has ended. Its number alone could be that of a check by hand.
fn number_of(job: &Job) -> u64 {
    (fnv(&format!("job {}", job.id.0)) >> 1).max(1)
}

/// Forgets a job, for good: a late report of it is ignored.
async fn end(store: &impl Store, clock: &impl Clock, target: &TargetId, job: &Job) -> Result<(), StoreError> {
    let marker = Marker {
        subject: Subject::Target(target.clone()),
        number: number_of(job),
        nonce: clock.random(),
        at: clock.now(),
    };
    let _ = store.put(&[Put::replacing(Item::Marker(marker))]).await?;
    store.delete(&[Key::Job(target.clone(), job.id)]).await
}

/// A target's stored jobs.
pub async fn read_jobs(store: &impl Store, target: &TargetId) -> Result<Vec<Job>, StoreError> {
    let items = store.list(&Query::Jobs { target: target.clone() }).await?;
    Ok(items.into_iter().filter_map(|item| if let Item::Job(item) = item { Some(item.job) } else { None }).collect())
}

/// The jobs of these targets that wait for a runner at `now`, by queue, the oldest first; and the targets that could not
/// be read. For people: it reads every target.
pub async fn waiting_jobs(
    store: &impl Store,
    targets: Vec<Target>,
    now: Timestamp,
) -> (Vec<(Target, Queue)>, Vec<Target>) {
    let is_enterprise = |target: &&Target| target.kind() == TargetKind::Enterprise;
    let enterprises: &[Target] = &targets.iter().filter(is_enterprise).cloned().collect::<Vec<_>>();
    let read = |target: Target| async move {
        let queues = queues_of(store, &target, enterprises, now).await;
        (target, queues)
    };
    let (mut all, mut unread) = (Vec::new(), Vec::new());
    let mut reads = stream::iter(targets).map(read).buffered(READS_FOR_A_PERSON);
    while let Some((target, queues)) = reads.next().await {
        match queues {
            Ok(queues) => all.extend(queues.into_iter().map(|queue| (target.clone(), queue))),
            Err(error) => {
                info!(target_id = %target, %error, "the waiting jobs of a target could not be read");
                unread.push(target);
            }
        }
    }
    all.sort_by_key(|(_, queue)| queue.waiting.since);
    (all, unread)
}

async fn queues_of(
    store: &impl Store,
    target: &Target,
    enterprises: &[Target],
    now: Timestamp,
) -> Result<Vec<Queue>, StoreError> {
    let jobs = read_jobs(store, target.id()).await?;
    let waiting: Vec<JobId> = jobs.iter().filter(|job| job.is_waiting(now)).map(|job| job.id).collect();
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let own = records::read_fleet(store, target).await?.fleet.runners;
    let elsewhere = runners_elsewhere(store, target, enterprises).await;
    let runners: Vec<&Runner> = own.iter().chain(&elsewhere).collect();
    Ok(waiting_queues(&jobs, &waiting, &[], &runners, now))
}

/// Reads the jobs of these repositories from GitHub and stores what has changed. Returns what is known for the next poll.
pub(super) async fn poll(
    (store, source, clock): (&impl Store, &impl RunnerSource, &impl Clock),
    target: &Target,
    repositories: Vec<Target>,
    known: &[PolledRuns],
) -> Vec<PolledRuns> {
    let mut polled = Vec::new();
    let mut is_down = false;
    for repository in repositories {
        let before = known.iter().find(|known| known.repository.id() == repository.id());
        // Each further request could take as long, and the check has a target to see.
        if is_down {
            polled.extend(before.cloned());
            continue;
        }
        match source.open_jobs(&repository, before).await {
            Ok(PolledJobs { jobs, runs }) => match store_polled(store, clock, target.id(), jobs).await {
                Ok(()) => polled.push(runs),
                // Read again by the next check.
                Err(error) => {
                    warn!(target_id = %target, %repository, %error, "the polled jobs were not stored");
                    polled.extend(before.cloned());
                }
            },
            Err(failure) => {
                warn!(target_id = %target, %repository, %failure, "the jobs of a repository could not be polled");
                is_down = failure.fault.is_shared();
                polled.extend(before.cloned());
            }
        }
    }
    polled
}

/// Stores the jobs that a poll found: each is put or forgotten only if that changes something.
async fn store_polled(
    store: &impl Store,
    clock: &impl Clock,
    target: &TargetId,
    jobs: Vec<(Job, bool)>,
) -> Result<(), StoreError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let stored: BTreeMap<JobId, Job> = read_jobs(store, target).await?.into_iter().map(|job| (job.id, job)).collect();
    let is_new = |job: &Job| !stored.contains_key(&job.id);
    let ended_marker = |job: &Job| Key::Marker(Subject::Target(target.clone()), number_of(job));
    let unknown: Vec<Key> =
        jobs.iter().filter(|(job, completed)| !completed && is_new(job)).map(|(job, _)| ended_marker(job)).collect();
    let ended: BTreeSet<Key> = store.get(&unknown).await?.iter().map(Item::key).collect();
    let mut puts = Vec::new();
    for (job, completed) in jobs {
        if completed {
            if !is_new(&job) {
                end(store, clock, target, &job).await?;
            }
        } else if !ended.contains(&ended_marker(&job))
            && let Some(job) = Job::after(stored.get(&job.id), job, clock.now())
        {
            puts.push(Put::replacing(Item::Job(JobItem { target: target.clone(), job })));
        }
    }
    for batch in puts.chunks(store.max_batch().max(1)) {
        let _ = store.put(batch).await?;
    }
    Ok(())
}

/// Reads a target's jobs, asks GitHub about those that wait too long, and stores what it answers.
pub(super) async fn jobs_seen(
    (store, source, clock): (&impl Store, &impl RunnerSource, &impl Clock),
    target: &Target,
    policy: &TargetPolicy<'_>,
    (interval, enterprises): (Duration, &[Target]),
) -> JobsSeen {
    let mut jobs = match read_jobs(store, target.id()).await {
        Ok(jobs) => jobs,
        Err(error) => {
            warn!(target_id = %target, %error, "the waiting jobs could not be read: the next check reads them again");
            return JobsSeen::Unknown;
        }
    };
    let now = clock.now();
    let waiting = overdue(&jobs, now, |labels| policy.queue_threshold(labels));
    let mut unanswered: Vec<JobId> = waiting.iter().map(|job| job.id).collect();
    let is_any = !waiting.is_empty();
    let interval_secs = i64::try_from(interval.as_secs()).unwrap_or(i64::MAX).max(1);
    let turn = now.epoch_secs().div_euclid(interval_secs).unsigned_abs();
    let turns = (ASKED_EVERY.as_secs() / interval_secs.unsigned_abs()).max(1);
    let others = jobs.iter().filter(|job| is_asked_hourly(job, now, (turn, turns))).take(ASKED_HOURLY);
    let overdue = asked_about(&waiting, ASKED_WHEN_OVERDUE, turn);
    let asked: Vec<Job> = overdue.into_iter().chain(others).cloned().collect();
    let (mut confirmed, mut refused, mut refusal) = (Vec::new(), Vec::new(), None);
    for job in asked {
        let answer = source.job(&job.repository, job.id).await;
        // A refusal is an answer: only the reports count then.
        let is_unknown = matches!(&answer, Err(failure) if failure.fault != Fault::Forbidden);
        if !is_unknown {
            unanswered.retain(|id| *id != job.id);
        }
        let settled = match answer {
            Ok(JobAnswer::Ended) => {
                jobs.retain(|known| known.id != job.id);
                end(store, clock, target.id(), &job).await
            }
            Ok(JobAnswer::Open(answer)) => {
                let workflow = answer.workflow.or_else(|| job.workflow.clone());
                // A runner could take it only from now on.
                let is_released = job.state == JobState::Held && answer.state == JobState::Queued;
                let queued_at = if is_released { clock.now() } else { job.queued_at };
                let answer = Job { workflow, queued_at, ..answer };
                if answer.state == JobState::Queued && !is_released {
                    confirmed.push(job.id);
                }
                let is_changed = answer.state != job.state || answer.runner != job.runner;
                jobs.iter_mut().filter(|known| known.id == job.id).for_each(|known| known.clone_from(&answer));
                let item = JobItem { target: target.id().clone(), job: answer };
                if is_changed { store.put(&[Put::replacing(Item::Job(item))]).await.map(drop) } else { Ok(()) }
            }
            Err(failure) if failure.fault == Fault::Forbidden && job.state == JobState::Queued => {
                // The reports alone say that it waits. Saying nothing would be worse than saying what is not confirmed.
                confirmed.push(job.id);
                refused.push(job.id);
                refusal.get_or_insert_with(|| failure.to_string());
                Ok(())
            }
            Err(failure) => {
                info!(target_id = %target, job = job.id.0, %failure, "GitHub did not answer about a job");
                if failure.fault.is_shared() {
                    break;
                }
                Ok(())
            }
        };
        if let Err(error) = settled {
            warn!(target_id = %target, job = job.id.0, %error, "GitHub's answer about a job was not stored");
        }
    }
    if let Some(refusal) = &refusal {
        warn!(target_id = %target, refusal, "GitHub does not say whether jobs still wait; the credential needs Actions: read");
    }
    let elsewhere = if is_any { runners_elsewhere(store, target, enterprises).await } else { Vec::new() };
    JobsSeen::Seen { jobs, confirmed, refused, unanswered, elsewhere }
}

/// Whether a job that does not wait is asked about in this check: each about once an hour, not all in the same check.
/// `turn`: the number of the interval in which the check falls; there are `turns` of them in an hour.
fn is_asked_hourly(job: &Job, now: Timestamp, (turn, turns): (u64, u64)) -> bool {
    let since = job.started_at.unwrap_or(job.queued_at);
    // The order shifts by one place each hour, so that every job has its turn if a check is only made every few intervals.
    let place = (turn % turns + turns - (turn / turns) % turns) % turns;
    !job.is_waiting(now) && now.since(since) >= ASKED_FROM && job.id.0 % turns == place
}

/// The runners of other targets that may serve a target's jobs: those of its organization and of the enterprises.
async fn runners_elsewhere(store: &impl Store, target: &Target, enterprises: &[Target]) -> Vec<Runner> {
    let organization = match target.kind() {
        TargetKind::Repository => Target::organization(target.owner()).ok(),
        TargetKind::Organization => None,
        TargetKind::Enterprise | TargetKind::Pools => return Vec::new(),
    };
    let mut runners = Vec::new();
    for other in organization.iter().chain(enterprises) {
        match records::read_fleet(store, other).await {
            Ok(stored) => runners.extend(stored.fleet.runners),
            Err(error) => {
                debug!(target_id = %target, %other, %error, "the runners of another target could not be read")
            }
        }
    }
    runners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_asked_about_hourly_whatever_the_interval_and_however_many_checks_are_left_out() {
        let start = 1_800_000_000_i64;
        for (interval_secs, stride, most_checks) in [
            (10, 1, 361),
            (300, 1, 13),
            (300, 2, 13),
            (300, 12, 12),
            (600, 1, 7),
            (900, 1, 5),
            (3_600, 1, 1),
            (420, 3, 43),
        ] {
            let turns = (3_600 / interval_secs).max(1);
            for id in 0..24 {
                let mut job = monitor_domain::jobs::Job {
                    id: JobId(id),
                    repository: "acme/web".parse().unwrap(),
                    workflow: None,
                    name: String::new(),
                    url: String::new(),
                    labels: vec!["gpu".to_owned()],
                    state: JobState::InProgress,
                    queued_at: Timestamp::from_epoch_ms(0),
                    runner: None,
                    started_at: None,
                };
                job.started_at = Some(job.queued_at);
                let asked: Vec<u64> = (0..2_000)
                    .filter(|check| {
                        let at_secs = start + i64::try_from(check * stride * interval_secs).unwrap();
                        let turn = (at_secs / i64::try_from(interval_secs).unwrap()).unsigned_abs();
                        is_asked_hourly(&job, Timestamp::from_epoch_ms(at_secs * 1_000), (turn, turns))
                    })
                    .collect();
                let gaps = asked.windows(2).map(|pair| pair[1] - pair[0]);
                let longest = gaps.chain(asked.first().copied()).max();
                assert!(
                    longest.is_some_and(|gap| gap <= most_checks),
                    "{interval_secs} s, every {stride}: {longest:?}"
                );
            }
        }
    }
}
