//! The result of a cycle (one check of every target), for `run`'s log line after each cycle and for its heartbeat.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use monitor_domain::cycle::{self, Cycle, Shortfall};
use monitor_domain::target::{Target, TargetKind};
use monitor_domain::time::Timestamp;
use monitor_pipeline::stages::{CheckEnding, CheckReport, ScheduleReport};
use tokio::time::Instant;

/// The result of a cycle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CycleReport {
    /// Targets checked.
    pub(crate) targets: u32,
    /// Targets whose check failed.
    pub(crate) unseen: u32,
    /// Runners in the checked targets.
    pub(crate) runners: u32,
    /// Runners that GitHub reports online.
    pub(crate) online: u32,
    /// Runners with an open outage.
    pub(crate) down: u32,
    /// Requests left of the hourly quota: the lowest that GitHub reported for any credential.
    pub(crate) quota_remaining: Option<u32>,
    /// The time from the tick to the last check.
    pub(crate) took: Duration,
    /// Why the cycle was not complete; empty if it was.
    pub(crate) shortfalls: Vec<Shortfall>,
}

/// The current cycle.
#[derive(Debug)]
pub(crate) struct Cycles {
    pending_limit: Duration,
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    began: Instant,
    /// Whether the tick has reported its targets.
    is_scheduled: bool,
    evidence: Cycle,
    report: CycleReport,
}

