//! The function run on the sample events, signed as by GitHub, with fakes of SSM and SQS over HTTP.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use monitor_aws::Failure;
use monitor_aws::testing::{CHECKS, PREFIX, WEBHOOK_SECRET as SECRET, World};
use monitor_domain::jobs::{JobId, JobState};
use monitor_fakes::aws::CallFault;
use monitor_github::{MAX_WEBHOOK_BYTES, WebhookSecret};
use monitor_pipeline::messages::{ChecksMessage, JobReport};
use serde_json::{Value, json};

use crate::hooks::Hooks;

async fn world() -> World {
    World::start(Hooks::new, Hooks::handle, &[]).await
}

fn sample(name: &str) -> Value {
    let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))).unwrap()
}

fn signed(mut event: Value, secret: &str) -> Value {
    let body = event["body"].as_str().unwrap();
    let raw = if event["isBase64Encoded"] == true { STANDARD.decode(body).unwrap() } else { body.as_bytes().to_vec() };
    event["headers"]["x-hub-signature-256"] = WebhookSecret::new(secret).sign(&raw).into();
    event
}

async fn status(world: &World, event: Value) -> i64 {
    let response = world.invoke(event).await.unwrap();
    assert_eq!(response["body"], Value::Null, "{response}");
    response["statusCode"].as_i64().unwrap()
}

/// The reports that were sent to the queue.
fn reports(world: &World) -> Vec<JobReport> {
    let read = |body: &str| match ChecksMessage::from_json(body).unwrap() {
        ChecksMessage::Report(report) => *report,
        ChecksMessage::Check(job) => panic!("{job:?}"),
    };
    world.aws.take_sent(CHECKS).iter().map(|message| read(&message.body)).collect()
}

#[tokio::test]
async fn a_signed_report_is_put_on_the_queue_for_checks_and_the_secret_is_all_that_is_read() {
    let world = world().await;
    for (name, completed) in [("hooks-job-queued", false), ("hooks-job-completed", true)] {
        assert_eq!(status(&world, signed(sample(name), SECRET)).await, 202);
        let [report] = &reports(&world)[..] else { panic!("{name}: not one message") };
        assert_eq!((report.job.id, report.completed), (JobId(31_987_654_321), completed));
        assert_eq!(report.job.repository.as_str(), "acme/web");
        assert_eq!(report.job.labels, ["self-hosted", "gpu"]);
    }
    let asked = world.aws.calls("GetParameters");
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0]["Names"], json!([format!("{PREFIX}/github-webhook-secret")]));
    assert_eq!(world.statelydb.state().calls().count(), 0, "it has no store");
}

#[tokio::test]
async fn a_body_that_the_gateway_encoded_is_the_same() {
    let world = world().await;
    let mut event = sample("hooks-job-queued");
    event["body"] = STANDARD.encode(event["body"].as_str().unwrap()).into();
    event["isBase64Encoded"] = true.into();
    assert_eq!(status(&world, signed(event.clone(), SECRET)).await, 202);
    assert_eq!(reports(&world)[0].job.state, JobState::Queued);
    event["headers"]["x-hub-signature-256"] = "sha256=00".into();
    event["body"] = "not Base64".into();
    assert_eq!(status(&world, event).await, 400);
}

#[tokio::test]
async fn other_events_and_jobs_of_githubs_own_runners_are_accepted_and_dropped() {
    let world = world().await;
    let mut hosted = sample("hooks-job-queued");
    hosted["body"] =
        hosted["body"].as_str().unwrap().replace(r#"["self-hosted","gpu"]"#, r#"["ubuntu-latest"]"#).into();
    for event in [sample("hooks-ping"), hosted] {
        assert_eq!(status(&world, signed(event, SECRET)).await, 202);
    }
    assert_eq!(reports(&world), []);
}

#[tokio::test]
async fn what_github_did_not_sign_or_does_not_document_is_refused_and_not_sent() {
    let world = world().await;
    let queued = || sample("hooks-job-queued");
    let with_body = |body: String| {
        let mut event = queued();
        event["body"] = body.into();
        event
    };
    let mut changed = signed(queued(), SECRET);
    changed["body"] = changed["body"].as_str().unwrap().replace("train", "drain").into();
    let cases = [
        (queued(), 401),
        (signed(queued(), "another"), 401),
        (changed, 401),
        (signed(with_body("a".repeat(MAX_WEBHOOK_BYTES + 1)), SECRET), 413),
        (signed(with_body("{}".to_owned()), SECRET), 422),
        (signed(with_body("payload=%7B%7D".to_owned()), SECRET), 422),
    ];
    for (number, (event, expected)) in cases.into_iter().enumerate() {
        assert_eq!(status(&world, event).await, expected, "case {number}");
    }
    assert_eq!(reports(&world), []);
}

#[tokio::test]
async fn a_report_that_sqs_does_not_accept_is_answered_as_not_received() {
    let world = world().await;
    let refusal = CallFault::Refused(403, "AccessDenied");
    world.aws.plan("SendMessageBatch", [refusal]);
    assert_eq!(status(&world, signed(sample("hooks-job-queued"), SECRET)).await, 503);
}

#[tokio::test]
async fn a_rotated_secret_is_read_after_the_first_delivery_that_it_signs() {
    let world = world().await;
    assert_eq!(status(&world, signed(sample("hooks-ping"), SECRET)).await, 202);
    world.set("github-webhook-secret", "rotated");
    assert_eq!(status(&world, signed(sample("hooks-ping"), "rotated")).await, 401);
    assert_eq!(status(&world, signed(sample("hooks-ping"), "rotated")).await, 202);
    assert_eq!(status(&world, signed(sample("hooks-ping"), SECRET)).await, 401);
}

#[tokio::test]
async fn a_missing_secret_is_named_with_the_command_that_sets_it_and_another_event_is_refused() {
    let world = world().await;
    world.remove("github-webhook-secret");
    let error = world.invoke(signed(sample("hooks-ping"), SECRET)).await.unwrap_err().to_string();
    assert!(error.contains("GITHUB_WEBHOOK_SECRET") && error.contains("github-webhook-secret"), "{error}");
    let refused = world.invoke(sample("poller-by-hand")).await;
    assert!(matches!(&refused, Err(Failure::Event(text)) if text.contains("events/hooks-*.json")), "{refused:?}");
}

#[tokio::test]
async fn the_signer_signs_a_delivery_as_github_would() {
    let folder = format!("{}/../../events", env!("CARGO_MANIFEST_DIR"));
    let sign = |name: &str, secret: &str| {
        let mut command = Command::new("python3");
        command.arg(format!("{folder}/sign")).arg(format!("{folder}/{name}.json")).env("GITHUB_WEBHOOK_SECRET", secret);
        command.env_remove("SLACK_SIGNING_SECRET").stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
    };
    let world = world().await;
    for name in ["hooks-job-queued", "hooks-job-completed", "hooks-ping"] {
        let output = sign(name, SECRET);
        let event = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert_eq!(status(&world, event).await, 202, "{name}");
        assert_eq!(status(&world, sample(name)).await, 401, "{name}: a committed event has no signature");
    }
    let output = sign("hooks-ping", "");
    assert!(!output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("GITHUB_WEBHOOK_SECRET must be set"), "{output:?}");
}
