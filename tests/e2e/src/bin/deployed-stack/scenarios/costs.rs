//! How many requests a tick and a check send to each service in the steady state: the base of the costs in
//! docs/DEPLOY-AWS.md.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::ensure;
use monitor_stately_server::Method;

use super::{Records, Scenario, scenario};
use crate::gateway::Units;
use crate::world::{Setting, World};

/// Enough repositories for two requests per send and two batches per poll.
const REPOSITORIES: [&str; 12] = [
    "acme/r1", "acme/r2", "acme/r3", "acme/r4", "acme/r5", "acme/r6", "acme/r7", "acme/r8", "acme/r9", "acme/r10",
    "acme/r11", "acme/r12",
];

pub(super) fn all() -> Vec<Scenario> {
    vec![
        scenario!(requests_of_a_tick_and_its_checks_in_the_steady_state, fleet).needing(Records::StatelyDb),
        scenario!(units_of_checks_alerts_and_commands_in_dynamodb, fleet).needing(Records::DynamoDb),
    ]
}

fn fleet() -> Setting {
    Setting { repositories: REPOSITORIES.to_vec(), ..Setting::default() }
}

async fn requests_of_a_tick_and_its_checks_in_the_steady_state(world: &World) -> anyhow::Result<()> {
    world.begin().await?;
    // After this tick every instance has its parameters, and every page its ETag.
    world.tick().await?;
    world.settled().await?;
    let functions = ["SchedulerFunction", "PollerFunction", "NotifierFunction"];
    let mut table = String::new();
    for function in functions {
        world.take_counts(function, "sqs");
        let (instances, parameters) = (world.function(function).slots(), world.take_counts(function, "ssm"));
        writeln!(table, "  {function}, settings of up to {instances} instances, every 5 minutes: SSM {parameters:?}")?;
    }
    writeln!(
        table,
        "  tokens of all instances, each for an hour: StatelyDB {}",
        world.stately.state().count(Method::GetAuthToken)
    )?;
    world.github.state().reset_counters();
    world.stately.state().clear_calls();
    let polled = world.function("PollerFunction").invocations();
    let notified = world.function("NotifierFunction").invocations();
    world.mapping("ChecksQueue").disable().await;
    world.tick().await?;
    let by_scheduler = stately(world);
    world.stately.state().clear_calls();
    world.mapping("ChecksQueue").enable().await;
    world.settled().await?;
    let by_poller = stately(world);
    let checks = u64::try_from(REPOSITORIES.len())?;
    let polled = world.function("PollerFunction").invocations() - polled;
    let counters = world.github.state().counters().clone();
    writeln!(table, "requests in the steady state, one tick, {checks} targets:")?;
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
    ensure!(
        world.function(functions[2]).invocations() == notified,
        "a check without changes must not invoke the notifier"
    );

    // A notification costs more, and is rare.
    world.stately.state().clear_calls();
    world.set_runner(REPOSITORIES[0], "offline");
    world.send("ChecksQueue", &format!(r#"{{"repository":"{}"}}"#, REPOSITORIES[0])).await?;
    world.texts(2).await?;
    world.settled().await?;
    writeln!(table, "one check that opens an outage, and its message:")?;
    writeln!(
        table,
        "  StatelyDB {:?}; SQS of the poller {:?}, of the notifier {:?}",
        stately(world),
        world.take_counts(functions[1], "sqs"),
        world.take_counts(functions[2], "sqs")
    )?;
    print!("{table}");

    ensure!(
        counters.requests == checks && counters.not_modified == checks,
        "one conditional request per check: {counters:?}"
    );
    // An instance that was idle so far requests its token first.
    let reads: usize = by_poller.iter().filter(|(method, _)| *method != "GetAuthToken").map(|(_, count)| count).sum();
    ensure!(reads as u64 <= 2 * checks, "at most two store requests per check, all of them reads: {by_poller:?}");
    ensure!(!by_poller.contains_key("Put"), "a check without changes must write nothing: {by_poller:?}");
    ensure!(world.slack.messages().len() == 2, "{:?}", world.texts(2).await?);
    world.no_dead_letters().await
}

/// docs/DEPLOY-AWS.md has these units in its table of costs.
async fn units_of_checks_alerts_and_commands_in_dynamodb(world: &World) -> anyhow::Result<()> {
    let checks = f64::from(u32::try_from(REPOSITORIES.len())?);
    let mut table = String::new();
    let mut measured = |world: &World, what: &str, function: &str| -> anyhow::Result<Units> {
        let units = world.take_units(function);
        writeln!(table, "  {what}: {} read units, {} write units", units.reads, units.writes)?;
        Ok(units)
    };
    world.begin().await?;
    measured(world, "first tick", "SchedulerFunction")?;
    let first = measured(world, "first checks of 12 targets with 2 runners", "PollerFunction")?;
    measured(world, "first notification", "NotifierFunction")?;
    world.tick().await?;
    world.settled().await?;
    let tick = measured(world, "steady tick", "SchedulerFunction")?;
    let steady = measured(world, "steady checks of 12 targets", "PollerFunction")?;
    world.set_runner(REPOSITORIES[0], "offline");
    world.send("ChecksQueue", &format!(r#"{{"repository":"{}"}}"#, REPOSITORIES[0])).await?;
    world.texts(2).await?;
    world.settled().await?;
    measured(world, "a check that opens an outage", "PollerFunction")?;
    measured(world, "its notification", "NotifierFunction")?;
    super::commands::status(world).await?;
    let command = measured(world, "/runner-status of 12 targets", "SlackFunction")?;
    println!("units of DynamoDB, as dynoxide reports them:\n{table}");

    // Two units for the record and each of two runners, the change, and one for the index.
    ensure!(first.writes <= 12.0 * checks, "a first check: {first:?}");
    ensure!(steady.writes == 0.0, "a check without changes must write nothing: {steady:?}");
    // The fleet of two runners is less than 4 KB: one unit.
    ensure!(steady.reads <= 3.0 * checks, "at most two units beyond the fleet: {steady:?}");
    ensure!(tick.writes <= 2.0, "a tick writes its heartbeat: {tick:?}");
    ensure!(command.writes == 0.0 && command.reads <= 4.0 * checks, "{command:?}");
    world.no_dead_letters().await
}

fn stately(world: &World) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in world.stately.state().calls() {
        *counts.entry(format!("{:?}", call.method)).or_default() += 1;
    }
    counts
}
