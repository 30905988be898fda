//! Stored items, which may come from another release.

use monitor_domain::time::Timestamp;
use monitor_pipeline::items::Item;
use monitor_pipeline::json;
use monitor_pipeline::testing::samples::every_item;
use monitor_stately::items::{Reader, key_path, write};
use serde_json::Value;

/// An item that was read, written and read again is the same, as JSON and as an item of StatelyDB.
pub(crate) fn items(input: &[u8]) {
    let Ok(Some(item)) = json::decode(input) else { return };
    let text = encode(&item);
    let again = json::decode(text.as_bytes()).expect("what was written is read").expect("its type is known");
    assert_eq!(encode(&again), text, "reading and writing it changes it");
    assert_eq!(again.key(), item.key());
    assert!(!item.key().to_string().is_empty() && key_path(&item.key()).as_str().starts_with('/'));
    let on_wire = write(&item).expect("what was read can be put");
    if let Some(read) = Reader::default().read(&on_wire).expect("what was put is read") {
        assert_eq!(encode(&read), text, "StatelyDB returns something else");
    }
}

/// The keys that select a variant: another value there changes the meaning of the rest.
const TAGS: [&str; 5] = ["item", "event", "state", "ending", "kind"];

/// Replaces one field of a sample item. The item is then refused, or it has the new value and is otherwise unchanged.
pub(crate) fn fields(input: &[u8]) {
    let [which, low, high, value @ ..] = input else { return };
    let Ok(value) = serde_json::from_slice::<Value>(value) else { return };
    let samples = every_item();
    let sample = serde_json::to_value(&samples[usize::from(*which) % samples.len()]).unwrap();
    let mut leaves = Vec::new();
    gather(&sample, String::new(), &mut leaves);
    let leaf = &leaves[usize::from(u16::from_le_bytes([*low, *high])) % leaves.len()];
    let is_tag = TAGS.iter().any(|tag| leaf.rsplit('/').next() == Some(tag));
    let mut altered = sample;
    let Some(place) = altered.pointer_mut(leaf) else { return };
    if is_tag {
        return;
    }
    *place = value;
    if let Ok(Some(item)) = json::decode(altered.to_string().as_bytes()) {
        let written = serde_json::to_value(&item).unwrap();
        assert_eq!(canonical(written), canonical(altered), "{leaf} or something beside it was lost");
    }
}

fn encode(item: &Item) -> String {
    json::encode(item).expect("an item can be written")
}

/// The paths of all values that contain no others.
fn gather(value: &Value, place: String, leaves: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| gather(value, format!("{place}/{name}"), leaves));
        }
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(index, value)| gather(value, format!("{place}/{index}"), leaves));
        }
        _ => leaves.push(place),
    }
}

/// Removes values that are not written, and normalizes times and the case of names.
fn canonical(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, canonical(value)));
            let is_default = |value: &Value| {
                matches!(value, Value::Null | Value::Bool(false)) || value.as_array().is_some_and(Vec::is_empty)
            };
            Value::Object(fields.filter(|(_, value)| !is_default(value)).collect())
        }
        Value::Array(values) => values.into_iter().map(canonical).collect(),
        Value::String(text) => match text.parse::<Timestamp>() {
            Ok(moment) => Value::String(moment.to_string()),
            Err(_) => Value::String(text.to_ascii_lowercase()),
        },
        other => other,
    }
}
