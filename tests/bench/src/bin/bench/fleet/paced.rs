//! The check stage on the embedded store, with GitHub's limits and a clock that runs faster than real time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use monitor_domain::policy::Policy;
use monitor_domain::target::{Target, TargetSpec};
use monitor_e2e::TOKEN;
use monitor_embedded::queue::Queue;
use monitor_embedded::store::EmbeddedStore;
use monitor_github::{Credential, GitHub, Secret};
use monitor_pipeline::messages::{CheckJob, Reason};
use monitor_pipeline::ports::Clock as _;
use monitor_pipeline::stages::{Check, CheckSettings, LatestChecks};
use monitor_telemetry::SystemClock;
use tokio::time::Instant;

use super::{LATENCY_MS, PER_MINUTE, Pass, SPEED, add, world};
use crate::table::Table;
use crate::time_scale::TimeScale;
use crate::world::{World, repository};

const AT_ONCE: usize = 100;

pub(super) fn measure(table: &mut Table, targets: usize) -> anyhow::Result<()> {
    // A burst takes less than a minute and is measured in real time.
    let speed = if targets > PER_MINUTE { SPEED } else { 1 };
    let world = world(targets, true, speed)?;
    // The fast clock runs after every few checks, so that it does not fall behind in a burst.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.global_queue_interval(4).event_interval(4).enable_all().build()?;
    let done = runtime.block_on(pass(&world, targets, speed))?;
    done.check(targets, "one process, paced")?;
    // 900 at once, 900 a minute later, and so on; the last ones as fast as GitHub answers.
    let minutes = (targets - 1) / PER_MINUTE;
    let rest = targets - minutes * PER_MINUTE;
    let floor_ms = minutes as f64 * 60_000.0 + rest.div_ceil(AT_ONCE) as f64 * LATENCY_MS as f64;
    let clock = if speed == 1 {
        "real time".to_owned()
    } else {
        format!("clock {speed} times faster than real time, work is not")
    };
    let note = format!("check stage, embedded store; {clock}; none limited");
    add(table, &format!("one process, {targets} repositories, first pass"), done.took, floor_ms, None, &note);
    Ok(())
}

async fn pass(world: &World, targets: usize, speed: u32) -> anyhow::Result<Pass> {
    let time_scale = TimeScale::of(speed);
    let folder = tempfile::tempdir()?;
    let store = EmbeddedStore::open(folder.path().join("store.db"))?;
    let http = monitor_http::client(monitor_http::http().no_proxy())?;
    let mut settings = monitor_github::Settings::new(Credential::Token(Secret::new(TOKEN)));
    settings.api_url = world.github_url();
    settings.max_requests_per_minute = Some(PER_MINUTE);
    let source = GitHub::new(http, settings, Arc::new(|| SystemClock.now()))?;
    let (jobs, changes) = (Queue::standard(5), Queue::fifo(5));
    let names = (0..targets).map(repository);
    let targets = names.map(|name| Target::repository(&name)).collect::<Result<Vec<_>, _>>()?;
    let settings = CheckSettings {
        policy: Policy::default(),
        configured: targets.iter().cloned().map(TargetSpec::One).collect(),
        interval: Duration::from_secs(300),
        jobs: false,
    };
    let everything = Arc::new((store, source, jobs, changes, settings));
    let check_one = |target: Target| {
        let everything = everything.clone();
        tokio::spawn(async move {
            let (store, source, jobs, changes, settings) = &*everything;
            // The reason that `runner-monitor check` uses: it runs whether or not the target is on the list.
            let job = CheckJob { target, reason: Reason::Once, requested_at: None, valid_until: None };
            Check { store, source, jobs, changes, clock: &SystemClock, settings, latest: &LatestChecks::default() }
                .run(&job)
                .await;
        })
    };
    let began = Instant::now();
    stream::iter(targets).map(check_one).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
    let done = Pass { took: began.elapsed(), github: world.github.state().counters().clone() };
    drop(time_scale);
    Ok(done)
}
