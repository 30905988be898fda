//! Runs the pipeline in one process: hands messages to the stages and decides nothing.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::try_join;
use monitor_domain::observation::Fault;
use monitor_embedded::store::Displaced;
use monitor_github::GitHub;
use monitor_pipeline::messages::{CheckJob, MessageError, Reason, StateChange};
use monitor_pipeline::ports::{Chat, Clock, Delivery, QueueError, Receiver};
use monitor_pipeline::stages::{
    Check, CheckEnding, Disposition, Notify, NotifySettings, QuotaEstimators, Schedule, ScheduleSettings,
};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use crate::cycle::CycleReport;
use crate::descriptors::are_used_up;
use crate::engine::{Engine, TimeScaled};
use crate::slack_server::{Follower, SlackServer};
use crate::stopping::GRACE;
use crate::store::ChosenStore;
use crate::web_server::{WebServer, pause};
use crate::webhook_server::WebhookServer;

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

/// What is served besides.
#[derive(Default)]
pub(crate) struct Servers {
    /// Slack's commands and buttons.
    pub(crate) slack: Option<SlackServer>,
    /// GitHub's reports of jobs, at an address of their own.
    pub(crate) webhook: Option<WebhookServer>,
    /// The page.
    pub(crate) web: Option<WebServer>,
}

/// The schedule stage with the ports of an installation in one process.
type Tick<'a, Cl> = Schedule<'a, ChosenStore, GitHub, TimeScaled, TimeScaled, Cl>;

impl<Ch: Chat + 'static, Cl: Clock + Clone + 'static> Engine<Ch, Cl> {
    /// Monitors until `asked_to_stop` turns true, then lets running stages end within [`GRACE`]. `on_cycle` is called
    /// after each cycle, complete or not.
    ///
    /// Returns an error if the store's file is lost while in use: nothing done after that would be stored.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut asked_to_stop: watch::Receiver<bool>,
        servers: Servers,
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
        let Servers { slack: slack_server, webhook, web: web_server } = servers;
        if let Some(webhook_server) = webhook {
            loops.spawn(webhook_server.serve(self.clone(), stop.clone()));
        }
        if let Some(slack_server) = slack_server {
            loops.spawn(self.clone().follow_up_loop(slack_server.follower(), stop.clone()));
            loops.spawn(slack_server.serve(self.clone(), stop.clone()));
        }
        if let Some(web_server) = web_server {
            let (store, pause, clock) = (self.store.clone(), pause(&self.store), self.clock.clone());
            loops.spawn(web_server.serve(store, pause, clock, stop.clone()));
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
        let jobs = self.settings.jobs;
        let settings = ScheduleSettings { policy, configured, interval, jobs_per_minute: None, jobs };
        let (store, source, jobs, changes, clock) =
            (&*self.store, &self.source, &self.checks, &self.changes, &self.clock);
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
            // It begins with the tick: the sleep is polled first.
            let ticked = async { try_join(self.clock.sleep(interval).map(Ok), tick).await };
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
            (&*self.store, &self.source, &self.checks, &self.changes, &self.clock);
        let report = Check { store, source, jobs, changes, clock, settings: &self.settings, latest: &self.latest }
            .run(&job)
            .await;
        self.note_faults();
        // That counts towards `unreachableAfter` as well, but the fault is in this process and not at GitHub.
        if matches!(&report.ending, CheckEnding::Failed(failure) if failure.fault == Fault::Network) && are_used_up() {
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
        Notify { store: &*self.store, chat: &self.chat, clock: &self.clock, policy, settings }
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
