//! The cost of reading and writing, counted by the server: requests, items read, items written.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::installation::Installation;
use common::{fill, server, store};
use monitor_domain::change::Event;
use monitor_domain::runner::{Health, Runner, Status};
use monitor_pipeline::items::{Item, RunnerItem};
use monitor_pipeline::keys::{Key, Query};
use monitor_pipeline::ports::Store;
use monitor_pipeline::testing::samples::{
    change, claim, outage_item, runner, runner_item, subject, target, target_record,
};
use monitor_stately_server::{InMemory, Method};

/// The requests since the last call by method, except token requests, with the items read and written.
fn cost(server: &InMemory) -> (Vec<Method>, usize, usize) {
    let mut state = server.state();
    let calls: Vec<_> = state.calls().filter(|call| call.method != Method::GetAuthToken).cloned().collect();
    state.clear_calls();
    let sum = |of: fn(&monitor_stately_server::Call) -> usize| calls.iter().map(of).sum();
    (calls.iter().map(|call| call.method).collect(), sum(|call| call.items_read), sum(|call| call.items_written))
}

fn retired(id: u64) -> Item {
    let runner = Runner { health: Health::Retired, ..runner(id, &format!("retired-{id}")) };
    Item::Runner(RunnerItem { target: target("acme/web").id().clone(), runner })
}

#[tokio::test]
async fn reading_a_fleet_costs_the_same_however_long_its_history() {
    const RUNNERS: u64 = 1_000;
    const HISTORY: u64 = 10_000;
    let server = server();
    let store = store(&server);
    fill(&store, [Item::Target(target_record("acme/web", 1))]).await;
    fill(&store, (1..=RUNNERS).map(|id| runner_item("acme/web", id))).await;
    let fleet = Query::Fleet(target("acme/web").id().clone());
    cost(&server);
    let before = store.list(&fleet).await.unwrap();
    assert_eq!(before.len() as u64, RUNNERS + 1);
    let cost_before = cost(&server);
    assert_eq!(cost_before, (vec![Method::BeginList], before.len(), 0));

    // Ten thousand outages, half of them of one runner, and ten thousand runners that came and went.
    fill(&store, (1..=HISTORY).map(|id| outage_item("acme/web", if id % 2 == 0 { 7 } else { RUNNERS + id }, id))).await;
    let gone: Vec<Key> = (1..=HISTORY).map(|id| retired(RUNNERS + id).key()).collect();
    fill(&store, (1..=HISTORY).map(|id| retired(RUNNERS + id))).await;
    store.delete(&gone).await.unwrap();
    fill(&store, (1..=500).map(|revision| Item::Change(change("acme/web", revision, Event::MonitoringStarted)))).await;
    fill(&store, (1..=100).map(|notification| Item::Claim(claim("acme/web", notification, 1)))).await;
    fill(&store, (1..=200).map(|id| runner_item("acme/web-2", id))).await;
    cost(&server);
    assert_eq!(store.list(&fleet).await.unwrap(), before);
    assert_eq!(cost(&server), cost_before);

    // The notifier's requests do not grow with it either.
    let changes =
        Query::Changes { subject: subject("acme/web"), after: monitor_domain::subject::Revision(495), limit: 500 };
    assert_eq!(store.list(&changes).await.unwrap().len(), 5);
    assert_eq!(cost(&server), (vec![Method::BeginList], 5, 0));
    let notifications = Query::Notifications { subject: subject("acme/web"), limit: 40 };
    assert_eq!(store.list(&notifications).await.unwrap().len(), 40);
    assert_eq!(cost(&server), (vec![Method::BeginList], 40, 0));
    let outages = |runner| Query::Outages { target: target("acme/web").id().clone(), runner };
    let of_one = store.list(&outages(Some(monitor_domain::runner::RunnerId(7)))).await.unwrap();
    assert_eq!((of_one.len(), cost(&server).1), (5_000, 5_000));
    assert_eq!(store.list(&outages(None)).await.unwrap().len() as u64, HISTORY);
}

#[tokio::test]
async fn a_steady_check_costs_two_requests_and_writes_once_in_ten_minutes() {
    let server = server();
    let store = store(&server);
    let installation = Installation::new(&store, 30);
    installation.check().await;
    cost(&server);
    let mut written = Vec::new();
    for _ in 0..20 {
        installation.check().await;
        let (requests, _, items) = cost(&server);
        let expected = [Method::BeginList, Method::Get, Method::Put];
        assert_eq!(requests, expected[..2 + usize::from(items > 0)]);
        written.push(items);
    }
    assert_eq!(written.iter().sum::<usize>(), 2, "LastSeen after ten and after twenty minutes: {written:?}");
}

#[tokio::test]
async fn a_check_with_changes_puts_one_batch_for_each_fifty_items() {
    let server = server();
    let store = store(&server);
    let installation = Installation::new(&store, 30);
    installation.check().await;
    cost(&server);
    for (runners, puts) in [(1, 1), (30, 1)] {
        installation.set_status(runners, Status::Busy);
        installation.check().await;
        let (requests, _, items) = cost(&server);
        assert_eq!(requests[..2], [Method::BeginList, Method::Get]);
        assert_eq!(requests[2..], vec![Method::Put; puts]);
        assert!(items as u64 <= runners + 2);
        installation.set_status(runners, Status::Idle);
        installation.check().await;
        cost(&server);
    }
    // Each batch contains the change and the target, so 48 runners fit.
    let large = Installation::new(&store, 1_000);
    large.check().await;
    let (requests, _, items) = cost(&server);
    let puts = requests.iter().filter(|method| **method == Method::Put).count();
    assert_eq!(puts, 970_usize.div_ceil(48));
    assert_eq!(items, 970 + 2 * puts);
}

#[tokio::test]
async fn notifying_costs_the_same_however_many_jobs_ran_since_the_last_notification() {
    let server = server();
    let store = store(&server);
    let installation = Installation::new(&store, 30);
    installation.check().await;
    let mut costs = Vec::new();
    for quiet_checks in [2, 60] {
        for check in 0..quiet_checks {
            installation.set_status(30, if check % 2 == 0 { Status::Busy } else { Status::Idle });
            installation.check().await;
        }
        installation.set_status(1, Status::Offline);
        for _ in 0..3 {
            installation.check().await;
        }
        cost(&server);
        assert_eq!(installation.notify_all().await.len(), 1);
        costs.push(cost(&server));
        installation.set_status(1, Status::Idle);
        for _ in 0..3 {
            installation.check().await;
        }
        assert_eq!(installation.notify_all().await.len(), 1, "its end");
    }
    let [(first, read, _), (then, read_then, _)] = &costs[..] else { panic!("{costs:?}") };
    assert_eq!(first, then);
    // The second cost also includes the claims and outcomes of the two earlier notifications, once per attempt, and the
    // cursor, which does not exist at first.
    assert!(*read_then <= read + 9, "{costs:?}");
}

#[tokio::test]
async fn a_thousand_runners_that_fail_together_are_notified_in_one_message() {
    let server = server();
    let store = store(&server);
    let installation = Installation::new(&store, 1_000);
    installation.check().await;
    installation.set_status(1_000, Status::Offline);
    for _ in 0..3 {
        installation.check().await;
    }
    let notified = installation.notify_all().await;
    assert_eq!(notified.len(), 1);
    let outages = Query::Outages { target: target("acme/web").id().clone(), runner: None };
    assert_eq!(store.list(&outages).await.unwrap().len(), 1_000);
}
