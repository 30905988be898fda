//! The list of monitored targets, and gaps in monitoring.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::change::{Change, Event};
use crate::fleet::{Counts, Failing};
use crate::observation::{Failure, Fault};
use crate::subject::{Revision, Subject};
use crate::target::{Target, TargetId, TargetSpec};
use crate::time::Timestamp;
use crate::weekly::WeeklyReport;

/// The number of dropped targets that one tick closes. Closing the thousands of a whole account at once would stall the
/// tick.
pub const DROPS_PER_TICK: usize = 100;

/// The list of targets as last committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Watchlist {
    /// The last committed revision.
    pub revision: Revision,
    /// The last revision that produces a notification.
    pub last_notifiable: Revision,
    /// The tick that committed this revision. The heartbeat alone does not show when the last tick was: a commit is
    /// repeated until the store answers, and may be the only thing that a tick stores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticked_at: Option<Timestamp>,
    /// The targets to be checked at each tick, in order of their identity.
    pub targets: Vec<Target>,
    /// The pools over all targets of a credential, evaluated at each tick like targets, but no targets that people
    /// configured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<Target>,
    /// Targets removed from the list whose outages may still be open. The next tick closes the first [`DROPS_PER_TICK`]
    /// of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropping: Vec<Target>,
    /// Those of `targets` that their `acme/*` did not find at the last tick. If the next tick does not find them
    /// either, they are removed from the list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Target>,
    /// Whether the list became empty and the empty list was refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_refused: bool,
    /// The entries that could not be resolved at the last tick, in the order of the configured list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unresolved: Vec<UnresolvedEntry>,
    /// The end of the last week that was reported, or for which there was nothing to report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_until: Option<Timestamp>,
}

impl Watchlist {
    /// Everything that a tick sends a job for: the targets, then the pools of credentials.
    pub fn checked(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().chain(&self.pools)
    }
}

/// An entry of the configured list (`acme/*`) whose repositories could not be listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnresolvedEntry {
    /// The entry as written.
    pub entry: String,
    /// Since when, why, and whether the failure was notified.
    #[serde(flatten)]
    pub failing: Failing,
}

/// An entry that could not be resolved at this tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// The entry.
    pub spec: TargetSpec,
    /// Why it could not be resolved.
    pub failure: Failure,
    /// When: at the tick, or, if the tick was late, when the failure was known.
    pub at: Timestamp,
    /// Whether checks with the same credential fail too, so that the credential's own notification explains it.
    pub is_explained: bool,
}

/// The configured list, with `acme/*` resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configured {
    /// The targets found.
    pub targets: Vec<Target>,
    /// Entries whose account was listed. A target missing from them is not proof of its removal: if a list changes
    /// between two of its pages, a repository can slip through.
    pub resolved: Vec<TargetSpec>,
    /// Entries that could not be resolved at this tick: their targets stay monitored.
    pub unresolved: Vec<Unresolved>,
    /// The pools over all targets of a credential, in order of the credentials.
    pub pools: Vec<Target>,
}

/// The result of a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The list from now on.
    pub watchlist: Watchlist,
    /// Set if the list or the monitor's history changes. It is stored together with the list, if its revision does not
    /// exist yet.
    pub change: Option<Change>,
}

