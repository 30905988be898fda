//! The canary verifies that a store and its published schema match this program, before any real data is written.
//!
//! Field numbers are assigned at publish time and cannot be queried. The order of keys and the code of a refusal are
//! known only from the official clients. So the canary writes an item of every type with a different value in every
//! field, reads it back by number and by name, and compares. It also makes every kind of request of the store once.
//!
//! Everything is removed again, except an item whose key contains a wrongly numbered field: it is stored elsewhere.
//! Lists skip such items, and most of them expire.

use monitor_domain::time::Timestamp;

use crate::client::{Client, Form, List};
use crate::error::StatelyError;
use crate::fields::{ALL, CHANGE, CLAIM, CURSOR, Field, ItemType, Kind, LAST_SEEN, REPOSITORY, RUNNER, SENT};
use crate::key_path::KeyPath;
use crate::payload::{Record, Value};
use crate::transport::Transport;
use crate::wire;

/// The prefix of every canary's `repoId`. No subject has it, and lists skip such items.
pub(crate) const MARK: &str = "canary:";
/// The most flags that any type has. Each type is written this many times, with one flag set each time.
const VARIANTS: usize = 3;
/// Canaries that could not be removed expire after this time, if their type expires at all.
const KEEP_SECS: i64 = 86_400;

/// The result of a canary run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Findings {
    /// How many fields were compared by number and by name.
    pub compared: usize,
    /// One line per mismatch; empty if the store can be used.
    pub faults: Vec<String>,
}

/// Writes, reads, compares and removes canaries. `nonce` separates concurrent runs; `max_batch` is the largest batch
/// that the store puts.
pub async fn run<T: Transport>(client: &Client<T>, max_batch: usize, now: Timestamp, nonce: u64) -> Findings {
    let mut canary = Canary { client, now, nonce, written: Vec::new(), findings: Findings::default() };
    // If one step fails, the next ones would fail too.
    let steps = canary.steps(max_batch).await;
    if let Err(fault) = steps {
        canary.findings.faults.push(fault);
    }
    canary.remove().await;
    canary.findings
}

struct Canary<'a, T> {
    client: &'a Client<T>,
    now: Timestamp,
    nonce: u64,
    written: Vec<KeyPath>,
    findings: Findings,
}

fn while_doing(what: &str) -> impl FnOnce(StatelyError) -> String {
    move |error| format!("{what}: {error}")
}

