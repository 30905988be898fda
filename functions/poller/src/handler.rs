//! A batch of jobs in, a look at each one's target, what is to come again out.

use std::cell::{Cell, RefCell};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use monitor_aws::batch::{self, Budget, FailureSink, Record};
use monitor_domain::cycle::pending_secs;
use monitor_domain::observation::Fault;
use monitor_pipeline::messages::{CheckJob, Reason};
use monitor_pipeline::ports::{Clock, RunnerSource, Sender, Store};
use monitor_pipeline::stages::{Check, CheckReport, Disposition, Ending};
use monitor_telemetry::metrics::{Metric, Metrics};
use tracing::{Instrument as _, info_span};

/// How many targets are looked at at once: a whole batch.
const AT_ONCE: usize = 10;

/// How a batch is handled.
pub(crate) struct Batch<'a, St, Gh, Jobs, Changes, Cl, Bs> {
    /// The stage with its ports.
    pub(crate) check: &'a Check<'a, St, Gh, Jobs, Changes, Cl>,
    /// Where messages go that were not done.
    pub(crate) failure_sink: &'a Bs,
    /// How much time there is.
    pub(crate) budget: Budget,
    /// The invocation.
    pub(crate) request_id: &'a str,
}

/// What came of a batch.
pub(crate) struct Report {
    /// For Lambda.
    pub(crate) response: SqsBatchResponse,
    /// For CloudWatch.
    pub(crate) metrics: Metrics,
    /// Whether a secret was refused, or may have been: the settings are worth another look.
    pub(crate) reload_settings: bool,
}

impl<St: Store, Gh: RunnerSource, Jobs: Sender, Changes: Sender, Cl: Clock, Bs: FailureSink>
    Batch<'_, St, Gh, Jobs, Changes, Cl, Bs>
{
    pub(crate) async fn handle(&self, event: SqsEvent) -> Report {
        let metrics = RefCell::new(Metrics::of("poller"));
        for metric in [Metric::ChecksCompleted, Metric::ChecksFailed, Metric::ChecksLate, Metric::JobsExpired] {
            metrics.borrow_mut().add(metric, 0);
        }
        let reload_settings = Cell::new(false);
        let check_one = async |record: &Record| {
            let job = match CheckJob::from_json(&record.body) {
                Ok(job) => job,
                Err(error) => return Disposition::DeadLetter { reason: error.to_string() },
            };
            let span = info_span!("check", stage = "check", request_id = self.request_id, target_id = %job.target);
            let report = self.check.run(&job).instrument(span).await;
            reload_settings.set(reload_settings.get() || is_refusal(&report));
            let mut metrics = metrics.borrow_mut();
            count(&mut metrics, &job, &report);
            // The poller's to say: a notifier that is dead says nothing.
            let pending_secs = pending_secs(report.pending_since, self.check.clock.now());
            metrics.most(Metric::OldestPendingNotificationSecs, pending_secs);
            report.disposition
        };
        let span = info_span!("batch", stage = "check", request_id = self.request_id);
        let handled = batch::handle(event, self.budget, AT_ONCE, self.failure_sink, check_one).instrument(span).await;
        let mut metrics = metrics.into_inner();
        metrics.add(Metric::MessagesDeadLettered, u64::from(handled.dead_letter));
        Report { response: handled.response, metrics, reload_settings: reload_settings.get() }
    }
}

/// GitHub refused the credential, or the store did not do what it was asked: its key may have been changed.
fn is_refusal(report: &CheckReport) -> bool {
    let by_github = matches!(&report.ending, Ending::Failed(failure) if failure.fault == Fault::Credential);
    by_github || report.ending == Ending::Broken
}

pub(crate) fn count(metrics: &mut Metrics, job: &CheckJob, report: &CheckReport) {
    match &report.ending {
        Ending::Seen(counts) => {
            // Of each target once an interval, so that the sum over one is the fleet; and so that no job by hand keeps the
            // dead-man's switch from seeing that the ticks have stopped.
            if job.reason == Reason::Schedule {
                metrics.add(Metric::ChecksCompleted, 1);
                metrics.add(Metric::RunnersTotal, counts.total.into());
                metrics.add(Metric::RunnersOnline, counts.online.into());
                metrics.add(Metric::RunnersDown, counts.down.into());
            }
        }
        Ending::Failed(_) | Ending::Broken => metrics.add(Metric::ChecksFailed, 1),
        Ending::Late(_) => {
            metrics.add(Metric::ChecksFailed, 1);
            metrics.add(Metric::ChecksLate, 1);
        }
        Ending::Expired => metrics.add(Metric::JobsExpired, 1),
        Ending::NotConfigured | Ending::Dropped | Ending::Outrun | Ending::Covered => {}
    }
    if let Some(left) = report.credential.quota_remaining {
        metrics.least(Metric::QuotaRemaining, left.into());
    }
}
