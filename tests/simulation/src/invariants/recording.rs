//! Every committed outage is recorded, at its start and at its end.

use std::collections::BTreeMap;

use monitor_domain::change::{Change, Event};
use monitor_domain::outage::Outage;

use super::{Examination, moment};
use crate::record::Record;

const RECORDED: &str = "every outage that a change opened is recorded once, with its end";
const NOT_REOPENED: &str = "an outage is stored as it opened, then as it ended, and never otherwise";

/// The committed events of one outage.
#[derive(Clone, Copy, Default)]
struct Committed<'a> {
    opened: Option<&'a Outage>,
    ended: Option<&'a Outage>,
}

impl Examination<'_> {
    /// Compares the committed outages of a target with the stored ones, and with every put of one.
    pub(super) fn recording(&mut self, record: &Record, changes: &[Change]) {
        let mut committed: BTreeMap<(u64, u64), Committed<'_>> = BTreeMap::new();
        for event in changes.iter().flat_map(|change| &change.events) {
            match event {
                Event::OutageOpened { outage } => {
                    committed.entry(number_of(outage)).or_default().opened.get_or_insert(outage);
                }
                Event::OutageClosed { outage } => committed.entry(number_of(outage)).or_default().ended = Some(outage),
                _ => {}
            }
        }
        let subject = &record.subject;
        for (number, Committed { opened, ended }) in &committed {
            let stored: Vec<&Outage> = record.outages.iter().filter(|outage| number_of(outage) == *number).collect();
            if stored.len() != 1 || Some(stored[0]) != ended.or(*opened) {
                self.found(RECORDED, format!("{subject}: {opened:?}, {ended:?}, stored {stored:?}"));
            }
        }
        if let Some(outage) = record.outages.iter().find(|outage| !committed.contains_key(&number_of(outage))) {
            self.found(RECORDED, format!("{subject}: not committed: {outage:?}"));
        }
        let mut last: BTreeMap<(u64, u64), &Outage> = BTreeMap::new();
        for (at_ms, target, outage) in &self.played.world.recorded {
            if subject.to_string() != target.as_str() {
                continue;
            }
            let Committed { opened, ended } = committed.get(&number_of(outage)).copied().unwrap_or_default();
            let before = last.insert(number_of(outage), outage);
            // An end may be stored again unchanged.
            let is_right =
                if outage.is_open() { before.is_none() && opened == Some(outage) } else { ended == Some(outage) };
            if !is_right {
                let what = format!("{subject}: {outage:?} over {before:?} at {}", moment(*at_ms));
                self.found.push(super::Violation { invariant: NOT_REOPENED, details: what });
            }
        }
    }
}

fn number_of(outage: &Outage) -> (u64, u64) {
    (outage.runner_id.0, outage.id.0.0)
}
