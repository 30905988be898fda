//! The events of a scenario: drawn from a seed, printed in words, and shortened when the scenario fails.

use std::fmt;
use std::ops::RangeInclusive;

use monitor_fakes::Chance;

use crate::calendar::{DAY_MS, HOUR_MS, MINUTE_MS, WEEK_HOURS};
use crate::faults::{Fault, Stage, StoreKind, Window};
use crate::jobs::{Asked, Webhook};
use crate::targets::TARGETS;

/// How long GitHub keeps a runner that does not connect.
pub const KEPT_MS: i64 = 14 * DAY_MS;
/// An event and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Milliseconds since the start of the scenario.
    pub at_ms: i64,
    /// The event.
    pub what: What,
}

/// An event. A `target` is an index in [`TARGETS`], a `runner` a name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields say what they are")]
pub enum What {
    /// A runner goes offline and is online again after a while.
    Outage { target: usize, runner: String, for_ms: i64 },
    /// A runner goes offline and online several times.
    Flaps { target: usize, runner: String, times: i64, down_ms: i64, up_ms: i64 },
    /// A runner begins or ends a job.
    Work { target: usize, runner: String },
    /// An ephemeral runner registers, works and leaves.
    Ephemeral { target: usize, for_ms: i64 },
    /// A runner is removed from GitHub. With `again_ms` it is registered again under its name.
    Remove { target: usize, runner: String, again_ms: Option<i64> },
    /// The credential loses its access to a target for a while.
    AccessLost { target: usize, for_ms: i64 },
    /// The credential is refused everywhere for a while.
    CredentialRefused { for_ms: i64 },
    /// GitHub returns other ETags from now on, as for a new token.
    TokenRenewed,
    /// The monitor does not run for a while.
    MonitorDown { for_ms: i64 },
    /// Slack accepts nothing for a while.
    SlackDead { for_ms: i64 },
    /// No notifier runs for a while; its messages wait.
    NotifierDown { for_ms: i64 },
    /// The policy's `failureThreshold` changes.
    FailureThreshold(u32),
    /// The policy's `onRemoved` changes: `true` is `alert`, `false` is `ignore`.
    AlertOnRemoved(bool),
    /// A target is added to the list or removed from it. With `again_ms` the change is undone after a while.
    Toggle { target: usize, again_ms: Option<i64> },
    /// GitHub lists no repository of any account for a while.
    RepositoriesHidden { for_ms: i64 },
    /// A person requests a check `times` times within seconds.
    Ask { target: usize, times: i64 },
    /// A person mutes runners. With `unmute_ms` the mute is removed after that time.
    Mute { scope: Muted, for_ms: i64, unmute_ms: Option<i64> },
    /// A runner has another version from now on: the one with this index in [`VERSIONS`].
    Update { target: usize, runner: String, version: usize },
    /// GitHub has an incident: it reports every runner offline for a while.
    Incident { for_ms: i64 },
    /// A runner goes offline for good. GitHub removes it 14 days later, unless it is online in between.
    Abandon { target: usize, runner: String },
    /// Jobs of one workflow ask for a runner.
    Job(Asked),
    /// Every delivery of the webhook is lost for a while; with `but_queued` not those about jobs that begin to wait.
    DeliveriesLost { but_queued: bool, for_ms: i64 },
    /// GitHub refuses to answer about single jobs for a while.
    JobsForbidden { for_ms: i64 },
    /// A person acknowledges all notified open outages of the first target, from this one on, that has any.
    Acknowledge { target: usize },
}

/// The runners that a mute covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Muted {
    /// The target. `None`: every target.
    pub target: Option<usize>,
    /// The runner's name. `None`: every runner.
    pub runner: Option<String>,
}

