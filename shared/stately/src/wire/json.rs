//! `google.protobuf.Struct`: JSON as a protobuf message.

use std::collections::BTreeMap;

use prost::{Message, Oneof};

/// An object.
#[derive(Clone, PartialEq, Message)]
pub struct Struct {
    /// The members by name.
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, Value>,
}

/// Any value.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    /// Required.
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    pub kind: Option<Kind>,
}

/// A value by its kind.
#[derive(Clone, PartialEq, Oneof)]
pub enum Kind {
    /// `null`; the number is always 0 (`google.protobuf.NullValue`).
    #[prost(int32, tag = "1")]
    Null(i32),
    /// A number.
    #[prost(double, tag = "2")]
    Number(f64),
    /// A string.
    #[prost(string, tag = "3")]
    String(String),
    /// A boolean.
    #[prost(bool, tag = "4")]
    Bool(bool),
    /// An object.
    #[prost(message, tag = "5")]
    Struct(Struct),
    /// An array.
    #[prost(message, tag = "6")]
    List(ListValue),
}

/// An array.
#[derive(Clone, PartialEq, Message)]
pub struct ListValue {
    /// The elements in order.
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Value>,
}
