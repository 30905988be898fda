//! Prepares and stores items as the service does.

use std::collections::BTreeSet;

use monitor_stately::wire::transaction::{GeneratedId, GeneratedValue};
use monitor_stately::wire::{Item, Payload, PutItem};

use crate::json::struct_to_json;
use crate::keys::KeyPath;
use crate::record::{Record, Value};
use crate::refusal::{Refusal, RpcCode};
use crate::schema::{InitialValue, ItemType, Metadata, Schema, TtlAfter, TtlSource};
use crate::state::Random;
use crate::table::{Stored, Table};

/// A validated item, ready to be stored.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    item_type: String,
    record: Record,
    keys: Vec<KeyPath>,
    must_not_exist: bool,
    overwrite_times: bool,
    /// The field for which the service generated a value.
    given: Option<u32>,
}

/// The limits of a put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The largest item as protobuf, in bytes.
    pub(crate) max_item_bytes: usize,
    /// Whether a number in a key path may be 0.
    pub(crate) zero_ids: bool,
}

/// Reads one put and sets the fields that the service generates.
pub(crate) fn prepare(
    schema: &Schema,
    table: &mut Table,
    random: &mut Random,
    put: &PutItem,
    limits: Limits,
) -> Result<Prepared, Refusal> {
    let item = put.item.as_ref().ok_or_else(|| Refusal::invalid("a put has no item"))?;
    let item_type = known_type(schema, &item.item_type)?;
    let mut record = read(schema, item)?;
    for (number, metadata, _) in &item_type.from_metadata {
        let is_time = matches!(metadata, Metadata::CreatedAtTime | Metadata::LastModifiedAtTime);
        if *metadata != Metadata::Ttl && !(is_time && put.overwrite_metadata_timestamps) {
            record.remove(number);
        }
    }
    let given = match item_type.initial_value {
        Some((number, initial)) if !record.contains_key(&number) => {
            let value = initial_value(table, random, item_type, &item.item_type, &record, (number, initial))?;
            record.insert(number, vec![value]);
            Some(number)
        }
        _ => None,
    };
    let is_missing = |number: u32| {
        let may_be_zero = limits.zero_ids && item_type.numbers_in_keys.contains(&number);
        !may_be_zero && !record.contains_key(&number)
    };
    if let Some((_, name)) = item_type.required.iter().find(|(number, _)| is_missing(*number)) {
        return Err(Refusal::invalid(format!("{}.{name} is required but not set", item.item_type)));
    }
    // A zero that is not allowed was refused above.
    let zero = &item_type.numbers_in_keys;
    let keys = item_type.key_paths.iter().map(|path| path.fill(&record, zero));
    let keys: Vec<KeyPath> = keys.collect::<Result<_, _>>().map_err(Refusal::invalid)?;
    let bytes = schema.types.encode(&item.item_type, &record).map_err(Refusal::invalid)?.len();
    if bytes > limits.max_item_bytes {
        let message = format!("an item of {bytes} bytes is too large; at most {}", limits.max_item_bytes);
        return Err(Refusal::invalid(message));
    }
    Ok(Prepared {
        item_type: item.item_type.clone(),
        record,
        keys,
        must_not_exist: put.must_not_exist,
        overwrite_times: put.overwrite_metadata_timestamps,
        given,
    })
}

fn known_type<'a>(schema: &'a Schema, name: &str) -> Result<&'a ItemType, Refusal> {
    let unknown = || Refusal::invalid(format!("`{name}` is not an item type of schema version {}", schema.version));
    schema.items.get(name).ok_or_else(unknown)
}

fn read(schema: &Schema, item: &Item) -> Result<Record, Refusal> {
    let read = match &item.payload {
        Some(Payload::Proto(bytes)) => schema.types.decode(&item.item_type, bytes),
        Some(Payload::Json(json)) => schema.types.read_json(&item.item_type, &struct_to_json(json)),
        None => Ok(Record::new()),
    };
    read.map_err(Refusal::invalid)
}

fn initial_value(
    table: &mut Table,
    random: &mut Random,
    item_type: &ItemType,
    name: &str,
    record: &Record,
    (number, initial): (u32, InitialValue),
) -> Result<Value, Refusal> {
    Ok(match initial {
        InitialValue::Uuid => Value::Bytes(random.uuid().to_vec()),
        InitialValue::Rand53 => Value::Uint((random.next() >> 11).max(1)),
        InitialValue::Sequence => {
            let mut with_any = record.clone();
            with_any.insert(number, vec![Value::Uint(1)]);
            let primary = item_type.key_paths.first().ok_or_else(|| Refusal::invalid("no key path"))?;
            let parent = primary.fill(&with_any, &[]).map_err(Refusal::invalid)?.parent();
            Value::Uint(table.next_in_sequence(parent, name))
        }
    })
}