impl fmt::Display for Muted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.target.and_then(|target| TARGETS.get(target)).copied().unwrap_or("every target");
        write!(f, "{} of {target}", self.runner.as_deref().unwrap_or("every runner"))
    }
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
            What::Flaps { target, runner, times, down_ms, up_ms } => {
                let (down, up, target) = (minutes(down_ms), minutes(up_ms), name(target));
                write!(f, "{runner} of {target} goes offline {times} times for {down} min, with {up} min in between")
            }
            What::Work { target, runner } => write!(f, "{runner} of {} begins or ends a job", name(target)),
            What::Ephemeral { target, for_ms } => {
                write!(f, "an ephemeral runner is registered at {} for {} min", name(target), minutes(for_ms))
            }
            What::Remove { target, runner, again_ms: None } => write!(f, "{runner} of {} is removed", name(target)),
            What::Remove { target, runner, again_ms: Some(again_ms) } => {
                write!(
                    f,
                    "{runner} of {} is removed and registered again {} min later",
                    name(target),
                    minutes(again_ms)
                )
            }
            What::AccessLost { target, for_ms } => {
                write!(f, "the credential has no access to {} for {} min", name(target), minutes(for_ms))
            }
            What::CredentialRefused { for_ms } => write!(f, "the credential is refused for {} min", minutes(for_ms)),
            What::TokenRenewed => write!(f, "the token is renewed"),
            What::MonitorDown { for_ms } => write!(f, "the monitor is down for {} min", minutes(for_ms)),
            What::SlackDead { for_ms } => write!(f, "Slack accepts nothing for {} min", minutes(for_ms)),
            What::NotifierDown { for_ms } => write!(f, "no notifier runs for {} min", minutes(for_ms)),
            What::FailureThreshold(failure_threshold) => {
                write!(f, "the policy's failureThreshold becomes {failure_threshold}")
            }
            What::AlertOnRemoved(true) => write!(f, "the policy's onRemoved becomes alert"),
            What::AlertOnRemoved(false) => write!(f, "the policy's onRemoved becomes ignore"),
            What::Toggle { target, again_ms: None } => {
                write!(f, "{} is added to the list or removed from it", name(target))
            }
            What::Toggle { target, again_ms: Some(again_ms) } => {
                write!(f, "{} is added to the list or removed from it for {} min", name(target), minutes(again_ms))
            }
            What::RepositoriesHidden { for_ms } => {
                write!(f, "GitHub lists no repositories of any account for {} min", minutes(for_ms))
            }
            What::Ask { target, times } => write!(f, "somebody requests a check of {} {times} times", name(target)),
            What::Mute { scope, for_ms, unmute_ms: None } => {
                write!(f, "somebody mutes {scope} for {} min", minutes(for_ms))
            }
            What::Mute { scope, for_ms, unmute_ms: Some(unmute_ms) } => {
                let (long, early) = (minutes(for_ms), minutes(unmute_ms));
                write!(f, "somebody mutes {scope} for {long} min and unmutes it after {early} min")
            }
            What::Update { target, runner, version } => {
                write!(f, "{runner} of {} has version {}", name(target), VERSIONS[*version])
            }
            What::Abandon { target, runner } => write!(f, "{runner} of {} goes offline for good", name(target)),
            What::Job(asked) => write!(f, "{asked}"),
            What::DeliveriesLost { but_queued, for_ms } => {
                let which = if *but_queued { "except those of waiting jobs " } else { "" };
                write!(f, "deliveries are lost {which}for {} min", minutes(for_ms))
            }
            What::JobsForbidden { for_ms } => write!(f, "GitHub answers about no job for {} min", minutes(for_ms)),
            What::Incident { for_ms } => write!(f, "GitHub reports every runner offline for {} min", minutes(for_ms)),
            What::Acknowledge { target } => {
                write!(
                    f,
                    "somebody acknowledges the open outages of {}, or of the next target that has any",
                    name(target)
                )
            }
        }
    }
}

/// The versions of the runner in a scenario with foresight.
pub const VERSIONS: [&str; 4] = ["2.335.0", "2.336.0", "2.337.0", "2.338.0"];

/// What GitHub names as the end of each version: from a time on, an end or none. Empty for a version that GitHub does
/// not list.
pub type VersionEnds = [Vec<(i64, Option<i64>)>; VERSIONS.len()];

