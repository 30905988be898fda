//! From a notice to what is sent or printed.

use monitor_domain::notices::Notice;
use monitor_domain::outage::Outage;
use monitor_pipeline::items::Acknowledgement;
use monitor_pipeline::ports::{Form, Route};
use serde::Serialize;
use serde_json::Value;

use crate::document::Document;
use crate::text::escape;
use crate::web::WebBase;
use crate::{blocks, plain, words};

/// A message as Slack's webhook takes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// What a phone shows, or the whole message where there are no blocks; never empty, at most 4,000 characters.
    pub text: String,
    /// The layout in Block Kit; none in plain text, and an empty one where plain text takes the place of a layout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Vec<Value>>,
    /// `false` in plain text: signs in it mean nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mrkdwn: Option<bool>,
}

/// A notice as a message within all of Slack's limits, whatever the notice holds.
pub fn render(notice: &Notice, form: Form, web: &WebBase) -> Message {
    render_to(notice, form, Route::Default, web)
}

/// The same for a channel; in place of another, with a line at its head that says so.
pub fn render_to(notice: &Notice, form: Form, to: Route<'_>, web: &WebBase) -> Message {
    let mut document = words::document(notice, web);
    if let Route::InsteadOf { channel, reason } = to {
        document.heading = Some(words::diverted(channel, reason));
    }
    written(document, form)
}

/// What has become of a message's outages, in its place; `notice` is what ended some of them, or reminds of them.
pub fn render_live(
    outages: &[Outage],
    notice: &Notice,
    form: Form,
    acknowledged: &[Acknowledgement],
    web: &WebBase,
) -> Message {
    let mut message = written(words::live(outages, notice, acknowledged, web), form);
    // Left out, those that the message has might stay, and Slack would go on to show them in place of the text.
    message.blocks.get_or_insert_default();
    message
}

fn written(document: Document, form: Form) -> Message {
    match form {
        Form::Blocks => Message {
            text: escape(&plain::notification(&document)),
            blocks: Some(blocks::blocks(document)),
            mrkdwn: None,
        },
        Form::SubjectOnly => {
            Message { text: escape(&words::subject_only(&document)), blocks: None, mrkdwn: Some(false) }
        }
        Form::PlainText => Message { text: escape(&plain::plain_text(document)), blocks: None, mrkdwn: Some(false) },
    }
}

/// A notice as lines for a console, ending with a line break. Times are UTC.
pub fn render_console(notice: &Notice, colour: bool, web: &WebBase) -> String {
    plain::console(words::document(notice, web), colour)
}
