//! What each operation does to the world.

use std::time::Duration;

use monitor_pipeline::messages::{CheckJob, Reason};
use monitor_pipeline::ports::Outgoing;

use crate::machine::Wake;
use crate::operations::{FOUND, TARGETS, What};
use crate::simulation::Player;
use crate::world::{Rules, World};

impl Player<'_> {
    /// An operation happens.
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
            What::Work { target, runner } => {
                world.alter(now_ms, *target, runner, |runner| runner.busy = runner.online && !runner.busy);
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
            What::Confirm(confirm) => world.set_rules(now_ms, Rules { confirm: *confirm, ..world.rules }),
            What::TellRemoved(tell_removed) => {
                world.set_rules(now_ms, Rules { tell_removed: *tell_removed, ..world.rules });
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
            What::Ask { target, times } => {
                let elapsed = machine.elapsed();
                let Ok(target) = TARGETS[*target].parse() else { return };
                let body = CheckJob { target, reason: Reason::Manual, requested_at: None, good_until: None }.to_json();
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

impl World {
    /// Puts a target on the list or takes it off, unless it is the last: an empty list is refused.
    pub(crate) fn toggle(&mut self, now_ms: i64, target: usize) {
        let is_listed = |place: usize| self.watched[place] && (place != FOUND || self.hidden_until_ms <= now_ms);
        let is_last = !(0..TARGETS.len()).any(|place| place != target && is_listed(place));
        if !self.watched[target] || !is_last {
            self.watched[target] = !self.watched[target];
            self.note_listed(now_ms);
        }
    }
}
