//! The stored state of targets and credentials.

use serde::{Deserialize, Serialize};

use crate::groups::RunnerGroups;
use crate::observation::{Failure, ObservedPage, ObservedRunner, PageTag};
use crate::polling::PolledRuns;
use crate::runner::{Runner, RunnerId};
use crate::subject::{CredentialId, Revision};
use crate::target::{Target, TargetKind};
use crate::time::Timestamp;
use crate::versions::{VersionRecord, VersionWarning};

/// A target's own record: the lock, the ETags and whether the target is reachable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetRecord {
    /// The target.
    pub target: Target,
    /// The last committed revision. The next revision can be committed only once.
    pub revision: Revision,
    /// The last revision that produces a notification.
    pub last_notifiable: Revision,
    /// The last revision that opens or closes an outage.
    #[serde(default)]
    pub last_outage_change: Revision,
    /// Everything before this revision was already notified and recorded when it was committed: the notifier need not
    /// read it.
    #[serde(default)]
    pub first_pending: Revision,
    /// When the first complete check started; `None` before that, and after the target was dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched_since: Option<Timestamp>,
    /// When the last complete check that led to a commit started.
    pub observed_at: Timestamp,
    /// The pages of the last complete check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<PageTag>,
    /// Set while checks fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// Whether the last commit was not the last part of its decision. The next check must then commit even without
    /// changes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
    /// The last warning about each version of its runners that GitHub ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub version_warnings: Vec<VersionWarning>,
    /// The names of its runner groups.
    #[serde(default, skip_serializing_if = "RunnerGroups::is_unknown")]
    pub groups: RunnerGroups,
    /// What the last check knew of the repositories whose jobs it reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub polled: Vec<PolledRuns>,
}

impl TargetRecord {
    /// A target about which nothing is known yet.
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
            version_warnings: Vec::new(),
            groups: RunnerGroups::default(),
            polled: Vec::new(),
        }
    }
}

/// Consecutive failed checks of a target, or with a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failing {
    /// When the first failed check started.
    pub since: Timestamp,
    /// Why: the reason of the first failed check, later the reason that was notified.
    pub failure: Failure,
    /// Whether checks have failed for as long as the policy's `unreachableAfter`.
    pub unreachable: bool,
    /// Whether a notification of that was committed.
    pub notified: bool,
}

/// Everything stored about a target, as read in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// The target's own record; a new one if the store has none.
    pub record: TargetRecord,
    /// Its runners in order of their id, without retired ones.
    pub runners: Vec<Runner>,
    /// Its pools in order of their id.
    pub pools: Vec<Runner>,
    /// Its queues in which jobs wait too long, in order of their id.
    pub queues: Vec<Runner>,
    /// Retired runners whose records still exist and are to be deleted.
    pub leftovers: Vec<RunnerId>,
    /// When a check that changed nothing last started; up to ten minutes late.
    pub last_seen_at: Option<Timestamp>,
    /// When the latest check by this process that changed nothing started; more recent than the stored time.
    pub checked_at: Option<Timestamp>,
}

impl Fleet {
    /// A fleet about which nothing is known yet.
    pub fn unknown(target: Target) -> Self {
        Self {
            record: TargetRecord::new(target),
            runners: Vec::new(),
            pools: Vec::new(),
            queues: Vec::new(),
            leftovers: Vec::new(),
            last_seen_at: None,
            checked_at: None,
        }
    }

    /// The queues, the pools and then the runners: everything that can have an outage.
    pub fn pools_and_runners(&self) -> impl Iterator<Item = &Runner> {
        self.queues.iter().chain(&self.pools).chain(&self.runners)
    }

    /// Whether it is a target that people configured, not the pools of a credential.
    pub fn is_target(&self) -> bool {
        self.record.target.kind() != TargetKind::Pools
    }

    /// The name of a runner's group, if it is known.
    pub fn group_of(&self, runner: &Runner) -> Option<&str> {
        self.record.groups.name_of(runner.group_id?)
    }

