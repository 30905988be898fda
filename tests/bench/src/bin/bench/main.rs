//! Prints all measurements as one table: `make bench`.

mod cost;
mod deliveries;
mod fleet;
mod functions;
mod latency;
mod loops;
mod measure;
mod memory;
mod one_check;
mod page;
mod runtime_api;
mod sending;
mod served;
mod table;
mod time_scale;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use monitor_pipeline::ports::Clock as _;
use monitor_telemetry::SystemClock;
use serde_json::json;
use tokio::time::Instant;

use crate::table::Table;

/// The markers in a page between which the tables are inserted.
const MARKERS: [&str; 2] = ["<!-- make bench: begin -->", "<!-- make bench: end -->"];

/// Measures sizes, starts, requests, times and cost of the monitor, each with its unit and its bound, if it has one.
#[derive(Parser)]
struct Arguments {
    /// Measure only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Folder of the functions' binaries
    #[arg(long, default_value = "target/release", overrides_with = "functions")]
    functions: PathBuf,
    /// Measure only these functions
    #[arg(long, value_delimiter = ',')]
    function: Vec<String>,
    /// Invocations of a warm function [default: 1000, with --quick 100]
    #[arg(long)]
    warm: Option<usize>,
    /// Repositories of the fleets [default: 800,4000,10000, with --quick 800]
    #[arg(long, value_delimiter = ',')]
    targets: Vec<usize>,
    /// Also insert the tables into this page, between its markers
    #[arg(long)]
    page: Option<PathBuf>,
    /// Use small fleets and few rounds, to test that it works
    #[arg(long)]
    quick: bool,
    /// Fail if a bound is exceeded
    #[arg(long)]
    strict: bool,
    /// File for the figures as JSON; the Markdown file is written beside it
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Loops,
    Functions,
    Check,
    Latency,
    Sending,
    /// Passes without GitHub's limits
    Fleets,
    /// Passes with GitHub's limits
    Paced,
    Memory,
    /// The page over 4,000 targets
    Page,
    /// Reports of workflow jobs over HTTP
    Deliveries,
    Cost,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let began = Instant::now();
    let mut table = Table::default();
    let quick = arguments.quick;
    let sizes = match (arguments.targets.as_slice(), quick) {
        ([], true) => vec![800],
        ([], false) => vec![800, 4_000, 10_000],
        (named, _) => named.to_vec(),
    };
    // The handlers print metrics for CloudWatch to stdout.
    let stdout = rustix::io::dup(std::io::stdout())?;
    rustix::stdio::dup2_stdout(std::fs::File::create("/dev/null")?)?;
    for part in Part::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(part) {
            continue;
        }
        let folder = &arguments.functions;
        match part {
            Part::Loops => loops::measure(&mut table)?,
            Part::Functions => {
                let warm = arguments.warm.unwrap_or(if quick { 100 } else { 1_000 });
                functions::measure(&mut table, folder, &arguments.function, warm)?;
            }
            Part::Check => one_check::measure(&mut table)?,
            Part::Latency => latency::measure(&mut table, if quick { 20 } else { 200 })?,
            Part::Sending => sending::measure(&mut table)?,
            Part::Fleets => fleet::unpaced(&mut table, &sizes)?,
            Part::Paced => fleet::paced(&mut table, &sizes)?,
            Part::Memory => memory::measure(&mut table, folder, if quick { 5_000 } else { 100_000 })?,
            Part::Page => page::measure(&mut table, folder, if quick { 200 } else { 4_000 })?,
            Part::Deliveries => deliveries::measure(&mut table, folder, if quick { 1_000 } else { 10_000 })?,
            Part::Cost => cost::measure(&mut table)?,
        }
    }
    rustix::stdio::dup2_stdout(stdout)?;
    println!("{}", table.text());
    let machine = machine();
    let document = json!({
        "at": SystemClock.now().to_string(),
        "machine": machine,
        "tookSecs": began.elapsed().as_secs(),
        "quick": quick,
        "figures": table.json(),
    });
    let markdown = arguments.json.with_extension("md");
    std::fs::write(&arguments.json, serde_json::to_string_pretty(&document)? + "\n")?;
    let tables = format!("{machine}.\n\n{}", table.markdown());
    std::fs::write(&markdown, &tables)?;
    if let Some(page) = &arguments.page {
        put_into(page, &tables)?;
    }
    println!("{machine}\n{} and {}, in {} s", arguments.json.display(), markdown.display(), began.elapsed().as_secs());
    let missed: Vec<String> = table.missed().collect();
    for bound in &missed {
        println!("missed: {bound}");
    }
    Ok(if arguments.strict && !missed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Replaces the text between the markers of a page.
fn put_into(page: &Path, tables: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let (before, rest) = text.split_once(MARKERS[0]).with_context(|| format!("no {} in the page", MARKERS[0]))?;
    let (_, after) = rest.split_once(MARKERS[1]).with_context(|| format!("no {} in the page", MARKERS[1]))?;
    let [begin, end] = MARKERS;
    Ok(std::fs::write(page, format!("{before}{begin}\n{}\n{end}{after}", tables.trim_end()))?)
}

/// Describes the machine of this run.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let field = |name: &str| {
        let line = processors.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown").to_owned()
    };
    let count = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("unknown");
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{count} processors ({}, family {}, model {}), Linux {}, {}; load at the end {load}",
        field("model name"),
        field("cpu family"),
        field("model\t"),
        kernel.trim(),
        std::env::consts::ARCH
    )
}