impl<T: Transport> Canary<'_, T> {
    async fn steps(&mut self, max_batch: usize) -> Result<(), String> {
        for variant in 0..VARIANTS {
            let records: Vec<Record> = ALL.into_iter().map(|of| self.record(of, variant)).collect();
            self.put(&records).await.map_err(while_doing("an item of every type could not be put"))?;
            self.compare(&records).await?;
        }
        self.refuses_what_exists().await?;
        self.lists_a_fleet().await?;
        self.orders_by_number().await?;
        self.takes_a_full_batch(max_batch).await
    }

    fn repo_id(&self, variant: usize) -> String {
        format!("{MARK}{:016x}-{variant}", self.nonce)
    }

    /// A value for every field, different from every other field of the same kind.
    fn record(&self, item_type: &'static ItemType, variant: usize) -> Record {
        let mut flags = 0;
        let mut record = Record::new(item_type);
        for field in item_type.fields.iter().filter(|field| !field.by_service) {
            let number = i64::from(field.number);
            let value = match field.kind {
                Kind::Text if field.name == "repoId" => Value::Text(self.repo_id(variant)),
                Kind::Text => Value::Text(format!("canary of {} {number} ü%/", item_type.name)),
                Kind::Texts => Value::Texts(vec![format!("first {number}"), format!("second {number}")]),
                Kind::Flag => {
                    flags += 1;
                    Value::Flag(flags - 1 == variant)
                }
                Kind::Number => Value::Number(1_000 + field.number as u64),
                Kind::Millis => Value::Moment(self.now.epoch_ms() + number),
                Kind::Seconds => Value::Moment(self.now.epoch_secs() + KEEP_SECS + number),
                Kind::Status => Value::Status(5 - i32::from(item_type.name == RUNNER.name)),
            };
            record = record.with(field.name, value);
        }
        record
    }

    async fn put(&mut self, records: &[Record]) -> Result<(), StatelyError> {
        // Recorded first, so that a put whose response is lost is removed too.
        let before = self.written.len();
        self.written.extend(records.iter().map(path));
        let put = |record: &Record| wire::PutItem {
            item: Some(record.to_item()),
            must_not_exist: true,
            overwrite_metadata_timestamps: false,
        };
        let outcome = self.client.put(records.iter().map(put).collect()).await;
        if let Err(error) = &outcome
            && error.service().is_some_and(|service| !service.may_pass())
        {
            // Permanently refused: nothing was stored.
            self.written.truncate(before);
        }
        outcome.map(drop)
    }

    /// Reads records back by number and by name.
    async fn compare(&mut self, records: &[Record]) -> Result<(), String> {
        let paths: Vec<KeyPath> = records.iter().map(path).collect();
        let by_number =
            self.client.get(&paths, Form::Protobuf).await.map_err(while_doing("written items cannot be read"))?;
        let by_name = self.client.get(&paths, Form::Json).await.map_err(while_doing("items cannot be read as JSON"))?;
        if !by_name.iter().all(|item| matches!(item.payload, Some(wire::Payload::Json(_)))) {
            return Err("the service does not return JSON, so numbers cannot be compared with names".to_owned());
        }
        for record in records {
            let name = record.item_type().name;
            let find = |items: &[wire::Item]| {
                let item = items.iter().find(|item| item.item_type == name);
                let read = item.map(|item| Record::read(item, |_| true).map_err(|error| format!("{name}: {error}")));
                read.transpose().map(|found| found.flatten())
            };
            match (find(&by_number)?, find(&by_name)?) {
                (Some(by_number), Some(by_name)) => self.compare_fields(record, &by_number, &by_name),
                _ => self.findings.faults.push(format!("{name}: the written item is not under its key path")),
            }
        }
        Ok(())
    }

    fn compare_fields(&mut self, written: &Record, by_number: &Record, by_name: &Record) {
        for field in written.item_type().fields {
            self.findings.compared += 1;
            let [wrote, number, name] = [written, by_number, by_name].map(|record| record.get(field.name));
            let of = format!("{}.{}", written.item_type().name, field.name);
            let fault = match field.by_service {
                true if number.is_none() => format!("{of}: the service does not set it"),
                true if number != name => format!("{of}: by number {}, by name {}", shown(number), shown(name)),
                false if wrote != name => format!(
                    "{of}: written as number {} with {}, read by name as {}: the published schema has another number",
                    field.number,
                    shown(wrote),
                    shown(name)
                ),
                false if wrote != number => format!("{of}: wrote {}, read back {}", shown(wrote), shown(number)),
                _ => continue,
            };
            if !self.findings.faults.contains(&fault) {
                self.findings.faults.push(fault);
            }
        }
    }

    /// The only condition: a must-not-exist put of an existing item is refused with the code that the store expects.
    async fn refuses_what_exists(&mut self) -> Result<(), String> {
        let again = [self.record(&CHANGE, 0)];
        match self.put(&again).await {
            Err(error) if error.is_conflict() => Ok(()),
            Err(error) => Err(format!(
                "a must-not-exist put of an existing item fails, but not with ConditionalCheckFailed: {error}"
            )),
            Ok(()) => Err("a must-not-exist put replaces an existing item".to_owned()),
        }
    }

    async fn lists_a_fleet(&mut self) -> Result<(), String> {
        let prefix = KeyPath::new().text("fleet", &self.repo_id(0));
        let found = self
            .client
            .list(&List { prefix, ..List::default() })
            .await
            .map_err(while_doing("a fleet cannot be listed"))?;
        let mut types: Vec<&str> = found.iter().map(|item| &*item.item_type).collect();
        types.sort_unstable();
        let expected = [CURSOR.name, LAST_SEEN.name, REPOSITORY.name, RUNNER.name];
        if types != expected {
            self.findings.faults.push(format!(
                "listing a fleet should return {}; it returned {}",
                expected.join(", "),
                types.join(", ")
            ));
        }
        Ok(())
    }

    /// 9, 10 and 11: numeric and lexical order differ.
    async fn orders_by_number(&mut self) -> Result<(), String> {
        let mut records = Vec::new();
        for number in [9, 10, 11] {
            records.push(self.record(&CHANGE, 0).with("revision", Value::Number(number)));
            for of in [&CLAIM, &SENT] {
                records.push(
                    self.record(of, 0).with("notification", Value::Number(number)).with("attempt", Value::Number(1)),
                );
            }
        }
        self.put(&records).await.map_err(while_doing("changes and notifications could not be put"))?;
        let group = || KeyPath::new().text("repo", &self.repo_id(0));
        let after = Some(group().number("change", 9));
        let changes = List { prefix: group().any("change"), after, limit: Some(2), ..List::default() };
        let notifications =
            List { prefix: group().any("notification"), descending: true, limit: Some(5), ..List::default() };
        // The items from the first step have numbers above a thousand.
        self.expect_order(&changes, "revision", &["Change 10", "Change 11"]).await?;
        let latest = ["Sent 1002", "Claim 1002", "Sent 11", "Claim 11", "Sent 10"];
        self.expect_order(&notifications, "notification", &latest).await
    }

    async fn expect_order(&mut self, list: &List, number: &str, expected: &[&str]) -> Result<(), String> {
        let items = self.client.list(list).await.map_err(while_doing("an ordered list cannot be read"))?;
        let name = |item: &wire::Item| match Record::read(item, |field: &Field| field.name == number) {
            Ok(Some(record)) => format!("{} {}", item.item_type, record.number(number)),
            _ => item.item_type.clone(),
        };
        let found: Vec<String> = items.iter().map(name).collect();
        if found != expected {
            let (expected, found) = (expected.join(", "), found.join(", "));
            self.findings.faults.push(format!("a list should return {expected}; it returned {found}"));
        }
        Ok(())
    }

    async fn takes_a_full_batch(&mut self, max_batch: usize) -> Result<(), String> {
        let runner = |id: usize| self.record(&RUNNER, 0).with("runnerId", Value::Number(5_000 + id as u64));
        let records: Vec<Record> = (0..max_batch).map(runner).collect();
        self.put(&records).await.map_err(while_doing(&format!("a batch of {max_batch} items could not be put")))
    }

    async fn remove(&mut self) {
        let mut written = std::mem::take(&mut self.written);
        written.sort();
        written.dedup();
        for paths in written.chunks(crate::MAX_BATCH) {
            if let Err(error) = self.client.delete(paths).await {
                let (first, count) = (&paths[0], paths.len());
                self.findings.faults.push(format!("{count} canaries from {first} on could not be removed: {error}"));
            }
        }
    }
}

