//! GitHub as it gives jobs to runners and sends deliveries about them.

use monitor_fakes::Chance;

use crate::jobs::{Action, Asked, LONGEST_WAIT_MS, TrueJob};
use crate::machine::{Machine, Wake};
use crate::operations::minutes;
use crate::world::TrueRunner;

/// The time between two attempts of GitHub to give jobs to runners.
const DISPATCH_MS: i64 = 15_000;
/// The first one, which is never at the time of a tick.
pub const FIRST_DISPATCH_MS: i64 = 7_000;

impl Machine {
    /// The current second, which is as exact as GitHub's times are.
    fn second_ms(&self) -> i64 {
        self.now_ms / 1_000 * 1_000
    }

    /// A workflow asks for runners.
    pub(crate) fn ask_for_runners(&mut self, asked: &Asked) {
        let now_ms = self.second_ms();
        for _ in 0..asked.count {
            let number = self.world.jobs.all.len();
            let created_ms = now_ms - asked.before_ms;
            self.world.jobs.all.push(TrueJob {
                id: 1_000 + number as u64,
                asked: asked.clone(),
                created_ms,
                released_ms: (asked.held_ms == 0).then_some(created_ms),
                taken_ms: None,
                ended_ms: None,
                runner: None,
                known_from_ms: now_ms,
            });
            self.emit(number, if asked.held_ms == 0 { Action::Queued } else { Action::Waiting });
        }
    }

    /// GitHub ends the jobs whose time is over, and gives the others to idle runners, the oldest first.
    pub(crate) fn dispatch(&mut self) {
        self.at(self.now_ms + DISPATCH_MS, Wake::Dispatch);
        let now_ms = self.second_ms();
        for number in 0..self.world.jobs.all.len() {
            let job = &self.world.jobs.all[number];
            let is_over = match (job.released_ms, job.taken_ms) {
                _ if job.ended_ms.is_some() => continue,
                (_, Some(taken_ms)) => now_ms - taken_ms >= job.asked.runs_ms,
                (Some(since_ms), None) => {
                    let waited_ms = now_ms - since_ms;
                    waited_ms >= LONGEST_WAIT_MS || waited_ms >= job.asked.patience_ms
                }
                (None, None) => {
                    if now_ms - job.known_from_ms >= job.asked.held_ms {
                        self.world.jobs.all[number].released_ms = Some(now_ms);
                        self.emit(number, Action::Queued);
                    }
                    continue;
                }
            };
            if is_over {
                self.end_job(number, now_ms);
            } else if job.taken_ms.is_none() {
                self.give_to_a_runner(number, now_ms);
            }
        }
    }

    fn end_job(&mut self, number: usize, now_ms: i64) {
        let job = &mut self.world.jobs.all[number];
        job.ended_ms = Some(now_ms);
        let is_deleted = job.asked.is_deleted && job.taken_ms.is_none();
        if let Some((place, id, name)) = job.runner.clone() {
            self.world.alter(now_ms, place, &name, |runner| runner.busy &= runner.id != id);
        }
        if !is_deleted {
            self.emit(number, Action::Completed);
        }
    }

    fn give_to_a_runner(&mut self, number: usize, now_ms: i64) {
        let job = &self.world.jobs.all[number];
        let wanted = job.labels();
        let fits = |runner: &&TrueRunner| {
            let has = |label: &String| runner.labels.iter().any(|own| own.eq_ignore_ascii_case(label));
            runner.online && !runner.busy && wanted.iter().all(has)
        };
        let is_open = self.world.jobs.webhook.is_some_and(|webhook| webhook.is_open);
        let found = job.places(is_open).find_map(|place| {
            let runner = self.world.runners(place).iter().find(fits)?;
            Some((place, runner.id, runner.name.clone()))
        });
        let Some((place, id, name)) = found else { return };
        self.world.alter(now_ms, place, &name, |runner| runner.busy = true);
        let job = &mut self.world.jobs.all[number];
        (job.taken_ms, job.runner) = (Some(now_ms), Some((place, id, name)));
        self.emit(number, Action::InProgress);
    }

    /// Sends a delivery, with everything that can happen to it on the way.
    fn emit(&mut self, number: usize, action: Action) {
        let Some(webhook) = self.world.jobs.webhook else { return };
        let (now_ms, chance) = (self.now_ms, &mut self.job_chance);
        let delivery = self.world.jobs.body(number, action, chance);
        let below = |chance: &mut Chance, bound| i64::try_from(chance.below(bound)).unwrap_or(0);
        let soon_ms = 200 + below(chance, 2_800);
        let fate = if webhook.is_unreliable { chance.below(100) } else { 100 };
        let delays_ms = match fate {
            0..10 => vec![],
            10..25 => vec![minutes(1, 240, chance)],
            25..32 => vec![soon_ms, soon_ms + below(chance, 20)],
            32..38 => vec![soon_ms, minutes(1, 240, chance)],
            _ => vec![soon_ms],
        };
        let jobs = &self.world.jobs;
        let is_first = matches!(action, Action::Waiting | Action::Queued);
        let is_lost = jobs.lost_until_ms > now_ms || (jobs.lost_but_queued_until_ms > now_ms && !is_first);
        for delay_ms in delays_ms.into_iter().filter(|_| !is_lost) {
            self.world.jobs.deliveries.push(delivery.clone());
            let number = self.world.jobs.deliveries.len() - 1;
            self.at(now_ms + delay_ms, Wake::Deliver(number));
        }
    }
}
