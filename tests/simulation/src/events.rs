//! The effect of each operation on the simulated world.

use std::collections::BTreeSet;
use std::time::Duration;

use monitor_domain::outage::OutageId;
use monitor_domain::runner::RunnerId;
use monitor_domain::scope::Scope;
use monitor_domain::target::Target;
use monitor_pipeline::commands::Command;
use monitor_pipeline::messages::{CheckJob, Reason};
use monitor_pipeline::ports::Outgoing;

use crate::machine::Wake;
use crate::operations::{Muted, What};
use crate::shown::{Side, sides};
use crate::simulation::Player;
use crate::targets::{FOUND, TARGETS};
use crate::world::{Rules, TrueRunner, World};

impl Player<'_> {
    /// A person sends a command. One in three is sent twice at once.
    fn ask(&mut self, command: Command, at_ms: i64) {
        self.asked.push(command);
        let mut machine = self.installation.shared.lock();
        let times = 1 + u64::from(machine.chance.below(3) == 0);
        for _ in 0..times {
            machine.at(at_ms, Wake::Respond(self.asked.len() - 1, 0));
        }
    }

    /// Carries out an operation.
    pub(crate) fn operate(&mut self, what: &What) {
        let mut machine = self.installation.shared.lock();
        let now_ms = machine.now_ms;
        machine.note(format!("{what:?}").as_bytes());
        let world = &mut machine.world;
        match what {
            What::Outage { target, runner, for_ms } => {
                world.alter(now_ms, *target, runner, |runner| runner.online = false);
                machine.at(now_ms + for_ms, Wake::Back(*target, runner.clone()));
            }
            What::Flaps { target, runner, times, down_ms, up_ms } => {
                for time in 0..*times {
                    let away_ms = now_ms + time * (down_ms + up_ms);
                    machine.at(away_ms, Wake::Away(*target, runner.clone()));
                    machine.at(away_ms + down_ms, Wake::Back(*target, runner.clone()));
                }
            }
            What::Update { target, runner, version } => world.update(now_ms, *target, runner, *version),
            What::Abandon { target, runner } => {
                world.alter(now_ms, *target, runner, |runner| runner.online = false);
            }
            What::Job(asked) => machine.ask_for_runners(asked),
            What::DeliveriesLost { but_queued, for_ms } => {
                let jobs = &mut world.jobs;
                let until_ms = if *but_queued { &mut jobs.lost_but_queued_until_ms } else { &mut jobs.lost_until_ms };
                *until_ms = (*until_ms).max(now_ms + for_ms);
            }
            What::JobsForbidden { for_ms } => {
                world.jobs.forbidden_until_ms = world.jobs.forbidden_until_ms.max(now_ms + for_ms);
            }
            What::Incident { for_ms } => {
                let mut lost = Vec::new();
                for target in 0..TARGETS.len() {
                    let online = world.runners(target).iter().filter(|runner| runner.online);
                    lost.extend(online.map(|runner| (target, runner.name.clone())));
                }
                for (target, runner) in &lost {
                    world.alter(now_ms, *target, runner, |runner| runner.online = false);
                }
                for (target, runner) in lost {
                    machine.at(now_ms + for_ms, Wake::Back(target, runner));
                }
            }
            What::Work { target, runner } => {
                let is_at_work = |of: &TrueRunner| of.name == *runner && world.jobs.runs_on(*target, of.id);
                if !world.runners(*target).iter().any(is_at_work) {
                    world.alter(now_ms, *target, runner, |runner| runner.busy = runner.online && !runner.busy);
                }
            }
            What::Ephemeral { target, for_ms } => {
                let name = format!("ephemeral-{now_ms}");
                world.register(now_ms, *target, name.clone(), true);
                machine.at(now_ms + for_ms, Wake::Leave(*target, name));
            }
            What::Remove { target, runner, again_ms } => {
                let was_there = world.remove(now_ms, *target, runner);
                match again_ms {
                    Some(0) if was_there => world.register(now_ms, *target, runner.clone(), false),
                    Some(again_ms) if was_there => {
                        machine.at(now_ms + again_ms, Wake::Again(*target, runner.clone()));
                    }
                    _ => {}
                }
            }
            What::AccessLost { target, for_ms } => {
                world.no_access_until_ms[*target] = world.no_access_until_ms[*target].max(now_ms + for_ms);
            }
            What::CredentialRefused { for_ms } => {
                world.refused_until_ms = world.refused_until_ms.max(now_ms + for_ms);
            }
            What::TokenRenewed => world.token += 1,
            What::MonitorDown { for_ms } => {
                world.down_until_ms = world.down_until_ms.max(now_ms + for_ms);
                drop(machine);
                self.stop();
            }
            What::SlackDead { for_ms } => {
                world.slack_dead_until_ms = world.slack_dead_until_ms.max(now_ms + for_ms);
            }
            What::NotifierDown { for_ms } => {
                world.notifier_down_until_ms = world.notifier_down_until_ms.max(now_ms + for_ms);
                drop(machine);
                self.stop_notifiers();
            }
            What::FailureThreshold(failure_threshold) => {
                world.set_rules(now_ms, Rules { failure_threshold: *failure_threshold, ..world.rules })
            }
            What::AlertOnRemoved(alert_on_removed) => {
                world.set_rules(now_ms, Rules { alert_on_removed: *alert_on_removed, ..world.rules });
            }
            What::Toggle { target, again_ms } => {
                world.toggle(now_ms, *target);
                if let Some(again_ms) = again_ms {
                    machine.at(now_ms + again_ms, Wake::Toggle(*target));
                }
            }
            What::RepositoriesHidden { for_ms } => {
                world.hidden_until_ms = world.hidden_until_ms.max(now_ms + for_ms);
                world.note_listed(now_ms);
                let until_ms = world.hidden_until_ms;
                machine.at(until_ms, Wake::Unhide);
            }
            What::Mute { scope, for_ms, unmute_ms } => {
                drop(machine);
                let Some(scope) = scope_of(scope) else { return };
                if let Some(unmute_ms) = unmute_ms {
                    self.ask(Command::Unmute { scope: scope.clone() }, now_ms + unmute_ms);
                }
                let lasting_secs = for_ms.unsigned_abs() / 1_000;
                self.ask(Command::Mute { scope, lasting_secs, reason: None }, now_ms);
            }
            What::Acknowledge { target } => {
                let open =
                    (0..TARGETS.len()).find_map(|further| world.notified_and_open((target + further) % TARGETS.len()));
                drop(machine);
                if let Some((target, outages)) = open {
                    self.ask(Command::Acknowledge { target, outages }, now_ms);
                }
            }
            What::Ask { target, times } => {
                let elapsed = machine.elapsed();
                let Ok(target) = TARGETS[*target].parse() else { return };
                let body = CheckJob { target, reason: Reason::Manual, requested_at: None, valid_until: None }.to_json();
                for time in 0..times.unsigned_abs() {
                    let delay = Duration::from_secs(time * 2);
                    let _ = machine
                        .checks
                        .send(elapsed, vec![Outgoing { body: body.clone(), delay, ..Outgoing::default() }]);
                }
            }
        }
    }
}

