//! What a decision changes, and how it is cut into commits.

use std::time::Duration;

use crate::change::{Change, Event};
use crate::fleet::{Counts, TargetRecord};
use crate::outage::OutageId;
use crate::runner::{Health, Runner};
use crate::subject::{Revision, Subject};
use crate::time::Timestamp;

/// A runner that a decision alters, with what happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunnerChange {
    /// The runner afterwards; [`Health::Retired`] if it is to be forgotten.
    pub runner: Runner,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// What is decided about a target after one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The target's record before.
    pub(crate) before: TargetRecord,
    /// The target's record afterwards, but for its revision.
    pub(crate) after: TargetRecord,
    /// The runners that it alters.
    pub runners: Vec<RunnerChange>,
    /// What happened to the target itself.
    pub events: Vec<Event>,
    /// The target's runners afterwards.
    pub counts: Counts,
    /// When the look began.
    pub observed_at: Timestamp,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// After how long to look again, where a reading counted towards a verdict that is still open.
    pub recheck: Option<Duration>,
    /// Set when nothing is to be committed and the look's time is to be put on record instead.
    pub last_seen_at: Option<Timestamp>,
}

/// How far the notifier has got with a target, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    /// The last revision that people were notified of.
    pub notified_through: Revision,
    /// The last revision whose outages are recorded.
    pub recorded_through: Revision,
}

/// One atomic commit: put all of it, provided that the change's revision does not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Lock, outbox and history.
    pub change: Change,
    /// The target's record at this revision.
    pub record: TargetRecord,
    /// The altered runners. Retired ones are to be deleted afterwards.
    pub runners: Vec<Runner>,
}

impl Decision {
    /// Whether there is nothing to commit. After a decision that broke off there always is: the record says `unfinished`.
    pub fn is_empty(&self) -> bool {
        self.runners.is_empty() && self.events.is_empty() && self.before == self.after
    }

    /// Whether it would be otherwise if people had asked for something: then it is to be decided again, with what they asked
    /// for ([`crate::overrides::Overrides`]).
    pub fn depends_on_overrides(&self) -> bool {
        self.all_events().any(Event::depends_on_overrides)
    }

    /// What happened, in order.
    pub fn all_events(&self) -> impl Iterator<Item = &Event> {
        self.runners.iter().flat_map(|runner| &runner.events).chain(&self.events)
    }

    /// Cuts the decision into commits of at most `max_items` items (at least 4), by runner. All but the last are
    /// marked `more`; what the target itself went through, and the ETags, go with the last. The others carry no ETag at
    /// all: should the rest never come, neither the old pages nor the new ones are what the runners are stored as.
    /// `handled` may be older than what the notifier has done by now.
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

/// Puts the commit's revision in the place of ids that wait for it.
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
        | Event::MuteEnded { outage } => Some(&mut outage.id),
        _ => None,
    }
}
