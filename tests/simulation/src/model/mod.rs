//! What must have been notified, and by when, derived from the true history. The model knows the policy's numbers, the
//! interval of checks and the duration of requests. It does not know how decisions are made.

mod absences;
mod availability;
mod checks;
mod incidents;
mod jobs;
mod overrides;
mod pools;
mod unseen;
mod versions;
mod weekly;

pub use absences::Absence;
pub use checks::{Reading, count_apart};
pub use incidents::FEWEST_LOST;
pub use jobs::{Known, THRESHOLD_MS};
pub use overrides::{Decided, Silence};
pub use pools::Shortage;
pub use unseen::{Listed, Unseen};
pub use versions::{REMOVAL_STAGES, STAGES};

use crate::calendar::MINUTE_MS;
use crate::faults::{Stage, Window};
use crate::operations::{Operation, Scenario, What};
use crate::targets::TARGETS;
use crate::world::{RUNNERS, Rules, Truth, World};

/// The time between two ticks.
pub const TICK_MS: i64 = 5 * MINUTE_MS;
/// The time from a check to the end of its recheck: a minute and some seconds.
const RECHECK_MS: i64 = 63_000;
/// From a tick to the end of its checks.
const CHECK_MS: i64 = 3_000;
/// From a decision to Slack's answer.
const NOTIFY_MS: i64 = 10_000;
/// How long a disturbance can have effects after its end: a deferred attempt to send, a lease, a stalled function.
const AFTERMATH_MS: i64 = 30 * MINUTE_MS;
/// How long checks may fail, or the monitor may be down, before that is notified.
pub const UNREACHABLE_AFTER_MS: i64 = 15 * MINUTE_MS;
/// How many healthy readings end an outage, and after how many lists without it a runner is removed.
pub const READINGS: usize = 2;
/// This many outages within an hour make a runner flap, until it has been online for half an hour.
const FLAPPING: usize = 3;
const FLAPPING_WINDOW_MS: i64 = 60 * MINUTE_MS;
const CALM_MS: i64 = 30 * MINUTE_MS;

/// The cause of a disturbance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Window,
    Operation(usize),
    /// A message that cannot be edited delays the notifications of its target for some attempts.
    Edit,
    Unlisted,
}

#[derive(Clone, Copy, Debug)]
struct Disturbance {
    place: Option<usize>,
    source: Source,
    from_ms: i64,
    until_ms: i64,
}

/// The model of a scenario.
pub struct Model<'a> {
    scenario: &'a Scenario,
    world: &'a World,
    end_ms: i64,
    disturbances: Vec<Disturbance>,
}

/// The first tick at or after a time.
fn next_tick(at_ms: i64) -> i64 {
    at_ms + (TICK_MS - at_ms.rem_euclid(TICK_MS)) % TICK_MS
}

impl<'a> Model<'a> {
    /// Builds the model of a scenario that ended at `end_ms`.
    pub fn new(scenario: &'a Scenario, world: &'a World, end_ms: i64) -> Self {
        let mut disturbances = Vec::new();
        let mut disturb = |place, source, from_ms, until_ms: i64| {
            disturbances.push(Disturbance { place, source, from_ms, until_ms: until_ms + AFTERMATH_MS });
        };
        for window in &scenario.windows {
            disturb(None, Source::Window, window.from_ms, window.until_ms);
        }
        if !scenario.crashes.is_empty() {
            disturb(None, Source::Window, 0, end_ms);
        }
        for (number, operation) in scenario.operations.iter().enumerate() {
            let (place, for_ms) = match operation.what {
                What::AccessLost { target, for_ms } => (Some(target), for_ms),
                What::CredentialRefused { for_ms }
                | What::MonitorDown { for_ms }
                | What::SlackDead { for_ms }
                | What::NotifierDown { for_ms } => (None, for_ms),
                _ => continue,
            };
            disturb(place, Source::Operation(number), operation.at_ms, operation.at_ms + for_ms);
        }
        for (place, at_ms) in &world.failed_edits {
            disturb(*place, Source::Edit, *at_ms, *at_ms);
        }
        for (place, from_ms, until_ms) in unlisted(world, end_ms) {
            disturb(Some(place), Source::Unlisted, from_ms, until_ms);
        }
        Self { scenario, world, end_ms, disturbances }
    }

