//! The stored state as JSON, for the commands of the program and for the API.

use std::collections::BTreeMap;

use monitor_domain::fleet::Fleet;
use monitor_domain::jobs::{JobName, WaitingJobs};
use monitor_domain::outage::Outage;
use monitor_domain::pool::PoolCounts;
use monitor_domain::runner::{Health, Runner};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_pipeline::ports::{Store, StoreError};
use monitor_pipeline::records::read_versions;
use serde::Serialize;
use serde_json::{Value, json};

/// When GitHub gives no more jobs to versions of the runner.
pub type VersionEnds = BTreeMap<String, Timestamp>;

/// When the versions of the runners of these targets end, as GitHub last answered.
pub async fn version_ends(store: &impl Store, targets: &[Target]) -> Result<VersionEnds, StoreError> {
    let versions = read_versions(store, targets.iter()).await?.into_iter();
    Ok(versions.filter_map(|(version, record)| Some((version, record.ends_at()?))).collect())
}

/// The key `monitoring`: the last tick, and why monitoring is not complete.
pub fn monitoring(ticked_at: Option<Timestamp>, not_complete: &[String]) -> Value {
    json!({"lastTickAt": ticked_at, "notComplete": not_complete})
}

/// A target as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetView<'a> {
    target: &'a str,
    /// When the state shown here was last confirmed by a check.
    seen_at: Option<Timestamp>,
    /// Why its checks fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a str>,
    runners: Vec<RunnerView<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pools: Vec<PoolView<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    queues: Vec<QueueView<'a>>,
}

/// A pool as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PoolView<'a> {
    id: u64,
    labels: &'a [String],
    total: u32,
    online: u32,
    wanted: u32,
    since: Timestamp,
    condition: &'static str,
}

/// A queue in which jobs wait too long as JSON.
#[derive(Serialize)]
struct QueueView<'a> {
    id: u64,
    labels: &'a [String],
    waiting: &'a WaitingJobs,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RunnerView<'a> {
    id: u64,
    name: &'a str,
    status: String,
    since: Timestamp,
    condition: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    outage_started_at: Option<Timestamp>,
    os: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    /// When GitHub gives no more jobs to that version.
    #[serde(skip_serializing_if = "Option::is_none")]
    version_ends_at: Option<Timestamp>,
    /// When GitHub removes the runner if it stays offline, at the earliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    removed_from: Option<Timestamp>,
    /// The same, at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    removed_by: Option<Timestamp>,
    labels: &'a [String],
    /// The name of its runner group.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    ephemeral: bool,
    /// The job that it runs, if jobs are monitored.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<&'a JobName>,
    /// Whether the policy alerts about its pool only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pool_alerts_only: bool,
}

impl<'a> TargetView<'a> {
    /// A target.
    pub fn of(fleet: &'a Fleet, ends: &VersionEnds) -> Self {
        let ends_at = |runner: &Runner| ends.get(runner.version.as_ref()?).copied();
        Self {
            target: fleet.record.target.as_str(),
            seen_at: fleet.seen_at(),
            failure: fleet.record.failing.as_ref().map(|failing| failing.failure.detail.as_str()),
            runners: fleet.runners.iter().map(|runner| RunnerView::of(fleet, runner, ends_at(runner))).collect(),
            pools: fleet.pools.iter().filter_map(PoolView::of).collect(),
            queues: fleet.queues.iter().filter_map(QueueView::of).collect(),
        }
    }
}

impl<'a> PoolView<'a> {
    fn of(pool: &'a Runner) -> Option<Self> {
        let PoolCounts { total, online, wanted } = pool.pool?;
        let (since, condition) = (pool.status_since, condition(pool));
        Some(Self { id: pool.id.0, labels: &pool.labels, total, online, wanted, since, condition })
    }
}

impl<'a> QueueView<'a> {
    fn of(queue: &'a Runner) -> Option<Self> {
        Some(Self { id: queue.id.0, labels: &queue.labels, waiting: queue.waiting.as_deref()? })
    }
}

impl<'a> RunnerView<'a> {
    fn of(fleet: &'a Fleet, runner: &'a Runner, version_ends_at: Option<Timestamp>) -> Self {
        let removal = runner.open_outage().and_then(Outage::removal);
        Self {
            id: runner.current_id.0,
            name: &runner.name,
            status: runner.status.to_string(),
            since: runner.status_since,
            condition: condition(runner),
            outage_started_at: runner.open_outage().map(|outage| outage.started_at),
            os: &runner.os,
            version: runner.version.as_deref(),
            version_ends_at,
            removed_from: removal.and_then(|removal| removal.earliest),
            removed_by: removal.map(|removal| removal.latest),
            labels: &runner.labels,
            group: fleet.group_of(runner),
            ephemeral: runner.ephemeral,
            job: runner.current_job(),
            pool_alerts_only: runner.is_pooled,
        }
    }
}

/// A runner's condition in one or two words.
pub fn condition(runner: &Runner) -> &'static str {
    match &runner.health {
        Health::Healthy if runner.flapping.is_some() => "flapping",
        Health::Healthy if !runner.status.is_healthy() => "ignored",
        Health::Healthy => "healthy",
        Health::Suspect(_) if runner.never_connected() => "never connected",
        Health::Suspect(_) => "suspect",
        Health::Down(down) if down.healthy_count > 0 => "recovering",
        Health::Down(_) => "down",
        Health::Gone { .. } => "no longer registered",
        Health::Retired => "forgotten",
    }
}
