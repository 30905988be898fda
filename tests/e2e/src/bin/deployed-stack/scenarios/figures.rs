//! The metrics and log fields that alarms and dashboard read: only this scenario shows that the functions write them
//! under these names.

use std::collections::BTreeSet;

use anyhow::ensure;
use monitor_fakes::github::{Fault, Strikes};
use serde_json::{Value, json};

use super::{Scenario, scenario};
use crate::world::{SOON, World};

const NAMESPACE: &str = "GitHubRunnerMonitor";

pub(super) fn all() -> Vec<Scenario> {
    vec![scenario!(every_metric_of_alarms_and_dashboard_is_written_by_a_function)]
}

async fn every_metric_of_alarms_and_dashboard_is_written_by_a_function(world: &World) -> anyhow::Result<()> {
    world.begin().await?;
    world.set_runner("acme/api", "offline");
    world.github.state().fault(Fault::Status(500), Strikes::next(1).target("acme/web"));
    world.send("ChecksQueue", "no job").await?;
    world.tick().await?;
    world.texts(2).await?;
    world.settled().await?;
    let (mut written, mut logged) = (BTreeSet::new(), BTreeSet::new());
    for function in ["SchedulerFunction", "PollerFunction", "NotifierFunction"] {
        let log = world.log(function)?;
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let lines: Vec<&Value> = lines.iter().filter(|line| line.get("Function").is_some()).collect();
        let invocations = usize::try_from(world.function(function).invocations())?;
        ensure!(lines.len() == invocations, "{function}: {} lines of {invocations} invocations", lines.len());
        for line in lines {
            let fields = line.as_object().into_iter().flatten();
            logged.extend(fields.filter(|(_, value)| value.is_number()).map(|(name, _)| name.clone()));
            if line.get("_aws").is_some() {
                written.extend(figures(line, &world.plan().stack)?);
            }
        }
    }
    let missing: Vec<&String> = world.plan().figures.iter().filter(|figure| !written.contains(*figure)).collect();
    ensure!(missing.is_empty(), "alarms or dashboard read {missing:?}, which no function writes; written: {written:?}");
    let missing: Vec<&String> = world.plan().logged.iter().filter(|field| !logged.contains(*field)).collect();
    ensure!(missing.is_empty(), "the dashboard reads {missing:?}, which no function logs; logged: {logged:?}");
    world.wait_for_dead_letters("ChecksDeadLetterQueue", 1, SOON).await.map(drop)
}

/// The metrics of an EMF line with the stack as their only dimension.
fn figures(line: &Value, stack: &str) -> anyhow::Result<Vec<String>> {
    ensure!(line["_aws"]["Timestamp"].is_u64(), "no timestamp: {line}");
    let mut figures = Vec::new();
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten() {
        ensure!(directive["Namespace"] == NAMESPACE, "another namespace: {line}");
        let sets = directive["Dimensions"].as_array().cloned().unwrap_or_default();
        for name in sets.iter().flat_map(|set| set.as_array().into_iter().flatten()) {
            ensure!(name.as_str().is_some_and(|name| line[name].is_string()), "dimension {name} has no value: {line}");
        }
        let metrics = directive["Metrics"].as_array().into_iter().flatten();
        for name in metrics.filter_map(|metric| metric["Name"].as_str()) {
            ensure!(line[name].is_number() || line[name].is_array(), "{name} has no value: {line}");
            if sets == [json!(["Stack"])] && line["Stack"] == stack {
                figures.push(name.to_owned());
            }
        }
    }
    Ok(figures)
}
