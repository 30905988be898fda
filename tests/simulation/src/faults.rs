//! The kinds of faults: which stages they affect, when they strike, and how often they did.

use std::collections::BTreeMap;
use std::fmt;

use monitor_fakes::Chance;

/// A stage that a fault can affect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The scheduler's tick.
    Schedule,
    /// A check of a target.
    Check,
    /// A run of the notifier.
    Notify,
    /// The answer to a person's command.
    Respond,
    /// The receipt of a delivery of GitHub's webhook, in scenarios with workflow jobs.
    Receive,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Stage; 5] = [Stage::Schedule, Stage::Check, Stage::Notify, Stage::Respond, Stage::Receive];
}

/// The store that a scenario uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StoreKind {
    /// The embedded store, SQLite in memory.
    Embedded,
    /// The StatelyDB client with the server in memory.
    Stately,
    /// The store on DynamoDB with a table in memory.
    #[value(name = "dynamodb")]
    DynamoDb,
}

/// How a kind of fault comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    /// Within its windows, with this probability per mille at each opportunity.
    InWindows(u64),
    /// As a result of other events. It is only counted.
    ByItself,
}

/// The properties of a kind of fault.
struct Kind {
    comes: Comes,
    /// The stages that it can affect.
    stages: &'static [Stage],
    /// Why it cannot affect the other stages.
    elsewhere: &'static str,
    /// The stores that can have it.
    stores: &'static [StoreKind],
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $comes:expr, $stages:expr, $elsewhere:expr, $stores:expr;)*) => {
        /// A kind of fault of GitHub, the store, Slack, a queue or the runtime.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// Every kind of fault.
            pub const ALL: &'static [Fault] = &[$(Fault::$name,)*];

            fn kind(self) -> Kind {
                match self {
                    $(Fault::$name => Kind { comes: $comes, stages: $stages, elsewhere: $elsewhere, stores: $stores },)*
                }
            }
        }
    };
}

use Comes::{ByItself, InWindows};
use Stage::{Check, Notify, Receive, Schedule};

const EVERYWHERE: &[Stage] = &Stage::ALL;
const LISTS: &str = "only a check lists runners";
const ASKS: &str = "only the scheduler and checks call GitHub";
const SENDS: &str = "only the notifier sends messages";
const STANDARD: &str = "only checks come from the standard queue";
const QUEUED: &str = "ticks, commands and deliveries do not come from a queue";
const TICKS: &str = "only the scheduler is started by ticks";
const POSTS: &str = "neither the notifier nor a mute sends to a queue";
const OVERRIDES: &str = "overrides replace what is stored";
const EVERY: &[StoreKind] = &[StoreKind::Embedded, StoreKind::Stately, StoreKind::DynamoDb];
const SERVICES: &[StoreKind] = &[StoreKind::Stately, StoreKind::DynamoDb];
const STATELY: &[StoreKind] = &[StoreKind::Stately];

