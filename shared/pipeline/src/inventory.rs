//! Everything in a store, subject by subject.
//!
//! Markers and access tokens are left out: the one kind is needed for a day at most, the other is requested again.

use std::collections::BTreeSet;

use monitor_domain::subject::{CredentialId, Revision, Subject};
use monitor_domain::target::{Target, TargetKind};

use crate::items::Item;
use crate::keys::{Key, Query};
use crate::ports::{Store, StoreError};

/// Every subject that may have items: the monitor, all targets, and the credentials that can serve them.
pub async fn subjects(store: &impl Store) -> Result<Vec<Subject>, StoreError> {
    let mut targets: BTreeSet<Target> = BTreeSet::new();
    for item in store.list(&Query::Targets).await? {
        if let Item::Target(record) = item {
            targets.insert(record.target);
        }
    }
    for item in store.get(&[Key::Watchlist]).await? {
        if let Item::Watchlist(list) = item {
            targets.extend(list.targets.into_iter().chain(list.pools).chain(list.dropping));
        }
    }
    let accounts = targets.iter().filter(|target| target.kind() != TargetKind::Pools);
    let accounts = accounts.map(|target| CredentialId::app_installation(target.owner()));
    let credentials: BTreeSet<CredentialId> = accounts.chain([CredentialId::token()]).collect();
    let credentials = credentials.into_iter().map(Subject::Credential);
    let targets = targets.iter().map(|target| Subject::Target(target.id().clone()));
    Ok([Subject::Monitor].into_iter().chain(credentials).chain(targets).collect())
}

/// Every item of a subject, in order of the keys.
pub async fn items_of(store: &impl Store, subject: &Subject) -> Result<Vec<Item>, StoreError> {
    let mut items = Vec::new();
    match subject {
        Subject::Target(target) => {
            items.extend(store.list(&Query::Fleet(target.clone())).await?);
            items.extend(store.list(&Query::Jobs { target: target.clone() }).await?);
            let outages = store.list(&Query::Outages { target: target.clone(), runner: None }).await?;
            let acknowledgements = outages.iter().filter_map(|item| match item {
                Item::Outage(item) => Some(Key::Acknowledgement(target.clone(), item.outage.runner_id, item.outage.id)),
                _ => None,
            });
            let acknowledgements: Vec<Key> = acknowledgements.collect();
            items.extend(outages);
            items.extend(store.get(&acknowledgements).await?);
        }
        Subject::Credential(id) => {
            let keys = [Key::Credential(id.clone()), Key::LastSeen(subject.clone(), 0), Key::Cursor(subject.clone())];
            items.extend(store.get(&keys).await?);
        }
        Subject::Monitor => {
            let keys: Vec<Key> =
                [Key::Watchlist, Key::Cursor(subject.clone())].into_iter().chain(Key::heartbeats()).collect();
            items.extend(store.get(&keys).await?);
            items.extend(store.list(&Query::Mutes).await?);
        }
    }
    let (subject, limit) = (subject.clone(), usize::MAX);
    let changes = Query::Changes { subject: subject.clone(), after: Revision(0), limit };
    items.extend(store.list(&changes).await?);
    items.extend(store.list(&Query::Notifications { subject, limit }).await?);
    items.sort_unstable_by_key(Item::key);
    Ok(items)
}
