//! Descriptions of the service's own messages, for callers that speak JSON. A test compares the numbers with
//! `monitor_stately::wire`.

use crate::record::{Field, Kind, Types};

/// One line per message: its fields as `number name type`, with `*` before a repeated type.
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

/// All messages of the service.
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

#[cfg(test)]
mod tests {
    use monitor_stately::wire::scan::{BeginScanRequest, ContinueScanRequest};
    use monitor_stately::wire::transaction::*;
    use monitor_stately::wire::*;
    use prost::Message;

    /// Decodes a prost message and encodes it again: every field has the same number and type here.
    fn assert_known(name: &str, message: &impl Message) {
        let types = Types { closed: true, ..super::types() };
        let written = message.encode_to_vec();
        assert!(!written.is_empty() || name == "Empty", "{name} has something to compare");
        let record = types.decode(name, &written).unwrap();
        assert_eq!(types.encode(name, &record).unwrap(), written, "{name}");
        let json = types.to_json(name, &record).unwrap();
        assert_eq!(types.read_json(name, &json).unwrap(), record, "{name}: {json}");
    }

    use super::Types;

    fn item() -> Item {
        let fields = [("a".to_owned(), Value { kind: Some(json::Kind::Number(1.5)) })];
        Item { item_type: "a".to_owned(), payload: Some(Payload::Json(Struct { fields: fields.into() })) }
    }

    fn put() -> PutItem {
        PutItem { item: Some(item()), overwrite_metadata_timestamps: true, must_not_exist: true }
    }

    fn conditions() -> (Vec<FilterCondition>, Vec<KeyCondition>) {
        let cel = CelExpression { item_type: "a".to_owned(), expression: "b".to_owned() };
        let filters = [Filter::ItemType("a".to_owned()), Filter::CelExpression(cel)];
        let bound = |operator: Operator| KeyCondition { key_path: "/a-1".to_owned(), operator: operator.into() };
        let bounds =
            [Operator::GreaterThan, Operator::GreaterThanOrEqual, Operator::LessThan, Operator::LessThanOrEqual];
        let filters = filters.map(|value| FilterCondition { value: Some(value) });
        (filters.to_vec(), bounds.map(bound).to_vec())
    }

    fn list_parts() -> [ListPart; 2] {
        let token = ListToken { token_data: vec![1, 255], can_continue: true, can_sync: true, schema_version_id: 3 };
        let items = vec![Item { payload: Some(Payload::Proto(vec![9, 200])), ..item() }];
        [ListPart::Result(ListPartialResult { items }), ListPart::Finished(ListFinished { token: Some(token) })]
    }

    #[test]
    fn requests_have_the_wire_numbers() {
        let (key_path, schema_version_id, schema_id, store_id) = ("/a-1".to_owned(), 2, 3, u64::MAX);
        let (filter_conditions, key_conditions) = conditions();
        assert_known(
            "GetAuthTokenRequest",
            &GetAuthTokenRequest { identity: Some(Identity::AccessKey("a".to_owned())) },
        );
        assert_known("GetAuthTokenResponse", &GetAuthTokenResponse { auth_token: "a".to_owned(), expires_in_s: 9 });
        assert_known("PutRequest", &PutRequest { store_id, puts: vec![put()], schema_version_id, schema_id });
        assert_known("PutResponse", &PutResponse { items: vec![item(), item()] });
        let gets = vec![GetItem { key_path: key_path.clone() }];
        assert_known(
            "GetRequest",
            &GetRequest { store_id, gets: gets.clone(), allow_stale: true, schema_version_id, schema_id },
        );
        assert_known("GetResponse", &GetResponse { items: vec![item()] });
        let deletes = vec![DeleteItem { key_path: key_path.clone() }];
        assert_known(
            "DeleteRequest",
            &DeleteRequest { store_id, deletes: deletes.clone(), schema_version_id, schema_id },
        );
        let results = vec![DeleteResult { key_path: key_path.clone() }];
        assert_known("DeleteResponse", &DeleteResponse { results: results.clone() });
        let begin = BeginListRequest {
            store_id,
            key_path_prefix: key_path.clone(),
            limit: 5,
            allow_stale: true,
            sort_direction: SortDirection::Descending.into(),
            schema_version_id,
            schema_id,
            filter_conditions: filter_conditions.clone(),
            key_conditions: key_conditions.clone(),
        };
        assert_known("BeginListRequest", &begin);
        let (token_data, direction) = (vec![0, 1], ContinueListDirection::Backward.into());
        assert_known(
            "ContinueListRequest",
            &ContinueListRequest { token_data: token_data.clone(), direction, schema_version_id, schema_id },
        );
        assert_known(
            "BeginScanRequest",
            &BeginScanRequest { store_id, filter_conditions, limit: 5, schema_version_id, schema_id },
        );
        assert_known("ContinueScanRequest", &ContinueScanRequest { token_data, schema_version_id, schema_id });
        for part in list_parts() {
            assert_known("ListResponse", &ListResponse { response: Some(part) });
        }
    }

    #[test]
    fn transactions_have_the_wire_numbers() {
        let (key_path, schema_version_id, schema_id, store_id) = ("/a-1".to_owned(), 2, 3, u64::MAX);
        let (filter_conditions, key_conditions) = conditions();
        let (limit, key_path_prefix, sort_direction) = (5, key_path.clone(), SortDirection::Descending.into());
        let list = TransactionBeginList { key_path_prefix, limit, sort_direction, filter_conditions, key_conditions };
        let direction = ContinueListDirection::Backward.into();
        let commands = [
            Command::Begin(TransactionBegin { store_id, schema_version_id, schema_id }),
            Command::GetItems(TransactionGet { gets: vec![GetItem { key_path: key_path.clone() }] }),
            Command::BeginList(list),
            Command::ContinueList(TransactionContinueList { token_data: vec![7], direction }),
            Command::PutItems(TransactionPut { puts: vec![put()] }),
            Command::DeleteItems(TransactionDelete { deletes: vec![DeleteItem { key_path: key_path.clone() }] }),
            Command::Commit(()),
            Command::Abort(()),
        ];
        for command in commands {
            assert_known("TransactionRequest", &TransactionRequest { message_id: 9, command: Some(command) });
        }
        let ids = [Some(GeneratedValue::Uint(7)), Some(GeneratedValue::Bytes(vec![1])), None];
        let generated_ids = ids.map(|value| GeneratedId { value }).to_vec();
        let delete_results = vec![DeleteResult { key_path }];
        let mut outcomes = vec![
            Outcome::GetResults(TransactionGetResponse { items: vec![item()] }),
            Outcome::PutAck(TransactionPutAck { generated_ids }),
            Outcome::Finished(TransactionFinished { committed: true, put_results: vec![item()], delete_results }),
        ];
        outcomes
            .extend(list_parts().map(|part| Outcome::ListResults(TransactionListResponse { response: Some(part) })));
        for result in outcomes {
            assert_known("TransactionResponse", &TransactionResponse { message_id: 9, result: Some(result) });
        }
    }
}
