//! The decoders of Slack's answers, opened for `tests/fuzz`: they are private, for nobody else reads Slack's bytes.

use monitor_pipeline::items::Delivered;
use monitor_pipeline::ports::ChatError;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::webhook::{MAX_ANSWER_BYTES, retry_after, sort};

/// Judges an answer as the webhook does.
pub fn judge_webhook(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Delivered, ChatError> {
    let said = String::from_utf8_lossy(&body[..body.len().min(MAX_ANSWER_BYTES)]);
    sort("hooks.slack.com", status, retry_after(headers), &said)
}

/// Reads a command that was put off, and writes it again; none where the body is no such command.
pub fn rewrite_later(body: &str) -> Option<String> {
    let later = serde_json::from_str::<crate::desk::Later>(body).ok()?;
    serde_json::to_string(&later).ok()
}
