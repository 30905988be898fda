//! Plays many scenarios in parallel. Each scenario runs on one thread. Results are taken in the order of the seeds, so
//! they do not depend on the number of threads.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use monitor_simulation::faults::{Fault, Stage, StoreKind, Struck};
use monitor_simulation::invariants::{
    FORESIGHT_PROMISES, JOB_PROMISES, PROMISES, REMOVAL_PROMISES, Tally, Violation, examine,
};
use monitor_simulation::operations::Scenario;
use monitor_simulation::record::fingerprint;
use monitor_simulation::simulation::play;

use crate::{Arguments, trace};

/// One in this many scenarios is played twice.
const PLAYED_TWICE: u64 = 16;
/// A run whose output is a file logs its progress after this many scenarios.
const LOGGED_EACH: u64 = 1_000;
/// A run of this many scenarios fails unless every fault struck every stage that it can affect.
const ENOUGH: u64 = 200;
/// A run of this many scenarios fails unless every promise was tested. Some promises need a rare combination of events.
const ENOUGH_FOR_PROMISES: u64 = 400;

/// The same for the promises about removals, in scenarios of twenty days.
const ENOUGH_FOR_REMOVALS: u64 = 20;

/// The same for the promises about workflow jobs, of which every scenario has many.
const ENOUGH_FOR_JOBS: u64 = 100;

/// The result of one scenario.
pub(crate) struct Result {
    /// The violated invariants.
    pub(crate) violations: Vec<Violation>,
    tally: Tally,
    struck: Struck,
}

/// The sum of the results of several scenarios.
pub(crate) struct Sum {
    /// The store they used.
    store: StoreKind,
    /// The number of scenarios.
    played: u64,
    /// The counts of notification items, outages and promises.
    tally: Tally,
    /// How often each fault struck each stage.
    struck: Struck,
    /// The number of scenarios in which each fault struck.
    scenarios_with: BTreeMap<Fault, u64>,
    /// The promises of scenarios with foresight, if these are.
    foresight: &'static [&'static str],
    /// The promises of scenarios with removals, if these are.
    removals: &'static [&'static str],
    /// The promises of scenarios with workflow jobs, if these are.
    jobs: &'static [&'static str],
}

/// Plays a scenario and checks every invariant. With `twice`, plays it again: the result must be the same to the byte.
pub(crate) fn run(scenario: &Scenario, twice: bool) -> anyhow::Result<Result> {
    let once = || -> anyhow::Result<(Result, u64)> {
        let played = play(scenario)?;
        let (mut violations, tally) = examine(scenario, &played)?;
        for (fault, stage) in played.struck.keys().filter(|(fault, stage)| !fault.can_affect(*stage)) {
            let details = format!("{fault} struck {stage:?}");
            violations.push(Violation { invariant: "no fault strikes a stage that it cannot affect", details });
        }
        let fingerprint = if twice { fingerprint(&played)? } else { 0 };
        Ok((Result { violations, tally, struck: played.struck }, fingerprint))
    };
    let played = catch_unwind(AssertUnwindSafe(|| -> anyhow::Result<Result> {
        let (mut result, print) = once()?;
        if twice && once()?.1 != print {
            let details = format!("seed {}", scenario.seed);
            let invariant = "a scenario played twice gives the same bytes";
            result.violations.push(Violation { invariant, details });
        }
        Ok(result)
    }));
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        let violation = Violation { invariant: "nothing panics", details: text.unwrap_or_default().to_owned() };
        Ok(Result { violations: vec![violation], tally: Tally::default(), struck: Struck::default() })
    })
}

