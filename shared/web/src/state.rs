//! What a runner's row shows: its state as a word, a tone and a shape, and how urgent it is.

use monitor_domain::fleet::Fleet;
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
        let tone = match &runner.health {
            Health::Down(down) if down.healthy_count > 0 => Tone::Warning,
            Health::Down(_) => Tone::Bad,
            Health::Suspect(_) if runner.never_connected() => Tone::Faint,
            Health::Suspect(_) => Tone::Warning,
            Health::Gone { .. } | Health::Retired => Tone::Faint,
            Health::Healthy if runner.flapping.is_some() => Tone::Warning,
            Health::Healthy if !runner.status.is_healthy() => Tone::Faint,
            Health::Healthy if runner.status == Status::Busy => Tone::Busy,
            Health::Healthy => Tone::Idle,
        };
        let word = match (runner.tally(), condition(runner)) {
            (Some(tally), _) => tally,
            (None, "healthy" | "down") => runner.status.to_string(),
            (None, other) => format!("{}, {other}", runner.status),
        };
        let since = runner.open_outage().map_or(runner.status_since, |outage| outage.started_at);
        Self { tone, word, since }
    }

    /// Whether it needs attention.
    pub(crate) fn is_problem(&self) -> bool {
        self.tone >= Tone::Warning
    }
}

/// The worst state in a target; [`Tone::Bad`] if it is unreachable.
pub(crate) fn worst(fleet: &Fleet) -> Tone {
    if fleet.record.failing.is_some() {
        return Tone::Bad;
    }
    fleet.pools_and_runners().map(|runner| State::of(runner).tone).max().unwrap_or(Tone::Faint)
}
