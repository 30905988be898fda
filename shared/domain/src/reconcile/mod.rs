//! Derives a decision from the stored state and the outcome of a check. Only this module opens and closes outages.

mod drop_target;
mod evaluation;
mod failed;
mod listing;
mod pools;
mod queues;
mod version_warnings;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use drop_target::drop_target;
pub use listing::lookups_wanted;

use crate::change::Event;
use crate::decision::{Decision, RunnerChange};
use crate::fleet::{Counts, Fleet, TargetRecord};
use crate::observation::{Failure, Lookup, Observation, ObservedPage, ObservedRunner, Outcome, PageTag};
use crate::outage::{Outage, Peers};
use crate::overrides::Overrides;
use crate::policy::TargetPolicy;
use crate::queues::{JobsSeen, job_of};
use crate::runner::{Health, Runner, RunnerId};
use crate::time::Timestamp;
use crate::versions::VersionRecord;

use evaluation::{CheckContext, Evaluation};
use listing::{Listing, Seen};

/// How far the stored time of the last check may lag behind while nothing changes.
pub const LAST_SEEN_LAG: Duration = Duration::from_secs(600);

/// What a decision about a target takes from its credential.
#[derive(Clone, Copy, Debug, Default)]
pub struct OfCredential<'a> {
    /// Whether it explains a fault that all its targets share.
    pub explains: bool,
    /// What GitHub said about the versions of its targets' runners.
    pub versions: &'a [VersionRecord],
}

/// Decides what a check means for a target.
///
/// Pure: the same arguments give the same decision. Overrides are needed only if [`Decision::depends_on_overrides`]: a first decision without
/// them saves reading them.
pub fn reconcile(
    fleet: &Fleet,
    observation: &Observation,
    policy: &TargetPolicy<'_>,
    overrides: &Overrides,
    credential: OfCredential<'_>,
    now: Timestamp,
) -> Decision {
    match &observation.outcome {
        Outcome::Complete { pages, lookups } | Outcome::Short { pages, lookups, .. } => {
            let short = match &observation.outcome {
                Outcome::Short { failure, .. } => Some(failure),
                _ => None,
            };
            let context = CheckContext {
                policy,
                overrides,
                target: fleet.record.target.id(),
                at: observation.started_at,
                seen_at: fleet.seen_before(observation.started_at),
                checked_at: fleet.checked_before(observation.started_at),
                is_starting: fleet.record.watched_since.is_none(),
                reports_versions: reports_versions(fleet, pages, lookups),
                versions: credential.versions,
                jobs: &observation.jobs,
                groups: observation.groups.as_ref(),
                polled: &observation.polled,
                members: &observation.members,
            };
            let (evaluations, pools, queues) = (Vec::new(), Vec::new(), Vec::new());
            Reconciliation { fleet, context, short, now, evaluations, pools, queues }.complete(pages, lookups)
        }
        Outcome::Partial(failure) | Outcome::Failed(failure) => {
            failed::check_failed(fleet, failure, observation.started_at, policy, credential.explains, now)
        }
    }
}

/// A complete check during its evaluation.
struct Reconciliation<'a> {
    fleet: &'a Fleet,
    context: CheckContext<'a>,
    /// Why registered runners are missing from the list, if the list itself shows that it is incomplete.
    short: Option<&'a Failure>,
    now: Timestamp,
    /// Runners whose state may change, each with its events so far.
    evaluations: Vec<Evaluation<'a>>,
    /// The pools whose state may change.
    pools: Vec<Evaluation<'a>>,
    /// The queues whose state may change.
    queues: Vec<Evaluation<'a>>,
}

