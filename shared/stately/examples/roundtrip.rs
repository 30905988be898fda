//! Writes samples of every item type, or reads them back and compares them. Other clients of the same store are tested
//! against them.
//!
//! `cargo run -p monitor-stately --example roundtrip -- write|read --endpoint http://127.0.0.1:3030 [--store-id N]`
//!
//! `write` prints what it wrote as JSON, by field name: 64-bit numbers as text, an enum by its number.

use std::error::Error;

use monitor_pipeline::items::Item;
use monitor_pipeline::keys::{Key, Put};
use monitor_pipeline::ports::{PutOutcome, Store};
use monitor_pipeline::testing::samples::every_item;
use monitor_stately::client::{Client, ClientSettings};
use monitor_stately::endpoint::Endpoint;
use monitor_stately::fields::{Field, Kind};
use monitor_stately::items::{key_path, record};
use monitor_stately::payload::{Record, Value};
use monitor_stately::{HttpTransport, StatelyStore};
use serde_json::{Value as Document, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let after = |flag: &str| words.iter().skip_while(|word| *word != flag).nth(1);
    let endpoint = after("--endpoint").ok_or("the server is missing: --endpoint http://127.0.0.1:3030")?;
    let store_id = after("--store-id").map_or(Ok(1), |number| number.parse())?;

    let _ = rustls::crypto::ring::default_provider().install_default();
    let transport = HttpTransport::new(reqwest::Client::builder(), Endpoint::parse(endpoint)?)?;
    let store = StatelyStore::new(Client::new(transport, ClientSettings::new(store_id, 1, None)));
    match words.first().map(String::as_str) {
        Some("write") => write(&store).await,
        Some("read") => read(&store).await,
        _ => Err("the command must be write or read".into()),
    }
}

async fn write(store: &impl Store) -> Result<(), Box<dyn Error>> {
    let items = every_item();
    for items in items.chunks(store.max_batch()) {
        let puts: Vec<_> = items.iter().cloned().map(Put::replacing).collect();
        if store.put(&puts).await? != PutOutcome::Done {
            return Err("the samples were not stored".into());
        }
    }
    let samples: Vec<Document> = items.iter().map(sample).collect::<Result<_, _>>()?;
    println!("{}", serde_json::to_string_pretty(&samples)?);
    Ok(())
}

async fn read(store: &impl Store) -> Result<(), Box<dyn Error>> {
    let mut expected = every_item();
    let keys: Vec<Key> = expected.iter().map(Item::key).collect();
    let mut found = store.get(&keys).await?;
    expected.sort_by_key(Item::key);
    found.sort_by_key(Item::key);
    for (found, expected) in found.iter().zip(&expected) {
        if found != expected {
            return Err(format!("{} was read back differently:\n{found:?}\n{expected:?}", expected.key()).into());
        }
    }
    if found.len() != expected.len() {
        return Err(format!("found {} of {} samples", found.len(), expected.len()).into());
    }
    println!("the store: {} samples read back as they were written", found.len());
    Ok(())
}

fn sample(item: &Item) -> Result<Document, serde_json::Error> {
    let record = record(item)?;
    let written = record.item_type().fields.iter().filter(|field| !field.by_service);
    let fields: serde_json::Map<String, Document> =
        written.map(|field| (field.name.to_owned(), value(&record, field))).collect();
    Ok(json!({
        "itemType": record.item_type().name,
        "keyPath": key_path(&item.key()).as_str(),
        "fields": fields,
    }))
}

fn value(record: &Record, field: &Field) -> Document {
    match record.get(field.name) {
        Some(Value::Text(text)) => json!(text),
        Some(Value::Texts(texts)) => json!(texts),
        Some(Value::Flag(flag)) => json!(flag),
        // The only 32-bit number.
        Some(Value::Number(number)) if field.name == "attempt" => json!(number),
        Some(Value::Number(number)) => json!(number.to_string()),
        Some(Value::Moment(moment)) => json!(moment.to_string()),
        Some(Value::Status(status)) => json!(status),
        None => match field.kind {
            Kind::Text => json!(""),
            Kind::Texts => json!([]),
            Kind::Flag => json!(false),
            Kind::Number | Kind::Millis | Kind::Seconds => json!("0"),
            Kind::Status => json!(0),
        },
    }
}
