//! What the model says must have been told, and by when, was told by then.

use monitor_domain::notices::News;
use monitor_domain::outage::Outage;
use monitor_domain::subject::{CredentialId, Subject};
use monitor_domain::target::Target;

use super::wishes::{REMINDED, UNMUTED};
use super::{Examination, moment};
use crate::machine::story_ms;
use crate::model::{Absence, Listed, Unseen};
use crate::operations::{MINUTE_MS, TARGETS, What};
use crate::record::{Record, Side, key_of, openings, reminded, sides};
use crate::world::Taken;

const IN_TIME: &str = "every real outage that lasts is told in time";
const ENDS: &str = "the end of an outage is told in time";
const BLIND: &str = "blindness is told in time, once, and only then";
const SIGHT: &str = "sight regained is told in time, once";

/// What may have to be told by a certain time.
pub const PROMISES: [&str; 23] = [
    super::states::CAME_BACK,
    super::states::FLAPPED,
    super::states::DROPPED,
    super::states::UNREACHABLE,
    super::states::LAST_OF_SEVERAL,
    "message that shows an end",
    "reply in a thread",
    "muted outage that lasts",
    "reminder",
    "news of a long silence of Slack",
    "outage",
    "removal",
    "end of an outage",
    "return",
    "flapping",
    "lasting outage of a flapping runner",
    "calm",
    "targets added",
    "blindness of a target",
    "blindness of the credential",
    "sight",
    "gap",
    "quiet removal",
];

/// Something told of a runner.
struct Told<'a> {
    at_ms: i64,
    outage: &'a Outage,
    side: Side,
}

