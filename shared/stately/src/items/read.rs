//! Reads StatelyDB items as the pipeline's items.

use monitor_domain::quote::quote;
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::{Target, TargetId};
use monitor_domain::time::Timestamp;
use monitor_pipeline::items::{Cursor, Item, LastSeen, OutageItem, RunnerItem};
use monitor_pipeline::ports::StoreError;
use serde::de::DeserializeOwned;

use super::DEFLATED;
use crate::connect::decode_base64;
use crate::fields::{self, ItemType};
use crate::payload::{Broken, Record, Value};
use crate::wire;

/// The longest inflated body, in bytes.
const LONGEST_BODY: usize = 64 << 20;
/// The longest quoted reason why a body cannot be read, in characters: `serde_json` quotes its input.
const LONGEST_REASON: usize = 300;

/// An item type and its reader.
#[derive(Debug)]
pub struct Readable {
    name: &'static str,
    read: fn(&mut Reader, &Record) -> Result<Item, Broken>,
}

impl Readable {
    /// The type's name in the schema.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// Every item type.
pub const EVERY_TYPE: &[Readable] = &[
    TARGET,
    RUNNER,
    Readable {
        name: fields::OUTAGE_EVENT.name,
        read: |reader, record| {
            Ok(Item::Outage(OutageItem { target: reader.target(record)?, outage: content(record)? }))
        },
    },
    LAST_SEEN,
    CURSOR,
    CREDENTIAL,
    WATCHLIST,
    CHANGE,
    Readable { name: fields::CLAIM.name, read: |_, record| content(record).map(Item::Claim) },
    Readable { name: fields::SENT.name, read: |_, record| content(record).map(Item::Sent) },
    Readable { name: fields::MUTE.name, read: |_, record| content(record).map(Item::Mute) },
    Readable { name: fields::ACKNOWLEDGEMENT.name, read: |_, record| content(record).map(Item::Acknowledgement) },
    ACCESS_TOKEN,
    Readable { name: fields::MARKER.name, read: |_, record| content(record).map(Item::Marker) },
];

/// The types that the schedule stage reads. A function that uses only these does not link the readers of the others.
pub const TYPES_OF_THE_SCHEDULE: &[Readable] =
    &[TARGET, RUNNER, LAST_SEEN, CURSOR, CREDENTIAL, WATCHLIST, CHANGE, ACCESS_TOKEN];

const TARGET: Readable =
    Readable { name: fields::REPOSITORY.name, read: |_, record| content(record).map(Item::Target) };
const RUNNER: Readable = Readable {
    name: fields::RUNNER.name,
    read: |reader, record| Ok(Item::Runner(RunnerItem { target: reader.target(record)?, runner: content(record)? })),
};
const CREDENTIAL: Readable =
    Readable { name: fields::CREDENTIAL.name, read: |_, record| content(record).map(Item::Credential) };
const CHANGE: Readable = Readable { name: fields::CHANGE.name, read: |_, record| content(record).map(Item::Change) };
const ACCESS_TOKEN: Readable =
    Readable { name: fields::ACCESS_TOKEN.name, read: |_, record| content(record).map(Item::AccessToken) };
const LAST_SEEN: Readable = Readable {
    name: fields::LAST_SEEN.name,
    read: |_, record| {
        let at = Timestamp::from_epoch_ms(record.moment("seenAt"));
        let jobs_sent_at = optional_moment(record, "jobsSentAt");
        let next_tick_at = optional_moment(record, "nextTickAt");
        Ok(Item::LastSeen(LastSeen { subject: subject(record)?, at, jobs_sent_at, next_tick_at }))
    },
};
const CURSOR: Readable = Readable {
    name: fields::CURSOR.name,
    read: |_, record| {
        Ok(Item::Cursor(Cursor {
            subject: subject(record)?,
            notified_through: Revision(record.number("notifiedThrough")),
            recorded_through: Revision(record.number("recordedThrough")),
            next_attempt_at: optional_moment(record, "nextAttemptAt"),
        }))
    },
};
const WATCHLIST: Readable =
    Readable { name: fields::WATCHLIST.name, read: |_, record| content(record).map(Item::Watchlist) };

/// Reads items from the wire.
pub struct Reader {
    types: &'static [Readable],
    /// The previous item's target: the items of a list share one.
    target: Option<TargetId>,
}

impl Default for Reader {
    fn default() -> Self {
        Self::of(EVERY_TYPE)
    }
}

impl Reader {
    /// A reader for these types only.
    pub fn of(types: &'static [Readable]) -> Self {
        Self { types, target: None }
    }

