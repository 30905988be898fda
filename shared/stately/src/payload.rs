//! Payloads: an item's fields as protobuf by number, or as JSON by name.

use prost::bytes::Buf;
use prost::encoding::{self, DecodeContext, WireType};

use crate::fields::{Field, ItemType, Kind, RUNNER_STATUS};
use crate::wire::json::{Kind as Json, Struct, Value as JsonValue};
use crate::wire::{self, Payload};

/// A field's value. A zero value is the same as no value, as in the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(String),
    /// A list of strings.
    Texts(Vec<String>),
    /// A boolean.
    Flag(bool),
    /// An unsigned number.
    Number(u64),
    /// A time, in milliseconds or seconds since 1970.
    Moment(i64),
    /// The number of a `RunnerStatus`.
    Status(i32),
}

/// The values of an item's fields, by number, without zero values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    item_type: &'static ItemType,
    values: Vec<(&'static Field, Value)>,
}

/// A payload that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

impl Value {
    fn is_zero(&self) -> bool {
        match self {
            Value::Text(text) => text.is_empty(),
            Value::Texts(texts) => texts.is_empty(),
            Value::Flag(flag) => !flag,
            Value::Number(number) => *number == 0,
            Value::Moment(moment) => *moment == 0,
            Value::Status(status) => *status == 0,
        }
    }

    fn is_of(&self, kind: Kind) -> bool {
        match self {
            Value::Text(_) => kind == Kind::Text,
            Value::Texts(_) => kind == Kind::Texts,
            Value::Flag(_) => kind == Kind::Flag,
            Value::Number(_) => kind == Kind::Number,
            Value::Moment(_) => matches!(kind, Kind::Millis | Kind::Seconds),
            Value::Status(_) => kind == Kind::Status,
        }
    }
}

impl Record {
    /// An item without values.
    pub fn new(item_type: &'static ItemType) -> Self {
        Self { item_type, values: Vec::with_capacity(item_type.fields.len()) }
    }

    /// The item's type.
    pub fn item_type(&self) -> &'static ItemType {
        self.item_type
    }

    /// The value of a field; `None` if it is zero.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(field, _)| field.name == name).map(|(_, value)| value)
    }

    /// Sets a field.
    ///
    /// # Panics
    /// If the type has no such field, or one of another kind: a bug in this program, which its tests find.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        let field = self.item_type.field(name).filter(|field| value.is_of(field.kind));
        match field {
            Some(field) => self.set(field, value),
            None => panic!("{} has no field {name} that holds {value:?}", self.item_type.name),
        }
        self
    }

    fn set(&mut self, field: &'static Field, value: Value) {
        self.values.retain(|(known, _)| known.number != field.number);
        if !value.is_zero() {
            self.values.push((field, value));
        }
    }

    /// A text; empty if unset.
    pub fn text(&self, name: &str) -> &str {
        if let Some(Value::Text(text)) = self.get(name) { text } else { "" }
    }

    /// A number; 0 if unset.
    pub fn number(&self, name: &str) -> u64 {
        if let Some(Value::Number(number)) = self.get(name) { *number } else { 0 }
    }

    /// A time; 0 if unset.
    pub fn moment(&self, name: &str) -> i64 {
        if let Some(Value::Moment(moment)) = self.get(name) { *moment } else { 0 }
    }

    /// The record as a wire item, with its fields by number.
    pub fn to_item(&self) -> wire::Item {
        let mut bytes = Vec::with_capacity(512);
        let mut values: Vec<&(&Field, Value)> = self.values.iter().collect();
        values.sort_unstable_by_key(|(field, _)| field.number);
        for (field, value) in values {
            match value {
                Value::Text(text) => encoding::string::encode(field.number, text, &mut bytes),
                Value::Texts(texts) => encoding::string::encode_repeated(field.number, texts, &mut bytes),
                Value::Flag(flag) => encoding::bool::encode(field.number, flag, &mut bytes),
                Value::Number(number) => encoding::uint64::encode(field.number, number, &mut bytes),
                Value::Moment(moment) => encoding::sint64::encode(field.number, moment, &mut bytes),
                Value::Status(status) => encoding::int32::encode(field.number, status, &mut bytes),
            }
        }
        wire::Item { item_type: self.item_type.name.to_owned(), payload: Some(Payload::Proto(bytes)) }
    }

    /// Reads the `wanted` fields of an item; `None` if its type is unknown.
    pub fn read(item: &wire::Item, wanted: impl Fn(&Field) -> bool) -> Result<Option<Self>, Broken> {
        let Some(item_type) = ItemType::named(&item.item_type) else { return Ok(None) };
        let mut record = Self::new(item_type);
        match &item.payload {
            Some(Payload::Proto(bytes)) => record.read_protobuf(bytes, wanted)?,
            Some(Payload::Json(fields)) => record.read_json(fields, wanted)?,
            None => return Err(Broken("it has no payload".to_owned())),
        }
        Ok(Some(record))
    }

    fn read_protobuf(&mut self, mut bytes: &[u8], wanted: impl Fn(&Field) -> bool) -> Result<(), Broken> {
        let broken = |error: prost::DecodeError| Broken(error.to_string());
        let buf = &mut bytes;
        while buf.has_remaining() {
            let (number, wire_type) = encoding::decode_key(buf).map_err(broken)?;
            let context = DecodeContext::default();
            // The table is in number order from 1 with few gaps, so the field is usually at this place.
            let place = usize::try_from(number).unwrap_or(usize::MAX).wrapping_sub(1);
            let near = self.item_type.fields.get(place).filter(|field| field.number == number);
            let field = near.or_else(|| self.item_type.fields.iter().find(|field| field.number == number));
            let Some(field) = field.filter(|field| wanted(field)) else {
                encoding::skip_field(wire_type, number, buf, context).map_err(broken)?;
                continue;
            };
            let value = read_value(field, wire_type, buf).map_err(broken)?;
            match (value, self.values.iter_mut().find(|(known, _)| known.number == number)) {
                (Value::Texts(more), Some((_, Value::Texts(texts)))) => texts.extend(more),
                (value, _) => self.set(field, value),
            }
        }
        Ok(())
    }

    fn read_json(&mut self, object: &Struct, wanted: impl Fn(&Field) -> bool) -> Result<(), Broken> {
        for field in self.item_type.fields.iter().filter(|field| wanted(field)) {
            let json = object.fields.get(field.name).and_then(|value| value.kind.as_ref());
            if let Some(json) = json.filter(|json| !matches!(json, Json::Null(_))) {
                let broken = || Broken(format!("`{}` is not a {:?} in JSON", field.name, field.kind));
                self.set(field, json_value(field.kind, json).ok_or_else(broken)?);
            }
        }
        Ok(())
    }
}

