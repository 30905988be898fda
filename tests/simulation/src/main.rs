//! Plays many stories and stops at the first that ends badly.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use anyhow::ensure;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use monitor_domain::subject::Subject;
use monitor_domain::target::Target;
use monitor_simulation::faults::Fault;
use monitor_simulation::invariants::{Tally, Violation, examine, moment};
use monitor_simulation::machine::story_ms;
use monitor_simulation::operations::{Story, TARGETS};
use monitor_simulation::record::Record;
use monitor_simulation::simulation::{Played, play};

/// The pipeline in virtual time, with every fault of its surroundings, against the true history.
#[derive(Parser)]
struct Arguments {
    /// How many stories
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How long each story is
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(i64).range(6..=720))]
    hours: i64,
    /// Play one story and tell it
    #[arg(long)]
    replay: Option<u64>,
    /// Play the seeds in this file, one a line, before the others
    #[arg(long)]
    known: Option<std::path::PathBuf>,
    /// End a stage at every await of a short story, one at a time, then at pairs of them
    #[arg(long)]
    crash_points: bool,
    /// Stop starting new stories after so many seconds
    #[arg(long)]
    for_secs: Option<u64>,
}

/// One story's result.
struct Result {
    violations: Vec<Violation>,
    tally: Tally,
    struck: BTreeMap<Fault, u64>,
    trace: u64,
}

fn run(story: &Story) -> anyhow::Result<Result> {
    let played = play(story)?;
    let (violations, tally) = examine(story, &played)?;
    let machine = played.installation.shared.lock();
    Ok(Result { violations, tally, struck: machine.faults.struck.clone(), trace: machine.trace })
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(seed) = arguments.replay {
        let story = Story::draw(seed, arguments.hours);
        let result = run(&story)?;
        tell(&story, &result);
        tell_changes(&play(&story)?)?;
        ensure!(result.violations.is_empty(), "seed {seed} fails");
        return Ok(());
    }
    if arguments.crash_points {
        return crash_points();
    }
    let known = match &arguments.known {
        Some(file) => std::fs::read_to_string(file)?,
        None => String::new(),
    };
    let known = known.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.trim().parse::<u64>().ok());
    let fresh = arguments.from..arguments.from + arguments.seeds;
    many(known.chain(fresh), &arguments)
}

fn many(seeds: impl Iterator<Item = u64>, arguments: &Arguments) -> anyhow::Result<()> {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(arguments.seeds) } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} stories  {per_sec}  {eta}")?);
    let began = ProgressBar::hidden();
    let mut played = 0_u64;
    let mut all = Tally::default();
    let mut struck: BTreeMap<Fault, (u64, u64)> = BTreeMap::new();
    for seed in seeds {
        if arguments.for_secs.is_some_and(|secs| began.elapsed().as_secs() >= secs) {
            break;
        }
        let story = Story::draw(seed, arguments.hours);
        let result = run(&story)?;
        if !result.violations.is_empty() {
            bar.finish_and_clear();
            println!("seed {seed} fails: {}", result.violations[0].invariant);
            let short = shorten(&story, result.violations[0].invariant)?;
            tell(&short, &run(&short)?);
            anyhow::bail!("seed {seed} fails after {played} that do not; --replay {seed} tells the whole story");
        }
        // The same seed, the same story: to the byte.
        if seed.is_multiple_of(16) {
            ensure!(run(&story)?.trace == result.trace, "seed {seed} is not the same when played twice");
        }
        played += 1;
        bar.inc(1);
        add(&mut all, &result.tally);
        for (fault, times) in result.struck {
            let entry = struck.entry(fault).or_default();
            entry.0 += 1;
            entry.1 += times;
        }
    }
    bar.finish_and_clear();
    let secs = began.elapsed().as_secs_f64();
    println!(
        "{played} stories of {} h each in {secs:.0} s: {:.1} a second, no violation",
        arguments.hours,
        played as f64 / secs
    );
    println!(
        "outages {} · held to the strict rule {} · told again in the two windows {}",
        all.outages, all.strict, all.repeats
    );
    let news: Vec<String> = all.news.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    println!("told: {}", news.join(" · "));
    for fault in Fault::ALL {
        let (stories, times) = struck.get(&fault).copied().unwrap_or_default();
        println!(
            "  {:<18} struck {times:>8} times, in {:>5.1} % of the stories",
            format!("{fault:?}"),
            stories as f64 * 100.0 / played as f64
        );
        ensure!(
            played < 200 || stories * 50 >= played,
            "{fault:?} struck in less than 2 % of the stories: that proves nothing"
        );
    }
    Ok(())
}

