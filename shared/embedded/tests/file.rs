//! The store's file: created, shared, refused, and readable without the monitor.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Barrier};

use monitor_domain::change::Event;
use monitor_domain::subject::Revision;
use monitor_embedded::store::{EmbeddedStore, OpenError};
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::{Key, Put, Query};
use monitor_pipeline::ports::{PutOutcome, Store, StoreError};
use monitor_pipeline::testing::samples::{change, every_item, runner_item, subject, target, target_record};
use rusqlite::Connection;

fn sql(path: &Path, statements: &str) {
    Connection::open(path).unwrap().execute_batch(statements).unwrap();
}

fn refusal(path: &Path) -> String {
    EmbeddedStore::open(path).err().expect("the file is refused").to_string()
}

async fn put(store: &EmbeddedStore, items: impl IntoIterator<Item = Item>) {
    let puts: Vec<_> = items.into_iter().map(Put::replacing).collect();
    assert_eq!(store.put(&puts).await.unwrap(), PutOutcome::Done);
}

#[tokio::test]
async fn stored_items_are_there_after_the_file_is_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitor.db");
    put(&EmbeddedStore::open(&path).unwrap(), every_item()).await;
    let store = EmbeddedStore::open(&path).unwrap();
    let keys: Vec<Key> = every_item().iter().map(Item::key).collect();
    assert_eq!(store.get(&keys).await.unwrap(), every_item());
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_for_its_user_only_and_an_old_one_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitor.db");
    let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    let store = EmbeddedStore::open(&path).unwrap();
    put(&store, every_item()).await;
    for name in ["monitor.db", "monitor.db-wal", "monitor.db-shm"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    drop(store);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let _store = EmbeddedStore::open(&path).unwrap();
    assert_eq!(mode("monitor.db"), 0o640);
}

#[test]
fn a_file_of_a_later_release_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitor.db");
    drop(EmbeddedStore::open(&path).unwrap());
    sql(&path, "PRAGMA user_version = 7; CREATE TABLE later (x);");
    let before = std::fs::read(&path).unwrap();
    let said = refusal(&path);
    assert!(said.contains("version 7") && said.contains("monitor.db") && said.contains("run the release"), "{said}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_of_another_program_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "a text that is longer than the header of a database. ".repeat(99)).unwrap();
    let foreign = folder.path().join("other.db");
    sql(&foreign, "CREATE TABLE orders (id INTEGER); PRAGMA user_version = 1;");
    let unversioned = folder.path().join("third.db");
    sql(&unversioned, "CREATE TABLE orders (id INTEGER);");
    for path in [&text, &foreign, &unversioned] {
        let before = std::fs::read(path).unwrap();
        let error = EmbeddedStore::open(path).err().unwrap();
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains("name another file"), "{error}");
        assert_eq!(std::fs::read(path).unwrap(), before);
    }
}

#[test]
fn a_file_that_cannot_be_created_is_named_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("absent").join("monitor.db"), folder.path().to_owned()] {
        let said = refusal(&path);
        assert_eq!(said.matches(&path.display().to_string()).count(), 1, "{said}");
        assert!(said.contains("a folder that"), "{said}");
    }
}

#[test]
fn a_file_name_may_contain_special_characters() {
    let folder = tempfile::tempdir().unwrap();
    let name = "file:x?mode=memory&'\" %41 \u{1F680}.db";
    drop(EmbeddedStore::open(folder.path().join(name)).unwrap());
    assert!(folder.path().join(name).metadata().unwrap().len() > 0);
}

