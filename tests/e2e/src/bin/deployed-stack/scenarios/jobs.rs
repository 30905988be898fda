//! GitHub's reports of workflow jobs, as an HTTP API forwards them.

use anyhow::{Context, bail, ensure};
use monitor_fakes::github::Job;
use monitor_fakes::wall_clock_ms;
use monitor_github::WebhookSecret;
use serde_json::Value;

use super::{Scenario, scenario};
use crate::emulator::Outcome;
use crate::secrets;
use crate::world::{Setting, World};

const LABELS: [&str; 2] = ["self-hosted", "gpu"];
const JOB: u64 = 42;

pub(super) fn all() -> Vec<Scenario> {
    vec![scenario!(a_job_that_waits_is_alerted_and_again_when_a_runner_takes_it, receiving)]
}

fn receiving() -> Setting {
    let policy = r#"{"failureThreshold":1,"successThreshold":1,"queueThreshold":"10m"}"#;
    Setting { policy, receives_jobs: true, ..Setting::default() }
}

async fn a_job_that_waits_is_alerted_and_again_when_a_runner_takes_it(world: &World) -> anyhow::Result<()> {
    world.begin().await?;
    let queued = Job::queued("train", &LABELS, wall_clock_ms() - 1_200_000);
    ensure!(report(world, queued.clone(), "another secret").await? == 401, "a forged report was accepted");
    world.settled().await?;
    check(world).await?;
    ensure!(world.slack.messages().len() == 1, "a forged report was stored");

    ensure!(report(world, queued.clone(), secrets::GITHUB_WEBHOOK_SECRET).await? == 202, "a report was not accepted");
    world.settled().await?;
    check(world).await?;
    let texts = world.texts(2).await?;
    ensure!(texts[1].contains("1 job waits for self-hosted gpu since"), "{texts:?}");
    ensure!(texts[1].contains("No registered runner has all of these labels"), "{texts:?}");

    let taken = queued.taken_by("gpu-1");
    ensure!(report(world, taken, secrets::GITHUB_WEBHOOK_SECRET).await? == 202, "a report was not accepted");
    world.settled().await?;
    check(world).await?;
    let texts = world.texts(3).await?;
    ensure!(texts[2].contains("jobs no longer wait for self-hosted gpu"), "{texts:?}");
    world.settled().await?;
    world.no_dead_letters().await
}

/// Has the repository checked, and waits until everything is done.
async fn check(world: &World) -> anyhow::Result<()> {
    world.send("ChecksQueue", r#"{"version":1,"repository":"acme/web","reason":"recheck"}"#).await?;
    world.settled().await
}

/// Sets a job at GitHub, and delivers the report of it; returns the status of the answer.
async fn report(world: &World, job: Job, secret: &str) -> anyhow::Result<i64> {
    let path = format!("{}/../../events/hooks-job-queued.json", env!("CARGO_MANIFEST_DIR"));
    let mut event: Value = serde_json::from_str(&std::fs::read_to_string(&path).context(path)?)?;
    let body = world.github.state().set_job("acme/web", JOB, job);
    event["headers"]["x-hub-signature-256"] = WebhookSecret::new(secret).sign(&body).into();
    event["body"] = String::from_utf8(body)?.into();
    match world.invoke("HooksFunction", &event).await? {
        Outcome::Answer(answer) => answer["statusCode"].as_i64().with_context(|| answer.to_string()),
        Outcome::Error(error) => bail!("{error}"),
    }
}
