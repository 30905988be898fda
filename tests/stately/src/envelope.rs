//! The service's own messages by description, for callers that speak JSON. The numbers are those of `monitor_stately::wire`,
//! which a test holds them to.

use crate::record::{Field, Kind, Types};

/// A line for each message: its fields as `number name type`, `*` before the type where it is repeated.
const MESSAGES: &[(&str, &str)] = &[
    ("GetAuthTokenRequest", "1 accessKey string"),
    ("GetAuthTokenResponse", "1 authToken string, 2 expiresInS uint64"),
    ("Item", "1 itemType string, 2 proto bytes, 3 json Struct"),
    ("PutRequest", "1 storeId uint64, 2 puts *PutItem, 3 schemaVersionId uint32, 4 schemaId uint64"),
    ("PutItem", "1 item Item, 2 overwriteMetadataTimestamps bool, 3 mustNotExist bool"),
    ("PutResponse", "1 items *Item"),
    ("GetRequest", "1 storeId uint64, 2 gets *GetItem, 3 allowStale bool, 5 schemaVersionId uint32, 6 schemaId uint64"),
    ("GetItem", "1 keyPath string"),
    ("GetResponse", "1 items *Item"),
    ("DeleteRequest", "1 storeId uint64, 3 deletes *DeleteItem, 5 schemaVersionId uint32, 6 schemaId uint64"),
    ("DeleteItem", "1 keyPath string"),
    ("DeleteResult", "1 keyPath string"),
    ("DeleteResponse", "1 results *DeleteResult"),
    (
        "BeginListRequest",
        "1 storeId uint64, 2 keyPathPrefix string, 3 limit uint32, 4 allowStale bool, 6 sortDirection SortDirection, \
         7 schemaVersionId uint32, 8 schemaId uint64, 9 filterConditions *FilterCondition, \
         10 keyConditions *KeyCondition",
    ),
    (
        "ContinueListRequest",
        "1 tokenData bytes, 2 direction ContinueListDirection, 5 schemaVersionId uint32, 6 schemaId uint64",
    ),
    (
        "BeginScanRequest",
        "1 storeId uint64, 2 filterConditions *FilterCondition, 3 limit uint32, 5 schemaVersionId uint32, \
         6 schemaId uint64",
    ),
    ("ContinueScanRequest", "1 tokenData bytes, 2 schemaVersionId uint32, 3 schemaId uint64"),
    ("ListResponse", "1 result ListPartialResult, 2 finished ListFinished"),
    ("ListPartialResult", "1 items *Item"),
    ("ListFinished", "1 token ListToken"),
    ("ListToken", "1 tokenData bytes, 2 canContinue bool, 3 canSync bool, 4 schemaVersionId uint32"),
    ("KeyCondition", "1 keyPath string, 2 operator Operator"),
    ("FilterCondition", "1 itemType string, 2 celExpression CelExpression"),
    ("CelExpression", "1 itemType string, 2 expression string"),
    (
        "TransactionRequest",
        "1 messageId uint32, 2 begin TransactionBegin, 3 getItems TransactionGet, 4 beginList TransactionBeginList, \
         5 continueList TransactionContinueList, 6 putItems TransactionPut, 7 deleteItems TransactionDelete, \
         8 commit Empty, 9 abort Empty",
    ),
    ("Empty", ""),
    ("TransactionBegin", "1 storeId uint64, 2 schemaVersionId uint32, 3 schemaId uint64"),
    ("TransactionGet", "1 gets *GetItem"),
    (
        "TransactionBeginList",
        "1 keyPathPrefix string, 2 limit uint32, 4 sortDirection SortDirection, 9 filterConditions *FilterCondition, \
         10 keyConditions *KeyCondition",
    ),
    ("TransactionContinueList", "1 tokenData bytes, 4 direction ContinueListDirection"),
    ("TransactionPut", "1 puts *PutItem"),
    ("TransactionDelete", "1 deletes *DeleteItem"),
    (
        "TransactionResponse",
        "1 messageId uint32, 2 getResults TransactionGetResponse, 3 putAck TransactionPutAck, \
         4 listResults TransactionListResponse, 5 finished TransactionFinished",
    ),
    ("TransactionGetResponse", "1 items *Item"),
    ("TransactionPutAck", "1 generatedIds *GeneratedId"),
    ("GeneratedId", "1 uint uint64, 2 bytes bytes"),
    ("TransactionListResponse", "1 result ListPartialResult, 2 finished ListFinished"),
    ("TransactionFinished", "1 committed bool, 2 putResults *Item, 3 deleteResults *DeleteResult"),
];

const ENUMS: &[(&str, &[(&str, i32)])] = &[
    ("SortDirection", &[("SORT_ASCENDING", 0), ("SORT_DESCENDING", 1)]),
    ("ContinueListDirection", &[("CONTINUE_LIST_FORWARD", 0), ("CONTINUE_LIST_BACKWARD", 1)]),
    (
        "Operator",
        &[
            ("OPERATOR_UNSPECIFIED", 0),
            ("OPERATOR_GREATER_THAN", 4),
            ("OPERATOR_GREATER_THAN_OR_EQUAL", 5),
            ("OPERATOR_LESS_THAN", 6),
            ("OPERATOR_LESS_THAN_OR_EQUAL", 7),
        ],
    ),
];

/// All of the service's messages.
pub(crate) fn types() -> Types {
    let enums = ENUMS.iter().map(|(name, values)| {
        let values = values.iter().map(|(value, number)| ((*value).to_owned(), *number));
        ((*name).to_owned(), values.collect())
    });
    let messages = MESSAGES.iter().map(|(name, fields)| {
        let fields = fields.split(',').filter(|field| !field.is_empty()).filter_map(field);
        ((*name).to_owned(), fields.collect())
    });
    Types { messages: messages.collect(), enums: enums.collect(), closed: false }
}

fn field(line: &str) -> Option<Field> {
    let mut words = line.split_whitespace();
    let (number, name, kind) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
    let (repeated, kind) = kind.strip_prefix('*').map_or((false, kind), |kind| (true, kind));
    let kind = match kind {
        "bool" => Kind::Bool,
        "bytes" => Kind::Bytes,
        "string" => Kind::String,
        "uint32" => Kind::Uint32,
        "uint64" => Kind::Uint64,
        "Struct" => Kind::Struct,
        name if ENUMS.iter().any(|(known, _)| *known == name) => Kind::Enum(name.to_owned()),
        name => Kind::Message(name.to_owned()),
    };
    Some(Field { number, name: name.to_owned(), kind, repeated })
}
