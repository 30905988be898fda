//! The published schema: item types, their key paths, and the rules that the service applies to a put.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::keys::Template;
use crate::record::{Field, Kind, Types};

/// The monitor's schema, as written by `schema/check.mjs`.
const PRODUCT: &str = include_str!("../../../schema/schema.json");

/// A published schema.
#[derive(Clone, Debug)]
pub struct Schema {
    pub(crate) version: u32,
    pub(crate) items: BTreeMap<String, ItemType>,
    pub(crate) types: Types,
}

/// A schema that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema cannot be read: {0}")]
pub struct SchemaError(String);

#[derive(Clone, Debug)]
pub(crate) struct ItemType {
    pub(crate) key_paths: Vec<Template>,
    pub(crate) ttl: Option<Ttl>,
    /// The numbers and names of the fields that must not be zero.
    pub(crate) required: Vec<(u32, String)>,
    /// The numbers of the numeric fields in key paths.
    pub(crate) numbers_in_keys: Vec<u32>,
    pub(crate) from_metadata: Vec<(u32, Metadata, Unit)>,
    pub(crate) initial_value: Option<(u32, InitialValue)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Metadata {
    CreatedAtTime,
    LastModifiedAtTime,
    CreatedAtVersion,
    LastModifiedAtVersion,
    Ttl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum InitialValue {
    Sequence,
    Uuid,
    Rand53,
}

/// When an item expires: a start, and the time after it.
#[derive(Clone, Debug)]
pub(crate) struct Ttl {
    pub(crate) source: TtlSource,
    pub(crate) after: TtlAfter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum TtlSource {
    FromCreated,
    FromLastModified,
    AtTimestamp,
}

#[derive(Clone, Debug)]
pub(crate) enum TtlAfter {
    Ms(i64),
    Field(u32, Unit),
}

/// The unit of a time or duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Unit {
    #[default]
    Seconds,
    Milliseconds,
    Microseconds,
}

impl Unit {
    pub(crate) fn to_ms(self, value: i64) -> i64 {
        match self {
            Unit::Seconds => value.saturating_mul(1000),
            Unit::Milliseconds => value,
            Unit::Microseconds => value / 1000,
        }
    }

    pub(crate) fn of_ms(self, ms: i64) -> i64 {
        match self {
            Unit::Seconds => ms.div_euclid(1000),
            Unit::Milliseconds => ms,
            Unit::Microseconds => ms.saturating_mul(1000),
        }
    }
}

#[derive(Deserialize)]
struct GivenSchema {
    version: u32,
    enums: BTreeMap<String, BTreeMap<String, i32>>,
    items: BTreeMap<String, GivenItem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GivenItem {
    key_paths: Vec<String>,
    ttl: Option<GivenTtl>,
    fields: Vec<GivenField>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GivenTtl {
    source: TtlSource,
    field: Option<String>,
    duration_seconds: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GivenField {
    number: u32,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    repeated: bool,
    #[serde(default)]
    required: bool,
    timestamp: Option<Unit>,
    from_metadata: Option<Metadata>,
    initial_value: Option<InitialValue>,
}

impl Schema {
    /// The monitor's schema. Panics if `schema/schema.json`, which is compiled in, is invalid.
    pub fn product() -> Self {
        Self::from_json(PRODUCT).unwrap_or_else(|error| panic!("schema/schema.json: {error}"))
    }

    /// Reads a schema in the format of `schema/check.mjs`.
    pub fn from_json(text: &str) -> Result<Self, SchemaError> {
        let given: GivenSchema = serde_json::from_str(text).map_err(|error| SchemaError(error.to_string()))?;
        let mut types = Types { closed: true, ..Types::default() };
        for (name, values) in &given.enums {
            // As in generated code, JSON prefixes a value's name with its type.
            let values = values.iter().map(|(value, number)| (format!("{name}_{value}"), *number));
            types.enums.insert(name.clone(), values.collect());
        }
        let mut items = BTreeMap::new();
        for (name, item) in &given.items {
            types.messages.insert(name.clone(), item.fields.iter().map(|field| described(field, &given)).collect());
            if !item.key_paths.is_empty() {
                items.insert(name.clone(), item_type(item).map_err(|fault| SchemaError(format!("{name}: {fault}")))?);
            }
        }
        Ok(Self { version: given.version, items, types })
    }
}

fn described(field: &GivenField, given: &GivenSchema) -> Field {
    let kind = match field.kind.as_str() {
        "bool" => Kind::Bool,
        "bytes" => Kind::Bytes,
        "double" => Kind::Double,
        "float" => Kind::Float,
        "sint32" => Kind::Sint32,
        "sint64" => Kind::Sint64,
        "string" => Kind::String,
        "uint32" => Kind::Uint32,
        "uint64" => Kind::Uint64,
        name if given.enums.contains_key(name) => Kind::Enum(name.to_owned()),
        name => Kind::Message(name.to_owned()),
    };
    Field { number: field.number, name: field.name.clone(), kind, repeated: field.repeated }
}

fn item_type(item: &GivenItem) -> Result<ItemType, String> {
    let named = |name: &str| item.fields.iter().find(|field| field.name == name);
    let numbered = |name: &str| named(name).map(|field| field.number);
    let key_paths = item.key_paths.iter().map(|path| Template::parse(path, numbered));
    let ttl = match &item.ttl {
        None => None,
        Some(ttl) => {
            let after = match (ttl.field.as_deref(), ttl.duration_seconds) {
                (Some(name), _) => {
                    let field = named(name).ok_or_else(|| format!("it expires by `{name}`, which is not a field"))?;
                    TtlAfter::Field(field.number, field.timestamp.unwrap_or_default())
                }
                (None, Some(secs)) => TtlAfter::Ms(secs.saturating_mul(1000)),
                (None, None) => return Err("its expiry has neither a field nor a duration".to_owned()),
            };
            Some(Ttl { source: ttl.source, after })
        }
    };
    let exempt =
        |field: &GivenField| field.kind == "bool" || field.from_metadata.is_some() || field.initial_value.is_some();
    let required = item.fields.iter().filter(|field| field.required && !exempt(field));
    let from_metadata = item.fields.iter().filter_map(|field| {
        field.from_metadata.map(|metadata| (field.number, metadata, field.timestamp.unwrap_or_default()))
    });
    let key_paths = key_paths.collect::<Result<Vec<_>, String>>()?;
    let is_number = |field: &&GivenField| matches!(field.kind.as_str(), "sint32" | "sint64" | "uint32" | "uint64");
    let numbers = item.fields.iter().filter(is_number).map(|field| field.number);
    let in_keys = |number: &u32| key_paths.iter().any(|path| path.fields().any(|field| field == *number));
    Ok(ItemType {
        numbers_in_keys: numbers.filter(in_keys).collect(),
        key_paths,
        ttl,
        required: required.map(|field| (field.number, field.name.clone())).collect(),
        from_metadata: from_metadata.collect(),
        initial_value: item.fields.iter().find_map(|field| field.initial_value.map(|given| (field.number, given))),
    })
}
