//! `runner-monitor copy`: carries everything from one store to another, and compares both sides.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use futures_util::{StreamExt as _, TryStreamExt as _};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use monitor_domain::subject::Subject;
use monitor_domain::time::{Timestamp, spoken_duration};
use monitor_pipeline::expiry::expires_at;
use monitor_pipeline::inventory;
use monitor_pipeline::items::{Item, LastSeen};
use monitor_pipeline::json;
use monitor_pipeline::keys::{Key, Put};
use monitor_pipeline::ports::{Clock as _, PutOutcome, Store, StoreError};
use monitor_telemetry::SystemClock;
use monitor_web::text::counted;
use tokio::time::Instant;

use crate::Outcome;
use crate::out;
use crate::setup;
use crate::store::{StoreArgument, parse_store};

#[derive(Debug, Args)]
pub(crate) struct Copy {
    /// The store to read: a file, `stately` or `dynamodb`
    #[arg(long, value_name = "STORE", value_parser = OsStringValueParser::new().try_map(parse_store))]
    pub(crate) from: PathBuf,
    /// The store to write: a file, `stately` or `dynamodb`. It must be empty, or hold an earlier copy
    #[arg(long, value_name = "STORE", value_parser = OsStringValueParser::new().try_map(parse_store))]
    pub(crate) to: PathBuf,
}

/// How many subjects are copied at the same time.
const AT_ONCE: usize = 8;
/// The most bytes of items in a put. DynamoDB takes 4 MB in a transaction.
const LARGEST_BATCH: usize = 1 << 20;
/// A monitor whose next tick is overdue by this long is taken to be stopped.
const STOPPED_AFTER: Duration = Duration::from_secs(60);

/// What was copied of one subject.
#[derive(Default)]
struct Copied {
    items: usize,
    /// The keys whose items differ afterwards.
    differing: Vec<Key>,
}

pub(crate) async fn run(arguments: &Copy) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    let [from, to] = [&arguments.from, &arguments.to].map(|store| StoreArgument { store: Some(store.clone()) });
    let (from_place, to_place) = (from.place()?, to.place()?);
    let file = |path| std::fs::canonicalize(path).ok();
    let is_one_file = file(&arguments.from).is_some_and(|from| Some(from) == file(&arguments.to));
    ensure!(from_place != to_place && !is_one_file, "--from and --to must be two stores; both are {from_place}");
    let (source, destination) = (setup::existing_store(&from).await?, setup::new_store(&to).await?);
    let now = SystemClock.now();
    for (store, place) in [(&source, &from_place), (&destination, &to_place)] {
        ensure_unused(store, place, now).await?;
    }
    let subjects = inventory::subjects(&source).await.with_context(|| format!("cannot read {from_place}"))?;
    ensure_not_newer(&source, &destination, &subjects, (&from_place, &to_place)).await?;

    let bar = progress(subjects.len());
    let copying = futures_util::stream::iter(&subjects).map(|subject| {
        let (source, destination, bar) = (&source, &destination, &bar);
        async move {
            let copied = copy_subject(source, destination, subject, now).await;
            bar.inc(1);
            copied.with_context(|| format!("{subject} is not copied; run the command again"))
        }
    });
    let copied: Vec<Copied> = copying.buffer_unordered(AT_ONCE).try_collect().await?;
    bar.finish_and_clear();
    let items = copied.iter().map(|copied| copied.items).sum();
    let took = spoken_duration(began.elapsed().max(Duration::from_secs(1)));
    let summary = format!(
        "{} of {} copied from {from_place} to {to_place} in {took}",
        counted(items, "item"),
        counted(subjects.len(), "subject")
    );
    let differing: Vec<&Key> = copied.iter().flat_map(|copied| &copied.differing).collect();
    if differing.is_empty() {
        out::print(format_args!("{summary}. Both stores have the same items.\n"))?;
        return Ok(Outcome::Healthy);
    }
    let named = differing.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let count = counted(differing.len(), "item");
    out::print(format_args!("{summary}. {count} differ: {named}. Stop both monitors and run the command again.\n"))?;
    Ok(Outcome::Unhealthy)
}

