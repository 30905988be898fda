//! Sends messages to an SQS queue.

use std::time::Duration;

use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchOutput;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures_util::StreamExt as _;
use futures_util::stream;
use monitor_pipeline::ports::{Outgoing, QueueError, Sender};
use tracing::debug;

use crate::sdk::{Sdk, describe};

/// The most messages, and the most bytes of all of them together, that SQS accepts in one call.
const MESSAGES_PER_CALL: usize = 10;
const BYTES_PER_CALL: usize = 1024 * 1024;
/// The longest delay that SQS accepts.
const LONGEST_DELAY: Duration = Duration::from_secs(900);
/// How often an entry that SQS did not accept is sent, including the first time.
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The most calls at the same time: enough for 10,000 messages in half a second, with few enough connections for a
/// small Lambda.
pub(crate) const CALLS_AT_ONCE: usize = 20;

/// The sending side of one queue.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(crate) sdk: Sdk,
    url: String,
}

impl Queue {
    /// The queue at this URL; a FIFO queue if the URL ends with `.fifo`.
    pub fn new(sdk: Sdk, url: impl Into<String>) -> Self {
        Self { sdk, url: url.into() }
    }

    /// Whether the queue keeps the order of a group.
    pub(crate) fn is_fifo(&self) -> bool {
        self.url.ends_with(".fifo")
    }

    async fn send_call(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        let entries = messages
            .into_iter()
            .enumerate()
            .map(|(index, message)| entry(index, message, self.is_fifo()))
            .collect::<Result<Vec<_>, _>>()?;
        self.send_entries(entries).await
    }

    /// Sends up to ten messages, and retries those that SQS did not accept after a pause that doubles.
    pub(crate) async fn send_entries(&self, mut entries: Vec<SendMessageBatchRequestEntry>) -> Result<(), QueueError> {
        let mut pause = FIRST_PAUSE;
        for tried in 1.. {
            let call = self.sdk.sqs().send_message_batch().queue_url(&self.url);
            let answer = call.set_entries(Some(entries.clone())).send().await;
            let failed = failures(&answer.map_err(|error| QueueError(describe(&error)))?);
            let Some(first) = failed.first() else { return Ok(()) };
            if tried == TRIES || failed.iter().all(|failure| failure.is_final) {
                return Err(QueueError(format!(
                    "{} of {} messages not accepted: {}",
                    failed.len(),
                    entries.len(),
                    first.reason
                )));
            }
            debug!(
                messages = failed.len(),
                reason = first.reason,
                "SQS did not accept all messages: they are sent again"
            );
            entries.retain(|entry| failed.iter().any(|failure| failure.id == entry.id()));
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }
}

impl Sender for Queue {
    /// Makes every call even if another fails, so that as many jobs as possible are sent.
    async fn send(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        // A FIFO queue needs its messages in order.
        let at_once = if self.is_fifo() { 1 } else { CALLS_AT_ONCE };
        let calls = Calls(messages.into_iter().peekable()).map(|messages| self.send_call(messages));
        let ended = stream::iter(calls).buffer_unordered(at_once);
        let faults = ended.fold((0_usize, None), async |(count, first), ended| match ended {
            Ok(()) => (count, first),
            Err(error) => (count + 1, first.or(Some(error))),
        });
        match faults.await {
            (0, _) | (_, None) => Ok(()),
            (1, Some(error)) => Err(error),
            (count, Some(QueueError(first))) => Err(QueueError(format!("{count} calls failed, the first: {first}"))),
        }
    }
}

/// Splits messages into portions that SQS accepts in one call.
struct Calls<I: Iterator<Item = Outgoing>>(std::iter::Peekable<I>);

impl<I: Iterator<Item = Outgoing>> Iterator for Calls<I> {
    type Item = Vec<Outgoing>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.0.next()?;
        let mut bytes = first.body.len();
        let mut portion = vec![first];
        while portion.len() < MESSAGES_PER_CALL {
            let fits = |next: &Outgoing| bytes + next.body.len() <= BYTES_PER_CALL;
            let Some(next) = self.0.next_if(fits) else { break };
            bytes += next.body.len();
            portion.push(next);
        }
        Some(portion)
    }
}

/// A message as one entry of a call.
pub(crate) fn entry(
    index: usize,
    message: Outgoing,
    is_fifo: bool,
) -> Result<SendMessageBatchRequestEntry, QueueError> {
    let Outgoing { body, delay, group, deduplication_id } = message;
    // A FIFO queue accepts no delay of single messages. SQS counts in whole seconds.
    let delay_secs = i32::try_from(delay.min(LONGEST_DELAY).as_secs()).unwrap_or(0);
    SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(body)
        .set_delay_seconds((!is_fifo && delay_secs > 0).then_some(delay_secs))
        .set_message_group_id(group)
        .set_message_deduplication_id(deduplication_id)
        .build()
        .map_err(|error| QueueError(error.to_string()))
}

/// A message that SQS did not accept.
struct NotTaken {
    id: String,
    /// Whether SQS will never accept it.
    is_final: bool,
    reason: String,
}

fn failures(answer: &SendMessageBatchOutput) -> Vec<NotTaken> {
    let not_taken = answer.failed().iter().map(|failed| NotTaken {
        id: failed.id().to_owned(),
        is_final: failed.sender_fault(),
        reason: format!("{}: {}", failed.code(), failed.message().unwrap_or("no reason given")),
    });
    not_taken.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn portions(sizes: &[usize]) -> Vec<usize> {
        let message = |size: &usize| Outgoing { body: "x".repeat(*size), ..Outgoing::default() };
        let messages: Vec<Outgoing> = sizes.iter().map(message).collect();
        Calls(messages.into_iter().peekable()).map(|portion| portion.len()).collect()
    }

    #[test]
    fn a_call_holds_ten_messages_and_a_mebibyte() {
        assert_eq!(portions(&[10; 25]), [10, 10, 5]);
        let half = BYTES_PER_CALL / 2;
        assert_eq!(portions(&[half, half, 1, half, half]), [2, 2, 1]);
        // SQS itself refuses a message that is too large.
        assert_eq!(portions(&[BYTES_PER_CALL + 1, 1]), [1, 1]);
        assert!(portions(&[]).is_empty());
    }

    #[test]
    fn delays_are_whole_seconds_up_to_the_limit_of_sqs_and_absent_on_a_fifo_queue() {
        let delayed = |delay_ms, is_fifo| {
            let message =
                Outgoing { body: "x".to_owned(), delay: Duration::from_millis(delay_ms), ..Outgoing::default() };
            entry(0, message, is_fifo).unwrap().delay_seconds()
        };
        assert_eq!(delayed(59_999, false), Some(59));
        assert_eq!(delayed(3_600_000, false), Some(900));
        assert_eq!((delayed(999, false), delayed(60_000, true)), (None, None));
    }
}
