//! What Slack's answers mean for the caller: one table of its error codes, for both the webhook and the bot.

use std::error::Error;
use std::time::Duration;

use monitor_pipeline::items::Delivered;
use monitor_pipeline::ports::{ChatError, EditError};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;

/// The wait after a 429 without `Retry-After`.
pub(crate) const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(30);
/// The longest wait that an answer can impose.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// The meaning of an error code, by what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// This content is always refused: plain text is tried, then only the subject.
    Content,
    /// Possibly the layout: plain text is tried, and waits if that is refused too.
    PerhapsLayout,
    /// The earlier message cannot be edited or replied to.
    Gone,
    /// A rate limit.
    Busy,
    /// A temporary error.
    Passing,
    /// The webhook or token is no longer valid.
    Credential,
    /// The app lacks a scope.
    Scope,
    /// The bot is not in the channel.
    NotInChannel,
    /// The channel is archived or gone.
    Channel,
    /// Posting to the channel is restricted.
    Restricted,
    /// The workspace or the recipient is gone.
    Workspace,
    /// A workflow's webhook, which accepts only its own variables.
    Workflow,
    /// Not in the table: treated as a problem of the channel, so that nothing is lost.
    Unknown,
}

/// Slack's error codes (<https://docs.slack.dev/reference/methods/chat.postMessage>, and its page on webhooks).
/// A message is given up only for a code that is known to be about its content; otherwise it waits.
pub(crate) const CODES: &[(Meaning, &[&str])] = &[
    (
        Meaning::Content,
        &[
            "attachment_payload_limit_exceeded",
            "invalid_attachments",
            "invalid_blocks",
            "invalid_blocks_format",
            "invalid_payload",
            "markdown_text_conflict",
            "missing_text_or_fallback_or_attachments",
            "msg_blocks_too_long",
            "msg_too_long",
            "no_text",
            "too_many_attachments",
        ],
    ),
    // Slack also uses these for a channel or a timestamp, or for a body that a proxy has mangled.
    (Meaning::PerhapsLayout, &["invalid_arguments", "invalid_json", "json_not_object"]),
    (
        Meaning::Gone,
        &[
            "cannot_reply_to_message",
            "cant_update_message",
            "edit_window_closed",
            "message_not_found",
            "restricted_action_thread_locked",
            "thread_not_found",
        ],
    ),
    (Meaning::Busy, &["message_limit_exceeded", "rate_limited", "ratelimited"]),
    (
        Meaning::Passing,
        &[
            "fatal_error",
            "internal_error",
            "request_timeout",
            "rollup_error",
            "service_unavailable",
            "team_added_to_org",
        ],
    ),
    (
        Meaning::Credential,
        &[
            "account_inactive",
            "invalid_auth",
            "invalid_token",
            "no_active_hooks",
            "no_service",
            "no_service_id",
            "not_authed",
            "token_expired",
            "token_revoked",
        ],
    ),
    (Meaning::Scope, &["access_denied", "missing_scope", "no_permission", "not_allowed_token_type"]),
    (Meaning::NotInChannel, &["not_in_channel"]),
    (Meaning::Channel, &["channel_is_archived", "channel_not_found", "is_archived"]),
    (
        Meaning::Restricted,
        &[
            "action_prohibited",
            "posting_to_general_channel_denied",
            "restricted_action",
            "restricted_action_read_only_channel",
        ],
    ),
    (Meaning::Workspace, &["no_team", "org_login_required", "team_disabled", "user_not_found"]),
    (Meaning::Workflow, &["invalid_workflow_input"]),
];

/// How a message was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Webhook,
    Bot,
}

impl Meaning {
    pub(crate) fn of(code: &str) -> Self {
        CODES.iter().find(|(_, codes)| codes.contains(&code)).map_or(Meaning::Unknown, |(meaning, _)| *meaning)
    }

