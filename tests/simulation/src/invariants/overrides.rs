//! Overrides apply: commits and notifications are compared with the mutes and acknowledgements at the time of the
//! decision.

use std::collections::BTreeMap;

use monitor_domain::change::{Change, Event};
use monitor_domain::outage::{Ending, Outage, OutageId, Visibility};
use monitor_domain::runner::RunnerId;
use monitor_domain::target::TargetId;
use monitor_pipeline::keys::Key;

use super::{Examination, moment};
use crate::calendar::MINUTE_MS;
use crate::calendar::scenario_ms;
use crate::installation::{REMIND_MS, REMINDERS};
use crate::model::{Decided, Reading};
use crate::record::Record;
use crate::shown::{OutageKey, Side, count, key_of, reminded, sides};
use crate::world::POOL_LABEL;

const MUTED: &str = "nothing that is muted is notified";
const NOT_MUTED: &str = "nothing is suppressed as muted that nobody muted";
pub(super) const UNMUTED: &str = "an outage that is still open after a mute is notified in time, once";
pub(super) const REMINDED: &str = "reminders of an outage are sent in time";
const TOO_MUCH: &str =
    "no reminder is too early, one too many, or about an acknowledged, muted, ended or baseline outage";
const SILENCE: &str = "after a long Slack outage each open outage is notified once, and ended ones in one summary";
const HASTY: &str = "no request is sent to Slack before the end of a Retry-After";

/// The state of an outage according to its target's changes.
struct Known {
    visibility: Visibility,
    notified_ms: i64,
    reminders: u32,
}

