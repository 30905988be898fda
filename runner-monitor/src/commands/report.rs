//! `runner-monitor report`: how available the runners were, from the store alone.

use std::cmp::Reverse;
use std::time::Duration;

use clap::Args;
use monitor_domain::availability::{Availability, RunnerReport, Span, TargetReport};
use monitor_domain::fleet::Fleet;
use monitor_domain::target::{Target, TargetSpec};
use monitor_domain::time::{parse_duration, spoken_duration};
use monitor_pipeline::history::{TargetHistory, Unobserved};
use monitor_pipeline::monitoring::watched;
use monitor_pipeline::ports::Clock;
use monitor_pipeline::records::{StoredMonitor, read_monitor};
use monitor_telemetry::SystemClock;
use monitor_web::text::{counted, one_line, percent};
use monitor_web::view::{VersionEnds, version_ends};
use serde_json::{Value, json};

use crate::Outcome;
use crate::args::parse_target;
use crate::commands::status::unknown_text;
use crate::fleet_view::{Rows, View};
use crate::forecast::Forecast;
use crate::local_time::minute;
use crate::out;
use crate::selection::Named;
use crate::setup;
use crate::store::StoreArgument;
use crate::table::{Give, Row, Screen, Tone, table, wrapped};

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Only these targets
    #[arg(value_name = "TARGET", value_parser = parse_target)]
    pub(crate) targets: Vec<TargetSpec>,
    /// How far back the report goes
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = parse_duration)]
    pub(crate) since: Duration,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// List every runner with outages
    #[arg(long)]
    pub(crate) all: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// The most runners in the list of those with outages.
const WORST: usize = 10;

pub(crate) async fn run(arguments: &Report) -> anyhow::Result<Outcome> {
    let store = setup::existing_store(&arguments.store).await?;
    let now = SystemClock.now();
    let span = Span { from: now.minus(arguments.since), until: now };
    let targets = watched(&store).await?;
    let named = &arguments.targets;
    let unknown = named.iter().filter(|spec| !targets.iter().any(|target| spec.covers(target)));
    let monitor = read_monitor(&store, &SystemClock).await?;
    let ends = version_ends(&store, &targets).await?;
    let unobserved = Unobserved::read(&store, &monitor, now).await?;
    let mut reports = Vec::new();
    let is_meant = |target: &&Target| named.is_empty() || named.iter().any(|spec| spec.covers(target));
    for target in targets.iter().filter(is_meant) {
        let history = TargetHistory::read(&store, target, &unobserved, span.from).await?;
        reports.push((history.report(span), history.fleet));
    }
    if arguments.json {
        out::print_json(as_json(&reports, span, &monitor))?;
    } else if !reports.is_empty() || named.is_empty() {
        let view = View {
            now,
            screen: Screen::of_stdout(),
            rows: if arguments.all { Rows::All } else { Rows::Fitting },
            just_checked: true,
        };
        out::print(format_args!("{}", as_text(&reports, &ends, &monitor, view)))?;
    }
    let unknown: Vec<Named> = unknown.cloned().map(Named::Target).collect();
    unknown.iter().for_each(|name| out::error(&unknown_text(name)));
    Ok(Outcome::of(unknown.is_empty(), true))
}

/// How many checks of a target the schedule asked for in a time, and in how much of it there were none.
fn checks(monitor: &StoredMonitor, span: Span, unobserved: Duration) -> Option<(u128, u128)> {
    let (ticked_at, next_tick_at) = monitor.ticked_at.zip(monitor.next_tick_at)?;
    let interval = next_tick_at.since(ticked_at).as_millis().max(1);
    Some((span.until.since(span.from).as_millis() / interval, unobserved.as_millis() / interval))
}

const HEADINGS: [&str; 6] = ["target", "runners", "available", "outages", "mean time to recovery", "not observed"];
const GIVES: [(usize, Give); 4] =
    [(4, Give::ShrinkTo(12)), (0, Give::ShrinkTo(24)), (1, Give::Drop), (0, Give::ShrinkTo(12))];

fn duration(duration: Duration) -> String {
    if duration.is_zero() { "–".to_owned() } else { spoken_duration(duration) }
}

fn row(fleet: &Fleet, report: &TargetReport) -> Row {
    let is_bad = report.availability.ratio().is_some_and(|ratio| ratio < 0.99);
    Row {
        tone: if is_bad { Tone::Warning } else { Tone::Plain },
        cells: vec![
            fleet.record.target.to_string(),
            report.runners.len().to_string(),
            percent(report.availability),
            report.outages.to_string(),
            report.mean_time_to_recovery.map_or_else(|| "–".to_owned(), spoken_duration),
            duration(report.unobserved),
        ],
    }
}

/// The runners with outages, those that were offline longest first.
fn worst(reports: &[(TargetReport, Fleet)]) -> Vec<(&Target, &RunnerReport)> {
    let all = reports
        .iter()
        .flat_map(|(report, fleet)| report.runners.iter().map(move |runner| (&fleet.record.target, runner)));
    let mut worst: Vec<_> = all.filter(|(_, runner)| runner.outages > 0).collect();
    worst.sort_by_key(|(target, runner)| (Reverse(runner.availability.down), target.id().clone(), runner.id));
    worst
}

