//! Notifications are sent once, in time, and in the form that the chat accepts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::*;
use crate::items::{Acknowledgement, Delivered, MessagePlace};
use crate::ports::{Chat, EditError, Route, StoreError};

pub(super) async fn a_claim_whose_answer_is_lost_is_recognised<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    this.record().await;
    this.store.plan([PutFault::AnswerLost]);
    assert_eq!(this.notify(&subject()).await.delivered.len(), 1);
    assert_eq!(this.chat.take().len(), 1);
}

pub(super) async fn two_notifiers_at_once_send_one_message<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    let subject = subject();
    tokio::join!(this.notify(&subject), this.notify(&subject), this.notify(&subject));
    assert_eq!(this.chat.take().len(), 1);
    assert_eq!(this.endings(&subject).await.len(), 1);
}

pub(super) async fn a_claim_without_an_ending_is_sent_again_after_its_lease<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    this.record().await;
    // The claim is stored and the message accepted; then no put succeeds, as after a crash.
    this.store.plan([PutFault::None]);
    this.store.go_down(true);
    let report = this.notify(&subject()).await;
    assert!(matches!(report.disposition, Disposition::Retry { .. }));
    assert_eq!(this.chat.take().len(), 1);
    this.store.go_down(false);
    let crashed_at = this.clock.now();
    this.notify(&subject()).await;
    assert_eq!(this.chat.take().len(), 0, "the lease is still valid at {crashed_at}");
    this.clock.advance(NotifySettings::default().lease);
    this.notify(&subject()).await;
    assert_eq!(this.chat.take().len(), 1);
    assert_eq!(this.endings(&subject()).await[0].0, Attempt { notification: 1, attempt: 2 });
    this.clock.advance(NotifySettings::default().lease);
    this.notify(&subject()).await;
    assert_eq!(this.chat.take().len(), 0, "what was sent is not sent again");
}

pub(super) async fn a_failed_send_is_retried_when_it_is_due<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    this.chat.refuse([ChatError::Transient("no answer".to_owned())]);
    let (now, wait) = (this.clock.now(), NotifySettings::default().first_backoff);
    let report = this.notify(&subject()).await;
    assert!(matches!(report.disposition, Disposition::Retry { after, .. } if after == wait), "{report:?}");
    assert_eq!(report.next_attempt_at, Some(now.plus(wait)));
    this.clock.advance(NotifySettings::default().first_backoff / 2);
    this.changes.take();
    this.check(&web()).await;
    assert_eq!(this.changes.take().len(), 0, "no state-change message before the attempt is due");
    assert_eq!(this.notify(&subject()).await.delivered, []);
    this.clock.advance(NotifySettings::default().first_backoff);
    this.check(&web()).await;
    assert_eq!(this.notify_all().await.len(), 1);
}

/// The delay after which the message is retried, in seconds; `None` if it is not.
fn retried_after(report: &NotifyReport) -> Option<u64> {
    match &report.disposition {
        Disposition::Retry { after, .. } => Some(after.as_secs()),
        _ => None,
    }
}

pub(super) async fn the_message_of_a_failed_attempt_is_retried_when_the_next_attempt_is_due<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    this.chat.refuse((0..5).map(|_| ChatError::Transient("500".to_owned())));
    // A message near the receive limit of its queue is not retried; a later message takes over.
    for (receives, seconds) in [(1, Some(30)), (2, Some(60)), (3, Some(120)), (4, None), (1, Some(480))] {
        let report = this.notify_again(&subject(), receives).await;
        assert_eq!((report.delivered.len(), retried_after(&report)), (0, seconds), "receive {receives}");
        let early = this.notify_again(&subject(), 1).await;
        assert_eq!(early.next_attempt_at, report.next_attempt_at, "an early message waits for the same time");
        let wait = report.next_attempt_at.map(|due| due.since(this.clock.now()));
        this.clock.advance(wait.unwrap_or_default());
    }
    let report = this.notify_again(&subject(), 2).await;
    assert_eq!((report.delivered.len(), report.disposition, report.next_attempt_at), (1, Disposition::Done, None));
}

