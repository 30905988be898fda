//! Versions that end and removals: what is warned of is true, and what is true is warned of once.

use std::collections::{BTreeMap, BTreeSet};

use monitor_domain::change::{Change, Event};
use monitor_domain::notifications::NotificationItem;
use monitor_domain::outage::Ending;
use monitor_domain::runner::Status;
use monitor_domain::versions::VersionEnd;
use monitor_pipeline::keys::Key;

use super::{Examination, moment};
use crate::calendar::scenario_ms;
use crate::calendar::{DAY_MS, HOUR_MS, MINUTE_MS};
use crate::model::{Decided, REMOVAL_STAGES, STAGES};
use crate::operations::{KEPT_MS, Scenario};
use crate::record::Record;
use crate::world::STALE_MS;

const TRUE: &str = "a version is warned of only as GitHub says, naming runners that have it";
const ONCE: &str = "each stage of a version is warned of once";
const IN_TIME: &str = "a version that ends is warned of in time";
const REASON: &str = "an ended version is the reason of an outage only if it had ended, and then always";
const ASKED: &str = "a version is asked about once an hour at most, and not again within a day while nothing is wrong";
const REMOVAL: &str = "a removal by GitHub is warned of in time, and not without a cause";

/// Promises of a scenario with foresight.
pub const FORESIGHT_PROMISES: [&str; 5] = [
    "version that ends",
    "outage of an ended version",
    super::pools::POOL_PROMISE,
    super::weekly::WEEK_PROMISE,
    super::incidents::INCIDENT_PROMISE,
];
/// Promises of one that is long enough for removals.
pub const REMOVAL_PROMISES: [&str; 2] = ["removal by GitHub that is near", "removal by GitHub"];

/// How far a date must move to be another one.
const SAME_DATE_MS: i64 = DAY_MS;
/// How long an answer takes to be known to every check.
const KNOWN_MS: i64 = 10 * MINUTE_MS;