fn scope_of(muted: &Muted) -> Option<Scope> {
    let target = muted.target.and_then(|target| TARGETS[target].parse::<Target>().ok());
    Some(match (target, muted.runner.clone()) {
        (Some(target), Some(name)) => Scope::Runner { target, name },
        (Some(target), None) => Scope::Target(target),
        (None, Some(name)) => Scope::Named(name),
        (None, None) => return None,
    })
}

impl World {
    /// The outages of a target whose start was notified and whose end was not. `None` if there are none.
    fn notified_and_open(&self, place: usize) -> Option<(Target, Vec<(RunnerId, OutageId)>)> {
        let target: Target = TARGETS[place].parse().ok()?;
        let mut open = BTreeSet::new();
        for taken in self.taken.iter().filter(|taken| taken.notification.target.as_ref() == Some(&target)) {
            for (outage, side) in sides(&taken.notification) {
                let key = (outage.runner_id, outage.id);
                if side == Side::Began {
                    open.insert(key)
                } else {
                    open.remove(&key)
                };
            }
        }
        (!open.is_empty()).then(|| (target, open.into_iter().collect()))
    }

    /// Adds a target to the list or removes it. The last target stays: an empty list is refused.
    pub(crate) fn toggle(&mut self, now_ms: i64, target: usize) {
        let is_listed = |place: usize| self.watched[place] && (place != FOUND || self.hidden_until_ms <= now_ms);
        let is_last = !(0..TARGETS.len()).any(|place| place != target && is_listed(place));
        if !self.watched[target] || !is_last {
            self.watched[target] = !self.watched[target];
            self.note_listed(now_ms);
        }
    }
}