pub(super) async fn a_message_is_retried_after_the_wait_that_the_chat_asks_for<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    for (fault, seconds) in [
        (ChatError::Busy { retry_after: Duration::from_secs(120) }, Some(120)),
        // Longer than the longest backoff: the first check after it sends another message.
        (ChatError::Busy { retry_after: Duration::from_secs(3_600) }, None),
        (ChatError::Dead("404 no_service".to_owned()), Some(30)),
    ] {
        this.outage().await;
        this.chat.refuse([fault.clone()]);
        assert_eq!(retried_after(&this.notify(&subject()).await), seconds, "{fault}");
        this.clock.advance(Duration::from_secs(3_600));
        assert_eq!(retried_after(&this.notify(&subject()).await), None, "{fault}");
        assert_eq!(this.chat.take().len(), 1, "{fault}");
        this.source.set_status(&web(), 1, Status::Idle);
        for _ in 0..2 {
            this.clock.advance(MINUTE);
            this.check(&web()).await;
        }
        this.notify(&subject()).await;
        this.chat.take();
    }
}

pub(super) async fn a_notification_left_by_a_crash_is_sent_soon_after_its_lease<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    this.record().await;
    this.store.plan([PutFault::None]);
    this.store.go_down(true);
    let _ = this.notify(&subject()).await;
    this.store.go_down(false);
    this.chat.take();
    let (mut receives, crashed_at) = (1, this.clock.now());
    while let Disposition::Retry { after, .. } = this.notify_again(&subject(), receives).await.disposition {
        assert!(after.as_secs() <= 30, "the lease holder may finish long before the lease ends");
        this.clock.advance(after);
        receives += 1;
    }
    assert_eq!(this.chat.take().len(), 1);
    assert!(this.clock.now().since(crashed_at) <= NotifySettings::default().lease, "not at the next check");
}

pub(super) async fn only_a_message_that_may_have_arrived_counts_as_uncertain<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    for (error, may_have_arrived) in [
        (ChatError::NotSent("no connection".to_owned()), false),
        (ChatError::Transient("no answer".to_owned()), true),
        (ChatError::Dead("no_service".to_owned()), false),
        (ChatError::NotSent("no connection".to_owned()), false),
    ] {
        this.chat.refuse([error.clone()]);
        this.notify(&subject()).await;
        let (_, ending) = this.endings(&subject()).await.swap_remove(0);
        assert!(
            matches!(ending, SendEnding::Deferred { uncertain, .. } if uncertain == may_have_arrived),
            "{error:?}: {ending:?}"
        );
        this.clock.advance(NotifySettings::default().longest_backoff);
    }
    assert_eq!(this.notify(&subject()).await.delivered.len(), 1);
}

pub(super) async fn a_short_wait_is_waited_out<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    this.chat.refuse([ChatError::Busy { retry_after: Duration::from_secs(3) }]);
    assert_eq!(this.notify(&subject()).await.delivered.len(), 1);
    assert_eq!(this.endings(&subject()).await.len(), 1);
}

pub(super) async fn a_refused_layout_falls_back_to_plain_text_then_to_the_subject_and_then_stays_pending<S: Store>(
    store: &S,
) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    let refused = || ChatError::ContentRefused("invalid_blocks".to_owned());
    this.chat.refuse([refused()]);
    assert_eq!(this.notify(&subject()).await.delivered.len(), 1);
    assert!(matches!(this.chat.take()[..], [(_, Form::PlainText)]));
    this.source.set_status(&web(), 1, Status::Idle);
    for _ in 0..2 {
        this.clock.advance(MINUTE);
        this.check(&web()).await;
    }
    this.chat.refuse([refused(), refused()]);
    assert_eq!(this.notify(&subject()).await.delivered.len(), 1);
    assert!(matches!(this.chat.take()[..], [(_, Form::SubjectOnly)]));
    // Refused in every form, it stays pending.
    this.outage().await;
    this.chat.refuse([refused(), refused(), refused()]);
    assert_eq!(this.notify(&subject()).await.delivered, []);
    this.clock.advance(MINUTE);
    let notified = this.notify_all().await;
    assert!(matches!(&notified[..], [notification] if offline_of(notification) == 1), "{notified:?}");
}