impl Examination<'_> {
    /// When a commit was stored.
    fn stored_ms(&self, change: &Change) -> i64 {
        let key = Key::Change(change.subject.clone(), change.revision);
        self.played.world.stored_ms.get(&key).copied().unwrap_or(i64::MAX)
    }

    /// The ends of a version as they were stored, in order: from when on, and which.
    fn known_ends(&self, of_credential: &[Change], version: &str) -> Vec<(i64, Option<i64>)> {
        let mut known = Vec::new();
        for change in of_credential {
            for event in &change.events {
                if let Event::VersionAnswered { version: of, end } = event
                    && of == version
                {
                    let ends_ms = if let VersionEnd::At { at } = end { Some(scenario_ms(*at)) } else { None };
                    known.push((self.stored_ms(change), ends_ms));
                }
            }
        }
        known
    }

    /// Checks the warnings of versions and removals of a target.
    pub(super) fn foresight(&mut self, place: usize, record: &Record, changes: &[Change], of_credential: &[Change]) {
        if self.played.world.version_ends.is_none() {
            return;
        }
        self.versions_are_true(place, record, changes);
        self.versions_are_warned_of(place, record, of_credential);
        self.reasons(place, record, of_credential);
        self.removals(place, record, changes);
    }

    fn versions_are_true(&mut self, place: usize, record: &Record, changes: &[Change]) {
        // The lowest stage of each version so far, and the end that it was about.
        let mut warned: BTreeMap<&str, (u32, i64)> = BTreeMap::new();
        for change in changes {
            let decided = Decided { checked_ms: scenario_ms(change.observed_at), stored_ms: self.stored_ms(change) };
            for event in &change.events {
                if let Event::Dropped { .. } = event {
                    warned.clear();
                }
                let Event::VersionEnding { version, ends_at, days, runners } = event else { continue };
                let (at_ms, ends_ms) = (decided.checked_ms, scenario_ms(*ends_at));
                let what =
                    |why: String| format!("{} {version} at {}, {days} days: {why}", record.subject, moment(at_ms));
                let said = self.played.world.asked_versions.iter();
                if !said.clone().any(|asked| asked.version == *version && asked.ends_ms == Some(ends_ms)) {
                    self.found(TRUE, what(format!("GitHub never named {}", moment(ends_ms))));
                }
                if !STAGES.contains(&i64::from(*days)) || ends_ms - at_ms > i64::from(*days) * DAY_MS {
                    self.found(TRUE, what(format!("too early, it ends at {}", moment(ends_ms))));
                }
                for runner in runners {
                    let name = &runner.name;
                    if !self.model.had_version(place, name, version, at_ms - STALE_MS - MINUTE_MS, decided.stored_ms) {
                        self.found(TRUE, what(format!("{name} has another")));
                    }
                    if self.model.has_surely_updated(place, name, version, at_ms) {
                        self.found(TRUE, what(format!("{name} had just updated itself")));
                    }
                    if self.model.is_surely_muted(place, name, decided) {
                        self.found(TRUE, what(format!("{name} is muted")));
                    }
                }
                if runners.is_empty() {
                    self.found(TRUE, what("it names no runner".to_owned()));
                }
                let before = warned.insert(version, (*days, ends_ms));
                if before.is_some_and(|(last, last_ms)| last <= *days && ends_ms - last_ms <= SAME_DATE_MS) {
                    self.found(ONCE, what(format!("after {before:?}")));
                }
            }
        }
    }

    fn versions_are_warned_of(&mut self, place: usize, record: &Record, of_credential: &[Change]) {
        let versions: BTreeSet<&str> = self
            .played
            .world
            .versions
            .values()
            .flatten()
            .map(|held| held.version)
            .filter(|held| !held.is_empty())
            .collect();
        for version in versions {
            let known = self.known_ends(of_credential, version);
            for (index, (known_ms, ends_ms)) in known.iter().enumerate() {
                let Some(ends_ms) = ends_ms else { continue };
                // What a date means that takes back an earlier one, `versions` in the domain tests.
                if known[..index].iter().any(|(_, earlier)| earlier.is_some()) {
                    continue;
                }
                let replaced_ms = known.get(index + 1).map_or(i64::MAX, |(at_ms, _)| *at_ms);
                for days in STAGES {
                    let stage_ms = (ends_ms - days * DAY_MS).max(*known_ms).max(0);
                    let later = STAGES.iter().filter(|later| **later < days).max();
                    let until_ms = later.map_or(i64::MAX, |later| ends_ms - later * DAY_MS).min(replaced_ms);
                    let by_ms = self.model.warned_by(place, version, stage_ms).filter(|by_ms| *by_ms < until_ms);
                    let Some(by_ms) = by_ms else { continue };
                    self.promised(FORESIGHT_PROMISES[0]);
                    let is_warned =
                        self.taken_of(&record.subject).iter().filter(|taken| taken.at_ms <= by_ms).any(|taken| {
                            taken.notification.items.iter().any(|item| {
                                matches!(item, NotificationItem::VersionEnding { version: of, ends_at, raised_at, .. }
                                if of == version && scenario_ms(*ends_at) - scenario_ms(*raised_at) <= days * DAY_MS)
                            })
                        });
                    if !is_warned {
                        let what = format!(
                            "{} {version}, which ends at {}: no warning {days} days ahead by {}",
                            record.subject,
                            moment(*ends_ms),
                            moment(by_ms)
                        );
                        self.found(IN_TIME, what);
                    }
                }
            }
        }
    }

    fn reasons(&mut self, place: usize, record: &Record, of_credential: &[Change]) {
        for outage in record.outages.iter().filter(|outage| outage.status == Status::Offline) {
            let Some(version) = &outage.version else { continue };
            let [began_ms, confirmed_ms] = [outage.started_at, outage.confirmed_at].map(scenario_ms);
            let known = self.known_ends(of_credential, version);
            let has_ended = |ends_ms: &Option<i64>| ends_ms.is_some_and(|ends_ms| ends_ms <= began_ms);
            let what = || format!("{} {outage:?}; known: {known:?}", record.subject);
            match outage.version_ended_at.map(scenario_ms) {
                Some(ends_ms) => {
                    self.promised(FORESIGHT_PROMISES[1]);
                    if outage.last_healthy.is_some_and(|last| scenario_ms(last.at) > ends_ms + DAY_MS) {
                        self.found(REASON, format!("it was healthy long after the end: {}", what()));
                    }
                    let was_named =
                        known.iter().any(|(at_ms, end)| *end == Some(ends_ms) && *at_ms <= confirmed_ms + KNOWN_MS);
                    if !was_named || ends_ms > began_ms {
                        self.found(REASON, what());
                    }
                }
                None => {
                    let last = known.iter().rev().find(|(at_ms, _)| *at_ms < confirmed_ms - KNOWN_MS);
                    let is_sure = known.iter().all(|(at_ms, _)| (at_ms - confirmed_ms).abs() >= KNOWN_MS)
                        && self.model.is_calm(place, began_ms, confirmed_ms);
                    let is_recent =
                        |ends_ms: i64| outage.last_healthy.is_none_or(|last| scenario_ms(last.at) <= ends_ms + DAY_MS);
                    let is_reason = |ends_ms: &Option<i64>| has_ended(ends_ms) && ends_ms.is_some_and(is_recent);
                    if is_sure && last.is_some_and(|(_, ends_ms)| is_reason(ends_ms)) {
                        self.found(REASON, what());
                    }
                }
            }
        }
    }

    fn removals(&mut self, place: usize, record: &Record, changes: &[Change]) {
        for change in changes {
            for event in &change.events {
                let Event::RemovalNear { outage, days } = event else { continue };
                let at_ms = scenario_ms(change.observed_at);
                let named_ms = outage.removal().and_then(|removal| removal.earliest).map(scenario_ms);
                let left_ms = named_ms.map(|named_ms| named_ms - at_ms);
                let is_near = left_ms.is_some_and(|left_ms| (0..=i64::from(*days) * DAY_MS).contains(&left_ms));
                // GitHub counts from when the runner was online last, which no check can have seen later.
                let gone_ms = self.model.offline_since(place, &outage.runner_name, at_ms);
                let is_true = gone_ms.zip(named_ms).is_none_or(|(gone_ms, named_ms)| {
                    named_ms <= gone_ms + KEPT_MS + STALE_MS
                        && (named_ms >= gone_ms + KEPT_MS - HOUR_MS
                            || !self.model.is_calm(place, gone_ms - HOUR_MS, gone_ms + HOUR_MS))
                });
                if !is_near || !is_true || !REMOVAL_STAGES.contains(&i64::from(*days)) {
                    self.found(REMOVAL, format!("{} at {}: {outage:?}, {days} days", record.subject, moment(at_ms)));
                }
            }
        }
        let of_runners = record.outages.iter().filter(|outage| outage.pool.is_none() && !outage.ephemeral);
        for outage in of_runners.filter(|outage| outage.visibility.is_notified()) {
            if outage.status != Status::Offline || outage.connected_at.is_some() {
                continue;
            }
            let Some(earliest) = outage.removal().and_then(|removal| removal.earliest) else { continue };
            let earliest_ms = scenario_ms(earliest);
            let ended_ms = outage.resolved_at.map_or(self.played.end_ms, scenario_ms);
            for days in REMOVAL_STAGES {
                let stage_ms = earliest_ms - days * DAY_MS;
                let later_ms = earliest_ms - if days == 3 { DAY_MS } else { 0 };
                let name = &outage.runner_name;
                let by_ms = self.model.removal_warned_by(place, name, stage_ms, ended_ms.min(later_ms));
                let Some(by_ms) = by_ms.filter(|by_ms| *by_ms < ended_ms.min(later_ms)) else { continue };
                self.promised(REMOVAL_PROMISES[0]);
                let warned = self.taken_of(&record.subject).into_iter().filter(|taken| {
                    taken.notification.items.iter().any(|item| {
                        matches!(item, NotificationItem::RemovalNear { outages, .. }
                            if outages.iter().any(|one| (one.runner_id, one.id) == (outage.runner_id, outage.id)))
                    })
                });
                let times = warned.filter(|taken| (stage_ms..=by_ms).contains(&taken.at_ms)).count();
                if times != 1 {
                    let what = format!(
                        "{} {name}: warned {times} times {days} days ahead by {}",
                        record.subject,
                        moment(by_ms)
                    );
                    self.found(REMOVAL, what);
                }
            }
            let resolved_ms = outage.resolved_at.map_or(i64::MAX, scenario_ms);
            let is_its_own = |(of, name, at_ms): &&(usize, String, i64)| {
                *of == place && *name == outage.runner_name && (*at_ms..=at_ms + HOUR_MS).contains(&resolved_ms)
            };
            if outage.ending == Some(Ending::Removed)
                && self.played.world.expired.iter().any(|expired| is_its_own(&expired))
            {
                self.promised(REMOVAL_PROMISES[1]);
                if outage.version_ended_at.is_none() && !outage.was_removed_by_github() {
                    self.found(REMOVAL, format!("{}: GitHub removed the runner of {outage:?}", record.subject));
                }
            }
            let was_expired =
                self.played.world.expired.iter().any(|(of, name, _)| *of == place && *name == outage.runner_name);
            if outage.was_removed_by_github() && !was_expired {
                self.found(REMOVAL, format!("{}: GitHub did not remove the runner of {outage:?}", record.subject));
            }
        }
    }

    /// Checks how often GitHub was asked about versions.
    pub(super) fn questions(&mut self, scenario: &Scenario) {
        let mut by_hour: BTreeMap<(i64, &str), u32> = BTreeMap::new();
        let mut last: BTreeMap<&str, i64> = BTreeMap::new();
        let mut found = Vec::new();
        let is_undisturbed = scenario.windows.is_empty() && scenario.crashes.is_empty();
        for asked in &self.played.world.asked_versions {
            let times = by_hour.entry((asked.at_ms / HOUR_MS, &asked.version)).or_default();
            *times += 1;
            // A question that began at the end of an hour may be sent in the next.
            if *times > 2 {
                found.push(format!(
                    "{} is asked about {times} times in an hour, at {}",
                    asked.version,
                    moment(asked.at_ms)
                ));
            }
            let is_quiet = |from_ms: i64| is_undisturbed && self.model.is_undisturbed(from_ms, asked.at_ms);
            let before = last.insert(&asked.version, asked.at_ms);
            if before.is_some_and(|before| asked.at_ms - before < DAY_MS - MINUTE_MS && is_quiet(before)) {
                found.push(format!("{} is asked about again at {}", asked.version, moment(asked.at_ms)));
            }
        }
        found.into_iter().for_each(|what| self.found(ASKED, what));
    }
}
