//! A runner as stored: what GitHub last said about it, and its health.

use serde::{Deserialize, Serialize};

use crate::jobs::{JobName, Queue, WaitingJobs};
use crate::outage::{LastHealthy, Outage, OutageId, Peers, Visibility};
use crate::pool::{PoolCounts, PoolRule};
use crate::status::{ObservedRunner, UNKNOWN_OS};
use crate::time::Timestamp;

pub use crate::status::{RunnerId, Status};

/// A runner as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Runner {
    /// Its identity: the id of its first registration.
    pub id: RunnerId,
    /// The id of its current registration.
    pub current_id: RunnerId,
    /// Its name as GitHub displays it, unique within the target.
    pub name: String,
    /// Its operating system, as GitHub names it.
    pub os: String,
    /// Its label names, in GitHub's order.
    pub labels: Vec<String>,
    /// The number of its runner group, if GitHub lists it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<u64>,
    /// Whether it deregisters after one job.
    pub ephemeral: bool,
    /// Its version; `None` until it has connected once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When its version last changed within a registration, so that it had updated itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// Whether it has ever connected: it has a version, or was online at some check. An Enterprise Server may report no
    /// versions at all.
    #[serde(default)]
    pub connected: bool,
    /// The latest reported status.
    pub status: Status,
    /// Whether GitHub said at the latest check that it runs a job.
    pub busy: bool,
    /// The job that it runs, or ran when it was last seen busy, if jobs are monitored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Box<JobName>>,
    /// When it was first listed.
    pub first_seen_at: Timestamp,
    /// When the current status was first reported.
    pub status_since: Timestamp,
    /// Its health, as evaluated over several checks.
    pub health: Health,
    /// Set while it is missing from the list and not yet considered gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absence: Option<Box<Absence>>,
    /// Set for a pool: its runners at the latest check that changed their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolCounts>,
    /// Set for a queue: its waiting jobs at the latest check that changed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Box<WaitingJobs>>,
    /// Whether the policy alerts about its pool only, and not about the runner.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_pooled: bool,
    /// The start of each recent outage, oldest first, within the flapping window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent_outages: Vec<Timestamp>,
    /// Set while it is considered flapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flapping: Option<Box<Flapping>>,
}

/// The health of a runner, as evaluated over several checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Health {
    /// No unhealthy check counts against it.
    Healthy,
    /// Unhealthy at recent checks, but not often enough for an outage.
    Suspect(Box<Suspicion>),
    /// An outage is open.
    Down(Box<Down>),
    /// No longer registered; forgotten after the policy's `forgetAfter`.
    #[serde(rename_all = "camelCase")]
    Gone {
        /// When it was first missing from the list.
        since: Timestamp,
        /// Whether its removal was notified, so that its return is notified too.
        alerted: bool,
    },
    /// Forgotten: the record is to be deleted.
    Retired,
}

/// Unhealthy checks that do not make an outage yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspicion {
    /// When the first unhealthy check started.
    pub since: Timestamp,
    /// When the last unhealthy check that counted started.
    pub counted_at: Timestamp,
    /// The number of unhealthy checks that counted.
    pub unhealthy_count: u32,
    /// The id of the outage, if it is confirmed: the revision that stored the first unhealthy check.
    pub outage_id: OutageId,
    /// Whether the first check of the target found it unhealthy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_baseline: bool,
    /// When the runner was last known to be healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_healthy: Option<LastHealthy>,
}

/// An open outage, and the healthy checks since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Down {
    /// The outage as stored.
    pub outage: Outage,
    /// The number of consecutive healthy checks that counted.
    pub healthy_count: u32,
    /// When the first of these healthy checks started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovering_since: Option<Timestamp>,
    /// When the last of them that counted started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_at: Option<Timestamp>,
    /// When its latest notification was decided, if that was later than its confirmation: a reminder, or the end of a
    /// mute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notified_at: Option<Timestamp>,
    /// The number of reminders so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reminders: u32,
    /// The last warning that GitHub removes the runner: 3 or 1 days ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal_warned_days: Option<u32>,
}

impl Down {
    /// An outage that has just been confirmed.
    pub fn new(outage: Outage) -> Self {
        Self {
            outage,
            healthy_count: 0,
            recovering_since: None,
            counted_at: None,
            notified_at: None,
            reminders: 0,
            removal_warned_days: None,
        }
    }

    /// Restarts the count of consecutive healthy checks.
    pub fn restart_recovery(&mut self) {
        self.healthy_count = 0;
        self.recovering_since = None;
        self.counted_at = None;
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Checks that did not find a registered runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Absence {
    /// When the first such check started.
    pub since: Timestamp,
    /// When the last such check that counted started.
    pub counted_at: Timestamp,
    /// The number of such checks that counted.
    pub count: u32,
    /// The id of an outage that this absence opens: the revision that stored the first such check.
    pub outage_id: OutageId,
    /// When the runner was last known to be healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_healthy: Option<LastHealthy>,
}

/// Set for a runner whose individual outages are not notified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flapping {
    /// When the first of the outages that led to this started.
    pub since: Timestamp,
    /// The number of outages so far.
    pub outages: u32,
    /// Since when it has been healthy; `None` while an outage is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_since: Option<Timestamp>,
    /// Whether it started during a mute and has not been notified since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub muted: bool,
}

impl Runner {
    /// A runner that is listed for the first time.
    pub fn first_seen(observed: &ObservedRunner, reports_versions: bool, at: Timestamp) -> Self {
        Self {
            id: observed.id,
            current_id: observed.id,
            name: observed.name.clone(),
            os: observed.os.clone(),
            labels: observed.labels.clone(),
            group_id: observed.group_id,
            ephemeral: observed.ephemeral,
            version: observed.version.clone(),
            updated_at: None,
            connected: observed.shows_connected(reports_versions),
            status: observed.status,
            busy: observed.busy,
            job: None,
            first_seen_at: at,
            status_since: at,
            health: Health::Healthy,
            absence: None,
            pool: None,
            is_pooled: false,
            waiting: None,
            recent_outages: Vec::new(),
            flapping: None,
        }
    }

