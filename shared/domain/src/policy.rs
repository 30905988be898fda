//! Every threshold, and who is told: per installation, and per target, label or runner-name pattern.

use std::collections::BTreeMap;
use std::time::Duration;

mod document;
mod keys;

use wildmatch::WildMatch;

use crate::quote::shown;
use crate::target::{Target, TargetSpec};

pub use document::PolicyDocument;
use document::Sections;
pub use keys::{PolicyKey, reference};

/// What to do about a runner that is no longer registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRemoved {
    /// One alert.
    Alert,
    /// Nothing, unless an outage of it had been told.
    Ignore,
}

/// The thresholds that hold for one runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Bad readings in a row that open an outage; 1 to 20.
    pub failure_threshold: u32,
    /// Good readings in a row that end one; 1 to 20.
    pub success_threshold: u32,
    /// Until a target with suspects is looked at again; 10 s to 15 min (SQS delays a message no longer).
    pub recheck_interval: Duration,
    /// How long looks may fail before it is told; 1 min to 7 days.
    pub unreachable_after: Duration,
    /// How long a runner that is no longer registered is remembered; 1 min to 30 days.
    pub forget_after: Duration,
    /// How long a registered runner may take to connect for the first time; 0 to 30 days.
    pub connect_grace: Duration,
    /// What to do about a runner that is no longer registered.
    pub on_removed: OnRemoved,
    /// Outages within the window that make a runner flap; 2 to 20.
    pub flap_threshold: u32,
    /// The flapping window; 1 min to 7 days.
    pub flap_window: Duration,
    /// How long it must be healthy to flap no more; 1 min to 7 days.
    pub flap_clear_after: Duration,
    /// After how long people are reminded of an outage that is still open; 10 min to 30 days, [`Duration::MAX`] for never.
    pub repeat_interval: Duration,
    /// How many reminders there are until it ends; 0 to 20.
    pub max_repeats: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            failure_threshold: 3,
            success_threshold: 2,
            recheck_interval: Duration::from_secs(60),
            unreachable_after: Duration::from_secs(15 * 60),
            forget_after: Duration::from_secs(24 * 3_600),
            connect_grace: Duration::from_secs(3_600),
            on_removed: OnRemoved::Alert,
            flap_threshold: 3,
            flap_window: Duration::from_secs(3_600),
            flap_clear_after: Duration::from_secs(30 * 60),
            repeat_interval: Duration::from_secs(24 * 3_600),
            max_repeats: 3,
        }
    }
}

/// The policy of an installation.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    base: Thresholds,
    ignore: Vec<WildMatch>,
    targets: Vec<(WildMatch, PolicyOverrides)>,
    labels: Vec<(WildMatch, PolicyOverrides)>,
    runners: Vec<(WildMatch, PolicyOverrides)>,
    /// Every channel with its place.
    channels: Vec<(String, String)>,
    /// What the default channel is called, where it has a name.
    default_channel: Option<String>,
}

/// The policy as it holds for one target.
#[derive(Clone, Debug)]
pub struct TargetPolicy<'a> {
    policy: &'a Policy,
    target: Vec<&'a PolicyOverrides>,
    thresholds: Thresholds,
}

/// A policy that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct PolicyFault {
    /// Where in the policy.
    pub place: String,
    /// What is wrong and how to fix it.
    pub fault: String,
}

/// How much of a key a fault repeats.
const LONGEST_KEY: usize = 100;

/// What differs somewhere; every part may be left out.
#[derive(Clone, Debug, Default)]
struct PolicyOverrides {
    failure_threshold: Option<u32>,
    success_threshold: Option<u32>,
    recheck_interval: Option<Duration>,
    unreachable_after: Option<Duration>,
    forget_after: Option<Duration>,
    connect_grace: Option<Duration>,
    on_removed: Option<OnRemoved>,
    flap_threshold: Option<u32>,
    flap_window: Option<Duration>,
    flap_clear_after: Option<Duration>,
    channel: Option<String>,
    repeat_interval: Option<Duration>,
    max_repeats: Option<u32>,
    ignore: Vec<String>,
}

impl PolicyOverrides {
    fn apply(&self, to: &mut Thresholds) {
        fn set<T>(from: Option<T>, to: &mut T) {
            if let Some(value) = from {
                *to = value;
            }
        }
        set(self.failure_threshold, &mut to.failure_threshold);
        set(self.success_threshold, &mut to.success_threshold);
        set(self.recheck_interval, &mut to.recheck_interval);
        set(self.unreachable_after, &mut to.unreachable_after);
        set(self.forget_after, &mut to.forget_after);
        set(self.connect_grace, &mut to.connect_grace);
        set(self.on_removed, &mut to.on_removed);
        set(self.flap_threshold, &mut to.flap_threshold);
        set(self.flap_window, &mut to.flap_window);
        set(self.flap_clear_after, &mut to.flap_clear_after);
        set(self.repeat_interval, &mut to.repeat_interval);
        set(self.max_repeats, &mut to.max_repeats);
    }

    fn is_ignored(&self, name: &str) -> bool {
        self.ignore.iter().any(|pattern| pattern_of(pattern).matches(name))
    }
}