/// A scenario: its events, and the windows in which faults may strike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The seed from which everything else is drawn.
    pub seed: u64,
    /// Its length in hours.
    pub hours: i64,
    /// The store that it uses.
    pub store: StoreKind,
    /// Whether Slack is reached by a bot, whose messages are edited and replied to, or by a webhook.
    pub is_bot: bool,
    /// The events, in order of time.
    pub operations: Vec<Operation>,
    /// The windows in which faults may strike.
    pub windows: Vec<Window>,
    /// The awaits, counted over all stages, at which the running stage is ended.
    pub crashes: Vec<u64>,
    /// The ends of versions. `None`: GitHub is an Enterprise Server, which names none.
    pub version_ends: Option<VersionEnds>,
    /// Whether the policy has a pool over the credential.
    pub has_pool_over_credential: bool,
    /// When the policy's weekly report is due: hours after the start of the scenario, modulo a week.
    pub report: Option<i64>,
    /// The webhook for workflow jobs; `None` if jobs are not monitored.
    pub webhook: Option<Webhook>,
}

/// Seeds that were kept before there was a pool over the credential: they play what they were kept for.
const KEPT_WITHOUT_POOLS: RangeInclusive<u64> = 601..=20_284_999_999;

/// The calm time at the end of a scenario: no fault, and no new event.
pub const CALM_MS: i64 = 4 * HOUR_MS;
/// How far an outage may last into the calm time: outages must be detected and notified there too.
const LINGERS_MS: i64 = 90 * MINUTE_MS;

impl Scenario {
    /// Draws a scenario.
    pub fn draw(seed: u64, hours: i64, store: StoreKind) -> Self {
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
        // A third of the scenarios has no fault at all, so the model is strict. The others have half of the kinds.
        if chance.below(3) > 0 {
            for fault in Fault::ALL.iter().copied().filter(|fault| fault.has_windows()) {
                let how_many = if chance.below(2) > 0 { 1 + chance.below(fault.most_windows()) } else { 0 };
                for _ in 0..how_many {
                    let from_ms = moment(&mut chance);
                    let length_ms = minutes(5, 115, &mut chance);
                    if fault.is_of(store) {
                        windows.push(Window { fault, from_ms, until_ms: (from_ms + length_ms).min(busy_ms) });
                    }
                }
            }
        }
        // Drawn last, so that the rest of a seed's scenario does not depend on it.
        let is_bot = chance.below(2) > 0;
        draw_people(&mut chance, &mut operations, &windows, busy_ms);
        if chance.below(3) == 0 {
            draw_flapping_that_lasts(&mut chance, &mut operations, busy_ms);
        }
        draw_crossings(&mut Chance::new(seed ^ 0xc055), &mut operations, busy_ms);
        draw_notifier_down(&mut Chance::new(seed ^ 0x0717), &mut operations, busy_ms);
        operations.sort_by_key(|operation| operation.at_ms);
        Self {
            seed,
            hours,
            store,
            is_bot,
            operations,
            windows,
            crashes: Vec::new(),
            version_ends: None,
            has_pool_over_credential: !KEPT_WITHOUT_POOLS.contains(&seed) && Chance::new(seed ^ 0x9001).below(6) == 0,
            report: None,
            webhook: None,
        }
    }

