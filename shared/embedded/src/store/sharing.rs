//! Concurrent puts share one disk sync: the first to get the connection commits all waiting puts.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use monitor_pipeline::ports::{PutOutcome, StoreError};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::rows::Place;
use super::{MAX_BATCH, fault};

const CREATE: &str = "
    INSERT INTO items (section, subject, first, second, third, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT DO NOTHING";
const REPLACE: &str = "
    INSERT INTO items (section, subject, first, second, third, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT DO UPDATE SET body = excluded.body";

/// The rows that a put writes: place, text, and whether the item must not exist.
pub(super) type Rows = Vec<(Place, String, bool)>;
type Answer = Result<PutOutcome, StoreError>;

/// Puts that wait for a commit, in order of arrival.
#[derive(Default)]
pub(super) struct Waiting(Mutex<VecDeque<Batch>>);

struct Batch {
    rows: Rows,
    answer: oneshot::Sender<Answer>,
}

impl Waiting {
    /// Queues a put. If its receiver is dropped before the commit, nothing of it is written.
    pub(super) fn push(&self, rows: Rows) -> oneshot::Receiver<Answer> {
        let (answer, mine) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(Batch { rows, answer });
        mine
    }

    /// Commits the first waiting puts, up to [`MAX_BATCH`] items in total.
    pub(super) fn commit_some(&self, connection: &mut Connection) {
        let group = self.take();
        match put_together(connection, &group) {
            Ok(outcomes) => answer(group, outcomes.into_iter().map(Ok)),
            // The file or the disk failed, so every put fails.
            Err(error @ StoreError::Unavailable(_)) => answer(group, std::iter::repeat(Err(error))),
            // One put was refused: retry each alone, so that no other put fails with it.
            Err(_) => {
                for batch in group {
                    let alone = put_together(connection, std::slice::from_ref(&batch));
                    let outcome = alone.map(|outcomes| outcomes.first().copied().unwrap_or(PutOutcome::Done));
                    let _ = batch.answer.send(outcome);
                }
            }
        }
    }

    fn take(&self) -> Vec<Batch> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut group: Vec<Batch> = Vec::new();
        let mut items = 0;
        while let Some(next) = waiting.front() {
            items += next.rows.len();
            if items > MAX_BATCH && !group.is_empty() {
                break;
            }
            group.extend(waiting.pop_front().filter(|batch| !batch.answer.is_closed()));
        }
        group
    }
}

fn answer(group: Vec<Batch>, outcomes: impl Iterator<Item = Answer>) {
    for (batch, outcome) in group.into_iter().zip(outcomes) {
        // A caller that stopped waiting does not get the result, as with a lost answer.
        let _ = batch.answer.send(outcome);
    }
}

/// One transaction. A batch in which an item exists that must not writes nothing.
fn put_together(connection: &mut Connection, group: &[Batch]) -> Result<Vec<PutOutcome>, StoreError> {
    let mut put = || {
        // Immediate: a transaction that reads first cannot become a writer after another process has written.
        let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let outcomes = group.iter().map(|batch| put_rows(&mut transaction, &batch.rows));
        let outcomes = outcomes.collect::<rusqlite::Result<Vec<_>>>()?;
        transaction.commit()?;
        Ok(outcomes)
    };
    put().map_err(fault)
}

fn put_rows(transaction: &mut Transaction<'_>, rows: &Rows) -> rusqlite::Result<PutOutcome> {
    let savepoint = transaction.savepoint()?;
    {
        let mut create = savepoint.prepare_cached(CREATE)?;
        let mut replace = savepoint.prepare_cached(REPLACE)?;
        for (Place { section, subject, numbers: [first, second, third] }, body, must_not_exist) in rows {
            let statement = if *must_not_exist { &mut create } else { &mut replace };
            if statement.execute(params![section, subject, first, second, third, body])? == 0 {
                // The savepoint is dropped without a commit, which rolls it back.
                return Ok(PutOutcome::Exists);
            }
        }
    }
    savepoint.commit()?;
    Ok(PutOutcome::Done)
}

#[cfg(test)]
mod tests {
    use monitor_domain::change::Event;
    use monitor_pipeline::items::Item;
    use monitor_pipeline::keys::{Put, Query};
    use monitor_pipeline::ports::Store;
    use monitor_pipeline::testing::samples::{change, runner_item, target};

    use super::super::EmbeddedStore;
    use super::*;

    /// A commit of a change and two runners.
    fn batch(name: &str) -> Vec<Put> {
        let runners = (1..=2).map(|runner| Put::replacing(runner_item(name, runner)));
        std::iter::once(Put::new(Item::Change(change(name, 1, Event::MonitoringStarted)))).chain(runners).collect()
    }

    fn runners(store: &EmbeddedStore, name: &str) -> i64 {
        let sql = "SELECT count(*) FROM items WHERE section = 'runner' AND subject = ?1";
        store.connection().query_row(sql, [name], |row| row.get(0)).unwrap()
    }

    /// Commits in a log without a checkpoint: the frames that record the file's size after them.
    fn commits(log: &std::path::Path) -> usize {
        let bytes = std::fs::read(log).unwrap();
        let page_size = u32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize;
        bytes[32..].chunks_exact(24 + page_size).filter(|frame| frame[4..8] != [0; 4]).count()
    }

    #[tokio::test]
    async fn concurrent_puts_share_one_commit_and_each_gets_its_own_result() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("monitor.db");
        let store = EmbeddedStore::open(&path).unwrap();
        assert_eq!(store.put(&batch("acme/lost")).await, Ok(PutOutcome::Done));
        store.delete(&[runner_item("acme/lost", 1).key(), runner_item("acme/lost", 2).key()]).await.unwrap();
        let log = folder.path().join("monitor.db-wal");
        let before = commits(&log);
        let put = async |name: &str| store.put(&batch(name)).await;
        let (web, lost, api, again) = tokio::join!(put("acme/web"), put("acme/lost"), put("acme/api"), put("acme/web"));
        assert_eq!(commits(&log), before + 1);
        assert_eq!((web, api), (Ok(PutOutcome::Done), Ok(PutOutcome::Done)));
        assert_eq!((lost, again), (Ok(PutOutcome::Exists), Ok(PutOutcome::Exists)));
        assert_eq!(["acme/web", "acme/lost", "acme/api"].map(|name| runners(&store, name)), [2, 0, 2]);
        assert_eq!(store.counters().items_written, 9);
    }

    #[tokio::test]
    async fn a_put_that_sqlite_refuses_fails_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(folder.path().join("monitor.db")).unwrap();
        let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON items WHEN NEW.subject = 'acme/bad'
                      BEGIN SELECT RAISE(ABORT, 'no'); END";
        store.connection().execute_batch(refuse).unwrap();
        let put = async |name: &str| store.put(&batch(name)).await;
        let (web, bad, api) = tokio::join!(put("acme/web"), put("acme/bad"), put("acme/api"));
        assert_eq!((web, api), (Ok(PutOutcome::Done), Ok(PutOutcome::Done)));
        assert!(matches!(&bad, Err(StoreError::Refused(said)) if said == "no"), "{bad:?}");
        assert_eq!(["acme/web", "acme/bad", "acme/api"].map(|name| runners(&store, name)), [2, 0, 2]);
    }

    #[tokio::test]
    async fn a_put_cancelled_while_waiting_is_never_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(folder.path().join("monitor.db")).unwrap();
        {
            let batch = batch("acme/web");
            let mut given_up = std::pin::pin!(store.put(&batch));
            assert!(poll_once(given_up.as_mut()).is_pending());
        }
        assert_eq!(store.put(&batch("acme/api")).await, Ok(PutOutcome::Done));
        let fleet = Query::Fleet(target("acme/web").id().clone());
        assert_eq!(store.list(&fleet).await.unwrap(), []);
    }

    #[test]
    fn a_transaction_holds_no_more_items_than_one_put_may() {
        let store = EmbeddedStore::open_in_memory().unwrap();
        let waiting = Waiting::default();
        let rows = |number: u64| {
            let items = (0..400).map(|runner| runner_item("acme/web", number * 400 + runner));
            items.map(|item| (Place::of(&item.key()).unwrap(), "{}".to_owned(), true)).collect()
        };
        let mut answers: Vec<_> = (0..4).map(|number| waiting.push(rows(number))).collect();
        for answered in [2, 4] {
            waiting.commit_some(&mut store.connection());
            let done = answers.iter_mut().filter_map(|answer| answer.try_recv().ok());
            assert_eq!(done.collect::<Vec<_>>(), [Ok(PutOutcome::Done), Ok(PutOutcome::Done)]);
            assert_eq!(runners(&store, "acme/web"), answered * 400);
        }
    }

    fn poll_once<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> std::task::Poll<T> {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }
}
