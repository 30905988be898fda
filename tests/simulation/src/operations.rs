//! What happens in the world of a story: drawn from a seed, told in words, and shortened when it fails.

use std::fmt;

use monitor_fakes::Chance;

use crate::faults::{Fault, Window};

/// A minute, milliseconds.
pub const MINUTE_MS: i64 = 60_000;
/// An hour, milliseconds.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// The names of the targets of every story; the last is not watched from the beginning.
pub const TARGETS: [&str; 4] = ["acme/web", "acme/api", "orgs/acme", "acme/late"];

/// Something that happens at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// When, milliseconds of the story.
    pub at_ms: i64,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A runner goes offline and is back after a while.
    Outage {
        /// Which target, by its place in [`TARGETS`].
        target: usize,
        /// Which runner, by its name.
        runner: String,
        /// For how long.
        for_ms: i64,
    },
    /// A runner begins or ends a job.
    Work {
        /// Which target.
        target: usize,
        /// Which runner.
        runner: String,
    },
    /// An ephemeral runner registers, works and leaves.
    Ephemeral {
        /// Which target.
        target: usize,
        /// For how long it is there.
        for_ms: i64,
    },
    /// A runner is removed from GitHub.
    Remove {
        /// Which target.
        target: usize,
        /// Which runner.
        runner: String,
    },
    /// A runner is registered again under its name.
    Reregister {
        /// Which target.
        target: usize,
        /// Which runner.
        runner: String,
    },
    /// The credential loses its access to a target for a while.
    AccessLost {
        /// Which target.
        target: usize,
        /// For how long.
        for_ms: i64,
    },
    /// The credential is refused everywhere for a while.
    CredentialRefused {
        /// For how long.
        for_ms: i64,
    },
    /// GitHub gives out other ETags from now on, as for a new token.
    TokenRenewed,
    /// The monitor does not run for a while.
    MonitorDown {
        /// For how long.
        for_ms: i64,
    },
    /// Slack takes nothing for a while.
    SlackDead {
        /// For how long.
        for_ms: i64,
    },
    /// The policy wants another number of bad readings.
    Confirm(u32),
    /// A target is put on the list or taken off it.
    Toggle {
        /// Which target.
        target: usize,
    },
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = |ms: &i64| ms / MINUTE_MS;
        let name = |target: &usize| TARGETS.get(*target).copied().unwrap_or("?");
        write!(f, "{:>3} h {:>2} min  ", self.at_ms / HOUR_MS, self.at_ms % HOUR_MS / MINUTE_MS)?;
        match &self.what {
            What::Outage { target, runner, for_ms } => {
                write!(f, "{runner} of {} goes offline for {} min", name(target), minutes(for_ms))
            }
            What::Work { target, runner } => write!(f, "{runner} of {} begins or ends a job", name(target)),
            What::Ephemeral { target, for_ms } => {
                write!(f, "an ephemeral runner is at {} for {} min", name(target), minutes(for_ms))
            }
            What::Remove { target, runner } => write!(f, "{runner} of {} is removed", name(target)),
            What::Reregister { target, runner } => write!(f, "{runner} of {} is registered again", name(target)),
            What::AccessLost { target, for_ms } => {
                write!(f, "the credential loses {} for {} min", name(target), minutes(for_ms))
            }
            What::CredentialRefused { for_ms } => write!(f, "the credential is refused for {} min", minutes(for_ms)),
            What::TokenRenewed => write!(f, "the token is renewed"),
            What::MonitorDown { for_ms } => write!(f, "the monitor is down for {} min", minutes(for_ms)),
            What::SlackDead { for_ms } => write!(f, "Slack takes nothing for {} min", minutes(for_ms)),
            What::Confirm(confirm) => write!(f, "the policy confirms after {confirm} readings"),
            What::Toggle { target } => write!(f, "{} is put on the list or taken off", name(target)),
        }
    }
}

