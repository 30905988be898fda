//! What a runner's row shows: its state as a word, a tone and a shape, and how urgent it is.

use monitor_domain::fleet::{Failing, Fleet};
use monitor_domain::runner::{Health, Runner, Status};
use monitor_domain::time::Timestamp;

use crate::view::condition;

/// How a state is coloured and marked. The word beside the mark says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tone {
    /// Not registered, ignored, or not known.
    Faint,
    /// Online and idle.
    Idle,
    /// Running a job.
    Busy,
    /// Suspected, flapping or recovering.
    Warning,
    /// An open outage, or unreachable.
    Bad,
}

impl Tone {
    /// Of a runner, a pool or a queue.
    pub(crate) fn of(runner: &Runner) -> Self {
        match &runner.health {
            Health::Down(down) if down.healthy_count > 0 => Tone::Warning,
            Health::Down(_) => Tone::Bad,
            Health::Suspect(_) if runner.never_connected() => Tone::Faint,
            Health::Suspect(_) => Tone::Warning,
            Health::Gone { .. } | Health::Retired => Tone::Faint,
            Health::Healthy if runner.flapping.is_some() => Tone::Warning,
            Health::Healthy if !runner.status.is_healthy() => Tone::Faint,
            Health::Healthy if runner.status == Status::Busy => Tone::Busy,
            Health::Healthy => Tone::Idle,
        }
    }

    /// Of a target whose checks fail, with the word for it: one failed check is no more than that.
    pub(crate) fn of_failing(failing: &Failing) -> (Self, &'static str) {
        if failing.unreachable { (Tone::Bad, "unreachable") } else { (Tone::Warning, "latest check failed") }
    }

    /// Whether it needs attention.
    pub(crate) fn is_problem(self) -> bool {
        self >= Tone::Warning
    }

    /// Its class in the style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Tone::Faint => "faint",
            Tone::Idle => "idle",
            Tone::Busy => "busy",
            Tone::Warning => "warning",
            Tone::Bad => "bad",
        }
    }
}

/// A runner's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// How it is marked.
    pub(crate) tone: Tone,
    /// In words.
    pub(crate) word: String,
    /// Since when.
    pub(crate) since: Timestamp,
}

impl State {
    /// Of a runner or a pool.
    pub(crate) fn of(runner: &Runner) -> Self {
        let tone = Tone::of(runner);
        let word = match (runner.tally(), condition(runner)) {
            (Some(tally), _) => tally,
            (None, "healthy" | "down") => runner.status.to_string(),
            (None, other) => format!("{}, {other}", runner.status),
        };
        let since = match &runner.health {
            Health::Down(down) => down.recovering_since.unwrap_or(down.outage.started_at),
            _ => runner.status_since,
        };
        Self { tone, word, since }
    }

    /// Whether it needs attention.
    pub(crate) fn is_problem(&self) -> bool {
        self.tone.is_problem()
    }
}

/// The worst state in a target, or what its failed checks mean.
pub(crate) fn worst(fleet: &Fleet) -> Tone {
    let failing = fleet.record.failing.iter().map(|failing| Tone::of_failing(failing).0);
    fleet.pools_and_runners().map(Tone::of).chain(failing).max().unwrap_or(Tone::Faint)
}
