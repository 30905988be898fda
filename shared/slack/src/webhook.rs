//! Slack's incoming webhook (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>).

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use monitor_domain::notices::Notice;
use monitor_domain::policy::bare_channel;
use monitor_pipeline::items::Delivered;
use monitor_pipeline::ports::{Chat, ChatError, Form, Route};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use serde::Serialize;
use serde_json::Value;

use crate::render::{Message, render_to};
use crate::web::WebBase;
use crate::webhook_url::WebhookUrl;
use crate::words::TEST_MESSAGE;

/// Slack's answers are single words; more than this is none of Slack's.
pub(crate) const MAX_ANSWER_BYTES: usize = 1_024;
/// Where a 429 does not say.
pub(crate) const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(30);
/// Bounds what an answer can make one wait.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// What may differ between installations.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Where links lead.
    pub web: WebBase,
    /// How long an answer may take, with connecting.
    pub timeout: Duration,
}

impl Default for WebhookSettings {
    /// github.com, 10 s.
    fn default() -> Self {
        Self { web: WebBase::default(), timeout: Duration::from_secs(10) }
    }
}

/// Sends notices to the channel of a webhook, or to those of others that have names.
pub struct Webhook {
    http: Client,
    url: WebhookUrl,
    named: BTreeMap<String, WebhookUrl>,
    settings: WebhookSettings,
}

impl Webhook {
    /// A webhook at `url`, reached by `http`, which should follow no redirects.
    pub fn new(http: Client, url: WebhookUrl, settings: WebhookSettings) -> Self {
        Self { http, url, named: BTreeMap::new(), settings }
    }

    /// The same, with further webhooks by the names that a policy calls them, without a sign.
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
                .ok_or_else(|| dead("no webhook has this name", "add it to SLACK_WEBHOOKS, or mend the policy")),
        }
    }

    /// Sends a message that says it is a test.
    pub async fn send_test(&self, to: Route<'_>) -> Result<(), ChatError> {
        let message = Message { text: TEST_MESSAGE.to_owned(), blocks: None, mrkdwn: Some(false) };
        self.send_json(&message, to).await.map(drop)
    }

    /// Sends a message to the default channel.
    pub(crate) async fn announce(&self, message: &Message) -> Result<(), ChatError> {
        self.send_json(message, Route::Default).await.map(drop)
    }

    /// Sends what Slack reads as a message.
    pub(crate) async fn send_json(&self, message: &impl Serialize, to: Route<'_>) -> Result<Delivered, ChatError> {
        let url = self.url_of(to)?;
        let body = serde_json::to_vec(message)
            .map_err(|error| ChatError::ContentRefused(format!("the message cannot be written as JSON: {error}")))?;
        self.post(url, body).await
    }

    async fn post(&self, url: &WebhookUrl, body: Vec<u8>) -> Result<Delivered, ChatError> {
        let request = self.http.post(url.url()).timeout(self.settings.timeout);
        let request = request.header("content-type", "application/json; charset=utf-8").body(body);
        let broken = |error| broken(url.host(), self.settings.timeout, error);
        let answer = request.send().await.map_err(broken)?;
        let (status, retry_after) = (answer.status(), retry_after(answer.headers()));
        match read(answer, MAX_ANSWER_BYTES).await {
            Ok(said) => sort(url.host(), status, retry_after, &said),
            // The status tells enough, but for the success that only the body confirms.
            Err(error) if status.is_success() => Err(broken(error)),
            Err(_) => sort(url.host(), status, retry_after, ""),
        }
    }
}

