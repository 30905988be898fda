//! Prints scenarios and their results.

use monitor_domain::subject::Subject;
use monitor_domain::target::Target;
use monitor_simulation::faults::Fault;
use monitor_simulation::invariants::{Violation, moment};
use monitor_simulation::machine::scenario_ms;
use monitor_simulation::operations::{MINUTE_MS, Scenario, TARGETS};
use monitor_simulation::record::{Record, changes_of};
use monitor_simulation::simulation::Played;

use crate::many::Sum;

/// Prints the events of a scenario, the windows of its faults, and the violated invariants.
pub(crate) fn scenario(scenario: &Scenario, violations: &[Violation]) {
    println!("\nScenario of seed {}, {} h, on the {:?} store:", scenario.seed, scenario.hours, scenario.store);
    if let Some(hours) = scenario.report {
        println!("  a weekly report is due {hours} h after the start");
    }
    if scenario.has_pool_over_credential {
        println!("  the policy has a pool over the credential");
    }
    scenario.operations.iter().for_each(|operation| println!("  {operation}"));
    for window in &scenario.windows {
        let [from, until] = [window.from_ms, window.until_ms].map(|ms| ms / MINUTE_MS);
        println!("  {} may strike from minute {from} to {until}", window.fault);
    }
    if !scenario.crashes.is_empty() {
        println!("  the running stage is ended at the awaits {:?}", scenario.crashes);
    }
    for violation in violations {
        println!("\nVIOLATED: {}\n  {}", violation.invariant, violation.details);
    }
}

/// Prints all changes of the targets, each attempt to notify, and every message that Slack accepted.
pub(crate) fn changes(played: &Played) -> anyhow::Result<()> {
    println!("\nmonitor:");
    for change in changes_of(played, Subject::Monitor)? {
        println!("  {:>3} {}: {:?}", change.revision.0, moment(scenario_ms(change.decided_at)), change.events);
    }
    for name in TARGETS {
        let target: Target = name.parse()?;
        println!("\n{name}:");
        for change in changes_of(played, Subject::from(&target))? {
            let [checked, decided] = [change.observed_at, change.decided_at].map(scenario_ms).map(moment);
            println!("  {:>3} checked {checked}, decided {decided}: {:?}", change.revision.0, change.events);
        }
    }
    jobs(played);
    println!("\nattempts:");
    for name in TARGETS {
        let target: Target = name.parse()?;
        let record = Record::read(played, Subject::from(&target), Some(&target))?;
        for claim in &record.claims {
            let (at, through) = (moment(scenario_ms(claim.claimed_at)), claim.through.0);
            let ending = record.endings.iter().find(|sent| sent.number == claim.number);
            let ending = ending.map(|sent| (moment(scenario_ms(sent.at)), &sent.ending, &sent.parts));
            println!(
                "  {at} {name} {}.{} through {through}: {ending:?}",
                claim.number.notification, claim.number.attempt
            );
        }
    }
    println!("\nmessages that Slack accepted:");
    for taken in &played.world.taken {
        println!("  {} {}: {:?}", moment(taken.at_ms), taken.notification.subject, taken.notification.items);
    }
    Ok(())
}

/// Prints the jobs, what was asked about each, and what was stored of it.
fn jobs(played: &Played) {
    let jobs = &played.world.jobs;
    if jobs.webhook.is_none() {
        return;
    }
    println!("\njobs:");
    for (number, job) in jobs.all.iter().enumerate() {
        let [released, taken, ended] = [job.released_ms, job.taken_ms, job.ended_ms].map(|at_ms| at_ms.map(moment));
        println!("  {} for {:?}, created {}", job.id, job.labels(), moment(job.created_ms));
        println!("    released {released:?}, taken {taken:?}, ended {ended:?}");
        for (at_ms, delivery) in jobs.accepted.iter().map(|(at_ms, number)| (*at_ms, &jobs.deliveries[*number])) {
            if delivery.job == number {
                println!("    {} accepted {:?}", moment(at_ms), delivery.action);
            }
        }
        for (at_ms, item) in jobs.stored.iter().filter(|(_, item)| item.job.id.0 == job.id) {
            let queued = moment(scenario_ms(item.job.queued_at));
            println!("    {} stored at {} {:?}, queued {queued}", moment(*at_ms), item.target, item.job.state);
        }
        for asked in jobs.asked.iter().filter(|asked| asked.job == number) {
            println!("    {} asked: {:?}", moment(asked.at_ms), asked.answered);
        }
    }
}

/// Prints the sum of several scenarios.
pub(crate) fn sum(sum: &Sum) {
    println!("outages {} · repeated messages {}", sum.tally.outages, sum.tally.repeats);
    let list = |counts: &std::collections::BTreeMap<&'static str, u64>| {
        let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        counts.join(" · ")
    };
    println!("notification items: {}", list(&sum.tally.items));
    println!("promises tested and kept: {}", list(&sum.tally.promises));
    print!("\n{:<17} {:>9}", "fault", "scenarios");
    sum.stages().for_each(|stage| print!(" {:>10}", format!("{stage:?}").to_lowercase()));
    println!();
    for fault in Fault::ALL.iter().copied().filter(|fault| fault.is_of(sum.store)) {
        let scenarios = sum.scenarios_with.get(&fault).copied().unwrap_or_default();
        print!("{fault:<17} {:>7.1} %", scenarios as f64 * 100.0 / sum.played.max(1) as f64);
        for stage in sum.stages() {
            if fault.can_affect(stage) {
                print!(" {:>10}", sum.struck.get(&(fault, stage)).copied().unwrap_or_default());
            } else {
                print!(" {:>10}", "–");
            }
        }
        println!("   {}", fault.elsewhere());
    }
}
