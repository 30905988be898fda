//! What is announced in the channel after a command.

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
        /// The number of runners that it covers now.
        runners: usize,
        /// The number of targets with these runners.
        targets: usize,
    },
    /// A mute was ended early.
    Unmuted {
        /// The mute that was ended.
        mute: Mute,
        /// The person who ended it.
        by: PersonId,
    },
}
