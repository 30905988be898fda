//! The cost of one check in requests, items, allocations and processor time, with the poller's handler in this process.

use anyhow::ensure;
use monitor_function_poller::Poller;
use monitor_stately_server::Method;
use serde_json::json;

use crate::measure::processor_time;
use crate::table::Table;
use crate::world::{Terms, World, invocation, job, messages, repository};

/// Checks of each kind. The figures are averages per check.
const CHECKS: usize = 200;

pub(crate) fn measure(table: &mut Table) -> anyhow::Result<()> {
    let terms = Terms { repositories: CHECKS + 1, github_latency_ms: 0, is_limited: false, speed: 1 };
    let world = World::start(terms)?;
    let poller = Poller::new(&world.variables("{}", &[]), &world.sdk());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let check = |number: usize| -> anyhow::Result<()> {
        let event = messages("checks", [&*job(&repository(number))]);
        let answer = runtime.block_on(poller.handle(event, invocation()))?;
        ensure!(answer == json!({"batchItemFailures": []}), "{answer}");
        Ok(())
    };
    // Warm-up: opens the connections and gets the token.
    check(CHECKS)?;
    table.section("One check, 5 runners, first time");
    costs(table, &world, &check)?;
    // The first check is confirmed by the next ones, which takes longer than a minute.
    table.section("One check, 5 runners, nothing has changed (304)");
    costs(table, &world, &check)?;
    for number in 0..CHECKS {
        let id = world.github.state().runners(&repository(number))[0].id;
        world.github.state().set_runner(&repository(number), id, "online", true);
    }
    table.section("One check, 5 runners, one has begun a job");
    costs(table, &world, &check)
}

fn costs(table: &mut Table, world: &World, check: &impl Fn(usize) -> anyhow::Result<()>) -> anyhow::Result<()> {
    world.github.state().reset_counters();
    world.statelydb.state().clear_calls();
    let sends = || world.aws.calls("SendMessageBatch").len() + world.aws.calls("SendMessage").len();
    let sent_before = sends();
    let began = processor_time();
    let mut outcome = Ok(());
    let allocated = allocation_counter::measure(|| outcome = (0..CHECKS).try_for_each(check));
    let worked = processor_time() - began;
    outcome?;
    let github = world.github.state().counters().clone();
    let (mut requests, mut items) = (0, 0);
    for call in world.statelydb.state().calls().filter(|call| call.method != Method::GetAuthToken) {
        requests += 1;
        items += call.items_written;
    }
    let each = |count: usize| count as f64 / CHECKS as f64;
    let answers = format!("{} of {} answered 304", github.not_modified, github.requests);
    table.add("requests to GitHub", github.requests as f64 / CHECKS as f64, "").note(answers);
    table.add("requests to the store", each(requests), "");
    table.add("items written", each(items), "");
    table.add("requests to SQS", each(sends() - sent_before), "");
    table
        .add("bytes allocated", allocated.bytes_total as f64 / CHECKS as f64 / 1_024.0, "KiB")
        .note(format!("{} allocations; including the event, HTTP and JSON", allocated.count_total / CHECKS as u64));
    table
        .add("processor time", worked.as_secs_f64() * 1e6 / CHECKS as f64, "µs")
        .note("of the handler, without the fakes");
    Ok(())
}