/// What was told of a runner's flapping: that it does, that it does no more, or both in one message, in which order nobody
/// can tell.
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
            let added =
                |news: &News| matches!(news, News::TargetsAdded { targets, .. } if names(targets, listed.place));
            self.of_the_list(&listed, "targets added", "a target that is added is told in time", added);
        }
        for unlisted in self.model.off_the_list() {
            let removed =
                |news: &News| matches!(news, News::TargetsRemoved { targets, .. } if names(targets, unlisted.place));
            self.of_the_list(
                &unlisted,
                "targets removed",
                "a target that is taken off the list is told in time",
                removed,
            );
        }
    }

    fn of_the_list(
        &mut self,
        listed: &Listed,
        promise: &'static str,
        invariant: &'static str,
        is_of_it: impl Fn(&News) -> bool,
    ) {
        let Some(by_ms) = listed.told_by_ms else { return };
        self.promised(promise);
        let in_time = |taken: &&Taken| (listed.at_ms..=by_ms).contains(&taken.at_ms);
        let is_told = self
            .taken_of(&Subject::Monitor)
            .into_iter()
            .filter(in_time)
            .any(|taken| taken.notice.news.iter().any(&is_of_it));
        if !is_told {
            let what = format!("{}, from {}, by {}", TARGETS[listed.place], moment(listed.at_ms), moment(by_ms));
            self.found(invariant, what);
        }
    }

    fn absence(&mut self, absence: &Absence, subject: &Subject) {
        let taken = self.taken_of(subject);
        let told: Vec<Told<'_>> = taken
            .iter()
            .flat_map(|taken| sides(&taken.notice).into_iter().map(|(outage, side)| (taken.at_ms, outage, side)))
            .filter(|(_, outage, _)| outage.runner_name == absence.name)
            .map(|(at_ms, outage, side)| Told { at_ms, outage, side })
            .collect();
        let what = |what: &str, by_ms: i64| {
            let (name, began) = (&absence.name, moment(absence.began_ms));
            format!("{subject} {name}, away from {began} to {}: {what} by {}", moment(absence.ended_ms), moment(by_ms))
        };
        let flapped = flapped(&taken, &absence.name);
        let flaps = |at_ms: i64| {
            flapped.iter().rev().find(|(told_ms, _)| *told_ms <= at_ms).map_or(Flaps::No, |(_, flaps)| *flaps)
        };
        // One that began before and was not seen to end is the same.
        let covers = |told: &&Told<'_>, by_ms: i64| {
            let ended_ms = told.outage.resolved_at.map_or(i64::MAX, story_ms);
            told.at_ms <= by_ms && story_ms(told.outage.started_at) <= by_ms && ended_ms > absence.began_ms
        };
        let is_told =
            |by_ms| told.iter().any(|told| covers(&told, by_ms) && (absence.removed || told.side == Side::Began));

        if let Some(by_ms) = absence.told_by_ms {
            self.promised(if absence.removed { "removal" } else { "outage" });
            let by_flapping = absence.may_flap && (absence.removed || flaps(by_ms) != Flaps::No);
            if !is_told(by_ms) && !by_flapping {
                self.found(IN_TIME, what("not told", by_ms));
            }
        }
        if let Some(by_ms) = absence.lasts_by_ms.filter(|_| absence.may_flap) {
            self.promised("lasting outage of a flapping runner");
            if !is_told(by_ms) {
                self.found(IN_TIME, what("it lasts, and is not told", by_ms));
            }
        }
        if let Some(by_ms) = absence.flaps_by_ms {
            self.promised("flapping");
            if flaps(by_ms) == Flaps::No {
                self.found("flapping is told in time", what("not told to flap", by_ms));
            }
        }
        if let Some(by_ms) = absence.calm_by_ms.filter(|_| flaps(absence.ended_ms) == Flaps::Yes) {
            self.promised("calm");
            if flaps(by_ms) == Flaps::Yes {
                self.found("flapping is told in time", what("not told to flap no more", by_ms));
            }
        }
        if let Some((ended_ms, by_ms)) = absence.unmuted_ms {
            self.promised("muted outage that lasts");
            let within = taken.iter().filter(|taken| (absence.began_ms..=by_ms).contains(&taken.at_ms));
            let of_name = within.flat_map(|taken| openings(&taken.notice).map(|outage| (taken.at_ms, outage)));
            let times: Vec<i64> =
                of_name.filter(|(_, outage)| outage.runner_name == absence.name).map(|(at_ms, _)| at_ms).collect();
            if times.len() != 1 || times[0] < ended_ms {
                let what = what(&format!("told at {times:?}, muted until {}, not once then", moment(ended_ms)), by_ms);
                self.found(UNMUTED, what);
            }
        }
        for (before, by_ms) in absence.reminded_by_ms.iter().enumerate() {
            self.promised("reminder");
            let within = taken.iter().filter(|taken| (absence.began_ms..=*by_ms).contains(&taken.at_ms));
            let of_name =
                within.filter(|taken| reminded(&taken.notice).any(|outage| outage.runner_name == absence.name));
            let times = of_name.count();
            if times <= before {
                self.found(REMINDED, what(&format!("reminded of {times} times"), *by_ms));
            }
        }
        if absence.untold {
            self.promised("quiet removal");
            let wrong = told.iter().find(|told| {
                let started_ms = story_ms(told.outage.started_at);
                (absence.began_ms..absence.left_ms + MINUTE_MS).contains(&started_ms) && told.at_ms < absence.ended_ms
            });
            if let Some(wrong) = wrong {
                self.found("what the policy does not want to hear is not told", what("told", wrong.at_ms));
            }
        }
        if let Some(by_ms) = absence.end_by_ms {
            let during = told
                .iter()
                .filter(|told| told.side == Side::Began && (absence.began_ms..absence.left_ms).contains(&told.at_ms));
            for began in during {
                self.promised("end of an outage");
                let is_same =
                    |told: &&Told<'_>| told.side == Side::Ended && key_of(told.outage) == key_of(began.outage);
                if !told.iter().filter(is_same).any(|ended| ended.at_ms <= by_ms) {
                    self.found(ENDS, what("its end is not told", by_ms));
                }
            }
        }
        if let Some(by_ms) = absence.returns_by_ms {
            let is_removal = |told: &&Told<'_>| told.side == Side::Ended && is_removed(&taken, told);
            let of_now = |told: &&Told<'_>| (absence.began_ms..absence.ended_ms).contains(&told.at_ms);
            let Some(removal) = told.iter().filter(of_now).rfind(is_removal) else { return };
            if self.model.was_ever_unlisted(absence.place, removal.at_ms, by_ms) {
                return;
            }
            self.promised("return");
            let names = |taken: &&&Taken| {
                taken.notice.news.iter().any(|news| match news {
                    News::Returned { runners } => runners.iter().any(|runner| runner.name == absence.name),
                    _ => false,
                })
            };
            let returned = taken.iter().filter(|taken| (absence.ended_ms..=by_ms).contains(&taken.at_ms)).filter(names);
            if returned.count() == 0 {
                self.found("a runner that was gone and is back is told in time", what("not told to be back", by_ms));
            }
        }
    }

    fn unseen(&mut self, unseen: &Unseen, records: &[Record]) {
        let (subject, invariant, kind) = match unseen.what {
            What::AccessLost { target, .. } => (records[target].subject.clone(), BLIND, "blindness of a target"),
            What::CredentialRefused { .. } => {
                (Subject::Credential(CredentialId::token()), BLIND, "blindness of the credential")
            }
            _ => (Subject::Monitor, "a gap in which nobody watched is told in time, once, and only then", "gap"),
        };
        let taken = self.taken_of(&subject);
        let told = |from_ms: i64, until_ms: i64, is_meant: &dyn Fn(&News) -> bool| {
            let within = taken.iter().filter(|taken| (from_ms..=until_ms).contains(&taken.at_ms));
            within.flat_map(|taken| &taken.notice.news).filter(|news| is_meant(news)).count()
        };
        let is_blind = |news: &News| matches!(news, News::Blind { .. } | News::Unwatched { .. });
        let sees_again = |news: &News| matches!(news, News::SeesAgain { .. });
        let what = |what: &str| format!("{subject}: {:?} from {}: {what}", unseen.what, moment(unseen.began_ms));
        if let Some(by_ms) = unseen.told_by_ms {
            self.promised(kind);
            let times = told(unseen.began_ms, by_ms, &is_blind);
            if times != 1 {
                self.found(invariant, what(&format!("told {times} times by {}", moment(by_ms))));
            }
        }
        if unseen.untold && told(unseen.began_ms, unseen.ended_ms + 10 * MINUTE_MS, &is_blind) > 0 {
            self.found(invariant, what("told, although it was short"));
        }
        if let Some(by_ms) = unseen.over_by_ms {
            let times = told(unseen.ended_ms, by_ms, &sees_again);
            let was_told = told(unseen.began_ms, by_ms, &is_blind);
            self.promised("sight");
            if times != was_told.min(1) {
                self.found(SIGHT, what(&format!("told {times} times by {}", moment(by_ms))));
            }
            // What the credential's notice explains is not told for each of its targets.
            if matches!(unseen.what, What::CredentialRefused { .. }) {
                let of_target = |taken: &&Taken| matches!(taken.notice.subject, Subject::Target(_));
                let within = self.played.world.taken.iter().filter(of_target);
                let mut within = within.filter(|taken| (unseen.began_ms..=by_ms).contains(&taken.at_ms));
                if within.any(|taken| taken.notice.news.iter().any(is_blind)) {
                    self.found(invariant, what("told of a target"));
                }
            }
        }
    }
}

