//! A target whose history is built check by check, as a store would keep it.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use monitor_domain::change::{Change, Event};
use monitor_domain::decision::{Commit, Decision, Handled};
use monitor_domain::fleet::Fleet;
use monitor_domain::observation::{
    Failure, Fault, Lookup, Observation, ObservedPage, ObservedRunner, Outcome, PageTag,
};
use monitor_domain::outage::Outage;
use monitor_domain::overrides::Overrides;
use monitor_domain::policy::{Policy, PolicyDocument};
use monitor_domain::reconcile::{OfCredential, lookups_wanted, reconcile};
use monitor_domain::runner::{Health, Runner, RunnerId, Status};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_domain::versions::VersionRecord;

pub(crate) fn at(secs: u64) -> Timestamp {
    Timestamp::from_epoch_ms(1_800_000_000_000).plus(std::time::Duration::from_secs(secs))
}

pub(crate) fn target() -> Target {
    "acme/web".parse().unwrap()
}

pub(crate) fn policy(json: &str) -> Policy {
    let document: PolicyDocument = serde_json::from_str(json).unwrap();
    Policy::new(document, &[format!("{}", target()).parse().unwrap()]).unwrap()
}

pub(crate) fn runner(id: u64, status: Status) -> ObservedRunner {
    ObservedRunner {
        id: RunnerId(id),
        name: format!("runner-{id}"),
        os: "linux".to_owned(),
        status,
        busy: status == Status::Busy,
        ephemeral: false,
        group_id: None,
        version: Some("2.331.0".to_owned()),
        labels: vec!["self-hosted".to_owned(), "linux".to_owned()],
    }
}

pub(crate) fn page(runners: &[ObservedRunner]) -> ObservedPage {
    let ids: Vec<RunnerId> = runners.iter().map(|runner| runner.id).collect();
    let etag = format!("{runners:?}");
    let tag = PageTag { etag: Some(etag), given_to: "token".to_owned(), runner_ids: ids };
    ObservedPage::Fresh { tag, runners: runners.to_vec() }
}

pub(crate) fn check(started_at: Timestamp, runners: &[ObservedRunner]) -> Observation {
    Observation::of(started_at, Outcome::Complete { pages: vec![page(runners)], lookups: BTreeMap::new() })
}

pub(crate) fn failed_check(started_at: Timestamp, fault: Fault) -> Observation {
    Observation::of(started_at, Outcome::Failed(Failure::new(fault, "it failed")))
}

/// A target and everything that was committed about it.
pub(crate) struct History {
    pub(crate) fleet: Fleet,
    pub(crate) policy: Policy,
    pub(crate) changes: Vec<Change>,
    pub(crate) max_items: usize,
    pub(crate) overrides: Overrides,
    /// What GitHub said about versions.
    pub(crate) versions: Vec<VersionRecord>,
}

impl History {
    pub(crate) fn new(policy_json: &str) -> Self {
        let (fleet, policy) = (Fleet::unknown(target()), policy(policy_json));
        Self {
            fleet,
            policy,
            changes: Vec::new(),
            max_items: 50,
            overrides: Overrides::default(),
            versions: Vec::new(),
        }
    }

    /// A history with one check that found `runners`, so that the next check is not the first.
    pub(crate) fn watching(policy_json: &str, runners: &[ObservedRunner]) -> Self {
        let mut history = Self::new(policy_json);
        history.see(0, runners);
        history
    }

    pub(crate) fn decide(&self, observation: &Observation) -> Decision {
        let policy = self.policy.for_target(&self.fleet.record.target);
        let credential = OfCredential { explains: false, versions: &self.versions };
        reconcile(&self.fleet, observation, &policy, &self.overrides, credential, observation.started_at)
    }

    /// Checks, decides and commits; returns the events.
    pub(crate) fn check(&mut self, observation: &Observation) -> Vec<Event> {
        let decision = self.decide(observation);
        self.fleet.last_seen_at = decision.last_seen_at.or(self.fleet.last_seen_at);
        self.store(decision.commits(7, self.max_items, Handled::default()))
    }

    /// A complete check. Runners missing from the list are looked up by id and not found.
    pub(crate) fn see(&mut self, secs: u64, runners: &[ObservedRunner]) -> Vec<Event> {
        let pages = vec![page(runners)];
        let lookups = lookups_wanted(&self.fleet, &pages).into_iter().map(|id| (id, Lookup::NotFound)).collect();
        self.check(&Observation::of(at(secs), Outcome::Complete { pages, lookups }))
    }

    pub(crate) fn store(&mut self, commits: Vec<Commit>) -> Vec<Event> {
        let mut events = Vec::new();
        for commit in commits {
            assert_eq!(commit.change.revision, self.fleet.record.revision.next(), "revisions have no gaps");
            self.fleet.record = commit.record;
            for runner in commit.runners {
                let list = if runner.pool.is_some() { &mut self.fleet.pools } else { &mut self.fleet.runners };
                list.retain(|known| known.id != runner.id);
                if runner.health != Health::Retired {
                    list.push(runner);
                }
            }
            self.fleet.runners.sort_by_key(|runner| runner.id);
            events.extend(commit.change.events.iter().cloned());
            self.changes.push(commit.change);
        }
        events
    }

    pub(crate) fn runner(&self, id: u64) -> &Runner {
        self.fleet.runners.iter().find(|runner| runner.id == RunnerId(id)).expect("the runner is known")
    }
}

pub(crate) fn opened(events: &[Event]) -> Vec<&Outage> {
    let outages = events.iter().filter_map(|event| match event {
        Event::OutageOpened { outage } => Some(outage.as_ref()),
        _ => None,
    });
    outages.collect()
}

pub(crate) fn closed(events: &[Event]) -> Vec<&Outage> {
    let outages = events.iter().filter_map(|event| match event {
        Event::OutageClosed { outage } => Some(outage.as_ref()),
        _ => None,
    });
    outages.collect()
}