    /// What a person can do about it.
    fn fix(self, via: Via) -> &'static str {
        match (self, via) {
            (Meaning::Credential, Via::Webhook) => {
                "the webhook was revoked or never existed: create a new one in Slack and set its URL"
            }
            (Meaning::Credential, Via::Bot) => {
                "the bot's token is no longer valid: install the app again and set SLACK_BOT_TOKEN"
            }
            (Meaning::Scope, _) => {
                "give the app the scope chat:write, install it again and set SLACK_BOT_TOKEN to its bot token"
            }
            (Meaning::NotInChannel, _) => "invite the bot to the channel, or give the app the scope chat:write.public",
            (Meaning::Channel, Via::Webhook) => {
                "its channel is archived or gone: restore it, or set the webhook of another channel"
            }
            (Meaning::Channel, Via::Bot) => {
                "set SLACK_CHANNEL, or the policy's channel, to one that exists; to a private one the bot must be invited"
            }
            (Meaning::Restricted, Via::Webhook) => {
                "Slack does not let this webhook post there: ask an admin of the workspace, or set another webhook"
            }
            (Meaning::Restricted, Via::Bot) => {
                "Slack does not let this bot post there: ask an admin of the workspace, or set another channel"
            }
            (Meaning::Workspace, _) => {
                "its workspace, or the person it writes to, is gone: set the webhook or token of another"
            }
            (Meaning::Workflow, _) => {
                "this is the webhook of a workflow, which takes only the variables that it defines: set an incoming webhook"
            }
            (_, Via::Webhook) => {
                "check that the webhook's URL is the one that Slack gave, and whether a proxy answers in its place"
            }
            (_, Via::Bot) => {
                "check that SLACK_BOT_TOKEN and SLACK_CHANNEL are what Slack shows, and whether a proxy answers in its \
                 place"
            }
        }
    }

    fn error(self, said: String, via: Via, has_layout: bool, retry_after: Option<Duration>) -> EditError {
        EditError::Chat(match self {
            Meaning::Gone => return EditError::Gone,
            Meaning::Content => ChatError::ContentRefused(said),
            Meaning::PerhapsLayout if has_layout => ChatError::ContentRefused(said),
            Meaning::Busy => ChatError::Busy { retry_after: retry_after.unwrap_or(DEFAULT_RETRY_AFTER) },
            Meaning::Passing => ChatError::Transient(said),
            _ => dead(&said, self.fix(via)),
        })
    }
}

/// An answer as received.
pub(crate) struct Answer<'a> {
    pub(crate) host: &'a str,
    pub(crate) via: Via,
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    /// The beginning of the body.
    pub(crate) body: &'a str,
    /// Whether the message has a layout, so that plain text can still be tried.
    pub(crate) has_layout: bool,
}

/// A message that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Where the message is, as far as the chat says.
    pub delivered: Delivered,
    /// How the answer differs from Slack's own. Then it is from another chat or a proxy, and nothing proves that the
    /// message is in a channel.
    pub oddity: Option<String>,
}

impl Answer<'_> {
    /// Whether the message was accepted, or why not.
    ///
    /// Any 2xx without a known error counts as accepted: compatible chats answer with an empty body or their own JSON,
    /// and an accepted message must not be sent again. A message is given up only for a refusal that is known to be
    /// about its content.
    pub(crate) fn read(&self) -> Result<Taken, EditError> {
        let Self { host, via, status, retry_after, has_layout, .. } = *self;
        let body = self.body.trim();
        let json = serde_json::from_str::<Value>(body).unwrap_or_default();
        let code = error_code(body, &json);
        if status.is_success() {
            return match code {
                // A body that is one word is an error only if it is one of Slack's.
                Some(code) if json.is_object() || Meaning::of(&code) != Meaning::Unknown => {
                    Err(Meaning::of(&code).error(format!("{host} answered {code}"), via, has_layout, retry_after))
                }
                _ if is_refusal(&json) => {
                    Err(dead(&format!("{host} answered with an error"), Meaning::Unknown.fix(via)).into())
                }
                // Slack never answers with a web page: this is a proxy's or a login page.
                _ if is_page(body) && is_slack(host) => Err(dead(
                    &format!("{host} answered {status} with a web page, not as Slack does"),
                    Meaning::Unknown.fix(via),
                )
                .into()),
                _ => Ok(self.taken(body, &json)),
            };
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(ChatError::Busy { retry_after: retry_after.unwrap_or(DEFAULT_RETRY_AFTER) }.into());
        }
        let said = match &code {
            Some(code) => format!("{host} answered {status}: {code}"),
            None => format!("{host} answered {status}"),
        };
        if status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY) {
            return Err(ChatError::Transient(said).into());
        }
        let by_code = code.as_deref().map_or(Meaning::Unknown, Meaning::of);
        let meaning = match (by_code, status.as_u16()) {
            (Meaning::Unknown, 403) => Meaning::Restricted,
            (Meaning::Unknown, 404) => Meaning::Credential,
            (Meaning::Unknown, 410) => Meaning::Channel,
            (Meaning::Unknown, 413) => Meaning::PerhapsLayout,
            (meaning, _) => meaning,
        };
        Err(meaning.error(said, via, has_layout, retry_after))
    }

    fn taken(&self, body: &str, json: &Value) -> Taken {
        let text = |field: &str| json[field].as_str().map(str::to_owned);
        let is_slacks = match self.via {
            Via::Webhook => body == "ok" || json["ok"] == true,
            Via::Bot => json["ok"] == true,
        };
        let what = match body {
            "" => "an empty body",
            _ if is_page(body) => "a web page",
            _ if json.is_object() => "JSON",
            _ => "text",
        };
        let oddity = format!("{} answered {} with {what} instead of Slack's `ok`", self.host, self.status);
        Taken {
            delivered: Delivered { channel: text("channel"), ts: text("ts") },
            oddity: (!is_slacks).then_some(oddity),
        }
    }
}

