//! Pools: an outage if and only if too few runners are online.

use anyhow::Context;
use monitor_domain::notifications::NotificationItem;
use monitor_domain::outage::Outage;
use monitor_domain::subject::{CredentialId, Subject};

use super::{Examination, moment};
use crate::calendar::HOUR_MS;
use crate::calendar::scenario_ms;
use crate::model::Shortage;
use crate::operations::Scenario;
use crate::record::{Record, changes_of};
use crate::targets::TARGETS;
use crate::world::CREDENTIAL_POOL_MINIMUM;

const CAUSE: &str = "a pool is short only if a check listed too few of its runners online";
const FOUND: &str = "a pool that is short for long is recorded in time";

const CREDENTIAL_CAUSE: &str =
    "a pool over a credential is short only if the checks of its targets listed too few runners online";
const CREDENTIAL_KNOWN: &str =
    "a pool over a credential becomes short only while the runners of each of its targets are known";
const CREDENTIAL_FOUND: &str = "a pool over a credential that is short for long is recorded in time";
const CREDENTIAL_REST: &str = "at the end a pool over a credential has an open outage exactly if it is short";
const CREDENTIAL_QUIET: &str = "pools over a credential are unreachable for nobody";

const REST: &str = "at the end a pool has an open outage exactly if it is short";

/// The promise of scenarios with a pool.
pub(super) const POOL_PROMISE: &str = "pool that is short";

/// The promise of scenarios with a pool over the credential.
pub(super) const CREDENTIAL_POOL_PROMISE: &str = "pool over a credential that is short";

impl Examination<'_> {
    /// Checks the outages of the pool over the credential, and the messages about them.
    pub(super) fn pools_of_credential(&mut self, scenario: &Scenario) -> anyhow::Result<()> {
        if !self.played.world.rules.has_pool_over_credential {
            return Ok(());
        }
        let target = CredentialId::token().pools().context("a token has pools")?;
        let record = Record::read(self.played, Subject::from(&target), Some(&target))?;
        let changes = changes_of(self.played, record.subject.clone())?;
        self.messages(&record);
        self.recording(&record, &changes);
        self.threads(scenario, &record);
        for outage in &record.outages {
            for at_ms in [outage.started_at, outage.confirmed_at].map(scenario_ms) {
                let online = self.model.fewest_online(at_ms);
                if online >= CREDENTIAL_POOL_MINIMUM {
                    self.found(CREDENTIAL_CAUSE, format!("{online} online at {}: {outage:?}", moment(at_ms)));
                }
                if let Some(place) = self.model.unknown_at(at_ms) {
                    self.found(CREDENTIAL_KNOWN, format!("{} at {}: {outage:?}", TARGETS[place], moment(at_ms)));
                }
            }
        }
        let says = |item: &NotificationItem| {
            matches!(item, NotificationItem::Unreachable { .. } | NotificationItem::ReachableAgain { .. })
        };
        if let Some(taken) = self.taken_of(&record.subject).iter().find(|one| one.notification.items.iter().any(says)) {
            self.found(CREDENTIAL_QUIET, format!("{:?}", taken.notification));
        }
        // The end of a scenario is calm.
        let end_ms = self.played.end_ms;
        let is_open = record.outages.iter().any(|outage| outage.is_open());
        if self.model.is_short_from(end_ms - HOUR_MS).is_some_and(|is_short| is_short != is_open) {
            self.found(CREDENTIAL_REST, format!("{:?}", record.outages));
        }
        for shortage in self.model.shortages_of_credential() {
            let Some(by_ms) = shortage.found_by_ms else { continue };
            self.promised(CREDENTIAL_POOL_PROMISE);
            if !record.outages.iter().any(|outage| covers(&shortage, by_ms, outage)) {
                let (from, until, by) = (moment(shortage.began_ms), moment(shortage.ended_ms), moment(by_ms));
                self.found(CREDENTIAL_FOUND, format!("short from {from} to {until}, not recorded by {by}"));
            }
        }
        Ok(())
    }

    /// Checks the outages of the pool of a target.
    pub(super) fn pools(&mut self, place: usize, record: &Record) {
        let outages: Vec<_> = record.outages.iter().filter(|outage| outage.pool.is_some()).collect();
        for outage in &outages {
            let is_short = |at| self.model.lists_too_few(place, scenario_ms(at));
            if !is_short(outage.started_at) || !is_short(outage.confirmed_at) {
                self.found(CAUSE, format!("{}: {outage:?}", record.subject));
            }
        }
        if !self.played.world.rules.has_pool {
            return;
        }
        let shortages = self.model.shortages(place);
        // The end of a scenario is calm.
        let end_ms = self.played.end_ms;
        let is_short = shortages.last().is_some_and(|last| last.ended_ms == end_ms);
        let is_open = outages.iter().any(|outage| outage.is_open());
        if is_open != is_short && self.model.was_always_listed(place, (end_ms - HOUR_MS, end_ms), true) {
            self.found(REST, format!("{}: {outages:?}", record.subject));
        }
        for shortage in shortages {
            let Some(by_ms) = shortage.found_by_ms else { continue };
            self.promised(POOL_PROMISE);
            if !outages.iter().any(|outage| covers(&shortage, by_ms, outage)) {
                let (from, until, by) = (moment(shortage.began_ms), moment(shortage.ended_ms), moment(by_ms));
                self.found(FOUND, format!("{}: short from {from} to {until}, not recorded by {by}", record.subject));
            }
        }
    }
}

/// Whether an outage that was confirmed by then is that of a shortage.
fn covers(shortage: &Shortage, by_ms: i64, outage: &Outage) -> bool {
    scenario_ms(outage.confirmed_at) <= by_ms
        && outage.resolved_at.is_none_or(|end| scenario_ms(end) > shortage.began_ms)
}
