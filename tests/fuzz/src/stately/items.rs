//! Payloads of items, with fields by number (protobuf) and by name (JSON).

use std::collections::BTreeMap;

use monitor_stately::fields::{ALL, ItemType};
use monitor_stately::items::{Reader, write};
use monitor_stately::payload::{Record, Value};
use monitor_stately::wire::json::{Kind as Json, ListValue, Struct, Value as JsonValue};
use monitor_stately::wire::{Item, Payload};
use prost::Message;

use crate::text_checks::{SECRET, assert_bearable};

const LONGEST: usize = 1_500;
/// A field that only a later schema has.
const LATER_FIELD: u32 = 1_000;

/// The first byte is the item's type, the rest its payload: protobuf, or JSON if the highest bit is set.
pub(crate) fn items(input: &[u8]) {
    let Some((&which, payload)) = input.split_first() else { return };
    let item_type = ALL[usize::from(which & 0x7f) % ALL.len()];
    let payload = if which & 0x80 == 0 {
        Payload::Proto(payload.to_vec())
    } else {
        let Ok(serde_json::Value::Object(fields)) = serde_json::from_slice(payload) else { return };
        Payload::Json(object(fields))
    };
    let item = Item { item_type: item_type.name.to_owned(), payload: Some(payload) };
    assert_eq!(Item::decode(&*item.encode_to_vec()).as_ref(), Ok(&item), "an item is not read as written");
    match Record::read(&item, |_| true) {
        Ok(record) => forms(item_type, &record.expect("its type is known")),
        Err(broken) => assert_bearable(&broken.to_string(), LONGEST),
    }
    match Reader::default().read(&item) {
        Ok(None) => {}
        Ok(Some(read)) => {
            let again = Reader::default().read(&write(&read).expect("what was read can be put")).unwrap();
            assert_eq!(text(&again.expect("it is an item")), text(&read), "written and read again, it differs");
        }
        // Stored items are not secret, so errors may quote them.
        Err(error) => assert_bearable(&error.to_string().replace(SECRET, "…"), LONGEST),
    }
}

/// A record is read in the same way from protobuf and JSON, in any order of fields and with unknown fields.
fn forms(item_type: &'static ItemType, record: &Record) {
    let read = |payload| Record::read(&Item { item_type: item_type.name.to_owned(), payload: Some(payload) }, |_| true);
    let Some(Payload::Proto(bytes)) = record.to_item().payload else { panic!("not written as protobuf") };
    assert_eq!(ordered(read(Payload::Proto(bytes.clone()))), ordered(Ok(Some(record.clone()))));
    assert_eq!(ordered(read(Payload::Json(by_name(record)))), ordered(Ok(Some(record.clone()))));
    let single: Vec<u8> =
        item_type.fields.iter().rev().flat_map(|field| one_field(item_type, record, field.name)).collect();
    let mut with_later = Vec::new();
    prost::encoding::string::encode(LATER_FIELD, &"later".to_owned(), &mut with_later);
    with_later.extend(single);
    assert_eq!(ordered(read(Payload::Proto(with_later))), ordered(Ok(Some(record.clone()))), "order matters");
}

fn one_field(item_type: &'static ItemType, record: &Record, name: &str) -> Vec<u8> {
    let Some(value) = record.get(name) else { return Vec::new() };
    let alone = Record::new(item_type).with(name, value.clone()).to_item();
    let Some(Payload::Proto(bytes)) = alone.payload else { return Vec::new() };
    bytes
}

/// A record's values by name, independent of their order in memory.
fn ordered(read: Result<Option<Record>, monitor_stately::payload::Broken>) -> BTreeMap<&'static str, Value> {
    let record = read.expect("what was written is read").expect("its type is known");
    let fields = record.item_type().fields.iter();
    fields.filter_map(|field| Some((field.name, record.get(field.name)?.clone()))).collect()
}

/// A record in the format of a service that answers with JSON.
fn by_name(record: &Record) -> Struct {
    let value = |kind| JsonValue { kind: Some(kind) };
    let of = |field_value: &Value| match field_value {
        Value::Text(text) => Json::String(text.clone()),
        Value::Texts(texts) => {
            Json::List(ListValue { values: texts.iter().map(|text| value(Json::String(text.clone()))).collect() })
        }
        Value::Flag(flag) => Json::Bool(*flag),
        Value::Number(number) => Json::String(number.to_string()),
        Value::Moment(moment) => Json::String(moment.to_string()),
        Value::Status(status) => Json::Number(f64::from(*status)),
    };
    let set = record.item_type().fields.iter();
    Struct {
        fields: set.filter_map(|field| Some((field.name.to_owned(), value(of(record.get(field.name)?))))).collect(),
    }
}

fn object(fields: serde_json::Map<String, serde_json::Value>) -> Struct {
    Struct { fields: fields.into_iter().map(|(name, value)| (name, JsonValue { kind: Some(kind(value)) })).collect() }
}

fn kind(value: serde_json::Value) -> Json {
    match value {
        serde_json::Value::Null => Json::Null(0),
        serde_json::Value::Bool(flag) => Json::Bool(flag),
        serde_json::Value::Number(number) => Json::Number(number.as_f64().unwrap_or_default()),
        serde_json::Value::String(text) => Json::String(text),
        serde_json::Value::Array(values) => Json::List(ListValue {
            values: values.into_iter().map(|value| JsonValue { kind: Some(kind(value)) }).collect(),
        }),
        serde_json::Value::Object(fields) => Json::Struct(object(fields)),
    }
}

fn text(item: &monitor_pipeline::items::Item) -> String {
    serde_json::to_string(item).expect("an item can be written")
}
