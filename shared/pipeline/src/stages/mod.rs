//! The stages. Each handles one message and decides its disposition.

mod check;
mod jobs;
mod latest_checks;
mod lost_together;
mod notify;
mod respond;
mod schedule;

use std::fmt;
use std::time::Duration;

use monitor_domain::subject::Revision;
use monitor_domain::time::Timestamp;

use crate::items::fnv;
use crate::messages::StateChange;
use crate::ports::{Clock, Outgoing, QueueError, Sender, StoreError};

pub use check::{Check, CheckEnding, CheckReport, CheckSettings};
pub use jobs::{KnownTargets, RecordJob, read_jobs, waiting_jobs};
pub use latest_checks::LatestChecks;
pub use notify::{
    DeliveryState, Notify, NotifyReport, NotifySettings, RemainingParts, alerts, delivery_state, record_outages,
};
pub use respond::{Respond, RespondError};
pub use schedule::{QuotaEstimators, Schedule, ScheduleReport, ScheduleSettings, Throttled};

/// What the host does with a message after a stage has handled it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Disposition {
    /// Delete it.
    Done,
    /// Deliver it again.
    Retry {
        /// The delay before it is delivered again.
        after: Duration,
        /// Why a retry is needed.
        reason: String,
    },
    /// Move it to the dead-letter queue: it can never be used.
    DeadLetter {
        /// Why it cannot be used.
        reason: String,
    },
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Disposition::Done => f.write_str("done"),
            Disposition::Retry { after, reason } => write!(f, "retry in {} s: {reason}", after.as_secs()),
            Disposition::DeadLetter { reason } => write!(f, "dead-letter: {reason}"),
        }
    }
}

/// How often a queue delivers a message before it dead-letters it: every queue is configured with this number.
pub const MAX_RECEIVES: u32 = 5;

/// How many targets are read at once for a person: 500 targets take eight batches.
const READS_FOR_A_PERSON: usize = 64;
/// The delay before a message is delivered again after an error of the store or a queue.
const RETRY_AFTER: Duration = Duration::from_secs(30);

impl From<StoreError> for Disposition {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Denied(_) => {
                Disposition::Retry { after: RETRY_AFTER, reason: error.to_string() }
            }
            StoreError::Refused(_) | StoreError::Unreadable { .. } => {
                Disposition::DeadLetter { reason: error.to_string() }
            }
        }
    }
}

impl From<QueueError> for Disposition {
    fn from(error: QueueError) -> Self {
        Disposition::Retry { after: RETRY_AFTER, reason: error.to_string() }
    }
}

/// Measures how long something takes, even if the time of day is set meanwhile.
#[derive(Clone, Copy)]
struct Stopwatch {
    began_at: Timestamp,
    began_up: Option<Duration>,
}

impl Stopwatch {
    fn start(clock: &impl Clock) -> Self {
        Self { began_at: clock.now(), began_up: clock.uptime() }
    }

    fn elapsed(&self, clock: &impl Clock) -> Duration {
        match (self.began_up, clock.uptime()) {
            (Some(began), Some(now)) => now.saturating_sub(began),
            _ => clock.now().since(self.began_at),
        }
    }
}

/// Sends a state-change message to the notifier; `last` is the last revision with work for it.
async fn announce(
    queue: &impl Sender,
    message: &StateChange,
    last: Revision,
    now: Timestamp,
) -> Result<(), QueueError> {
    // SQS drops a repeated id for 5 minutes. The revision makes the id of new work unique, the minute that of a
    // repetition.
    let minute = now.epoch_secs() / 60;
    let group = digest(&message.subject.to_string());
    let deduplication_id = format!("{group}-{last}-{minute}");
    let message = Outgoing {
        body: message.to_json(),
        delay: Duration::ZERO,
        group: Some(group),
        deduplication_id: Some(deduplication_id),
    };
    queue.send(vec![message]).await
}

/// A group id. SQS allows at most 128 characters, and a target's name may be longer. Subjects with the same digest only
/// wait for each other.
fn digest(text: &str) -> String {
    format!("{:016x}", fnv(text))
}
