//! Decides whether and when an outage is notified: mutes, flapping and reminders.

use std::time::Duration;

use super::Evaluation;
use crate::change::Event;
use crate::outage::Visibility;
use crate::runner::{Down, Flapping, Health};
use crate::time::Timestamp;

/// The number of days before GitHub removes a runner at which that is warned of, soonest first.
const REMOVAL_WARNING_DAYS: [u32; 2] = [1, 3];

impl Evaluation<'_> {
    fn is_muted(&self) -> bool {
        self.runner.is_pooled || self.overrides.mutes(self.target, &self.runner.name, &self.runner.labels)
    }

    /// The visibility of an outage after the mutes are applied.
    pub(super) fn apply_mutes(&self, visibility: Visibility) -> Visibility {
        if visibility.is_notified() && self.is_muted() { Visibility::Muted } else { visibility }
    }

    /// Handles an outage that continues: its suppression may have ended, and a reminder may be due.
    pub(super) fn still_down(&mut self) {
        let Health::Down(mut down) = std::mem::replace(&mut self.runner.health, Health::Healthy) else { return };
        // Offline for longer than it would have to be healthy to be calm: this is an outage, not flapping.
        let lasts = self.at.has_waited(down.outage.started_at, self.thresholds.flap_clear_after);
        // During a mute it continues to flap: flapping that was notified must get an end.
        if lasts
            && !self.is_muted()
            && self.runner.flapping.take().is_some()
            && down.outage.visibility == Visibility::Suppressed
        {
            down.outage.visibility = Visibility::Alerted;
            down.notified_at = Some(self.at);
            self.events.push(Event::OutageOpened { outage: Box::new(down.outage.clone()) });
        } else if down.outage.visibility == Visibility::Suppressed {
            self.notify_muted_flapping();
        } else if down.outage.visibility == Visibility::Muted && !self.is_muted() {
            down.outage.visibility = Visibility::Alerted;
            down.notified_at = Some(self.at);
            self.events.push(Event::MuteEnded { outage: Box::new(down.outage.clone()) });
        } else if self.wants_reminder(&down) {
            down.reminders += 1;
            down.notified_at = Some(self.at);
            let is_last = down.reminders >= self.thresholds.max_repeats;
            self.events.push(Event::Reminded { outage: Box::new(down.outage.clone()), is_last });
        }
        if let Some(days) = self.removal_warning(&down) {
            down.removal_warned_days = Some(days);
            self.events.push(Event::RemovalNear { outage: Box::new(down.outage.clone()), days });
        }
        self.runner.health = Health::Down(down);
    }

    /// Makes a muted outage notifiable if its mute is over: its runner is gone before a check could notify the outage.
    pub(super) fn end_mute(&mut self) {
        let is_over = !self.is_muted();
        if let Health::Down(down) = &mut self.runner.health
            && down.outage.visibility == Visibility::Muted
            && is_over
        {
            down.outage.visibility = Visibility::Alerted;
            self.events.push(Event::MuteEnded { outage: Box::new(down.outage.clone()) });
        }
    }

    /// The stage at which a warning is due that GitHub will remove the runner. An ephemeral runner is removed after a
    /// day, so there is nothing to warn of days ahead.
    fn removal_warning(&self, down: &Down) -> Option<u32> {
        if !down.outage.visibility.is_notified() || down.outage.ephemeral || self.is_muted() {
            return None;
        }
        let left = down.outage.removal()?.earliest.filter(|earliest| *earliest > self.at)?.since(self.at);
        let stage =
            REMOVAL_WARNING_DAYS.into_iter().find(|days| left <= Duration::from_secs(u64::from(*days) * 86_400));
        stage.filter(|stage| down.removal_warned_days.is_none_or(|warned| *stage < warned))
    }

    /// Outages from before monitoring started are notified once, without reminders.
    fn wants_reminder(&self, down: &Down) -> bool {
        let notified_at = down.notified_at.unwrap_or(down.outage.confirmed_at);
        down.outage.visibility == Visibility::Alerted
            && down.reminders < self.thresholds.max_repeats
            && self.at.has_waited(notified_at, self.thresholds.repeat_interval)
            && !self.overrides.acknowledged.contains(&(self.runner.id, down.outage.id))
            && !self.is_muted()
    }

    /// Counts an outage towards flapping; returns its visibility.
    pub(super) fn note_flapping(&mut self, started_at: Timestamp, visibility: Visibility) -> Visibility {
        let window = self.thresholds.flap_window;
        self.runner.recent_outages.retain(|&start| !started_at.has_waited(start, window));
        self.runner.recent_outages.push(started_at);
        if let Some(flapping) = &mut self.runner.flapping {
            flapping.outages += 1;
            flapping.healthy_since = None;
            self.notify_muted_flapping();
            return Visibility::Suppressed;
        }
        let outages = u32::try_from(self.runner.recent_outages.len()).unwrap_or(u32::MAX);
        if outages < self.thresholds.flap_threshold {
            return visibility;
        }
        let (since, muted) = (self.runner.recent_outages[0], self.is_muted());
        self.runner.flapping = Some(Box::new(Flapping { since, outages, healthy_since: None, muted }));
        self.events.push(Event::FlappingStarted { runner: (&self.runner).into(), since, outages, muted });
        Visibility::Suppressed
    }

    /// Notifies flapping that started during a mute once the mute is over, if one of its outages is open then.
    fn notify_muted_flapping(&mut self) {
        let muted = self.is_muted();
        if let Some(flapping) = self.runner.flapping.as_mut().filter(|flapping| flapping.muted && !muted) {
            flapping.muted = false;
            let Flapping { since, outages, .. } = **flapping;
            self.events.push(Event::FlappingStarted { runner: (&self.runner).into(), since, outages, muted });
        }
    }

    /// Ends flapping after the runner has been healthy for the policy's `flapClearAfter`.
    pub(super) fn calm_down(&mut self) {
        let calm = |flapping: &Flapping| {
            flapping.healthy_since.is_some_and(|since| self.at.has_waited(since, self.thresholds.flap_clear_after))
        };
        if self.runner.flapping.as_deref().is_some_and(calm) {
            self.end_flapping();
        }
    }

    pub(super) fn end_flapping(&mut self) {
        if let Some(flapping) = self.runner.flapping.take() {
            let Flapping { since, outages, healthy_since, muted } = *flapping;
            self.runner.recent_outages.clear();
            let runner = (&self.runner).into();
            self.events.push(Event::FlappingEnded { runner, since, outages, healthy_since, muted });
        }
    }
}
