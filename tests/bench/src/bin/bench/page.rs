//! The page over a large store: time to the first byte, and what it adds to the memory of `run`.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::body::{Body, BodyDataStream, to_bytes};
use axum::http::Request;
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use monitor_domain::fleet::TargetRecord;
use monitor_domain::outage::Ending;
use monitor_domain::runner::Runner;
use monitor_domain::time::Timestamp;
use monitor_e2e::TOKEN;
use monitor_embedded::store::EmbeddedStore;
use monitor_pipeline::items::{Item, OutageItem, RunnerItem};
use monitor_pipeline::keys::Put;
use monitor_pipeline::ports::{Clock as _, PutOutcome, Store as _};
use monitor_pipeline::records::read_fleet;
use monitor_pipeline::testing::samples;
use monitor_telemetry::SystemClock;
use monitor_web::{Hosts, Options, router};
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::measure::{median, quantile};
use crate::served::Served;
use crate::table::Table;
use crate::world::{Terms, World, repository};

const RUNNERS: usize = 5;
const DAY_SECS: u64 = 86_400;
/// How many days of history each runner has, with an outage on every tenth.
const DAYS: u64 = 90;
/// How many pages are open at once.
const OPEN_PAGES: usize = 200;
/// What the program says with the address of its page.
const PAGE: &str = " page";

pub(crate) fn measure(table: &mut Table, folder: &Path, targets: usize) -> anyhow::Result<()> {
    table.section("The page");
    let temporary = tempfile::tempdir()?;
    let program = folder.join("runner-monitor");
    let world = World::start(Terms { repositories: targets, github_latency_ms: 0, is_limited: false, speed: 1 })?;
    let store = temporary.path().join("store.db");
    fill(&store, targets, &world)?;
    let fleet = format!("{targets} targets × {RUNNERS} runners, {DAYS} days of history");
    let mut command = Command::new(&program);
    command.env_clear().args(["web", "127.0.0.1:0", "--log-format", "json", "--store"]).arg(&store);
    let served = Served::start(&mut command, PAGE)?;
    let (first, _) = served.get("/")?;
    table.add("first page after the start, first byte", first, "ms").note(format!("{fleet}; the store is read"));
    let (mut times, size) = served.times("/", 200)?;
    table.add("the fleet's page, first byte, median", median(&mut times), "ms").at_most(100.0);
    table.add("the fleet's page, first byte, p99", quantile(&mut times, 0.99), "ms").note("of 200 in a row");
    table.add("the fleet's page", size as f64 / 1_000.0, "KB").at_most(300.0);
    let runner = world.github.state().runners(&repository(1))[0].id;
    let (mut times, size) = served.times(&format!("/runner/{runner}/{}", repository(1)), 200)?;
    table.add("a runner's page, first byte, median", median(&mut times), "ms").at_most(50.0);
    table.add("a runner's page", size as f64 / 1_000.0, "KB");
    let (first, _) = served.get("/outages")?;
    table.add("first page of outages, first byte", first, "ms").note("the outages of all targets are read");
    let (mut times, _) = served.times("/outages", 50)?;
    table.add("the page of outages, first byte, median", median(&mut times), "ms");
    drop(served);

    let [one, many] = [1, OPEN_PAGES].map(|pages| reads_of_an_update(&store, pages));
    let (one, many) = (one?, many?);
    table.add("reads of the store for an update, 1 page open", one, "").note("requests to the store");
    table.add(format!("the same, {OPEN_PAGES} pages open"), many, "");
    table.add("the latter ÷ the former", many / one, "×").at_most(1.0);

    let run = |pages: &[&str]| {
        // Each in a file of its own: the log of a file that was in use does not fit another one.
        let store = temporary.path().join(format!("run-{}.db", pages.len()));
        std::fs::copy(temporary.path().join("store.db"), &store)?;
        let mut command = Command::new(&program);
        let list: Vec<String> = (0..targets).map(repository).collect();
        command.env_clear().args(["run", "--every", "1h", "--web", "127.0.0.1:0", "--log-format", "json", "--store"]);
        command.arg(&store).env("REPOS", list.join(",")).env("GITHUB_TOKEN", TOKEN);
        command.env("GITHUB_API_URL", world.github_url()).env("GITHUB_REQUESTS_PER_MINUTE", "off");
        let served = Served::start(&mut command, PAGE)?;
        served.logged("cycle complete")?;
        for path in pages {
            served.times(path, 20)?;
        }
        served.memory_mib()
    };
    let without = run(&[])?;
    let runner = format!("/runner/{runner}/{}", repository(1));
    let target = format!("/target/{}", repository(1));
    let with = run(&["/", "/outages", "/metrics", "/api/v1/fleet", "/api/v1/outages", &target, &runner])?;
    table.add("memory of `run`, no page asked for", without, "MiB").note(format!("{fleet}, after a cycle"));
    table.add("memory of `run` with pages", with, "MiB").note("seven kinds of pages and answers, each 20 times");
    table.add("the latter ÷ the former", with / without, "×").at_most(1.5);
    Ok(())
}