    /// Reads an item; `None` if only a later release knows its type.
    pub fn read(&mut self, item: &wire::Item) -> Result<Option<Item>, StoreError> {
        self.item(item).map_err(|broken| unreadable(item, &broken))
    }

    fn item(&mut self, item: &wire::Item) -> Result<Option<Item>, Broken> {
        let Some(record) = main_record(item)? else { return Ok(None) };
        if record.text("repoId").starts_with(crate::canary::MARK) {
            return Ok(None);
        }
        match self.types.iter().find(|readable| readable.name == record.item_type().name) {
            Some(readable) => (readable.read)(self, &record).map(Some),
            None => Err(Broken("this reader does not read items of this type".to_owned())),
        }
    }

    fn target(&mut self, record: &Record) -> Result<TargetId, Broken> {
        let repo_id = record.text("repoId");
        if let Some(known) = self.target.as_ref().filter(|known| known.as_str() == repo_id) {
            return Ok(known.clone());
        }
        let target: Target = repo_id.parse().map_err(|error| Broken(format!("repoId: {error}")))?;
        self.target = Some(target.id().clone());
        Ok(target.id().clone())
    }
}

/// The fields that an item is read from: its body, or all fields if its type has no body.
fn main_record(item: &wire::Item) -> Result<Option<Record>, Broken> {
    let Some(item_type) = ItemType::named(&item.item_type) else { return Ok(None) };
    let has_body = item_type.field("body").is_some();
    Record::read(item, |field| !has_body || matches!(field.name, "body" | "repoId"))
}

/// The nonce of an item, which identifies the writer of a change.
pub(crate) fn nonce(item: &wire::Item) -> Result<Option<u64>, StoreError> {
    #[derive(serde::Deserialize)]
    struct Owned {
        nonce: u64,
    }
    let read = || Ok(main_record(item)?.map(|record| content::<Owned>(&record)).transpose()?.map(|owned| owned.nonce));
    read().map_err(|broken| unreadable(item, &broken))
}

fn unreadable(item: &wire::Item, Broken(reason): &Broken) -> StoreError {
    StoreError::Unreadable { key: named(item), reason: quote(reason, LONGEST_REASON) }
}

/// An optional time; 0 means none.
fn optional_moment(record: &Record, name: &str) -> Option<Timestamp> {
    Some(record.moment(name)).filter(|moment| *moment != 0).map(Timestamp::from_epoch_ms)
}

fn subject(record: &Record) -> Result<Subject, Broken> {
    record.text("repoId").parse().map_err(|error| Broken(format!("repoId: {error}")))
}

/// The content of the body.
fn content<T: DeserializeOwned>(record: &Record) -> Result<T, Broken> {
    let body = record.text("body");
    let inflated = body.strip_prefix(DEFLATED).map(inflated).transpose()?;
    // Always from text: instantiating the reader for bytes too would double the code of every record.
    serde_json::from_str(inflated.as_deref().unwrap_or(body)).map_err(|error| Broken(format!("body: {error}")))
}

fn inflated(deflated: &str) -> Result<String, Broken> {
    let deflated = decode_base64(deflated).ok_or_else(|| Broken("body: no base64".to_owned()))?;
    let text = miniz_oxide::inflate::decompress_to_vec_with_limit(&deflated, LONGEST_BODY)
        .map_err(|error| Broken(format!("body: {error}")))?;
    String::from_utf8(text).map_err(|error| Broken(format!("body: {error}")))
}

/// An item's name in an error: its type and the readable parts of its key.
fn named(item: &wire::Item) -> String {
    const IN_KEYS: [&str; 7] = ["repoId", "runnerId", "outageId", "revision", "notification", "attempt", "muteId"];
    let keys = Record::read(item, |field| IN_KEYS.contains(&field.name)).ok().flatten();
    let mut name = quote(&item.item_type, 40);
    for key in IN_KEYS {
        match keys.as_ref().and_then(|record| record.get(key)) {
            Some(Value::Text(text)) => name = format!("{name} {}", quote(text, 160)),
            Some(Value::Number(number)) => name = format!("{name} {key} {number}"),
            _ => {}
        }
    }
    name
}
