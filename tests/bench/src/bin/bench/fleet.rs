//! Passes over whole fleets at 50 ms GitHub latency: in one process, and through the Lambda handlers called in this one.

mod handlers;
mod paced;
mod process;

use std::time::Duration;

use anyhow::ensure;
use monitor_fakes::github::{Counters, Endpoint};

use crate::measure::ms;
use crate::table::Table;
use crate::world::{Terms, World};

/// How long GitHub takes to answer.
const LATENCY_MS: u64 = 50;
/// What GitHub allows one credential in a minute.
const PER_MINUTE: usize = 900;
/// How much faster than life the clocks run in passes that take minutes.
const SPEED: u32 = 10;

/// A pass over a fleet.
struct Pass {
    took: Duration,
    github: Counters,
}

impl Pass {
    /// Every page was asked for once, and none was refused.
    fn check(&self, targets: usize, pass: &str) -> anyhow::Result<()> {
        let Counters { limited, ok, not_modified, .. } = self.github;
        // The scheduler also asks what is left of the hour, which is free.
        let checks = self.github.by_endpoint.get(&Endpoint::ListRunners).copied().unwrap_or_default();
        ensure!(limited == 0, "{pass}: GitHub refused {limited} requests for a limit");
        ensure!(checks == targets as u64 && ok + not_modified >= checks, "{pass}: {:?}", self.github);
        Ok(())
    }
}

pub(crate) fn unpaced(table: &mut Table, sizes: &[usize]) -> anyhow::Result<()> {
    table.section("Fleet pass, an Enterprise Server without limits (50 ms, 5 runners each)");
    for &targets in sizes {
        process::measure(table, targets)?;
    }
    for &targets in sizes {
        handlers::unpaced(table, targets)?;
    }
    predecessor(table);
    Ok(())
}

pub(crate) fn paced(table: &mut Table, sizes: &[usize]) -> anyhow::Result<()> {
    table.section("Fleet pass, 900 requests a minute and credential (50 ms, 5 runners each)");
    for &targets in sizes {
        paced::measure(table, targets)?;
    }
    for &targets in sizes {
        handlers::paced(table, targets)?;
    }
    Ok(())
}

/// Measured on the TypeScript program that this one replaces, at 0 ms store and Slack.
fn predecessor(table: &mut Table) {
    let note = "the TypeScript predecessor, for comparison";
    table.add("predecessor: 800 × 77 ms, one after another", 800.0 * 77.0, "ms").note(note);
    table.add("predecessor: 800 × 128 ms, with one organization configured", 800.0 * 128.0, "ms").note(note);
    table.add("predecessor: peak memory, at least", 140.0, "MB").note("140–156 MB; no conditional requests");
}

/// The time that requests take at this latency with so many under way at once, ms.
fn floor_ms(requests: usize, at_once: usize) -> f64 {
    requests.div_ceil(at_once) as f64 * LATENCY_MS as f64
}

/// Puts a time and its relation to the floor into the table.
fn add(table: &mut Table, what: &str, took: Duration, floor_ms: f64, bound: Option<f64>, note: &str) {
    table.add(what.to_owned(), ms(took), "ms").note(note);
    let ratio = table.add(format!("{what}: time ÷ floor"), ms(took) / floor_ms, "×");
    ratio.note(format!("floor {floor_ms:.0} ms"));
    if let Some(bound) = bound {
        ratio.at_most(bound);
    }
}

fn world(targets: usize, is_limited: bool, speed: u32) -> anyhow::Result<World> {
    World::start(Terms { repositories: targets, github_latency_ms: LATENCY_MS, is_limited, speed })
}
