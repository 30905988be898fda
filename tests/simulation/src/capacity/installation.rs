//! A scheduler and several pollers that share one queue and one store.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use monitor_domain::policy::Policy;
use monitor_domain::target::TargetSpec;
use monitor_domain::time::Timestamp;
use monitor_embedded::store::EmbeddedStore;
use monitor_fakes::github::APP_PRIVATE_KEY_PEM;
use monitor_fakes::{Chance, FakeGitHub};
use monitor_github::{Credential, GitHub, Secret, Settings};
use monitor_pipeline::messages::{CheckJob, Reason};
use monitor_pipeline::ports::{Clock, Outgoing, QueueError, Sender};
use monitor_pipeline::stages::{
    Check, CheckEnding, CheckSettings, LatestChecks, QuotaEstimators, Schedule, ScheduleSettings,
};

use super::fleet::{self, APP_ID, TOKEN};
use super::tally::Tally;
use super::{INTERVAL, Load, Outcome, START_MS};

/// The most messages that a poller receives at once.
pub(super) const BATCH: usize = 10;
/// How many of a thousand messages are delivered twice.
const TWICE: u64 = 1;
/// The longest delay before a message becomes visible, in milliseconds.
const LATE_MS: u64 = 1_500;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Virtual time: none passes while a stage runs.
#[derive(Clone)]
pub(super) struct VirtualClock(Arc<AtomicI64>);

impl VirtualClock {
    pub(super) fn set(&self, now_ms: i64) {
        self.0.store(now_ms, Ordering::SeqCst);
    }

    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_epoch_ms(self.now_ms())
    }

    async fn sleep(&self, _: Duration) {}

    fn random(&self) -> u64 {
        // Nothing runs in parallel here, so nonces need not differ.
        7
    }
}

/// Messages by the time at which they become visible; in random order if that is equal.
type Waiting = BinaryHeap<Reverse<(i64, u64, String)>>;

/// A standard queue: without strict order, with occasional delays and double deliveries.
pub(super) struct LateQueue {
    clock: VirtualClock,
    waiting: Mutex<(Waiting, Chance)>,
}

impl LateQueue {
    pub(super) fn next_visible_ms(&self) -> Option<i64> {
        lock(&self.waiting).0.peek().map(|Reverse((visible_ms, ..))| *visible_ms)
    }

    pub(super) fn take(&self, most: usize, now_ms: i64) -> Vec<String> {
        let mut waiting = lock(&self.waiting);
        let mut taken = Vec::new();
        while taken.len() < most && waiting.0.peek().is_some_and(|Reverse((visible_ms, ..))| *visible_ms <= now_ms) {
            taken.extend(waiting.0.pop().map(|Reverse((.., body))| body));
        }
        taken
    }
}

impl Sender for LateQueue {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        let now_ms = self.clock.now_ms();
        let mut waiting = lock(&self.waiting);
        let (queue, chance) = &mut *waiting;
        for message in messages {
            let times = 1 + u64::from(chance.in_thousand(TWICE));
            for _ in 0..times {
                // SQS counts in whole seconds.
                let delay_ms = message.delay.as_secs() * 1_000 + chance.below(LATE_MS);
                let visible_ms = now_ms + i64::try_from(delay_ms).unwrap_or(i64::MAX);
                queue.push(Reverse((visible_ms, chance.number(), message.body.clone())));
            }
        }
        Ok(())
    }
}

/// Discards state-change messages: there is no notifier.
struct Discard;

impl Sender for Discard {
    async fn send(&self, _: Vec<Outgoing>) -> Result<(), QueueError> {
        Ok(())
    }
}

/// An installation and its fake GitHub.
pub(super) struct Installation {
    pub(super) github: FakeGitHub,
    pub(super) clock: VirtualClock,
    pub(super) queue: LateQueue,
    store: EmbeddedStore,
    scheduler: GitHub,
    quota_estimators: QuotaEstimators,
    pollers: Vec<GitHub>,
    forgets: bool,
    schedule_settings: ScheduleSettings,
    check_settings: CheckSettings,
    tally: Mutex<Tally>,
}

