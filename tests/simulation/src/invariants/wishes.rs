//! What people asked for was heeded: what was committed and told is held against the mutes and acknowledgements there
//! were when it was decided.

use std::collections::BTreeMap;

use monitor_domain::change::{Change, Step};
use monitor_domain::outage::{Outage, OutageId, Telling};
use monitor_domain::runner::RunnerId;
use monitor_domain::target::TargetId;
use monitor_pipeline::items::Key;

use super::{Examination, moment};
use crate::installation::{REMIND_MS, REMINDERS};
use crate::machine::story_ms;
use crate::model::{Decided, Reading};
use crate::operations::MINUTE_MS;
use crate::record::{OutageKey, Record, count, key_of, reminded, sides};

const MUTED: &str = "nothing is told of what is muted";
const HEARD: &str = "nothing is kept quiet that nobody muted";
pub(super) const UNMUTED: &str = "what is still open after a mute is told in time, once";
pub(super) const REMINDED: &str = "an outage is reminded of in time";
const TOO_MUCH: &str =
    "nobody is reminded too soon, too often, or of what is acknowledged, muted, over or told when monitoring started";
const SILENCE: &str = "after a long silence of Slack what is open is told once, and what came and went in one summary";
const HASTY: &str = "Slack is not asked again before it wants to be";

/// An outage as its target's changes tell of it.
struct Known {
    telling: Telling,
    told_ms: i64,
    reminders: u32,
}

