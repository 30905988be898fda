//! Record the outages that changes open and close.
//!
//! An opening is put only if no outage is stored under its key; an end replaces whatever is stored. Nothing is put in
//! between. So a notifier that stalls and continues later can never reopen an outage that has ended.

use monitor_domain::change::{Change, Event};
use monitor_domain::outage::Outage;
use monitor_domain::recording::OutageRecords;
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::TargetId;
use tracing::debug;

use crate::items::{Cursor, Item, OutageItem};
use crate::keys::Put;
use crate::ports::{Clock, PutOutcome, Store, StoreError};
use crate::records::{self, Backlog, handled};

/// Records the outages of a target that are not recorded yet: the part of the notifier that needs no chat. Other
/// subjects have no outages.
pub async fn record_outages(store: &impl Store, clock: &impl Clock, subject: &Subject) -> Result<(), StoreError> {
    let Subject::Target(target) = subject else { return Ok(()) };
    let (record, cursor) = records::read_backlog(store, target).await?;
    let (backlog, handled) = (record.as_ref().map(Backlog::from).unwrap_or_default(), handled(cursor.as_ref()));
    if !backlog.is_unrecorded(handled) {
        return Ok(());
    }
    let after = backlog.read_after(handled.recorded_through);
    let changes = records::changes_after(store, subject, after, |event: &Event| event.outage_event().is_some()).await?;
    record_from(store, clock, target, cursor.as_ref(), &changes).await.map(drop)
}

/// Records the outages that changes open and close after the cursor's revision, and moves the cursor. Returns the
/// revision through which outages are recorded then.
pub(super) async fn record_from(
    store: &impl Store,
    clock: &impl Clock,
    target: &TargetId,
    cursor: Option<&Cursor>,
    changes: &[Change],
) -> Result<Revision, StoreError> {
    let recorded_through = handled(cursor).recorded_through;
    let OutageRecords { through, opened, ended } = OutageRecords::of(recorded_through, changes);
    if through == recorded_through {
        return Ok(through);
    }
    debug!(target_id = %target, opened = opened.len(), ended = ended.len(), "recording outages");
    let item = |outage: Outage| Item::Outage(OutageItem { target: target.clone(), outage });
    let subject = Subject::Target(target.clone());
    let cursor = cursor.cloned().unwrap_or(Cursor {
        subject,
        notified_through: Revision(0),
        recorded_through,
        next_attempt_at: None,
    });
    let mut puts: Vec<Put> = opened.into_iter().map(|outage| Put::new(item(outage))).collect();
    puts.extend(ended.into_iter().map(|outage| Put::replacing(item(outage))));
    // Last: the cursor must not say that an outage is recorded before it is.
    puts.push(Put::replacing(Item::Cursor(Cursor { recorded_through: through, ..cursor })));
    for batch in puts.chunks(store.max_batch().max(1)) {
        if records::put_until_answered(store, clock, batch).await? == PutOutcome::Done {
            continue;
        }
        // One of the outages is already recorded, so nothing of the batch was put. Those that open come first in it.
        let (openings, others) = batch.split_at(batch.partition_point(|put| put.must_not_exist));
        for opening in openings {
            let _ = records::put_until_answered(store, clock, std::slice::from_ref(opening)).await?;
        }
        if !others.is_empty() {
            let _ = records::put_until_answered(store, clock, others).await?;
        }
    }
    Ok(through)
}
