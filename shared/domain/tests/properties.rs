//! Properties of every history.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use monitor_domain::change::Event;
use monitor_domain::decision::Handled;
use monitor_domain::observation::{Failure, Fault, Observation, ObservedRunner, Outcome};
use monitor_domain::outage::Ending;
use monitor_domain::runner::{Health, RunnerId, Status};
use proptest::prelude::*;

use support::{History, at, closed, failed_check, opened, runner};

/// A change at GitHub, a check, or a change of the policy.
#[derive(Clone, Debug)]
enum Action {
    Set(u64, Status),
    Remove(u64),
    Return(u64),
    Reregister(u64),
    Check,
    CheckFails(bool),
    Policy(usize),
}

const POLICIES: [&str; 3] =
    ["{}", r#"{"failureThreshold":1,"successThreshold":3}"#, r#"{"failureThreshold":5,"onRemoved":"ignore"}"#];

fn action() -> impl Strategy<Value = Action> {
    let id = 1_u64..6;
    let status = prop_oneof![Just(Status::Idle), Just(Status::Busy), Just(Status::Offline), Just(Status::Offline)];
    prop_oneof![
        4 => (id.clone(), status).prop_map(|(id, status)| Action::Set(id, status)),
        1 => id.clone().prop_map(Action::Remove),
        1 => id.clone().prop_map(Action::Return),
        1 => id.prop_map(Action::Reregister),
        8 => Just(Action::Check),
        1 => any::<bool>().prop_map(Action::CheckFails),
        1 => (0_usize..3).prop_map(Action::Policy),
    ]
}

/// Five runners at GitHub, and the history that the monitor keeps of them.
struct World {
    history: History,
    runners: BTreeMap<u64, ObservedRunner>,
    away: BTreeMap<u64, ObservedRunner>,
    next_id: u64,
    secs: u64,
}

impl World {
    fn new(max_items: usize) -> Self {
        let runners: BTreeMap<u64, ObservedRunner> = (1..6).map(|id| (id, runner(id, Status::Idle))).collect();
        let mut history = History::new("{}");
        history.max_items = max_items;
        Self { history, runners, away: BTreeMap::new(), next_id: 100, secs: 0 }
    }

    fn apply(&mut self, action: &Action, wait_secs: u64) -> Vec<Event> {
        self.secs += wait_secs;
        match action {
            Action::Set(id, status) => {
                if let Some(runner) = self.runners.get_mut(id) {
                    runner.status = *status;
                    runner.busy = *status == Status::Busy;
                }
            }
            Action::Remove(id) => self.away.extend(self.runners.remove_entry(id)),
            Action::Return(id) => self.runners.extend(self.away.remove_entry(id)),
            Action::Reregister(id) => {
                if let Some(runner) = self.runners.get_mut(id) {
                    runner.id = RunnerId(self.next_id);
                    self.next_id += 1;
                }
            }
            Action::Check => {
                let listed: Vec<ObservedRunner> = self.runners.values().cloned().collect();
                return self.history.see(self.secs, &listed);
            }
            Action::CheckFails(partial) => {
                let failure = Failure::new(Fault::BrokenAnswer, "page 2: HTML");
                let outcome = if *partial { Outcome::Partial(failure) } else { Outcome::Failed(failure) };
                return self.history.check(&Observation::of(at(self.secs), outcome));
            }
            Action::Policy(which) => self.history.policy = support::policy(POLICIES[*which]),
        }
        Vec::new()
    }
}

/// Seconds between two checks: too few to count separately (under 30) as often as enough, including both sides of the
/// limit, and sometimes so many that the checks are no longer consecutive (900).
fn gap_secs() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1_u64..30, 2 => 29_u64..32, 4 => 30_u64..200, 1 => 895_u64..905]
}

