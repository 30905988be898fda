use std::collections::{BTreeMap, BTreeSet};

use monitor_domain::change::Event;
use monitor_domain::notifications::{Notification, NotificationItem};
use monitor_pipeline::items::{Claim, LastSeen};
use monitor_pipeline::testing::samples::{
    at, change, claim, every_item, outage, outage_item, runner, runner_item, subject, target,
};
use proptest::prelude::*;
use serde_json::Value as Document;

use super::*;
use crate::fields::{ALL, Kind, RUNNER_STATUS};
use crate::wire::Payload;
use crate::wire::json::{Kind as Json, ListValue, Struct, Value as JsonValue};

fn read(item: &wire::Item) -> Result<Option<Item>, StoreError> {
    Reader::default().read(item)
}

/// An item as a service returns it in JSON.
fn as_json(record: &Record) -> wire::Item {
    let value = |kind| JsonValue { kind: Some(kind) };
    let of = |field_value: &Value| match field_value {
        Value::Text(text) => Json::String(text.clone()),
        Value::Texts(texts) => {
            Json::List(ListValue { values: texts.iter().map(|text| value(Json::String(text.clone()))).collect() })
        }
        Value::Flag(flag) => Json::Bool(*flag),
        Value::Number(number) => Json::String(number.to_string()),
        Value::Moment(moment) => Json::String(moment.to_string()),
        Value::Status(status) => Json::Number(f64::from(*status)),
    };
    let item_type = record.item_type();
    let set =
        item_type.fields.iter().filter_map(|field| Some((field.name.to_owned(), value(of(record.get(field.name)?)))));
    let fields: BTreeMap<String, JsonValue> = set.collect();
    wire::Item { item_type: item_type.name.to_owned(), payload: Some(Payload::Json(Struct { fields })) }
}

#[test]
fn every_item_is_read_back_from_protobuf_and_from_json() {
    let as_text = |item: &Item| serde_json::to_string(item).unwrap();
    for item in every_item() {
        let from_protobuf = read(&write(&item).unwrap()).unwrap().unwrap();
        assert_eq!(as_text(&from_protobuf), as_text(&item));
        let from_json = read(&as_json(&record(&item).unwrap())).unwrap().unwrap();
        assert_eq!(as_text(&from_json), as_text(&item));
    }
}

#[test]
fn every_type_of_the_schema_has_a_sample_that_is_read_back() {
    let sampled: BTreeSet<&str> = every_item().iter().map(|item| record(item).unwrap().item_type().name).collect();
    assert_eq!(sampled, ALL.iter().map(|known| known.name).collect());
}

#[test]
fn every_written_field_is_set_by_some_item() {
    let mut set: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let busy = Runner { busy: true, ephemeral: true, ..runner(7, "build-7") };
    let busy = Item::Runner(RunnerItem { target: target("acme/web").id().clone(), runner: busy });
    for item in every_item().into_iter().chain([busy]) {
        let record = record(&item).unwrap();
        let names = record.item_type().fields.iter().map(|field| field.name);
        set.entry(record.item_type().name).or_default().extend(names.filter(|name| record.get(name).is_some()));
    }
    for item_type in ALL {
        for field in item_type.fields.iter().filter(|field| !field.by_service) {
            assert!(set[item_type.name].contains(&field.name), "{}.{}", item_type.name, field.name);
        }
    }
}

/// Compares the numbers here with those in schema.json, which the schema's own check writes.
#[test]
fn the_field_table_matches_the_schema() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/schema.json");
    let schema: Document = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(schema["version"], fields::SCHEMA_VERSION);
    let items = schema["items"].as_object().unwrap();
    assert_eq!(items.len(), ALL.len(), "{:?}", items.keys());
    for item_type in ALL {
        let fields = items[item_type.name]["fields"].as_array().unwrap();
        assert_eq!(fields.len(), item_type.fields.len(), "{}", item_type.name);
        for (field, known) in fields.iter().zip(item_type.fields) {
            let kind = match (field["type"].as_str().unwrap(), field["timestamp"].as_str(), field["repeated"] == true) {
                ("string", None, false) => Kind::Text,
                ("string", None, true) => Kind::Texts,
                ("bool", None, false) => Kind::Flag,
                ("uint64" | "uint32", None, false) => Kind::Number,
                ("sint64", Some("milliseconds"), false) => Kind::Millis,
                ("sint64", Some("seconds"), false) => Kind::Seconds,
                ("RunnerStatus", None, false) => Kind::Status,
                other => panic!("{} has a field of the unknown type {other:?}", item_type.name),
            };
            let said = (field["number"].as_u64().unwrap(), field["name"].as_str().unwrap(), kind);
            assert_eq!(said, (known.number.into(), known.name, known.kind), "{}", item_type.name);
            assert_eq!(known.by_service, !field["fromMetadata"].is_null(), "{}.{}", item_type.name, known.name);
        }
    }
    let status = schema["enums"]["RunnerStatus"].as_object().unwrap();
    assert_eq!(status.len(), RUNNER_STATUS.len() + 1);
    for (name, number) in RUNNER_STATUS {
        assert_eq!(status[name], number, "{name}");
    }
}

