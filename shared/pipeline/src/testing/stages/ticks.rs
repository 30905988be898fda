//! Ticks: gaps in which the monitor did not run, drops, and checks of targets that are not on the list.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use monitor_domain::notifications::{Notification, NotificationItem};
use monitor_domain::policy::Policy;
use monitor_domain::runner::Status;
use monitor_domain::target::{Target, TargetSpec};

use monitor_domain::watchlist::DROPS_PER_TICK;

use super::{INTERVAL, Installation, MINUTE, repository, runner, web};
use crate::items::Item;
use crate::keys::{Key, Put, Query};
use crate::messages::{CheckJob, Reason};
use crate::ports::{PutOutcome, Store, StoreError};
use crate::stages::{CheckEnding, Disposition, QuotaEstimators};
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
    assert_eq!(gaps(&this.notify_all().await), 0, "the heartbeat has the time at which it was written");
}

pub(super) async fn a_tick_that_stalls_before_its_commit_makes_no_gap<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    this.check.configured = vec![TargetSpec::RepositoriesOf("acme".to_owned())];
    this.source.set_repositories("acme", vec![web()]);
    this.tick().await;
    this.clock.advance(INTERVAL);
    this.source.set_repositories("acme", vec![web(), repository("api")]);
    let clock = this.clock.clone();
    this.source.meanwhile(async move { clock.advance(4 * INTERVAL) });
    this.store.plan([
        PutFault::None,
        PutFault::RequestLost,
        PutFault::RequestLost,
        PutFault::RequestLost,
        PutFault::RequestLost,
    ]);
    this.tick().await;
    this.clock.advance(MINUTE);
    this.tick().await;
    assert_eq!(gaps(&this.notify_all().await), 0, "the commit has a heartbeat of the time at which it was written");
}

pub(super) async fn heartbeats_of_a_clock_that_was_ahead_hide_no_gap<S: Store>(store: &S) {
    let ahead = Installation::watching(store, 1).await;
    ahead.clock.set_forward(Duration::from_secs(86_400));
    for _ in 0..3 {
        ahead.tick().await;
        ahead.clock.advance(INTERVAL);
    }
    let this = Installation::new(store);
    this.tick().await;
    assert_eq!(gaps(&this.notify_all().await), 0);
    this.clock.advance(4 * INTERVAL);
    this.tick().await;
    assert_eq!(gaps(&this.notify_all().await), 1);
}

/// A store whose first read of the heartbeats stalls while others tick.
struct ReadStalled<'a, S> {
    store: &'a S,
    others: Installation<'a, S>,
    reads: AtomicU32,
}

impl<S: Store> Store for ReadStalled<'_, S> {
    fn max_batch(&self) -> usize {
        self.store.max_batch()
    }

    async fn put(&self, puts: &[Put]) -> Result<PutOutcome, StoreError> {
        self.store.put(puts).await
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        if keys.contains(&Key::Watchlist) && self.reads.fetch_add(1, Ordering::SeqCst) == 0 {
            // One heartbeat from before is left.
            for _ in 0..5 {
                self.others.clock.advance(INTERVAL);
                self.others.tick().await;
            }
        }
        self.store.get(keys).await
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        self.store.list(query).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        self.store.delete(keys).await
    }
}

pub(super) async fn a_tick_that_stalls_before_it_reads_makes_no_gap<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    for _ in 0..6 {
        this.tick().await;
        this.clock.advance(INTERVAL);
    }
    let others = Installation { clock: this.clock.clone(), ..Installation::new(store) };
    let stalled = ReadStalled { store, others, reads: AtomicU32::new(0) };
    let stalls = Installation { clock: this.clock.clone(), ..Installation::new(&stalled) };
    stalls.tick().await;
    this.clock.advance(INTERVAL);
    this.tick().await;
    assert_eq!(gaps(&this.notify_all().await), 0);
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

pub(super) async fn a_target_missing_from_its_account_is_checked_only_with_reason_once<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    this.check.configured = vec![TargetSpec::RepositoriesOf("acme".to_owned())];
    this.source.set_repositories("acme", vec![web()]);
    this.tick().await;
    let archived = repository("archived");
    this.source.set(&archived, vec![runner(1, Status::Idle)]);
    assert_eq!(this.check_for(&archived, Reason::Manual).await.ending, CheckEnding::NotConfigured);
    assert!(matches!(this.check_for(&archived, Reason::Once).await.ending, CheckEnding::Seen(_)));
}

/// A store in which a tick's first put stalls while others tick, is stored after theirs, and is never answered. Of the
/// later puts, those with these numbers are lost.
struct PutStalled<'a, S> {
    store: &'a S,
    others: Installation<'a, S>,
    puts: AtomicU32,
    lost: &'static [u32],
}

