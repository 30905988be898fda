//! Workflow jobs: store what GitHub reports of each, and ask GitHub about those that wait too long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
use crate::monitoring::watched;
use crate::ports::{Clock, RunnerSource, Store, StoreError};
use crate::records;
use crate::stages::{Disposition, RETRY_AFTER};

/// How many overdue jobs of a target GitHub is asked about in one check.
const ASKED_WHEN_OVERDUE: usize = 20;
/// How many other jobs of a target GitHub is asked about in one check. The report of their end may be lost.
const ASKED_HOURLY: usize = 10;
/// Each of these is asked about once in this many windows.
const WINDOWS_OF_AN_HOUR: u64 = 12;
/// The length of such a window, and how old a job is before it is asked about.
const WINDOW: Duration = Duration::from_secs(300);
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
        let (key, ended) =
            (Key::Job(target.clone(), job.id), Key::Marker(Subject::Target(target.clone()), number_of(job)));
        let found = self.store.get(&[key, ended]).await?;
        if found.iter().any(|item| matches!(item, Item::Marker(_))) {
            return Ok(Disposition::Done);
        }
        if *completed {
            end(self.store, self.clock, &target, job).await?;
            return Ok(Disposition::Done);
        }
        let stored = found.iter().find_map(|item| if let Item::Job(item) = item { Some(&item.job) } else { None });
        if let Some(job) = Job::after(stored, job.clone(), self.clock.now()) {
            let _ = self.store.put(vec![Put::replacing(Item::Job(JobItem { target, job }))]).await?;
        }
        Ok(Disposition::Done)
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
    let _ = store.put(vec![Put::replacing(Item::Marker(marker))]).await?;
    store.delete(&[Key::Job(target.clone(), job.id)]).await
}

/// A target's stored jobs.
pub async fn read_jobs(store: &impl Store, target: &TargetId) -> Result<Vec<Job>, StoreError> {
    let items = store.list(&Query::Jobs { target: target.clone() }).await?;
    Ok(items.into_iter().filter_map(|item| if let Item::Job(item) = item { Some(item.job) } else { None }).collect())
}

/// The jobs of all targets that wait for a runner at `now`, by queue, the oldest first. For people: it reads every target.
pub async fn waiting_jobs(store: &impl Store, now: Timestamp) -> Result<Vec<(Target, Queue)>, StoreError> {
    let mut all = Vec::new();
    for target in watched(store).await? {
        let jobs = read_jobs(store, target.id()).await?;
        let waiting: Vec<JobId> = jobs.iter().filter(|job| job.is_waiting(now)).map(|job| job.id).collect();
        if waiting.is_empty() {
            continue;
        }
        let own = records::read_fleet(store, &target).await?.fleet.runners;
        let elsewhere = runners_elsewhere(store, &target).await;
        let runners: Vec<&Runner> = own.iter().chain(&elsewhere).collect();
        let queues = waiting_queues(&jobs, &waiting, &runners, now);
        all.extend(queues.into_iter().map(|queue| (target.clone(), queue)));
    }
    all.sort_by_key(|(_, queue)| queue.waiting.since);
    Ok(all)
}

/// Reads the jobs of these repositories from GitHub and stores what has changed. Returns what is known for the next poll.
pub(super) async fn poll(
    (store, source, clock): (&impl Store, &impl RunnerSource, &impl Clock),
    target: &Target,
    repositories: Vec<Target>,
    known: &[PolledRuns],
) -> Vec<PolledRuns> {
    let mut polled = Vec::new();
    for repository in repositories {
        let before = known.iter().find(|known| known.repository.id() == repository.id());
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
        let _ = store.put(batch.to_vec()).await?;
    }
    Ok(())
}

/// Reads a target's jobs, asks GitHub about those that wait too long, and stores what it answers.
pub(super) async fn jobs_seen(
    (store, source, clock): (&impl Store, &impl RunnerSource, &impl Clock),
    target: &Target,
    policy: &TargetPolicy<'_>,
    interval: Duration,
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
    let others = jobs.iter().filter(|job| is_asked_hourly(job, now)).take(ASKED_HOURLY);
    let interval_secs = i64::try_from(interval.as_secs()).unwrap_or(i64::MAX).max(1);
    let turn = now.epoch_secs().div_euclid(interval_secs).unsigned_abs();
    let overdue = asked_about(&waiting, ASKED_WHEN_OVERDUE, turn);
    let asked: Vec<Job> = overdue.into_iter().chain(others).cloned().collect();
    let (mut confirmed, mut refusal): (Vec<JobId>, Option<String>) = (Vec::new(), None);
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
                if is_changed { store.put(vec![Put::replacing(Item::Job(item))]).await.map(drop) } else { Ok(()) }
            }
            Err(failure) if failure.fault == Fault::Forbidden && job.state == JobState::Queued => {
                // The reports alone say that it waits. Saying nothing would be worse than saying what is not confirmed.
                confirmed.push(job.id);
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
    let elsewhere = if is_any { runners_elsewhere(store, target).await } else { Vec::new() };
    JobsSeen::Seen { jobs, confirmed, unanswered, elsewhere, is_unconfirmed: refusal.is_some() }
}

/// Whether a job that does not wait is asked about in this check: each about once an hour, not all in the same check.
fn is_asked_hourly(job: &Job, now: Timestamp) -> bool {
    let window = now.epoch_secs().div_euclid(WINDOW.as_secs().cast_signed()).unsigned_abs();
    let since = job.started_at.unwrap_or(job.queued_at);
    !job.is_waiting(now) && now.since(since) >= WINDOW && job.id.0 % WINDOWS_OF_AN_HOUR == window % WINDOWS_OF_AN_HOUR
}

/// The runners of a repository's organization, which may serve its jobs.
async fn runners_elsewhere(store: &impl Store, target: &Target) -> Vec<Runner> {
    if target.kind() != TargetKind::Repository {
        return Vec::new();
    }
    let Ok(organization) = Target::organization(target.owner()) else { return Vec::new() };
    match records::read_fleet(store, &organization).await {
        Ok(stored) => stored.fleet.runners,
        Err(error) => {
            debug!(target_id = %target, %error, "the organization's runners could not be read");
            Vec::new()
        }
    }
}
