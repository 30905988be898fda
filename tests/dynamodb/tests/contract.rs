//! The contracts of a store and of the stages, on both emulators, and on one that behaves as a busy service does.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use monitor_dynamodb_emulators::{Emulator, FaultProxy, Trouble, on_a_large_stack};
use monitor_pipeline::testing::samples::at;
use monitor_pipeline::testing::{stages, store};

/// The time of the samples.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(at(0).epoch_secs().unsigned_abs())
}

#[test]
fn the_store_meets_its_contract_on_dynoxide() {
    on_a_large_stack(async || {
        let emulator = Emulator::dynoxide(None).await.expect("dynoxide starts");
        store::run_all(async || emulator.store(now()).await.expect("a table")).await;
    });
}

#[test]
fn the_stages_meet_their_contract_on_dynoxide() {
    on_a_large_stack(async || {
        let emulator = Emulator::dynoxide(None).await.expect("dynoxide starts");
        stages::run_all(async || emulator.store(now()).await.expect("a table")).await;
    });
}

#[test]
fn the_store_and_the_stages_meet_their_contracts_on_ministack() {
    on_a_large_stack(async || {
        let emulator = Emulator::ministack().await.expect("MiniStack starts");
        store::run_all(async || emulator.store(now()).await.expect("a table")).await;
        stages::run_all(async || emulator.store(now()).await.expect("a table")).await;
    });
}

#[test]
fn the_store_meets_its_contract_if_answers_come_in_part() {
    on_a_large_stack(async || {
        let emulator = Emulator::dynoxide(None).await.expect("dynoxide starts");
        let proxy = FaultProxy::start(emulator.url()).await.expect("a proxy");
        proxy.always(&[Trouble::AnswerInPart]);
        store::run_all(async || emulator.store_over(proxy.url(), now()).await.expect("a table")).await;
    });
}

#[test]
fn the_store_and_the_stages_meet_their_contracts_among_conflicts_and_throttling() {
    on_a_large_stack(async || {
        let emulator = Emulator::dynoxide(None).await.expect("dynoxide starts");
        let proxy = FaultProxy::start(emulator.url()).await.expect("a proxy");
        proxy.always(&[Trouble::Conflict, Trouble::None, Trouble::Throttled, Trouble::AnswerInPart, Trouble::None]);
        store::run_all(async || emulator.store_over(proxy.url(), now()).await.expect("a table")).await;
        // Without throttling, which the SDK gives up on if it lasts for a whole suite.
        proxy.always(&[Trouble::Conflict, Trouble::None, Trouble::AnswerInPart, Trouble::None, Trouble::None]);
        stages::run_all(async || emulator.store_over(proxy.url(), now()).await.expect("a table")).await;
    });
}
