//! Drops a target that was removed from the list.

use crate::change::Event;
use crate::decision::{Decision, RunnerChange};
use crate::fleet::{Counts, Fleet, TargetRecord};
use crate::groups::RunnerGroups;
use crate::outage::Ending;
use crate::reconcile::change_of;
use crate::runner::{Health, Runner};
use crate::target::TargetKind;
use crate::time::Timestamp;

/// Closes a target's outages as no longer monitored, and forgets its runners.
///
/// The decision has an event even if there is nothing to close. A process that checked the target while it was on the
/// list, and commits only now, then finds its revision taken and starts nothing.
pub fn drop_target(fleet: &Fleet, now: Timestamp) -> Decision {
    let before = &fleet.record;
    let after = TargetRecord {
        watched_since: None,
        pages: Vec::new(),
        failing: None,
        unfinished: false,
        version_warnings: Vec::new(),
        groups: RunnerGroups::default(),
        ..before.clone()
    };
    // Runners that people were notified of come last, in the part with the drop itself. If the drop is interrupted
    // before, they are still stored, and the next attempt is notified too.
    let (mut quiet, mut known) = (Vec::new(), Vec::new());
    for runner in fleet.runners.iter().chain(&fleet.pools).chain(&fleet.queues) {
        let change = dropped(runner, now);
        let is_known = change.events.iter().any(Event::is_notifiable)
            || runner.flapping.as_ref().is_some_and(|flapping| !flapping.muted);
        if is_known { &mut known } else { &mut quiet }.push(change);
    }
    // The pools of a credential are no target: their outages end as those of pools that the policy no longer has.
    let notified = before.target.kind() != TargetKind::Pools
        && (before.failing.as_ref().is_some_and(|failing| failing.notified) || !known.is_empty());
    let runners = quiet.into_iter().chain(known).collect();
    Decision {
        before: before.clone(),
        after,
        runners,
        events: vec![Event::Dropped { notified }],
        counts: Counts::default(),
        observed_at: now,
        decided_at: now,
        recheck: None,
        last_seen_at: None,
    }
}

fn dropped(runner: &Runner, now: Timestamp) -> RunnerChange {
    let mut change = change_of(runner.clone());
    if let Some(outage) = runner.open_outage() {
        let outage = outage.clone().ended(now, Ending::NoLongerMonitored);
        change.events.push(Event::OutageClosed { outage: Box::new(outage) });
    }
    change.runner.health = Health::Retired;
    change.runner.absence = None;
    change.events.push(Event::Retired { runner: runner.into() });
    change
}
