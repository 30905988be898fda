//! The pipeline in one process: its ports and queues.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use monitor_domain::cycle;
use monitor_domain::policy::Policy;
use monitor_domain::target::TargetSpec;
use monitor_embedded::queue::Queue;
use monitor_github::GitHub;
use monitor_pipeline::ports::{Chat, Clock, Outgoing, QueueError, Receiver as _, Sender};
use monitor_pipeline::stages::{CheckSettings, LatestChecks, MAX_RECEIVES};

use crate::cycle::Cycles;
use crate::store::ChosenStore;

/// Waits by the installation's clock.
type Later = Arc<dyn Fn(Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A queue. If the installation's clock does not run in real time, its delays follow that clock.
#[derive(Clone)]
pub(crate) struct TimeScaled {
    pub(crate) queue: Queue,
    later: Option<Later>,
    /// Messages that wait by that clock to become visible again.
    returning: Arc<AtomicUsize>,
}

impl TimeScaled {
    fn new(queue: Queue, later: Option<Later>) -> Self {
        Self { queue, later, returning: Arc::default() }
    }

    /// Whether a message can be handled now, or is being handled.
    #[cfg(feature = "demo")]
    pub(crate) fn is_busy(&self) -> bool {
        let depth = self.queue.depth();
        depth.visible + depth.in_flight > self.returning.load(Ordering::Relaxed)
    }

    /// Returns a message to the queue, to be handled again after a delay.
    pub(crate) async fn release(&self, receipt: &str, delay: Duration) -> Result<(), QueueError> {
        let Some(later) = self.later.as_ref().filter(|_| !delay.is_zero()) else {
            return self.queue.release(receipt, delay).await;
        };
        let (waiting, this, receipt) = (later(delay), self.clone(), receipt.to_owned());
        self.returning.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            waiting.await;
            // A queue in memory does not fail.
            let _ = this.queue.release(&receipt, Duration::ZERO).await;
            this.returning.fetch_sub(1, Ordering::Relaxed);
        });
        Ok(())
    }
}

impl Sender for TimeScaled {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        let Some(later) = &self.later else { return self.queue.send(messages).await };
        let (at_once, delayed): (Vec<_>, Vec<_>) = messages.into_iter().partition(|message| message.delay.is_zero());
        for mut message in delayed {
            let (waiting, queue) = (later(std::mem::take(&mut message.delay)), self.queue.clone());
            tokio::spawn(async move {
                waiting.await;
                // A queue in memory does not fail.
                let _ = queue.send(vec![message]).await;
            });
        }
        self.queue.send(at_once).await
    }
}

/// A whole installation in one process.
pub(crate) struct Engine<Ch, Cl> {
    /// The store.
    pub(crate) store: Arc<ChosenStore>,
    /// GitHub.
    pub(crate) source: GitHub,
    /// Where notifications are sent: Slack or the console.
    pub(crate) chat: Ch,
    /// The installation's clock.
    pub(crate) clock: Cl,
    /// Jobs for the check stage.
    pub(crate) checks: TimeScaled,
    /// State-change messages for the notify stage.
    pub(crate) changes: TimeScaled,
    /// Commands too slow for a direct answer.
    pub(crate) commands: TimeScaled,
    /// Settings of the check stage; the schedule stage uses the same ones.
    pub(crate) settings: CheckSettings,
    /// The current cycle.
    pub(crate) cycles: Cycles,
    /// How many checks may run at once.
    pub(crate) checks_at_once: usize,
    /// When each target was last checked.
    pub(crate) latest: LatestChecks,
}

impl<Ch: Chat + 'static, Cl: Clock + Clone + 'static> Engine<Ch, Cl> {
    /// An installation with empty queues. Their delays follow real time, or `clock` if `delays_by_clock` is set.
    pub(crate) fn new(
        store: ChosenStore,
        source: GitHub,
        chat: Ch,
        clock: Cl,
        (policy, configured, interval): (Policy, Vec<TargetSpec>, Duration),
        (pending_limit, checks_at_once): (Duration, usize),
        delays_by_clock: bool,
    ) -> Self {
        let later = delays_by_clock.then(|| {
            let clock = clock.clone();
            let later: Later = Arc::new(move |delay| {
                let clock = clock.clone();
                Box::pin(async move { clock.sleep(delay).await })
            });
            later
        });
        Self {
            store: Arc::new(store),
            source,
            chat,
            checks: TimeScaled::new(Queue::standard(MAX_RECEIVES), later.clone()),
            changes: TimeScaled::new(Queue::fifo(MAX_RECEIVES), later.clone()),
            commands: TimeScaled::new(Queue::standard(MAX_RECEIVES), later.clone()),
            clock,
            settings: CheckSettings { policy, configured, interval, jobs: false },
            cycles: Cycles::new(cycle::pending_limit(pending_limit, interval)),
            checks_at_once,
            latest: LatestChecks::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use monitor_domain::cycle::Shortfall;
    use monitor_embedded::store::EmbeddedStore;
    use monitor_github::{Credential, Secret, Settings};
    use monitor_pipeline::stages::{Disposition, ScheduleReport};
    use monitor_slack::{Console, Messenger, WebBase};

    use super::*;
    use crate::clock::MachineClock;
    use crate::setup;

    fn engine(interval: Duration, pending_limit: Duration) -> Engine<Messenger, MachineClock> {
        let store = ChosenStore::Embedded(Box::new(EmbeddedStore::open_in_memory().unwrap()), Duration::MAX);
        let settings = Settings::new(Credential::Token(Secret::new("x")));
        let source = GitHub::new(setup::http().unwrap(), settings, Arc::new(|| MachineClock.now())).unwrap();
        let chat = Messenger::Console(Console::stdout(false, WebBase::default()));
        let what = (Policy::default(), Vec::new(), interval);
        Engine::new(store, source, chat, MachineClock, what, (pending_limit, 1), false)
    }

    #[tokio::test]
    async fn the_pending_limit_is_at_least_three_intervals() {
        let (interval, now) = (Duration::from_secs(300), MachineClock.now());
        for (set_secs, pending_secs, is_too_long) in
            [(10, 899, false), (10, 900, true), (1_800, 1_799, false), (1_800, 1_800, true)]
        {
            let cycles = engine(interval, Duration::from_secs(set_secs)).cycles;
            cycles.begin(now);
            let tick = ScheduleReport {
                disposition: Disposition::Done,
                targets: Vec::new(),
                dropped: Vec::new(),
                throttled: Vec::new(),
                pending_since: Some(now.minus(Duration::from_secs(pending_secs))),
            };
            let shortfalls = cycles.scheduled(&tick, now).unwrap().shortfalls;
            let is_said = shortfalls.iter().any(|shortfall| matches!(shortfall, Shortfall::Pending { .. }));
            assert_eq!(is_said, is_too_long, "{set_secs} s are set, pending for {pending_secs} s: {shortfalls:?}");
        }
    }
}
