//! Messages as readable lines, for snapshots.

use std::fmt::Write as _;

use monitor_slack::Message;

/// The blocks as lines, in the order in which Slack shows them.
pub(crate) fn outline(message: &Message) -> String {
    let mut lines = format!("text: {}\n", message.text);
    for block in message.blocks.iter().flatten() {
        let kind = block["type"].as_str().unwrap_or("?");
        let texts = std::iter::once(("", &block["text"]))
            .chain(block["fields"].as_array().into_iter().flatten().map(|field| (" field", field)))
            .chain(block["elements"].as_array().into_iter().flatten().map(|element| ("", element)));
        for (part, text) in texts {
            // A button's text is a nested object.
            let text = if text["text"].is_object() { &text["text"] } else { text };
            if let Some(text) = text["text"].as_str() {
                writeln!(lines, "[{kind}{part}] {}", text.replace('\n', "\n    ")).unwrap();
            }
        }
    }
    lines
}
