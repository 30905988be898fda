//! `runner-monitor run --webhooks`: GitHub's reports of workflow jobs over HTTP, and what the program says about them.

use monitor_e2e::{LONG, Running, World, http};
use monitor_fakes::github::Job;
use monitor_fakes::wall_clock_ms;
use monitor_github::WebhookSecret;
use reqwest::StatusCode;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::Instant;

const SECRET: &str = "It's a Secret to Everybody";
const POLICY: &str = r#"{"failureThreshold":1,"queueThreshold":"1m"}"#;
const LABELS: [&str; 2] = ["self-hosted", "gpu"];

struct Bench {
    world: World,
    running: Running,
    http: reqwest::Client,
    url: String,
}

impl Bench {
    async fn start(more: &[&str], ready: &str) -> Self {
        let world = World::new(1, POLICY).await;
        let arguments = ["run", "--every", "10s", "--webhooks", "127.0.0.1:0", "--log-format", "json"];
        let mut command: Command = world.command(&[&arguments[..], more].concat());
        command.env("GITHUB_WEBHOOK_SECRET", SECRET);
        let mut running = Running::start(command).expect("it starts");
        let receiving = running.event(ready).await;
        let url = format!("http://{}/", receiving["address"].as_str().expect("an address"));
        running.event("cycle complete").await;
        world.slack.wait_for_messages(1, LONG).await.expect("the start of monitoring");
        Self { world, running, http: http(), url }
    }

    async fn deliver(&self, body: Vec<u8>, secret: &str) -> StatusCode {
        let signature = WebhookSecret::new(secret).sign(&body);
        let request = self.http.post(&self.url).header("x-github-event", "workflow_job");
        let request = request.header("x-hub-signature-256", signature).header("x-github-delivery", "1");
        request.body(body).send().await.expect("an answer").status()
    }

    /// Sets a job at GitHub, and delivers the report of it.
    async fn report(&self, id: u64, job: Job) {
        let body = self.world.github.state().set_job("acme/app-0", id, job);
        assert_eq!(self.deliver(body, SECRET).await, StatusCode::ACCEPTED);
    }

