//! Slack's answers to a message.

use std::time::Duration;

use monitor_pipeline::ports::ChatError;
use monitor_slack::fuzzing::judge_webhook;

use crate::answer::answer;
use crate::words::{SECRET, assert_bearable};

const LONGEST: usize = 400;

/// An answer is taken, or sorted by what the caller can do; nothing of it is repeated but a word of Slack's.
pub(crate) fn answers(input: &[u8]) {
    let Some((status, headers, body)) = answer(input) else { return };
    let _ = rustls::crypto::ring::default_provider().install_default();
    match judge_webhook(status, &headers, &body) {
        Ok(_) => assert!(status.is_success(), "{status} is no success"),
        Err(ChatError::Busy { retry_after }) => {
            assert_eq!(status.as_u16(), 429, "only a limit makes one wait");
            assert!((Duration::from_secs(1)..=Duration::from_secs(3_600)).contains(&retry_after), "{retry_after:?}");
        }
        Err(error) => {
            let text = error.to_string();
            // The webhook's own address is the secret here.
            assert!(!text.contains("services/"), "the webhook is told: {text}");
            assert_bearable(&text.replace(SECRET, "…"), LONGEST);
            let is_transient = matches!(error, ChatError::Transient(_));
            let is_passing = status.is_server_error() || matches!(status.as_u16(), 408 | 425);
            assert_eq!(is_transient, is_passing, "{status} is sorted as {error:?}");
        }
    }
}
