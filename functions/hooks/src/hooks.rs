//! The function's secret and queue, kept from one invocation to the next.

use std::time::Duration;

use monitor_aws::host::{self, Invocation};
use monitor_aws::{Failure, LambdaEnvironment, Queue, QueueUrls, ReloadingConfig, Sdk};
use monitor_config::WebhookSettings;
use monitor_github::{RefusedDeliveries, WebhookSecret};
use monitor_pipeline::ports::Clock as _;
use monitor_telemetry::SystemClock;
use serde_json::Value;

use crate::handler::{self, Receiver};

/// The time that is left for the answer to a delivery that could not be sent to the queue.
const RESERVE: Duration = Duration::from_secs(1);

/// The function. Its secret is read when it is first needed.
pub(crate) struct Hooks {
    reloading_config: ReloadingConfig<WebhookSettings, WebhookSecret>,
    queue: Queue,
    refused: RefusedDeliveries,
}

impl Hooks {
    pub(crate) fn new(variables: &LambdaEnvironment, sdk: &Sdk) -> Self {
        let mut queue_urls = QueueUrls::of(variables);
        let queue = Queue::new(sdk.clone(), queue_urls.queue_url("CHECKS_QUEUE_URL"));
        let build = |settings: WebhookSettings| Ok(WebhookSecret::new(settings.github_webhook_secret.expose()));
        let faults = queue_urls.into_faults();
        let reloading_config = ReloadingConfig::new(variables, sdk, faults, WebhookSettings::read, build);
        Self { reloading_config, queue, refused: RefusedDeliveries::default() }
    }

    pub(crate) async fn handle(&self, event: Value, invocation: Invocation) -> Result<Value, Failure> {
        let request = host::request(event, "events/hooks-*.json, signed by events/sign")?;
        let now = SystemClock.now();
        let secret = self.reloading_config.get(now).await?;
        let within = invocation.left(SystemClock.now()).saturating_sub(RESERVE);
        let receiver = Receiver { secret: &secret, queue: &self.queue, refused: &self.refused, within };
        let response = receiver.receive(&request, now, &invocation.request_id).await;
        if response.status_code == handler::UNAUTHORIZED {
            // The secret may have been rotated. Forged deliveries cause few reads: each read that finds nothing new
            // doubles the pause before the next one.
            self.reloading_config.invalidate();
        }
        host::answer(&response)
    }
}
