//! What can go wrong, where, when, and how often it did.

use std::collections::BTreeMap;
use std::fmt;

use monitor_fakes::Chance;

/// What meets a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The tick.
    Schedule,
    /// A look at a target.
    Check,
    /// The telling.
    Notify,
    /// The answer to what a person asks for.
    Respond,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Stage; 4] = [Stage::Schedule, Stage::Check, Stage::Notify, Stage::Respond];
}

/// The store of a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StoreKind {
    /// SQLite in memory.
    Embedded,
    /// The StatelyDB client over the server in memory.
    Stately,
}

/// How a kind of fault comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    /// Within its windows, so often in a thousand chances.
    InWindows(u64),
    /// By itself, of what else happens: it is only counted.
    ByItself,
}

/// A kind of fault, with everything that is to be known about it.
struct Kind {
    comes: Comes,
    /// What can meet it.
    stages: &'static [Stage],
    /// Why the others cannot.
    elsewhere: &'static str,
    /// Only with this store.
    only: Option<StoreKind>,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $comes:expr, $stages:expr, $elsewhere:expr, $only:expr;)*) => {
        /// A kind of fault. Each belongs to one of the surroundings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// Every kind.
            pub const ALL: &'static [Fault] = &[$(Fault::$name,)*];

            fn kind(self) -> Kind {
                match self {
                    $(Fault::$name => Kind { comes: $comes, stages: $stages, elsewhere: $elsewhere, only: $only },)*
                }
            }
        }
    };
}

use Comes::{ByItself, InWindows};
use Stage::{Check, Notify, Schedule};

const EVERYWHERE: &[Stage] = &Stage::ALL;
const LISTS: &str = "only a check lists runners";
const ASKS: &str = "neither the notifier nor who answers people asks GitHub";
const SENDS: &str = "only the notifier sends messages";
const STANDARD: &str = "only checks come from the standard queue";
const QUEUED: &str = "ticks and people come from no queue";
const TICKS: &str = "only the schedule is started by ticks";
const POSTS: &str = "neither telling nor muting puts anything into a queue";
const OVERRIDES: &str = "what people ask for is put over what was there";
const STATELY: Option<StoreKind> = Some(StoreKind::Stately);

