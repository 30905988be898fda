//! The weekly report: when it is due, and what it says about a week.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::availability::{Availability, RunnerReport, Span, TargetReport};
use crate::fleet::Fleet;
use crate::target::{Target, TargetId};
use crate::time::Timestamp;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// 1970-01-05 was the first Monday of the epoch.
const FIRST_MONDAY: Timestamp = Timestamp::from_epoch_ms(4 * 86_400_000);
/// How late a report may be, if the monitor did not run when it was due. Later, that week has no report.
const LATE: Duration = DAY;
/// How far ahead the report names the ends of versions and the removals of runners.
const VERSIONS_AHEAD: Duration = Duration::from_secs(21 * 86_400);
const REMOVALS_AHEAD: Duration = WEEK;
/// The most entries of each list in a report.
const LISTED: usize = 10;

/// The days of the week, as the policy writes them.
pub const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// When the weekly report is due, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportTime {
    /// The day, as an index into [`WEEKDAYS`].
    pub day: u32,
    /// The hour; 0 to 23.
    pub hour: u32,
}

impl ReportTime {
    /// The last moment of its kind that has come.
    fn latest(self, now: Timestamp) -> Timestamp {
        let first = FIRST_MONDAY.plus(DAY * self.day + HOUR * self.hour);
        let week_ms = i64::try_from(WEEK.as_millis()).unwrap_or(i64::MAX);
        let since_ms = now.epoch_ms().saturating_sub(first.epoch_ms()).rem_euclid(week_ms);
        now.minus(Duration::from_millis(since_ms.unsigned_abs()))
    }

    /// The week of which a report is due now. `reported_until` is the end of the last week that was reported.
    pub fn due(self, reported_until: Option<Timestamp>, now: Timestamp) -> Option<Span> {
        let until = self.latest(now);
        // A clock that was ahead does not silence the reports of the weeks until then.
        let is_new = reported_until.is_none_or(|reported| reported < until || reported.is_impossible(now));
        (is_new && now.since(until) < LATE).then(|| Span { from: until.minus(WEEK), until })
    }
}

/// The first entries of a list, and how many more there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shortlist<T> {
    /// The entries, in the order of the list.
    pub shown: Vec<T>,
    /// How many were left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
}

impl<T> Default for Shortlist<T> {
    fn default() -> Self {
        Self { shown: Vec::new(), more: 0 }
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl<T> Shortlist<T> {
    /// Adds an entry at its place, and leaves out the last one if there are too many.
    fn add<K: Ord>(&mut self, entry: T, key: impl Fn(&T) -> K) {
        let place = self.shown.partition_point(|known| key(known) <= key(&entry));
        self.shown.insert(place, entry);
        if self.shown.len() > LISTED {
            self.shown.pop();
            self.more += 1;
        }
    }
}

/// A target, pool or runner that was not always available.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportRow {
    /// The target itself, or that of the pool or runner.
    pub target: Target,
    /// The name of the pool or runner; empty for the target itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The time in which it was observed; of a target, that of all its runners together.
    pub observed_secs: u64,
    /// How much of that outages took.
    pub down_secs: u64,
    /// The number of outages.
    pub outages: u32,
}

impl ReportRow {
    fn of(target: &Target, name: &str, availability: Availability, outages: usize) -> Self {
        Self {
            target: target.clone(),
            name: name.to_owned(),
            observed_secs: availability.observed.as_secs(),
            down_secs: availability.down.as_secs(),
            outages: count(outages),
        }
    }

    /// How available it was.
    pub fn availability(&self) -> Availability {
        Availability { observed: Duration::from_secs(self.observed_secs), down: Duration::from_secs(self.down_secs) }
    }

    /// The order by the part of the time that outages took, longest first.
    fn by_part(&self) -> impl Ord + use<> {
        let part = u128::from(self.down_secs) * 1_000_000 / u128::from(self.observed_secs.max(1));
        (Reverse(part), Reverse(self.outages), self.target.id().clone(), self.name.clone())
    }

    /// The order by the time that outages took, longest first.
    fn by_time(&self) -> impl Ord + use<> {
        (Reverse(self.down_secs), self.target.id().clone(), self.name.clone())
    }
}

/// A version of the runner that ends soon, or has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportedVersion {
    /// The version.
    pub version: String,
    /// When GitHub gives it no more jobs.
    pub ends_at: Timestamp,
    /// How many runners have it.
    pub runners: u32,
    /// In how many targets they are.
    pub targets: u32,
}

/// A runner that GitHub removes soon if it stays offline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportedRemoval {
    /// Its target.
    pub target: Target,
    /// Its name, as GitHub displays it.
    pub runner: String,
    /// When GitHub removes it at the earliest.
    pub earliest: Timestamp,
}

/// What the report says about a week. Its size does not depend on the number of targets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WeeklyReport {
    /// The start of the week.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// The number of targets that were monitored.
    pub targets: u32,
    /// How many targets are missing, because their records could not be read, or not in time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unread: u32,
    /// The number of runners.
    pub runners: u32,
    /// The time in which they were observed, all together.
    pub observed_secs: u64,
    /// How much of that outages took.
    pub down_secs: u64,
    /// The number of outages of runners that were open at some time.
    pub outages: u32,
    /// How many of them ended with a recovery.
    pub recovered: u32,
    /// How long those lasted, all together.
    pub recovery_secs: u64,
    /// About how many checks the schedule asked for; `None` if the interval is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<PlannedChecks>,
    /// The number of pools.
    pub pools: u32,
    /// The targets that were not always available, worst first.
    pub worst_targets: Shortlist<ReportRow>,
    /// The pools that were short of runners, worst first.
    pub worst_pools: Shortlist<ReportRow>,
    /// The runners that were offline, longest first.
    pub worst_runners: Shortlist<ReportRow>,
    /// The versions that end, soonest first.
    pub versions: Shortlist<ReportedVersion>,
    /// The runners that GitHub removes, soonest first.
    pub removals: Shortlist<ReportedRemoval>,
}

