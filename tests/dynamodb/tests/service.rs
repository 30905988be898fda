//! What the contract does not cover: the service under load, limits, expiry, errors, and what it costs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_async::time::TimeSource;
use monitor_domain::change::Event;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_dynamodb::DynamoStore;
use monitor_dynamodb_emulators::{Emulator, FaultProxy, Trouble, client, client_with};
use monitor_pipeline::items::{Item, Marker, RunnerItem};
use monitor_pipeline::keys::{Key, Put, Query};
use monitor_pipeline::ports::{PutOutcome, Store as _, StoreError};
use monitor_pipeline::testing::samples::{at, change, every_item, runner, runner_item, subject, target, target_record};

fn system_time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(at.epoch_ms().unsigned_abs())
}

async fn dynoxide() -> Emulator {
    Emulator::dynoxide(None).await.expect("dynoxide starts")
}

/// A store behind a proxy.
async fn behind_proxy(emulator: &Emulator) -> (FaultProxy, DynamoStore) {
    let proxy = FaultProxy::start(emulator.url()).await.expect("a proxy");
    let store = emulator.store_over(proxy.url(), system_time(at(0))).await.expect("a table");
    (proxy, store)
}

fn started(revision: u64) -> Item {
    Item::Change(change("acme/web", revision, Event::MonitoringStarted))
}

fn commit(revision: u64) -> Vec<Put> {
    vec![Put::new(started(revision)), Put::replacing(Item::Target(target_record("acme/web", revision)))]
}

#[tokio::test]
async fn what_another_transaction_hinders_is_put_all_the_same() {
    let emulator = dynoxide().await;
    let (proxy, store) = behind_proxy(&emulator).await;
    proxy.next([Trouble::Conflict; 4]);
    assert_eq!(store.put(&commit(1)).await, Ok(PutOutcome::Done));
    proxy.next([Trouble::Conflict; 4]);
    assert_eq!(store.put(&[Put::new(started(2))]).await, Ok(PutOutcome::Done));
    proxy.next([Trouble::Throttled; 2]);
    assert_eq!(store.put(&commit(3)).await, Ok(PutOutcome::Done));
    proxy.always(&[Trouble::Conflict]);
    let endless = store.put(&commit(4)).await;
    assert!(matches!(&endless, Err(StoreError::Unavailable(reason)) if reason.contains("TransactionConflict")));
    proxy.next([]);
    assert_eq!(store.get(&[started(4).key()]).await, Ok(Vec::new()), "nothing of it is stored");
}

#[tokio::test]
async fn a_put_whose_answer_is_lost_is_answered_when_it_is_repeated() {
    let emulator = dynoxide().await;
    let (proxy, store) = behind_proxy(&emulator).await;
    // The SDK repeats it.
    proxy.next([Trouble::AnswerLost]);
    assert_eq!(store.put(&commit(1)).await, Ok(PutOutcome::Done));
    assert_eq!(proxy.requests(), ["TransactWriteItems"; 2]);
    // The caller repeats it after the SDK gave up.
    proxy.next([Trouble::AnswerLost; 3]);
    assert!(matches!(store.put(&commit(2)).await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.put(&commit(2)).await, Ok(PutOutcome::Done));
    // Another writer's change of this revision is no repeat.
    let mut other = commit(2);
    other[1] = Put::replacing(Item::Target(target_record("acme/web", 9)));
    assert_eq!(store.put(&other).await, Ok(PutOutcome::Exists));
    // A lone put has no token.
    proxy.next([Trouble::AnswerLost]);
    assert_eq!(store.put(&[Put::new(started(3))]).await, Ok(PutOutcome::Exists), "it may be the caller's own");
    assert_eq!(store.get(&[started(3).key()]).await, Ok(vec![started(3)]));
}

/// A clock that a test moves.
#[derive(Clone, Debug, Default)]
struct Clock(Arc<AtomicU64>);

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        system_time(at(self.0.load(Ordering::Relaxed)))
    }
}

