//! What can go wrong, when, and how often it did.

use std::collections::BTreeMap;

use monitor_fakes::Chance;

/// A kind of fault. Each belongs to one of the surroundings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// GitHub answers 5xx.
    GitHubFails,
    /// GitHub's answer is broken.
    GitHubBroken,
    /// GitHub does not answer in time.
    GitHubHangs,
    /// GitHub limits the credential.
    GitHubLimits,
    /// GitHub answers as it was some minutes ago.
    GitHubStale,
    /// A runner is missing from one list.
    GitHubSlips,
    /// A runner at work is listed as offline, once.
    GitHubLies,
    /// The store does not take a request.
    StoreRequestLost,
    /// The store takes a put, and its answer is lost.
    StoreAnswerLost,
    /// Slack asks to wait.
    SlackBusy,
    /// Slack answers 5xx and has taken nothing.
    SlackFails,
    /// Slack has taken the message, and its answer is lost.
    SlackAnswerLost,
    /// Slack refuses the layout.
    SlackRefuses,
    /// A message of the standard queue is handed out twice.
    QueueRepeats,
    /// A message of the standard queue is late.
    QueueDelays,
    /// A tick comes twice.
    TickRepeats,
    /// A stage ends at an await, and its message comes again.
    Crash,
    /// A stage stands still in the middle, and goes on later.
    Freeze,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Fault; 18] = [
        Fault::GitHubFails,
        Fault::GitHubBroken,
        Fault::GitHubHangs,
        Fault::GitHubLimits,
        Fault::GitHubStale,
        Fault::GitHubSlips,
        Fault::GitHubLies,
        Fault::StoreRequestLost,
        Fault::StoreAnswerLost,
        Fault::SlackBusy,
        Fault::SlackFails,
        Fault::SlackAnswerLost,
        Fault::SlackRefuses,
        Fault::QueueRepeats,
        Fault::QueueDelays,
        Fault::TickRepeats,
        Fault::Crash,
        Fault::Freeze,
    ];

    /// How often it strikes within one of its windows, in a thousand chances.
    fn often(self) -> u64 {
        match self {
            Fault::GitHubFails | Fault::GitHubBroken | Fault::GitHubLimits => 400,
            Fault::GitHubHangs | Fault::GitHubStale | Fault::GitHubSlips => 150,
            Fault::GitHubLies => 100,
            Fault::StoreRequestLost | Fault::StoreAnswerLost => 120,
            Fault::SlackBusy | Fault::SlackFails | Fault::SlackAnswerLost => 400,
            Fault::SlackRefuses => 300,
            Fault::QueueRepeats | Fault::QueueDelays | Fault::TickRepeats => 300,
            Fault::Crash => 25,
            Fault::Freeze => 15,
        }
    }
}

/// A time in which a kind of fault may strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Which.
    pub fault: Fault,
    /// From, milliseconds of the story.
    pub from_ms: i64,
    /// Until.
    pub until_ms: i64,
}

/// The windows of a story, and what struck in them.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// When what may strike.
    pub windows: Vec<Window>,
    /// How often each did.
    pub struck: BTreeMap<Fault, u64>,
}

impl Faults {
    /// Whether a fault strikes now.
    pub fn strikes(&mut self, fault: Fault, now_ms: i64, chance: &mut Chance) -> bool {
        let is_open = self
            .windows
            .iter()
            .any(|window| window.fault == fault && (window.from_ms..window.until_ms).contains(&now_ms));
        if !is_open || !chance.in_thousand(fault.often()) {
            return false;
        }
        *self.struck.entry(fault).or_default() += 1;
        true
    }

    /// Whether nothing may strike from one moment to another.
    pub fn is_calm(&self, from_ms: i64, until_ms: i64) -> bool {
        !self.windows.iter().any(|window| window.from_ms < until_ms && window.until_ms > from_ms)
    }
}
