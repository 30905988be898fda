//! The commands that people send in the chat, and the answers.

use std::time::Duration;

use monitor_domain::fleet::Fleet;
use monitor_domain::jobs::Queue;
use monitor_domain::muting::{Authority, MuteRefusal};
use monitor_domain::outage::{Outage, OutageId};
use monitor_domain::runner::RunnerId;
use monitor_domain::scope::Scope;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::items::Mute;
use crate::person::PersonId;

/// A command from a slash command or a button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "command")]
pub enum Command {
    /// Every target with its counts, and what is unhealthy.
    StatusAll,
    /// One target, or the runners with a name or label.
    Status {
        /// The target, runner or label asked for.
        scope: Scope,
    },
    /// The jobs that wait for a runner.
    Jobs,
    /// The outages of the runners with this name, in every target.
    History {
        /// The runner name; `*` and `?` are wildcards.
        name: String,
    },
    /// Check a target now.
    Recheck {
        /// The target to check.
        target: Target,
    },
    /// Send no notifications about these runners for a while.
    #[serde(rename_all = "camelCase")]
    Mute {
        /// The runners to mute.
        scope: Scope,
        /// Length of the mute, in seconds.
        lasting_secs: u64,
        /// The reason given by the person, shown to others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// End a mute.
    Unmute {
        /// The muted runners.
        scope: Scope,
    },
    /// Somebody is working on these outages: send no reminders.
    Acknowledge {
        /// The target.
        target: Target,
        /// Its outages, by runner.
        outages: Vec<(RunnerId, OutageId)>,
    },
}

impl Command {
    /// Whether it changes something and must not be done twice.
    pub fn changes_something(&self) -> bool {
        match self {
            Command::StatusAll | Command::Status { .. } | Command::Jobs | Command::History { .. } => false,
            Command::Recheck { .. } | Command::Mute { .. } | Command::Unmute { .. } | Command::Acknowledge { .. } => {
                true
            }
        }
    }

    /// The length of a mute; `None` for other commands.
    pub fn lasting(&self) -> Option<Duration> {
        match self {
            Command::Mute { lasting_secs, .. } => Some(Duration::from_secs(*lasting_secs)),
            _ => None,
        }
    }
}

/// The person who sent a command, and the request it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The person.
    pub id: PersonId,
    /// The mutes that the person is allowed to set.
    pub authority: Authority,
    /// The request; `None` if the command came in a way that cannot be repeated.
    pub request: Option<RequestId>,
}

/// Identifies a request, so that a replay by somebody else is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestId {
    /// The same for a request and every byte-for-byte repetition of it, from 1 to 2^63 - 1.
    pub number: u64,
    /// A random number, drawn when the request is received.
    pub nonce: u64,
}

/// The answer to a command, and how old its data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// When the command was handled.
    pub now: Timestamp,
    /// The last tick of the schedule: shows whether the monitor is running.
    pub ticked_at: Option<Timestamp>,
    /// Targets whose records could not be read.
    pub unread: Vec<Target>,
    /// The active mutes that concern what was asked for.
    pub mutes: Vec<Mute>,
    /// The answer.
    pub answer: Answer,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Every target.
    Overview {
        /// All targets, ordered by their identity.
        fleets: Vec<Fleet>,
    },
    /// One target.
    Target {
        /// The target with all its runners.
        fleet: Box<Fleet>,
    },
    /// The runners with a name or label.
    Runners {
        /// The name or label asked for.
        scope: Scope,
        /// The targets with such runners, each with only these runners.
        fleets: Vec<Fleet>,
        /// Similar names, if there are no such runners.
        similar: Vec<String>,
    },
    /// The jobs that wait for a runner.
    Jobs {
        /// By target and queue, the oldest first.
        queues: Vec<(Target, Queue)>,
    },
    /// Outages of the runners with a name.
    History {
        /// The name asked for.
        name: String,
        /// The latest outages, newest first.
        outages: Vec<(Target, Outage)>,
        /// The total number of outages.
        total: usize,
        /// The targets that have such runners now, each with only these runners.
        fleets: Vec<Fleet>,
        /// Similar names, if nothing was found.
        similar: Vec<String>,
    },
    /// A check of a target was requested.
    RecheckSent {
        /// The target.
        target: Target,
        /// The last stored check.
        seen_at: Option<Timestamp>,
    },
    /// No notifications about these runners until the mute ends.
    Muted {
        /// The mute.
        mute: Mute,
        /// The targets with such runners, each with only these runners.
        fleets: Vec<Fleet>,
    },
    /// The person may not set this mute; nothing was changed.
    MuteRefused {
        /// The runners asked for.
        scope: Scope,
        /// Why it was refused.
        refusal: MuteRefusal,
        /// Whether the settings name admins.
        has_admins: bool,
    },
    /// Notifications about these runners are sent again.
    Unmuted {
        /// The mute that was ended.
        mute: Mute,
    },
    /// There is no such mute.
    NotMuted {
        /// The runners asked for.
        scope: Scope,
        /// The active mutes.
        mutes: Vec<Mute>,
    },
    /// No more reminders are sent for these outages.
    Acknowledged {
        /// The target.
        target: Target,
        /// The number of outages.
        outages: usize,
        /// The person who acknowledged them.
        by: PersonId,
    },
    /// The target is not on the list.
    NotWatched {
        /// The target asked for.
        target: Target,
        /// Targets with the same name or owner.
        similar: Vec<Target>,
    },
}
