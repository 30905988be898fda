//! When this process last checked each target without a change.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use monitor_domain::fleet::Fleet;
use monitor_domain::subject::Revision;
use monitor_domain::target::TargetId;
use monitor_domain::time::Timestamp;

/// The checks that changed nothing; most of them are not stored. With them, "last healthy" is the time of the previous
/// check, not up to ten minutes older. After a restart a process knows none, and uses what is stored.
#[derive(Debug, Default)]
pub struct LatestChecks(Mutex<HashMap<TargetId, (Revision, Timestamp)>>);

impl LatestChecks {
    /// Remembers a complete check that began at `at` and did not change the fleet.
    pub(super) fn note(&self, fleet: &Fleet, at: Timestamp) {
        let mut checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        checks.insert(fleet.record.target.id().clone(), (fleet.record.revision, at));
    }

    /// The latest check that found the fleet as it is stored; `None` if the fleet has changed since.
    pub(super) fn of(&self, fleet: &Fleet) -> Option<Timestamp> {
        let checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (revision, at) = checks.get(fleet.record.target.id())?;
        (*revision == fleet.record.revision).then_some(*at)
    }
}
