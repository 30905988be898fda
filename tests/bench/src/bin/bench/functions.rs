//! Each function's binary: its size, its start, its first invocation and later ones.

use std::path::Path;

use anyhow::{Context, ensure};
use monitor_access::AccessKeys;
use monitor_aws::testing::{SIGNING_SECRET, WEBHOOK_SECRET};
use monitor_domain::secret::Secret;
use monitor_github::WebhookSecret;
use monitor_pipeline::ports::Clock as _;
use monitor_slack::incoming::SigningSecret;
use monitor_telemetry::SystemClock;
use serde_json::{Value, json};

use crate::measure::{median, memory_kib, ms, quantile};
use crate::runtime_api::Function;
use crate::table::Table;
use crate::world::{Terms, World, job, messages, repository};

/// The bounds of a function's start: time and memory until it asks for work.
struct Bounds {
    name: &'static str,
    start_ms: f64,
    mebibytes: f64,
}

const BOUNDS: [Bounds; 6] = [
    Bounds { name: "scheduler", start_ms: 3.0, mebibytes: 7.0 },
    Bounds { name: "poller", start_ms: 4.0, mebibytes: 7.0 },
    Bounds { name: "notifier", start_ms: 4.0, mebibytes: 7.0 },
    Bounds { name: "slack", start_ms: 4.0, mebibytes: 7.0 },
    Bounds { name: "hooks", start_ms: 4.0, mebibytes: 7.0 },
    Bounds { name: "web", start_ms: 4.0, mebibytes: 7.0 },
];
/// The bound of each function's stripped binary.
const MEGABYTES: f64 = 7.0;
const STARTS: usize = 20;
const FIRST_INVOCATIONS: usize = 10;

/// The size of a zip file beyond its one entry.
const ZIP_OVERHEAD_BYTES: usize = 130;

pub(crate) fn measure(table: &mut Table, folder: &Path, only: &[String], warm: usize) -> anyhow::Result<()> {
    for bounds in BOUNDS.iter().filter(|bounds| only.is_empty() || only.iter().any(|name| name == bounds.name)) {
        table.section(match bounds.name {
            "scheduler" => "Function: scheduler",
            "poller" => "Function: poller",
            "notifier" => "Function: notifier",
            "hooks" => "Function: hooks",
            "web" => "Function: web",
            _ => "Function: slack",
        });
        let binary = folder.join(bounds.name);
        let built = std::fs::read(&binary);
        let bytes = built.with_context(|| format!("{} is not built; `make bench` builds it", binary.display()))?;
        table.add("binary, stripped", bytes.len() as f64 / 1e6, "MB").at_most(MEGABYTES);
        let zipped = miniz_oxide::deflate::compress_to_vec(&bytes, 9).len() + ZIP_OVERHEAD_BYTES;
        table.add("binary, zipped", zipped as f64 / 1e6, "MB").note("deflate, level 9");
        start(table, &binary, bounds)?;
        if warm > 0 {
            invocations(table, &binary, bounds.name, warm)?;
        }
    }
    Ok(())
}

fn start(table: &mut Table, binary: &Path, bounds: &Bounds) -> anyhow::Result<()> {
    let (mut times, mut peak_kib) = (Vec::new(), 0.0_f64);
    // The first round is not counted: it reads the file from disk.
    for round in 0..=STARTS {
        let function = Function::start(binary, &[])?;
        if round > 0 {
            times.push(ms(function.start));
            peak_kib = peak_kib.max(memory_kib(function.process(), "VmHWM")?);
        }
    }
    table.add("exec → first request for work", median(&mut times), "ms").at_most(bounds.start_ms).note("median of 20");
    table.add("peak memory there", peak_kib / 1_024.0, "MiB").at_most(bounds.mebibytes).note("most of 20");
    Ok(())
}