    /// The same scenario on github.com: with versions that end or change, runners that update themselves, and, if it is
    /// long enough, runners that GitHub removes.
    #[must_use]
    pub fn with_foresight(mut self) -> Self {
        let chance = &mut Chance::new(self.seed ^ 0xf0e5);
        let busy_ms = (self.hours * HOUR_MS - CALM_MS).max(HOUR_MS);
        let moment = |chance: &mut Chance| i64::try_from(chance.below(busy_ms.unsigned_abs())).unwrap_or(0);
        self.version_ends = Some(std::array::from_fn(|_| {
            if chance.below(6) == 0 {
                return Vec::new();
            }
            // Near one of the stages, or at any time.
            let draw = |chance: &mut Chance| {
                let stage_ms = [0, 1, 7, 21][usize::try_from(chance.below(4)).unwrap_or(0)] * DAY_MS;
                (chance.below(6) > 0).then(|| stage_ms + moment(chance) - 2 * HOUR_MS)
            };
            let mut ends = vec![(0, draw(chance))];
            if chance.below(3) == 0 {
                ends.push((moment(chance), draw(chance)));
            }
            ends
        }));
        for _ in 0..chance.below(12) {
            let target = usize::try_from(chance.below(TARGETS.len() as u64)).unwrap_or(0);
            let runner = format!("runner-{}", 1 + chance.below(5));
            let at_ms = moment(chance);
            let version = usize::try_from(chance.below(VERSIONS.len() as u64)).unwrap_or(0);
            self.operations.push(Operation { at_ms, what: What::Update { target, runner, version } });
        }
        if busy_ms > 16 * DAY_MS {
            for number in 0..3 {
                let at_ms = i64::try_from(chance.below((busy_ms - 15 * DAY_MS).unsigned_abs())).unwrap_or(0);
                let runner = format!("runner-{}", 1 + chance.below(5));
                self.operations.push(Operation { at_ms, what: What::Abandon { target: number, runner } });
            }
        }
        self.operations.sort_by_key(|operation| operation.at_ms);
        let chance = &mut Chance::new(self.seed ^ 0x3ee7);
        let hours = (busy_ms / HOUR_MS).clamp(1, WEEK_HOURS).unsigned_abs();
        for _ in 0..chance.below(2) {
            let at_ms = moment(chance);
            let for_ms = minutes(40, 60, chance).min(busy_ms - at_ms);
            self.operations.push(Operation { at_ms, what: What::Incident { for_ms } });
        }
        self.operations.sort_by_key(|operation| operation.at_ms);
        self.report = (chance.below(3) > 0).then(|| i64::try_from(chance.below(hours)).unwrap_or(0));
        self
    }

    /// A short scenario with one event of each important kind, for ending a stage at each of its awaits.
    pub fn short(store: StoreKind) -> Self {
        let minute = |minute: i64, what| Operation { at_ms: minute * MINUTE_MS + 20_000, what };
        let (target, runner) = (0, "runner-1".to_owned());
        let muted = Muted { target: Some(target), runner: Some("runner-4".to_owned()) };
        let operations = vec![
            minute(7, What::Outage { target, runner, for_ms: 12 * MINUTE_MS }),
            minute(8, What::Outage { target, runner: "runner-2".to_owned(), for_ms: 4 * MINUTE_MS }),
            minute(9, What::Remove { target: 1, runner: "runner-3".to_owned(), again_ms: None }),
            minute(14, What::Acknowledge { target }),
            minute(20, What::Mute { scope: muted, for_ms: 9 * MINUTE_MS, unmute_ms: None }),
            minute(21, What::Outage { target, runner: "runner-4".to_owned(), for_ms: 12 * MINUTE_MS }),
        ];
        Self {
            seed: 7,
            hours: 1,
            store,
            is_bot: true,
            operations,
            windows: Vec::new(),
            crashes: Vec::new(),
            version_ends: None,
            has_pool_over_credential: false,
            report: None,
            webhook: None,
        }
    }
}

