//! Block Kit's limits, for the blocks and elements that notifications use.
//!
//! Source: <https://docs.slack.dev/reference/block-kit/blocks> and the pages below it. Lengths are counted in
//! characters. Unknown kinds of blocks and elements are refused, and so are unknown fields.

use serde_json::{Map, Value};

use super::refused::Refused;

const MAX_BLOCKS: usize = 50;
const MAX_HEADER_CHARS: usize = 150;
const MAX_TEXT_CHARS: usize = 3_000;
const MAX_FIELDS: usize = 10;
const MAX_FIELD_CHARS: usize = 2_000;
const MAX_CONTEXT_ELEMENTS: usize = 10;
const MAX_ACTIONS: usize = 25;
const MAX_BUTTON_CHARS: usize = 75;
const MAX_VALUE_CHARS: usize = 2_000;
const MAX_URL_CHARS: usize = 3_000;
const MAX_ALT_CHARS: usize = 2_000;
const MAX_ID_CHARS: usize = 255;
/// The limit of the text of all blocks together: Slack does not document it, and answers `msg_blocks_too_long` beyond.
const MAX_MESSAGE_CHARS: usize = 13_200;

/// Checks the blocks of one message.
pub(crate) fn check(blocks: &[Value]) -> Result<(), Refused> {
    if blocks.len() > MAX_BLOCKS {
        return invalid("blocks", format!("{}, at most {MAX_BLOCKS}", blocks.len()));
    }
    let mut check = Check::default();
    for (index, block) in blocks.iter().enumerate() {
        check.block(&format!("blocks[{index}]"), block)?;
    }
    if check.text_chars > MAX_MESSAGE_CHARS {
        let reason = format!("{} characters, at most {MAX_MESSAGE_CHARS}", check.text_chars);
        return Err(Refused::new("msg_blocks_too_long", reason));
    }
    Ok(())
}

fn invalid<T>(place: &str, fault: impl std::fmt::Display) -> Result<T, Refused> {
    Err(Refused::new("invalid_blocks", format!("{place}: {fault}")))
}

/// Which types of text object are allowed.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    Plain,
    Any,
}

#[derive(Default)]
struct Check<'a> {
    text_chars: usize,
    block_ids: Vec<&'a str>,
}

impl<'a> Check<'a> {
    fn block(&mut self, place: &str, block: &'a Value) -> Result<(), Refused> {
        let block = object(place, block)?;
        let allowed: &[&str] = match kind(block) {
            "header" => &["text"],
            "section" => &["text", "fields", "accessory", "expand"],
            "context" | "actions" => &["elements"],
            "image" => &["image_url", "alt_text", "title"],
            "divider" => &[],
            other => return invalid(place, format!("unknown type {other:?}")),
        };
        only(place, block, &["type", "block_id"], allowed)?;
        if let Some(id) = string(place, block, "block_id", MAX_ID_CHARS)? {
            if self.block_ids.contains(&id) {
                return invalid(place, format!("block_id {id:?} is used twice"));
            }
            self.block_ids.push(id);
        }
        match kind(block) {
            "header" => {
                let text = required(place, block, "text")?;
                self.text(&format!("{place}.text"), text, Style::Plain, MAX_HEADER_CHARS)
            }
            "section" => self.section(place, block),
            "context" => {
                for (place, element) in items(place, block, "elements", MAX_CONTEXT_ELEMENTS)? {
                    if element["type"] == "image" {
                        self.image(&place, object(&place, element)?)?;
                    } else {
                        self.text(&place, element, Style::Any, MAX_TEXT_CHARS)?;
                    }
                }
                Ok(())
            }
            "actions" => {
                let mut action_ids = Vec::new();
                for (place, element) in items(place, block, "elements", MAX_ACTIONS)? {
                    let id = self.button(&place, element)?;
                    if id.is_some() && action_ids.contains(&id) {
                        return invalid(&place, "action_id is used twice in this block");
                    }
                    action_ids.push(id);
                }
                Ok(())
            }
            "image" => {
                if let Some(title) = block.get("title") {
                    self.text(&format!("{place}.title"), title, Style::Plain, MAX_ALT_CHARS)?;
                }
                self.image_source(place, block)
            }
            _ => Ok(()),
        }
    }

    fn section(&mut self, place: &str, block: &'a Map<String, Value>) -> Result<(), Refused> {
        if !block.contains_key("text") && !block.contains_key("fields") {
            return invalid(place, "neither text nor fields");
        }
        if let Some(text) = block.get("text") {
            self.text(&format!("{place}.text"), text, Style::Any, MAX_TEXT_CHARS)?;
        }
        if block.contains_key("fields") {
            for (place, field) in items(place, block, "fields", MAX_FIELDS)? {
                self.text(&place, field, Style::Any, MAX_FIELD_CHARS)?;
            }
        }
        match block.get("accessory") {
            Some(image) if image["type"] == "image" => {
                let place = format!("{place}.accessory");
                self.image(&place, object(&place, image)?)
            }
            Some(button) => self.button(&format!("{place}.accessory"), button).map(drop),
            None => Ok(()),
        }
    }

