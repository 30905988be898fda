//! `runner-monitor status`: what is on record, without asking GitHub.

use monitor_domain::fleet::Fleet;
use monitor_domain::target::Target;
use monitor_pipeline::items::{Item, Query};
use monitor_pipeline::ports::{Clock, Store};
use monitor_pipeline::records::read_fleet;
use monitor_telemetry::SystemClock;
use serde_json::json;

use crate::Outcome;
use crate::args::Status;
use crate::fleet_view::{TargetView, fleet_table, is_unhealthy};
use crate::out;
use crate::outside;
use crate::table::{ago, colour_on_stdout, counted};

pub(crate) async fn run(arguments: &Status) -> anyhow::Result<Outcome> {
    let store = outside::existing_store(&arguments.store)?;
    let mut fleets = Vec::new();
    for target in watched(&store).await? {
        if arguments.target.as_ref().is_none_or(|wanted| *wanted == target) {
            fleets.push(read_fleet(&store, &target).await?.fleet);
        }
    }
    if let (Some(wanted), true) = (&arguments.target, fleets.is_empty()) {
        anyhow::bail!("{wanted} is not on record: look at it with `runner-monitor check {wanted}`");
    }
    let now = SystemClock.now();
    if arguments.json {
        let targets: Vec<TargetView<'_>> = fleets.iter().map(TargetView::from).collect();
        out::print(format_args!("{:#}\n", json!({"now": now, "targets": targets})))?;
    } else {
        let table = fleet_table(&fleets, now, colour_on_stdout());
        out::print(format_args!("{table}{}\n", summary(&fleets, now)))?;
    }
    let unseen = fleets.iter().any(|fleet| fleet.record.failing.is_some());
    Ok(if fleets.iter().any(is_unhealthy) || unseen { Outcome::Unhealthy } else { Outcome::Healthy })
}

/// The targets that are watched, in order.
pub(crate) async fn watched(store: &impl Store) -> anyhow::Result<Vec<Target>> {
    let items = store.list(&Query::Targets).await?;
    let targets = items.into_iter().filter_map(|item| match item {
        Item::Target(record) if record.watched_since.is_some() || record.failing.is_some() => Some(record.target),
        _ => None,
    });
    Ok(targets.collect())
}

fn summary(fleets: &[Fleet], now: monitor_domain::time::Timestamp) -> String {
    let runners: usize = fleets.iter().map(|fleet| fleet.runners.len()).sum();
    let down = fleets.iter().flat_map(|fleet| &fleet.runners).filter(|runner| runner.open_outage().is_some()).count();
    let oldest = fleets.iter().filter_map(Fleet::seen_at).min();
    let age =
        oldest.map_or_else(|| "nothing was seen yet".to_owned(), |at| format!("the oldest seen {}", ago(at, now)));
    let (targets, runners) = (counted(fleets.len(), "target"), counted(runners, "runner"));
    format!("{targets}, {runners}, {}, {age}", counted(down, "open outage"))
}
