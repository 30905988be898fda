//! The database: one SQLite file.

mod migrations;
mod place;
mod prune;
mod rows;
mod sharing;
#[cfg(test)]
mod tests;

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use monitor_pipeline::counters::{Counters, Counting};
use monitor_pipeline::items::Item;
use monitor_pipeline::json;
use monitor_pipeline::keys::{Key, Put, Query};
use monitor_pipeline::ports::{PutOutcome, Store, StoreError};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior, params, params_from_iter};
use tokio::sync::oneshot::error::TryRecvError;

use migrations::Misfit;
pub use place::Displaced;
use place::Files;
use rows::Place;
use sharing::{Rows, Waiting};

/// How long a statement waits for another process's write. A write takes milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The most items in one put, so that no transaction blocks others for long.
const MAX_BATCH: usize = 1_000;

/// The store on SQLite, in one file or in memory.
///
/// Calls run where they are awaited, under a mutex: a statement takes microseconds, a commit one disk sync. It starts
/// no thread and uses no timer, so a simulator can run it.
pub struct EmbeddedStore {
    connection: Mutex<Connection>,
    waiting: Waiting,
    /// Empty for a store in memory.
    files: Files,
    /// Whether a commit syncs a disk.
    syncs: bool,
    counting: Counting,
}

/// A file that cannot be used as the store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be created or opened.
    #[error(
        "cannot open the store {path}: {reason}; it must be on a local disk, in a folder that this user can write to"
    )]
    Unusable {
        /// The store's file.
        path: PathBuf,
        /// The cause, from SQLite or the file system.
        reason: String,
    },
    /// The file is damaged.
    #[error("the store {path} is damaged: {reason}; {}", rows::HINT)]
    Damaged {
        /// The store's file.
        path: PathBuf,
        /// The cause, from SQLite or the file system.
        reason: String,
    },
    /// The file is not a store of this program.
    #[error("{path} is not a store of runner-monitor; name another file")]
    Foreign {
        /// The store's file.
        path: PathBuf,
    },
    /// A later release wrote the file.
    #[error(
        "the store {path} has version {found}, but this release supports {known}: run the release that wrote it, or a later one"
    )]
    Later {
        /// The store's file.
        path: PathBuf,
        /// The file's version.
        found: i64,
        /// The latest version that this release supports.
        known: i64,
    },
}

impl EmbeddedStore {
    /// Opens the file and migrates it. A new file is created for this user only (mode 0600).
    ///
    /// Several processes may have it open at once, but not on a network file system: WAL needs shared memory.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let unusable = |reason: String| OpenError::Unusable { path: path.to_owned(), reason };
        if path.is_dir() {
            return Err(unusable("it is a folder".to_owned()));
        }
        create_privately(path).map_err(|error| unusable(error.to_string()))?;
        // No URI flag: a file may be called `file:x?mode=memory`.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| unusable(without_path(&error)))?;
        let mut this = Self::prepare(connection, path, true)?;
        this.files = Files::of(path);
        Ok(this)
    }

    /// Whether the open file is still the one at its path. SQLite keeps writing to a deleted file, and everything is
    /// lost when the process ends.
    pub fn in_place(&self) -> Result<(), Displaced> {
        self.files.check()
    }

    /// A store in memory that lasts as long as this value.
    pub fn open_in_memory() -> Result<Self, OpenError> {
        let path = Path::new(":memory:");
        let connection = Connection::open_in_memory()
            .map_err(|error| OpenError::Unusable { path: path.to_owned(), reason: error.to_string() })?;
        Self::prepare(connection, path, false)
    }

    fn prepare(mut connection: Connection, path: &Path, syncs: bool) -> Result<Self, OpenError> {
        let path = || path.to_owned();
        let unusable = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => OpenError::Foreign { path: path() },
            Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged { path: path(), reason: error.to_string() },
            _ => OpenError::Unusable { path: path(), reason: without_path(&error) },
        };
        connection.busy_timeout(BUSY_TIMEOUT).map_err(unusable)?;
        // Checked before anything is written.
        let version = migrations::version(&mut connection).map_err(unusable)?.map_err(|misfit| match misfit {
            Misfit::Foreign => OpenError::Foreign { path: path() },
            Misfit::Later { found, known } => OpenError::Later { path: path(), found, known },
        })?;
        switch_to_wal(&connection).map_err(unusable)?;
        // Every commit syncs the log, so an acknowledged put survives a power cut.
        connection.pragma_update(None, "synchronous", "full").map_err(unusable)?;
        if version < migrations::known_version() {
            migrations::migrate(&mut connection).map_err(unusable)?;
        }
        let connection = Mutex::new(connection);
        let (waiting, files, counting) = (Waiting::default(), Files::default(), Counting::default());
        Ok(Self { connection, waiting, files, syncs, counting })
    }

    /// Runs SQLite's own check and reads every item. Returns the number of items.
    ///
    /// This takes seconds for a large file; meanwhile other processes can read but not write.
    pub fn verify(&self) -> Result<u64, StoreError> {
        let connection = self.connection();
        let mut check = connection.prepare("PRAGMA quick_check(3)").map_err(fault)?;
        let flaws: Vec<String> = check.query_map([], |row| row.get(0)).and_then(Iterator::collect).map_err(fault)?;
        if flaws != ["ok"] {
            return Err(rows::unreadable("somewhere in the file".to_owned(), &flaws.join("; ")));
        }
        let mut statement =
            connection.prepare("SELECT section, subject, first, second, body FROM items").map_err(fault)?;
        let mut found = statement.query([]).map_err(fault)?;
        let mut count = 0;
        while let Some(row) = found.next().map_err(fault)? {
            rows::listed(row).map_err(fault)??;
            count += 1;
        }
        Ok(count)
    }

    /// The requests since the store was opened.
    pub fn counters(&self) -> Counters {
        self.counting.total()
    }

    /// A poisoned lock is safe to use: a panic under it rolls back its transaction.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SQLite's reason without the path.
