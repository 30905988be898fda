//! How items are validated, stored and expired.

use monitor_stately::wire::{
    DeleteItem, DeleteRequest, DeleteResponse, GetItem, GetRequest, GetResponse, Item, Payload, PutItem, path,
};
use serde_json::{Value as Json, json};

use crate::support::{START_MS, animals, get, item, product, put, put_as, put_request, request, unary};

fn with(mut fields: Json, more: Json) -> Json {
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fields
}

fn cat(tag: &str, more: Json) -> Item {
    item("Cat", with(json!({ "home": "a/b%", "mood": "Mood_GOOD", "tag": tag }), more))
}

#[test]
fn every_kind_of_field_survives_as_protobuf_and_as_json() {
    let (mut state, _) = animals();
    let given = json!({
        "id": "18446744073709551615", "mood": 2, "names": ["Tom", ""], "weights": ["-1", "9223372036854775807", "0"],
        "warm": true, "length": -0.5, "toys": [{ "kind": "mouse" }, {}], "step": -7, "share": 0.25,
    });
    let stored = put(&mut state, [cat("AAE=", given)]).unwrap().remove(0);
    let expected = json!({
        "home": "a/b%", "id": "18446744073709551615", "mood": "Mood_BAD", "names": ["Tom", ""],
        "weights": ["-1", "9223372036854775807", "0"], "tag": "AAE=", "warm": true, "length": -0.5,
        "toys": [{ "kind": "mouse" }, {}], "madeAt": START_MS.to_string(), "changedAt": (START_MS / 1000).to_string(),
        "madeIn": "1", "changedIn": "1", "step": -7.0, "share": 0.25,
    });
    assert_eq!(stored, expected);
    for path in ["/home-a%/b%%/cat-18446744073709551615", "/tag-AAE"] {
        assert_eq!(get(&mut state, path).as_ref(), Some(&expected), "{path}");
    }
    // Again, with the protobuf that the server itself returns.
    let gets = vec![GetItem { key_path: "/tag-AAE".to_owned() }];
    let message = GetRequest { store_id: 1, gets, schema_version_id: 3, ..GetRequest::default() };
    let found: GetResponse = unary(&state.handle(&request(path::GET, &message))).unwrap();
    assert!(matches!(found.items[0].payload, Some(Payload::Proto(_))));
    let again = put(&mut state, found.items).unwrap().remove(0);
    assert_eq!(again, with(expected, json!({ "changedIn": "2" })));
}

