//! What the monitor could know of workflow jobs, and by when it must have notified those that wait.

use monitor_domain::jobs::JobState;

use super::{Model, NOTIFY_MS, TICK_MS, next_tick};
use crate::calendar::MINUTE_MS;
use crate::jobs::{AskedJob, LARGER, LONGEST_WAIT_MS, set_of};
use crate::operations::What;
use crate::targets::place_of;

/// `queueThreshold` of the policy: its default.
pub const THRESHOLD_MS: i64 = 10 * MINUTE_MS;
/// How many overdue jobs of a target a check asks about.
const ASKED_AT_ONCE: usize = 20;
/// From a tick to the end of a check that asks about jobs, one after the other.
const ASKING_MS: i64 = 15_000;

/// A job that waited for a runner, and that the store had as such.
#[derive(Clone, Debug)]
pub struct Known {
    /// The number of the job.
    pub number: usize,
    /// The target that its reports belong to.
    pub place: usize,
    /// The labels that it asks for, as GitHub compares them.
    pub set: Vec<String>,
    /// When it was first stored as one that waits.
    pub known_ms: i64,
    /// Whether it was stored as held back before, so that its wait counts from its release.
    pub was_held: bool,
    /// Since when it waits, as far as that could be known.
    pub since_ms: i64,
    /// From when on it waits for too long.
    pub overdue_ms: i64,
    /// When it no longer waited.
    pub left_ms: i64,
}

impl Known {
    /// Whether it waits for too long at every time in between.
    pub fn is_overdue(&self, from_ms: i64, until_ms: i64) -> bool {
        self.overdue_ms <= from_ms && until_ms < self.left_ms
    }
}

/// By when what GitHub says of jobs must be notified. It is asked about some in each check, and may say of each that it
/// no longer waits.
fn notified_by(all: &[&Known], from_ms: i64) -> i64 {
    let is_asked = |job: &&&Known| job.overdue_ms <= from_ms + TICK_MS && job.left_ms > from_ms - 6 * TICK_MS;
    // Jobs that still wait are asked about as well, and a check by hand may fall into the same turn as the one before.
    let further = 2 * all.iter().filter(is_asked).count() / ASKED_AT_ONCE;
    next_tick(from_ms) + TICK_MS * i64::try_from(further).unwrap_or(0) + ASKING_MS + NOTIFY_MS
}

impl Model<'_> {
    /// The jobs that waited and that the store had as such.
    pub fn known_jobs(&self) -> Vec<Known> {
        let mut known: Vec<Known> = Vec::new();
        let jobs = &self.world.jobs;
        for (index, (known_ms, item)) in jobs.stored.iter().enumerate() {
            let (Some(place), Some(number)) = (place_of(item.target.as_str()), jobs.number_of(item.job.id.0)) else {
                continue;
            };
            let is_first = !known.iter().any(|known| (known.number, known.place) == (number, place));
            if item.job.state != JobState::Queued || !is_first {
                continue;
            }
            let was_held = jobs.stored[..index].iter().any(|(_, other)| {
                other.target == item.target && other.job.id == item.job.id && other.job.state == JobState::Held
            });
            let job = &jobs.all[number];
            let since_ms = if was_held { *known_ms } else { job.created_ms };
            let left_ms = job.taken_ms.or(job.ended_ms).unwrap_or(self.end_ms).min(since_ms + LONGEST_WAIT_MS);
            known.push(Known {
                number,
                place,
                set: set_of(&job.labels()),
                known_ms: *known_ms,
                was_held,
                since_ms,
                overdue_ms: (since_ms + THRESHOLD_MS).max(*known_ms),
                left_ms,
            });
        }
        known
    }

    /// Whether a put took a job back to an earlier state: a put that came late, or two at the same time.
    pub fn was_taken_back(&self, known: &Known) -> bool {
        let jobs = &self.world.jobs;
        jobs.stored.iter().any(|(at_ms, item)| {
            *at_ms >= known.known_ms
                && item.job.state == JobState::Held
                && jobs.number_of(item.job.id.0) == Some(known.number)
        })
    }

    /// By when a queue must have been notified because of this job.
    pub fn job_notified_by(&self, known: &Known, name: &str, all: &[&Known]) -> Option<i64> {
        let bound = |from_ms: i64| notified_by(all, from_ms);
        let by_ms = self.due(Some(known.place), None, (known.overdue_ms, known.left_ms), bound)?;
        let is_sure = self.was_always_listed(known.place, (known.known_ms - TICK_MS, by_ms), true)
            && !self.is_ever_muted(known.place, name, known.overdue_ms, by_ms)
            && !self.was_taken_back(known)
            && self.world.jobs.all[known.number].asked.labels != LARGER;
        is_sure.then_some(by_ms)
    }

    /// By when a queue must be over that was open at `open_ms`: no job of it waits too long any more.
    pub fn queue_over_by(&self, place: usize, known: &[&Known], all: &[&Known], open_ms: i64) -> Option<i64> {
        let mut from_ms = open_ms;
        while let Some(job) = known.iter().find(|job| job.is_overdue(from_ms, from_ms)) {
            from_ms = job.left_ms;
        }
        let next_ms = known.iter().map(|job| job.overdue_ms).filter(|at_ms| *at_ms > from_ms).min();
        let bound = |from_ms: i64| notified_by(all, from_ms);
        let limits = (from_ms, next_ms.unwrap_or(self.end_ms));
        // While GitHub answers about no job, its reports count alone, and they may be lost.
        let by_ms = self.due_unless(Some(place), None, limits, bound, |from_ms, until_ms| {
            let refusals = self.scenario.operations.iter().filter_map(|operation| match operation.what {
                What::JobsForbidden { for_ms } | What::AccessLost { for_ms, .. } => {
                    Some((operation.at_ms, operation.at_ms + for_ms))
                }
                _ => None,
            });
            let within = |(began_ms, ended_ms): &(i64, i64)| *began_ms < until_ms && *ended_ms > from_ms;
            refusals.filter(within).map(|(_, ended_ms)| ended_ms).max()
        })?;
        self.was_always_listed(place, (open_ms - TICK_MS, by_ms), true).then_some(by_ms)
    }

    /// The questions about jobs of the check of a target that began at `checked_ms` and was stored at `stored_ms`.
    pub fn asked_in(&self, place: usize, checked_ms: i64, stored_ms: i64) -> Vec<&AskedJob> {
        let checks = self.world.checks[place].iter().filter(|check| check.at_ms == checked_ms);
        let tasks: Vec<u64> = checks.map(|check| check.task).collect();
        let within = |asked: &&AskedJob| tasks.contains(&asked.task) && (checked_ms..=stored_ms).contains(&asked.at_ms);
        self.world.jobs.asked.iter().filter(within).collect()
    }
}