    async fn jobs(&self) -> Value {
        let output = self.world.command(&["jobs", "--json"]).output().await.expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

#[tokio::test]
async fn a_job_that_waits_is_alerted_with_the_reason_and_again_when_a_runner_takes_it() {
    let bench = Bench::start(&[], "receiving reports of workflow jobs").await;
    let two_minutes_ago = wall_clock_ms() - 120_000;
    let before = bench.world.slack.messages().len();
    bench.report(42, Job::queued("train", &LABELS, two_minutes_ago)).await;
    bench.world.slack.wait_for_messages(before + 1, LONG).await.expect("an alert");
    let alert = bench.world.slack.messages().pop().expect("an alert");
    let text = alert.text().to_owned();
    assert!(text.contains("acme/app-0: 1 job waits for self-hosted gpu since"), "{text}");
    assert!(text.contains("No registered runner has all of these labels; app-0-runner-0 lacks only gpu."), "{text}");
    let listed = bench.jobs().await;
    assert_eq!(listed["queues"][0]["target"], "acme/app-0", "{listed}");
    assert_eq!(listed["queues"][0]["waiting"]["jobs"][0]["name"], "Nightly / train", "{listed}");

    bench.report(42, Job::queued("train", &LABELS, two_minutes_ago).taken_by("gpu-1")).await;
    bench.world.slack.wait_for_messages(before + 2, LONG).await.expect("the end");
    let text = bench.world.slack.messages().pop().expect("the end").text().to_owned();
    assert!(text.contains("jobs no longer wait for self-hosted gpu"), "{text}");
    assert_eq!(bench.jobs().await["queues"], Value::Array(Vec::new()));
    bench.running.stop().await;
}

#[tokio::test]
async fn without_a_webhook_the_jobs_of_a_repository_are_polled() {
    let policy = r#"{"failureThreshold":1,"queueThreshold":"1m","jobs":{"poll":["acme/app-0"]}}"#;
    let world = World::new(1, policy).await;
    let two_minutes_ago = wall_clock_ms() - 120_000;
    let job = Job::queued("train", &["self-hosted"], two_minutes_ago);
    world.github.state().set_job("acme/app-0", 42, job.clone());
    let mut running =
        Running::start(world.command(&["run", "--every", "10s", "--log-format", "json"])).expect("it starts");
    running.event("cycle complete").await;
    world.slack.wait_for_messages(2, LONG).await.expect("the start of monitoring, and an alert");
    let text = world.slack.messages().pop().expect("an alert").text().to_owned();
    assert!(text.contains("1 job waits for self-hosted since"), "{text}");

    world.github.state().set_job("acme/app-0", 42, job.taken_by("app-0-runner-0"));
    world.slack.wait_for_messages(3, LONG).await.expect("the end");
    let text = world.slack.messages().pop().expect("the end").text().to_owned();
    assert!(text.contains("jobs no longer wait for self-hosted"), "{text}");
    running.stop().await;
}

#[tokio::test]
async fn the_job_of_a_busy_runner_is_shown_and_named_when_the_runner_goes_offline() {
    let mut bench = Bench::start(&[], "receiving reports of workflow jobs").await;
    let before = bench.world.slack.messages().len();
    let job = Job::queued("train", &["self-hosted"], wall_clock_ms()).taken_by("app-0-runner-0");
    bench.report(42, job).await;
    let id = bench.world.github.state().runners("acme/app-0")[0].id;
    bench.world.github.state().set_runner("acme/app-0", id, "online", true);
    let shown = async || {
        let output = bench.world.command(&["status", "--all"]).output().await.expect("it ends");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let deadline = Instant::now() + LONG;
    while !shown().await.contains("busy: Nightly / train") && Instant::now() < deadline {
        bench.running.event("cycle complete").await;
    }
    let status = shown().await;
    assert!(status.contains("busy: Nightly / train"), "{status}");

    bench.world.set("acme/app-0", "offline");
    bench.world.slack.wait_for_messages(before + 1, LONG).await.expect("an alert");
    let alert = bench.world.slack.messages().pop().expect("an alert");
    assert!(alert.text().contains("Was running Nightly / train, which will probably fail."), "{}", alert.text());
    bench.running.stop().await;
}

#[tokio::test]
async fn a_forged_delivery_is_refused_and_other_events_are_ignored() {
    let bench = Bench::start(&[], "receiving reports of workflow jobs").await;
    let body = bench.world.github.state().set_job("acme/app-0", 7, Job::queued("x", &LABELS, wall_clock_ms()));
    assert_eq!(bench.deliver(body.clone(), "another").await, StatusCode::UNAUTHORIZED);
    let unsigned = bench.http.post(&bench.url).header("x-github-event", "workflow_job").body(body.clone());
    assert_eq!(unsigned.send().await.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    let signature = WebhookSecret::new(SECRET).sign(b"{}");
    let ping = bench.http.post(&bench.url).header("x-github-event", "ping").header("x-hub-signature-256", signature);
    assert_eq!(ping.body("{}").send().await.expect("an answer").status(), StatusCode::ACCEPTED);
    assert_eq!(bench.deliver(b"{}".to_vec(), SECRET).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(bench.http.get(&bench.url).send().await.expect("an answer").status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(bench.jobs().await["queues"], Value::Array(Vec::new()));
    let log = bench.running.stop().await;
    assert!(log.contains("a delivery of the webhook was refused") && !log.contains(SECRET), "{log}");
}

#[tokio::test]
async fn without_the_secret_the_program_names_it() {
    let world = World::new(1, POLICY).await;
    let output = world.command(&["run", "--webhooks", "127.0.0.1:0"]).output().await.expect("it ends");
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("GITHUB_WEBHOOK_SECRET: must be set to receive reports of workflow jobs"), "{error}");
}
