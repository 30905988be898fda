//! Derives the outages to be recorded from the changes that open and close them.

use crate::change::{Change, Event, in_order_after};
use crate::outage::Outage;
use crate::subject::Revision;

/// The outages that some changes open and close.
///
/// The start of an outage is recorded only if nothing is recorded of it yet; its end replaces whatever is recorded.
/// Both can therefore be repeated and arrive late, and an outage that has ended never becomes open again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutageRecords {
    /// The last revision taken into account.
    pub through: Revision,
    /// Outages that opened and do not end within these changes, as they were when they opened.
    pub opened: Vec<Outage>,
    /// Outages that ended, in full.
    pub ended: Vec<Outage>,
}

impl OutageRecords {
    /// The outages that the changes after a revision open and close. An unfinished decision is included: its runners
    /// are stored too.
    pub fn of(recorded_through: Revision, changes: &[Change]) -> Self {
        let mut records = Self { through: recorded_through, ..Self::default() };
        for change in in_order_after(recorded_through, changes) {
            records.through = change.revision;
            for event in &change.events {
                match event {
                    // An outage that opens again was open before, and is only now notified.
                    Event::OutageOpened { outage } if !contains(&records.opened, outage) => {
                        records.opened.push((**outage).clone());
                    }
                    Event::OutageClosed { outage } => {
                        records.opened.retain(|opened| !is_same(opened, outage));
                        records.ended.push((**outage).clone());
                    }
                    _ => {}
                }
            }
        }
        records
    }

    /// The recorded outages of a target after these are recorded too, in order of runner and outage.
    pub fn over(self, mut recorded: Vec<Outage>) -> Vec<Outage> {
        let opened = self.opened.into_iter().filter(|outage| !contains(&recorded, outage)).collect::<Vec<_>>();
        recorded.retain(|outage| !contains(&self.ended, outage));
        recorded.extend(opened);
        recorded.extend(self.ended);
        recorded.sort_by_key(|outage| (outage.runner_id, outage.id));
        recorded
    }
}

fn contains(outages: &[Outage], outage: &Outage) -> bool {
    outages.iter().any(|other| is_same(other, outage))
}

fn is_same(a: &Outage, b: &Outage) -> bool {
    (a.runner_id, a.id) == (b.runner_id, b.id)
}
