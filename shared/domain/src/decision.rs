//! A decision about a target, and how it is split into commits.

use std::time::Duration;

use crate::change::{Change, Event};
use crate::fleet::{Counts, TargetRecord};
use crate::outage::{Outage, OutageId, Visibility};
use crate::runner::{Health, Runner, Status};
use crate::subject::{Revision, Subject};
use crate::time::Timestamp;

/// A runner changed by a decision, with its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunnerChange {
    /// The runner after the decision; [`Health::Retired`] if it is to be deleted.
    pub runner: Runner,
    /// The events of this runner, in order.
    pub events: Vec<Event>,
}

/// What one check decides about a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The target's record before the decision.
    pub(crate) before: TargetRecord,
    /// The target's record after the decision, except for its revision.
    pub(crate) after: TargetRecord,
    /// The changed runners.
    pub runners: Vec<RunnerChange>,
    /// The events of the target itself.
    pub events: Vec<Event>,
    /// The target's runners after the decision.
    pub counts: Counts,
    /// When the check started.
    pub observed_at: Timestamp,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// The delay until the next check, if this check counted towards an outage or a recovery that is not confirmed yet.
    pub recheck: Option<Duration>,
    /// Set if there is nothing to commit and the time of the check is to be stored instead.
    pub last_seen_at: Option<Timestamp>,
}

/// Whether an outage that opens at `observed_at` began now, and while the target was monitored. One that was suppressed
/// opens again once it lasts, and what other targets lose then is not its reason.
fn is_new_loss(outage: &Outage, observed_at: Timestamp) -> bool {
    let is_new = outage.confirmed_at == observed_at;
    is_new && outage.status == Status::Offline && outage.visibility != Visibility::Baseline
}

/// How far the notifier has processed a target's changes, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    /// The last revision covered by delivered notifications.
    pub notified_through: Revision,
    /// The last revision whose outages are recorded.
    pub recorded_through: Revision,
}

/// One atomic commit: all of it is written if the change's revision does not exist yet, and otherwise none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The lock, the outbox and the history.
    pub change: Change,
    /// The target's record at this revision.
    pub record: TargetRecord,
    /// The changed runners. Retired ones are to be deleted afterwards.
    pub runners: Vec<Runner>,
}

impl Decision {
    /// Whether there is nothing to commit. After an interrupted decision there always is: the record says `unfinished`.
    pub fn is_empty(&self) -> bool {
        self.runners.is_empty() && self.events.is_empty() && self.before == self.after
    }

    /// Whether a mute or an acknowledgement could change the decision. If so, it must be made again with the
    /// [`crate::overrides::Overrides`] applied.
    pub fn depends_on_overrides(&self) -> bool {
        self.all_events().any(Event::depends_on_overrides)
    }

    /// Whether the target has no runner online any more, and a runner went offline in this check. The first check of a
    /// target does not show when its runners went offline.
    pub fn loses_all_runners(&self) -> bool {
        let goes_offline = |event: &Event| matches!(event, Event::StatusChanged { from, to: Status::Offline, .. } if from.is_healthy());
        self.has_no_runner_online() && self.all_events().any(goes_offline)
    }

    /// Whether the target has no runner online any more, and an outage opens that is alerted, muted or suppressed.
    pub fn opens_with_all_runners_offline(&self) -> bool {
        let opens =
            |event: &Event| matches!(event, Event::OutageOpened { outage } if is_new_loss(outage, self.observed_at));
        self.has_no_runner_online() && self.all_events().any(opens)
    }

    fn has_no_runner_online(&self) -> bool {
        self.before.watched_since.is_some() && self.counts.total > 0 && self.counts.online == 0
    }

    /// Notes in the outages that open in how many targets of the credential all runners went offline.
    pub fn note_lost_targets(&mut self, targets: u32) {
        for change in &mut self.runners {
            for event in &mut change.events {
                let Event::OutageOpened { outage } = event else { continue };
                if is_new_loss(outage, self.observed_at) {
                    outage.lost_targets = Some(targets);
                    if let Health::Down(down) = &mut change.runner.health {
                        down.outage.lost_targets = Some(targets);
                    }
                }
            }
        }
    }