/// When a runner was told to flap, and when no more, in order. What is told as an outage flaps no more.
fn flapped(taken: &[&Taken], name: &str) -> Vec<(i64, Flaps)> {
    let is_told = |news: &News| match news {
        News::Calm { runners } => runners.iter().any(|flap| flap.runner.name == name),
        News::NoLongerMonitored { whole_target, .. } => *whole_target,
        _ => false,
    };
    let begins =
        |news: &News| matches!(news, News::Flapping { runners } if runners.iter().any(|flap| flap.runner.name == name));
    let of = |taken: &&Taken| {
        let notice = &taken.notice;
        let as_outage = sides(notice).iter().any(|(outage, side)| *side == Side::Began && outage.runner_name == name);
        let ends = as_outage || notice.news.iter().any(is_told);
        let flaps = match (notice.news.iter().any(begins), ends) {
            (true, false) => Flaps::Yes,
            (false, true) => Flaps::No,
            (true, true) => Flaps::Either,
            (false, false) => return None,
        };
        Some((taken.at_ms, flaps))
    };
    taken.iter().filter_map(of).collect()
}

/// Whether an end was told as a removal.
fn is_removed(taken: &[&Taken], told: &Told<'_>) -> bool {
    taken.iter().filter(|taken| taken.at_ms == told.at_ms).flat_map(|taken| &taken.notice.news).any(|news| match news {
        News::Removed { outages } => outages.iter().any(|outage| key_of(outage) == key_of(told.outage)),
        _ => false,
    })
}
