//! Answers to what people ask, as Slack takes them.

use monitor_pipeline::commands::Answered;
use serde::Serialize;

use crate::incoming::Misunderstanding;
use crate::render::Message;
use crate::text::escape;
use crate::web::WebBase;
use crate::words::answers;
use crate::words::help::{self, Trouble};
use crate::{blocks, document::Document, plain};

/// An answer: the body of the response to a slash command, or of a post to its `response_url`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reply {
    response_type: &'static str,
    /// An answer to a button must not take the place of the message that it stands on.
    #[serde(skip_serializing_if = "Option::is_none")]
    replace_original: Option<bool>,
    #[serde(flatten)]
    message: Message,
}

impl Reply {
    /// The answer to a command, within all of Slack's limits, whatever is on record.
    pub fn answered(answered: &Answered, web: &WebBase) -> Self {
        Self::of(answers::document(answered, web))
    }

    /// What there is to ask.
    pub fn help() -> Self {
        Self::of(help::help())
    }

    /// What was not understood, and how it is written.
    pub fn misunderstood(misunderstanding: &Misunderstanding) -> Self {
        Self::of(help::misunderstanding(misunderstanding))
    }

    pub(crate) fn trouble(trouble: Trouble) -> Self {
        Self::of(help::trouble(trouble))
    }

    /// The same for the whole channel.
    #[must_use]
    pub fn public(mut self, public: bool) -> Self {
        self.response_type = if public { "in_channel" } else { "ephemeral" };
        self
    }

    /// The same beside the message whose button was pressed.
    pub(crate) fn beside(mut self) -> Self {
        self.replace_original = Some(false);
        self
    }

    /// What is said.
    pub fn message(&self) -> &Message {
        &self.message
    }

    fn of(document: Document) -> Self {
        let text = escape(&plain::notification(&document));
        let message = Message { text, blocks: Some(blocks::blocks(document)), mrkdwn: None };
        Self { response_type: "ephemeral", replace_original: None, message }
    }
}
