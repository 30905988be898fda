//! Handles a batch of state-change messages: delivers each subject's pending notifications and returns the messages to
//! retry.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use monitor_aws::batch::{self, Budget, FailureSink, Record};
use monitor_aws::metrics::{Metric, Metrics};
use monitor_domain::notifications::{Notification, NotificationItem};
use monitor_domain::time::Timestamp;
use monitor_pipeline::items::{Acknowledgement, Delivered, LiveMessage, MessagePlace};
use monitor_pipeline::messages::StateChange;
use monitor_pipeline::ports::{Chat, ChatError, Clock, EditError, Form, Route, Store};
use monitor_pipeline::stages::{Disposition, Notify};
use tracing::{Instrument as _, info_span};

/// How many subjects are handled at the same time. Slack accepts about one message a second.
const AT_ONCE: usize = 4;

/// A chat that remembers whether an error showed that it accepts no messages until a person fixes something.
pub(crate) struct WatchedChat<'a, Ch> {
    chat: &'a Ch,
    is_dead: AtomicBool,
}

impl<'a, Ch> WatchedChat<'a, Ch> {
    pub(crate) fn new(chat: &'a Ch) -> Self {
        Self { chat, is_dead: AtomicBool::new(false) }
    }

    fn inspect(&self, error: Option<&ChatError>) {
        if matches!(error, Some(ChatError::Dead(_))) {
            self.is_dead.store(true, Ordering::Relaxed);
        }
    }
}

impl<Ch: Chat> Chat for WatchedChat<'_, Ch> {
    async fn send(&self, notification: &Notification, form: Form, to: Route<'_>) -> Result<Delivered, ChatError> {
        let sent = self.chat.send(notification, form, to).await;
        self.inspect(sent.as_ref().err());
        sent
    }

    async fn reply(&self, notification: &Notification, form: Form, to: &MessagePlace) -> Result<Delivered, EditError> {
        let sent = self.chat.reply(notification, form, to).await;
        self.inspect(sent.as_ref().err().and_then(of_chat));
        sent
    }

    async fn edit(
        &self,
        message: &LiveMessage,
        notification: &Notification,
        form: Form,
        acknowledged: &[Acknowledgement],
    ) -> Result<(), EditError> {
        let edited = self.chat.edit(message, notification, form, acknowledged).await;
        self.inspect(edited.as_ref().err().and_then(of_chat));
        edited
    }
}

fn of_chat(error: &EditError) -> Option<&ChatError> {
    match error {
        EditError::Chat(error) => Some(error),
        EditError::Gone => None,
    }
}

/// One batch and what it is handled with.
pub(crate) struct Batch<'a, St, Ch, Cl, Bs> {
    /// The stage with its ports.
    pub(crate) notify: &'a Notify<'a, St, WatchedChat<'a, Ch>, Cl>,
    /// Receives the messages that were not handled successfully.
    pub(crate) failure_sink: &'a Bs,
    /// The time that is left for the batch.
    pub(crate) budget: Budget,
    /// The id of the invocation, for logs and metrics.
    pub(crate) request_id: &'a str,
}

/// The result of a batch.
pub(crate) struct Report {
    /// The answer to Lambda: the messages to retry.
    pub(crate) response: SqsBatchResponse,
    /// The metrics for CloudWatch.
    pub(crate) metrics: Metrics,
    /// Whether to read the settings again: the webhook or token is dead, or the store's key may have been rotated.
    pub(crate) reload_settings: bool,
}

impl<St: Store, Ch: Chat, Cl: Clock, Bs: FailureSink> Batch<'_, St, Ch, Cl, Bs> {
    pub(crate) async fn handle(&self, event: SqsEvent) -> Report {
        let metrics = RefCell::new(Metrics::of("notifier"));
        metrics.borrow_mut().add(Metric::NotificationsSent, 0);
        let is_broken = Cell::new(false);
        let notify_one = async |record: &Record| {
            let StateChange { subject, .. } = match StateChange::from_json(&record.body) {
                Ok(message) => message,
                Err(error) => return Disposition::DeadLetter { reason: error.to_string() },
            };
            let span = info_span!("notify", stage = "notify", request_id = self.request_id, %subject);
            let report = self.notify.run(&subject, record.receives).instrument(span).await;
            // A notification postponed because of Slack is no sign of a rotated store key.
            let is_put_off = report.disposition == Disposition::Done || report.next_attempt_at.is_some();
            is_broken.set(is_broken.get() || !is_put_off);
            count(&mut metrics.borrow_mut(), &report.delivered, self.notify.clock.now());
            report.disposition
        };
        let span = info_span!("batch", stage = "notify", request_id = self.request_id);
        let handled = batch::handle(event, self.budget, AT_ONCE, self.failure_sink, notify_one).instrument(span).await;
        let mut metrics = metrics.into_inner();
        metrics.add(Metric::MessagesDeadLettered, u64::from(handled.dead_letter));
        let reload_settings = is_broken.get() || self.notify.chat.is_dead.load(Ordering::Relaxed);
        Report { response: handled.response, metrics, reload_settings }
    }
}

fn count(metrics: &mut Metrics, delivered: &[Notification], now: Timestamp) {
    for notification in delivered {
        metrics.add(Metric::NotificationsSent, 1);
        let outages = notification.items.iter().flat_map(|item| match item {
            NotificationItem::Offline { outages } => &outages[..],
            _ => &[],
        });
        if let Some(started_at) = outages.map(|outage| outage.started_at).min() {
            metrics.most(Metric::AlertLatency, u64::try_from(now.since(started_at).as_millis()).unwrap_or(u64::MAX));
        }
    }
}
