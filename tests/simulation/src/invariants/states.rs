//! A message reports the state at the time of its claim, whatever happened since the message before, and each state
//! once.

use std::collections::BTreeSet;

use monitor_domain::notifications::{Flap, NotificationItem};
use monitor_domain::outage::{Ending, Outage};
use monitor_domain::target::Target;

use super::{Examination, moment};
use crate::calendar::MINUTE_MS;
use crate::calendar::scenario_ms;
use crate::record::Record;
use crate::targets::TARGETS;
use crate::world::{Taken, Truth};

const ONE_STATE: &str = "no message contradicts itself";
const AS_IT_IS: &str = "a message reports the state at the time of its claim";

/// How long the end of a state may stay undetected.
const LAG_MS: i64 = 16 * MINUTE_MS;
/// A runner flaps until it has been online for half an hour.
const CALM_LAG_MS: i64 = 30 * MINUTE_MS + LAG_MS;

/// Promises about changes that reversed while they were pending. Each must occur.
pub(super) const CAME_BACK: &str = "removal and registration in one message";
pub(super) const FLAPPED: &str = "flapping that began and ended before its message";
pub(super) const DROPPED: &str = "target dropped and monitored again in one message";
pub(super) const UNREACHABLE: &str = "target unreachable and reachable again before its message";
pub(super) const LAST_OF_SEVERAL: &str = "last reminder beside another";

fn places(targets: &[Target]) -> impl Iterator<Item = usize> {
    targets.iter().filter_map(|target| TARGETS.iter().position(|name| *name == target.as_str()))
}

/// What a message says about runners, by name, and about the target.
#[derive(Default)]
struct Said<'a> {
    flapping: Vec<&'a str>,
    calm: Vec<&'a str>,
    removed: Vec<&'a str>,
    returned: Vec<&'a str>,
    is_unreachable: bool,
    is_reachable: bool,
    is_dropped: bool,
    /// Whether it implies that the target is monitored.
    is_monitored: bool,
}

impl<'a> Said<'a> {
    fn of(items: &'a [NotificationItem]) -> Self {
        let mut said = Self::default();
        let flaps = |runners: &'a [Flap]| runners.iter().map(|flap| &*flap.runner.name);
        for item in items {
            match item {
                NotificationItem::Flapping { runners } => said.flapping.extend(flaps(runners)),
                NotificationItem::Calm { runners } => said.calm.extend(flaps(runners)),
                NotificationItem::Removed { outages } => {
                    said.removed.extend(outages.iter().map(|outage| &*outage.runner_name))
                }
                NotificationItem::Returned { runners } => {
                    said.returned.extend(runners.iter().map(|runner| &*runner.name))
                }
                NotificationItem::Unreachable { .. } => said.is_unreachable = true,
                NotificationItem::ReachableAgain { .. } => said.is_reachable = true,
                NotificationItem::NoLongerMonitored { whole_target: true, again_since, .. } => {
                    said.is_dropped = again_since.is_none();
                }
                NotificationItem::Offline { .. }
                | NotificationItem::MonitoringStarts { .. }
                | NotificationItem::StillOffline { .. } => {
                    said.is_monitored = true;
                }
                _ => {}
            }
        }
        said
    }

    fn is_contradictory(&self) -> bool {
        let lists = [&self.flapping, &self.calm, &self.removed, &self.returned];
        let repeats = |names: &&Vec<&str>| names.iter().collect::<BTreeSet<_>>().len() < names.len();
        let share = |some: &[&str], others: &[&str]| some.iter().any(|name| others.contains(name));
        lists.iter().any(repeats)
            || share(&self.flapping, &self.calm)
            || share(&self.removed, &self.returned)
            || (self.is_unreachable && self.is_reachable)
            || (self.is_dropped && self.is_monitored)
    }
}