/// Decides the list of targets at a tick. `dropped` contains the targets of `dropping` that are closed. Targets that
/// were attempted but are not closed move behind those that still wait.
///
/// A gap of at least `gap` since the last tick is notified: nothing was monitored. An entry that cannot be resolved is
/// notified once: after `unreachable_after`, or at once if GitHub refuses an entry that never had any targets.
pub fn tick(
    before: Option<&Watchlist>,
    configured: Configured,
    dropped: &BTreeSet<TargetId>,
    (last_tick_at, gap): (Option<Timestamp>, Duration),
    unreachable_after: Duration,
    (now, nonce): (Timestamp, u64),
) -> Tick {
    let known = before.cloned().unwrap_or_default();
    let mut events = Vec::new();
    if let Some(from) = last_tick_at.filter(|last| now.since(*last) >= gap) {
        events.push(Event::Unwatched { from, until: now });
    }

    let unresolved = entries(&known, &configured, unreachable_after, now, &mut events);
    let pools = configured.pools;

    // Inserted one by one here and elsewhere: each `collect` links a sort per type, 6 KB.
    let (mut was, mut is) = (BTreeSet::new(), BTreeMap::new());
    was.extend(known.targets.iter().map(Target::id));
    is.extend(configured.targets.into_iter().map(|target| (target.id().clone(), target)));
    for target in &known.targets {
        if configured.unresolved.iter().any(|unresolved| unresolved.spec.covers(target)) {
            is.entry(target.id().clone()).or_insert_with(|| target.clone());
        }
    }

    let empty_refused = is.is_empty() && !was.is_empty();
    let (mut dropping, mut missing) = (Vec::new(), Vec::new());
    if empty_refused {
        if !known.empty_refused {
            events.push(Event::EmptyListRefused { kept: u32::try_from(was.len()).unwrap_or(u32::MAX) });
        }
        is.extend(known.targets.iter().map(|target| (target.id().clone(), target.clone())));
    } else {
        let was_missing: BTreeSet<&TargetId> = known.missing.iter().map(Target::id).collect();
        for target in &known.targets {
            let may_be_there = configured.resolved.iter().any(|spec| spec.covers(target));
            if may_be_there && !is.contains_key(target.id()) && !was_missing.contains(target.id()) {
                missing.push(target.clone());
            }
        }
        is.extend(missing.iter().map(|target| (target.id().clone(), target.clone())));
        let total = u32::try_from(is.len()).unwrap_or(u32::MAX);
        if known.empty_refused {
            events.push(Event::ListRestored { total });
        }
        let added: Vec<Target> = is.values().filter(|target| !was.contains(target.id())).cloned().collect();
        if !added.is_empty() {
            events.push(Event::TargetsAdded { targets: added, total });
        }
        // In front: a few new ones are closed at once even if many are waiting.
        dropping.extend(known.targets.iter().filter(|target| !is.contains_key(target.id())).cloned());
        if !dropping.is_empty() {
            events.push(Event::TargetsRemoved { targets: dropping.clone(), total });
        }
    }
    let (had_their_turn, waiting) = known.dropping.split_at(known.dropping.len().min(DROPS_PER_TICK));
    let still_open = waiting.iter().chain(had_their_turn).filter(|target| !dropped.contains(target.id()));
    // A target that is on the list again before it was closed simply stays monitored.
    dropping.extend(still_open.filter(|target| !is.contains_key(target.id()) && !pools.contains(target)).cloned());
    dropping.extend(known.pools.iter().filter(|target| !pools.contains(target)).cloned());

    let mut watchlist = Watchlist {
        revision: known.revision,
        last_notifiable: known.last_notifiable,
        ticked_at: known.ticked_at,
        targets: is.into_values().collect(),
        pools,
        dropping,
        missing,
        empty_refused,
        unresolved,
        reported_until: known.reported_until,
    };
    let change = (watchlist != known || !events.is_empty()).then(|| {
        watchlist.revision = known.revision.next();
        watchlist.ticked_at = Some(now);
        Change {
            subject: Subject::Monitor,
            revision: watchlist.revision,
            nonce,
            decided_at: now,
            observed_at: now,
            counts: Counts::default(),
            more: false,
            events,
        }
    });
    if change.as_ref().is_some_and(Change::is_notifiable) {
        watchlist.last_notifiable = watchlist.revision;
    }
    Tick { watchlist, change }
}

/// The list and the change that report a week; `None` means that there is nothing to report about it.
pub fn report_week(
    list: &Watchlist,
    until: Timestamp,
    report: Option<WeeklyReport>,
    (now, nonce): (Timestamp, u64),
) -> (Watchlist, Change) {
    let revision = list.revision.next();
    let change = Change {
        subject: Subject::Monitor,
        revision,
        nonce,
        decided_at: now,
        observed_at: now,
        counts: Counts::default(),
        more: false,
        events: report.map(|report| Event::WeekReported { report: Box::new(report) }).into_iter().collect(),
    };
    let last_notifiable = if change.is_notifiable() { revision } else { list.last_notifiable };
    (Watchlist { revision, last_notifiable, reported_until: Some(until), ..list.clone() }, change)
}

