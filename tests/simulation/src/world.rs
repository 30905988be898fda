//! The true state of GitHub, its answers, and the messages that Slack accepted, with their history.

use std::collections::{BTreeMap, VecDeque};

use monitor_domain::notifications::Notification;
use monitor_domain::observation::{ObservedPage, ObservedRunner, PageTag};
use monitor_domain::outage::{Outage, OutageId};
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::scope::Scope;
use monitor_domain::subject::Subject;
use monitor_domain::target::TargetId;
use monitor_pipeline::items::{Acknowledgement, Item, JobItem, Mute as ItemMute};
use monitor_pipeline::keys::{Key, Put};

use crate::calendar::{INTERVAL_MS, MINUTE_MS, scenario_ms};
use crate::jobs::{Jobs, RARE_LABEL, Webhook};
use crate::operations::{KEPT_MS, VERSIONS, VersionEnds};
use crate::targets::{FOUND, TARGETS, place_of};

/// The largest age of a stale answer.
pub const STALE_MS: i64 = 3 * MINUTE_MS;
/// The number of permanent runners of a target. Their names are `runner-1` and so on.
pub const RUNNERS: usize = 5;

/// The label of the permanent runners.
pub const POOL_LABEL: &str = "fixed";
/// How many of them must be online.
pub const POOL_MINIMUM: u32 = 4;

/// Labels that only the permanent runners have together, for a pool over the credential.
pub const CREDENTIAL_POOL_LABELS: &str = "self-hosted,fixed";
/// How many permanent runners of all targets on the list must be online.
pub const CREDENTIAL_POOL_MINIMUM: u32 = 14;

/// The true state of a runner.
#[derive(Clone, Debug)]
pub struct TrueRunner {
    /// Its id on GitHub.
    pub id: u64,
    /// The name under which it is registered.
    pub name: String,
    /// Whether GitHub reports it online.
    pub online: bool,
    /// Whether it runs a job.
    pub busy: bool,
    /// Whether it leaves after its job.
    pub ephemeral: bool,
    /// Its version.
    pub version: &'static str,
    /// Its labels.
    pub labels: Vec<&'static str>,
}

/// The version of a name's registration at a target, from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrueVersion {
    /// Since when.
    pub from_ms: i64,
    /// The id of the registration; `None` if the name is not registered.
    pub id: Option<u64>,
    /// The version.
    pub version: &'static str,
}

/// A question about the end of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedVersion {
    /// When it was asked.
    pub at_ms: i64,
    /// The version.
    pub version: String,
    /// The end that GitHub named, if it answered and named one.
    pub ends_ms: Option<i64>,
    /// Whether GitHub answered.
    pub is_answered: bool,
}

/// The true state of a runner's name at a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// Online.
    Online,
    /// Offline.
    Offline,
    /// Not registered.
    Absent,
}

/// GitHub's answer to a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Every page. Each permanent runner has a bit.
    List {
        /// Listed as online.
        online: u8,
        /// Listed as offline.
        offline: u8,
        /// Left out although it is registered: its reading depends on the lookup by its id.
        slipped: u8,
    },
    /// An error that concerns this target only.
    Refused,
    /// An error that all targets of the credential share.
    Unserved,
}

/// A check of a target in GitHub's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedCheck {
    /// When the check sent its request.
    pub at_ms: i64,
    /// When the check had the answer.
    pub until_ms: i64,
    /// The number of the task that ran the check.
    pub task: u64,
    /// GitHub's answer.
    pub answered: Answered,
}

impl SimulatedCheck {
    /// When the check failed, if it counts as failed: at its end if it took longer than an interval.
    pub fn failed_ms(&self, is_shared: bool) -> Option<i64> {
        let is_late = self.until_ms - self.at_ms > INTERVAL_MS;
        let fails = match self.answered {
            Answered::List { .. } => is_late,
            Answered::Refused => !is_shared,
            Answered::Unserved => true,
        };
        fails.then_some(if is_late { self.until_ms } else { self.at_ms })
    }
}

