//! What a tick and a check ask of each service in the steady state: docs/OPERATIONS.md works out the price from it.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::ensure;

use super::{Scenario, scenario};
use crate::world::{Setting, World};

/// Enough for two messages a send and two batches a poll.
const REPOSITORIES: [&str; 12] = [
    "acme/r1", "acme/r2", "acme/r3", "acme/r4", "acme/r5", "acme/r6", "acme/r7", "acme/r8", "acme/r9", "acme/r10",
    "acme/r11", "acme/r12",
];

pub(super) fn all() -> Vec<Scenario> {
    vec![scenario!(requests_of_a_tick_and_its_checks_in_the_steady_state, fleet)]
}

fn fleet() -> Setting {
    Setting { repositories: REPOSITORIES.to_vec(), ..Setting::default() }
}

async fn requests_of_a_tick_and_its_checks_in_the_steady_state(world: &World) -> anyhow::Result<()> {
    world.begin().await?;
    // Every instance has its parameters, and every page its ETag.
    world.tick().await?;
    world.settled().await?;
    let functions = ["SchedulerFunction", "PollerFunction", "NotifierFunction"];
    for function in functions {
        world.take_counts(function, "sqs");
        world.take_counts(function, "ssm");
    }
    world.github.state().reset_counters();
    world.stately.state().clear_calls();
    let polled = world.function("PollerFunction").invocations();
    let told = world.function("NotifierFunction").invocations();
    world.mapping("ChecksQueue").enable(false).await;
    world.tick().await?;
    let mut table = String::new();
    let by_scheduler = stately(world);
    world.stately.state().clear_calls();
    world.mapping("ChecksQueue").enable(true).await;
    world.settled().await?;
    let by_poller = stately(world);
    let checks = u64::try_from(REPOSITORIES.len())?;
    let polled = world.function("PollerFunction").invocations() - polled;
    let counters = world.github.state().counters().clone();
    writeln!(table, "requests in the steady state, {checks} targets, one tick:")?;
    writeln!(
        table,
        "  scheduler: SQS {:?}, SSM {:?}, StatelyDB {by_scheduler:?}",
        world.take_counts(functions[0], "sqs"),
        world.take_counts(functions[0], "ssm")
    )?;
    writeln!(
        table,
        "  poller, {polled} invocations for {checks} checks: SQS {:?}, SSM {:?}, StatelyDB {by_poller:?}",
        world.take_counts(functions[1], "sqs"),
        world.take_counts(functions[1], "ssm")
    )?;
    writeln!(table, "  GitHub: {} requests, of these {} unchanged (304)", counters.requests, counters.not_modified)?;
    print!("{table}");

    ensure!(
        counters.requests == checks && counters.not_modified == checks,
        "one conditional request a check: {counters:?}"
    );
    let reads: usize = by_poller.values().sum();
    ensure!(reads as u64 <= 2 * checks, "at most two store requests a check, all of them reads: {by_poller:?}");
    ensure!(!by_poller.contains_key("Put"), "a quiet check writes nothing: {by_poller:?}");
    ensure!(world.function("NotifierFunction").invocations() == told, "a quiet check wakes nobody");
    ensure!(world.slack.messages().len() == 1, "{:?}", world.texts(1).await?);
    world.no_dead_letters().await
}

fn stately(world: &World) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in world.stately.state().calls() {
        *counts.entry(format!("{:?}", call.method)).or_default() += 1;
    }
    counts
}
