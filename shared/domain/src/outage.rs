//! Outages as they are recorded.

use serde::{Deserialize, Serialize};

use crate::runner::{Runner, RunnerId, Status};
use crate::subject::Revision;
use crate::time::Timestamp;

/// An outage's number within its runner: the target's revision that recorded the first bad reading, so that
/// whoever repeats a decision gets the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OutageId(pub Revision);

impl OutageId {
    /// Stands for "the revision of the commit that this goes into", until that is known.
    pub(crate) const PENDING: OutageId = OutageId(Revision(0));

    pub(crate) fn settle(&mut self, revision: Revision) {
        if *self == Self::PENDING {
            self.0 = revision;
        }
    }
}

/// When and how a runner was last known to be healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastHealthy {
    /// The latest check known of that found it healthy: the one before, where the same process made it; else the latest
    /// that is stored, so that it may have been healthy for ten minutes longer.
    pub at: Timestamp,
    /// Idle or Busy.
    pub status: Status,
}

/// How many runners could take the jobs of one that is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peers {
    /// Others with all of its labels.
    pub total: u32,
    /// Those of them that are online.
    pub online: u32,
}

/// How an outage's beginning is told, and so whether its end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Visibility {
    /// By an alert of its own.
    Alerted,
    /// In the notice that says monitoring starts.
    Baseline,
    /// Not by itself: the runner is flapping, or the policy wants quiet.
    Suppressed,
    /// Not while a mute lasts; told after it by an alert, if it is still open.
    Muted,
}

impl Visibility {
    /// Whether people hear of it, and so of its end.
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
    /// The target, or the runner by policy, is no longer watched.
    NoLongerMonitored,
}

/// One outage of one runner, with what a person wants to know about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outage {
    /// Its number within the runner.
    pub id: OutageId,
    /// The runner, by the id of its first registration.
    pub runner_id: RunnerId,
    /// The id of the registration that it had then, as GitHub's page for it wants.
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
    /// Offline or Unknown.
    pub status: Status,
    /// Whether GitHub said that it ran a job when it went away.
    pub in_job: bool,
    /// The first bad reading.
    pub started_at: Timestamp,
    /// The reading that confirmed it.
    pub confirmed_at: Timestamp,
    /// When it was last known to be healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_healthy: Option<LastHealthy>,
    /// Who else could take its jobs when it was confirmed.
    pub peers: Peers,
    /// How its beginning is told.
    pub visibility: Visibility,
    /// The first of the good readings that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
}

impl Outage {
    /// An outage of `runner` as it is read now.
    pub(crate) fn begin(
        runner: &Runner,
        id: OutageId,
        started_at: Timestamp,
        confirmed_at: Timestamp,
        last_healthy: Option<LastHealthy>,
        visibility: Visibility,
    ) -> Self {
        Self {
            id,
            runner_id: runner.id,
            current_id: runner.current_id,
            runner_name: runner.name.clone(),
            os: runner.os.clone(),
            version: runner.version.clone(),
            labels: runner.labels.clone(),
            status: runner.status,
            in_job: runner.busy || last_healthy.is_some_and(|last| last.status == Status::Busy),
            started_at,
            confirmed_at,
            last_healthy,
            peers: Peers::default(),
            visibility,
            resolved_at: None,
            ending: None,
        }
    }

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
