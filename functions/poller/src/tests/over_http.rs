//! The poller as it runs, against fakes of AWS, GitHub and StatelyDB over HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use monitor_aws::host::Invocation;
use monitor_aws::{Failure, LambdaEnvironment, Sdk};
use monitor_domain::secret::Secret;
use monitor_fakes::github::{RunnerSpec, State};
use monitor_fakes::{FakeAws, FakeGitHub};
use monitor_pipeline::ports::Clock as _;
use monitor_pipeline::records::read_outages;
use monitor_stately::client::{Client, ClientSettings};
use monitor_stately::endpoint::Endpoint;
use monitor_stately::{HttpTransport, StatelyStore};
use monitor_stately_server::{Fault, StatelyServer, Trouble};
use monitor_telemetry::SystemClock;
use serde_json::{Value, json};

use crate::poller::Poller;

const PREFIX: &str = "/github-runner-monitor";
const CHECKS: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/checks";
const DEAD: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/dead";
const CHANGES: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/changes.fifo";

struct World {
    aws: FakeAws,
    github: FakeGitHub,
    statelydb: StatelyServer,
    poller: Poller,
}

impl World {
    /// Everything that the poller needs is in SSM, except for the addresses of the fakes.
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(further: &[(&'static str, &str)]) -> Self {
        super::keep_log_lines();
        let (aws, statelydb) = (FakeAws::start().await.unwrap(), StatelyServer::start().await.unwrap());
        statelydb.state().settings.access_key = Some("planted-key".to_owned());
        let mut github = State::new();
        github.add_token("ghp_planted_old");
        github.add_target("acme/web");
        github.add_runner("acme/web", RunnerSpec::new("build-1"));
        let github = FakeGitHub::start_with(github, 0, monitor_fakes::wall_clock_ms).await.unwrap();
        for (name, value) in [
            ("github-token", "ghp_planted_old"),
            ("github-api-url", &*github.base_url()),
            ("repositories", "acme/web"),
            ("statelydb-access-key", "planted-key"),
            ("statelydb-store-id", "17"),
            ("statelydb-schema-id", "5"),
        ] {
            aws.set_parameter(&format!("{PREFIX}/{name}"), value);
        }
        let mut variables = BTreeMap::from([
            ("CHECKS_QUEUE_URL", CHECKS.to_owned()),
            ("CHANGES_QUEUE_URL", CHANGES.to_owned()),
            ("CHECKS_DEAD_LETTER_QUEUE_URL", DEAD.to_owned()),
            ("STATELYDB_ENDPOINT", statelydb.base_url()),
        ]);
        variables.extend(further.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let variables = LambdaEnvironment::new(move |name| variables.get(name).cloned());
        let poller = Poller::new(&variables, &Sdk::for_fake(aws.base_url()));
        Self { aws, github, statelydb, poller }
    }

    async fn invoke(&self, event: &str) -> Result<Value, Failure> {
        let deadline = SystemClock.now().plus(Duration::from_secs(30));
        let invocation = Invocation { request_id: "request-1".to_owned(), deadline };
        self.poller.handle(serde_json::from_str(event).unwrap(), invocation).await
    }

    fn github_requests(&self) -> u64 {
        self.github.state().counters().requests
    }
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
    let world = World::new().await;
    assert_eq!(world.invoke(BY_HAND).await, Ok(json!({"batchItemFailures": []})));
    assert!(world.statelydb.state().item_count(17) > 0);
    assert_eq!(world.github_requests(), 1);
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
        let world = World::with(&[("CHECK_INTERVAL_SECS", interval_secs)]).await;
        let answer = world.invoke(&scheduled(Duration::from_secs(1_200))).await;
        assert_eq!(answer, Ok(json!({"batchItemFailures": []})));
        assert_eq!(world.github_requests(), requests, "{interval_secs}");
    }
}

/// Most checks change nothing and are not stored, so the poller itself remembers when it made them.
#[tokio::test]
async fn an_outage_says_that_the_runner_was_healthy_at_the_previous_check_though_that_check_was_not_stored() {
    let world = World::with(&[("POLICY", r#"{"failureThreshold":1}"#)]).await;
    world.invoke(&recheck()).await.unwrap();
    let checked_again_at = SystemClock.now();
    world.invoke(&recheck()).await.unwrap();
    let runner = world.github.state().runners("acme/web")[0].id;
    world.github.state().set_runner("acme/web", runner, "offline", false);
    world.invoke(&recheck()).await.unwrap();

    let endpoint = Endpoint::parse(&world.statelydb.base_url()).unwrap();
    let transport = HttpTransport::new(monitor_http::http(), endpoint).unwrap();
    let store = StatelyStore::new(Client::new(transport, ClientSettings::new(17, 5, Some(Secret::new("planted-key")))));
    let target = super::target("acme/web");
    let outages = read_outages(&store, target.id()).await.unwrap();
    let [outage] = &outages[..] else { panic!("{outages:?}") };
    let last_healthy = outage.last_healthy.expect("it was healthy at the previous check");
    assert!(last_healthy.at >= checked_again_at, "{last_healthy:?}, not of the check from {checked_again_at} on");
}

#[tokio::test]
async fn a_rotated_token_is_in_use_right_after_the_first_refusal() {
    let world = World::new().await;
    world.invoke(&recheck()).await.unwrap();
    world.github.state().revoke_token("ghp_planted_old");
    world.github.state().add_token("ghp_planted_new");
    world.aws.set_parameter("/github-runner-monitor/github-token", "ghp_planted_new");
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
    let world = World::new().await;
    world.invoke(BY_HAND).await.unwrap();
    world.statelydb.state().settings.access_key = Some("planted-key-2".to_owned());
    world.statelydb.state().revoke_tokens();
    world.aws.set_parameter("/github-runner-monitor/statelydb-access-key", "planted-key-2");
    let refused = world.invoke(BY_HAND).await.unwrap();
    assert_eq!(refused["batchItemFailures"].as_array().unwrap().len(), 1, "it is retried: {refused}");
    assert!(world.aws.take_sent(DEAD).is_empty(), "a rotated key loses no job");
    assert_eq!(world.invoke(BY_HAND).await, Ok(json!({"batchItemFailures": []})));
}

#[tokio::test]
async fn a_message_that_can_never_be_read_goes_to_the_dead_letter_queue() {
    let world = World::new().await;
    let answer = world.invoke(include_str!("../../../../events/poller-mixed-batch.json")).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    let dead_letter = world.aws.take_sent(DEAD);
    assert_eq!(dead_letter.len(), 2);
    assert!(
        dead_letter
            .iter()
            .any(|sent| sent.body == "acme/api" && sent.reason.as_deref().unwrap().contains("not a JSON object"))
    );
}

#[tokio::test]
async fn missing_settings_are_reported_at_once_and_read_again_next_time() {
    let world = World::new().await;
    for name in ["github-token", "repositories"] {
        world.aws.remove_parameter(&format!("{PREFIX}/{name}"));
    }
    let error_text = world.invoke(BY_HAND).await.unwrap_err();
    let diagnostic = lambda_runtime::Diagnostic::from(error_text);
    assert_eq!(diagnostic.error_type, "Settings");
    for name in ["github-token", "repositories"] {
        let command = format!("aws ssm put-parameter --name {PREFIX}/{name} --type ");
        assert!(diagnostic.error_message.contains(&command), "{diagnostic:?}");
    }
    world.aws.set_parameter("/github-runner-monitor/github-token", "ghp_planted_old");
    world.aws.set_parameter("/github-runner-monitor/repositories", "acme/web");
    world.invoke(BY_HAND).await.unwrap();
}

#[tokio::test]
async fn an_event_of_another_kind_is_refused_with_a_hint() {
    let world = World::new().await;
    let error_text = world.invoke("{\"repository\":\"acme/web\"}").await.unwrap_err();
    assert!(
        error_text.to_string().contains("must be an SQS event") && error_text.to_string().contains("events/"),
        "{error_text}"
    );
    assert!(world.aws.calls("GetParameters").is_empty());
}

#[tokio::test]
async fn log_lines_name_request_and_target_and_no_secret() {
    let world = World::new().await;
    world.invoke(BY_HAND).await.unwrap();
    world.github.state().revoke_token("ghp_planted_old");
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
