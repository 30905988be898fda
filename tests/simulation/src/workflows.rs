//! The workflow jobs of a scenario, drawn from its seed.

use monitor_fakes::Chance;

use crate::calendar::{HOUR_MS, MINUTE_MS};
use crate::jobs::{Asked, HOSTED, LARGER, LONGEST_WAIT_MS, ORGANIZATION, REPOSITORIES, Webhook};
use crate::operations::{CALM_MS, Operation, Scenario, What, minutes};
use crate::targets::{TARGETS, place_of};

impl Scenario {
    /// The same scenario with workflow jobs, and a webhook that reports them.
    #[must_use]
    pub fn with_workflow_jobs(mut self) -> Self {
        let chance = &mut Chance::new(self.seed ^ 0x10b5);
        let busy_ms = (self.hours * HOUR_MS - CALM_MS).max(HOUR_MS);
        let moment = |chance: &mut Chance| i64::try_from(chance.below(busy_ms.unsigned_abs())).unwrap_or(0);
        self.webhook = Some(Webhook {
            is_queued: chance.below(2) > 0,
            is_open: chance.below(3) > 0,
            is_unreliable: chance.below(3) > 0,
        });
        let mut add = |at_ms: i64, what| self.operations.push(Operation { at_ms, what });
        for _ in 0..12 + chance.below(20) {
            let at_ms = moment(chance);
            add(at_ms, What::Job(draw_job(chance)));
        }
        // Both runners with the rare label are offline, and now and then those of the organization too.
        for _ in 0..2 + chance.below(3) {
            let place = usize::try_from(chance.below(TARGETS.len() as u64)).unwrap_or(0);
            let (at_ms, for_ms) = (moment(chance), minutes(30, 150, chance));
            let others = (chance.below(2) > 0).then_some(ORGANIZATION).filter(|other| *other != place);
            for target in std::iter::once(place).chain(others) {
                for runner in ["runner-1", "runner-2"] {
                    let at_ms = at_ms + minutes(0, 5, chance);
                    let for_ms = for_ms.min(busy_ms - at_ms).max(MINUTE_MS);
                    add(at_ms, What::Outage { target, runner: runner.to_owned(), for_ms });
                }
            }
            let asked = Asked { labels: 1 + usize::try_from(chance.below(4)).unwrap_or(0), ..draw_job(chance) };
            add(at_ms + minutes(1, 20, chance), What::Job(Asked { repository: repository_of(place), ..asked }));
        }
        // Long jobs take the runners with the rare label.
        for _ in 0..1 + chance.below(3) {
            let (at_ms, repository) = (moment(chance), usize::try_from(chance.below(4)).unwrap_or(0));
            let runs_ms = minutes(60, 120, chance);
            let asked =
                Asked { repository, labels: 1, count: 5, before_ms: 0, held_ms: 0, runs_ms, ..draw_job(chance) };
            add(at_ms, What::Job(asked));
        }
        let but_queued = chance.below(3) > 0;
        match chance.below(8) {
            0 => add(0, What::DeliveriesLost { but_queued, for_ms: busy_ms }),
            1 | 2 => {
                let (at_ms, for_ms) = (moment(chance), minutes(20, 400, chance));
                add(at_ms, What::DeliveriesLost { but_queued, for_ms });
            }
            _ => {}
        }
        if chance.below(4) == 0 {
            let (at_ms, for_ms) = (moment(chance), minutes(30, 240, chance));
            add(at_ms, What::JobsForbidden { for_ms: for_ms.min(busy_ms - at_ms) });
        }
        self.operations.sort_by_key(|operation| operation.at_ms);
        self
    }
}

/// The repository whose jobs a target's own runners take.
fn repository_of(place: usize) -> usize {
    // The organization's take those of a repository that is not monitored.
    REPOSITORIES.iter().position(|name| place_of(name) == Some(place)).unwrap_or(2)
}

fn draw_job(chance: &mut Chance) -> Asked {
    let labels = match chance.below(100) {
        0..30 => 0,
        30..50 => 1,
        50..58 => 2,
        58..64 => 3,
        64..74 => 4,
        74..84 => 5,
        84..92 => 6,
        92..96 => LARGER,
        _ => HOSTED,
    };
    let fits = labels < 5;
    let count = if chance.below(40) == 0 { 21 + chance.below(8) } else { 1 + chance.below(3) };
    // Nobody takes such a job, so it may be old before its first delivery arrives.
    let before_ms = if !fits && chance.below(3) == 0 { minutes(60, 1_300, chance) } else { 0 };
    let held_ms = if before_ms == 0 && chance.below(5) == 0 { minutes(15, 240, chance) } else { 0 };
    let runs_ms = if chance.below(6) == 0 { minutes(90, 120, chance) } else { minutes(1, 40, chance) };
    let patience_ms = if chance.below(4) == 0 { minutes(5, 240, chance) } else { LONGEST_WAIT_MS };
    Asked {
        repository: usize::try_from(chance.below(REPOSITORIES.len() as u64)).unwrap_or(0),
        labels,
        count,
        before_ms,
        held_ms,
        runs_ms,
        patience_ms: before_ms + patience_ms,
        is_deleted: chance.below(6) == 0,
    }
}
