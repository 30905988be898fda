//! Handle the pending changes of one subject: record outages, derive the notification, split by channel, claim, send,
//! record.

mod delivery_state;
mod recording;
mod sending;
mod settings;
mod threads;

use std::collections::BTreeMap;

use futures_util::future::try_join;
use monitor_domain::change::{Change, Event};
use monitor_domain::notifications::{Notification, NotificationItem, PendingNotification, pending_notification};
use monitor_domain::policy::Policy;
use monitor_domain::routing::{Part, split};
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use tracing::{error, info, warn};

use self::sending::Sending;
use crate::items::{Attempt, Claim, Cursor, Item, PartEnding, SendEnding, Sent};
use crate::keys::{Key, Put, Query};
use crate::ports::{Chat, Clock, PutOutcome, Store, StoreError};
use crate::records::{self, Backlog, handled};
use crate::stages::{Disposition, MAX_RECEIVES, RETRY_AFTER};

pub use delivery_state::{DeliveryState, RemainingParts, delivery_state};
pub use recording::record_outages;
pub use settings::NotifySettings;
pub use threads::alerts;

/// How many claims and endings are read: enough to find those of the latest notification.
const RECORDS_READ: usize = 40;
/// How many notifications one state-change message may send. It is retried for what is left.
const NOTIFICATIONS_PER_MESSAGE: u32 = 4;
/// A message is not deferred after this many deliveries: one more receive is left for a failing store.
const MAX_RECEIVES_TO_PUT_OFF: u32 = MAX_RECEIVES - 2;

/// The notify stage with its ports.
pub struct Notify<'a, St, Ch, Cl> {
    /// The database.
    pub store: &'a St,
    /// The chat in which people are notified.
    pub chat: &'a Ch,
    /// The clock.
    pub clock: &'a Cl,
    /// The policy, which routes notifications to channels.
    pub policy: &'a Policy,
    /// The settings.
    pub settings: NotifySettings,
}

/// The result of handling a state-change message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyReport {
    /// What the host does with the message.
    pub disposition: Disposition,
    /// The notifications that were delivered; of one that was split by channel, each delivered part.
    pub delivered: Vec<Notification>,
    /// When the next attempt is due, if a notification is still pending.
    pub next_attempt_at: Option<Timestamp>,
}

/// How one attempt ended.
#[derive(Default)]
struct Attempted {
    delivered: Vec<Notification>,
    /// When to try again: at once for later changes or remaining parts; `None` if nothing is pending.
    next: Option<Timestamp>,
    /// Why outages could not be recorded. Notifications are sent all the same.
    unrecorded: Option<StoreError>,
}

impl Attempted {
    /// Nothing was tried; something may be due at this time.
    fn nothing_until(due: Timestamp) -> Self {
        Self { next: Some(due), ..Self::default() }
    }
}

/// What is stored about a subject's state, and how far the notifier has got with it.
#[derive(Default)]
struct Known {
    /// The target as people write it; `None` for other subjects.
    target: Option<Target>,
    /// The work for the notifier; only for a target.
    backlog: Backlog,
    /// How much of it is done; only for a target.
    cursor: Option<Cursor>,
}

