//! Ticks: gaps in which nobody watched, and what is looked at once without being on the list.

use std::sync::atomic::{AtomicBool, Ordering};

use monitor_domain::notices::{News, Notice};
use monitor_domain::runner::Status;
use monitor_domain::target::TargetSpec;

use super::{INTERVAL, Installation, MINUTE, repository, runner, web};
use crate::items::{Item, Key, Put, Query};
use crate::messages::Reason;
use crate::ports::{PutOutcome, Store, StoreError};
use crate::stages::Ending;
use crate::testing::doubles::PutFault;

fn gaps(told: &[Notice]) -> usize {
    told.iter().flat_map(|notice| &notice.news).filter(|news| matches!(news, News::Unwatched { .. })).count()
}

pub(super) async fn a_tick_that_was_held_up_makes_no_gap<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    this.check.configured = vec![TargetSpec::RepositoriesOf("acme".to_owned())];
    this.source.set_repositories("acme", vec![web()]);
    this.tick().await;
    this.clock.advance(INTERVAL);
    let clock = this.clock.clone();
    this.source.meanwhile(async move { clock.advance(2 * INTERVAL) });
    this.tick().await;
    this.clock.advance(INTERVAL);
    this.tick().await;
    assert_eq!(gaps(&this.tell().await), 0, "its sign of life is of when it gave it");
}

pub(super) async fn a_gap_is_told_once_by_a_tick_that_broke_off<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.tick().await;
    this.clock.advance(4 * INTERVAL);
    this.store.plan([PutFault::None]);
    this.store.go_down(true);
    this.tick().await;
    this.store.go_down(false);
    this.clock.advance(MINUTE);
    this.tick().await;
    assert_eq!(gaps(&this.tell().await), 1);
}

pub(super) async fn what_the_list_does_not_find_is_looked_at_once_at_most<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    this.check.configured = vec![TargetSpec::RepositoriesOf("acme".to_owned())];
    this.source.set_repositories("acme", vec![web()]);
    this.tick().await;
    let archived = repository("archived");
    this.source.set(&archived, vec![runner(1, Status::Idle)]);
    assert_eq!(this.check_for(&archived, Reason::Manual).await.ending, Ending::NotConfigured);
    assert!(matches!(this.check_for(&archived, Reason::Once).await.ending, Ending::Seen(_)));
}

/// A store whose first sign of life is under way while others tick, is done over theirs, and is never answered.
struct SignHeldUp<'a, S> {
    store: &'a S,
    others: Installation<'a, S>,
    is_over: AtomicBool,
}

impl<S: Store> Store for SignHeldUp<'_, S> {
    fn max_batch(&self) -> usize {
        self.store.max_batch()
    }

    async fn put(&self, puts: Vec<Put>) -> Result<PutOutcome, StoreError> {
        if self.is_over.swap(true, Ordering::SeqCst) {
            return self.store.put(puts).await;
        }
        for _ in 0..4 {
            self.others.clock.advance(INTERVAL);
            self.others.tick().await;
        }
        let _ = self.store.put(puts).await?;
        Err(StoreError::Unavailable("no answer in time".to_owned()))
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        self.store.get(keys).await
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        self.store.list(query).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        self.store.delete(keys).await
    }
}

pub(super) async fn a_tick_that_is_held_up_in_its_sign_of_life_makes_no_gap<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.tick().await;
    this.clock.advance(INTERVAL);
    let others = Installation { clock: this.clock.clone(), ..Installation::new(store) };
    let held_up = SignHeldUp { store, others, is_over: AtomicBool::new(false) };
    Installation { clock: this.clock.clone(), ..Installation::new(&held_up) }.tick().await;
    this.clock.advance(MINUTE);
    this.tick().await;
    assert_eq!(gaps(&this.tell().await), 0);
}