    fn text(&mut self, place: &str, text: &Value, style: Style, max_chars: usize) -> Result<(), Refused> {
        let text = object(place, text)?;
        match kind(text) {
            "plain_text" => only(place, text, &["type", "text"], &["emoji"])?,
            "mrkdwn" if style == Style::Any => {
                only(place, text, &["type", "text"], &["verbatim"])?;
            }
            other => return invalid(place, format!("type {other:?} is not allowed here")),
        }
        let Some(said) = string(place, text, "text", max_chars)? else {
            return invalid(place, "text is missing");
        };
        if said.is_empty() {
            return invalid(place, "text is empty");
        }
        self.text_chars += said.chars().count();
        Ok(())
    }

    fn button(&mut self, place: &str, button: &'a Value) -> Result<Option<&'a str>, Refused> {
        let button = object(place, button)?;
        if kind(button) != "button" {
            return invalid(place, format!("unknown element {:?}", kind(button)));
        }
        let optional = ["action_id", "value", "url", "style", "accessibility_label"];
        only(place, button, &["type", "text"], &optional)?;
        let text = required(place, button, "text")?;
        self.text(&format!("{place}.text"), text, Style::Plain, MAX_BUTTON_CHARS)?;
        string(place, button, "value", MAX_VALUE_CHARS)?;
        string(place, button, "url", MAX_URL_CHARS)?;
        string(place, button, "accessibility_label", MAX_BUTTON_CHARS)?;
        let style = string(place, button, "style", MAX_ID_CHARS)?;
        if !matches!(style, None | Some("primary" | "danger")) {
            return invalid(place, "style is neither primary nor danger");
        }
        string(place, button, "action_id", MAX_ID_CHARS)
    }

    fn image(&mut self, place: &str, image: &'a Map<String, Value>) -> Result<(), Refused> {
        only(place, image, &["type"], &["image_url", "alt_text"])?;
        self.image_source(place, image)
    }

    fn image_source(&mut self, place: &str, image: &'a Map<String, Value>) -> Result<(), Refused> {
        for (name, max_chars) in [("image_url", MAX_URL_CHARS), ("alt_text", MAX_ALT_CHARS)] {
            if string(place, image, name, max_chars)?.is_none() {
                return invalid(place, format!("{name} is missing"));
            }
        }
        Ok(())
    }
}

fn object<'a>(place: &str, value: &'a Value) -> Result<&'a Map<String, Value>, Refused> {
    match value.as_object() {
        Some(found) => Ok(found),
        None => invalid(place, "not an object"),
    }
}

fn kind(object: &Map<String, Value>) -> &str {
    let kind = object.get("type").and_then(Value::as_str);
    kind.unwrap_or_default()
}

fn only(place: &str, object: &Map<String, Value>, common: &[&str], further: &[&str]) -> Result<(), Refused> {
    let known = |name: &str| common.contains(&name) || further.contains(&name);
    match object.keys().find(|name| !known(name)) {
        Some(other) => invalid(place, format!("unknown field {other:?}")),
        None => Ok(()),
    }
}

fn required<'a>(place: &str, object: &'a Map<String, Value>, name: &str) -> Result<&'a Value, Refused> {
    match object.get(name) {
        Some(found) => Ok(found),
        None => invalid(place, format!("{name} is missing")),
    }
}

/// An optional string of at most `max_chars` characters.
fn string<'a>(
    place: &str,
    object: &'a Map<String, Value>,
    name: &str,
    max_chars: usize,
) -> Result<Option<&'a str>, Refused> {
    let text = match object.get(name) {
        None => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => return invalid(place, format!("{name} is not a string")),
    };
    let chars = text.chars().count();
    if chars > max_chars {
        return invalid(place, format!("{name} has {chars} characters, at most {max_chars}"));
    }
    Ok(Some(text))
}

