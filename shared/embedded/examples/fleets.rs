//! Measures a tick with many fleets on this machine's disk: it reads each fleet and commits a change with its runners.
//!
//! `cargo run -p monitor-embedded --example fleets -- [FILE] [FLEETS] [RUNNERS]`

use std::error::Error;
use std::path::PathBuf;

use monitor_domain::change::Event;
use monitor_embedded::store::EmbeddedStore;
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::{Put, Query};
use monitor_pipeline::ports::Store;
use monitor_pipeline::testing::samples::{change, runner_item, target, target_record};
use tokio::time::Instant;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().unwrap_or_else(|| "fleets.db".to_owned()));
    let fleets: u64 = arguments.next().as_deref().unwrap_or("800").parse()?;
    let runners: u64 = arguments.next().as_deref().unwrap_or("10").parse()?;
    let store = EmbeddedStore::open(&path)?;
    let names: Vec<String> = (0..fleets).map(|number| format!("acme/repository-{number}")).collect();

    let next = names.iter().map(|name| async {
        let found = store.list(&Query::Fleet(target(name).id().clone())).await?;
        Ok::<u64, Box<dyn Error>>(
            found
                .iter()
                .find_map(|item| if let Item::Target(record) = item { Some(record.revision.0) } else { None })
                .unwrap_or(0)
                + 1,
        )
    });
    let began_at = Instant::now();
    let mut revisions = Vec::new();
    for revision in next {
        revisions.push(revision.await?);
    }
    println!("{fleets} fleets read in {:?}", began_at.elapsed());

    let began_at = Instant::now();
    for (name, revision) in names.iter().zip(revisions) {
        let mut puts = vec![
            Put::new(Item::Change(change(name, revision, Event::MonitoringStarted))),
            Put::replacing(Item::Target(target_record(name, revision))),
        ];
        puts.extend((1..=runners).map(|runner| Put::replacing(runner_item(name, runner))));
        let _ = store.put(&puts).await?;
    }
    println!("{fleets} commits of {} items in {:?}", runners + 2, began_at.elapsed());

    let began_at = Instant::now();
    let mut items = 0;
    for name in &names {
        items += store.list(&Query::Fleet(target(name).id().clone())).await?.len();
    }
    println!("{fleets} fleets with {items} items read in {:?}", began_at.elapsed());
    Ok(())
}
