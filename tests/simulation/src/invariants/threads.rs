//! Alerts of a bot: the message shows the current state of its outages, and later notifications are in its thread.

use std::collections::BTreeMap;

use monitor_domain::notifications::Notification;
use monitor_domain::outage::Outage;

use super::{Examination, moment};
use crate::calendar::scenario_ms;
use crate::operations::Scenario;
use crate::record::Record;
use crate::shown::{OutageKey, Side, key_of, openings, reminded, sides, to_be_removed};
use crate::world::{Abandoned, Taken};

const SHOWS: &str = "a message finally shows the end of its outages";
const THREAD: &str = "follow-ups of an outage are in the thread of the message that reported it";
const REOPENED: &str = "no edit shows an ended outage as open again";

/// The outages that a message follows up: those whose end it reports, and those that it is a reminder of.
fn follows_up(notification: &Notification) -> Vec<&Outage> {
    let notified = sides(notification);
    let begins =
        |outage: &Outage| notified.iter().any(|(one, side)| *side == Side::Began && key_of(one) == key_of(outage));
    let ended =
        notified.iter().filter(|(outage, side)| *side == Side::Ended && !begins(outage)).map(|(outage, _)| *outage);
    ended.chain(reminded(notification)).chain(to_be_removed(notification)).collect()
}

/// Whether a message reports only ends of outages and reminders.
fn is_follow_up(notification: &Notification) -> bool {
    use monitor_domain::notifications::NotificationItem;
    notification.items.iter().all(|item| match item {
        NotificationItem::Recovered { .. }
        | NotificationItem::Removed { .. }
        | NotificationItem::RemovalNear { .. }
        | NotificationItem::JobsTaken { .. }
        | NotificationItem::JobsStillWaiting { .. }
        // Only edits are made of it.
        | NotificationItem::QueuesChanged { .. }
        | NotificationItem::StillOffline { .. } => true,
        // Without an outage that ends with it, it is about the target alone.
        NotificationItem::NoLongerMonitored { outages, .. } => !outages.is_empty(),
        _ => false,
    })
}

/// Whether the monitor can know where a message is: nobody deleted it, and neither Slack's answer nor, by a crash or a
/// stall, the record of it was lost.
fn is_known(record: &Record, taken: &Taken) -> bool {
    taken.answered && !taken.is_gone && record.uncertain().all(|claim| claim.notification != taken.notification)
}

/// Whether a message need not be up to date: its last edit was impossible, or was abandoned at the third attempt or
/// later.
fn is_abandoned(record: &Record, taken: &Taken) -> bool {
    let later = record.claims.iter().filter(|claim| scenario_ms(claim.claimed_at) > taken.at_ms);
    let mut impatient = later.filter(|claim| claim.number.attempt > 2);
    let failed_ms = match taken.abandoned {
        Some(Abandoned::Dead | Abandoned::Refused) => return true,
        Some(Abandoned::Failed(at_ms)) => Some(at_ms),
        None => None,
    };
    impatient.any(|claim| {
        let leased_ms = scenario_ms(claim.claimed_at)..scenario_ms(claim.lease_until);
        // Such an attempt makes no edits once half of its lease is used up.
        let took_ms = record.recorded_ms(claim).map(|at_ms| at_ms - leased_ms.start);
        failed_ms.is_some_and(|at_ms| leased_ms.contains(&at_ms))
            || took_ms.is_some_and(|took_ms| 2 * took_ms > leased_ms.end - leased_ms.start)
    })
}

impl Examination<'_> {
    /// Checks each message of a target that a bot sent.
    pub(super) fn threads(&mut self, scenario: &Scenario, record: &Record) {
        if !scenario.is_bot {
            return;
        }
        let all = &self.played.world.taken;
        let of_subject = || all.iter().enumerate().filter(|(_, taken)| taken.notification.subject == record.subject);
        // The messages that reported the start of each outage.
        let mut began: BTreeMap<OutageKey, Vec<usize>> = BTreeMap::new();
        for (number, taken) in of_subject() {
            for (outage, _) in sides(&taken.notification).into_iter().filter(|(_, side)| *side == Side::Began) {
                began.entry(key_of(outage)).or_default().push(number);
            }
        }
        for (number, taken) in of_subject() {
            self.shows(record, taken, number, &began);
            self.in_its_thread(record, taken, &began);
        }
    }

    fn shows(&mut self, record: &Record, taken: &Taken, number: usize, began: &BTreeMap<OutageKey, Vec<usize>>) {
        if is_abandoned(record, taken) || !is_known(record, taken) {
            return;
        }
        for shown in openings(&taken.notification) {
            let key = key_of(shown);
            let is_only = began.get(&key).is_some_and(|notified| *notified == [number]);
            let now = taken.shown.iter().find(|outage| key_of(outage) == key);
            let recorded = record.outages.iter().find(|outage| key_of(outage) == key);
            let Some(recorded) = recorded.filter(|_| is_only) else { continue };
            self.promised("message that shows an end");
            let ends = |outage: &Outage| (outage.resolved_at, outage.ending);
            if now.map(ends) != Some(ends(recorded)) {
                let at = moment(taken.at_ms);
                self.found(SHOWS, format!("{} message of {at}: {now:?}, recorded {recorded:?}", record.subject));
            }
        }
    }

    fn in_its_thread(&mut self, record: &Record, taken: &Taken, began: &BTreeMap<OutageKey, Vec<usize>>) {
        let of: Vec<&Outage> = follows_up(&taken.notification);
        let what = |fault: &str| {
            format!("{} message of {}: {fault}: {:?}", record.subject, moment(taken.at_ms), taken.notification.items)
        };
        let notified_in = |outage: &&Outage| began.get(&key_of(outage)).cloned().unwrap_or_default();
        if let Some(thread) = taken.thread {
            if !is_follow_up(&taken.notification) || !of.iter().all(|outage| notified_in(outage).contains(&thread)) {
                self.found(THREAD, what("in the wrong thread"));
            }
            self.promised("reply in a thread");
            return;
        }
        // While the thread's channel is dead, a follow-up is sent as a message of its own. The channel may recover a
        // moment later.
        let was_dead = |(subject, at_ms): &(_, i64)| {
            *subject == record.subject && (taken.at_ms - 2_000..=taken.at_ms).contains(at_ms)
        };
        if self.played.world.deaths.iter().any(was_dead) {
            return;
        }
        let first = of.first().map(notified_in).unwrap_or_default();
        let [number] = first[..] else { return };
        let message = &self.played.world.taken[number];
        let is_first_known = is_known(record, message)
            && openings(&message.notification)
                .any(|outage| of.first().is_some_and(|first| key_of(first) == key_of(outage)));
        if is_first_known && is_follow_up(&taken.notification) && of.iter().all(|outage| notified_in(outage) == first) {
            self.found(THREAD, what("in no thread"));
        }
    }

    /// Reports outages that an edit reopened.
    pub(super) fn edits(&mut self) {
        for outage in &self.played.world.reopened {
            self.found.push(super::Violation { invariant: REOPENED, details: format!("{outage:?}") });
        }
    }
}
