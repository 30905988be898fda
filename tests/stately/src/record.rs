//! Messages by description instead of by type: decoded from protobuf, encoded again, and converted to and from
//! ProtoJSON.
//!
//! The schema describes items. The service's own messages are described only for callers that speak JSON.

use std::collections::BTreeMap;

use prost::Message as _;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field};

use monitor_stately::wire::Struct;

/// The wire type of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Double,
    Float,
    String,
    Bytes,
    /// The name of the enum type.
    Enum(String),
    /// The name of the message type.
    Message(String),
    /// `google.protobuf.Struct`
    Struct,
}

/// A field of a message.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) repeated: bool,
}

/// Descriptions of messages and enums.
#[derive(Clone, Debug, Default)]
pub(crate) struct Types {
    pub(crate) messages: BTreeMap<String, Vec<Field>>,
    /// By type: the values' JSON names and numbers.
    pub(crate) enums: BTreeMap<String, Vec<(String, i32)>>,
    /// Whether an unknown field is an error; otherwise it is skipped.
    pub(crate) closed: bool,
}

/// A field's value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    /// An unsigned number.
    Uint(u64),
    /// A signed number or an enum value.
    Int(i64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Record(Record),
    Struct(Struct),
}

impl Value {
    /// Whether protobuf treats the value as unset.
    pub(crate) fn is_zero(&self) -> bool {
        match self {
            Value::Bool(value) => !value,
            Value::Uint(value) => *value == 0,
            Value::Int(value) => *value == 0,
            Value::Double(value) => *value == 0.0,
            Value::Text(value) => value.is_empty(),
            Value::Bytes(value) => value.is_empty(),
            Value::Record(_) | Value::Struct(_) => false,
        }
    }
}

/// A message's values by field number: all values of a repeated field, one of any other.
pub(crate) type Record = BTreeMap<u32, Vec<Value>>;

impl Types {
    pub(crate) fn fields(&self, message: &str) -> Result<&[Field], String> {
        self.messages.get(message).map(Vec::as_slice).ok_or_else(|| format!("there is no type {message}"))
    }

    /// Decodes a message from protobuf.
    pub(crate) fn decode(&self, message: &str, mut bytes: &[u8]) -> Result<Record, String> {
        let fields = self.fields(message)?;
        let mut record = Record::new();
        let fault = |error: prost::DecodeError| format!("{message} is not a protobuf message: {error}");
        while bytes.has_remaining() {
            let (number, wire_type) = decode_key(&mut bytes).map_err(fault)?;
            let Some(field) = fields.iter().find(|field| field.number == number) else {
                if self.closed {
                    return Err(format!("{message} has no field number {number}"));
                }
                skip_field(wire_type, number, &mut bytes, DecodeContext::default()).map_err(fault)?;
                continue;
            };
            let values = record.entry(number).or_default();
            if !field.repeated {
                values.clear();
            }
            if field.repeated && wire_type == WireType::LengthDelimited && field.kind.wire_type() != wire_type {
                let mut packed = take_delimited(&mut bytes)?;
                while packed.has_remaining() {
                    values.push(self.decode_value(field, field.kind.wire_type(), &mut packed)?);
                }
            } else {
                values.push(self.decode_value(field, wire_type, &mut bytes)?);
            }
        }
        record.retain(|number, values| keeps(fields, *number, values));
        Ok(record)
    }

    fn decode_value(&self, field: &Field, wire_type: WireType, bytes: &mut &[u8]) -> Result<Value, String> {
        let name = &field.name;
        if wire_type != field.kind.wire_type() {
            return Err(format!("{name} must be {:?}, found {wire_type:?}", field.kind));
        }
        let varint = |bytes: &mut &[u8]| decode_varint(bytes).map_err(|error| format!("{name}: {error}"));
        Ok(match &field.kind {
            Kind::Bool => Value::Bool(varint(bytes)? != 0),
            Kind::Uint32 => Value::Uint(varint(bytes)? & u64::from(u32::MAX)),
            Kind::Uint64 => Value::Uint(varint(bytes)?),
            Kind::Sint32 | Kind::Sint64 => Value::Int(unzigzag(varint(bytes)?)),
            Kind::Enum(_) => Value::Int(varint(bytes)?.cast_signed()),
            Kind::Double => Value::Double(bytes.try_get_f64_le().map_err(|error| format!("{name}: {error}"))?),
            Kind::Float => {
                Value::Double(f64::from(bytes.try_get_f32_le().map_err(|error| format!("{name}: {error}"))?))
            }
            Kind::String => {
                let text = take_delimited(bytes)?.to_vec();
                Value::Text(String::from_utf8(text).map_err(|_| format!("{name} is not UTF-8"))?)
            }
            Kind::Bytes => Value::Bytes(take_delimited(bytes)?.to_vec()),
            Kind::Message(message) => Value::Record(self.decode(message, take_delimited(bytes)?)?),
            Kind::Struct => {
                let decoded = Struct::decode(take_delimited(bytes)?);
                Value::Struct(decoded.map_err(|error| format!("{name}: {error}"))?)
            }
        })
    }

