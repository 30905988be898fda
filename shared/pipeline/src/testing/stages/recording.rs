//! Outages are recorded by the notifier: each once and with its end, with or without a notification, whatever is lost
//! or late.

use std::sync::atomic::{AtomicBool, Ordering};

use monitor_domain::outage::{Ending as OutageEnding, Outage, Visibility};
use monitor_domain::recording::OutageRecords;
use monitor_domain::scope::Scope;
use tokio::sync::Notify as Signal;

use super::*;
use crate::commands::Command;
use crate::items::Cursor;
use crate::messages::ChangeSummary;
use crate::ports::StoreError;
use crate::records;
use crate::stages::Respond;
use crate::testing::samples::asker;

const HOUR: Duration = Duration::from_secs(3_600);

/// An installation whose policy opens an outage at the first unhealthy check and ends it at the first healthy one.
async fn installation<S: Store>(store: &S, runners: u64) -> Installation<'_, S> {
    let mut this = Installation::new(store);
    let document = serde_json::from_str(r#"{"failureThreshold":1,"successThreshold":1}"#).unwrap_or_default();
    this.check.policy = Policy::new(document, &this.check.configured).unwrap_or_default();
    this.source.set(&web(), (1..=runners).map(|id| runner(id, Status::Idle)).collect());
    this.tick().await;
    this.check(&web()).await;
    this.notify_all().await;
    this
}

async fn see<S: Store>(this: &Installation<'_, S>, id: u64, status: Status) {
    this.source.set_status(&web(), id, status);
    this.clock.advance(MINUTE);
    this.check(&web()).await;
}

async fn mute<S: Store>(this: &Installation<'_, S>, name: &str) {
    let scope = Scope::Named(name.to_owned());
    let command = Command::Mute { scope, lasting_secs: HOUR.as_secs(), reason: None };
    let respond = Respond { store: &this.store, jobs: &this.jobs, clock: &this.clock };
    respond.run(&command, &asker()).await.unwrap_or_else(|error| panic!("{error}"));
}

/// The stored outages.
async fn recorded(store: &impl Store) -> Vec<Outage> {
    let query = Query::Outages { target: web().id().clone(), runner: None };
    let items = store.list(&query).await.unwrap_or_else(|error| panic!("{error}"));
    items.into_iter().filter_map(|item| if let Item::Outage(item) = item { Some(item.outage) } else { None }).collect()
}

/// The committed outages, as they are to be recorded.
async fn committed<S: Store>(this: &Installation<'_, S>) -> Vec<Outage> {
    OutageRecords::of(Revision(0), &this.changes(&subject()).await).over(Vec::new())
}

pub(super) async fn an_outage_is_recorded_as_it_opens_and_whole_when_it_has_ended<S: Store>(store: &S) {
    let this = installation(store, 2).await;
    see(&this, 1, Status::Offline).await;
    let opened = committed(&this).await;
    assert_eq!((recorded(store).await, opened.len()), (vec![], 1), "the check records no outage");
    let read = records::read_outages(store, web().id()).await.unwrap_or_default();
    assert_eq!(read, opened, "a reader of outages sees it at once");

    let messages = this.changes.take();
    let message = StateChange::from_json(&messages[0].body).unwrap_or_else(|error| panic!("{error}"));
    let summary = ChangeSummary {
        runner: Some("runner-1".to_owned()),
        change: "outageOpened".to_owned(),
        since: Some(opened[0].started_at),
        until: None,
    };
    assert_eq!((message.subject, message.revision), (subject(), Some(Revision(2))));
    assert_eq!(message.changes[0], summary);

    this.notify(&subject()).await;
    assert_eq!(recorded(store).await, opened);
    // While it lasts, reminders are sent and other runners go offline: it is not written again.
    this.store.take_written();
    this.clock.advance(25 * HOUR);
    see(&this, 2, Status::Offline).await;
    this.notify(&subject()).await;
    let of_first = |key: &Key| matches!(key, Key::Outage(_, RunnerId(1), _));
    assert!(!this.store.take_written().iter().any(of_first), "an open outage is put once");
    see(&this, 1, Status::Idle).await;
    let read = records::read_outages(store, web().id()).await.unwrap_or_default();
    assert_eq!(read.iter().filter(|outage| outage.is_open()).count(), 1, "a reader of outages sees its end at once");
    this.notify(&subject()).await;
    let ended = recorded(store).await;
    assert_eq!(ended, committed(&this).await);
    assert_eq!((ended[0].id, ended[0].ending), (opened[0].id, Some(OutageEnding::Recovered)));
}

