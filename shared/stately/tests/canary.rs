//! The canary finds every mismatch, and leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{STORE_ID, fill, server, settings, store};
use monitor_domain::time::Timestamp;
use monitor_pipeline::keys::Query;
use monitor_pipeline::ports::Store;
use monitor_pipeline::testing::samples::target_record;
use monitor_stately::canary::{Findings, run};
use monitor_stately::client::Client;
use monitor_stately::fields::ALL;
use monitor_stately_server::{Fault, InMemory, Method, Schema, Settings, State, Trouble};
use serde_json::{Value, json};

/// The fields in key paths.
const IN_KEYS: [&str; 8] =
    ["repoId", "runnerId", "outageId", "revision", "notification", "attempt", "markerId", "slot"];

async fn run_canary(server: &InMemory) -> Findings {
    let now = Timestamp::from_epoch_ms(server.state().now_ms());
    run(&Client::new(server.clone(), settings()), 50, now, 7).await
}

fn schema() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A server with a different published schema.
fn published(schema: &Value) -> InMemory {
    let schema = Schema::from_json(&schema.to_string()).unwrap();
    let settings = Settings { access_key: server().state().settings.access_key.clone(), ..Settings::default() };
    InMemory::with(State::new(schema, settings))
}

#[tokio::test]
async fn a_schema_published_from_this_release_passes() {
    let server = server();
    let findings = run_canary(&server).await;
    assert_eq!(findings.faults, Vec::<String>::new());
    let fields: usize = ALL.into_iter().map(|item_type| item_type.fields.len()).sum();
    assert_eq!(findings.compared, 3 * fields);
    assert_eq!(server.state().item_count(STORE_ID), 0, "everything is removed");
}

#[tokio::test]
async fn any_two_fields_with_swapped_numbers_are_detected() {
    let mut undetected = Vec::new();
    for item_type in ALL {
        let fields: Vec<_> = item_type.fields.iter().filter(|field| !field.by_service).collect();
        for pair in fields.windows(2) {
            let mut altered = schema();
            let list = altered["items"][item_type.name]["fields"].as_array_mut().unwrap();
            for field in list.iter_mut() {
                let name = field["name"].as_str().unwrap().to_owned();
                if name == pair[0].name {
                    field["number"] = json!(pair[1].number);
                } else if name == pair[1].name {
                    field["number"] = json!(pair[0].number);
                }
            }
            let server = published(&altered);
            let findings = run_canary(&server).await;
            if findings.faults.is_empty() {
                undetected.push(format!("{}: {} and {}", item_type.name, pair[0].name, pair[1].name));
            }
            // An item with a wrongly numbered key field is stored elsewhere and cannot be removed.
            if !pair.iter().any(|field| IN_KEYS.contains(&field.name)) {
                assert_eq!(server.state().item_count(STORE_ID), 0, "everything is removed");
            }
        }
    }
    assert_eq!(undetected, Vec::<String>::new());
}

#[tokio::test]
async fn swapped_flags_are_detected() {
    let mut altered = schema();
    let fields = altered["items"]["Runner"]["fields"].as_array_mut().unwrap();
    for (name, number) in [("busy", 12), ("ephemeral", 11)] {
        fields.iter_mut().find(|field| field["name"] == name).unwrap()["number"] = json!(number);
    }
    let findings = run_canary(&published(&altered)).await;
    assert!(findings.faults.iter().any(|fault| fault.starts_with("Runner.busy: written as number 11")), "{findings:?}");
}

#[tokio::test]
async fn a_version_that_is_not_published_is_reported() {
    let mut altered = schema();
    altered["version"] = json!(0);
    let findings = run_canary(&published(&altered)).await;
    assert!(findings.faults[0].contains("SchemaVersion"), "{findings:?}");
}

#[tokio::test]
async fn limits_that_are_too_low_are_reported() {
    let server = server();
    server.state().settings.max_batch = 25;
    let findings = run_canary(&server).await;
    assert!(findings.faults.iter().any(|fault| fault.contains("a batch of 50 items could not be put")), "{findings:?}");
}

#[tokio::test(start_paused = true)]
async fn an_item_that_cannot_be_removed_is_reported_and_lists_skip_it() {
    let server = server();
    fill(&store(&server), [monitor_pipeline::items::Item::Target(target_record("acme/web", 1))]).await;
    server.state().inject(Fault::once(Trouble::RequestLost).to(Method::Delete).times(u64::MAX));
    let findings = run_canary(&server).await;
    assert!(findings.faults.iter().all(|fault| fault.contains("could not be removed")), "{findings:?}");
    assert!(!findings.faults.is_empty());
    let targets = store(&server).list(&Query::Targets).await.unwrap();
    assert_eq!(targets.len(), 1, "{targets:?}");
}
