//! An event source mapping as in Lambda: receive messages, invoke the function, delete what succeeded.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Mutex, OwnedRwLockWriteGuard, RwLock};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::aws::Service;
use crate::emulator::Outcome;
use crate::function::Function;
use crate::plan::MappingPlan;

/// The most messages that SQS returns at a time.
const MAX_RECEIVED: usize = 10;
/// How long a request waits for messages, in seconds; Lambda waits up to 20.
const POLL_SECS: u64 = 2;

/// A running mapping; it stops when it is dropped.
pub(crate) struct Mapping {
    work: Arc<Work>,
    /// Each worker holds a read lock during a batch.
    gate: Arc<RwLock<()>>,
    closed: Mutex<Option<OwnedRwLockWriteGuard<()>>>,
    _workers: JoinSet<()>,
}

struct Work {
    plan: MappingPlan,
    sqs: Service,
    queue_url: String,
    queue_arn: String,
    region: String,
    visibility_secs: u64,
    function: Arc<Function>,
    forgotten_deletes: AtomicU32,
}

/// The queue of a mapping.
pub(crate) struct Source {
    /// The queue's address.
    pub(crate) url: String,
    /// The queue's ARN.
    pub(crate) arn: String,
    /// The queue's region.
    pub(crate) region: String,
    /// How long messages stay invisible, instead of the queue's own timeout of minutes.
    pub(crate) visibility_secs: u64,
}

impl Mapping {
    /// Starts the mapping with one worker for each slot of the function.
    pub(crate) fn start(plan: &MappingPlan, sqs: &Service, source: Source, function: &Arc<Function>) -> Self {
        let work = Arc::new(Work {
            plan: plan.clone(),
            sqs: sqs.clone(),
            queue_url: source.url,
            queue_arn: source.arn,
            region: source.region,
            visibility_secs: source.visibility_secs,
            function: Arc::clone(function),
            forgotten_deletes: AtomicU32::new(0),
        });
        let gate = Arc::new(RwLock::new(()));
        let mut workers = JoinSet::new();
        for _ in 0..function.slots() {
            let (work, gate) = (Arc::clone(&work), Arc::clone(&gate));
            workers.spawn(async move {
                loop {
                    let _open = gate.read().await;
                    if let Err(error) = work.one_batch().await {
                        work.function.note(&format!("the mapping's request failed: {error:#}"));
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                }
            });
        }
        Self { work, gate, closed: Mutex::new(None), _workers: workers }
    }

    /// Disables the mapping, and waits until no message is in flight.
    pub(crate) async fn disable(&self) {
        let closed = Arc::clone(&self.gate).write_owned().await;
        *self.closed.lock().await = Some(closed);
    }

    /// Enables the mapping again.
    pub(crate) async fn enable(&self) {
        *self.closed.lock().await = None;
    }

    /// Leaves out the deletion of the next successful batches, so that they are delivered twice, as SQS may do.
    pub(crate) fn forget_deletes(&self, batches: u32) {
        self.work.forgotten_deletes.store(batches, Ordering::SeqCst);
    }
}

impl Work {
    async fn one_batch(&self) -> anyhow::Result<()> {
        let mut messages = self.receive(self.plan.batch_size, POLL_SECS).await?;
        if messages.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + Duration::from_secs(self.plan.window_secs);
        while messages.len() < self.plan.batch_size && Instant::now() < deadline {
            messages.extend(self.receive(self.plan.batch_size - messages.len(), 1).await?);
        }
        let event = json!({"Records": messages.iter().map(|message| self.record(message)).collect::<Vec<_>>()});
        let outcome = self.function.invoke(&event).await?;
        let ids = messages.iter().filter_map(|message| message["MessageId"].as_str());
        let failed = match outcome {
            Outcome::Error(_) => None,
            Outcome::Answer(answer) if self.plan.reports_failures => failed_ids(&answer, &ids.collect()),
            Outcome::Answer(_) => Some(BTreeSet::new()),
        };
        let Some(failed) = failed else { return Ok(()) };
        let forget =
            self.forgotten_deletes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if forget.is_ok() {
            return Ok(());
        }
        let succeeded =
            messages.iter().filter(|message| !message["MessageId"].as_str().is_some_and(|id| failed.contains(id)));
        for message in succeeded {
            let body = json!({"QueueUrl": self.queue_url, "ReceiptHandle": message["ReceiptHandle"]});
            self.sqs.call("DeleteMessage", &body).await?;
        }
        Ok(())
    }

    async fn receive(&self, count: usize, wait_secs: u64) -> anyhow::Result<Vec<Value>> {
        let body = json!({
            "QueueUrl": self.queue_url,
            "MaxNumberOfMessages": count.min(MAX_RECEIVED),
            "WaitTimeSeconds": wait_secs,
            "VisibilityTimeout": self.visibility_secs,
            "AttributeNames": ["All"],
            "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        });
        let answer = self.sqs.call("ReceiveMessage", &body).await?;
        Ok(answer["Messages"].as_array().cloned().unwrap_or_default())
    }

    /// The message as a record of Lambda's event.
    fn record(&self, message: &Value) -> Value {
        let attributes = message["MessageAttributes"].as_object().into_iter().flatten().map(|(name, value)| {
            let value = json!({"stringValue": value["StringValue"], "dataType": value["DataType"],
                "stringListValues": [], "binaryListValues": []});
            (name.clone(), value)
        });
        json!({
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": attributes.collect::<serde_json::Map<_, _>>(),
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self.queue_arn,
            "awsRegion": self.region,
        })
    }
}

/// The messages that failed; `None` if the whole batch failed. Lambda's rules: a missing or empty list is a success; a
/// malformed answer, or an id that is not in the batch, fails the whole batch.
fn failed_ids(answer: &Value, batch: &BTreeSet<&str>) -> Option<BTreeSet<String>> {
    match answer {
        Value::Null => return Some(BTreeSet::new()),
        Value::Object(fields) if fields.is_empty() => return Some(BTreeSet::new()),
        _ => {}
    }
    let failures = match answer.get("batchItemFailures")? {
        Value::Null => return Some(BTreeSet::new()),
        failures => failures.as_array()?,
    };
    let ids = failures.iter().map(|failure| failure["itemIdentifier"].as_str().filter(|id| batch.contains(id)));
    ids.map(|id| id.map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_ids_are_read_by_lambdas_rules() {
        let batch = BTreeSet::from(["a", "b"]);
        let failed = |answer: Value| failed_ids(&answer, &batch).map(|ids| ids.into_iter().collect::<Vec<_>>());
        assert_eq!(failed(json!({"batchItemFailures": [{"itemIdentifier": "b"}]})), Some(vec!["b".to_owned()]));
        for all_well in [json!({"batchItemFailures": []}), json!({"batchItemFailures": null}), json!({}), json!(null)] {
            assert_eq!(failed(all_well), Some(vec![]));
        }
        for all_failed in [
            json!({"batchItemFailures": [{"itemIdentifier": "c"}]}),
            json!({"batchItemFailures": [{"itemIdentifier": ""}]}),
            json!({"batchItemFailures": [{"itemIdentifier": null}]}),
            json!({"batchItemFailures": [{"itemIdentifer": "a"}]}),
            json!({"batchItemFailures": "a"}),
            json!("ok"),
        ] {
            assert_eq!(failed(all_failed.clone()), None, "{all_failed}");
        }
    }
}
