//! Mutes and acknowledgements: people ask the monitor to be quiet about some runners for a time, or not to repeat the
//! notification of an outage that somebody is working on.

use std::collections::BTreeSet;

use crate::outage::OutageId;
use crate::runner::RunnerId;
use crate::scope::Scope;
use crate::target::TargetId;

/// The mutes and acknowledgements that concern one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The runners whose outages are recorded but not notified.
    pub muted: Vec<Scope>,
    /// The acknowledged outages, which are not repeated.
    pub acknowledged: BTreeSet<(RunnerId, OutageId)>,
}

impl Overrides {
    /// Whether a mute covers this runner.
    pub fn mutes(&self, target: &TargetId, name: &str, labels: &[String]) -> bool {
        self.muted.iter().any(|scope| scope.covers(target, name, labels))
    }
}