#[test]
fn many_threads_may_create_one_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..40 {
        let path = folder.path().join(round.to_string());
        let together = Barrier::new(4);
        let open = || {
            together.wait();
            EmbeddedStore::open(&path).map(drop)
        };
        std::thread::scope(|scope| {
            let opened: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            opened.into_iter().for_each(|opened| opened.join().unwrap().unwrap());
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writers_exactly_one_wins_each_revision() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitor.db");
    let writer = |name: u64| {
        let store = Arc::new(EmbeddedStore::open(&path).unwrap());
        tokio::spawn(async move {
            let mut won = BTreeSet::new();
            for revision in 1..=200 {
                let mut mine = change("acme/web", revision, Event::MonitoringStarted);
                mine.nonce = name;
                let puts = vec![Put::new(Item::Change(mine)), Put::replacing(runner_item("acme/web", name))];
                if store.put(&puts).await.unwrap() == PutOutcome::Done {
                    won.insert(revision);
                }
                let fleet = store.list(&Query::Fleet(target("acme/web").id().clone())).await.unwrap();
                assert!(!fleet.is_empty());
            }
            won
        })
    };
    let (one, other) = (writer(1), writer(2));
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    assert!(one.is_disjoint(&other));
    assert_eq!(one.union(&other).count(), 200);
}

#[tokio::test]
async fn an_unreadable_row_is_named_and_other_targets_stay_readable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitor.db");
    let store = EmbeddedStore::open(&path).unwrap();
    put(&store, [runner_item("acme/web", 7), runner_item("acme/api", 7)]).await;
    let key = Key::Runner(target("acme/web").id().clone(), monitor_domain::runner::RunnerId(7));
    let broken = ["'{\"item\":\"runner\"'", "'{\"item\":\"runner\"}'", "x'ff00'", "''", "7", "'{\"item\":7}'"];
    for body in broken {
        sql(&path, &format!("UPDATE items SET body = {body} WHERE subject = 'acme/web'"));
        let fleet = Query::Fleet(target("acme/web").id().clone());
        for error in [store.list(&fleet).await.unwrap_err(), store.get(std::slice::from_ref(&key)).await.unwrap_err()] {
            assert!(matches!(error, StoreError::Unreadable { .. }), "{body}: {error}");
            let said = error.to_string();
            assert!(
                said.contains("the item acme/web runner 7 cannot be read")
                    && said.contains("runner-monitor then starts"),
                "{body}: {said}"
            );
        }
        let other = Query::Fleet(target("acme/api").id().clone());
        assert_eq!(store.list(&other).await.unwrap().len(), 1);
    }
    sql(
        &path,
        "UPDATE items SET body = (SELECT body FROM items WHERE subject = 'acme/api') WHERE subject = 'acme/web'",
    );
    let error = store.get(&[key]).await.unwrap_err().to_string();
    assert!(error.contains("another item is stored under its key"), "{error}");
}

#[tokio::test]
async fn an_item_type_of_a_later_release_is_skipped_in_lists() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitor.db");
    let store = EmbeddedStore::open(&path).unwrap();
    put(&store, [runner_item("acme/web", 7)]).await;
    sql(&path, "INSERT INTO items VALUES ('runner', 'acme/web', 8, 0, 0, '{\"item\":\"robot\",\"id\":8}')");
    let found = store.list(&Query::Fleet(target("acme/web").id().clone())).await.unwrap();
    assert_eq!(found, [runner_item("acme/web", 7)]);
}

#[tokio::test]
async fn a_damaged_file_is_reported_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitor.db");
    put(&EmbeddedStore::open(&path).unwrap(), (1..500).map(|id| runner_item("acme/web", id))).await;
    let whole = std::fs::read(&path).unwrap();
    let damage_from = |start: usize| {
        let mut bytes = whole.clone();
        bytes[start..].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
    };
    damage_from(whole.len() / 2);
    let store = EmbeddedStore::open(&path).unwrap();
    let error = store.list(&Query::Fleet(target("acme/web").id().clone())).await.unwrap_err();
    assert!(error.to_string().contains("move the file away"), "{error}");
    drop(store);
    damage_from(110);
    let said = refusal(&path);
    assert!(said.contains("is damaged") && said.contains("move the file away"), "{said}");
}

#[tokio::test]
async fn verify_accepts_a_readable_file_and_rejects_a_damaged_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitor.db");
    let store = EmbeddedStore::open(&path).unwrap();
    put(&store, (1..500).map(|id| runner_item("acme/web", id))).await;
    assert_eq!(store.verify().unwrap(), 499);
    sql(&path, "UPDATE items SET body = '{' WHERE first = 7");
    let said = store.verify().unwrap_err().to_string();
    assert!(said.contains("acme/web runner 7"), "{said}");
    sql(&path, "DELETE FROM items WHERE first = 7");
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    let mut damaged = 0;
    for part in 1..20 {
        let mut bytes = whole.clone();
        bytes[whole.len() * part / 20..].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        let Ok(store) = EmbeddedStore::open(&path) else { continue };
        assert!(store.verify().is_err(), "damaged from {part}/20 on");
        damaged += 1;
    }
    assert!(damaged > 5, "most files with such damage can still be opened: {damaged}");
}