/// A message that Slack accepted.
#[derive(Clone, Debug)]
pub struct Taken {
    /// When Slack accepted it.
    pub at_ms: i64,
    /// Its content.
    pub notification: Notification,
    /// Whether the sender got the answer.
    pub answered: bool,
    /// The number of the message in whose thread it is.
    pub thread: Option<usize>,
    /// The outages that it reported as newly open, as it shows them after the last edit.
    pub shown: Vec<Outage>,
    /// Whether somebody has deleted it.
    pub is_gone: bool,
    /// Why it can never be edited again.
    pub trouble: Option<Trouble>,
    /// Why its last edit was not made.
    pub abandoned: Option<Abandoned>,
}

/// A permanent fault of edits of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Edits with blocks are refused.
    TakesNoBlocks,
    /// Edits are refused in every form.
    TakesNothing,
    /// Edits fail with an error that could be temporary.
    Fails,
}

/// Why an edit of a message was abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// Slack was dead.
    Dead,
    /// Slack refused the edit as plain text too.
    Refused,
    /// The edit failed at this time, in milliseconds since the start of the scenario. A later attempt abandons it.
    Failed(i64),
}

/// An answer of Slack with a time to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The subject whose notifier must wait.
    pub subject: Subject,
    /// When Slack answered.
    pub at_ms: i64,
    /// The end of the wait.
    pub until_ms: i64,
}

/// A mute as it was stored.
#[derive(Clone, Debug)]
pub struct Mute {
    number: u64,
    target: Option<usize>,
    runner: Option<String>,
    /// When it was stored.
    pub from_ms: i64,
    /// When it ends by itself.
    pub until_ms: i64,
    /// When it was removed or replaced by another.
    pub ended_ms: Option<i64>,
}

impl Mute {
    /// Whether it covers a runner.
    pub fn covers(&self, place: usize, name: &str) -> bool {
        self.target.is_none_or(|target| target == place) && self.runner.as_deref().is_none_or(|runner| runner == name)
    }
}

/// A put or a deletion whose time matters.
#[derive(Clone, Debug)]
pub enum Noted {
    /// A commit, or the result of an attempt to send.
    Record(Key),
    /// An outage.
    Outage(TargetId, Box<Outage>),
    /// A mute.
    Muted(ItemMute),
    /// An acknowledgement.
    Acknowledged(Acknowledgement),
    /// A removed mute.
    Unmuted(u64),
    /// A workflow job.
    Job(Box<JobItem>),
}

impl Noted {
    /// The items of a put whose time matters.
    pub fn of_puts(puts: &[Put]) -> Vec<Self> {
        let noted = |put: &Put| match &put.item {
            Item::Sent(_) | Item::Change(_) => Some(Self::Record(put.item.key())),
            Item::Outage(item) => Some(Self::Outage(item.target.clone(), Box::new(item.outage.clone()))),
            Item::Mute(mute) => Some(Self::Muted(mute.clone())),
            Item::Acknowledgement(item) => Some(Self::Acknowledged(item.clone())),
            Item::Job(item) => Some(Self::Job(Box::new(item.clone()))),
            _ => None,
        };
        puts.iter().filter_map(noted).collect()
    }

    /// The keys of a deletion whose time matters.
    pub fn of_keys(keys: &[Key]) -> Vec<Self> {
        keys.iter()
            .filter_map(|key| if let Key::Mute(number) = key { Some(Self::Unmuted(*number)) } else { None })
            .collect()
    }
}

/// The policy settings that change within a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `failureThreshold`: how many unhealthy readings confirm an outage.
    pub failure_threshold: u32,
    /// `onRemoved`: whether a removed runner is notified.
    pub alert_on_removed: bool,
    /// Whether `pools` has one of the permanent runners, of which [`POOL_MINIMUM`] must be online.
    pub has_pool: bool,
    /// Whether `pools` has one over the credential, of which [`CREDENTIAL_POOL_MINIMUM`] must be online.
    pub has_pool_over_credential: bool,
    /// `report`: the day and the hour, if there is one.
    pub report: Option<(usize, i64)>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            failure_threshold: 3,
            alert_on_removed: true,
            has_pool: false,
            has_pool_over_credential: false,
            report: None,
        }
    }
}

