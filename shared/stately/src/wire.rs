//! StatelyDB's wire messages, with its own field numbers (packages `stately.db`, `stately.auth` and `stately.errors`).
//!
//! Written by hand from the descriptors in `@stately-cloud/client` 0.37.0, so that no protobuf compiler is needed.
//! "Required" means that the service refuses the zero value.

pub mod json;
pub mod scan;
pub mod transaction;

use prost::{Enumeration, Message, Oneof};

pub use json::{ListValue, Struct, Value};

/// The path of each method below the endpoint.
pub mod path {
    /// Unary: exchanges an access key for a token.
    pub const GET_AUTH_TOKEN: &str = "/stately.auth.AuthService/GetAuthToken";
    /// Unary: puts a batch, all items or none.
    pub const PUT: &str = "/stately.db.DatabaseService/Put";
    /// Unary: reads items by key path.
    pub const GET: &str = "/stately.db.DatabaseService/Get";
    /// Unary: deletes a batch, all items or none.
    pub const DELETE: &str = "/stately.db.DatabaseService/Delete";
    /// Server stream: the items under a prefix.
    pub const BEGIN_LIST: &str = "/stately.db.DatabaseService/BeginList";
    /// Server stream: the next page of a list.
    pub const CONTINUE_LIST: &str = "/stately.db.DatabaseService/ContinueList";
    /// Bidirectional stream: see [`transaction`](super::transaction).
    pub const TRANSACTION: &str = "/stately.db.DatabaseService/Transaction";
}

/// Requests a token.
#[derive(Clone, PartialEq, Eq, Message)]
#[prost(skip_debug)]
pub struct GetAuthTokenRequest {
    /// The caller's identity; required.
    #[prost(oneof = "Identity", tags = "1")]
    pub identity: Option<Identity>,
}

/// The identity of a caller that requests a token.
#[derive(Clone, PartialEq, Eq, Oneof)]
#[prost(skip_debug)]
pub enum Identity {
    /// The access key: a secret.
    #[prost(string, tag = "1")]
    AccessKey(String),
}

/// A token and its lifetime.
#[derive(Clone, PartialEq, Eq, Message)]
#[prost(skip_debug)]
pub struct GetAuthTokenResponse {
    /// The token for `authorization: Bearer …`: a secret. Required.
    #[prost(string, tag = "1")]
    pub auth_token: String,
    /// The token's lifetime in seconds. Required.
    #[prost(uint64, tag = "2")]
    pub expires_in_s: u64,
}

/// A stored item.
#[derive(Clone, PartialEq, Message)]
pub struct Item {
    /// The name of its type in the schema; required.
    #[prost(string, tag = "1")]
    pub item_type: String,
    /// The item's fields.
    #[prost(oneof = "Payload", tags = "2, 3")]
    pub payload: Option<Payload>,
}

/// An item's fields, in one of two forms.
#[derive(Clone, PartialEq, Oneof)]
pub enum Payload {
    /// As a protobuf message.
    #[prost(bytes = "vec", tag = "2")]
    Proto(Vec<u8>),
    /// As ProtoJSON.
    #[prost(message, tag = "3")]
    Json(Struct),
}

/// Puts a batch.
#[derive(Clone, PartialEq, Message)]
pub struct PutRequest {
    /// Required.
    #[prost(uint64, tag = "1")]
    pub store_id: u64,
    /// At least one.
    #[prost(message, repeated, tag = "2")]
    pub puts: Vec<PutItem>,
    /// Required.
    #[prost(uint32, tag = "3")]
    pub schema_version_id: u32,
    /// May be absent.
    #[prost(uint64, tag = "4")]
    pub schema_id: u64,
}

/// One item of a batch.
#[derive(Clone, PartialEq, Message)]
pub struct PutItem {
    /// Required.
    #[prost(message, optional, tag = "1")]
    pub item: Option<Item>,
    /// Whether metadata fields keep the given times.
    #[prost(bool, tag = "2")]
    pub overwrite_metadata_timestamps: bool,
    /// Whether the batch is refused if an item exists under one of the key paths.
    #[prost(bool, tag = "3")]
    pub must_not_exist: bool,
}