    /// The events of the scenario.
    pub fn operations(&self) -> &[Operation] {
        &self.scenario.operations
    }

    /// When a state that lasted from `at_ms` to `limit_ms` must have had its effect. `bound` is the time of the effect
    /// without disturbances; it is counted again from the end of each disturbance. `None` if no effect is required.
    fn due(
        &self,
        place: Option<usize>,
        but: Option<Source>,
        (at_ms, limit_ms): (i64, i64),
        bound: impl Fn(i64) -> i64,
    ) -> Option<i64> {
        self.due_unless(place, but, (at_ms, limit_ms), bound, |_, _| None)
    }

    /// Like [`Self::due`], but also waits for the end of something else: `waits` returns that end, if it is in between.
    fn due_unless(
        &self,
        place: Option<usize>,
        but: Option<Source>,
        (at_ms, limit_ms): (i64, i64),
        bound: impl Fn(i64) -> i64,
        waits: impl Fn(i64, i64) -> Option<i64>,
    ) -> Option<i64> {
        let mut from_ms = at_ms;
        loop {
            let due_ms = bound(from_ms);
            if due_ms > limit_ms.min(self.end_ms) {
                return None;
            }
            let disturbance = self.disturbance(place, but, from_ms, due_ms);
            match disturbance.map(|disturbance| disturbance.until_ms).or_else(|| waits(from_ms, due_ms)) {
                None => return Some(due_ms),
                Some(until_ms) => from_ms = until_ms,
            }
        }
    }

    /// The first disturbance of a target, or of all targets, between two times.
    fn disturbance(
        &self,
        place: Option<usize>,
        but: Option<Source>,
        from_ms: i64,
        until_ms: i64,
    ) -> Option<&Disturbance> {
        self.disturbances.iter().find(|disturbance| {
            // A target that is not on the list does not disturb what concerns all targets.
            let is_of = match place {
                None => disturbance.source != Source::Unlisted,
                Some(_) => disturbance.place.is_none() || disturbance.place == place,
            };
            is_of && Some(disturbance.source) != but && disturbance.from_ms < until_ms && disturbance.until_ms > from_ms
        })
    }

    /// Whether nothing disturbs a target in between.
    pub fn is_calm(&self, place: usize, from_ms: i64, until_ms: i64) -> bool {
        self.disturbance(Some(place), None, from_ms, until_ms).is_none()
    }

    /// Whether a function may be ended in between, so that the result of its check is lost.
    pub fn may_lose(&self, from_ms: i64, until_ms: i64) -> bool {
        self.disturbances.iter().any(|disturbance| {
            let is_elsewhere = match disturbance.source {
                Source::Operation(number) => !matches!(self.scenario.operations[number].what, What::MonitorDown { .. }),
                Source::Edit | Source::Unlisted => true,
                Source::Window => false,
            };
            !is_elsewhere && disturbance.from_ms < until_ms && disturbance.until_ms > from_ms
        })
    }

