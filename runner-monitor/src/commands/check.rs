//! `runner-monitor check`: checks every target once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use monitor_config::HostOptions;
use monitor_domain::change::Event;
use monitor_domain::fleet::Fleet;
use monitor_domain::observation::Failure;
use monitor_domain::subject::Subject;
use monitor_domain::target::{Target, TargetSpec};
use monitor_domain::time::{parse_duration, spoken_duration};
use monitor_domain::versions::{VersionEnd, VersionRecord, is_version};
use monitor_github::GitHub;
use monitor_pipeline::counters::Counters;
use monitor_pipeline::messages::{CheckJob, Reason, StateChange};
use monitor_pipeline::ports::{Clock, Outgoing, QueueError, RunnerSource, Sender};
use monitor_pipeline::records::{read_fleet, read_versions};
use monitor_pipeline::stages::{
    Check as CheckStage, CheckEnding, CheckReport, CheckSettings, LatestChecks, record_outages,
};
use monitor_telemetry::SystemClock;
use monitor_web::text::{counted, grouped, one_line};
use monitor_web::view::{TargetView, VersionEnds};
use serde_json::json;

use crate::Outcome;
use crate::args::parse_target;
use crate::descriptors::CHECKS_AT_ONCE;
use crate::fleet_view::{Rows, RowsArgument, View, cut_to, fleet_table, is_unhealthy, totals, unreachable_list};
use crate::forecast::Forecast;
use crate::out;
use crate::setup;
use crate::store::StoreArgument;
use crate::table::{Screen, wrapped};

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Targets to check [default: those in REPOS, ORGANIZATIONS and ENTERPRISES]
    #[arg(value_name = "TARGET", value_parser = parse_target)]
    pub(crate) targets: Vec<TargetSpec>,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// Also exit with 1 if GitHub gives no more jobs to the version of a runner within this time, or gives none now
    #[arg(long, value_name = "version-ends=DURATION", value_parser = parse_fail_on)]
    pub(crate) fail_on: Vec<FailOn>,
    #[command(flatten)]
    pub(crate) rows: RowsArgument,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// A reason for exit code 1, besides a runner that is offline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailOn {
    /// The version of a runner ends within this time.
    VersionEnds(Duration),
}

fn parse_fail_on(text: &str) -> Result<FailOn, String> {
    const FORM: &str = "must be version-ends=DURATION, for example version-ends=14d";
    let ahead = text.strip_prefix("version-ends=").ok_or(FORM)?;
    parse_duration(ahead).map(FailOn::VersionEnds).map_err(|error| format!("{FORM}; the duration {error}"))
}

/// From this many targets on a progress bar is shown.
const MANY: usize = 10;

/// Discards jobs: a single check schedules no recheck.
pub(crate) struct Nowhere;

impl Sender for Nowhere {
    async fn send(&self, _: Vec<Outgoing>) -> Result<(), QueueError> {
        Ok(())
    }
}

/// The subjects with changes. A single check sends no notification for them, but stores their outages.
#[derive(Default)]
struct Announced(Mutex<BTreeSet<Subject>>);

impl Sender for Announced {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        let subjects = messages.iter().filter_map(|message| StateChange::from_json(&message.body).ok());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(subjects.map(|message| message.subject));
        Ok(())
    }
}

