//! The notifier's clients and settings, kept from one invocation to the next.

use monitor_aws::batch::Budget;
use monitor_aws::host::{self, Invocation};
use monitor_aws::{DeadLetters, Failure, LambdaEnvironment, QueueUrls, ReloadingConfig, Sdk};
use monitor_config::NotifierSettings;
use monitor_domain::policy::Policy;
use monitor_http::{BuiltInRoots, NetworkStore};
use monitor_pipeline::ports::Clock as _;
use monitor_pipeline::stages::{Notify, NotifySettings};
use monitor_slack::Messenger;
use monitor_telemetry::SystemClock;
use serde_json::Value;

use crate::handler::{Batch, Report, WatchedChat};

/// The notifier. Its clients are created when they are first needed.
pub struct Notifier {
    reloading_config: ReloadingConfig<NotifierSettings, Ready>,
    dead_letters: DeadLetters,
    stack: Option<String>,
}

/// The clients and values built from the settings.
struct Ready {
    store: NetworkStore,
    slack: Messenger,
    policy: Policy,
}

impl Notifier {
    /// Reads only the queue URLs; everything else is read when it is first needed.
    pub fn new(variables: &LambdaEnvironment, sdk: &Sdk) -> Self {
        let mut queue_urls = QueueUrls::of(variables);
        let dead_letters = DeadLetters::new(sdk.clone(), queue_urls.queue_url("CHANGES_DEAD_LETTER_QUEUE_URL"));
        let for_store = sdk.clone();
        let build = move |settings| Ready::of(&settings, &for_store);
        let reloading_config =
            ReloadingConfig::new(variables, sdk, queue_urls.into_faults(), NotifierSettings::read, build);
        Self { reloading_config, dead_letters, stack: variables.stack() }
    }

    /// Handles one invocation.
    pub async fn handle(&self, event: Value, invocation: Invocation) -> Result<Value, Failure> {
        let event = host::messages(event)?;
        let clock = &SystemClock;
        let now = clock.now();
        let ready = self.reloading_config.get(now).await?;
        let chat = WatchedChat::new(&ready.slack);
        let (store, policy, settings) = (&ready.store, &ready.policy, NotifySettings::default());
        let notify = Notify { store, chat: &chat, clock, policy, settings };
        let budget = Budget::of(invocation.left(now));
        let batch =
            Batch { notify: &notify, failure_sink: &self.dead_letters, budget, request_id: &invocation.request_id };
        let Report { response, metrics, reload_settings } = batch.handle(event).await;
        if reload_settings {
            self.reloading_config.invalidate();
        }
        host::publish(metrics, self.stack.as_deref(), clock.now(), &invocation.request_id);
        host::answer(&response)
    }
}

impl Ready {
    fn of(settings: &NotifierSettings, sdk: &Sdk) -> Result<Self, Failure> {
        let roots = BuiltInRoots::read()?;
        let NotifierSettings { slack, policy, web_url, store, allow_http_hosts } = settings;
        // A connection of HTTP/1.1 carries one request at a time, so one that timed out is never used again.
        let client = monitor_http::client(roots.http().http1_only())?;
        // The slack function of the same stack answers when a button is pressed.
        let slack = monitor_http::slack(&client, slack, web_url, allow_http_hosts, true)?;
        let store = monitor_http::store(roots.http(), store, || sdk.dynamodb(), SystemClock.random())?;
        Ok(Self { store, slack, policy: policy.clone() })
    }
}
