//! How many targets of a credential lost all of their runners at about the same time.
//!
//! Each such target takes a place in the present window: a marker of the credential. So checks of different targets
//! neither wait for each other nor write one record.

use std::collections::BTreeSet;

use monitor_domain::decision::Decision;
use monitor_domain::subject::{CredentialId, Subject};
use monitor_domain::target::Target;
use monitor_domain::together::{LOSS_WINDOW, LOSSES_NOTED, are_many};
use tracing::debug;

use super::fnv;
use crate::items::{Item, Marker};
use crate::keys::Key;
use crate::ports::{Clock, Store, StoreError};
use crate::records;

/// The first of the numbers that no other marker of a credential has: those of questions are numbers of hours.
const FIRST_NUMBER: u64 = 1 << 40;

/// Notes that a target lost all of its runners, if the decision says so. If an outage opens then, returns in how many
/// targets that happened, provided that they are many. Whatever fails, the outage is alerted without this.
pub(super) async fn lost_together(
    store: &impl Store,
    clock: &impl Clock,
    (target, credential): (&Target, &CredentialId),
    decision: &Decision,
) -> Option<u32> {
    if !decision.loses_all_runners() && !decision.opens_with_all_runners_offline() {
        return None;
    }
    let counted = Box::pin(count(store, clock, (target, credential), decision)).await;
    counted.unwrap_or_else(|error| {
        debug!(target_id = %target, %error, "the targets without any runner online could not be counted");
        None
    })
}

async fn count(
    store: &impl Store,
    clock: &impl Clock,
    (target, credential): (&Target, &CredentialId),
    decision: &Decision,
) -> Result<Option<u32>, StoreError> {
    let at = decision.observed_at;
    let window = at.epoch_secs().max(0).unsigned_abs() / LOSS_WINDOW.as_secs();
    let places = u64::from(LOSSES_NOTED);
    let numbers = |window: u64| (0..places).map(move |place| FIRST_NUMBER + window * places + place);
    let subject = Subject::Credential(credential.clone());
    let keys: Vec<Key> = numbers(window.saturating_sub(1))
        .chain(numbers(window))
        .map(|number| Key::Marker(subject.clone(), number))
        .collect();
    let mut taken = BTreeSet::new();
    let mut lost = BTreeSet::new();
    for item in store.get(&keys).await? {
        if let Item::Marker(marker) = item {
            taken.insert(marker.number);
            // A marker of this purpose is known by its target, so that no target counts twice.
            lost.insert(marker.nonce);
        }
    }
    let own = fnv(target.id().as_str());
    if decision.loses_all_runners() && !lost.contains(&own) {
        for number in numbers(window).filter(|number| !taken.contains(number)) {
            let marker = Marker { subject: subject.clone(), number, nonce: own, at };
            if records::mark(store, clock, marker).await? {
                lost.insert(own);
                break;
            }
        }
    }
    if !decision.opens_with_all_runners_offline() {
        return Ok(None);
    }
    let lost = u32::try_from(lost.len()).unwrap_or(u32::MAX);
    // The whole list of targets is read for one number: only if that could be enough.
    if !are_many(lost, 0) {
        return Ok(None);
    }
    let list = records::read_monitor(store, clock).await?.watchlist.unwrap_or_default();
    let served = list.targets.iter().filter(|target| credential.serves(target)).count();
    Ok(are_many(lost, u32::try_from(served).unwrap_or(u32::MAX)).then_some(lost))
}