/// The state of GitHub and Slack, with its history.
#[derive(Clone, Debug, Default)]
pub struct World {
    runners: [Vec<TrueRunner>; TARGETS.len()],
    /// Until when the credential has no access to a target.
    pub no_access_until_ms: [i64; TARGETS.len()],
    /// Until when the credential is refused.
    pub refused_until_ms: i64,
    /// Until when GitHub rate-limits the credential.
    pub limited_until_ms: i64,
    /// Until when GitHub lists no repository of the account.
    pub hidden_until_ms: i64,
    /// Until when the monitor does not run.
    pub down_until_ms: i64,
    /// Until when Slack accepts nothing.
    pub slack_dead_until_ms: i64,
    /// Until when the store is down.
    pub store_down_until_ms: i64,
    /// Until when no notifier runs.
    pub notifier_down_until_ms: i64,
    /// Which targets are on the list. For a target that is found by its account: whether it exists.
    pub watched: [bool; TARGETS.len()],
    /// Every list of targets, with its start.
    pub listed_history: Vec<(i64, [bool; TARGETS.len()])>,
    /// The current policy.
    pub rules: Rules,
    /// Every policy, with its start.
    pub rules_history: Vec<(i64, Rules)>,
    /// Changes when the token is renewed.
    pub token: u32,
    next_id: u64,
    /// The ends of versions; `None` on an Enterprise Server.
    pub version_ends: Option<VersionEnds>,
    /// The versions of each runner's name at each target.
    pub versions: BTreeMap<(usize, String), Vec<TrueVersion>>,
    /// Every question about a version, in order.
    pub asked_versions: Vec<AskedVersion>,
    /// The workflow jobs.
    pub jobs: Jobs,
    /// The runners that GitHub removed, and when.
    pub expired: Vec<(usize, String, i64)>,
    /// When each registration that no longer exists was removed.
    pub unregistered_ms: BTreeMap<u64, i64>,
    /// The true states of each runner's name at each target, with their start.
    pub history: BTreeMap<(usize, String), Vec<(i64, Truth)>>,
    /// Past states, for stale answers.
    past: VecDeque<(i64, [Vec<TrueRunner>; TARGETS.len()])>,
    /// When each runner was last listed as offline although it was online. That never happens twice in a row.
    lied_at_ms: BTreeMap<(usize, String), i64>,
    /// The checks of each target, in order of their answers.
    pub checks: [Vec<SimulatedCheck>; TARGETS.len()],
    /// The start and end of each successful tick.
    pub ticks_ms: Vec<(i64, i64)>,
    /// When each request for an account's repositories ended, and whether GitHub answered it.
    pub resolved: Vec<(i64, bool)>,
    /// The messages that Slack accepted, in order.
    pub taken: Vec<Taken>,
    /// When each commit, and each result of an attempt to send, was first stored.
    pub stored_ms: BTreeMap<Key, i64>,
    /// Each put of an outage, in order, with its time.
    pub recorded: Vec<(i64, TargetId, Outage)>,
    /// Every mute.
    pub mutes: Vec<Mute>,
    /// When each acknowledgement was first stored.
    pub acknowledged_ms: BTreeMap<(TargetId, RunnerId, OutageId), i64>,
    /// Slack's answers with a time to wait.
    pub busy: Vec<Busy>,
    /// Requests that were sent before the end of such a wait, and when.
    pub hasty: Vec<(Busy, i64)>,
    /// When a request about a subject found Slack dead.
    pub deaths: Vec<(Subject, i64)>,
    /// Failed edits of messages that can never be edited: the target and the time.
    pub failed_edits: Vec<(Option<usize>, i64)>,
    /// Outages that an edit showed as open after another had shown them as ended.
    pub reopened: Vec<Outage>,
}

impl World {
    /// Creates five online runners at each target.
    pub fn new() -> Self {
        let mut world = Self { next_id: 1, ..Self::default() };
        world.watched = [true, true, true, false];
        world.set_rules(0, Rules::default());
        world.note_listed(0);
        for target in 0..TARGETS.len() {
            for number in 1..=RUNNERS {
                world.register(0, target, format!("runner-{number}"), false);
            }
        }
        world
    }