/// Whether a channel may be called so: an id or a name, with or without its sign.
pub fn is_channel(text: &str) -> bool {
    let name = bare_channel(text);
    (1..=80).contains(&name.chars().count())
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// A channel's name without its sign.
pub fn bare_channel(channel: &str) -> &str {
    channel.strip_prefix('#').unwrap_or(channel)
}

fn pattern_of(text: &str) -> WildMatch {
    WildMatch::new_case_insensitive(text)
}

/// Longer patterns say more, so they come later and win; equal lengths in alphabetical order.
fn ranked(overrides: BTreeMap<String, PolicyOverrides>) -> Vec<(WildMatch, PolicyOverrides)> {
    let mut ranked: Vec<_> = overrides.into_iter().collect();
    ranked.sort_unstable_by(|(one, _), (other, _)| (one.len(), one).cmp(&(other.len(), other)));
    ranked.into_iter().map(|(pattern, overrides)| (pattern_of(&pattern), overrides)).collect()
}

impl Policy {
    /// Checks a written policy against the configured list. All faults are reported at once.
    pub fn new(document: PolicyDocument, configured: &[TargetSpec]) -> Result<Self, Vec<PolicyFault>> {
        let mut faults = Vec::new();
        let Sections { own, targets, labels, runners } = document.read(&mut faults);
        for pattern in targets.keys() {
            if !configured.iter().any(|spec| may_cover(spec, pattern)) {
                let fault = "matches no configured target; correct the name or remove the key".to_owned();
                faults.push(PolicyFault { place: format!("targets.{}", shown(pattern, LONGEST_KEY)), fault });
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut base = Thresholds::default();
        own.apply(&mut base);
        let sections = [("targets", &targets), ("labels", &labels), ("runners", &runners)];
        let channels = sections.into_iter().flat_map(|(section, map)| {
            let named = map.iter().filter_map(|(pattern, overrides)| Some((pattern, overrides.channel.clone()?)));
            named.map(move |(pattern, channel)| (format!("{section}.{pattern}.channel"), channel))
        });
        Ok(Self {
            base,
            channels: channels.collect(),
            default_channel: None,
            ignore: own.ignore.iter().map(|pattern| pattern_of(pattern)).collect(),
            targets: ranked(targets),
            labels: ranked(labels),
            runners: ranked(runners),
        })
    }

    /// The thresholds that hold where nothing narrower does.
    pub fn base(&self) -> &Thresholds {
        &self.base
    }

    /// The same policy with another threshold for blindness where nothing narrower has one.
    pub fn with_unreachable_after(mut self, unreachable_after: Duration) -> Self {
        self.base.unreachable_after = unreachable_after;
        self
    }

    /// Every channel that it names, with the place: all but the default.
    pub fn channels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.channels.iter().map(|(place, channel)| (&**place, &**channel))
    }

    /// Whether what is told of a runner may depend on its labels.
    pub fn routes_by_label(&self) -> bool {
        self.labels.iter().any(|(_, overrides)| overrides.channel.is_some())
    }

    /// The same policy, knowing what the default channel is called: whoever names that one means the default.
    pub fn with_default_channel(mut self, channel: &str) -> Self {
        self.default_channel = Some(bare_channel(channel).to_owned());
        self
    }

    /// The policy as it holds for a target.
    pub fn for_target(&self, target: &Target) -> TargetPolicy<'_> {
        let matching = self.targets.iter().filter(|(pattern, _)| pattern.matches(target.id().as_str()));
        let target: Vec<&PolicyOverrides> = matching.map(|(_, overrides)| overrides).collect();
        let mut thresholds = self.base;
        target.iter().for_each(|overrides| overrides.apply(&mut thresholds));
        TargetPolicy { policy: self, target, thresholds }
    }
}

/// Whether a pattern of the policy can match something on a line of the configured list.
fn may_cover(spec: &TargetSpec, pattern: &str) -> bool {
    match spec {
        TargetSpec::One(target) => pattern_of(pattern).matches(target.id().as_str()),
        TargetSpec::RepositoriesOf(owner) => {
            let of_owner = pattern.split_once('/').map_or(pattern, |(of_owner, _)| of_owner);
            pattern_of(of_owner).matches(owner)
        }
    }
}

impl TargetPolicy<'_> {
    /// The thresholds of the target itself.
    pub fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// The thresholds for one of its runners: labels go over the target's, names over labels.
    pub fn for_runner(&self, name: &str, labels: &[String]) -> Thresholds {
        let mut thresholds = self.thresholds;
        for (pattern, overrides) in &self.policy.labels {
            if labels.iter().any(|label| pattern.matches(label)) {
                overrides.apply(&mut thresholds);
            }
        }
        for (pattern, overrides) in &self.policy.runners {
            if pattern.matches(name) {
                overrides.apply(&mut thresholds);
            }
        }
        thresholds
    }

    /// The channel that is told of the target itself; none for the default.
    pub fn channel(&self) -> Option<&str> {
        self.named(self.of_target())
    }

    /// The channel that is told of one of its runners, by the same precedence as the thresholds; none for the default.
    pub fn channel_for(&self, name: &str, labels: &[String]) -> Option<&str> {
        let by_name = self.policy.runners.iter().filter(|(pattern, _)| pattern.matches(name));
        let has_label = |pattern: &WildMatch| labels.iter().any(|label| pattern.matches(label));
        let by_label = self.policy.labels.iter().filter(|(pattern, _)| has_label(pattern));
        let channel = by_label.chain(by_name).filter_map(|(_, overrides)| overrides.channel.as_deref()).next_back();
        self.named(channel.or_else(|| self.of_target()))
    }

    fn of_target(&self) -> Option<&str> {
        self.target.iter().filter_map(|overrides| overrides.channel.as_deref()).next_back()
    }

    fn named<'c>(&self, channel: Option<&'c str>) -> Option<&'c str> {
        channel.filter(|channel| self.policy.default_channel.as_deref() != Some(bare_channel(channel)))
    }

    /// Whether a runner of this name is not watched.
    pub fn ignores(&self, name: &str) -> bool {
        self.policy.ignore.iter().any(|pattern| pattern.matches(name))
            || self.target.iter().any(|overrides| overrides.is_ignored(name))
    }
}

#[cfg(test)]
mod tests;
