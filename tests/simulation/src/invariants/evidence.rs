//! No notification without a cause: every notification is compared with the true history and with GitHub's log.

use std::collections::BTreeMap;

use monitor_domain::change::{Change, Event};
use monitor_domain::notifications::{Notification, NotificationItem};
use monitor_domain::outage::{Ending, Outage};
use monitor_domain::subject::{CredentialId, Subject};
use monitor_domain::target::Target;
use monitor_pipeline::keys::Key;

use super::{Examination, moment};
use crate::calendar::MINUTE_MS;
use crate::calendar::scenario_ms;
use crate::model::{READINGS, Reading, UNREACHABLE_AFTER_MS, count_apart};
use crate::record::Record;
use crate::shown::key_of;
use crate::targets::{FOUND, TARGETS};
use crate::world::{STALE_MS, SimulatedCheck, bit_of};

/// The duration of an answered check.
const CHECK_MS: i64 = 2_000;

const NO_CAUSE: &str = "no outage without a cause";
const READ: &str = "an outage starts and ends with readings in GitHub's log";
const UNSEEN: &str = "nothing is notified as unreachable that was reachable";
const WATCHED: &str = "no gap in monitoring is notified while ticks succeed";

/// What the store says about the history of a target.
pub(super) struct History<'a> {
    /// The changes of the target.
    pub changes: &'a [Change],
    /// The changes of the list of targets.
    pub list: &'a [Change],
}