    /// The policies that were in force at some time in between.
    pub fn rules(&self, from_ms: i64, until_ms: i64) -> impl Iterator<Item = Rules> + use<'a> {
        let history = &self.world.rules_history;
        let first = history.iter().rposition(|(at_ms, _)| *at_ms <= from_ms).unwrap_or(0);
        history[first..].iter().take_while(move |(at_ms, _)| *at_ms <= until_ms).map(|(_, rules)| *rules)
    }

    /// The lowest `failureThreshold` of any policy in between.
    pub fn lowest_threshold(&self, from_ms: i64, until_ms: i64) -> usize {
        self.rules(from_ms, until_ms).map(|rules| rules.failure_threshold).min().unwrap_or(1) as usize
    }

    /// Whether a runner was not online at some time in between.
    pub fn was_ever_away(&self, place: usize, name: &str, from_ms: i64, until_ms: i64) -> bool {
        let history = self.world.history.get(&(place, name.to_owned())).map_or(&[][..], Vec::as_slice);
        let before =
            history.iter().rev().find(|(at_ms, _)| *at_ms <= from_ms).map_or(Truth::Absent, |(_, truth)| *truth);
        before != Truth::Online
            || history.iter().any(|(at_ms, truth)| (from_ms..=until_ms).contains(at_ms) && *truth != Truth::Online)
    }

    /// Whether nothing but Slack was disturbed in between: states are detected in time, but may be notified late.
    pub fn is_detected(&self, from_ms: i64, until_ms: i64) -> bool {
        let is_within = |began_ms: i64, ended_ms: i64| began_ms < until_ms && ended_ms > from_ms;
        let affects_others =
            |window: &&Window| window.fault.can_affect(Stage::Check) || window.fault.can_affect(Stage::Schedule);
        let disturbs = |what: &What| match what {
            What::AccessLost { for_ms, .. } | What::CredentialRefused { for_ms } | What::MonitorDown { for_ms } => {
                Some(*for_ms)
            }
            _ => None,
        };
        self.scenario.crashes.is_empty()
            && !self
                .scenario
                .windows
                .iter()
                .filter(affects_others)
                .any(|window| is_within(window.from_ms, window.until_ms))
            && !self.scenario.operations.iter().any(|operation| {
                disturbs(&operation.what).is_some_and(|for_ms| is_within(operation.at_ms, operation.at_ms + for_ms))
            })
    }

    /// Whether `is_so` held for a runner at every time in between.
    pub fn was_always(
        &self,
        place: usize,
        name: &str,
        (from_ms, until_ms): (i64, i64),
        is_so: impl Fn(Truth) -> bool,
    ) -> bool {
        let history = self.world.history.get(&(place, name.to_owned())).map_or(&[][..], Vec::as_slice);
        let before = history.iter().rev().find(|(at_ms, _)| *at_ms <= from_ms);
        before.is_some_and(|(_, truth)| is_so(*truth))
            && history.iter().all(|(at_ms, truth)| !(from_ms..=until_ms).contains(at_ms) || is_so(*truth))
    }

    /// Whether a target was on the list (or off it, if `listed` is `false`) at every time in between.
    pub fn was_always_listed(&self, place: usize, (from_ms, until_ms): (i64, i64), listed: bool) -> bool {
        let history = &self.world.listed_history;
        let before = history.iter().rev().find(|(at_ms, _)| *at_ms <= from_ms);
        before.is_some_and(|(_, list)| list[place] == listed)
            && history.iter().all(|(at_ms, list)| !(from_ms..=until_ms).contains(at_ms) || list[place] == listed)
    }

    /// Since when a target that is on the list at `at_ms` has been on it.
    fn listed_since(&self, place: usize, at_ms: i64) -> i64 {
        let before = unlisted(self.world, self.end_ms).filter(|(of, from_ms, _)| *of == place && *from_ms <= at_ms);
        before.map(|(.., until_ms)| until_ms).max().unwrap_or(0)
    }

    /// Whether a target was off the list at some time in between.
    pub fn was_ever_unlisted(&self, place: usize, from_ms: i64, until_ms: i64) -> bool {
        unlisted(self.world, self.end_ms)
            .any(|(of, began_ms, ended_ms)| of == place && began_ms <= until_ms && ended_ms >= from_ms)
    }
}

/// The times in which targets were off the list.
fn unlisted(world: &World, end_ms: i64) -> impl Iterator<Item = (usize, i64, i64)> {
    let history = &world.listed_history;
    history.iter().enumerate().flat_map(move |(index, (from_ms, list))| {
        let until_ms = history.get(index + 1).map_or(end_ms, |(at_ms, _)| *at_ms);
        let off = move |place: &usize| !list[*place];
        (0..TARGETS.len()).filter(off).map(move |place| (place, *from_ms, until_ms))
    })
}

const _: () = assert!(RUNNERS < 8, "each permanent runner has a bit");