/// Processes the items on several threads and passes the results to `take` in order. Stops when `take` or `goes_on`
/// returns `false`.
pub(crate) fn in_order<I: Sync, R: Send>(
    items: &[I],
    jobs: usize,
    goes_on: impl Fn() -> bool + Sync,
    each: impl Fn(&I) -> R + Sync,
    mut take: impl FnMut(&I, R) -> bool,
) {
    let (next, stops) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let sender = sender.clone();
            scope.spawn(|| {
                let sender = sender;
                while !stops.load(Ordering::Relaxed) && goes_on() {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(number) else { break };
                    if sender.send((number, each(item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut taken = 0;
        for (number, result) in receiver {
            early.insert(number, result);
            while let Some(result) = early.remove(&taken) {
                let stop = stops.load(Ordering::Relaxed) || !take(&items[taken], result);
                stops.fetch_or(stop, Ordering::Relaxed);
                taken += 1;
            }
        }
    });
}

/// Plays the scenario of each seed, up to the first that fails.
pub(crate) fn scenarios(seeds: &[u64], arguments: &Arguments) -> anyhow::Result<()> {
    let is_seen = std::io::stderr().is_terminal();
    let bar = if is_seen { ProgressBar::new(seeds.len() as u64) } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} scenarios  {per_sec}  {eta}")?);
    let clock = ProgressBar::hidden();
    let store = arguments.store;
    let mut sum = Sum {
        store,
        played: 0,
        tally: Tally::default(),
        struck: Struck::default(),
        scenarios_with: BTreeMap::new(),
        foresight: if arguments.foresight { &FORESIGHT_PROMISES } else { &[] },
        removals: if arguments.foresight && arguments.hours >= 480 { &REMOVAL_PROMISES } else { &[] },
        jobs: if arguments.workflow_jobs { &JOB_PROMISES } else { &[] },
    };
    let scenario_of = |seed: &u64| arguments.scenario(*seed);
    let mut failed = None;
    let until = arguments.from + arguments.seeds - 1;
    println!(
        "seeds {} to {until} on the {store:?} store, after {} known ones",
        arguments.from,
        seeds.len() as u64 - arguments.seeds
    );
    in_order(
        seeds,
        arguments.jobs(),
        || arguments.for_secs.is_none_or(|secs| clock.elapsed() < Duration::from_secs(secs)),
        |seed| run(&scenario_of(seed), seed.is_multiple_of(PLAYED_TWICE)),
        |seed, result| {
            bar.inc(1);
            match result {
                Ok(result) if result.violations.is_empty() => {
                    sum.add(&result);
                    if !is_seen && sum.played.is_multiple_of(LOGGED_EACH) {
                        eprintln!("{} of {} in {:.0} s", sum.played, seeds.len(), clock.elapsed().as_secs_f64());
                    }
                    true
                }
                result => {
                    failed = Some((*seed, result));
                    false
                }
            }
        },
    );
    bar.finish_and_clear();
    if let Some((seed, result)) = failed {
        let (played, invariant) = (sum.played, result?.violations[0].invariant);
        println!("seed {seed} fails: {invariant}");
        let short = shorten(&scenario_of(&seed), invariant)?;
        trace::scenario(&short, &run(&short, false)?.violations);
        bail!("seed {seed} fails after {played} that pass; --replay {seed} prints the whole scenario");
    }
    let secs = clock.elapsed().as_secs_f64();
    println!(
        "{} scenarios of {} h each on the {store:?} store in {secs:.0} s: {:.1} a second, no violation",
        sum.played,
        arguments.hours,
        sum.played as f64 / secs
    );
    sum.print();
    sum.is_proof()
}

impl Sum {
    /// The stages of these scenarios.
    pub(crate) fn stages(&self) -> impl Iterator<Item = Stage> {
        let has_jobs = !self.jobs.is_empty();
        Stage::ALL.into_iter().filter(move |stage| *stage != Stage::Receive || has_jobs)
    }

    fn add(&mut self, result: &Result) {
        self.played += 1;
        self.tally.add(&result.tally);
        let kinds: BTreeSet<Fault> = result.struck.keys().map(|(fault, _)| *fault).collect();
        for fault in kinds {
            *self.scenarios_with.entry(fault).or_default() += 1;
        }
        for (pair, times) in &result.struck {
            *self.struck.entry(*pair).or_default() += times;
        }
    }

    /// Prints the counts.
    fn print(&self) {
        println!("outages {} · repeated messages {}", self.tally.outages, self.tally.repeats);
        let list = |counts: &BTreeMap<&'static str, u64>| {
            let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
            counts.join(" · ")
        };
        println!("notification items: {}", list(&self.tally.items));
        println!("promises tested and kept: {}", list(&self.tally.promises));
        print!("\n{:<17} {:>9}", "fault", "scenarios");
        self.stages().for_each(|stage| print!(" {:>10}", format!("{stage:?}").to_lowercase()));
        println!();
        for fault in Fault::ALL.iter().copied().filter(|fault| fault.is_of(self.store)) {
            let scenarios = self.scenarios_with.get(&fault).copied().unwrap_or_default();
            print!("{fault:<17} {:>7.1} %", scenarios as f64 * 100.0 / self.played.max(1) as f64);
            for stage in self.stages() {
                if fault.can_affect(stage) {
                    print!(" {:>10}", self.struck.get(&(fault, stage)).copied().unwrap_or_default());
                } else {
                    print!(" {:>10}", "–");
                }
            }
            println!("   {}", fault.elsewhere());
        }
    }

    /// Fails if a fault or a promise occurred too rarely: what never occurred proves nothing.
    fn is_proof(&self) -> anyhow::Result<()> {
        let mut missing = Vec::new();
        let is_enough = self.played >= ENOUGH;
        for fault in Fault::ALL.iter().copied().filter(|fault| is_enough && fault.is_of(self.store)) {
            if self.scenarios_with.get(&fault).is_none_or(|scenarios| scenarios * 50 < self.played) {
                missing.push(format!("{fault} struck in less than 2 % of the scenarios"));
            }
            let pairs = self.stages().filter(|stage| fault.can_affect(*stage));
            for stage in pairs.filter(|stage| !self.struck.contains_key(&(fault, *stage))) {
                missing.push(format!("{fault} never struck {stage:?}"));
            }
        }
        let always = PROMISES.iter().chain(self.foresight).filter(|_| self.played >= ENOUGH_FOR_PROMISES);
        let of_jobs = self.jobs.iter().filter(|_| self.played >= ENOUGH_FOR_JOBS);
        let promises = always.chain(of_jobs).chain(self.removals.iter().filter(|_| self.played >= ENOUGH_FOR_REMOVALS));
        for promise in promises.filter(|promise| !self.tally.promises.contains_key(*promise)) {
            missing.push(format!("no scenario tested the promise: {promise}"));
        }
        ensure!(missing.is_empty(), "the run proves nothing: {}", missing.join("; "));
        Ok(())
    }
}

/// Ends the running stage at every await of the short scenario, and at every pair of awaits that are no further apart
/// than the awaits of a check and its notification.
pub(crate) fn crash_points(store: StoreKind, each_pair: u32, jobs: usize) -> anyhow::Result<()> {
    const APART: u64 = 60;
    let short = Scenario::short(store);
    let awaits = play(&short)?.awaits;
    let singles = (1..=awaits).map(|first| vec![first]);
    let pairs = (1..=awaits).flat_map(|first| (first + 1..=first + APART).map(move |second| vec![first, second]));
    let pairs = pairs.step_by(usize::try_from(each_pair)?);
    let crashes: Vec<Vec<u64>> = singles.chain(pairs).collect();
    let scenario_of = |crashes: &Vec<u64>| Scenario { crashes: crashes.clone(), ..short.clone() };
    let (mut repeats, mut failed) = (0, None);
    in_order(
        &crashes,
        jobs,
        || true,
        |crashes| run(&scenario_of(crashes), false),
        |crashes, result| match result {
            Ok(result) if result.violations.is_empty() => {
                repeats += result.tally.repeats;
                true
            }
            result => {
                failed = Some((scenario_of(crashes), result));
                false
            }
        },
    );
    if let Some((scenario, result)) = failed {
        trace::scenario(&scenario, &result?.violations);
        bail!("fails when stages end at the awaits {:?}", scenario.crashes);
    }
    let pairs = crashes.len() as u64 - awaits;
    println!(
        "{store:?} store: a stage ended at each of {awaits} awaits, and at {pairs} pairs: no violation; {repeats} repeated messages"
    );
    Ok(())
}

/// Removes from a scenario what it does not need to violate the same invariant.
fn shorten(scenario: &Scenario, invariant: &str) -> anyhow::Result<Scenario> {
    let mut short = scenario.clone();
    let fails = |scenario: &Scenario| -> anyhow::Result<bool> {
        let twice = invariant.contains("twice");
        Ok(run(scenario, twice)?.violations.iter().any(|violation| violation.invariant == invariant))
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
