//! Slack behind an unreliable network: a webhook, or a bot whose messages can be edited and replied to.

use std::time::Duration;

use monitor_domain::notifications::Notification;
use monitor_domain::subject::Subject;
use monitor_pipeline::items::{Acknowledgement, Delivered, LiveMessage, MessagePlace};
use monitor_pipeline::ports::{Chat, ChatError, EditError, Form, Route};

use crate::faults::Fault;
use crate::machine::Shared;
use crate::network::TIMEOUT_MS;
use crate::shown::openings;
use crate::targets::place_of;
use crate::world::{Abandoned, Busy, Taken, Trouble};

const CHANNEL: &str = "C1";

/// Slack over a network.
pub struct SimulatedSlack {
    /// Virtual time and the simulated services.
    pub shared: Shared,
    /// Whether messages are sent by a bot, not by a webhook.
    pub is_bot: bool,
}

impl SimulatedSlack {
    /// Sends a request. Returns why it fails, if it does. `form` is the form of a new message, `None` for an edit.
    async fn request(&self, subject: &Subject, form: Option<Form>) -> Result<(), ChatError> {
        let began_ms = self.shared.lock().now_ms;
        self.shared.latency(50, 400).await;
        let mut machine = self.shared.lock();
        let now_ms = machine.now_ms;
        // The connection of a stalled notifier is closed.
        if now_ms - began_ms > TIMEOUT_MS {
            return Err(ChatError::Transient("no answer in time".to_owned()));
        }
        let hasty = machine.world.busy_with(subject, now_ms).into_iter().map(|busy| (busy, now_ms));
        machine.world.hasty.extend(hasty);
        if machine.world.slack_dead_until_ms > now_ms {
            machine.count(Fault::SlackDead);
            machine.world.deaths.push((subject.clone(), now_ms));
            return Err(ChatError::Dead("404 no_service: make a new webhook".to_owned()));
        }
        if machine.strikes(Fault::SlackBusy) {
            let wait_secs = machine.between(1, 120);
            let busy = Busy { subject: subject.clone(), at_ms: now_ms, until_ms: now_ms + wait_secs * 1_000 };
            machine.world.busy.push(busy);
            return Err(ChatError::Busy { retry_after: Duration::from_secs(wait_secs.unsigned_abs()) });
        }
        if machine.strikes(Fault::SlackFails) {
            return Err(ChatError::Transient("Slack answers 503".to_owned()));
        }
        if form == Some(Form::Blocks) && machine.strikes(Fault::SlackRefuses) {
            return Err(ChatError::ContentRefused("invalid_blocks".to_owned()));
        }
        Ok(())
    }

    /// Returns the answer, unless it is lost.
    async fn answer(&self) -> Result<(), ChatError> {
        let is_lost = self.shared.lock().strikes(Fault::SlackAnswerLost);
        if is_lost {
            self.shared.wait(TIMEOUT_MS).await;
            return Err(ChatError::Transient("no answer in time".to_owned()));
        }
        self.shared.latency(20, 100).await;
        Ok(())
    }

    async fn post(&self, notification: &Notification, thread: Option<usize>) -> Result<Delivered, ChatError> {
        let number = {
            let mut machine = self.shared.lock();
            machine.note(format!("taken {notification:?} {thread:?}").as_bytes());
            let shown = openings(notification).cloned().collect();
            let taken = Taken {
                at_ms: machine.now_ms,
                notification: notification.clone(),
                answered: false,
                thread,
                shown,
                is_gone: false,
                trouble: None,
                abandoned: None,
            };
            machine.world.taken.push(taken);
            machine.world.taken.len() - 1
        };
        self.answer().await?;
        self.shared.lock().world.taken[number].answered = true;
        Ok(if self.is_bot {
            Delivered { channel: Some(CHANNEL.to_owned()), ts: Some(number.to_string()) }
        } else {
            Delivered::default()
        })
    }

