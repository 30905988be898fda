//! Housekeeping: deletes history that was notified long ago.

use monitor_domain::time::Timestamp;
use monitor_pipeline::ports::StoreError;
use rusqlite::{Connection, params};

use super::{EmbeddedStore, fault};

/// How many rows one statement visits, so that none blocks other processes for long.
const PORTION: i64 = 500;

/// The oldest changes without anything pending, up to the first that is too young. Those are the changes that are
/// notified and whose outages are recorded, or all changes if nothing is pending.
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
          AND instr(body, 'reachableAgain') = 0 AND instr(body, 'unwatched') = 0 AND instr(body, '\"returned\"') = 0
        ORDER BY first LIMIT ?3
    ) AND CASE WHEN json_valid(body) THEN json_extract(body, '$.decidedAt') < ?2 END";

/// Changes that say when a target was not observed or a runner not registered: a report of availability needs them as
/// long as the outages.
const ABSENCES: &str = "
    DELETE FROM items WHERE rowid IN (
        SELECT rowid FROM items
        WHERE section = 'change' AND subject = ?1
          AND (instr(body, 'reachableAgain') > 0 OR instr(body, 'unwatched') > 0 OR instr(body, '\"returned\"') > 0)
          AND CASE WHEN json_valid(body) THEN json_extract(body, '$.decidedAt') < ?2 END
          AND first <= (SELECT coalesce(max(CASE WHEN json_valid(body) THEN json_extract(body, '$.notifiedThrough') END), 0)
                        FROM items WHERE section = 'cursor' AND subject = ?1)
        LIMIT ?3
    )";

/// The oldest claims and outcomes, except the latest notification's: it shows how far the subject is notified.
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

/// Mutes that ended long ago, and old markers.
const MUTES: &str = "
    DELETE FROM items
    WHERE section IN ('marker', 'mute') AND subject = ?1
      AND CASE WHEN json_valid(body) THEN coalesce(json_extract(body, '$.until'), json_extract(body, '$.at')) < ?2 END
      AND ?3 > 0";

/// Old acknowledgements.
const ACKNOWLEDGEMENTS: &str = "
    DELETE FROM items
    WHERE section = 'acknowledgement' AND subject = ?1
      AND CASE WHEN json_valid(body) THEN json_extract(body, '$.at') < ?2 END
      AND ?3 > 0";

/// Outages that ended long ago.
const OUTAGES: &str = "
    DELETE FROM items WHERE rowid IN (
        SELECT rowid FROM items
        WHERE section = 'outage' AND subject = ?1 AND json_extract(body, '$.resolvedAt') < ?2 LIMIT ?3
    )";

impl EmbeddedStore {
    /// Deletes outages and absences that ended before `ended_before`, and with them what the chat has about outages: claims,
    /// send outcomes and acknowledgements. Returns the number of deleted rows.
    ///
    /// Open outages and each subject's latest notification are kept, however old.
    pub async fn prune_outages(&self, ended_before: Timestamp) -> Result<u64, StoreError> {
        self.prune_by(&[OUTAGES, ABSENCES, NOTIFICATIONS, ACKNOWLEDGEMENTS], ended_before).await
    }

    /// Deletes changes older than `before` that are not pending, and old mutes and markers. Returns the number of deleted
    /// rows.
    ///
    /// Pending changes and all outages are kept, however old. Unreadable rows are
    /// kept too; an error in one subject is returned after the other subjects are done.
    pub async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.prune_by(&[CHANGES, MUTES], before).await
    }

    async fn prune_by(&self, statements: &[&str], before: Timestamp) -> Result<u64, StoreError> {
        // Times are stored as fixed-width text in UTC, so they compare as text.
        let before = before.to_string();
        let subjects = subjects(&self.connection()).map_err(fault)?;
        let (mut pruned, mut first_fault) = (0, None);
        for subject in subjects {
            for statement in statements {
                loop {
                    let deleted = portion(&self.connection(), statement, &subject, &before);
                    // Let other tasks run first: pruning is not urgent.
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