#[test]
fn ids_are_generated_by_sequence_by_uuid_and_at_random() {
    let (mut state, _) = animals();
    let of = |state: &mut _, tag: &str, home: &str| {
        put(state, [cat(tag, json!({ "home": home }))]).unwrap()[0]["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        [of(&mut state, "AA==", "x"), of(&mut state, "AQ==", "x"), of(&mut state, "Ag==", "y")],
        ["1", "2", "1"]
    );
    let eggs = put(&mut state, [item("Egg", json!({})), item("Egg", json!({}))]).unwrap();
    assert_ne!(eggs[0]["id"], eggs[1]["id"]);
    let draw = put(&mut state, [item("Draw", json!({ "home": "x" }))]).unwrap();
    let drawn: u64 = draw[0]["id"].as_str().unwrap().parse().unwrap();
    assert!((1..1 << 53).contains(&drawn));
}

#[test]
fn an_invalid_item_is_refused_and_nothing_of_its_batch_is_stored() {
    let (mut state, _) = animals();
    let refused = [
        item("Dog", json!({})),
        item("Toy", json!({ "kind": "no item" })),
        item("Cat", json!({ "home": "x", "mood": 1 })),
        item("Cat", json!({ "home": "x", "tag": "AA==" })),
        cat("AA==", json!({ "home": "" })),
        cat("AA==", json!({ "nmaes": [] })),
        cat("AA==", json!({ "names": "Tom" })),
        cat("AA==", json!({ "step": 2_147_483_648_u64 })),
        cat("AA==", json!({ "mood": "GOOD" })),
        Item { item_type: "Cat".to_owned(), payload: Some(Payload::Proto(vec![0xF8, 1, 1])) },
        Item { item_type: "Cat".to_owned(), payload: Some(Payload::Proto(vec![0x0A, 9])) },
        Item { item_type: "Cat".to_owned(), payload: None },
    ];
    for bad in refused {
        let batch = [cat("Aw==", json!({})), bad.clone()];
        assert_eq!(put(&mut state, batch).unwrap_err(), "InvalidArgument", "{bad:?}");
    }
    assert_eq!(state.item_count(1), 0);
    for (version, store_id, code) in
        [(4, 1, "SchemaVersionNotFound"), (0, 1, "InvalidArgument"), (3, 0, "InvalidArgument")]
    {
        let mut message = put_request(version, [cat("AA==", json!({}))]);
        message.store_id = store_id;
        assert_eq!(put_as(&mut state, &message).unwrap_err(), code);
    }
    state.settings.schema_id = Some(7);
    let mut message = put_request(3, [cat("AA==", json!({}))]);
    message.schema_id = 8;
    assert_eq!(put_as(&mut state, &message).unwrap_err(), "SchemaNotFound");
    message.schema_id = 7;
    assert!(put_as(&mut state, &message).is_ok());
}

#[test]
fn batches_and_items_have_a_size_limit() {
    let mut state = product();
    let last_seen =
        |number: usize| item("LastSeen", json!({ "repoId": format!("a/{number}"), "slot": "1", "seenAt": "1" }));
    assert_eq!(put_as(&mut state, &put_request(1, (0..51).map(last_seen))).unwrap_err(), "InvalidArgument");
    assert_eq!(put_as(&mut state, &put_request(1, [])).unwrap_err(), "InvalidArgument");
    assert_eq!(put_as(&mut state, &put_request(1, (0..50).map(last_seen))).unwrap().len(), 50);
    let list = |bytes: usize| item("Watchlist", json!({ "repoId": "monitor", "body": "x".repeat(bytes) }));
    assert_eq!(put_as(&mut state, &put_request(1, [list(400 * 1024)])).unwrap_err(), "InvalidArgument");
    assert!(put_as(&mut state, &put_request(1, [list(399 * 1024)])).is_ok());
    let twice = [last_seen(1), last_seen(1)];
    assert_eq!(put_as(&mut state, &put_request(1, twice)).unwrap_err(), "InvalidArgument");
}

#[test]
fn an_empty_label_list_and_zero_times_are_accepted_but_not_an_id_of_zero() {
    let mut state = product();
    let runner = |id: u64| item("Runner", json!({ "repoId": "acme/web", "runnerId": id.to_string(), "status": 5 }));
    let stored = put_as(&mut state, &put_request(1, [runner(1)])).unwrap().remove(0);
    assert_eq!((stored["status"].clone(), stored.get("labels")), (json!("RunnerStatus_IDLE"), None));
    assert_eq!(put_as(&mut state, &put_request(1, [runner(0)])).unwrap_err(), "InvalidArgument");
    state.settings.zero_ids = true;
    assert!(put_as(&mut state, &put_request(1, [runner(0)])).is_ok());
    assert_eq!(state.items(1)[0].1, "/fleet-acme%/web/runner-0".replace("fleet", "repo"));
}

#[test]
fn a_put_that_must_not_overwrite_fails_for_any_key_with_its_whole_batch() {
    let (mut state, _) = animals();
    put(&mut state, [cat("AA==", json!({ "id": 1 }))]).unwrap();
    let mut batch = put_request(3, [cat("AQ==", json!({ "id": 2 })), cat("AA==", json!({ "id": 3 }))]);
    // Another item may not take over a key, even without the condition.
    assert_eq!(put_as(&mut state, &batch).unwrap_err(), "ConditionalCheckFailed");
    batch.puts[1] = PutItem { item: Some(cat("AA==", json!({ "id": 1 }))), must_not_exist: true, ..PutItem::default() };
    assert_eq!(put_as(&mut state, &batch).unwrap_err(), "ConditionalCheckFailed");
    assert_eq!(state.item_count(1), 1);
    batch.puts[1].must_not_exist = false;
    assert_eq!(put_as(&mut state, &batch).unwrap().len(), 2);
    batch.store_id = 2;
    batch.puts[1].must_not_exist = true;
    assert_eq!(put_as(&mut state, &batch).unwrap().len(), 2, "stores are separate");
}

#[test]
fn a_put_replaces_the_whole_item_under_all_keys_and_keeps_its_creation_time() {
    let (mut state, hand) = animals();
    put(&mut state, [cat("AA==", json!({ "id": 1, "names": ["Tom"], "warm": true }))]).unwrap();
    hand.advance_secs(9);
    let again = put(&mut state, [cat("AQ==", json!({ "id": 1, "madeAt": "5", "changedAt": "5" }))]).unwrap().remove(0);
    assert_eq!((again.get("names"), again.get("warm")), (None, None));
    assert_eq!((again["madeAt"].clone(), again["madeIn"].clone()), (json!(START_MS.to_string()), json!("1")));
    assert_eq!(again["changedAt"], json!((START_MS / 1000 + 9).to_string()));
    assert_eq!(again["changedIn"], "2");
    assert_eq!(get(&mut state, "/tag-AA"), None, "its old key is free");
    assert_eq!(get(&mut state, "/tag-AQ"), Some(again));
    let mut moved = put_request(3, [cat("AQ==", json!({ "id": 1, "madeAt": "5000", "changedAt": "5" }))]);
    moved.puts[0].overwrite_metadata_timestamps = true;
    let moved = put_as(&mut state, &moved).unwrap().remove(0);
    assert_eq!((moved["madeAt"].clone(), moved["changedAt"].clone()), (json!("5000"), json!("5")));
}

#[test]
fn items_expire_by_age_by_metadata_and_by_their_own_field() {
    let (mut state, hand) = animals();
    let draw = |id: u64, gone_secs: i64| {
        let gone_at = if gone_secs == 0 { 0 } else { START_MS / 1000 + gone_secs };
        item("Draw", json!({ "home": "x", "id": id, "goneAt": gone_at.to_string() }))
    };
    put(&mut state, [item("Egg", json!({})), draw(1, 10), draw(2, 0), draw(3, 20)]).unwrap();
    hand.advance_secs(9);
    assert_eq!(state.item_count(1), 4);
    // Put again without an expiry: it is kept.
    put(&mut state, [draw(3, 0)]).unwrap();
    hand.advance_secs(1);
    assert_eq!(get(&mut state, "/home-x/draw-1"), None);
    hand.advance_secs(50);
    let left: Vec<String> = state.items(1).into_iter().map(|(_, key)| key).collect();
    assert_eq!(left, ["/home-x/draw-2", "/home-x/draw-3"]);
}

#[test]
fn an_open_outage_never_expires_and_an_ended_one_does() {
    let (settings, hand) = crate::support::by_hand();
    let mut state = monitor_stately_server::State::new(monitor_stately_server::Schema::product(), settings);
    let outage = |id: u64, expires_at: i64| {
        let fields = json!({
            "repoId": "acme/web", "runnerId": "7", "outageId": id.to_string(), "status": 2,
            "expiresAt": expires_at.to_string(),
        });
        item("OutageEvent", fields)
    };
    put_as(&mut state, &put_request(1, [outage(1, 0), outage(2, START_MS / 1000 + 60)])).unwrap();
    hand.advance_secs(10 * 365 * 86_400);
    assert_eq!(state.items(1), [("OutageEvent".to_owned(), "/repo-acme%/web/runner-7/outage-1".to_owned())]);
}

#[test]
fn a_delete_removes_an_item_under_all_its_keys_and_may_be_repeated() {
    let (mut state, _) = animals();
    put(&mut state, [cat("AA==", json!({ "id": 1 })), cat("AQ==", json!({ "id": 2 }))]).unwrap();
    let deletes = ["/tag-AA", "/tag-Ag"].map(|key| DeleteItem { key_path: key.to_owned() }).to_vec();
    let message = DeleteRequest { store_id: 1, deletes, schema_version_id: 3, schema_id: 0 };
    for _ in 0..2 {
        let done: DeleteResponse = unary(&state.handle(&request(path::DELETE, &message))).unwrap();
        assert_eq!(done.results.len(), 2);
        assert_eq!(state.items(1).len(), 1);
        assert_eq!(get(&mut state, "/home-a%/b%%/cat-1"), None);
    }
    assert_eq!(
        put(&mut state, [cat("Aw==", json!({}))]).unwrap()[0]["id"],
        "1",
        "explicit ids do not advance the sequence"
    );
}

#[test]
fn a_snapshot_file_restores_the_items() {
    let (mut state, _) = animals();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("items.json");
    state.load(&file).unwrap();
    let given = put(&mut state, [cat("AA==", json!({ "names": ["Tom"] })), item("Egg", json!({}))]).unwrap();
    state.save(&file).unwrap();
    let (mut next, hand) = animals();
    next.load(&file).unwrap();
    assert_eq!(get(&mut next, "/tag-AA").as_ref(), given.first());
    assert_eq!(next.item_count(1), 2);
    hand.advance_secs(61);
    assert_eq!(next.item_count(1), 1, "an egg still expires after loading");
    std::fs::write(&file, "[{}]").unwrap();
    assert!(next.load(&file).unwrap_err().to_string().contains("delete it to start with an empty store"));
}