impl<'a> Reconciliation<'a> {
    fn complete(mut self, pages: &'a [ObservedPage], lookups: &'a BTreeMap<RunnerId, Lookup>) -> Decision {
        let listing = Listing::match_up(self.fleet, pages, lookups, self.short.is_some());
        for (runner, seen) in self.fleet.runners.iter().zip(&listing.seen) {
            if let Some(evaluation) = self.evaluate(runner, *seen) {
                self.evaluations.push(evaluation);
            }
        }
        for observed in &listing.unknown {
            let evaluation = self.evaluate_new(observed);
            self.evaluations.push(evaluation);
        }
        self.evaluate_pools();
        self.evaluate_queues();
        self.open_confirmed();

        let mut events = Vec::new();
        let mut after = self.record_after(listing.tags, &mut events);
        let is_listed = |seen: &Seen<'_>| matches!(seen, Seen::Unchanged | Seen::Read(_));
        let unlisted = self.fleet.runners.iter().zip(&listing.seen).filter(|(_, seen)| !is_listed(seen));
        let unlisted = unlisted.map(|(runner, _)| runner.id).collect();
        self.warn_of_versions(&unlisted, &mut after, &mut events);
        let before = &self.fleet.record;
        let recheck = self
            .pools
            .iter()
            .chain(&self.evaluations)
            .any(Evaluation::wants_recheck)
            .then(|| self.context.policy.thresholds().recheck_interval);
        let at = self.context.at;
        let mut decision = Decision {
            before: before.clone(),
            after,
            runners: self
                .queues
                .into_iter()
                .chain(self.pools)
                .chain(self.evaluations)
                .filter_map(Evaluation::into_change)
                .collect(),
            events,
            counts: Counts::default(),
            observed_at: at,
            decided_at: self.now,
            recheck,
            last_seen_at: None,
        };
        // The time of the check alone is no reason to commit.
        decision.after.observed_at = before.observed_at;
        if decision.is_empty() {
            let seen_at = self.context.seen_at;
            decision.last_seen_at = seen_at.is_none_or(|seen| at.has_waited(seen, LAST_SEEN_LAG)).then_some(at);
            return decision;
        }
        // A time before the stored one is not stored, because another machine's clock may be ahead. After the clock was
        // set back it is.
        if at > before.observed_at || before.observed_at.is_impossible(at) {
            decision.after.observed_at = at;
        }
        let ids: BTreeSet<RunnerId> = decision.runners.iter().map(|change| change.runner.id).collect();
        let untouched = self.fleet.runners.iter().filter(|runner| !ids.contains(&runner.id));
        let altered = decision.runners.iter().map(|change| &change.runner);
        decision.counts = Counts::of(untouched.chain(altered.filter(|runner| runner.health != Health::Retired)));
        decision
    }