/// The items of an array of 1 to `max` items, each with its place.
fn items<'a>(
    place: &str,
    object: &'a Map<String, Value>,
    name: &str,
    max: usize,
) -> Result<Vec<(String, &'a Value)>, Refused> {
    let Value::Array(items) = required(place, object, name)? else {
        return invalid(place, format!("{name} is not an array"));
    };
    if items.is_empty() || items.len() > max {
        return invalid(place, format!("{} {name}, from 1 to {max}", items.len()));
    }
    let placed = items.iter().enumerate();
    Ok(placed.map(|(index, item)| (format!("{place}.{name}[{index}]"), item)).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(chars: usize) -> Value {
        json!({"type": "mrkdwn", "text": "ä".repeat(chars)})
    }

    fn plain(chars: usize) -> Value {
        json!({"type": "plain_text", "text": "x".repeat(chars)})
    }

    fn section(chars: usize) -> Value {
        json!({"type": "section", "text": text(chars)})
    }

    fn actions(buttons: usize) -> Value {
        let button = |number| json!({"type": "button", "text": plain(75), "action_id": format!("a{number}"), "value": "v".repeat(2000)});
        let elements: Vec<Value> = (0..buttons).map(button).collect();
        json!({"type": "actions", "elements": elements})
    }

    fn button(field: &str, value: Value) -> Value {
        let mut block = actions(1);
        block["elements"][0][field] = value;
        block
    }

    fn fields(count: usize, chars: usize) -> Value {
        json!({"type": "section", "fields": vec![text(chars); count]})
    }

    fn context(count: usize) -> Value {
        json!({"type": "context", "elements": vec![text(5); count]})
    }

    #[test]
    fn blocks_at_their_limits_are_accepted() {
        let image = json!({"type": "image", "image_url": "https://x/y.png", "alt_text": ""});
        let mut accessory = section(1);
        accessory["accessory"] = image.clone();
        for blocks in [
            vec![json!({"type": "divider"}); 50],
            vec![json!({"type": "header", "text": plain(150), "block_id": "b".repeat(255)})],
            vec![section(3000); 4],
            vec![fields(10, 1_320)],
            vec![fields(1, 2_000)],
            vec![context(10), actions(25), image, accessory],
            vec![],
        ] {
            assert_eq!(check(&blocks), Ok(()), "{blocks:?}");
        }
    }

    #[test]
    fn malformed_blocks_and_blocks_over_their_limits_are_refused_with_their_place() {
        let twice = json!({"type": "divider", "block_id": "same"});
        let mut same_action = actions(2);
        same_action["elements"][1]["action_id"] = json!("a0");
        for (blocks, place) in [
            (vec![json!({"type": "divider"}); 51], "blocks: 51"),
            (vec![json!({"type": "header", "text": plain(151)})], "blocks[0].text: text has 151"),
            (vec![json!({"type": "header", "text": text(1)})], "blocks[0].text: type \"mrkdwn\""),
            (vec![section(1), section(3001)], "blocks[1].text: text has 3001"),
            (vec![section(0)], "blocks[0].text: text is empty"),
            (vec![json!({"type": "section"})], "blocks[0]: neither"),
            (vec![json!({"type": "section", "text": "bare"})], "blocks[0].text: not an object"),
            (vec![fields(11, 1)], "blocks[0]: 11 fields"),
            (vec![fields(0, 1)], "blocks[0]: 0 fields"),
            (vec![fields(1, 2001)], "blocks[0].fields[0]: text has 2001"),
            (vec![context(11)], "blocks[0]: 11 elements"),
            (vec![actions(26)], "blocks[0]: 26 elements"),
            (vec![button("text", plain(76))], "blocks[0].elements[0].text: text has 76"),
            (vec![button("value", json!("v".repeat(2001)))], "blocks[0].elements[0]: value has 2001"),
            (vec![button("action_id", json!("a".repeat(256)))], "blocks[0].elements[0]: action_id has 256"),
            (vec![button("style", json!("loud"))], "blocks[0].elements[0]: style"),
            (vec![button("colour", json!("red"))], "blocks[0].elements[0]: unknown field"),
            (vec![same_action], "blocks[0].elements[1]: action_id is used twice"),
            (vec![json!({"type": "divider", "block_id": "b".repeat(256)})], "blocks[0]: block_id has 256"),
            (vec![twice.clone(), twice], "blocks[1]: block_id \"same\""),
            (vec![json!({"type": "carousel"})], "blocks[0]: unknown type"),
            (vec![json!({"type": "image", "image_url": "https://x"})], "blocks[0]: alt_text is missing"),
            (vec![json!("divider")], "blocks[0]: not an object"),
        ] {
            let refused = check(&blocks).expect_err(place);
            assert_eq!(refused.error, "invalid_blocks");
            assert!(refused.reason.starts_with(place), "{} instead of {place}", refused.reason);
        }
    }

    #[test]
    fn the_whole_text_of_a_message_has_a_limit() {
        let mut blocks = vec![section(3_000); 4];
        blocks.push(section(1_200));
        assert_eq!(check(&blocks), Ok(()));
        blocks.push(section(1));
        assert_eq!(check(&blocks).expect_err("too long").error, "msg_blocks_too_long");
    }
}
