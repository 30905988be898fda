//! The end of a scenario: after the calm time the store agrees with GitHub, and nothing is open, pending or in a queue.

use monitor_domain::runner::Health;

use super::{Examination, moment};
use crate::calendar::scenario_ms;
use crate::record::Record;

impl Examination<'_> {
    pub(super) fn queues_are_at_rest(&mut self) {
        for (name, depth) in self.played.depths {
            if depth.visible + depth.delayed + depth.in_flight > 0 {
                self.found("the queues are empty at the end", format!("{name}: {depth:?}"));
            }
        }
    }

    pub(super) fn rest(&mut self, place: usize, record: &Record) {
        let Some(stored) = &record.fleet else { return };
        let (fleet, world) = (&stored.fleet, &self.played.world);
        let is_watched = world.listed_history.last().is_some_and(|(_, list)| list[place]);
        let truly: Vec<&str> = world.runners(place).iter().map(|runner| &*runner.name).collect();
        let last_notifiable = fleet.record.last_notifiable;
        // The cursor is a hint, which the next check repairs. A dropped target is not checked.
        let hinted = stored.cursor.as_ref().map_or(0, |cursor| cursor.notified_through.0);
        let notified = if is_watched { hinted } else { record.notified_through().max(hinted) };
        if notified < last_notifiable.0 {
            let claims = record
                .claims
                .iter()
                .map(|claim| (claim.number, claim.after.0, claim.through.0, moment(scenario_ms(claim.claimed_at))));
            let claims: Vec<_> = claims.collect();
            let endings: Vec<_> = record.endings.iter().map(|sent| (sent.number, &sent.ending)).collect();
            let what = format!(
                "{} last notifiable {last_notifiable}, {:?}\n  claims {claims:?}\n  endings {endings:?}",
                record.subject, stored.cursor
            );
            self.found("nothing is pending at the end", what);
        }
        let recorded = stored.cursor.as_ref().map_or(0, |cursor| cursor.recorded_through.0);
        if is_watched && recorded < fleet.record.last_outage_change.0 {
            let what = format!("{}: {:?}, {:?}", record.subject, fleet.record.last_outage_change, stored.cursor);
            self.found("nothing is unrecorded at the end", what);
        }
        // Pools and queues have invariants of their own.
        if record.outages.iter().any(|outage| outage.is_open() && outage.is_of_runner()) {
            self.found(
                "no outage is open when every runner is online",
                format!("{}: {:?}", record.subject, record.outages),
            );
        }
        if !is_watched {
            if !fleet.runners.is_empty() {
                self.found("a dropped target is forgotten", format!("{}: {:?}", record.subject, fleet.runners));
            }
            return;
        }
        let registered = || fleet.runners.iter().filter(|runner| !runner.is_gone());
        let mut known: Vec<&str> = registered().map(|runner| &*runner.name).collect();
        let mut truly = truly;
        known.sort_unstable();
        truly.sort_unstable();
        if known != truly {
            self.found(
                "the store agrees with GitHub at the end",
                format!("{}: {known:?}, GitHub {truly:?}", record.subject),
            );
        }
        for runner in registered() {
            if runner.health != Health::Healthy || !runner.status.is_healthy() || runner.flapping.is_some() {
                self.found("the store agrees with GitHub at the end", format!("{}: {runner:?}", record.subject));
            }
        }
    }
}
