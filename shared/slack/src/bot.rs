//! Slack's Web API by a bot token (<https://docs.slack.dev/reference/methods/chat.postMessage>): messages that can be
//! edited and replied to.

use std::fmt;
use std::time::Duration;

use monitor_domain::notices::{News, Notice};
use monitor_domain::outage::Outage;
use monitor_pipeline::items::{Acknowledgement, Delivered, LiveMessage, Place};
use monitor_pipeline::ports::{Chat, ChatError, EditError, Form, Route};
use reqwest::{Client, StatusCode, Url};
use serde::Serialize;
use serde_json::Value;

use crate::button;
use crate::render::{Message, render_live, render_to};
use crate::web::WebBase;
use crate::webhook::{self, DEFAULT_RETRY_AFTER, dead};
use crate::words::TEST_MESSAGE;

/// What may differ between installations.
#[derive(Clone, Debug)]
pub struct BotSettings {
    /// Where links lead.
    pub web: WebBase,
    /// How long an answer may take, with connecting.
    pub timeout: Duration,
    /// Where the methods are; without a slash at the end.
    pub api_url: String,
    /// Whether alerts have buttons: somebody must answer when they are pressed.
    pub buttons: bool,
}

impl Default for BotSettings {
    /// github.com, 10 s, slack.com, no buttons.
    fn default() -> Self {
        let api_url = "https://slack.com/api".to_owned();
        Self { web: WebBase::default(), timeout: Duration::from_secs(10), api_url, buttons: false }
    }
}

/// A bot's token. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct BotToken(String);

impl BotToken {
    /// From its text, without white space at its ends.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }
}

impl fmt::Debug for BotToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BotToken(***)")
    }
}

/// Sends notices to its channel or to others, and edits them as their outages end.
#[derive(Clone, Debug)]
pub struct Bot {
    http: Client,
    token: BotToken,
    channel: String,
    settings: BotSettings,
}

/// What a method of `chat` takes.
#[derive(Serialize)]
struct Call<'a> {
    channel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<&'a str>,
    unfurl_links: bool,
    unfurl_media: bool,
    /// Whether a reply is shown in the channel too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reply_broadcast: bool,
    #[serde(flatten)]
    message: &'a Message,
}

impl Bot {
    /// A bot that writes to `channel`, by its id or name, where no other is named; reached by `http`, which should follow
    /// no redirects.
    pub fn new(http: Client, token: BotToken, channel: &str, settings: BotSettings) -> Self {
        Self { http, token, channel: channel.to_owned(), settings }
    }

