//! Builds requests and reads responses for the tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use monitor_stately::wire::{
    BeginListRequest, GetItem, GetRequest, GetResponse, Item, ListPart, ListResponse, ListToken, Payload, PutItem,
    PutRequest, PutResponse, Struct, path,
};
use monitor_stately_server::{Answer, Request, Schema, Settings, State};
use prost::Message;
use serde_json::{Value as Json, json};

/// A schema with every feature that the monitor's own schema does not use.
pub(crate) const ANIMALS: &str = r#"{
  "version": 3,
  "enums": { "Mood": { "UNSPECIFIED": 0, "GOOD": 1, "BAD": 2 } },
  "items": {
    "Cat": {
      "keyPaths": ["/home-:home/cat-:id", "/tag-:tag"],
      "fields": [
        { "number": 1, "name": "home", "type": "string", "required": true },
        { "number": 2, "name": "id", "type": "uint64", "initialValue": "sequence" },
        { "number": 3, "name": "mood", "type": "Mood", "required": true },
        { "number": 4, "name": "names", "type": "string", "repeated": true },
        { "number": 5, "name": "weights", "type": "sint64", "repeated": true },
        { "number": 6, "name": "tag", "type": "bytes", "required": true },
        { "number": 7, "name": "warm", "type": "bool", "required": true },
        { "number": 8, "name": "length", "type": "double" },
        { "number": 9, "name": "toys", "type": "Toy", "repeated": true },
        { "number": 10, "name": "madeAt", "type": "sint64", "timestamp": "milliseconds", "fromMetadata": "createdAtTime" },
        { "number": 11, "name": "changedAt", "type": "sint64", "timestamp": "seconds", "fromMetadata": "lastModifiedAtTime" },
        { "number": 12, "name": "madeIn", "type": "uint64", "fromMetadata": "createdAtVersion" },
        { "number": 13, "name": "changedIn", "type": "uint64", "fromMetadata": "lastModifiedAtVersion" },
        { "number": 14, "name": "step", "type": "sint32" },
        { "number": 15, "name": "share", "type": "float" }
      ]
    },
    "Toy": {
      "keyPaths": [],
      "fields": [{ "number": 1, "name": "kind", "type": "string", "required": true }]
    },
    "Egg": {
      "keyPaths": ["/egg-:id"],
      "ttl": { "source": "fromCreated", "durationSeconds": 60 },
      "fields": [
        { "number": 1, "name": "id", "type": "bytes", "initialValue": "uuid" },
        { "number": 2, "name": "goneAt", "type": "sint64", "timestamp": "seconds", "fromMetadata": "ttl" }
      ]
    },
    "Draw": {
      "keyPaths": ["/home-:home/draw-:id"],
      "ttl": { "source": "atTimestamp", "field": "goneAt" },
      "fields": [
        { "number": 1, "name": "home", "type": "string", "required": true },
        { "number": 2, "name": "id", "type": "uint64", "initialValue": "rand53" },
        { "number": 3, "name": "goneAt", "type": "sint64", "timestamp": "seconds" }
      ]
    }
  }
}"#;

/// The start time of the tests' clocks, in milliseconds since 1970.
pub(crate) const START_MS: i64 = 1_800_000_000_000;

/// A clock that only the test advances.
#[derive(Clone)]
pub(crate) struct Hand(Arc<AtomicI64>);

impl Hand {
    pub(crate) fn advance_secs(&self, secs: i64) {
        self.0.fetch_add(secs * 1000, Ordering::Relaxed);
    }
}

/// Settings with a clock that only the test advances.
pub(crate) fn by_hand() -> (Settings, Hand) {
    let hand = Hand(Arc::new(AtomicI64::new(START_MS)));
    let clock = hand.clone();
    (Settings { clock: Arc::new(move || clock.0.load(Ordering::Relaxed)), ..Settings::default() }, hand)
}

pub(crate) fn animals() -> (State, Hand) {
    let (settings, hand) = by_hand();
    (State::new(Schema::from_json(ANIMALS).unwrap(), settings), hand)
}

pub(crate) fn product() -> State {
    State::new(Schema::product(), by_hand().0)
}

/// A request with one message, unary or streamed depending on the path.
pub(crate) fn request(path: &str, message: &impl Message) -> Request {
    let unary = !path.contains("List") && !path.contains("Scan");
    let content_type = if unary { "application/proto" } else { "application/connect+proto" };
    let message = message.encode_to_vec();
    let body = if unary { message } else { framed(&message) };
    Request::post(path, body).with_header("content-type", content_type)
}

pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend((message.len() as u32).to_be_bytes());
    bytes.extend(message);
    bytes
}

/// The flags and content of each frame.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<5>() {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        frames.push((head[0], rest[..length].to_vec()));
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty(), "whole frames");
    frames
}

/// A unary response, or the `stately_code` of its error.
pub(crate) fn unary<M: Message + Default>(answer: &Answer) -> Result<M, String> {
    if answer.status == 200 {
        return Ok(M::decode(answer.body.as_slice()).unwrap());
    }
    assert_eq!(answer.header("content-type"), Some("application/json"));
    Err(code_of(&serde_json::from_slice(&answer.body).unwrap()))
}

