//! The messages of a transaction. The monitor itself needs none: its batches are atomic, and its only condition is
//! must-not-exist.

use prost::{Message, Oneof};

use super::{DeleteItem, DeleteResult, FilterCondition, GetItem, Item, KeyCondition, ListPart, PutItem, SortDirection};

/// A message from the client.
#[derive(Clone, PartialEq, Message)]
pub struct TransactionRequest {
    /// Unique in the stream, and not 0.
    #[prost(uint32, tag = "1")]
    pub message_id: u32,
    /// Required.
    #[prost(oneof = "Command", tags = "2, 3, 4, 5, 6, 7, 8, 9")]
    pub command: Option<Command>,
}

/// A command of the client.
#[derive(Clone, PartialEq, Oneof)]
pub enum Command {
    /// The first command; it is not answered.
    #[prost(message, tag = "2")]
    Begin(TransactionBegin),
    /// Answered by `GetResults`.
    #[prost(message, tag = "3")]
    GetItems(TransactionGet),
    /// Answered by `ListResults`, several with the same id.
    #[prost(message, tag = "4")]
    BeginList(TransactionBeginList),
    /// Answered by `ListResults`, several with the same id.
    #[prost(message, tag = "5")]
    ContinueList(TransactionContinueList),
    /// Answered by `PutAck`.
    #[prost(message, tag = "6")]
    PutItems(TransactionPut),
    /// Not answered.
    #[prost(message, tag = "7")]
    DeleteItems(TransactionDelete),
    /// Answered by `Finished`; then the stream ends.
    #[prost(message, tag = "8")]
    Commit(()),
    /// Answered by `Finished`; then the stream ends.
    #[prost(message, tag = "9")]
    Abort(()),
}

/// Opens a transaction.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TransactionBegin {
    /// Required.
    #[prost(uint64, tag = "1")]
    pub store_id: u64,
    /// Required.
    #[prost(uint32, tag = "2")]
    pub schema_version_id: u32,
    /// May be absent.
    #[prost(uint64, tag = "3")]
    pub schema_id: u64,
}

/// Reads items by key path.
#[derive(Clone, PartialEq, Message)]
pub struct TransactionGet {
    /// At least one.
    #[prost(message, repeated, tag = "1")]
    pub gets: Vec<GetItem>,
}

/// Lists the items under a prefix.
#[derive(Clone, PartialEq, Message)]
pub struct TransactionBeginList {
    /// The prefix: at least a whole first segment. Required.
    #[prost(string, tag = "1")]
    pub key_path_prefix: String,
    /// The most items to return; 0 for all.
    #[prost(uint32, tag = "2")]
    pub limit: u32,
    /// The order by key path.
    #[prost(enumeration = "SortDirection", tag = "4")]
    pub sort_direction: i32,
    /// If there are any, an item must match at least one.
    #[prost(message, repeated, tag = "9")]
    pub filter_conditions: Vec<FilterCondition>,
    /// A lower bound, an upper bound, or both.
    #[prost(message, repeated, tag = "10")]
    pub key_conditions: Vec<KeyCondition>,
}

/// Continues a list.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TransactionContinueList {
    /// The token of the last page; required.
    #[prost(bytes = "vec", tag = "1")]
    pub token_data: Vec<u8>,
    /// Forward or backward.
    #[prost(enumeration = "super::ContinueListDirection", tag = "4")]
    pub direction: i32,
}

/// Puts items at the commit.
#[derive(Clone, PartialEq, Message)]
pub struct TransactionPut {
    /// At least one.
    #[prost(message, repeated, tag = "1")]
    pub puts: Vec<PutItem>,
}

/// Deletes items at the commit.
#[derive(Clone, PartialEq, Message)]
pub struct TransactionDelete {
    /// At least one.
    #[prost(message, repeated, tag = "1")]
    pub deletes: Vec<DeleteItem>,
}

/// A message from the service.
#[derive(Clone, PartialEq, Message)]
pub struct TransactionResponse {
    /// The id of the request.
    #[prost(uint32, tag = "1")]
    pub message_id: u32,
    /// Required.
    #[prost(oneof = "Outcome", tags = "2, 3, 4, 5")]
    pub result: Option<Outcome>,
}

/// The result of a command.
#[derive(Clone, PartialEq, Oneof)]
pub enum Outcome {
    /// The items that exist.
    #[prost(message, tag = "2")]
    GetResults(TransactionGetResponse),
    /// The puts are accepted.
    #[prost(message, tag = "3")]
    PutAck(TransactionPutAck),
    /// A part of a list.
    #[prost(message, tag = "4")]
    ListResults(TransactionListResponse),
    /// The end of the transaction.
    #[prost(message, tag = "5")]
    Finished(TransactionFinished),
}

/// The items that exist.
#[derive(Clone, PartialEq, Message)]
pub struct TransactionGetResponse {
    /// The items, in no particular order.
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<Item>,
}

/// The acknowledgement of puts, which are stored at the commit.
#[derive(Clone, PartialEq, Message)]
pub struct TransactionPutAck {
    /// One entry per put, in order.
    #[prost(message, repeated, tag = "1")]
    pub generated_ids: Vec<GeneratedId>,
}

/// The id that the service generated for an item.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GeneratedId {
    /// Absent if none was generated.
    #[prost(oneof = "GeneratedValue", tags = "1, 2")]
    pub value: Option<GeneratedValue>,
}

/// A generated id.
#[derive(Clone, PartialEq, Eq, Oneof)]
pub enum GeneratedValue {
    /// A number.
    #[prost(uint64, tag = "1")]
    Uint(u64),
    /// A UUID.
    #[prost(bytes = "vec", tag = "2")]
    Bytes(Vec<u8>),
}

/// A part of a list within a transaction.
#[derive(Clone, PartialEq, Message)]
pub struct TransactionListResponse {
    /// Required.
    #[prost(oneof = "ListPart", tags = "1, 2")]
    pub response: Option<ListPart>,
}

/// The end of a transaction.
#[derive(Clone, PartialEq, Message)]
pub struct TransactionFinished {
    /// Whether the transaction was committed.
    #[prost(bool, tag = "1")]
    pub committed: bool,
    /// The items as stored, in the order of the puts.
    #[prost(message, repeated, tag = "2")]
    pub put_results: Vec<Item>,
    /// The deleted items.
    #[prost(message, repeated, tag = "3")]
    pub delete_results: Vec<DeleteResult>,
}
