//! Slack's Web API with a bot token (<https://docs.slack.dev/reference/methods/chat.postMessage>): messages that can be
//! edited and replied to.

use std::time::Duration;

use monitor_domain::notifications::{Notification, NotificationItem};
use monitor_domain::outage::Outage;
use monitor_domain::secret::Secret;
use monitor_pipeline::items::{Acknowledgement, Delivered, LiveMessage, MessagePlace};
use monitor_pipeline::ports::{Chat, ChatError, EditError, Form, Route};
use reqwest::{Client, Url};
use serde::Serialize;
use serde_json::Value;

use crate::answer::{self, Answer, Taken, Via, dead};
use crate::button;
use crate::messages::TEST_MESSAGE;
use crate::render::{Message, render_live, render_to};
use crate::web::WebBase;

/// What may differ between installations.
#[derive(Clone, Debug)]
pub struct BotSettings {
    /// Where links lead.
    pub web: WebBase,
    /// The limit for a request including the connection. Longer than the client's connect timeout, to distinguish
    /// messages that were never sent from those that may have arrived.
    pub timeout: Duration,
    /// The base URL of the API methods, without a trailing slash.
    pub api_url: String,
    /// Whether alerts have buttons; only if a command handler answers them.
    pub buttons: bool,
}

impl Default for BotSettings {
    /// github.com, 15 s, slack.com, no buttons.
    fn default() -> Self {
        let api_url = "https://slack.com/api".to_owned();
        Self { web: WebBase::default(), timeout: Duration::from_secs(15), api_url, buttons: false }
    }
}

/// Sends notifications to its channel or to others, and edits them as their outages end.
#[derive(Clone, Debug)]
pub struct Bot {
    http: Client,
    token: Secret,
    channel: String,
    settings: BotSettings,
}

/// The arguments of a `chat` method.
#[derive(Serialize)]
struct Call<'a> {
    channel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<&'a str>,
    unfurl_links: bool,
    unfurl_media: bool,
    /// Whether a thread reply is also shown in the channel.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reply_broadcast: bool,
    #[serde(flatten)]
    message: &'a Message,
}

impl Bot {
    /// A bot that by default posts to `channel`, an id or a name. `http` should not follow redirects.
    pub fn new(http: Client, token: Secret, channel: &str, settings: BotSettings) -> Self {
        Self { http, token, channel: channel.to_owned(), settings }
    }

    /// Sends the test message.
    pub async fn send_test(&self, to: Route<'_>) -> Result<Taken, ChatError> {
        let message = Message { text: TEST_MESSAGE.to_owned(), blocks: None, mrkdwn: Some(false) };
        match self.post(&message, self.channel_of(to), None, false).await {
            Ok(taken) => Ok(taken),
            Err(EditError::Chat(error)) => Err(error),
            Err(EditError::Gone) => Err(dead("Slack refuses the message", CHECK)),
        }
    }

    fn channel_of<'a>(&'a self, to: Route<'a>) -> &'a str {
        match to {
            Route::Default | Route::InsteadOf { .. } => &self.channel,
            Route::Channel(channel) => channel,
        }
    }

    /// A notification as a message, with buttons if it has open outages.
    fn message(&self, notification: &Notification, form: Form, to: Route<'_>) -> Message {
        let message = render_to(notification, form, to, &self.settings.web);
        match &notification.target {
            Some(target) if self.settings.buttons && form == Form::Blocks => {
                let open = notification.items.iter().flat_map(button::open_in);
                button::with_buttons(message, target, open, |_| false)
            }
            _ => message,
        }
    }

    async fn post(
        &self,
        message: &Message,
        channel: &str,
        thread_ts: Option<&str>,
        reply_broadcast: bool,
    ) -> Result<Taken, EditError> {
        let call =
            Call { channel, ts: None, thread_ts, unfurl_links: false, unfurl_media: false, reply_broadcast, message };
        self.call("chat.postMessage", &call).await
    }

    /// Sends a message to the default channel.
    pub(crate) async fn announce(&self, message: &Message) -> Result<(), ChatError> {
        match self.post(message, &self.channel, None, false).await {
            Ok(_) => Ok(()),
            Err(EditError::Chat(error)) => Err(error),
            Err(EditError::Gone) => Err(dead("Slack refuses the message", CHECK)),
        }
    }

