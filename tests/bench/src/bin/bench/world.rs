//! Fakes for GitHub, Slack, AWS and StatelyDB on a separate thread, and the settings that point functions to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context;
use monitor_aws::host::Invocation;
use monitor_aws::testing::{self, SIGNING_SECRET, WEBHOOK_SECRET};
use monitor_aws::{LambdaEnvironment, Sdk};
use monitor_e2e::TOKEN;
use monitor_fakes::github::{Limits, RunnerSpec, State};
use monitor_fakes::{FakeAws, FakeGitHub, FakeSlack};
use monitor_pipeline::ports::Clock as _;
use monitor_stately_server::StatelyServer;
use monitor_telemetry::SystemClock;
use serde_json::{Value, json};

use crate::time_scale::{FastTime, TimeScale};

/// The store's id in StatelyDB.
const STORE: u64 = 17;

/// The parameters of a world.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    /// Number of repositories, with five runners each.
    pub(crate) repositories: usize,
    /// GitHub's latency.
    pub(crate) github_latency_ms: u64,
    /// Whether GitHub has rate limits. Without them it is an Enterprise Server.
    pub(crate) is_limited: bool,
    /// Speed of the clocks of the fakes and their clients, compared with real time.
    pub(crate) speed: u32,
}

/// The fakes. They run until the process ends.
pub(crate) struct World {
    pub(crate) github: FakeGitHub,
    pub(crate) slack: FakeSlack,
    pub(crate) aws: FakeAws,
    pub(crate) statelydb: StatelyServer,
    terms: Terms,
}

/// The name of a repository. It is short because 10,000 names must fit into one variable.
pub(crate) fn repository(number: usize) -> String {
    format!("a/r{number}")
}

impl World {
    pub(crate) fn start(terms: Terms) -> anyhow::Result<Self> {
        let (started, starting) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let time_scale = TimeScale::of(terms.speed);
                let _ = started.send(Self::listen(terms).await);
                time_scale.forever().await;
            });
            std::io::Result::Ok(())
        });
        starting.recv().context("the fakes did not start")?
    }

    async fn listen(terms: Terms) -> anyhow::Result<Self> {
        let mut github = State::new();
        github.add_token(TOKEN);
        github.set_hourly_limit(TOKEN, 10_000_000);
        github.latency_ms = terms.github_latency_ms;
        github.limits = Limits { max_in_flight: 1_000, ..Limits::default() };
        for repository in (0..terms.repositories).map(repository) {
            github.add_target(&repository);
            for runner in 0..5 {
                github.add_runner(&repository, RunnerSpec::new(&format!("runner-{runner}")));
            }
        }
        // GitHub's minute is measured in scaled real time, independent of delays of its thread or its callers.
        let (began_ms, since) = (SystemClock.now().epoch_ms(), FastTime::of(terms.speed));
        let now_ms = move || {
            let since_ms = i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX);
            began_ms.saturating_add(since_ms)
        };
        let github = FakeGitHub::start_with(github, 0, now_ms).await?;
        let (slack, aws, statelydb) =
            (FakeSlack::start().await?, FakeAws::start().await?, StatelyServer::start().await?);
        statelydb.state().settings.access_key = Some("bench-key".to_owned());
        Ok(Self { github, slack, aws, statelydb, terms })
    }

    /// The address of GitHub's API.
    pub(crate) fn github_url(&self) -> String {
        let base = self.github.base_url();
        if self.terms.is_limited { base } else { format!("{base}/api/v3") }
    }

    /// All settings as SSM parameters: the name below the prefix, and the value.
    pub(crate) fn parameters(&self, policy: &str) -> Vec<(&'static str, String)> {
        vec![
            ("github-token", TOKEN.to_owned()),
            ("github-api-url", self.github_url()),
            ("repositories", self.repositories()),
            ("statelydb-access-key", "bench-key".to_owned()),
            ("statelydb-store-id", STORE.to_string()),
            ("statelydb-schema-id", "5".to_owned()),
            ("slack-webhook", self.slack.webhook_url()),
            ("slack-signing-secret", SIGNING_SECRET.to_owned()),
            ("github-webhook-secret", WEBHOOK_SECRET.to_owned()),
            ("policy", policy.to_owned()),
        ]
    }

    /// All targets in the format of the setting.
    pub(crate) fn repositories(&self) -> String {
        (0..self.terms.repositories).map(repository).collect::<Vec<_>>().join(",")
    }

    /// The variables that the template sets, with the addresses of the fakes.
    pub(crate) fn queue_urls(&self) -> BTreeMap<&'static str, String> {
        let mut variables = testing::queue_urls();
        variables.insert("STATELYDB_ENDPOINT", self.statelydb.base_url());
        variables.insert("ALLOW_HTTP_HOSTS", "127.0.0.1".to_owned());
        variables
    }

    /// Those variables, all settings (so that SSM is not read), and `more`.
    pub(crate) fn variables(&self, policy: &str, more: &[(&'static str, String)]) -> LambdaEnvironment {
        let mut variables = self.queue_urls();
        for (parameter, value) in self.parameters(policy) {
            let name = match parameter {
                "github-token" => "GITHUB_TOKEN",
                "github-api-url" => "GITHUB_API_URL",
                "repositories" => "REPOS",
                "statelydb-access-key" => "STATELYDB_ACCESS_KEY",
                "statelydb-store-id" => "STATELYDB_STORE_ID",
                "statelydb-schema-id" => "STATELYDB_SCHEMA_ID",
                "slack-webhook" => "SLACK_WEBHOOK",
                "slack-signing-secret" => "SLACK_SIGNING_SECRET",
                "github-webhook-secret" => "GITHUB_WEBHOOK_SECRET",
                _ => "POLICY",
            };
            variables.insert(name, value);
        }
        variables.extend(more.iter().cloned());
        let variables = Arc::new(variables);
        LambdaEnvironment::new(move |name| variables.get(name).cloned())
    }

    /// AWS clients for the fake.
    pub(crate) fn sdk(&self) -> Sdk {
        Sdk::for_fake(self.aws.base_url())
    }
}

/// An invocation that starts now.
pub(crate) fn invocation() -> Invocation {
    let deadline = SystemClock.now().plus(Duration::from_secs(600));
    Invocation { request_id: "bench".to_owned(), deadline }
}

/// An SQS event with these bodies.
pub(crate) fn messages<'a>(queue: &str, bodies: impl IntoIterator<Item = &'a str>) -> Value {
    let record = |(index, body): (usize, &'a str)| {
        json!({
            "messageId": format!("m{index}"),
            "receiptHandle": "r",
            "body": body,
            "attributes": {"MessageGroupId": format!("g{index}"), "SequenceNumber": index.to_string()},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:us-east-1:123456789012:{queue}"),
            "awsRegion": "us-east-1",
        })
    };
    json!({"Records": bodies.into_iter().enumerate().map(record).collect::<Vec<_>>()})
}

/// A check job as a person sends it by hand.
pub(crate) fn job(repository: &str) -> String {
    json!({"repository": repository}).to_string()
}
