//! Times in which something was unreachable or did not run, and changes of the list: what must have been notified.

use super::{CHECK_MS, Model, NOTIFY_MS, Source, TICK_MS, UNREACHABLE_AFTER_MS, next_tick};
use crate::operations::What;
use crate::targets::{FOUND, TARGETS};

/// A time in which something was unreachable or did not run, and nothing else went wrong.
#[derive(Clone, Debug)]
pub struct Unseen {
    /// The operation that caused it.
    pub what: What,
    /// When it began.
    pub began_ms: i64,
    /// When it ended.
    pub ended_ms: i64,
    /// It must be notified by then, once.
    pub notified_by_ms: Option<i64>,
    /// It must not be notified, because it is too short.
    pub stays_silent: bool,
    /// If it was notified, its end must be notified by then, once.
    pub over_by_ms: Option<i64>,
}

/// A target that was added to the list or removed from it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The index of the target.
    pub place: usize,
    /// When it was added or removed.
    pub at_ms: i64,
    /// It must be notified by then.
    pub notified_by_ms: Option<i64>,
}

impl Model<'_> {
    /// The times in which something was unreachable or did not run, and nothing else went wrong.
    pub fn unseen(&self) -> Vec<Unseen> {
        let mut unseen = Vec::new();
        for (number, operation) in self.scenario.operations.iter().enumerate() {
            let (what, began_ms) = (operation.what.clone(), operation.at_ms);
            let (place, for_ms) = match what {
                What::AccessLost { target, for_ms } => (Some(target), for_ms),
                What::CredentialRefused { for_ms } | What::MonitorDown { for_ms } => (None, for_ms),
                _ => continue,
            };
            let (ended_ms, but) = (began_ms + for_ms, Some(Source::Operation(number)));
            let alone = |until_ms: i64| self.disturbance(place, but, began_ms, until_ms).is_none();
            let over_ms = next_tick(ended_ms) + CHECK_MS + NOTIFY_MS;
            let mut this =
                Unseen { what, began_ms, ended_ms, notified_by_ms: None, stays_silent: false, over_by_ms: None };
            if let What::MonitorDown { .. } = this.what {
                let last_tick_ms = next_tick(began_ms) - TICK_MS;
                let gap_ms = next_tick(ended_ms) - last_tick_ms;
                // A tick that runs at that moment may or may not be ended.
                if alone(over_ms) && began_ms - last_tick_ms > CHECK_MS && over_ms <= self.end_ms {
                    this.notified_by_ms = (gap_ms >= UNREACHABLE_AFTER_MS).then_some(over_ms);
                    this.stays_silent = gap_ms < UNREACHABLE_AFTER_MS;
                }
            } else {
                let due_ms = next_tick(began_ms) + UNREACHABLE_AFTER_MS + TICK_MS + CHECK_MS + NOTIFY_MS;
                if alone(over_ms) {
                    this.notified_by_ms = (due_ms <= ended_ms.min(self.end_ms)).then_some(due_ms);
                    this.stays_silent = for_ms < UNREACHABLE_AFTER_MS;
                    this.over_by_ms = (over_ms <= self.end_ms).then_some(over_ms);
                }
            }
            unseen.push(this);
        }
        unseen
    }

    /// The targets that were added to the list.
    pub fn listed(&self) -> Vec<Listed> {
        let history = &self.world.listed_history;
        let mut listed = Vec::new();
        for place in 0..TARGETS.len() {
            let mut off_since_ms = Some(i64::MIN / 2);
            for (index, (at_ms, list)) in history.iter().enumerate() {
                match (list[place], off_since_ms) {
                    (false, None) => off_since_ms = Some(*at_ms),
                    (true, Some(since_ms)) => {
                        off_since_ms = None;
                        let off_ms = history[index..].iter().find(|(_, list)| !list[place]).map(|(at_ms, _)| *at_ms);
                        // The scheduler knows that it was off only if it ticked in between and could read the list.
                        let unlisted = Some(Source::Unlisted);
                        let is_sound = self.disturbance(Some(place), unlisted, since_ms, *at_ms).is_none();
                        // A target that is missing from its account's list stays monitored until the second tick.
                        let ticks_ms = if place == FOUND { TICK_MS } else { 0 };
                        let ticked = next_tick(since_ms.max(0)) + ticks_ms + CHECK_MS < *at_ms;
                        // While the list was empty, it was refused, and the target stayed monitored.
                        let was_empty = |(from_ms, list): &(i64, [bool; TARGETS.len()])| {
                            (since_ms..*at_ms).contains(from_ms) && !list.contains(&true)
                        };
                        let was_detected = since_ms < 0 || (is_sound && ticked && !history.iter().any(was_empty));
                        let bound = |from_ms| next_tick(from_ms) + CHECK_MS + NOTIFY_MS;
                        let until = (*at_ms, off_ms.unwrap_or(self.end_ms));
                        let notified_by_ms = self.due(Some(place), Some(Source::Unlisted), until, bound);
                        listed.push(Listed {
                            place,
                            at_ms: *at_ms,
                            notified_by_ms: notified_by_ms.filter(|_| was_detected),
                        });
                    }
                    _ => {}
                }
            }
        }
        listed
    }

    /// The targets that were removed from the list.
    pub fn off_the_list(&self) -> Vec<Listed> {
        let history = &self.world.listed_history;
        let mut off_the_list = Vec::new();
        for place in 0..TARGETS.len() {
            let mut on_since_ms = None;
            for (index, (at_ms, list)) in history.iter().enumerate() {
                match (list[place], on_since_ms) {
                    (true, None) => on_since_ms = Some(*at_ms),
                    (false, Some(since_ms)) => {
                        on_since_ms = None;
                        let (rest, unlisted) = (&history[index..], Some(Source::Unlisted));
                        // The scheduler knows that it was on only if it ticked in between and could read the list.
                        // A removal that would leave an empty list is refused.
                        let is_sound = self.disturbance(Some(place), unlisted, since_ms, *at_ms).is_none();
                        let was_detected = is_sound && next_tick(since_ms) + CHECK_MS < *at_ms;
                        let back = |(_, list): &&(i64, [bool; TARGETS.len()])| list[place] || !list.contains(&true);
                        let until_ms = rest.iter().find(back).map_or(self.end_ms, |(at_ms, _)| *at_ms);
                        let ticks_ms = if place == FOUND { TICK_MS } else { 0 };
                        let bound = |from_ms| next_tick(from_ms) + ticks_ms + CHECK_MS + NOTIFY_MS;
                        let notified_by_ms = self.due(Some(place), unlisted, (*at_ms, until_ms), bound);
                        let notified_by_ms = notified_by_ms.filter(|_| was_detected);
                        off_the_list.push(Listed { place, at_ms: *at_ms, notified_by_ms });
                    }
                    _ => {}
                }
            }
        }
        off_the_list
    }
}