/// Reads one value. A repeated text is a list of one.
fn read_value(field: &Field, wire_type: WireType, buf: &mut &[u8]) -> Result<Value, prost::DecodeError> {
    let context = DecodeContext::default();
    let mut text = String::new();
    Ok(match field.kind {
        Kind::Text => {
            encoding::string::merge(wire_type, &mut text, buf, context)?;
            Value::Text(text)
        }
        Kind::Texts => {
            encoding::string::merge(wire_type, &mut text, buf, context)?;
            Value::Texts(vec![text])
        }
        Kind::Flag => {
            let mut flag = false;
            encoding::bool::merge(wire_type, &mut flag, buf, context)?;
            Value::Flag(flag)
        }
        Kind::Number => {
            let mut number = 0;
            encoding::uint64::merge(wire_type, &mut number, buf, context)?;
            Value::Number(number)
        }
        Kind::Millis | Kind::Seconds => {
            let mut moment = 0;
            encoding::sint64::merge(wire_type, &mut moment, buf, context)?;
            Value::Moment(moment)
        }
        Kind::Status => {
            let mut status = 0;
            encoding::int32::merge(wire_type, &mut status, buf, context)?;
            Value::Status(status)
        }
    })
}

/// Reads a value by the rules of ProtoJSON: a 64-bit number is text or a number, an enum is a number or a name.
fn json_value(kind: Kind, json: &Json) -> Option<Value> {
    Some(match (kind, json) {
        (Kind::Text, Json::String(text)) => Value::Text(text.clone()),
        (Kind::Texts, Json::List(list)) => Value::Texts(list.values.iter().map(text_of).collect::<Option<_>>()?),
        (Kind::Flag, Json::Bool(flag)) => Value::Flag(*flag),
        (Kind::Number, json) => Value::Number(u64::try_from(integer(json)?).ok()?),
        (Kind::Millis | Kind::Seconds, json) => Value::Moment(i64::try_from(integer(json)?).ok()?),
        // By number, full name or short name.
        (Kind::Status, Json::String(name)) => {
            let short = name.rsplit("RunnerStatus_").next().unwrap_or(name);
            let known = RUNNER_STATUS.iter().find(|(known, _)| *known == short);
            Value::Status(known.map(|(_, number)| *number).or_else(|| short.parse().ok()).unwrap_or(0))
        }
        (Kind::Status, json) => Value::Status(i32::try_from(integer(json)?).ok()?),
        _ => return None,
    })
}

fn text_of(value: &JsonValue) -> Option<String> {
    if let Some(Json::String(text)) = &value.kind { Some(text.clone()) } else { None }
}

/// A whole number, written as a number or as text.
fn integer(json: &Json) -> Option<i128> {
    match json {
        Json::String(text) => text.parse().ok(),
        // Above 2^53 a double is ambiguous, so such a number must be text.
        Json::Number(number) if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 => {
            format!("{number:.0}").parse().ok()
        }
        _ => None,
    }
}