/// What an answer means for the caller.
///
/// A refusal counts as the content's fault only where Slack says so. Whatever else cannot succeed by repeating is
/// taken for a fault of the webhook: then everything stays untold until somebody mends it, and nothing is lost.
pub(crate) fn sort(
    host: &str,
    status: StatusCode,
    retry_after: Option<Duration>,
    said: &str,
) -> Result<Delivered, ChatError> {
    let said = said.trim();
    if status.is_success() {
        return if is_accepted(said) {
            Ok(Delivered::default())
        } else {
            Err(dead(&format!("{host} answers {status}, but not as Slack does"), CHECK_URL))
        };
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(ChatError::Busy { retry_after: retry_after.unwrap_or(DEFAULT_RETRY_AFTER) });
    }
    let code = error_code(said);
    let told = match &code {
        Some(code) => format!("{host} answers {status}: {code}"),
        None => format!("{host} answers {status}"),
    };
    if status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY) {
        return Err(ChatError::Transient(told));
    }
    match (status.as_u16(), code.as_deref()) {
        (
            _,
            Some(
                "invalid_token" | "no_service" | "no_service_id" | "no_active_hooks" | "token_revoked"
                | "account_inactive",
            ),
        ) => Err(dead(&told, "the webhook was revoked or never existed; make a new one in Slack and set its URL")),
        (_, Some("channel_is_archived" | "channel_not_found")) => {
            Err(dead(&told, "its channel is archived or gone; restore it, or set the webhook of another channel"))
        }
        (_, Some("user_not_found" | "no_team" | "team_disabled" | "org_login_required")) => {
            Err(dead(&told, "its workspace or the person it writes to is gone; set another webhook"))
        }
        (403, _) => Err(dead(
            &told,
            "Slack does not let this webhook post; ask an admin of the workspace, or set another webhook",
        )),
        (400 | 413 | 422, Some(_)) | (413, None) => Err(ChatError::ContentRefused(told)),
        (410, _) => {
            Err(dead(&told, "its channel is archived or gone; restore it, or set the webhook of another channel"))
        }
        (404, _) => {
            Err(dead(&told, "the webhook was revoked or never existed; make a new one in Slack and set its URL"))
        }
        _ => Err(dead(&told, CHECK_URL)),
    }
}

/// A request that came to nothing, without the URL.
pub(crate) fn broken(host: &str, timeout: Duration, error: reqwest::Error) -> ChatError {
    let error = error.without_url();
    let what = if error.is_timeout() {
        format!("no answer from {host} within {} s", timeout.as_secs_f32())
    } else if error.is_connect() {
        format!("no connection to {host}")
    } else {
        format!("the connection to {host} broke")
    };
    let innermost = std::iter::successors(error.source(), |&inner| inner.source()).last();
    ChatError::Transient(match innermost {
        Some(reason) if !error.is_timeout() => format!("{what}: {reason}"),
        _ => what,
    })
}

const CHECK_URL: &str = "see whether the webhook's URL is the one that Slack gave, and whether a proxy stands between";

pub(crate) fn dead(told: &str, mend: &str) -> ChatError {
    ChatError::Dead(format!("{told}; {mend}"))
}

impl Chat for Webhook {
    /// Rate limits are obeyed, not foreseen: Slack takes about one message a second, with short bursts.
    async fn send(&self, notice: &Notice, form: Form, to: Route<'_>) -> Result<Delivered, ChatError> {
        self.send_json(&render_to(notice, form, to, &self.settings.web), to).await
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

/// `ok`, or `{"ok":true}` from a webhook of Slack's workflows.
fn is_accepted(said: &str) -> bool {
    said == "ok" || serde_json::from_str::<Value>(said).is_ok_and(|answer| answer["ok"] == true)
}

/// Slack's word for a fault, as text or in `{"ok":false,"error":…}`; anything else may be anybody's page.
fn error_code(said: &str) -> Option<String> {
    let in_json =
        serde_json::from_str::<Value>(said).ok().and_then(|answer| Some(answer["error"].as_str()?.to_owned()));
    let code = in_json.unwrap_or_else(|| said.to_owned());
    let is_word = (3..=60).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_word.then_some(code)
}

pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let secs = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(secs).clamp(Duration::from_secs(1), MAX_RETRY_AFTER))
}

/// The beginning of an answer's body.
pub(crate) async fn read(mut answer: Response, max_bytes: usize) -> Result<String, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk[..chunk.len().min(max_bytes - body.len())]);
        if body.len() == max_bytes {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}