/// A whole story: what happens, and when what may go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// From which everything else is drawn.
    pub seed: u64,
    /// How long it is.
    pub hours: i64,
    /// What happens, in order.
    pub operations: Vec<Operation>,
    /// When what may go wrong.
    pub windows: Vec<Window>,
    /// The awaits, counted over all stages, at which the stage that waits there ends.
    pub crashes: Vec<u64>,
}

/// How long before its end a story is calm: no fault, and nothing new.
pub const CALM_MS: i64 = 4 * HOUR_MS;

impl Story {
    /// Draws a story.
    pub fn draw(seed: u64, hours: i64) -> Self {
        let mut chance = Chance::new(seed);
        let busy_ms = (hours * HOUR_MS - CALM_MS).max(HOUR_MS);
        let moment = |chance: &mut Chance| i64::try_from(chance.below(busy_ms.unsigned_abs())).unwrap_or(0);
        let count = 6 + chance.below(40);
        let mut operations: Vec<Operation> = (0..count)
            .map(|_| {
                let at_ms = moment(&mut chance);
                Operation { at_ms, what: draw_what(&mut chance, busy_ms - at_ms) }
            })
            .collect();
        operations.sort_by_key(|operation| operation.at_ms);

        let mut windows = Vec::new();
        // A third of the stories has no fault at all: what is asked of those is strict.
        if chance.below(3) > 0 {
            for fault in Fault::ALL {
                // Messages are rare beside requests.
                let is_of_slack = matches!(
                    fault,
                    Fault::SlackBusy | Fault::SlackFails | Fault::SlackAnswerLost | Fault::SlackRefuses
                );
                for _ in 0..chance.below(if is_of_slack { 7 } else { 3 }) {
                    let from_ms = moment(&mut chance);
                    let length_ms = (5 + i64::try_from(chance.below(115)).unwrap_or(0)) * MINUTE_MS;
                    windows.push(Window { fault, from_ms, until_ms: (from_ms + length_ms).min(busy_ms) });
                }
            }
        }
        Self { seed, hours, operations, windows, crashes: Vec::new() }
    }

    /// A short story in which everything that matters happens once, for ending a stage at each of its awaits.
    pub fn short() -> Self {
        let minute = |minute: i64, what| Operation { at_ms: minute * MINUTE_MS + 20_000, what };
        let (target, runner) = (0, "runner-1".to_owned());
        let operations = vec![
            minute(7, What::Outage { target, runner, for_ms: 12 * MINUTE_MS }),
            minute(8, What::Outage { target, runner: "runner-2".to_owned(), for_ms: 4 * MINUTE_MS }),
            minute(9, What::Remove { target: 1, runner: "runner-3".to_owned() }),
        ];
        Self { seed: 7, hours: 1, operations, windows: Vec::new(), crashes: Vec::new() }
    }
}

fn draw_what(chance: &mut Chance, left_ms: i64) -> What {
    let target = usize::try_from(chance.below(TARGETS.len() as u64)).unwrap_or(0);
    let runner = format!("runner-{}", 1 + chance.below(5));
    let mut span = |most_minutes: u64| {
        let minutes = 1 + i64::try_from(chance.below(most_minutes)).unwrap_or(0);
        (minutes * MINUTE_MS).min(left_ms)
    };
    let (short, long) = (span(40), span(240));
    match chance.below(100) {
        0..35 => What::Outage { target, runner, for_ms: short },
        35..45 => What::Outage { target, runner, for_ms: long },
        45..65 => What::Work { target, runner },
        65..71 => What::Ephemeral { target, for_ms: short },
        71..75 => What::Remove { target, runner },
        75..80 => What::Reregister { target, runner },
        80..84 => What::AccessLost { target, for_ms: long },
        84..87 => What::CredentialRefused { for_ms: short },
        87..90 => What::TokenRenewed,
        90..93 => What::MonitorDown { for_ms: long },
        93..95 => What::SlackDead { for_ms: long },
        95..97 => What::Confirm(2 + u32::try_from(chance.below(3)).unwrap_or(0)),
        _ => What::Toggle { target },
    }
}