fn without_path(error: &rusqlite::Error) -> String {
    error.sqlite_error().map_or_else(|| error.to_string(), ToString::to_string)
}

/// Creates the file for this user only, unless it exists. SQLite gives its side files the same mode.
fn create_privately(path: &Path) -> std::io::Result<()> {
    /// Closing a file drops every lock that the process holds on it, including those of another store. So nothing may
    /// open the file between its creation and this close, and an existing file must not be opened here.
    static CREATING: Mutex<()> = Mutex::new(());
    let _guard = CREATING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

/// Lets readers and a writer work at the same time. The mode is stored in the file, so only the first switch matters.
fn switch_to_wal(connection: &Connection) -> rusqlite::Result<()> {
    let pause = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    loop {
        let switched = connection.pragma_update(None, "journal_mode", "wal");
        // The busy timeout does not apply to this switch.
        let is_busy = |error: &rusqlite::Error| error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
        match switched {
            Err(error) if is_busy(&error) && waited < BUSY_TIMEOUT => std::thread::sleep(pause),
            switched => return switched,
        }
        waited += pause;
    }
}

impl Store for EmbeddedStore {
    async fn put(&self, puts: &[Put]) -> Result<PutOutcome, StoreError> {
        self.counting.write();
        if puts.len() > MAX_BATCH {
            let count = puts.len();
            return Err(StoreError::Refused(format!("a batch of {count} items is too large; at most {MAX_BATCH}")));
        }
        let rows =
            puts.iter().map(|put| Ok((Place::of(&put.item.key())?, json::encode(&put.item)?, put.must_not_exist)));
        let rows: Rows = rows.collect::<Result<_, StoreError>>()?;
        let count = rows.len();
        let mut answer = self.waiting.push(rows);
        if self.syncs {
            // Let other tasks queue their puts first: one sync then commits all of them.
            tokio::task::yield_now().await;
        }
        let outcome = loop {
            let mut connection = self.connection();
            match answer.try_recv() {
                Ok(outcome) => break outcome?,
                Err(TryRecvError::Empty) => self.waiting.commit_some(&mut connection),
                Err(TryRecvError::Closed) => {
                    return Err(StoreError::Unavailable("the commit did not finish".to_owned()));
                }
            }
        };
        if outcome == PutOutcome::Done {
            self.counting.written(count);
        }
        Ok(outcome)
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        self.counting.read();
        let mut connection = self.connection();
        // One transaction, so that all items are from the same point in time.
        let transaction = connection.transaction().map_err(fault)?;
        let sql = "SELECT body FROM items
                   WHERE section = ?1 AND subject = ?2 AND first = ?3 AND second = ?4 AND third = ?5";
        let mut statement = transaction.prepare_cached(sql).map_err(fault)?;
        let mut items = Vec::with_capacity(keys.len());
        for key in keys {
            let Place { section, subject, numbers: [first, second, third] } = Place::of(key)?;
            let read = |row: &rusqlite::Row<'_>| Ok(rows::decode(rows::bytes(row, 0)?, || key.to_string()));
            let found = statement.query_row(params![section, subject, first, second, third], read).optional();
            match found.map_err(fault)?.transpose()? {
                None => {}
                Some(Some(item)) if item.key() == *key => items.push(item),
                Some(_) => return Err(rows::unreadable(key.to_string(), "another item is stored under its key")),
            }
        }
        Ok(items)
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        self.counting.read();
        let (sql, parameters) = rows::select(query);
        let connection = self.connection();
        let mut statement = connection.prepare_cached(sql).map_err(fault)?;
        let mut found = statement.query(params_from_iter(parameters)).map_err(fault)?;
        let mut items = Vec::new();
        while let Some(row) = found.next().map_err(fault)? {
            items.extend(rows::listed(row).map_err(fault)??);
        }
        Ok(items)
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        self.counting.write();
        let places: Vec<Place> = keys.iter().map(Place::of).collect::<Result<_, _>>()?;
        delete_rows(&mut self.connection(), &places).map_err(fault)
    }

    fn max_batch(&self) -> usize {
        MAX_BATCH
    }
}

fn delete_rows(connection: &mut Connection, places: &[Place]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let sql = "DELETE FROM items WHERE section = ?1 AND subject = ?2 AND first = ?3 AND second = ?4 AND third = ?5";
        let mut statement = transaction.prepare_cached(sql)?;
        for Place { section, subject, numbers: [first, second, third] } in places {
            statement.execute(params![section, subject, first, second, third])?;
        }
    }
    transaction.commit()
}

/// Classifies an SQLite error by whether a retry may help.
fn fault(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            rows::unreadable("somewhere in the file".to_owned(), &error.to_string())
        }
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OutOfMemory,
        ) => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Refused(error.to_string()),
    }
}
