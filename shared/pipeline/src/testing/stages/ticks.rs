//! Ticks: gaps in which nobody watched, and what is looked at once without being on the list.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use monitor_domain::notifications::{Notification, NotificationItem};
use monitor_domain::policy::Policy;
use monitor_domain::runner::Status;
use monitor_domain::target::{Target, TargetSpec};

use monitor_domain::watchlist::DROPS_PER_TICK;

use super::{INTERVAL, Installation, MINUTE, repository, runner, web};
use crate::items::{Item, Key, Put, Query};
use crate::messages::{CheckJob, Reason};
use crate::ports::{PutOutcome, Store, StoreError};
use crate::stages::{Disposition, Ending, QuotaEstimators};
use crate::testing::doubles::{PutFault, SlowStore};

fn gaps(notified: &[Notification]) -> usize {
    notified
        .iter()
        .flat_map(|notification| &notification.items)
        .filter(|item| matches!(item, NotificationItem::Unwatched { .. }))
        .count()
}

pub(super) async fn a_stalled_tick_makes_no_gap<S: Store>(store: &S) {
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
    assert_eq!(gaps(&this.notify_all().await), 0, "its sign of life is of when it gave it");
}

pub(super) async fn a_gap_is_notified_once_by_an_interrupted_tick<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.tick().await;
    this.clock.advance(4 * INTERVAL);
    this.store.plan([PutFault::None]);
    this.store.go_down(true);
    this.tick().await;
    this.store.go_down(false);
    this.clock.advance(MINUTE);
    this.tick().await;
    assert_eq!(gaps(&this.notify_all().await), 1);
}

pub(super) async fn a_target_missing_from_its_account_is_checked_once_more_at_most<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    this.check.configured = vec![TargetSpec::RepositoriesOf("acme".to_owned())];
    this.source.set_repositories("acme", vec![web()]);
    this.tick().await;
    let archived = repository("archived");
    this.source.set(&archived, vec![runner(1, Status::Idle)]);
    assert_eq!(this.check_for(&archived, Reason::Manual).await.ending, Ending::NotConfigured);
    assert!(matches!(this.check_for(&archived, Reason::Once).await.ending, Ending::Seen(_)));
}

/// A store whose first sign of life is under way while others tick, is done over theirs, and is never answered. The next is lost.
struct HeartbeatStalled<'a, S> {
    store: &'a S,
    others: Installation<'a, S>,
    puts: AtomicU32,
}

