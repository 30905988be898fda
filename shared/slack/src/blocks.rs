//! A document as Block Kit. Limits: <https://docs.slack.dev/reference/block-kit/blocks>.

use monitor_domain::time::Timestamp;
use serde_json::{Value, json};

use crate::document::{Document, Fact, Line, Mark, Section, Span};
use crate::plain;
use crate::text::{clip, escape, units};

/// Header block: 150 characters.
const MAX_HEADER: usize = 150;
/// Section text: 3,000 characters, minus a margin.
const MAX_SECTION: usize = 2_900;
/// All block text of a message. Slack documents no such limit, but refuses about 13,200 (`msg_blocks_too_long`).
const MAX_BLOCK_TEXT: usize = 12_000;
/// Line break, bullet and emphasis around a line.
const PER_LINE: usize = 8;
/// The last second of the year 9999: Slack's date format is not used after it, nor before 1970.
const MAX_EPOCH_SECS: i64 = 253_402_300_799;

/// The blocks of a message, within every limit.
pub(crate) fn blocks(document: Document) -> Vec<Value> {
    let document = document.fit(MAX_BLOCK_TEXT - MAX_HEADER, |line| units(&mrkdwn(line)) + PER_LINE);
    let mut blocks = Vec::new();
    blocks.extend(document.heading.as_ref().map(|line| {
        let line = format!("{} {}", Mark::Warning.emoji(), mrkdwn(line));
        json!({ "type": "section", "text": text(&line) })
    }));
    for (index, part) in document.parts.iter().enumerate() {
        let heading = if index == 0 {
            let title = clip(&plain::headline(&document, part), MAX_HEADER);
            blocks.push(json!({ "type": "header", "text": { "type": "plain_text", "text": title, "emoji": false } }));
            String::new()
        } else {
            format!("{} *{}*\n", part.mark.emoji(), mrkdwn(&part.title))
        };
        blocks.extend(part_blocks(part, &heading));
    }
    if document.omitted > 0 {
        blocks.push(context(&plain::omitted(document.omitted)));
    }
    if let Some(footer) = &document.footer {
        blocks.push(context(&mrkdwn(footer)));
    }
    blocks
}

fn part_blocks(part: &Section, heading: &str) -> Vec<Value> {
    let mut lead = json!({ "type": "section", "text": text(&format!("{heading}{}", mrkdwn(&part.lead))) });
    if !part.facts.is_empty() {
        lead["fields"] = part.facts.iter().map(field).collect();
    }
    let mut lines: Vec<String> = part.items.iter().map(|item| format!("• {}", mrkdwn(item))).collect();
    lines.extend(part.remainder());
    lines.extend(part.advice.iter().map(mrkdwn));
    lines.extend(part.link.as_ref().map(mrkdwn));
    let sections = pack(&lines).into_iter().map(|packed| json!({ "type": "section", "text": text(&packed) }));
    std::iter::once(lead).chain(sections).collect()
}

/// Joins lines into as few texts as hold them.
fn pack(lines: &[String]) -> Vec<String> {
    let mut packed: Vec<String> = Vec::new();
    for line in lines {
        match packed.last_mut() {
            Some(last) if units(last) + units(line) < MAX_SECTION => {
                last.push('\n');
                last.push_str(line);
            }
            _ => packed.push(line.clone()),
        }
    }
    packed
}

fn field(fact: &Fact) -> Value {
    text(&format!("*{}*\n{}", fact.label, mrkdwn(&fact.value)))
}

/// A line in small print.
pub(crate) fn small(line: &Line) -> Value {
    context(&mrkdwn(line))
}

fn context(line: &str) -> Value {
    json!({ "type": "context", "elements": [text(line)] })
}

fn text(mrkdwn: &str) -> Value {
    json!({ "type": "mrkdwn", "text": mrkdwn })
}

/// A line as Slack's mrkdwn.
fn mrkdwn(line: &Line) -> String {
    let span = |span: &Span| match span {
        Span::Text(text) => escape(text),
        Span::Strong(text) => format!("*{}*", escape(text)),
        // Emphasis characters cannot be escaped, but have no effect in a code span; only a backtick ends one.
        Span::Name(name) => format!("`{}`", escape(&name.replace('`', "'"))),
        Span::Command(command) => format!("`{}`", escape(command)),
        Span::At(moment) | Span::On(moment) => date(*moment),
        Span::Person(id) if id.is_operator() => id.shown().to_owned(),
        Span::Person(id) => format!("<@{}>", id.as_str()),
        Span::Link { label, url } => format!("<{}|{}>", escape(url), escape(label)),
    };
    line.0.iter().map(span).collect()
}

/// A time in the reader's time zone (<https://docs.slack.dev/messaging/formatting-message-text#date-formatting>).
fn date(moment: Timestamp) -> String {
    let fallback = plain::utc(moment, None);
    match moment.epoch_secs() {
        secs @ 1..=MAX_EPOCH_SECS => format!("<!date^{secs}^{{date_short_pretty}} {{time}}|{fallback}>"),
        _ => fallback,
    }
}
