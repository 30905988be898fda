//! Queues inside the process that behave like SQS.

mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use monitor_pipeline::ports::{Delivery, Outgoing, QueueError, Receiver, Sender};
use tokio::sync::Notify;
use tokio::time::Instant;

pub use state::{DeadLetter, Depth, Kind, QueueSettings, QueueState};

/// A [`QueueState`] with an async receive. Clones share one queue.
///
/// It uses tokio's clock, which never goes back when the machine's clock is set, and which a test can pause.
#[derive(Clone, Debug)]
pub struct Queue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<QueueState>,
    began_at: Instant,
    /// Signals that a message may have become due.
    changed: Notify,
}

impl Queue {
    /// An empty queue.
    pub fn new(settings: QueueSettings) -> Self {
        let state = Mutex::new(QueueState::new(settings));
        Self(Arc::new(Shared { state, began_at: Instant::now(), changed: Notify::new() }))
    }

    /// An empty standard queue: messages in any order.
    pub fn standard(max_receive_count: u32) -> Self {
        Self::new(QueueSettings { kind: Kind::Standard, max_receive_count })
    }

    /// An empty FIFO queue: in order within a group, without duplicates.
    pub fn fifo(max_receive_count: u32) -> Self {
        Self::new(QueueSettings { kind: Kind::Fifo, max_receive_count })
    }

    /// The number of messages by state.
    pub fn depth(&self) -> Depth {
        let now = self.now();
        self.state().depth(now)
    }

    /// The dead-lettered messages, oldest first; at most the latest thousand.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.state().dead().cloned().collect()
    }

    fn now(&self) -> Duration {
        self.0.began_at.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sender for Queue {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        let now = self.now();
        self.state().send(now, messages)?;
        self.0.changed.notify_waiters();
        Ok(())
    }
}

impl Receiver for Queue {
    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        let give_up_at = self.now().saturating_add(wait);
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            // Enabled before the state is read, so that a message sent in between wakes this call.
            changed.as_mut().enable();
            let now = self.now();
            let (deliveries, next_due) = {
                let mut state = self.state();
                (state.receive(now, max, visibility), state.next_due(now))
            };
            if !deliveries.is_empty() || max == 0 || now >= give_up_at {
                return Ok(deliveries);
            }
            let until = next_due.map_or(give_up_at, |due| due.min(give_up_at));
            tokio::select! {
                biased;
                () = changed => {}
                () = tokio::time::sleep(until.saturating_sub(now)) => {}
            }
        }
    }

    async fn delete(&self, receipt: &str) -> Result<(), QueueError> {
        let now = self.now();
        self.state().delete(now, receipt);
        self.0.changed.notify_waiters();
        Ok(())
    }

    async fn release(&self, receipt: &str, delay: Duration) -> Result<(), QueueError> {
        let now = self.now();
        self.state().release(now, receipt, delay);
        self.0.changed.notify_waiters();
        Ok(())
    }
}