/// People's commands: mostly about an outage, sometimes within a window of faults.
fn draw_people(chance: &mut Chance, operations: &mut Vec<Operation>, windows: &[Window], busy_ms: i64) {
    let mut asked = Vec::new();
    for Operation { at_ms, what } in operations.iter() {
        let (What::Outage { target, runner, .. } | What::Flaps { target, runner, .. }) = what else { continue };
        let left_ms = busy_ms - at_ms;
        let within = |ms: i64| ms.min(left_ms).max(0);
        match chance.below(10) {
            0..3 => {
                let target = (chance.below(8) > 0).then_some(*target);
                let runner = (target.is_none() || chance.below(3) > 0).then(|| runner.clone());
                let for_ms = within(minutes(5, 150, chance)).max(MINUTE_MS);
                let unmute_ms = (chance.below(3) == 0).then(|| minutes(1, 60, chance).min(for_ms));
                let before_ms = minutes(-6, 16, chance);
                let what = What::Mute { scope: Muted { target, runner }, for_ms, unmute_ms };
                asked.push(Operation { at_ms: (at_ms - before_ms).clamp(0, busy_ms), what });
            }
            3..5 => {
                let after_ms = minutes(6, 90, chance);
                asked.push(Operation { at_ms: at_ms + within(after_ms), what: What::Acknowledge { target: *target } });
            }
            _ => {}
        }
    }
    let of_respond: Vec<&Window> = windows.iter().filter(|window| window.fault.can_affect(Stage::Respond)).collect();
    for _ in 0..if of_respond.is_empty() { 0 } else { 5 } {
        let window = of_respond[usize::try_from(chance.below(of_respond.len() as u64)).unwrap_or(0)];
        let length_ms = (window.until_ms - window.from_ms).max(1).unsigned_abs();
        let at_ms = window.from_ms + i64::try_from(chance.below(length_ms)).unwrap_or(0);
        let runner = Some(format!("runner-{}", 1 + chance.below(5)));
        let target = Some(usize::try_from(chance.below(TARGETS.len() as u64)).unwrap_or(0));
        let for_ms = minutes(5, 20, chance);
        let unmute_ms = (chance.below(3) == 0).then(|| minutes(1, 5, chance).min(for_ms));
        asked.push(Operation { at_ms, what: What::Mute { scope: Muted { target, runner }, for_ms, unmute_ms } });
    }
    operations.append(&mut asked);
}

/// A runner that flaps and then stays offline. That is rare at random.
fn draw_flapping_that_lasts(chance: &mut Chance, operations: &mut Vec<Operation>, busy_ms: i64) {
    let (down_ms, up_ms) = (minutes(7, 4, chance), minutes(5, 4, chance));
    let (times, lasting_ms) = (2, minutes(60, 40, chance));
    let left_ms = busy_ms - times * (down_ms + up_ms) - lasting_ms;
    if left_ms <= 0 {
        return;
    }
    let at_ms = i64::try_from(chance.below(left_ms.unsigned_abs())).unwrap_or(0);
    let target = usize::try_from(chance.below(TARGETS.len() as u64)).unwrap_or(0);
    let runner = format!("runner-{}", 1 + chance.below(5));
    let stays_ms = at_ms + times * (down_ms + up_ms);
    let flaps = What::Flaps { target, runner: runner.clone(), times, down_ms, up_ms };
    operations.push(Operation { at_ms, what: flaps });
    operations.push(Operation { at_ms: stays_ms, what: What::Outage { target, runner, for_ms: lasting_ms } });
}

/// A long outage of Slack in which states change and reverse, so that one message covers all of it. Rare at random.
fn draw_crossings(chance: &mut Chance, operations: &mut Vec<Operation>, busy_ms: i64) {
    const BEFORE_MS: i64 = 80 * MINUTE_MS;
    let kind = chance.below(5);
    // Between the second reminder of the one and the second of the other.
    let for_ms = if kind == 4 { minutes(72, 10, chance) } else { minutes(150, 60, chance) };
    let left_ms = busy_ms - BEFORE_MS - for_ms - 2 * HOUR_MS;
    if left_ms <= 0 || chance.below(4) > 0 {
        return;
    }
    let dead_ms = BEFORE_MS + i64::try_from(chance.below(left_ms.unsigned_abs())).unwrap_or(0);
    let place = |chance: &mut Chance| usize::try_from(chance.below(TARGETS.len() as u64 - 1)).unwrap_or(0);
    let mut add = |after_ms: i64, what| operations.push(Operation { at_ms: dead_ms + after_ms, what });
    add(0, What::SlackDead { for_ms });
    let runner = |number: u64| format!("runner-{number}");
    let (target, other) = (place(chance), place(chance));
    match kind {
        0 => {
            let (down_ms, up_ms) = (minutes(7, 4, chance), minutes(5, 4, chance));
            let flaps = What::Flaps { target, runner: runner(1), times: 4, down_ms, up_ms };
            add(minutes(5, 10, chance), flaps);
        }
        1 => {
            let again_ms = Some(minutes(12, 20, chance));
            add(minutes(5, 10, chance), What::Remove { target, runner: runner(2), again_ms });
            if chance.below(2) > 0 {
                add(minutes(55, 20, chance), What::Remove { target, runner: runner(2), again_ms: None });
            }
        }
        2 => {
            add(minutes(-40, 5, chance), What::Outage { target, runner: runner(3), for_ms: minutes(60, 30, chance) });
            add(minutes(5, 10, chance), What::Toggle { target, again_ms: Some(minutes(12, 20, chance)) });
        }
        3 => {
            add(minutes(5, 10, chance), What::AccessLost { target, for_ms: minutes(25, 10, chance) });
            add(minutes(55, 10, chance), What::AccessLost { target, for_ms: minutes(25, 10, chance) });
        }
        _ => {
            // The second reminder of one and the first of the other.
            add(minutes(-72, 4, chance), What::Outage { target: other, runner: runner(4), for_ms: 4 * HOUR_MS });
            add(minutes(-18, 5, chance), What::Outage { target: other, runner: runner(5), for_ms: 4 * HOUR_MS });
        }
    }
}