    /// The ids of the people in a user group; needs the scope `usergroups:read`.
    pub(crate) async fn members_of(&self, group: &str) -> Result<Vec<String>, ChatError> {
        let broken = |error: reqwest::Error| ChatError::Transient(error.without_url().to_string());
        let url =
            Url::parse_with_params(&format!("{}/usergroups.users.list", self.settings.api_url), [("usergroup", group)]);
        let url = url.map_err(|_| dead("the address of Slack's API is not a URL", CHECK))?;
        let request = self.http.get(url).timeout(MEMBERS_WITHIN).bearer_auth(self.token.expose());
        let said = answer::read(request.send().await.map_err(broken)?, MAX_ANSWER_BYTES).await.map_err(broken)?;
        let members: Value = serde_json::from_str(&said)
            .map_err(|_| ChatError::Transient("usergroups.users.list: the answer is not JSON".to_owned()))?;
        if members["ok"] != true {
            let code = members["error"].as_str().unwrap_or_default();
            let is_word = (2..=60).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let code = if is_word { code } else { "an error" };
            let fix = "give the app the scope usergroups:read and install it again, or fix the group in SLACK_ADMINS";
            return Err(dead(&format!("usergroups.users.list answered {code}"), fix));
        }
        let users = members["users"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(users.iter().filter_map(|user| user.as_str().map(str::to_owned)).collect())
    }

    async fn call(&self, method: &str, call: &Call<'_>) -> Result<Taken, EditError> {
        let address = format!("{}/{method}", self.settings.api_url);
        let url = Url::parse(&address).map_err(|_| dead("the address of Slack's API is not a URL", CHECK))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let body = serde_json::to_vec(call)
            .map_err(|error| ChatError::ContentRefused(format!("the message cannot be written as JSON: {error}")))?;
        let request = self.http.post(url).timeout(self.settings.timeout).bearer_auth(self.token.expose());
        let request = request.header("content-type", "application/json; charset=utf-8").body(body);
        let broken = |error| answer::broken(&host, self.settings.timeout, error);
        let answer = request.send().await.map_err(broken)?;
        let (status, retry_after) = (answer.status(), answer::retry_after(answer.headers()));
        let body = match answer::read(answer, MAX_ANSWER_BYTES).await {
            Ok(body) => body,
            // Only the body says whether a 2xx is a success.
            Err(error) if status.is_success() => return Err(broken(error).into()),
            Err(_) => String::new(),
        };
        let has_layout = call.message.blocks.as_ref().is_some_and(|blocks| !blocks.is_empty());
        Answer { host: &host, via: Via::Bot, status, retry_after, body: &body, has_layout }.read()
    }
}

/// The caller waits for the answer, and Slack allows 3 s.
const MEMBERS_WITHIN: Duration = Duration::from_secs(1);
/// An answer repeats the message; a longer one is not from Slack.
const MAX_ANSWER_BYTES: usize = 256 * 1_024;
const CHECK: &str =
    "check that SLACK_BOT_TOKEN and SLACK_CHANNEL are what Slack shows, and whether a proxy answers in its place";

impl Chat for Bot {
    async fn send(&self, notification: &Notification, form: Form, to: Route<'_>) -> Result<Delivered, ChatError> {
        match self.post(&self.message(notification, form, to), self.channel_of(to), None, false).await {
            Ok(taken) => Ok(taken.delivered),
            Err(EditError::Chat(error)) => Err(error),
            Err(EditError::Gone) => Err(dead("Slack refuses the message", CHECK)),
        }
    }

    async fn reply(&self, notification: &Notification, form: Form, to: &MessagePlace) -> Result<Delivered, EditError> {
        // A reminder in a thread alone would go unseen.
        let is_reminder = |item: &NotificationItem| {
            matches!(item, NotificationItem::StillOffline { .. } | NotificationItem::RemovalNear { .. })
        };
        let reminds = notification.items.iter().any(is_reminder);
        self.post(&self.message(notification, form, Route::Default), &to.channel, Some(&to.ts), reminds)
            .await
            .map(|taken| taken.delivered)
    }

    async fn edit(
        &self,
        message: &LiveMessage,
        notification: &Notification,
        form: Form,
        acknowledged: &[Acknowledgement],
    ) -> Result<(), EditError> {
        let LiveMessage { place, outages } = message;
        let mut message = render_live(outages, notification, form, acknowledged, &self.settings.web);
        if let Some(target) = notification.target.as_ref().filter(|_| self.settings.buttons && form == Form::Blocks) {
            let is_acknowledged = |outage: &Outage| {
                acknowledged.iter().any(|item| (item.runner_id, item.outage_id) == (outage.runner_id, outage.id))
            };
            message = button::with_buttons(
                message,
                target,
                outages.iter().filter(|outage| outage.is_open()),
                is_acknowledged,
            );
        }
        let (channel, ts) = (&*place.channel, Some(&*place.ts));
        let call = Call {
            channel,
            ts,
            thread_ts: None,
            unfurl_links: false,
            unfurl_media: false,
            reply_broadcast: false,
            message: &message,
        };
        self.call("chat.update", &call).await.map(drop)
    }
}
