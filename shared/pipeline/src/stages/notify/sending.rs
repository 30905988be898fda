//! Sends one part of a notification: edits, replies, waits, and the fallback for a dead channel.

use std::time::Duration;

use monitor_domain::notifications::Notification;
use monitor_domain::subject::Subject;
use monitor_domain::time::Timestamp;
use tracing::{error, warn};

use super::settings::NotifySettings;
use super::threads::{self, Plan};
use crate::items::{Acknowledgement, Claim, Delivered, LiveMessage, SendEnding};
use crate::ports::{Chat, ChatError, Clock, EditError, Form, Route, Store, StoreError};
use crate::records;

/// From this attempt at a notification on, a failing edit is abandoned: what an earlier message shows must not hold
/// back new notifications.
const ABANDONS_EDITS_FROM: u32 = 3;

/// The result of an attempt to send a part.
enum Carried {
    /// It was sent.
    Delivered(Delivered),
    /// An edit failed and must be retried first: nothing of the part was sent.
    EditFailed(String),
    /// The lease ended before it was sent.
    Stalled,
}

/// The result of an edit.
enum Edited {
    /// The message exists: it was edited, or the edit was abandoned.
    There,
    /// The message is gone, or its channel is dead.
    Gone,
    /// The edit failed and may succeed later.
    Failed(String),
    /// The lease ended before the edit.
    Stalled,
}

/// Sends a claim's parts, one after the other.
pub(super) struct Sending<'a, St, Ch, Cl> {
    store: &'a St,
    chat: &'a Ch,
    clock: &'a Cl,
    settings: NotifySettings,
    claim: &'a Claim,
    /// The live messages, as the parts delivered so far have left them.
    live: Vec<LiveMessage>,
}