/// A store in which the first put of an outage waits until it is released.
struct Held<'a, S> {
    store: &'a S,
    is_held: AtomicBool,
    reached: Signal,
    released: Signal,
}

impl<S: Store> Store for Held<'_, S> {
    fn max_batch(&self) -> usize {
        self.store.max_batch()
    }

    async fn put(&self, puts: &[Put]) -> Result<PutOutcome, StoreError> {
        let has_outage = puts.iter().any(|put| matches!(put.item, Item::Outage(_)));
        if has_outage && self.is_held.swap(false, Ordering::Relaxed) {
            self.reached.notify_one();
            self.released.notified().await;
        }
        self.store.put(puts).await
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

pub(super) async fn a_late_opening_does_not_reopen_an_outage<S: Store>(store: &S) {
    let this = installation(store, 1).await;
    see(&this, 1, Status::Offline).await;
    let (is_held, reached, released) = (AtomicBool::new(true), Signal::new(), Signal::new());
    let held = Held { store, is_held, reached, released };
    let (policy, settings) = (&this.check.policy, NotifySettings::default());
    let stalled = Notify { store: &held, chat: &this.chat, clock: &this.clock, policy, settings };
    let subject = subject();
    let meanwhile = async {
        held.reached.notified().await;
        this.notify(&subject).await;
        see(&this, 1, Status::Idle).await;
        this.notify(&subject).await;
        held.released.notify_one();
    };
    let (report, ()) = tokio::join!(stalled.run(&subject, 1), meanwhile);
    assert_eq!(report.delivered.len(), 0, "another notifier has sent it");
    assert_eq!(this.chat.take().len(), 2);
    let outages = recorded(store).await;
    assert_eq!(outages, committed(&this).await);
    assert!(matches!(&outages[..], [outage] if !outage.is_open()), "{outages:?}");
    // Its cursor lags behind; the next check makes up for that.
    this.changes.take();
    this.clock.advance(MINUTE);
    this.check(&web()).await;
    this.notify_all().await;
    this.clock.advance(MINUTE);
    this.check(&web()).await;
    assert_eq!((this.changes.take().len(), recorded(store).await), (0, outages));
}

pub(super) async fn outages_without_a_notification_are_recorded<S: Store>(store: &S) {
    let mut this = installation(store, 3).await;
    let expect = async |this: &Installation<'_, S>, id: u64, visibility: Visibility, what: &str| {
        let messages = this.changes.take();
        assert_eq!(messages.len(), 1, "{what}: the notifier has something to do");
        let before = this.chat.take().len();
        this.notify(&subject()).await;
        assert_eq!((before, this.chat.take().len()), (0, 0), "{what}: nobody is notified");
        let stored = recorded(store).await;
        assert_eq!(stored, committed(this).await, "{what}");
        let last = stored.iter().filter(|outage| outage.runner_id.0 == id).max_by_key(|outage| outage.id);
        assert_eq!(last.map(|outage| outage.visibility), Some(visibility), "{what}");
    };
    // Muted, and over before the mute ends.
    mute(&this, "runner-1").await;
    for status in [Status::Offline, Status::Idle] {
        see(&this, 1, status).await;
        expect(&this, 1, Visibility::Muted, "muted").await;
    }
    // Flapping: after the third outage, single outages are not notified.
    for _ in 0..3 {
        see(&this, 2, Status::Offline).await;
        see(&this, 2, Status::Idle).await;
    }
    this.notify_all().await;
    for status in [Status::Offline, Status::Idle] {
        see(&this, 2, status).await;
        expect(&this, 2, Visibility::Suppressed, "flapping").await;
    }
    // Muted, and the policy no longer watches the runner.
    mute(&this, "runner-3").await;
    see(&this, 3, Status::Offline).await;
    expect(&this, 3, Visibility::Muted, "muted").await;
    let document = serde_json::from_str(r#"{"failureThreshold":1,"successThreshold":1,"ignore":["runner-3"]}"#)
        .unwrap_or_default();
    this.check.policy = Policy::new(document, &this.check.configured).unwrap_or_default();
    this.clock.advance(MINUTE);
    this.check(&web()).await;
    expect(&this, 3, Visibility::Muted, "ignored").await;
}

pub(super) async fn the_outages_of_a_dropped_target_are_recorded_before_it_is_forgotten<S: Store>(store: &S) {
    let mut this = installation(store, 2).await;
    mute(&this, "runner-1").await;
    see(&this, 1, Status::Offline).await;
    this.notify_all().await;
    this.check.configured = vec![TargetSpec::One(repository("api"))];
    this.tick().await;
    this.notify_all().await;
    this.check_for(&web(), Reason::Dropped).await;
    // Its message is lost. The target stays on the list of drops until its outages are recorded.
    assert_eq!(this.changes.take().len(), 1);
    assert_ne!(recorded(store).await, committed(&this).await);
    this.clock.advance(INTERVAL);
    assert_eq!(this.tick().await.dropped, [web()]);
    this.check_for(&web(), Reason::Dropped).await;
    assert_eq!(this.notify_all().await, [], "its outage was never notified");
    assert_eq!(recorded(store).await, committed(&this).await);
    assert!(recorded(store).await.iter().all(|outage| outage.ending == Some(OutageEnding::NoLongerMonitored)));
    this.clock.advance(INTERVAL);
    assert_eq!(this.tick().await.dropped, []);
}

pub(super) async fn an_outage_that_exists_when_monitoring_starts_is_recorded<S: Store>(store: &S) {
    let this = Installation::hasty(store);
    this.source.set(&web(), vec![runner(1, Status::Offline), runner(2, Status::Idle)]);
    this.check(&web()).await;
    this.notify_all().await;
    let outages = recorded(store).await;
    assert!(matches!(&outages[..], [outage] if outage.visibility == Visibility::Baseline), "{outages:?}");
    assert_eq!(outages, committed(&this).await);
}

pub(super) async fn recording_again_changes_nothing<S: Store>(store: &S) {
    let runners = u64::try_from(store.max_batch()).unwrap_or(50) + 7;
    let this = installation(store, runners).await;
    let set_all = |status| this.source.set(&web(), (1..=runners).map(|id| runner(id, status)).collect());
    // More outages than a batch holds, some of them recorded before a notifier crashed.
    set_all(Status::Offline);
    this.clock.advance(MINUTE);
    this.check(&web()).await;
    this.store.plan([PutFault::None]);
    this.store.go_down(true);
    assert!(record_outages(&this.store, &this.clock, &subject()).await.is_err());
    this.store.go_down(false);
    let part = recorded(store).await.len();
    assert!(part > 0 && part < usize::try_from(runners).unwrap_or(0), "{part}");
    this.notify(&subject()).await;
    assert_eq!(recorded(store).await, committed(&this).await);
    // Half of them end, and then everything is recorded again several times.
    for id in (1..=runners).step_by(2) {
        this.source.set_status(&web(), id, Status::Idle);
    }
    this.clock.advance(MINUTE);
    this.check(&web()).await;
    this.notify(&subject()).await;
    let outages = recorded(store).await;
    assert_eq!(outages, committed(&this).await);
    for through in [0, 1, 2, 0] {
        let cursor = Cursor {
            subject: subject(),
            notified_through: Revision(0),
            recorded_through: Revision(through),
            next_attempt_at: None,
        };
        let _ = store.put(&[Put::replacing(Item::Cursor(cursor))]).await;
        record_outages(&this.store, &this.clock, &subject()).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(recorded(store).await, outages);
        this.store.take_requests();
        record_outages(&this.store, &this.clock, &subject()).await.unwrap_or_else(|error| panic!("{error}"));
        let nothing = Requests { reads: 1, puts: 0, deletes: 0 };
        assert_eq!(this.store.take_requests(), nothing, "recorded changes are not read again");
    }
}

pub(super) async fn the_next_check_makes_up_for_a_lost_state_change_message<S: Store>(store: &S) {
    let this = installation(store, 1).await;
    mute(&this, "runner-1").await;
    for status in [Status::Offline, Status::Idle] {
        see(&this, 1, status).await;
        assert_eq!(this.changes.take().len(), 1);
        let opened_at = this.clock.now();
        this.clock.advance(MINUTE);
        let report = this.check(&web()).await;
        assert_eq!((report.events, report.pending_since), (vec![], Some(opened_at)));
        assert_eq!(this.notify_all().await, []);
        assert_eq!(recorded(store).await, committed(&this).await);
        this.store.take_requests();
        this.clock.advance(MINUTE);
        assert_eq!(this.check(&web()).await.pending_since, None);
        // While a muted outage is open, the mutes are read too.
        let reads = if status == Status::Offline { 3 } else { 2 };
        let steady = Requests { reads, puts: 0, deletes: 0 };
        assert_eq!((this.changes.take().len(), this.store.take_requests()), (0, steady));
    }
}

pub(super) async fn a_day_without_notifier_or_chat_leaves_no_gap_in_the_outages<S: Store>(store: &S) {
    let this = installation(store, 2).await;
    for hour in 0..24 {
        this.clock.advance(HOUR - MINUTE);
        see(&this, 1 + hour / 2 % 2, if hour % 2 == 0 { Status::Offline } else { Status::Idle }).await;
        assert_eq!(recorded(store).await, [], "no notifier runs");
        let read = records::read_outages(store, web().id()).await.unwrap_or_default();
        assert_eq!(read, committed(&this).await);
    }
    this.chat.refuse((0..400).map(|_| ChatError::Dead("the channel is archived".to_owned())));
    this.notify(&subject()).await;
    assert_eq!((recorded(store).await.len(), recorded(store).await), (12, committed(&this).await));
    // The chat is dead and the next attempt is far away: outages are recorded all the same.
    for _ in 0..3 {
        this.notify(&subject()).await;
        see(&this, 1, Status::Offline).await;
        this.notify_all().await;
        assert_eq!(recorded(store).await, committed(&this).await);
        see(&this, 1, Status::Idle).await;
        this.notify_all().await;
        assert_eq!(recorded(store).await, committed(&this).await);
    }
}

pub(super) async fn an_outage_that_cannot_be_recorded_does_not_prevent_its_notification<S: Store>(store: &S) {
    let this = installation(store, 1).await;
    see(&this, 1, Status::Offline).await;
    // Every put of the outage is lost, before the notification (a claim and its ending) and after it.
    let (lost, stored) = ([PutFault::RequestLost; 4], [PutFault::None; 2]);
    this.store.plan(lost.into_iter().chain(stored).chain(lost));
    let report = this.notify(&subject()).await;
    assert_eq!(report.delivered.len(), 1);
    assert!(matches!(report.disposition, Disposition::Retry { .. }), "{:?}", report.disposition);
    assert_eq!(recorded(store).await, []);
    this.changes.take();
    this.clock.advance(MINUTE);
    this.check(&web()).await;
    assert_eq!(this.changes.take().len(), 1, "it is still to be recorded");
    let report = this.notify(&subject()).await;
    assert_eq!((report.delivered.len(), report.disposition), (0, Disposition::Done));
    assert_eq!(recorded(store).await, committed(&this).await);
}
