//! What a function has around it in its tests: in memory for its handler, over HTTP for the function as it runs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use monitor_domain::secret::Secret;
use monitor_domain::time::Timestamp;
use monitor_fakes::github::{RunnerSpec, State};
use monitor_fakes::{FakeAws, FakeGitHub, FakeSlack};
use monitor_pipeline::ports::{Clock as _, QueueError};
use monitor_pipeline::stages::QuotaEstimators;
use monitor_pipeline::testing::doubles::{Outbox, ScriptedChat, ScriptedSource, StillClock};
use monitor_stately::client::{Client, ClientSettings};
use monitor_stately::endpoint::Endpoint;
use monitor_stately::{HttpTransport, StatelyStore};
use monitor_stately_server::{InMemory, StatelyServer};
use monitor_telemetry::SystemClock;
use serde_json::Value;

use crate::batch::{FailureSink, Record};
use crate::host::Invocation;
use crate::metrics::Metrics;
use crate::{Failure, LambdaEnvironment, Sdk};

/// The prefix of the parameters in SSM.
pub const PREFIX: &str = "/github-runner-monitor";
/// The token in SSM.
pub const GITHUB_TOKEN: &str = "ghp_planted_old";
/// The signing secret in SSM.
pub const SIGNING_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
/// The secret of GitHub's webhook in SSM.
pub const WEBHOOK_SECRET: &str = "It's a Secret to Everybody";
/// The queue of check jobs.
pub const CHECKS: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/checks";
/// Its dead-letter queue.
pub const CHECKS_DEAD: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/dead";
/// The queue of state-change messages.
pub const CHANGES: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/changes.fifo";
/// Its dead-letter queue.
pub const CHANGES_DEAD: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/dead.fifo";
/// The name of the function itself.
pub const FUNCTION: &str = "function";

/// The store's id and its schema's in StatelyDB.
const STORE: (u64, u64) = (17, 5);
const STATELYDB_KEY: &str = "planted-key";
const REQUEST_ID: &str = "request-1";

type Handling = Pin<Box<dyn Future<Output = Result<Value, Failure>>>>;

/// A function as it runs, with fakes of everything it reaches over HTTP. GitHub has acme/web with the runner build-1.
pub struct World {
    /// SSM with all settings, and SQS.
    pub aws: FakeAws,
    /// GitHub.
    pub github: FakeGitHub,
    /// Slack, with one webhook.
    pub slack: FakeSlack,
    /// StatelyDB, which demands its access key.
    pub statelydb: StatelyServer,
    /// The store that the function uses.
    pub store: StatelyStore<HttpTransport>,
    handle: Box<dyn Fn(Value, Invocation) -> Handling>,
}

