//! Items as rows: their key columns, their JSON text, and the SQL for each query.

use monitor_domain::quote::quote;
use monitor_pipeline::items::Item;
use monitor_pipeline::json;
use monitor_pipeline::keys::{Key, Query};
use monitor_pipeline::ports::StoreError;
use rusqlite::Row;
use rusqlite::types::Value;

/// What to do about a row that cannot be read.
pub(super) const HINT: &str = "restore a backup of the file, or move the file away: runner-monitor then starts with a new one and notifies open outages again";

/// The longest quoted reason why a row cannot be read, in characters: `serde_json` quotes its input.
const LONGEST_REASON: usize = 300;

/// The key columns of a row.
pub(super) struct Place {
    pub(super) section: &'static str,
    pub(super) subject: String,
    pub(super) numbers: [i64; 3],
}

impl Place {
    pub(super) fn of(key: &Key) -> Result<Self, StoreError> {
        let (section, numbers) = match key {
            Key::Target(_) => ("target", [0; 3]),
            Key::Runner(_, runner) => ("runner", [runner.0, 0, 0]),
            Key::Outage(_, runner, outage) => ("outage", [runner.0, outage.0.0, 0]),
            Key::LastSeen(_, slot) => ("last-seen", [u64::from(*slot), 0, 0]),
            Key::Change(_, revision) => ("change", [revision.0, 0, 0]),
            Key::Credential(_) => ("credential", [0; 3]),
            Key::Watchlist => ("watchlist", [0; 3]),
            Key::Claim(_, number) => ("notification", [number.notification, u64::from(number.attempt), 0]),
            Key::Sent(_, number) => ("notification", [number.notification, u64::from(number.attempt), 1]),
            Key::Cursor(_) => ("cursor", [0; 3]),
            Key::Mute(number) => ("mute", [*number, 0, 0]),
            Key::AccessToken(_) => ("access-token", [0; 3]),
            Key::Job(_, job) => ("job", [job.0, 0, 0]),
            Key::Marker(_, number) => ("marker", [*number, 0, 0]),
            Key::Acknowledgement(_, runner, outage) => ("acknowledgement", [runner.0, outage.0.0, 0]),
        };
        let mut place = Place { section, subject: key.subject().to_string(), numbers: [0; 3] };
        for (stored, number) in place.numbers.iter_mut().zip(numbers) {
            *stored = i64::try_from(number).map_err(|_| {
                StoreError::Refused(format!(
                    "{key}: the number {number} is larger than SQLite can store ({})",
                    i64::MAX
                ))
            })?;
        }
        Ok(place)
    }
}

/// Reads an item's text; `None` if a later release wrote a type that this one does not know.
pub(super) fn decode(body: &[u8], key: impl FnOnce() -> String) -> Result<Option<Item>, StoreError> {
    json::decode(body).map_err(|error| unreadable(key(), &error.to_string()))
}

pub(super) fn unreadable(key: String, reason: &str) -> StoreError {
    StoreError::Unreadable { key, reason: format!("{}; {HINT}", quote(reason, LONGEST_REASON)) }
}

/// The SQL of a query, with its parameters. Each walks one index in order.
pub(super) fn select(query: &Query) -> (&'static str, Vec<Value>) {
    // A number larger than any stored one is clamped to the largest.
    let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let limit = |limit: &usize| number(u64::try_from(*limit).unwrap_or(u64::MAX));
    match query {
        Query::Fleet(target) => (
            "SELECT section, subject, first, second, body FROM items
             WHERE section IN ('cursor', 'last-seen', 'runner', 'target') AND subject = ?1",
            vec![target.to_string().into()],
        ),
        Query::Changes { subject, after, limit: count } => (
            "SELECT section, subject, first, second, body FROM items
             WHERE section = 'change' AND subject = ?1 AND first > ?2 ORDER BY first LIMIT ?3",
            vec![subject.to_string().into(), number(after.0), limit(count)],
        ),
        Query::Notifications { subject, limit: count } => (
            "SELECT section, subject, first, second, body FROM items
             WHERE section = 'notification' AND subject = ?1 ORDER BY first DESC, second DESC, third DESC LIMIT ?2",
            vec![subject.to_string().into(), limit(count)],
        ),
        Query::Outages { target, runner: None } => (
            "SELECT section, subject, first, second, body FROM items
             WHERE section = 'outage' AND subject = ?1 ORDER BY first, second",
            vec![target.to_string().into()],
        ),
        Query::Outages { target, runner: Some(runner) } => (
            "SELECT section, subject, first, second, body FROM items
             WHERE section = 'outage' AND subject = ?1 AND first = ?2 ORDER BY second",
            vec![target.to_string().into(), number(runner.0)],
        ),
        Query::Jobs { target } => (
            "SELECT section, subject, first, second, body FROM items
             WHERE section = 'job' AND subject = ?1 ORDER BY first",
            vec![target.to_string().into()],
        ),
        Query::Mutes => (
            "SELECT section, subject, first, second, body FROM items
             WHERE section = 'mute' AND subject = 'monitor' ORDER BY first",
            Vec::new(),
        ),
        Query::Targets => (
            "SELECT section, subject, first, second, body FROM items WHERE section = 'target' ORDER BY subject",
            Vec::new(),
        ),
    }
}

/// Reads a row of a [`select`] query.
pub(super) fn listed(row: &Row<'_>) -> rusqlite::Result<Result<Option<Item>, StoreError>> {
    let key = || {
        let text = |column| row.get::<_, String>(column).unwrap_or_default();
        let numbers = [2, 3].map(|column| row.get::<_, i64>(column).unwrap_or_default());
        let numbers = numbers.iter().filter(|number| **number != 0).map(i64::to_string);
        format!("{} {} {}", text(1), text(0), numbers.collect::<Vec<_>>().join(".")).trim_end().to_owned()
    };
    Ok(decode(bytes(row, 4)?, key))
}

/// The bytes of a body; empty for a value that is neither text nor a blob, for example one written by hand.
pub(super) fn bytes<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a [u8]> {
    let value = row.get_ref(column)?;
    Ok(value.as_bytes().unwrap_or_default())
}
