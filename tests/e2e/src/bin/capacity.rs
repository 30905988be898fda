//! How much of a credential's quota can be used; see `monitor_e2e::capacity`.
#![allow(clippy::print_stdout, reason = "its purpose is to print results")]

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use monitor_e2e::capacity::{Outcome, Scenario, play, play_in_real_time};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Runs a large fleet against a fake GitHub with its rate limits, and verifies that no request exceeds them
#[derive(Parser)]
struct Arguments {
    /// Hours of virtual time
    #[arg(long, default_value_t = 24)]
    hours: u32,
    /// Seconds of a run at full pace in real time, afterwards
    #[arg(long, default_value_t = 120)]
    real_secs: u64,
    /// Only scenarios whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Write the results to this file as JSON
    #[arg(long)]
    json: Option<std::path::PathBuf>,
}

/// When a scenario's schedule may be throttled.
#[derive(Clone, Copy, PartialEq)]
enum Throttling {
    /// Only in the hour of the first checks.
    AtFirst,
    /// Occasionally for one tick, after the App's token was renewed: then all targets are answered in full.
    AtRenewals,
    Always,
    Never,
}

fn scenarios() -> Vec<(String, Throttling, Scenario)> {
    let one = Scenario::default();
    let mut scenarios = Vec::new();
    for pollers in [1, 4, 16] {
        let name = format!("4,000 targets, 5 % change, 5,000/h, pollers {pollers}");
        scenarios.push((name, Throttling::AtFirst, Scenario { pollers, ..one.clone() }));
    }
    for (name, throttling, scenario) in [
        ("12,500/h, pollers 4", Throttling::Never, Scenario { hourly_limit: 12_500, ..one.clone() }),
        (
            "the same 40 % change, 5,000/h, pollers 4",
            Throttling::Always,
            Scenario { changing: 400, same: true, ..one.clone() },
        ),
        (
            "now these 40 %, now those, 5,000/h, pollers 4",
            Throttling::Always,
            Scenario { changing: 400, ..one.clone() },
        ),
        ("5 % change, scheduler always cold", Throttling::AtFirst, Scenario { forgets: true, ..one.clone() }),
        (
            "GitHub App, 4,000 targets, 5 % change, 12,500/h, pollers 16",
            Throttling::AtRenewals,
            Scenario { app: true, pollers: 16, hourly_limit: 12_500, ..one.clone() },
        ),
        (
            "GitHub App on 4 organizations of 4,000 targets, 12,500/h each, pollers 8",
            Throttling::AtRenewals,
            Scenario { app: true, credentials: 4, pollers: 8, hourly_limit: 12_500, ..one },
        ),
    ] {
        scenarios.push((name.to_owned(), throttling, scenario));
    }
    scenarios
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let is_wanted = |name: &str| arguments.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let is_seen = std::io::stderr().is_terminal();
    let (mut figures, mut missed) = (Vec::new(), Vec::new());
    for (name, throttling, scenario) in scenarios() {
        if !is_wanted(&name) || arguments.hours == 0 {
            continue;
        }
        let began = Instant::now();
        let on_hour = |hour| {
            if is_seen {
                eprint!("\r{name}: hour {hour} ");
            }
        };
        let outcome = play(&scenario, arguments.hours, on_hour).await?;
        let back = if is_seen { "\r" } else { "" };
        eprintln!("{back}{name}: {} h in {:.0} s", arguments.hours, began.elapsed().as_secs_f64());
        show(&name, &outcome);
        figures.push(figure(&name, &outcome)?);
        missed.extend(check(&name, throttling, &outcome).err());
    }
    let name = format!("{} real seconds, 50 ms a request, pollers 4", arguments.real_secs);
    if is_wanted(&name) && arguments.real_secs > 0 {
        let real = Duration::from_secs(arguments.real_secs);
        let outcome = play_in_real_time(&Scenario::default(), real, 50).await?;
        show(&name, &outcome);
        figures.push(figure(&name, &outcome)?);
        missed.extend(check_real_time(&name, arguments.real_secs, &outcome).err());
    }
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&figures)?)?;
    }
    let missed: Vec<String> = missed.iter().map(ToString::to_string).collect();
    ensure!(missed.is_empty(), "expectations not met:\n  {}", missed.join("\n  "));
    Ok(())
}

