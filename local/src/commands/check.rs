//! `runner-monitor check`: one look at every target.

use std::fmt::Write;
use std::io::IsTerminal;

use anyhow::Context;
use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use monitor_config::HostOptions;
use monitor_domain::change::Step;
use monitor_domain::fleet::Fleet;
use monitor_domain::target::{Target, TargetSpec};
use monitor_domain::time::spoken_duration;
use monitor_embedded::store::Counters;
use monitor_github::GitHub;
use monitor_pipeline::messages::{CheckJob, Reason};
use monitor_pipeline::ports::{Clock, Outgoing, QueueError, RunnerSource, Sender};
use monitor_pipeline::records::read_fleet;
use monitor_pipeline::stages::{Check as CheckStage, CheckReport, CheckSettings, Ending};
use monitor_telemetry::SystemClock;
use serde_json::json;

use crate::Outcome;
use crate::args::Check;
use crate::engine::CHECKS_AT_ONCE;
use crate::fleet_view::{TargetView, fleet_table, is_unhealthy};
use crate::out;
use crate::outside;
use crate::table::{Tone, colour_on_stdout, counted};

/// From how many targets on a progress bar is worth it.
const MANY: usize = 10;

/// Looks once follow nothing up: rechecks and messages are for `run`.
struct Nowhere;

impl Sender for Nowhere {
    async fn send(&self, _: Vec<Outgoing>) -> Result<(), QueueError> {
        Ok(())
    }
}

pub(crate) async fn run(arguments: &Check) -> anyhow::Result<Outcome> {
    let statelydb = arguments.store.is_stately();
    let host_options =
        HostOptions { every: None, targets: arguments.targets.clone(), statelydb, ..HostOptions::default() };
    let mut settings = outside::settings(&host_options)?;
    if !arguments.targets.is_empty() {
        settings.targets.clone_from(&arguments.targets);
    }
    let clock = SystemClock;
    let http = outside::http()?;
    let github = outside::github(&http, &settings, &clock)?;
    let store = outside::store(&arguments.store, settings.statelydb.as_ref())?;

    let (targets, unresolved) = resolve(&github, &settings.targets).await;
    let check = CheckSettings {
        policy: settings.policy.clone(),
        configured: settings.targets.clone(),
        interval: std::time::Duration::from_secs(300),
    };
    let stage =
        CheckStage { store: &store, source: &github, jobs: &Nowhere, wakes: &Nowhere, clock: &clock, settings: &check };
    let began = clock.now();
    let progress = progress(targets.len(), arguments.json);
    let mut looks: Vec<(Target, CheckReport)> = futures_util::stream::iter(&targets)
        .map(|target| {
            let job = CheckJob { target: target.clone(), reason: Reason::Once, requested_at: None, good_until: None };
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
    looks.sort_by(|(a, _), (b, _)| a.cmp(b));
    let took = clock.now().since(began);

    // Before the records are read once more for the table.
    let counted_store = store.counters();
    let mut fleets = Vec::new();
    for (target, _) in &looks {
        fleets.push(read_fleet(&store, target).await.context("the store cannot be read")?.fleet);
    }
    let unseen: Vec<(String, String)> = unresolved.into_iter().chain(looks.iter().filter_map(not_seen)).collect();
    if arguments.json {
        print_json(&fleets, &looks, &unseen, counted_store)?;
    } else {
        let found = in_words(&fleets, &looks, &unseen, &clock)?;
        let quota = looks.iter().filter_map(|(_, report)| report.credential.quota_remaining).min();
        let left = quota.map_or_else(String::new, |left| format!(", {left} requests left of the hourly quota"));
        let targets = counted(looks.len(), "target");
        out::print(format_args!("{found}\n{targets} in {:.1} s{left}\n", took.as_secs_f64()))?;
    }
    Ok(match (unseen.is_empty(), fleets.iter().any(is_unhealthy)) {
        (false, _) => Outcome::NotSeen,
        (true, true) => Outcome::Unhealthy,
        (true, false) => Outcome::Healthy,
    })
}

/// Finds what `acme/*` stands for; gives the targets and what could not be found.
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

fn not_seen((target, report): &(Target, CheckReport)) -> Option<(String, String)> {
    let reason = match &report.ending {
        Ending::Failed(failure) | Ending::Late(failure) => failure.detail.clone(),
        Ending::Broken => report.disposition.to_string(),
        _ => return None,
    };
    Some((target.to_string(), reason))
}

fn progress(targets: usize, json: bool) -> ProgressBar {
    if targets < MANY || json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(u64::try_from(targets).ok(), ProgressDrawTarget::stderr());
    match ProgressStyle::with_template("{bar:30} {pos}/{len} targets  {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn print_json(
    fleets: &[Fleet],
    looks: &[(Target, CheckReport)],
    unseen: &[(String, String)],
    store: Counters,
) -> anyhow::Result<()> {
    let changes = looks.iter().filter(|(_, report)| !report.steps.is_empty());
    let document = json!({
        "targets": fleets.iter().map(TargetView::from).collect::<Vec<_>>(),
        "changes": changes.map(|(target, report)| json!({"target": target, "steps": report.steps})).collect::<Vec<_>>(),
        "store": {"reads": store.reads, "writes": store.writes, "itemsWritten": store.items_written},
        "notSeen": unseen.iter().map(|(target, reason)| json!({"target": target, "reason": reason})).collect::<Vec<_>>(),
    });
    out::print(format_args!("{document:#}\n"))
}

/// The table of what is on record, what changed and what could not be seen.
fn in_words(
    fleets: &[Fleet],
    looks: &[(Target, CheckReport)],
    unseen: &[(String, String)],
    clock: &impl Clock,
) -> Result<String, std::fmt::Error> {
    let colour = colour_on_stdout();
    let now = clock.now();
    let mut words = fleet_table(fleets, now, colour);
    let changed: Vec<String> =
        looks.iter().flat_map(|(target, report)| changes_in_words(target, &report.steps)).collect();
    if !changed.is_empty() {
        writeln!(words, "\nChanged since the last look:")?;
        changed.iter().try_for_each(|line| writeln!(words, "  {line}"))?;
    }
    if !unseen.is_empty() {
        writeln!(words, "\n{}", Tone::Bad.paint("Could not be seen:", colour))?;
        unseen.iter().try_for_each(|(target, reason)| writeln!(words, "  {target}: {reason}"))?;
    }
    Ok(words)
}

/// What a look changed, a line each. A first look is no change.
fn changes_in_words(target: &Target, steps: &[Step]) -> Vec<String> {
    if steps.contains(&Step::MonitoringStarted) {
        return vec![format!("{target}: seen for the first time")];
    }
    let words = |step: &Step| {
        Some(match step {
            Step::Registered { runner } => format!("{}: new", runner.name),
            Step::Reregistered { runner, .. } => format!("{}: registered again", runner.name),
            Step::StatusChanged { runner, from, to } => format!("{}: {from} → {to}", runner.name),
            Step::OutageOpened { outage } if outage.is_open() => format!("{}: outage confirmed", outage.runner_name),
            Step::OutageClosed { outage } => {
                let lasted = outage.resolved_at.map(|end| spoken_duration(end.since(outage.started_at)));
                format!("{}: outage over after {}", outage.runner_name, lasted.unwrap_or_default())
            }
            Step::Returned { runner, .. } => format!("{}: registered again", runner.name),
            Step::Retired { runner } => format!("{}: forgotten", runner.name),
            Step::SeesAgain { .. } => "can be seen again".to_owned(),
            _ => return None,
        })
    };
    steps.iter().filter_map(words).map(|words| format!("{target}: {words}")).collect()
}
