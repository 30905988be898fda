//! Pending notifications: every check and tick reports the age of the oldest one until it is sent.

use super::*;
use crate::ports::StoreError;

pub(super) async fn a_notification_is_pending_from_its_commit_until_it_is_sent<S: Store>(store: &S) {
    let this = Installation::watching(store, 2).await;
    assert_eq!(this.check(&web()).await.pending_since, None);
    this.outage().await;
    let opened_at = this.clock.now();
    this.chat.refuse((0..2).map(|_| ChatError::Dead("404 no_service: make a new webhook".to_owned())));
    this.notify(&subject()).await;
    this.clock.advance(20 * MINUTE);
    assert_eq!(this.check(&web()).await.pending_since, Some(opened_at));
    // Later commits do not change its age.
    this.source.set_status(&web(), 2, Status::Offline);
    for _ in 0..3 {
        this.clock.advance(MINUTE);
        assert_eq!(this.check(&web()).await.pending_since, Some(opened_at));
    }
    this.notify(&subject()).await;
    this.clock.advance(20 * MINUTE);
    assert_eq!(this.check(&web()).await.pending_since, Some(opened_at));
    assert_eq!(this.notify(&subject()).await.delivered.len(), 1);
    assert_eq!(this.check(&web()).await.pending_since, None);
}

pub(super) async fn notifications_of_a_credential_or_the_monitor_are_pending_too<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    let refused = Failure::new(Fault::Credential, "GitHub refuses the token (401)");
    this.tick().await;
    let listed_at = this.clock.now();
    this.source.fail(&web(), refused);
    this.check(&web()).await;
    this.clock.advance(16 * MINUTE);
    this.check(&web()).await;
    let unreachable_at = this.clock.now();
    this.clock.advance(MINUTE);
    assert_eq!(this.check(&web()).await.pending_since, Some(unreachable_at));
    assert_eq!(this.tick().await.pending_since, Some(listed_at));
    this.notify_all().await;
    assert_eq!((this.check(&web()).await.pending_since, this.tick().await.pending_since), (None, None));
}

pub(super) async fn a_target_off_the_list_is_pending_until_its_end_is_sent<S: Store>(store: &S) {
    let mut this = Installation::watching(store, 1).await;
    this.check.configured.push(TargetSpec::One(repository("other")));
    this.tick().await;
    this.outage().await;
    this.notify_all().await;
    this.check.configured.remove(0);
    this.tick().await;
    this.check_for(&web(), Reason::Dropped).await;
    let dropped_at = this.clock.now();
    this.notify(&Subject::Monitor).await;
    this.clock.advance(INTERVAL);
    assert_eq!(this.tick().await.pending_since, Some(dropped_at));
    this.notify_all().await;
    assert_eq!(this.tick().await.pending_since, None);
}

pub(super) async fn a_notification_is_overdue_if_the_store_cannot_be_read<S: Store>(store: &S) {
    struct Silent<'a, S>(&'a S);
    impl<S: Store> Store for Silent<'_, S> {
        async fn put(&self, puts: &[Put]) -> Result<PutOutcome, StoreError> {
            self.0.put(puts).await
        }
        async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
            self.0.get(keys).await
        }
        async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
            match query {
                Query::Changes { .. } => Err(StoreError::Unavailable("no answer".to_owned())),
                _ => self.0.list(query).await,
            }
        }
        async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
            self.0.delete(keys).await
        }
        fn max_batch(&self) -> usize {
            self.0.max_batch()
        }
    }
    let silent = Silent(store);
    let this = Installation::watching(&silent, 1).await;
    this.outage().await;
    let since = this.check(&web()).await.pending_since.unwrap_or(this.clock.now());
    assert!(this.clock.now().since(since) > 1_000 * INTERVAL, "{since}");
}
