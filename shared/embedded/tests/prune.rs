//! Housekeeping deletes history that was notified long ago, and nothing that is still needed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use monitor_domain::change::{Event, RunnerName};
use monitor_domain::fleet::TargetRecord;
use monitor_domain::runner::RunnerId;
use monitor_domain::subject::Revision;
use monitor_embedded::store::EmbeddedStore;
use monitor_pipeline::items::{Delivered, Item, SendEnding};
use monitor_pipeline::keys::{Put, Query};
use monitor_pipeline::ports::{PutOutcome, Store};
use monitor_pipeline::records::changes_since;
use monitor_pipeline::testing::doubles::FaultyStore;
use monitor_pipeline::testing::samples::{
    acknowledgement, at, change, claim, cursor, marker, mute, outage_item, sent, subject, target_record,
};

async fn put(store: &EmbeddedStore, items: Vec<Item>) {
    for items in items.chunks(1_000) {
        let puts: Vec<_> = items.iter().cloned().map(Put::replacing).collect();
        assert_eq!(store.put(&puts).await.unwrap(), PutOutcome::Done);
    }
}

/// Changes 1 to `changes`, one a minute, and notifications of ten changes each over the same time.
fn history(subject: &str, changes: u64, notifications: u64) -> Vec<Item> {
    let mut items: Vec<Item> =
        (1..=changes).map(|revision| Item::Change(change(subject, revision, Event::MonitoringStarted))).collect();
    for notification in 1..=notifications {
        for attempt in 1..=2 {
            let claim = claim(subject, notification, attempt);
            items.push(Item::Sent(sent(&claim, SendEnding::Delivered(Delivered::default()))));
            items.push(Item::Claim(claim));
        }
    }
    items
}

/// A target's record at a revision, with its last notifiable revision.
fn record(name: &str, revision: u64, last_notifiable: u64) -> Item {
    let last_notifiable = Revision(last_notifiable);
    Item::Target(TargetRecord { last_notifiable, ..target_record(name, revision) })
}

async fn revisions(store: &EmbeddedStore, name: &str) -> Vec<u64> {
    let query = Query::Changes { subject: subject(name), after: Revision(0), limit: usize::MAX };
    let items = store.list(&query).await.unwrap();
    items
        .iter()
        .filter_map(|item| if let Item::Change(change) = item { Some(change.revision.0) } else { None })
        .collect()
}

/// The notification number of every stored claim and outcome, one entry for each.
async fn notifications(store: &EmbeddedStore, name: &str) -> Vec<u64> {
    let items = store.list(&Query::Notifications { subject: subject(name), limit: usize::MAX }).await.unwrap();
    let number = |item: &Item| match item {
        Item::Claim(claim) => claim.number.notification,
        Item::Sent(sent) => sent.number.notification,
        other => panic!("{other:?} is neither a claim nor an outcome"),
    };
    items.iter().map(number).collect()
}

#[tokio::test]
async fn what_a_report_needs_is_kept_as_long_as_outages() {
    let store = EmbeddedStore::open_in_memory().unwrap();
    let runner = RunnerName { id: RunnerId(7), name: "runner-7".to_owned() };
    let events = [
        Event::MonitoringStarted,
        Event::Returned { runner, gone_since: at(60), alerted: false },
        Event::ReachableAgain { since: at(120), until: at(180), notified: false },
        Event::Unwatched { from: at(180), until: at(240) },
    ];
    let changes = (1..).zip(events).map(|(revision, event)| Item::Change(change("acme/web", revision, event)));
    put(&store, changes.chain([record("acme/web", 4, 4), Item::Cursor(cursor("acme/web", 4))]).collect()).await;
    store.prune(at(100_000)).await.unwrap();
    assert_eq!(revisions(&store, "acme/web").await, [2, 3, 4]);
    store.prune_outages(at(100_000)).await.unwrap();
    assert_eq!(revisions(&store, "acme/web").await, [0; 0]);
}