pub(super) async fn outages_during_a_chat_failure_are_notified_in_one_message<S: Store>(store: &S) {
    let this = Installation::watching(store, 2).await;
    this.outage().await;
    this.chat.refuse((0..8).map(|_| ChatError::Dead("404 no_service: make a new webhook".to_owned())));
    this.notify(&subject()).await;
    this.source.set_status(&web(), 1, Status::Idle);
    this.source.set_status(&web(), 2, Status::Offline);
    for _ in 0..10 {
        for _ in 0..2 {
            this.clock.advance(Duration::from_secs(600));
            this.check(&web()).await;
        }
        this.notify_all().await.iter().for_each(|notification| assert_eq!(offline_of(notification), 1));
        this.chat.take();
    }
    let delivered: Vec<_> =
        this.endings(&subject()).await.into_iter().filter(|(_, e)| matches!(e, SendEnding::Delivered(_))).collect();
    assert_eq!(delivered.len(), 1, "one message for both runners");
    assert_eq!(delivered[0].0, Attempt { notification: 1, attempt: 9 });
}

pub(super) async fn a_lease_that_ended_while_it_was_claimed_is_not_used<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    this.record().await;
    // The claim is stored at the third try, after its short lease: another notifier may have sent the message by now.
    this.store.plan([PutFault::RequestLost, PutFault::RequestLost]);
    let settings = NotifySettings { lease: Duration::from_secs(1), ..NotifySettings::default() };
    let policy = &this.check.policy;
    let late = Notify { store: &this.store, chat: &this.chat, clock: &this.clock, policy, settings };
    assert_eq!(late.run(&subject(), 1).await.delivered.len(), 1, "under its next lease");
    assert_eq!(this.chat.take().len(), 1);
    assert_eq!(this.endings(&subject()).await[0].0, Attempt { notification: 1, attempt: 2 });
}

pub(super) async fn a_late_ending_from_a_frozen_notifier_changes_nothing<S: Store>(store: &S) {
    let this = Installation::watching(store, 2).await;
    this.outage().await;
    this.record().await;
    this.store.plan([PutFault::None]);
    this.store.go_down(true);
    this.notify(&subject()).await;
    this.store.go_down(false);
    let covered_by_frozen = this.changes(&subject()).await.last().map(|change| change.revision).unwrap_or_default();
    this.source.set_status(&web(), 2, Status::Offline);
    for _ in 0..3 {
        this.clock.advance(MINUTE);
        this.check(&web()).await;
    }
    let second = this.notify(&subject()).await.delivered;
    assert_eq!(second.iter().map(offline_of).collect::<Vec<_>>(), [2], "both are notified after the lease");
    // Only now the frozen notifier records that it sent the first.
    let (number, ending) = (Attempt { notification: 1, attempt: 1 }, SendEnding::Delivered(Default::default()));
    let (through, at) = (covered_by_frozen, this.clock.now());
    let late = Sent { subject: subject(), number, through, at, ending, parts: Vec::new() };
    let put = store.put(&[Put::replacing(Item::Sent(late))]).await;
    assert_eq!(put, Ok(PutOutcome::Done));
    assert_eq!(this.notify(&subject()).await.delivered, [], "what was notified stays notified");
}

/// A store in which an attempt is recorded just after its claims and endings were read.
struct RecordedLate<'a, S> {
    store: &'a S,
    late: Mutex<Option<Sent>>,
}

impl<S: Store> Store for RecordedLate<'_, S> {
    fn max_batch(&self) -> usize {
        self.store.max_batch()
    }

    async fn put(&self, puts: &[Put]) -> Result<PutOutcome, StoreError> {
        self.store.put(puts).await
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        self.store.get(keys).await
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        let read = self.store.list(query).await;
        let late = self
            .late
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take_if(|_| matches!(query, Query::Notifications { .. }));
        if let Some(late) = late {
            let _ = self.store.put(&[Put::replacing(Item::Sent(late))]).await?;
        }
        read
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        self.store.delete(keys).await
    }
}