/// The entries that cannot be resolved now. Adds the events of these, and of the ones that can be resolved again.
fn entries(
    known: &Watchlist,
    configured: &Configured,
    unreachable_after: Duration,
    now: Timestamp,
    events: &mut Vec<Event>,
) -> Vec<UnresolvedEntry> {
    let before = |entry: &str| known.unresolved.iter().find(|unresolved| unresolved.entry == entry);
    let mut entries = Vec::with_capacity(configured.unresolved.len());
    for &Unresolved { ref spec, ref failure, at, is_explained } in &configured.unresolved {
        let entry = spec.to_string();
        let mut failing = match before(&entry) {
            Some(known) => known.failing.clone(),
            None => Failing { since: at, failure: failure.clone(), unreachable: false, notified: false },
        };
        let is_refused = matches!(failure.fault, Fault::NotFound | Fault::Forbidden);
        let is_mistyped = is_refused && !known.targets.iter().any(|target| spec.covers(target));
        failing.unreachable |= is_mistyped || at.has_waited(failing.since, unreachable_after);
        if failing.unreachable && !failing.notified && !(failure.fault.is_shared() && is_explained) {
            failing.notified = true;
            failing.failure = failure.clone();
            let (entry, since, failure) = (entry.clone(), failing.since, failure.clone());
            events.push(Event::EntryUnresolved { entry, since, failure });
        }
        entries.push(UnresolvedEntry { entry, failing });
    }
    for spec in &configured.resolved {
        if let Some(UnresolvedEntry { entry, failing }) = before(&spec.to_string()) {
            let (entry, since, notified) = (entry.clone(), failing.since, failing.notified);
            events.push(Event::EntryResolved { entry, since, until: now, notified });
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifications::{NotificationItem, pending_notification};

    /// The two differ, so that a test fails if one is used instead of the other.
    const GAP: Duration = Duration::from_secs(1_200);
    const UNREACHABLE_AFTER: Duration = Duration::from_secs(600);

    fn configured(targets: &[&str]) -> Configured {
        Configured { targets: targets.iter().map(|t| t.parse().unwrap()).collect(), ..Configured::default() }
    }

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_epoch_ms(1_800_000_000_000).plus(Duration::from_secs(minutes * 60))
    }

    fn names(targets: &[Target]) -> Vec<&str> {
        targets.iter().map(Target::as_str).collect()
    }

    fn first(targets: &[&str]) -> Tick {
        tick(None, configured(targets), &BTreeSet::new(), (None, GAP), UNREACHABLE_AFTER, (at(0), 1))
    }

    fn next(before: &Tick, mut configured: Configured, minutes: u64) -> Tick {
        configured.unresolved.iter_mut().for_each(|unresolved| unresolved.at = at(minutes));
        let last = Some(at(minutes.saturating_sub(5)));
        tick(Some(&before.watchlist), configured, &BTreeSet::new(), (last, GAP), UNREACHABLE_AFTER, (at(minutes), 1))
    }

    fn unresolved(fault: Fault, is_explained: bool) -> Configured {
        let failure = Failure::new(fault, "GitHub does not list them");
        let unresolved = vec![Unresolved { spec: "acme/*".parse().unwrap(), failure, at: at(0), is_explained }];
        Configured { unresolved, ..Configured::default() }
    }

    fn events(tick: &Tick) -> &[Event] {
        tick.change.as_ref().map_or(&[], |change| &change.events)
    }

    #[test]
    fn a_dropped_target_stays_listed_for_closing_until_it_is_closed() {
        let first = first(&["acme/web", "Acme/Api"]);
        assert!(matches!(events(&first), [Event::TargetsAdded { targets, total: 2 }] if targets.len() == 2));
        let second = next(&first, configured(&["acme/web"]), 5);
        assert!(
            matches!(events(&second), [Event::TargetsRemoved { targets, total: 1 }] if names(targets) == ["Acme/Api"])
        );
        assert_eq!(names(&second.watchlist.dropping), ["Acme/Api"]);
        let third = next(&second, configured(&["acme/web"]), 10);
        assert_eq!((names(&third.watchlist.dropping), third.change), (vec!["Acme/Api"], None), "notified once");
        let closed = BTreeSet::from(["acme/api".parse::<Target>().unwrap().id().clone()]);
        let ticked = (Some(at(10)), GAP);
        let fourth =
            tick(Some(&third.watchlist), configured(&["acme/web"]), &closed, ticked, UNREACHABLE_AFTER, (at(15), 1));
        assert!(fourth.watchlist.dropping.is_empty());
        assert!(events(&fourth).is_empty() && fourth.change.is_some());
    }

    #[test]
    fn pools_of_a_credential_are_listed_and_closed_like_targets_without_being_any() {
        let pools = |name: &str| Target::pools(name).unwrap();
        let with = |targets: &[&str], pools: Vec<Target>| Configured { pools, ..configured(targets) };
        let first = first(&["acme/web"]);
        let second = next(&first, with(&["acme/web"], vec![pools("app:acme"), pools("token")]), 5);
        assert!(second.change.is_some() && events(&second).is_empty(), "nobody is notified of it");
        assert_eq!(second.watchlist.targets.len(), 1);
        let checked: Vec<&str> = second.watchlist.checked().map(Target::as_str).collect();
        assert_eq!(checked, ["acme/web", "credential:app:acme/pools", "credential:token/pools"]);
        let third = next(&second, with(&["acme/web"], vec![pools("token")]), 10);
        assert_eq!(names(&third.watchlist.dropping), ["credential:app:acme/pools"]);
        assert!(events(&third).is_empty());
        let fourth = next(&third, with(&["acme/web"], vec![pools("token"), pools("app:acme")]), 15);
        assert!(fourth.watchlist.dropping.is_empty(), "they are back before they were closed");
        // They alone do not make the list one that is not empty.
        let fifth = next(&fourth, with(&[], vec![pools("token")]), 20);
        assert!(matches!(events(&fifth), [Event::EmptyListRefused { kept: 1 }]));
    }

    #[test]
    fn every_dropped_target_is_closed_even_if_one_of_them_never_closes() {
        let many: Vec<String> = (0..250).map(|number| format!("acme/app-{number:03}")).collect();
        let mut list = vec!["other/x", "other/y"];
        list.extend(many.iter().map(String::as_str));
        let mut last = next(&first(&list), configured(&["other/x", "other/y"]), 5);
        let mut turns = 0;
        while last.watchlist.dropping.len() > 1 {
            let its_turn = last.watchlist.dropping.iter().take(DROPS_PER_TICK);
            let closed = its_turn.filter(|target| target.as_str() != "acme/app-000").map(|target| target.id().clone());
            let (closed, ticked) = (closed.collect(), (Some(at(5)), GAP));
            last = tick(
                Some(&last.watchlist),
                configured(&["other/x", "other/y"]),
                &closed,
                ticked,
                UNREACHABLE_AFTER,
                (at(6), 1),
            );
            turns += 1;
        }
        assert_eq!((turns, names(&last.watchlist.dropping)), (3, vec!["acme/app-000"]));

        // A target dropped while others wait does not wait for them.
        let waiting = next(&first(&list), configured(&["other/x", "other/y"]), 5);
        let later = next(&waiting, configured(&["other/x"]), 10);
        assert_eq!(names(&later.watchlist.dropping)[..2], ["other/y", "acme/app-100"]);
    }

    #[test]
    fn a_target_listed_again_before_the_notification_was_never_removed() {
        let first = first(&["acme/web", "acme/api", "other/x"]);
        let second = next(&first, configured(&["acme/web"]), 5);
        let third = next(&second, configured(&["acme/web", "acme/api"]), 10);
        let changes: Vec<Change> = [second, third].into_iter().filter_map(|tick| tick.change).collect();
        let notified = pending_notification(&Subject::Monitor, None, Revision(1), &changes).notification.unwrap();
        let NotificationItem::TargetsRemoved { targets: removed, total: 2 } = &notified.items[0] else {
            panic!("{notified:?}")
        };
        let NotificationItem::TargetsAdded { targets: added, total: 2 } = &notified.items[1] else {
            panic!("{notified:?}")
        };
        assert_eq!((names(removed), names(added), notified.items.len()), (vec!["other/x"], vec!["acme/api"], 2));
    }

    #[test]
    fn an_empty_list_is_refused_once_and_its_restoration_is_notified() {
        let first = first(&["acme/web"]);
        let second = next(&first, configured(&[]), 5);
        assert!(matches!(events(&second), [Event::EmptyListRefused { kept: 1 }]));
        assert_eq!(names(&second.watchlist.targets), ["acme/web"]);
        let third = next(&second, configured(&[]), 10);
        assert!(third.change.is_none() && third.watchlist.dropping.is_empty());
        let fourth = next(&third, configured(&["acme/web"]), 15);
        assert!(matches!(events(&fourth), [Event::ListRestored { total: 1 }]));
    }

    #[test]
    fn an_entry_that_cannot_be_resolved_is_notified_once_and_again_when_it_can_be() {
        let found = |targets: &[&str]| Configured { resolved: vec!["acme/*".parse().unwrap()], ..configured(targets) };
        let before = next(&first(&["acme/web"]), found(&["acme/web"]), 5);
        for fault in [Fault::Service, Fault::Forbidden] {
            let mut last = next(&before, unresolved(fault, false), 10);
            assert!(events(&last).is_empty() && last.change.is_some(), "stored, but not notified yet");
            last = next(&last, unresolved(fault, false), 15);
            assert!(last.change.is_none());
            last = next(&last, unresolved(fault, false), 20);
            assert!(
                matches!(events(&last), [Event::EntryUnresolved { entry, since, .. }] if entry == "acme/*" && *since == at(10))
            );
            let changes = [last.change.clone().unwrap()];
            let notified = pending_notification(&Subject::Monitor, None, Revision(1), &changes).notification.unwrap();
            assert!(
                matches!(&notified.items[..], [NotificationItem::EntriesUnresolved { entries }] if entries[0].entry == "acme/*")
            );
            last = next(&last, unresolved(fault, false), 25);
            assert!(last.change.is_none(), "once");
            last = next(&last, found(&["acme/web"]), 30);
            assert!(
                matches!(events(&last), [Event::EntryResolved { notified: true, .. }])
                    && last.watchlist.unresolved.is_empty()
            );
            // Both in one message: it says that there was a failure, and that it is over.
            let changes = [changes[0].clone(), Change { revision: changes[0].revision.next(), ..last.change.unwrap() }];
            let notified = pending_notification(&Subject::Monitor, None, Revision(1), &changes).notification.unwrap();
            assert!(
                matches!(&notified.items[..], [NotificationItem::EntriesResolved { entries }] if entries.len() == 1),
                "{notified:?}"
            );
        }
        // A shorter failure is not notified.
        let short = next(&next(&before, unresolved(Fault::Service, false), 10), found(&["acme/web"]), 15);
        assert!(
            matches!(events(&short), [Event::EntryResolved { notified: false, .. }])
                && !short.change.unwrap().is_notifiable()
        );
        // An entry removed from the settings is not notified.
        let gone = next(&next(&before, unresolved(Fault::Service, false), 10), configured(&["acme/web"]), 15);
        assert!(gone.watchlist.unresolved.is_empty() && events(&gone).is_empty());
    }

    #[test]
    fn an_entry_that_never_resolved_is_notified_at_the_first_start() {
        let start = |configured| tick(None, configured, &BTreeSet::new(), (None, GAP), UNREACHABLE_AFTER, (at(0), 1));
        let mistyped = start(unresolved(Fault::NotFound, false));
        assert!(matches!(events(&mistyped), [Event::EntryUnresolved { .. }]), "{mistyped:?}");
        assert!(mistyped.watchlist.targets.is_empty() && mistyped.watchlist.last_notifiable == Revision(1));
        // A fault that may be temporary is notified later.
        let mut last = start(unresolved(Fault::Network, false));
        assert!(events(&last).is_empty());
        last = next(&last, unresolved(Fault::Network, false), 10);
        assert!(matches!(events(&last), [Event::EntryUnresolved { .. }]));
        // The credential's own notification explains it. Once that is over, the entry is notified.
        let mut shared = start(unresolved(Fault::Credential, true));
        for minutes in [10, 20] {
            shared = next(&shared, unresolved(Fault::Credential, true), minutes);
            assert!(events(&shared).is_empty());
        }
        assert!(matches!(
            events(&next(&shared, unresolved(Fault::Credential, false), 25)),
            [Event::EntryUnresolved { .. }]
        ));
    }

    #[test]
    fn targets_of_an_unresolved_entry_stay_monitored() {
        let first = first(&["acme/web", "acme/api", "other/x"]);
        let second = next(&first, unresolved(Fault::Service, false), 5);
        assert_eq!(names(&second.watchlist.targets), ["acme/api", "acme/web"]);
        assert_eq!(names(&second.watchlist.dropping), ["other/x"]);
    }

    #[test]
    fn a_target_missing_from_its_account_is_dropped_the_second_time() {
        let found = |targets: &[&str]| Configured { resolved: vec!["acme/*".parse().unwrap()], ..configured(targets) };
        let first = first(&["acme/api", "acme/web", "other/x"]);
        // A target that is named by itself is removed as soon as its name is.
        let second = next(&first, found(&["acme/api"]), 5);
        assert_eq!(names(&second.watchlist.targets), ["acme/api", "acme/web"]);
        assert_eq!(
            (names(&second.watchlist.missing), names(&second.watchlist.dropping)),
            (vec!["acme/web"], vec!["other/x"])
        );
        let removed = |tick: &Tick| match events(tick) {
            [Event::TargetsRemoved { targets, .. }] => names(targets).join(" "),
            events => panic!("{events:?}"),
        };
        assert_eq!(removed(&second), "other/x");

        let gone = next(&second, found(&["acme/api"]), 10);
        assert_eq!((names(&gone.watchlist.targets), removed(&gone)), (vec!["acme/api"], "acme/web".to_owned()));
        assert!(gone.watchlist.missing.is_empty() && names(&gone.watchlist.dropping).contains(&"acme/web"));

        // It had only slipped through; the next time this happens, it is missing for the first time again.
        let back = next(&second, found(&["acme/api", "acme/web"]), 10);
        assert!(events(&back).is_empty() && back.watchlist.missing.is_empty());
        let slipped = next(&back, found(&["acme/api"]), 15);
        assert_eq!(names(&slipped.watchlist.missing), ["acme/web"]);

        // A list that is refused or cannot be read says nothing about any target.
        for silent in [found(&[]), unresolved(Fault::Service, false)] {
            let silent = next(&second, silent, 10);
            assert!(silent.watchlist.missing.is_empty() && names(&silent.watchlist.targets).contains(&"acme/web"));
        }

        // Its entry was removed from the settings: it is dropped at once.
        assert_eq!(names(&next(&first, configured(&["other/x"]), 5).watchlist.dropping), ["acme/api", "acme/web"]);
    }

    #[test]
    fn a_gap_in_monitoring_is_notified() {
        let first = first(&["acme/web"]);
        let late = |minutes| {
            let ticked = (Some(at(0)), GAP);
            let (list, closed) = (configured(&["acme/web"]), BTreeSet::new());
            tick(Some(&first.watchlist), list, &closed, ticked, UNREACHABLE_AFTER, (at(minutes), 1))
        };
        assert!(late(19).change.is_none());
        assert!(late(20).change.is_some());
        let notified = late(180);
        assert!(matches!(events(&notified), [Event::Unwatched { from, until }] if *from == at(0) && *until == at(180)));
    }
}
