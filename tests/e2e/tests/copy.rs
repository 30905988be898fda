//! `runner-monitor copy` between a file, StatelyDB and DynamoDB.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use monitor_domain::time::Timestamp;
use monitor_dynamodb_emulators::{Emulator, create_table};
use monitor_e2e::{dynamodb_variables, printed};
use monitor_embedded::store::EmbeddedStore;
use monitor_pipeline::items::{Item, LastSeen};
use monitor_pipeline::keys::{Put, Query};
use monitor_pipeline::ports::{PutOutcome, Store as _};
use monitor_pipeline::testing::samples::{at, every_item, runner_item, subject, target, target_record};
use monitor_stately_server::StatelyServer;
use tokio::process::Command;

struct World {
    folder: tempfile::TempDir,
    statelydb: StatelyServer,
    dynamodb: Emulator,
}

impl World {
    async fn new() -> Self {
        let statelydb = StatelyServer::start().await.unwrap();
        let dynamodb = Emulator::dynoxide(None).await.unwrap();
        create_table(&dynamodb.client(), "records").await.unwrap();
        Self { folder: tempfile::tempdir().unwrap(), statelydb, dynamodb }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `copy`; returns its exit code and its output.
    async fn copy(&self, from: &str, to: &str) -> (i32, String) {
        let mut command = Command::new(monitor_e2e::program().unwrap());
        command.env_clear().args(["copy", "--from", from, "--to", to]);
        command.current_dir(self.folder.path()).envs([
            ("STATELYDB_ENDPOINT", &*self.statelydb.base_url()),
            ("STATELYDB_NO_AUTH", "1"),
            ("STATELYDB_STORE_ID", "17"),
            ("STATELYDB_SCHEMA_ID", "5"),
        ]);
        command.envs(dynamodb_variables(self.dynamodb.url(), "records"));
        printed(command).await
    }
}

async fn fill(path: &Path, items: Vec<Item>) {
    let store = EmbeddedStore::open(path).unwrap();
    let puts: Vec<_> = items.into_iter().map(Put::replacing).collect();
    assert_eq!(store.put(&puts).await, Ok(PutOutcome::Done));
}

/// The samples, with a monitor that was stopped long ago.
fn items() -> Vec<Item> {
    let mut items = every_item();
    items.retain(|item| !matches!(item, Item::LastSeen(_)));
    let last_seen =
        |name, at| LastSeen { subject: subject(name), slot: 0, at, jobs_sent_at: None, next_tick_at: Some(at) };
    let long_ago = Timestamp::from_epoch_ms(1_600_000_000_000);
    items.extend([Item::LastSeen(last_seen("monitor", long_ago)), Item::LastSeen(last_seen("acme/web", at(1)))]);
    items.extend((100..350).map(|runner| runner_item("acme/web", runner)));
    items
}

/// Every item of a store but those that `copy` leaves out, as text, sorted.
async fn content(path: &Path) -> Vec<String> {
    let store = EmbeddedStore::open(path).unwrap();
    let mut texts = Vec::new();
    for item in items() {
        for found in store.get(&[item.key()]).await.unwrap() {
            if !matches!(found, Item::Marker(_) | Item::AccessToken(_)) {
                texts.push(serde_json::to_string(&found).unwrap());
            }
        }
    }
    texts.sort();
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_goes_from_a_file_to_either_service_and_back() {
    let world = World::new().await;
    fill(&world.path("old.db"), items()).await;
    let expected = content(&world.path("old.db")).await;
    assert!(expected.len() > 260, "{}", expected.len());
    for (from, to) in [("old.db", "stately"), ("stately", "dynamodb"), ("dynamodb", "new.db")] {
        let (code, printed) = world.copy(from, to).await;
        assert!(code == 0 && printed.contains("Both stores have the same items"), "{from} to {to}: {code} {printed}");
    }
    assert_eq!(content(&world.path("new.db")).await, expected);
    // Again, after the source has changed.
    let store = EmbeddedStore::open(world.path("old.db")).unwrap();
    store.delete(&[runner_item("acme/web", 100).key()]).await.unwrap();
    for (from, to) in [("old.db", "dynamodb"), ("dynamodb", "new.db")] {
        let (code, printed) = world.copy(from, to).await;
        assert!(code == 0, "{from} to {to}: {code} {printed}");
    }
    assert_eq!(content(&world.path("new.db")).await, content(&world.path("old.db")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_history_is_not_overwritten() {
    let world = World::new().await;
    fill(&world.path("old.db"), vec![Item::Target(target_record("acme/web", 3))]).await;
    fill(&world.path("new.db"), vec![Item::Target(target_record("acme/web", 4))]).await;
    let (code, printed) = world.copy("old.db", "new.db").await;
    assert!(
        code == 2 && printed.contains("new.db has a later history than old.db (acme/web: change 4 after 3)"),
        "{printed}"
    );
    let store = EmbeddedStore::open(world.path("new.db")).unwrap();
    let query = Query::Fleet(target("acme/web").id().clone());
    assert_eq!(store.list(&query).await, Ok(vec![Item::Target(target_record("acme/web", 4))]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_a_monitor_uses_is_neither_read_nor_written() {
    let world = World::new().await;
    let next_tick_at = Some(Timestamp::from_epoch_ms(monitor_fakes::wall_clock_ms() + 60_000));
    let last_seen = LastSeen { subject: subject("monitor"), slot: 0, at: at(0), jobs_sent_at: None, next_tick_at };
    fill(&world.path("used.db"), vec![Item::LastSeen(last_seen)]).await;
    fill(&world.path("idle.db"), items()).await;
    for (from, to) in [("used.db", "dynamodb"), ("idle.db", "used.db")] {
        let (code, printed) = world.copy(from, to).await;
        assert!(
            code == 2 && printed.contains("a monitor may be using used.db") && printed.contains("Stop it"),
            "{printed}"
        );
    }
    let (code, printed) = world.copy("idle.db", "./idle.db").await;
    assert!(code == 2 && printed.contains("must be two stores"), "{printed}");
    let (code, printed) = world.copy("missing.db", "dynamodb").await;
    assert!(code == 2 && printed.contains("there is no store at missing.db"), "{printed}");
}
