//! What people ask in the chat.

use std::fmt;
use std::time::Duration;

use monitor_domain::fleet::Fleet;
use monitor_domain::muting::{Authority, MuteRefusal};
use monitor_domain::outage::{Outage, OutageId};
use monitor_domain::runner::RunnerId;
use monitor_domain::scope::Scope;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::items::Mute;

/// What a person asks, by a slash command or a button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "command")]
pub enum Command {
    /// Every target in figures, and what is unhealthy.
    StatusAll,
    /// One target, or the runners that go by a name.
    Status {
        /// Which.
        scope: Scope,
    },
    /// The outages of the runners of a name, in every target; `*` and `?` stand for anything.
    History {
        /// The name.
        name: String,
    },
    /// Look at a target now.
    Recheck {
        /// Which.
        target: Target,
    },
    /// Tell nothing of these runners for a time.
    #[serde(rename_all = "camelCase")]
    Mute {
        /// Which.
        scope: Scope,
        /// For how long, in seconds.
        lasting_secs: u64,
        /// Why, for those who wonder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Tell of them again.
    Unmute {
        /// Which.
        scope: Scope,
    },
    /// Somebody looks after these outages: no reminders.
    Acknowledge {
        /// The target.
        target: Target,
        /// Its outages, by runner.
        outages: Vec<(RunnerId, OutageId)>,
    },
}

impl Command {
    /// Whether it changes something, so that it must not be done twice.
    pub fn changes_something(&self) -> bool {
        match self {
            Command::StatusAll | Command::Status { .. } | Command::History { .. } => false,
            Command::Recheck { .. } | Command::Mute { .. } | Command::Unmute { .. } | Command::Acknowledge { .. } => {
                true
            }
        }
    }

    /// For how long a mute lasts; none for other commands.
    pub fn lasting(&self) -> Option<Duration> {
        match self {
            Command::Mute { lasting_secs, .. } => Some(Duration::from_secs(*lasting_secs)),
            _ => None,
        }
    }
}

/// Who asks, and by which request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The person.
    pub id: PersonId,
    /// What they may mute.
    pub authority: Authority,
    /// The request; none where it was not made by one that could be repeated.
    pub request: Option<RequestId>,
}

/// A request, told from its own repetitions by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestId {
    /// The same for a request and whatever repeats it byte for byte, from 1 to 2^63 - 1.
    pub number: u64,
    /// Drawn when it was received.
    pub nonce: u64,
}

/// A person, by the id that the chat gives them: capital letters and digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonId(String);

/// A text that is no person's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a person's id is 1 to 40 capital letters and digits")]
pub struct PersonIdError;

impl PersonId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PersonId {
    type Error = PersonIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_id =
            (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if is_id { Ok(Self(text)) } else { Err(PersonIdError) }
    }
}

impl From<PersonId> for String {
    fn from(id: PersonId) -> Self {
        id.0
    }
}

/// Masked: who asks is nobody's business but the chat's.
impl fmt::Debug for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonId(***)")
    }
}

/// What is answered to a command, and how old that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// When it was asked.
    pub now: Timestamp,
    /// The last tick of the schedule: whether the monitor runs at all.
    pub ticked_at: Option<Timestamp>,
    /// Targets whose records could not be read just now.
    pub unread: Vec<Target>,
    /// The mutes in force that concern what was asked for.
    pub mutes: Vec<Mute>,
    /// The answer.
    pub answer: Answer,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Every target.
    Overview {
        /// In order of their identity.
        fleets: Vec<Fleet>,
    },
    /// One target.
    Target {
        /// With all its runners.
        fleet: Box<Fleet>,
    },
    /// The runners that go by a name or carry a label.
    Runners {
        /// What was asked for.
        scope: Scope,
        /// The targets that have such runners, with these runners alone.
        fleets: Vec<Fleet>,
        /// Where there are none: names that are like it.
        similar: Vec<String>,
    },
    /// Outages of the runners of a name.
    History {
        /// What was asked for.
        name: String,
        /// The latest, the newest first.
        outages: Vec<(Target, Outage)>,
        /// How many there are in all.
        total: usize,
        /// The targets that have such runners now, with these runners alone.
        fleets: Vec<Fleet>,
        /// Where nothing was found: names that are like it.
        similar: Vec<String>,
    },
    /// A look at a target was asked for.
    RecheckSent {
        /// Which.
        target: Target,
        /// The last look that is on record.
        seen_at: Option<Timestamp>,
    },
    /// Nothing is told of these runners until the mute ends.
    Muted {
        /// The mute.
        mute: Mute,
        /// The targets that have such runners, with these runners alone.
        fleets: Vec<Fleet>,
    },
    /// The mute needs somebody with more authority: nothing was changed.
    MuteRefused {
        /// What was asked for.
        scope: Scope,
        /// Why.
        refusal: MuteRefusal,
        /// Whether the settings name admins.
        has_admins: bool,
    },
    /// These runners are told of again.
    Unmuted {
        /// The mute that was ended.
        mute: Mute,
    },
    /// There is no such mute.
    NotMuted {
        /// What was asked for.
        scope: Scope,
        /// The mutes in force.
        mutes: Vec<Mute>,
    },
    /// Nobody is reminded of these outages.
    Acknowledged {
        /// The target.
        target: Target,
        /// How many outages.
        outages: usize,
        /// Who looks after them.
        by: PersonId,
    },
    /// The target is not on the list.
    NotWatched {
        /// Which.
        target: Target,
        /// Those that might be meant.
        similar: Vec<Target>,
    },
}