impl<'a, St: Store, Ch: Chat, Cl: Clock> Sending<'a, St, Ch, Cl> {
    pub(super) fn of(
        (store, chat, clock): (&'a St, &'a Ch, &'a Cl),
        settings: NotifySettings,
        claim: &'a Claim,
    ) -> Self {
        Self { store, chat, clock, settings, claim, live: claim.live.clone() }
    }

    /// Whether another part may be started: half of the lease is reserved for sending it and recording it.
    pub(super) fn is_in_time(&self) -> bool {
        self.is_before_half_time(self.clock.now())
    }

    fn is_before_half_time(&self, moment: Timestamp) -> bool {
        moment <= self.claim.claimed_at.plus(self.settings.lease / 2)
    }

    /// Sends a part, and waits if the chat asks for a short wait.
    ///
    /// A channel that takes no message until a person fixes it holds nothing back: the message is sent to the default
    /// channel instead, and names the intended one.
    pub(super) async fn part(&mut self, channel: Option<&str>, notification: &Notification) -> SendEnding {
        let plan = threads::plan(&self.live, notification);
        let acknowledged = match self.acknowledged(&plan).await {
            Ok(acknowledged) => acknowledged,
            Err(error) => {
                let until = self.clock.now().plus(self.backoff());
                return SendEnding::Deferred { until, reason: error.to_string(), uncertain: false };
            }
        };
        let mut dead: Option<String> = None;
        let mut form = if self.claim.plain_text { Form::PlainText } else { Form::Blocks };
        loop {
            let outcome = match (&dead, channel) {
                (Some(reason), Some(channel)) => {
                    self.carry_out(&Plan::default(), (notification, form), &[], Route::InsteadOf { channel, reason })
                        .await
                }
                _ => self.carry_out(&plan, (notification, form), &acknowledged, Route::to(channel)).await,
            };
            let now = self.clock.now();
            let put_off =
                |wait: Duration, reason, uncertain| SendEnding::Deferred { until: now.plus(wait), reason, uncertain };
            return match outcome {
                Ok(Carried::Delivered(delivered)) => {
                    self.live = plan.after;
                    SendEnding::Delivered(delivered)
                }
                Ok(Carried::EditFailed(reason)) => put_off(self.backoff(), reason, false),
                Ok(Carried::Stalled) => put_off(Duration::ZERO, "stalled until the lease ended".to_owned(), false),
                Err(ChatError::Busy { retry_after }) => {
                    if retry_after <= self.settings.patience && self.is_before_half_time(now.plus(retry_after)) {
                        self.clock.sleep(retry_after).await;
                        continue;
                    }
                    put_off(retry_after, format!("rate limited: retry in {} s", retry_after.as_secs()), false)
                }
                Err(ChatError::Transient(reason)) => put_off(self.backoff(), reason, true),
                Err(ChatError::NotSent(reason)) => put_off(self.backoff(), reason, false),
                Err(ChatError::Dead(reason)) if channel.is_some() && dead.is_none() => {
                    let subject = &self.claim.subject;
                    error!(%subject, channel, reason, "a channel takes no message: using the default channel");
                    dead = Some(reason);
                    continue;
                }
                Err(ChatError::Dead(reason)) => put_off(self.backoff(), reason, false),
                Err(ChatError::ContentRefused(reason)) => match form {
                    Form::Blocks => SendEnding::LayoutRefused { reason },
                    Form::PlainText => {
                        let subject = &self.claim.subject;
                        error!(%subject, channel, reason, "the plain text was refused too: only the subject is sent");
                        form = Form::SubjectOnly;
                        continue;
                    }
                    // It stays pending, which shows in the heartbeat and in the age of the oldest notification.
                    Form::SubjectOnly => put_off(self.backoff(), reason, false),
                },
            };
        }
    }

    /// The acknowledgements of the open outages in the messages that are edited.
    async fn acknowledged(&self, plan: &Plan) -> Result<Vec<Acknowledgement>, StoreError> {
        let Subject::Target(target) = &self.claim.subject else { return Ok(Vec::new()) };
        let outages = plan.edits.iter().flat_map(|message| &message.outages);
        let open = outages.filter(|outage| outage.is_open()).map(|outage| (outage.runner_id, outage.id));
        records::read_acknowledgements(self.store, target, open).await
    }

    /// Edits the messages that the notification concerns, then sends it: in the thread of one, or as a message of its
    /// own.
    ///
    /// Edits come first and are idempotent, so only the one message that is sent can repeat. If an earlier message is
    /// gone, or its channel is dead, the notification is a message of its own.
    async fn carry_out(
        &self,
        plan: &Plan,
        (notification, form): (&Notification, Form),
        acknowledged: &[Acknowledgement],
        to: Route<'_>,
    ) -> Result<Carried, ChatError> {
        let mut reply_to = plan.reply_to.as_ref();
        for message in &plan.edits {
            match self.edit(message, notification, acknowledged).await? {
                Edited::There => {}
                Edited::Gone => reply_to = reply_to.filter(|place| **place != message.place),
                Edited::Failed(reason) => return Ok(Carried::EditFailed(reason)),
                Edited::Stalled => return Ok(Carried::Stalled),
            }
        }
        if notification.is_edit_only() {
            return Ok(Carried::Delivered(Delivered::default()));
        }
        if let Some(place) = reply_to {
            if !self.holds_the_lease() {
                return Ok(Carried::Stalled);
            }
            match self.chat.reply(notification, form, place).await {
                Err(EditError::Gone | EditError::Chat(ChatError::Dead(_))) => {}
                Err(EditError::Chat(error)) => return Err(error),
                Ok(delivered) => return Ok(Carried::Delivered(delivered)),
            }
        }
        if !self.holds_the_lease() {
            return Ok(Carried::Stalled);
        }
        self.chat.send(notification, form, to).await.map(Carried::Delivered)
    }

    /// Edits a message, as plain text if its layout is refused. Returns an error only for a rate limit, which applies
    /// to the whole channel.
    ///
    /// A message that cannot be edited counts as edited: the edit is abandoned at once if its content is refused, and
    /// after a few attempts if it fails otherwise.
    async fn edit(
        &self,
        message: &LiveMessage,
        notification: &Notification,
        acknowledged: &[Acknowledgement],
    ) -> Result<Edited, ChatError> {
        let subject = &self.claim.subject;
        let is_patient = self.claim.number.attempt < ABANDONS_EDITS_FROM;
        // Each layout is refused on its own: a refusal of the notification's layout says nothing about this one.
        let mut form = Form::Blocks;
        loop {
            if !self.holds_the_lease() {
                return Ok(Edited::Stalled);
            }
            let abandon_reason = if is_patient || self.is_in_time() {
                match self.chat.edit(message, notification, form, acknowledged).await {
                    Ok(()) => return Ok(Edited::There),
                    Err(EditError::Gone | EditError::Chat(ChatError::Dead(_))) => return Ok(Edited::Gone),
                    Err(EditError::Chat(error @ ChatError::Busy { .. })) => return Err(error),
                    Err(EditError::Chat(ChatError::ContentRefused(reason))) if form == Form::Blocks => {
                        warn!(%subject, reason, "the layout of an edit was refused: retrying as plain text");
                        form = Form::PlainText;
                        continue;
                    }
                    Err(EditError::Chat(ChatError::ContentRefused(reason))) => reason,
                    Err(EditError::Chat(ChatError::Transient(reason) | ChatError::NotSent(reason))) if is_patient => {
                        return Ok(Edited::Failed(reason));
                    }
                    Err(EditError::Chat(ChatError::Transient(reason) | ChatError::NotSent(reason))) => reason,
                }
            } else {
                "no time was left for the edit".to_owned()
            };
            warn!(%subject, reason = abandon_reason, "an earlier message could not be edited: it stays as it is");
            return Ok(Edited::There);
        }
    }

    /// Checked before each request: a notifier that stalls until its lease ends has lost it to another, whose message
    /// it must not repeat and whose edits it must not undo.
    fn holds_the_lease(&self) -> bool {
        self.claim.holds(self.clock.now())
    }

    fn backoff(&self) -> Duration {
        let repeats = self.claim.number.attempt.saturating_sub(1).min(16);
        self.settings.first_backoff.saturating_mul(1 << repeats).min(self.settings.longest_backoff)
    }
}

impl SendEnding {
    /// The ending of an attempt with several parts: deferred until the last deferred part is due, otherwise the worst
    /// ending.
    pub(super) fn of_all(endings: Vec<SendEnding>) -> SendEnding {
        let rank = |ending: &SendEnding| match ending {
            SendEnding::Deferred { until, .. } => (3, Some(*until)),
            SendEnding::LayoutRefused { .. } => (2, None),
            SendEnding::Delivered(_) => (1, None),
        };
        let may_have_arrived =
            endings.iter().any(|ending| matches!(ending, SendEnding::Deferred { uncertain: true, .. }));
        let worst = endings.into_iter().rev().max_by_key(rank);
        match worst {
            Some(SendEnding::Deferred { until, reason, .. }) => {
                SendEnding::Deferred { until, reason, uncertain: may_have_arrived }
            }
            Some(ending) => ending,
            None => SendEnding::Delivered(Delivered::default()),
        }
    }
}
