//! The availability of runners is that of the true history, and what nobody observed is not part of it.

use monitor_domain::availability::Span;
use monitor_domain::target::Target;

use super::{Examination, moment};
use crate::calendar::{scenario_ms, timestamp};
use crate::world::bit_of;

const OBSERVED: &str = "the observed time of a runner is that in which checks succeeded";
const DOWN: &str = "the time that outages took is that in which the runner was offline";

/// The promise of a runner that was offline for long, while nothing was disturbed.
pub(super) const AVAILABILITY: &str = "availability of a runner";

impl Examination<'_> {
    /// Compares the figures of each runner with a count by hand.
    pub(super) fn availability(&mut self, place: usize, target: &Target) -> anyhow::Result<()> {
        let until = timestamp(self.played.end_ms);
        let history = self.played.stored.history(target, until)?;
        let report = history.report(Span { from: timestamp(0), until });
        let from_ms = scenario_ms(report.from);
        for runner in report.runners.iter().filter(|runner| bit_of(&runner.name).is_some()) {
            let Some(counted) = self.model.availability(place, &runner.name, from_ms) else { continue };
            if counted.down_ms.0 > 0 {
                self.promised(AVAILABILITY);
            }
            let (observed, down) = (runner.availability.observed, runner.availability.down);
            for (invariant, found, (least_ms, most_ms)) in
                [(OBSERVED, observed, counted.observed_ms), (DOWN, down, counted.down_ms)]
            {
                let found_ms = i64::try_from(found.as_millis()).unwrap_or(i64::MAX);
                if !(least_ms..=most_ms).contains(&found_ms) {
                    let [found, least, most] = [found_ms, least_ms, most_ms].map(moment);
                    let what = format!("{target} {}, since {}", runner.name, moment(from_ms));
                    self.found(invariant, format!("{what}: {found}, by hand {least} to {most}"));
                }
            }
        }
        Ok(())
    }
}
