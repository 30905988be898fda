//! The decoders of Slack's answers, opened for `tests/fuzz`: they are private, for nobody else reads Slack's bytes.

use std::sync::OnceLock;

use monitor_pipeline::items::Delivered;
use monitor_pipeline::ports::ChatError;
use reqwest::header::HeaderMap;
use reqwest::{Client, StatusCode};

use crate::webhook::{MAX_ANSWER_BYTES, Webhook, WebhookSettings, retry_after};
use crate::webhook_url::WebhookUrl;

/// Judges an answer as the webhook does. The host installs the TLS provider.
pub fn judge_webhook(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Delivered, ChatError> {
    static WEBHOOK: OnceLock<Webhook> = OnceLock::new();
    let webhook = WEBHOOK.get_or_init(|| {
        let url = WebhookUrl::parse("https://hooks.slack.com/services/T0/B0/hunter2", &[]);
        Webhook::new(Client::new(), url.expect("the address is one"), WebhookSettings::default())
    });
    let said = String::from_utf8_lossy(&body[..body.len().min(MAX_ANSWER_BYTES)]);
    webhook.sort(status, retry_after(headers), &said)
}

/// Reads a command that was put off, and writes it again; none where the body is no such command.
pub fn rewrite_later(body: &str) -> Option<String> {
    let later = serde_json::from_str::<crate::desk::Later>(body).ok()?;
    serde_json::to_string(&later).ok()
}
