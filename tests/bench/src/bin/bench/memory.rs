//! Tests that the poller's memory does not grow over many checks, in a separate process as deployed.

use std::path::Path;

use anyhow::ensure;
use serde_json::json;

use crate::measure::memory_kib;
use crate::runtime_api::Function;
use crate::table::Table;
use crate::world::{Terms, World, job, messages, repository};

/// Number of targets.
const TARGETS: usize = 100;
/// Jobs per invocation.
const BATCH: usize = 10;

pub(crate) fn measure(table: &mut Table, folder: &Path, checks: usize) -> anyhow::Result<()> {
    table.section("Memory of the poller");
    let world = World::start(Terms { repositories: TARGETS, github_latency_ms: 0, is_limited: false, speed: 1 })?;
    world.aws.forget_messages();
    let variables: Vec<(&str, String)> = {
        let mut variables = world.queue_urls();
        variables.insert("AWS_ENDPOINT_URL", world.aws.base_url());
        variables.insert("GITHUB_REQUESTS_PER_MINUTE", "off".to_owned());
        variables.into_iter().collect()
    };
    for (name, value) in world.parameters("{}") {
        world.aws.set_parameter(&format!("/github-runner-monitor/{name}"), &value);
    }
    let mut poller = Function::start(&folder.join("poller"), &variables)?;
    let mut run = |checks: usize| -> anyhow::Result<f64> {
        for batch in 0..checks / BATCH {
            let jobs: Vec<String> =
                (0..BATCH).map(|job| (batch * BATCH + job) % TARGETS).map(repository).map(|name| job(&name)).collect();
            let event = messages("checks", jobs.iter().map(|job| &**job)).to_string();
            let (answer, _) = poller.invoke(event.as_bytes())?;
            ensure!(answer == json!({"batchItemFailures": []}), "{answer}");
            if batch % 100 == 0 {
                // Keeps the fakes fast; their memory is not measured.
                world.statelydb.state().clear_calls();
                world.github.state().reset_counters();
            }
        }
        memory_kib(poller.process(), "VmRSS")
    };
    let few = run(1_000)?;
    let many = run(checks - 1_000)?;
    table.add("after 1,000 checks", few / 1_024.0, "MiB").note("of the poller's process, 10 jobs per invocation");
    table.add(format!("after {checks} checks"), many / 1_024.0, "MiB");
    table.add("the later ÷ the earlier", many / few, "×").at_most(1.1);
    Ok(())
}
