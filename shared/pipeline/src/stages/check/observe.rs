//! Ask GitHub for the runners of a target.

use std::collections::BTreeMap;

use monitor_domain::fleet::Fleet;
use monitor_domain::observation::{CredentialReport, Failure, Fault, Lookup, Observation, ObservedPage, Outcome};
use monitor_domain::reconcile::lookups_wanted;
use monitor_domain::runner::RunnerId;
use monitor_domain::target::Target;
use tracing::debug;

use super::Check;
use crate::ports::{Clock, RunnerSource, Sender, Shortfall, Store};

impl<St: Store, Gh: RunnerSource, Jobs: Sender, Changes: Sender, Cl: Clock> Check<'_, St, Gh, Jobs, Changes, Cl> {
    /// Lists the runners, and looks up the missing ones by id.
    pub(super) async fn observe(&self, target: &Target, fleet: &Fleet) -> (Observation, CredentialReport) {
        let started_at = self.clock.now();
        let listing = self.source.list(target, &fleet.record.pages).await;
        let outcome = match listing.pages {
            // Watched under both names, each of its outages would be recorded twice.
            Ok(_) if let Some(new) = listing.moved_to.filter(|new| self.is_configured_beside(new, target)) => {
                let detail =
                    format!("{target} has been renamed to {new}, which is watched too; take {target} off the list");
                Outcome::Failed(Failure::new(Fault::NotFound, detail))
            }
            Ok(pages) => {
                let lookups = self.look_up(target, fleet, &pages).await;
                // A runner that moved to another page while the pages were read is found by its id.
                let found = lookups.values().filter(|lookup| matches!(lookup, Lookup::Found(_))).count() as u64;
                match listing.shortfall.filter(|shortfall| shortfall.missing > found) {
                    Some(Shortfall { failure, .. }) => Outcome::Short { pages, lookups, failure },
                    None => Outcome::Complete { pages, lookups },
                }
            }
            Err(incomplete) if incomplete.partial => Outcome::Partial(incomplete.failure),
            Err(incomplete) => Outcome::Failed(incomplete.failure),
        };
        (Observation::of(started_at, outcome), listing.report)
    }

    fn is_configured_beside(&self, new: &Target, old: &Target) -> bool {
        new != old && self.settings.configured.iter().any(|spec| spec.covers(new))
    }

    async fn look_up(&self, target: &Target, fleet: &Fleet, pages: &[ObservedPage]) -> BTreeMap<RunnerId, Lookup> {
        let mut lookups = BTreeMap::new();
        for id in lookups_wanted(fleet, pages) {
            match self.source.runner(target, id).await {
                Ok(lookup) => {
                    lookups.insert(id, lookup);
                }
                // Not asked: this leaves the runner as it is, and the next check asks again.
                Err(failure) => {
                    debug!(target_id = %target, runner = id.0, %failure, "a missing runner could not be looked up");
                    if failure.fault.is_shared() {
                        break;
                    }
                }
            }
        }
        lookups
    }
}
