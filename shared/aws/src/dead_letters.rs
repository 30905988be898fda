//! Handling of failed messages: dead-lettered for a person to see, or hidden for a while.

use std::time::Duration;

use aws_sdk_sqs::types::MessageAttributeValue;
use monitor_pipeline::ports::{Outgoing, QueueError};
use tracing::debug;

use crate::batch::{FailureSink, Record};
use crate::queue::{Queue, entry};
use crate::sdk::{Sdk, describe};

/// The longest reason. A reason is a sentence, and SQS counts it towards the size of the message.
const LONGEST_REASON_CHARS: usize = 1_000;
/// The longest time that SQS can hide a message.
const LONGEST_VISIBILITY: Duration = Duration::from_secs(12 * 3_600);

/// A dead-letter queue.
#[derive(Clone, Debug)]
pub struct DeadLetters(Queue);

impl DeadLetters {
    /// The dead-letter queue at this URL; a FIFO queue if the URL ends with `.fifo`.
    pub fn new(sdk: Sdk, url: impl Into<String>) -> Self {
        Self(Queue::new(sdk, url))
    }
}

impl FailureSink for DeadLetters {
    /// Sends the unchanged body, with the reason as the attribute `reason`.
    async fn dead_letter(&self, record: &Record, reason: &str) -> Result<(), QueueError> {
        let attribute = MessageAttributeValue::builder().data_type("String").string_value(sendable(reason)).build();
        let attribute = attribute.map_err(|error| QueueError(error.to_string()))?;
        let Self(queue) = self;
        let group = || record.group.clone().unwrap_or_else(|| record.message_id.clone());
        let message = Outgoing {
            body: record.body.clone(),
            group: queue.is_fifo().then(group),
            deduplication_id: queue.is_fifo().then(|| record.message_id.clone()),
            ..Outgoing::default()
        };
        let mut entry = entry(0, message, queue.is_fifo())?;
        entry.message_attributes = Some([("reason".to_owned(), attribute)].into());
        queue.send_entries(vec![entry]).await
    }

    /// A failure is harmless: the message returns later, when its visibility timeout ends.
    async fn put_off(&self, record: &Record, after: Duration) {
        let Some(url) = record.queue_arn.as_deref().and_then(url_of) else { return };
        let call = self.0.sdk.sqs().change_message_visibility().queue_url(url);
        if let Err(error) = call.receipt_handle(&record.receipt).visibility_timeout(visibility_secs(after)).send().await
        {
            debug!(
                error = describe(&error),
                "the message could not be hidden: it will be retried when its visibility timeout ends"
            );
        }
    }
}

/// Whole seconds, as SQS counts them, rounded up: rounded down, a message would return before it is due.
fn visibility_secs(after: Duration) -> i32 {
    i32::try_from(after.min(LONGEST_VISIBILITY).as_millis().div_ceil(1_000)).unwrap_or(i32::MAX)
}

/// The URL of the queue with this ARN, so that a function needs no setting for the queue its messages come from.
fn url_of(arn: &str) -> Option<String> {
    let ["arn", partition, "sqs", region, account, name] = arn.split(':').collect::<Vec<_>>()[..] else { return None };
    let domain = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    Some(format!("https://sqs.{region}.{domain}/{account}/{name}"))
}

/// A reason that SQS accepts as an attribute: not empty, not too long, without control characters.
fn sendable(reason: &str) -> String {
    let cut = reason.chars().take(LONGEST_REASON_CHARS);
    let text: String =
        cut.map(|c| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { ' ' } else { c }).collect();
    if text.trim().is_empty() { "unknown reason".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_never_comes_back_before_it_is_due() {
        for (after_ms, secs) in [(0, 0), (1, 1), (999, 1), (29_999, 30), (30_000, 30), (30_001, 31), (u64::MAX, 43_200)]
        {
            assert_eq!(visibility_secs(Duration::from_millis(after_ms)), secs, "{after_ms} ms");
        }
    }

    #[test]
    fn a_queues_url_follows_from_its_arn() {
        assert_eq!(
            url_of("arn:aws:sqs:eu-central-1:123456789012:changes.fifo").as_deref(),
            Some("https://sqs.eu-central-1.amazonaws.com/123456789012/changes.fifo")
        );
        assert_eq!(
            url_of("arn:aws-cn:sqs:cn-north-1:1:x").as_deref(),
            Some("https://sqs.cn-north-1.amazonaws.com.cn/1/x")
        );
        assert_eq!(url_of("arn:aws:sns:us-east-1:1:x"), None);
        assert_eq!(url_of(""), None);
    }

    #[test]
    fn any_reason_can_be_sent() {
        assert_eq!(sendable("a\nb\u{0}\u{ffff}ü"), "a b  ü");
        assert_eq!(sendable(" \n"), "unknown reason");
        assert_eq!(sendable(&"é".repeat(5_000)).chars().count(), LONGEST_REASON_CHARS);
    }
}