#[tokio::test]
async fn ended_outages_are_kept_for_their_retention_and_open_ones_forever() {
    let store = EmbeddedStore::open_in_memory().unwrap();
    let outages: Vec<Item> = every_item().into_iter().filter(|item| matches!(item, Item::Outage(_))).collect();
    let resolved = outages.iter().filter_map(|item| match item {
        Item::Outage(item) => item.outage.resolved_at,
        _ => None,
    });
    let last = resolved.max().expect("an outage that ended");
    let open =
        outages.iter().filter(|item| matches!(item, Item::Outage(item) if item.outage.resolved_at.is_none())).count();
    let mut items = every_item();
    items.push(Item::Target(target_record("acme/web", 1)));
    put(&store, items).await;
    let left = async || {
        let query = Query::Outages { target: target("acme/web").id().clone(), runner: None };
        store.list(&query).await.unwrap().len()
    };
    let before = left().await;
    assert_eq!(before, outages.len());
    let first = outages.iter().filter_map(|item| match item {
        Item::Outage(item) => item.outage.resolved_at,
        _ => None,
    });
    store.prune_outages(first.min().unwrap()).await.unwrap();
    assert_eq!(left().await, before, "an outage that ended at the limit is kept");
    store.prune_outages(last.plus(std::time::Duration::from_millis(1))).await.unwrap();
    assert_eq!(left().await, open);
}

#[tokio::test]
async fn a_number_that_sqlite_cannot_hold_is_refused() {
    let store = EmbeddedStore::open_in_memory().unwrap();
    let item = runner_item("acme/web", u64::MAX);
    let error = store.put(&[Put::replacing(item)]).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Refused(said) if said.contains("acme/web runner 18446744073709551615")),
        "{error}"
    );
    let beyond = Query::Changes { subject: subject("acme/web"), after: Revision(u64::MAX), limit: usize::MAX };
    put(&store, [Item::Change(change("acme/web", 1, Event::MonitoringStarted))]).await;
    assert_eq!(store.list(&beyond).await.unwrap(), []);
}

#[tokio::test]
async fn a_store_counts_its_requests() {
    let store = EmbeddedStore::open_in_memory().unwrap();
    put(&store, [runner_item("acme/web", 1), Item::Target(target_record("acme/web", 1))]).await;
    let again = store.put(&[Put::new(runner_item("acme/web", 1))]).await.unwrap();
    assert_eq!(again, PutOutcome::Exists);
    store.list(&Query::Targets).await.unwrap();
    store.get(&[runner_item("acme/web", 1).key()]).await.unwrap();
    store.delete(&[runner_item("acme/web", 1).key()]).await.unwrap();
    let counters = store.counters();
    assert_eq!((counters.reads, counters.writes, counters.items_written), (2, 3, 2));
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_moved_or_replaced_under_the_store_is_detected() {
    type Trouble = fn(&Path);
    let log = |path: &Path| path.with_extension("db-wal");
    let moved: Trouble = |path| std::fs::rename(path, path.with_extension("old")).unwrap();
    let deleted: Trouble = |path| std::fs::remove_file(path).unwrap();
    let replaced: Trouble = |path| {
        std::fs::copy(path, path.with_extension("new")).unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
    };
    let folder = tempfile::tempdir().unwrap();
    for (number, (trouble, words)) in
        [(moved, "moved or deleted"), (deleted, "moved or deleted"), (replaced, "replaced by another file")]
            .into_iter()
            .enumerate()
    {
        let path = folder.path().join(format!("{number}.db"));
        let store = EmbeddedStore::open(&path).unwrap();
        put(&store, every_item()).await;
        assert_eq!(store.in_place(), Ok(()));
        // Another process opens and closes the file.
        sql(&path, "PRAGMA wal_checkpoint(TRUNCATE)");
        assert_eq!(store.in_place(), Ok(()));
        let file = if number == 1 { log(&path) } else { path };
        trouble(&file);
        let said = store.in_place().unwrap_err().to_string();
        assert!(said.contains(words) && said.contains(&file.display().to_string()), "{said}");
    }
    assert_eq!(EmbeddedStore::open_in_memory().unwrap().in_place(), Ok(()));
}
