//! ProtoJSON of described messages, by protobuf's rules: 64-bit numbers as strings, bytes as base64, no zero values.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use monitor_stately::wire::json::{Kind as StructKind, ListValue};
use monitor_stately::wire::{Struct, Value as StructValue};
use serde_json::{Map, Value as Json, json};

use crate::record::{Field, Kind, Record, Types, Value, keeps};

impl Types {
    /// A message as JSON.
    pub(crate) fn to_json(&self, message: &str, record: &Record) -> Result<Json, String> {
        let mut object = Map::new();
        for field in self.fields(message)? {
            let Some(values) = record.get(&field.number) else { continue };
            let mut written = values.iter().map(|value| self.value_to_json(&field.kind, value));
            let member = if field.repeated {
                Json::Array(written.collect::<Result<_, _>>()?)
            } else if let Some(one) = written.next() {
                one?
            } else {
                continue;
            };
            object.insert(field.name.clone(), member);
        }
        Ok(Json::Object(object))
    }

    fn value_to_json(&self, kind: &Kind, value: &Value) -> Result<Json, String> {
        Ok(match (kind, value) {
            (_, Value::Bool(value)) => json!(value),
            (Kind::Uint32, Value::Uint(value)) => json!(value),
            (_, Value::Uint(value)) => json!(value.to_string()),
            (Kind::Enum(name), Value::Int(value)) => match self.enum_name(name, *value) {
                Some(name) => json!(name),
                None => json!(value),
            },
            (Kind::Sint32, Value::Int(value)) => json!(value),
            (_, Value::Int(value)) => json!(value.to_string()),
            (_, Value::Double(value)) => json!(value),
            (_, Value::Text(value)) => json!(value),
            (_, Value::Bytes(value)) => json!(STANDARD.encode(value)),
            (Kind::Message(message), Value::Record(record)) => self.to_json(message, record)?,
            (_, Value::Struct(value)) => struct_to_json(value),
            (kind, value) => return Err(format!("a {kind:?} cannot hold {value:?}")),
        })
    }

    fn enum_name(&self, enum_type: &str, number: i64) -> Option<&str> {
        let values = self.enums.get(enum_type)?;
        values.iter().find(|(_, known)| i64::from(*known) == number).map(|(name, _)| name.as_str())
    }

    /// A message from JSON. An unknown member is an error.
    pub(crate) fn read_json(&self, message: &str, json: &Json) -> Result<Record, String> {
        let fields = self.fields(message)?;
        let object = json.as_object().ok_or_else(|| format!("{message} is not a JSON object"))?;
        let mut record = Record::new();
        for (name, member) in object {
            let Some(field) = fields.iter().find(|field| field.name == *name) else {
                return Err(format!("{message} has no field `{name}`"));
            };
            let values = match member {
                Json::Null => continue,
                Json::Array(members) if field.repeated => {
                    members.iter().map(|member| self.value_from_json(field, member)).collect::<Result<Vec<_>, _>>()?
                }
                member if !field.repeated => vec![self.value_from_json(field, member)?],
                _ => return Err(format!("{message}.{name} is not an array")),
            };
            record.insert(field.number, values);
        }
        record.retain(|number, values| keeps(fields, *number, values));
        Ok(record)
    }

    fn value_from_json(&self, field: &Field, json: &Json) -> Result<Value, String> {
        let fault = || format!("`{}` cannot hold {json}", field.name);
        let value = match &field.kind {
            Kind::Bool => json.as_bool().map(Value::Bool),
            Kind::Uint32 => number(json).map(|value: u32| Value::Uint(value.into())),
            Kind::Uint64 => number(json).map(Value::Uint),
            Kind::Sint32 => number(json).map(|value: i32| Value::Int(value.into())),
            Kind::Sint64 => number(json).map(Value::Int),
            Kind::Double | Kind::Float => number(json).map(Value::Double),
            Kind::String => json.as_str().map(|text| Value::Text(text.to_owned())),
            Kind::Bytes => json.as_str().and_then(bytes_from_base64).map(Value::Bytes),
            Kind::Enum(name) => match json {
                Json::String(word) => self.enum_number(name, word).map(Value::Int),
                json => number(json).map(|value: i32| Value::Int(value.into())),
            },
            Kind::Message(message) => return self.read_json(message, json).map(Value::Record),
            Kind::Struct => json.as_object().map(|object| Value::Struct(object_to_struct(object))),
        };
        value.ok_or_else(fault)
    }

    fn enum_number(&self, enum_type: &str, name: &str) -> Option<i64> {
        let values = self.enums.get(enum_type)?;
        values.iter().find(|(known, _)| known == name).map(|(_, number)| i64::from(*number))
    }
}

/// A number, or a number in a string.
fn number<T: std::str::FromStr>(json: &Json) -> Option<T> {
    match json {
        Json::Number(number) => number.to_string().parse().ok(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Decodes base64: standard or URL-safe, padded or not.
pub(crate) fn bytes_from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    STANDARD_NO_PAD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()
}

/// A Struct as JSON. Whole numbers stay whole.
pub(crate) fn struct_to_json(value: &Struct) -> Json {
    Json::Object(value.fields.iter().map(|(name, value)| (name.clone(), kind_to_json(value))).collect())
}

fn kind_to_json(value: &StructValue) -> Json {
    match &value.kind {
        None | Some(StructKind::Null(_)) => Json::Null,
        #[allow(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
        Some(StructKind::Number(number)) if number.fract() == 0.0 && number.abs() < 9e15 => json!(*number as i64),
        Some(StructKind::Number(number)) => json!(number),
        Some(StructKind::String(text)) => json!(text),
        Some(StructKind::Bool(flag)) => json!(flag),
        Some(StructKind::Struct(object)) => struct_to_json(object),
        Some(StructKind::List(list)) => Json::Array(list.values.iter().map(kind_to_json).collect()),
    }
}

/// JSON as a Struct; `None` unless it is an object.
pub(crate) fn json_to_struct(json: &Json) -> Option<Struct> {
    json.as_object().map(object_to_struct)
}

fn object_to_struct(object: &Map<String, Json>) -> Struct {
    Struct { fields: object.iter().map(|(name, member)| (name.clone(), json_to_kind(member))).collect() }
}

fn json_to_kind(json: &Json) -> StructValue {
    let kind = match json {
        Json::Null => StructKind::Null(0),
        Json::Bool(flag) => StructKind::Bool(*flag),
        Json::Number(number) => StructKind::Number(number.as_f64().unwrap_or_default()),
        Json::String(text) => StructKind::String(text.clone()),
        Json::Array(members) => StructKind::List(ListValue { values: members.iter().map(json_to_kind).collect() }),
        Json::Object(object) => StructKind::Struct(object_to_struct(object)),
    };
    StructValue { kind: Some(kind) }
}
