//! Outages as they are stored.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::jobs::{JobName, WaitingJobs};
use crate::pool::PoolCounts;
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
    /// Not during a mute, or while the policy alerts about the runner's pool only. If the outage is still open when the mute ends, an alert follows.
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
    /// When GitHub stopped giving jobs to that version, if that was before the outage: the likeliest reason for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_ended_at: Option<Timestamp>,
    /// If many targets of the credential lost all of their runners at about the same time: in how many, at least. An
    /// incident at GitHub is then a likely reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_targets: Option<u32>,
    /// Whether the runner deregisters after one job.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ephemeral: bool,
    /// If it is a pool's: its runners when the outage was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolCounts>,
    /// If it is a queue's: its waiting jobs at the latest check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Box<WaitingJobs>>,
    /// The runner's labels.
    pub labels: Vec<String>,
    /// Offline or unknown.
    pub status: Status,
    /// Whether GitHub said that it was running a job when it went offline.
    pub in_job: bool,
    /// That job, if jobs are monitored and the report of its start arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Box<JobName>>,
    /// When the first unhealthy check started.
    pub started_at: Timestamp,
    /// When the check that confirmed it started.
    pub confirmed_at: Timestamp,
    /// When the runner was last known to be healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_healthy: Option<LastHealthy>,
    /// When the runner was online for a moment during the outage, the last time: it connected then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected_at: Option<Timestamp>,
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

/// How long GitHub keeps a runner that does not connect, and an ephemeral one:
/// <https://docs.github.com/en/actions/how-tos/manage-runners/self-hosted-runners/remove-runners>
const KEPT: Duration = Duration::from_secs(14 * 86_400);
const EPHEMERAL_KEPT: Duration = Duration::from_secs(86_400);
/// How long after the latest possible moment a removal is still put down to GitHub: a check may have come late.
const REMOVAL_LAG: Duration = Duration::from_secs(2 * 86_400);

/// When GitHub removes a runner that stays offline. GitHub does not say when a runner last connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Not before this moment; `None` if the runner was never seen healthy.
    pub earliest: Option<Timestamp>,
    /// About this moment at the latest.
    pub latest: Timestamp,
}

/// Who removed a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovedBy {
    /// GitHub, by its rule for runners that do not connect.
    GitHub,
    /// A person or a program: it was too early for GitHub's rule.
    Somebody,
    /// Either.
    Unknown,
}

impl Outage {
    /// How long GitHub keeps the runner without a connection.
    pub fn kept_for(&self) -> Duration {
        if self.ephemeral { EPHEMERAL_KEPT } else { KEPT }
    }

    /// When GitHub removes the runner if it stays offline. `None` for one that is gone already, or that may never have
    /// connected: GitHub names no time for those.
    pub fn removal(&self) -> Option<Removal> {
        let is_runner = self.is_of_runner() && self.status == Status::Offline;
        if !is_runner || (self.version.is_none() && self.last_healthy.is_none()) {
            return None;
        }
        let connected_at = self.connected_at.or(self.last_healthy.map(|last| last.at));
        // A runner of an ended version still connects, again and again, although it is never online.
        let earliest = connected_at.filter(|_| self.version_ended_at.is_none()).map(|at| at.plus(self.kept_for()));
        let offline_at = self.connected_at.unwrap_or(self.started_at);
        Some(Removal { earliest, latest: offline_at.plus(self.kept_for()) })
    }

    /// Who removed the runner, as far as the dates show.
    pub fn removed_by(&self) -> Option<RemovedBy> {
        let at = self.resolved_at.filter(|_| self.ending == Some(Ending::Removed) && self.is_of_runner())?;
        // Known by the removal, or healthy until then.
        let connected_at = self.connected_at.or(self.last_healthy.map(|last| last.at));
        if !self.ephemeral && connected_at.is_some_and(|last| at < last.plus(KEPT)) {
            return Some(RemovedBy::Somebody);
        }
        // Never seen healthy, it may have been offline long before.
        let fits = self.removal().is_some_and(|removal| {
            let earliest = removal.earliest.unwrap_or(removal.latest);
            (earliest..=removal.latest.plus(REMOVAL_LAG)).contains(&at)
        });
        Some(if fits { RemovedBy::GitHub } else { RemovedBy::Unknown })
    }

    /// Whether the runner's removal fits GitHub's own rule.
    pub fn was_removed_by_github(&self) -> bool {
        self.removed_by() == Some(RemovedBy::GitHub)
    }

    /// The same outage, ended.
    pub(crate) fn ended(mut self, resolved_at: Timestamp, ending: Ending) -> Self {
        self.resolved_at = Some(resolved_at);
        self.ending = Some(ending);
        self
    }

    /// Whether it is of a runner, not of a pool or a queue.
    pub fn is_of_runner(&self) -> bool {
        self.pool.is_none() && self.waiting.is_none()
    }

    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        self.ending.is_none()
    }
}
