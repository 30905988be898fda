//! Trouble with the store: locked, full, deleted, replaced.

use std::time::Duration;

use monitor_e2e::LONG;
use rusqlite::Connection;

use super::world::{Options, World};

pub(crate) async fn while_the_store_is_locked_there_is_no_heartbeat() {
    let world = World::start_well(Options::default()).await;
    let other = Connection::open(world.store()).expect("the store");
    other.busy_timeout(Duration::from_secs(10)).expect("a timeout");
    other.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    world.falls_silent().await;
    other.execute_batch("COMMIT").expect("an end");
    world.beats(2).await;
    other.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    let log = world.stops_in_time().await;
    assert!(log.contains("cycle not complete"), "{log}");
}

pub(crate) async fn a_full_disk_stops_the_heartbeat_and_outages_are_sent_afterwards() {
    // A full disk sends no signal, unlike this limit; so the signal is ignored.
    let world = World::start_well(Options { prelude: "trap '' XFSZ", ..Options::default() }).await;
    world.limit("--fsize=0:").await;
    world.set("acme/app-1", "offline");
    world.falls_silent().await;
    let before = world.fakes.slack.messages().len();
    world.limit("--fsize=unlimited:").await;
    world.says("app-1-runner-0", before).await;
    world.beats(2).await;
    world.limit("--fsize=0:").await;
    world.stops_in_time().await;
}

pub(crate) async fn when_the_store_is_deleted_the_program_reports_it_and_ends() {
    let world = World::start_well(Options::default()).await;
    for file in ["store.db", "store.db-wal", "store.db-shm"] {
        std::fs::remove_file(world.store().with_file_name(file)).expect("a file");
    }
    ends_with(world, "was moved or deleted while it was in use").await;
}

pub(crate) async fn when_the_store_is_replaced_the_program_reports_it_and_ends() {
    let world = World::start_well(Options::default()).await;
    let copy = world.store().with_extension("backup");
    std::fs::copy(world.store(), &copy).expect("a copy");
    std::fs::rename(&copy, world.store()).expect("a restored backup");
    ends_with(world, "was replaced by another file while it was in use").await;
}

pub(crate) async fn when_the_log_of_the_store_is_deleted_the_program_reports_it_and_ends() {
    let world = World::start_well(Options::default()).await;
    std::fs::remove_file(world.store().with_file_name("store.db-wal")).expect("a file");
    ends_with(world, "store.db-wal was moved or deleted").await;
}

/// Asserts that the program ends without another heartbeat, and with an exit code that lets a supervisor restart it.
async fn ends_with(mut world: World, text: &str) {
    let before = world.heartbeats();
    let (code, log) = world.running.ended(LONG).await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains(text) && log.contains("restart the program"), "{log}");
    assert_eq!(world.heartbeats(), before, "{log}");
}