fn scenario() -> impl Strategy<Value = Vec<(Action, u64)>> {
    prop::collection::vec(
        (action(), prop_oneof![Just(0_u64), 1_u64..30, Just(30), Just(60), Just(300), Just(1_200)]),
        1..120,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn outages_open_once_close_once_and_never_overlap(scenario in scenario(), max_items in prop_oneof![Just(4_usize), Just(8), Just(50)]) {
        let mut world = World::new(max_items);
        let mut open: BTreeMap<RunnerId, u64> = BTreeMap::new();
        let mut known = BTreeSet::new();
        for (action, wait) in &scenario {
            for event in world.apply(action, *wait) {
                match event {
                    Event::OutageOpened { outage } => {
                        // Notified again if flapping turns out to be an outage: the same one.
                        let again = open.get(&outage.runner_id) == Some(&outage.id.0.0);
                        prop_assert!(again || known.insert((outage.runner_id, outage.id)), "one id for two outages");
                        prop_assert!(again || open.insert(outage.runner_id, outage.id.0.0).is_none(), "two open outages");
                    }
                    Event::OutageClosed { outage } => {
                        prop_assert_eq!(open.remove(&outage.runner_id), Some(outage.id.0.0), "closed, but not open");
                        prop_assert!(outage.resolved_at.unwrap() >= outage.started_at);
                    }
                    _ => {}
                }
            }
            let down: BTreeSet<RunnerId> = (world.history.fleet.runners.iter())
                .filter(|runner| runner.open_outage().is_some()).map(|runner| runner.id).collect();
            prop_assert_eq!(&down, &open.keys().copied().collect(), "the fleet and the history agree");
        }
        // All runners are back and healthy for long enough: every outage is closed.
        world.history.policy = support::policy("{}");
        for (id, runner) in std::mem::take(&mut world.away) {
            world.runners.insert(id, runner);
        }
        world.runners.values_mut().for_each(|runner| runner.status = Status::Idle);
        for _ in 0..4 {
            let events = world.apply(&Action::Check, 300);
            prop_assert!(opened(&events).iter().all(|outage| outage.ending.is_some()));
            for outage in closed(&events) {
                prop_assert_eq!(open.remove(&outage.runner_id), Some(outage.id.0.0));
            }
        }
        prop_assert!(open.is_empty(), "still open: {:?}", open);
    }

    #[test]
    fn the_same_check_twice_changes_nothing(scenario in scenario()) {
        let mut world = World::new(50);
        for (action, wait) in &scenario {
            world.apply(action, *wait);
            if matches!(action, Action::Check) {
                let listed: Vec<ObservedRunner> = world.runners.values().cloned().collect();
                let again = world.history.see(world.secs, &listed);
                prop_assert!(again.is_empty(), "{:?}", again);
            }
        }
    }

    #[test]
    fn a_failed_check_changes_no_runner(scenario in scenario()) {
        let mut world = World::new(50);
        for (action, wait) in &scenario {
            let before = world.history.fleet.runners.clone();
            let events = world.apply(action, *wait);
            if matches!(action, Action::CheckFails(_)) {
                prop_assert!(opened(&events).is_empty() && closed(&events).is_empty());
                for (before, after) in before.iter().zip(&world.history.fleet.runners) {
                    prop_assert_eq!(before.status, after.status);
                    prop_assert_eq!(before.open_outage(), after.open_outage());
                }
            }
        }
    }

    #[test]
    fn a_policy_change_alone_opens_and_closes_nothing(scenario in scenario(), which in 0_usize..3) {
        let mut world = World::new(50);
        for (action, wait) in &scenario {
            world.apply(action, *wait);
        }
        let listed: Vec<ObservedRunner> = world.runners.values().cloned().collect();
        world.history.see(world.secs, &listed);
        world.history.policy = support::policy(POLICIES[which]);
        let events = world.history.see(world.secs, &listed);
        prop_assert!(opened(&events).is_empty() && closed(&events).is_empty(), "{:?}", events);
    }

    #[test]
    fn ids_agree_between_retries_and_name_the_first_unhealthy_check(scenario in scenario(), max_items in prop_oneof![Just(4_usize), Just(50)]) {
        let mut world = World::new(max_items);
        for (action, wait) in &scenario {
            if matches!(action, Action::Check) {
                let listed: Vec<ObservedRunner> = world.runners.values().cloned().collect();
                let check = support::check(at(world.secs + wait), &listed);
                let (first, second) = (world.history.decide(&check), world.history.decide(&check));
                prop_assert_eq!(first.commits(1, max_items, Handled::default()), second.commits(1, max_items, Handled::default()));
            }
            world.apply(action, *wait);
        }
        for change in &world.history.changes {
            for event in &change.events {
                if let Event::Suspected { outage_id, .. } = event {
                    prop_assert_eq!(outage_id.0, change.revision);
                }
                if let Event::OutageOpened { outage } = event {
                    let recorded = world.history.changes.iter().find(|earlier| earlier.revision == outage.id.0).unwrap();
                    prop_assert_eq!(recorded.observed_at, outage.started_at, "startedAt is the first unhealthy check");
                }
            }
        }
    }

    /// One runner, checked at random times, against a second implementation of the rule.
    #[test]
    fn outages_open_and_close_where_the_checks_say(checks in prop::collection::vec((any::<bool>(), gap_secs()), 1..80)) {
        let mut history = History::watching(r#"{"flapThreshold":20,"flapWindow":"1m"}"#, &[runner(1, Status::Idle)]);
        let (mut secs, mut expected, mut found) = (0, Vec::new(), Vec::new());
        // (first of the run, last counted, number counted) of unhealthy checks, or of healthy ones during an outage.
        let (mut run, mut is_down): (Option<(u64, u64, u32)>, bool) = (None, false);
        for (is_healthy, wait) in checks {
            secs += wait;
            let status = if is_healthy { Status::Idle } else { Status::Offline };
            found.extend(history.see(secs, &[runner(1, status)]).iter().filter_map(|event| match event {
                Event::OutageOpened { outage } => Some((true, outage.started_at)),
                Event::OutageClosed { outage } => Some((false, outage.resolved_at.unwrap())),
                _ => None,
            }));
            if is_healthy != is_down {
                run = None;
                continue;
            }
            run = match run {
                None => Some((secs, secs, 1)),
                // No check for as long as makes a target unreachable: the count of unhealthy checks starts again.
                Some((_, last, _)) if !is_down && secs - last >= 900 => Some((secs, secs, 1)),
                Some((first, last, count)) if secs - last >= 30 => Some((first, secs, count + 1)),
                unchanged => unchanged,
            };
            let (first, _, count) = run.unwrap();
            if count >= if is_down { 2 } else { 3 } {
                expected.push((!is_down, at(first)));
                is_down = !is_down;
                run = None;
            }
        }
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn an_outage_closes_as_recovered_after_enough_healthy_checks() {
    let mut world = World::new(50);
    world.apply(&Action::Check, 0);
    world.apply(&Action::Set(3, Status::Offline), 0);
    for _ in 0..3 {
        world.apply(&Action::Check, 60);
    }
    assert!(matches!(world.history.runner(3).health, Health::Down(_)));
    world.history.check(&failed_check(at(400), Fault::Network));
    world.apply(&Action::Set(3, Status::Idle), 400);
    world.apply(&Action::Check, 60);
    let events = world.apply(&Action::Check, 60);
    assert_eq!(closed(&events)[0].ending, Some(Ending::Recovered));
}