/// The `stately_code` of a Connect error, or the protocol's code if it has no details.
pub(crate) fn code_of(error: &Json) -> String {
    use base64::Engine as _;
    let Some(value) = error["details"][0]["value"].as_str() else { return error["code"].as_str().unwrap().to_owned() };
    let details = base64::engine::general_purpose::STANDARD_NO_PAD.decode(value).unwrap();
    monitor_stately::wire::StatelyErrorDetails::decode(details.as_slice()).unwrap().stately_code
}

/// A list's items and token, or the code of its error.
pub(crate) fn listed(answer: &Answer) -> Result<(Vec<Item>, ListToken), String> {
    let mut frames = frames(&answer.body);
    let (flags, end) = frames.pop().unwrap();
    assert_eq!((answer.status, flags), (200, 2));
    let end: Json = serde_json::from_slice(&end).unwrap();
    if end.get("error").is_some() {
        return Err(code_of(&end["error"]));
    }
    let (mut items, mut token) = (Vec::new(), None);
    for (_, message) in frames {
        match ListResponse::decode(message.as_slice()).unwrap().response.unwrap() {
            ListPart::Result(part) => {
                assert!(!part.items.is_empty() && token.is_none());
                items.extend(part.items);
            }
            ListPart::Finished(finished) => token = finished.token,
        }
    }
    Ok((items, token.unwrap()))
}

/// An item with these JSON fields.
pub(crate) fn item(item_type: &str, fields: Json) -> Item {
    Item { item_type: item_type.to_owned(), payload: Some(Payload::Json(to_struct(&fields))) }
}

pub(crate) fn to_struct(json: &Json) -> Struct {
    use monitor_stately::wire::Value;
    use monitor_stately::wire::json::{Kind, ListValue};
    fn value(json: &Json) -> Value {
        let kind = match json {
            Json::Null => Kind::Null(0),
            Json::Bool(flag) => Kind::Bool(*flag),
            Json::Number(number) => Kind::Number(number.as_f64().unwrap()),
            Json::String(text) => Kind::String(text.clone()),
            Json::Array(members) => Kind::List(ListValue { values: members.iter().map(value).collect() }),
            Json::Object(_) => Kind::Struct(to_struct(json)),
        };
        Value { kind: Some(kind) }
    }
    Struct { fields: json.as_object().unwrap().iter().map(|(name, json)| (name.clone(), value(json))).collect() }
}

pub(crate) fn to_json(given: &Struct) -> Json {
    use monitor_stately::wire::Value;
    use monitor_stately::wire::json::Kind;
    fn json(value: &Value) -> Json {
        match value.kind.as_ref().unwrap() {
            Kind::Null(_) => Json::Null,
            Kind::Bool(flag) => json!(flag),
            Kind::Number(number) => json!(number),
            Kind::String(text) => json!(text),
            Kind::List(list) => list.values.iter().map(json).collect(),
            Kind::Struct(given) => to_json(given),
        }
    }
    Json::Object(given.fields.iter().map(|(name, value)| (name.clone(), json(value))).collect())
}

pub(crate) fn put_request(version: u32, items: impl IntoIterator<Item = Item>) -> PutRequest {
    let puts = items.into_iter().map(|item| PutItem { item: Some(item), ..PutItem::default() });
    PutRequest { store_id: 1, puts: puts.collect(), schema_version_id: version, schema_id: 0 }
}

/// Puts animals and returns them as stored, as JSON.
pub(crate) fn put(state: &mut State, items: impl IntoIterator<Item = Item>) -> Result<Vec<Json>, String> {
    put_as(state, &put_request(3, items))
}

pub(crate) fn put_as(state: &mut State, message: &PutRequest) -> Result<Vec<Json>, String> {
    let mut request = request(path::PUT, message);
    request.headers.insert("sc-rf".to_owned(), "application/json".to_owned());
    let stored: PutResponse = unary(&state.handle(&request))?;
    Ok(stored.items.iter().map(fields).collect())
}

/// The fields of an item, which must be JSON.
pub(crate) fn fields(item: &Item) -> Json {
    match item.payload.as_ref().unwrap() {
        Payload::Json(json) => to_json(json),
        Payload::Proto(_) => panic!("the item came as protobuf"),
    }
}

/// Reads an animal as JSON.
pub(crate) fn get(state: &mut State, key_path: &str) -> Option<Json> {
    let gets = vec![GetItem { key_path: key_path.to_owned() }];
    let message = GetRequest { store_id: 1, gets, schema_version_id: 3, ..GetRequest::default() };
    let mut request = request(path::GET, &message);
    request.headers.insert("sc-rf".to_owned(), "application/json".to_owned());
    let found: GetResponse = unary(&state.handle(&request)).unwrap();
    found.items.first().map(fields)
}

pub(crate) fn list_request(version: u32, prefix: &str) -> BeginListRequest {
    BeginListRequest {
        store_id: 1,
        key_path_prefix: prefix.to_owned(),
        schema_version_id: version,
        ..BeginListRequest::default()
    }
}

pub(crate) fn list(state: &mut State, message: &BeginListRequest) -> Result<(Vec<Item>, ListToken), String> {
    listed(&state.handle(&request(path::BEGIN_LIST, message)))
}
