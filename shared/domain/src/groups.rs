//! The runner groups of an organization or enterprise: GitHub lists only their numbers with the runners.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fleet::Fleet;
use crate::observation::{ObservedPage, ObservedRunner};
use crate::target::TargetKind;
use crate::time::Timestamp;

/// How long the names are used before GitHub is asked again.
const ASKED_EVERY: Duration = Duration::from_secs(86_400);

/// The names of a target's runner groups, as GitHub last listed them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunnerGroups {
    /// When GitHub was asked.
    pub asked_at: Timestamp,
    /// The number and the name of each group.
    pub names: Vec<(u64, String)>,
}

impl RunnerGroups {
    /// The name of a group.
    pub fn name_of(&self, id: u64) -> Option<&str> {
        self.names.iter().find(|(known, _)| *known == id).map(|(_, name)| name.as_str())
    }

    /// Whether GitHub was never asked.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether GitHub is to be asked for the names after a list with these pages: it has a runner in a group without a name,
/// or the names are a day old. A page that has not changed asks nothing, so that a steady check costs no request more.
pub fn asks_for_names(fleet: &Fleet, pages: &[ObservedPage], now: Timestamp) -> bool {
    let groups = &fleet.record.groups;
    let fresh = pages.iter().flat_map(|page| match page {
        ObservedPage::Fresh { runners, .. } => &runners[..],
        ObservedPage::Unchanged(_) => &[],
    });
    let is_old = now.has_waited(groups.asked_at, ASKED_EVERY);
    let asks = |runner: &ObservedRunner| runner.group_id.is_some_and(|id| is_old || groups.name_of(id).is_none());
    fleet.record.target.kind() != TargetKind::Repository && fresh.into_iter().any(asks)
}
