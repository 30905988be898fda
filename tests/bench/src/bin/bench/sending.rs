//! Sends 10,000 jobs with the scheduler's sender to a fake SQS with a latency of 10 ms.

use std::time::Duration;

use anyhow::ensure;
use monitor_aws::Queue;
use monitor_aws::testing::CHECKS;
use monitor_pipeline::ports::{Outgoing, Sender as _};
use tokio::time::Instant;

use crate::measure::{median, memory_kib, ms};
use crate::table::Table;
use crate::world::{Terms, World, repository};

const JOBS: usize = 10_000;
const CALLS: usize = JOBS / 10;
const LATENCY_MS: u64 = 10;
const ROUNDS: usize = 5;

pub(crate) fn measure(table: &mut Table) -> anyhow::Result<()> {
    table.section("10,000 jobs sent to SQS at 10 ms");
    let world = World::start(Terms { repositories: 0, github_latency_ms: 0, is_limited: false, speed: 1 })?;
    world.aws.set_latency_ms(LATENCY_MS);
    world.aws.forget_messages();
    let queue = Queue::new(world.sdk(), CHECKS);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Warm-up: opens connections and allocates buffers.
    runtime.block_on(queue.send(jobs()))?;
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (jobs, before) = (jobs(), world.aws.calls("SendMessageBatch").len());
        let began = Instant::now();
        runtime.block_on(queue.send(jobs))?;
        times.push(ms(began.elapsed()));
        ensure!(world.aws.calls("SendMessageBatch").len() - before == CALLS, "every call once");
        memory.push(memory_kib(std::process::id(), "VmRSS")? / 1_024.0);
    }
    let at_once = world.aws.most_in_flight();
    let floor = CALLS.div_ceil(at_once) as f64 * LATENCY_MS as f64;
    let took = median(&mut times);
    let note = format!("{took:.0} ms ÷ {floor:.0} ms: {CALLS} calls, {at_once} under way at once; median of {ROUNDS}");
    table.add("time ÷ floor", took / floor, "×").at_most(1.3).note(note);
    let grown = memory[ROUNDS - 1] - memory[0];
    table.add("memory grown from the first to the last of 5", grown, "MiB").at_most(2.0);
    Ok(())
}

fn jobs() -> Vec<Outgoing> {
    let job = |number: usize| {
        let repository = repository(number);
        let body = format!(
            r#"{{"version":1,"repository":"{repository}","reason":"schedule","requestedAt":"2026-11-23T09:30:00.000Z"}}"#
        );
        Outgoing { body, delay: Duration::from_millis(number as u64 * 67), ..Outgoing::default() }
    };
    (0..JOBS).map(job).collect()
}