/// Ends the stage that waits there at every await of the short story, and at every pair of two awaits that are no
/// further apart than a check and the telling of it take.
fn crash_points() -> anyhow::Result<()> {
    const APART: u64 = 60;
    let short = Story::short();
    let awaits = play(&short)?.awaits;
    let (mut single, mut pairs, mut repeats) = (0_u64, 0_u64, 0);
    let mut at = |crashes: Vec<u64>| -> anyhow::Result<()> {
        let story = Story { crashes, ..short.clone() };
        let result = run(&story)?;
        if !result.violations.is_empty() {
            tell(&story, &result);
            anyhow::bail!("fails with the stages ended at the awaits {:?}", story.crashes);
        }
        repeats += result.tally.repeats;
        Ok(())
    };
    for first in 1..=awaits {
        at(vec![first])?;
        single += 1;
    }
    for first in 1..=awaits {
        for second in (first + 1)..=(first + APART) {
            at(vec![first, second])?;
            pairs += 1;
        }
    }
    println!(
        "a stage ended at each of {single} awaits, and at {pairs} pairs: no violation; told again in the window {repeats}"
    );
    Ok(())
}

fn add(all: &mut Tally, one: &Tally) {
    all.outages += one.outages;
    all.repeats += one.repeats;
    all.strict += one.strict;
    for (kind, count) in &one.news {
        *all.news.entry(kind).or_default() += count;
    }
}

/// Takes out of a story whatever is not needed for it to fail in the same way.
fn shorten(story: &Story, invariant: &str) -> anyhow::Result<Story> {
    let mut short = story.clone();
    let fails = |story: &Story| -> anyhow::Result<bool> {
        Ok(run(story)?.violations.iter().any(|violation| violation.invariant == invariant))
    };
    for _ in 0..2 {
        let mut index = 0;
        while index < short.operations.len() {
            let mut without = short.clone();
            without.operations.remove(index);
            if fails(&without)? { short = without } else { index += 1 }
        }
        index = 0;
        while index < short.windows.len() {
            let mut without = short.clone();
            without.windows.remove(index);
            if fails(&without)? { short = without } else { index += 1 }
        }
    }
    Ok(short)
}

/// Everything that was committed about the targets.
fn tell_changes(played: &Played) -> anyhow::Result<()> {
    for name in TARGETS {
        let target: Target = name.parse()?;
        let record = Record::read(&played.installation, Subject::from(&target), Some(&target))?;
        println!("\n{name}:");
        for change in &record.changes {
            let [looked, decided] = [change.observed_at, change.decided_at].map(story_ms).map(moment);
            println!("  {:>3} looked {looked}, decided {decided}: {:?}", change.revision.0, change.steps);
        }
    }
    Ok(())
}

fn tell(story: &Story, result: &Result) {
    println!("\nThe story of seed {}, {} h:", story.seed, story.hours);
    story.operations.iter().for_each(|operation| println!("  {operation}"));
    for window in &story.windows {
        let minutes = |ms: i64| ms / 60_000;
        println!(
            "  {:?} may strike from minute {} to {}",
            window.fault,
            minutes(window.from_ms),
            minutes(window.until_ms)
        );
    }
    for violation in &result.violations {
        println!("\nVIOLATED: {}\n  {}", violation.invariant, violation.story);
    }
}