impl Examination<'_> {
    /// Compares each event of a target with the overrides at the time of its decision.
    pub(super) fn overrides(&mut self, place: usize, record: &Record, changes: &[Change]) {
        let mut known: BTreeMap<(RunnerId, OutageId), Known> = BTreeMap::new();
        let mut events: BTreeMap<OutageKey, usize> = BTreeMap::new();
        for change in changes {
            let key = Key::Change(change.subject.clone(), change.revision);
            let checked_ms = scenario_ms(change.observed_at);
            let stored_ms = self.played.world.stored_ms.get(&key).copied().unwrap_or(i64::MAX);
            let at = Decided { checked_ms, stored_ms };
            for event in &change.events {
                let fault = match event {
                    Event::OutageOpened { outage } => {
                        let opened = Known { visibility: outage.visibility, notified_ms: checked_ms, reminders: 0 };
                        known.insert((outage.runner_id, outage.id), opened);
                        self.muted_state(place, &outage.runner_name, at, outage.visibility)
                    }
                    Event::MuteEnded { outage } => {
                        let opened = known.get_mut(&(outage.runner_id, outage.id));
                        let was_muted = opened.as_ref().is_some_and(|known| known.visibility == Visibility::Muted);
                        if let Some(known) = opened {
                            (known.visibility, known.notified_ms) = (Visibility::Alerted, checked_ms);
                        }
                        let is_unhealthy = self.is_unhealthy(place, &outage.runner_name, checked_ms);
                        let fault = (UNMUTED, "it was not muted, or not open");
                        // A runner that is gone by then ends its outage with the same check, and so does a queue.
                        let is_removed = change.events.iter().any(|event| {
                            let Event::OutageClosed { outage: ended } = event else { return false };
                            key_of(ended) == key_of(outage)
                                && (ended.ending == Some(Ending::Removed) || ended.waiting.is_some())
                        });
                        let fault = (!(was_muted && (is_unhealthy || is_removed))).then_some(fault);
                        self.muted_state(place, &outage.runner_name, at, outage.visibility).or(fault)
                    }
                    Event::Reminded { outage, is_last } => {
                        *events.entry(key_of(outage)).or_default() += 1;
                        let before = known.get_mut(&(outage.runner_id, outage.id));
                        self.is_too_much(place, record, (outage, *is_last), at, before).map(|fault| (TOO_MUCH, fault))
                    }
                    Event::FlappingStarted { runner, muted, .. } => {
                        let visibility = if *muted { Visibility::Muted } else { Visibility::Alerted };
                        self.muted_state(place, &runner.name, at, visibility)
                    }
                    Event::OutageClosed { outage } => {
                        known.remove(&(outage.runner_id, outage.id));
                        None
                    }
                    _ => None,
                };
                if let Some((invariant, fault)) = fault {
                    let what = format!("{} at {}: {fault}: {event:?}", record.subject, moment(checked_ms));
                    self.found(invariant, what);
                }
            }
        }
        self.notified_sides(record, &events);
    }

    fn is_unhealthy(&self, place: usize, name: &str, at_ms: i64) -> bool {
        if name == format!("pool {POOL_LABEL}") {
            return self.model.lists_too_few(place, at_ms);
        }
        let readings = self.model.readings(place, name, at_ms, at_ms);
        self.was_confirmed(place, name, at_ms)
            || readings.iter().any(|(_, reading)| matches!(reading, Reading::Unhealthy | Reading::Slipped))
    }

    /// What is wrong if a decision did not apply the mutes.
    fn muted_state(
        &self,
        place: usize,
        name: &str,
        at: Decided,
        visibility: Visibility,
    ) -> Option<(&'static str, &'static str)> {
        if visibility.is_notified() && self.model.is_surely_muted(place, name, at) {
            return Some((MUTED, "it was muted"));
        }
        let is_muted = visibility == Visibility::Muted;
        (is_muted && !self.model.may_be_muted(place, name, at)).then_some((NOT_MUTED, "it was not muted"))
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
        let Some(known) = known else { return Some("it has ended") };
        let since_ms = at.checked_ms - known.notified_ms;
        (known.notified_ms, known.reminders) = (at.checked_ms, known.reminders + 1);
        let target: Option<TargetId> = match &record.subject {
            monitor_domain::subject::Subject::Target(target) => Some(target.clone()),
            _ => None,
        };
        let key = target.map(|target| (target, outage.runner_id, outage.id));
        let acknowledged_ms = key.and_then(|key| self.played.world.acknowledged_ms.get(&key));
        Some(match () {
            () if known.visibility != Visibility::Alerted => "it was not notified by an alert",
            () if since_ms < REMIND_MS => "too early",
            () if known.reminders > REMINDERS => "too often",
            () if is_last != (known.reminders == REMINDERS) => "is_last is wrong",
            () if acknowledged_ms.is_some_and(|at_ms| *at_ms <= at.checked_ms) => "it was acknowledged",
            () if self.model.is_surely_muted(place, &outage.runner_name, at) => "it was muted",
            () if !self.is_unhealthy(place, &outage.runner_name, at.checked_ms) => "it was not read as offline",
            () => return None,
        })
    }

    /// No notification about outages that are recorded as not notified, and no more reminders than were decided.
    fn notified_sides(&mut self, record: &Record, events: &BTreeMap<OutageKey, usize>) {
        let taken = self.taken_of(&record.subject);
        let notified = count(taken.iter().map(|taken| &taken.notification));
        // An open one is recorded as it opened, and may be notified later.
        let ended = record.outages.iter().filter(|outage| !outage.is_open());
        for outage in ended.filter(|outage| !outage.visibility.is_notified()) {
            if notified.keys().any(|(key, _)| *key == key_of(outage)) {
                self.found(MUTED, format!("{}: {outage:?}", record.subject));
            }
        }
        let mut reminders: BTreeMap<OutageKey, usize> = BTreeMap::new();
        for taken in &taken {
            for outage in reminded(&taken.notification) {
                *reminders.entry(key_of(outage)).or_default() += 1;
                if taken.at_ms < scenario_ms(outage.confirmed_at) + REMIND_MS {
                    self.found(TOO_MUCH, format!("{} at {}: {outage:?}", record.subject, moment(taken.at_ms)));
                }
            }
        }
        for (key, times) in reminders {
            let uncertain = record
                .uncertain()
                .filter(|claim| reminded(&claim.notification).any(|outage| key_of(outage) == key))
                .count();
            if times > events.get(&key).copied().unwrap_or(0) + uncertain {
                self.found(TOO_MUCH, format!("{} {key:?}: {times} times", record.subject));
            }
        }
    }

    /// After a long Slack outage one message per target reports what was detected in it.
    pub(super) fn silences(&mut self, place: usize, record: &Record, changes: &[Change]) {
        // An end has the time of the first healthy reading, and may be confirmed much later.
        let closed_ms = |outage: &Outage| {
            let closes = |event: &Event| matches!(event, Event::OutageClosed { outage: closed } if key_of(closed) == key_of(outage));
            let closing = changes.iter().find(|change| change.events.iter().any(closes));
            closing.map(|change| scenario_ms(change.decided_at))
        };
        for silence in self.model.silences() {
            let (from_ms, until_ms) = (silence.from_ms + 10 * MINUTE_MS, silence.until_ms - 45 * MINUTE_MS);
            // A muted outage is notified when the mute ends.
            let is_muted = |name: &str| self.model.is_ever_muted(place, name, silence.from_ms, silence.until_ms);
            let within = |at_ms: i64| (from_ms..until_ms).contains(&at_ms);
            // One that began while its runner flapped is notified only if it lasts, perhaps after Slack is back.
            let became_notifiable = |outage: &Outage| {
                let opens = |event: &Event| {
                    matches!(event, Event::OutageOpened { outage: opened }
                        if key_of(opened) == key_of(outage) && opened.visibility.is_notified())
                };
                let mut opening = changes.iter().filter(|change| change.events.iter().any(opens));
                opening.next().is_some_and(|change| within(scenario_ms(change.decided_at)))
            };
            let found: Vec<&Outage> = record
                .outages
                .iter()
                .filter(|outage| {
                    outage.visibility.is_notified() && became_notifiable(outage) && !is_muted(&outage.runner_name)
                })
                .collect();
            if found.is_empty() || silence.until_ms + 45 * MINUTE_MS > self.played.end_ms {
                continue;
            }
            self.promised("summary after a long Slack outage");
            let taken = self.taken_of(&record.subject);
            let is_meant = |outage: &Outage| found.iter().any(|found| key_of(found) == key_of(outage));
            let mut about_them =
                taken.iter().filter(|taken| sides(&taken.notification).iter().any(|(outage, _)| is_meant(outage)));
            let Some(first) = about_them.next() else {
                self.found(SILENCE, format!("{}: not notified: {found:?}", record.subject));
                continue;
            };
            let notified = count(std::iter::once(&first.notification));
            for outage in &found {
                let is_over = closed_ms(outage).is_some_and(|at_ms| within(at_ms + 5 * MINUTE_MS));
                let ends_here = notified.contains_key(&(key_of(outage), Side::Ended));
                let begins_here = notified.contains_key(&(key_of(outage), Side::Began));
                if first.at_ms < silence.until_ms || (is_over && !ends_here) || !(begins_here || ends_here) {
                    let at = moment(first.at_ms);
                    self.found(SILENCE, format!("{} at {at}: {outage:?} is not in it", record.subject));
                }
            }
        }
    }

    /// After an answer with a time to wait, no notifier of the subject sends a request before its end, unless the
    /// notifier that got the answer ended before it could store it.
    pub(super) fn waits(&mut self, records: &[Record]) {
        for (busy, at_ms) in &self.played.world.hasty {
            let Some(record) = records.iter().find(|record| record.subject == busy.subject) else { continue };
            let is_excused = record.uncertain().any(|claim| scenario_ms(claim.claimed_at) <= *at_ms);
            if !is_excused {
                let what =
                    format!("{} at {}, asked to wait until {}", busy.subject, moment(*at_ms), moment(busy.until_ms));
                self.found(HASTY, what);
            }
        }
    }
}
