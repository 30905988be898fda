//! The messages that Slack keeps, and its answer to the next post.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::blocks;
use super::refused::Refused;
use crate::http::{Answer, Delivery, Request};

/// A message that Slack accepted, as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// When it arrived, in epoch milliseconds.
    pub at_ms: i64,
    /// The path to which it was posted.
    pub path: String,
    /// The JSON body; the latest one if the message was edited.
    pub body: Value,
    /// The message id, if it was posted with a bot token.
    pub ts: Option<String>,
    /// How often it was edited.
    pub edits: u32,
}

impl Message {
    /// The notification text; empty if there are only blocks.
    pub fn text(&self) -> &str {
        self.body["text"].as_str().unwrap_or_default()
    }
}

/// A post that Slack refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status of the answer.
    pub status: u16,
    /// Body of the answer, for example `invalid_blocks`.
    pub error: String,
    /// What was wrong and where; the real Slack does not say so.
    pub reason: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.status, self.error)?;
        if self.reason.is_empty() {
            return Ok(());
        }
        write!(formatter, " ({})", self.reason)
    }
}

/// How a post can fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429 with this `Retry-After`, in seconds.
    RateLimited(u64),
    /// This status and body, for example 500, 403 `action_prohibited` or 410 `channel_is_archived`.
    Answer(u16, &'static str),
    /// No answer, ever; the message is not kept.
    Hang,
    /// The connection is reset; the message is not kept.
    Reset,
    /// The message is kept and the connection closed without an answer.
    LostAnswer,
    /// The normal answer after this many milliseconds.
    Slow(u64),
}

/// The bot's token.
pub const BOT_TOKEN: &str = "xoxb-0-0-notasecrettoken";
/// The name of the channel that the bot may write to.
pub const CHANNEL: &str = "#runners";
/// The id of that channel.
pub const CHANNEL_ID: &str = "C0FAKE";

/// A Slack with one incoming webhook and one bot in one channel, unless more are added; see [`State::handle`].
#[derive(Clone)]
pub struct State {
    /// Pause before every answer, in milliseconds.
    pub latency_ms: u64,
    /// The least time between two messages, in milliseconds; earlier ones are answered with 429. Slack's is about 1000.
    pub min_interval_ms: Option<u32>,
    /// Whether earlier messages can no longer be edited or replied to.
    pub messages_are_gone: bool,
    /// Whether an edit with blocks is refused with `invalid_blocks`.
    pub edits_take_no_blocks: bool,
    webhook_path: String,
    further_webhooks: Vec<String>,
    /// The channels that the bot may write to: by id, the name and whether the channel is archived.
    channels: BTreeMap<String, (String, bool)>,
    /// The user ids of each user group.
    groups: BTreeMap<String, Vec<String>>,
    messages: Vec<Message>,
    refusals: Vec<Refusal>,
    posts: u64,
    queued: VecDeque<Fault>,
    standing: Option<Fault>,
}

impl State {
    /// A Slack with a webhook at this path (`/services/T…/B…/…`).
    pub fn new(webhook_path: &str) -> Self {
        Self {
            latency_ms: 0,
            min_interval_ms: None,
            messages_are_gone: false,
            edits_take_no_blocks: false,
            webhook_path: webhook_path.to_owned(),
            further_webhooks: Vec::new(),
            channels: BTreeMap::from([(CHANNEL_ID.to_owned(), (CHANNEL.to_owned(), false))]),
            groups: BTreeMap::new(),
            messages: Vec::new(),
            refusals: Vec::new(),
            posts: 0,
            queued: VecDeque::new(),
            standing: None,
        }
    }

    /// The path of the webhook.
    pub fn webhook_path(&self) -> &str {
        &self.webhook_path
    }

    /// Replaces the webhook, as if it was revoked and created again: the old path is answered with 404.
    pub fn replace_webhook(&mut self, path: &str) {
        path.clone_into(&mut self.webhook_path);
    }

    /// Adds the webhook of another channel.
    pub fn add_webhook(&mut self, path: &str) {
        self.further_webhooks.push(path.to_owned());
    }

    /// Revokes an added webhook: its path is answered with 404.
    pub fn revoke_webhook(&mut self, path: &str) {
        self.further_webhooks.retain(|known| known != path);
    }

    /// Adds a channel that the bot may write to.
    pub fn add_channel(&mut self, id: &str, name: &str) {
        self.channels.insert(id.to_owned(), (name.to_owned(), false));
    }

