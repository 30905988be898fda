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
pub enum Removed {
    /// One alert.
    Alert,
    /// Nothing, unless an outage of it had been told.
    Quiet,
}

/// The thresholds that hold for one runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Bad readings in a row that open an outage; 1 to 20.
    pub confirm: u32,
    /// Good readings in a row that end one; 1 to 20.
    pub recover: u32,
    /// Until a target with suspects is looked at again; 10 s to 15 min (SQS delays a message no longer).
    pub recheck: Duration,
    /// How long looks may fail before it is told; 1 min to 7 days.
    pub blind: Duration,
    /// How long a runner that is no longer registered is remembered; 1 min to 30 days.
    pub forget: Duration,
    /// How long a registered runner may take to connect for the first time; 0 to 30 days.
    pub never_connected: Duration,
    /// What to do about a runner that is no longer registered.
    pub removed: Removed,
    /// Outages within the window that make a runner flap; 2 to 20.
    pub flapping: u32,
    /// The flapping window; 1 min to 7 days.
    pub flapping_window: Duration,
    /// How long it must be healthy to flap no more; 1 min to 7 days.
    pub flapping_calm: Duration,
    /// After how long people are reminded of an outage that is still open; 10 min to 30 days, [`Duration::MAX`] for never.
    pub remind: Duration,
    /// How many reminders there are until it ends; 0 to 20.
    pub reminders: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            confirm: 3,
            recover: 2,
            recheck: Duration::from_secs(60),
            blind: Duration::from_secs(15 * 60),
            forget: Duration::from_secs(24 * 3_600),
            never_connected: Duration::from_secs(3_600),
            removed: Removed::Alert,
            flapping: 3,
            flapping_window: Duration::from_secs(3_600),
            flapping_calm: Duration::from_secs(30 * 60),
            remind: Duration::from_secs(24 * 3_600),
            reminders: 3,
        }
    }
}

/// The policy of an installation.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    base: Thresholds,
    ignore: Vec<WildMatch>,
    targets: Vec<(WildMatch, Overrides)>,
    labels: Vec<(WildMatch, Overrides)>,
    runners: Vec<(WildMatch, Overrides)>,
    /// Every channel with its place.
    channels: Vec<(String, String)>,
    /// What the default channel is called, where it has a name.
    default_channel: Option<String>,
}

/// The policy as it holds for one target.
#[derive(Clone, Debug)]
pub struct TargetPolicy<'a> {
    policy: &'a Policy,
    target: Vec<&'a Overrides>,
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
struct Overrides {
    confirm: Option<u32>,
    recover: Option<u32>,
    recheck: Option<Duration>,
    blind: Option<Duration>,
    forget: Option<Duration>,
    never_connected: Option<Duration>,
    removed: Option<Removed>,
    flapping: Option<u32>,
    flapping_window: Option<Duration>,
    flapping_calm: Option<Duration>,
    channel: Option<String>,
    remind: Option<Duration>,
    reminders: Option<u32>,
    ignore: Vec<String>,
}

impl Overrides {
    fn apply(&self, to: &mut Thresholds) {
        fn set<T>(from: Option<T>, to: &mut T) {
            if let Some(value) = from {
                *to = value;
            }
        }
        set(self.confirm, &mut to.confirm);
        set(self.recover, &mut to.recover);
        set(self.recheck, &mut to.recheck);
        set(self.blind, &mut to.blind);
        set(self.forget, &mut to.forget);
        set(self.never_connected, &mut to.never_connected);
        set(self.removed, &mut to.removed);
        set(self.flapping, &mut to.flapping);
        set(self.flapping_window, &mut to.flapping_window);
        set(self.flapping_calm, &mut to.flapping_calm);
        set(self.remind, &mut to.remind);
        set(self.reminders, &mut to.reminders);
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
fn ranked(overrides: BTreeMap<String, Overrides>) -> Vec<(WildMatch, Overrides)> {
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
    pub fn with_blind(mut self, blind: Duration) -> Self {
        self.base.blind = blind;
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
        let target: Vec<&Overrides> = matching.map(|(_, overrides)| overrides).collect();
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
