//! Answers to commands, in Slack's format.

use monitor_domain::secret::Secret;
use monitor_domain::time::Timestamp;
use monitor_pipeline::commands::Answered;
use monitor_pipeline::person::PersonId;
use serde::Serialize;
use serde_json::Value;

use crate::announcement::Announcement;
use crate::button;
use crate::incoming::{Misunderstanding, Shown};
use crate::messages::answers;
use crate::messages::help::{self, Trouble};
use crate::messages::overrides::{acknowledged_by, announced_mute, announced_unmute};
use crate::render::Message;
use crate::text::escape;
use crate::web::WebBase;
use crate::{blocks, document::Document, plain};

/// An answer: the body of the response to a slash command, or of a post to its `response_url`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reply {
    response_type: &'static str,
    /// `false` for an answer to a button: it must not replace the message with the button.
    #[serde(skip_serializing_if = "Option::is_none")]
    replace_original: Option<bool>,
    #[serde(flatten)]
    message: Message,
}

impl Reply {
    /// The answer to a command, within all of Slack's limits, whatever is stored.
    pub fn answered(answered: &Answered, web: &WebBase) -> Self {
        Self::of(answers::document(answered, web))
    }

    /// The list of commands.
    pub fn help() -> Self {
        Self::of(help::help())
    }

    /// A link to the page, or how to switch the page on.
    pub fn dashboard(link: Option<&Secret>) -> Self {
        Self::of(help::dashboard(link))
    }

    /// What was not understood, and the correct usage.
    pub fn misunderstood(misunderstanding: &Misunderstanding) -> Self {
        Self::of(help::misunderstanding(misunderstanding))
    }

    /// The announcement in the channel of what a person has changed.
    pub fn announcement(announcement: &Announcement) -> Self {
        let part = match announcement {
            Announcement::Muted { mute, covered } => announced_mute(mute, *covered),
            Announcement::Unmuted { mute, by } => announced_unmute(mute, by),
        };
        Self::of(Document { parts: vec![part], ..Document::default() })
    }

    pub(crate) fn trouble(trouble: Trouble) -> Self {
        Self::of(help::trouble(trouble))
    }

    /// The same, for the whole channel if `public`.
    #[must_use]
    pub fn public(mut self, public: bool) -> Self {
        self.response_type = if public { "in_channel" } else { "ephemeral" };
        self
    }

    /// The same as a separate message, which leaves the one with the button in place.
    pub(crate) fn beside(mut self) -> Self {
        self.replace_original = Some(false);
        self
    }

    /// The message whose *Acknowledge* was pressed, with the person's name in place of the button.
    pub(crate) fn acknowledged(on: Shown, by: &PersonId, at: Timestamp) -> Self {
        let Shown { text, mut blocks } = on;
        for block in &mut blocks {
            if let Some(elements) = block.get_mut("elements").and_then(Value::as_array_mut) {
                elements.retain(|element| element["action_id"] != button::ACKNOWLEDGE);
            }
        }
        blocks.retain(|block| block["elements"].as_array().is_none_or(|elements| !elements.is_empty()));
        if blocks.len() < button::MAX_BLOCKS {
            blocks.push(blocks::small(&acknowledged_by(by, at)));
        }
        let message = Message { text, blocks: Some(blocks), mrkdwn: None };
        Self { response_type: "in_channel", replace_original: Some(true), message }
    }

    /// The message of the answer.
    pub fn message(&self) -> &Message {
        &self.message
    }

    fn of(document: Document) -> Self {
        let text = escape(&plain::notification_line(&document));
        let message = Message { text, blocks: Some(blocks::blocks(document)), mrkdwn: None };
        Self { response_type: "ephemeral", replace_original: None, message }
    }
}
