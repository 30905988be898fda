//! Handles a tick: sends the jobs and returns their number.

use monitor_aws::Failure;
use monitor_aws::metrics::{Metric, Metrics};
use monitor_domain::cycle::pending_secs;
use monitor_pipeline::ports::{Clock, RunnerSource, Sender, Store};
use monitor_pipeline::stages::{Disposition, Schedule, ScheduleReport, Throttled};
use serde_json::{Value, json};
use tracing::{Instrument as _, info_span};

/// The result of a tick.
pub(crate) struct Report {
    /// The answer to Lambda: the number of jobs, or why the invocation failed.
    pub(crate) answer: Result<Value, Failure>,
    /// The metrics for CloudWatch.
    pub(crate) metrics: Metrics,
}

/// Accepts an event as a tick: EventBridge's `aws.events` or `aws.scheduler`, or an object written by hand. Its content
/// does not matter; only an event clearly meant for another function is refused.
pub(crate) fn accept(event: &Value) -> Result<(), Failure> {
    let is_tick = event.as_object().is_some_and(|event| !event.contains_key("Records"));
    let refusal = || {
        Failure::Event(
            "the event must be a tick of the schedule, for example {} or an event from events/scheduler-*.json"
                .to_owned(),
        )
    };
    is_tick.then_some(()).ok_or_else(refusal)
}

pub(crate) async fn handle<St: Store, Gh: RunnerSource, Jobs: Sender, Changes: Sender, Cl: Clock>(
    schedule: &Schedule<'_, St, Gh, Jobs, Changes, Cl>,
    request_id: &str,
) -> Report {
    let span = info_span!("schedule", stage = "schedule", request_id);
    let ScheduleReport { disposition, targets, dropped, throttled, pending_since } =
        schedule.run().instrument(span).await;
    let mut metrics = count(targets.len(), &throttled);
    // Without a target no poller runs that could report it.
    metrics.most(Metric::OldestPendingNotificationSecs, pending_secs(pending_since, schedule.clock.now()));
    let answer = match disposition {
        Disposition::Done => Ok(json!({"targets": targets.len(), "dropped": dropped.len()})),
        // Lambda retries twice, and the next tick sends the same jobs.
        Disposition::Retry { reason, .. } | Disposition::DeadLetter { reason } => Err(Failure::Aborted(reason)),
    };
    Report { answer, metrics }
}

pub(crate) fn count(targets: usize, throttled: &[Throttled]) -> Metrics {
    let mut metrics = Metrics::of("scheduler");
    metrics.add(Metric::TargetsScheduled, u64::try_from(targets).unwrap_or(u64::MAX));
    // Logged only while a credential is throttled.
    if let Some(every) = throttled.iter().map(|throttled| throttled.every).max() {
        metrics.add(Metric::EffectiveInterval, every.as_secs());
    }
    metrics
}