impl Cycles {
    /// Starts without a current cycle. A notification pending for `pending_limit` makes a cycle incomplete.
    pub(crate) fn new(pending_limit: Duration) -> Self {
        Self { pending_limit, current: Mutex::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a cycle with its tick. Returns the report of the previous cycle if that did not end: it was not complete.
    pub(crate) fn begin(&self, now: Timestamp) -> Option<CycleReport> {
        let (evidence, report) = (Cycle::default(), CycleReport::default());
        let current = Current { began: Instant::now(), is_scheduled: false, evidence, report };
        let last = self.lock().replace(current)?;
        Some(self.summarize(last, now))
    }

    /// Records that the tick failed; it is retried.
    pub(crate) fn tick_failed(&self, reason: &str) {
        if let Some(current) = &mut *self.lock() {
            current.evidence.tick_failure = Some(reason.to_owned());
        }
    }

    /// Records any other fault of this cycle.
    pub(crate) fn fault(&self, text: String) {
        if let Some(current) = &mut *self.lock() {
            current.evidence.faults.insert(text);
        }
    }

    /// Records that the tick has sent a job for each of its targets.
    pub(crate) fn scheduled(&self, tick: &ScheduleReport, now: Timestamp) -> Option<CycleReport> {
        let mut lock = self.lock();
        let current = lock.as_mut()?;
        current.is_scheduled = true;
        current.evidence.tick_failure = None;
        current.evidence.listed.extend(tick.targets.iter().map(|target| target.id().clone()));
        current.evidence.note_pending(tick.pending_since);
        self.finish(&mut lock, now)
    }

    /// Records that a scheduled job is done.
    pub(crate) fn checked(&self, target: &Target, report: &CheckReport, now: Timestamp) -> Option<CycleReport> {
        let mut lock = self.lock();
        let current = lock.as_mut()?;
        let is_first = !current.evidence.checked.contains(target.id());
        current.evidence.note(target.id(), report.ending.checked());
        current.evidence.note_pending(report.pending_since);
        // The pools of a credential are no target, and their job is due later.
        if is_first && current.evidence.checked.contains(target.id()) && target.kind() != TargetKind::Pools {
            current.report.add(report);
        }
        self.finish(&mut lock, now)
    }

    /// Ends the cycle if every listed target is checked.
    fn finish(&self, current: &mut Option<Current>, now: Timestamp) -> Option<CycleReport> {
        let is_over = |current: &mut Current| current.is_scheduled && current.evidence.unchecked().next().is_none();
        let ended = current.take_if(is_over)?;
        Some(self.summarize(ended, now))
    }

    fn summarize(&self, Current { began, evidence, report, .. }: Current, now: Timestamp) -> CycleReport {
        let shortfalls = cycle::shortfalls(&evidence, self.pending_limit, now);
        CycleReport { took: began.elapsed(), shortfalls, ..report }
    }
}

impl CycleReport {
    fn add(&mut self, report: &CheckReport) {
        self.targets += 1;
        match &report.ending {
            CheckEnding::Seen(counts) => {
                self.runners += counts.total;
                self.online += counts.online;
                self.down += counts.down;
            }
            CheckEnding::Failed(_) | CheckEnding::Late(_) => self.unseen += 1,
            _ => {}
        }
        let quota = report.credential.quota_remaining;
        self.quota_remaining = self.quota_remaining.into_iter().chain(quota).min();
    }
}

#[cfg(test)]
mod tests {
    use monitor_domain::cycle::describe;
    use monitor_domain::fleet::Counts;
    use monitor_domain::observation::{CredentialReport, Failure, Fault};
    use monitor_pipeline::stages::Disposition;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(900);

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_epoch_ms(secs * 1_000)
    }

    fn ended(ending: CheckEnding) -> CheckReport {
        CheckReport {
            disposition: Disposition::Done,
            ending,
            events: Vec::new(),
            credential: CredentialReport::default(),
            pending_since: None,
        }
    }

    fn seen(quota: u32) -> CheckReport {
        let mut report = ended(CheckEnding::Seen(Counts { total: 3, online: 2, down: 1 }));
        report.credential.quota_remaining = Some(quota);
        report
    }

    fn tick(targets: &[&Target]) -> ScheduleReport {
        let targets = targets.iter().copied().cloned().collect();
        ScheduleReport {
            disposition: Disposition::Done,
            targets,
            dropped: Vec::new(),
            throttled: Vec::new(),
            pending_since: None,
        }
    }

    fn targets() -> [Target; 2] {
        ["acme/web", "acme/api"].map(|name| name.parse().unwrap())
    }

    #[test]
    fn a_cycle_is_complete_when_every_target_was_checked() {
        let cycles = Cycles::new(LIMIT);
        let [web, api] = targets();
        assert_eq!(cycles.begin(at(0)), None);
        // A job can be done before the tick returns.
        assert_eq!(cycles.checked(&web, &seen(70), at(1)), None);
        assert_eq!(cycles.checked(&web, &seen(60), at(1)), None);
        assert_eq!(cycles.scheduled(&tick(&[&web, &api]), at(2)), None);
        let report = cycles.checked(&api, &seen(50), at(3)).unwrap();
        assert_eq!((report.targets, report.runners, report.down, report.quota_remaining), (2, 6, 2, Some(50)));
        assert_eq!(report.shortfalls, []);
        assert_eq!(cycles.begin(at(300)), None, "it has ended");
    }

    #[test]
    fn a_counted_failure_completes_a_cycle_and_a_check_without_result_does_not() {
        let failed = || ended(CheckEnding::Failed(Failure::new(Fault::Service, "502")));
        let [web, api] = targets();
        for (ending, is_complete) in [
            (failed(), true),
            (seen(1), true),
            (ended(CheckEnding::Broken), false),
            (ended(CheckEnding::Expired), false),
            (ended(CheckEnding::NotConfigured), false),
        ] {
            let cycles = Cycles::new(LIMIT);
            cycles.begin(at(0));
            cycles.scheduled(&tick(&[&web, &api]), at(0));
            cycles.checked(&web, &failed(), at(1));
            let report = cycles.checked(&api, &ending, at(2)).or_else(|| cycles.begin(at(300))).unwrap();
            assert_eq!(report.shortfalls.is_empty(), is_complete, "{ending:?}");
            if !is_complete {
                assert_eq!(describe(&report.shortfalls), "1 of 2 targets were not checked, the first is acme/api");
            }
        }
    }

    #[test]
    fn a_tick_that_failed_or_found_no_targets_completes_no_cycle() {
        let cycles = Cycles::new(LIMIT);
        cycles.begin(at(0));
        cycles.tick_failed("the store is locked");
        let report = cycles.begin(at(300)).unwrap();
        assert_eq!(describe(&report.shortfalls), "the tick failed: the store is locked");
        let report = cycles.scheduled(&tick(&[]), at(301)).unwrap();
        assert_eq!(report.shortfalls, [Shortfall::NoTargets]);
    }

    #[test]
    fn a_tick_that_succeeds_on_retry_leaves_the_cycle_complete() {
        let (cycles, [web, _]) = (Cycles::new(LIMIT), targets());
        cycles.begin(at(0));
        cycles.tick_failed("the store is locked");
        cycles.scheduled(&tick(&[&web]), at(2));
        assert_eq!(cycles.checked(&web, &seen(1), at(3)).unwrap().shortfalls, []);
    }

    #[test]
    fn a_notification_pending_for_too_long_makes_a_cycle_incomplete() {
        let [web, api] = targets();
        for of_tick in [true, false] {
            let cycles = Cycles::new(LIMIT);
            cycles.begin(at(1_000));
            let pending_since = Some(at(100));
            let (mut tick, mut check) = (tick(&[&web, &api]), seen(1));
            if of_tick {
                tick.pending_since = pending_since
            } else {
                check.pending_since = pending_since
            }
            cycles.scheduled(&tick, at(1_000));
            cycles.checked(&web, &check, at(1_000));
            let report = cycles.checked(&api, &seen(1), at(1_000)).unwrap();
            assert_eq!(describe(&report.shortfalls), "a notification has been pending for 15 min");
        }
    }

    #[test]
    fn failed_and_late_checks_are_counted_as_unseen() {
        let failure = || Failure::new(Fault::Service, "502");
        let (cycles, [web, api]) = (Cycles::new(LIMIT), targets());
        cycles.begin(at(0));
        cycles.scheduled(&tick(&[&web, &api]), at(0));
        cycles.checked(&web, &ended(CheckEnding::Failed(failure())), at(1));
        let report = cycles.checked(&api, &ended(CheckEnding::Late(failure())), at(2)).unwrap();
        assert_eq!((report.targets, report.unseen, report.runners), (2, 2, 0));
    }
}