impl Prepared {
    /// The id that the service generated for the item.
    pub(crate) fn generated_id(&self) -> GeneratedId {
        let value = self.given.and_then(|number| self.record.get(&number)).and_then(|values| values.first());
        let value = match value {
            Some(Value::Uint(number)) => Some(GeneratedValue::Uint(*number)),
            Some(Value::Bytes(bytes)) => Some(GeneratedValue::Bytes(bytes.clone())),
            _ => None,
        };
        GeneratedId { value }
    }

    /// The item's keys.
    pub(crate) fn keys(&self) -> &[KeyPath] {
        &self.keys
    }
}

/// Stores a batch completely or not at all, and deletes the keys in `deletes`. Returns the items as stored.
pub(crate) fn store(
    schema: &Schema,
    table: &mut Table,
    batch: Vec<Prepared>,
    deletes: &[KeyPath],
    now_ms: i64,
) -> Result<Vec<Stored>, Refusal> {
    let mut written: BTreeSet<&KeyPath> = deletes.iter().collect();
    for put in &batch {
        for key in &put.keys {
            if !written.insert(key) {
                return Err(Refusal::invalid(format!("{key} is written twice in one batch")));
            }
            let Some(there) = table.get(key) else { continue };
            if put.must_not_exist || there.keys.first() != put.keys.first() {
                let message = format!("{key} exists");
                return Err(Refusal::new(RpcCode::FailedPrecondition, "ConditionalCheckFailed", message));
            }
        }
    }
    let groups: BTreeSet<KeyPath> = batch.iter().flat_map(|put| &put.keys).chain(deletes).map(KeyPath::group).collect();
    for group in &groups {
        table.raise_version(group);
    }
    for key in deletes {
        table.remove(key);
    }
    // A prepared item can always be encoded, so nothing fails halfway.
    let stored = batch.into_iter().map(|put| complete(schema, table, put, now_ms));
    let stored: Vec<Stored> = stored.collect::<Result<_, _>>()?;
    for item in &stored {
        table.insert(item.clone());
    }
    Ok(stored)
}

fn complete(schema: &Schema, table: &Table, put: Prepared, now_ms: i64) -> Result<Stored, Refusal> {
    let item_type = known_type(schema, &put.item_type)?;
    let mut record = put.record;
    let group = put.keys.first().map(KeyPath::group).unwrap_or(KeyPath(Vec::new()));
    let version = table.version(&group);
    let before = put.keys.first().and_then(|key| table.get(key));
    let mut created_ms = before.map_or(now_ms, |item| item.created_ms);
    let created_version = before.map_or(version, |item| item.created_version);
    let mut expires_ms = None;
    for (number, metadata, unit) in &item_type.from_metadata {
        let given = match record.get(number).and_then(|values| values.first()) {
            Some(Value::Int(value)) => Some(*value),
            _ => None,
        };
        let value = match metadata {
            Metadata::CreatedAtTime => {
                created_ms = given.filter(|_| put.overwrite_times).map_or(created_ms, |value| unit.to_ms(value));
                Value::Int(unit.of_ms(created_ms))
            }
            Metadata::LastModifiedAtTime => Value::Int(given.unwrap_or(unit.of_ms(now_ms))),
            Metadata::CreatedAtVersion => Value::Uint(created_version),
            Metadata::LastModifiedAtVersion => Value::Uint(version),
            Metadata::Ttl => {
                let Some(value) = given else { continue };
                expires_ms = Some(unit.to_ms(value));
                Value::Int(value)
            }
        };
        record.insert(*number, vec![value]);
    }
    if let Some(ttl) = &item_type.ttl {
        let after = match ttl.after {
            TtlAfter::Ms(after) => after,
            TtlAfter::Field(number, unit) => match record.get(&number).and_then(|values| values.first()) {
                Some(Value::Int(value)) => unit.to_ms(*value),
                Some(Value::Uint(value)) => unit.to_ms(i64::try_from(*value).unwrap_or(i64::MAX)),
                _ => 0,
            },
        };
        let from = match ttl.source {
            TtlSource::FromCreated => created_ms,
            TtlSource::FromLastModified => now_ms,
            TtlSource::AtTimestamp => 0,
        };
        // Zero means never.
        expires_ms = (after != 0).then(|| from.saturating_add(after)).or(expires_ms);
    }
    let proto = schema.types.encode(&put.item_type, &record).map_err(Refusal::invalid)?;
    Ok(Stored { item_type: put.item_type, keys: put.keys, record, proto, created_ms, created_version, expires_ms })
}

/// An item for a response: as protobuf, or as JSON on request.
pub(crate) fn outgoing(schema: &Schema, item: &Stored, as_json: bool) -> Result<Item, Refusal> {
    let payload = if as_json {
        let json = schema.types.to_json(&item.item_type, &item.record);
        let json = json.map_err(|fault| Refusal::bare(RpcCode::Internal, fault))?;
        Payload::Json(crate::json::json_to_struct(&json).unwrap_or_default())
    } else {
        Payload::Proto(item.proto.clone())
    };
    Ok(Item { item_type: item.item_type.clone(), payload: Some(payload) })
}
