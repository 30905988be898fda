//! What the scheduler works with, kept from one invocation to the next.

use std::sync::Arc;
use std::time::Duration;

use monitor_aws::host::{self, Invocation};
use monitor_aws::{Failure, Kept, Queue, Sdk, Variables, Wiring};
use monitor_config::{HostOptions, Settings, Source};
use monitor_github::GitHub;
use monitor_outside::BuiltInRoots;
use monitor_pipeline::ports::Clock as _;
use monitor_pipeline::stages::{Meters, Schedule, ScheduleSettings};
use monitor_stately::items::TYPES_OF_THE_SCHEDULE;
use monitor_stately::{HttpTransport, StatelyStore};
use monitor_telemetry::SystemClock;
use serde_json::Value;

use crate::handler::{self, Report};

/// The scheduler with its queues; its clients are made when they are first needed.
pub struct Scheduler {
    kept: Kept<Settings, Ready>,
    jobs: Queue,
    changes: Queue,
    meters: Meters,
    stack: Option<String>,
}

/// What is made of the settings.
struct Ready {
    github: GitHub,
    store: StatelyStore<HttpTransport>,
    settings: ScheduleSettings,
}

impl Scheduler {
    /// Reads which queues it has; everything else when it is first needed.
    pub fn new(variables: &Variables, sdk: &Sdk) -> Self {
        let mut wiring = Wiring::of(variables);
        let jobs = Queue::new(sdk.clone(), wiring.queue_url("CHECKS_QUEUE_URL"));
        let changes = Queue::new(sdk.clone(), wiring.queue_url("CHANGES_QUEUE_URL"));
        let every = wiring.interval();
        let options = HostOptions { every: Some(every), statelydb: true, without_chat: true, ..HostOptions::default() };
        let read = move |source: &Source<'_>| Settings::read(source, &options);
        let build = move |settings| Ready::of(settings, every);
        let kept = Kept::new(variables, sdk, wiring.into_faults(), read, build);
        Self { kept, jobs, changes, meters: Meters::default(), stack: variables.stack() }
    }

    /// Handles one invocation.
    pub async fn handle(&self, event: Value, invocation: Invocation) -> Result<Value, Failure> {
        handler::accept(&event)?;
        let clock = &SystemClock;
        let ready = self.kept.get(clock.now()).await?;
        let Ready { github: source, store, settings } = &*ready;
        let Self { jobs, changes, meters, .. } = self;
        let schedule = Schedule { store, source, jobs, changes, clock, settings, meters };
        let Report { answer, metrics } = handler::handle(&schedule, &invocation.request_id).await;
        host::publish(metrics, self.stack.as_deref(), clock.now(), &invocation.request_id);
        if answer.is_err() {
            // The store's key may have been changed.
            self.kept.doubt();
        }
        answer
    }
}

impl Ready {
    fn of(settings: Settings, interval: Duration) -> Result<Self, Failure> {
        let roots = BuiltInRoots::read().map_err(Failure::setup)?;
        let now = Arc::new(|| SystemClock.now());
        let for_github = roots.clone();
        let github = monitor_outside::github(move || for_github.http(), &settings.github, now);
        let github = github.map_err(Failure::setup)?;
        // The pollers do not know of each other: what all of them ask in a minute is what is sent to them in one.
        let jobs_per_minute = settings.github.limits.requests_per_minute.map(std::num::NonZeroU32::get);
        let Settings { policy, targets: configured, statelydb, .. } = settings;
        let statelydb = statelydb.ok_or_else(|| Failure::setup("the settings of StatelyDB were not read"))?;
        let client =
            monitor_outside::stately(roots.http(), &statelydb, SystemClock.random()).map_err(Failure::setup)?;
        let store = StatelyStore::reading(client, TYPES_OF_THE_SCHEDULE);
        Ok(Self { github, store, settings: ScheduleSettings { policy, configured, interval, jobs_per_minute } })
    }
}
