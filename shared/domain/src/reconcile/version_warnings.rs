//! Warns of versions that GitHub ends.

use std::collections::BTreeSet;

use super::Reconciliation;
use super::evaluation::CheckContext;
use crate::change::{Event, RunnerName};
use crate::fleet::TargetRecord;
use crate::runner::{Runner, RunnerId};
use crate::versions::{Stage, VersionWarning, known, stage, updates_itself};

impl Reconciliation<'_> {
    /// Adds an event for each version of the target's runners whose next stage has come. It names no runner that the
    /// check did not find.
    pub(super) fn warn_of_versions(
        &self,
        unlisted: &BTreeSet<RunnerId>,
        after: &mut TargetRecord,
        events: &mut Vec<Event>,
    ) {
        let at = self.context.at;
        let ending = self.context.versions.iter().filter_map(|record| Some((&record.version, record.ends_at()?)));
        for (version, ends_at) in ending {
            let warned = after.version_warnings.iter().position(|warning| warning.version == *version);
            let days = match stage(warned.map(|warned| &after.version_warnings[warned]), ends_at, at) {
                Stage::Quiet => continue,
                Stage::Moved(days) => days,
                Stage::Warn(days) => {
                    let runners: Vec<RunnerName> = self
                        .runners_after()
                        .filter(|runner| self.has(runner, version) && !unlisted.contains(&runner.id))
                        .map(RunnerName::from)
                        .collect();
                    if runners.is_empty() {
                        continue;
                    }
                    events.push(Event::VersionEnding { version: version.clone(), ends_at, days, runners });
                    days
                }
            };
            let warning = VersionWarning { version: version.clone(), ends_at, days };
            match warned {
                Some(warned) => after.version_warnings[warned] = warning,
                None => after.version_warnings.push(warning),
            }
            after.version_warnings.retain(|warning| known(self.context.versions, &warning.version).is_some());
        }
    }

    /// Whether people are to be warned that this runner has the version.
    fn has(&self, runner: &Runner, version: &str) -> bool {
        let CheckContext { policy, overrides, target, at, .. } = self.context;
        runner.version.as_deref() == Some(version)
            && !updates_itself(runner.updated_at, at)
            && !policy.ignores(&runner.name)
            && !overrides.mutes(target, &runner.name, &runner.labels)
    }
}
