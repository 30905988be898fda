//! Tell what is untold of one subject: fold, claim, send, record.

use std::time::Duration;

use monitor_domain::change::Change;
use monitor_domain::notices::{Folded, Notice, fold};
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use tracing::{error, info, warn};

use crate::items::{Acknowledgement, Attempt, Claim, Cursor, Delivered, Item, Key, Put, Query, SendEnding, Sent};
use crate::ports::{Chat, ChatError, Clock, EditError, Form, PutOutcome, Store, StoreError};
use crate::records;
use crate::stages::standing::{Standing, standing};
use crate::stages::threads::{self, Plan};
use crate::stages::{Disposition, RETRY_AFTER};

/// How many changes are read at a time.
const CHANGES_PER_READ: usize = 500;
/// How many claims and endings are read: enough to find the latest notice's.
const RECORDS_READ: usize = 40;
/// How many notices one wake-up may send. The next check wakes the notifier for what is left.
const NOTICES_PER_WAKE_UP: u32 = 4;

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
    /// What it is set to.
    pub settings: NotifySettings,
}

/// What came of a wake-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyReport {
    /// What is to become of the message.
    pub disposition: Disposition,
    /// The notices that were delivered.
    pub delivered: Vec<Notice>,
}

/// How one attempt ended.
enum Attempted {
    Delivered(Box<Notice>),
    /// The layout was refused: again as plain text.
    Again,
    /// Nothing to send, or not now.
    Nothing,
}

/// An edit that is refused for what is in it must not cost the notice its layout: it waits, and is tried again.
fn edit_fault(error: ChatError) -> ChatError {
    match error {
        ChatError::ContentRefused(reason) => ChatError::Transient(format!("an edit was refused: {reason}")),
        error => error,
    }
}

