//! Pools: an outage if and only if too few runners are online.

use super::{Examination, moment};
use crate::machine::scenario_ms;
use crate::operations::HOUR_MS;
use crate::record::Record;

const CAUSE: &str = "a pool is short only if a check listed too few of its runners online";
const FOUND: &str = "a pool that is short for long is recorded in time";

const REST: &str = "at the end a pool has an open outage exactly if it is short";

/// The promise of scenarios with a pool.
pub(super) const POOL_PROMISE: &str = "pool that is short";

impl Examination<'_> {
    /// Checks the outages of the pool of a target.
    pub(super) fn pools(&mut self, place: usize, record: &Record) {
        let outages: Vec<_> = record.outages.iter().filter(|outage| outage.pool.is_some()).collect();
        for outage in &outages {
            let is_short = |at| self.model.lists_too_few(place, scenario_ms(at));
            if !is_short(outage.started_at) || !is_short(outage.confirmed_at) {
                self.found(CAUSE, format!("{}: {outage:?}", record.subject));
            }
        }
        if !self.played.world.rules.has_pool {
            return;
        }
        let shortages = self.model.shortages(place);
        // The end of a scenario is calm.
        let end_ms = self.played.end_ms;
        let is_short = shortages.last().is_some_and(|last| last.ended_ms == end_ms);
        let is_open = outages.iter().any(|outage| outage.is_open());
        if is_open != is_short && self.model.was_always_listed(place, (end_ms - HOUR_MS, end_ms), true) {
            self.found(REST, format!("{}: {outages:?}", record.subject));
        }
        for shortage in shortages {
            let Some(by_ms) = shortage.found_by_ms else { continue };
            self.promised(POOL_PROMISE);
            let covers = |outage: &&&monitor_domain::outage::Outage| {
                scenario_ms(outage.started_at) <= by_ms
                    && outage.resolved_at.is_none_or(|end| scenario_ms(end) > shortage.began_ms)
            };
            if !outages.iter().any(|outage| covers(&outage)) {
                let (from, until, by) = (moment(shortage.began_ms), moment(shortage.ended_ms), moment(by_ms));
                self.found(FOUND, format!("{}: short from {from} to {until}, not recorded by {by}", record.subject));
            }
        }
    }
}
