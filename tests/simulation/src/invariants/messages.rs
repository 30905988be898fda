//! What holds for the messages about any subject: each once, in order, and nothing left untold.

use std::collections::BTreeSet;

use monitor_domain::notices::Notice;

use super::{Examination, moment};
use crate::record::{Record, Side, count, key_of};
use crate::world::Taken;

impl Examination<'_> {
    pub(super) fn messages(&mut self, record: &Record) {
        let taken = self.taken_of(&record.subject);
        // Each message is a claim's, and claims are told in their order.
        let mut last = 0;
        for taken in &taken {
            let claims = record.claims.iter().filter(|claim| claim.notice == taken.notice);
            let Some(number) = claims.map(|claim| claim.number.notice).find(|number| *number >= last) else {
                let what = format!("{} at {}: {:?}", record.subject, moment(taken.at_ms), taken.notice.news);
                self.found("no message without a claim, and in their order", what);
                continue;
            };
            last = number;
        }
        // A message is taken once for each notice, but for the two windows. Notices of one wording count together.
        let mut wordings: Vec<&Notice> = Vec::new();
        for claim in &record.claims {
            if !wordings.contains(&&claim.notice) {
                wordings.push(&claim.notice);
            }
        }
        for wording in wordings {
            let numbers =
                record.claims.iter().filter(|claim| claim.notice == *wording).map(|claim| claim.number.notice);
            let notices = numbers.collect::<BTreeSet<_>>().len();
            let told = taken.iter().filter(|taken| taken.notice == *wording).count();
            let uncertain = record.uncertain().filter(|claim| claim.notice == *wording).count();
            self.tally.repeats += u64::try_from(told.saturating_sub(notices)).unwrap_or(0);
            if told > notices + uncertain {
                let what = format!("{}: taken {told} times, {uncertain} uncertain: {wording:?}", record.subject);
                self.found("at most one message for each notice, but for the two windows", what);
            }
        }
        self.sides_are_told_once(record, &taken);
    }

    fn sides_are_told_once(&mut self, record: &Record, taken: &[&Taken]) {
        let told = count(taken.iter().map(|taken| &taken.notice));
        let allowed = count(record.uncertain().map(|claim| &claim.notice));
        for ((key, side), times) in &told {
            let more = allowed.get(&(key.clone(), *side)).copied().unwrap_or(0);
            if *times > 1 + more {
                let what = format!("{} {} outage {}: {side:?} told {times} times", record.subject, key.0, key.1);
                self.found("each side of an outage is told once, but for the two windows", what);
            }
        }
        for outage in record.outages.iter().filter(|outage| outage.telling.is_told()) {
            let key = key_of(outage);
            let is_told = |side| told.contains_key(&(key.clone(), side));
            let what = || format!("{} {} outage {}: {outage:?}", record.subject, key.0, key.1);
            // A runner that is gone, or no longer watched, before its outage was told is told as that alone.
            if !is_told(Side::Began) && !is_told(Side::Ended) {
                self.found("every outage is told", what());
            }
            if !outage.is_open() && !is_told(Side::Ended) {
                self.found("the end is told if the outage was", what());
            }
        }
    }
}
