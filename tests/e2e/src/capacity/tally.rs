//! What is counted, and what it comes to.

use std::collections::BTreeMap;
use std::time::Duration;

use monitor_domain::target::{Target, TargetId};
use monitor_domain::time::Timestamp;
use monitor_fakes::github::{Counters, Endpoint};
use monitor_pipeline::stages::{CheckReport, Ending, ScheduleReport};
use serde::Serialize;

use super::INTERVAL;

/// Four hours.
const SETTLED_AFTER_TICKS: u64 = 48;

/// Counts while a scenario is played.
#[derive(Debug, Default)]
pub struct Tally {
    seen_at: BTreeMap<TargetId, Option<Timestamp>>,
    /// Between two looks that saw a target, milliseconds.
    gaps_ms: Vec<u32>,
    /// Those of them that began after the interval was last stretched.
    whole_gaps_ms: Vec<u32>,
    whole_since: Timestamp,
    checks: u64,
    rechecks: u64,
    failed: u64,
    expired: u64,
    least_quota: Option<u32>,
    ticks: u64,
    throttled_ticks: u64,
    throttled_every: Duration,
    /// The jobs of each tick at which fewer than all went out, and which tick that was.
    throttled_jobs: Vec<(u64, usize)>,
}

/// What a scenario came to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Time that was played, hours.
    pub hours: f64,
    /// Requests to GitHub.
    pub requests: u64,
    /// Those answered in full.
    pub answered_200: u64,
    /// Those answered that nothing has changed.
    pub answered_304: u64,
    /// Those refused by a limit.
    pub limited: u64,
    /// Those that asked what is left of the hour.
    pub quota_requests: u64,
    /// The most requests of a credential in any minute.
    pub most_in_a_minute: u64,
    /// The least that any credential had left of an hour, as the pollers were told.
    pub least_quota: Option<u32>,
    /// Looks that saw a target.
    pub checks: u64,
    /// Those of them that were rechecks.
    pub rechecks: u64,
    /// Looks that did not.
    pub failed: u64,
    /// Jobs that came too late, and were left to the next tick.
    pub expired: u64,
    /// Targets that were never seen.
    pub never_seen: usize,
    /// Between two looks at one target, seconds: the mean,
    pub mean_gap_secs: f64,
    /// of a hundred all but the longest one,
    pub p99_gap_secs: f64,
    /// and the longest, with the time since the last look at the end.
    pub longest_gap_secs: f64,
    /// The same, of those that began after the interval was last stretched: of a hundred all but the longest one,
    pub whole_p99_gap_secs: f64,
    /// and the longest.
    pub whole_longest_gap_secs: f64,
    /// Ticks.
    pub ticks: u64,
    /// Those at which the quota did not last.
    pub throttled_ticks: u64,
    /// The longest that an interval was stretched to, seconds.
    pub throttled_to_secs: u64,
    /// The jobs of the ticks at which it was: the fewest,
    pub fewest_jobs: Option<usize>,
    /// and the most.
    pub most_jobs: Option<usize>,
    /// The same without the first four hours, one for the first looks and some to learn what the others cost: the fewest,
    pub settled_fewest_jobs: Option<usize>,
    /// and the most.
    pub settled_most_jobs: Option<usize>,
}

impl Tally {
    pub(super) fn of(targets: &[Target]) -> Self {
        Self { seen_at: targets.iter().map(|target| (target.id().clone(), None)).collect(), ..Self::default() }
    }

    pub(super) fn ticked(&mut self, report: &ScheduleReport, now: Timestamp) {
        self.ticks += 1;
        self.throttled_ticks += u64::from(!report.throttled.is_empty());
        if !report.throttled.is_empty() {
            // Whose turn was not at this tick is looked at a tick later.
            self.whole_since = now.plus(2 * INTERVAL);
            self.whole_gaps_ms.clear();
        }
        for throttled in &report.throttled {
            self.throttled_every = self.throttled_every.max(throttled.every);
            self.throttled_jobs.push((self.ticks, throttled.jobs));
        }
    }

    pub(super) fn checked(&mut self, target: &Target, by_schedule: bool, report: &CheckReport, began: Timestamp) {
        let remaining = report.credential.quota_remaining;
        self.least_quota = self.least_quota.into_iter().chain(remaining).min();
        match report.ending {
            Ending::Seen(_) => {
                self.checks += 1;
                self.rechecks += u64::from(!by_schedule);
                if let Some(Some(before)) = self.seen_at.insert(target.id().clone(), Some(began)) {
                    let gap_ms = in_ms(began.since(before));
                    self.gaps_ms.push(gap_ms);
                    if before >= self.whole_since {
                        self.whole_gaps_ms.push(gap_ms);
                    }
                }
            }
            Ending::Expired => self.expired += 1,
            Ending::Failed(_) | Ending::Late(_) | Ending::Broken => self.failed += 1,
            Ending::NotConfigured | Ending::Dropped | Ending::Outrun | Ending::Covered => {}
        }
    }

    pub(super) fn outcome(
        &self,
        counters: &Counters,
        most_in_a_minute: u64,
        start: Timestamp,
        end: Timestamp,
    ) -> Outcome {
        let mut gaps_ms = self.gaps_ms.clone();
        gaps_ms.extend(self.seen_at.values().flatten().map(|seen_at| in_ms(end.since(*seen_at))));
        gaps_ms.sort_unstable();
        let mut whole_gaps_ms = self.whole_gaps_ms.clone();
        whole_gaps_ms.sort_unstable();
        let secs = |ms: Option<&u32>| ms.map_or(0.0, |ms| f64::from(*ms) / 1_000.0);
        let jobs_after =
            |ticks| self.throttled_jobs.iter().filter(move |(tick, _)| *tick > ticks).map(|(_, jobs)| *jobs);
        let whole: u64 = self.gaps_ms.iter().map(|ms| u64::from(*ms)).sum();
        Outcome {
            hours: end.since(start).as_secs_f64() / 3_600.0,
            requests: counters.requests,
            answered_200: counters.ok,
            answered_304: counters.not_modified,
            limited: counters.limited,
            quota_requests: counters.by_endpoint.get(&Endpoint::RateLimit).copied().unwrap_or(0),
            most_in_a_minute,
            least_quota: self.least_quota,
            checks: self.checks,
            rechecks: self.rechecks,
            failed: self.failed,
            expired: self.expired,
            never_seen: self.seen_at.values().filter(|seen_at| seen_at.is_none()).count(),
            mean_gap_secs: whole as f64 / 1_000.0 / self.gaps_ms.len().max(1) as f64,
            p99_gap_secs: secs(gaps_ms.get(gaps_ms.len() * 99 / 100)),
            longest_gap_secs: secs(gaps_ms.last()),
            whole_p99_gap_secs: secs(whole_gaps_ms.get(whole_gaps_ms.len() * 99 / 100)),
            whole_longest_gap_secs: secs(whole_gaps_ms.last()),
            ticks: self.ticks,
            throttled_ticks: self.throttled_ticks,
            throttled_to_secs: self.throttled_every.as_secs(),
            fewest_jobs: jobs_after(0).min(),
            most_jobs: jobs_after(0).max(),
            settled_fewest_jobs: jobs_after(SETTLED_AFTER_TICKS).min(),
            settled_most_jobs: jobs_after(SETTLED_AFTER_TICKS).max(),
        }
    }
}

fn in_ms(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
