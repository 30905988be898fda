//! What a cycle (one look at every target) comes to, for the line that `run` writes after each.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use monitor_domain::target::{Target, TargetId};
use monitor_domain::time::Timestamp;
use monitor_pipeline::stages::{CheckReport, Ending};

/// What a complete cycle came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CycleReport {
    /// Targets looked at.
    pub(crate) targets: u32,
    /// Targets that could not be seen.
    pub(crate) unseen: u32,
    /// Runners seen.
    pub(crate) runners: u32,
    /// Runners that GitHub reports online.
    pub(crate) online: u32,
    /// Runners with an open outage.
    pub(crate) down: u32,
    /// Requests left of the hourly quota, the least that any credential told.
    pub(crate) quota_remaining: Option<u32>,
    /// From the tick to the last look.
    pub(crate) took: Duration,
}

/// The cycle under way.
#[derive(Debug, Default)]
pub(crate) struct Cycles(Mutex<Option<Cycle>>);

#[derive(Debug)]
struct Cycle {
    began: Timestamp,
    /// None until the tick has said which targets there are.
    outstanding: Option<BTreeSet<TargetId>>,
    done: BTreeSet<TargetId>,
    report: CycleReport,
}

impl Cycles {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Cycle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tick begins. Gives how many targets of the last cycle were not looked at, if any.
    pub(crate) fn begin(&self, began: Timestamp) -> Option<usize> {
        let cycle = Cycle { began, outstanding: None, done: BTreeSet::new(), report: CycleReport::default() };
        let last = self.lock().replace(cycle)?;
        last.outstanding.map(|outstanding| outstanding.len())
    }

    /// A tick has sent a job for each of these.
    pub(crate) fn scheduled(&self, targets: &[Target], now: Timestamp) -> Option<CycleReport> {
        let mut cycle = self.lock();
        let current = cycle.as_mut()?;
        let all = targets.iter().map(|target| target.id().clone());
        current.outstanding = Some(all.filter(|target| !current.done.contains(target)).collect());
        finish(&mut cycle, now)
    }

    /// A job of the schedule is done.
    pub(crate) fn checked(&self, target: &Target, report: &CheckReport, now: Timestamp) -> Option<CycleReport> {
        let mut cycle = self.lock();
        let current = cycle.as_mut()?;
        if !current.done.insert(target.id().clone()) {
            return None;
        }
        if let Some(outstanding) = &mut current.outstanding {
            outstanding.remove(target.id());
        }
        let total = &mut current.report;
        total.targets += 1;
        match &report.ending {
            Ending::Seen(counts) => {
                total.runners += counts.total;
                total.online += counts.online;
                total.down += counts.down;
            }
            Ending::Failed(_) | Ending::Late(_) | Ending::Broken => total.unseen += 1,
            Ending::Overtaken | Ending::NotConfigured | Ending::Dropped | Ending::Outrun | Ending::Covered => {}
        }
        let quota = report.credential.quota_remaining;
        total.quota_remaining = total.quota_remaining.into_iter().chain(quota).min();
        finish(&mut cycle, now)
    }
}

/// Ends the cycle if nothing is outstanding.
fn finish(cycle: &mut Option<Cycle>, now: Timestamp) -> Option<CycleReport> {
    let ended = cycle.take_if(|cycle| cycle.outstanding.as_ref().is_some_and(BTreeSet::is_empty))?;
    Some(CycleReport { took: now.since(ended.began), ..ended.report })
}

#[cfg(test)]
mod tests {
    use monitor_domain::fleet::Counts;
    use monitor_domain::observation::CredentialReport;
    use monitor_pipeline::stages::Disposition;

    use super::*;

    fn seen(quota: u32) -> CheckReport {
        CheckReport {
            disposition: Disposition::Done,
            ending: Ending::Seen(Counts { total: 3, online: 2, down: 1 }),
            steps: Vec::new(),
            credential: CredentialReport { quota_remaining: Some(quota), ..CredentialReport::default() },
        }
    }

    #[test]
    fn a_cycle_is_complete_when_every_target_was_looked_at_once() {
        let cycles = Cycles::default();
        let [web, api]: [Target; 2] = ["acme/web", "acme/api"].map(|name| name.parse().unwrap());
        let at = |secs: i64| Timestamp::from_epoch_ms(secs * 1_000);
        assert_eq!(cycles.begin(at(0)), None);
        // A job may be done before the tick has returned.
        assert_eq!(cycles.checked(&web, &seen(70), at(1)), None);
        assert_eq!(cycles.checked(&web, &seen(60), at(1)), None);
        assert_eq!(cycles.scheduled(&[web.clone(), api.clone()], at(2)), None);
        let report = cycles.checked(&api, &seen(50), at(3)).unwrap();
        assert_eq!((report.targets, report.runners, report.down), (2, 6, 2));
        assert_eq!((report.quota_remaining, report.took), (Some(50), Duration::from_secs(3)));
        cycles.begin(at(300));
        cycles.scheduled(&[web, api], at(300));
        assert_eq!(cycles.begin(at(600)), Some(2));
    }
}
