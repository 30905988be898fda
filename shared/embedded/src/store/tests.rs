use monitor_domain::change::Event;
use monitor_domain::runner::RunnerId;
use monitor_domain::subject::Revision;
use monitor_pipeline::items::SendEnding;
use monitor_pipeline::testing::samples::{
    change, claim, cursor, outage_item, runner_item, sent, subject, target, target_record,
};
use rusqlite::StatementStatus;

use super::*;

fn queries() -> [Query; 6] {
    let (web, limit) = (target("acme/web").id().clone(), 5);
    [
        Query::Fleet(web.clone()),
        Query::Changes { subject: subject("acme/web"), after: Revision(0), limit },
        Query::Notifications { subject: subject("acme/web"), limit },
        Query::Outages { target: web.clone(), runner: None },
        Query::Outages { target: web, runner: Some(RunnerId(7)) },
        Query::Targets,
    ]
}

async fn try_put(store: &EmbeddedStore, items: impl IntoIterator<Item = Item>) -> Result<PutOutcome, StoreError> {
    store.put(&items.into_iter().map(Put::replacing).collect::<Vec<_>>()).await
}

async fn put(store: &EmbeddedStore, items: impl IntoIterator<Item = Item>) {
    assert_eq!(try_put(store, items).await, Ok(PutOutcome::Done));
}

/// The cost of a query in SQLite's virtual machine steps.
fn steps(store: &EmbeddedStore, query: &Query) -> i32 {
    let (sql, parameters) = rows::select(query);
    let connection = store.connection();
    let mut statement = connection.prepare(sql).unwrap();
    let found = statement.query(params_from_iter(parameters)).unwrap().mapped(|_| Ok(())).count();
    assert!(found > 0, "{query:?} finds something");
    statement.get_status(StatementStatus::VmStep)
}

#[test]
fn every_query_walks_one_index_in_its_order() {
    let store = EmbeddedStore::open_in_memory().unwrap();
    for query in queries() {
        let (sql, parameters) = rows::select(&query);
        let connection = store.connection();
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let detail = explain.query_map(params_from_iter(parameters), |row| row.get::<_, String>(3)).unwrap();
        let plan: Vec<String> = detail.map(Result::unwrap).collect();
        assert_eq!(plan.len(), 1, "{query:?}: {plan:?}");
        assert!(plan[0].starts_with("SEARCH items USING INDEX"), "{query:?}: {plan:?}");
    }
}

#[tokio::test]
async fn a_read_costs_the_same_with_any_history_and_any_number_of_other_targets() {
    let store = EmbeddedStore::open_in_memory().unwrap();
    let fleet = |name: &str| {
        let mut items: Vec<Item> = (1..=8).map(|runner| runner_item(name, runner)).collect();
        items.extend([Item::Target(target_record(name, 9)), Item::Cursor(cursor(name, 9))]);
        items
    };
    let history = |name: &str, length: u64| {
        let refused = || SendEnding::LayoutRefused { reason: "refused".to_owned() };
        let items = (1..=length).flat_map(|number| {
            let claim = claim(name, number, 1);
            [
                Item::Change(change(name, number, Event::MonitoringStarted)),
                outage_item(name, 7, number),
                Item::Sent(sent(&claim, refused())),
                Item::Claim(claim),
            ]
        });
        items.collect::<Vec<_>>()
    };
    put(&store, fleet("acme/web")).await;
    put(&store, history("acme/web", 5)).await;
    let [read_fleet, read_changes, read_notifications, ..] = queries();
    let before = [&read_fleet, &read_changes, &read_notifications].map(|query| steps(&store, query));
    put(&store, history("acme/web", 200)).await;
    for number in 0..50 {
        put(&store, fleet(&format!("acme/web-{number}"))).await;
        put(&store, history(&format!("acme/web-{number}"), 20)).await;
    }
    let after = [&read_fleet, &read_changes, &read_notifications].map(|query| steps(&store, query));
    for (after, before) in after.into_iter().zip(before) {
        // The cost differs slightly if the rows are the last in the index.
        assert!(after.abs_diff(before) <= 2, "{after} steps instead of {before}");
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_whole_batch_and_a_retry_succeeds_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path().join("monitor.db")).unwrap();
    put(&store, [Item::Target(target_record("acme/web", 1))]).await;
    let pages: i64 = store.connection().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let set_room = |pages: i64| {
        let connection = store.connection();
        connection.pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0)).unwrap();
    };
    set_room(pages + 2);
    let large = || {
        let runners = (1..100).map(|runner| runner_item("acme/web", runner));
        std::iter::once(Item::Target(target_record("acme/web", 2))).chain(runners)
    };
    let error = try_put(&store, large()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable(said) if said.contains("full")), "{error}");
    let fleet = Query::Fleet(target("acme/web").id().clone());
    assert_eq!(store.list(&fleet).await.unwrap(), [Item::Target(target_record("acme/web", 1))]);
    set_room(pages + 1_000);
    put(&store, large()).await;
    assert_eq!(store.list(&fleet).await.unwrap().len(), 100);
}

#[tokio::test]
async fn a_file_locked_by_another_process_can_be_read_but_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitor.db");
    let store = EmbeddedStore::open(&path).unwrap();
    put(&store, [runner_item("acme/web", 1)]).await;
    store.connection().busy_timeout(Duration::from_millis(20)).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; DELETE FROM items;").unwrap();
    let error = try_put(&store, [runner_item("acme/web", 2)]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(matches!(store.delete(&[Key::Watchlist]).await, Err(StoreError::Unavailable(_))));
    let fleet = Query::Fleet(target("acme/web").id().clone());
    assert_eq!(store.list(&fleet).await.unwrap(), [runner_item("acme/web", 1)]);
    other.execute_batch("ROLLBACK").unwrap();
    put(&store, [runner_item("acme/web", 2)]).await;
}

#[test]
fn a_commit_is_synced_before_it_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path().join("monitor.db")).unwrap();
    let connection = store.connection();
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
    assert_eq!((journal.as_str(), synchronous), ("wal", 2));
}