#[tokio::test]
async fn old_notified_changes_are_deleted_and_the_remaining_ones_stay() {
    let store = EmbeddedStore::open_in_memory().unwrap();
    put(&store, history("acme/web", 60, 4)).await;
    let items = [Item::Cursor(cursor("acme/web", 40)), outage_item("acme/web", 7, 1), record("acme/web", 60, 41)];
    put(&store, items.to_vec()).await;
    // Change 25 and notification 2 are older than the limit, change 26 and notification 3 are newer.
    let prune = async |before| store.prune(before).await.unwrap() + store.prune_outages(before).await.unwrap();
    let pruned = prune(at(25 * 60 + 30)).await;
    assert_eq!(revisions(&store, "acme/web").await, (26..=60).collect::<Vec<_>>());
    assert_eq!(notifications(&store, "acme/web").await, [4, 4, 4, 4, 3, 3, 3, 3]);
    assert_eq!(pruned, 25 + 8);
    // Pending changes stay however late it is, and so does the latest notification.
    assert_eq!(prune(at(1_000_000)).await, 15 + 4);
    assert_eq!(revisions(&store, "acme/web").await, (41..=60).collect::<Vec<_>>());
    assert_eq!(notifications(&store, "acme/web").await, [4, 4, 4, 4]);
    let outages = Query::Outages {
        target: "acme/web".parse::<monitor_domain::target::Target>().unwrap().id().clone(),
        runner: None,
    };
    assert_eq!(store.list(&outages).await.unwrap().len(), 1);
    assert_eq!(prune(at(1_000_000)).await, 0);
}

#[tokio::test]
async fn each_subject_is_pruned_by_its_own_cursor() {
    let store = EmbeddedStore::open_in_memory().unwrap();
    for name in ["acme/web", "acme/web-2", "acme/web-3"] {
        put(&store, history(name, 5, 1)).await;
        put(&store, vec![record(name, 5, 5)]).await;
    }
    put(&store, vec![Item::Cursor(cursor("acme/web-3", 3)), Item::Cursor(cursor("acme/web-2", 0))]).await;
    assert_eq!(store.prune(at(1_000_000)).await.unwrap(), 3);
    assert_eq!(revisions(&store, "acme/web-3").await, [4, 5]);
    for name in ["acme/web", "acme/web-2"] {
        assert_eq!(revisions(&store, name).await, [1, 2, 3, 4, 5], "{name}");
        assert_eq!(notifications(&store, name).await.len(), 4, "{name}");
    }
}

#[tokio::test]
async fn old_changes_without_a_notification_are_deleted() {
    let store = EmbeddedStore::open_in_memory().unwrap();
    // One subject was never notified, the other completely: the later changes are only runners at work.
    put(&store, history("acme/idle", 50, 0)).await;
    put(&store, history("acme/done", 50, 1)).await;
    put(&store, vec![record("acme/idle", 50, 0), record("acme/done", 50, 10)]).await;
    put(&store, vec![Item::Cursor(cursor("acme/done", 10))]).await;
    assert_eq!(store.prune(at(40 * 60 + 30)).await.unwrap(), 80);
    for name in ["acme/idle", "acme/done"] {
        assert_eq!(revisions(&store, name).await, (41..=50).collect::<Vec<_>>(), "{name}");
    }
}