/// A batch as stored.
#[derive(Clone, PartialEq, Message)]
pub struct PutResponse {
    /// The items in the order of the puts, including fields set by the service.
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<Item>,
}

/// Reads items by key path.
#[derive(Clone, PartialEq, Message)]
pub struct GetRequest {
    /// Required.
    #[prost(uint64, tag = "1")]
    pub store_id: u64,
    /// At least one.
    #[prost(message, repeated, tag = "2")]
    pub gets: Vec<GetItem>,
    /// Whether slightly stale data is acceptable.
    #[prost(bool, tag = "3")]
    pub allow_stale: bool,
    /// Required.
    #[prost(uint32, tag = "5")]
    pub schema_version_id: u32,
    /// May be absent.
    #[prost(uint64, tag = "6")]
    pub schema_id: u64,
}

/// Identifies one item.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetItem {
    /// Any of its key paths; required.
    #[prost(string, tag = "1")]
    pub key_path: String,
}

/// The items that exist.
#[derive(Clone, PartialEq, Message)]
pub struct GetResponse {
    /// The items, in no particular order.
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<Item>,
}

/// Deletes a batch.
#[derive(Clone, PartialEq, Message)]
pub struct DeleteRequest {
    /// Required.
    #[prost(uint64, tag = "1")]
    pub store_id: u64,
    /// At least one.
    #[prost(message, repeated, tag = "3")]
    pub deletes: Vec<DeleteItem>,
    /// Required.
    #[prost(uint32, tag = "5")]
    pub schema_version_id: u32,
    /// May be absent.
    #[prost(uint64, tag = "6")]
    pub schema_id: u64,
}

/// Identifies one item.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct DeleteItem {
    /// Any of its key paths; required.
    #[prost(string, tag = "1")]
    pub key_path: String,
}

/// The deleted items.
#[derive(Clone, PartialEq, Message)]
pub struct DeleteResponse {
    /// One result per delete.
    #[prost(message, repeated, tag = "1")]
    pub results: Vec<DeleteResult>,
}

/// One deleted item.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct DeleteResult {
    /// The key path from the request.
    #[prost(string, tag = "1")]
    pub key_path: String,
}

/// Lists the items under a prefix.
#[derive(Clone, PartialEq, Message)]
pub struct BeginListRequest {
    /// Required.
    #[prost(uint64, tag = "1")]
    pub store_id: u64,
    /// The prefix: at least a whole first segment. Required.
    #[prost(string, tag = "2")]
    pub key_path_prefix: String,
    /// The most items to return; 0 for all.
    #[prost(uint32, tag = "3")]
    pub limit: u32,
    /// Whether slightly stale data is acceptable.
    #[prost(bool, tag = "4")]
    pub allow_stale: bool,
    /// The order by key path.
    #[prost(enumeration = "SortDirection", tag = "6")]
    pub sort_direction: i32,
    /// Required.
    #[prost(uint32, tag = "7")]
    pub schema_version_id: u32,
    /// May be absent.
    #[prost(uint64, tag = "8")]
    pub schema_id: u64,
    /// If there are any, an item must match at least one.
    #[prost(message, repeated, tag = "9")]
    pub filter_conditions: Vec<FilterCondition>,
    /// A lower bound, an upper bound, or both, on the key path.
    #[prost(message, repeated, tag = "10")]
    pub key_conditions: Vec<KeyCondition>,
}

/// Continues a list.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ContinueListRequest {
    /// The token of the last page; required.
    #[prost(bytes = "vec", tag = "1")]
    pub token_data: Vec<u8>,
    /// Forward or backward.
    #[prost(enumeration = "ContinueListDirection", tag = "2")]
    pub direction: i32,
    /// The version from the beginning of the list; required.
    #[prost(uint32, tag = "5")]
    pub schema_version_id: u32,
    /// May be absent.
    #[prost(uint64, tag = "6")]
    pub schema_id: u64,
}