/// A time without any notifier, up to most of a day.
fn draw_notifier_down(chance: &mut Chance, operations: &mut Vec<Operation>, busy_ms: i64) {
    if chance.below(12) > 0 {
        return;
    }
    let at_ms = i64::try_from(chance.below(busy_ms.unsigned_abs())).unwrap_or(0);
    let for_ms = minutes(10, 1_200, chance).min(busy_ms - at_ms);
    operations.push(Operation { at_ms, what: What::NotifierDown { for_ms } });
}

/// A random duration of at least `least` minutes and less than `least + most`, in whole seconds.
pub(crate) fn minutes(least: i64, most: u64, chance: &mut Chance) -> i64 {
    least * MINUTE_MS + i64::try_from(chance.below(most * 60)).unwrap_or(0) * 1_000
}

fn draw_what(chance: &mut Chance, left_ms: i64) -> What {
    let target = usize::try_from(chance.below(TARGETS.len() as u64)).unwrap_or(0);
    let runner = format!("runner-{}", 1 + chance.below(5));
    let short = minutes(1, 40, chance).min(left_ms + LINGERS_MS);
    let long = minutes(1, 240, chance);
    let lingering = long.min(left_ms + LINGERS_MS);
    let long = long.min(left_ms);
    let span = short.min(left_ms);
    match chance.below(1_000) {
        0..290 => What::Outage { target, runner, for_ms: short },
        290..380 => What::Outage { target, runner, for_ms: lingering },
        380..420 => {
            let (down_ms, up_ms) = (minutes(1, 14, chance), minutes(1, 24, chance));
            let fitting = left_ms / (down_ms + up_ms);
            let times = (2 + i64::try_from(chance.below(5)).unwrap_or(0)).min(fitting.max(1));
            What::Flaps { target, runner, times, down_ms, up_ms }
        }
        420..570 => What::Work { target, runner },
        570..630 => What::Ephemeral { target, for_ms: span },
        630..670 => What::Remove { target, runner, again_ms: None },
        670..700 => What::Remove { target, runner, again_ms: Some(0) },
        700..740 => What::Remove { target, runner, again_ms: Some(short) },
        740..780 => What::AccessLost { target, for_ms: long },
        780..810 => What::CredentialRefused { for_ms: span },
        810..830 => What::TokenRenewed,
        830..855 => What::MonitorDown { for_ms: long },
        // Until the calm time, up to a day.
        855..858 => What::SlackDead { for_ms: left_ms },
        858..875 => What::SlackDead { for_ms: long },
        875..890 => What::FailureThreshold(2 + u32::try_from(chance.below(3)).unwrap_or(0)),
        890..900 => What::AlertOnRemoved(chance.below(2) > 0),
        900..915 => What::Toggle { target, again_ms: None },
        915..930 => What::Toggle { target, again_ms: Some(span) },
        930..940 => What::RepositoriesHidden { for_ms: span },
        _ => What::Ask { target, times: 1 + i64::try_from(chance.below(4)).unwrap_or(0) },
    }
}