impl<St: Store, Ch: Chat, Cl: Clock> Notify<'_, St, Ch, Cl> {
    /// Handles one wake-up.
    pub async fn run(&self, subject: &Subject) -> NotifyReport {
        let mut delivered = Vec::new();
        for _ in 0..NOTICES_PER_WAKE_UP {
            match self.attempt(subject).await {
                Ok(Attempted::Delivered(notice)) => delivered.push(*notice),
                Ok(Attempted::Again) => {}
                Ok(Attempted::Nothing) => break,
                Err(error) => {
                    warn!(%subject, %error, "the telling was broken off");
                    return NotifyReport { disposition: error.into(), delivered };
                }
            }
        }
        NotifyReport { disposition: Disposition::Done, delivered }
    }

    async fn attempt(&self, subject: &Subject) -> Result<Attempted, StoreError> {
        let now = self.clock.now();
        let records = self.store.list(&Query::Notices { subject: subject.clone(), limit: RECORDS_READ }).await?;
        let standing = standing(&records);
        if standing.not_before.is_some_and(|due| now < due) {
            return Ok(Attempted::Nothing);
        }
        let Folded { through, notice } = self.fold(subject, standing.told_through).await?;
        let Some(notice) = notice else {
            self.mend_cursor(subject, standing.told_through).await?;
            return Ok(Attempted::Nothing);
        };
        let Some(claim) = self.claim(subject, &standing, through, notice, now).await? else {
            return Ok(Attempted::Nothing);
        };
        // Whoever was held up until its lease ended has lost it to another.
        if self.clock.now() >= claim.lease_until {
            return Ok(Attempted::Nothing);
        }
        if standing.may_repeat {
            warn!(%subject, notice = claim.number.notice, attempt = claim.number.attempt,
                "sent again: an earlier attempt may have arrived without a record of it");
        }
        let ending = self.send(&claim).await;
        self.record(claim, ending).await
    }

    /// Whoever was held up may have put an old cursor over a newer one: then everybody is woken for nothing.
    async fn mend_cursor(&self, subject: &Subject, told_through: Revision) -> Result<(), StoreError> {
        let found = self.store.get(&[Key::Cursor(subject.clone())]).await?;
        let is_right = |item: &Item| matches!(item, Item::Cursor(cursor) if cursor.told_through == told_through);
        if told_through > Revision(0) && !found.iter().any(is_right) {
            let cursor = Cursor { subject: subject.clone(), told_through, next_attempt_at: None };
            let _ = self.store.put(vec![Put::replacing(Item::Cursor(cursor))]).await?;
        }
        Ok(())
    }

    /// Folds all that is untold, reading it in portions.
    async fn fold(&self, subject: &Subject, told_through: Revision) -> Result<Folded, StoreError> {
        let mut changes: Vec<Change> = Vec::new();
        let mut after = told_through;
        loop {
            let query = Query::Changes { subject: subject.clone(), after, limit: CHANGES_PER_READ };
            let read = self.store.list(&query).await?;
            let is_last = read.len() < CHANGES_PER_READ;
            changes.extend(read.into_iter().filter_map(|item| match item {
                Item::Change(change) => Some(change),
                _ => None,
            }));
            match changes.last() {
                Some(last) if !is_last && last.revision > after => after = last.revision,
                _ => break,
            }
        }
        let target = self.target_of(subject).await?;
        Ok(fold(subject, target.as_ref(), told_through, &changes))
    }

    /// The target as people write it.
    async fn target_of(&self, subject: &Subject) -> Result<Option<Target>, StoreError> {
        let Subject::Target(id) = subject else { return Ok(None) };
        let found = self.store.get(&[Key::Target(id.clone())]).await?;
        let spelled = found.into_iter().find_map(|item| match item {
            Item::Target(record) => Some(record.target),
            _ => None,
        });
        Ok(spelled.or_else(|| id.as_str().parse().ok()))
    }

    /// Claims the next attempt; none where another did.
    async fn claim(
        &self,
        subject: &Subject,
        standing: &Standing,
        through: Revision,
        notice: Notice,
        now: Timestamp,
    ) -> Result<Option<Claim>, StoreError> {
        let claim = Claim {
            subject: subject.clone(),
            number: standing.next,
            nonce: self.clock.random(),
            after: standing.told_through,
            through,
            claimed_at: now,
            lease_until: now.plus(self.settings.lease),
            plain_text: standing.plain_text,
            notice,
            live: standing.live.clone(),
        };
        let put = vec![Put::new(Item::Claim(claim.clone()))];
        if records::put_until_answered(self.store, self.clock, put).await? == PutOutcome::Done {
            return Ok(Some(claim));
        }
        let found = self.store.get(&[Key::Claim(subject.clone(), claim.number)]).await?;
        let is_mine = |item: &Item| matches!(item, Item::Claim(stored) if stored.nonce == claim.nonce);
        Ok(found.iter().any(is_mine).then_some(claim))
    }

    /// Sends a claimed notice, waiting out what the chat asks for where that is short.
    async fn send(&self, claim: &Claim) -> SendEnding {
        let form = if claim.plain_text { Form::PlainText } else { Form::Blocks };
        let plan = threads::plan(&claim.live, &claim.notice);
        let acknowledged = match self.acknowledged(&plan, &claim.subject).await {
            Ok(acknowledged) => acknowledged,
            Err(error) => {
                let until = self.clock.now().plus(self.backoff(claim.number));
                return SendEnding::Deferred { until, reason: error.to_string(), uncertain: false };
            }
        };
        loop {
            let outcome = self.carry_out(&plan, &claim.notice, form, &acknowledged).await;
            let now = self.clock.now();
            let put_off = |wait: Duration, reason: String, uncertain| SendEnding::Deferred {
                until: now.plus(wait),
                reason,
                uncertain,
            };
            return match outcome {
                Ok(delivered) => SendEnding::Delivered(delivered),
                Err(ChatError::Busy { retry_after }) => {
                    // Half of the lease is left for the send itself and for its record.
                    let in_lease = now.plus(retry_after) <= claim.claimed_at.plus(self.settings.lease / 2);
                    if retry_after <= self.settings.patience && in_lease {
                        self.clock.sleep(retry_after).await;
                        continue;
                    }
                    put_off(retry_after, format!("asked to wait {} s", retry_after.as_secs()), false)
                }
                Err(ChatError::Transient(reason)) => put_off(self.backoff(claim.number), reason, true),
                Err(ChatError::Dead(reason)) => put_off(self.backoff(claim.number), reason, false),
                Err(ChatError::ContentRefused(reason)) if !claim.plain_text => SendEnding::LayoutRefused { reason },
                Err(ChatError::ContentRefused(reason)) => SendEnding::GivenUp { reason },
            };
        }
    }

    /// Who looks after the outages of the messages that are edited.
    async fn acknowledged(&self, plan: &Plan, subject: &Subject) -> Result<Vec<Acknowledgement>, StoreError> {
        let Subject::Target(target) = subject else { return Ok(Vec::new()) };
        let outages = plan.edits.iter().flat_map(|message| &message.outages);
        let open = outages.filter(|outage| outage.is_open()).map(|outage| (outage.runner_id, outage.id));
        records::read_acknowledgements(self.store, target, open).await
    }

    /// Edits the messages that the notice concerns, then sends it: in the thread of one, or as a message of its own.
    ///
    /// Edits come first, and doing them again does no harm: only the one message that is sent can repeat. Where an earlier
    /// message is gone, the notice stands for itself.
    async fn carry_out(
        &self,
        plan: &Plan,
        notice: &Notice,
        form: Form,
        acknowledged: &[Acknowledgement],
    ) -> Result<Delivered, ChatError> {
        let mut reply_to = plan.reply_to.as_ref();
        for message in &plan.edits {
            match self.chat.edit(message, notice, acknowledged).await {
                Ok(()) => {}
                Err(EditError::Gone) => reply_to = reply_to.filter(|place| **place != message.place),
                Err(EditError::Chat(error)) => return Err(edit_fault(error)),
            }
        }
        if let Some(place) = reply_to {
            match self.chat.reply(notice, form, place).await {
                Err(EditError::Gone) => {}
                Err(EditError::Chat(error)) => return Err(error),
                Ok(delivered) => return Ok(delivered),
            }
        }
        self.chat.send(notice, form).await
    }

    fn backoff(&self, number: Attempt) -> Duration {
        let doubled = self.settings.first_backoff.saturating_mul(1 << number.attempt.saturating_sub(1).min(16));
        doubled.min(self.settings.longest_backoff)
    }

    /// Records how an attempt ended, and how far the subject is told.
    async fn record(&self, claim: Claim, ending: SendEnding) -> Result<Attempted, StoreError> {
        let Claim { subject, number, after, through, notice, .. } = claim;
        let (notice_number, attempt) = (number.notice, number.attempt);
        let mut cursor = Cursor { subject: subject.clone(), told_through: after, next_attempt_at: None };
        let attempted = match &ending {
            SendEnding::Delivered(_) => {
                info!(%subject, notice = notice_number, attempt, "told");
                cursor.told_through = through;
                Attempted::Delivered(Box::new(notice))
            }
            SendEnding::Deferred { until, reason, .. } => {
                warn!(%subject, notice = notice_number, attempt, %until, reason, "not told yet");
                cursor.next_attempt_at = Some(*until);
                Attempted::Nothing
            }
            SendEnding::LayoutRefused { reason } => {
                error!(%subject, notice = notice_number, attempt, reason, "refused as laid out; going on as plain text");
                Attempted::Again
            }
            SendEnding::GivenUp { reason } => {
                error!(%subject, notice = notice_number, attempt, reason, "given up: refused as plain text too");
                cursor.told_through = through;
                Attempted::Again
            }
        };
        let sent = Sent { subject: subject.clone(), number, through, at: self.clock.now(), ending };
        // A message that was taken and is not on record is sent again: worth more tries than a read.
        let put = vec![Put::replacing(Item::Sent(sent)), Put::replacing(Item::Cursor(cursor))];
        if let Err(error) = records::put_until_answered(self.store, self.clock, put.clone()).await {
            warn!(%subject, notice = notice_number, attempt, %error, "the ending is not on record yet: trying once more");
            self.clock.sleep(RETRY_AFTER / 6).await;
            let _ = records::put_until_answered(self.store, self.clock, put).await?;
        }
        Ok(attempted)
    }
}