    /// Whether GitHub is to be asked for the names of the runner groups after a list with these pages: it has a runner in
    /// a group without a name, or the names are a day old. A page that has not changed asks nothing, so that a steady
    /// check costs no request more.
    pub fn asks_for_group_names(&self, pages: &[ObservedPage], now: Timestamp) -> bool {
        let groups = &self.record.groups;
        let fresh = pages.iter().flat_map(|page| match page {
            ObservedPage::Fresh { runners, .. } => &runners[..],
            ObservedPage::Unchanged(_) => &[],
        });
        let are_old = groups.are_old(now);
        let asks = |runner: &ObservedRunner| runner.group_id.is_some_and(|id| are_old || groups.name_of(id).is_none());
        self.record.target.kind() != TargetKind::Repository && fresh.into_iter().any(asks)
    }

    /// When GitHub gives no more jobs to a runner's version, as far as the target's people were warned of it.
    pub fn version_ends_at(&self, runner: &Runner) -> Option<Timestamp> {
        let version = runner.version.as_ref().filter(|_| !runner.is_gone())?;
        let warnings = self.record.version_warnings.iter().filter(|warning| !warning.is_withdrawn);
        warnings.into_iter().find(|warning| warning.version == *version).map(|warning| warning.ends_at)
    }

    /// The start of the latest stored check.
    pub fn seen_at(&self) -> Option<Timestamp> {
        self.checks().max()
    }

    /// The start of the latest stored check that a check started at `at` can plausibly follow.
    pub fn seen_before(&self, at: Timestamp) -> Option<Timestamp> {
        self.checks().filter(|check| !check.is_impossible(at)).max()
    }

    /// The start of the latest check, stored or made by this process, that a check started at `at` can plausibly
    /// follow.
    pub fn checked_before(&self, at: Timestamp) -> Option<Timestamp> {
        self.checks().chain(self.checked_at).filter(|check| !check.is_impossible(at)).max()
    }

    fn checks(&self) -> impl Iterator<Item = Timestamp> {
        let committed = self.record.watched_since.map(|_| self.record.observed_at);
        committed.into_iter().chain(self.last_seen_at)
    }
}

/// The number of runners in each state after a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Registered runners.
    pub total: u32,
    /// Runners that GitHub reports online.
    pub online: u32,
    /// Runners with an open outage.
    pub down: u32,
}

impl Counts {
    /// Counts the registered ones among these runners. Pools and queues do not count.
    pub fn of<'a>(runners: impl IntoIterator<Item = &'a Runner>) -> Self {
        let mut counts = Self::default();
        for runner in runners.into_iter().filter(|runner| !runner.is_gone() && runner.is_one()) {
            counts.total += 1;
            counts.online += u32::from(runner.status.is_healthy());
            counts.down += u32::from(runner.open_outage().is_some());
        }
        counts
    }
}

/// The stored state of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialRecord {
    /// The identity of the credential.
    pub id: CredentialId,
    /// The last committed revision.
    pub revision: Revision,
    /// The last revision that produces a notification.
    pub last_notifiable: Revision,
    /// Set while checks with it fail for a reason that all its targets share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// When its last notified failure ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered_at: Option<Timestamp>,
    /// The last warning of its expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_warning: Option<ExpiryWarning>,
    /// What GitHub last said about each version of the runners of its targets, in order of the version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<VersionRecord>,
}

impl CredentialRecord {
    /// A credential about which nothing is known yet.
    pub fn new(id: CredentialId) -> Self {
        Self {
            id,
            revision: Revision(0),
            last_notifiable: Revision(0),
            failing: None,
            recovered_at: None,
            expiry_warning: None,
            versions: Vec::new(),
        }
    }
}

/// A warning of a token's expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpiryWarning {
    /// When the token expires.
    pub expires_at: Timestamp,
    /// The stage of the warning: 14, 3 or 1 days ahead, or 0 for an expired token.
    pub days: u32,
    /// A digest of the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<u64>,
}
