//! What holds for the messages about any subject: each once, in order, and nothing left untold.

use std::collections::BTreeSet;

use monitor_domain::notifications::Notification;

use super::{Examination, moment};
use crate::record::{Record, Side, count, key_of};
use crate::world::Taken;

impl Examination<'_> {
    pub(super) fn messages(&mut self, record: &Record) {
        let taken = self.taken_of(&record.subject);
        // Each message is a claim's, and claims are told in their order.
        let mut last = 0;
        for taken in &taken {
            let claims = record.claims.iter().filter(|claim| claim.notification == taken.notification);
            let Some(number) = claims.map(|claim| claim.number.notification).find(|number| *number >= last) else {
                let what = format!("{} at {}: {:?}", record.subject, moment(taken.at_ms), taken.notification.items);
                self.found("no message without a claim, and in their order", what);
                continue;
            };
            last = number;
        }
        // A message is taken once for each notice, but for the two windows. Notices of one wording count together.
        let mut wordings: Vec<&Notification> = Vec::new();
        for claim in &record.claims {
            if !wordings.contains(&&claim.notification) {
                wordings.push(&claim.notification);
            }
        }
        for wording in wordings {
            let numbers = record
                .claims
                .iter()
                .filter(|claim| claim.notification == *wording)
                .map(|claim| claim.number.notification);
            let notifications = numbers.collect::<BTreeSet<_>>().len();
            let notified = taken.iter().filter(|taken| taken.notification == *wording).count();
            let uncertain = record.uncertain().filter(|claim| claim.notification == *wording).count();
            self.tally.repeats += u64::try_from(notified.saturating_sub(notifications)).unwrap_or(0);
            if notified > notifications + uncertain {
                let what = format!("{}: taken {notified} times, {uncertain} uncertain: {wording:?}", record.subject);
                self.found("at most one message for each notice, but for the two windows", what);
            }
        }
        self.sides_are_notified_once(record, &taken);
    }

    fn sides_are_notified_once(&mut self, record: &Record, taken: &[&Taken]) {
        let notified = count(taken.iter().map(|taken| &taken.notification));
        let allowed = count(record.uncertain().map(|claim| &claim.notification));
        for ((key, side), times) in &notified {
            let more = allowed.get(&(key.clone(), *side)).copied().unwrap_or(0);
            if *times > 1 + more {
                let what = format!("{} {} outage {}: {side:?} told {times} times", record.subject, key.0, key.1);
                self.found("each side of an outage is told once, but for the two windows", what);
            }
        }
        for outage in record.outages.iter().filter(|outage| outage.visibility.is_notified()) {
            let key = key_of(outage);
            let is_notified = |side| notified.contains_key(&(key.clone(), side));
            let what = || format!("{} {} outage {}: {outage:?}", record.subject, key.0, key.1);
            // A runner that is gone, or no longer watched, before its outage was told is told as that alone.
            if !is_notified(Side::Began) && !is_notified(Side::Ended) {
                self.found("every outage is told", what());
            }
            if !outage.is_open() && !is_notified(Side::Ended) {
                self.found("the end is told if the outage was", what());
            }
        }
    }
}