impl World {
    /// Starts the fakes and creates a function by its constructor and its handler. `variables` are in its environment
    /// too, beside the addresses of the fakes.
    pub async fn start<F: 'static>(
        new: impl FnOnce(&LambdaEnvironment, &Sdk) -> F,
        handle: impl AsyncFn(&F, Value, Invocation) -> Result<Value, Failure> + 'static,
        variables: &[(&'static str, &str)],
    ) -> Self {
        let mut github = State::new();
        github.add_token(GITHUB_TOKEN);
        github.add_target("acme/web");
        github.add_runner("acme/web", RunnerSpec::new("build-1"));
        let github = FakeGitHub::start_with(github, 0, monitor_fakes::wall_clock_ms).await.unwrap();
        let (aws, slack) = (FakeAws::start().await.unwrap(), FakeSlack::start().await.unwrap());
        let statelydb = StatelyServer::start().await.unwrap();
        statelydb.state().settings.access_key = Some(STATELYDB_KEY.to_owned());

        let mut environment = queue_urls();
        environment.extend([
            ("AWS_LAMBDA_FUNCTION_NAME", FUNCTION.to_owned()),
            ("GITHUB_API_URL", github.base_url()),
            ("SLACK_API_URL", slack.api_url()),
            ("STATELYDB_ENDPOINT", statelydb.base_url()),
        ]);
        environment.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let environment = LambdaEnvironment::new(move |name| environment.get(name).cloned());
        let function = Rc::new((new(&environment, &Sdk::for_fake(aws.base_url())), handle));
        let handle = Box::new(move |event, invocation| {
            let function = Rc::clone(&function);
            Box::pin(async move { function.1(&function.0, event, invocation).await }) as Handling
        });

        let endpoint = Endpoint::parse(&statelydb.base_url()).unwrap();
        let transport = HttpTransport::new(monitor_http::http(), endpoint).unwrap();
        let settings = ClientSettings::new(STORE.0, STORE.1, Some(Secret::new(STATELYDB_KEY)));
        let store = StatelyStore::new(Client::new(transport, settings));
        let this = Self { aws, github, slack, statelydb, store, handle };
        for (name, value) in [
            ("github-token", GITHUB_TOKEN),
            ("repositories", "acme/web"),
            ("slack-webhook", &this.slack.webhook_url()),
            ("slack-signing-secret", SIGNING_SECRET),
            ("github-webhook-secret", WEBHOOK_SECRET),
            ("statelydb-access-key", STATELYDB_KEY),
            ("statelydb-store-id", &STORE.0.to_string()),
            ("statelydb-schema-id", &STORE.1.to_string()),
        ] {
            this.set(name, value);
        }
        this
    }

    /// Sets a parameter, by its name below the prefix.
    pub fn set(&self, name: &str, value: &str) {
        self.aws.set_parameter(&format!("{PREFIX}/{name}"), value);
    }

    /// Removes a parameter, by its name below the prefix.
    pub fn remove(&self, name: &str) {
        self.aws.remove_parameter(&format!("{PREFIX}/{name}"));
    }

    /// Replaces the store's access key in SSM and in StatelyDB, which then refuses the tokens that it issued.
    pub fn rotate_key(&self, key: &str) {
        self.statelydb.state().settings.access_key = Some(key.to_owned());
        self.statelydb.state().revoke_tokens();
        self.set("statelydb-access-key", key);
    }

    /// Invokes the function with an event in JSON.
    pub async fn invoke(&self, event: impl Display) -> Result<Value, Failure> {
        let deadline = SystemClock.now().plus(Duration::from_secs(60));
        let invocation = Invocation { request_id: REQUEST_ID.to_owned(), deadline };
        (self.handle)(serde_json::from_str(&event.to_string()).unwrap(), invocation).await
    }
}

/// The variables that name the queues.
pub fn queue_urls() -> BTreeMap<&'static str, String> {
    let urls = [
        ("CHECKS_QUEUE_URL", CHECKS),
        ("CHECKS_DEAD_LETTER_QUEUE_URL", CHECKS_DEAD),
        ("CHANGES_QUEUE_URL", CHANGES),
        ("CHANGES_DEAD_LETTER_QUEUE_URL", CHANGES_DEAD),
    ];
    urls.map(|(name, url)| (name, url.to_owned())).into()
}

/// The ports of a handler in memory and in virtual time, and its settings.
pub struct Installation<S> {
    /// StatelyDB.
    pub server: InMemory,
    /// The store in it.
    pub store: StatelyStore<InMemory>,
    /// GitHub.
    pub source: ScriptedSource<'static>,
    /// Slack.
    pub chat: ScriptedChat,
    /// The queue of check jobs.
    pub jobs: Outbox,
    /// The queue of state-change messages.
    pub changes: Outbox,
    /// The clock.
    pub clock: StillClock,
    /// What the scheduler knows of each quota.
    pub quota_estimators: QuotaEstimators,
    /// The handler's settings.
    pub settings: S,
    /// What became of messages that could not be handled.
    pub notes: FailureNotes,
}

impl<S> Installation<S> {
    /// An installation with these settings and nothing stored.
    pub fn new(settings: S) -> Self {
        let server = InMemory::new();
        let client = Client::new(server.clone(), ClientSettings::new(STORE.0, STORE.1, None));
        Self {
            store: StatelyStore::new(client),
            server,
            source: ScriptedSource::default(),
            chat: ScriptedChat::default(),
            jobs: Outbox::default(),
            changes: Outbox::default(),
            clock: StillClock::default(),
            quota_estimators: QuotaEstimators::default(),
            settings,
            notes: FailureNotes::default(),
        }
    }
}

/// Notes what becomes of messages that could not be handled.
#[derive(Default)]
pub struct FailureNotes {
    /// Bodies and reasons.
    pub dead_letter: RefCell<Vec<(String, String)>>,
    /// The waits of the messages that were put off.
    pub put_off: RefCell<Vec<Duration>>,
}

impl FailureSink for FailureNotes {
    async fn dead_letter(&self, record: &Record, reason: &str) -> Result<(), QueueError> {
        self.dead_letter.borrow_mut().push((record.body.clone(), reason.to_owned()));
        Ok(())
    }

    async fn put_off(&self, _: &Record, after: Duration) {
        self.put_off.borrow_mut().push(after);
    }
}

/// The line of metrics of an invocation.
pub fn counted(metrics: &Metrics) -> Value {
    let line = metrics.line(Timestamp::from_epoch_ms(0), REQUEST_ID).unwrap();
    serde_json::from_str(&line).unwrap()
}
