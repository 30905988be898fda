//! The pools over all targets of a credential: evaluated from what the checks of these targets stored.
//!
//! They are stored as those of a target without runners of its own. GitHub is not asked.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use monitor_domain::fleet::Fleet;
use monitor_domain::observation::{CredentialReport, Failure, Fault, Observation, Outcome};
use monitor_domain::overrides::Overrides;
use monitor_domain::queues::JobsSeen;
use monitor_domain::reconcile::{LAST_SEEN_LAG, OfCredential, reconcile};
use monitor_domain::runner::Runner;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use tracing::warn;

use super::Check;
use super::outcome::{CheckEnding, CheckOutcome, Tried};
use crate::items::{Item, LastSeen};
use crate::keys::Put;
use crate::ports::{Clock, RunnerSource, Sender, Store, StoreError};
use crate::records::{self, Backlog, StoredFleet, handled};
use crate::stages::Stopwatch;

/// How many targets are read at the same time.
const READS_AT_ONCE: usize = 20;
/// How many of the targets whose runners are not known are named.
const MOST_NAMED: usize = 3;

impl<St: Store, Gh: RunnerSource, Jobs: Sender, Changes: Sender, Cl: Clock> Check<'_, St, Gh, Jobs, Changes, Cl> {
    /// Evaluates the pools of a credential once.
    pub(super) async fn check_pools(
        &self,
        target: &Target,
        credential: &str,
        now: Timestamp,
        is_last: bool,
    ) -> Result<Tried, StoreError> {
        // Read before the targets: so a commit on this state is based on newer ones.
        let StoredFleet { mut fleet, cursor } = match records::read_fleet(self.store, target).await {
            Err(StoreError::Unreadable { key, reason }) => return self.unreadable(target, &key, &reason, now).await,
            read => read?,
        };
        let list = records::read_monitor(self.store, self.clock).await?.watchlist.unwrap_or_default();
        if !list.pools.contains(target) {
            return Ok(Tried::done(CheckOutcome::nothing(CheckEnding::NotConfigured)));
        }
        let (subject, backlog) = (target.into(), Backlog::from(&fleet.record));
        let pending_since = records::pending_since(self.store, &subject, backlog, cursor.as_ref()).await;
        fleet.checked_at = self.latest.of(&fleet);
        let is_of_it = |one: &&Target| self.source.credential(one).as_str() == credential;
        let members: Vec<&Target> = list.targets.iter().filter(is_of_it).collect();
        let stopwatch = Stopwatch::start(self.clock);
        let mut observation = self.observe_members(&members).await;
        let took = stopwatch.elapsed(self.clock);
        if took > self.settings.interval {
            if !is_last {
                return Ok(Tried::Late);
            }
            let failure =
                Failure::new(Fault::Service, format!("the targets were not read within {} s", took.as_secs()));
            observation = Observation::of(self.clock.now(), Outcome::Failed(failure));
        }

        // The runners of a target are read again at each interval, so that earlier checks add nothing.
        let policy = self.settings.policy.for_target(target).checked_every(self.settings.interval);
        let decide =
            |overrides: &Overrides| reconcile(&fleet, &observation, &policy, overrides, OfCredential::default(), now);
        let mut decision = decide(&Overrides::default());
        if decision.depends_on_overrides() {
            decision = decide(&records::read_overrides(self.store, target.id(), &decision, self.clock).await?);
        }
        let ending = match &observation.outcome {
            Outcome::Partial(failure) | Outcome::Failed(failure) => CheckEnding::Failed(failure.clone()),
            Outcome::Complete { .. } | Outcome::Short { .. } => CheckEnding::Seen(decision.counts),
        };
        let (last_seen_at, is_empty) = (decision.last_seen_at, decision.is_empty());
        let Some(stored) = self.commit(&fleet, decision, handled(cursor.as_ref())).await? else {
            return Ok(Tried::Lost);
        };
        if is_empty && matches!(ending, CheckEnding::Seen(_)) {
            self.latest.note(&fleet, observation.started_at);
        }
        if let Some(at) = last_seen_at {
            let item = Item::LastSeen(LastSeen { subject, slot: 0, at, jobs_sent_at: None, next_tick_at: None });
            let _ = self.store.put(&[Put::replacing(item)]).await?;
        }
        let announced = stored.announced(target, cursor.as_ref(), now).into_iter().collect();
        let credential = CredentialReport::default();
        Ok(Tried::done(CheckOutcome {
            ending,
            events: stored.events,
            credential,
            announced,
            recheck: None,
            pending_since,
        }))
    }

    /// The runners of the targets as they are stored. If those of any target with such runners are not known, the
    /// observation says so and decides nothing about any pool.
    async fn observe_members(&self, targets: &[&Target]) -> Observation {
        let started_at = self.clock.now();
        let (mut members, mut unknown) = (Vec::new(), Vec::new());
        for together in targets.chunks(READS_AT_ONCE) {
            let reads = together.iter().map(|target| records::read_fleet(self.store, target));
            for (target, read) in together.iter().zip(join_all(reads).await) {
                match read {
                    Ok(StoredFleet { fleet, .. }) => {
                        let reason = self.why_unknown(&fleet, started_at);
                        let is_first = fleet.record.watched_since.is_none();
                        let pooled: Vec<Runner> = self.pooled_runners(target, fleet).collect();
                        match reason {
                            None => members.extend(pooled),
                            // A target that has none of these runners decides nothing about their pools.
                            Some(_) if !is_first && pooled.iter().all(Runner::is_gone) => {}
                            Some(reason) => unknown.push(format!("{target} {reason}")),
                        }
                    }
                    Err(error) => {
                        warn!(target_id = %target, %error, "a target could not be read for the pools of its credential");
                        unknown.push(format!("{target} could not be read"));
                    }
                }
            }
        }
        let failure = |detail: String| Outcome::Failed(Failure::new(Fault::Incomplete, detail));
        let outcome = match unknown.len() {
            0 if targets.is_empty() => failure("the credential has no target on the list".to_owned()),
            0 => Outcome::Complete { pages: Vec::new(), lookups: BTreeMap::new() },
            count => {
                let more = match count.saturating_sub(MOST_NAMED) {
                    0 => String::new(),
                    more => format!(", and {more} more"),
                };
                unknown.truncate(MOST_NAMED);
                failure(format!("not every runner is known: {}{more}", unknown.join(", ")))
            }
        };
        Observation { members, jobs: JobsSeen::Unknown, ..Observation::of(started_at, outcome) }
    }

    /// Why the runners of a target are not known now; `None` if they are. One failed check does not make them unknown.
    fn why_unknown(&self, fleet: &Fleet, now: Timestamp) -> Option<&'static str> {
        let record = &fleet.record;
        let unreachable_after = self.settings.policy.for_target(&record.target).thresholds().unreachable_after;
        // While nothing changes, the stored time of the last check lags behind.
        let longest = unreachable_after.max(self.settings.interval * 2) + LAST_SEEN_LAG;
        if record.failing.as_ref().is_some_and(|failing| failing.unreachable) {
            Some("is unreachable")
        } else if record.watched_since.is_none() {
            Some("has not been checked yet")
        } else if fleet.seen_at().is_none_or(|seen| now.has_waited(seen, longest)) {
            Some("was not checked recently")
        } else {
            None
        }
    }

    /// The runners of a target that may belong to a pool of its credential.
    fn pooled_runners(&self, target: &Target, fleet: Fleet) -> impl Iterator<Item = Runner> {
        let policy = &self.settings.policy;
        let (of_target, pools) = (policy.for_target(target), policy.pools_over_credentials());
        let is_pooled = move |runner: &Runner| {
            pools.iter().any(|rule| runner.has_labels(&rule.labels)) && !of_target.ignores(&runner.name)
        };
        fleet.runners.into_iter().filter(is_pooled)
    }
}