pub(super) async fn a_notifier_that_stalls_before_its_claim_repeats_nothing<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    this.record().await;
    this.store.plan([PutFault::None]);
    this.store.go_down(true);
    this.notify(&subject()).await;
    this.store.go_down(false);
    assert_eq!(this.chat.take().len(), 1);
    this.clock.advance(NotifySettings::default().lease);
    let through = this.changes(&subject()).await.last().map(|change| change.revision).unwrap_or_default();
    let (number, ending) = (Attempt { notification: 1, attempt: 1 }, SendEnding::Delivered(Default::default()));
    let late = Sent { subject: subject(), number, through, at: this.clock.now(), ending, parts: Vec::new() };
    let old = RecordedLate { store, late: Mutex::new(Some(late)) };
    let (policy, settings) = (&this.check.policy, NotifySettings::default());
    let stage = Notify { store: &old, chat: &this.chat, clock: &this.clock, policy, settings };
    assert_eq!(stage.run(&subject(), 1).await.delivered, []);
    assert_eq!(this.chat.take().len(), 0, "the earlier attempt is recorded by then");
}

/// An installation whose chat has threads, after runners 1 and 2 went offline in one alert and runner 3 in another.
pub(super) async fn two_alerts<S: Store>(store: &S) -> Installation<'_, S> {
    let mut this = Installation::hasty(store);
    this.chat = ScriptedChat::with_threads();
    let document = serde_json::from_str(r#"{"failureThreshold":1,"successThreshold":1}"#).unwrap_or_default();
    this.check.policy = Policy::new(document, &this.check.configured).unwrap_or_default();
    this.source.set(&web(), (1..=4).map(|id| runner(id, Status::Idle)).collect());
    this.check(&web()).await;
    for offline in [&[1, 2][..], &[3]] {
        this.clock.advance(MINUTE);
        offline.iter().for_each(|id| this.source.set_status(&web(), *id, Status::Offline));
        this.check(&web()).await;
        assert_eq!(this.notify(&subject()).await.delivered.len(), 1);
    }
    assert_eq!((this.chat.take().len(), this.chat.take_threads().edits.len()), (2, 0));
    this
}

/// Brings runners back online and notifies that.
pub(super) async fn back<S: Store>(this: &Installation<'_, S>, runners: &[u64]) {
    this.clock.advance(MINUTE);
    runners.iter().for_each(|id| this.source.set_status(&web(), *id, Status::Idle));
    this.check(&web()).await;
    this.notify(&subject()).await;
}

/// The edited messages with the number of their open outages, and the messages that got a reply.
pub(super) fn threads<S: Store>(this: &Installation<'_, S>) -> (Vec<(String, usize)>, Vec<String>) {
    let threads = this.chat.take_threads();
    let open = |message: &LiveMessage| message.outages.iter().filter(|outage| outage.is_open()).count();
    (threads.edits.iter().map(|message| (message.place.ts.clone(), open(message))).collect(), threads.replies)
}

pub(super) async fn an_alert_is_edited_as_its_outages_end_and_recoveries_are_sent_in_its_thread<S: Store>(store: &S) {
    let this = two_alerts(store).await;
    let edited = |ts: &str, open| (ts.to_owned(), open);
    back(&this, &[1]).await;
    assert_eq!(threads(&this), (vec![edited("1", 1)], vec!["1".to_owned()]));
    // Recoveries from two alerts at once are a message of their own, and both alerts are edited.
    back(&this, &[2, 3]).await;
    assert_eq!(threads(&this), (vec![edited("1", 0), edited("2", 0)], vec![]));
    assert_eq!(this.chat.take().len(), 2, "one message for each notified recovery");
    this.clock.advance(MINUTE);
    this.notify(&subject()).await;
    assert_eq!((this.chat.take().len(), threads(&this)), (0, (vec![], vec![])));
}

