//! What people ask of the monitor: to be quiet about some runners for a time, and not to remind them of an outage that
//! somebody looks after.

use std::collections::BTreeSet;

use crate::outage::OutageId;
use crate::runner::RunnerId;
use crate::scope::Scope;
use crate::target::TargetId;

/// What people ask for, as far as it concerns one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Whose outages are recorded and not told.
    pub muted: Vec<Scope>,
    /// The outages that somebody looks after.
    pub acknowledged: BTreeSet<(RunnerId, OutageId)>,
}

impl Overrides {
    /// Whether nothing is to be told of this runner.
    pub fn mutes(&self, target: &TargetId, name: &str, labels: &[String]) -> bool {
        self.muted.iter().any(|scope| scope.covers(target, name, labels))
    }
}