faults! {
    /// GitHub answers 5xx.
    GitHubFails = InWindows(400), &[Schedule, Check], ASKS, None;
    /// GitHub's answer is broken.
    GitHubBroken = InWindows(400), &[Schedule, Check], ASKS, None;
    /// GitHub does not answer in time.
    GitHubHangs = InWindows(150), &[Schedule, Check], ASKS, None;
    /// GitHub limits the credential.
    GitHubLimits = InWindows(400), &[Schedule, Check], ASKS, None;
    /// GitHub fails after some pages.
    GitHubBreaksOff = InWindows(300), &[Check], LISTS, None;
    /// GitHub answers as it was some minutes ago.
    GitHubStale = InWindows(150), &[Check], LISTS, None;
    /// A runner is missing from one list.
    GitHubSlips = InWindows(150), &[Check], LISTS, None;
    /// A runner at work is listed as offline, once.
    GitHubLies = InWindows(100), &[Check], LISTS, None;
    /// The store does not get a request.
    StoreRequestLost = InWindows(120), EVERYWHERE, "", None;
    /// The store does what it is asked to, and its answer is lost.
    StoreAnswerLost = InWindows(120), EVERYWHERE, "", None;
    /// The store takes a put after whoever sent it has given it up.
    StoreIsLate = InWindows(80), EVERYWHERE, "", None;
    /// The store answers nobody for up to a minute.
    StoreIsDown = InWindows(20), EVERYWHERE, "", None;
    /// The store takes its time, 5 s and more.
    StoreStalls = InWindows(80), EVERYWHERE, "", STATELY;
    /// The store refuses for its throughput, or for the moment.
    StoreThrottles = InWindows(200), EVERYWHERE, "", STATELY;
    /// The store's answer breaks off, or something in between answers.
    StoreBreaksOff = InWindows(120), EVERYWHERE, "", STATELY;
    /// The store holds every token to be expired.
    TokenExpires = InWindows(60), EVERYWHERE, "", STATELY;
    /// A put must not find what it finds: another was first, or one's own first try.
    StoreConflict = ByItself, &[Schedule, Check, Notify], OVERRIDES, None;
    /// Slack asks to wait.
    SlackBusy = InWindows(400), &[Notify], SENDS, None;
    /// Slack answers 5xx and has taken nothing.
    SlackFails = InWindows(400), &[Notify], SENDS, None;
    /// Slack has taken the message, and its answer is lost.
    SlackAnswerLost = InWindows(400), &[Notify], SENDS, None;
    /// Slack refuses the layout.
    SlackRefuses = InWindows(300), &[Notify], SENDS, None;
    /// Somebody has deleted an earlier message.
    SlackGone = InWindows(400), &[Notify], SENDS, None;
    /// Slack takes nothing until a person mends it.
    SlackDead = ByItself, &[Notify], SENDS, None;
    /// A message of the standard queue comes twice.
    QueueRepeats = InWindows(300), &[Check], STANDARD, None;
    /// A message of the standard queue is late, and later ones overtake it.
    QueueDelays = InWindows(300), &[Check], STANDARD, None;
    /// Messages of the standard queue are handed out the last first.
    QueueReorders = InWindows(500), &[Check], STANDARD, None;
    /// A message is done with, but the queue does not hear of it: it comes again.
    QueueRedelivers = InWindows(200), &[Check, Notify], QUEUED, None;
    /// A queue does not take a message.
    QueueRefuses = InWindows(200), &[Schedule, Check], POSTS, None;
    /// A queue takes a message, and its answer is lost.
    QueueAnswerLost = InWindows(200), &[Schedule, Check], POSTS, None;
    /// A tick comes twice.
    TickRepeats = InWindows(300), &[Schedule], TICKS, None;
    /// A stage runs while another of the same subject does.
    Overlap = ByItself, EVERYWHERE, "", None;
    /// A stage ends at an await, and its message comes again.
    Crash = InWindows(25), EVERYWHERE, "", None;
    /// A stage stands still in the middle, and goes on later.
    Freeze = InWindows(15), EVERYWHERE, "", None;
    /// A stage gets nowhere until its time is up, and is ended.
    Timeout = InWindows(15), EVERYWHERE, "", None;
}

impl Fault {
    /// Whether the simulation makes it happen, in windows of time.
    pub fn has_windows(self) -> bool {
        self.kind().comes != ByItself
    }

    /// How many windows a story may have: messages are rare beside requests, and the monitor's store beside its awaits.
    pub fn most_windows(self) -> u64 {
        match self {
            Fault::SlackBusy | Fault::SlackFails | Fault::SlackAnswerLost | Fault::SlackRefuses | Fault::SlackGone => 6,
            _ => 2,
        }
    }

    /// Whether it can be with a store.
    pub fn is_of(self, store: StoreKind) -> bool {
        self.kind().only.is_none_or(|only| only == store)
    }

    /// Whether it can befall a stage.
    pub fn can_befall(self, stage: Stage) -> bool {
        self.kind().stages.contains(&stage)
    }

    /// Why it cannot befall the other stages.
    pub fn elsewhere(self) -> &'static str {
        self.kind().elsewhere
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}"))
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

/// How often each kind struck each stage.
pub type Struck = BTreeMap<(Fault, Stage), u64>;

/// The windows of a story, and what struck in them.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// When what may strike.
    pub windows: Vec<Window>,
    /// How often each did.
    pub struck: Struck,
}

impl Faults {
    /// Whether a fault strikes a stage now.
    pub fn strikes(&mut self, fault: Fault, stage: Stage, now_ms: i64, chance: &mut Chance) -> bool {
        let InWindows(often) = fault.kind().comes else { return false };
        let is_open = self
            .windows
            .iter()
            .any(|window| window.fault == fault && (window.from_ms..window.until_ms).contains(&now_ms));
        if !is_open || !chance.in_thousand(often) {
            return false;
        }
        self.count(fault, stage);
        true
    }

    /// Counts what came by itself.
    pub fn count(&mut self, fault: Fault, stage: Stage) {
        *self.struck.entry((fault, stage)).or_default() += 1;
    }
}