impl Examination<'_> {
    /// Checks what was notified and recorded about a target.
    pub(super) fn evidence(&mut self, place: usize, record: &Record, history: &History<'_>) {
        self.tally.outages += record.outages.len() as u64;
        let mut by_runner: BTreeMap<u64, Vec<&Outage>> = BTreeMap::new();
        for outage in &record.outages {
            by_runner.entry(outage.runner_id.0).or_default().push(outage);
            if !outage.is_of_runner() {
                // `pools` and `jobs` compare it.
                continue;
            }
            let from_ms = scenario_ms(outage.started_at) - STALE_MS - MINUTE_MS;
            // A check has the time at which it began; the list that it reads is a moment later.
            let until_ms = scenario_ms(outage.confirmed_at) + CHECK_MS;
            // The registration that was known is truly gone, also where the next one slips from every list since.
            let unregistered_ms = self.played.world.unregistered_ms.get(&outage.current_id.0);
            let is_removed =
                outage.ending == Some(Ending::Removed) && unregistered_ms.is_some_and(|at_ms| *at_ms <= until_ms);
            if !is_removed && !self.model.was_ever_away(place, &outage.runner_name, from_ms, until_ms) {
                self.found(NO_CAUSE, format!("{}: {outage:?}", record.subject));
            }
            // An ephemeral runner leaves after its job, but in an incident GitHub reports it offline.
            if bit_of(&outage.runner_name).is_none() {
                if !self.model.is_in_incident(scenario_ms(outage.started_at)) {
                    self.found(NO_CAUSE, format!("{}: {outage:?}", record.subject));
                }
                continue;
            }
            if let Some(fault) = self.began(place, outage, history).or_else(|| self.ended(place, outage, history)) {
                self.found(READ, format!("{} {}: {fault}: {outage:?}", record.subject, outage.runner_name));
            }
        }
        for outages in by_runner.values_mut() {
            outages.sort_by_key(|outage| outage.id);
            for pair in outages.windows(2) {
                // Jobs may already wait, not for too long, when those before are taken: a queue is open since it is confirmed.
                let next = if pair[1].waiting.is_some() { pair[1].confirmed_at } else { pair[1].started_at };
                if pair[0].resolved_at.is_none_or(|end| end > next) {
                    let what = format!("{}: {:?} and {:?}", record.subject, pair[0], pair[1]);
                    self.found("at most one open outage per runner", what);
                }
            }
        }
        for taken in self.taken_of(&record.subject) {
            self.flapping(record, &taken.notification, taken.at_ms);
            for item in &taken.notification.items {
                if let NotificationItem::Unreachable { since, .. } = item {
                    let checks = &self.played.world.checks[place];
                    self.unreachable(&[checks], scenario_ms(*since), taken.at_ms, &record.subject);
                }
            }
        }
    }

    /// What is wrong with the start of an outage, if anything.
    fn began(&self, place: usize, outage: &Outage, history: &History<'_>) -> Option<&'static str> {
        let [started_ms, confirmed_ms] = [outage.started_at, outage.confirmed_at].map(scenario_ms);
        let readings = self.model.readings(place, &outage.runner_name, started_ms, confirmed_ms);
        let is_unhealthy = |reading: &Reading| *reading != Reading::Healthy;
        let unhealthy = || readings.iter().filter(|(_, reading)| is_unhealthy(reading)).map(|(at_ms, _)| *at_ms);
        if !unhealthy().any(|at_ms| at_ms == started_ms) {
            return Some("no unhealthy reading at its start");
        }
        if !unhealthy().any(|at_ms| at_ms == confirmed_ms) {
            return Some("no unhealthy reading at its confirmation");
        }
        let missing = readings.iter().filter(|(_, reading)| matches!(reading, Reading::Missing | Reading::Slipped));
        let is_gone =
            outage.ending == Some(Ending::Removed) && count_apart(missing.map(|(at_ms, _)| *at_ms)) >= READINGS;
        // A check that stalled decides by the policy with which it began.
        let opens =
            |event: &Event| matches!(event, Event::OutageOpened { outage: opened } if key_of(opened) == key_of(outage));
        let opening = history.changes.iter().find(|change| change.events.iter().any(opens));
        let decided_ms = opening.map_or(started_ms, |change| scenario_ms(change.decided_at));
        let needed = self.model.lowest_threshold(started_ms.min(decided_ms), confirmed_ms + MINUTE_MS);
        if !is_gone && count_apart(unhealthy()) < needed {
            return Some("too few unhealthy readings");
        }
        let is_calm = self.model.is_calm(place, started_ms, confirmed_ms);
        let in_between =
            |(at_ms, reading): &(i64, Reading)| !is_unhealthy(reading) && (started_ms..confirmed_ms).contains(at_ms);
        (is_calm && readings.iter().any(in_between)).then_some("a healthy reading in between")
    }

    /// What is wrong with the end of an outage, if anything.
    fn ended(&self, place: usize, outage: &Outage, history: &History<'_>) -> Option<&'static str> {
        let resolved_ms = scenario_ms(outage.resolved_at?);
        let name = &outage.runner_name;
        match outage.ending? {
            Ending::Recovered => {
                let is_healthy = |reading: &Reading| matches!(reading, Reading::Healthy | Reading::Slipped);
                let mut readings = self.model.readings(place, name, resolved_ms, self.played.end_ms);
                // Of two checks in the same millisecond, one can be discarded: it may have read a wrong list.
                readings.retain(|(at_ms, reading)| *at_ms != resolved_ms || is_healthy(reading));
                let healthy =
                    || readings.iter().take_while(|(_, reading)| is_healthy(reading)).map(|(at_ms, _)| *at_ms);
                if readings.first().is_none_or(|(at_ms, _)| *at_ms != resolved_ms) {
                    return Some("no healthy reading at its end");
                }
                let is_calm = self.model.is_calm(place, resolved_ms, resolved_ms + 10 * MINUTE_MS);
                (is_calm && count_apart(healthy()) < READINGS).then_some("too few healthy readings in a row")
            }
            Ending::Removed => {
                let readings = self.model.readings(place, name, resolved_ms, resolved_ms);
                let is_missing = |reading: &Reading| matches!(reading, Reading::Missing | Reading::Slipped);
                (!readings.iter().any(|(_, reading)| is_missing(reading))).then_some("it was not missing")
            }
            Ending::NoLongerMonitored => {
                (!self.was_taken_off(place, outage, history)).then_some("the target is on the list")
            }
        }
    }

    /// Whether a target was off the list of targets when its outage was closed, and had been for the tick that took it off.
    ///
    /// A tick that stalls applies the settings that it read at its start, and the next tick corrects that. So the list at
    /// the commit does not decide.
    fn was_taken_off(&self, place: usize, outage: &Outage, history: &History<'_>) -> bool {
        let stored_ms = |change: &Change| {
            self.played.world.stored_ms.get(&Key::Change(change.subject.clone(), change.revision)).copied()
        };
        let closes = |event: &Event| match event {
            Event::OutageClosed { outage: closed } => (closed.runner_id, closed.id) == (outage.runner_id, outage.id),
            _ => false,
        };
        let closing = history.changes.iter().find(|change| change.events.iter().any(closes));
        let (Some(resolved_ms), Some(closed_ms)) = (outage.resolved_at.map(scenario_ms), closing.and_then(stored_ms))
        else {
            return false;
        };
        let names_it = |targets: &[Target]| targets.iter().any(|target| target.as_str() == TARGETS[place]);
        let moves = |change: &Change| {
            let is_off = change.events.iter().find_map(|event| match event {
                Event::TargetsRemoved { targets, .. } => names_it(targets).then_some(true),
                Event::TargetsAdded { targets, .. } => names_it(targets).then_some(false),
                _ => None,
            })?;
            Some((is_off, scenario_ms(change.decided_at), stored_ms(change)?))
        };
        let moves: Vec<(bool, i64, i64)> = history.list.iter().filter_map(moves).collect();
        moves.iter().enumerate().any(|(index, (is_off, began_ms, off_ms))| {
            let on_ms = moves.get(index + 1).map_or(i64::MAX, |(.., on_ms)| *on_ms);
            // Settings are read as the tick begins. An account is asked for its repositories later.
            let read_by_ms = if place == FOUND { *off_ms } else { *began_ms };
            // The drop dates its end by its start, and reads the list later.
            *is_off
                && *off_ms <= closed_ms
                && on_ms >= resolved_ms
                && self.model.was_ever_unlisted(place, *began_ms, read_by_ms)
        })
    }

    /// A runner flaps after three outages within the hour.
    fn flapping(&mut self, record: &Record, notification: &Notification, at_ms: i64) {
        for flap in notification.items.iter().filter_map(|item| match item {
            NotificationItem::Flapping { runners } => Some(runners),
            _ => None,
        }) {
            for flap in flap {
                let since_ms = scenario_ms(flap.since);
                let starts: Vec<i64> = record
                    .outages
                    .iter()
                    .filter(|outage| outage.runner_name == flap.runner.name)
                    .map(|outage| scenario_ms(outage.started_at))
                    .filter(|started_ms| {
                        (since_ms..since_ms + 60 * MINUTE_MS).contains(started_ms) && *started_ms < at_ms
                    })
                    .collect();
                if starts.len() < 3 || !starts.contains(&since_ms) {
                    let what = format!("{} {}: {flap:?}, {starts:?}", record.subject, flap.runner.name);
                    self.found("a runner flaps after three outages within the hour", what);
                }
            }
        }
    }

    /// Checks what was notified about the credential and the monitor.
    pub(super) fn evidence_of_all(&mut self, list: &[Change]) {
        let world = &self.played.world;
        let credential = Subject::Credential(CredentialId::token());
        let checks: Vec<&Vec<SimulatedCheck>> = world.checks.iter().collect();
        for taken in self.taken_of(&credential) {
            for item in &taken.notification.items {
                if let NotificationItem::Unreachable { since, .. } = item {
                    self.unreachable(&checks, scenario_ms(*since), taken.at_ms, &credential);
                }
            }
        }
        for taken in self.taken_of(&Subject::Monitor) {
            for item in &taken.notification.items {
                match item {
                    NotificationItem::Unwatched { from, until } => {
                        self.unwatched(scenario_ms(*from), scenario_ms(*until))
                    }
                    NotificationItem::EntriesUnresolved { entries } => {
                        entries.iter().for_each(|entry| self.unresolved(scenario_ms(entry.since), taken.at_ms));
                    }
                    NotificationItem::EmptyListRefused { .. } => {
                        let was_empty = |(at_ms, list): &(i64, [bool; TARGETS.len()])| {
                            *at_ms < taken.at_ms && !list.iter().any(|listed| *listed)
                        };
                        if !world.listed_history.iter().any(was_empty) {
                            self.found("an empty list is refused", format!("at {}", moment(taken.at_ms)));
                        }
                    }
                    NotificationItem::TargetsRemoved { targets, .. } => {
                        let was_off = |target: &Target| {
                            let place = TARGETS.iter().position(|name| *name == target.as_str());
                            place.is_some_and(|place| self.model.was_ever_unlisted(place, 0, taken.at_ms))
                        };
                        if !targets.iter().all(was_off) {
                            let what = format!("{targets:?} at {}", moment(taken.at_ms));
                            self.found("a target on the list stays monitored", what);
                        }
                    }
                    NotificationItem::ListRestored { .. } => {
                        // A refusal that is over before Slack takes it is not notified on its own.
                        let was_refused = list.iter().any(|change| {
                            let refuses = |event: &Event| matches!(event, Event::EmptyListRefused { .. });
                            scenario_ms(change.decided_at) < taken.at_ms && change.events.iter().any(refuses)
                        });
                        if !was_refused {
                            self.found("an empty list is refused", format!("restored at {}", moment(taken.at_ms)));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Checks failed from `since_ms` on for long enough, and none succeeded in between, except ones with a lost result.
    fn unreachable(&mut self, checks: &[&Vec<SimulatedCheck>], since_ms: i64, notified_ms: i64, subject: &Subject) {
        let is_shared = matches!(subject, Subject::Credential(_));
        let checks = || checks.iter().flat_map(|checks| checks.iter());
        let mut failed = checks().filter_map(|check| check.failed_ms(is_shared)).filter(|at_ms| *at_ms <= notified_ms);
        let began = failed.clone().any(|at_ms| at_ms == since_ms);
        let lasted = failed.any(|at_ms| at_ms - since_ms >= UNREACHABLE_AFTER_MS);
        // A function that is ended loses the result of its check.
        let is_sound = !self.model.may_lose(since_ms, notified_ms);
        // Of two concurrent checks the one that began later may be answered before the credential is refused.
        let seen_within = since_ms + CHECK_MS..since_ms + UNREACHABLE_AFTER_MS;
        let seen = checks().any(|check| check.failed_ms(is_shared).is_none() && seen_within.contains(&check.at_ms));
        if !began || !lasted || (is_sound && seen) {
            let what = format!("{subject}: since {}, notified at {}", moment(since_ms), moment(notified_ms));
            self.found(UNSEEN, what);
        }
    }

    /// The request for an account's repositories failed at `since_ms`, and for `unreachableAfter` none succeeded.
    fn unresolved(&mut self, since_ms: i64, notified_ms: i64) {
        let asked = &self.played.world.resolved;
        let within = |from_ms: i64, until_ms: i64, answered: bool| {
            asked.iter().any(|(at_ms, is_answered)| (from_ms..until_ms).contains(at_ms) && *is_answered == answered)
        };
        let began = within(since_ms, since_ms + MINUTE_MS, false);
        let is_sound = !self.model.may_lose(since_ms, notified_ms);
        let answered = within(since_ms + MINUTE_MS, since_ms + UNREACHABLE_AFTER_MS, true);
        if !began || notified_ms - since_ms < UNREACHABLE_AFTER_MS || (is_sound && answered) {
            self.found(UNSEEN, format!("an entry: since {}, notified at {}", moment(since_ms), moment(notified_ms)));
        }
    }

    /// No tick succeeded in between.
    fn unwatched(&mut self, from_ms: i64, until_ms: i64) {
        let ticks = &self.played.world.ticks_ms;
        // Of two concurrent ticks the earlier may overwrite the later's heartbeat, which differs by moments.
        let after_ms = from_ms + MINUTE_MS;
        let ticked = ticks.iter().find(|(began_ms, settled_ms)| *began_ms > after_ms && *settled_ms < until_ms);
        if until_ms - from_ms < UNREACHABLE_AFTER_MS || ticked.is_some() {
            let what = format!("from {} to {}, but a tick ran at {ticked:?}", moment(from_ms), moment(until_ms));
            self.found(WATCHED, what);
        }
    }
}