fn check_real_time(name: &str, real_secs: u64, outcome: &Outcome) -> anyhow::Result<()> {
    ensure!(outcome.limited == 0 && outcome.failed == 0, "{name}: a rate limit was hit or a check failed");
    let due = real_secs as f64 / 60.0 * 800.0;
    ensure!(outcome.checks as f64 > due * 0.97, "{name}: {} checks of {due}", outcome.checks);
    Ok(())
}

fn figure(name: &str, outcome: &Outcome) -> anyhow::Result<Value> {
    Ok(json!({"scenario": name, "outcome": serde_json::to_value(outcome)?}))
}

fn check(name: &str, throttling: Throttling, outcome: &Outcome) -> anyhow::Result<()> {
    ensure!(outcome.limited == 0, "{name}: {} answers were limited", outcome.limited);
    ensure!(outcome.failed == 0, "{name}: {} checks failed", outcome.failed);
    ensure!(outcome.never_seen == 0, "{name}: {} targets have no successful check", outcome.never_seen);
    ensure!(outcome.most_in_a_minute <= 900, "{name}: {} in a minute", outcome.most_in_a_minute);
    match throttling {
        Throttling::Never => {
            ensure!(outcome.throttled_ticks == 0, "{name}: the schedule was throttled");
            ensure!(outcome.longest_gap_secs < 310.0, "{name}: {} s", outcome.longest_gap_secs);
        }
        Throttling::AtFirst => {
            ensure!(
                (1..=24).contains(&outcome.throttled_ticks),
                "{name}: throttled at {} ticks",
                outcome.throttled_ticks
            );
            ensure!(outcome.whole_longest_gap_secs < 310.0, "{name}: {} s", outcome.whole_longest_gap_secs);
        }
        Throttling::AtRenewals => {
            ensure!(
                outcome.throttled_ticks * 12 <= outcome.ticks,
                "{name}: throttled at {} ticks",
                outcome.throttled_ticks
            );
            ensure!(outcome.longest_gap_secs < 610.0, "{name}: {} s", outcome.longest_gap_secs);
        }
        Throttling::Always => {
            ensure!(outcome.throttled_ticks * 2 > outcome.ticks, "{name}: throttling was not reported");
            if let Some((fewest, most)) = settled_jobs(outcome) {
                ensure!(most <= 3 * fewest, "{name}: {fewest} to {most} jobs per tick are not even");
            }
        }
    }
    Ok(())
}

fn settled_jobs(outcome: &Outcome) -> Option<(usize, usize)> {
    outcome.settled_fewest_jobs.zip(outcome.settled_most_jobs)
}

fn show(name: &str, outcome: &Outcome) {
    println!("{name}");
    let quota = outcome.least_quota.map_or_else(|| "-".to_owned(), |least| least.to_string());
    println!(
        "  {} requests: {} × 200, {} × 304, {} limited; at most {} in a minute; lowest remaining hourly quota {quota}; {} quota requests",
        outcome.requests,
        outcome.answered_200,
        outcome.answered_304,
        outcome.limited,
        outcome.most_in_a_minute,
        outcome.quota_requests
    );
    println!(
        "  {} checks, {} of them rechecks; {} failed, {} expired; between two checks: mean {:.1} s, p99 {:.1} s, longest {:.1} s",
        outcome.checks,
        outcome.rechecks,
        outcome.failed,
        outcome.expired,
        outcome.mean_gap_secs,
        outcome.p99_gap_secs,
        outcome.longest_gap_secs
    );
    let jobs = outcome.fewest_jobs.zip(outcome.most_jobs).map_or_else(String::new, |(fewest, most)| {
        format!(", to {} s at most: {fewest} to {most} jobs per tick", outcome.throttled_to_secs)
    });
    let settled = settled_jobs(outcome)
        .map_or_else(String::new, |(fewest, most)| format!(", after four hours {fewest} to {most}"));
    println!("  throttled at {} of {} ticks{jobs}{settled}", outcome.throttled_ticks, outcome.ticks);
    println!(
        "  when not throttled: p99 {:.1} s, longest {:.1} s between two checks\n",
        outcome.whole_p99_gap_secs, outcome.whole_longest_gap_secs
    );
}
