//! What one look at GitHub gave, before anything is decided about it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::runner::{RunnerId, Status};
use crate::time::Timestamp;

/// The operating system of a runner that has not told its own yet, as it has never connected.
pub const UNKNOWN_OS: &str = "unknown";

/// A runner as GitHub lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedRunner {
    /// The id of its present registration.
    pub id: RunnerId,
    /// Its name, unique within a target at any one time.
    pub name: String,
    /// `linux`, `windows`, `macos`, or `unknown` before it first connects.
    pub os: String,
    /// What GitHub reports, see [`Status::reported`].
    pub status: Status,
    /// Whether GitHub says that it runs a job; with an offline status: it went away in mid-job.
    pub busy: bool,
    /// Whether it leaves after one job.
    pub ephemeral: bool,
    /// The runner's version; absent until it has connected once.
    pub version: Option<String>,
    /// Label names, in GitHub's order.
    pub labels: Vec<String>,
}

impl ObservedRunner {
    /// Whether this reading shows that the runner has been connected to GitHub at some time. In a list that tells no runner's
    /// version (`reports_versions`), as an older Enterprise Server's, a missing one proves nothing.
    pub fn shows_connected(&self, reports_versions: bool) -> bool {
        let is_known = !reports_versions && self.os != UNKNOWN_OS;
        self.version.is_some() || self.status.is_healthy() || self.busy || is_known
    }
}

/// A page of the list as it is remembered between checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageTag {
    /// GitHub's ETag for the page; absent where GitHub gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// A short digest of the token that the ETag was given to: ETags differ between tokens.
    pub given_to: String,
    /// The runners on the page, by present id.
    pub runner_ids: Vec<RunnerId>,
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObservedPage {
    /// 304: the page is as remembered. A full reading of the runners on it.
    Unchanged(PageTag),
    /// The page in full. `tag.runner_ids` agrees with `runners`.
    Fresh {
        /// What to remember of the page.
        tag: PageTag,
        /// The runners on it.
        runners: Vec<ObservedRunner>,
    },
}

/// The answer for one runner that was asked for by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It is registered after all: the list had slipped.
    Found(ObservedRunner),
    /// 404: it is not registered.
    NotFound,
}

/// One look at a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// When the look began. Readings are dated by this.
    pub started_at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
}

/// Whether a look may lead to verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every page was read.
    Complete {
        /// The pages in order.
        pages: Vec<ObservedPage>,
        /// Runners missing from the list that were asked for by present id. One that could not be asked for is not in it.
        lookups: BTreeMap<RunnerId, Lookup>,
    },
    /// Every page was read, and they hold fewer runners than there are: what was read counts as ever, and what is missing
    /// proves nothing.
    Short {
        /// The pages in order.
        pages: Vec<ObservedPage>,
        /// As of a complete list.
        lookups: BTreeMap<RunnerId, Lookup>,
        /// What is missing.
        failure: Failure,
    },
    /// Some pages were read before it failed: no verdict about any runner.
    Partial(Failure),
    /// Nothing was read: no verdict about any runner.
    Failed(Failure),
}

/// Why a look failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// What kind of fault, sorted by what can be done about it.
    pub fault: Fault,
    /// One line in plain words for logs and notices; never holds a secret or an answer's body.
    pub detail: String,
}

impl Failure {
    /// A failure with its one line.
    pub fn new(fault: Fault, detail: impl Into<String>) -> Self {
        Self { fault, detail: detail.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// Faults of a look at GitHub, sorted by whom they concern and what can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Fault {
    /// 401, or a GitHub App that is not installed: the credential itself is refused.
    #[serde(rename_all = "camelCase")]
    Credential,
    /// A limit: nothing more until then.
    #[serde(rename_all = "camelCase")]
    Limited {
        /// When GitHub may be asked again.
        until: Timestamp,
    },
    /// DNS, no connection, TLS: GitHub was not reached.
    Network,
    /// 5xx or no answer in time: GitHub was reached and did not serve.
    Service,
    /// 403 without a limit: a missing permission, or single sign-on not authorised.
    Forbidden,
    /// 404, 410, 451: no such target, or no access to it.
    NotFound,
    /// A list that lacks runners which GitHub counts, or which cannot be watched.
    Incomplete,
    /// An answer that is not what GitHub describes: truncated, HTML, too large, of another shape.
    BrokenAnswer,
    /// A stored item of the target cannot be read: no fault of GitHub's.
    Unreadable,
}

impl Fault {
    /// Whether it would befall every target of the same credential.
    pub fn is_shared(self) -> bool {
        matches!(self, Fault::Credential | Fault::Limited { .. } | Fault::Network | Fault::Service)
    }
}

/// What an answer told about the credential, for whoever watches quotas and expiry dates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CredentialReport {
    /// A short digest of the personal access token that asked; absent where tokens are renewed by themselves.
    pub token: Option<u64>,
    /// When the token expires, if it says so.
    pub expires_at: Option<Timestamp>,
    /// Requests left of the hourly quota.
    pub quota_remaining: Option<u32>,
    /// The hourly quota.
    pub quota_limit: Option<u32>,
    /// When the quota is full again.
    pub quota_resets_at: Option<Timestamp>,
}
