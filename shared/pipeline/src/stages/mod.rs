//! The stages. Each takes one message's worth of work and says what is to become of the message.

mod check;
mod delivery_state;
mod latest_checks;
mod notify;
mod pacing;
mod recording;
mod respond;
mod schedule;
mod sending;
mod threads;

use std::fmt;
use std::time::Duration;

use monitor_domain::subject::Revision;
use monitor_domain::time::Timestamp;

use crate::items::fnv;
use crate::messages::StateChange;
use crate::ports::{Clock, Outgoing, QueueError, Sender, StoreError};

pub use check::{Check, CheckReport, CheckSettings, Ending};
pub use delivery_state::{DeliveryState, RemainingParts, delivery_state};
pub use latest_checks::LatestChecks;
pub use notify::{Notify, NotifyReport, NotifySettings};
pub use pacing::{QuotaEstimators, Throttled};
pub use recording::record_outages;
pub use respond::{Respond, RespondError};
pub use schedule::{Schedule, ScheduleReport, ScheduleSettings};

/// What is to become of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Disposition {
    /// It is finished with.
    Done,
    /// It is to be handed out again.
    Retry {
        /// After how long.
        after: Duration,
        /// Why.
        reason: String,
    },
    /// It can never be used: to the dead-letter queue.
    DeadLetter {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Disposition::Done => f.write_str("done"),
            Disposition::Retry { after, reason } => write!(f, "retry in {} s: {reason}", after.as_secs()),
            Disposition::DeadLetter { reason } => write!(f, "set aside: {reason}"),
        }
    }
}

/// How often a queue hands a message out before it dead-letters it: what every queue is set to.
pub const MAX_RECEIVES: u32 = 5;

/// After how long a message is handed out again whose stage met a fault of the store or a queue.
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

/// How long something takes, whatever is done to the time of day meanwhile.
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

/// Sends a state-change message to the notifier, whose last work is of revision `last`.
async fn announce(
    queue: &impl Sender,
    message: &StateChange,
    last: Revision,
    now: Timestamp,
) -> Result<(), QueueError> {
    // SQS swallows a repeated id for 5 minutes. The revision tells new work apart, the minute an early repeat.
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

/// SQS takes ids of at most 128 characters, and a target's may be longer. Subjects that share a digest merely wait for
/// each other.
fn digest(text: &str) -> String {
    format!("{:016x}", fnv(text))
}