#[tokio::test]
async fn a_repeat_is_answered_however_late_it_comes() {
    let emulator = dynoxide().await;
    let proxy = FaultProxy::start(emulator.url()).await.expect("a proxy");
    monitor_dynamodb_emulators::create_table(&emulator.client(), "table").await.expect("a table");
    let clock = Clock::default();
    let store = DynamoStore::new(client_with(proxy.url(), clock.clone()), "table", 1);
    proxy.next([Trouble::AnswerLost; 3]);
    assert!(matches!(store.put(&commit(1)).await, Err(StoreError::Unavailable(_))));
    let mut outcomes = Vec::new();
    for later_secs in [1, 60, 599, 700, 1_300] {
        clock.0.store(later_secs, Ordering::Relaxed);
        outcomes.push(store.put(&commit(1)).await.expect("it is answered"));
    }
    // As long as the token is the same, it is done; afterwards the item exists.
    let done = outcomes.iter().take_while(|outcome| **outcome == PutOutcome::Done).count();
    assert!(done >= 1, "{outcomes:?}");
    assert!(outcomes[done..].iter().all(|outcome| *outcome == PutOutcome::Exists) && done < 5, "{outcomes:?}");
}

#[tokio::test]
async fn a_put_that_replaces_is_done_again_each_time() {
    let emulator = dynoxide().await;
    let store = emulator.store(system_time(at(0))).await.expect("a table");
    let named = |name: &str| {
        let item = |id| Item::Runner(RunnerItem { target: target("acme/web").id().clone(), runner: runner(id, name) });
        vec![Put::replacing(item(1)), Put::replacing(item(2))]
    };
    for name in ["a", "b", "a"] {
        assert_eq!(store.put(&named(name)).await, Ok(PutOutcome::Done));
        let found = store.list(&Query::Fleet(target("acme/web").id().clone())).await.expect("a list");
        assert_eq!(found, named(name).into_iter().map(|put| put.item).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn an_expired_item_does_not_exist_although_it_is_still_there() {
    let emulator = dynoxide().await;
    let store = emulator.store(system_time(at(0))).await.expect("a table");
    let marker = |number, at| Marker { subject: subject("monitor"), number, nonce: 1, at };
    let day = Duration::from_secs(86_400);
    let (ended, live) = (Item::Marker(marker(1, at(0).minus(day))), Item::Marker(marker(2, at(1).minus(day))));
    for item in [&ended, &live] {
        assert_eq!(store.put(&[Put::new(item.clone())]).await, Ok(PutOutcome::Done));
    }
    assert_eq!(store.get(&[ended.key(), live.key()]).await, Ok(vec![live.clone()]));
    assert_eq!(store.put(&[Put::new(ended.clone())]).await, Ok(PutOutcome::Done));
    assert_eq!(store.put(&[Put::new(ended), Put::new(started(9))]).await, Ok(PutOutcome::Done));
    assert_eq!(store.put(&[Put::new(live)]).await, Ok(PutOutcome::Exists));

    // A list with a limit is filled with live items.
    let month = Duration::from_secs(30 * 86_400);
    let quiet = |revision, decided_at| {
        let Item::Change(mut change) = started(revision) else { unreachable!() };
        change.decided_at = decided_at;
        change.events = Vec::new();
        Item::Change(change)
    };
    let old = (1..=5).map(|revision| quiet(revision, at(0).minus(month)));
    let puts = old.chain((6..=8).map(|revision| quiet(revision, at(0)))).map(Put::replacing);
    assert_eq!(store.put(&puts.collect::<Vec<_>>()).await, Ok(PutOutcome::Done));
    let after = monitor_domain::subject::Revision(0);
    let query = Query::Changes { subject: subject("acme/web"), after, limit: 2 };
    let found: Vec<Key> = store.list(&query).await.expect("a list").iter().map(Item::key).collect();
    assert_eq!(found, [quiet(6, at(0)).key(), quiet(7, at(0)).key()]);
}

/// A list of targets with names that cannot be deflated well.
fn watchlist(targets: u64, seed: u64) -> Item {
    let every = every_item();
    let list = every.into_iter().find_map(|item| if let Item::Watchlist(list) = item { Some(list) } else { None });
    let mut list = list.expect("a sample");
    let name = |number: u64| {
        let random =
            (number ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        format!("org-{:04x}/{random:016x}", random % 25)
    };
    list.targets = (0..targets).map(|number| name(number).parse::<Target>().expect("a target")).collect();
    Item::Watchlist(list)
}

#[tokio::test]
async fn a_list_of_100_000_targets_is_stored_in_parts_and_shrinks_again() {
    let emulator = dynoxide().await;
    let store = emulator.store(system_time(at(0))).await.expect("a table");
    for targets in [100_000, 10, 60_000, 0] {
        let list = watchlist(targets, 7);
        let puts = vec![Put::new(started(targets + 1)), Put::replacing(list.clone())];
        assert_eq!(store.put(&puts).await, Ok(PutOutcome::Done), "{targets}");
        assert!(store.get(&[Key::Watchlist]).await == Ok(vec![list]), "{targets}");
    }
    assert_eq!(store.put(&[Put::replacing(watchlist(60_000, 1))]).await, Ok(PutOutcome::Done), "alone too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_never_sees_parts_of_two_puts() {
    let emulator = dynoxide().await;
    let store = std::sync::Arc::new(emulator.store(system_time(at(0))).await.expect("a table"));
    let lists = [watchlist(60_000, 1), watchlist(45_000, 2)];
    assert_eq!(store.put(&[Put::replacing(lists[0].clone())]).await, Ok(PutOutcome::Done));
    let writer = tokio::spawn({
        let (store, lists) = (store.clone(), lists.clone());
        async move {
            for number in 1..=12 {
                assert_eq!(store.put(&[Put::replacing(lists[number % 2].clone())]).await, Ok(PutOutcome::Done));
            }
        }
    });
    let mut seen = BTreeSet::new();
    while !writer.is_finished() {
        let found = store.get(&[Key::Watchlist]).await.expect("a list");
        let place = lists.iter().position(|list| found == [list.clone()]);
        seen.insert(place.expect("one of the two, whole"));
    }
    writer.await.expect("every put is done");
    assert!(!seen.is_empty());
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let emulator = dynoxide().await;
    let (proxy, store) = behind_proxy(&emulator).await;
    for (code, is_denied) in [
        ("AccessDeniedException", true),
        ("UnrecognizedClientException", true),
        ("ExpiredTokenException", true),
        ("ValidationException", false),
    ] {
        proxy.next([Trouble::Code(code); 9]);
        let error = store.put(&commit(1)).await.expect_err("it is refused");
        assert_eq!(matches!(error, StoreError::Denied(_)), is_denied, "{error}");
        assert_eq!(matches!(error, StoreError::Refused(_)), !is_denied, "{error}");
        assert!(error.to_string().contains(code), "{error}");
    }
    proxy.next([Trouble::Code("InternalServerError"); 9]);
    let error = store.get(&[Key::Watchlist]).await.expect_err("it fails");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");

    let absent = DynamoStore::new(emulator.client(), "absent", 1);
    let error = absent.get(&[Key::Watchlist]).await.expect_err("there is no such table");
    assert!(matches!(&error, StoreError::Refused(text) if text.contains("check DYNAMODB_TABLE")), "{error}");
    emulator.kill().await.expect("it ends");
    let error = absent.get(&[Key::Watchlist]).await.expect_err("nobody answers");
    assert!(matches!(&error, StoreError::Unavailable(text) if text.contains("no answer")), "{error}");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named() {
    use aws_sdk_dynamodb::types::AttributeValue;

    let emulator = dynoxide().await;
    let client = client(emulator.url(), system_time(at(0)));
    monitor_dynamodb_emulators::create_table(&client, "table").await.expect("a table");
    let store = DynamoStore::new(client.clone(), "table", 1);
    let text = |text: &str| AttributeValue::S(text.to_owned());
    for (body, reason) in [
        (text("{}"), "missing field"),
        (text("no JSON"), "expected"),
        (AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new([7; 9])), "body"),
        (AttributeValue::N("7".to_owned()), "it has no body"),
        (text(&serde_json::to_string(&runner_item("acme/web", 8)).expect("JSON")), "another item"),
    ] {
        let row = client.put_item().table_name("table").item("pk", text("acme/web"));
        let row = row.item("sk", text("fleet#runner#00000000000000000007")).item("body", body);
        row.send().await.expect("it is put");
        let error = store.list(&Query::Fleet(target("acme/web").id().clone())).await.expect_err("it is broken");
        let error = error.to_string();
        assert!(error.contains("acme/web fleet#runner#00000000000000000007") && error.contains(reason), "{error}");
    }
}

/// docs/DEPLOY-AWS.md has these units in its table of costs.
#[tokio::test]
async fn the_cost_of_each_step_is_what_the_page_says() {
    let emulator = dynoxide().await;
    let store = emulator.store(system_time(at(0))).await.expect("a table");
    let mut before = store.table().consumed();
    let mut since = || {
        let now = store.table().consumed();
        let units = (now.read_units - before.read_units, now.write_units - before.write_units);
        before = now;
        units
    };
    let fleet = Query::Fleet(target("acme/web").id().clone());
    let mut first: Vec<Put> = (1..=20).map(|runner| Put::replacing(runner_item("acme/web", runner))).collect();
    first.extend(commit(1));
    assert_eq!(store.put(&first).await, Ok(PutOutcome::Done));
    assert_eq!(since(), (0.0, 45.0), "a first check: two units for each of 22 items, and one for the index of targets");
    store.list(&fleet).await.expect("a list");
    let (reads, writes) = since();
    assert!(writes == 0.0 && reads <= 4.0, "a steady check of 20 runners: {reads}");
    let mut change = commit(2);
    change.push(Put::replacing(runner_item("acme/web", 7)));
    assert_eq!(store.put(&change).await, Ok(PutOutcome::Done));
    assert_eq!(since(), (0.0, 6.0), "a change of one runner");
    let last_seen = every_item().into_iter().find(|item| matches!(item, Item::LastSeen(_))).expect("a sample");
    assert_eq!(store.put(&[Put::replacing(last_seen)]).await, Ok(PutOutcome::Done));
    assert_eq!(since(), (0.0, 1.0), "a heartbeat");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_commit_is_lost_or_torn_by_a_crash() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("dynamodb.db");
    let emulator = Emulator::dynoxide(Some(&file)).await.expect("dynoxide starts");
    let client = emulator.client();
    monitor_dynamodb_emulators::create_table(&client, "table").await.expect("a table");
    let mut writers = tokio::task::JoinSet::new();
    for writer in 1..=4 {
        let store = DynamoStore::new(client.clone(), "table", writer);
        writers.spawn(async move {
            let mut acknowledged = 0;
            for revision in 1.. {
                let subject = format!("acme/web-{writer}");
                let puts = vec![
                    Put::new(Item::Change(change(&subject, revision, Event::MonitoringStarted))),
                    Put::replacing(Item::Target(target_record(&subject, revision))),
                ];
                match store.put(&puts).await {
                    Ok(PutOutcome::Done) => acknowledged = revision,
                    _ => break,
                }
            }
            (writer, acknowledged)
        });
    }
    let reader = DynamoStore::new(client.clone(), "table", 9);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let has_many = async || {
        let record = reader.get(&[Key::Target(target("acme/web-1").id().clone())]).await.expect("a record");
        matches!(&record[..], [Item::Target(record)] if record.revision.0 >= 100)
    };
    while !has_many().await {
        assert!(tokio::time::Instant::now() < deadline, "four writers commit");
    }
    emulator.kill().await.expect("it ends");
    let acknowledged = writers.join_all().await;

    let emulator = Emulator::dynoxide(Some(&file)).await.expect("dynoxide starts again");
    let store = DynamoStore::new(emulator.client(), "table", 1);
    for (writer, acknowledged) in acknowledged {
        let name = format!("acme/web-{writer}");
        let record = store.get(&[Key::Target(target(&name).id().clone())]).await.expect("a record");
        let Some(Item::Target(record)) = record.into_iter().next() else { panic!("{name} has a record") };
        let query =
            Query::Changes { subject: subject(&name), after: monitor_domain::subject::Revision(0), limit: usize::MAX };
        let changes = store.list(&query).await.expect("a list").len() as u64;
        assert!(changes >= acknowledged, "{name}: {acknowledged} acknowledged, {changes} stored");
        assert_eq!(record.revision.0, changes, "{name}: both items of a commit are stored");
    }
}
