//! The decoders of Slack's answers, exposed for `tests/fuzz`. They are private otherwise: only this crate uses them.

use monitor_pipeline::items::Delivered;
use monitor_pipeline::ports::EditError;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::answer::{Answer, Via, retry_after};
use crate::webhook::MAX_ANSWER_BYTES;

/// Interprets an answer as the webhook does.
pub fn interpret_webhook(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Delivered, EditError> {
    let body = String::from_utf8_lossy(&body[..body.len().min(MAX_ANSWER_BYTES)]);
    let (host, via, retry_after) = ("hooks.slack.com", Via::Webhook, retry_after(headers));
    Answer { host, via, status, retry_after, body: &body, has_layout: true }.read().map(|taken| taken.delivered)
}

/// Reads a deferred command and serializes it again; `None` if the body is not one.
pub fn rewrite_later(body: &str) -> Option<String> {
    let later = serde_json::from_str::<crate::command_handler::Later>(body).ok()?;
    serde_json::to_string(&later).ok()
}