    /// Sets the policy.
    pub fn set_rules(&mut self, now_ms: i64, rules: Rules) {
        self.rules = rules;
        self.rules_history.push((now_ms, rules));
    }

    /// Adds the current list of targets to the history.
    pub fn note_listed(&mut self, now_ms: i64) {
        let mut listed = self.watched;
        listed[FOUND] &= self.hidden_until_ms <= now_ms;
        self.listed_history.push((now_ms, listed));
    }

    /// Registers a runner, online.
    pub fn register(&mut self, now_ms: i64, target: usize, name: String, ephemeral: bool) {
        if self.runners[target].iter().any(|runner| runner.name == name) {
            return;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.note(now_ms, target, &name, Truth::Online);
        let version = self.version_of_new(id);
        self.note_version(now_ms, target, &name, Some(id), version);
        let labels = self.labels_of(&name);
        self.runners[target].push(TrueRunner { id, name, online: true, busy: ephemeral, ephemeral, version, labels });
    }

    fn labels_of(&self, name: &str) -> Vec<&'static str> {
        let is_rare = self.jobs.webhook.is_some() && ["runner-1", "runner-2"].contains(&name);
        let own = bit_of(name).map(|_| POOL_LABEL).into_iter().chain(is_rare.then_some(RARE_LABEL));
        std::iter::once("self-hosted").chain(own).collect()
    }

    /// Makes GitHub report jobs, and gives some runners a label of their own.
    pub fn set_webhook(&mut self, webhook: Option<Webhook>) {
        self.jobs.webhook = webhook;
        for target in 0..TARGETS.len() {
            for index in 0..self.runners[target].len() {
                self.runners[target][index].labels = self.labels_of(&self.runners[target][index].name);
            }
        }
    }

