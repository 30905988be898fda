//! Mutes, acknowledgements and reminders, and what must have been notified because of them.

use super::absences::Absence;
use super::{CHECK_MS, Model, NOTIFY_MS, TICK_MS, next_tick};
use crate::calendar::{HOUR_MS, MINUTE_MS};
use crate::installation::{REMIND_MS, REMINDERS};
use crate::operations::What;
use crate::targets::place_of;
use crate::world::Mute;

/// The time of a decision. Overrides are read, and compared with the clock, between its check and its commit.
#[derive(Clone, Copy, Debug)]
pub struct Decided {
    /// When its check started.
    pub checked_ms: i64,
    /// When its commit was stored.
    pub stored_ms: i64,
}

/// A time in which Slack accepted nothing.
#[derive(Clone, Copy, Debug)]
pub struct Silence {
    /// Its start.
    pub from_ms: i64,
    /// Its end.
    pub until_ms: i64,
}

impl Model<'_> {
    fn mutes(&self, place: usize, name: &str) -> impl Iterator<Item = &Mute> {
        self.world.mutes.iter().filter(move |mute| mute.covers(place, name))
    }

    /// The times in which a runner was muted, in the order in which the mutes were made.
    pub(super) fn muted(&self, place: usize, name: &str) -> impl Iterator<Item = (i64, i64)> {
        self.mutes(place, name).map(|mute| (mute.from_ms, mute.until_ms.min(mute.ended_ms.unwrap_or(i64::MAX))))
    }

    /// Whether a runner may have been muted at some time in between.
    pub fn is_ever_muted(&self, place: usize, name: &str, from_ms: i64, until_ms: i64) -> bool {
        // A check that began before the end of a mute still applies it some seconds later.
        self.muted(place, name).any(|(began_ms, ended_ms)| began_ms < until_ms && ended_ms + CHECK_MS > from_ms)
    }

    /// Whether a decision must have found a runner muted.
    pub fn is_surely_muted(&self, place: usize, name: &str, at: Decided) -> bool {
        self.mutes(place, name).any(|mute| {
            mute.from_ms <= at.checked_ms
                && at.stored_ms < mute.until_ms
                && mute.ended_ms.is_none_or(|ended_ms| ended_ms > at.stored_ms)
        })
    }

    /// Whether a decision may have found a runner muted.
    pub fn may_be_muted(&self, place: usize, name: &str, at: Decided) -> bool {
        self.mutes(place, name).any(|mute| {
            mute.from_ms <= at.stored_ms
                && at.checked_ms < mute.until_ms
                && mute.ended_ms.is_none_or(|ended_ms| ended_ms >= at.checked_ms)
        })
    }

    /// Whether the end of the absence before was surely detected when the next one began.
    fn is_apart(before: &[Absence], began_ms: i64) -> bool {
        before.last().is_none_or(|last| last.ended_ms + 3 * TICK_MS < began_ms)
    }

    /// The end of the mute that suppressed an absence, and the time by which the absence must be notified then.
    pub(super) fn unmuted_by(&self, before: &[Absence], last: &Absence, found_ms: i64) -> Option<(i64, i64)> {
        let (place, name) = (last.place, &*last.name);
        let (began_ms, ended_ms) = self.muted(place, name).find(|(from_ms, until_ms)| {
            *from_ms <= last.began_ms && found_ms < *until_ms && *until_ms < last.left_ms
        })?;
        let by_ms = next_tick(ended_ms) + CHECK_MS + NOTIFY_MS;
        let mut others = self.muted(place, name).filter(|mute| *mute != (began_ms, ended_ms));
        let is_alone = others.all(|(from_ms, until_ms)| from_ms > by_ms || until_ms < last.began_ms);
        let is_sure = !last.removed
            && !last.may_flap
            && last.began_ms > MINUTE_MS
            && is_alone
            && by_ms <= last.left_ms.min(self.end_ms)
            && Self::is_apart(before, last.began_ms)
            && self.is_calm(place, last.began_ms, by_ms);
        is_sure.then_some((ended_ms, by_ms))
    }

    /// The times by which the first, second and later reminders of an absence must have been sent.
    pub(super) fn reminded_by(&self, before: &[Absence], last: &Absence) -> Vec<i64> {
        let Some(mut notified_ms) = last.notified_by_ms.filter(|_| !last.removed && !last.may_flap) else {
            return Vec::new();
        };
        let mut reminded = Vec::new();
        for _ in 0..REMINDERS {
            let by_ms = next_tick(notified_ms + REMIND_MS) + CHECK_MS + NOTIFY_MS;
            let is_sure = last.began_ms > MINUTE_MS
                && by_ms <= last.left_ms.min(self.end_ms)
                && Self::is_apart(before, last.began_ms)
                && self.is_calm(last.place, last.began_ms, by_ms)
                && !self.is_ever_muted(last.place, &last.name, last.began_ms, by_ms)
                && !self.is_acknowledged(last.place, last.began_ms, by_ms);
            if !is_sure {
                break;
            }
            reminded.push(by_ms);
            notified_ms = by_ms;
        }
        reminded
    }

    /// Whether somebody acknowledged something of a target in between.
    fn is_acknowledged(&self, place: usize, from_ms: i64, until_ms: i64) -> bool {
        self.world.acknowledged_ms.iter().any(|((target, ..), at_ms)| {
            place_of(target.as_str()) == Some(place) && (from_ms..=until_ms).contains(at_ms)
        })
    }

    /// The long times in which Slack accepted nothing and nothing else went wrong.
    pub fn silences(&self) -> Vec<Silence> {
        let silence = |operation: &crate::operations::Operation| match operation.what {
            What::SlackDead { for_ms } if for_ms >= HOUR_MS => {
                Some(Silence { from_ms: operation.at_ms, until_ms: operation.at_ms + for_ms })
            }
            _ => None,
        };
        let silences = self.scenario.operations.iter().filter_map(silence);
        silences.filter(|silence| !self.has_faults(silence.from_ms, silence.until_ms + HOUR_MS)).collect()
    }

    /// Whether something else may go wrong in between, or Slack is dead for another time.
    fn has_faults(&self, from_ms: i64, until_ms: i64) -> bool {
        let is_within = |began_ms: i64, ended_ms: i64| began_ms < until_ms && ended_ms > from_ms;
        let others = self.scenario.operations.iter().filter(|operation| match operation.what {
            What::SlackDead { for_ms } | What::NotifierDown { for_ms } => {
                is_within(operation.at_ms, operation.at_ms + for_ms)
            }
            What::MonitorDown { for_ms } => is_within(operation.at_ms, operation.at_ms + for_ms),
            _ => false,
        });
        others.count() > 1
            || !self.scenario.crashes.is_empty()
            || self.scenario.windows.iter().any(|window| is_within(window.from_ms, window.until_ms))
    }
}