/// A record's first key path, as in schema.ts.
fn path(record: &Record) -> KeyPath {
    let repo = KeyPath::new().text("repo", record.text("repoId"));
    let fleet = KeyPath::new().text("fleet", record.text("repoId"));
    let notification = |path: KeyPath| {
        path.number("notification", record.number("notification")).number("attempt", record.number("attempt"))
    };
    match record.item_type().name {
        "Runner" => repo.number("runner", record.number("runnerId")),
        "OutageEvent" => repo.number("runner", record.number("runnerId")).number("outage", record.number("outageId")),
        "LastSeen" => fleet.number("last_seen", record.number("slot")),
        "Cursor" => fleet.only("cursor"),
        "Change" => repo.number("change", record.number("revision")),
        "Credential" => repo.only("credential"),
        "Watchlist" => repo.only("watchlist"),
        "AccessToken" => repo.only("access_token"),
        "WorkflowJob" => repo.number("job", record.number("jobId")),
        "Marker" => repo.number("marker", record.number("markerId")),
        "Claim" => notification(repo).only("claim"),
        "Sent" => notification(repo).only("sent"),
        "Mute" => repo.number("mute", record.number("muteId")),
        "Acknowledgement" => {
            repo.number("acknowledged", record.number("runnerId")).number("outage", record.number("outageId"))
        }
        _ => repo,
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::Text(text)) => format!("`{text}`"),
        Some(Value::Texts(texts)) => format!("`{}`", texts.join("`, `")),
        Some(Value::Flag(flag)) => flag.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Moment(moment)) => moment.to_string(),
        Some(Value::Status(status)) => format!("status {status}"),
    }
}
