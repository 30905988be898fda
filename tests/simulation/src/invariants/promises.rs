//! Every notification that the model requires was sent by the time that the model requires.

use monitor_domain::notifications::NotificationItem;
use monitor_domain::outage::Outage;
use monitor_domain::subject::{CredentialId, Subject};
use monitor_domain::target::Target;

use super::overrides::{REMINDED, UNMUTED};
use super::{Examination, moment};
use crate::calendar::MINUTE_MS;
use crate::calendar::scenario_ms;
use crate::model::{Absence, Listed, TICK_MS, Unseen};
use crate::operations::What;
use crate::record::Record;
use crate::shown::{Side, key_of, openings, reminded, sides};
use crate::targets::TARGETS;
use crate::world::Taken;

const IN_TIME: &str = "every real outage that lasts is notified in time";
const ENDS: &str = "the end of an outage is notified in time";
const UNREACHABLE_IN_TIME: &str = "an unreachable target or credential is notified in time, once, and never too early";
const REACHABLE_AGAIN: &str = "a target or credential that is reachable again is notified in time, once";

/// Kinds of notifications that must be sent by a certain time. A long run fails if one of them was never tested.
pub const PROMISES: [&str; 25] = [
    super::pools::CREDENTIAL_POOL_PROMISE,
    super::availability::AVAILABILITY,
    super::states::CAME_BACK,
    super::states::FLAPPED,
    super::states::DROPPED,
    super::states::UNREACHABLE,
    super::states::LAST_OF_SEVERAL,
    "message that shows an end",
    "reply in a thread",
    "muted outage that lasts",
    "reminder",
    "summary after a long Slack outage",
    "outage",
    "removal",
    "end of an outage",
    "return",
    "flapping",
    "lasting outage of a flapping runner",
    "calm",
    "targets added",
    "unreachable target",
    "unreachable credential",
    "reachable again",
    "gap in monitoring",
    "ignored removal",
];

/// A notified start or end of an outage of a runner.
struct NotifiedSide<'a> {
    at_ms: i64,
    outage: &'a Outage,
    side: Side,
}

/// What a message says about a runner's flapping: that it flaps, that it no longer does, or both in an unknown order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaps {
    Yes,
    No,
    Either,
}

fn names(targets: &[Target], place: usize) -> bool {
    targets.iter().any(|target| target.as_str() == TARGETS[place])
}

