//! Prints scenarios and their results.

use monitor_domain::subject::Subject;
use monitor_domain::target::Target;
use monitor_simulation::faults::{Fault, Stage};
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

/// Prints the sum of several scenarios.
pub(crate) fn sum(sum: &Sum) {
    println!("outages {} · repeated messages {}", sum.tally.outages, sum.tally.repeats);
    let list = |counts: &std::collections::BTreeMap<&'static str, u64>| {
        let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        counts.join(" · ")
    };
    println!("notification items: {}", list(&sum.tally.items));
    println!("promises tested and kept: {}", list(&sum.tally.promises));
    println!(
        "\n{:<17} {:>9} {:>10} {:>10} {:>10} {:>10}",
        "fault", "scenarios", "schedule", "check", "notify", "respond"
    );
    for fault in Fault::ALL.iter().copied().filter(|fault| fault.is_of(sum.store)) {
        let scenarios = sum.scenarios_with.get(&fault).copied().unwrap_or_default();
        print!("{fault:<17} {:>7.1} %", scenarios as f64 * 100.0 / sum.played.max(1) as f64);
        for stage in Stage::ALL {
            if fault.can_affect(stage) {
                print!(" {:>10}", sum.struck.get(&(fault, stage)).copied().unwrap_or_default());
            } else {
                print!(" {:>10}", "–");
            }
        }
        println!("   {}", fault.elsewhere());
    }
}
