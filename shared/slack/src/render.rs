//! Renders a notification as a Slack message or as console lines.

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

/// A message in Slack's format.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// The notification line, or the whole message if there are no blocks; never empty, at most 4,000 characters.
    pub text: String,
    /// The layout in Block Kit; `None` in plain text, and empty if plain text replaces a layout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Vec<Value>>,
    /// `false` in plain text, so that Slack does not interpret its characters as markup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mrkdwn: Option<bool>,
}

/// A notification as a message, within all of Slack's limits whatever the notification contains.
pub fn render(notification: &Notification, form: Form, web: &WebBase) -> Message {
    render_to(notification, form, Route::Default, web)
}

/// The same for a channel; a message in place of another channel says so in its first line.
pub fn render_to(notification: &Notification, form: Form, to: Route<'_>, web: &WebBase) -> Message {
    let mut document = messages::document(notification, web);
    if let Route::InsteadOf { channel, reason } = to {
        document.heading = Some(messages::diverted(channel, reason));
    }
    written(document, form)
}

/// The updated version of a message about outages; `notification` ended some of them, or is a reminder.
pub fn render_live(
    outages: &[Outage],
    notification: &Notification,
    form: Form,
    acknowledged: &[Acknowledgement],
    web: &WebBase,
) -> Message {
    let mut message = written(messages::live(outages, notification, acknowledged, web), form);
    // Without `blocks`, Slack might keep the old blocks and show them in place of the text.
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

/// A notification as lines for a console, ending with a line break. Times are UTC.
pub fn render_console(notification: &Notification, colour: bool, web: &WebBase) -> String {
    plain::console(messages::document(notification, web), colour)
}