impl<St: Store, Ch: Chat, Cl: Clock> Notify<'_, St, Ch, Cl> {
    /// Handles one state-change message; `receives` is how often it was delivered, including this time.
    ///
    /// If something is still pending afterwards, the message is retried when that is due, provided that this is soon
    /// and the message was not delivered too often. Otherwise the first check after that sends another message.
    pub async fn run(&self, subject: &Subject, receives: u32) -> NotifyReport {
        let (mut delivered, mut next, mut unrecorded) = (Vec::new(), None, None);
        for _ in 0..NOTIFICATIONS_PER_MESSAGE {
            match self.attempt(subject).await {
                Ok(attempted) => {
                    delivered.extend(attempted.delivered);
                    (next, unrecorded) = (attempted.next, attempted.unrecorded);
                    if next.is_none_or(|due| due > self.clock.now()) {
                        break;
                    }
                }
                Err(error) => {
                    warn!(%subject, %error, "handling a state change failed");
                    return NotifyReport { disposition: error.into(), delivered, next_attempt_at: None };
                }
            }
        }
        let disposition = match unrecorded {
            Some(error) => error.into(),
            None => next.map_or(Disposition::Done, |due| self.put_off(due, receives)),
        };
        NotifyReport { disposition, delivered, next_attempt_at: next }
    }

    /// The disposition of a message while a notification is pending until `due`.
    fn put_off(&self, due: Timestamp, receives: u32) -> Disposition {
        let after = due.since(self.clock.now());
        if receives > MAX_RECEIVES_TO_PUT_OFF || after > self.settings.longest_backoff {
            return Disposition::Done;
        }
        Disposition::Retry { after, reason: format!("a notification is pending: the next attempt is due at {due}") }
    }

    async fn attempt(&self, subject: &Subject) -> Result<Attempted, StoreError> {
        let notifications = Query::Notifications { subject: subject.clone(), limit: RECORDS_READ };
        let (records, mut known) = try_join(self.store.list(&notifications), self.known_of(subject)).await?;
        let delivery_state = delivery_state(&records);
        let (changes, unrecorded) = self.record_outages(subject, &mut known, &delivery_state).await;
        let attempted = self.attempt_notification(subject, delivery_state, known, changes).await?;
        Ok(Attempted { unrecorded, ..attempted })
    }

    /// Records the outages that pending changes open or close, even if an attempt to notify has to wait. Returns the
    /// changes that it read, if they are all that is pending, and why it failed.
    async fn record_outages(
        &self,
        subject: &Subject,
        known: &mut Known,
        delivery_state: &DeliveryState,
    ) -> (Option<Vec<Change>>, Option<StoreError>) {
        let handled = handled(known.cursor.as_ref());
        let Subject::Target(target) = subject else { return (None, None) };
        if !known.backlog.is_unrecorded(handled) {
            return (None, None);
        }
        let is_held = delivery_state.is_held(self.clock.now());
        // If a notification may be sent now, the changes are read once for both.
        let after = if is_held {
            handled.recorded_through
        } else {
            handled.recorded_through.min(delivery_state.notified_through)
        };
        let recorded = async {
            let changes = self.changes(subject, known.backlog.read_after(after)).await?;
            let through = recording::record_from(self.store, self.clock, target, known.cursor.as_ref(), &changes).await;
            Ok((changes, through))
        };
        match recorded.await {
            Ok((changes, through)) => {
                let changes = (!is_held).then_some(changes);
                match through {
                    Ok(recorded_through) => {
                        let cursor = Cursor { recorded_through, ..cursor_of(subject, known.cursor.take()) };
                        known.cursor = Some(cursor);
                        (changes, None)
                    }
                    Err(error) => {
                        warn!(%subject, %error, "outages were not recorded");
                        (changes, Some(error))
                    }
                }
            }
            Err(error) => (None, Some(error)),
        }
    }

    async fn attempt_notification(
        &self,
        subject: &Subject,
        delivery_state: DeliveryState,
        known: Known,
        changes: Option<Vec<Change>>,
    ) -> Result<Attempted, StoreError> {
        let recorded_through = handled(known.cursor.as_ref()).recorded_through;
        // Read after the records. If a process read the clock first and then stalled, a lease stored meanwhile would
        // seem to come from a clock that is ahead.
        let now = self.clock.now();
        if delivery_state.is_held(now)
            && let Some(due) = delivery_state.not_before
        {
            // A holder may finish long before its lease ends, and a deferred message holds back its group.
            let due = if delivery_state.is_leased { due.min(now.plus(RETRY_AFTER)) } else { due };
            return Ok(Attempted::nothing_until(due));
        }
        let pending = match delivery_state.remaining.clone() {
            // Not derived again: a new notification would mix what some channels already got with what others did not.
            Some(remaining) => Some(remaining),
            None => match self.pending(subject, known, delivery_state.notified_through, changes).await? {
                Ok(pending) => Some(pending),
                Err(through) => {
                    self.repair_cursor(subject, through, recorded_through).await?;
                    None
                }
            },
        };
        let Some(pending) = pending else { return Ok(Attempted::default()) };
        let Some(claim) = self.claim(subject, &delivery_state, pending, now).await? else {
            return Ok(Attempted::default());
        };
        if delivery_state.may_repeat && !self.is_as_read(&claim, &delivery_state).await? {
            return Ok(Attempted::nothing_until(self.clock.now()));
        }
        // A notifier that stalls until its lease ends has lost it to another.
        if !claim.holds(self.clock.now()) {
            return Ok(Attempted::nothing_until(self.clock.now()));
        }
        if delivery_state.may_repeat {
            warn!(%subject, notification = claim.number.notification, attempt = claim.number.attempt,
                "sent again: an earlier attempt may have arrived without being recorded");
        }
        self.send(claim, recorded_through).await
    }

    /// The pending notification, split by channel; if nothing is pending, the revision through which that holds.
    async fn pending(
        &self,
        subject: &Subject,
        Known { target, backlog, .. }: Known,
        notified_through: Revision,
        changes: Option<Vec<Change>>,
    ) -> Result<Result<RemainingParts, Revision>, StoreError> {
        let changes = match changes {
            Some(changes) => changes,
            None => self.changes(subject, backlog.read_after(notified_through)).await?,
        };
        let PendingNotification { through, notification } =
            pending_notification(subject, target.as_ref(), notified_through, &changes);
        let Some(notification) = notification else { return Ok(Err(through)) };
        let has_no_labels = |item: &NotificationItem| {
            matches!(
                item,
                NotificationItem::Flapping { .. }
                    | NotificationItem::Calm { .. }
                    | NotificationItem::Returned { .. }
                    | NotificationItem::VersionEnding { .. }
            )
        };
        let mut labels = BTreeMap::new();
        if let Subject::Target(target) = subject
            && self.policy.routes_by_label()
            && notification.items.iter().any(has_no_labels)
        {
            let fleet = self.store.list(&Query::Fleet(target.clone())).await?;
            labels.extend(fleet.into_iter().filter_map(|item| match item {
                Item::Runner(item) => Some((item.runner.id, item.runner.labels)),
                _ => None,
            }));
        }
        Ok(Ok(RemainingParts { through, parts: split(notification, self.policy, &labels) }))
    }

    /// Corrects the cursor if nothing is pending but the cursor does not say so: a stalled notifier has replaced a
    /// newer cursor, or the changes since the last delivery cancel out. Every check would send a needless state-change
    /// message.
    async fn repair_cursor(
        &self,
        subject: &Subject,
        notified_through: Revision,
        recorded_through: Revision,
    ) -> Result<(), StoreError> {
        let found = self.store.get(&[Key::Cursor(subject.clone())]).await?;
        let is_right =
            |item: &Item| matches!(item, Item::Cursor(cursor) if cursor.notified_through == notified_through);
        if notified_through > Revision(0) && !found.iter().any(is_right) {
            let cursor = Cursor { subject: subject.clone(), notified_through, recorded_through, next_attempt_at: None };
            let _ = self.store.put(&[Put::replacing(Item::Cursor(cursor))]).await?;
        }
        Ok(())
    }

    /// The changes after a revision, read in portions.
    async fn changes(&self, subject: &Subject, after: Revision) -> Result<Vec<Change>, StoreError> {
        let is_of_interest = |event: &Event| event.alters_pending() || event.outage_event().is_some();
        records::changes_after(self.store, subject, after, is_of_interest).await
    }

    /// What is stored about a target, in one request; for other subjects nothing is needed.
    async fn known_of(&self, subject: &Subject) -> Result<Known, StoreError> {
        let Subject::Target(id) = subject else { return Ok(Known::default()) };
        let (record, cursor) = records::read_backlog(self.store, id).await?;
        let backlog = record.as_ref().map(Backlog::from).unwrap_or_default();
        let target = record.map(|record| record.target).or_else(|| id.as_str().parse().ok());
        Ok(Known { target, backlog, cursor })
    }

    /// Claims the next attempt; `None` if another notifier has claimed it.
    async fn claim(
        &self,
        subject: &Subject,
        delivery_state: &DeliveryState,
        RemainingParts { through, mut parts }: RemainingParts,
        now: Timestamp,
    ) -> Result<Option<Claim>, StoreError> {
        if parts.is_empty() {
            return Ok(None);
        }
        let Part { channel, notification } = parts.remove(0);
        let claim = Claim {
            subject: subject.clone(),
            number: delivery_state.next,
            nonce: self.clock.random(),
            after: delivery_state.notified_through,
            through,
            claimed_at: now,
            lease_until: now.plus(self.settings.lease),
            plain_text: delivery_state.plain_text,
            resumes: delivery_state.remaining.is_some(),
            channel,
            notification,
            further: parts,
            live: delivery_state.live.clone(),
        };
        let put = Put::new(Item::Claim(claim.clone()));
        if records::put_until_answered(self.store, self.clock, &[put]).await? == PutOutcome::Done {
            return Ok(Some(claim));
        }
        let found = self.store.get(&[Key::Claim(subject.clone(), claim.number)]).await?;
        let is_mine = |item: &Item| matches!(item, Item::Claim(stored) if stored.nonce == claim.nonce);
        Ok(found.iter().any(is_mine).then_some(claim))
    }

    /// Whether claims and endings, without this claim, are still as they were read: if the notifier stalled in between, the
    /// earlier attempt may have been recorded as delivered.
    async fn is_as_read(&self, claim: &Claim, read: &DeliveryState) -> Result<bool, StoreError> {
        let query = Query::Notifications { subject: claim.subject.clone(), limit: RECORDS_READ + 1 };
        let mut records = self.store.list(&query).await?;
        records.retain(|item| !matches!(item, Item::Claim(stored) if stored.number == claim.number));
        Ok(delivery_state(&records) == *read)
    }

    /// Sends the parts of a claim one after the other, and records how each ended.
    ///
    /// A channel that fails does not hold back the others. A delivery is recorded before the next part is sent, so that
    /// a crash does not repeat it.
    async fn send(&self, claim: Claim, recorded_through: Revision) -> Result<Attempted, StoreError> {
        let mut sending = Sending::of((self.store, self.chat, self.clock), self.settings, &claim);
        let mut endings: Vec<SendEnding> = Vec::new();
        let mut attempted = Attempted::default();
        for (index, (channel, notification)) in claim.parts().enumerate() {
            let ending = if index == 0 || sending.is_in_time() {
                sending.part(channel, notification).await
            } else {
                let reason = "no time was left for this channel".to_owned();
                SendEnding::Deferred { until: self.clock.now(), reason, uncertain: false }
            };
            self.log(&claim, channel, &ending);
            if matches!(ending, SendEnding::Delivered(_)) && !notification.is_edit_only() {
                attempted.delivered.push(notification.clone());
            }
            let is_settled = PartEnding::of(&ending) != PartEnding::Waits;
            endings.push(ending);
            if is_settled && index < claim.further.len() {
                self.record_progress(&claim, &endings).await?;
            }
        }
        let parts = parts_of(&claim, &endings);
        let ending = SendEnding::of_all(endings);
        attempted.next = Some(match &ending {
            SendEnding::Deferred { until, .. } => *until,
            _ => self.clock.now(),
        });
        self.record(claim, recorded_through, parts, ending).await?;
        Ok(attempted)
    }

    fn log(&self, claim: &Claim, channel: Option<&str>, ending: &SendEnding) {
        let Claim { subject, number: Attempt { notification, attempt }, .. } = claim;
        match ending {
            SendEnding::Delivered(_) => info!(%subject, notification, attempt, channel, "notification sent"),
            SendEnding::Deferred { until, reason, .. } => {
                warn!(%subject, notification, attempt, channel, %until, reason, "the notification is not sent yet");
            }
            SendEnding::LayoutRefused { reason } => {
                error!(%subject, notification, attempt, channel, reason, "layout refused: retrying as plain text");
            }
        }
    }

    /// Records what is delivered before the next part is sent: after a crash, this is the ending of the attempt.
    async fn record_progress(&self, claim: &Claim, endings: &[SendEnding]) -> Result<(), StoreError> {
        let reason = "the attempt stopped between two channels".to_owned();
        let sent = Sent {
            subject: claim.subject.clone(),
            number: claim.number,
            through: claim.through,
            at: self.clock.now(),
            ending: SendEnding::Deferred { until: claim.lease_until, reason, uncertain: true },
            parts: parts_of(claim, endings),
        };
        records::put_until_answered(self.store, self.clock, &[Put::replacing(Item::Sent(sent))]).await.map(drop)
    }

    /// Records how an attempt ended, and how far the subject's changes are notified.
    async fn record(
        &self,
        claim: Claim,
        recorded_through: Revision,
        parts: Vec<PartEnding>,
        ending: SendEnding,
    ) -> Result<(), StoreError> {
        let Claim { subject, number, after, through, .. } = claim;
        let mut cursor =
            Cursor { subject: subject.clone(), notified_through: after, recorded_through, next_attempt_at: None };
        match &ending {
            SendEnding::Delivered(_) => cursor.notified_through = through,
            SendEnding::Deferred { until, .. } => cursor.next_attempt_at = Some(*until),
            SendEnding::LayoutRefused { .. } => {}
        }
        let sent = Sent { subject: subject.clone(), number, through, at: self.clock.now(), ending, parts };
        // A message that was accepted but not recorded is sent twice: worth more tries than a read.
        let puts = [Put::replacing(Item::Sent(sent)), Put::replacing(Item::Cursor(cursor))];
        if let Err(error) = records::put_until_answered(self.store, self.clock, &puts).await {
            let Attempt { notification, attempt } = number;
            warn!(%subject, notification, attempt, %error, "the ending was not recorded: trying once more");
            self.clock.sleep(RETRY_AFTER / 6).await;
            let _ = records::put_until_answered(self.store, self.clock, &puts).await?;
        }
        Ok(())
    }
}

/// A subject's stored cursor, or one at the beginning.
fn cursor_of(subject: &Subject, read: Option<Cursor>) -> Cursor {
    read.unwrap_or_else(|| Cursor {
        subject: subject.clone(),
        notified_through: Revision(0),
        recorded_through: Revision(0),
        next_attempt_at: None,
    })
}

/// The state of each part of a claim, including those not yet tried; empty if there is only one part.
fn parts_of(claim: &Claim, endings: &[SendEnding]) -> Vec<PartEnding> {
    if claim.further.is_empty() {
        return Vec::new();
    }
    let of = |index: usize| endings.get(index).map_or(PartEnding::Waits, PartEnding::of);
    (0..=claim.further.len()).map(of).collect()
}