fn is_page(body: &str) -> bool {
    body.starts_with('<')
}

fn is_slack(host: &str) -> bool {
    ["slack.com", "slack-gov.com"]
        .iter()
        .any(|domain| host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.')))
}

/// JSON that reports an error without a known code.
fn is_refusal(json: &Value) -> bool {
    json["ok"] == false || json["success"] == false || json["error"].as_str().is_some_and(|error| !error.is_empty())
}

/// Slack's error code, as text or in `{"ok":false,"error":…}`; anything else may be from any server.
fn error_code(body: &str, json: &Value) -> Option<String> {
    let code = if json.is_object() { json["error"].as_str()? } else { body };
    let is_word = (3..=60).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_word.then(|| code.to_owned())
}

pub(crate) fn dead(said: &str, fix: &str) -> ChatError {
    ChatError::Dead(format!("{said}; {fix}"))
}

/// A failed request, without its URL. Distinguishes whether it may have arrived: if certainly not, it can be sent again
/// without the risk of a duplicate.
pub(crate) fn broken(host: &str, timeout: Duration, error: reqwest::Error) -> ChatError {
    let error = error.without_url();
    // Name resolution, connection or TLS handshake failed: nothing of the request was sent.
    let is_unsent = error.is_connect() || error.is_builder();
    let innermost = std::iter::successors(error.source(), |&inner| inner.source()).last();
    let because = |what: String| match innermost {
        Some(reason) => format!("{what}: {reason}"),
        None => what,
    };
    if is_unsent {
        ChatError::NotSent(because(format!("no connection to {host}")))
    } else if error.is_timeout() {
        ChatError::Transient(format!("no answer from {host} within {} s", timeout.as_secs_f32()))
    } else {
        ChatError::Transient(because(format!("the connection to {host} broke")))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(via: Via, status: u16, body: &str, has_layout: bool) -> Result<Taken, EditError> {
        let status = StatusCode::from_u16(status).unwrap_or_default();
        Answer { host: "hooks.slack.com", via, status, retry_after: None, body, has_layout }.read()
    }

    /// The errors for a code, from a webhook and from the bot API.
    fn refusals(code: &str, has_layout: bool) -> [EditError; 3] {
        let to_bot = format!(r#"{{"ok":false,"error":"{code}"}}"#);
        [(Via::Webhook, 400, code), (Via::Webhook, 400, &*to_bot), (Via::Bot, 200, &*to_bot)]
            .map(|(via, status, body)| answer(via, status, body, has_layout).unwrap_err())
    }

    #[test]
    fn each_code_of_the_table_means_what_its_row_says_and_appears_once() {
        let mut seen = std::collections::BTreeSet::new();
        for (meaning, codes) in CODES {
            for code in *codes {
                assert!(seen.insert(code), "{code} appears twice");
                for has_layout in [true, false] {
                    for error in refusals(code, has_layout) {
                        let as_it_should = match (meaning, has_layout, &error) {
                            (Meaning::Gone, _, EditError::Gone) => true,
                            (Meaning::Busy, _, EditError::Chat(ChatError::Busy { .. })) => true,
                            (Meaning::Passing, _, EditError::Chat(ChatError::Transient(said)))
                            | (Meaning::Content, _, EditError::Chat(ChatError::ContentRefused(said)))
                            | (Meaning::PerhapsLayout, true, EditError::Chat(ChatError::ContentRefused(said))) => {
                                said.contains(code)
                            }
                            (Meaning::Gone | Meaning::Busy | Meaning::Passing | Meaning::Content, ..)
                            | (Meaning::PerhapsLayout, true, _) => false,
                            (_, _, EditError::Chat(ChatError::Dead(said))) => {
                                said.contains(code) && said.contains("; ")
                            }
                            _ => false,
                        };
                        assert!(as_it_should, "{code}, layout {has_layout}: {error:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_unknown_code_is_a_problem_of_the_channel_in_every_form() {
        for code in ["a_word_of_tomorrow", "invalid_workflow_input", "restricted_action_non_threadable_channel"] {
            for error in refusals(code, true).into_iter().chain(refusals(code, false)) {
                assert!(matches!(&error, EditError::Chat(ChatError::Dead(said)) if said.contains(code)), "{error:?}");
            }
        }
        for status in [400, 401, 402, 405, 406, 409, 422, 451] {
            let error = answer(Via::Webhook, status, "<html>no</html>", true).unwrap_err();
            assert!(matches!(error, EditError::Chat(ChatError::Dead(_))), "{status}: {error:?}");
        }
    }

    #[test]
    fn a_message_that_is_too_large_for_a_proxy_is_tried_as_plain_text_and_not_given_up() {
        let error = |has_layout| answer(Via::Webhook, 413, "", has_layout).unwrap_err();
        assert!(matches!(error(true), EditError::Chat(ChatError::ContentRefused(_))));
        assert!(matches!(error(false), EditError::Chat(ChatError::Dead(_))));
    }

    #[test]
    fn any_success_without_a_known_error_is_an_acceptance_and_says_where_it_differs_from_slack() {
        for (status, body, oddity) in [
            (200, "ok", None),
            (200, r#"{"ok":true}"#, None),
            (200, "", Some("an empty body")),
            (204, "", Some("204 No Content with an empty body")),
            (202, "Accepted", Some("text")),
            (200, "done", Some("text")),
            (200, r#"{"success":true}"#, Some("JSON")),
            (200, r#"{"id":"7","error":null}"#, Some("JSON")),
            (201, "[]", Some("text")),
        ] {
            let taken = answer(Via::Webhook, status, body, true);
            let said = taken.as_ref().ok().map(|taken| taken.oddity.clone());
            match (said, oddity) {
                (Some(None), None) => {}
                (Some(Some(said)), Some(oddity)) if said.contains(oddity) => {}
                other => panic!("{status} {body}: {other:?} {taken:?}"),
            }
        }
    }

    #[test]
    fn a_success_that_names_an_error_is_an_error() {
        for body in ["invalid_token", r#"{"ok":false}"#, r#"{"success":false}"#, r#"{"error":"Not Allowed!"}"#] {
            let error = answer(Via::Webhook, 200, body, true).unwrap_err();
            assert!(matches!(error, EditError::Chat(ChatError::Dead(_))), "{body}: {error:?}");
        }
    }

    #[test]
    fn a_web_page_is_not_an_acceptance_from_slack_but_is_one_from_another_chat() {
        let read = |host| {
            let (via, status, retry_after, body) = (Via::Webhook, StatusCode::OK, None, "<html>please log in</html>");
            Answer { host, via, status, retry_after, body, has_layout: true }.read()
        };
        for host in ["hooks.slack.com", "slack.com", "hooks.slack-gov.com"] {
            assert!(matches!(read(host), Err(EditError::Chat(ChatError::Dead(_)))), "{host}");
        }
        for host in ["chat.acme.test", "notslack.com"] {
            assert!(matches!(read(host), Ok(Taken { oddity: Some(_), .. })), "{host}");
        }
    }
}
