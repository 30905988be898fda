//! Whether and when people hear of an outage: mutes, flapping, reminders.

use super::Turn;
use crate::change::Step;
use crate::outage::Telling;
use crate::runner::{Down, Flapping, Health};
use crate::time::Timestamp;

impl Turn<'_> {
    fn is_muted(&self) -> bool {
        self.wishes.mutes(self.target, &self.runner.name, &self.runner.labels)
    }

    /// How an outage is told, given what people asked for.
    pub(super) fn heeding_mutes(&self, telling: Telling) -> Telling {
        if telling.is_told() && self.is_muted() { Telling::Muted } else { telling }
    }

    /// An outage that goes on: what kept it from being told may be over, and people may have to be reminded.
    pub(super) fn still_down(&mut self) {
        let Health::Down(mut down) = std::mem::replace(&mut self.runner.health, Health::Healthy) else { return };
        // Down for longer than it would have to be well: that is an outage, no flapping.
        let lasts = self.at.has_waited(down.outage.started_at, self.thresholds.flapping_calm);
        // In a mute it goes on flapping, so that what was told of that has an end.
        if lasts && !self.is_muted() && self.runner.flapping.take().is_some() && down.outage.telling == Telling::Quiet {
            down.outage.telling = Telling::Alert;
            down.told_at = Some(self.at);
            self.steps.push(Step::OutageOpened { outage: Box::new(down.outage.clone()) });
        } else if down.outage.telling == Telling::Quiet {
            self.tell_muted_flapping();
        } else if down.outage.telling == Telling::Muted && !self.is_muted() {
            down.outage.telling = Telling::Alert;
            down.told_at = Some(self.at);
            self.steps.push(Step::MuteEnded { outage: Box::new(down.outage.clone()) });
        } else if self.wants_reminder(&down) {
            down.reminders += 1;
            down.told_at = Some(self.at);
            let is_last = down.reminders >= self.thresholds.reminders;
            self.steps.push(Step::Reminded { outage: Box::new(down.outage.clone()), is_last });
        }
        self.runner.health = Health::Down(down);
    }

    /// What was offline when monitoring started is told once.
    fn wants_reminder(&self, down: &Down) -> bool {
        let told_at = down.told_at.unwrap_or(down.outage.confirmed_at);
        down.outage.telling == Telling::Alert
            && down.reminders < self.thresholds.reminders
            && self.at.has_waited(told_at, self.thresholds.remind)
            && !self.wishes.acknowledged.contains(&(self.runner.id, down.outage.id))
            && !self.is_muted()
    }

    /// Counts an outage towards flapping; gives how it is told.
    pub(super) fn note_flapping(&mut self, started_at: Timestamp, telling: Telling) -> Telling {
        let window = self.thresholds.flapping_window;
        self.runner.recent_outages.retain(|&start| !started_at.has_waited(start, window));
        self.runner.recent_outages.push(started_at);
        if let Some(flapping) = &mut self.runner.flapping {
            flapping.outages += 1;
            flapping.healthy_since = None;
            self.tell_muted_flapping();
            return Telling::Quiet;
        }
        let outages = u32::try_from(self.runner.recent_outages.len()).unwrap_or(u32::MAX);
        if outages < self.thresholds.flapping {
            return telling;
        }
        let (since, muted) = (self.runner.recent_outages[0], self.is_muted());
        self.runner.flapping = Some(Flapping { since, outages, healthy_since: None, muted });
        self.steps.push(Step::FlappingStarted { runner: (&self.runner).into(), since, outages, muted });
        Telling::Quiet
    }

    /// Flapping that began during a mute is told once the mute is over, if an outage of it is open then.
    fn tell_muted_flapping(&mut self) {
        let muted = self.is_muted();
        if let Some(flapping) = self.runner.flapping.as_mut().filter(|flapping| flapping.muted && !muted) {
            flapping.muted = false;
            let Flapping { since, outages, .. } = *flapping;
            self.steps.push(Step::FlappingStarted { runner: (&self.runner).into(), since, outages, muted });
        }
    }

    /// Ends flapping after the policy's time in health.
    pub(super) fn calm_down(&mut self) {
        let calm = |flapping: &Flapping| {
            flapping.healthy_since.is_some_and(|since| self.at.has_waited(since, self.thresholds.flapping_calm))
        };
        if self.runner.flapping.as_ref().is_some_and(calm) {
            self.end_flapping();
        }
    }

    pub(super) fn end_flapping(&mut self) {
        if let Some(Flapping { since, outages, healthy_since, muted }) = self.runner.flapping.take() {
            self.runner.recent_outages.clear();
            let runner = (&self.runner).into();
            self.steps.push(Step::FlappingEnded { runner, since, outages, healthy_since, muted });
        }
    }
}