    /// A pool that is evaluated for the first time.
    pub fn first_pool(rule: &PoolRule, counts: PoolCounts, at: Timestamp) -> Self {
        let observed = ObservedRunner {
            id: rule.id(),
            name: rule.name(),
            os: UNKNOWN_OS.to_owned(),
            status: if counts.is_enough() { Status::Online } else { Status::Offline },
            busy: false,
            ephemeral: false,
            version: None,
            labels: rule.labels.clone(),
            group_id: None,
        };
        Self { connected: true, pool: Some(counts), ..Self::first_seen(&observed, true, at) }
    }

    /// A queue in which jobs wait too long for the first time.
    pub fn first_queue(queue: &Queue, at: Timestamp) -> Self {
        let observed = ObservedRunner {
            id: queue.id(),
            name: queue.name(),
            os: UNKNOWN_OS.to_owned(),
            status: Status::Offline,
            busy: false,
            ephemeral: false,
            version: None,
            labels: queue.labels.clone(),
            group_id: None,
        };
        let waiting = Some(Box::new(queue.waiting.clone()));
        Self { connected: true, waiting, ..Self::first_seen(&observed, true, at) }
    }

    /// Updates the runner to what GitHub says now.
    pub fn read(&mut self, observed: &ObservedRunner, reports_versions: bool, at: Timestamp) {
        if self.status != observed.status {
            self.status_since = at;
        }
        let is_updated = self.version.is_some() && observed.version.is_some() && self.version != observed.version;
        if self.current_id != observed.id {
            self.updated_at = None;
        } else if is_updated {
            self.updated_at = Some(at);
        }
        self.current_id = observed.id;
        self.name.clone_from(&observed.name);
        self.os.clone_from(&observed.os);
        self.labels.clone_from(&observed.labels);
        self.group_id = observed.group_id;
        self.ephemeral = observed.ephemeral;
        self.version.clone_from(&observed.version);
        self.connected |= observed.shows_connected(reports_versions);
        self.status = observed.status;
        self.busy = observed.busy;
    }

    /// Whether GitHub says the same about it as before.
    pub fn reads_as(&self, observed: &ObservedRunner) -> bool {
        self.current_id == observed.id
            && self.status == observed.status
            && self.busy == observed.busy
            && self.name == observed.name
            && self.os == observed.os
            && self.ephemeral == observed.ephemeral
            && self.version == observed.version
            && self.labels == observed.labels
            && self.group_id == observed.group_id
    }

    /// The job that it runs now, if that is known.
    pub fn current_job(&self) -> Option<&JobName> {
        self.job.as_deref().filter(|_| self.status == Status::Busy)
    }

    /// Whether it is one runner, not a pool or a queue.
    pub fn is_one(&self) -> bool {
        self.pool.is_none() && self.waiting.is_none()
    }

    /// The state of a pool or a queue in words; `None` for one runner.
    pub fn tally(&self) -> Option<String> {
        let waiting = self.waiting.as_ref().map(ToString::to_string);
        self.pool.map(|pool| pool.to_string()).or(waiting)
    }

    /// Whether it has never connected to GitHub: it was registered ahead of use.
    pub fn never_connected(&self) -> bool {
        !self.connected
    }

    /// Whether it is no longer registered.
    pub fn is_gone(&self) -> bool {
        matches!(self.health, Health::Gone { .. })
    }

    /// An outage of this runner in its current state.
    pub(crate) fn outage(
        &self,
        id: OutageId,
        started_at: Timestamp,
        confirmed_at: Timestamp,
        last_healthy: Option<LastHealthy>,
        visibility: Visibility,
    ) -> Outage {
        Outage {
            id,
            runner_id: self.id,
            current_id: self.current_id,
            runner_name: self.name.clone(),
            os: self.os.clone(),
            version: self.version.clone(),
            labels: self.labels.clone(),
            status: self.status,
            version_ended_at: None,
            lost_targets: None,
            ephemeral: self.ephemeral,
            pool: self.pool,
            waiting: self.waiting.clone(),
            in_job: self.busy || last_healthy.is_some_and(|last| last.status == Status::Busy),
            job: self.job.clone().filter(|_| self.busy || last_healthy.is_some_and(|last| last.status == Status::Busy)),
            started_at,
            confirmed_at,
            last_healthy,
            connected_at: None,
            peers: self.pool.map_or_else(Peers::default, |pool| Peers { total: pool.total, online: pool.online }),
            visibility,
            resolved_at: None,
            ending: None,
        }
    }

    /// The open outage, if there is one.
    pub fn open_outage(&self) -> Option<&Outage> {
        match &self.health {
            Health::Down(down) => Some(&down.outage),
            _ => None,
        }
    }

    /// Whether it could take a job that requires all of `labels`. Like GitHub, it ignores case.
    pub fn has_labels(&self, labels: &[String]) -> bool {
        labels.iter().all(|wanted| self.labels.iter().any(|label| label.eq_ignore_ascii_case(wanted)))
    }
}
