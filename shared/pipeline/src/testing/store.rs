//! The contract of a store: run by every store adapter.

use std::sync::Arc;

use monitor_domain::change::{Change, Event};
use monitor_domain::jobs::JobId;
use monitor_domain::outage::OutageId;
use monitor_domain::runner::{Runner, RunnerId};
use monitor_domain::scope::Scope;
use monitor_domain::subject::{CredentialId, Revision, Subject};
use monitor_domain::target::TargetId;
use tokio::task::JoinSet;

use crate::items::{Attempt, Item, LastSeen, RunnerItem, SendEnding};
use crate::keys::{Key, Put, Query};
use crate::ports::{PutOutcome, Store, StoreError};
use crate::testing::samples::{
    acknowledgement, change, claim, cursor, every_item, job_item, marker, mute, outage_item, runner, runner_item, sent,
    subject, target, target_record,
};

/// How many writers race for one revision.
const WRITERS: u64 = 8;
/// Target names: each is a prefix, a part or a mirror of another.
const NEIGHBOURS: [&str; 8] =
    ["acme/web", "acme/web-2", "acme/we", "acme/web.b", "orgs/acme", "enterprises/acme", "acme/orgs", "me/web"];

/// Runs the whole suite, each part on a new, empty store of `make`.
pub async fn run_all<S: Store + 'static>(make: impl AsyncFn() -> S) {
    every_item_is_read_as_it_was_put(&make().await).await;
    the_jobs_of_a_target_are_listed_alone_and_in_order(&make().await).await;
    a_put_replaces_the_whole_item(&make().await).await;
    a_missing_item_is_not_returned(&make().await).await;
    a_delete_removes_only_its_keys_and_may_be_repeated(&make().await).await;
    a_refused_batch_changes_nothing(&make().await).await;
    a_batch_as_large_as_allowed_is_put_whole(&make().await).await;
    a_fleet_is_its_targets_own(&make().await).await;
    a_fleet_is_its_target_runners_last_seen_and_cursor(&make().await).await;
    changes_after_a_revision_are_listed_by_number(&make().await).await;
    notifications_are_listed_latest_first_with_each_ending_before_its_claim(&make().await).await;
    outages_are_listed_by_runner_and_number(&make().await).await;
    targets_are_listed_in_order_of_identity(&make().await).await;
    mutes_are_listed_with_nothing_else(&make().await).await;
    unusual_names_do_not_collide(&make().await).await;
    of_two_writers_of_one_revision_one_wins(Arc::new(make().await)).await;
}

async fn put<S: Store>(store: &S, puts: impl IntoIterator<Item = Put>) -> PutOutcome {
    store.put(&puts.into_iter().collect::<Vec<_>>()).await.expect("the put is answered")
}

/// Puts items, replacing what exists, in batches as large as the store allows.
async fn fill<S: Store>(store: &S, items: impl IntoIterator<Item = Item>) {
    let puts: Vec<Put> = items.into_iter().map(Put::replacing).collect();
    for batch in puts.chunks(store.max_batch()) {
        assert_eq!(put(store, batch.to_vec()).await, PutOutcome::Done);
    }
}

async fn get<S: Store>(store: &S, keys: &[Key]) -> Vec<Item> {
    let mut items = store.get(keys).await.expect("the get is answered");
    items.sort_by_key(Item::key);
    items
}

async fn list<S: Store>(store: &S, query: Query) -> Vec<Item> {
    store.list(&query).await.expect("the list is answered")
}

async fn keys<S: Store>(store: &S, query: Query) -> Vec<Key> {
    list(store, query).await.iter().map(Item::key).collect()
}

async fn sorted_keys<S: Store>(store: &S, query: Query) -> Vec<Key> {
    let mut keys = keys(store, query).await;
    keys.sort();
    keys
}

fn id(name: &str) -> TargetId {
    target(name).id().clone()
}

fn started(subject_name: &str, revision: u64) -> Change {
    change(subject_name, revision, Event::MonitoringStarted)
}

fn changes(subject_name: &str, after: u64, limit: usize) -> Query {
    Query::Changes { subject: subject(subject_name), after: Revision(after), limit }
}

async fn revisions<S: Store>(store: &S, query: Query) -> Vec<u64> {
    let keys = keys(store, query).await;
    let revision = |key: &Key| match key {
        Key::Change(_, revision) => revision.0,
        other => panic!("{other} is not a change"),
    };
    keys.iter().map(revision).collect()
}