pub(super) async fn an_edit_that_fails_is_retried_with_its_notification_and_nothing_is_sent_twice<S: Store>(store: &S) {
    let this = two_alerts(store).await;
    this.chat.refuse([ChatError::Transient("no answer".to_owned())]);
    back(&this, &[3]).await;
    assert_eq!((this.chat.take().len(), threads(&this)), (0, (vec![], vec![])), "nothing is sent before the edit");
    this.clock.advance(NotifySettings::default().first_backoff);
    this.notify(&subject()).await;
    assert_eq!(this.chat.take().len(), 1);
    assert_eq!(threads(&this), (vec![("2".to_owned(), 0)], vec!["2".to_owned()]));
    // Slack accepted it and the record is lost, as after a crash: the one message and its edit repeat.
    back(&this, &[]).await;
    this.source.set_status(&web(), 1, Status::Idle);
    this.clock.advance(MINUTE);
    this.check(&web()).await;
    this.record().await;
    this.store.plan([PutFault::None]);
    this.store.go_down(true);
    let _ = this.notify(&subject()).await;
    this.store.go_down(false);
    this.clock.advance(NotifySettings::default().lease);
    this.notify(&subject()).await;
    assert_eq!(this.chat.take().len(), 2);
    assert_eq!(threads(&this), (vec![("1".to_owned(), 1); 2], vec!["1".to_owned(); 2]));
}

pub(super) async fn the_end_of_an_outage_whose_alert_is_gone_is_notified_in_a_message_of_its_own<S: Store>(store: &S) {
    let this = two_alerts(store).await;
    this.chat.lose_messages();
    back(&this, &[1, 2]).await;
    assert_eq!((this.chat.take().len(), threads(&this)), (1, (vec![], vec![])));
    assert_eq!(this.endings(&subject()).await.len(), 3);
}

/// A chat in which a notifier stalls once until its lease has ended: after an edit, or while it learns that the message
/// it replies to is gone.
struct StallingChat<'a> {
    chat: &'a ScriptedChat,
    clock: &'a StillClock,
    after_edit: AtomicBool,
    at_reply: AtomicBool,
}

impl Chat for StallingChat<'_> {
    async fn send(&self, notification: &Notification, form: Form, to: Route<'_>) -> Result<Delivered, ChatError> {
        self.chat.send(notification, form, to).await
    }

    async fn reply(&self, notification: &Notification, form: Form, to: &MessagePlace) -> Result<Delivered, EditError> {
        if self.at_reply.swap(false, Ordering::SeqCst) {
            self.clock.advance(NotifySettings::default().lease);
            return Err(EditError::Gone);
        }
        self.chat.reply(notification, form, to).await
    }

    async fn edit(
        &self,
        message: &LiveMessage,
        notification: &Notification,
        form: Form,
        by: &[Acknowledgement],
    ) -> Result<(), EditError> {
        self.chat.edit(message, notification, form, by).await?;
        if self.after_edit.swap(false, Ordering::SeqCst) {
            self.clock.advance(NotifySettings::default().lease);
        }
        Ok(())
    }
}

pub(super) async fn a_notifier_that_stalls_between_two_requests_sends_only_under_a_lease<S: Store>(store: &S) {
    let this = two_alerts(store).await;
    for (notification, runner, at_reply) in [(3, 1, false), (4, 3, true)] {
        this.clock.advance(MINUTE);
        this.source.set_status(&web(), runner, Status::Idle);
        this.check(&web()).await;
        let (after_edit, at_reply) = (AtomicBool::new(!at_reply), AtomicBool::new(at_reply));
        let chat = StallingChat { chat: &this.chat, clock: &this.clock, after_edit, at_reply };
        let (policy, settings) = (&this.check.policy, NotifySettings::default());
        let stage = Notify { store: &this.store, chat: &chat, clock: &this.clock, policy, settings };
        assert_eq!(stage.run(&subject(), 1).await.delivered.len(), 1);
        assert_eq!((this.chat.take().len(), threads(&this).1.len()), (1, 1), "sent once, in its thread");
        // The first attempt sent nothing; the second one sent the message.
        let (number, ending) = this.endings(&subject()).await.remove(0);
        assert_eq!(number, Attempt { notification, attempt: 2 });
        assert!(matches!(ending, SendEnding::Delivered(_)), "{ending:?}");
    }
}
