//! The inner loops. Where the bound is in microseconds, a yardstick is measured in the same run.

use std::hint::black_box;
use std::time::Duration;

use anyhow::Context;
use monitor_bench::workloads::{self, page_of_100};
use serde_json::Value;
use tokio::time::Instant;

use crate::measure::median;
use crate::table::Table;

/// How long each workload is repeated.
const FOR: Duration = Duration::from_millis(500);

pub(crate) fn measure(table: &mut Table) -> anyhow::Result<()> {
    table.section("Inner loops");
    let reconcile = micros(&*workload("reconcile, 1,000 runners, 304")?);
    table
        .add("reconcile, 1,000 runners, nothing changed", reconcile, "µs")
        .at_most(100.0)
        .note("median; criterion: `cargo bench -p monitor-bench`");
    let few = micros(&*workload("reconcile, 100 runners, 304")?);
    table.add("1,000 runners ÷ 100 runners", reconcile / few, "×").note("10 is linear");
    let (work, of_few) = (workload("reconcile, 1,000 runners, 304")?, workload("reconcile, 5 runners, 304")?);
    let count = |work: &dyn Fn()| allocation_counter::measure(work).count_total as f64;
    let pages = 10.0;
    let added = count(&*work) / pages;
    table
        .add("allocations a page of 100 runners", added, "")
        .at_most(count(&*of_few))
        .note("bound: the allocations of a page of 5, so none per runner");
    let decode = micros(&*workload("list decoded, 100 runners")?);
    table.add("a page of 100 runners decoded", decode, "µs").at_most(150.0).note("median");
    let page = page_of_100();
    let yardstick = micros(&|| drop(black_box(serde_json::from_slice::<Value>(black_box(&page)))));
    table
        .add("the same ÷ serde_json::Value of it", decode / yardstick, "×")
        .note(format!("{} KB of JSON", page.len() / 1_000));
    table
        .add(
            "a notification of 1,000 runners rendered",
            micros(&*workload("notification rendered, 1,000 runners")?),
            "µs",
        )
        .note("median");
    Ok(())
}

fn workload(name: &str) -> anyhow::Result<workloads::Work> {
    let found = workloads::ALL.into_iter().find(|workload| workload.name == name);
    Ok((found.with_context(|| format!("unknown workload `{name}`"))?.set_up)())
}

/// The median time of one run, in µs.
fn micros(work: &dyn Fn()) -> f64 {
    let until = Instant::now() + FOR;
    let mut times = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        work();
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    median(&mut times)
}
