//! Passes over whole fleets with a GitHub latency of 50 ms: in a separate process, and with the Lambda handlers here.

mod handlers;
mod paced;
mod process;

use std::time::Duration;

use anyhow::ensure;
use monitor_fakes::github::{Counters, Endpoint};

use crate::measure::ms;
use crate::table::Table;
use crate::world::{Terms, World};

/// GitHub's latency.
const LATENCY_MS: u64 = 50;
/// GitHub's limit of requests per minute and credential.
const PER_MINUTE: usize = 900;
/// Speed of the clocks, compared with real time, in passes that take minutes.
const SPEED: u32 = 10;

/// A pass over a fleet.
struct Pass {
    took: Duration,
    github: Counters,
}

impl Pass {
    /// Fails unless each page was requested once and no request was refused.
    fn check(&self, targets: usize, pass: &str) -> anyhow::Result<()> {
        let Counters { limited, ok, not_modified, .. } = self.github;
        // The scheduler also requests the remaining hourly quota, which costs nothing.
        let checks = self.github.by_endpoint.get(&Endpoint::ListRunners).copied().unwrap_or_default();
        ensure!(limited == 0, "{pass}: GitHub refused {limited} requests because of a limit");
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

/// Figures of the TypeScript program that this one replaces, with store and Slack at 0 ms.
fn predecessor(table: &mut Table) {
    let note = "the TypeScript predecessor, for comparison";
    table.add("predecessor: 800 × 77 ms, one after another", 800.0 * 77.0, "ms").note(note);
    table.add("predecessor: 800 × 128 ms, with one organization configured", 800.0 * 128.0, "ms").note(note);
    table.add("predecessor: peak memory, at least", 140.0, "MB").note("140–156 MB; no conditional requests");
}

/// The least time for `requests` at this latency with `at_once` concurrent ones, in ms.
fn floor_ms(requests: usize, at_once: usize) -> f64 {
    requests.div_ceil(at_once) as f64 * LATENCY_MS as f64
}

/// Adds a time, and its ratio to the least possible time, to the table.
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
