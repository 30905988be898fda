//! Items as JSON text, as the stores of our own layout keep them.

use std::borrow::Cow;

use monitor_domain::target::TargetId;
use serde::Deserialize;
use serde::de::Error as _;
use serde_json::{Error, from_str};

use crate::items::{Item, JobItem, OutageItem, RunnerItem};
use crate::ports::StoreError;

/// An item's text.
pub fn encode(item: &Item) -> Result<String, StoreError> {
    serde_json::to_string(item)
        .map_err(|error| StoreError::Refused(format!("{}: it cannot be written as JSON: {error}", item.key())))
}

/// What is read first: the type, and the target of an item that lies within one. The readers of the types ignore both.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    item: Cow<'a, str>,
    target: Option<TargetId>,
}

impl Head<'_> {
    fn target(self) -> Result<TargetId, Error> {
        self.target.ok_or_else(|| Error::missing_field("target"))
    }
}

/// Reads an item's text; `None` if a later release wrote a type that this one does not know.
///
/// The type selects the reader. A tagged enum would hold all fields in a buffer first, at twice the time and the code.
pub fn decode(text: &[u8]) -> Result<Option<Item>, Error> {
    let text = std::str::from_utf8(text).map_err(Error::custom)?;
    let head: Head<'_> = from_str(text)?;
    let item = match &*head.item {
        "target" => Item::Target(from_str(text)?),
        "runner" => Item::Runner(RunnerItem { target: head.target()?, runner: from_str(text)? }),
        "outage" => Item::Outage(OutageItem { target: head.target()?, outage: from_str(text)? }),
        "lastSeen" => Item::LastSeen(from_str(text)?),
        "change" => Item::Change(from_str(text)?),
        "credential" => Item::Credential(from_str(text)?),
        "watchlist" => Item::Watchlist(from_str(text)?),
        "claim" => Item::Claim(from_str(text)?),
        "sent" => Item::Sent(from_str(text)?),
        "cursor" => Item::Cursor(from_str(text)?),
        "mute" => Item::Mute(from_str(text)?),
        "acknowledgement" => Item::Acknowledgement(from_str(text)?),
        "accessToken" => Item::AccessToken(from_str(text)?),
        "marker" => Item::Marker(from_str(text)?),
        "job" => Item::Job(JobItem { target: head.target()?, job: from_str(text)? }),
        _ => return Ok(None),
    };
    Ok(Some(item))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::samples;

    #[test]
    fn every_item_is_read_as_it_was_written() {
        for item in samples::every_item() {
            let text = encode(&item).unwrap();
            assert_eq!(decode(text.as_bytes()).unwrap(), Some(item), "{text}");
        }
    }

    #[test]
    fn the_order_of_the_fields_does_not_matter() {
        for item in samples::every_item() {
            let fields: serde_json::Map<_, _> = serde_json::from_str(&encode(&item).unwrap()).unwrap();
            let reversed: Vec<_> = fields.iter().rev().map(|(name, value)| format!("{name:?}:{value}")).collect();
            let text = format!("{{{}}}", reversed.join(","));
            assert_eq!(decode(text.as_bytes()).unwrap(), Some(item), "{text}");
        }
    }

    #[test]
    fn what_is_missing_or_broken_is_named() {
        let cases: [(&[u8], &str); 6] = [
            (br#"{"item":"runner","target":"acme/web"}"#, "missing field `id`"),
            (br#"{"item":"outage","id":1}"#, "missing field `target`"),
            (br#"{"item":"target","name":"gpu"}"#, "missing field `target`"),
            (br#"{"name":"gpu"}"#, "missing field `item`"),
            (br#"{"item":"pool","name":"gpu""#, "EOF"),
            (b"{\"item\":\"\xff\"}", "invalid utf-8"),
        ];
        for (text, named) in cases {
            let error = decode(text).unwrap_err().to_string();
            assert!(error.contains(named), "{}: {error}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_type_of_a_later_release_is_no_error() {
        assert_eq!(decode(br#"{"item":"pool","name":"gpu"}"#).unwrap(), None);
    }
}
