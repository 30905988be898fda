//! The runner groups of an organization or enterprise: GitHub lists only their numbers with the runners.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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

    /// Whether they are to be asked for again.
    pub fn are_old(&self, now: Timestamp) -> bool {
        now.has_waited(self.asked_at, ASKED_EVERY)
    }

    /// Whether GitHub was never asked.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}