impl<S: Store> Store for HeartbeatStalled<'_, S> {
    fn max_batch(&self) -> usize {
        self.store.max_batch()
    }

    async fn put(&self, puts: Vec<Put>) -> Result<PutOutcome, StoreError> {
        match self.puts.fetch_add(1, Ordering::SeqCst) {
            0 => {}
            1 => return Err(StoreError::Unavailable("no answer in time".to_owned())),
            _ => return self.store.put(puts).await,
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

pub(super) async fn a_tick_that_stalls_in_its_heartbeat_makes_no_gap<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.tick().await;
    this.clock.advance(INTERVAL);
    let others = Installation { clock: this.clock.clone(), ..Installation::new(store) };
    let stalled = HeartbeatStalled { store, others, puts: AtomicU32::new(0) };
    Installation { clock: this.clock.clone(), ..Installation::new(&stalled) }.tick().await;
    this.clock.advance(MINUTE);
    this.tick().await;
    assert_eq!(gaps(&this.notify_all().await), 0);
}

/// However many are taken off the list, a tick looks after a hundred of them; and the one that cannot be read keeps neither the
/// tick nor the others.
pub(super) async fn a_large_drop_holds_no_tick_up<S: Store>(store: &S) {
    let slow = SlowStore::over(store, Duration::ZERO);
    let mut this = Installation::new(&slow);
    let account: Vec<_> = (0..DROPS_PER_TICK + 30).map(|number| repository(&format!("app-{number:03}"))).collect();
    this.check.configured.push(TargetSpec::RepositoriesOf("acme".to_owned()));
    this.source.set_repositories("acme", account.clone());
    this.tick().await;
    this.check.configured.pop();
    slow.lose(account[0].id().clone());
    for left_at_most in [DROPS_PER_TICK + 30, 31, 1, 1] {
        this.clock.advance(INTERVAL);
        this.jobs.take();
        this.store.take_requests();
        let report = this.tick().await;
        assert!(report.dropped.len() <= left_at_most, "{} are left", report.dropped.len());
        assert_eq!(report.targets, [web()], "what is still on the list is looked at all the same");
        let reads = this.store.take_requests().reads;
        // One more: the list of those taken off is pending all the while.
        assert!(reads <= 2 + DROPS_PER_TICK as u32, "{reads} reads");
        let jobs = this.jobs.take();
        let jobs = jobs.iter().filter_map(|message| CheckJob::from_json(&message.body).ok());
        let drops: Vec<CheckJob> = jobs.filter(|job| job.reason == Reason::Dropped).collect();
        assert_eq!(drops.len(), report.dropped.len().min(DROPS_PER_TICK), "as many as have their turn, at once");
        for job in drops {
            this.check_for(&job.target, Reason::Dropped).await;
        }
    }
    assert_eq!(this.tick().await.dropped, account[..1]);
}

/// Six targets at a job in half a minute: too many for any to be looked at twice in an interval.
pub(super) async fn a_tick_whose_jobs_were_not_sent_is_repeated_and_one_whose_jobs_were_is_not<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    this.jobs_per_minute = Some(2);
    let mut list: Vec<Target> = (1..=6).map(|number| repository(&format!("app-{number}"))).collect();
    let configured = |list: &[Target]| list.iter().cloned().map(TargetSpec::One).collect();
    this.check.configured = configured(&list);
    for new in [Some("app-7"), None, None] {
        this.jobs.refuse_once();
        let refused = this.tick().await;
        assert!(matches!(refused.disposition, Disposition::Retry { .. }), "{:?}", refused.disposition);
        // Lambda tries again, in another process.
        this.quota_estimators = QuotaEstimators::default();
        this.clock.advance(MINUTE / 2);
        assert_eq!(this.tick().await.targets, list, "none was sent, those that are new as little as the others");
        assert_eq!(this.jobs.take().len(), list.len());
        this.clock.advance(MINUTE / 2);
        assert_eq!((this.tick().await.targets, this.jobs.take().len()), (vec![], 0), "once is enough");
        this.clock.advance(INTERVAL - MINUTE);
        list.extend(new.map(repository));
        this.check.configured = configured(&list);
    }
    // Nor does the note outlast its tick.
    assert_eq!(this.tick().await.targets, list);
}

pub(super) async fn a_repository_missing_from_one_list_stays_monitored_and_one_missing_from_two_is_dropped<S: Store>(
    store: &S,
) {
    let mut this = Installation::hasty(store);
    this.check.configured = vec![TargetSpec::RepositoriesOf("acme".to_owned())];
    this.source.set(&web(), vec![runner(1, Status::Offline)]);
    let (all, without) = (vec![repository("api"), web()], vec![repository("api")]);
    this.source.set_repositories("acme", all.clone());
    this.tick().await;
    this.check(&web()).await;
    this.notify_all().await;
    for found in [&without, &all, &without] {
        this.source.set_repositories("acme", found.clone());
        this.clock.advance(INTERVAL);
        let report = this.tick().await;
        assert_eq!((report.targets, report.dropped), (all.clone(), vec![]));
        assert!(this.notify_all().await.is_empty(), "it is neither dropped nor added");
    }
    this.clock.advance(INTERVAL);
    let report = this.tick().await;
    assert_eq!((report.targets, report.dropped), (without, vec![web()]));
}

pub(super) async fn a_gap_is_three_intervals_and_no_less_than_the_policy_says<S: Store>(make: &impl AsyncFn() -> S) {
    const HOUR: Duration = Duration::from_secs(3_600);
    // Neither is the default of the other: the longer one holds.
    for (interval, unreachable_after, gap) in [(HOUR, "20m", 3 * HOUR), (INTERVAL, "2h", 2 * HOUR)] {
        for (away, is_gap) in [(gap - MINUTE / 60, false), (gap, true)] {
            let store = make().await;
            let mut this = Installation::new(&store);
            let document =
                serde_json::from_str(&format!(r#"{{"unreachableAfter":"{unreachable_after}"}}"#)).unwrap_or_default();
            this.check.policy = Policy::new(document, &this.check.configured).unwrap_or_default();
            this.check.interval = interval;
            this.tick().await;
            this.clock.advance(away);
            this.tick().await;
            let notified = this.notify_all().await;
            let mut items = notified.iter().flat_map(|notification| &notification.items);
            assert_eq!(
                items.any(|item| matches!(item, NotificationItem::Unwatched { .. })),
                is_gap,
                "{interval:?} {away:?}: {notified:?}"
            );
        }
    }
}
