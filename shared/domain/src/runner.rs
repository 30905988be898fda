//! A runner as it is remembered: what GitHub last said of it and how far a verdict has got.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::observation::ObservedRunner;
use crate::outage::{LastHealthy, Outage, OutageId};
use crate::time::Timestamp;

/// GitHub's number for a registration. A remembered runner goes by that of its first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunnerId(pub u64);

impl fmt::Display for RunnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a runner is, as far as GitHub tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Connected, nothing more known. Never decided here; in the schema for those who read it.
    Online,
    /// Connected and waiting for a job.
    Idle,
    /// Connected and running a job.
    Busy,
    /// GitHub reports it offline.
    Offline,
    /// No longer registered, or GitHub uses a word not known here.
    Unknown,
}

impl Status {
    /// From GitHub's `status` and `busy`.
    pub fn reported(status: &str, busy: bool) -> Self {
        match (status, busy) {
            ("online", true) => Status::Busy,
            ("online", false) => Status::Idle,
            ("offline", _) => Status::Offline,
            _ => Status::Unknown,
        }
    }

    /// Whether jobs can run there.
    pub fn is_healthy(self) -> bool {
        matches!(self, Status::Online | Status::Idle | Status::Busy)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Online => "online",
            Status::Idle => "idle",
            Status::Busy => "busy",
            Status::Offline => "offline",
            Status::Unknown => "unknown",
        })
    }
}

/// A runner as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Runner {
    /// Its identity: the id of its first registration.
    pub id: RunnerId,
    /// The id of its present registration.
    pub current_id: RunnerId,
    /// Its name.
    pub name: String,
    /// Its operating system, in GitHub's word.
    pub os: String,
    /// Its label names, in GitHub's order.
    pub labels: Vec<String>,
    /// Whether it leaves after one job.
    pub ephemeral: bool,
    /// Its version; absent until it has connected once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether it has ever been connected: it has a version, or was read online. An Enterprise Server may tell no
    /// version of any runner.
    #[serde(default)]
    pub connected: bool,
    /// The last reading.
    pub status: Status,
    /// Whether GitHub last said that it runs a job.
    pub busy: bool,
    /// When it was first read.
    pub first_seen_at: Timestamp,
    /// When the last reading first differed from the one before.
    pub status_since: Timestamp,
    /// How far a verdict has got.
    pub health: Health,
    /// Set while it is missing from the list and not yet held to be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absence: Option<Absence>,
    /// When its latest outages began, oldest first, within the flapping window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent_outages: Vec<Timestamp>,
    /// Set while it is held to be flapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flapping: Option<Flapping>,
}

/// How far a verdict about a runner has got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Health {
    /// Nothing held against it.
    Healthy,
    /// Bad readings, not yet enough of them.
    Suspect(Suspicion),
    /// An outage is open.
    Down(Box<Down>),
    /// No longer registered; forgotten after the policy's `forget`.
    #[serde(rename_all = "camelCase")]
    Gone {
        /// When it was first missed.
        since: Timestamp,
        /// Whether an alert said so, so that its return is told too.
        alerted: bool,
    },
    /// Forgotten: the record is to be deleted.
    Retired,
}

/// Bad readings that do not yet make an outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspicion {
    /// The first bad reading.
    pub since: Timestamp,
    /// The last bad reading that counted.
    pub counted_at: Timestamp,
    /// How many counted.
    pub unhealthy_count: u32,
    /// The id that the outage will have: the revision that recorded the first bad reading.
    pub outage_id: OutageId,
    /// Whether the first look at the target found it so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_baseline: bool,
    /// When it was last known to be healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_healthy: Option<LastHealthy>,
}

/// An open outage and the good readings since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Down {
    /// The outage as recorded.
    pub outage: Outage,
    /// How many good readings in a row have counted.
    pub healthy_count: u32,
    /// The first of these good readings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovering_since: Option<Timestamp>,
    /// The last of them that counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_at: Option<Timestamp>,
    /// When it was last decided to tell of it, where that was not when it was confirmed: at a reminder, or after a mute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notified_at: Option<Timestamp>,
    /// How many reminders there have been.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reminders: u32,
}

impl Down {
    /// An outage that has just been confirmed.
    pub fn new(outage: Outage) -> Self {
        Self { outage, healthy_count: 0, recovering_since: None, counted_at: None, notified_at: None, reminders: 0 }
    }

    /// Begins the count of good readings anew.
    pub fn restart_recovery(&mut self) {
        self.healthy_count = 0;
        self.recovering_since = None;
        self.counted_at = None;
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Polls that did not find a runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Absence {
    /// The first poll without it.
    pub since: Timestamp,
    /// The last such poll that counted.
    pub counted_at: Timestamp,
    /// How many counted.
    pub count: u32,
    /// The revision that recorded the first.
    pub outage_id: OutageId,
    /// When it was last known to be healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_healthy: Option<LastHealthy>,
}

/// A runner whose single outages are no longer told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flapping {
    /// When the first of the outages began that led to this.
    pub since: Timestamp,
    /// How many outages belong to it so far.
    pub outages: u32,
    /// Since when it has been healthy; none while an outage is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_since: Option<Timestamp>,
    /// Whether it began during a mute, and nobody has heard of it since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub muted: bool,
}

impl Runner {
    /// A runner that was never read before.
    pub fn first_seen(observed: &ObservedRunner, reports_versions: bool, at: Timestamp) -> Self {
        Self {
            id: observed.id,
            current_id: observed.id,
            name: observed.name.clone(),
            os: observed.os.clone(),
            labels: observed.labels.clone(),
            ephemeral: observed.ephemeral,
            version: observed.version.clone(),
            connected: observed.shows_connected(reports_versions),
            status: observed.status,
            busy: observed.busy,
            first_seen_at: at,
            status_since: at,
            health: Health::Healthy,
            absence: None,
            recent_outages: Vec::new(),
            flapping: None,
        }
    }

    /// Takes over what GitHub says now.
    pub fn read(&mut self, observed: &ObservedRunner, reports_versions: bool, at: Timestamp) {
        if self.status != observed.status {
            self.status_since = at;
        }
        self.current_id = observed.id;
        self.name.clone_from(&observed.name);
        self.os.clone_from(&observed.os);
        self.labels.clone_from(&observed.labels);
        self.ephemeral = observed.ephemeral;
        self.version.clone_from(&observed.version);
        self.connected |= observed.shows_connected(reports_versions);
        self.status = observed.status;
        self.busy = observed.busy;
    }

    /// Whether GitHub says nothing new about it.
    pub fn reads_as(&self, observed: &ObservedRunner) -> bool {
        self.current_id == observed.id
            && self.status == observed.status
            && self.busy == observed.busy
            && self.name == observed.name
            && self.os == observed.os
            && self.ephemeral == observed.ephemeral
            && self.version == observed.version
            && self.labels == observed.labels
    }

    /// Whether it has never connected to GitHub: registered ahead of use.
    pub fn never_connected(&self) -> bool {
        !self.connected
    }

    /// Whether it is no longer registered.
    pub fn is_gone(&self) -> bool {
        matches!(self.health, Health::Gone { .. })
    }

    /// The open outage, if there is one.
    pub fn open_outage(&self) -> Option<&Outage> {
        match &self.health {
            Health::Down(down) => Some(&down.outage),
            _ => None,
        }
    }

    /// Whether it could take a job that asks for all of `labels`. GitHub compares labels without regard to case.
    pub fn has_labels(&self, labels: &[String]) -> bool {
        labels.iter().all(|wanted| self.labels.iter().any(|label| label.eq_ignore_ascii_case(wanted)))
    }
}
