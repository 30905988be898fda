//! The pipeline in one process: hands messages to the stages and decides nothing.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::try_join;
use monitor_domain::cycle;
use monitor_domain::observation::Fault;
use monitor_domain::policy::Policy;
use monitor_domain::target::TargetSpec;
use monitor_embedded::queue::Queue;
use monitor_embedded::store::Displaced;
use monitor_github::GitHub;
use monitor_pipeline::messages::{CheckJob, MessageError, Reason, StateChange};
use monitor_pipeline::ports::{Chat, Clock, Delivery, Outgoing, QueueError, Receiver, Sender};
use monitor_pipeline::stages::{
    Check, CheckSettings, Disposition, Ending, LatestChecks, MAX_RECEIVES, Notify, NotifySettings, QuotaEstimators,
    Schedule, ScheduleSettings,
};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use crate::cycle::{CycleReport, Cycles};
use crate::descriptors::are_used_up;
use crate::slack_server::{Follower, SlackServer};
use crate::stopping::GRACE;
use crate::store::ChosenStore;

/// How many checks run at once: more than the 100 concurrent requests that GitHub allows, so that a request is always
/// ready when an answer arrives.
pub(crate) const CHECKS_AT_ONCE: usize = 150;
/// How many follow-ups (commands too slow for a direct answer) run at once.
const FOLLOW_UPS: usize = 4;
/// How many subjects are notified about at once.
const NOTIFIERS: usize = 4;
/// How long a message stays invisible while its stage runs: longer than any stage takes.
const VISIBILITY: Duration = Duration::from_secs(600);

