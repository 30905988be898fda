//! A whole check-and-notify cycle with a failure at each of its requests.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;

use common::installation::{Installation, web};
use common::{STORE_ID, server, settings};
use monitor_domain::change::{Change, Event};
use monitor_domain::notifications::{Notification, NotificationItem};
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::subject::{Revision, Subject};
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::Query;
use monitor_pipeline::ports::Store;
use monitor_pipeline::stages::Disposition;
use monitor_stately::StatelyStore;
use monitor_stately::client::Client;
use monitor_stately_server::{Fault, InMemory, RpcCode, Trouble};
use tokio::time::{Duration, Instant};

/// More than a batch of 10 holds, so that decisions are split.
const RUNNERS: u64 = 12;

fn small_store(server: &InMemory) -> StatelyStore<InMemory> {
    StatelyStore::new(Client::new(server.clone(), settings())).with_max_batch(10)
}

/// Every runner goes offline and recovers, with a notification of each. Returns the sent notifications.
async fn cycle(installation: &Installation<'_, impl Store>) -> Vec<Notification> {
    let mut notified = Vec::new();
    installation.check_until_done().await;
    for (status, checks) in [(Status::Offline, 3), (Status::Idle, 2)] {
        installation.set_status(RUNNERS, status);
        for _ in 0..checks {
            installation.check_until_done().await;
            notified.extend(installation.notify_all().await);
        }
    }
    // One more round for deferred work.
    installation.check_until_done().await;
    notified.extend(installation.notify_all().await);
    notified
}

/// Stored state and notifications are consistent: nothing half applied, nothing twice.
async fn is_sound(store: &impl Store, notified: &[Notification], may_repeat: bool, trouble: &str) {
    let subject = Subject::from(&web());
    let list = async |query| store.list(&query).await.unwrap();
    let changes = list(Query::Changes { subject, after: Revision(0), limit: 1_000 }).await;
    let changes: Vec<Change> = changes
        .into_iter()
        .filter_map(|item| if let Item::Change(change) = item { Some(change) } else { None })
        .collect();
    let revisions: Vec<u64> = changes.iter().map(|change| change.revision.0).collect();
    assert_eq!(revisions, (1..=changes.len() as u64).collect::<Vec<_>>(), "{trouble}: revisions without gaps");

    let outages = list(Query::Outages { target: web().id().clone(), runner: None }).await;
    let mut opened = BTreeMap::new();
    let mut closed = BTreeMap::new();
    for event in changes.iter().flat_map(|change| &change.events) {
        match event {
            Event::OutageOpened { outage } => *opened.entry(outage.runner_id).or_insert(0) += 1,
            Event::OutageClosed { outage } => *closed.entry(outage.runner_id).or_insert(0) += 1,
            _ => {}
        }
    }
    let once: BTreeMap<RunnerId, i32> = (1..=RUNNERS).map(|id| (RunnerId(id), 1)).collect();
    assert_eq!((&opened, &closed), (&once, &once), "{trouble}: each outage opens and closes once");
    assert_eq!(outages.len() as u64, RUNNERS, "{trouble}: one record per outage");
    assert!(
        outages.iter().all(|item| matches!(item, Item::Outage(item) if !item.outage.is_open())),
        "{trouble}: the stored outages match the last commit"
    );
    let fleet = list(Query::Fleet(web().id().clone())).await;
    for item in &fleet {
        match item {
            Item::Target(record) => assert_eq!(record.revision.0, changes.len() as u64, "{trouble}"),
            Item::Runner(item) => assert!(item.runner.open_outage().is_none(), "{trouble}"),
            _ => {}
        }
    }

    let count = |of: fn(&NotificationItem) -> usize| {
        notified.iter().flat_map(|notification| &notification.items).map(of).sum::<usize>() as u64
    };
    let offline = count(|item| if let NotificationItem::Offline { outages } = item { outages.len() } else { 0 });
    let recovered = count(|item| if let NotificationItem::Recovered { outages } = item { outages.len() } else { 0 });
    let both = count(|item| if let NotificationItem::CameAndWent { outages } = item { outages.len() } else { 0 });
    if may_repeat {
        assert!(offline + both >= RUNNERS && recovered + both >= RUNNERS, "{trouble}: nothing is lost: {notified:?}");
    } else {
        assert_eq!((offline + both, recovered + both), (RUNNERS, RUNNERS), "{trouble}: nothing lost, nothing twice");
    }
}