#[test]
fn the_key_paths_match_the_schema() {
    let path = |item: &Item| key_path(&item.key()).to_string();
    assert_eq!(path(&runner_item("Acme/Web", 7)), "/repo-acme%/web/runner-7");
    assert_eq!(path(&outage_item("acme/web", 7, 41)), "/repo-acme%/web/runner-7/outage-41");
    assert_eq!(path(&Item::Change(change("monitor", 5, Event::MonitoringStarted))), "/repo-monitor/change-5");
    assert_eq!(
        path(&Item::Claim(claim("credential:token", 3, 2))),
        "/repo-credential:token/notification-3/attempt-2/claim"
    );
    let last_seen =
        LastSeen { subject: subject("orgs/acme"), slot: 1, at: at(1), jobs_sent_at: None, next_tick_at: None };
    assert_eq!(path(&Item::LastSeen(last_seen)), "/fleet-orgs%/acme/last_seen-2");
    assert_eq!(key_path(&Key::Watchlist).to_string(), "/repo-monitor/watchlist");
    assert_eq!(key_path(&Key::Target(target("acme/web").id().clone())).to_string(), "/repo-acme%/web");
}

#[test]
fn an_open_outage_never_expires() {
    let item = |outage| record(&Item::Outage(OutageItem { target: target("acme/web").id().clone(), outage })).unwrap();
    let open = outage(&runner(7, "build-7"), 12);
    assert_eq!(item(open.clone()).moment("expiresAt"), 0);
    let closed = Outage { resolved_at: Some(at(0)), ending: Some(Ending::Recovered), ..open };
    assert_eq!(item(closed).moment("expiresAt"), at(0).epoch_secs() + 400 * 86_400);
}

#[test]
fn a_notification_outlives_the_changes_that_it_reports() {
    let quiet = record(&Item::Change(change("acme/web", 5, Event::MonitoringStarted))).unwrap();
    assert_eq!(quiet.moment("expiresAt"), at(300).epoch_secs() + 30 * 86_400);
    let notifiable = record(&Item::Change(change("acme/web", 5, Event::EmptyListRefused { kept: 2 }))).unwrap();
    let claim = claim("acme/web", 1, 1);
    let kept = record(&Item::Claim(claim.clone())).unwrap().moment("expiresAt") - claim.claimed_at.epoch_secs();
    assert!(kept > notifiable.moment("expiresAt") - at(300).epoch_secs() + 86_400);
}

#[test]
fn a_claim_of_a_thousand_outages_fits_into_an_item() {
    let outages = |count| (1..=count).map(|id| outage(&runner(id, &format!("runner-of-the-pool-{id}")), id)).collect();
    let of = |count| {
        let notification = Notification {
            items: vec![NotificationItem::Offline { outages: outages(count) }],
            ..claim("acme/web", 1, 1).notification
        };
        Item::Claim(Claim { notification, ..claim("acme/web", 1, 1) })
    };
    let large = of(1_000);
    assert!(serde_json::to_string(&large).unwrap().len() > 300_000);
    let on_wire = write(&large).unwrap();
    let Some(Payload::Proto(bytes)) = &on_wire.payload else { panic!("{on_wire:?}") };
    assert!(bytes.len() < 100_000, "{} bytes", bytes.len());
    assert_eq!(read(&on_wire).unwrap().unwrap(), large);
}

#[test]
fn an_unreadable_item_is_named() {
    let broken = Record::new(&fields::RUNNER)
        .with("repoId", text("acme/web"))
        .with("runnerId", Value::Number(7))
        .with("body", text("{\"id\":"));
    let error = read(&broken.to_item()).unwrap_err().to_string();
    assert!(error.starts_with("the item Runner acme/web runnerId 7 cannot be read: body:"), "{error}");
    for body in ["", "z:", "z:!!", "z:AAAA", "[]"] {
        let broken = Record::new(&fields::CHANGE).with("repoId", text("acme/web")).with("body", text(body));
        assert!(matches!(read(&broken.to_item()), Err(StoreError::Unreadable { .. })), "{body}");
    }
    let nowhere = Record::new(&fields::CURSOR).with("repoId", text("no subject"));
    assert!(
        read(&nowhere.to_item()).unwrap_err().to_string().contains("names no subject")
            || read(&nowhere.to_item()).is_err()
    );
}