impl WeeklyReport {
    /// How available all runners were together.
    pub fn availability(&self) -> Availability {
        Availability { observed: Duration::from_secs(self.observed_secs), down: Duration::from_secs(self.down_secs) }
    }

    /// The mean duration of the outages that ended with a recovery.
    pub fn mean_time_to_recovery(&self) -> Option<Duration> {
        Duration::from_secs(self.recovery_secs).checked_div(self.recovered)
    }
}

/// The checks that the schedule asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedChecks {
    /// About how many.
    pub planned: u64,
    /// How many of them had no result, at most.
    pub missed: u64,
}

impl PlannedChecks {
    /// The checks of one target in a span with this interval. It was not observed for `unobserved` of it.
    pub fn of(interval: Duration, span: Span, unobserved: Duration) -> Self {
        let interval_ms = interval.as_millis().max(1);
        let number = |duration: Duration| u64::try_from(duration.as_millis() / interval_ms).unwrap_or(u64::MAX);
        Self { planned: number(span.until.since(span.from)), missed: number(unobserved) }
    }
}

/// Builds a report target by target, so that the histories of all targets are never in memory at once.
#[derive(Clone, Debug)]
pub struct ReportBuilder {
    report: WeeklyReport,
    interval: Option<Duration>,
    versions: BTreeMap<String, (u32, BTreeSet<TargetId>)>,
}

impl ReportBuilder {
    /// An empty report of a week. `interval` is the time between two checks of a target.
    pub fn new(week: Span, interval: Option<Duration>) -> Self {
        let checks = interval.map(|_| PlannedChecks::default());
        let report = WeeklyReport { from: week.from, until: week.until, checks, ..WeeklyReport::default() };
        Self { report, interval, versions: BTreeMap::new() }
    }

    /// Notes a target whose records could not be read.
    pub fn leave_out(&mut self) {
        self.report.unread += 1;
    }

    /// Adds a target. One that was not monitored before the end of the week says nothing about it.
    pub fn add(&mut self, fleet: &Fleet, of_target: &TargetReport) {
        let (report, target) = (&mut self.report, &fleet.record.target);
        if of_target.from >= report.until {
            return;
        }
        report.targets += u32::from(fleet.is_target());
        report.runners += count(of_target.runners.len());
        report.pools += count(of_target.pools.len());
        report.observed_secs += of_target.availability.observed.as_secs();
        report.down_secs += of_target.availability.down.as_secs();
        report.outages += count(of_target.outages);
        report.recovered += count(of_target.recovered);
        let mean = of_target.mean_time_to_recovery.unwrap_or_default();
        report.recovery_secs += mean.as_secs() * of_target.recovered as u64;
        if let (Some(checks), Some(interval)) = (&mut report.checks, self.interval.filter(|_| fleet.is_target())) {
            let span = Span { from: of_target.from, until: report.until };
            let of_target = PlannedChecks::of(interval, span, of_target.unobserved);
            checks.planned += of_target.planned;
            checks.missed += of_target.missed;
        }
        if of_target.availability.down.as_secs() > 0 {
            let row = ReportRow::of(target, "", of_target.availability, of_target.outages);
            report.worst_targets.add(row, ReportRow::by_part);
        }
        let row = |one: &RunnerReport| ReportRow::of(target, &one.name, one.availability, one.outages);
        for pool in of_target.pools.iter().filter(|pool| pool.availability.down.as_secs() > 0) {
            report.worst_pools.add(row(pool), ReportRow::by_part);
        }
        for runner in of_target.runners.iter().filter(|runner| runner.availability.down.as_secs() > 0) {
            report.worst_runners.add(row(runner), ReportRow::by_time);
        }
        for runner in fleet.runners.iter().filter(|runner| !runner.is_gone()) {
            if let Some(version) = &runner.version {
                let (runners, targets) = self.versions.entry(version.clone()).or_default();
                *runners += 1;
                targets.insert(target.id().clone());
            }
            let earliest = runner.open_outage().and_then(|outage| outage.removal()?.earliest);
            let is_near = |at: &Timestamp| at.since(report.until) <= REMOVALS_AHEAD;
            if let Some(earliest) = earliest.filter(is_near) {
                let removal = ReportedRemoval { target: target.clone(), runner: runner.name.clone(), earliest };
                report.removals.add(removal, |one| (one.earliest, one.target.id().clone(), one.runner.clone()));
            }
        }
    }

    /// The report. `ends` says when GitHub gives no more jobs to versions of the runner. `None` if no target was
    /// monitored in the week: there is nothing to say. If targets were left out, that is not certain.
    pub fn finish(self, ends: &BTreeMap<String, Timestamp>) -> Option<WeeklyReport> {
        let Self { mut report, versions, .. } = self;
        for (version, (runners, targets)) in versions {
            let is_near = |at: &&Timestamp| at.since(report.until) <= VERSIONS_AHEAD;
            if let Some(ends_at) = ends.get(&version).filter(is_near).copied() {
                let ending = ReportedVersion { version, ends_at, runners, targets: count(targets.len()) };
                report.versions.add(ending, |one| (one.ends_at, one.version.clone()));
            }
        }
        (report.targets > 0 || report.unread > 0).then_some(report)
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
