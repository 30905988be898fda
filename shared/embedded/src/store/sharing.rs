//! Puts that share a sync of the disk: whoever comes first commits for all that wait.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use monitor_pipeline::ports::{PutOutcome, StoreError};
use rusqlite::{Connection, Savepoint, Transaction, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::rows::Place;
use super::{MAX_BATCH, fault};

const CREATE: &str = "
    INSERT INTO items (section, subject, first, second, third, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT DO NOTHING";
const REPLACE: &str = "
    INSERT INTO items (section, subject, first, second, third, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT DO UPDATE SET body = excluded.body";

/// What a put writes.
pub(super) type Rows = Vec<(Place, String, bool)>;
type Answer = Result<PutOutcome, StoreError>;

/// Puts that wait for a commit, first come first.
#[derive(Default)]
pub(super) struct Waiting(Mutex<VecDeque<Batch>>);

struct Batch {
    rows: Rows,
    answer: oneshot::Sender<Answer>,
}

impl Waiting {
    /// Lines up. Whoever drops the receiver meanwhile has not put anything.
    pub(super) fn push(&self, rows: Rows) -> oneshot::Receiver<Answer> {
        let (answer, mine) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(Batch { rows, answer });
        mine
    }

    /// Commits for the first of those that wait, as many as hold no more items than one put may.
    pub(super) fn commit_some(&self, connection: &mut Connection) {
        let group = self.take();
        match put_together(connection, &group) {
            Ok(outcomes) => answer(group, outcomes.into_iter().map(Ok)),
            // The file's fault, or the disk's: it is everybody's.
            Err(error @ StoreError::Unavailable(_)) => answer(group, std::iter::repeat(Err(error))),
            // Nobody is refused for what another wrote.
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
        // Nobody waits any more: as if the answer was lost on its way.
        let _ = batch.answer.send(outcome);
    }
}

/// One transaction; a batch that meets an item which must not exist leaves nothing in it.
fn put_together(connection: &mut Connection, group: &[Batch]) -> Result<Vec<PutOutcome>, StoreError> {
    let mut put = || {
        // Immediate: a transaction that reads first could not become a writer once another has written.
        let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let outcomes = group.iter().map(|batch| put_rows(&mut transaction, &batch.rows));
        let outcomes = outcomes.collect::<rusqlite::Result<Vec<_>>>()?;
        transaction.commit()?;
        Ok(outcomes)
    };
    put().map_err(fault)
}

fn put_rows(transaction: &mut Transaction<'_>, rows: &Rows) -> rusqlite::Result<PutOutcome> {
    let savepoint: Savepoint<'_> = transaction.savepoint()?;
    {
        let mut create = savepoint.prepare_cached(CREATE)?;
        let mut replace = savepoint.prepare_cached(REPLACE)?;
        for (Place { section, subject, numbers: [first, second, third] }, body, must_not_exist) in rows {
            let statement = if *must_not_exist { &mut create } else { &mut replace };
            if statement.execute(params![section, subject, first, second, third, body])? == 0 {
                // Dropped without a commit, the savepoint leaves nothing.
                return Ok(PutOutcome::Exists);
            }
        }
    }
    savepoint.commit()?;
    Ok(PutOutcome::Done)
}
