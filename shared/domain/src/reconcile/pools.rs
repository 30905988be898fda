//! Evaluates the pools of a target or of a credential: each like a runner that is online while enough of its runners are.

use super::evaluation::Evaluation;
use super::{Reconciliation, counts_as_peer};
use crate::pool::{Minimum, PoolCounts, PoolRule};
use crate::runner::Runner;

impl Reconciliation<'_> {
    /// Evaluates every pool of the policy, and retires those that it no longer has.
    pub(super) fn evaluate_pools(&mut self) {
        let policy = self.context.policy;
        let mut pools = Vec::new();
        for rule in policy.pools() {
            let counts = self.counts_of(rule);
            let known = self.fleet.pools.iter().find(|pool| pool.id == rule.id());
            // A pool for all targets would alert about each that never had such a runner, and of none there is no part.
            let is_wanted_anyway = policy.is_own_pool(rule) && matches!(rule.minimum, Minimum::Runners(_));
            if known.is_none() && counts.total == 0 && !is_wanted_anyway {
                continue;
            }
            // A runner that is missing from an incomplete list may be online.
            if self.short.is_some() && !counts.is_enough() {
                continue;
            }
            let mut evaluation = match known {
                Some(pool) => Evaluation::new(pool, &self.context),
                None => Evaluation::registered(Runner::first_pool(rule, counts, self.context.at), &self.context),
            };
            evaluation.update_pool(rule, counts);
            evaluation.on_observed();
            pools.push(evaluation);
        }
        for pool in self.fleet.pools.iter().filter(|pool| !policy.pools().any(|rule| rule.id() == pool.id)) {
            let mut evaluation = Evaluation::new(pool, &self.context);
            evaluation.retire_pool();
            pools.push(evaluation);
        }
        self.pools = pools;
    }

    /// The runners of a pool as they are after this check. Those that the policy ignores do not count, nor those that
    /// never connected.
    fn counts_of(&self, rule: &PoolRule) -> PoolCounts {
        let (mut total, mut online) = (0, 0);
        let policy = self.context.policy;
        let counts = |runner: &&Runner| !runner.never_connected() && !policy.ignores(&runner.name);
        let members = self.context.members.iter().filter(|runner| counts_as_peer(runner));
        let all = self.runners_after().chain(members);
        for runner in all.filter(|runner| runner.has_labels(&rule.labels)).filter(counts) {
            total += 1;
            online += u32::from(runner.status.is_healthy());
        }
        PoolCounts { total, online, wanted: rule.minimum.of(total) }
    }
}
