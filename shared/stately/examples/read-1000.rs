//! Reads 1,000 runners of one target, ten times after warming up, and prints this process's CPU time per pass.
//!
//! `cargo run --release -p monitor-stately --example read-1000 -- --endpoint http://127.0.0.1:3030 [--store-id N] [--fill]`
//!
//! `--fill` writes the runners first. Compare with `tests/stately/clients/bench.mjs`, which reads the same.

use std::error::Error;

use monitor_pipeline::items::Item;
use monitor_pipeline::keys::{Put, Query};
use monitor_pipeline::ports::{PutOutcome, Store};
use monitor_pipeline::testing::samples::{runner_item, target, target_record};
use monitor_stately::client::{Client, ClientSettings};
use monitor_stately::endpoint::Endpoint;
use monitor_stately::{HttpTransport, StatelyStore};

const RUNNERS: u64 = 1_000;
const WARMING: u32 = 10;
const PASSES: u32 = 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let after = |flag: &str| words.iter().skip_while(|word| *word != flag).nth(1);
    let endpoint = after("--endpoint").ok_or("the server is missing: --endpoint http://127.0.0.1:3030")?;
    let store_id = after("--store-id").map_or(Ok(1), |number| number.parse())?;

    let _ = rustls::crypto::ring::default_provider().install_default();
    let transport = HttpTransport::new(reqwest::Client::builder(), Endpoint::parse(endpoint)?)?;
    let store = StatelyStore::new(Client::new(transport, ClientSettings::new(store_id, 1, None)));
    if words.iter().any(|word| word == "--fill") {
        let record = Put::replacing(Item::Target(target_record("acme/large", 1)));
        let runners = (1..=RUNNERS).map(|id| Put::replacing(runner_item("acme/large", id)));
        let puts: Vec<Put> = std::iter::once(record).chain(runners).collect();
        for batch in puts.chunks(store.max_batch()) {
            if store.put(batch).await? != PutOutcome::Done {
                return Err("the runners were not stored".into());
            }
        }
    }
    for _ in 0..WARMING {
        pass(&store).await?;
    }
    let before = cpu_ms()?;
    for _ in 0..PASSES {
        pass(&store).await?;
    }
    let ms = (cpu_ms()? - before) / f64::from(PASSES);
    println!("{ms:.2} ms of CPU for {RUNNERS} runners, {PASSES} passes after {WARMING}");
    Ok(())
}

async fn pass(store: &impl Store) -> Result<(), Box<dyn Error>> {
    let items = store.list(&Query::Fleet(target("acme/large").id().clone())).await?;
    let runners = items.iter().filter(|item| matches!(item, Item::Runner(_))).count();
    if u64::try_from(runners)? != RUNNERS {
        return Err(format!("{runners} runners found: run with --fill first").into());
    }
    Ok(())
}

/// The CPU time of all threads of this process so far, from Linux's /proc.
fn cpu_ms() -> Result<f64, Box<dyn Error>> {
    // Nanoseconds on a CPU, a line for each thread.
    let mut nanoseconds = 0.0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let schedstat = std::fs::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += schedstat.split(' ').next().unwrap_or("0").parse::<f64>()?;
    }
    Ok(nanoseconds / 1e6)
}
