//! Slack's incoming webhook (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use monitor_domain::notifications::Notification;
use monitor_domain::policy::bare_channel;
use monitor_pipeline::items::Delivered;
use monitor_pipeline::ports::{Chat, ChatError, EditError, Form, Route};
use reqwest::Client;
use serde::Serialize;
use tracing::{debug, warn};

use crate::answer::{self, Answer, Taken, Via, dead};
use crate::messages::TEST_MESSAGE;
use crate::render::{Message, render_to};
use crate::web::WebBase;
use crate::webhook_url::WebhookUrl;

/// Slack answers with a single word; a longer answer is not from Slack.
pub(crate) const MAX_ANSWER_BYTES: usize = 1_024;

/// What may differ between installations.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Where links lead.
    pub web: WebBase,
    /// The limit for a request including the connection. Longer than the client's connect timeout, to distinguish
    /// messages that were never sent from those that may have arrived.
    pub timeout: Duration,
}

impl Default for WebhookSettings {
    /// github.com, 15 s.
    fn default() -> Self {
        Self { web: WebBase::default(), timeout: Duration::from_secs(15) }
    }
}

/// Sends notifications to the channel of a webhook, or to those of further, named webhooks.
pub struct Webhook {
    http: Client,
    url: WebhookUrl,
    named: BTreeMap<String, WebhookUrl>,
    settings: WebhookSettings,
}

impl Webhook {
    /// A webhook at `url`. `http` should not follow redirects.
    pub fn new(http: Client, url: WebhookUrl, settings: WebhookSettings) -> Self {
        Self { http, url, named: BTreeMap::new(), settings }
    }

    /// The same, with further webhooks by the channel names that a policy uses, without `#`.
    pub fn with_named(mut self, named: BTreeMap<String, WebhookUrl>) -> Self {
        self.named = named;
        self
    }

    fn url_of(&self, to: Route<'_>) -> Result<&WebhookUrl, ChatError> {
        match to {
            Route::Default | Route::InsteadOf { .. } => Ok(&self.url),
            Route::Channel(name) => self
                .named
                .get(bare_channel(name))
                .ok_or_else(|| dead("no webhook has this name", "add it to SLACK_WEBHOOKS, or fix the policy")),
        }
    }

    /// Sends the test message.
    pub async fn send_test(&self, to: Route<'_>) -> Result<Taken, ChatError> {
        let message = Message { text: TEST_MESSAGE.to_owned(), blocks: None, mrkdwn: Some(false) };
        self.send_json(&message, to, false).await
    }

    /// Sends a message to the default channel.
    pub(crate) async fn announce(&self, message: &Message) -> Result<(), ChatError> {
        self.send_json(message, Route::Default, message.blocks.is_some()).await.map(drop)
    }

    /// Sends the JSON of a message.
    pub(crate) async fn send_json(
        &self,
        message: &impl Serialize,
        to: Route<'_>,
        has_layout: bool,
    ) -> Result<Taken, ChatError> {
        let url = self.url_of(to)?;
        let body = serde_json::to_vec(message)
            .map_err(|error| ChatError::ContentRefused(format!("the message cannot be written as JSON: {error}")))?;
        self.post(url, body, has_layout).await
    }

    async fn post(&self, url: &WebhookUrl, body: Vec<u8>, has_layout: bool) -> Result<Taken, ChatError> {
        let host = url.host();
        let request = self.http.post(url.url()).timeout(self.settings.timeout);
        let request = request.header("content-type", "application/json; charset=utf-8").body(body);
        let broken = |error| answer::broken(host, self.settings.timeout, error);
        let answer = request.send().await.map_err(broken)?;
        let (status, retry_after) = (answer.status(), answer::retry_after(answer.headers()));
        // The status is enough: a 2xx whose body is lost is still a success.
        let body = answer::read(answer, MAX_ANSWER_BYTES).await.unwrap_or_default();
        let answer = Answer { host, via: Via::Webhook, status, retry_after, body: &body, has_layout };
        answer.read().map_err(|error| match error {
            EditError::Chat(error) => error,
            EditError::Gone => dead(&format!("{host} refused the message"), "set another webhook"),
        })
    }
}

/// Logs if nothing proves that a message arrived.
fn logged(taken: Taken) -> Delivered {
    match &taken.oddity {
        Some(oddity) if oddity.contains("a web page") => warn!(oddity, "a message counts as delivered"),
        Some(oddity) => debug!(oddity, "a message counts as delivered"),
        None => {}
    }
    taken.delivered
}

impl Chat for Webhook {
    /// No pacing ahead of rate limits: Slack accepts about one message a second, with short bursts, and 429 is obeyed.
    async fn send(&self, notification: &Notification, form: Form, to: Route<'_>) -> Result<Delivered, ChatError> {
        let message = render_to(notification, form, to, &self.settings.web);
        self.send_json(&message, to, message.blocks.is_some()).await.map(logged)
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("url", &self.url)
            .field("named", &self.named.len())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
