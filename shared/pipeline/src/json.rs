//! Items as JSON text, as the stores of our own layout keep them.

use monitor_domain::target::TargetId;
use serde::Deserialize;

use crate::items::{Item, RunnerItem};
use crate::ports::StoreError;

/// Every item type that this release knows, by its tag in the JSON.
const KNOWN_TYPES: [&str; 15] = [
    "target",
    "runner",
    "outage",
    "lastSeen",
    "change",
    "credential",
    "watchlist",
    "claim",
    "sent",
    "cursor",
    "mute",
    "acknowledgement",
    "accessToken",
    "marker",
    "job",
];

/// An item's text.
pub fn encode(item: &Item) -> Result<String, StoreError> {
    serde_json::to_string(item)
        .map_err(|error| StoreError::Refused(format!("{}: it cannot be written as JSON: {error}", item.key())))
}

/// Reads an item's text; `None` if a later release wrote a type that this one does not know.
pub fn decode(text: &[u8]) -> Result<Option<Item>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Tag<'a> {
        item: &'a str,
    }
    if let Some(runner) = decode_runner(text) {
        return Ok(Some(runner));
    }
    serde_json::from_slice(text).map(Some).or_else(|error| match serde_json::from_slice::<Tag<'_>>(text) {
        Ok(Tag { item }) if !KNOWN_TYPES.contains(&item) => Ok(None),
        _ => Err(error),
    })
}

/// Most of the items that a check reads are runners. Reading them without a tagged enum's buffer costs less than half.
fn decode_runner(text: &[u8]) -> Option<Item> {
    #[derive(Deserialize)]
    struct Of {
        target: TargetId,
    }
    if !text.starts_with(br#"{"item":"runner","#) {
        return None;
    }
    let (Of { target }, runner) = (serde_json::from_slice(text).ok()?, serde_json::from_slice(text).ok()?);
    Some(Item::Runner(RunnerItem { target, runner }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::samples;

    #[test]
    fn a_runner_is_read_the_same_way_by_both_decoders() {
        let runners = samples::every_item().into_iter().filter(|item| matches!(item, Item::Runner(_)));
        for item in runners {
            let text = encode(&item).unwrap();
            assert_eq!(decode_runner(text.as_bytes()), Some(item.clone()), "{text}");
            assert_eq!(serde_json::from_str::<Item>(&text).unwrap(), item);
        }
        let broken = br#"{"item":"runner","target":"acme/web"}"#;
        assert!(decode(broken).unwrap_err().to_string().contains("missing field"));
    }

    #[test]
    fn every_item_type_is_known_by_its_tag() {
        for item in samples::every_item() {
            let text = encode(&item).unwrap();
            let tag = serde_json::from_str::<serde_json::Value>(&text).unwrap()["item"].clone();
            assert!(KNOWN_TYPES.contains(&tag.as_str().unwrap()), "{tag}");
        }
    }

    #[test]
    fn a_type_of_a_later_release_is_no_error() {
        assert_eq!(decode(br#"{"item":"pool","name":"gpu"}"#).unwrap(), None);
        assert!(decode(br#"{"item":"target","name":"gpu"}"#).is_err());
    }
}