    /// Evaluates a known runner; `None` if there is nothing to evaluate, as in most cases.
    fn evaluate(&self, runner: &'a Runner, seen: Seen<'a>) -> Option<Evaluation<'a>> {
        // Asked for every runner at every check.
        let has_same_job = || match self.context.jobs {
            JobsSeen::Off => runner.job.is_none(),
            jobs => job_of(jobs, runner).is_none_or(|job| job.as_ref() == runner.job.as_deref()),
        };
        let well = runner.health == Health::Healthy
            && runner.absence.is_none()
            && runner.flapping.is_none()
            && runner.is_pooled == self.context.policy.alerts_for_pool_only(&runner.labels)
            && has_same_job();
        match seen {
            Seen::Unchanged if well && runner.status.is_healthy() => return None,
            Seen::Read(observed) if well && runner.status.is_healthy() && runner.reads_as(observed) => {
                return None;
            }
            Seen::Unasked if !runner.is_gone() => return None,
            _ => {}
        }
        let mut evaluation = Evaluation::new(runner, &self.context);
        match seen {
            Seen::Unchanged => evaluation.on_observed(),
            Seen::Read(observed) => {
                evaluation.update_from(observed);
                evaluation.on_observed();
            }
            Seen::Missing | Seen::Earlier(_) => evaluation.on_missing(),
            Seen::Unasked => evaluation.forget_when_due(),
        }
        Some(evaluation)
    }

    fn evaluate_new(&self, observed: &ObservedRunner) -> Evaluation<'a> {
        let runner = Runner::first_seen(observed, self.context.reports_versions, self.context.at);
        let mut evaluation = Evaluation::registered(runner, &self.context);
        evaluation.on_observed();
        evaluation
    }

    /// Opens the outages that are confirmed. One that was confirmed just now waits for other suspects of its target, so
    /// that they are notified together, but only until the next check that counts.
    fn open_confirmed(&mut self) {
        let waited_for = self.pools.iter().chain(&self.evaluations).any(Evaluation::is_confirming);
        for pool in self.pools.iter_mut().filter(|pool| pool.is_confirmed(waited_for)) {
            pool.open();
        }
        let opened: Vec<usize> =
            (0..self.evaluations.len()).filter(|&index| self.evaluations[index].is_confirmed(waited_for)).collect();
        for &index in &opened {
            self.evaluations[index].open();
        }
        let opening: Vec<usize> =
            (0..self.evaluations.len()).filter(|&index| self.evaluations[index].opens()).collect();
        let peers = self.peers_of(&opening);
        for (index, peers) in opening.into_iter().zip(peers) {
            self.evaluations[index].update_outages(|outage: &mut Outage| outage.peers = peers);
        }
    }

    /// Counts, for each of these runners, the others that could take its jobs, as they are after this check.
    fn peers_of(&self, evaluations: &[usize]) -> Vec<Peers> {
        // Runners that go offline together mostly have the same labels: each set of labels is counted once.
        let mut by_labels: BTreeMap<&[String], Peers> = BTreeMap::new();
        let others_of = |index: &usize| {
            let of = self.evaluations[*index].runner();
            let with_itself = by_labels.entry(&of.labels).or_insert_with(|| self.able_to_replace(of));
            let itself = u32::from(counts_as_peer(of));
            let online = u32::from(counts_as_peer(of) && of.status.is_healthy());
            Peers { total: with_itself.total - itself, online: with_itself.online - online }
        };
        evaluations.iter().map(others_of).collect()
    }

    /// Counts the runners with all labels of this one, itself included.
    fn able_to_replace(&self, of: &Runner) -> Peers {
        let mut peers = Peers::default();
        for runner in self.runners_after().filter(|runner| runner.has_labels(&of.labels)) {
            peers.total += 1;
            peers.online += u32::from(runner.status.is_healthy());
        }
        peers
    }

    /// The registered runners as they are after this check.
    fn runners_after(&self) -> impl Iterator<Item = &Runner> {
        // The evaluations are in the order of the fleet's runners, followed by new runners.
        let (known, new) = self.evaluations.split_at(self.evaluations.partition_point(Evaluation::is_of_known));
        let mut altered = known.iter().map(Evaluation::runner).peekable();
        let known = self
            .fleet
            .runners
            .iter()
            .map(move |runner| altered.next_if(|altered| altered.id == runner.id).unwrap_or(runner));
        known.chain(new.iter().map(Evaluation::runner)).filter(|runner| counts_as_peer(runner))
    }

    fn record_after(&self, pages: Vec<PageTag>, events: &mut Vec<Event>) -> TargetRecord {
        let mut after = self.fleet.record.clone();
        after.pages = pages;
        after.unfinished = false;
        if let Some(groups) = self.context.groups {
            after.groups.clone_from(groups);
        }
        after.polled = self.context.polled.to_vec();
        if self.context.is_starting {
            after.watched_since = Some(self.context.at);
            events.push(Event::MonitoringStarted);
        }
        if let Some(failure) = self.short {
            failed::note_failure(&mut after, failure, self.context.at, self.context.policy, false, events);
        } else if let Some(failing) = after.failing.take() {
            events.push(Event::ReachableAgain {
                since: failing.since,
                until: self.context.at,
                notified: failing.notified,
            });
        }
        after
    }
}

/// Whether GitHub reports the version of any runner of a target, now or before. If so, a runner without one never
/// connected.
fn reports_versions(fleet: &Fleet, pages: &[ObservedPage], lookups: &BTreeMap<RunnerId, Lookup>) -> bool {
    let fresh = pages.iter().filter_map(|page| match page {
        ObservedPage::Fresh { runners, .. } => Some(runners),
        ObservedPage::Unchanged(_) => None,
    });
    let found = lookups.values().filter_map(|lookup| match lookup {
        Lookup::Found(runner) => Some(runner),
        Lookup::NotFound => None,
    });
    fleet.runners.iter().any(|runner| runner.version.is_some())
        || fresh.flatten().chain(found).any(|runner| runner.version.is_some())
}

/// Whether a runner is registered and could take jobs in principle.
fn counts_as_peer(runner: &Runner) -> bool {
    !runner.is_gone() && runner.health != Health::Retired
}

/// Whether two checks are far enough apart to count separately.
fn far_enough(at: Timestamp, counted_at: Timestamp, recheck: Duration) -> bool {
    at.has_waited(counted_at, recheck / 2)
}

/// A runner's entry in a decision that no evaluation led to.
fn change_of(runner: Runner) -> RunnerChange {
    RunnerChange { runner, events: Vec::new() }
}
