//! Warns of versions that GitHub ends.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Reconciliation;
use super::evaluation::CheckContext;
use crate::change::{Event, RunnerName};
use crate::fleet::TargetRecord;
use crate::runner::{Runner, RunnerId};
use crate::versions::{known, next_warning, updates_itself};

/// How long after the end of a version that nobody has any more it is remembered that it was warned of.
const REMEMBERED: Duration = Duration::from_secs(90 * 86_400);

impl Reconciliation<'_> {
    /// Adds an event for each version of the target's runners whose next stage has come. It names no runner that the
    /// check did not find.
    pub(super) fn warn_of_versions(
        &self,
        unlisted: &BTreeSet<RunnerId>,
        after: &mut TargetRecord,
        events: &mut Vec<Event>,
    ) {
        let (at, versions) = (self.context.at, self.context.versions);
        for (version, ends_at) in versions.iter().filter_map(|record| Some((&*record.version, record.ends_at()?))) {
            let last = after.version_warnings.iter().position(|warning| warning.version == version);
            let warning = last.map(|last| &after.version_warnings[last]);
            let Some((next, is_due)) = next_warning(warning, (version, ends_at), at) else { continue };
            if is_due {
                let is_named = |runner: &&Runner| !unlisted.contains(&runner.id) && self.is_warned_of(runner, version);
                let runners: Vec<RunnerName> = self.runners_after().filter(is_named).map(RunnerName::from).collect();
                let Some(days) = next.days.filter(|_| !runners.is_empty()) else { continue };
                events.push(Event::VersionEnding { version: version.to_owned(), ends_at, days, runners });
            }
            match last {
                Some(last) => after.version_warnings[last] = next,
                None => after.version_warnings.push(next),
            }
        }
        for warning in &mut after.version_warnings {
            warning.is_withdrawn |= known(versions, &warning.version).is_some_and(|record| record.ends_at().is_none());
        }
        let is_in_use = |version: &str| known(versions, version).is_some();
        after.version_warnings.retain(|warning| is_in_use(&warning.version) || at.since(warning.ends_at) < REMEMBERED);
    }

    /// Whether people are to be warned that this runner has the version: it is watched, and does not update itself.
    fn is_warned_of(&self, runner: &Runner, version: &str) -> bool {
        let CheckContext { policy, overrides, target, at, .. } = self.context;
        runner.version.as_deref() == Some(version)
            && !updates_itself(runner.updated_at, at)
            && !policy.ignores(&runner.name)
            && !overrides.mutes(target, &runner.name, &runner.labels)
    }
}
