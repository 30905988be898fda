//! The poller as it runs, against fakes of AWS, GitHub and StatelyDB over HTTP.

use std::time::Duration;

use monitor_aws::testing::{CHECKS_DEAD, GITHUB_TOKEN, PREFIX, World};
use monitor_domain::jobs::{Job, JobId, JobState};
use monitor_domain::subject::Revision;
use monitor_domain::watchlist::Watchlist;
use monitor_fakes::github::Endpoint;
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::Put;
use monitor_pipeline::messages::JobReport;
use monitor_pipeline::ports::{Clock as _, PutOutcome, Store as _};
use monitor_pipeline::records::read_outages;
use monitor_pipeline::stages::read_jobs;
use monitor_stately_server::{Fault, Trouble};
use monitor_telemetry::SystemClock;
use serde_json::{Value, json};

use crate::poller::Poller;

async fn world(variables: &[(&'static str, &str)]) -> World {
    super::keep_log_lines();
    World::start(Poller::new, Poller::handle, variables).await
}

/// How often GitHub was asked for the runners.
fn lists(world: &World) -> u64 {
    world.github.state().counters().by_endpoint.get(&Endpoint::ListRunners).copied().unwrap_or(0)
}

const BY_HAND: &str = include_str!("../../../../events/poller-by-hand.json");

/// A check that no earlier one covers, as jobs by hand within 15 s are.
fn recheck() -> String {
    BY_HAND.replace(
        r#"{\"repository\":\"acme/web\"}"#,
        r#"{\"version\":1,\"repository\":\"acme/web\",\"reason\":\"recheck\"}"#,
    )
}

#[tokio::test]
async fn a_job_goes_from_ssm_to_github_and_into_the_store() {
    let world = world(&[]).await;
    assert_eq!(world.invoke(BY_HAND).await, Ok(json!({"batchItemFailures": []})));
    assert!(world.statelydb.state().item_count(17) > 0);
    assert_eq!(lists(&world), 1);
    let asked = world.aws.calls("GetParameters").len();
    world.invoke(BY_HAND).await.unwrap();
    assert_eq!(world.aws.calls("GetParameters").len(), asked, "settings are kept");
}

/// A scheduled job that was sent `ago`.
fn scheduled(ago: Duration) -> String {
    let sent_at = SystemClock.now().minus(ago).to_string();
    include_str!("../../../../events/poller-by-schedule.json").replace("2027-01-15T08:00:00.000Z", &sent_at)
}

#[tokio::test]
async fn a_job_expires_after_the_interval_of_the_stack() {
    for (interval_secs, requests) in [("3600", 1), ("300", 0)] {
        let world = world(&[("CHECK_INTERVAL_SECS", interval_secs)]).await;
        let answer = world.invoke(&scheduled(Duration::from_secs(1_200))).await;
        assert_eq!(answer, Ok(json!({"batchItemFailures": []})));
        assert_eq!(lists(&world), requests, "{interval_secs}");
    }
}

/// Most checks change nothing and are not stored, so the poller itself remembers when it made them.
#[tokio::test]
async fn an_outage_says_that_the_runner_was_healthy_at_the_previous_check_though_that_check_was_not_stored() {
    let world = world(&[("POLICY", r#"{"failureThreshold":1}"#)]).await;
    world.invoke(&recheck()).await.unwrap();
    let checked_again_at = SystemClock.now();
    world.invoke(&recheck()).await.unwrap();
    let runner = world.github.state().runners("acme/web")[0].id;
    world.github.state().set_runner("acme/web", runner, "offline", false);
    world.invoke(&recheck()).await.unwrap();

    let target = super::target("acme/web");
    let outages = read_outages(&world.store, target.id()).await.unwrap();
    let [outage] = &outages[..] else { panic!("{outages:?}") };
    let last_healthy = outage.last_healthy.expect("it was healthy at the previous check");
    assert!(last_healthy.at >= checked_again_at, "{last_healthy:?}, not of the check from {checked_again_at} on");
}

#[tokio::test]
async fn a_rotated_token_is_in_use_right_after_the_first_refusal() {
    let world = world(&[]).await;
    world.invoke(&recheck()).await.unwrap();
    world.github.state().revoke_token(GITHUB_TOKEN);
    world.github.state().add_token("ghp_planted_new");
    world.set("github-token", "ghp_planted_new");
    world.invoke(&recheck()).await.unwrap();
    let served = |world: &World| {
        let counters = world.github.state().counters().clone();
        (counters.ok, counters.not_modified)
    };
    let before = served(&world);
    world.invoke(&recheck()).await.unwrap();
    assert_ne!(served(&world), before, "the new token is served");
}

#[tokio::test]
async fn a_rotated_key_of_the_store_is_in_use_right_after_the_first_refusal() {
    let world = world(&[]).await;
    world.invoke(BY_HAND).await.unwrap();
    world.rotate_key("planted-key-2");
    let refused = world.invoke(BY_HAND).await.unwrap();
    assert_eq!(refused["batchItemFailures"].as_array().unwrap().len(), 1, "it is retried: {refused}");
    assert!(world.aws.take_sent(CHECKS_DEAD).is_empty(), "a rotated key loses no job");
    assert_eq!(world.invoke(BY_HAND).await, Ok(json!({"batchItemFailures": []})));
}

#[tokio::test]
async fn a_message_that_can_never_be_read_goes_to_the_dead_letter_queue() {
    let world = world(&[]).await;
    let answer = world.invoke(include_str!("../../../../events/poller-mixed-batch.json")).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    let dead_letter = world.aws.take_sent(CHECKS_DEAD);
    assert_eq!(dead_letter.len(), 2);
    assert!(
        dead_letter
            .iter()
            .any(|sent| sent.body == "acme/api" && sent.reason.as_deref().unwrap().contains("not a JSON object"))
    );
}

#[tokio::test]
async fn missing_settings_are_reported_at_once_and_read_again_next_time() {
    let world = world(&[]).await;
    for name in ["github-token", "repositories"] {
        world.remove(name);
    }
    let error_text = world.invoke(BY_HAND).await.unwrap_err();
    let diagnostic = lambda_runtime::Diagnostic::from(error_text);
    assert_eq!(diagnostic.error_type, "Settings");
    for name in ["github-token", "repositories"] {
        let command = format!("aws ssm put-parameter --name {PREFIX}/{name} --type ");
        assert!(diagnostic.error_message.contains(&command), "{diagnostic:?}");
    }
    world.set("github-token", GITHUB_TOKEN);
    world.set("repositories", "acme/web");
    world.invoke(BY_HAND).await.unwrap();
}

#[tokio::test]
async fn an_event_of_another_kind_is_refused_with_a_hint() {
    let world = world(&[]).await;
    let error_text = world.invoke("{\"repository\":\"acme/web\"}").await.unwrap_err();
    assert!(
        error_text.to_string().contains("must be an SQS event") && error_text.to_string().contains("events/"),
        "{error_text}"
    );
    assert!(world.aws.calls("GetParameters").is_empty());
}

#[tokio::test]
async fn log_lines_name_request_and_target_and_no_secret() {
    let world = world(&[]).await;
    world.invoke(BY_HAND).await.unwrap();
    world.github.state().revoke_token(GITHUB_TOKEN);
    world.invoke(include_str!("../../../../events/poller-mixed-batch.json")).await.unwrap();
    world.statelydb.state().inject(Fault::once(Trouble::stately_code("SchemaNotFound")));
    world.invoke(BY_HAND).await.unwrap();
    world.statelydb.state().settings.access_key = Some("another".to_owned());
    world.statelydb.state().revoke_tokens();
    world.invoke(BY_HAND).await.unwrap();

    let own: Vec<Value> = super::log_lines().filter(|event| event["target"].to_string().contains("monitor_")).collect();
    let failed = own.iter().filter(|event| event["message"] == "not checked" && event["target_id"] == "acme/web");
    let failed: Vec<&Value> = failed.collect();
    assert!(!failed.is_empty(), "{own:?}");
    for event in failed {
        assert_eq!(event["span"]["request_id"], "request-1", "{event}");
        assert_eq!(event["span"]["target_id"], "acme/web", "{event}");
    }
    for event in &own {
        assert!(!event.to_string().contains("planted"), "{event}");
    }
}

/// What the function `hooks` puts on the queue about a job that has waited for 20 minutes.
fn report_of_a_job(has_ended: bool) -> String {
    let queued_at = SystemClock.now().minus(Duration::from_secs(1_200));
    let job = Job {
        id: JobId(42),
        repository: super::target("acme/web"),
        workflow: Some("Nightly".to_owned()),
        name: "train".to_owned(),
        url: "https://github.com/acme/web/actions/runs/7/job/42".to_owned(),
        labels: vec!["self-hosted".to_owned(), "gpu".to_owned()],
        state: JobState::Queued,
        queued_at,
        runner: None,
        started_at: None,
    };
    let body = JobReport { job, completed: has_ended, enterprise: None }.to_json();
    let mut event: Value = serde_json::from_str(BY_HAND).unwrap();
    event["Records"][0]["body"] = body.into();
    event.to_string()
}

#[tokio::test]
async fn a_report_of_a_job_is_stored_and_the_next_check_opens_an_outage_of_its_queue_if_jobs_are_received() {
    for (variables, outages) in [(&[("RECEIVE_JOBS", "true")][..], 1), (&[("RECEIVE_JOBS", "false")][..], 0), (&[], 0)]
    {
        let policy = ("POLICY", r#"{"failureThreshold":1}"#);
        let world = world(&[variables, &[policy]].concat()).await;
        let target = super::target("acme/web");
        let listed = Watchlist { revision: Revision(1), targets: vec![target.clone()], ..Watchlist::default() };
        assert_eq!(world.store.put(&[Put::replacing(Item::Watchlist(listed))]).await, Ok(PutOutcome::Done));
        world.github.state().set_job(
            "acme/web",
            42,
            monitor_fakes::github::Job::queued(
                "train",
                &["self-hosted", "gpu"],
                monitor_fakes::wall_clock_ms() - 1_200_000,
            ),
        );
        assert_eq!(world.invoke(report_of_a_job(false)).await, Ok(json!({"batchItemFailures": []})));
        assert_eq!(lists(&world), 0, "a report asks GitHub for nothing");
        assert_eq!(read_jobs(&world.store, target.id()).await.unwrap().len(), 1);
        // The first check of a target compares with nothing.
        for _ in 0..2 {
            world.invoke(recheck()).await.unwrap();
        }
        assert_eq!(read_outages(&world.store, target.id()).await.unwrap().len(), outages, "{variables:?}");
        world.invoke(report_of_a_job(true)).await.unwrap();
        assert_eq!(read_jobs(&world.store, target.id()).await.unwrap(), []);
    }
}
