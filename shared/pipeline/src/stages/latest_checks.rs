//! When a process last checked each target and found nothing new.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use monitor_domain::fleet::Fleet;
use monitor_domain::subject::Revision;
use monitor_domain::target::TargetId;
use monitor_domain::time::Timestamp;

/// The checks without changes that are not stored, which is most of them: so that "last healthy" is of the check before,
/// and not ten minutes older. A process that starts anew knows none, and goes by what is stored.
#[derive(Debug, Default)]
pub struct LatestChecks(Mutex<HashMap<TargetId, (Revision, Timestamp)>>);

impl LatestChecks {
    /// Notes a complete check that began at `at` and changed nothing of the fleet.
    pub(super) fn note(&self, fleet: &Fleet, at: Timestamp) {
        let mut checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        checks.insert(fleet.record.target.id().clone(), (fleet.record.revision, at));
    }

    /// The latest check that found the fleet as it is stored; none where it was changed since.
    pub(super) fn of(&self, fleet: &Fleet) -> Option<Timestamp> {
        let checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (revision, at) = checks.get(fleet.record.target.id())?;
        (*revision == fleet.record.revision).then_some(*at)
    }
}
