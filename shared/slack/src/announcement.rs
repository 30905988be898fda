//! What is announced in the channel after a command.

use monitor_domain::fleet::Fleet;
use monitor_pipeline::items::Mute;
use monitor_pipeline::person::PersonId;
use serde::{Deserialize, Serialize};

/// What a person has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Announcement {
    /// A mute was set.
    Muted {
        /// The mute that was set.
        mute: Mute,
        /// What it covers now.
        #[serde(flatten)]
        covered: Covered,
    },
    /// A mute was ended early.
    Unmuted {
        /// The mute that was ended.
        mute: Mute,
        /// The person who ended it.
        by: PersonId,
    },
}

/// What a mute covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Covered {
    /// The registered runners.
    pub runners: usize,
    /// Those of them of which the policy alerts about the pool only.
    #[serde(default)]
    pub pooled: usize,
    /// The pools.
    #[serde(default)]
    pub pools: usize,
    /// The targets of these runners and pools. The pools of a credential are of no single target.
    pub targets: usize,
}

impl Covered {
    /// What is covered, from the fleets with only that.
    pub fn of(fleets: &[Fleet]) -> Self {
        let runners = || fleets.iter().flat_map(|fleet| &fleet.runners).filter(|runner| !runner.is_gone());
        Self {
            runners: runners().count(),
            pooled: runners().filter(|runner| runner.is_pooled).count(),
            pools: fleets.iter().map(|fleet| fleet.pools.len()).sum(),
            targets: fleets.iter().filter(|fleet| fleet.is_target()).count(),
        }
    }
}
