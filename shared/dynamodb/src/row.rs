//! Items as rows: the JSON text in one attribute, and beside it what people search for in the console.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::Blob;
use monitor_domain::quote::quote;
use monitor_domain::time::Timestamp;
use monitor_pipeline::expiry::expires_at;
use monitor_pipeline::items::Item;
use monitor_pipeline::json;
use monitor_pipeline::ports::StoreError;

use crate::layout::{KEY, Place, SORT_KEY, TARGETS_INDEX, TARGETS_INDEX_KEY};

/// When DynamoDB may delete the row, in seconds since 1970: the attribute of the table's time to live.
pub const EXPIRES_AT: &str = "expiresAt";
/// The item: JSON text, or the deflated text in bytes.
pub(crate) const BODY: &str = "body";

/// A text longer than this, in bytes, is deflated: two read units.
const LONGEST_PLAIN_TEXT: usize = 8 << 10;
const DEFLATE_LEVEL: u8 = 6;
/// The longest inflated text, in bytes.
const LONGEST_TEXT: usize = 64 << 20;
/// The longest quoted reason why a row cannot be read, in characters: `serde_json` quotes its input.
const LONGEST_REASON: usize = 300;

/// The attributes of a row.
pub type Row = HashMap<String, AttributeValue>;

/// An item's row without its body, and the body.
pub(crate) fn write(item: &Item) -> Result<(Row, Body), StoreError> {
    let place = Place::of(&item.key());
    let mut row = at(&place);
    let mut text = |name: &str, text: &str| {
        if !text.is_empty() {
            row.insert(name.to_owned(), AttributeValue::S(text.to_owned()));
        }
    };
    match item {
        Item::Target(record) => {
            text(TARGETS_INDEX_KEY, TARGETS_INDEX);
            text("name", record.target.as_str());
        }
        Item::Runner(item) => {
            text("name", &item.runner.name);
            text("status", &item.runner.status.to_string());
        }
        Item::Outage(item) => {
            text("name", &item.outage.runner_name);
            text("status", &item.outage.status.to_string());
            text("startedAt", &item.outage.started_at.to_string());
            text("resolvedAt", &item.outage.resolved_at.map(|at| at.to_string()).unwrap_or_default());
        }
        Item::Mute(mute) => text("scope", &mute.scope.to_string()),
        _ => {}
    }
    if let Some(at) = expires_at(item) {
        row.insert(EXPIRES_AT.to_owned(), AttributeValue::N(at.epoch_secs().to_string()));
    }
    let body = json::encode(item)?;
    let body = match body.len() <= LONGEST_PLAIN_TEXT {
        true => Body::Plain(body),
        false => Body::Deflated(miniz_oxide::deflate::compress_to_vec(body.as_bytes(), DEFLATE_LEVEL)),
    };
    Ok((row, body))
}

/// The content of an item.
pub(crate) enum Body {
    Plain(String),
    Deflated(Vec<u8>),
}

impl Body {
    pub(crate) fn into_value(self) -> AttributeValue {
        match self {
            Self::Plain(text) => AttributeValue::S(text),
            Self::Deflated(bytes) => AttributeValue::B(Blob::new(bytes)),
        }
    }
}

/// A row that has only its key.
pub(crate) fn at(place: &Place) -> Row {
    let text = |text: &String| AttributeValue::S(text.clone());
    HashMap::from([(KEY.to_owned(), text(&place.partition)), (SORT_KEY.to_owned(), text(&place.sort))])
}

/// The key of a row.
pub fn place(row: &Row) -> Place {
    let text = |name| row.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    Place { partition: text(KEY), sort: text(SORT_KEY) }
}

/// Whether the row only waits to be deleted, which takes DynamoDB up to a few days ("Using time to live", Developer
/// Guide).
pub(crate) fn has_expired(row: &Row, now: Timestamp) -> bool {
    number(row, EXPIRES_AT).is_some_and(|expires_at| expires_at <= now.epoch_secs())
}

/// A number of a row.
pub(crate) fn number(row: &Row, name: &str) -> Option<i64> {
    row.get(name)?.as_n().ok()?.parse().ok()
}

/// Reads the item of a row; `None` if a later release wrote a type that this one does not know.
pub(crate) fn read(row: &Row) -> Result<Option<Item>, StoreError> {
    let broken = |reason: String| unreadable(row, &reason);
    let inflated;
    let text = match row.get(BODY) {
        Some(AttributeValue::S(text)) => text.as_bytes(),
        Some(AttributeValue::B(deflated)) => {
            inflated = miniz_oxide::inflate::decompress_to_vec_with_limit(deflated.as_ref(), LONGEST_TEXT)
                .map_err(|error| broken(format!("{BODY}: {error}")))?;
            &inflated
        }
        _ => return Err(broken(format!("it has no {BODY}"))),
    };
    match json::decode(text).map_err(|error| broken(format!("{BODY}: {error}")))? {
        Some(item) if Place::of(&item.key()) != place(row) => {
            Err(broken("another item is stored under its key".to_owned()))
        }
        item => Ok(item),
    }
}

pub(crate) fn unreadable(row: &Row, reason: &str) -> StoreError {
    let Place { partition, sort } = place(row);
    StoreError::Unreadable {
        key: format!("{} {}", quote(&partition, 160), quote(&sort, 160)),
        reason: quote(reason, LONGEST_REASON),
    }
}