async fn the_jobs_of_a_target_are_listed_alone_and_in_order<S: Store>(store: &S) {
    let numbered = |target: &str, number: u64| {
        let mut item = job_item(target);
        item.job.id = JobId(number);
        Item::Job(item)
    };
    let own = [9, 48_000_000_001, 7].map(|number| numbered("acme/web", number));
    fill(store, own.into_iter().chain([numbered("acme/web-2", 8), Item::Marker(marker("acme/web", 8))])).await;
    let expected = [7, 9, 48_000_000_001].map(|number| Key::Job(id("acme/web"), JobId(number)));
    let query = || Query::Jobs { target: id("acme/web") };
    assert_eq!(keys(store, query()).await, expected);
    store.delete(&expected[..1]).await.expect("it is deleted");
    assert_eq!(keys(store, query()).await, &expected[1..]);
}

async fn every_item_is_read_as_it_was_put<S: Store>(store: &S) {
    let mut items = every_item();
    fill(store, items.clone()).await;
    items.sort_by_key(Item::key);
    // Compared as text too, because two spellings of a target are equal.
    let as_text = |items: &[Item]| serde_json::to_string_pretty(items).expect("items are written as JSON");
    for item in &items {
        let found = get(store, &[item.key()]).await;
        assert_eq!(as_text(&found), as_text(std::slice::from_ref(item)));
        assert_eq!(found, std::slice::from_ref(item));
    }
    let keys: Vec<Key> = items.iter().map(Item::key).collect();
    let mut found = Vec::new();
    for keys in keys.chunks(10) {
        found.extend(get(store, keys).await);
    }
    assert_eq!(found, items, "reading many keys at once returns the same as one by one");
}

async fn a_put_replaces_the_whole_item<S: Store>(store: &S) {
    let rich = Runner { version: Some("2.331.0".to_owned()), labels: vec!["gpu".to_owned()], ..runner(7, "before") };
    let poor = Runner { version: None, labels: Vec::new(), ..runner(7, "after") };
    let item = |runner| Item::Runner(RunnerItem { target: id("acme/web"), runner });
    assert_eq!(put(store, [Put::new(item(rich))]).await, PutOutcome::Done);
    assert_eq!(put(store, [Put::replacing(item(poor.clone()))]).await, PutOutcome::Done);
    assert_eq!(list(store, Query::Fleet(id("acme/web"))).await, [item(poor)]);
}

async fn a_missing_item_is_not_returned<S: Store>(store: &S) {
    let there = Item::Change(started("acme/web", 2));
    fill(store, [there.clone(), Item::Claim(claim("acme/web", 1, 1))]).await;
    let absent = [
        Key::Change(subject("acme/web"), Revision(1)),
        Key::Change(subject("acme/web"), Revision(20)),
        Key::Change(subject("acme/web-2"), Revision(2)),
        Key::Sent(subject("acme/web"), Attempt { notification: 1, attempt: 1 }),
        Key::Claim(subject("acme/web"), Attempt { notification: 1, attempt: 2 }),
        Key::Target(id("acme/web")),
        Key::Cursor(subject("acme/web")),
        Key::Outage(id("acme/web"), RunnerId(2), OutageId(Revision(0))),
        Key::Credential(CredentialId::token()),
        Key::Watchlist,
    ];
    assert_eq!(get(store, &absent).await, []);
    assert_eq!(get(store, &[absent[0].clone(), there.key(), absent[1].clone()]).await, [there]);
    assert_eq!(get(store, &[]).await, []);
    assert_eq!(keys(store, Query::Fleet(id("acme/api"))).await, []);
}

async fn a_delete_removes_only_its_keys_and_may_be_repeated<S: Store>(store: &S) {
    let items = [7, 70, 77].map(|runner| runner_item("acme/web", runner));
    fill(store, items.clone()).await;
    let named = [items[0].key(), Key::Runner(id("acme/web"), RunnerId(700)), Key::Runner(id("acme/we"), RunnerId(70))];
    for _ in 0..2 {
        store.delete(&named).await.expect("the delete is answered");
        assert_eq!(sorted_keys(store, Query::Fleet(id("acme/web"))).await, [items[1].key(), items[2].key()]);
    }
    assert_eq!(put(store, [Put::new(items[0].clone())]).await, PutOutcome::Done, "a deleted item does not exist");
}

