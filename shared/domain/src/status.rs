//! The ground of the domain: how a registration is numbered, and what GitHub says of a runner.

use std::fmt;

use serde::{Deserialize, Serialize};

/// GitHub's number of a registration. A stored runner is identified by the number of its first registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunnerId(pub u64);

impl fmt::Display for RunnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The status of a runner according to GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Connected, nothing else known. Never set here; part of the schema for its readers.
    Online,
    /// Connected and waiting for a job.
    Idle,
    /// Connected and running a job.
    Busy,
    /// GitHub reports it offline.
    Offline,
    /// No longer registered, or a status that is not known here.
    Unknown,
}

impl Status {
    /// The status for GitHub's `status` and `busy`.
    pub fn reported(status: &str, busy: bool) -> Self {
        match (status, busy) {
            ("online", true) => Status::Busy,
            ("online", false) => Status::Idle,
            ("offline", _) => Status::Offline,
            _ => Status::Unknown,
        }
    }

    /// Whether the runner can run jobs.
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

/// The operating system that GitHub reports for a runner that has never connected.
pub const UNKNOWN_OS: &str = "unknown";

/// A runner as GitHub lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedRunner {
    /// The id of its current registration.
    pub id: RunnerId,
    /// Its name, unique within a target at any one time.
    pub name: String,
    /// `linux`, `windows`, `macos`, or `unknown` before it first connects.
    pub os: String,
    /// What GitHub reports, see [`Status::reported`].
    pub status: Status,
    /// Whether GitHub says that it runs a job. With an offline status: it went offline while running one.
    pub busy: bool,
    /// Whether it deregisters after one job.
    pub ephemeral: bool,
    /// The runner's version; `None` until it has connected once.
    pub version: Option<String>,
    /// Label names, in GitHub's order.
    pub labels: Vec<String>,
    /// The number of its runner group, if GitHub lists it.
    pub group_id: Option<u64>,
}

impl ObservedRunner {
    /// Whether this observation shows that the runner has connected to GitHub before. In a list that reports no
    /// versions (`reports_versions` is false), such as an older Enterprise Server's, a missing version proves nothing.
    pub fn shows_connected(&self, reports_versions: bool) -> bool {
        let is_known = !reports_versions && self.os != UNKNOWN_OS;
        self.version.is_some() || self.status.is_healthy() || self.busy || is_known
    }
}