/// How many requests the store gets for one update while this many pages are open: each waits for the event, then asks
/// for the fleet.
fn reads_of_an_update(path: &Path, pages: usize) -> anyhow::Result<f64> {
    let store = Arc::new(EmbeddedStore::open(path)?);
    let (_stop, stopped) = watch::channel(false);
    let options = Options {
        hosts: Hosts::Named(Vec::new()),
        access: None,
        streams: true,
        pause: Duration::from_millis(500),
        github: Arc::new(|_, _| String::new()),
        stop: stopped,
    };
    let pages_of = router(store.clone(), SystemClock, options);
    let ask = |path: &str| {
        let request = Request::get(path).header("host", "localhost").body(Body::empty());
        let router = pages_of.clone();
        async move { anyhow::Ok(router.oneshot(request?).await?.into_body()) }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let opened = try_join_all((0..pages).map(|_| ask("/events"))).await?;
        let mut events: Vec<BodyDataStream> = opened.into_iter().map(Body::into_data_stream).collect();
        try_join_all(events.iter_mut().map(next_event)).await?;
        let before = store.counters().reads;
        let target = repository(0).parse()?;
        let mut runner = read_fleet(&*store, &target).await?.fleet.runners.remove(0);
        runner.status_since = SystemClock.now();
        let changed = Item::Runner(RunnerItem { target: target.id().clone(), runner });
        ensure!(store.put(&[Put::replacing(changed)]).await? == PutOutcome::Done, "the runner is not stored");
        try_join_all(events.iter_mut().map(next_event)).await?;
        for body in try_join_all((0..pages).map(|_| ask("/"))).await? {
            ensure!(!to_bytes(body, usize::MAX).await?.is_empty(), "a page is empty");
        }
        Ok((store.counters().reads - before) as f64)
    })
}

async fn next_event(events: &mut BodyDataStream) -> anyhow::Result<()> {
    loop {
        let chunk = events.next().await.context("the events have ended")??;
        if chunk.starts_with(b"data: ") {
            return Ok(());
        }
    }
}

/// Writes a store with history of the fleet in GitHub.
fn fill(path: &Path, targets: usize, world: &World) -> anyhow::Result<()> {
    let store = EmbeddedStore::open(path)?;
    let now = SystemClock.now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut puts = Vec::new();
    let flush = |puts: &mut Vec<Put>, least: usize| -> anyhow::Result<()> {
        while puts.len() > least {
            let rest = puts.split_off(puts.len().min(store.max_batch()));
            let outcome = runtime.block_on(store.put(&std::mem::replace(puts, rest)))?;
            ensure!(outcome == PutOutcome::Done, "the store is not empty");
        }
        Ok(())
    };
    for name in (0..targets).map(repository) {
        let runners = world.github.state().runners(&name);
        ensure!(runners.len() == RUNNERS, "{name} has {} runners", runners.len());
        let runners = runners.iter().map(|runner| samples::runner(runner.id, &runner.spec.name)).collect();
        puts.extend(history(&name, runners, now).into_iter().map(Put::replacing));
        flush(&mut puts, 5_000)?;
    }
    flush(&mut puts, 0)
}

/// A target with its runners and their outages.
fn history(name: &str, runners: Vec<Runner>, now: Timestamp) -> Vec<Item> {
    let watched_since = now.minus(Duration::from_secs(DAYS * DAY_SECS));
    let mut record = TargetRecord::new(samples::target(name));
    (record.watched_since, record.observed_at) = (Some(watched_since), now.minus(Duration::from_secs(60)));
    let target = record.target.id().clone();
    let mut items = vec![Item::Target(record)];
    for mut runner in runners {
        (runner.first_seen_at, runner.status_since) = (watched_since, watched_since);
        items.extend((1..DAYS / 10).map(|id| {
            let started_at = watched_since.plus(Duration::from_secs(id * 10 * DAY_SECS));
            let mut outage = samples::ended(&samples::outage(&runner, id), Ending::Recovered);
            (outage.started_at, outage.confirmed_at) = (started_at, started_at.plus(Duration::from_secs(120)));
            outage.resolved_at = Some(started_at.plus(Duration::from_secs(1_800)));
            Item::Outage(OutageItem { target: target.clone(), outage })
        }));
        items.push(Item::Runner(RunnerItem { target: target.clone(), runner }));
    }
    items
}
