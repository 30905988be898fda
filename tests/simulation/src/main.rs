//! Plays many scenarios and stops at the first that violates an invariant.

mod many;
mod trace;
mod ways;

use anyhow::{Context, ensure};
use clap::Parser;
use monitor_simulation::faults::StoreKind;
use monitor_simulation::operations::Scenario;
use monitor_simulation::simulation::play;

/// Plays the pipeline in virtual time, with every fault of GitHub, Slack, store and queues, against the true history
#[derive(Parser)]
struct Arguments {
    /// Number of scenarios
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// First seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Length of each scenario in hours
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(i64).range(6..=720))]
    hours: i64,
    /// On github.com, which names the ends of versions and removes runners; with 480 hours or more of both
    #[arg(long)]
    foresight: bool,
    /// With workflow jobs that wait for runners, and the deliveries of a webhook about them
    #[arg(long)]
    workflow_jobs: bool,
    /// Store to use
    #[arg(long, value_enum, default_value_t = StoreKind::Embedded)]
    store: StoreKind,
    /// Scenarios to play at the same time; results do not depend on it [default: number of processors]
    #[arg(long)]
    jobs: Option<usize>,
    /// Play the scenario of this seed and print it
    #[arg(long)]
    replay: Option<u64>,
    /// Play the seeds in this file, one per line, before the others
    #[arg(long)]
    known: Option<std::path::PathBuf>,
    /// End a stage at every await of a short scenario, one at a time, then at pairs of awaits
    #[arg(long)]
    crash_points: bool,
    /// Try one in this many pairs of awaits
    #[arg(long, default_value_t = 1, requires = "crash_points", value_parser = clap::value_parser!(u32).range(1..))]
    each_pair: u32,
    /// Play a large fleet against GitHub's rate limits in nine ways, and check that no request exceeds them
    #[arg(long)]
    capacity: bool,
    /// Only the ways whose names contain this
    #[arg(long, requires = "capacity")]
    only: Option<String>,
    /// Start no new scenario after this many seconds
    #[arg(long)]
    for_secs: Option<u64>,
}

impl Arguments {
    fn jobs(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.jobs.unwrap_or_else(all).max(1)
    }

    /// The scenario of a seed.
    fn scenario(&self, seed: u64) -> Scenario {
        let scenario = Scenario::draw(seed, self.hours, self.store);
        let scenario = if self.foresight { scenario.with_foresight() } else { scenario };
        if self.workflow_jobs { scenario.with_workflow_jobs() } else { scenario }
    }

    /// The seeds in the file that are for this store. A line is `4711` or `4711 stately`.
    fn known(&self) -> anyhow::Result<Vec<u64>> {
        let Some(file) = &self.known else { return Ok(Vec::new()) };
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut seeds = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (seed, store) = match line.split_once(' ') {
                Some((seed, "stately")) => (seed, StoreKind::Stately),
                Some((seed, "dynamodb")) => (seed, StoreKind::DynamoDb),
                _ => (line, StoreKind::Embedded),
            };
            let seed = seed.parse().with_context(|| {
                format!("{}: `{line}` must be a seed, for example `4711` or `4711 stately`", file.display())
            })?;
            if store == self.store {
                seeds.push(seed);
            }
        }
        Ok(seeds)
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(seed) = arguments.replay {
        let scenario = arguments.scenario(seed);
        let result = many::run(&scenario, false)?;
        trace::scenario(&scenario, &result.violations);
        trace::changes(&play(&scenario)?)?;
        ensure!(result.violations.is_empty(), "seed {seed} fails");
        return Ok(());
    }
    if arguments.crash_points {
        return many::crash_points(arguments.store, arguments.each_pair, arguments.jobs());
    }
    if arguments.capacity {
        return ways::capacity(&arguments);
    }
    let mut seeds = arguments.known()?;
    seeds.extend(arguments.from..arguments.from + arguments.seeds);
    many::scenarios(&seeds, &arguments)
}