impl Examination<'_> {
    /// Each step of a target is held against what people had asked for when it was decided.
    pub(super) fn wishes(&mut self, place: usize, record: &Record, changes: &[Change]) {
        let mut known: BTreeMap<(RunnerId, OutageId), Known> = BTreeMap::new();
        let mut steps: BTreeMap<OutageKey, usize> = BTreeMap::new();
        for change in changes {
            let key = Key::Change(change.subject.clone(), change.revision);
            let looked_ms = story_ms(change.observed_at);
            let stored_ms = self.played.world.stored_ms.get(&key).copied().unwrap_or(i64::MAX);
            let at = Decided { looked_ms, stored_ms };
            for step in &change.steps {
                let fault = match step {
                    Step::OutageOpened { outage } => {
                        let opened = Known { telling: outage.telling, told_ms: looked_ms, reminders: 0 };
                        known.insert((outage.runner_id, outage.id), opened);
                        self.heeded(place, &outage.runner_name, at, outage.telling)
                    }
                    Step::MuteEnded { outage } => {
                        let opened = known.get_mut(&(outage.runner_id, outage.id));
                        let was_muted = opened.as_ref().is_some_and(|known| known.telling == Telling::Muted);
                        if let Some(known) = opened {
                            (known.telling, known.told_ms) = (Telling::Alert, looked_ms);
                        }
                        let is_bad = self.is_bad(place, &outage.runner_name, looked_ms);
                        let told =
                            if was_muted && is_bad { None } else { Some((UNMUTED, "it was not muted, or not open")) };
                        self.heeded(place, &outage.runner_name, at, outage.telling).or(told)
                    }
                    Step::Reminded { outage, is_last } => {
                        *steps.entry(key_of(outage)).or_default() += 1;
                        let before = known.get_mut(&(outage.runner_id, outage.id));
                        self.is_too_much(place, record, (outage, *is_last), at, before).map(|fault| (TOO_MUCH, fault))
                    }
                    Step::FlappingStarted { runner, muted, .. } => {
                        let telling = if *muted { Telling::Muted } else { Telling::Alert };
                        self.heeded(place, &runner.name, at, telling)
                    }
                    Step::OutageClosed { outage } => {
                        known.remove(&(outage.runner_id, outage.id));
                        None
                    }
                    _ => None,
                };
                if let Some((invariant, fault)) = fault {
                    let what = format!("{} at {}: {fault}: {step:?}", record.subject, moment(looked_ms));
                    self.found(invariant, what);
                }
            }
        }
        self.told_of_wishes(record, &steps);
    }

    fn is_bad(&self, place: usize, name: &str, at_ms: i64) -> bool {
        let readings = self.model.readings(place, name, at_ms, at_ms);
        readings.iter().any(|(_, reading)| matches!(reading, Reading::Bad | Reading::Slipped))
    }

    /// Whether a decision heeded the mutes.
    fn heeded(&self, place: usize, name: &str, at: Decided, telling: Telling) -> Option<(&'static str, &'static str)> {
        if telling.is_told() && self.model.is_surely_muted(place, name, at) {
            return Some((MUTED, "it was muted"));
        }
        let is_muted = telling == Telling::Muted;
        (is_muted && !self.model.may_be_muted(place, name, at)).then_some((HEARD, "it was not muted"))
    }

    /// What is wrong with a reminder, if anything.
    fn is_too_much(
        &self,
        place: usize,
        record: &Record,
        (outage, is_last): (&Outage, bool),
        at: Decided,
        known: Option<&mut Known>,
    ) -> Option<&'static str> {
        let Some(known) = known else { return Some("it is over") };
        let since_ms = at.looked_ms - known.told_ms;
        (known.told_ms, known.reminders) = (at.looked_ms, known.reminders + 1);
        let target: Option<TargetId> = match &record.subject {
            monitor_domain::subject::Subject::Target(target) => Some(target.clone()),
            _ => None,
        };
        let key = target.map(|target| (target, outage.runner_id, outage.id));
        let acknowledged_ms = key.and_then(|key| self.played.world.acknowledged_ms.get(&key));
        Some(match () {
            () if known.telling != Telling::Alert => "it was not told by an alert",
            () if since_ms < REMIND_MS => "too soon",
            () if known.reminders > REMINDERS => "too often",
            () if is_last != (known.reminders == REMINDERS) => "the last is not said to be",
            () if acknowledged_ms.is_some_and(|at_ms| *at_ms <= at.looked_ms) => "it was acknowledged",
            () if self.model.is_surely_muted(place, &outage.runner_name, at) => "it was muted",
            () if !self.is_bad(place, &outage.runner_name, at.looked_ms) => "it was not read as offline",
            () => return None,
        })
    }

    /// Nothing was told of outages that are recorded as untold, and no more reminders than were decided.
    fn told_of_wishes(&mut self, record: &Record, steps: &BTreeMap<OutageKey, usize>) {
        let taken = self.taken_of(&record.subject);
        let told = count(taken.iter().map(|taken| &taken.notice));
        for outage in record.outages.iter().filter(|outage| !outage.telling.is_told()) {
            if told.keys().any(|(key, _)| *key == key_of(outage)) {
                self.found(MUTED, format!("{}: {outage:?}", record.subject));
            }
        }
        let mut reminders: BTreeMap<OutageKey, usize> = BTreeMap::new();
        for taken in &taken {
            for outage in reminded(&taken.notice) {
                *reminders.entry(key_of(outage)).or_default() += 1;
                if taken.at_ms < story_ms(outage.confirmed_at) + REMIND_MS {
                    self.found(TOO_MUCH, format!("{} at {}: {outage:?}", record.subject, moment(taken.at_ms)));
                }
            }
        }
        for (key, times) in reminders {
            let uncertain =
                record.uncertain().filter(|claim| reminded(&claim.notice).any(|outage| key_of(outage) == key)).count();
            if times > steps.get(&key).copied().unwrap_or(0) + uncertain {
                self.found(TOO_MUCH, format!("{} {key:?}: {times} times", record.subject));
            }
        }
    }

    /// After a long silence there is one message of a target about what was found in it.
    pub(super) fn silences(&mut self, place: usize, record: &Record, changes: &[Change]) {
        // An end is dated to the first good reading, and may be confirmed much later.
        let closed_ms = |outage: &Outage| {
            let closes =
                |step: &Step| matches!(step, Step::OutageClosed { outage: closed } if key_of(closed) == key_of(outage));
            let closing = changes.iter().find(|change| change.steps.iter().any(closes));
            closing.map(|change| story_ms(change.decided_at))
        };
        for silence in self.model.silences() {
            let (from_ms, until_ms) = (silence.from_ms + 10 * MINUTE_MS, silence.until_ms - 45 * MINUTE_MS);
            // What a mute kept quiet is told when it ends.
            let is_muted = |name: &str| self.model.is_ever_muted(place, name, silence.from_ms, silence.until_ms);
            let within = |at_ms: i64| (from_ms..until_ms).contains(&at_ms);
            let found: Vec<&Outage> = record
                .outages
                .iter()
                .filter(|outage| {
                    outage.telling.is_told() && within(story_ms(outage.confirmed_at)) && !is_muted(&outage.runner_name)
                })
                .collect();
            if found.is_empty() || silence.until_ms + 45 * MINUTE_MS > self.played.end_ms {
                continue;
            }
            self.promised("news of a long silence of Slack");
            let taken = self.taken_of(&record.subject);
            let is_meant = |outage: &Outage| found.iter().any(|found| key_of(found) == key_of(outage));
            let mut telling =
                taken.iter().filter(|taken| sides(&taken.notice).iter().any(|(outage, _)| is_meant(outage)));
            let Some(first) = telling.next() else {
                self.found(SILENCE, format!("{}: nothing was told of {found:?}", record.subject));
                continue;
            };
            let told = count(std::iter::once(&first.notice));
            for outage in &found {
                let is_over = closed_ms(outage).is_some_and(|at_ms| within(at_ms + 5 * MINUTE_MS));
                let ends_here = told.contains_key(&(key_of(outage), crate::record::Side::Ended));
                let begins_here = told.contains_key(&(key_of(outage), crate::record::Side::Began));
                if first.at_ms < silence.until_ms || (is_over && !ends_here) || !(begins_here || ends_here) {
                    let at = moment(first.at_ms);
                    self.found(SILENCE, format!("{} at {at}: {outage:?} is not in it", record.subject));
                }
            }
        }
    }

    /// Whoever was asked to wait waits, and so does everybody else who tells of the subject, unless whoever was asked
    /// ended before it could leave word of it.
    pub(super) fn waits(&mut self, records: &[Record]) {
        for (busy, at_ms) in &self.played.world.hasty {
            let Some(record) = records.iter().find(|record| record.subject == busy.subject) else { continue };
            let is_excused = record.uncertain().any(|claim| story_ms(claim.claimed_at) <= *at_ms);
            if !is_excused {
                let what =
                    format!("{} at {}, asked to wait until {}", busy.subject, moment(*at_ms), moment(busy.until_ms));
                self.found(HASTY, what);
            }
        }
    }
}
