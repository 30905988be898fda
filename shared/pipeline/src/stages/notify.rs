//! Handle the pending changes of one subject: record outages, derive the notification, split by channel, claim, send, record.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join;
use monitor_domain::change::{Change, Event};
use monitor_domain::notifications::{Notification, NotificationItem, PendingNotification, pending_notification};
use monitor_domain::policy::Policy;
use monitor_domain::routing::{Part, split};
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use tracing::{error, info, warn};

use crate::items::{Attempt, Claim, Cursor, Item, Key, PartEnding, Put, Query, SendEnding, Sent};
use crate::ports::{Chat, Clock, PutOutcome, Store, StoreError};
use crate::records::{self, Backlog, handled};
use crate::stages::delivery_state::{DeliveryState, RemainingParts, delivery_state};
use crate::stages::recording;
use crate::stages::sending::Sending;
use crate::stages::{Disposition, MAX_RECEIVES, RETRY_AFTER};

/// How many claims and endings are read: enough to find the latest notice's.
const RECORDS_READ: usize = 40;
/// How many notices one message may send. It comes back for what is left.
const NOTICES_PER_MESSAGE: u32 = 4;
/// A message is not put off once it has been handed out so often: one more receive is left for a store that fails.
const MAX_RECEIVES_TO_PUT_OFF: u32 = MAX_RECEIVES - 2;

/// What the notify stage is set to.
#[derive(Clone, Copy, Debug)]
pub struct NotifySettings {
    /// For how long a claim keeps others from sending. Longer than a send with its waiting can take.
    pub lease: Duration,
    /// The longest wait that the chat may ask for without the attempt being put off.
    pub patience: Duration,
    /// After how long a failed attempt is repeated at first; doubled each time up to `longest_backoff`.
    pub first_backoff: Duration,
    /// The longest time between two attempts.
    pub longest_backoff: Duration,
}

impl Default for NotifySettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(90),
            patience: Duration::from_secs(20),
            first_backoff: Duration::from_secs(30),
            longest_backoff: Duration::from_secs(900),
        }
    }
}

/// The notify stage with its ports.
pub struct Notify<'a, St, Ch, Cl> {
    /// The database.
    pub store: &'a St,
    /// Where people are told.
    pub chat: &'a Ch,
    /// Time.
    pub clock: &'a Cl,
    /// Which channel is told of what.
    pub policy: &'a Policy,
    /// What it is set to.
    pub settings: NotifySettings,
}

/// What came of a state-change message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyReport {
    /// What is to become of the message.
    pub disposition: Disposition,
    /// The messages that were delivered: a notice for each, or of a notice that was split each of its parts.
    pub delivered: Vec<Notification>,
    /// When the next attempt is due, where a notification is still pending.
    pub next_attempt_at: Option<Timestamp>,
}

/// How one attempt ended.
#[derive(Default)]
struct Attempted {
    delivered: Vec<Notification>,
    /// When there may be something to try: at once what came after a notice, or what is left of it; none where nothing is.
    next: Option<Timestamp>,
    /// Why outages could not be recorded. That keeps no notification from being sent.
    unrecorded: Option<StoreError>,
}

impl Attempted {
    /// Nothing was tried, and something may be then.
    fn nothing_until(due: Timestamp) -> Self {
        Self { next: Some(due), ..Self::default() }
    }
}

/// What is stored of a subject's state and of how far the notifier has got with it.
#[derive(Default)]
struct Known {
    /// The target as people write it; none of other subjects.
    target: Option<Target>,
    /// Up to where there is work; of a target alone.
    backlog: Backlog,
    /// How far it is done; of a target alone.
    cursor: Option<Cursor>,
}