fn invocations(table: &mut Table, binary: &Path, name: &str, warm: usize) -> anyhow::Result<()> {
    let terms = Terms { repositories: 10, github_latency_ms: 0, is_limited: false, speed: 1 };
    let world = World::start(terms)?;
    for (name, value) in world.parameters("{}") {
        world.aws.set_parameter(&format!("/github-runner-monitor/{name}"), &value);
    }
    let mut variables: Vec<(&str, String)> = world.queue_urls().into_iter().collect();
    variables.push(("AWS_ENDPOINT_URL", world.aws.base_url()));
    variables.push(("GITHUB_REQUESTS_PER_MINUTE", "off".to_owned()));
    let mut first = Vec::new();
    for _ in 0..FIRST_INVOCATIONS {
        let mut function = Function::start(binary, &variables)?;
        first.push(ms(one(&mut function, name)?));
    }
    let what = "first invocation, settings from SSM";
    table.add(what, median(&mut first), "ms").note("median of 10; GitHub, Slack, SQS, SSM, store at 0 ms");
    let mut function = Function::start(binary, &variables)?;
    for _ in 0..20 {
        one(&mut function, name)?;
    }
    let mut times = Vec::new();
    for _ in 0..warm {
        times.push(ms(one(&mut function, name)?));
    }
    table.add("warm invocation, median", median(&mut times), "ms").note(format!("of {warm}: {}", described(name)));
    table.add("warm invocation, p99", quantile(&mut times, 0.99), "ms");
    table.add("memory after them", memory_kib(function.process(), "VmRSS")? / 1_024.0, "MiB");
    Ok(())
}

fn described(name: &str) -> &'static str {
    match name {
        "scheduler" => "a tick of 10 targets",
        "poller" => "one job, 5 runners, 304",
        "notifier" => "a state-change message with nothing to notify",
        "hooks" => "the signed report of a job",
        "web" => "the first page for a reader with a session",
        _ => "a signed /runner-status of one target",
    }
}

/// Invokes a function with its typical event.
fn one(function: &mut Function, name: &str) -> anyhow::Result<std::time::Duration> {
    let event = event(name);
    let (answer, took) = function.invoke(event.to_string().as_bytes())?;
    let is_expected = match name {
        "scheduler" => answer["targets"] == 10,
        "slack" | "web" => answer["statusCode"] == 200,
        "hooks" => answer["statusCode"] == 202,
        _ => answer["batchItemFailures"] == json!([]),
    };
    ensure!(is_expected, "{name} answered {answer}");
    Ok(took)
}

fn event(name: &str) -> Value {
    match name {
        "scheduler" => json!({}),
        "poller" => messages("checks", [&*job(&repository(1))]),
        "notifier" => messages("changes.fifo", [&*json!({"version": 1, "subject": repository(1)}).to_string()]),
        "hooks" => delivery(),
        "web" => page(),
        _ => command(),
    }
}

/// A request of a browser with a session.
fn page() -> Value {
    let mut event: Value =
        serde_json::from_str(include_str!("../../../../../events/web-fleet.json")).unwrap_or_default();
    let session = AccessKeys::new(&Secret::new(SIGNING_SECRET)).session(1, SystemClock.now());
    event["cookies"] = json!([format!("__Host-runner-monitor={}", session.expose())]);
    event
}

/// The report of a job as GitHub signs it.
fn delivery() -> Value {
    let text = include_str!("../../../../../events/hooks-job-queued.json");
    let mut event: Value = serde_json::from_str(text).unwrap_or_default();
    let signature = WebhookSecret::new(WEBHOOK_SECRET).sign(event["body"].as_str().unwrap_or_default().as_bytes());
    event["headers"]["x-hub-signature-256"] = signature.into();
    event
}

/// A slash command as Slack signs it.
fn command() -> Value {
    let text = include_str!("../../../../../events/slack-runner-status.json");
    let mut event: Value = serde_json::from_str(text).unwrap_or_default();
    let body = event["body"].as_str().unwrap_or_default().replace("acme%2Fweb", "a%2Fr1");
    let at_secs = SystemClock.now().epoch_secs();
    event["headers"]["x-slack-signature"] = SigningSecret::new(SIGNING_SECRET).sign(at_secs, body.as_bytes()).into();
    event["headers"]["x-slack-request-timestamp"] = at_secs.to_string().into();
    event["body"] = body.into();
    event
}