pub(crate) async fn run(arguments: &Check) -> anyhow::Result<Outcome> {
    let store = arguments.store.service();
    let host_options = HostOptions { every: None, targets: arguments.targets.clone(), store, ..HostOptions::default() };
    let settings = setup::settings(&host_options)?;
    settings.misspelt.iter().for_each(|misspelt| out::warn(misspelt));
    let clock = SystemClock;
    let github = setup::github(&settings, &clock)?;
    let store = setup::store(&arguments.store, &settings).await?;

    let (targets, unresolved) = resolve(&github, &settings.targets).await;
    let check = CheckSettings {
        policy: settings.policy.clone(),
        configured: settings.targets.clone(),
        interval: std::time::Duration::from_secs(300),
        jobs: false,
    };
    let announced = Announced::default();
    let stage = CheckStage {
        store: &store,
        source: &github,
        jobs: &Nowhere,
        changes: &announced,
        clock: &clock,
        settings: &check,
        latest: &LatestChecks::default(),
    };
    let began = clock.now();
    let progress = progress(targets.len(), arguments.json);
    let mut checks: Vec<(Target, CheckReport)> = futures_util::stream::iter(&targets)
        .map(|target| {
            let job = CheckJob { target: target.clone(), reason: Reason::Once, requested_at: None, valid_until: None };
            let (stage, progress) = (&stage, &progress);
            async move {
                let report = stage.run(&job).await;
                progress.inc(1);
                (job.target, report)
            }
        })
        .buffer_unordered(CHECKS_AT_ONCE)
        .collect()
        .await;
    progress.finish_and_clear();
    checks.sort_by(|(a, _), (b, _)| a.cmp(b));
    let took = clock.now().since(began);

    for subject in announced.0.into_inner().unwrap_or_else(PoisonError::into_inner) {
        record_outages(&store, &clock, &subject).await.context("the outages cannot be stored")?;
    }
    // Taken before the fleets are read again for the table.
    let counted_store = store.counters();
    let mut fleets = Vec::new();
    for (target, _) in &checks {
        fleets.push(read_fleet(&store, target).await.context("the store cannot be read")?.fleet);
    }
    let mut versions = read_versions(&store, targets.iter()).await.context("the store cannot be read")?;
    let unanswered = if arguments.fail_on.is_empty() { Vec::new() } else { ask(&github, &fleets, &mut versions).await };
    let known = versions.into_iter().filter_map(|(version, record)| Some((version, record.ends_at()?)));
    let ends: VersionEnds = known.collect();
    let forecast = Forecast::of(&fleets, &ends);
    let unreachable: Vec<(String, String)> =
        unresolved.into_iter().chain(checks.iter().filter_map(unreachable)).collect();
    if arguments.json {
        let views = fleets.iter().map(|fleet| TargetView::of(fleet, &ends)).collect();
        print_json(views, &checks, &unreachable, counted_store)?;
    } else {
        let screen = Screen::of_stdout();
        let view = View { now: clock.now(), screen, rows: arguments.rows.rows(), just_checked: true };
        let found = as_text(&fleets, &checks, &unreachable, view) + &forecast.text(view);
        let quota = checks.iter().filter_map(|(_, report)| report.credential.quota_remaining).min();
        let left = quota.and_then(|left| usize::try_from(left).ok());
        let left =
            left.map_or_else(String::new, |left| format!(", {} requests left of the hourly quota", grouped(left)));
        let summary = format!("{}; checked in {:.1} s{left}", totals(&fleets), took.as_secs_f64());
        out::print(format_args!("{found}\n{}\n", wrapped(&summary, 0, screen.width)))?;
    }
    let now = clock.now();
    let is_failing = |FailOn::VersionEnds(ahead): &FailOn| forecast.has_version_ending_within(*ahead, now);
    let is_healthy = !fleets.iter().any(is_unhealthy) && !arguments.fail_on.iter().any(is_failing);
    for (version, failure) in &unanswered {
        out::error(&format_args!("GitHub does not say when runner version {version} ends: {failure}"));
    }
    Ok(Outcome::of(unreachable.is_empty() && unanswered.is_empty(), is_healthy))
}

/// Asks GitHub about each version of these runners that has no answer yet: a fleet's checks ask about a few at a time.
/// Returns the versions without an answer, with the reason.
async fn ask(
    github: &GitHub,
    fleets: &[Fleet],
    versions: &mut BTreeMap<String, VersionRecord>,
) -> Vec<(String, Failure)> {
    let mut unanswered = Vec::new();
    if !github.answers_version_ends() {
        return unanswered;
    }
    for fleet in fleets {
        let registered = fleet.runners.iter().filter(|runner| !runner.is_gone());
        for version in registered.filter_map(|runner| runner.version.as_ref()).filter(|version| is_version(version)) {
            if versions.get(version).is_some_and(|record| !record.failed) {
                continue;
            }
            let answer = github.version_end(&fleet.record.target, version, None).await;
            let end = answer.as_ref().map_or(VersionEnd::Unanswered, |answer| answer.end);
            let asked_at = SystemClock.now();
            // Asked about once, even if there is no answer.
            let record = VersionRecord { version: version.clone(), asked_at, failed: false, end, tag: None };
            versions.insert(version.clone(), record);
            unanswered.extend(answer.err().map(|failure| (version.clone(), failure)));
        }
    }
    unanswered
}

/// Resolves `acme/*` to its repositories. Returns the targets, and what could not be resolved with the reason.
async fn resolve(github: &GitHub, specs: &[TargetSpec]) -> (Vec<Target>, Vec<(String, String)>) {
    let (mut targets, mut unresolved) = (Vec::new(), Vec::new());
    for spec in specs {
        match spec {
            TargetSpec::One(target) => targets.push(target.clone()),
            TargetSpec::RepositoriesOf(account) => match github.repositories_of(account).await {
                Ok(found) => targets.extend(found),
                Err(failure) => unresolved.push((spec.to_string(), failure.detail)),
            },
        }
    }
    targets.sort();
    targets.dedup();
    (targets, unresolved)
}