    /// Fails if an edit of this message fails, now only or from now on.
    fn trouble(&self, subject: &Subject, number: usize, form: Form) -> Result<(), ChatError> {
        let mut machine = self.shared.lock();
        let machine = &mut *machine;
        let refused = || Err(ChatError::ContentRefused("invalid_blocks".to_owned()));
        let is_refused_now = form == Form::Blocks && machine.strikes_edit(Fault::SlackRefuses);
        let fails_from_now = machine.strikes_edit(Fault::SlackFails) && machine.edit_chance.below(4) == 0;
        let begins = match machine.edit_chance.below(4) {
            _ if fails_from_now => Some(Trouble::Fails),
            0 if is_refused_now => Some(Trouble::TakesNoBlocks),
            1 if is_refused_now => Some(Trouble::TakesNothing),
            _ => None,
        };
        let Some(taken) = machine.world.taken.get_mut(number) else { return Ok(()) };
        taken.trouble = taken.trouble.or(begins);
        match taken.trouble {
            Some(Trouble::Fails) => {
                let Subject::Target(target) = subject else { return Ok(()) };
                machine.world.failed_edits.push((place_of(target.as_str()), machine.now_ms));
                Err(ChatError::Transient("Slack answers internal_error".to_owned()))
            }
            Some(Trouble::TakesNothing) => refused(),
            Some(Trouble::TakesNoBlocks) if form == Form::Blocks => refused(),
            _ if is_refused_now => refused(),
            _ => Ok(()),
        }
    }

    /// The number of the message at a place, unless somebody has deleted it, perhaps just now.
    fn message_at(&self, place: &MessagePlace) -> Result<usize, EditError> {
        let mut machine = self.shared.lock();
        let number: usize = place.ts.parse().map_err(|_| EditError::Gone)?;
        let is_deleted = machine.strikes(Fault::SlackGone);
        let taken: &mut Taken = machine.world.taken.get_mut(number).ok_or(EditError::Gone)?;
        taken.is_gone |= is_deleted;
        if taken.is_gone { Err(EditError::Gone) } else { Ok(number) }
    }
}

impl Chat for SimulatedSlack {
    async fn send(&self, notification: &Notification, form: Form, _: Route<'_>) -> Result<Delivered, ChatError> {
        self.request(&notification.subject, Some(form)).await?;
        self.post(notification, None).await
    }

    async fn reply(&self, notification: &Notification, form: Form, to: &MessagePlace) -> Result<Delivered, EditError> {
        self.request(&notification.subject, Some(form)).await?;
        let thread = self.message_at(to)?;
        Ok(self.post(notification, Some(thread)).await?)
    }

    async fn edit(
        &self,
        message: &LiveMessage,
        notification: &Notification,
        form: Form,
        _: &[Acknowledgement],
    ) -> Result<(), EditError> {
        let number: usize = message.place.ts.parse().map_err(|_| EditError::Gone)?;
        let began_ms = self.shared.lock().now_ms;
        let outcome = self.request(&notification.subject, None).await;
        let outcome = outcome.and_then(|()| self.trouble(&notification.subject, number, form));
        if let Err(error) = &outcome {
            let mut machine = self.shared.lock();
            let abandoned = match error {
                ChatError::Dead(_) => Some(Abandoned::Dead),
                ChatError::ContentRefused(_) if form == Form::PlainText => Some(Abandoned::Refused),
                ChatError::Transient(_) | ChatError::NotSent(_) => Some(Abandoned::Failed(machine.now_ms)),
                ChatError::ContentRefused(_) | ChatError::Busy { .. } => None,
            };
            // While a notifier is stalled, another may get an answer. That later answer counts.
            let stalled = machine.now_ms - began_ms > TIMEOUT_MS;
            if let (Some(abandoned), Some(taken)) = (abandoned, machine.world.taken.get_mut(number)) {
                taken.abandoned = taken.abandoned.filter(|_| stalled).or(Some(abandoned));
            }
        }
        outcome?;
        let number = self.message_at(&message.place)?;
        {
            let mut machine = self.shared.lock();
            machine.note(format!("edited {message:?}").as_bytes());
            machine.world.edit(number, &message.outages);
        }
        Ok(self.answer().await?)
    }
}
