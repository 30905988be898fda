//! The scheduler's clients and settings, kept from one invocation to the next.

use std::time::Duration;

use monitor_aws::host::{self, Invocation};
use monitor_aws::{Failure, LambdaEnvironment, Queue, QueueUrls, ReloadingConfig, Sdk, github_and_store};
use monitor_config::{HostOptions, Settings, Source, StoreChoice};
use monitor_github::GitHub;
use monitor_http::NetworkStore;
use monitor_pipeline::ports::Clock as _;
use monitor_pipeline::stages::{QuotaEstimators, Schedule, ScheduleSettings};
use monitor_telemetry::SystemClock;
use serde_json::Value;

use crate::handler::{self, Report};

/// The scheduler with its queues. Its clients are created when they are first needed.
pub struct Scheduler {
    reloading_config: ReloadingConfig<Settings, Ready>,
    jobs: Queue,
    changes: Queue,
    quota_estimators: QuotaEstimators,
    stack: Option<String>,
}

/// The clients and values built from the settings.
struct Ready {
    github: GitHub,
    store: NetworkStore,
    settings: ScheduleSettings,
}

impl Scheduler {
    /// Reads only the queue URLs; everything else is read when it is first needed.
    pub fn new(variables: &LambdaEnvironment, sdk: &Sdk) -> Self {
        let mut queue_urls = QueueUrls::of(variables);
        let jobs = Queue::new(sdk.clone(), queue_urls.queue_url("CHECKS_QUEUE_URL"));
        let changes = Queue::new(sdk.clone(), queue_urls.queue_url("CHANGES_QUEUE_URL"));
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
        Self { reloading_config, jobs, changes, quota_estimators: QuotaEstimators::default(), stack: variables.stack() }
    }

    /// Handles one invocation.
    pub async fn handle(&self, event: Value, invocation: Invocation) -> Result<Value, Failure> {
        handler::accept(&event)?;
        let clock = &SystemClock;
        let ready = self.reloading_config.get(clock.now()).await?;
        let Ready { github: source, store, settings } = &*ready;
        let Self { jobs, changes, quota_estimators, .. } = self;
        let schedule = Schedule { store, source, jobs, changes, clock, settings, quota_estimators };
        let Report { answer, metrics } = handler::handle(&schedule, &invocation.request_id).await;
        host::publish(metrics, self.stack.as_deref(), clock.now(), &invocation.request_id);
        if answer.is_err() {
            // The store's key may have been rotated.
            self.reloading_config.invalidate();
        }
        answer
    }
}

impl Ready {
    fn of(settings: Settings, interval: Duration, jobs: bool, sdk: &Sdk) -> Result<Self, Failure> {
        let (github, store) = github_and_store(&settings, sdk)?;
        // The pollers do not know each other, so the jobs sent per minute are what limits their requests per minute.
        let jobs_per_minute = settings.github.limits.requests_per_minute.map(std::num::NonZeroU32::get);
        let Settings { policy, targets: configured, .. } = settings;
        Ok(Self { github, store, settings: ScheduleSettings { policy, configured, interval, jobs_per_minute, jobs } })
    }
}
