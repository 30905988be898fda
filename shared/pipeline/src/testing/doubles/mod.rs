//! Test doubles for the ports that a suite does not test: scripted, in memory, in virtual time.

mod chat;
mod source;
mod store;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use monitor_domain::time::Timestamp;

use crate::ports::{Clock, Outgoing, QueueError, Sender};

pub use chat::{ScriptedChat, Threads};
pub use source::ScriptedSource;
pub use store::{FaultyStore, PutFault, Requests, SlowStore};

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A clock that advances only by waits and by hand. Clones share the same time.
#[derive(Clone, Debug)]
pub struct StillClock {
    now: Arc<Mutex<Timestamp>>,
    up: Arc<Mutex<Duration>>,
    drawn: Arc<Mutex<u64>>,
}

impl Default for StillClock {
    fn default() -> Self {
        let start = Timestamp::from_epoch_ms(1_800_000_000_000);
        Self { now: Arc::new(Mutex::new(start)), up: Arc::default(), drawn: Arc::default() }
    }
}

impl StillClock {
    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let mut now = lock(&self.now);
        *now = now.plus(by);
        *lock(&self.up) += by;
    }

    /// Sets the time of day back; no time passes.
    pub fn set_back(&self, by: Duration) {
        let mut now = lock(&self.now);
        *now = now.minus(by);
    }

    /// Sets the time of day forward; no time passes.
    pub fn set_forward(&self, by: Duration) {
        let mut now = lock(&self.now);
        *now = now.plus(by);
    }
}

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        *lock(&self.now)
    }

    fn uptime(&self) -> Option<Duration> {
        Some(*lock(&self.up))
    }

    async fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }

    fn random(&self) -> u64 {
        let mut drawn = lock(&self.drawn);
        *drawn += 1;
        *drawn
    }
}

/// A queue that only records what was sent.
#[derive(Debug, Default)]
pub struct Outbox {
    sent: Mutex<VecDeque<Outgoing>>,
    refusals: Mutex<u32>,
}

impl Outbox {
    /// Refuses the next send.
    pub fn refuse_once(&self) {
        *lock(&self.refusals) += 1;
    }

    /// Takes out what was sent.
    pub fn take(&self) -> Vec<Outgoing> {
        lock(&self.sent).drain(..).collect()
    }
}

impl Sender for Outbox {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        let mut refusals = lock(&self.refusals);
        if *refusals > 0 {
            *refusals -= 1;
            return Err(QueueError("slow down".to_owned()));
        }
        lock(&self.sent).extend(messages);
        Ok(())
    }
}
