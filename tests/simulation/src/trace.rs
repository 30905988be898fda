//! Prints scenarios and their results.

use monitor_domain::subject::Subject;
use monitor_domain::target::Target;
use monitor_simulation::calendar::MINUTE_MS;
use monitor_simulation::calendar::scenario_ms;
use monitor_simulation::invariants::{Violation, moment};
use monitor_simulation::operations::Scenario;
use monitor_simulation::record::{Record, changes_of};
use monitor_simulation::simulation::Played;
use monitor_simulation::targets::TARGETS;

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
