//! The layout of the file, by version.

use rusqlite::{Connection, TransactionBehavior};

/// Marks the file as this program's: "RMon".
const APPLICATION_ID: i64 = 0x524d_6f6e;

/// The migrations from each version to the next. Never edit a released one: add another.
const MIGRATIONS: [&str; 3] = [include_str!("1.sql"), include_str!("2.sql"), include_str!("3.sql")];

/// Why a file cannot be used as it is.
pub(super) enum Misfit {
    /// It belongs to another program.
    Foreign,
    /// A later release wrote it.
    Later { found: i64, known: i64 },
}

/// The file's version, 0 for a new file. Changes nothing.
pub(super) fn version(connection: &mut Connection) -> rusqlite::Result<Result<i64, Misfit>> {
    // One transaction: another process may be about to create the tables.
    let transaction = connection.transaction()?;
    let is_empty: bool = transaction.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
    let version = pragma(&transaction, "user_version")?;
    let is_ours = pragma(&transaction, "application_id")? == APPLICATION_ID;
    if !is_ours && (version != 0 || !is_empty) {
        return Ok(Err(Misfit::Foreign));
    }
    let known = known_version();
    Ok(if version > known { Err(Misfit::Later { found: version, known }) } else { Ok(version) })
}

/// Migrates the file to the version that this release writes.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again under the lock: another process may have migrated it already.
    let version = pragma(&transaction, "user_version")?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", known_version().max(version))?;
    transaction.commit()
}

pub(super) fn known_version() -> i64 {
    MIGRATIONS.len() as i64
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}