impl<St: Store, Ch: Chat, Cl: Clock> Notify<'_, St, Ch, Cl> {
    /// Handles one state-change message, which has been handed out `receives` times with this one.
    ///
    /// What is still pending afterwards has the message come back when it is due, if that is soon and the message has not come
    /// too often: else the first check after that sends another.
    pub async fn run(&self, subject: &Subject, receives: u32) -> NotifyReport {
        let (mut delivered, mut next, mut unrecorded) = (Vec::new(), None, None);
        for _ in 0..NOTICES_PER_MESSAGE {
            match self.attempt(subject).await {
                Ok(attempted) => {
                    delivered.extend(attempted.delivered);
                    (next, unrecorded) = (attempted.next, attempted.unrecorded);
                    if next.is_none_or(|due| due > self.clock.now()) {
                        break;
                    }
                }
                Err(error) => {
                    warn!(%subject, %error, "the notifier broke off");
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

    /// What is to become of a message while something is pending until `due`.
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

    /// Records the outages that pending changes open or close, also where an attempt to notify has to wait. Gives the changes
    /// that it read, where they are all that is pending, and why it failed.
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
        // Read once for both where a notification may be sent now.
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
        // After the records were read: to a process that stood still before it, a lease would seem to come from a clock that
        // was ahead.
        let now = self.clock.now();
        if delivery_state.is_held(now)
            && let Some(due) = delivery_state.not_before
        {
            // Whoever holds a lease may end long before it does, and a message that is put off keeps its group waiting.
            let due = if delivery_state.is_leased { due.min(now.plus(RETRY_AFTER)) } else { due };
            return Ok(Attempted::nothing_until(due));
        }
        let pending = match delivery_state.remaining.clone() {
            // Folded anew, what some channels were told could not be told from what the others were not.
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
        // Whoever was held up until its lease ended has lost it to another.
        if !claim.holds(self.clock.now()) {
            return Ok(Attempted::nothing_until(self.clock.now()));
        }
        if delivery_state.may_repeat {
            warn!(%subject, notification = claim.number.notification, attempt = claim.number.attempt,
                "sent again: an earlier attempt may have arrived without a record of it");
        }
        self.send(claim, recorded_through).await
    }

    /// What is pending, by channel; where nothing is, the revision up to which that is so.
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
                NotificationItem::Flapping { .. } | NotificationItem::Calm { .. } | NotificationItem::Returned { .. }
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

    /// Nothing is pending, and the cursor may not say so: whoever was held up put an old one over a newer one, or what happened
    /// since the last delivery has been undone. Then everybody would be woken for nothing.
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
            let _ = self.store.put(vec![Put::replacing(Item::Cursor(cursor))]).await?;
        }
        Ok(())
    }

    /// The changes after a revision, read in portions.
    async fn changes(&self, subject: &Subject, after: Revision) -> Result<Vec<Change>, StoreError> {
        let is_of_interest = |event: &Event| event.alters_pending() || event.outage_event().is_some();
        records::changes_after(self.store, subject, after, is_of_interest).await
    }

    /// What is stored of a target, in one request; of other subjects nothing is needed.
    async fn known_of(&self, subject: &Subject) -> Result<Known, StoreError> {
        let Subject::Target(id) = subject else { return Ok(Known::default()) };
        let (record, cursor) = records::read_backlog(self.store, id).await?;
        let backlog = record.as_ref().map(Backlog::from).unwrap_or_default();
        let target = record.map(|record| record.target).or_else(|| id.as_str().parse().ok());
        Ok(Known { target, backlog, cursor })
    }

    /// Claims the next attempt; none where another did.
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
        let put = vec![Put::new(Item::Claim(claim.clone()))];
        if records::put_until_answered(self.store, self.clock, put).await? == PutOutcome::Done {
            return Ok(Some(claim));
        }
        let found = self.store.get(&[Key::Claim(subject.clone(), claim.number)]).await?;
        let is_mine = |item: &Item| matches!(item, Item::Claim(stored) if stored.nonce == claim.nonce);
        Ok(found.iter().any(is_mine).then_some(claim))
    }

    /// Whether claims and endings are still as they were read, but for this claim: after a standstill in between, the earlier
    /// attempt may be recorded as delivered.
    async fn is_as_read(&self, claim: &Claim, read: &DeliveryState) -> Result<bool, StoreError> {
        let query = Query::Notifications { subject: claim.subject.clone(), limit: RECORDS_READ + 1 };
        let mut records = self.store.list(&query).await?;
        records.retain(|item| !matches!(item, Item::Claim(stored) if stored.number == claim.number));
        Ok(delivery_state(&records) == *read)
    }

    /// Sends the parts of a claim one after the other, and records what became of them.
    ///
    /// What one channel does not take keeps no other waiting. What is delivered is on record before the next part is
    /// sent, so that no crash makes it go twice.
    async fn send(&self, claim: Claim, recorded_through: Revision) -> Result<Attempted, StoreError> {
        let mut sending = Sending::of((self.store, self.chat, self.clock), self.settings, &claim);
        let mut endings: Vec<SendEnding> = Vec::new();
        let mut attempted = Attempted::default();
        for (index, (channel, notification)) in claim.parts().enumerate() {
            let ending = if index == 0 || sending.is_in_time() {
                sending.part(channel, notification).await
            } else {
                let reason = "there was no time left for this channel".to_owned();
                SendEnding::Deferred { until: self.clock.now(), reason, uncertain: false }
            };
            self.log(&claim, channel, &ending);
            if matches!(ending, SendEnding::Delivered(_)) {
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
            SendEnding::Delivered(_) => info!(%subject, notification, attempt, channel, "told"),
            SendEnding::Deferred { until, reason, .. } => {
                warn!(%subject, notification, attempt, channel, %until, reason, "not told yet");
            }
            SendEnding::LayoutRefused { reason } => {
                error!(%subject, notification, attempt, channel, reason, "refused as laid out; going on as plain text");
            }
        }
    }

    /// Records what is delivered before the next part is sent: after a crash, this is how the attempt ended.
    async fn record_progress(&self, claim: &Claim, endings: &[SendEnding]) -> Result<(), StoreError> {
        let reason = "it broke off between two channels".to_owned();
        let sent = Sent {
            subject: claim.subject.clone(),
            number: claim.number,
            through: claim.through,
            at: self.clock.now(),
            ending: SendEnding::Deferred { until: claim.lease_until, reason, uncertain: true },
            parts: parts_of(claim, endings),
        };
        records::put_until_answered(self.store, self.clock, vec![Put::replacing(Item::Sent(sent))]).await.map(drop)
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
        // A message that was taken and is not on record is sent again: worth more tries than a read.
        let put = vec![Put::replacing(Item::Sent(sent)), Put::replacing(Item::Cursor(cursor))];
        if let Err(error) = records::put_until_answered(self.store, self.clock, put.clone()).await {
            let Attempt { notification, attempt } = number;
            warn!(%subject, notification, attempt, %error, "the ending is not on record yet: trying once more");
            self.clock.sleep(RETRY_AFTER / 6).await;
            let _ = records::put_until_answered(self.store, self.clock, put).await?;
        }
        Ok(())
    }
}

/// A subject's cursor as it was read, or one at the beginning.
fn cursor_of(subject: &Subject, read: Option<Cursor>) -> Cursor {
    read.unwrap_or_else(|| Cursor {
        subject: subject.clone(),
        notified_through: Revision(0),
        recorded_through: Revision(0),
        next_attempt_at: None,
    })
}

/// What became of the parts of a claim, those not yet tried with it; nothing where there is but one.
fn parts_of(claim: &Claim, endings: &[SendEnding]) -> Vec<PartEnding> {
    if claim.further.is_empty() {
        return Vec::new();
    }
    let of = |index: usize| endings.get(index).map_or(PartEnding::Waits, PartEnding::of);
    (0..=claim.further.len()).map(of).collect()
}
