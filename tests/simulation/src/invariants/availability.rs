//! Availability: what the page and the report count agrees with a count from GitHub's log of checks.

use std::time::Duration;

use monitor_domain::availability::Span;
use monitor_domain::target::Target;

use super::{Examination, moment};
use crate::machine::timestamp;
use crate::model::Sure;
use crate::operations::{HOUR_MS, TARGETS};
use crate::world::RUNNERS;

const COUNTED: &str = "availability agrees with a count from GitHub's log of checks";
const UNOBSERVED: &str = "what nobody observed counts neither as available nor as down";

/// The promises: a run proves nothing unless it had such times.
pub(super) const UP: &str = "availability of a runner that is online";
pub(super) const DOWN: &str = "availability of a runner that is offline";
pub(super) const NOT_OBSERVED: &str = "availability of a runner that nobody observes";

impl Examination<'_> {
    /// Compares each hour of each permanent runner of a target.
    pub(super) fn availability(&mut self, place: usize) -> anyhow::Result<()> {
        let target: Target = TARGETS[place].parse()?;
        let history = self.played.stored.history(&target)?;
        let times: Vec<(String, Vec<_>)> = (1..=RUNNERS)
            .map(|number| format!("runner-{number}"))
            .map(|name| (name.clone(), self.model.sure_times(place, &name)))
            .collect();
        for from_ms in (0..self.played.end_ms - HOUR_MS).step_by(usize::try_from(HOUR_MS)?) {
            let until_ms = from_ms + HOUR_MS;
            let report = history.report(Span { from: timestamp(from_ms), until: timestamp(until_ms) });
            for (name, times) in &times {
                let length_ms = |wanted: Sure| -> i64 {
                    let within = times.iter().filter(|(.., sure)| *sure == wanted);
                    within.map(|(from, until, _)| (*until.min(&until_ms) - *from.max(&from_ms)).max(0)).sum()
                };
                let [up_ms, down_ms, unobserved_ms] = [Sure::Up, Sure::Down, Sure::Unobserved].map(length_ms);
                for (kind, counted_ms) in [(UP, up_ms), (DOWN, down_ms), (NOT_OBSERVED, unobserved_ms)] {
                    if counted_ms > 0 {
                        self.promised(kind);
                    }
                }
                let of_runner = report.runners.iter().find(|runner| runner.name == *name);
                let of_runner = of_runner.map(|runner| runner.availability).unwrap_or_default();
                let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
                let (observed, down) = (ms(of_runner.observed), ms(of_runner.down));
                let details = || {
                    let (from, until) = (moment(from_ms), moment(until_ms));
                    format!(
                        "{target} {name}, {from} to {until}: observed {observed} ms, down {down} ms; by the log up {up_ms} ms, \
                         down {down_ms} ms, not observed {unobserved_ms} ms"
                    )
                };
                if observed - down < up_ms || down < down_ms || down > HOUR_MS - up_ms {
                    self.found(COUNTED, details());
                }
                if observed > HOUR_MS - unobserved_ms {
                    self.found(UNOBSERVED, details());
                }
            }
        }
        Ok(())
    }
}
