//! `runner-monitor check` as a separate process.

use std::process::Stdio;

use anyhow::{Context, ensure};
use monitor_e2e::Setting;
use monitor_embedded::store::EmbeddedStore;
use serde_json::Value;
use tokio::time::Instant;

use super::{Pass, add, floor_ms, world};
use crate::measure::{memory_kib, ms};
use crate::table::Table;
use crate::world::{World, repository};

/// How many requests the program sends concurrently.
const AT_ONCE: usize = 100;

pub(super) fn measure(table: &mut Table, targets: usize) -> anyhow::Result<()> {
    let world = world(targets, false, 1)?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store.db");
    // Created first, so that it is not measured.
    drop(EmbeddedStore::open(&path)?);
    let setting = Setting {
        github_url: world.github_url(),
        webhook: None,
        repositories: (0..targets).map(repository).collect(),
        policy: "{}",
        store: &path,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut peak_kib = 0.0_f64;
    for (pass, bound) in [("first pass", 1.3), ("pass with 304s", 1.3)] {
        let (done, peak, document) = runtime.block_on(one(&world, &setting))?;
        done.check(targets, pass)?;
        peak_kib = peak_kib.max(peak);
        let written = document["store"]["itemsWritten"].as_u64().unwrap_or(0);
        let bound = (targets == 800).then_some(bound);
        let what = format!("one process, {targets} repositories, {pass}");
        add(table, &what, done.took, floor_ms(targets, AT_ONCE), bound, &format!("{written} items written"));
        if pass == "pass with 304s" {
            ensure!(done.github.not_modified == targets as u64 && written == 0, "{pass}: {:?}", done.github);
            let each = ms(done.took) / targets as f64;
            table.add(format!("one process, {targets} repositories: time ÷ repositories"), each, "ms");
        }
    }
    table.add(format!("one process, {targets} repositories: peak memory"), peak_kib / 1_024.0, "MiB");
    Ok(())
}

async fn one(world: &World, setting: &Setting<'_>) -> anyhow::Result<(Pass, f64, Value)> {
    world.github.state().reset_counters();
    let mut command = setting.command(&["check", "--json"])?;
    command.stdout(Stdio::piped());
    let began = Instant::now();
    let child = command.spawn()?;
    let process = child.id().context("the program has not started")?;
    let peak = async {
        let mut peak = 0.0_f64;
        while let Ok(now) = memory_kib(process, "VmHWM") {
            peak = peak.max(now);
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        peak
    };
    let ended = async {
        let output = child.wait_with_output().await;
        (output, began.elapsed())
    };
    let (peak, (output, took)) = tokio::join!(peak, ended);
    let output = output?;
    ensure!(output.status.success(), "the check ended with {}", output.status);
    let github = world.github.state().counters().clone();
    Ok((Pass { took, github }, peak, serde_json::from_slice(&output.stdout)?))
}
