//! Counts the instructions of each workload with valgrind and compares them with the committed figures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use monitor_bench::workloads;

/// A workload may cost this much more than the committed figure, in percent.
const TOLERANCE_PERCENT: f64 = 5.0;
/// Repetitions of a workload in the longer of two runs. The cost of the program itself is in both runs and cancels out.
const ROUNDS: u64 = 10;

/// Compares the instructions of each workload, counted by valgrind, with the committed figures.
#[derive(Parser)]
struct Arguments {
    /// Write the figures instead of comparing
    #[arg(long)]
    write: bool,
    /// Only run this workload this often; valgrind is started with it
    #[arg(long, num_args = 2, value_names = ["NAME", "ROUNDS"], hide = true)]
    rounds: Option<Vec<String>>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(rounds) = arguments.rounds {
        return run(&rounds[0], rounds[1].parse()?);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json");
    let committed: BTreeMap<String, u64> = match std::fs::read(&file) {
        Ok(text) => serde_json::from_slice(&text).context("instructions.json")?,
        Err(_) if arguments.write => BTreeMap::new(),
        Err(error) => bail!("{}: {error}; --write creates it", file.display()),
    };
    let mut counted = BTreeMap::new();
    let mut above = Vec::new();
    println!("{:<52} {:>14} {:>14} {:>8}", "workload", "instructions", "committed", "");
    for workload in workloads::ALL {
        let name = workload.name;
        let count = (count(name, ROUNDS)? - count(name, 0)?) / ROUNDS;
        counted.insert(name.to_owned(), count);
        let before = committed.get(name).copied();
        let percent = before.map(|before| (count as f64 / before as f64 - 1.0) * 100.0);
        let change = percent.map_or("new".to_owned(), |percent| format!("{percent:+.1} %"));
        println!(
            "{name:<52} {count:>14} {:>14} {change:>8}",
            before.map_or("–".to_owned(), |before| before.to_string())
        );
        if percent.is_none_or(|percent| percent > TOLERANCE_PERCENT) {
            above.push(name);
        }
    }
    if arguments.write {
        std::fs::write(&file, serde_json::to_string_pretty(&counted)? + "\n")?;
        return Ok(());
    }
    ensure!(
        above.is_empty(),
        "more than {TOLERANCE_PERCENT} % above the committed figures: {}; if that is intended, run with --write and commit",
        above.join(", ")
    );
    Ok(())
}

/// Runs a workload `rounds` times.
fn run(name: &str, rounds: u64) -> anyhow::Result<()> {
    let workload = workloads::ALL.into_iter().find(|workload| workload.name == name);
    let workload = workload.with_context(|| format!("unknown workload `{name}`"))?;
    let work = (workload.set_up)();
    (0..rounds).for_each(|_| work());
    Ok(())
}

/// The instructions of this program with `rounds` runs of a workload.
fn count(name: &str, rounds: u64) -> anyhow::Result<u64> {
    let own: PathBuf = std::env::current_exe()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(own)
        .args(["--rounds", name, &rounds.to_string()])
        .env_clear()
        .output()
        .context("valgrind is not installed: apt-get install valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind failed: {said}");
    let total = said.lines().find_map(|line| line.split_once("Collected : ").map(|(_, count)| count.trim()));
    Ok(total.context("valgrind counted nothing")?.parse()?)
}
