//! Counters while a load is played, and their result.

use std::collections::BTreeMap;
use std::time::Duration;

use monitor_domain::target::{Target, TargetId};
use monitor_domain::time::Timestamp;
use monitor_fakes::github::{Counters, Endpoint};
use monitor_pipeline::stages::{CheckEnding, CheckReport, ScheduleReport};

use super::INTERVAL;

/// Ticks in four hours.
const SETTLED_AFTER_TICKS: u64 = 48;

/// Counters while a load is played.
#[derive(Debug, Default)]
pub(super) struct Tally {
    seen_at: BTreeMap<TargetId, Option<Timestamp>>,
    /// The time between two successful checks of a target, in milliseconds.
    gaps_ms: Vec<u32>,
    /// Those of them that began after the schedule was last throttled.
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
    /// Each throttled tick with its number of jobs.
    throttled_jobs: Vec<(u64, usize)>,
}

/// The result of a load.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Requests to GitHub.
    pub requests: u64,
    /// Requests answered with 200.
    pub answered_200: u64,
    /// Requests answered with 304 (not modified).
    pub answered_304: u64,
    /// Requests refused by a rate limit.
    pub limited: u64,
    /// Requests for the remaining quota.
    pub quota_requests: u64,
    /// A credential's most requests in any minute.
    pub most_in_a_minute: u64,
    /// The lowest remaining hourly quota of any credential that GitHub reported to the pollers.
    pub least_quota: Option<u32>,
    /// Successful checks.
    pub checks: u64,
    /// Successful checks that were rechecks.
    pub rechecks: u64,
    /// Failed checks.
    pub failed: u64,
    /// Expired jobs: they came too late and were left to the next tick.
    pub expired: u64,
    /// Targets without a successful check.
    pub never_seen: usize,
    /// Mean time between two checks of a target, in seconds.
    pub mean_gap_secs: f64,
    /// 99th percentile of the time between two checks of a target, in seconds.
    pub p99_gap_secs: f64,
    /// Longest time between two checks of a target, or from its last check to the end, in seconds.
    pub longest_gap_secs: f64,
    /// 99th percentile of the gaps that began after the schedule was last throttled, in seconds.
    pub whole_p99_gap_secs: f64,
    /// The longest of these gaps, in seconds.
    pub whole_longest_gap_secs: f64,
    /// The number of ticks.
    pub ticks: u64,
    /// Ticks throttled because the quota did not suffice.
    pub throttled_ticks: u64,
    /// The longest effective interval of a throttled tick, in seconds.
    pub throttled_to_secs: u64,
    /// The fewest jobs of a throttled tick.
    pub fewest_jobs: Option<usize>,
    /// The most jobs of a throttled tick.
    pub most_jobs: Option<usize>,
    /// The fewest jobs of a throttled tick after the first four hours (first checks, and learning what checks cost).
    pub settled_fewest_jobs: Option<usize>,
    /// The most jobs of a throttled tick after the first four hours.
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
            // Targets left out of this tick are checked one tick later.
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
            CheckEnding::Seen(_) => {
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
            CheckEnding::Expired => self.expired += 1,
            CheckEnding::Failed(_) | CheckEnding::Late(_) | CheckEnding::Broken => self.failed += 1,
            CheckEnding::NotConfigured | CheckEnding::Dropped | CheckEnding::Outrun | CheckEnding::Covered => {}
        }
    }

    pub(super) fn outcome(&self, counters: &Counters, most_in_a_minute: u64, end: Timestamp) -> Outcome {
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
