//! Handles a batch of jobs: checks the target of each one, stores the reports of workflow jobs that are among them, and
//! returns the messages to retry.

use std::cell::{Cell, RefCell};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use monitor_aws::batch::{self, Budget, FailureSink, Record};
use monitor_aws::metrics::{Metric, Metrics};
use monitor_domain::cycle::pending_secs;
use monitor_domain::observation::Fault;
use monitor_pipeline::messages::{CheckJob, ChecksMessage, Reason};
use monitor_pipeline::ports::{Clock, RunnerSource, Sender, Store};
use monitor_pipeline::stages::{Check, CheckEnding, CheckReport, Disposition, KnownTargets, RecordJob};
use tracing::{Instrument as _, info_span};

/// How many targets are checked at the same time: a whole batch.
const AT_ONCE: usize = 10;

/// One batch and what it is handled with.
pub(crate) struct Batch<'a, St, Gh, Jobs, Changes, Cl, Bs> {
    /// The stage with its ports.
    pub(crate) check: &'a Check<'a, St, Gh, Jobs, Changes, Cl>,
    /// The list of targets, to which the reports of workflow jobs belong.
    pub(crate) known: &'a KnownTargets,
    /// Receives the messages that were not handled successfully.
    pub(crate) failure_sink: &'a Bs,
    /// The time that is left for the batch.
    pub(crate) budget: Budget,
    /// The id of the invocation, for logs and metrics.
    pub(crate) request_id: &'a str,
}

/// The result of a batch.
pub(crate) struct BatchReport {
    /// The answer to Lambda: the messages to retry.
    pub(crate) response: SqsBatchResponse,
    /// The metrics for CloudWatch.
    pub(crate) metrics: Metrics,
    /// Whether to read the settings again: a secret was refused, or may have been.
    pub(crate) reload_settings: bool,
}

impl<St: Store, Gh: RunnerSource, Jobs: Sender, Changes: Sender, Cl: Clock, Bs: FailureSink>
    Batch<'_, St, Gh, Jobs, Changes, Cl, Bs>
{
    pub(crate) async fn handle(&self, event: SqsEvent) -> BatchReport {
        let metrics = RefCell::new(Metrics::of("poller"));
        for metric in [Metric::ChecksFailed, Metric::ChecksLate, Metric::JobsExpired] {
            metrics.borrow_mut().add(metric, 0);
        }
        let reload_settings = Cell::new(false);
        let check_one = async |record: &Record| {
            let job = match ChecksMessage::from_json(&record.body) {
                Ok(ChecksMessage::Check(job)) => job,
                Ok(ChecksMessage::Report(report)) => {
                    let Check { store, clock, .. } = self.check;
                    return RecordJob { store: *store, clock: *clock, known: self.known }.run(&report).await;
                }
                Err(error) => return Disposition::DeadLetter { reason: error.to_string() },
            };
            let span = info_span!("check", stage = "check", request_id = self.request_id, target_id = %job.target);
            let report = self.check.run(&job).instrument(span).await;
            reload_settings.set(reload_settings.get() || is_refusal(&report));
            let mut metrics = metrics.borrow_mut();
            count(&mut metrics, &job, &report);
            // Measured by the poller because a dead notifier publishes nothing.
            let pending_secs = pending_secs(report.pending_since, self.check.clock.now());
            metrics.most(Metric::OldestPendingNotificationSecs, pending_secs);
            report.disposition
        };
        let span = info_span!("batch", stage = "check", request_id = self.request_id);
        let handled = batch::handle(event, self.budget, AT_ONCE, self.failure_sink, check_one).instrument(span).await;
        let mut metrics = metrics.into_inner();
        metrics.add(Metric::MessagesDeadLettered, u64::from(handled.dead_letter));
        BatchReport { response: handled.response, metrics, reload_settings: reload_settings.get() }
    }
}

/// Whether GitHub refused the credential, or the store failed: its key may have been rotated.
fn is_refusal(report: &CheckReport) -> bool {
    let by_github = matches!(&report.ending, CheckEnding::Failed(failure) if failure.fault == Fault::Credential);
    by_github || report.ending == CheckEnding::Broken
}

pub(crate) fn count(metrics: &mut Metrics, job: &CheckJob, report: &CheckReport) {
    match &report.ending {
        CheckEnding::Seen(counts) => {
            // Only scheduled jobs count: one per target and interval, so that the sum over an interval is the fleet,
            // and a manual job cannot hide from the dead-man's switch that the ticks have stopped.
            if job.reason == Reason::Schedule {
                metrics.note(Metric::ChecksCompleted, 1);
                metrics.add(Metric::RunnersTotal, counts.total.into());
                metrics.add(Metric::RunnersOnline, counts.online.into());
                metrics.add(Metric::RunnersDown, counts.down.into());
            }
        }
        CheckEnding::Failed(_) | CheckEnding::Broken => metrics.add(Metric::ChecksFailed, 1),
        CheckEnding::Late(_) => {
            metrics.add(Metric::ChecksFailed, 1);
            metrics.add(Metric::ChecksLate, 1);
        }
        CheckEnding::Expired => {
            // The zero makes the average of the metric the share of the jobs that were in time.
            metrics.note(Metric::ChecksCompleted, 0);
            metrics.add(Metric::JobsExpired, 1);
        }
        CheckEnding::NotConfigured | CheckEnding::Dropped | CheckEnding::Outrun | CheckEnding::Covered => {}
    }
    if let Some(left) = report.credential.quota_remaining {
        metrics.least(Metric::QuotaRemaining, left.into());
    }
}
