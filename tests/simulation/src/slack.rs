//! Slack behind a network that fails: a webhook, or a bot whose messages can be edited and replied to.

use std::time::Duration;

use monitor_domain::notices::Notice;
use monitor_domain::subject::Subject;
use monitor_pipeline::items::{Acknowledgement, Delivered, LiveMessage, Place};
use monitor_pipeline::ports::{Chat, ChatError, EditError, Form, Route};

use crate::faults::Fault;
use crate::machine::Shared;
use crate::outside::TIMEOUT_MS;
use crate::record::openings;
use crate::world::{Busy, Taken};

const CHANNEL: &str = "C1";

/// Slack over a network.
pub struct SimulatedSlack {
    /// The surroundings.
    pub shared: Shared,
    /// Whether it is a bot's way to it.
    pub is_bot: bool,
}

impl SimulatedSlack {
    /// A request on its way: why nothing comes of it, if so. `form` is of what is laid out anew.
    async fn request(&self, subject: &Subject, form: Option<Form>) -> Result<(), ChatError> {
        let began_ms = self.shared.lock().now_ms;
        self.shared.latency(50, 400).await;
        let mut machine = self.shared.lock();
        let now_ms = machine.now_ms;
        // Whoever stood still finds the connection gone.
        if now_ms - began_ms > TIMEOUT_MS {
            return Err(ChatError::Transient("no answer in time".to_owned()));
        }
        let hasty = machine.world.busy_with(subject, now_ms).into_iter().map(|busy| (busy, now_ms));
        machine.world.hasty.extend(hasty);
        if machine.world.slack_dead_until_ms > now_ms {
            machine.came(Fault::SlackDead);
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

    /// The answer on its way back.
    async fn answer(&self) -> Result<(), ChatError> {
        let is_lost = self.shared.lock().strikes(Fault::SlackAnswerLost);
        if is_lost {
            self.shared.wait(TIMEOUT_MS).await;
            return Err(ChatError::Transient("no answer in time".to_owned()));
        }
        self.shared.latency(20, 100).await;
        Ok(())
    }

    async fn post(&self, notice: &Notice, thread: Option<usize>) -> Result<Delivered, ChatError> {
        let number = {
            let mut machine = self.shared.lock();
            machine.note(format!("taken {notice:?} {thread:?}").as_bytes());
            let shown = openings(notice).cloned().collect();
            let taken = Taken {
                at_ms: machine.now_ms,
                notice: notice.clone(),
                answered: false,
                thread,
                shown,
                is_gone: false,
                is_let_be: false,
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

    /// The message at a place, if nobody has deleted it, not even just now.
    fn message_at(&self, place: &Place) -> Result<usize, EditError> {
        let mut machine = self.shared.lock();
        let number: usize = place.ts.parse().map_err(|_| EditError::Gone)?;
        let is_deleted = machine.strikes(Fault::SlackGone);
        let taken: &mut Taken = machine.world.taken.get_mut(number).ok_or(EditError::Gone)?;
        taken.is_gone |= is_deleted;
        if taken.is_gone { Err(EditError::Gone) } else { Ok(number) }
    }
}

impl Chat for SimulatedSlack {
    async fn send(&self, notice: &Notice, form: Form, _: Route<'_>) -> Result<Delivered, ChatError> {
        self.request(&notice.subject, Some(form)).await?;
        self.post(notice, None).await
    }

    async fn reply(&self, notice: &Notice, form: Form, to: &Place) -> Result<Delivered, EditError> {
        self.request(&notice.subject, Some(form)).await?;
        let thread = self.message_at(to)?;
        Ok(self.post(notice, Some(thread)).await?)
    }

    async fn edit(&self, message: &LiveMessage, notice: &Notice, _: &[Acknowledgement]) -> Result<(), EditError> {
        let outcome = self.request(&notice.subject, None).await;
        if let (Err(ChatError::Dead(_)), Ok(number)) = (&outcome, message.place.ts.parse::<usize>())
            && let Some(taken) = self.shared.lock().world.taken.get_mut(number)
        {
            taken.is_let_be = true;
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
