//! Runners with several registrations, and lists whose pages are from different moments.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;

use monitor_domain::change::Event;
use monitor_domain::observation::{Lookup, Observation, ObservedRunner, Outcome};
use monitor_domain::reconcile::lookups_wanted;
use monitor_domain::runner::RunnerId;
use monitor_domain::runner::Status::{Idle, Offline};
use support::{History, at, closed, opened, page, runner};

/// `runner-1` with the id of another registration.
fn registered_as(id: u64, status: monitor_domain::runner::Status) -> ObservedRunner {
    ObservedRunner { name: "runner-1".to_owned(), ..runner(id, status) }
}

/// A check whose pages are from different moments, because runners slip between pages or a response is stale.
fn see_pages(history: &mut History, secs: u64, pages: &[&[ObservedRunner]]) -> Vec<Event> {
    let pages = pages.iter().map(|runners| page(runners)).collect();
    history.check(&Observation::of(at(secs), Outcome::Complete { pages, lookups: BTreeMap::new() }))
}

#[test]
fn a_page_from_before_a_registration_changes_nothing() {
    let mut history = History::watching("{}", &[runner(1, Idle)]);
    for secs in [300, 360, 420, 480] {
        history.see(secs, &[registered_as(9, Offline)]);
    }
    assert!(history.runner(1).open_outage().is_some());
    // The old registration, on a page of its own, beside the new one.
    see_pages(&mut history, 540, &[&[registered_as(1, Idle)], &[registered_as(9, Offline)]]);
    assert_eq!(history.fleet.runners.len(), 1);
    assert!(history.runner(1).open_outage().is_some(), "its outage stays open");
    history.see(600, &[registered_as(9, Idle)]);
    assert_eq!(closed(&history.see(660, &[registered_as(9, Idle)])).len(), 1, "and it ends later");
}

#[test]
fn the_later_of_two_registrations_in_one_check_wins() {
    for pages in [[1, 9], [9, 1]] {
        let mut history = History::watching("{}", &[runner(1, Idle)]);
        let pages = pages.map(|id| vec![registered_as(id, Idle)]);
        see_pages(&mut history, 300, &[&pages[0], &pages[1]]);
        assert_eq!((history.fleet.runners.len(), history.runner(1).current_id), (1, RunnerId(9)));
        // Nothing is missing once the old registration is no longer listed.
        for secs in [360, 420, 480, 540] {
            assert!(history.see(secs, &[registered_as(9, Idle)]).is_empty());
        }
    }
    let mut history = History::new("{}");
    see_pages(&mut history, 0, &[&[registered_as(9, Idle)], &[registered_as(1, Offline)]]);
    assert_eq!(history.fleet.runners.iter().map(|runner| runner.id.0).collect::<Vec<_>>(), [9]);
}

#[test]
fn a_runner_missing_from_a_stale_list_is_looked_up_before_it_counts() {
    let mut history = History::watching("{}", &[runner(1, Idle)]);
    history.see(300, &[registered_as(9, Idle)]);
    let pages = vec![page(&[registered_as(1, Offline)])];
    assert_eq!(lookups_wanted(&history.fleet, &pages), [RunnerId(9)]);
    let lookups = BTreeMap::from([(RunnerId(9), Lookup::Found(registered_as(9, Idle)))]);
    let outcome = Outcome::Complete { pages, lookups };
    assert!(history.check(&Observation::of(at(360), outcome)).is_empty());
}

#[test]
fn ids_that_start_again_are_accepted_once_the_old_id_is_not_found() {
    let mut history = History::watching("{}", &[runner(500, Idle)]);
    let again = |status| ObservedRunner { name: "runner-500".to_owned(), ..runner(3, status) };
    history.see(300, &[again(Idle)]);
    assert_eq!(history.runner(500).current_id, RunnerId(3));
    let events: Vec<Event> = [420, 480, 540].iter().flat_map(|&secs| history.see(secs, &[again(Offline)])).collect();
    assert_eq!(opened(&events).len(), 1, "and its outages are detected");
}
