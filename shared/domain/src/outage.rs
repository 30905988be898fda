//! Outages as they are stored.

use serde::{Deserialize, Serialize};

use crate::status::{RunnerId, Status};
use crate::subject::Revision;
use crate::time::Timestamp;

/// The number of an outage within its runner: the target's revision that stored the first unhealthy check. Repeating a
/// decision therefore produces the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OutageId(pub Revision);

impl OutageId {
    /// A placeholder for the revision of the commit, until that is known.
    pub(crate) const PENDING: OutageId = OutageId(Revision(0));

    pub(crate) fn settle(&mut self, revision: Revision) {
        if *self == Self::PENDING {
            self.0 = revision;
        }
    }
}

/// When a runner was last known to be healthy, and its status then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastHealthy {
    /// The start of the latest known healthy check: the previous check, if this process made it. Otherwise the latest
    /// stored check, so that the runner may have been healthy for up to ten minutes longer.
    pub at: Timestamp,
    /// The status then: idle or busy.
    pub status: Status,
}

/// The other runners that could take the jobs of an offline runner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peers {
    /// Other runners with all of its labels.
    pub total: u32,
    /// Those of them that were online.
    pub online: u32,
}

/// Whether and how the start of an outage is notified. Its end is notified only if its start was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Visibility {
    /// In an alert.
    Alerted,
    /// In the notification that monitoring has started.
    Baseline,
    /// Not individually: the runner is flapping.
    Suppressed,
    /// Not during a mute. If the outage is still open when the mute ends, an alert follows.
    Muted,
}

impl Visibility {
    /// Whether its start is notified, and therefore its end.
    pub fn is_notified(self) -> bool {
        matches!(self, Visibility::Alerted | Visibility::Baseline)
    }
}

/// How an outage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ending {
    /// The runner is healthy again.
    Recovered,
    /// The runner is no longer registered.
    Removed,
    /// The target was dropped, or the policy ignores the runner now.
    NoLongerMonitored,
}

/// One outage of one runner, with what a person needs to know about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outage {
    /// Its number within the runner.
    pub id: OutageId,
    /// The runner, by the id of its first registration.
    pub runner_id: RunnerId,
    /// The id of its registration at that time, for the link to its page on GitHub.
    pub current_id: RunnerId,
    /// The runner's name.
    pub runner_name: String,
    /// The runner's operating system.
    pub os: String,
    /// The runner's version, if it ever connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The runner's labels.
    pub labels: Vec<String>,
    /// Offline or unknown.
    pub status: Status,
    /// Whether GitHub said that it was running a job when it went offline.
    pub in_job: bool,
    /// When the first unhealthy check started.
    pub started_at: Timestamp,
    /// When the check that confirmed it started.
    pub confirmed_at: Timestamp,
    /// When the runner was last known to be healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_healthy: Option<LastHealthy>,
    /// The other runners that could take its jobs when it was confirmed.
    pub peers: Peers,
    /// Whether and how its start is notified.
    pub visibility: Visibility,
    /// When the first of the healthy checks that ended it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
}

impl Outage {
    /// The same outage, ended.
    pub(crate) fn ended(mut self, resolved_at: Timestamp, ending: Ending) -> Self {
        self.resolved_at = Some(resolved_at);
        self.ending = Some(ending);
        self
    }

    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        self.ending.is_none()
    }
}
