//! GitHub as it truly is, what it answered, and what Slack took: the outside of the pipeline, with its true history.

use std::collections::{BTreeMap, VecDeque};

use monitor_domain::notices::Notice;
use monitor_domain::observation::{ObservedPage, ObservedRunner, PageTag};
use monitor_domain::runner::{RunnerId, Status};
use monitor_pipeline::items::Key;

use crate::operations::{MINUTE_MS, TARGETS};

/// How far back a stale answer can be.
pub const STALE_MS: i64 = 3 * MINUTE_MS;

/// A runner as it truly is.
#[derive(Clone, Debug)]
pub struct TrueRunner {
    /// Its id on GitHub.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Whether GitHub reports it online.
    pub online: bool,
    /// Whether it runs a job.
    pub busy: bool,
    /// Whether it leaves after its job.
    pub ephemeral: bool,
}

/// Something true about a runner's name at a target, from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// Online.
    Online,
    /// Offline.
    Offline,
    /// Not registered.
    Absent,
}

/// A message that Slack took.
#[derive(Clone, Debug)]
pub struct Taken {
    /// When.
    pub at_ms: i64,
    /// What.
    pub notice: Notice,
    /// Whether the sender heard of it.
    pub answered: bool,
}

/// GitHub, Slack, and what happened to them.
#[derive(Clone, Debug, Default)]
pub struct World {
    runners: [Vec<TrueRunner>; TARGETS.len()],
    /// Until when the credential has no access to a target.
    pub no_access_until_ms: [i64; TARGETS.len()],
    /// Until when the credential is refused.
    pub refused_until_ms: i64,
    /// Until when GitHub limits the credential.
    pub limited_until_ms: i64,
    /// Until when the monitor does not run.
    pub down_until_ms: i64,
    /// Until when Slack takes nothing.
    pub slack_dead_until_ms: i64,
    /// Which targets are on the list.
    pub watched: [bool; TARGETS.len()],
    /// How many bad readings the policy wants.
    pub confirm: u32,
    /// Changes with each new token.
    pub token: u32,
    next_id: u64,
    /// What was true of each runner's name at each target, from when on.
    pub history: BTreeMap<(usize, String), Vec<(i64, Truth)>>,
    /// Past states, for stale answers.
    past: VecDeque<(i64, [Vec<TrueRunner>; TARGETS.len()])>,
    /// When each runner was last lied about: not twice in a row.
    lied_at_ms: BTreeMap<(usize, String), i64>,
    /// What Slack took, in order.
    pub taken: Vec<Taken>,
    /// When each ending of an attempt to send was first stored.
    pub stored_ms: BTreeMap<Key, i64>,
    /// Times in which the outside was not as it should be, as far as operations made it so.
    pub disturbed: Vec<(Option<usize>, i64, i64)>,
}

impl World {
    /// Five runners at each target, all well.
    pub fn new() -> Self {
        let mut world = Self { confirm: 3, next_id: 1, ..Self::default() };
        world.watched = [true, true, true, false];
        for target in 0..TARGETS.len() {
            for number in 1..=5 {
                world.register(0, target, format!("runner-{number}"), false);
            }
        }
        world
    }

    /// Registers a runner, online.
    pub fn register(&mut self, now_ms: i64, target: usize, name: String, ephemeral: bool) {
        let id = self.next_id;
        self.next_id += 1;
        self.runners[target].push(TrueRunner { id, name: name.clone(), online: true, busy: ephemeral, ephemeral });
        self.note(now_ms, target, &name, Truth::Online);
    }

    fn note(&mut self, now_ms: i64, target: usize, name: &str, truth: Truth) {
        let history = self.history.entry((target, name.to_owned())).or_default();
        if history.last().is_none_or(|(_, last)| *last != truth) {
            history.push((now_ms, truth));
        }
    }

    /// Alters a runner, if it is registered.
    pub fn alter(&mut self, now_ms: i64, target: usize, name: &str, alter: impl FnOnce(&mut TrueRunner)) {
        let Some(runner) = self.runners[target].iter_mut().find(|runner| runner.name == name) else { return };
        alter(runner);
        let truth = if runner.online { Truth::Online } else { Truth::Offline };
        self.note(now_ms, target, name, truth);
    }

    /// Removes a runner; gives whether it was there.
    pub fn remove(&mut self, now_ms: i64, target: usize, name: &str) -> bool {
        let before = self.runners[target].len();
        self.runners[target].retain(|runner| runner.name != name);
        let was_there = self.runners[target].len() < before;
        if was_there {
            self.note(now_ms, target, name, Truth::Absent);
        }
        was_there
    }

    /// The runners of a target as they are.
    pub fn runners(&self, target: usize) -> &[TrueRunner] {
        &self.runners[target]
    }

    /// Keeps the present state for stale answers.
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

    /// Whether a runner may be lied about now.
    pub fn may_lie(&mut self, target: usize, name: &str, now_ms: i64) -> bool {
        let last = self.lied_at_ms.insert((target, name.to_owned()), now_ms);
        last.is_none_or(|last| now_ms - last > 30 * MINUTE_MS)
    }

    /// The list as pages with ETags, two runners a page, so that there are several.
    pub fn pages(&self, runners: Vec<ObservedRunner>, known: &[PageTag]) -> Vec<ObservedPage> {
        let given_to = format!("token-{}", self.token);
        let mut chunks: Vec<Vec<ObservedRunner>> = runners.chunks(2).map(<[_]>::to_vec).collect();
        if chunks.is_empty() {
            chunks.push(Vec::new());
        }
        let page = |(index, runners): (usize, Vec<ObservedRunner>)| {
            let etag = Some(format!("{given_to} {runners:?}"));
            let runner_ids = runners.iter().map(|runner| runner.id).collect();
            let tag = PageTag { etag, given_to: given_to.clone(), runner_ids };
            match known.get(index) {
                Some(known) if known.etag == tag.etag => ObservedPage::Unchanged(known.clone()),
                _ => ObservedPage::Fresh { tag, runners },
            }
        };
        chunks.into_iter().enumerate().map(page).collect()
    }

    /// What was true of a runner's name at a moment.
    pub fn truth_at(&self, target: usize, name: &str, at_ms: i64) -> Truth {
        let history = self.history.get(&(target, name.to_owned()));
        let last = history.and_then(|history| history.iter().rev().find(|(from_ms, _)| *from_ms <= at_ms));
        last.map_or(Truth::Absent, |(_, truth)| *truth)
    }

    /// Whether something other than online was true at some time in between.
    pub fn was_ever_away(&self, target: usize, name: &str, from_ms: i64, until_ms: i64) -> bool {
        let history = self.history.get(&(target, name.to_owned())).map_or(&[][..], Vec::as_slice);
        self.truth_at(target, name, from_ms) != Truth::Online
            || history.iter().any(|(at_ms, truth)| (from_ms..=until_ms).contains(at_ms) && *truth != Truth::Online)
    }

    /// Whether the outside was as it should be for a target all the time in between.
    pub fn is_undisturbed(&self, target: usize, from_ms: i64, until_ms: i64) -> bool {
        !self.disturbed.iter().any(|(of, began_ms, ended_ms)| {
            of.is_none_or(|of| of == target) && *began_ms < until_ms && *ended_ms > from_ms
        })
    }
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
        version: Some("2.331.0".to_owned()),
        labels: vec!["self-hosted".to_owned()],
    }
}