fn troubles() -> Vec<Trouble> {
    vec![
        Trouble::RequestLost,
        Trouble::AnswerLost,
        Trouble::AnswerCut(9),
        Trouble::EndMissing,
        Trouble::RequestStalls,
        Trouble::AnswerStalls,
        Trouble::Late(4_000),
        Trouble::Proxy(502),
        // A token that expires in the middle of the cycle.
        Trouble::Bare(RpcCode::Unauthenticated),
        Trouble::Bare(RpcCode::Unavailable),
        Trouble::stately_code("StoreThroughputExceeded"),
        Trouble::stately_code("ConcurrentModification"),
        Trouble::stately_code("CachedSchemaTooOld"),
    ]
}

async fn requests_of_an_unchanged_cycle() -> u64 {
    let server = server();
    let store = small_store(&server);
    let notified = cycle(&Installation::new(&store, RUNNERS)).await;
    is_sound(&store, &notified, false, "without trouble").await;
    let state = server.state();
    state.calls().count() as u64
}

#[tokio::test(start_paused = true)]
async fn one_failure_at_any_request_changes_nothing_that_is_stored_or_notified() {
    let requests = requests_of_an_unchanged_cycle().await;
    assert!(requests > 30, "{requests} requests");
    for trouble in troubles() {
        for place in 0..requests {
            let server = server();
            let store = small_store(&server);
            server.state().inject(Fault::once(trouble.clone()).after(place));
            let notified = cycle(&Installation::new(&store, RUNNERS)).await;
            // After a lost response the process recognises its own claim or change, so nothing is sent again.
            is_sound(&store, &notified, false, &format!("{trouble:?} at request {place}")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lasting_failure_is_a_clear_error_and_is_caught_up_afterwards() {
    let requests = requests_of_an_unchanged_cycle().await;
    // Longer than one call and than the attempts of a put. A call has time for two stalled attempts.
    let lasting = [
        (Trouble::RequestLost, 150),
        (Trouble::AnswerLost, 150),
        (Trouble::AnswerStalls, 15),
        (Trouble::stately_code("StoreThroughputExceeded"), 150),
    ];
    for (trouble, times) in lasting {
        for place in 0..requests {
            let server = server();
            let store = small_store(&server);
            server.state().inject(Fault::once(trouble.clone()).after(place).times(times));
            let installation = Installation::new(&store, RUNNERS);
            let mut notified = cycle(&installation).await;
            server.state().clear_faults();
            installation.check_until_done().await;
            notified.extend(installation.notify_all().await);
            // A message that was sent but whose outcome was not stored is sent again: the only window for a duplicate.
            is_sound(&store, &notified, true, &format!("{trouble:?} from request {place} on")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_during_a_lasting_failure_reports_it_within_the_deadline() {
    for trouble in
        [Trouble::RequestStalls, Trouble::AnswerStalls, Trouble::RequestLost, Trouble::Bare(RpcCode::Unavailable)]
    {
        let server = server();
        let store = small_store(&server);
        let installation = Installation::new(&store, RUNNERS);
        installation.check_until_done().await;
        server.state().inject(Fault::once(trouble.clone()).times(u64::MAX));
        let began_at = Instant::now();
        let report = installation.check().await;
        let Disposition::Retry { reason, .. } = report.disposition else { panic!("{:?}", report.disposition) };
        assert!(reason.contains("the store is unavailable") && reason.contains("gave up after"), "{reason}");
        assert!(began_at.elapsed() <= Duration::from_secs(11), "{trouble:?}: {:?}", began_at.elapsed());
        assert_eq!(server.state().item_count(STORE_ID) as u64, 1 + 2 + RUNNERS, "the stored items are unchanged");
    }
}
