//! The simulated fleet and its changes.

use monitor_fakes::FakeGitHub;
use monitor_fakes::github::{APP_PUBLIC_KEY_DER, RunnerSpec, State};

use super::{INTERVAL, Load, START_MS};

/// The token of loads without a GitHub App.
pub(super) const TOKEN: &str = "capacity-token";
/// The GitHub App of loads that use one.
pub(super) const APP_ID: u64 = 77;
/// Runners of each target.
const RUNNERS: usize = 2;
/// One change of this many is a runner that goes offline or recovers; in the others a job starts or ends.
const STATUS_CHANGES: u64 = 10;
/// A prime, so that the changes visit all targets before any target changes twice.
const STRIDE: u64 = 2_654_435_761;

/// The name of a target, by its number.
pub(super) fn name(load: &Load, number: usize) -> String {
    format!("acme-{}/app-{}", number / load.targets, number % load.targets)
}

/// The number of targets of all credentials.
pub(super) fn total(load: &Load) -> usize {
    load.credentials * load.targets
}

/// GitHub at the start: every runner is online and idle.
pub(super) fn github(load: &Load) -> State {
    let mut github = State::new();
    if load.app {
        github.add_app(APP_ID, APP_PUBLIC_KEY_DER);
    } else {
        github.add_token(TOKEN);
        github.set_hourly_limit(TOKEN, load.hourly_limit);
    }
    github.limits.points_per_minute = load.per_minute.into();
    for number in 0..total(load) {
        let name = name(load, number);
        github.add_target(&name);
        for runner in 0..RUNNERS {
            github.add_runner(&name, RunnerSpec::new(&format!("runner-{runner}")));
        }
    }
    if load.app {
        for account in 0..load.credentials {
            let installation = github.install_app(APP_ID, &format!("acme-{account}"));
            github.set_installation_hourly_limit(installation, load.hourly_limit);
        }
    }
    github
}

/// The changes, spread evenly over each interval.
pub(super) struct Fleet {
    load: Load,
    changes: u64,
    /// How many targets change at all.
    changing: u64,
    every_us: i64,
    /// The time of the next change.
    pub(super) next_change_ms: i64,
}

impl Fleet {
    pub(super) fn new(load: &Load) -> Self {
        let total = total(load) as u64;
        let an_interval = (total * load.changing / 1_000).max(1);
        let changing = if load.same { an_interval } else { total };
        let every_us =
            i64::try_from(INTERVAL.as_micros()).unwrap_or(i64::MAX) / i64::try_from(an_interval).unwrap_or(1);
        Self { load: load.clone(), changes: 0, changing, every_us, next_change_ms: START_MS }
    }

    pub(super) fn change_until(&mut self, now_ms: i64, github: &FakeGitHub) {
        while self.next_change_ms <= now_ms {
            let number = (self.changes % self.changing).wrapping_mul(STRIDE) % total(&self.load) as u64;
            let name = name(&self.load, usize::try_from(number).unwrap_or(0));
            let is_status = self.changes.is_multiple_of(STATUS_CHANGES);
            let mut state = github.state();
            let runners = state.runners(&name);
            let runner = &runners[usize::from(!is_status)];
            let is_online = runner.spec.status == "online";
            match is_status {
                true => state.set_runner(&name, runner.id, if is_online { "offline" } else { "online" }, false),
                false => state.set_runner(&name, runner.id, "online", !runner.spec.busy),
            }
            self.changes += 1;
            let after_us = i64::try_from(self.changes).unwrap_or(i64::MAX).saturating_mul(self.every_us);
            self.next_change_ms = START_MS + after_us / 1_000;
        }
    }
}