/// Refuses a store that a monitor uses: what it stores while items are copied would be lost or overwritten.
async fn ensure_unused(store: &impl Store, place: &str, now: Timestamp) -> anyhow::Result<()> {
    let heartbeats: Vec<Key> = Key::heartbeats().collect();
    let found = store.get(&heartbeats).await.with_context(|| format!("cannot read {place}"))?;
    let due = |item| match item {
        Item::LastSeen(LastSeen { at, next_tick_at, .. }) => Some((next_tick_at?, at)),
        _ => None,
    };
    let Some((next_tick_at, ticked_at)) = found.into_iter().filter_map(due).max() else { return Ok(()) };
    let free_at = next_tick_at.plus(STOPPED_AFTER);
    ensure!(
        now >= free_at,
        "a monitor may be using {place}: it checked {} ago. Stop it, then run this command in {}",
        spoken_duration(now.since(ticked_at)),
        spoken_duration(free_at.since(now).max(Duration::from_secs(1)))
    );
    Ok(())
}

/// Refuses a destination that has a later history than the source: copying would take it back in time.
async fn ensure_not_newer(
    source: &impl Store,
    destination: &impl Store,
    subjects: &[Subject],
    (from_place, to_place): (&str, &str),
) -> anyhow::Result<()> {
    let keys: Vec<Key> = subjects
        .iter()
        .map(|subject| match subject {
            Subject::Monitor => Key::Watchlist,
            Subject::Target(id) => Key::Target(id.clone()),
            Subject::Credential(id) => Key::Credential(id.clone()),
        })
        .collect();
    let (old, new) = (revisions_of(source, &keys).await?, revisions_of(destination, &keys).await?);
    for (key, revision) in new {
        let known = old.get(&key).copied().unwrap_or_default();
        ensure!(
            revision <= known,
            "{to_place} has a later history than {from_place} ({}: change {revision} after {known}); copy into an empty \
             store, or the other way round",
            key.subject()
        );
    }
    Ok(())
}

async fn revisions_of(store: &impl Store, keys: &[Key]) -> Result<BTreeMap<Key, u64>, StoreError> {
    let items = store.get(keys).await?;
    let revision = |item: &Item| match item {
        Item::Target(record) => record.revision.0,
        Item::Credential(record) => record.revision.0,
        Item::Watchlist(list) => list.revision.0,
        _ => 0,
    };
    Ok(items.iter().map(|item| (item.key(), revision(item))).collect())
}

/// Copies a subject's items, deletes those that only the destination has, and compares.
async fn copy_subject(
    source: &impl Store,
    destination: &impl Store,
    subject: &Subject,
    now: Timestamp,
) -> anyhow::Result<Copied> {
    let wanted = live_items(source, subject, now).await?;
    let present = live_items(destination, subject, now).await?;
    let extra: Vec<Key> = present.keys().filter(|key| !wanted.contains_key(key)).cloned().collect();
    if !extra.is_empty() {
        destination.delete(&extra).await?;
    }
    let mut batch: Vec<Put> = Vec::new();
    let mut bytes = 0;
    for (key, (item, text)) in &wanted {
        if present.get(key).is_some_and(|(_, present)| present == text) {
            continue;
        }
        if batch.len() == destination.max_batch() || (bytes + text.len() > LARGEST_BATCH && !batch.is_empty()) {
            put(destination, &batch).await?;
            batch.clear();
            bytes = 0;
        }
        bytes += text.len();
        batch.push(Put::replacing(item.clone()));
    }
    put(destination, &batch).await?;
    let after = live_items(destination, subject, now).await?;
    let text_in = |items: &BTreeMap<Key, (Item, String)>, key: &Key| items.get(key).map(|(_, text)| text.clone());
    let keys = wanted.keys().chain(after.keys().filter(|key| !wanted.contains_key(key)));
    let differing = keys.filter(|key| text_in(&wanted, key) != text_in(&after, key)).cloned().collect();
    Ok(Copied { items: wanted.len(), differing })
}

async fn put(store: &impl Store, batch: &[Put]) -> anyhow::Result<()> {
    if !batch.is_empty() {
        let outcome = store.put(batch).await?;
        ensure!(outcome == PutOutcome::Done, "the store refused items that may replace others");
    }
    Ok(())
}

/// A subject's items with their text. Those that have expired are left out: some stores have deleted them already.
async fn live_items(
    store: &impl Store,
    subject: &Subject,
    now: Timestamp,
) -> anyhow::Result<BTreeMap<Key, (Item, String)>> {
    let items = inventory::items_of(store, subject).await?;
    let live = items.into_iter().filter(|item| expires_at(item).is_none_or(|at| at > now));
    live.map(|item| Ok((item.key(), (item.clone(), json::encode(&item)?)))).collect()
}

/// A progress bar, on a terminal only.
fn progress(subjects: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(u64::try_from(subjects).ok(), ProgressDrawTarget::stderr());
    match ProgressStyle::with_template("{bar:30} {pos}/{len} subjects  {elapsed}, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
