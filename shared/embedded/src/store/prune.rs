//! Housekeeping: history that was told long ago.

use monitor_domain::time::Timestamp;
use monitor_pipeline::ports::StoreError;
use rusqlite::{Connection, params};

use super::{EmbeddedStore, fault};

/// How many records are looked at in one statement, so that none keeps others waiting for long.
const PORTION: i64 = 500;

/// The oldest changes with nothing pending in them, up to the first that is kept for its age: all that are notified and whose
/// outages are recorded, and where nothing is pending, all that are there.
const CHANGES: &str = "
    DELETE FROM items WHERE rowid IN (
        SELECT rowid FROM items
        WHERE section = 'change' AND subject = ?1
          AND first <= (
            SELECT min(
                CASE WHEN notified >= last_notifiable THEN revision ELSE notified END,
                CASE WHEN recorded >= coalesce(last_outage_change, 0) THEN revision ELSE recorded END
            ) FROM (
                SELECT
                    coalesce((SELECT CASE WHEN json_valid(body) THEN json_extract(body, '$.notifiedThrough') END FROM items
                              WHERE section = 'cursor' AND subject = ?1), 0) AS notified,
                    coalesce((SELECT CASE WHEN json_valid(body) THEN json_extract(body, '$.recordedThrough') END FROM items
                              WHERE section = 'cursor' AND subject = ?1), 0) AS recorded,
                    CASE WHEN json_valid(body) THEN json_extract(body, '$.lastNotifiable') END AS last_notifiable,
                    CASE WHEN json_valid(body) THEN json_extract(body, '$.lastOutageChange') END AS last_outage_change,
                    CASE WHEN json_valid(body) THEN json_extract(body, '$.revision') END AS revision
                FROM items
                WHERE section IN ('credential', 'target', 'watchlist') AND subject = ?1
            )
          )
        ORDER BY first LIMIT ?3
    ) AND CASE WHEN json_valid(body) THEN json_extract(body, '$.decidedAt') < ?2 END";

/// The oldest claims and endings of notices before the latest: the latest tells how far the subject is told.
const NOTIFICATIONS: &str = "
    DELETE FROM items WHERE rowid IN (
        SELECT rowid FROM items
        WHERE section = 'notification' AND subject = ?1
          AND first < (SELECT max(first) FROM items WHERE section = 'notification' AND subject = ?1)
        ORDER BY first, second, third LIMIT ?3
    ) AND CASE WHEN json_valid(body) THEN
        coalesce(json_extract(body, '$.claimedAt'), json_extract(body, '$.at')) < ?2
        AND json_extract(body, '$.through')
            <= (SELECT CASE WHEN json_valid(body) THEN json_extract(body, '$.notifiedThrough') END FROM items
                WHERE section = 'cursor' AND subject = ?1)
      END";

/// Mutes that ended long ago, acknowledgements and markers of long ago.
const OVERRIDES: &str = "
    DELETE FROM items
    WHERE section IN ('acknowledgement', 'marker', 'mute') AND subject = ?1
      AND CASE WHEN json_valid(body) THEN coalesce(json_extract(body, '$.until'), json_extract(body, '$.at')) < ?2 END
      AND ?3 > 0";

/// Outages that ended long ago.
const OUTAGES: &str = "
    DELETE FROM items WHERE rowid IN (
        SELECT rowid FROM items
        WHERE section = 'outage' AND subject = ?1 AND json_extract(body, '$.resolvedAt') < ?2 LIMIT ?3
    )";

impl EmbeddedStore {
    /// Deletes outages that ended before a moment; gives how many. One that is open stays however old it is.
    pub async fn prune_outages(&self, ended_before: Timestamp) -> Result<u64, StoreError> {
        self.prune_by(&[OUTAGES], ended_before).await
    }

    /// Deletes changes, claims and endings of sends that are older than `before` and hold nothing that is still to be
    /// told, and what people asked for before; gives how many.
    ///
    /// What is untold stays however old it is, and so do each subject's latest notice and all outages. What cannot be read
    /// stays too; a fault in one subject's records is given after the others are done.
    pub async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.prune_by(&[CHANGES, NOTIFICATIONS, OVERRIDES], before).await
    }

    async fn prune_by(&self, statements: &[&str], before: Timestamp) -> Result<u64, StoreError> {
        // Times are stored as text of one width, in UTC: they compare as text.
        let before = before.to_string();
        let subjects = subjects(&self.connection()).map_err(fault)?;
        let (mut pruned, mut first_fault) = (0, None);
        for subject in subjects {
            for statement in statements {
                loop {
                    let deleted = portion(&self.connection(), statement, &subject, &before);
                    // Others first: this is in no hurry.
                    tokio::task::yield_now().await;
                    match deleted {
                        Ok(deleted) => pruned += deleted,
                        Err(ref error) if first_fault.is_none() => first_fault = Some(format!("{subject}: {error}")),
                        Err(_) => {}
                    }
                    if deleted.unwrap_or_default() < PORTION.unsigned_abs() {
                        break;
                    }
                }
            }
        }
        match first_fault {
            None => Ok(pruned),
            Some(reason) => Err(StoreError::Unavailable(format!("{reason}; {pruned} other old records were deleted"))),
        }
    }
}

/// Every subject that has a history.
fn subjects(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection
        .prepare_cached("SELECT subject FROM items WHERE section IN ('credential', 'target', 'watchlist')")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

fn portion(connection: &Connection, statement: &str, subject: &str, before: &str) -> rusqlite::Result<u64> {
    let deleted = connection.prepare_cached(statement)?.execute(params![subject, before, PORTION])?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}
