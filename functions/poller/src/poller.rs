//! The poller's clients and settings, kept from one invocation to the next.

use std::time::Duration;

use monitor_aws::batch::Budget;
use monitor_aws::host::{self, Invocation};
use monitor_aws::{DeadLetters, Failure, LambdaEnvironment, Queue, QueueUrls, ReloadingConfig, Sdk, github_and_store};
use monitor_config::{HostOptions, Settings, Source, StoreChoice};
use monitor_github::GitHub;
use monitor_http::NetworkStore;
use monitor_pipeline::ports::Clock as _;
use monitor_pipeline::stages::{Check, CheckSettings, KnownTargets, LatestChecks};
use monitor_telemetry::SystemClock;
use serde_json::Value;

use crate::handler::{Batch, BatchReport};

/// The poller with its queues. Its clients are created when they are first needed.
pub struct Poller {
    reloading_config: ReloadingConfig<Settings, Ready>,
    jobs: Queue,
    changes: Queue,
    dead_letters: DeadLetters,
    stack: Option<String>,
    latest: LatestChecks,
    known: KnownTargets,
}

/// The clients and values built from the settings. The GitHub client remembers request pace, limits and tokens.
struct Ready {
    github: GitHub,
    store: NetworkStore,
    settings: CheckSettings,
}

impl Poller {
    /// Reads only the queue URLs; everything else is read when it is first needed.
    pub fn new(variables: &LambdaEnvironment, sdk: &Sdk) -> Self {
        let mut queue_urls = QueueUrls::of(variables);
        let jobs = Queue::new(sdk.clone(), queue_urls.queue_url("CHECKS_QUEUE_URL"));
        let changes = Queue::new(sdk.clone(), queue_urls.queue_url("CHANGES_QUEUE_URL"));
        let dead_letters = DeadLetters::new(sdk.clone(), queue_urls.queue_url("CHECKS_DEAD_LETTER_QUEUE_URL"));
        let every = queue_urls.interval();
        let options = HostOptions {
            every: Some(every),
            store: Some(StoreChoice::BySettings),
            without_chat: true,
            ..HostOptions::default()
        };
        let read = move |source: &Source<'_>| Settings::read(source, &options);
        let for_store = sdk.clone();
        // The template sets it if the function `hooks` is deployed too.
        let receives_jobs = variables.get("RECEIVE_JOBS").as_deref() == Some("true");
        let build = move |settings| Ready::of(settings, every, receives_jobs, &for_store);
        let reloading_config = ReloadingConfig::new(variables, sdk, queue_urls.into_faults(), read, build);
        let latest = LatestChecks::default();
        Self {
            reloading_config,
            jobs,
            changes,
            dead_letters,
            stack: variables.stack(),
            latest,
            known: KnownTargets::default(),
        }
    }

    /// Handles one invocation.
    pub async fn handle(&self, event: Value, invocation: Invocation) -> Result<Value, Failure> {
        let event = host::messages(event)?;
        let clock = &SystemClock;
        let now = clock.now();
        let ready = self.reloading_config.get(now).await?;
        let Ready { github: source, store, settings } = &*ready;
        let check =
            Check { store, source, jobs: &self.jobs, changes: &self.changes, clock, settings, latest: &self.latest };
        let budget = Budget::of(invocation.left(now));
        let batch = Batch {
            check: &check,
            known: &self.known,
            failure_sink: &self.dead_letters,
            budget,
            request_id: &invocation.request_id,
        };
        let BatchReport { response, metrics, reload_settings } = batch.handle(event).await;
        if reload_settings {
            self.reloading_config.invalidate();
        }
        host::publish(metrics, self.stack.as_deref(), clock.now(), &invocation.request_id);
        host::answer(&response)
    }
}

impl Ready {
    fn of(settings: Settings, interval: Duration, receives_jobs: bool, sdk: &Sdk) -> Result<Self, Failure> {
        let (github, store) = github_and_store(&settings, sdk)?;
        let Settings { policy, targets: configured, .. } = settings;
        Ok(Self { github, store, settings: CheckSettings { policy, configured, interval, jobs: receives_jobs } })
    }
}
