//! Messages about any subject: each is sent once, in order, and none is missing.

use std::collections::BTreeSet;

use monitor_domain::notifications::Notification;

use super::{Examination, moment};
use crate::record::Record;
use crate::shown::{Side, count, key_of};
use crate::world::Taken;

impl Examination<'_> {
    pub(super) fn messages(&mut self, record: &Record) {
        let taken = self.taken_of(&record.subject);
        // Each message belongs to a claim, and the claims are sent in their order.
        let mut last = 0;
        for taken in &taken {
            let claims = record.claims.iter().filter(|claim| claim.notification == taken.notification);
            let Some(number) = claims.map(|claim| claim.number.notification).find(|number| *number >= last) else {
                let what = format!("{} at {}: {:?}", record.subject, moment(taken.at_ms), taken.notification.items);
                self.found("every message has a claim, and messages follow the order of their claims", what);
                continue;
            };
            last = number;
        }
        // Slack accepts each notification once, except in the two windows of uncertainty (see `Record::uncertain`).
        // Notifications with the same content are counted together.
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
                let what = format!("{}: accepted {notified} times, {uncertain} uncertain: {wording:?}", record.subject);
                self.found("at most one message per notification, except in the two windows", what);
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
                let what = format!("{} {} outage {}: {side:?} notified {times} times", record.subject, key.0, key.1);
                self.found("the start and end of an outage are each notified once, except in the two windows", what);
            }
        }
        for outage in record.outages.iter().filter(|outage| outage.visibility.is_notified()) {
            let key = key_of(outage);
            let is_notified = |side| notified.contains_key(&(key.clone(), side));
            let what = || format!("{} {} outage {}: {outage:?}", record.subject, key.0, key.1);
            // If a runner is removed or no longer monitored before its outage is notified, only that is notified.
            if !is_notified(Side::Began) && !is_notified(Side::Ended) {
                self.found("every outage is notified", what());
            }
            if !outage.is_open() && !is_notified(Side::Ended) {
                self.found("the end of every notified outage is notified", what());
            }
        }
    }
}
