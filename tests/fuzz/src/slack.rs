//! Slack's answers to a message, and Slack's requests: slash commands and buttons.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use monitor_domain::time::Timestamp;
use monitor_pipeline::commands::Command;
use monitor_pipeline::ports::{ChatError, EditError};
use monitor_slack::Reply;
use monitor_slack::fuzzing::{interpret_webhook, rewrite_later};
use monitor_slack::incoming::{self, Asked, CommandFault, Incoming, RawRequest, Refusal, SigningSecret, decode};

use crate::answer::{answer, headers};
use crate::text_checks::{SECRET, assert_bearable};

const LONGEST: usize = 400;
const NOW: Timestamp = Timestamp::from_epoch_ms(1_800_000_000_000);

/// An answer is a success, or an error of the kind that the caller must handle. Only Slack's error code is quoted.
pub(crate) fn answers(input: &[u8]) {
    let Some((status, headers, body)) = answer(input) else { return };
    let _ = rustls::crypto::ring::default_provider().install_default();
    match interpret_webhook(status, &headers, &body) {
        Ok(_) => assert!(status.is_success(), "{status} counts as a success"),
        Err(EditError::Gone) => {}
        Err(EditError::Chat(ChatError::Busy { retry_after })) => {
            assert!((Duration::from_secs(1)..=Duration::from_secs(3_600)).contains(&retry_after), "{retry_after:?}");
        }
        Err(EditError::Chat(error)) => {
            let text = error.to_string();
            // Here the webhook's address is the secret.
            assert!(!text.contains("services/"), "an error contains the webhook: {text}");
            assert_bearable(&text.replace(SECRET, "…"), LONGEST);
            let is_passing = status.is_server_error() || matches!(status.as_u16(), 408 | 425);
            assert!(!is_passing || matches!(error, ChatError::Transient(_)), "{status} counts as {error:?}");
        }
    }
}

/// A request that Slack signed is decoded in the same way however it arrives. Any other request is refused, and no
/// refusal quotes it. The headers in the input are those of a forger.
pub(crate) fn requests(input: &[u8]) {
    let (headers, body) = headers(input);
    let decoded = decode(body);
    match &decoded {
        Ok(Incoming::Ask(ask)) => {
            assert!(
                !format!("{:?} {:?}", ask.by, ask.reply_to).contains(SECRET),
                "the person and the reply address are not hidden"
            );
            asked(&ask.asked);
        }
        Ok(Incoming::Nothing) => {}
        Err(refusal) => {
            assert_bearable(&refusal.to_string(), 80);
            assert!(matches!(refusal.http_status(), 401 | 413));
        }
    }
    let secret = SigningSecret::new("of Slack and us alone");
    let read = |headers: &[(&str, &[u8])], body: &[u8], is_base64| {
        let mut read = incoming::read(&RawRequest::new(headers.iter().copied(), body, is_base64), &secret, NOW);
        // The number comes from the signature, which `decode` does not have.
        if let Ok(Incoming::Ask(ask)) = &mut read {
            ask.request_number = 0;
        }
        read
    };
    let now_secs = NOW.epoch_secs();
    let signed = |at_secs: i64, body: &[u8]| (at_secs.to_string(), secret.sign(at_secs, body));
    let (timestamp, signature) = signed(now_secs - 300, body);
    let by_slack = [("X-Slack-Request-Timestamp", timestamp.as_bytes()), ("x-slack-signature", signature.as_bytes())];
    assert_eq!(read(&by_slack, body, false), decoded, "the signature changes what is read");
    assert_eq!(
        read(&by_slack, STANDARD.encode(body).as_bytes(), true),
        decoded,
        "the gateway's base64 changes what is read"
    );
    let (timestamp, signature) = signed(now_secs - 301, body);
    let stale = [("X-SLACK-REQUEST-TIMESTAMP", timestamp.as_bytes()), ("X-Slack-Signature", signature.as_bytes())];
    assert_eq!(read(&stale, body, false), Err(Refusal::Stale));
    let altered = [body, b"&"].concat();
    assert_eq!(read(&by_slack, &altered, false), Err(Refusal::BadSignature));
    let forged: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert!(read(&forged, body, false).is_err() && read(&forged, body, true).is_err(), "a forged request is accepted");
    // A deferred command is read from its queue unchanged.
    if let Some(later) = std::str::from_utf8(body).ok().and_then(rewrite_later) {
        assert_eq!(rewrite_later(&later).as_ref(), Some(&later), "a command changes while it waits");
    }
}

/// A command is bounded and survives the queue. Of a misunderstood text only a part is quoted.
fn asked(asked: &Asked) {
    match asked {
        Asked::Dashboard | Asked::Help => {}
        Asked::Command(command) => {
            let text = serde_json::to_string(command).unwrap();
            assert_eq!(&serde_json::from_str::<Command>(&text).unwrap(), command, "a command is not read as written");
            match command {
                Command::Mute { lasting_secs, reason, .. } => {
                    assert!((60..=30 * 86_400).contains(lasting_secs), "muted for {lasting_secs} s");
                    longest(reason.as_deref().unwrap_or_default());
                }
                Command::History { name } => longest(name),
                _ => {}
            }
        }
        Asked::Misunderstood(misunderstanding) => {
            let reply = serde_json::to_string(&Reply::misunderstood(misunderstanding)).unwrap();
            assert!(reply.len() < 13_000, "an answer of {} bytes", reply.len());
            said(&misunderstanding.fault);
        }
    }
}

fn longest(text: &str) {
    assert!(text.chars().count() <= 301, "{} characters", text.chars().count());
}

fn said(fault: &CommandFault) {
    match fault {
        CommandFault::Unknown(text)
        | CommandFault::NotATarget(text)
        | CommandFault::UnknownOption(text)
        | CommandFault::TooMuch(text) => {
            longest(text);
        }
        _ => {}
    }
}