impl<S: Store> Store for PutStalled<'_, S> {
    fn max_batch(&self) -> usize {
        self.store.max_batch()
    }

    async fn put(&self, puts: &[Put]) -> Result<PutOutcome, StoreError> {
        match self.puts.fetch_add(1, Ordering::SeqCst) {
            0 => {}
            number if self.lost.contains(&number) => {
                return Err(StoreError::Unavailable("no answer in time".to_owned()));
            }
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
    a_stalled_put_makes_no_gap(store, false, &[1, 3]).await;
}

pub(super) async fn a_tick_that_stalls_in_its_commit_makes_no_gap<S: Store>(make: &impl AsyncFn() -> S) {
    a_stalled_put_makes_no_gap(&make().await, true, &[1, 3]).await;
    // The tick stores nothing after its commit.
    a_stalled_put_makes_no_gap(&make().await, true, &[1, 2, 3, 4, 5, 6, 7, 8, 9]).await;
}

async fn a_stalled_put_makes_no_gap<S: Store>(store: &S, is_changed: bool, lost: &'static [u32]) {
    let this = Installation::watching(store, 1).await;
    this.tick().await;
    this.clock.advance(INTERVAL);
    let others = Installation { clock: this.clock.clone(), ..Installation::new(store) };
    let stalled = PutStalled { store, others, puts: AtomicU32::new(0), lost };
    let mut stalls = Installation { clock: this.clock.clone(), ..Installation::new(&stalled) };
    if is_changed {
        stalls.check.configured.push(TargetSpec::One(repository("api")));
    }
    stalls.tick().await;
    this.clock.advance(MINUTE);
    this.tick().await;
    assert_eq!(gaps(&this.notify_all().await), 0, "the list changes: {is_changed}; lost: {lost:?}");
}

/// However many targets are taken off the list, a tick handles at most `DROPS_PER_TICK` of them. One that cannot be
/// read holds back neither the tick nor the others.
pub(super) async fn a_large_drop_does_not_delay_a_tick<S: Store>(store: &S) {
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
        assert_eq!(report.targets, [web()], "targets still on the list are checked all the same");
        let reads = this.store.take_requests().reads;
        // One more read: the notification about the removed targets is pending all the while.
        assert!(reads <= 2 + DROPS_PER_TICK as u32, "{reads} reads");
        let jobs = this.jobs.take();
        let jobs = jobs.iter().filter_map(|message| CheckJob::from_json(&message.body).ok());
        let drops: Vec<CheckJob> = jobs.filter(|job| job.reason == Reason::Dropped).collect();
        assert_eq!(
            drops.len(),
            report.dropped.len().min(DROPS_PER_TICK),
            "as many drops as a tick allows, all at once"
        );
        for job in drops {
            this.check_for(&job.target, Reason::Dropped).await;
        }
    }
    assert_eq!(this.tick().await.dropped, account[..1]);
}

/// Six targets at two jobs a minute: too many to check any of them twice in an interval.
pub(super) async fn a_tick_is_repeated_only_if_its_jobs_were_not_sent<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    this.jobs_per_minute = Some(2);
    let mut list: Vec<Target> = (1..=6).map(|number| repository(&format!("app-{number}"))).collect();
    let configured = |list: &[Target]| list.iter().cloned().map(TargetSpec::One).collect();
    this.check.configured = configured(&list);
    for new in [Some("app-7"), None, None] {
        this.jobs.refuse_once();
        let refused = this.tick().await;
        assert!(matches!(refused.disposition, Disposition::Retry { .. }), "{:?}", refused.disposition);
        // Lambda retries in another process.
        this.quota_estimators = QuotaEstimators::default();
        this.clock.advance(MINUTE / 2);
        assert_eq!(this.tick().await.targets, list, "no job was sent, neither for new targets nor for the others");
        assert_eq!(this.jobs.take().len(), list.len());
        this.clock.advance(MINUTE / 2);
        assert_eq!(
            (this.tick().await.targets, this.jobs.take().len()),
            (vec![], 0),
            "jobs that were sent are not sent again"
        );
        this.clock.advance(INTERVAL - MINUTE);
        list.extend(new.map(repository));
        this.check.configured = configured(&list);
    }
    // The next interval sends all jobs again.
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

pub(super) async fn a_gap_is_at_least_three_intervals_and_unreachable_after<S: Store>(make: &impl AsyncFn() -> S) {
    const HOUR: Duration = Duration::from_secs(3_600);
    // The longer of the two applies.
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
