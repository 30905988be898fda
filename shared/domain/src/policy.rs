//! Thresholds and channels: for the installation, and per target, label or runner-name pattern.

use std::collections::BTreeMap;
use std::time::Duration;

mod document;
mod keys;

use wildmatch::WildMatch;

use crate::polling::is_polled_by_any;
use crate::pool::{PoolAlerts, PoolOver, PoolRule};
use crate::quote::shown;
use crate::target::{Target, TargetKind, TargetSpec};
use crate::weekly::ReportTime;

pub use document::PolicyDocument;
use document::Sections;
pub use keys::{Accepts, PolicyKey, reference};

/// What to do about a runner that is no longer registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRemoved {
    /// Send one alert.
    Alert,
    /// Send nothing, unless its outage was already notified.
    Ignore,
}

/// The thresholds that apply to one runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// The consecutive unhealthy checks that open an outage; 1 to 20.
    pub failure_threshold: u32,
    /// The consecutive healthy checks that close it; 1 to 20.
    pub success_threshold: u32,
    /// The delay until a target with suspect runners is checked again; 10 s to 15 min (the longest delay of an SQS
    /// message).
    pub recheck_interval: Duration,
    /// How long checks may fail before the target is notified as unreachable; 1 min to 7 days.
    pub unreachable_after: Duration,
    /// How long a runner that is no longer registered stays stored; 1 min to 30 days.
    pub forget_after: Duration,
    /// How long a registered runner may take to connect for the first time; 0 to 30 days.
    pub connect_grace: Duration,
    /// What to do about a runner that is no longer registered.
    pub on_removed: OnRemoved,
    /// The number of outages within the window that make a runner flap; 2 to 20.
    pub flap_threshold: u32,
    /// The flapping window; 1 min to 7 days.
    pub flap_window: Duration,
    /// How long a runner must be healthy to stop flapping; 1 min to 7 days.
    pub flap_clear_after: Duration,
    /// The time between reminders of an open outage; 10 min to 30 days, or [`Duration::MAX`] for never.
    pub repeat_interval: Duration,
    /// The maximum number of reminders per outage; 0 to 20.
    pub max_repeats: u32,
    /// How long a job may wait for a runner; 1 min to 12 h.
    pub queue_threshold: Duration,
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
            queue_threshold: Duration::from_secs(10 * 60),
        }
    }
}

/// The policy of an installation.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    base: Thresholds,
    ignore: Vec<WildMatch>,
    pools: Vec<PoolRule>,
    report: Option<ReportTime>,
    polled: Vec<Target>,
    targets: Vec<(WildMatch, PolicyOverrides)>,
    labels: Vec<(WildMatch, PolicyOverrides)>,
    runners: Vec<(WildMatch, PolicyOverrides)>,
    /// Every channel with the key that names it.
    channels: Vec<(String, String)>,
    /// The name or id of the default channel, if known.
    default_channel: Option<String>,
}

/// The policy as it applies to one target.
#[derive(Clone, Debug)]
pub struct TargetPolicy<'a> {
    policy: &'a Policy,
    target: Vec<&'a PolicyOverrides>,
    /// Whose runners its pools count.
    over: PoolOver,
    /// Whether people are alerted about any pool alone.
    alerts_for_pools: bool,
    thresholds: Thresholds,
}

/// A fault of a policy that makes it unusable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct PolicyFault {
    /// The key, with its path in the policy.
    pub place: String,
    /// What is wrong and how to fix it.
    pub fault: String,
}

/// The maximum length of a key quoted in a fault.
const LONGEST_KEY: usize = 100;

/// The values that differ from the defaults in one part of the policy; each is optional.
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
    queue_threshold: Option<Duration>,
    ignore: Vec<String>,
    pools: Vec<PoolRule>,
    report: Option<ReportTime>,
    polled: Vec<Target>,
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
        set(self.queue_threshold, &mut to.queue_threshold);
    }

    fn is_ignored(&self, name: &str) -> bool {
        self.ignore.iter().any(|pattern| pattern_of(pattern).matches(name))
    }
}

