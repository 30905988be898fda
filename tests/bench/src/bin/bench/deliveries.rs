//! Deliveries of GitHub's webhook to `run --webhooks`: forged ones, then the reports of many jobs and the alerts about them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use monitor_aws::testing::WEBHOOK_SECRET;
use monitor_e2e::TOKEN;
use monitor_embedded::store::EmbeddedStore;
use monitor_fakes::github::Job;
use monitor_github::WebhookSecret;
use monitor_pipeline::ports::Clock as _;
use monitor_pipeline::stages::read_jobs;
use monitor_telemetry::SystemClock;
use tokio::time::Instant;

use crate::served::Served;
use crate::table::Table;
use crate::world::{Terms, World, repository};

/// The repositories. Each has one queue.
const REPOSITORIES: usize = 10;
const LABELS: [&str; 2] = ["self-hosted", "gpu"];
/// How many deliveries are sent at the same time.
const AT_ONCE: usize = 32;
const INTERVAL: Duration = Duration::from_secs(10);
/// How long the alerts may take.
const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) fn measure(table: &mut Table, folder: &Path, deliveries: usize) -> anyhow::Result<()> {
    table.section("Reports of jobs");
    let terms = Terms { repositories: REPOSITORIES, github_latency_ms: 0, is_limited: false, speed: 1 };
    let world = World::start(terms)?;
    let temporary = tempfile::tempdir()?;
    let store = temporary.path().join("store.db");
    let mut command = Command::new(folder.join("runner-monitor"));
    command.env_clear().args(["run", "--webhooks", "127.0.0.1:0", "--log-format", "json"]);
    command.args(["--every", &format!("{}s", INTERVAL.as_secs()), "--store"]).arg(&store);
    command.env("REPOS", world.repositories()).env("GITHUB_TOKEN", TOKEN).env("GITHUB_API_URL", world.github_url());
    command.env("GITHUB_REQUESTS_PER_MINUTE", "off").env("GITHUB_WEBHOOK_SECRET", WEBHOOK_SECRET);
    command.env("SLACK_WEBHOOK", world.slack.webhook_url()).env("POLICY", r#"{"failureThreshold":1}"#);
    let served = Served::start(&mut command, "receiving reports of workflow jobs")?;
    served.logged("cycle complete")?;
    let before = served.memory_mib()?;

    let twenty_minutes_ago = SystemClock.now().epoch_ms() - 1_200_000;
    let bodies: Vec<Vec<u8>> = (0..deliveries)
        .map(|number| {
            let job = Job::queued(&format!("job-{number}"), &LABELS, twenty_minutes_ago);
            world.github.state().set_job(&repository(number % REPOSITORIES), 1 + number as u64, job)
        })
        .collect();
    let took = send(served.address, &bodies, &WebhookSecret::new("another"), "401")?;
    let note = format!("{deliveries} deliveries, {AT_ONCE} at once, a connection each");
    table.add("forged deliveries, refused", deliveries as f64 / took, "a second").note(note);
    table.add("memory added by them", served.memory_mib()? - before, "MiB").note(format!("to {before:.1} MiB"));

    let took = send(served.address, &bodies, &WebhookSecret::new(WEBHOOK_SECRET), "202")?;
    table.add("a minute's 10,000 reports, stored", took * 10_000.0 / deliveries as f64, "s").at_most(60.0);
    let stored = EmbeddedStore::open(&store)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut jobs = 0;
    for name in (0..REPOSITORIES).map(repository) {
        jobs += runtime.block_on(read_jobs(&stored, name.parse::<monitor_domain::target::Target>()?.id()))?.len();
    }
    ensure!(jobs == deliveries, "{jobs} of {deliveries} jobs are stored");

    // A check may come before the second job of its queue.
    let is_alert = |text: &str| text.contains("waits for self-hosted gpu") || text.contains("wait for self-hosted gpu");
    let alerts = || world.slack.messages().iter().filter(|message| is_alert(message.text())).count();
    let deadline = Instant::now() + DEADLINE;
    while alerts() < REPOSITORIES && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(200));
    }
    // Two more cycles, in which a queue could be notified again.
    for _ in 0..2 {
        served.logged("cycle complete")?;
    }
    table.add("alerts, one for each queue", alerts() as f64 / REPOSITORIES as f64, "").at_most(1.0);
    ensure!(alerts() == REPOSITORIES, "{} alerts about {REPOSITORIES} queues", alerts());
    let after = served.memory_mib()?;
    table.add("memory after all of this ÷ before", after / before, "×").note(format!("{after:.1} MiB")).at_most(3.0);
    Ok(())
}

/// Sends all deliveries, and expects this status for each. Returns the seconds that it took.
fn send(address: SocketAddr, bodies: &[Vec<u8>], secret: &WebhookSecret, status: &str) -> anyhow::Result<f64> {
    let next = Mutex::new(bodies.iter());
    let one_by_one = || -> anyhow::Result<()> {
        loop {
            let Some(body) = next.lock().ok().and_then(|mut next| next.next()) else { return Ok(()) };
            deliver(address, body, secret, status)?;
        }
    };
    let began = Instant::now();
    thread::scope(|scope| {
        let senders: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(one_by_one)).collect();
        senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))?)
    })?;
    Ok(began.elapsed().as_secs_f64())
}

fn deliver(address: SocketAddr, body: &[u8], secret: &WebhookSecret, status: &str) -> anyhow::Result<()> {
    let mut connection = TcpStream::connect(address)?;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-GitHub-Event: workflow_job\r\nX-Hub-Signature-256: {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        secret.sign(body),
        body.len()
    );
    connection.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let answered = answer.split(' ').nth(1).context("no answer")?;
    ensure!(answered == status, "answered with {answered} in place of {status}");
    Ok(())
}
