//! `runner-monitor history`: outages on record.

use monitor_domain::outage::{Ending, Outage};
use monitor_domain::target::Target;
use monitor_domain::time::{Timestamp, spoken_duration};
use monitor_pipeline::items::{Item, Query};
use monitor_pipeline::ports::{Clock, Store};
use monitor_telemetry::SystemClock;
use serde_json::json;
use wildmatch::WildMatch;

use crate::Outcome;
use crate::args::History;
use crate::out;
use crate::outside;
use crate::table::{Row, Tone, ago, colour_on_stdout, counted, table};

pub(crate) async fn run(arguments: &History) -> anyhow::Result<Outcome> {
    let store = outside::existing_store(&arguments.store)?;
    let now = SystemClock.now();
    let mut outages: Vec<(Target, Outage)> = Vec::new();
    for item in store.list(&Query::Targets).await? {
        let Item::Target(record) = item else { continue };
        if arguments.target.as_ref().is_some_and(|wanted| *wanted != record.target) {
            continue;
        }
        let query = Query::Outages { target: record.target.id().clone(), runner: None };
        for item in store.list(&query).await? {
            let Item::Outage(item) = item else { continue };
            if wanted(arguments, &item.outage, now) {
                outages.push((record.target.clone(), item.outage));
            }
        }
    }
    outages
        .sort_by_key(|(target, outage)| (std::cmp::Reverse(outage.started_at), target.id().clone(), outage.runner_id));
    let found = outages.len();
    outages.truncate(usize::try_from(arguments.limit).unwrap_or(usize::MAX));
    if arguments.json {
        let list: Vec<_> = outages.iter().map(|(target, outage)| json!({"target": target, "outage": outage})).collect();
        out::print(format_args!("{:#}\n", json!({"now": now, "found": found, "outages": list})))?;
        return Ok(Outcome::Healthy);
    }
    if found == 0 {
        let of_whom = if arguments.runner.is_some() { " for that name" } else { "" };
        out::print(format_args!("No outage on record{of_whom}.\n"))?;
        return Ok(Outcome::Healthy);
    }
    let rows: Vec<Row> = outages.iter().map(|(target, outage)| row(target, outage, now)).collect();
    let headings = ["began", "runner", "target", "status", "lasted", "ended", "in a job"];
    let table = table(&headings, &rows, colour_on_stdout());
    let cut = if found > outages.len() { format!(", {} shown (--limit)", outages.len()) } else { String::new() };
    out::print(format_args!("{table}{}{cut}\n", counted(found, "outage")))?;
    Ok(Outcome::Healthy)
}

fn wanted(arguments: &History, outage: &Outage, now: Timestamp) -> bool {
    let by_name = arguments
        .runner
        .as_ref()
        .is_none_or(|pattern| WildMatch::new_case_insensitive(pattern).matches(&outage.runner_name));
    let by_time = arguments.since.is_none_or(|since| {
        let from = now.minus(since);
        outage.started_at >= from || outage.resolved_at.is_none_or(|end| end >= from)
    });
    by_name && by_time
}

fn row(target: &Target, outage: &Outage, now: Timestamp) -> Row {
    let end = outage.resolved_at.unwrap_or(now);
    let ended = match outage.ending {
        None => "open".to_owned(),
        Some(Ending::Recovered) => ago(end, now),
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

/// A moment to the minute, in UTC.
fn minute(moment: Timestamp) -> String {
    let utc = chrono::DateTime::<chrono::Utc>::from_timestamp_millis(moment.epoch_ms());
    utc.map_or_else(|| moment.to_string(), |utc| utc.format("%Y-%m-%d %H:%M UTC").to_string())
}
