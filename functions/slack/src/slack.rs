//! The function's clients and settings, kept from one invocation to the next.

use std::time::Duration;

use monitor_access::PageLinks;
use monitor_aws::host::{self, Invocation};
use monitor_aws::{Failure, LambdaEnvironment, OwnFunction, Queue, QueueUrls, ReloadingConfig, Sdk};
use monitor_config::CommandSettings;
use monitor_http::{BuiltInRoots, NetworkStore};
use monitor_pipeline::ports::Clock as _;
use monitor_slack::incoming::SigningSecret;
use monitor_slack::{Admins, CommandHandler, Messenger, Refusals, Replies, WebBase};
use monitor_telemetry::SystemClock;
use serde_json::Value;

use crate::handler::{self, Event};

/// Slack waits 3 s; a cold start, the gateway and the network use part of that.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_800);
/// The least time for an immediate answer, even if reading the settings used nearly all of that. Then it is deferred.
const LEAST_PATIENCE: Duration = Duration::from_millis(200);

/// The function. Its clients are created when they are first needed.
pub(crate) struct Slack {
    reloading_config: ReloadingConfig<CommandSettings, Ready>,
    jobs: Queue,
    refusals: Refusals,
}

/// The clients and values built from the settings.
struct Ready {
    later: OwnFunction,
    store: NetworkStore,
    secret: SigningSecret,
    web: WebBase,
    page: Option<PageLinks>,
    replies: Replies,
    admins: Admins,
    messenger: Option<Messenger>,
}

impl Slack {
    pub(crate) fn new(variables: &LambdaEnvironment, sdk: &Sdk) -> Self {
        let mut queue_urls = QueueUrls::of(variables);
        let jobs = Queue::new(sdk.clone(), queue_urls.queue_url("CHECKS_QUEUE_URL"));
        let (for_ready, environment) = (sdk.clone(), variables.clone());
        let build = move |settings| Ready::of(&settings, &for_ready, &environment);
        let reloading_config =
            ReloadingConfig::new(variables, sdk, queue_urls.into_faults(), CommandSettings::read, build);
        Self { reloading_config, jobs, refusals: Refusals::default() }
    }

    pub(crate) async fn handle(&self, event: Value, invocation: Invocation) -> Result<Value, Failure> {
        let clock = &SystemClock;
        let began = clock.now();
        let event = Event::read(event)?;
        let ready = self.reloading_config.get(began).await?;
        let patience = ANSWER_WITHIN.saturating_sub(clock.now().since(began)).max(LEAST_PATIENCE);
        let Ready { later, store, secret, web, page, replies, admins, messenger } = &*ready;
        let (jobs, refusals) = (&self.jobs, &self.refusals);
        let (page, messenger) = (page.as_ref(), messenger.as_ref());
        let command_handler =
            CommandHandler { store, jobs, later, clock, secret, web, page, admins, messenger, refusals, patience };
        let request_id = &invocation.request_id;
        match event {
            Event::Request(request) => {
                let response = handler::answer(&command_handler, &request, request_id).await;
                if response.status_code == 401 {
                    // The secret may have been rotated. Forged requests cause few reads: each read that finds nothing
                    // new doubles the pause before the next one.
                    self.reloading_config.invalidate();
                }
                host::answer(&response)
            }
            Event::Deferred(work) => handler::follow_up(&command_handler, replies, &work, request_id).await,
        }
    }
}

impl Ready {
    fn of(settings: &CommandSettings, sdk: &Sdk, environment: &LambdaEnvironment) -> Result<Self, Failure> {
        let CommandSettings { slack_signing_secret, slack_admins, slack, web_url, store, allow_http_hosts } = settings;
        let roots = BuiltInRoots::read()?;
        let http = monitor_http::client(roots.http().http1_only())?;
        let store = monitor_http::store(roots.http(), store, || sdk.dynamodb(), SystemClock.random())?;
        let messenger = slack.as_ref().map(|slack| monitor_http::slack(&http, slack, web_url, allow_http_hosts, true));
        let messenger = messenger.transpose()?;
        Ok(Self {
            admins: Admins::new(slack_admins, messenger.as_ref()),
            messenger,
            later: OwnFunction::new(environment, sdk.clone(), http.clone()),
            store,
            secret: SigningSecret::new(slack_signing_secret.expose()),
            // The template sets it if the function `web` is deployed too.
            page: environment.get("PAGE_URL").map(|address| PageLinks::new(slack_signing_secret, &address)),
            web: WebBase::parse(web_url).map_err(Failure::setup)?,
            replies: Replies::new(http),
        })
    }
}
