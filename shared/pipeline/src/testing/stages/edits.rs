//! Edits that are refused or fail: the old message may stay as it was, but the notification is sent.

use super::notifying::{back, threads, two_alerts};
use super::*;
use crate::items::{Acknowledgement, Delivered, MessagePlace};
use crate::ports::{Chat, EditError, Route};

fn refused() -> ChatError {
    ChatError::ContentRefused("invalid_blocks".to_owned())
}

fn fails() -> ChatError {
    ChatError::Transient("internal_error".to_owned())
}

/// How the latest attempt ended.
async fn last_ending<S: Store>(this: &Installation<'_, S>) -> (Attempt, SendEnding) {
    this.endings(&subject()).await.remove(0)
}

/// Retries a deferred attempt once it is due.
async fn once_more<S: Store>(this: &Installation<'_, S>) {
    this.clock.advance(NotifySettings::default().longest_backoff);
    this.notify(&subject()).await;
}

pub(super) async fn an_edit_with_a_refused_layout_is_sent_as_plain_text_within_the_same_attempt<S: Store>(store: &S) {
    let this = two_alerts(store).await;
    this.chat.refuse_edits([refused()]);
    back(&this, &[3]).await;
    assert!(matches!(this.chat.take()[..], [(_, Form::Blocks)]), "the notification keeps its own layout");
    let notified = this.chat.take_threads();
    assert_eq!(
        (notified.edits.len(), notified.forms, notified.replies),
        (1, vec![Form::PlainText], vec!["2".to_owned()])
    );
    let (number, ending) = last_ending(&this).await;
    assert_eq!(number, Attempt { notification: 3, attempt: 1 });
    assert!(matches!(ending, SendEnding::Delivered(_)), "{ending:?}");
}

pub(super) async fn an_edit_refused_in_both_forms_is_abandoned_and_its_notification_is_sent<S: Store>(store: &S) {
    let this = two_alerts(store).await;
    for (runner, ts) in [(1, "1"), (3, "2")] {
        this.chat.refuse_edits([refused(), refused()]);
        back(&this, &[runner]).await;
        assert_eq!((this.chat.take().len(), threads(&this)), (1, (vec![], vec![ts.to_owned()])));
    }
    assert_eq!(last_ending(&this).await.0, Attempt { notification: 4, attempt: 1 });
    // After an abandoned edit, an open outage is still edited at its own end; one that has ended is not edited again.
    back(&this, &[2]).await;
    assert_eq!((this.chat.take().len(), threads(&this)), (1, (vec![("1".to_owned(), 0)], vec!["1".to_owned()])));
}

pub(super) async fn an_edit_that_keeps_failing_is_abandoned_at_the_third_attempt<S: Store>(store: &S) {
    let this = two_alerts(store).await;
    this.chat.refuse_edits((0..3).map(|_| fails()));
    back(&this, &[3]).await;
    for attempt in [1, 2] {
        assert_eq!((this.chat.take().len(), threads(&this)), (0, (vec![], vec![])), "attempt {attempt}");
        let (number, ending) = last_ending(&this).await;
        assert_eq!(number, Attempt { notification: 3, attempt });
        let nothing_was_sent = matches!(ending, SendEnding::Deferred { uncertain: false, .. });
        assert!(nothing_was_sent, "{ending:?}");
        once_more(&this).await;
    }
    assert_eq!((this.chat.take().len(), threads(&this)), (1, (vec![], vec!["2".to_owned()])));
    let (number, ending) = last_ending(&this).await;
    assert_eq!(number, Attempt { notification: 3, attempt: 3 });
    assert!(matches!(ending, SendEnding::Delivered(_)), "{ending:?}");
    back(&this, &[1]).await;
    assert_eq!(threads(&this), (vec![("1".to_owned(), 1)], vec!["1".to_owned()]), "what has ended is not edited again");
}

pub(super) async fn a_wait_requested_at_an_edit_is_respected_at_every_attempt<S: Store>(store: &S) {
    let this = two_alerts(store).await;
    this.chat.refuse_edits([fails(), fails(), ChatError::Busy { retry_after: Duration::from_secs(600) }]);
    back(&this, &[3]).await;
    once_more(&this).await;
    once_more(&this).await;
    assert_eq!((this.chat.take().len(), threads(&this)), (0, (vec![], vec![])));
    once_more(&this).await;
    assert_eq!((this.chat.take().len(), threads(&this)), (1, (vec![("2".to_owned(), 0)], vec!["2".to_owned()])));
}

/// A chat whose edits fail, each after more than half of a lease.
struct SlowToEdit<'a> {
    chat: &'a ScriptedChat,
    clock: &'a StillClock,
}

impl Chat for SlowToEdit<'_> {
    async fn send(&self, notification: &Notification, form: Form, to: Route<'_>) -> Result<Delivered, ChatError> {
        self.chat.send(notification, form, to).await
    }

    async fn reply(&self, notification: &Notification, form: Form, to: &MessagePlace) -> Result<Delivered, EditError> {
        self.chat.reply(notification, form, to).await
    }

    async fn edit(&self, _: &LiveMessage, _: &Notification, _: Form, _: &[Acknowledgement]) -> Result<(), EditError> {
        self.clock.advance(NotifySettings::default().lease * 5 / 9);
        Err(fails().into())
    }
}

pub(super) async fn slow_edits_leave_time_for_the_notification<S: Store>(store: &S) {
    let this = two_alerts(store).await;
    this.clock.advance(MINUTE);
    [1, 3].iter().for_each(|id| this.source.set_status(&web(), *id, Status::Idle));
    this.check(&web()).await;
    let chat = SlowToEdit { chat: &this.chat, clock: &this.clock };
    let (policy, settings) = (&this.check.policy, NotifySettings::default());
    let stage = Notify { store: &this.store, chat: &chat, clock: &this.clock, policy, settings };
    for notified in [0, 0, 1] {
        assert_eq!(stage.run(&subject(), 1).await.delivered.len(), notified);
        this.clock.advance(settings.longest_backoff);
    }
}
