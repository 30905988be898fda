//! `runner-monitor history`: the stored outages.

use std::time::Duration;

use clap::Args;
use monitor_domain::outage::{Ending, Outage};
use monitor_domain::target::Target;
use monitor_domain::time::{Timestamp, parse_duration, spoken_duration};
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::Query;
use monitor_pipeline::ports::{Clock, Store};
use monitor_pipeline::records::{read_fleet, read_outages};
use monitor_telemetry::SystemClock;
use monitor_web::text::{ago, counted};
use serde_json::json;

use crate::Outcome;
use crate::args::whole_number;
use crate::commands::status::unknown_text;
use crate::local_time::minute;
use crate::out;
use crate::selection::{Named, Selection};
use crate::setup;
use crate::store::StoreArgument;
use crate::table::{Give, Row, Screen, Tone, table};

#[derive(Debug, Args)]
pub(crate) struct History {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Only outages within this time: those that started or ended in it, and those that are still open
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) since: Option<Duration>,
    /// The maximum number of outages to show, latest first
    #[arg(long, default_value_t = 50, value_parser = |text: &str| whole_number(text, 0..=u32::MAX, 20))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) async fn run(arguments: &History) -> anyhow::Result<Outcome> {
    let store = setup::existing_store(&arguments.store).await?;
    let now = SystemClock.now();
    let selection = &arguments.selection;
    let mut outages: Vec<(Target, Outage)> = Vec::new();
    let mut unknown = selection.named();
    let mut unreachable = 0;
    for item in store.list(&Query::Targets).await? {
        let Item::Target(record) = item else { continue };
        let target = &record.target;
        let covers_some = |name: &Named, runner: &str| name.covers(target, Some(runner));
        unknown.retain(|name| !name.covers(target, None));
        let mut is_selected = selection.covers(target, None);
        if selection.is_by_runner() {
            let fleet = read_fleet(&store, target).await?.fleet;
            for runner in fleet.queues.into_iter().chain(fleet.pools).chain(fleet.runners) {
                unknown.retain(|name| !covers_some(name, &runner.name));
                is_selected |= selection.covers(target, Some(&runner.name));
            }
        }
        for outage in read_outages(&store, target.id()).await? {
            unknown.retain(|name| !covers_some(name, &outage.runner_name));
            if selection.covers(target, Some(&outage.runner_name)) {
                is_selected = true;
                if is_within(outage.resolved_at, arguments.since, now) {
                    outages.push((target.clone(), outage));
                }
            }
        }
        unreachable += usize::from(is_selected && record.failing.is_some());
    }
    outages
        .sort_by_key(|(target, outage)| (std::cmp::Reverse(outage.started_at), target.id().clone(), outage.runner_id));
    let is_healthy = !outages.iter().any(|(_, outage)| outage.is_open());
    let outcome = Outcome::of(unreachable == 0 && unknown.is_empty(), is_healthy);
    let found = outages.len();
    outages.truncate(usize::try_from(arguments.limit).unwrap_or(usize::MAX));
    if arguments.json {
        let list: Vec<_> = outages.iter().map(|(target, outage)| json!({"target": target, "outage": outage})).collect();
        out::print_json(json!({"now": now, "found": found, "outages": list}))?;
    } else if found > 0 {
        let rows: Vec<Row> = outages.iter().map(|(target, outage)| row(target, outage, now)).collect();
        let table = table(&HEADINGS, &rows, &GIVES, Screen::of_stdout());
        let cut = if found > outages.len() { format!(", {} shown (--limit)", outages.len()) } else { String::new() };
        out::print(format_args!("{table}{}{cut}\n", counted(found, "outage")))?;
    } else if unknown.is_empty() {
        let of_these = if selection.named().is_empty() { "" } else { " for this selection" };
        let since =
            arguments.since.map_or_else(String::new, |since| format!(" in the last {}", spoken_duration(since)));
        out::print(format_args!("No outage is stored{of_these}{since}.\n"))?;
    }
    if unreachable > 0 {
        out::warn(&format_args!(
            "{} unreachable, so later outages are not known; see `runner-monitor status`",
            if unreachable == 1 { "1 target is".to_owned() } else { format!("{} are", counted(unreachable, "target")) }
        ));
    }
    unknown.iter().for_each(|name| out::error(&unknown_text(name)));
    Ok(outcome)
}

const HEADINGS: [&str; 7] = ["began", "runner", "target", "status", "lasted", "ended", "in a job"];
const GIVES: [(usize, Give); 8] = [
    (6, Give::Drop),
    (2, Give::ShrinkTo(24)),
    (1, Give::ShrinkTo(20)),
    (3, Give::Drop),
    (5, Give::ShrinkTo(12)),
    (2, Give::ShrinkTo(12)),
    (1, Give::ShrinkTo(12)),
    (4, Give::Drop),
];

/// Whether an outage falls within the requested time: it is still open, or ended within it, however early it began.
fn is_within(resolved_at: Option<Timestamp>, since: Option<Duration>, now: Timestamp) -> bool {
    since.is_none_or(|since| resolved_at.is_none_or(|end| end >= now.minus(since)))
}

fn row(target: &Target, outage: &Outage, now: Timestamp) -> Row {
    let end = outage.resolved_at.unwrap_or(now);
    let ended = match outage.ending {
        None if outage.version_ended_at.is_some() => "open; its version has ended".to_owned(),
        None => "open".to_owned(),
        Some(Ending::Recovered) => ago(end, now),
        Some(Ending::Removed) if outage.was_removed_by_github() => format!("removed by GitHub, {}", ago(end, now)),
        Some(Ending::Removed) => format!("no longer registered, {}", ago(end, now)),
        Some(Ending::NoLongerMonitored) => format!("no longer monitored, {}", ago(end, now)),
    };
    Row {
        tone: if outage.is_open() { Tone::Bad } else { Tone::Plain },
        cells: vec![
            minute(outage.started_at),
            outage.runner_name.clone(),
            target.to_string(),
            outage.status.to_string(),
            spoken_duration(end.since(outage.started_at)),
            ended,
            if outage.in_job { "yes".to_owned() } else { "no".to_owned() },
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_includes_outages_that_are_open_or_ended_in_it() {
        let at = Timestamp::from_epoch_ms;
        let within =
            |resolved_ms: Option<i64>| is_within(resolved_ms.map(at), Some(Duration::from_secs(10)), at(100_000));
        assert!(within(None), "open");
        assert!(within(Some(90_000)) && within(Some(99_000)));
        assert!(!within(Some(89_999)));
        assert!(is_within(Some(at(1)), None, at(100_000)));
    }
}
