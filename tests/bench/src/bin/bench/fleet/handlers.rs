//! Passes with the handlers of scheduler and poller, with the number of pollers and the batch size of the template.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use anyhow::ensure;
use futures_util::future::try_join_all;
use monitor_aws::testing::CHECKS;
use monitor_function_poller::Poller;
use monitor_function_scheduler::Scheduler;
use monitor_pipeline::ports::Clock as _;
use monitor_telemetry::SystemClock;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{PER_MINUTE, Pass, SPEED, add, floor_ms, world};
use crate::table::Table;
use crate::time_scale::TimeScale;
use crate::world::{World, invocation, messages};

/// As in infra/template.yaml.
const POLLERS: usize = 5;
const BATCH: usize = 10;

/// The scheduler and the pollers of one installation.
struct Functions<'a> {
    world: &'a World,
    scheduler: Scheduler,
    pollers: Vec<Poller>,
}

impl<'a> Functions<'a> {
    fn of(world: &'a World, more: &[(&'static str, String)]) -> Self {
        let (variables, sdk) = (world.variables("{}", more), world.sdk());
        let pollers = (0..POLLERS).map(|_| Poller::new(&variables, &sdk)).collect();
        Self { world, scheduler: Scheduler::new(&variables, &sdk), pollers }
    }

    /// Runs a tick, then each of its jobs when it becomes visible.
    async fn pass(&self) -> anyhow::Result<Pass> {
        self.world.github.state().reset_counters();
        self.world.statelydb.state().clear_calls();
        let began = Instant::now();
        self.scheduler.handle(json!({}), invocation()).await?;
        let sent = self.world.aws.take_sent(CHECKS);
        let sent_at = Instant::now();
        let mut jobs: Vec<(Instant, String)> =
            sent.into_iter().map(|job| (sent_at + Duration::from_secs(job.delay_secs), job.body)).collect();
        jobs.sort_by_key(|(visible_at, _)| *visible_at);
        let queue = RefCell::new(VecDeque::from(jobs));
        try_join_all(self.pollers.iter().map(|poller| poll(poller, &queue))).await?;
        Ok(Pass { took: began.elapsed(), github: self.world.github.state().counters().clone() })
    }
}

/// Takes batches until the queue is empty.
async fn poll(poller: &Poller, queue: &RefCell<VecDeque<(Instant, String)>>) -> anyhow::Result<()> {
    loop {
        let now = Instant::now();
        let batch: Vec<String> = {
            let mut queue = queue.borrow_mut();
            let visible = queue.iter().take(BATCH).take_while(|(at, _)| *at <= now).count();
            queue.drain(..visible).map(|(_, body)| body).collect()
        };
        if batch.is_empty() {
            if queue.borrow().is_empty() {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
            continue;
        }
        let answer = poller.handle(messages("checks", batch.iter().map(|body| &**body)), invocation()).await?;
        ensure!(answer == json!({"batchItemFailures": []}), "{answer}");
    }
}

pub(super) fn unpaced(table: &mut Table, targets: usize) -> anyhow::Result<()> {
    let world = world(targets, false, 1)?;
    let functions = Functions::of(&world, &[("GITHUB_REQUESTS_PER_MINUTE", "off".to_owned())]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for name in ["first pass", "pass with 304s"] {
        let done = runtime.block_on(functions.pass())?;
        done.check(targets, name)?;
        let note = format!("{POLLERS} pollers of {BATCH} on one thread, fake StatelyDB and SQS at 0 ms");
        let what = format!("handlers, {targets} repositories, {name}");
        add(table, &what, done.took, floor_ms(targets, POLLERS * BATCH), None, &note);
    }
    Ok(())
}

pub(super) fn paced(table: &mut Table, targets: usize) -> anyhow::Result<()> {
    let world = world(targets, true, SPEED)?;
    let interval = interval_secs(targets);
    // `unreachableAfter` must be at least two intervals.
    let policy = ("POLICY", r#"{"unreachableAfter":"60m"}"#.to_owned());
    let functions = Functions::of(&world, &[("CHECK_INTERVAL_SECS", interval.to_string()), policy]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let time_scale = TimeScale::of(SPEED);
        let done = functions.pass().await;
        drop(time_scale);
        done
    })?;
    done.check(targets, "handlers, paced")?;
    let floor_ms = targets as f64 / PER_MINUTE as f64 * 60_000.0;
    let note = format!(
        "spread by the schedule over {interval} s; clock {SPEED} times faster than real time, work is not; none limited"
    );
    add(table, &format!("handlers, {targets} repositories, first pass"), done.took, floor_ms, None, &note);
    Ok(())
}

/// An interval that is long enough for all targets, no longer than SQS's maximum delay of 15 minutes, and that has just
/// started: ticks are aligned with intervals, and a tick in the middle of one skips the slots that are over.
fn interval_secs(targets: usize) -> u64 {
    let now_secs = SystemClock.now().epoch_ms().unsigned_abs() / 1_000;
    let least = if targets > 4 * PER_MINUTE + 400 { 760 } else { 300 };
    (least..=900).min_by_key(|interval| now_secs % interval).unwrap_or(least)
}