    fn version_of_new(&self, id: u64) -> &'static str {
        let index = usize::try_from(id % 4).unwrap_or(0);
        if self.version_ends.is_some() { VERSIONS[index] } else { "2.331.0" }
    }

    fn note_version(&mut self, from_ms: i64, target: usize, name: &str, id: Option<u64>, version: &'static str) {
        self.versions.entry((target, name.to_owned())).or_default().push(TrueVersion { from_ms, id, version });
    }

    /// Makes GitHub one that names the ends of versions.
    pub fn set_version_ends(&mut self, version_ends: Option<VersionEnds>) {
        self.version_ends = version_ends;
        if self.version_ends.is_some() {
            self.set_rules(0, Rules { has_pool: true, ..self.rules });
        }
        self.versions.clear();
        for target in 0..TARGETS.len() {
            for index in 0..self.runners[target].len() {
                let version = self.version_of_new(self.runners[target][index].id);
                let runner = &mut self.runners[target][index];
                runner.version = version;
                let (id, name) = (runner.id, runner.name.clone());
                self.note_version(0, target, &name, Some(id), version);
            }
        }
    }

    /// Gives a runner another version, if it is registered and online.
    pub fn update(&mut self, now_ms: i64, target: usize, name: &str, version: usize) {
        let is_meant = |runner: &&mut TrueRunner| runner.name == name && runner.online;
        let Some(runner) = self.runners[target].iter_mut().find(is_meant) else { return };
        runner.version = VERSIONS[version];
        let id = runner.id;
        self.note_version(now_ms, target, name, Some(id), VERSIONS[version]);
    }

    /// Removes the runners that have been offline for as long as GitHub keeps them.
    pub fn expire(&mut self, now_ms: i64) {
        let is_over = |history: &[(i64, Truth)]| {
            let last = history.last();
            last.is_some_and(|(from_ms, truth)| *truth == Truth::Offline && now_ms - from_ms >= KEPT_MS)
        };
        let over = self.history.iter().filter(|(_, history)| is_over(history)).map(|(key, _)| key.clone());
        for (target, name) in over.collect::<Vec<_>>() {
            self.remove(now_ms, target, &name);
            self.expired.push((target, name, now_ms));
        }
    }

    /// The end that GitHub names for a version now. `None`: GitHub does not list the version.
    pub fn end_of_version(&self, version: &str, now_ms: i64) -> Option<Option<i64>> {
        let index = VERSIONS.iter().position(|known| *known == version)?;
        let ends = &self.version_ends.as_ref()?[index];
        ends.iter().rev().find(|(from_ms, _)| *from_ms <= now_ms).map(|(_, end)| *end)
    }

    fn note(&mut self, now_ms: i64, target: usize, name: &str, truth: Truth) {
        let history = self.history.entry((target, name.to_owned())).or_default();
        if history.last().is_none_or(|(_, last)| *last != truth) {
            history.push((now_ms, truth));
        }
    }

    /// Changes a runner, if it is registered.
    pub fn alter(&mut self, now_ms: i64, target: usize, name: &str, alter: impl FnOnce(&mut TrueRunner)) {
        let Some(runner) = self.runners[target].iter_mut().find(|runner| runner.name == name) else { return };
        alter(runner);
        let truth = if runner.online { Truth::Online } else { Truth::Offline };
        self.note(now_ms, target, name, truth);
    }

    /// Removes a runner. Returns whether it was registered.
    pub fn remove(&mut self, now_ms: i64, target: usize, name: &str) -> bool {
        let before = self.runners[target].len();
        let leaving = self.runners[target].iter().filter(|runner| runner.name == name);
        self.unregistered_ms.extend(leaving.map(|runner| (runner.id, now_ms)));
        self.runners[target].retain(|runner| runner.name != name);
        let was_there = self.runners[target].len() < before;
        if was_there {
            self.note(now_ms, target, name, Truth::Absent);
            self.note_version(now_ms, target, name, None, "");
        }
        was_there
    }

    /// The true runners of a target.
    pub fn runners(&self, target: usize) -> &[TrueRunner] {
        &self.runners[target]
    }

    /// Keeps the current state for stale answers.
    pub fn remember(&mut self, now_ms: i64) {
        self.past.push_back((now_ms, self.runners.clone()));
        while self.past.front().is_some_and(|(at_ms, _)| *at_ms < now_ms - 2 * STALE_MS) {
            self.past.pop_front();
        }
    }

    /// A target's runners as GitHub lists them.
    pub fn listed(&self, target: usize) -> Vec<ObservedRunner> {
        self.runners[target].iter().map(observed).collect()
    }

    /// A target's runners as they were some minutes ago.
    pub fn listed_stale(&self, target: usize, now_ms: i64) -> Vec<ObservedRunner> {
        let then = self.past.iter().find(|(at_ms, _)| *at_ms >= now_ms - STALE_MS);
        then.map_or_else(|| self.listed(target), |(_, runners)| runners[target].iter().map(observed).collect())
    }

    /// Whether a runner may be listed as offline although it is online.
    pub fn may_lie(&mut self, target: usize, name: &str, now_ms: i64) -> bool {
        let last = self.lied_at_ms.insert((target, name.to_owned()), now_ms);
        last.is_none_or(|last| now_ms - last > 30 * MINUTE_MS)
    }

    /// A list as an entry of GitHub's log.
    pub fn list_of(runners: &[ObservedRunner], slipped: Option<&str>) -> Answered {
        let bits = |is_meant: &dyn Fn(&ObservedRunner) -> bool| {
            runners.iter().filter(|runner| is_meant(runner)).filter_map(|runner| bit_of(&runner.name)).sum()
        };
        Answered::List {
            online: bits(&|runner| runner.status.is_healthy()),
            offline: bits(&|runner| !runner.status.is_healthy()),
            slipped: slipped.and_then(bit_of).unwrap_or(0),
        }
    }

    /// Notes the time of puts and deletions.
    pub fn stored(&mut self, now_ms: i64, noted: Vec<Noted>) {
        for noted in noted {
            match noted {
                Noted::Record(key) => _ = self.stored_ms.entry(key).or_insert(now_ms),
                Noted::Outage(target, outage) => self.recorded.push((now_ms, target, *outage)),
                Noted::Muted(mute) => {
                    let number = ItemMute::number_of(&mute.scope);
                    self.end_mute(number, now_ms);
                    let runner = match &mute.scope {
                        Scope::Target(_) => None,
                        Scope::Runner { name, .. } | Scope::Named(name) => Some(name.clone()),
                    };
                    let target = mute.scope.target().and_then(|target| place_of(target.as_str()));
                    let until_ms = scenario_ms(mute.until);
                    self.mutes.push(Mute { number, target, runner, from_ms: now_ms, until_ms, ended_ms: None });
                }
                Noted::Unmuted(number) => self.end_mute(number, now_ms),
                Noted::Job(item) => self.jobs.stored.push((now_ms, *item)),
                Noted::Acknowledged(item) => {
                    let key = (item.target, item.runner_id, item.outage_id);
                    self.acknowledged_ms.entry(key).or_insert(now_ms);
                }
            }
        }
    }

    fn end_mute(&mut self, number: u64, now_ms: i64) {
        let of_number = self.mutes.iter_mut().filter(|mute| mute.number == number && mute.ended_ms.is_none());
        of_number.for_each(|mute| mute.ended_ms = Some(now_ms));
    }

    /// The waits that currently apply to the notifier of a subject.
    pub fn busy_with(&self, subject: &Subject, now_ms: i64) -> Vec<Busy> {
        let of_now = |busy: &&Busy| busy.subject == *subject && busy.until_ms > now_ms;
        self.busy.iter().filter(of_now).cloned().collect()
    }

    /// Applies an edit to a message.
    pub fn edit(&mut self, number: usize, outages: &[Outage]) {
        let Some(taken) = self.taken.get_mut(number) else { return };
        let is_over = |outage: &&Outage| {
            taken
                .shown
                .iter()
                .any(|shown| !shown.is_open() && (shown.runner_id, shown.id) == (outage.runner_id, outage.id))
        };
        let reopened = outages.iter().filter(|outage| outage.is_open()).filter(is_over).cloned();
        self.reopened.extend(reopened);
        taken.shown = outages.to_vec();
        taken.abandoned = None;
    }

    /// The list as pages with ETags, two runners per page, so that there are several pages.
    pub fn pages(&self, runners: Vec<ObservedRunner>, known: &[PageTag]) -> Vec<ObservedPage> {
        let given_to = format!("token-{}", self.token);
        let mut chunks: Vec<Vec<ObservedRunner>> = runners.chunks(2).map(<[_]>::to_vec).collect();
        if chunks.is_empty() {
            chunks.push(Vec::new());
        }
        let page = |(index, runners): (usize, Vec<ObservedRunner>)| {
            let etag = Some(format!("{given_to} {}", etag_of(&runners)));
            let runner_ids = runners.iter().map(|runner| runner.id).collect();
            let tag = PageTag { etag, given_to: given_to.clone(), runner_ids };
            match known.get(index) {
                Some(known) if known.etag == tag.etag => ObservedPage::Unchanged(known.clone()),
                _ => ObservedPage::Fresh { tag, runners },
            }
        };
        chunks.into_iter().enumerate().map(page).collect()
    }
}

/// An ETag that covers everything about a page that can change.
fn etag_of(runners: &[ObservedRunner]) -> String {
    let of = |runner: &ObservedRunner| {
        let version = runner.version.as_deref().unwrap_or_default();
        format!("{}{:?}{}{version} ", runner.id, runner.status, u8::from(runner.busy))
    };
    runners.iter().map(of).collect()
}

/// The bit of a permanent runner.
pub fn bit_of(name: &str) -> Option<u8> {
    let number: u32 = name.strip_prefix("runner-")?.parse().ok()?;
    1_u8.checked_shl(number)
}

/// A runner as GitHub lists it.
pub fn observed(runner: &TrueRunner) -> ObservedRunner {
    let status = match (runner.online, runner.busy) {
        (false, _) => Status::Offline,
        (true, true) => Status::Busy,
        (true, false) => Status::Idle,
    };
    ObservedRunner {
        id: RunnerId(runner.id),
        name: runner.name.clone(),
        os: "linux".to_owned(),
        status,
        busy: runner.busy,
        ephemeral: runner.ephemeral,
        group_id: None,
        version: Some(runner.version.to_owned()),
        labels: runner.labels.iter().map(|label| (*label).to_owned()).collect(),
    }
}
