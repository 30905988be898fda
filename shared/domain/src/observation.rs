//! The outcome of one check at GitHub, before anything is decided about it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::groups::RunnerGroups;
use crate::polling::PolledRuns;
use crate::queues::JobsSeen;
use crate::runner::Runner;
use crate::status::RunnerId;
use crate::time::Timestamp;

pub use crate::status::{ObservedRunner, UNKNOWN_OS};

/// A page of the list, as stored between checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageTag {
    /// GitHub's ETag for the page; `None` if GitHub sent none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// A short digest of the token that the ETag was issued to: ETags differ between tokens.
    pub given_to: String,
    /// The runners on the page, by current id.
    pub runner_ids: Vec<RunnerId>,
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObservedPage {
    /// 304: the page is as stored. It counts as a full observation of its runners.
    Unchanged(PageTag),
    /// The page in full. `tag.runner_ids` agrees with `runners`.
    Fresh {
        /// The tag to store for the page.
        tag: PageTag,
        /// The runners on it.
        runners: Vec<ObservedRunner>,
    },
}

/// The response for one runner that was looked up by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It is registered after all: it had slipped through the list.
    Found(ObservedRunner),
    /// 404: it is not registered.
    NotFound,
}

/// One check of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// When the check started. Everything observed is dated by this.
    pub started_at: Timestamp,
    /// The outcome of the check.
    pub outcome: Outcome,
    /// The target's jobs.
    pub jobs: JobsSeen,
    /// The names of the target's runner groups, if GitHub was asked for them.
    pub groups: Option<RunnerGroups>,
    /// What is known now of the repositories whose jobs the check reads.
    pub polled: Vec<PolledRuns>,
    /// For the pools of a credential: the stored runners of its targets.
    pub members: Vec<Runner>,
}

impl Observation {
    /// A check without jobs.
    pub fn of(started_at: Timestamp, outcome: Outcome) -> Self {
        Self { started_at, outcome, jobs: JobsSeen::Off, groups: None, polled: Vec::new(), members: Vec::new() }
    }
}

/// How much of the list a check read, and so what it may decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every page was read.
    Complete {
        /// The pages in order.
        pages: Vec<ObservedPage>,
        /// Lookups of runners missing from the list, by current id. A runner that could not be looked up is absent.
        lookups: BTreeMap<RunnerId, Lookup>,
    },
    /// Every page was read, but together they list fewer runners than GitHub counts. The listed runners are evaluated
    /// as usual; a missing runner proves nothing.
    Short {
        /// The pages in order.
        pages: Vec<ObservedPage>,
        /// As in a complete list.
        lookups: BTreeMap<RunnerId, Lookup>,
        /// What is missing from the list.
        failure: Failure,
    },
    /// The check failed after some pages: no runner is evaluated.
    Partial(Failure),
    /// The check read nothing: no runner is evaluated.
    Failed(Failure),
}

/// Why a check failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The kind of fault, by what can be done about it.
    pub fault: Fault,
    /// One line in plain words for logs and notifications; never contains a secret or a response body.
    pub detail: String,
}

impl Failure {
    /// A failure with its detail.
    pub fn new(fault: Fault, detail: impl Into<String>) -> Self {
        Self { fault, detail: detail.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// Faults of a check at GitHub, by whom they affect and what can be done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Fault {
    /// 401, or a GitHub App that is not installed: the credential itself is refused.
    #[serde(rename_all = "camelCase")]
    Credential,
    /// A rate limit: no further requests until it ends.
    #[serde(rename_all = "camelCase")]
    Limited {
        /// When GitHub may be asked again.
        until: Timestamp,
    },
    /// DNS, no connection, TLS: GitHub was not reached.
    Network,
    /// 5xx, or no response in time: GitHub was reached and did not serve the request.
    Service,
    /// 403 without a rate limit: a missing permission, or single sign-on not authorised.
    Forbidden,
    /// 404, 410, 451: no such target, or no access to it.
    NotFound,
    /// The list lacks runners that GitHub counts, or it cannot be monitored.
    Incomplete,
    /// The response is not what GitHub documents: truncated, HTML, too large, or of another shape.
    BrokenAnswer,
    /// A stored item of the target cannot be read. GitHub is not at fault.
    Unreadable,
}

impl Fault {
    /// Whether the fault would affect every target of the same credential.
    pub fn is_shared(self) -> bool {
        matches!(self, Fault::Credential | Fault::Limited { .. } | Fault::Network | Fault::Service)
    }
}

/// What a response says about the credential: its quota and its expiry date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CredentialReport {
    /// A short digest of the personal access token used; `None` if tokens are renewed automatically.
    pub token: Option<u64>,
    /// When the token expires, if GitHub says so.
    pub expires_at: Option<Timestamp>,
    /// Requests left in the current hour.
    pub quota_remaining: Option<u32>,
    /// The hourly quota.
    pub quota_limit: Option<u32>,
    /// When the next hour of the quota starts.
    pub quota_resets_at: Option<Timestamp>,
}
