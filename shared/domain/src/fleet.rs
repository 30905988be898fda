//! What is remembered of one target.

use serde::{Deserialize, Serialize};

use crate::observation::{Failure, PageTag};
use crate::runner::{Runner, RunnerId};
use crate::subject::{CredentialId, Revision};
use crate::target::Target;
use crate::time::Timestamp;

/// A target's own record: the lock, the ETags and whether it can be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetRecord {
    /// The target.
    pub target: Target,
    /// The last committed revision. A commit makes the next one, once.
    pub revision: Revision,
    /// The last revision with something to tell.
    pub last_notifiable: Revision,
    /// The last revision that opens or closes an outage.
    #[serde(default)]
    pub last_outage_change: Revision,
    /// Everything before this revision was notified and recorded when it was committed: the notifier need not read it.
    #[serde(default)]
    pub first_pending: Revision,
    /// When the first complete look began; none before it, and after the target was dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched_since: Option<Timestamp>,
    /// When the last complete look began that led to a commit.
    pub observed_at: Timestamp,
    /// The pages of the last complete look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<PageTag>,
    /// Set while looks fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// Whether the last commit was one part of several, so that the next must come even with nothing in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
}

impl TargetRecord {
    /// A target of which nothing is known yet.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            revision: Revision(0),
            last_notifiable: Revision(0),
            last_outage_change: Revision(0),
            first_pending: Revision(0),
            watched_since: None,
            observed_at: Timestamp::default(),
            pages: Vec::new(),
            failing: None,
            unfinished: false,
        }
    }
}

/// Looks that fail: at a target, or by a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failing {
    /// When the first failed look began.
    pub since: Timestamp,
    /// Why: the first reason, then the one that was told.
    pub failure: Failure,
    /// Whether it has failed for as long as the policy's `unreachable`.
    pub unreachable: bool,
    /// Whether a notice was committed that says so.
    pub notified: bool,
}

/// What is known of a target, as read in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// The target's own record; new where the store had none.
    pub record: TargetRecord,
    /// Its runners, in order of their id, without retired ones.
    pub runners: Vec<Runner>,
    /// Retired runners whose records are still there, to be deleted.
    pub leftovers: Vec<RunnerId>,
    /// When a look that changed nothing last began, kept at most ten minutes behind.
    pub last_seen_at: Option<Timestamp>,
    /// When the latest check that changed nothing began, as far as this process made it: later than what is stored.
    pub checked_at: Option<Timestamp>,
}

impl Fleet {
    /// A fleet of which nothing is known yet.
    pub fn unknown(target: Target) -> Self {
        Self {
            record: TargetRecord::new(target),
            runners: Vec::new(),
            leftovers: Vec::new(),
            last_seen_at: None,
            checked_at: None,
        }
    }

    /// The latest look that is on record.
    pub fn seen_at(&self) -> Option<Timestamp> {
        self.checks().max()
    }

    /// The latest look that is on record and that a check begun at `at` can believe to lie before it.
    pub fn seen_before(&self, at: Timestamp) -> Option<Timestamp> {
        self.checks().filter(|check| !check.is_impossible(at)).max()
    }

    /// The latest check before one that began at `at`: stored, or made by this process.
    pub fn checked_before(&self, at: Timestamp) -> Option<Timestamp> {
        self.checks().chain(self.checked_at).filter(|check| !check.is_impossible(at)).max()
    }

    fn checks(&self) -> impl Iterator<Item = Timestamp> {
        let committed = self.record.watched_since.map(|_| self.record.observed_at);
        committed.into_iter().chain(self.last_seen_at)
    }
}

/// Runners by state, counted after a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Registered runners.
    pub total: u32,
    /// Those that GitHub reports online.
    pub online: u32,
    /// Those with an open outage.
    pub down: u32,
}

impl Counts {
    /// Counts runners that are registered.
    pub fn of<'a>(runners: impl IntoIterator<Item = &'a Runner>) -> Self {
        let mut counts = Self::default();
        for runner in runners.into_iter().filter(|runner| !runner.is_gone()) {
            counts.total += 1;
            counts.online += u32::from(runner.status.is_healthy());
            counts.down += u32::from(runner.open_outage().is_some());
        }
        counts
    }
}

/// What is remembered of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialRecord {
    /// Which credential.
    pub id: CredentialId,
    /// The last committed revision.
    pub revision: Revision,
    /// The last revision with something to tell.
    pub last_notifiable: Revision,
    /// Set while looks by it fail for a reason that all its targets share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// The last warning that it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_warning: Option<ExpiryWarning>,
}

impl CredentialRecord {
    /// A credential of which nothing is known yet.
    pub fn new(id: CredentialId) -> Self {
        Self { id, revision: Revision(0), last_notifiable: Revision(0), failing: None, expiry_warning: None }
    }
}

/// A warning that a token expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpiryWarning {
    /// When it expires.
    pub expires_at: Timestamp,
    /// Which stage: 14, 3 or 1 days ahead, or 0 for a token that has expired.
    pub days: u32,
    /// Which token, by its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<u64>,
}