/// One message of a list.
#[derive(Clone, PartialEq, Message)]
pub struct ListResponse {
    /// Required.
    #[prost(oneof = "ListPart", tags = "1, 2")]
    pub response: Option<ListPart>,
}

/// A part of a list.
#[derive(Clone, PartialEq, Oneof)]
pub enum ListPart {
    /// Some items.
    #[prost(message, tag = "1")]
    Result(ListPartialResult),
    /// The end of the page: the last message of every list that succeeds.
    #[prost(message, tag = "2")]
    Finished(ListFinished),
}

/// Some items of a list; at least one.
#[derive(Clone, PartialEq, Message)]
pub struct ListPartialResult {
    /// The items, in list order.
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<Item>,
}

/// The end of a page.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListFinished {
    /// Required.
    #[prost(message, optional, tag = "1")]
    pub token: Option<ListToken>,
}

/// The token to continue a list.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListToken {
    /// Opaque data for the next request.
    #[prost(bytes = "vec", tag = "1")]
    pub token_data: Vec<u8>,
    /// Whether there may be more items.
    #[prost(bool, tag = "2")]
    pub can_continue: bool,
    /// Whether the list can be synchronized later; not used here.
    #[prost(bool, tag = "3")]
    pub can_sync: bool,
    /// The version that the next request must name.
    #[prost(uint32, tag = "4")]
    pub schema_version_id: u32,
}

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum SortDirection {
    /// `SORT_ASCENDING`
    Ascending = 0,
    /// `SORT_DESCENDING`
    Descending = 1,
}

/// The direction in which a list continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum ContinueListDirection {
    /// `CONTINUE_LIST_FORWARD`
    Forward = 0,
    /// `CONTINUE_LIST_BACKWARD`
    Backward = 1,
}

/// A bound on the key path.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct KeyCondition {
    /// The bound, which must start with the list's prefix; required.
    #[prost(string, tag = "1")]
    pub key_path: String,
    /// Required.
    #[prost(enumeration = "Operator", tag = "2")]
    pub operator: i32,
}

/// The comparison with a key path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum Operator {
    /// `OPERATOR_UNSPECIFIED`: refused.
    Unspecified = 0,
    /// `OPERATOR_GREATER_THAN`
    GreaterThan = 4,
    /// `OPERATOR_GREATER_THAN_OR_EQUAL`
    GreaterThanOrEqual = 5,
    /// `OPERATOR_LESS_THAN`
    LessThan = 6,
    /// `OPERATOR_LESS_THAN_OR_EQUAL`
    LessThanOrEqual = 7,
}

/// A filter on the items of a list.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FilterCondition {
    /// Required.
    #[prost(oneof = "Filter", tags = "1, 2")]
    pub value: Option<Filter>,
}

/// A condition on an item.
#[derive(Clone, PartialEq, Eq, Oneof)]
pub enum Filter {
    /// The item has this type.
    #[prost(string, tag = "1")]
    ItemType(String),
    /// The item has a type and satisfies an expression.
    #[prost(message, tag = "2")]
    CelExpression(CelExpression),
}

/// An expression in CEL over the items of one type.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CelExpression {
    /// Required.
    #[prost(string, tag = "1")]
    pub item_type: String,
    /// Required.
    #[prost(string, tag = "2")]
    pub expression: String,
}

/// The details of an error, in addition to the protocol's code.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StatelyErrorDetails {
    /// The code for programs, for example `ConditionalCheckFailed`; required.
    #[prost(string, tag = "1")]
    pub stately_code: String,
    /// The reason for people; required.
    #[prost(string, tag = "2")]
    pub message: String,
    /// The underlying cause.
    #[prost(string, tag = "3")]
    pub upstream_cause: String,
    /// The protocol's code as a number.
    #[prost(uint32, tag = "4")]
    pub code: u32,
}

impl StatelyErrorDetails {
    /// The type name of this message in an error's details.
    pub const TYPE_NAME: &str = "stately.errors.StatelyErrorDetails";
}