    /// Sends a message that says it is a test.
    pub async fn send_test(&self, to: Route<'_>) -> Result<(), ChatError> {
        let message = Message { text: TEST_MESSAGE.to_owned(), blocks: None, mrkdwn: Some(false) };
        match self.post(&message, self.channel_of(to), None, false).await {
            Ok(_) => Ok(()),
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

    /// A notice as a message, with buttons where it tells of what is open.
    fn message(&self, notice: &Notice, form: Form, to: Route<'_>) -> Message {
        let message = render_to(notice, form, to, &self.settings.web);
        match &notice.target {
            Some(target) if self.settings.buttons && form == Form::Blocks => {
                let open = notice.news.iter().flat_map(button::open_in);
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
    ) -> Result<Delivered, EditError> {
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
        let url = url.map_err(|_| dead("the address of Slack's API is no URL", CHECK))?;
        let request = self.http.get(url).timeout(MEMBERS_WITHIN).bearer_auth(&self.token.0);
        let said = webhook::read(request.send().await.map_err(broken)?, MAX_ANSWER_BYTES).await.map_err(broken)?;
        let answer: Value = serde_json::from_str(&said)
            .map_err(|_| ChatError::Transient("usergroups.users.list: the answer is no JSON".to_owned()))?;
        if answer["ok"] != true {
            let code = answer["error"].as_str().unwrap_or_default();
            let is_word = (2..=60).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let code = if is_word { code } else { "an error" };
            let fix = "give the app the scope usergroups:read and install it again, or fix the group in SLACK_ADMINS";
            return Err(dead(&format!("usergroups.users.list answers {code}"), fix));
        }
        let users = answer["users"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(users.iter().filter_map(|user| user.as_str().map(str::to_owned)).collect())
    }

    async fn call(&self, method: &str, call: &Call<'_>) -> Result<Delivered, EditError> {
        let address = format!("{}/{method}", self.settings.api_url);
        let url = Url::parse(&address).map_err(|_| dead("the address of Slack's API is no URL", CHECK))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let body = serde_json::to_vec(call)
            .map_err(|error| ChatError::ContentRefused(format!("the message cannot be written as JSON: {error}")))?;
        let request = self.http.post(url).timeout(self.settings.timeout).bearer_auth(&self.token.0);
        let request = request.header("content-type", "application/json; charset=utf-8").body(body);
        let broken = |error| webhook::broken(&host, self.settings.timeout, error);
        let answer = request.send().await.map_err(broken)?;
        let (status, retry_after) = (answer.status(), webhook::retry_after(answer.headers()));
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(ChatError::Busy { retry_after: retry_after.unwrap_or(DEFAULT_RETRY_AFTER) }.into());
        }
        if status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY) {
            return Err(ChatError::Transient(format!("{host} answers {status}")).into());
        }
        let said = webhook::read(answer, MAX_ANSWER_BYTES).await.map_err(broken)?;
        match serde_json::from_str::<Value>(&said) {
            Ok(answer) if status.is_success() && answer["ok"] == true => {
                let text = |field: &str| answer[field].as_str().map(str::to_owned);
                Ok(Delivered { channel: text("channel"), ts: text("ts") })
            }
            Ok(answer) if answer["error"].is_string() => {
                Err(sorted(&host, answer["error"].as_str().unwrap_or_default(), retry_after))
            }
            _ => Err(dead(&format!("{host} answers {status}, but not as Slack does"), CHECK).into()),
        }
    }
}

/// The person who asked waits for the answer, and Slack for 3 s.
const MEMBERS_WITHIN: Duration = Duration::from_secs(1);
/// An answer repeats the message: more than this is none of Slack's.
const MAX_ANSWER_BYTES: usize = 256 * 1_024;
const CHECK: &str =
    "see whether SLACK_BOT_TOKEN and SLACK_CHANNEL are what Slack shows, and whether a proxy stands between";

/// What an error of Slack's means for the caller. What is not known here makes messages wait: nothing is lost by that.
fn sorted(host: &str, code: &str, retry_after: Option<Duration>) -> EditError {
    let is_word = (2..=60).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let told = if is_word { format!("{host} answers {code}") } else { format!("{host} answers with an error") };
    EditError::Chat(match code {
        "message_not_found"
        | "cant_update_message"
        | "edit_window_closed"
        | "thread_not_found"
        | "cannot_reply_to_message"
        | "restricted_action_thread_locked" => return EditError::Gone,
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => {
            ChatError::Busy { retry_after: retry_after.unwrap_or(DEFAULT_RETRY_AFTER) }
        }
        "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" | "team_added_to_org" => {
            ChatError::Transient(told)
        }
        "invalid_blocks"
        | "invalid_blocks_format"
        | "msg_blocks_too_long"
        | "msg_too_long"
        | "no_text"
        | "invalid_json"
        | "json_not_object"
        | "invalid_arguments"
        | "markdown_text_conflict" => ChatError::ContentRefused(told),
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            dead(&told, "the bot's token is none any more; install the app again and set SLACK_BOT_TOKEN")
        }
        "missing_scope" | "not_allowed_token_type" | "no_permission" | "access_denied" => {
            dead(&told, "give the app the scope chat:write, install it again and set SLACK_BOT_TOKEN to its bot token")
        }
        "not_in_channel" => dead(&told, "invite the bot to the channel, or give the app the scope chat:write.public"),
        "channel_not_found" | "is_archived" => dead(
            &told,
            "set SLACK_CHANNEL, or the policy's channel, to one that is there; to a private one the bot must be invited",
        ),
        _ => dead(&told, CHECK),
    })
}

impl Chat for Bot {
    async fn send(&self, notice: &Notice, form: Form, to: Route<'_>) -> Result<Delivered, ChatError> {
        match self.post(&self.message(notice, form, to), self.channel_of(to), None, false).await {
            Ok(delivered) => Ok(delivered),
            Err(EditError::Chat(error)) => Err(error),
            Err(EditError::Gone) => Err(dead("Slack refuses the message", CHECK)),
        }
    }

    async fn reply(&self, notice: &Notice, form: Form, to: &Place) -> Result<Delivered, EditError> {
        // Nobody is reminded by what stands in a thread alone.
        let reminds = notice.news.iter().any(|news| matches!(news, News::StillOffline { .. }));
        self.post(&self.message(notice, form, Route::Default), &to.channel, Some(&to.ts), reminds).await
    }

    async fn edit(
        &self,
        message: &LiveMessage,
        notice: &Notice,
        form: Form,
        acknowledged: &[Acknowledgement],
    ) -> Result<(), EditError> {
        let LiveMessage { place, outages } = message;
        let mut message = render_live(outages, notice, form, acknowledged, &self.settings.web);
        if let Some(target) = notice.target.as_ref().filter(|_| self.settings.buttons && form == Form::Blocks) {
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