    /// Encodes a message as protobuf, fields in the order of their numbers.
    pub(crate) fn encode(&self, message: &str, record: &Record) -> Result<Vec<u8>, String> {
        let fields = self.fields(message)?;
        let mut bytes = Vec::new();
        for (number, values) in record {
            let Some(field) = fields.iter().find(|field| field.number == *number) else { continue };
            if field.repeated && field.kind.wire_type() != WireType::LengthDelimited {
                let mut packed = Vec::new();
                for value in values {
                    self.encode_value(&field.kind, value, &mut packed)?;
                }
                encode_key(*number, WireType::LengthDelimited, &mut bytes);
                put_delimited(&packed, &mut bytes);
                continue;
            }
            for value in values {
                encode_key(*number, field.kind.wire_type(), &mut bytes);
                self.encode_value(&field.kind, value, &mut bytes)?;
            }
        }
        Ok(bytes)
    }

    fn encode_value(&self, kind: &Kind, value: &Value, bytes: &mut Vec<u8>) -> Result<(), String> {
        match (kind, value) {
            (Kind::Bool, Value::Bool(value)) => encode_varint(u64::from(*value), bytes),
            (Kind::Uint32 | Kind::Uint64, Value::Uint(value)) => encode_varint(*value, bytes),
            (Kind::Sint32 | Kind::Sint64, Value::Int(value)) => encode_varint(zigzag(*value), bytes),
            (Kind::Enum(_), Value::Int(value)) => encode_varint(value.cast_unsigned(), bytes),
            (Kind::Double, Value::Double(value)) => bytes.extend(value.to_le_bytes()),
            #[allow(clippy::cast_possible_truncation, reason = "the field is a float")]
            (Kind::Float, Value::Double(value)) => bytes.extend((*value as f32).to_le_bytes()),
            (Kind::String, Value::Text(value)) => put_delimited(value.as_bytes(), bytes),
            (Kind::Bytes, Value::Bytes(value)) => put_delimited(value, bytes),
            (Kind::Message(message), Value::Record(record)) => put_delimited(&self.encode(message, record)?, bytes),
            (Kind::Struct, Value::Struct(value)) => put_delimited(&value.encode_to_vec(), bytes),
            _ => return Err(format!("a {kind:?} cannot hold {value:?}")),
        }
        Ok(())
    }
}

impl Kind {
    fn wire_type(&self) -> WireType {
        match self {
            Kind::Bool | Kind::Uint32 | Kind::Uint64 | Kind::Sint32 | Kind::Sint64 | Kind::Enum(_) => WireType::Varint,
            Kind::Double => WireType::SixtyFourBit,
            Kind::Float => WireType::ThirtyTwoBit,
            Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Struct => WireType::LengthDelimited,
        }
    }
}

/// Whether a field is kept: proto3 does not distinguish zero and unset, but a repeated field keeps its zeros.
pub(crate) fn keeps(fields: &[Field], number: u32, values: &[Value]) -> bool {
    let repeated = fields.iter().any(|field| field.number == number && field.repeated);
    !values.is_empty() && (repeated || !values[0].is_zero())
}

fn take_delimited<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let length = decode_varint(bytes).map_err(|error| error.to_string())?;
    let length = usize::try_from(length).map_err(|error| error.to_string())?;
    let (taken, rest) = bytes.split_at_checked(length).ok_or("it ends in the middle of a field")?;
    *bytes = rest;
    Ok(taken)
}

fn put_delimited(part: &[u8], bytes: &mut Vec<u8>) {
    encode_varint(part.len() as u64, bytes);
    bytes.extend_from_slice(part);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}