impl Examination<'_> {
    /// When the notification of a message was first claimed.
    fn claimed_ms(record: &Record, taken: &Taken) -> Option<i64> {
        let claims = record.claims.iter().filter(|claim| claim.notification == taken.notification);
        claims.map(|claim| scenario_ms(claim.claimed_at)).min()
    }

    /// Checks what was said about a target and its runners.
    pub(super) fn states(&mut self, place: usize, record: &Record) {
        let (mut flapping, mut was_unreachable) = (BTreeSet::new(), false);
        for taken in self.taken_of(&record.subject) {
            let items = &taken.notification.items;
            let said = Said::of(items);
            if said.is_contradictory() {
                self.found(ONE_STATE, format!("{} at {}: {items:?}", record.subject, moment(taken.at_ms)));
            }
            self.crossed(&said, items, &mut flapping, &mut was_unreachable);
            let Some(claimed_ms) = Self::claimed_ms(record, taken) else { continue };
            let lately = (claimed_ms - LAG_MS, claimed_ms);
            let is_detected = |lag_ms: i64| {
                self.model.is_detected(claimed_ms - lag_ms - LAG_MS, claimed_ms)
                    && self.model.was_always_listed(place, (claimed_ms - lag_ms - LAG_MS, claimed_ms), true)
            };
            let (soon, calm) = (is_detected(LAG_MS), is_detected(CALM_LAG_MS));
            let always =
                |name: &str, within, is_so: fn(Truth) -> bool| self.model.was_always(place, name, within, is_so);
            let there: fn(Truth) -> bool = |truth| truth != Truth::Absent;
            let not_there: fn(Truth) -> bool = |truth| truth == Truth::Absent;
            let well: fn(Truth) -> bool = |truth| truth == Truth::Online;
            let for_long = (claimed_ms - CALM_LAG_MS, claimed_ms);
            let wrong =
                said.removed.iter().find(|name| soon && always(name, lately, there)).map(|_| "it is registered");
            let wrong = wrong.or_else(|| {
                said.returned
                    .iter()
                    .find(|name| soon && always(name, lately, not_there))
                    .map(|_| "it is not registered")
            });
            let wrong = wrong.or_else(|| {
                said.flapping
                    .iter()
                    .find(|name| calm && always(name, for_long, well))
                    .map(|_| "it has been online for long")
            });
            let is_monitored = self.model.is_detected(claimed_ms - LAG_MS, claimed_ms)
                && self.model.was_always_listed(place, lately, true);
            let wrong = wrong.or((said.is_dropped && is_monitored).then_some("it is monitored"));
            let wrong = wrong.or((said.is_unreachable && soon).then_some("it is reachable"));
            if let Some(wrong) = wrong {
                self.found(AS_IT_IS, format!("{} at {}: {wrong}: {items:?}", record.subject, moment(claimed_ms)));
            }
        }
    }

    /// Counts the changes that reversed before a message could be sent.
    fn crossed<'n>(
        &mut self,
        said: &Said<'n>,
        items: &[NotificationItem],
        flapping: &mut BTreeSet<&'n str>,
        was_unreachable: &mut bool,
    ) {
        let is_removed = |outage: &Outage| outage.ending == Some(Ending::Removed);
        let mut reminders = 0;
        for item in items {
            match item {
                NotificationItem::Recovered { outages } | NotificationItem::CameAndWent { outages }
                    if outages.iter().any(is_removed) =>
                {
                    self.promised(CAME_BACK);
                }
                NotificationItem::NoLongerMonitored { again_since: Some(_), .. } => self.promised(DROPPED),
                NotificationItem::StillOffline { .. } => reminders += 1,
                _ => {}
            }
        }
        if reminders > 1 {
            self.promised(LAST_OF_SEVERAL);
        }
        if said.calm.iter().any(|name| !flapping.remove(name)) {
            self.promised(FLAPPED);
        }
        flapping.extend(&said.flapping);
        if said.is_reachable && !*was_unreachable {
            self.promised(UNREACHABLE);
        }
        *was_unreachable = (*was_unreachable || said.is_unreachable) && !said.is_reachable;
    }

    /// Checks what was said about the list of targets.
    pub(super) fn states_of_the_list(&mut self, record: &Record) {
        for taken in self.taken_of(&record.subject) {
            let (mut on, mut off) = (BTreeSet::new(), BTreeSet::new());
            for item in &taken.notification.items {
                match item {
                    NotificationItem::TargetsAdded { targets, .. } => on.extend(places(targets)),
                    NotificationItem::TargetsRemoved { targets, .. } => off.extend(places(targets)),
                    _ => {}
                }
            }
            let items = &taken.notification.items;
            if on.intersection(&off).next().is_some() {
                self.found(ONE_STATE, format!("{} at {}: {items:?}", record.subject, moment(taken.at_ms)));
            }
            let Some(claimed_ms) = Self::claimed_ms(record, taken) else { continue };
            let lately = (claimed_ms - LAG_MS, claimed_ms);
            if !self.model.is_detected(claimed_ms - LAG_MS, claimed_ms) {
                continue;
            }
            let is_wrong = on.iter().any(|place| self.model.was_always_listed(*place, lately, false))
                || off.iter().any(|place| self.model.was_always_listed(*place, lately, true));
            if is_wrong {
                self.found(AS_IT_IS, format!("{} at {}: {items:?}", record.subject, moment(claimed_ms)));
            }
        }
    }
}