#[test]
fn items_and_fields_of_a_later_release_are_skipped() {
    let unknown = wire::Item { item_type: "Escalation".to_owned(), payload: Some(Payload::Proto(vec![0xff; 9])) };
    assert_eq!(read(&unknown).unwrap(), None);
    // Unknown fields of every wire type, before and after the known ones.
    let item = runner_item("acme/web", 7);
    let Some(Payload::Proto(known)) = write(&item).unwrap().payload else { panic!("written as protobuf") };
    let mut unknown = Vec::new();
    prost::encoding::uint64::encode(900, &7, &mut unknown);
    prost::encoding::string::encode(901, &"later".to_owned(), &mut unknown);
    prost::encoding::double::encode(902, &1.5, &mut unknown);
    prost::encoding::fixed32::encode(903, &9, &mut unknown);
    for bytes in [[&unknown[..], &known].concat(), [&known[..], &unknown].concat()] {
        let item_type = fields::RUNNER.name.to_owned();
        let on_wire = wire::Item { item_type, payload: Some(Payload::Proto(bytes)) };
        assert_eq!(read(&on_wire).unwrap(), Some(item.clone()));
    }
}

#[test]
fn json_numbers_are_read_in_every_form() {
    let number = |json: Json| {
        let fields = BTreeMap::from([("revision".to_owned(), JsonValue { kind: Some(json) })]);
        let item_type = fields::CHANGE.name.to_owned();
        let item = wire::Item { item_type, payload: Some(Payload::Json(Struct { fields })) };
        Record::read(&item, |_| true).map(|record| record.unwrap().number("revision"))
    };
    assert_eq!(number(Json::String("18446744073709551615".to_owned())), Ok(u64::MAX));
    assert_eq!(number(Json::Number(42.0)), Ok(42));
    assert_eq!(number(Json::Null(0)), Ok(0));
    for bad in [Json::Number(0.5), Json::Number(1e300), Json::Number(f64::NAN), Json::Number(-1.0), Json::Bool(true)] {
        assert!(number(bad.clone()).is_err(), "{bad:?}");
    }
    assert!(number(Json::String("2027-01-15T08:00:00Z".to_owned())).is_err());
}

fn any_json() -> impl Strategy<Value = JsonValue> {
    let leaf = prop_oneof![
        Just(Json::Null(0)),
        any::<f64>().prop_map(Json::Number),
        ".{0,12}".prop_map(Json::String),
        any::<bool>().prop_map(Json::Bool),
    ];
    let value = |kind: Json| JsonValue { kind: Some(kind) };
    leaf.prop_map(value).prop_recursive(2, 12, 4, move |inner| {
        prop::collection::vec(inner, 0..4).prop_map(move |values| value(Json::List(ListValue { values })))
    })
}

proptest! {
    #[test]
    fn no_bytes_cause_a_panic(item_type in 0..ALL.len(), bytes: Vec<u8>) {
        let item_type = ALL[item_type].name.to_owned();
        let _ = read(&wire::Item { item_type, payload: Some(Payload::Proto(bytes)) });
    }

    #[test]
    fn no_altered_item_causes_a_panic(which in 0..every_item().len(), place: prop::sample::Index, byte: u8) {
        let mut on_wire = write(&every_item()[which]).unwrap();
        if let Some(Payload::Proto(bytes)) = &mut on_wire.payload {
            let place = place.index(bytes.len());
            bytes[place] = byte;
            let _ = read(&on_wire);
            if let Some(Payload::Proto(bytes)) = &mut on_wire.payload {
                bytes.truncate(place);
            }
            let _ = read(&on_wire);
        }
    }

    #[test]
    fn no_json_causes_a_panic(item_type in 0..ALL.len(), values in prop::collection::vec(any_json(), 20)) {
        let names = ALL[item_type].fields.iter().map(|field| field.name.to_owned());
        let fields: BTreeMap<String, JsonValue> = names.zip(values).collect();
        let item_type = ALL[item_type].name.to_owned();
        let _ = read(&wire::Item { item_type, payload: Some(Payload::Json(Struct { fields })) });
    }
}