async fn a_refused_batch_changes_nothing<S: Store>(store: &S) {
    let record = |revision| Item::Target(target_record("acme/web", revision));
    fill(store, [Item::Change(started("acme/web", 5)), record(5)]).await;
    let other = Item::Change(Change { nonce: 99, ..started("acme/web", 5) });
    // The condition applies to the whole batch, wherever in it the item is.
    for place in 0..3 {
        let mut batch = vec![Put::replacing(record(6)), Put::new(runner_item("acme/web", 7))];
        batch.insert(place, Put::new(other.clone()));
        assert_eq!(put(store, batch).await, PutOutcome::Exists);
        let found = list(store, Query::Fleet(id("acme/web"))).await;
        assert_eq!(found, [record(5)], "nothing of a refused batch is stored");
        assert_eq!(get(store, &[other.key()]).await, [Item::Change(started("acme/web", 5))]);
    }
    let next = [Put::new(Item::Change(started("acme/web", 6))), Put::replacing(record(6))];
    assert_eq!(put(store, next).await, PutOutcome::Done);
}

async fn a_batch_as_large_as_allowed_is_put_whole<S: Store>(store: &S) {
    // A store may allow more than the stages need.
    let largest = store.max_batch().min(2_000);
    assert!(largest >= 10, "a commit needs room for a change, a record and some runners");
    let items: Vec<Item> = (1..=largest as u64).map(|runner| runner_item("orgs/acme", runner)).collect();
    assert_eq!(put(store, items.iter().cloned().map(Put::new)).await, PutOutcome::Done);
    let mut found = list(store, Query::Fleet(id("orgs/acme"))).await;
    found.sort_by_key(Item::key);
    assert_eq!(found, items);
    let more = (1..=store.max_batch() as u64 + 1).map(|runner| Put::replacing(runner_item("acme/web", runner)));
    let outcome = store.put(&more.collect::<Vec<_>>()).await;
    assert!(matches!(outcome, Err(StoreError::Refused(_))), "one more is refused, not cut: {outcome:?}");
    assert_eq!(keys(store, Query::Fleet(id("acme/web"))).await, []);
}

async fn a_fleet_is_its_targets_own<S: Store>(store: &S) {
    let fleet = |name: &str| {
        let last_seen = LastSeen {
            subject: subject(name),
            slot: 0,
            at: super::samples::at(1),
            jobs_sent_at: None,
            next_tick_at: None,
        };
        let mut items =
            vec![Item::Target(target_record(name, 3)), Item::LastSeen(last_seen), Item::Cursor(cursor(name, 2))];
        items.extend([1, 2, 10].map(|runner| runner_item(name, runner)));
        items
    };
    for name in NEIGHBOURS {
        fill(store, fleet(name)).await;
    }
    for name in NEIGHBOURS {
        let mut found = list(store, Query::Fleet(id(name))).await;
        found.sort_by_key(Item::key);
        let mut expected = fleet(name);
        expected.sort_by_key(Item::key);
        assert_eq!(found, expected, "{name}");
    }
}

async fn a_fleet_is_its_target_runners_last_seen_and_cursor<S: Store>(store: &S) {
    fill(store, every_item()).await;
    let of_the_fleet = |key: &Key| {
        matches!(key, Key::Target(_) | Key::Runner(..) | Key::LastSeen(..) | Key::Cursor(_))
            && key.subject() == subject("acme/web")
    };
    let mut expected: Vec<Key> = every_item().iter().map(Item::key).filter(of_the_fleet).collect();
    expected.sort();
    assert_eq!(sorted_keys(store, Query::Fleet(id("acme/web"))).await, expected);
}