fn as_text(reports: &[(TargetReport, Fleet)], ends: &VersionEnds, monitor: &StoredMonitor, view: View) -> String {
    let rows: Vec<Row> =
        reports.iter().filter(|(_, fleet)| fleet.is_target()).map(|(report, fleet)| row(fleet, report)).collect();
    let mut text = table(&HEADINGS, &rows, &GIVES, view.screen);
    let pools = reports.iter().flat_map(|(report, fleet)| report.pools.iter().map(move |pool| (fleet, pool)));
    for (fleet, RunnerReport { name, availability, outages, .. }) in pools {
        let line = format!(
            "{} of {}: enough online {} of the time, {}",
            one_line(name),
            fleet.record.target,
            percent(*availability),
            counted(*outages, "outage")
        );
        text.push_str(&format!("{}\n", wrapped(&line, 2, view.screen.width)));
    }
    let worst = worst(reports);
    if !worst.is_empty() {
        text.push_str(&format!("\n{}\n", Tone::Warning.paint("Offline longest:", view.screen.colour)));
        let shown = if view.rows == Rows::All { worst.len() } else { WORST };
        for (target, runner) in worst.iter().take(shown) {
            let RunnerReport { name, availability, outages, .. } = runner;
            let line = format!(
                "  {target} {}: {}, {} in all, {} available",
                one_line(name),
                counted(*outages, "outage"),
                spoken_duration(availability.down),
                percent(*availability)
            );
            text.push_str(&format!("{}\n", wrapped(&line, 4, view.screen.width)));
        }
        if worst.len() > shown {
            text.push_str(&format!("  and {} more (--all lists them)\n", worst.len() - shown));
        }
    }
    let fleets: Vec<Fleet> = reports.iter().map(|(_, fleet)| fleet.clone()).collect();
    text.push_str(&Forecast::of(&fleets, ends).text(view));
    let sum = reports.iter().fold(Availability::default(), |sum, (report, _)| sum.plus(report.availability));
    let outages: usize = reports.iter().map(|(report, _)| report.outages).sum();
    let begins = reports.iter().map(|(report, _)| report.from).min().unwrap_or(view.now);
    let longest = reports.iter().map(|(report, _)| report.unobserved).max().unwrap_or_default();
    let span = Span { from: begins, until: view.now };
    let checks = checks(monitor, span, longest).map_or_else(String::new, |(planned, missed)| match missed {
        0 => format!("; about {planned} checks of each target, none missed"),
        missed => format!("; about {planned} checks of each target, at most {missed} missed"),
    });
    let since = minute(span.from);
    let line = format!("{} available since {since}, {}{checks}", percent(sum), counted(outages, "outage"));
    format!("{text}\n{}\n", wrapped(&line, 0, view.screen.width))
}

fn as_json(reports: &[(TargetReport, Fleet)], span: Span, monitor: &StoredMonitor) -> Value {
    let secs = |duration: Duration| duration.as_secs();
    let of_runner = |runner: &RunnerReport| {
        json!({
            "id": runner.id,
            "name": runner.name,
            "availability": runner.availability.ratio(),
            "observedSecs": secs(runner.availability.observed),
            "downSecs": secs(runner.availability.down),
            "outages": runner.outages,
        })
    };
    let of_target = |(report, fleet): &(TargetReport, Fleet)| {
        let checks = checks(monitor, Span { from: report.from, ..span }, report.unobserved);
        json!({
            "target": fleet.record.target,
            "from": report.from,
            "availability": report.availability.ratio(),
            "outages": report.outages,
            "recovered": report.recovered,
            "meanTimeToRecoverySecs": report.mean_time_to_recovery.map(secs),
            "unobservedSecs": secs(report.unobserved),
            "checksPlanned": checks.map(|(planned, _)| u64::try_from(planned).unwrap_or(u64::MAX)),
            "checksMissed": checks.map(|(_, missed)| u64::try_from(missed).unwrap_or(u64::MAX)),
            "pools": report.pools.iter().map(of_runner).collect::<Vec<_>>(),
            "runners": report.runners.iter().map(of_runner).collect::<Vec<_>>(),
        })
    };
    json!({
        "from": span.from,
        "until": span.until,
        "targets": reports.iter().map(of_target).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use monitor_domain::time::Timestamp;

    use super::*;

    #[test]
    fn checks_are_counted_by_the_interval() {
        let at = |minutes: u64| Timestamp::default().plus(Duration::from_secs(minutes * 60));
        let monitor =
            StoredMonitor { ticked_at: Some(at(100)), next_tick_at: Some(at(105)), ..StoredMonitor::default() };
        let span = Span { from: at(0), until: at(1_000) };
        assert_eq!(checks(&monitor, span, Duration::from_secs(1_200)), Some((200, 4)));
    }
}
