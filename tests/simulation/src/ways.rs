//! Plays a large fleet against GitHub's rate limits in nine ways, and checks that no request exceeds them.

use anyhow::ensure;
use monitor_simulation::capacity::{Load, Outcome, play};

use crate::Arguments;
use crate::many::in_order;

/// One way, and what must hold for it.
struct Way {
    name: String,
    throttling: Throttling,
    load: Load,
}

/// When the schedule may be throttled.
#[derive(Clone, Copy, PartialEq)]
enum Throttling {
    /// Only in the hour of the first checks.
    AtFirst,
    /// Occasionally for one tick, after the App's token was renewed: then all targets are answered in full.
    AtRenewals,
    Always,
    Never,
}

fn ways() -> Vec<Way> {
    let one = Load::default();
    let mut ways = Vec::new();
    for pollers in [1, 4, 16] {
        let name = format!("4,000 targets, 5 % change, 5,000/h, pollers {pollers}");
        ways.push(Way { name, throttling: Throttling::AtFirst, load: Load { pollers, ..one.clone() } });
    }
    for (name, throttling, load) in [
        ("12,500/h, pollers 4", Throttling::Never, Load { hourly_limit: 12_500, ..one.clone() }),
        (
            "the same 40 % change, 5,000/h, pollers 4",
            Throttling::Always,
            Load { changing: 400, same: true, ..one.clone() },
        ),
        ("now these 40 %, now those, 5,000/h, pollers 4", Throttling::Always, Load { changing: 400, ..one.clone() }),
        ("5 % change, scheduler always cold", Throttling::AtFirst, Load { forgets: true, ..one.clone() }),
        (
            "GitHub App, 4,000 targets, 5 % change, 12,500/h, pollers 16",
            Throttling::AtRenewals,
            Load { app: true, pollers: 16, hourly_limit: 12_500, ..one.clone() },
        ),
        (
            "GitHub App on 4 organizations of 4,000 targets, 12,500/h each, pollers 8",
            Throttling::AtRenewals,
            Load { app: true, credentials: 4, pollers: 8, hourly_limit: 12_500, ..one },
        ),
    ] {
        ways.push(Way { name: name.to_owned(), throttling, load });
    }
    ways
}

/// Plays the ways whose names contain `--only`.
pub(crate) fn capacity(arguments: &Arguments) -> anyhow::Result<()> {
    let is_wanted = |way: &Way| arguments.only.as_ref().is_none_or(|only| way.name.contains(only.as_str()));
    let ways: Vec<Way> = ways().into_iter().filter(is_wanted).collect();
    ensure!(!ways.is_empty(), "no way has this name");
    let mut missed = Vec::new();
    in_order(
        &ways,
        arguments.jobs(),
        || true,
        |way| play(&way.load, arguments.hours),
        |way, outcome| {
            let examined = outcome.and_then(|outcome| {
                show(&way.name, arguments.hours, &outcome);
                check(&way.name, way.throttling, &outcome)
            });
            missed.extend(examined.err().map(|error| error.to_string()));
            true
        },
    );
    ensure!(missed.is_empty(), "expectations not met:\n  {}", missed.join("\n  "));
    Ok(())
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

fn show(name: &str, hours: i64, outcome: &Outcome) {
    println!("{name}, {hours} h");
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