async fn changes_after_a_revision_are_listed_by_number<S: Store>(store: &S) {
    // Put out of order, with numbers that sort differently as text.
    let order = [9, 100, 1, 11, 2, 10, 99, 3];
    fill(store, order.map(|revision| Item::Change(started("acme/web", revision)))).await;
    for name in ["acme/web-2", "acme/we", "orgs/acme", "credential:token", "monitor"] {
        fill(store, [Item::Change(started(name, 4))]).await;
    }
    fill(store, [Item::Claim(claim("acme/web", 5, 1)), outage_item("acme/web", 5, 6)]).await;
    assert_eq!(revisions(store, changes("acme/web", 0, 100)).await, [1, 2, 3, 9, 10, 11, 99, 100]);
    assert_eq!(revisions(store, changes("acme/web", 9, 100)).await, [10, 11, 99, 100]);
    assert_eq!(revisions(store, changes("acme/web", 2, 3)).await, [3, 9, 10]);
    assert_eq!(revisions(store, changes("acme/web", 100, 100)).await, [0; 0]);
    assert_eq!(revisions(store, changes("acme/web", 0, 0)).await, [0; 0]);
    for name in ["monitor", "credential:token"] {
        assert_eq!(revisions(store, changes(name, 0, usize::MAX)).await, [4], "{name}");
    }
    assert_eq!(revisions(store, changes("credential:app:acme", 0, 9)).await, [0; 0]);
}

async fn notifications_are_listed_latest_first_with_each_ending_before_its_claim<S: Store>(store: &S) {
    let refused = || SendEnding::LayoutRefused { reason: "refused".to_owned() };
    for (notification, attempt) in [(10, 1), (2, 1), (9, 1), (9, 2), (9, 10), (1, 1)] {
        let claim = claim("acme/web", notification, attempt);
        let ending = Item::Sent(sent(&claim, refused()));
        fill(store, [Item::Claim(claim)]).await;
        if (notification, attempt) != (9, 2) {
            fill(store, [ending]).await;
        }
    }
    let other = claim("acme/web-2", 99, 1);
    fill(store, [Item::Sent(sent(&other, refused())), Item::Claim(other), Item::Change(started("acme/web", 50))]).await;

    let number = |notification, attempt| Attempt { notification, attempt };
    let claimed = |notification, attempt| Key::Claim(subject("acme/web"), number(notification, attempt));
    let ended = |notification, attempt| Key::Sent(subject("acme/web"), number(notification, attempt));
    let expected = [
        ended(10, 1),
        claimed(10, 1),
        ended(9, 10),
        claimed(9, 10),
        claimed(9, 2),
        ended(9, 1),
        claimed(9, 1),
        ended(2, 1),
        claimed(2, 1),
        ended(1, 1),
        claimed(1, 1),
    ];
    let notifications = |limit| Query::Notifications { subject: subject("acme/web"), limit };
    assert_eq!(keys(store, notifications(100)).await, expected);
    assert_eq!(keys(store, notifications(4)).await, expected[..4]);
    let none = Query::Notifications { subject: Subject::Monitor, limit: 9 };
    assert_eq!(keys(store, none).await, []);
}

async fn outages_are_listed_by_runner_and_number<S: Store>(store: &S) {
    let order = [(11, 2), (7, 100), (7, 9), (100, 1), (7, 10), (1, 5)];
    fill(store, order.map(|(runner, outage)| outage_item("acme/web", runner, outage))).await;
    fill(store, [outage_item("acme/web-2", 7, 1), runner_item("acme/web", 7)]).await;
    let key = |(runner, outage)| Key::Outage(id("acme/web"), RunnerId(runner), OutageId(Revision(outage)));
    let query = |runner: Option<u64>| Query::Outages { target: id("acme/web"), runner: runner.map(RunnerId) };
    let all = [(1, 5), (7, 9), (7, 10), (7, 100), (11, 2), (100, 1)].map(key);
    assert_eq!(keys(store, query(None)).await, all);
    assert_eq!(keys(store, query(Some(7))).await, all[1..4]);
    assert_eq!(keys(store, query(Some(1))).await, all[..1]);
    assert_eq!(keys(store, query(Some(70))).await, []);
}

async fn targets_are_listed_in_order_of_identity<S: Store>(store: &S) {
    let names = ["orgs/Acme", "acme/web-2", "Zeta/a", "acme/web", "enterprises/acme", "acme/Web.b"];
    fill(store, names.map(|name| Item::Target(target_record(name, 1)))).await;
    fill(store, [runner_item("acme/only-runners", 1), Item::Cursor(cursor("monitor", 1))]).await;
    let mut ids = names.map(id);
    ids.sort();
    assert_eq!(keys(store, Query::Targets).await, ids.map(Key::Target));
}

