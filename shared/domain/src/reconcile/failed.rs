//! A look that failed: no verdict about any runner, only about whether the target can be seen.

use crate::change::Step;
use crate::decision::Decision;
use crate::fleet::{Counts, Failing, Fleet, TargetRecord};
use crate::observation::Failure;
use crate::policy::TargetPolicy;
use crate::reconcile::change_of;
use crate::runner::{Health, Runner};
use crate::time::Timestamp;

pub(super) fn look_failed(
    fleet: &Fleet,
    failure: &Failure,
    at: Timestamp,
    policy: &TargetPolicy<'_>,
    is_explained: bool,
    now: Timestamp,
) -> Decision {
    let mut after = fleet.record.clone();
    after.unfinished = false;
    let mut steps = Vec::new();
    let is_newly_blind = note_failure(&mut after, failure, at, policy, is_explained, &mut steps);
    let suspected = fleet.runners.iter().filter(|runner| is_newly_blind && is_suspected(runner));
    let runners = suspected.map(unsuspected).collect();
    Decision {
        before: fleet.record.clone(),
        after,
        runners,
        steps,
        counts: Counts::of(&fleet.runners),
        observed_at: at,
        decided_at: now,
        recheck: None,
        fresh_at: None,
    }
}

/// Notes that a check failed; gives whether it has for long enough now that the target counts as unreachable.
pub(super) fn note_failure(
    after: &mut TargetRecord,
    failure: &Failure,
    at: Timestamp,
    policy: &TargetPolicy<'_>,
    is_explained: bool,
    steps: &mut Vec<Step>,
) -> bool {
    let failing = after.failing.get_or_insert_with(|| {
        steps.push(Step::LooksFail { failure: failure.clone() });
        Failing { since: at, failure: failure.clone(), blind: false, told: false }
    });
    let is_newly_blind = !failing.blind && at.has_waited(failing.since, policy.thresholds().blind);
    failing.blind |= is_newly_blind;
    // A fault that the credential's notice explains is not told again for each of its targets.
    if failing.blind && !failing.told && !(failure.fault.is_shared() && is_explained) {
        failing.told = true;
        failing.failure = failure.clone();
        steps.push(Step::WentBlind { since: failing.since, failure: failure.clone(), targets: 1 });
    }
    is_newly_blind
}

fn is_suspected(runner: &Runner) -> bool {
    matches!(runner.health, Health::Suspect(_)) || runner.absence.is_some()
}

/// A suspicion ends when the target goes blind: readings on both sides of the gap are not in a row.
fn unsuspected(runner: &Runner) -> crate::decision::RunnerChange {
    let mut change = change_of(runner.clone());
    change.runner.absence = None;
    if matches!(runner.health, Health::Suspect(_)) {
        change.runner.health = Health::Healthy;
        change.steps.push(Step::Cleared { runner: runner.into() });
    }
    change
}