/// Whether a text is a valid channel: an id or a name, with or without `#`.
pub fn is_channel(text: &str) -> bool {
    let name = bare_channel(text);
    (1..=80).contains(&name.chars().count())
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// A channel's name without `#`.
pub fn bare_channel(channel: &str) -> &str {
    channel.strip_prefix('#').unwrap_or(channel)
}

fn pattern_of(text: &str) -> WildMatch {
    WildMatch::new_case_insensitive(text)
}

/// Sorts patterns by length, then alphabetically. Longer patterns are more specific, so they come later and win.
fn ranked(overrides: BTreeMap<String, PolicyOverrides>) -> Vec<(WildMatch, PolicyOverrides)> {
    let mut ranked: Vec<_> = overrides.into_iter().collect();
    ranked.sort_unstable_by(|(one, _), (other, _)| (one.len(), one).cmp(&(other.len(), other)));
    ranked.into_iter().map(|(pattern, overrides)| (pattern_of(&pattern), overrides)).collect()
}

impl Policy {
    /// Validates a written policy against the configured list of targets, and reports all faults at once.
    pub fn new(document: PolicyDocument, configured: &[TargetSpec]) -> Result<Self, Vec<PolicyFault>> {
        let mut faults = Vec::new();
        let Sections { own, targets, labels, runners } = document.read(&mut faults);
        for pattern in targets.keys() {
            if !configured.iter().any(|spec| may_cover(spec, pattern)) {
                let fault = "matches no configured target; correct the name or remove the key".to_owned();
                faults.push(PolicyFault { place: format!("targets.{}", shown(pattern, LONGEST_KEY)), fault });
            }
        }
        for repository in own.polled.iter().filter(|repository| !is_polled_by_any(repository, configured)) {
            let owner = repository.owner();
            let fault = format!(
                "add {repository} or orgs/{owner} to the list of targets: nothing monitors the runners of {repository}"
            );
            faults.push(PolicyFault { place: "jobs.poll".to_owned(), fault });
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
            pools: own.pools,
            report: own.report,
            polled: own.polled,
            targets: ranked(targets),
            labels: ranked(labels),
            runners: ranked(runners),
        })
    }

    /// The thresholds that apply if no more specific rule does.
    pub fn base(&self) -> &Thresholds {
        &self.base
    }

    /// When the weekly report is due; `None` if none is wanted.
    pub fn report(&self) -> Option<ReportTime> {
        self.report
    }

    /// The repositories whose jobs are read from GitHub in each check.
    pub fn polled(&self) -> &[Target] {
        &self.polled
    }

    /// The pools that count the runners of all targets of a credential.
    pub fn pools_over_credentials(&self) -> Vec<&PoolRule> {
        self.pools_over(PoolOver::Credential).collect()
    }

    fn pools_over(&self, over: PoolOver) -> impl Iterator<Item = &PoolRule> {
        self.pools.iter().filter(move |rule| rule.over == over)
    }

    /// The same policy with another default for `unreachableAfter`.
    pub fn with_unreachable_after(mut self, unreachable_after: Duration) -> Self {
        self.base.unreachable_after = unreachable_after;
        self
    }

    /// Every channel that the policy names, with the key that names it; the default channel is not included.
    pub fn channels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.channels.iter().map(|(place, channel)| (&**place, &**channel))
    }

    /// Whether the channel of a runner can depend on its labels.
    pub fn routes_by_label(&self) -> bool {
        self.labels.iter().any(|(_, overrides)| overrides.channel.is_some())
    }

    /// The same policy with the default channel known, so that a rule that names it means the default.
    pub fn with_default_channel(mut self, channel: &str) -> Self {
        self.default_channel = Some(bare_channel(channel).to_owned());
        self
    }

    /// The policy as it applies to a target.
    pub fn for_target(&self, target: &Target) -> TargetPolicy<'_> {
        let matching = self.targets.iter().filter(|(pattern, _)| pattern.matches(target.id().as_str()));
        let target_kind = target.kind();
        let target: Vec<&PolicyOverrides> = matching.map(|(_, overrides)| overrides).collect();
        let mut thresholds = self.base;
        target.iter().for_each(|overrides| overrides.apply(&mut thresholds));
        let over = if target_kind == TargetKind::Pools { PoolOver::Credential } else { PoolOver::Target };
        let mut pools = target.iter().flat_map(|overrides| &overrides.pools).chain(&self.pools);
        let alerts_for_pools = pools.any(|rule| rule.alerts == PoolAlerts::Pool);
        TargetPolicy { policy: self, target, over, alerts_for_pools, thresholds }
    }
}

/// Whether a pattern of the policy can match a target on a line of the configured list.
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

    /// The same policy for a target that is checked at every interval only: checks count separately only if they are
    /// about as far apart.
    pub fn checked_every(mut self, interval: Duration) -> Self {
        self.thresholds.recheck_interval = interval;
        self
    }

    /// The thresholds for one of its runners: labels override the target, and names override labels.
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

    /// How long jobs that ask for these labels may wait for a runner.
    pub fn queue_threshold(&self, labels: &[String]) -> Duration {
        self.for_runner("", labels).queue_threshold
    }

    /// The channel for notifications about the target itself; `None` for the default channel.
    pub fn channel(&self) -> Option<&str> {
        self.named(self.of_target())
    }

    /// The channel for one of its runners, with the same precedence as the thresholds; `None` for the default channel.
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

    /// The pools of the target: those of the policy, except where the target has one with the same labels.
    pub fn pools(&self) -> impl Iterator<Item = &PoolRule> {
        let mut rules: Vec<&PoolRule> = Vec::new();
        // The most specific pattern comes last.
        for rule in self.policy.pools_over(self.over).chain(self.own_pools()) {
            match rules.iter_mut().find(|known| known.id() == rule.id()) {
                Some(known) => *known = rule,
                None => rules.push(rule),
            }
        }
        rules.into_iter()
    }

    /// Whether the policy names this pool for the target itself, and not only for all targets.
    pub fn is_own_pool(&self, rule: &PoolRule) -> bool {
        self.own_pools().any(|own| own.id() == rule.id())
    }

    fn own_pools(&self) -> impl Iterator<Item = &PoolRule> {
        let is_of_target = self.over == PoolOver::Target;
        self.target.iter().filter(move |_| is_of_target).flat_map(|overrides| &overrides.pools)
    }

    /// Whether a runner with these labels is in a pool about which alone people are alerted.
    pub fn alerts_for_pool_only(&self, labels: &[String]) -> bool {
        // Asked for every runner at every check.
        if !self.alerts_for_pools {
            return false;
        }
        let has = |wanted: &String| labels.iter().any(|label| label.eq_ignore_ascii_case(wanted));
        let mut pools = self.pools().chain(self.policy.pools_over(PoolOver::Credential));
        pools.any(|rule| rule.alerts == PoolAlerts::Pool && rule.labels.iter().all(has))
    }

    /// Whether a runner with this name is ignored.
    pub fn ignores(&self, name: &str) -> bool {
        self.policy.ignore.iter().any(|pattern| pattern.matches(name))
            || self.target.iter().any(|overrides| overrides.is_ignored(name))
    }
}

#[cfg(test)]
mod tests;
