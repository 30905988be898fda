//! A batch of messages, each handled separately.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use monitor_pipeline::ports::QueueError;
use monitor_pipeline::stages::Disposition;
use tokio::time::{Instant, timeout_at};
use tracing::{error, warn};

/// One message of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its id, which reports it as failed to Lambda.
    pub message_id: String,
    /// The receipt handle of this delivery.
    pub receipt: String,
    /// Its text, unparsed.
    pub body: String,
    /// Its message group, if it has one.
    pub group: Option<String>,
    /// How often it was delivered, including this time; at least 1.
    pub receives: u32,
    /// The ARN of the queue that it comes from.
    pub queue_arn: Option<String>,
    /// Whether that is a FIFO queue.
    is_fifo: bool,
}

impl From<SqsMessage> for Record {
    fn from(mut message: SqsMessage) -> Self {
        let arn = message.event_source_arn;
        // A standard queue can have groups too, but has no order.
        let is_fifo = arn.as_deref().is_some_and(|arn| arn.ends_with(".fifo"))
            || message.attributes.contains_key("SequenceNumber");
        let receives = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
        Self {
            receives: receives.unwrap_or(1),
            message_id: message.message_id.unwrap_or_default(),
            receipt: message.receipt_handle.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
            group: message.attributes.remove("MessageGroupId"),
            queue_arn: arn,
            is_fifo,
        }
    }
}

/// Takes the messages that were not handled successfully.
pub trait FailureSink {
    /// Moves it to a place where a person sees it.
    fn dead_letter(&self, record: &Record, reason: &str) -> impl Future<Output = Result<(), QueueError>>;

    /// Keeps its queue from delivering it again for a while, if possible.
    fn put_off(&self, record: &Record, after: Duration) -> impl Future<Output = ()>;
}

/// The time limits of an invocation.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// After this moment no message is started.
    pub begin_until: Instant,
    /// At this moment messages in progress are cancelled, so that the others can be acknowledged.
    pub end_by: Instant,
}

impl Budget {
    /// The budget of an invocation with `left` time. A message may take a quarter of it, and at most 20 s.
    pub fn of(left: Duration) -> Self {
        let now = Instant::now();
        let to_answer = (left / 20).min(Duration::from_secs(2));
        let to_work = (left / 4).min(Duration::from_secs(20));
        Self {
            begin_until: now + left.saturating_sub(to_answer + to_work),
            end_by: now + left.saturating_sub(to_answer),
        }
    }
}

/// The result of a batch.
#[derive(Clone, Debug, Default)]
pub struct Handled {
    /// The answer to Lambda: the messages to deliver again.
    pub response: SqsBatchResponse,
    /// The number of dead-lettered messages.
    pub dead_letter: u32,
}

/// Handles every message of a batch, up to `at_once` at the same time.
///
/// Messages of one FIFO group are handled one after the other; once one fails, the later ones are returned with it,
/// unhandled. A message that fails or panics never affects other groups.
pub async fn handle(
    event: SqsEvent,
    budget: Budget,
    at_once: usize,
    failure_sink: &impl FailureSink,
    handler: impl AsyncFn(&Record) -> Disposition,
) -> Handled {
    let lanes = lanes(event.records.into_iter().map(Record::from));
    let failed = Mutex::new(Vec::new());
    let dead_letter = Mutex::new(0);
    let work = stream::iter(lanes).for_each_concurrent(at_once, async |lane| {
        let (mut lane, mut after) = (lane.into_iter(), None);
        for (position, record) in lane.by_ref() {
            match settle(&record, budget, failure_sink, &handler).await {
                Settled::Done => {}
                Settled::DeadLetter => *locked(&dead_letter) += 1,
                Settled::Failed { put_off } => {
                    locked(&failed).push((position, record.message_id));
                    after = put_off;
                    break;
                }
            }
        }
        for (position, record) in lane {
            // A message hidden for longer than the one before it would block its whole group.
            if let Some(after) = after {
                failure_sink.put_off(&record, after).await;
            }
            locked(&failed).push((position, record.message_id));
        }
    });
    work.await;
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort_unstable();
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failed.into_iter().map(|(_, id)| returned(id)).collect();
    Handled { response, dead_letter: dead_letter.into_inner().unwrap_or_else(PoisonError::into_inner) }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn returned(id: String) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = id;
    failure
}

/// Messages with their position, in lanes: those of one lane are handled one after the other.
fn lanes(records: impl Iterator<Item = Record>) -> Vec<Vec<(usize, Record)>> {
    let mut lanes: Vec<Vec<(usize, Record)>> = Vec::new();
    let mut of_group: HashMap<Option<String>, usize> = HashMap::new();
    for (position, record) in records.enumerate() {
        let lane = match record.is_fifo {
            true => *of_group.entry(record.group.clone()).or_insert(lanes.len()),
            false => lanes.len(),
        };
        if lane == lanes.len() {
            lanes.push(Vec::new());
        }
        lanes[lane].push((position, record));
    }
    lanes
}

enum Settled {
    Done,
    DeadLetter,
    Failed {
        /// How long it was hidden, if the handler asked for that.
        put_off: Option<Duration>,
    },
}

/// Handles one message and carries out its disposition.
async fn settle(
    record: &Record,
    budget: Budget,
    failure_sink: &impl FailureSink,
    handler: &impl AsyncFn(&Record) -> Disposition,
) -> Settled {
    let message_id = &record.message_id;
    if Instant::now() >= budget.begin_until {
        warn!(message_id, "message not started: the function is nearly out of time");
        return Settled::Failed { put_off: None };
    }
    let handling = AssertUnwindSafe(handler(record)).catch_unwind();
    let disposition = match timeout_at(budget.end_by, handling).await {
        Ok(Ok(disposition)) => disposition,
        // The panic hook has logged what panicked.
        Ok(Err(_)) => return Settled::Failed { put_off: None },
        Err(_) => {
            warn!(message_id, "message cancelled: the function is out of time");
            return Settled::Failed { put_off: None };
        }
    };
    match disposition {
        Disposition::Done => Settled::Done,
        Disposition::Retry { after, .. } => {
            failure_sink.put_off(record, after).await;
            Settled::Failed { put_off: Some(after) }
        }
        Disposition::DeadLetter { reason } => match failure_sink.dead_letter(record, &reason).await {
            Ok(()) => {
                error!(message_id, reason, "a message was dead-lettered");
                Settled::DeadLetter
            }
            Err(error) => {
                error!(message_id, reason, %error, "a message could not be dead-lettered: it will be retried");
                Settled::Failed { put_off: None }
            }
        },
    }
}

#[cfg(test)]
mod tests;