impl Installation {
    pub(super) async fn start(load: &Load) -> anyhow::Result<Self> {
        let clock = VirtualClock(Arc::new(AtomicI64::new(START_MS)));
        let its_clock = clock.clone();
        let github = FakeGitHub::start_with(fleet::github(load), 0, move || its_clock.now_ms()).await?;
        let client = || client(load, &github.base_url(), &clock);
        let targets = (0..fleet::total(load)).map(|number| fleet::name(load, number).parse());
        let targets = targets.collect::<Result<Vec<_>, _>>()?;
        let configured: Vec<TargetSpec> = targets.iter().cloned().map(TargetSpec::One).collect();
        let policy = Policy::default();
        let queue_chance = Chance::new(load.seed.wrapping_add(1));
        Ok(Self {
            queue: LateQueue { clock: clock.clone(), waiting: Mutex::new((BinaryHeap::new(), queue_chance)) },
            store: EmbeddedStore::open_in_memory()?,
            scheduler: client()?,
            quota_estimators: QuotaEstimators::default(),
            pollers: (0..load.pollers).map(|_| client()).collect::<Result<_, _>>()?,
            forgets: load.forgets,
            schedule_settings: ScheduleSettings {
                policy: policy.clone(),
                configured: configured.clone(),
                interval: INTERVAL,
                jobs_per_minute: Some(load.per_minute),
                jobs: false,
            },
            check_settings: CheckSettings { policy, configured, interval: INTERVAL, jobs: false },
            tally: Mutex::new(Tally::of(&targets)),
            github,
            clock,
        })
    }

    pub(super) async fn tick(&self) {
        let (store, source, jobs, changes, clock) = (&self.store, &self.scheduler, &self.queue, &Discard, &self.clock);
        let forgotten = QuotaEstimators::default();
        let quota_estimators = if self.forgets { &forgotten } else { &self.quota_estimators };
        let settings = &self.schedule_settings;
        let report = Schedule { store, source, jobs, changes, clock, settings, quota_estimators }.run().await;
        lock(&self.tally).ticked(&report, clock.now());
    }

    /// One invocation of a poller. Returns whether it sent any request to GitHub.
    pub(super) async fn handle(&self, poller: usize, batch: Vec<String>) -> bool {
        let (store, source, jobs, changes, clock) =
            (&self.store, &self.pollers[poller], &self.queue, &Discard, &self.clock);
        let stage = Check {
            store,
            source,
            jobs,
            changes,
            clock,
            settings: &self.check_settings,
            latest: &LatestChecks::default(),
        };
        join_all(batch.iter().map(async |body| {
            let Ok(job) = CheckJob::from_json(body) else { return false };
            let began = clock.now();
            let report = stage.run(&job).await;
            lock(&self.tally).checked(&job.target, job.reason == Reason::Schedule, &report, began);
            report.ending != CheckEnding::Expired
        }))
        .await
        .contains(&true)
    }

    pub(super) fn outcome(&self) -> Outcome {
        let state = self.github.state();
        lock(&self.tally).outcome(state.counters(), state.most_points_in_a_minute(), self.clock.now())
    }
}

fn client(load: &Load, api_url: &str, clock: &VirtualClock) -> anyhow::Result<GitHub> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let credential = if load.app {
        Credential::App { app_id: APP_ID.to_string(), private_key: Secret::new(APP_PRIVATE_KEY_PEM) }
    } else {
        Credential::Token(Secret::new(TOKEN))
    };
    let settings = Settings { api_url: api_url.to_owned(), max_requests_per_minute: None, ..Settings::new(credential) };
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
    let clock = clock.clone();
    Ok(GitHub::new(http, settings, Arc::new(move || clock.now()))?)
}