#[tokio::test]
async fn ended_overrides_and_markers_are_deleted_once_they_are_old() {
    let store = EmbeddedStore::open_in_memory().unwrap();
    let mute = |name: &str, hours| Item::Mute(mute(monitor_domain::scope::Scope::Named(name.to_owned()), hours));
    put(&store, vec![mute("gpu", 1), mute("build-7", 3)]).await;
    put(&store, vec![Item::Acknowledgement(acknowledgement("acme/web", 7, 41)), record("acme/web", 5, 5)]).await;
    let watchlist = monitor_domain::watchlist::Watchlist::default();
    put(&store, vec![Item::Watchlist(watchlist)]).await;
    put(
        &store,
        [("monitor", 1), ("monitor", 180), ("acme/web", 2)].map(|(of, number)| Item::Marker(marker(of, number))).into(),
    )
    .await;
    assert_eq!(store.prune(at(2 * 3_600)).await.unwrap(), 3);
    assert_eq!(store.list(&Query::Mutes).await.unwrap(), [mute("build-7", 3)]);
    // An acknowledgement is kept as long as the outage that it is about.
    assert_eq!(store.prune_outages(at(2 * 3_600)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_long_history_is_deleted_in_portions() {
    let store = EmbeddedStore::open_in_memory().unwrap();
    put(&store, history("acme/web", 2_300, 1)).await;
    put(&store, vec![Item::Cursor(cursor("acme/web", 2_300)), record("acme/web", 2_300, 2_300)]).await;
    assert_eq!(store.prune(at(2_000 * 60 + 30)).await.unwrap(), 2_000);
    assert_eq!(revisions(&store, "acme/web").await.len(), 300);
}

#[tokio::test]
async fn an_unreadable_row_does_not_block_the_deletion_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = EmbeddedStore::open(&path).unwrap();
    for name in ["acme/api", "acme/web", "acme/zoo"] {
        put(&store, history(name, 20, 2)).await;
        put(&store, vec![record(name, 20, 20), Item::Cursor(cursor(name, 20))]).await;
    }
    let spoil = |sections: &str| {
        let body = "UPDATE items SET body = substr(body, 1, length(body) / 2) WHERE ";
        rusqlite::Connection::open(&path).unwrap().execute(&format!("{body}{sections}"), []).unwrap()
    };
    // Damage a change and a claim of one subject, and the notification state of another.
    assert_eq!(spoil("subject = 'acme/api' AND section = 'change' AND first = 2"), 1);
    assert_eq!(
        spoil("subject = 'acme/api' AND section = 'notification' AND first = 1 AND second = 1 AND third = 0"),
        1
    );
    assert_eq!(spoil("subject = 'acme/web' AND section IN ('target', 'cursor')"), 2);
    assert_eq!(store.prune(at(1_000_000)).await.unwrap(), 19 + 20);
    assert_eq!(store.prune_outages(at(1_000_000)).await.unwrap(), 3 + 4);
    assert_eq!(revisions(&store, "acme/web").await.len(), 20, "it is unknown which changes are pending");
    assert!(revisions(&store, "acme/zoo").await.is_empty());
}

#[tokio::test]
async fn of_a_long_history_only_the_end_is_read() {
    let store = EmbeddedStore::open_in_memory().unwrap();
    put(&store, history("acme/web", 8_000, 0)).await;
    let counted = FaultyStore::over(&store);
    let (of, last) = (subject("acme/web"), Revision(8_000));
    for minutes in [0, 1, 300, 4_000, 7_400, 7_999, 9_000] {
        let since = at(minutes * 60);
        let read = changes_since(&counted, &of, last, since, |_| true).await.unwrap();
        let wanted =
            (1..=8_000).filter(|revision| change("acme/web", *revision, Event::MonitoringStarted).decided_at >= since);
        let wanted = wanted.count();
        assert!(read.len() >= wanted && read.len() <= wanted + 60 + 500, "{} of {wanted}", read.len());
        assert!(read.is_empty() || read.last().map(|change| change.revision) == Some(last));
        let requests = counted.take_requests();
        assert!(requests.reads <= 8 + u32::try_from(read.len() / 500).unwrap(), "{requests:?}");
    }
    // Of a time longer ago than quiet changes are kept everything is read.
    let all =
        changes_since(&counted, &of, last, at(0).minus(Duration::from_secs(40 * 86_400)), |_| true).await.unwrap();
    assert_eq!((all.len(), counted.take_requests().reads), (8_000, 18));
}