async fn mutes_are_listed_with_nothing_else<S: Store>(store: &S) {
    let scopes = [
        Scope::Named("build-7".to_owned()),
        Scope::Named("gpu".to_owned()),
        Scope::Target(target("acme/web")),
        Scope::Runner { target: target("acme/web"), name: "build-7".to_owned() },
    ];
    let mut mutes: Vec<Item> = scopes.into_iter().map(|scope| Item::Mute(mute(scope, 2))).collect();
    mutes.sort_by_key(Item::key);
    fill(store, mutes.clone()).await;
    fill(
        store,
        [Item::LastSeen(LastSeen {
            subject: Subject::Monitor,
            slot: 0,
            at: super::samples::at(1),
            jobs_sent_at: None,
            next_tick_at: None,
        })],
    )
    .await;
    fill(store, [Item::Acknowledgement(acknowledgement("acme/web", 7, 41)), runner_item("acme/web", 7)]).await;
    assert_eq!(list(store, Query::Mutes).await, mutes);
    // The same runners in another spelling are the same mute.
    let again = Item::Mute(mute(Scope::Named("GPU".to_owned()), 5));
    fill(store, [again.clone()]).await;
    let found = list(store, Query::Mutes).await;
    assert!(found.len() == 4 && found.contains(&again), "{found:?}");
    store.delete(&[again.key()]).await.expect("the delete is answered");
    assert_eq!(keys(store, Query::Mutes).await.len(), 3);
    let runner = Some(RunnerId(7));
    assert_eq!(
        keys(store, Query::Outages { target: id("acme/web"), runner }).await,
        [],
        "an acknowledgement is not an outage"
    );
    assert_eq!(keys(store, Query::Fleet(id("acme/web"))).await.len(), 1);
}

async fn unusual_names_do_not_collide<S: Store>(store: &S) {
    let longest = format!("{}/{}", "a".repeat(39), "b".repeat(100));
    let names = [longest.as_str(), "a/-", "a/_", "a/.a", "_/a", "a_b/c", "axb/c", "orgs/a", "enterprises/a.b"];
    for (name, revision) in names.iter().zip(1..) {
        fill(store, [Item::Target(target_record(name, revision)), Item::Change(started(name, revision))]).await;
    }
    for (name, revision) in names.iter().zip(1..) {
        assert_eq!(list(store, Query::Fleet(id(name))).await, [Item::Target(target_record(name, revision))], "{name}");
        assert_eq!(revisions(store, changes(name, 0, 9)).await, [revision], "{name}");
    }
    let strange = ["", "' OR 1=1 --", "100%_", "\u{1F680}\u{202E}x", "a/b\\c\"", "\0", "{\"item\":\"sent\"}"];
    let runners = strange
        .iter()
        .zip(1..)
        .map(|(name, number)| Item::Runner(RunnerItem { target: id("acme/web"), runner: runner(number, name) }));
    let runners: Vec<Item> = runners.collect();
    fill(store, runners.clone()).await;
    let mut found = list(store, Query::Fleet(id("acme/web"))).await;
    found.sort_by_key(Item::key);
    assert_eq!(found, runners);
}

async fn of_two_writers_of_one_revision_one_wins<S: Store + 'static>(store: Arc<S>) {
    for revision in 1..=10 {
        let mut writers = JoinSet::new();
        for nonce in 1..=WRITERS {
            let store = Arc::clone(&store);
            let mine = Item::Runner(RunnerItem { target: id("acme/web"), runner: runner(1, &nonce.to_string()) });
            let change = Item::Change(Change { nonce, ..started("acme/web", revision) });
            writers.spawn(async move {
                (nonce, store.put(&[Put::replacing(mine), Put::new(change)]).await.expect("the put is answered"))
            });
        }
        let outcomes = writers.join_all().await;
        let winners: Vec<u64> =
            outcomes.iter().filter(|(_, outcome)| *outcome == PutOutcome::Done).map(|(nonce, _)| *nonce).collect();
        assert_eq!(winners.len(), 1, "one writer of revision {revision} wins: {outcomes:?}");
        let change = get(&*store, &[Key::Change(subject("acme/web"), Revision(revision))]).await;
        assert!(matches!(&change[..], [Item::Change(change)] if change.nonce == winners[0]), "{change:?}");
        let fleet = list(&*store, Query::Fleet(id("acme/web"))).await;
        let is_winners = |item: &Item| matches!(item, Item::Runner(it) if it.runner.name == winners[0].to_string());
        assert!(fleet.len() == 1 && is_winners(&fleet[0]), "the loser's items are not stored: {fleet:?}");
    }
}