    /// Sets the members of a user group.
    pub fn set_user_group(&mut self, id: &str, people: &[&str]) {
        self.groups.insert(id.to_owned(), people.iter().map(|&person| person.to_owned()).collect());
    }

    /// Archives a channel: nothing is written or edited there any more.
    pub fn archive_channel(&mut self, id: &str) {
        if let Some((_, is_archived)) = self.channels.get_mut(id) {
            *is_archived = true;
        }
    }

    /// The messages kept, oldest first.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The posts answered with an error, oldest first.
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// The number of all posts, with any outcome.
    pub fn posts(&self) -> u64 {
        self.posts
    }

    /// Forgets all posts; faults stay set.
    pub fn forget_messages(&mut self) {
        self.messages.clear();
        self.refusals.clear();
        self.posts = 0;
    }

    /// Sets a fault for the next `times` posts, after the faults already queued.
    pub fn fault_next(&mut self, fault: Fault, times: usize) {
        self.queued.extend(std::iter::repeat_n(fault, times));
    }

    /// Sets a fault for every post without a queued fault.
    pub fn fault_always(&mut self, fault: Fault) {
        self.standing = Some(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&mut self) {
        self.queued.clear();
        self.standing = None;
    }

    /// Answers one request at this time, in epoch milliseconds; uses no clock and no network.
    pub fn handle(&mut self, request: &Request, now_ms: i64) -> Answer {
        self.posts += 1;
        let fault = self.queued.pop_front().or_else(|| self.standing.clone());
        let mut answer = match &fault {
            Some(Fault::RateLimited(secs)) => self.rate_limited(*secs, "injected fault"),
            Some(Fault::Answer(status, error)) => self.refuse(*status, error, "injected fault"),
            Some(Fault::Hang) => Answer::undelivered(Delivery::Never),
            Some(Fault::Reset) => Answer::undelivered(Delivery::Reset),
            Some(Fault::LostAnswer) => {
                let mut answer = self.post(request, now_ms);
                answer.delivery = Delivery::Closed;
                answer
            }
            Some(Fault::Slow(delay_ms)) => {
                let mut answer = self.post(request, now_ms);
                answer.delay_ms += delay_ms;
                answer
            }
            None => self.post(request, now_ms),
        };
        answer.delay_ms += self.latency_ms;
        answer
    }

    fn post(&mut self, request: &Request, now_ms: i64) -> Answer {
        if let Some(method) = request.path.strip_prefix("/api/") {
            return self.call(method, request, now_ms);
        }
        // The response URLs of commands and buttons. A real one expires after five answers, or half an hour.
        let is_reply = ["/commands/", "/actions/"].iter().any(|start| request.path.starts_with(start));
        let is_webhook = request.path == self.webhook_path || self.further_webhooks.contains(&request.path);
        if !is_webhook && !is_reply {
            return self.refuse(404, "no_service", "no such webhook");
        }
        if request.method != "POST" {
            return self.refuse(405, "method_not_allowed", &request.method);
        }
        let body = match payload(request) {
            Ok(body) => body,
            Err(refused) => return self.refuse(400, refused.error, &refused.reason),
        };
        let last = self.messages.last().map(|message| message.at_ms);
        let due = last.zip(self.min_interval_ms).map_or(i64::MIN, |(last, interval)| last + i64::from(interval));
        if now_ms < due {
            let secs = (due - now_ms).unsigned_abs().div_ceil(1000);
            return self.rate_limited(secs, "too soon after the last message");
        }
        self.keep(request, now_ms, body, None);
        Answer::new(200, "text/html", "ok")
    }

    fn keep(&mut self, request: &Request, at_ms: i64, body: Value, ts: Option<String>) {
        self.messages.push(Message { at_ms, path: request.path.clone(), body, ts, edits: 0 });
    }

    /// A method of the Web API: `chat.postMessage`, `chat.update` or `usergroups.users.list`, with the bot's token, in
    /// the bot's channels.
    fn call(&mut self, method: &str, request: &Request, now_ms: i64) -> Answer {
        let token = request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
        if token != Some(BOT_TOKEN) {
            return self.not_ok(if token.is_some() { "invalid_auth" } else { "not_authed" });
        }
        if method == "usergroups.users.list" {
            return match request.parameter("usergroup").and_then(|id| self.groups.get(id)) {
                Some(users) => {
                    let answer = serde_json::json!({"ok": true, "users": users});
                    Answer::new(200, "application/json", answer.to_string())
                }
                None => self.not_ok("no_such_subteam"),
            };
        }
        let body = match payload(request) {
            Ok(body) => body,
            Err(refused) => return self.not_ok(refused.error),
        };
        let wanted = body["channel"].as_str().unwrap_or_default();
        let is_it = |(id, (name, _)): &(&String, &(String, bool))| *id == wanted || name == wanted;
        let Some((channel, is_archived)) =
            self.channels.iter().find(is_it).map(|(id, (_, is_archived))| (id.clone(), *is_archived))
        else {
            return self.not_ok("channel_not_found");
        };
        if is_archived {
            return self.not_ok("is_archived");
        }
        let find = |messages: &[Message], ts: &Value| {
            let is_it = |message: &Message| message.ts.as_deref().is_some_and(|known| ts.as_str() == Some(known));
            messages.iter().position(is_it)
        };
        let ts = match method {
            "chat.postMessage" => {
                let thread = &body["thread_ts"];
                if !thread.is_null() && (self.messages_are_gone || find(&self.messages, thread).is_none()) {
                    return self.not_ok("thread_not_found");
                }
                let ts = format!("{}.{:06}", now_ms / 1_000, self.posts);
                self.keep(request, now_ms, body, Some(ts.clone()));
                ts
            }
            // The real method accepts only the channel's id, not its name.
            "chat.update" if body["channel"] != *channel => return self.not_ok("channel_not_found"),
            "chat.update"
                if self.edits_take_no_blocks && body["blocks"].as_array().is_some_and(|all| !all.is_empty()) =>
            {
                return self.not_ok("invalid_blocks");
            }
            "chat.update" => match find(&self.messages, &body["ts"]).filter(|_| !self.messages_are_gone) {
                Some(at) => {
                    let ts = body["ts"].as_str().unwrap_or_default().to_owned();
                    let message = &mut self.messages[at];
                    // Slack's documentation has said both: an edit without `blocks` keeps them, and it removes them.
                    let mut body = body;
                    if body["blocks"].is_null() && !message.body["blocks"].is_null() {
                        body["blocks"] = message.body["blocks"].take();
                    }
                    (message.body, message.edits) = (body, message.edits + 1);
                    ts
                }
                None => return self.not_ok("message_not_found"),
            },
            _ => return self.not_ok("unknown_method"),
        };
        let answer = serde_json::json!({"ok": true, "channel": channel, "ts": ts});
        Answer::new(200, "application/json", answer.to_string())
    }

    /// An error of the Web API; its status is 200.
    fn not_ok(&mut self, error: &str) -> Answer {
        self.refusals.push(Refusal { status: 200, error: error.to_owned(), reason: String::new() });
        Answer::new(200, "application/json", serde_json::json!({"ok": false, "error": error}).to_string())
    }

    fn rate_limited(&mut self, retry_after_secs: u64, reason: &str) -> Answer {
        let mut answer = self.refuse(429, "rate_limited", reason);
        answer.add_header("retry-after", retry_after_secs.to_string());
        answer
    }

    fn refuse(&mut self, status: u16, error: &str, reason: &str) -> Answer {
        self.refusals.push(Refusal { status, error: error.to_owned(), reason: reason.to_owned() });
        Answer::new(status, "text/html", error)
    }
}

fn payload(request: &Request) -> Result<Value, Refused> {
    let invalid = |reason: &str| Refused::new("invalid_payload", reason);
    let content_type = request.header("content-type").unwrap_or_default();
    if !content_type.starts_with("application/json") {
        return Err(invalid("content-type is not application/json"));
    }
    let body: Value = serde_json::from_slice(&request.body).map_err(|error| invalid(&error.to_string()))?;
    if !body.is_object() {
        return Err(invalid("not a JSON object"));
    }
    let text = match &body["text"] {
        Value::Null => "",
        Value::String(text) => text,
        _ => return Err(invalid("text is not a string")),
    };
    match &body["blocks"] {
        Value::Null => {}
        Value::Array(blocks) => blocks::check(blocks)?,
        _ => return Err(Refused::new("invalid_blocks", "blocks: not an array")),
    }
    let has_blocks = body["blocks"].as_array().is_some_and(|all| !all.is_empty());
    if text.trim().is_empty() && !has_blocks {
        return Err(Refused::new("no_text", "neither text nor blocks"));
    }
    Ok(body)
}
