//! The page over a large store: time to the first byte, and what it adds to the memory of `run`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use anyhow::{Context, ensure};
use monitor_domain::outage::Ending;
use monitor_domain::time::Timestamp;
use monitor_e2e::TOKEN;
use monitor_embedded::store::EmbeddedStore;
use monitor_pipeline::items::{Item, OutageItem, RunnerItem};
use monitor_pipeline::keys::Put;
use monitor_pipeline::ports::{Clock as _, PutOutcome, Store as _};
use monitor_pipeline::testing::samples;
use monitor_telemetry::SystemClock;
use tokio::time::Instant;

use crate::measure::{median, memory_kib, ms, quantile};
use crate::table::Table;
use crate::world::{Terms, World, repository};

const RUNNERS: u64 = 5;
const DAY_SECS: u64 = 86_400;
/// How many days of history each runner has, with an outage on every tenth.
const DAYS: u64 = 90;
/// How long a start may take.
const DEADLINE: Duration = Duration::from_secs(300);

/// A program with a page, ended when it is dropped.
struct Served {
    child: Child,
    address: SocketAddr,
    log: Receiver<String>,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (line, log) = mpsc::channel();
        // `web` prints its address, `run` logs it.
        let stdout: Box<dyn Read + Send> = Box::new(child.stdout.take().context("no standard output")?);
        let stderr: Box<dyn Read + Send> = Box::new(child.stderr.take().context("no standard error")?);
        for output in [stdout, stderr].map(BufReader::new) {
            let line = line.clone();
            std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|one| line.send(one)));
        }
        let mut served = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), log };
        let said = served.logged(" page")?;
        let (_, port) = said.split_once("127.0.0.1:").with_context(|| said.clone())?;
        let port = port.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        served.address.set_port(port.parse()?);
        Ok(served)
    }

    /// Waits for a line of the log.
    fn logged(&self, words: &str) -> anyhow::Result<String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(left).with_context(|| format!("not in the log: {words}"))?;
            if line.contains(words) {
                return Ok(line);
            }
        }
    }

    /// Asks for a page. Returns the time to its first byte and its size.
    fn get(&self, path: &str) -> anyhow::Result<(f64, usize)> {
        let mut connection = TcpStream::connect(self.address)?;
        let began = Instant::now();
        write!(connection, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut first = [0; 12];
        connection.read_exact(&mut first)?;
        let took = ms(began.elapsed());
        ensure!(&first == b"HTTP/1.1 200", "{path}: {}", String::from_utf8_lossy(&first));
        let mut rest = Vec::new();
        connection.read_to_end(&mut rest)?;
        Ok((took, first.len() + rest.len()))
    }

    /// The times of many requests, and the largest size.
    fn times(&self, path: &str, requests: usize) -> anyhow::Result<(Vec<f64>, usize)> {
        let answers: Vec<(f64, usize)> = (0..requests).map(|_| self.get(path)).collect::<Result<_, _>>()?;
        Ok((answers.iter().map(|(took, _)| *took).collect(), answers.iter().map(|(_, size)| *size).max().unwrap_or(0)))
    }

    fn memory_mib(&self) -> anyhow::Result<f64> {
        Ok(memory_kib(self.child.id(), "VmRSS")? / 1_024.0)
    }
}

pub(crate) fn measure(table: &mut Table, folder: &Path, targets: usize) -> anyhow::Result<()> {
    table.section("The page");
    let temporary = tempfile::tempdir()?;
    let program = folder.join("runner-monitor");
    let store = temporary.path().join("store.db");
    fill(&store, targets)?;
    let fleet = format!("{targets} targets × {RUNNERS} runners, {DAYS} days of history");
    let mut command = Command::new(&program);
    command.env_clear().args(["web", "127.0.0.1:0", "--log-format", "json", "--store"]).arg(&store);
    let served = Served::start(&mut command)?;
    let (first, _) = served.get("/")?;
    table.add("first page after the start, first byte", first, "ms").note(format!("{fleet}; the store is read"));
    let (mut times, size) = served.times("/", 200)?;
    table.add("the fleet's page, first byte, median", median(&mut times), "ms").at_most(100.0);
    table.add("the fleet's page, first byte, p99", quantile(&mut times, 0.99), "ms").note("of 200 in a row");
    table.add("the fleet's page", size as f64 / 1_000.0, "KB").at_most(300.0);
    let runner = format!("/runner/{}/{}", 1_000 + RUNNERS, repository(1));
    let (mut times, size) = served.times(&runner, 200)?;
    table.add("a runner's page, first byte, median", median(&mut times), "ms").at_most(50.0);
    table.add("a runner's page", size as f64 / 1_000.0, "KB");
    drop(served);

    let world = World::start(Terms { repositories: targets, github_latency_ms: 0, is_limited: false, speed: 1 })?;
    let run = |store: &str| {
        let mut command = Command::new(&program);
        let list: Vec<String> = (0..targets).map(repository).collect();
        command.env_clear().args(["run", "--every", "1h", "--web", "127.0.0.1:0", "--log-format", "json", "--store"]);
        command.arg(temporary.path().join(store)).env("REPOS", list.join(",")).env("GITHUB_TOKEN", TOKEN);
        command.env("GITHUB_API_URL", world.github.base_url()).env("GITHUB_REQUESTS_PER_MINUTE", "off");
        let served = Served::start(&mut command)?;
        served.logged("cycle complete")?;
        anyhow::Ok(served)
    };
    let without = run("without.db")?.memory_mib()?;
    let served = run("with.db")?;
    for path in ["/", "/outages", "/metrics", "/api/v1/fleet", &format!("/target/{}", repository(1))] {
        served.times(path, 20)?;
    }
    let with = served.memory_mib()?;
    table.add("memory of `run`, no page asked for", without, "MiB").note(format!("{targets} targets, after a cycle"));
    table.add("memory of `run` with pages", with, "MiB");
    table.add("the latter ÷ the former", with / without, "×").at_most(1.5);
    Ok(())
}

/// Writes a store with history.
fn fill(path: &Path, targets: usize) -> anyhow::Result<()> {
    let store = EmbeddedStore::open(path)?;
    let now = SystemClock.now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut puts = Vec::new();
    let flush = |puts: &mut Vec<Put>, least: usize| -> anyhow::Result<()> {
        while puts.len() > least {
            let rest = puts.split_off(puts.len().min(store.max_batch()));
            let outcome = runtime.block_on(store.put(std::mem::replace(puts, rest)))?;
            ensure!(outcome == PutOutcome::Done, "the store is not empty");
        }
        Ok(())
    };
    for number in 0..targets {
        puts.extend(history(number, now).into_iter().map(Put::replacing));
        flush(&mut puts, 5_000)?;
    }
    flush(&mut puts, 0)
}

/// A target with its runners and their outages.
fn history(number: usize, now: Timestamp) -> Vec<Item> {
    let name = repository(number);
    let watched_since = now.minus(Duration::from_secs(DAYS * DAY_SECS));
    let mut record = samples::target_record(&name, 3);
    (record.watched_since, record.observed_at) = (Some(watched_since), now.minus(Duration::from_secs(60)));
    let target = record.target.id().clone();
    let mut items = vec![Item::Target(record)];
    for number in number as u64 * RUNNERS..(number as u64 + 1) * RUNNERS {
        let mut runner = samples::runner(1_000 + number, &format!("build-{number}"));
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
