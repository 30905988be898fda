//! From a notice to what is sent or printed.

use monitor_domain::notifications::Notification;
use monitor_domain::outage::Outage;
use monitor_pipeline::items::Acknowledgement;
use monitor_pipeline::ports::{Form, Route};
use serde::Serialize;
use serde_json::Value;

use crate::document::Document;
use crate::text::escape;
use crate::web::WebBase;
use crate::{blocks, messages, plain};

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
pub fn render(notification: &Notification, form: Form, web: &WebBase) -> Message {
    render_to(notification, form, Route::Default, web)
}

/// The same for a channel; in place of another, with a line at its head that says so.
pub fn render_to(notification: &Notification, form: Form, to: Route<'_>, web: &WebBase) -> Message {
    let mut document = messages::document(notification, web);
    if let Route::InsteadOf { channel, reason } = to {
        document.heading = Some(messages::diverted(channel, reason));
    }
    written(document, form)
}

/// What has become of a message's outages, in its place; `notification` is what ended some of them, or reminds of them.
pub fn render_live(
    outages: &[Outage],
    notification: &Notification,
    form: Form,
    acknowledged: &[Acknowledgement],
    web: &WebBase,
) -> Message {
    let mut message = written(messages::live(outages, notification, acknowledged, web), form);
    // Left out, those that the message has might stay, and Slack would go on to show them in place of the text.
    message.blocks.get_or_insert_default();
    message
}

fn written(document: Document, form: Form) -> Message {
    match form {
        Form::Blocks => Message {
            text: escape(&plain::notification_line(&document)),
            blocks: Some(blocks::blocks(document)),
            mrkdwn: None,
        },
        Form::SubjectOnly => {
            Message { text: escape(&messages::subject_only(&document)), blocks: None, mrkdwn: Some(false) }
        }
        Form::PlainText => Message { text: escape(&plain::plain_text(document)), blocks: None, mrkdwn: Some(false) },
    }
}

/// A notice as lines for a console, ending with a line break. Times are UTC.
pub fn render_console(notification: &Notification, colour: bool, web: &WebBase) -> String {
    plain::console(messages::document(notification, web), colour)
}
