//! An independent checker of Slack's limits, which does not know how messages are built.

use monitor_slack::Message;
use serde_json::Value;

/// Panics if the message breaks a limit or contains foreign markup.
pub(crate) fn check(message: &Message) {
    let text = &message.text;
    assert!(!text.trim().is_empty(), "no text");
    assert!(length(text) <= 4_000, "text of {}", length(text));
    assert_clean(text);
    assert!(!text.contains('<'), "markup in the text: {text}");
    let Some(blocks) = message.blocks.as_ref().filter(|_| message.mrkdwn.is_none()) else {
        assert!(message.blocks.as_ref().is_none_or(Vec::is_empty), "blocks in plain text");
        assert_eq!(message.mrkdwn, Some(false));
        return;
    };
    assert!((1..=50).contains(&blocks.len()), "{} blocks", blocks.len());
    // At most one line precedes the header: the channel that the message was meant for.
    let header = blocks.iter().position(|block| block["type"] == "header");
    assert!(matches!(header, Some(0 | 1)), "{:?}", blocks[0]);
    let total: usize = blocks.iter().map(check_block).sum();
    assert!(total <= 12_000, "{total} characters of block text");
}

/// Checks a block and returns the length of its text.
fn check_block(block: &Value) -> usize {
    match block["type"].as_str() {
        Some("header") => {
            assert_eq!(block["text"]["type"], "plain_text");
            assert_eq!(block["text"]["emoji"], false);
            let text = block["text"]["text"].as_str().unwrap();
            assert!((1..=150).contains(&length(text)), "header of {}", length(text));
            assert_clean(text);
            length(text)
        }
        Some("section") => {
            let fields = block["fields"].as_array();
            assert!(fields.is_none_or(|fields| (1..=10).contains(&fields.len())), "{fields:?}");
            let fields = fields.into_iter().flatten().map(|field| check_mrkdwn(field, 2_000));
            check_mrkdwn(&block["text"], 3_000) + fields.sum::<usize>()
        }
        Some("context") => {
            let elements = block["elements"].as_array().unwrap();
            assert!((1..=10).contains(&elements.len()));
            elements.iter().map(|element| check_mrkdwn(element, 2_000)).sum()
        }
        Some("actions") => {
            let elements = block["elements"].as_array().unwrap();
            assert!((1..=25).contains(&elements.len()));
            for button in elements {
                assert_eq!(
                    (button["type"].as_str(), button["text"]["type"].as_str()),
                    (Some("button"), Some("plain_text"))
                );
                assert!(length(button["text"]["text"].as_str().unwrap()) <= 75);
                assert!(length(button["action_id"].as_str().unwrap()) <= 255);
                assert!((1..=2_000).contains(&length(button["value"].as_str().unwrap())));
            }
            0
        }
        other => panic!("a block of type {other:?}"),
    }
}

fn check_mrkdwn(object: &Value, max: usize) -> usize {
    assert_eq!(object["type"], "mrkdwn", "{object}");
    let text = object["text"].as_str().unwrap();
    assert!((1..=max).contains(&length(text)), "text of {}, at most {max}", length(text));
    assert_clean(text);
    for line in text.lines() {
        assert_markup(line);
    }
    length(text)
}

/// Code spans close on their line, and angle brackets contain only our own dates and links.
fn assert_markup(line: &str) {
    assert!(line.matches('`').count().is_multiple_of(2), "a code span is left open: {line}");
    let mut rest = line;
    while let Some(at) = rest.find(['<', '>']) {
        assert!(rest[at..].starts_with('<'), "a stray `>`: {line}");
        let end = at + rest[at..].find('>').unwrap_or_else(|| panic!("a stray `<`: {line}"));
        let token = &rest[at + 1..end];
        let is_ours = token.starts_with("!date^")
            || token.starts_with("https://github.com/")
            || token.starts_with("https://runners.example.com/open?link=")
            || token.starts_with("https://www.githubstatus.com|");
        let is_person = token == "@U2CERLKJA";
        let is_whole = token.matches('|').count() == 1 && !token.contains('<');
        assert!(is_person || (is_ours && is_whole), "foreign markup: {line}");
        rest = &rest[end + 1..];
    }
}

/// No control characters except line breaks, no incomplete entity, and only paired isolates for the text direction.
fn assert_clean(text: &str) {
    let mut open = 0_i32;
    for c in text.chars() {
        assert!(c == '\n' || !c.is_control(), "a control character in {text:?}");
        assert!(!matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}' | '\u{2067}'), "{text:?}");
        open += i32::from(c == '\u{2068}') - i32::from(c == '\u{2069}');
        assert!((0..=1).contains(&open), "{text:?}");
    }
    for (at, _) in text.match_indices('&') {
        let entity = ["&amp;", "&lt;", "&gt;"].iter().any(|entity| text[at..].starts_with(entity));
        assert!(entity || !text.contains("&amp;"), "an open entity in {text:?}");
    }
}

/// The length in UTF-16 units: the most that Slack could count.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}