/// The pause before the first retry of a failed tick; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two attempts at a tick.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Waits by the installation's clock.
type Later = Arc<dyn Fn(Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A queue. If the installation's clock does not run in real time, its delays follow that clock.
#[derive(Clone)]
pub(crate) struct TimeScaled {
    queue: Queue,
    later: Option<Later>,
    /// Messages that wait by that clock to become visible again.
    returning: Arc<AtomicUsize>,
}

impl TimeScaled {
    fn new(queue: Queue, later: Option<Later>) -> Self {
        Self { queue, later, returning: Arc::default() }
    }

    /// Whether a message can be handled now, or is being handled.
    pub(crate) fn is_busy(&self) -> bool {
        let depth = self.queue.depth();
        depth.visible + depth.in_flight > self.returning.load(Ordering::Relaxed)
    }

    /// Returns a message to the queue, to be handled again after a delay.
    async fn release(&self, receipt: &str, delay: Duration) -> Result<(), QueueError> {
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

/// The schedule stage with the ports of an installation in one process.
type Tick<'a, Cl> = Schedule<'a, ChosenStore, GitHub, TimeScaled, TimeScaled, Cl>;

/// A whole installation in one process.
pub(crate) struct Engine<Ch, Cl> {
    /// The store.
    pub(crate) store: ChosenStore,
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
    checks_at_once: usize,
    /// When each target was last checked.
    latest: LatestChecks,
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
            store,
            source,
            chat,
            checks: TimeScaled::new(Queue::standard(MAX_RECEIVES), later.clone()),
            changes: TimeScaled::new(Queue::fifo(MAX_RECEIVES), later.clone()),
            commands: TimeScaled::new(Queue::standard(MAX_RECEIVES), later.clone()),
            clock,
            settings: CheckSettings { policy, configured, interval },
            cycles: Cycles::new(cycle::pending_limit(pending_limit, interval)),
            checks_at_once,
            latest: LatestChecks::default(),
        }
    }

    /// Monitors until `asked_to_stop` turns true, then lets running stages end within [`GRACE`]. `on_cycle` is called
    /// after each cycle, complete or not.
    ///
    /// Returns an error if the store's file is lost while in use: nothing done after that would be stored.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut asked_to_stop: watch::Receiver<bool>,
        slack_server: Option<SlackServer>,
        on_cycle: impl Fn(CycleReport) + Send + Sync + 'static,
    ) -> anyhow::Result<()> {
        let on_cycle: Arc<dyn Fn(CycleReport) + Send + Sync> = Arc::new(on_cycle);
        let (halt, mut stop) = watch::channel(false);
        let halt = Arc::new(halt);
        let halt_when_asked = halt.clone();
        let asked = tokio::spawn(async move {
            if asked_to_stop.wait_for(|stop| *stop).await.is_ok() {
                halt_when_asked.send_replace(true);
            }
        });
        let lost = Arc::new(OnceLock::new());
        let mut loops = JoinSet::new();
        loops.spawn({
            let (this, stop, on_cycle, lost) = (self.clone(), stop.clone(), on_cycle.clone(), lost.clone());
            async move {
                if let Some(displaced) = this.tick_loop(stop, on_cycle).await {
                    let _ = lost.set(displaced);
                    halt.send_replace(true);
                }
            }
        });
        loops.spawn(self.clone().check_loop(stop.clone(), on_cycle));
        loops.spawn(self.clone().notify_loop(stop.clone()));
        if let Some(slack_server) = slack_server {
            loops.spawn(self.clone().follow_up_loop(slack_server.follower(), stop.clone()));
            loops.spawn(slack_server.serve(self.clone(), stop.clone()));
        }
        loops.spawn(self.clone().prune_loop(stop.clone()));
        let ending = async {
            while let Some(ended) = loops.join_next().await {
                if let Err(error) = ended {
                    error!(%error, "a part of the program panicked");
                }
            }
        };
        // One bound for all loops, counted from the signal: a tick, a request or a message may hang.
        let is_over = async {
            let _ = stop.wait_for(|stop| *stop).await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            () = ending => {}
            () = is_over => info!("stages that did not end in time are abandoned: nothing is lost, the next start continues"),
        }
        asked.abort();
        match lost.get() {
            Some(displaced) => Err(anyhow::Error::from(Displaced::clone(displaced))),
            None => Ok(()),
        }
    }

    /// Runs one tick per interval. Returns when asked to stop, or with the reason if the store is lost.
    async fn tick_loop(
        self: Arc<Self>,
        mut stop: watch::Receiver<bool>,
        on_cycle: Arc<dyn Fn(CycleReport) + Send + Sync>,
    ) -> Option<Displaced> {
        let configured = self.settings.configured.clone();
        let (policy, interval) = (self.settings.policy.clone(), self.settings.interval);
        // The GitHub client limits the request rate, so there is no need to spread jobs here.
        let settings = ScheduleSettings { policy, configured, interval, jobs_per_minute: None };
        let (store, source, jobs, changes, clock) =
            (&self.store, &self.source, &self.checks, &self.changes, &self.clock);
        let quota_estimators = &QuotaEstimators::default();
        let stage = Schedule { store, source, jobs, changes, clock, settings: &settings, quota_estimators };
        loop {
            let tick = async {
                self.note_faults();
                if let Some(report) = self.cycles.begin(self.clock.now()) {
                    on_cycle(report);
                }
                self.store.in_place()?;
                if let Some(report) = self.tick(&stage).await {
                    on_cycle(report);
                }
                Ok(())
            };
            // The interval follows the monotonic clock: setting the wall clock shifts no tick.
            let ticked = async { try_join(tick, self.clock.sleep(interval).map(Ok)).await };
            tokio::select! {
                ticked = ticked => if let Err(displaced) = ticked {
                    error!(error = %displaced, "the store is lost");
                    return Some(displaced);
                },
                _ = stop.wait_for(|stop| *stop) => return None,
            }
        }
    }

    /// Records faults of this process in the current cycle.
    fn note_faults(&self) {
        if let Err(displaced) = self.store.in_place() {
            self.cycles.fault(displaced.to_string());
        }
    }

    /// One tick, retried soon if the store or a queue does not answer: that must not cost an interval.
    async fn tick(&self, stage: &Tick<'_, Cl>) -> Option<CycleReport> {
        let (mut pause, mut paused) = (FIRST_PAUSE, Duration::ZERO);
        loop {
            let report = stage.run().await;
            match &report.disposition {
                Disposition::Done => {
                    self.note_faults();
                    return self.cycles.scheduled(&report, self.clock.now());
                }
                Disposition::Retry { reason, .. } => self.cycles.tick_failed(reason),
                Disposition::DeadLetter { reason } => {
                    self.cycles.tick_failed(reason);
                    return None;
                }
            }
            // A tick that keeps failing must not delay the next one.
            if paused + pause > self.settings.interval / 2 {
                return None;
            }
            self.clock.sleep(pause).await;
            paused += pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn check_loop(
        self: Arc<Self>,
        stop: watch::Receiver<bool>,
        on_cycle: Arc<dyn Fn(CycleReport) + Send + Sync>,
    ) {
        let this = self.clone();
        let handle = move |delivery: Delivery| {
            let (this, on_cycle) = (self.clone(), on_cycle.clone());
            async move { this.check(&delivery, &*on_cycle).await }
        };
        this.work(&this.checks, this.checks_at_once, stop, handle).await;
    }

    async fn notify_loop(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let this = self.clone();
        let handle = move |delivery: Delivery| {
            let this = self.clone();
            async move { this.notify(&delivery).await }
        };
        this.work(&this.changes, NOTIFIERS, stop, handle).await;
    }

    async fn follow_up_loop(self: Arc<Self>, follower: Follower, stop: watch::Receiver<bool>) {
        let (this, follower) = (self.clone(), Arc::new(follower));
        let handle = move |delivery: Delivery| {
            let (this, follower) = (self.clone(), follower.clone());
            async move { follower.follow_up(&this, &delivery).await }
        };
        this.work(&this.commands, FOLLOW_UPS, stop, handle).await;
    }

    async fn prune_loop(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            match self.store.prune(self.clock.now()).await {
                Ok(0) => {}
                Ok(pruned) => debug!(pruned, "old records were deleted"),
                Err(error) => warn!(%error, "old records were not deleted"),
            }
            tokio::select! {
                () = self.clock.sleep(Duration::from_secs(6 * 3_600)) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Receives messages from a queue and handles each, up to `at_once` at the same time.
    async fn work<Handling: Future<Output = Disposition> + Send + 'static>(
        self: &Arc<Self>,
        queue: &TimeScaled,
        at_once: usize,
        mut stop: watch::Receiver<bool>,
        handle: impl Fn(Delivery) -> Handling,
    ) {
        let places = Arc::new(Semaphore::new(at_once));
        let mut under_way = JoinSet::new();
        while !*stop.borrow() {
            let received = tokio::select! {
                received = queue.queue.receive(10, VISIBILITY, Duration::from_secs(20)) => received,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            for delivery in received.unwrap_or_else(|error| {
                warn!(%error, "messages could not be received");
                Vec::new()
            }) {
                let place = tokio::select! {
                    place = places.clone().acquire_owned() => place,
                    _ = stop.wait_for(|stop| *stop) => break,
                };
                let Ok(place) = place else { return };
                let (queue, receipt) = (queue.clone(), delivery.receipt.clone());
                let handling = handle(delivery);
                under_way.spawn(async move {
                    let settled = settle(&queue, &receipt, handling.await).await;
                    if let Err(error) = settled {
                        warn!(%error, "a message was not settled: it will be redelivered");
                    }
                    drop(place);
                });
            }
            while let Some(ended) = under_way.try_join_next() {
                report_panic(ended);
            }
        }
        while let Some(ended) = under_way.join_next().await {
            report_panic(ended);
        }
    }

    async fn check(&self, delivery: &Delivery, on_cycle: &(dyn Fn(CycleReport) + Send + Sync)) -> Disposition {
        let job = match CheckJob::from_json(&delivery.body) {
            Ok(job) => job,
            Err(error) => return unreadable(&error),
        };
        let (store, source, jobs, changes, clock) =
            (&self.store, &self.source, &self.checks, &self.changes, &self.clock);
        let report = Check { store, source, jobs, changes, clock, settings: &self.settings, latest: &self.latest }
            .run(&job)
            .await;
        self.note_faults();
        // That counts towards `unreachableAfter` as well, but the fault is in this process and not at GitHub.
        if matches!(&report.ending, Ending::Failed(failure) if failure.fault == Fault::Network) && are_used_up() {
            self.cycles.fault("this process has no file descriptor left for a connection".to_owned());
        }
        if job.reason == Reason::Schedule
            && let Some(report) = self.cycles.checked(&job.target, &report, self.clock.now())
        {
            on_cycle(report);
        }
        report.disposition
    }

    async fn notify(&self, delivery: &Delivery) -> Disposition {
        let message = match StateChange::from_json(&delivery.body) {
            Ok(message) => message,
            Err(error) => return unreadable(&error),
        };
        let settings = NotifySettings::default();
        let policy = &self.settings.policy;
        Notify { store: &self.store, chat: &self.chat, clock: &self.clock, policy, settings }
            .run(&message.subject, delivery.receive_count)
            .await
            .disposition
    }
}

fn unreadable(error: &MessageError) -> Disposition {
    Disposition::DeadLetter { reason: error.to_string() }
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        // Its message becomes visible again, and is dead-lettered if the stage keeps panicking.
        error!(%error, "a stage panicked");
    }
}

/// Deletes, releases or dead-letters a message, as its stage decided.
async fn settle(queue: &TimeScaled, receipt: &str, disposition: Disposition) -> Result<(), QueueError> {
    match disposition {
        Disposition::Done => queue.queue.delete(receipt).await,
        Disposition::Retry { after, .. } => queue.release(receipt, after).await,
        Disposition::DeadLetter { reason } => {
            error!(reason, "a message was dead-lettered");
            queue.queue.release(receipt, Duration::ZERO).await
        }
    }
}

#[cfg(test)]
mod tests {
    use monitor_domain::cycle::Shortfall;
    use monitor_embedded::store::EmbeddedStore;
    use monitor_github::{Credential, Secret, Settings};
    use monitor_pipeline::stages::ScheduleReport;
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
