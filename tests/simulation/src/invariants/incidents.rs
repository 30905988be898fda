//! Incidents of GitHub: named as a reason only if many targets had no runner online, and then always.

use super::{Examination, moment};
use crate::calendar::scenario_ms;
use crate::model::FEWEST_LOST;
use crate::record::Record;
use crate::targets::TARGETS;

const CAUSE: &str = "an outage is put down to many targets only if that many had no runner online";

/// The promise of scenarios with an incident.
pub(super) const INCIDENT_PROMISE: &str = "incident of GitHub";

impl Examination<'_> {
    /// Checks what the outages say about other targets.
    pub(super) fn incidents(&mut self, records: &[Record]) {
        for record in &records[..TARGETS.len()] {
            for outage in &record.outages {
                let Some(lost) = outage.lost_targets else { continue };
                let known = self.model.targets_without_runners(scenario_ms(outage.confirmed_at));
                if (lost as usize) < FEWEST_LOST || lost as usize > known {
                    let at = moment(scenario_ms(outage.confirmed_at));
                    self.found(CAUSE, format!("{} at {at}: {lost} targets, but {known}: {outage:?}", record.subject));
                }
            }
        }
        // The sentence is an extra, which a lost request may cost: it must be there in some scenarios, not in each.
        for (places, (from_ms, until_ms)) in self.model.incidents() {
            let outages = places.iter().flat_map(|place| &records[*place].outages);
            let mut begun = outages.filter(|outage| (from_ms..=until_ms).contains(&scenario_ms(outage.started_at)));
            if begun.any(|outage| outage.lost_targets.is_some()) {
                self.promised(INCIDENT_PROMISE);
            }
        }
    }
}