/// The target and the reason, if the check could not read its runners.
fn unreachable((target, report): &(Target, CheckReport)) -> Option<(String, String)> {
    let reason = match &report.ending {
        CheckEnding::Seen(_) => return None,
        CheckEnding::Failed(failure) | CheckEnding::Late(failure) => failure.detail.clone(),
        CheckEnding::Broken => report.disposition.to_string(),
        CheckEnding::Outrun => "another process checked it at the same time; try again".to_owned(),
        // A single check is never late, and never for a target that was not requested.
        CheckEnding::Expired | CheckEnding::NotConfigured | CheckEnding::Dropped | CheckEnding::Covered => {
            "it was not checked; try again".to_owned()
        }
    };
    Some((target.to_string(), reason))
}

/// A progress bar, on a terminal only.
fn progress(targets: usize, json: bool) -> ProgressBar {
    if json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(u64::try_from(targets).ok(), ProgressDrawTarget::stderr());
    let template =
        if targets < MANY { "checking {len} targets  {elapsed}" } else { "{bar:30} {pos}/{len} targets  {elapsed}" };
    let bar = match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    bar.enable_steady_tick(std::time::Duration::from_millis(500));
    bar
}

fn print_json(
    targets: Vec<TargetView<'_>>,
    checks: &[(Target, CheckReport)],
    unseen: &[(String, String)],
    store: Counters,
) -> anyhow::Result<()> {
    let changes = checks.iter().filter(|(_, report)| !report.events.is_empty());
    let document = json!({
        "targets": targets,
        "changes": changes.map(|(target, report)| json!({"target": target, "events": report.events})).collect::<Vec<_>>(),
        "store": {"reads": store.reads, "writes": store.writes, "itemsWritten": store.items_written},
        "notSeen": unseen.iter().map(|(target, reason)| json!({"target": target, "reason": reason})).collect::<Vec<_>>(),
    });
    out::print_json(document)
}

/// The table, the changes and the unreachable targets.
fn as_text(fleets: &[Fleet], checks: &[(Target, CheckReport)], unreachable: &[(String, String)], view: View) -> String {
    let mut text = fleet_table(fleets, view);
    let of = |report: &CheckReport| report.events.contains(&Event::MonitoringStarted);
    let (first, later): (Vec<_>, Vec<_>) = checks.iter().partition(|(_, report)| of(report));
    if !first.is_empty() {
        text.push_str(&format!("\n{}\n", wrapped(&first_check(&first), 2, view.screen.width)));
    }
    let changed = later.iter().flat_map(|(target, report)| changes_text(target, &report.events));
    let mut changed: Vec<String> = changed.map(|line| wrapped(&format!("  {line}"), 4, view.screen.width)).collect();
    if !changed.is_empty() {
        cut_to(&mut changed, view.rows == Rows::All);
        text.push_str(&format!("\nChanged since the last check:\n{}\n", changed.join("\n")));
    }
    if !unreachable.is_empty() {
        text.push_str(&unreachable_list(unreachable, view.rows == Rows::All, view.screen));
    }
    text
}

/// The line for targets that were never checked before; up to three are named.
fn first_check(targets: &[&(Target, CheckReport)]) -> String {
    const FEW: usize = 3;
    let names: Vec<&str> = targets.iter().take(FEW).map(|(target, _)| target.as_str()).collect();
    match targets.len() {
        count if count > FEW => format!("First check of {}.", counted(count, "target")),
        _ => format!("First check of {}.", names.join(", ")),
    }
}

/// The changes that a check found, one line each.
fn changes_text(target: &Target, events: &[Event]) -> Vec<String> {
    let text = |event: &Event| {
        Some(match event {
            Event::Registered { runner } => format!("{}: new", one_line(&runner.name)),
            Event::Reregistered { runner, .. } | Event::Returned { runner, .. } => {
                format!("{}: registered again", one_line(&runner.name))
            }
            Event::StatusChanged { runner, from, to } => format!("{}: {from} → {to}", one_line(&runner.name)),
            Event::OutageOpened { outage } if outage.is_open() => {
                format!("{}: outage confirmed", one_line(&outage.runner_name))
            }
            Event::OutageClosed { outage } => {
                let lasted = outage.resolved_at.map(|end| spoken_duration(end.since(outage.started_at)));
                format!("{}: outage over after {}", one_line(&outage.runner_name), lasted.unwrap_or_default())
            }
            Event::Retired { runner } => format!("{}: forgotten", one_line(&runner.name)),
            Event::ReachableAgain { .. } => "reachable again".to_owned(),
            _ => return None,
        })
    };
    events.iter().filter_map(text).map(|text| format!("{target}: {text}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_to_fail_is_a_name_with_a_time() {
        assert_eq!(parse_fail_on("version-ends=14d"), Ok(FailOn::VersionEnds(Duration::from_secs(14 * 86_400))));
        for bad in ["version-ends", "version-ends=", "version-ends=14", "versions=14d", ""] {
            assert!(parse_fail_on(bad).is_err_and(|error| error.contains("version-ends=14d")), "{bad}");
        }
    }
}
