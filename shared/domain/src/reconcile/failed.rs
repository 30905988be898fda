//! Failed checks. They never open or close an outage; they only decide whether the target is unreachable.

use crate::change::Event;
use crate::decision::Decision;
use crate::fleet::{Counts, Failing, Fleet, TargetRecord};
use crate::observation::{Failure, Fault};
use crate::policy::TargetPolicy;
use crate::reconcile::change_of;
use crate::runner::{Health, Runner};
use crate::target::TargetKind;
use crate::time::Timestamp;

pub(super) fn check_failed(
    fleet: &Fleet,
    failure: &Failure,
    at: Timestamp,
    policy: &TargetPolicy<'_>,
    is_explained: bool,
    now: Timestamp,
) -> Decision {
    let mut after = fleet.record.clone();
    after.unfinished = false;
    let mut events = Vec::new();
    let is_newly_unreachable = note_failure(&mut after, failure, at, policy, is_explained, &mut events);
    let suspected =
        fleet.runners.iter().chain(&fleet.pools).filter(|runner| is_newly_unreachable && is_suspected(runner));
    let runners = suspected.map(unsuspected).collect();
    Decision {
        before: fleet.record.clone(),
        after,
        runners,
        events,
        counts: Counts::of(&fleet.runners),
        observed_at: at,
        decided_at: now,
        recheck: None,
        last_seen_at: None,
    }
}

/// Notes a failed check; returns whether the target has become unreachable by it.
pub(super) fn note_failure(
    after: &mut TargetRecord,
    failure: &Failure,
    at: Timestamp,
    policy: &TargetPolicy<'_>,
    is_explained: bool,
    events: &mut Vec<Event>,
) -> bool {
    let kind = after.target.kind();
    let failing = after.failing.get_or_insert_with(|| {
        events.push(Event::ChecksFailing { failure: failure.clone() });
        Failing { since: at, failure: failure.clone(), unreachable: false, notified: false }
    });
    let is_newly_unreachable =
        !failing.unreachable && at.has_waited(failing.since, policy.thresholds().unreachable_after);
    failing.unreachable |= is_newly_unreachable;
    // A fault that the credential's own notification explains is not repeated for each of its targets.
    let is_explained = failure.fault.is_shared() && is_explained || is_of_a_member(kind, failure);
    if failing.unreachable && !failing.notified && !is_explained {
        failing.notified = true;
        failing.failure = failure.clone();
        events.push(Event::BecameUnreachable { since: failing.since, failure: failure.clone(), targets: 1 });
    }
    is_newly_unreachable
}

/// Whether the pools of a credential cannot be evaluated because of one of its targets. That target has its own
/// notification.
fn is_of_a_member(kind: TargetKind, failure: &Failure) -> bool {
    kind == TargetKind::Pools && failure.fault == Fault::Incomplete
}

fn is_suspected(runner: &Runner) -> bool {
    matches!(runner.health, Health::Suspect(_)) || runner.absence.is_some()
}

/// Ends a suspicion when the target becomes unreachable: checks on both sides of the gap are not consecutive.
fn unsuspected(runner: &Runner) -> crate::decision::RunnerChange {
    let mut change = change_of(runner.clone());
    change.runner.absence = None;
    if matches!(runner.health, Health::Suspect(_)) {
        change.runner.health = Health::Healthy;
        change.events.push(Event::Cleared { runner: runner.into() });
    }
    change
}