impl Examination<'_> {
    pub(super) fn promised(&mut self, kind: &'static str) {
        *self.tally.promises.entry(kind).or_default() += 1;
    }

    pub(super) fn promises(&mut self, records: &[Record]) {
        for absence in self.model.absences() {
            self.absence(&absence, &records[absence.place].subject);
        }
        for unseen in self.model.unseen() {
            self.unseen(&unseen, records);
        }
        for listed in self.model.listed() {
            let added = |item: &NotificationItem| matches!(item, NotificationItem::TargetsAdded { targets, .. } if names(targets, listed.place));
            self.of_the_list(&listed, "targets added", "a target that is added is notified in time", added);
        }
        for unlisted in self.model.off_the_list() {
            let removed = |item: &NotificationItem| matches!(item, NotificationItem::TargetsRemoved { targets, .. } if names(targets, unlisted.place));
            self.of_the_list(
                &unlisted,
                "targets removed",
                "a target that is removed from the list is notified in time",
                removed,
            );
        }
    }

    fn of_the_list(
        &mut self,
        listed: &Listed,
        promise: &'static str,
        invariant: &'static str,
        is_of_it: impl Fn(&NotificationItem) -> bool,
    ) {
        let Some(by_ms) = listed.notified_by_ms else { return };
        self.promised(promise);
        let in_time = |taken: &&Taken| (listed.at_ms..=by_ms).contains(&taken.at_ms);
        let is_notified = self
            .taken_of(&Subject::Monitor)
            .into_iter()
            .filter(in_time)
            .any(|taken| taken.notification.items.iter().any(&is_of_it));
        if !is_notified {
            let what = format!("{}, from {}, by {}", TARGETS[listed.place], moment(listed.at_ms), moment(by_ms));
            self.found(invariant, what);
        }
    }

    fn absence(&mut self, absence: &Absence, subject: &Subject) {
        let taken = self.taken_of(subject);
        let notified: Vec<NotifiedSide<'_>> = taken
            .iter()
            .flat_map(|taken| sides(&taken.notification).into_iter().map(|(outage, side)| (taken.at_ms, outage, side)))
            .filter(|(_, outage, _)| outage.runner_name == absence.name)
            .map(|(at_ms, outage, side)| NotifiedSide { at_ms, outage, side })
            .collect();
        let what = |what: &str, by_ms: i64| {
            let (name, began) = (&absence.name, moment(absence.began_ms));
            format!(
                "{subject} {name}, not online from {began} to {}: {what} by {}",
                moment(absence.ended_ms),
                moment(by_ms)
            )
        };
        let flapped = flapped(&taken, &absence.name);
        let flaps = |at_ms: i64| {
            flapped.iter().rev().find(|(notified_ms, _)| *notified_ms <= at_ms).map_or(Flaps::No, |(_, flaps)| *flaps)
        };
        // An outage that started earlier and was not seen to end is the same one.
        let covers = |notified: &&NotifiedSide<'_>, by_ms: i64| {
            let ended_ms = notified.outage.resolved_at.map_or(i64::MAX, scenario_ms);
            notified.at_ms <= by_ms && scenario_ms(notified.outage.started_at) <= by_ms && ended_ms > absence.began_ms
        };
        let is_notified = |by_ms| {
            notified
                .iter()
                .any(|notified| covers(&notified, by_ms) && (absence.removed || notified.side == Side::Began))
        };

        if let Some(by_ms) = absence.notified_by_ms {
            self.promised(if absence.removed { "removal" } else { "outage" });
            let by_flapping = absence.may_flap && (absence.removed || flaps(by_ms) != Flaps::No);
            if !is_notified(by_ms) && !by_flapping {
                self.found(IN_TIME, what("not notified", by_ms));
            }
        }
        if let Some(by_ms) = absence.lasts_by_ms.filter(|_| absence.may_flap) {
            self.promised("lasting outage of a flapping runner");
            if !is_notified(by_ms) {
                self.found(IN_TIME, what("it lasts and is not notified", by_ms));
            }
        }
        if let Some(by_ms) = absence.flaps_by_ms {
            self.promised("flapping");
            if flaps(by_ms) == Flaps::No {
                self.found("flapping is notified in time", what("flapping is not notified", by_ms));
            }
        }
        if let Some(by_ms) = absence.calm_by_ms.filter(|_| flaps(absence.ended_ms) == Flaps::Yes) {
            self.promised("calm");
            if flaps(by_ms) == Flaps::Yes {
                self.found("flapping is notified in time", what("the end of flapping is not notified", by_ms));
            }
        }
        if let Some((ended_ms, by_ms)) = absence.unmuted_ms {
            self.promised("muted outage that lasts");
            let within = taken.iter().filter(|taken| (absence.began_ms..=by_ms).contains(&taken.at_ms));
            let of_name = within.flat_map(|taken| openings(&taken.notification).map(|outage| (taken.at_ms, outage)));
            let times: Vec<i64> =
                of_name.filter(|(_, outage)| outage.runner_name == absence.name).map(|(at_ms, _)| at_ms).collect();
            if times.len() != 1 || times[0] < ended_ms {
                let what = what(
                    &format!("notified at {times:?} instead of once after the mute ended at {}", moment(ended_ms)),
                    by_ms,
                );
                self.found(UNMUTED, what);
            }
        }
        for (before, by_ms) in absence.reminded_by_ms.iter().enumerate() {
            self.promised("reminder");
            let within = taken.iter().filter(|taken| (absence.began_ms..=*by_ms).contains(&taken.at_ms));
            let of_name =
                within.filter(|taken| reminded(&taken.notification).any(|outage| outage.runner_name == absence.name));
            let times = of_name.count();
            if times <= before {
                self.found(REMINDED, what(&format!("{times} reminders"), *by_ms));
            }
        }
        if absence.stays_silent {
            self.promised("ignored removal");
            let wrong = notified.iter().find(|notified| {
                let started_ms = scenario_ms(notified.outage.started_at);
                (absence.began_ms..absence.left_ms + MINUTE_MS).contains(&started_ms)
                    && notified.at_ms < absence.ended_ms
            });
            if let Some(wrong) = wrong {
                self.found("what the policy excludes is not notified", what("notified", wrong.at_ms));
            }
        }
        if let Some(by_ms) = absence.end_by_ms {
            let during = notified.iter().filter(|notified| {
                notified.side == Side::Began && (absence.began_ms..absence.left_ms).contains(&notified.at_ms)
            });
            for began in during {
                self.promised("end of an outage");
                let is_same = |notified: &&NotifiedSide<'_>| {
                    notified.side == Side::Ended && key_of(notified.outage) == key_of(began.outage)
                };
                if !notified.iter().filter(is_same).any(|ended| ended.at_ms <= by_ms) {
                    self.found(ENDS, what("its end is not notified", by_ms));
                }
            }
        }
        if let Some(by_ms) = absence.returns_by_ms {
            let is_removal =
                |notified: &&NotifiedSide<'_>| notified.side == Side::Ended && is_removed(&taken, notified);
            let of_now = |notified: &&NotifiedSide<'_>| (absence.began_ms..absence.ended_ms).contains(&notified.at_ms);
            let Some(removal) = notified.iter().filter(of_now).rfind(is_removal) else { return };
            // A target that is dropped forgets which runners were removed, and a tick applies a list that is a little older.
            let removed_ms = removal.outage.resolved_at.map_or(removal.at_ms, scenario_ms);
            if self.model.was_ever_unlisted(absence.place, removed_ms - TICK_MS, by_ms) {
                return;
            }
            self.promised("return");
            let names = |taken: &&&Taken| {
                taken.notification.items.iter().any(|item| match item {
                    NotificationItem::Returned { runners } => runners.iter().any(|runner| runner.name == absence.name),
                    _ => false,
                })
            };
            let returned = taken.iter().filter(|taken| (absence.ended_ms..=by_ms).contains(&taken.at_ms)).filter(names);
            if returned.count() == 0 {
                self.found(
                    "the return of a removed runner is notified in time",
                    what("its return is not notified", by_ms),
                );
            }
        }
    }

    fn unseen(&mut self, unseen: &Unseen, records: &[Record]) {
        let (subject, invariant, kind) = match unseen.what {
            What::AccessLost { target, .. } => {
                (records[target].subject.clone(), UNREACHABLE_IN_TIME, "unreachable target")
            }
            What::CredentialRefused { .. } => {
                (Subject::Credential(CredentialId::token()), UNREACHABLE_IN_TIME, "unreachable credential")
            }
            _ => (
                Subject::Monitor,
                "a gap in monitoring is notified in time, once, and never if it is short",
                "gap in monitoring",
            ),
        };
        let taken = self.taken_of(&subject);
        let notified = |from_ms: i64, until_ms: i64, is_meant: &dyn Fn(&NotificationItem) -> bool| {
            let within = taken.iter().filter(|taken| (from_ms..=until_ms).contains(&taken.at_ms));
            within.flat_map(|taken| &taken.notification.items).filter(|item| is_meant(item)).count()
        };
        let is_unreachable = |item: &NotificationItem| {
            matches!(item, NotificationItem::Unreachable { .. } | NotificationItem::Unwatched { .. })
        };
        let reachable_again = |item: &NotificationItem| matches!(item, NotificationItem::ReachableAgain { .. });
        let what = |what: &str| format!("{subject}: {:?} from {}: {what}", unseen.what, moment(unseen.began_ms));
        if let Some(by_ms) = unseen.notified_by_ms {
            self.promised(kind);
            let times = notified(unseen.began_ms, by_ms, &is_unreachable);
            if times != 1 {
                self.found(invariant, what(&format!("notified {times} times by {}", moment(by_ms))));
            }
        }
        if unseen.stays_silent && notified(unseen.began_ms, unseen.ended_ms + 10 * MINUTE_MS, &is_unreachable) > 0 {
            self.found(invariant, what("notified, although it was short"));
        }
        if let Some(by_ms) = unseen.over_by_ms {
            let times = notified(unseen.ended_ms, by_ms, &reachable_again);
            let was_notified = notified(unseen.began_ms, by_ms, &is_unreachable);
            self.promised("reachable again");
            if times != was_notified.min(1) {
                self.found(REACHABLE_AGAIN, what(&format!("notified {times} times by {}", moment(by_ms))));
            }
            // What the credential's notification explains is not notified for each of its targets.
            if matches!(unseen.what, What::CredentialRefused { .. }) {
                let of_target = |taken: &&Taken| matches!(taken.notification.subject, Subject::Target(_));
                let within = self.played.world.taken.iter().filter(of_target);
                let mut within = within.filter(|taken| (unseen.began_ms..=by_ms).contains(&taken.at_ms));
                if within.any(|taken| taken.notification.items.iter().any(is_unreachable)) {
                    self.found(invariant, what("notified for a target too"));
                }
            }
        }
    }
}

