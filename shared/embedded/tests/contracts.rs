//! Runs the ports' contract suites against this crate's store and queues.

use std::time::Duration;

use monitor_embedded::queue::Queue;
use monitor_embedded::store::EmbeddedStore;
use monitor_pipeline::testing::queue::{Bench, MAX_RECEIVE_COUNT};
use monitor_pipeline::testing::{commands, queue, stages, store};

#[tokio::test(flavor = "multi_thread")]
async fn the_store_in_memory_meets_the_store_contract() {
    store::run_all(async || EmbeddedStore::open_in_memory().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_in_a_file_meets_the_store_contract() {
    let folder = tempfile::tempdir().unwrap();
    let number = std::sync::atomic::AtomicU32::new(0);
    let next = || number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    store::run_all(async || EmbeddedStore::open(folder.path().join(next().to_string())).unwrap()).await;
}

#[tokio::test]
async fn the_stages_meet_their_contract_over_this_store() {
    stages::run_all(async || EmbeddedStore::open_in_memory().unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn commands_are_answered_over_this_store() {
    commands::run_all(async || EmbeddedStore::open_in_memory().unwrap()).await;
}

struct InThisProcess;

impl Bench for InThisProcess {
    type Queue = Queue;

    async fn standard(&self) -> Queue {
        Queue::standard(MAX_RECEIVE_COUNT)
    }

    async fn fifo(&self) -> Queue {
        Queue::fifo(MAX_RECEIVE_COUNT)
    }

    async fn dead_letter(&self, queue: &Queue) -> Vec<String> {
        queue.dead_letters().into_iter().map(|letter| letter.body).collect()
    }

    async fn advance(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }
}

#[tokio::test(start_paused = true)]
async fn queues_meet_the_queue_contract() {
    queue::run_all(&InThisProcess).await;
    queue::run_slow(&InThisProcess).await;
}