    /// All events of the decision, in order.
    pub fn all_events(&self) -> impl Iterator<Item = &Event> {
        self.runners.iter().flat_map(|runner| &runner.events).chain(&self.events)
    }

    /// Splits the decision into commits of at most `max_items` items (at least 4), by runner.
    ///
    /// All commits but the last are marked `more`. The target's own events and the ETags are in the last one. The
    /// others carry no ETags: if the rest is never committed, the stored runners match neither the old pages nor the
    /// new ones. `handled` may lag behind the notifier.
    pub fn commits(self, nonce: u64, max_items: usize, handled: Handled) -> Vec<Commit> {
        if self.is_empty() {
            return Vec::new();
        }
        let all_was_handled = self.before.last_notifiable <= handled.notified_through
            && self.before.last_outage_change <= handled.recorded_through;
        let is_for_notifier = self.all_events().any(|event| event.is_notifiable() || event.outage_event().is_some());
        let first_pending =
            if all_was_handled && is_for_notifier { self.before.revision.next() } else { self.before.first_pending };
        let room = max_items.max(4) - 2;
        let mut parts: Vec<Vec<RunnerChange>> = vec![Vec::new()];
        for change in self.runners {
            if parts.last().is_none_or(|part| part.len() >= room) {
                parts.push(Vec::new());
            }
            if let Some(part) = parts.last_mut() {
                part.push(change);
            }
        }
        let last = parts.len() - 1;
        let mut target_events = Some(self.events);
        let mut revision = self.before.revision;
        let (mut last_notifiable, mut last_outage_change) =
            (self.before.last_notifiable, self.before.last_outage_change);
        let mut commits = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            revision = revision.next();
            let more = index < last;
            let mut record = if more { self.before.clone() } else { self.after.clone() };
            let (mut runners, mut events) = (Vec::new(), Vec::new());
            for mut change in part {
                settle(&mut change, revision);
                runners.push(change.runner);
                events.append(&mut change.events);
            }
            if !more {
                events.append(&mut target_events.take().unwrap_or_default());
            }
            let change = Change {
                subject: Subject::from(&record.target),
                revision,
                nonce,
                decided_at: self.decided_at,
                observed_at: self.observed_at,
                counts: self.counts,
                more,
                events,
            };
            if change.is_notifiable() {
                last_notifiable = revision;
            }
            if change.has_outage_events() {
                last_outage_change = revision;
            }
            if more {
                record.pages.clear();
            }
            record.revision = revision;
            record.last_notifiable = last_notifiable;
            record.last_outage_change = last_outage_change;
            record.first_pending = first_pending;
            record.unfinished = more;
            commits.push(Commit { change, record, runners });
        }
        commits
    }
}

/// Replaces placeholder outage ids by the revision of the commit.
fn settle(change: &mut RunnerChange, revision: Revision) {
    match &mut change.runner.health {
        Health::Suspect(suspicion) => suspicion.outage_id.settle(revision),
        Health::Down(down) => down.outage.id.settle(revision),
        Health::Healthy | Health::Gone { .. } | Health::Retired => {}
    }
    if let Some(absence) = &mut change.runner.absence {
        absence.outage_id.settle(revision);
    }
    change.events.iter_mut().filter_map(outage_id_of).for_each(|id| id.settle(revision));
}

fn outage_id_of(event: &mut Event) -> Option<&mut OutageId> {
    match event {
        Event::Suspected { outage_id, .. } => Some(outage_id),
        Event::OutageOpened { outage }
        | Event::OutageClosed { outage }
        | Event::Reminded { outage, .. }
        | Event::RemovalNear { outage, .. }
        | Event::MuteEnded { outage } => Some(&mut outage.id),
        _ => None,
    }
}