/// When a runner was notified as flapping and as no longer flapping, in order. A notified outage ends flapping, and so does a
/// notified return: its alerts resume.
fn flapped(taken: &[&Taken], name: &str) -> Vec<(i64, Flaps)> {
    let is_notified = |item: &NotificationItem| match item {
        NotificationItem::Calm { runners } => runners.iter().any(|flap| flap.runner.name == name),
        NotificationItem::Returned { runners } => runners.iter().any(|runner| runner.name == name),
        NotificationItem::NoLongerMonitored { whole_target, .. } => *whole_target,
        _ => false,
    };
    let begins = |item: &NotificationItem| matches!(item, NotificationItem::Flapping { runners } if runners.iter().any(|flap| flap.runner.name == name));
    let of = |taken: &&Taken| {
        let notification = &taken.notification;
        let as_outage =
            sides(notification).iter().any(|(outage, side)| *side == Side::Began && outage.runner_name == name);
        let ends = as_outage || notification.items.iter().any(is_notified);
        let flaps = match (notification.items.iter().any(begins), ends) {
            (true, false) => Flaps::Yes,
            (false, true) => Flaps::No,
            (true, true) => Flaps::Either,
            (false, false) => return None,
        };
        Some((taken.at_ms, flaps))
    };
    taken.iter().filter_map(of).collect()
}

/// Whether an end was notified as a removal.
fn is_removed(taken: &[&Taken], notified: &NotifiedSide<'_>) -> bool {
    taken.iter().filter(|taken| taken.at_ms == notified.at_ms).flat_map(|taken| &taken.notification.items).any(|item| {
        match item {
            NotificationItem::Removed { outages } => {
                outages.iter().any(|outage| key_of(outage) == key_of(notified.outage))
            }
            _ => false,
        }
    })
}
