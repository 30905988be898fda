//! From a notice to what is sent or printed.

use monitor_domain::notices::Notice;
use monitor_domain::outage::Outage;
use monitor_pipeline::items::Acknowledgement;
use monitor_pipeline::ports::Form;
use serde::Serialize;
use serde_json::Value;

use crate::text::escape;
use crate::web::WebBase;
use crate::{blocks, plain, words};

/// A message as Slack's webhook takes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// What a phone shows, or the whole message where there are no blocks; never empty, at most 4,000 characters.
    pub text: String,
    /// The layout in Block Kit; none in plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Vec<Value>>,
    /// `false` in plain text: signs in it mean nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mrkdwn: Option<bool>,
}

/// A notice as a message within all of Slack's limits, whatever the notice holds.
pub fn render(notice: &Notice, form: Form, web: &WebBase) -> Message {
    let document = words::document(notice, web);
    match form {
        Form::Blocks => Message {
            text: escape(&plain::notification(&document)),
            blocks: Some(blocks::blocks(document)),
            mrkdwn: None,
        },
        Form::PlainText => Message { text: escape(&plain::plain_text(document)), blocks: None, mrkdwn: Some(false) },
    }
}

/// What has become of a message's outages, in its place; `notice` is what ended some of them, or reminds of them.
pub fn render_live(outages: &[Outage], notice: &Notice, acknowledged: &[Acknowledgement], web: &WebBase) -> Message {
    let document = words::live(outages, notice, acknowledged, web);
    Message { text: escape(&plain::notification(&document)), blocks: Some(blocks::blocks(document)), mrkdwn: None }
}

/// A notice as lines for a console, ending with a line break. Times are UTC.
pub fn render_console(notice: &Notice, colour: bool, web: &WebBase) -> String {
    plain::console(words::document(notice, web), colour)
}
