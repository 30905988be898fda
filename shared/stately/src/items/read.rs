//! Reads StatelyDB items as the pipeline's items.

use monitor_domain::quote::quote;
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::{Target, TargetId};
use monitor_domain::time::Timestamp;
use monitor_pipeline::items::{Cursor, Item, JobItem, LastSeen, OutageItem, RunnerItem};
use monitor_pipeline::ports::StoreError;
use serde::de::DeserializeOwned;

use super::DEFLATED;
use crate::connect::decode_base64;
use crate::fields::ItemType;
use crate::payload::{Broken, Record, Value};
use crate::wire;

/// The longest inflated body, in bytes.
const LONGEST_BODY: usize = 64 << 20;
/// The longest quoted reason why a body cannot be read, in characters: `serde_json` quotes its input.
const LONGEST_REASON: usize = 300;

/// Reads items from the wire.
#[derive(Default)]
pub struct Reader {
    /// The previous item's target: the items of a list share one.
    target: Option<TargetId>,
}

impl Reader {
    /// Reads an item; `None` if only a later release knows its type.
    pub fn read(&mut self, item: &wire::Item) -> Result<Option<Item>, StoreError> {
        self.item(item).map_err(|broken| unreadable(item, &broken))
    }

    fn item(&mut self, item: &wire::Item) -> Result<Option<Item>, Broken> {
        let Some(record) = main_record(item)? else { return Ok(None) };
        if record.text("repoId").starts_with(crate::canary::MARK) {
            return Ok(None);
        }
        let item = match record.item_type().name {
            "Repository" => Item::Target(content(&record)?),
            "Runner" => Item::Runner(RunnerItem { target: self.target(&record)?, runner: content(&record)? }),
            "OutageEvent" => Item::Outage(OutageItem { target: self.target(&record)?, outage: content(&record)? }),
            "LastSeen" => Item::LastSeen(LastSeen {
                subject: subject(&record)?,
                slot: u8::try_from(record.number("slot").saturating_sub(1)).unwrap_or_default(),
                at: Timestamp::from_epoch_ms(record.moment("seenAt")),
                jobs_sent_at: optional_moment(&record, "jobsSentAt"),
                next_tick_at: optional_moment(&record, "nextTickAt"),
            }),
            "Cursor" => Item::Cursor(Cursor {
                subject: subject(&record)?,
                notified_through: Revision(record.number("notifiedThrough")),
                recorded_through: Revision(record.number("recordedThrough")),
                next_attempt_at: optional_moment(&record, "nextAttemptAt"),
            }),
            "Credential" => Item::Credential(content(&record)?),
            "Watchlist" => Item::Watchlist(content(&record)?),
            "Change" => Item::Change(content(&record)?),
            "Claim" => Item::Claim(content(&record)?),
            "Sent" => Item::Sent(content(&record)?),
            "Mute" => Item::Mute(content(&record)?),
            "Acknowledgement" => Item::Acknowledgement(content(&record)?),
            "AccessToken" => Item::AccessToken(content(&record)?),
            "WorkflowJob" => Item::Job(JobItem { target: self.target(&record)?, job: content(&record)? }),
            "Marker" => Item::Marker(content(&record)?),
            name => return Err(Broken(format!("no reader for items of type {name}"))),
        };
        Ok(Some(item))
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
