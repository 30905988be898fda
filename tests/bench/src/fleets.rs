//! Fleets in the initial state of a workload, reached by checks as in a real installation.

use std::collections::BTreeMap;
use std::time::Duration;

use monitor_domain::decision::{Decision, Handled};
use monitor_domain::fleet::Fleet;
use monitor_domain::observation::{Observation, ObservedPage, ObservedRunner, Outcome, PageTag};
use monitor_domain::overrides::Overrides;
use monitor_domain::policy::Policy;
use monitor_domain::reconcile::{OfCredential, reconcile};
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;

/// Runners per page: GitHub's maximum.
const PER_PAGE: usize = 100;

/// A target with its stored state.
pub struct Watched {
    /// The stored fleet.
    pub fleet: Fleet,
    /// The policy that applies to it.
    pub policy: Policy,
    now: Timestamp,
}

impl Watched {
    /// A target whose runners were all idle in three checks.
    pub fn idle(runners: usize) -> Self {
        let target = Target::repository("acme/web").unwrap_or_else(|error| unreachable!("{error}"));
        let now = Timestamp::from_epoch_ms(1_795_435_200_000);
        let mut watched = Self { fleet: Fleet::unknown(target), policy: Policy::default(), now };
        for _ in 0..3 {
            watched.check(&listed(runners, Status::Idle));
        }
        watched
    }

    /// The observation of a check, a minute after the last.
    pub fn observe(&self, pages: &[ObservedPage]) -> Observation {
        let outcome = Outcome::Complete { pages: pages.to_vec(), lookups: BTreeMap::new() };
        Observation::of(self.next_check(), outcome)
    }

    /// The decision on an observation.
    pub fn decide(&self, observation: &Observation) -> Decision {
        let policy = self.policy.for_target(&self.fleet.record.target);
        reconcile(
            &self.fleet,
            observation,
            &policy,
            &Overrides::default(),
            OfCredential::default(),
            observation.started_at,
        )
    }

    /// Runs a check and stores its decision.
    pub fn check(&mut self, pages: &[ObservedPage]) {
        let decision = self.decide(&self.observe(pages));
        self.now = self.next_check();
        self.fleet.last_seen_at = decision.last_seen_at.or(self.fleet.last_seen_at);
        for commit in decision.commits(7, usize::MAX, Handled::default()) {
            self.fleet.record = commit.record;
            let altered: BTreeMap<RunnerId, _> = commit.runners.into_iter().map(|runner| (runner.id, runner)).collect();
            self.fleet.runners.retain(|runner| !altered.contains_key(&runner.id));
            self.fleet.runners.extend(altered.into_values());
            self.fleet.runners.sort_unstable_by_key(|runner| runner.id);
        }
    }

    /// The pages as GitHub answers them if nothing has changed: 304.
    pub fn unchanged(&self) -> Vec<ObservedPage> {
        self.fleet.record.pages.iter().cloned().map(ObservedPage::Unchanged).collect()
    }

    fn next_check(&self) -> Timestamp {
        self.now.plus(Duration::from_secs(60))
    }
}

/// The pages of a target in full, with every runner in the same state.
pub fn listed(runners: usize, status: Status) -> Vec<ObservedPage> {
    let all: Vec<ObservedRunner> = (1..=runners).map(|number| runner(number, status)).collect();
    let page = |(number, runners): (usize, &[ObservedRunner])| {
        let runner_ids = runners.iter().map(|runner| runner.id).collect();
        let etag = Some(format!("W/\"page-{number}-{status:?}\""));
        let tag = PageTag { etag, given_to: "token".to_owned(), runner_ids };
        ObservedPage::Fresh { tag, runners: runners.to_vec() }
    };
    all.chunks(PER_PAGE).enumerate().map(page).collect()
}

fn runner(number: usize, status: Status) -> ObservedRunner {
    ObservedRunner {
        id: RunnerId(1_000 + number as u64),
        name: format!("build-{number:04}"),
        os: "linux".to_owned(),
        status,
        busy: status == Status::Busy,
        ephemeral: false,
        group_id: None,
        version: Some("2.331.0".to_owned()),
        labels: ["self-hosted", "Linux", "X64", "gpu"].map(str::to_owned).to_vec(),
    }
}
