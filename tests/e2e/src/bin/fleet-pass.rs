//! A large fleet looked at twice by `runner-monitor check`: time, requests, writes and memory, as a table and as JSON.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use monitor_e2e::{Setting, fleet, repository};
use monitor_embedded::store::EmbeddedStore;
use monitor_fakes::FakeGitHub;
use serde_json::{Value, json};
use tokio::time::Instant;

/// Two passes of `runner-monitor check` over a fleet of the fake GitHub.
#[derive(Parser)]
struct Arguments {
    /// How many repositories
    #[arg(long, default_value_t = 800)]
    targets: usize,
    /// How many runners each
    #[arg(long, default_value_t = 5)]
    runners: usize,
    /// How long GitHub takes to answer
    #[arg(long, default_value_t = 50)]
    latency_ms: u64,
    /// How many requests GitHub answers at once
    #[arg(long, default_value_t = 100)]
    at_once: usize,
    /// Write the figures to this file as JSON
    #[arg(long)]
    json: Option<std::path::PathBuf>,
}

struct Pass {
    took: Duration,
    peak_kib: u64,
    requests: u64,
    ok: u64,
    not_modified: u64,
    max_in_flight: u64,
    items_written: u64,
    store_reads: u64,
    store_writes: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store.db");
    let mut world = fleet(arguments.targets, arguments.runners);
    world.latency_ms = arguments.latency_ms;
    // What is measured is the program; its pace of 900 a minute is off in both.
    world.limits.points_per_minute = u64::MAX;
    world.limits.max_in_flight = arguments.at_once;
    world.set_hourly_limit(monitor_e2e::TOKEN, 10_000_000);
    let github = FakeGitHub::start_with(world, 0, monitor_fakes::wall_clock_ms).await?;
    let setting = Setting {
        github_url: github.base_url(),
        webhook: None,
        repositories: (0..arguments.targets).map(repository).collect(),
        policy: "{}",
        store: &path,
    };
    // Opened once before, so that making the file is not in the figures.
    drop(EmbeddedStore::open(&path)?);
    let first = pass(&github, &setting).await?;
    let second = pass(&github, &setting).await?;

    let pages = arguments.targets as u64 * (arguments.runners as u64).div_ceil(100).max(1);
    let floor_ms = pages.div_ceil(arguments.at_once as u64) * arguments.latency_ms;
    println!(
        "{} repositories × {} runners, {} ms a request, at most {} at once: no faster than {floor_ms} ms\n",
        arguments.targets, arguments.runners, arguments.latency_ms, arguments.at_once
    );
    println!("{:<34}{:>12}{:>12}", "", "first pass", "second pass");
    let line = |what: &str, of: &dyn Fn(&Pass) -> String| println!("{what:<34}{:>12}{:>12}", of(&first), of(&second));
    line("time, ms", &|pass| pass.took.as_millis().to_string());
    line("time ÷ floor", &|pass| format!("{:.2}", pass.took.as_millis() as f64 / floor_ms as f64));
    line("peak memory, MiB", &|pass| format!("{:.1}", pass.peak_kib as f64 / 1_024.0));
    line("requests to GitHub", &|pass| pass.requests.to_string());
    line("  answered 200", &|pass| pass.ok.to_string());
    line("  answered 304", &|pass| pass.not_modified.to_string());
    line("  most at once", &|pass| pass.max_in_flight.to_string());
    line("store: reads", &|pass| pass.store_reads.to_string());
    line("store: writes", &|pass| pass.store_writes.to_string());
    line("store: items written", &|pass| pass.items_written.to_string());
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&json!([figures(&first), figures(&second)]))?)?;
    }
    ensure!(second.not_modified == pages && second.requests == pages, "the second pass was to cost one 304 a page");
    ensure!(second.store_writes == 0, "the second pass was to write nothing");
    ensure!(first.peak_kib.max(second.peak_kib) < 100 * 1_024, "100 MiB were to be enough");
    Ok(())
}

fn figures(pass: &Pass) -> Value {
    json!({
        "timeMs": pass.took.as_millis() as u64,
        "peakMemoryKib": pass.peak_kib,
        "requests": pass.requests,
        "answered200": pass.ok,
        "answered304": pass.not_modified,
        "storeReads": pass.store_reads,
        "storeWrites": pass.store_writes,
        "itemsWritten": pass.items_written,
    })
}

async fn pass(github: &FakeGitHub, setting: &Setting<'_>) -> anyhow::Result<Pass> {
    github.state().reset_counters();
    let began = Instant::now();
    let mut command = setting.command(&["check", "--json"])?;
    command.stdout(std::process::Stdio::piped());
    let child = command.spawn()?;
    let process = child.id().context("the program has not started")?;
    let peak = tokio::spawn(peak_of(process));
    let output = child.wait_with_output().await?;
    let took = began.elapsed();
    ensure!(output.status.success(), "the check ended with {}", output.status);
    let document: Value = serde_json::from_slice(&output.stdout)?;
    let counted = |what: &str| document["store"][what].as_u64().context("the program counts its requests to the store");
    let counters = github.state().counters().clone();
    Ok(Pass {
        took,
        peak_kib: peak.await?,
        requests: counters.requests,
        ok: counters.ok,
        not_modified: counters.not_modified,
        max_in_flight: counters.max_in_flight as u64,
        items_written: counted("itemsWritten")?,
        store_reads: counted("reads")?,
        store_writes: counted("writes")?,
    })
}

/// The most memory that a process had in use, KiB, as the kernel counts it (VmHWM), until it ends.
async fn peak_of(process: u32) -> u64 {
    let path = format!("/proc/{process}/status");
    let mut peak = 0;
    while let Some(now) = read_peak(Path::new(&path)) {
        peak = peak.max(now);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    peak
}

fn read_peak(path: &Path) -> Option<u64> {
    let status = std::fs::read_to_string(path).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