faults! {
    /// GitHub answers 5xx.
    GitHubFails = InWindows(400), &[Schedule, Check], ASKS, EVERY;
    /// GitHub's answer cannot be parsed.
    GitHubBroken = InWindows(400), &[Schedule, Check], ASKS, EVERY;
    /// GitHub does not answer in time.
    GitHubHangs = InWindows(150), &[Schedule, Check], ASKS, EVERY;
    /// GitHub rate-limits the credential.
    GitHubLimits = InWindows(400), &[Schedule, Check], ASKS, EVERY;
    /// GitHub fails after some pages.
    GitHubBreaksOff = InWindows(300), &[Check], LISTS, EVERY;
    /// GitHub answers with the state of some minutes ago.
    GitHubStale = InWindows(150), &[Check], LISTS, EVERY;
    /// A runner is missing from one list.
    GitHubSlips = InWindows(150), &[Check], LISTS, EVERY;
    /// An online runner is listed as offline once.
    GitHubLies = InWindows(100), &[Check], LISTS, EVERY;
    /// A request does not reach the store.
    StoreRequestLost = InWindows(120), EVERYWHERE, "", EVERY;
    /// The store carries out a request, and its answer is lost.
    StoreAnswerLost = InWindows(120), EVERYWHERE, "", EVERY;
    /// The store carries out a put after the sender's timeout.
    StoreIsLate = InWindows(80), EVERYWHERE, "", EVERY;
    /// The store is down for up to a minute.
    StoreIsDown = InWindows(20), EVERYWHERE, "", EVERY;
    /// The store answers after 4 s to 6.5 s.
    StoreStalls = InWindows(80), EVERYWHERE, "", SERVICES;
    /// The store refuses a request because of a throughput limit or a temporary conflict.
    StoreThrottles = InWindows(200), EVERYWHERE, "", SERVICES;
    /// The store's answer breaks off, or a proxy answers instead.
    StoreBreaksOff = InWindows(120), EVERYWHERE, "", STATELY;
    /// The store treats every token as expired.
    TokenExpires = InWindows(60), EVERYWHERE, "", STATELY;
    /// A must-not-exist put finds an item: from another writer, or from the same writer's earlier attempt.
    StoreConflict = ByItself, &[Schedule, Check, Notify, Receive], OVERRIDES, EVERY;
    /// Slack answers 429 with a time to wait.
    SlackBusy = InWindows(400), &[Notify], SENDS, EVERY;
    /// Slack answers 5xx and has not accepted the message.
    SlackFails = InWindows(400), &[Notify], SENDS, EVERY;
    /// Slack has accepted the message, and its answer is lost.
    SlackAnswerLost = InWindows(400), &[Notify], SENDS, EVERY;
    /// Slack refuses the message's blocks.
    SlackRefuses = InWindows(300), &[Notify], SENDS, EVERY;
    /// Somebody has deleted an earlier message.
    SlackGone = InWindows(400), &[Notify], SENDS, EVERY;
    /// Slack accepts nothing until a person fixes the webhook or the bot.
    SlackDead = ByItself, &[Notify], SENDS, EVERY;
    /// The standard queue delivers a message twice.
    QueueRepeats = InWindows(300), &[Check], STANDARD, EVERY;
    /// The standard queue delays a message, so that later ones arrive first.
    QueueDelays = InWindows(300), &[Check], STANDARD, EVERY;
    /// The standard queue delivers messages in reverse order.
    QueueReorders = InWindows(500), &[Check], STANDARD, EVERY;
    /// The deletion of a handled message is lost, so it is delivered again.
    QueueRedelivers = InWindows(200), &[Check, Notify], QUEUED, EVERY;
    /// A queue refuses a message.
    QueueRefuses = InWindows(200), &[Schedule, Check, Receive], POSTS, EVERY;
    /// A queue accepts a message, and its answer is lost.
    QueueAnswerLost = InWindows(200), &[Schedule, Check, Receive], POSTS, EVERY;
    /// The scheduler is started twice for one tick.
    TickRepeats = InWindows(300), &[Schedule], TICKS, EVERY;
    /// A stage runs twice for the same subject at the same time.
    Overlap = ByItself, EVERYWHERE, "", EVERY;
    /// A stage ends at an await, and its message is delivered again.
    Crash = InWindows(25), EVERYWHERE, "", EVERY;
    /// A stage is suspended in the middle and resumes later.
    Freeze = InWindows(15), EVERYWHERE, "", EVERY;
    /// A stage makes no progress until its timeout and is ended.
    Timeout = InWindows(15), EVERYWHERE, "", EVERY;
}

impl Fault {
    /// Whether the simulation injects it, in windows of time.
    pub fn has_windows(self) -> bool {
        self.kind().comes != ByItself
    }

    /// The largest number of windows in a scenario. Slack's faults get more, because messages are rarer than requests.
    pub fn most_windows(self) -> u64 {
        match self {
            Fault::SlackBusy | Fault::SlackFails | Fault::SlackAnswerLost | Fault::SlackRefuses | Fault::SlackGone => 6,
            _ => 2,
        }
    }

    /// Whether it can occur with a store.
    pub fn is_of(self, store: StoreKind) -> bool {
        self.kind().stores.contains(&store)
    }

    /// Whether it can affect a stage.
    pub fn can_affect(self, stage: Stage) -> bool {
        self.kind().stages.contains(&stage)
    }

    /// Why it cannot affect the other stages.
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
    /// The kind of fault.
    pub fault: Fault,
    /// Start, in milliseconds since the start of the scenario.
    pub from_ms: i64,
    /// End, exclusive.
    pub until_ms: i64,
}

/// How often each kind struck each stage.
pub type Struck = BTreeMap<(Fault, Stage), u64>;

/// The windows of a scenario, and the faults that struck in them.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The windows in which faults may strike.
    pub windows: Vec<Window>,
    /// How often each kind struck each stage.
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

    /// Counts a fault that struck.
    pub fn count(&mut self, fault: Fault, stage: Stage) {
        *self.struck.entry((fault, stage)).or_default() += 1;
    }
}
