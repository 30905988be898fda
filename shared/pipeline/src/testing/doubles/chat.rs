//! Slack.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use monitor_domain::notifications::Notification;

use super::lock;
use crate::items::{Acknowledgement, Delivered, LiveMessage, Place};
use crate::ports::{Chat, ChatError, EditError, Form, Route};

/// The id of the default channel.
const DEFAULT_CHANNEL: &str = "C1";

/// A chat that takes every message, but for the answers it was told to give first.
#[derive(Debug, Default)]
pub struct ScriptedChat {
    answers: Mutex<VecDeque<ChatError>>,
    /// Of edits alone.
    of_edits: Mutex<VecDeque<ChatError>>,
    /// Of single channels, the default's under no name.
    of_channels: Mutex<BTreeMap<String, VecDeque<ChatError>>>,
    taken: Mutex<Vec<(Notification, Form)>>,
    routes: Mutex<Vec<String>>,
    /// A channel that never answers, and whether somebody waits for it.
    hanging: Mutex<Option<(String, bool)>>,
    /// None where it has no threads.
    threads: Option<Mutex<Threads>>,
}

/// What became of messages in a chat that has threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Threads {
    /// The messages that were edited, as they read then; by their id.
    pub edits: Vec<LiveMessage>,
    /// How each of them was written.
    pub forms: Vec<Form>,
    /// The ids of the messages that were replied to.
    pub replies: Vec<String>,
    sent: u32,
    are_gone: bool,
}

impl ScriptedChat {
    /// A chat that says where its messages are, so that they can be edited and replied to.
    pub fn with_threads() -> Self {
        Self { threads: Some(Mutex::default()), ..Self::default() }
    }

    /// Takes out what became of earlier messages.
    pub fn take_threads(&self) -> Threads {
        let Some(threads) = &self.threads else { return Threads::default() };
        let mut threads = lock(threads);
        let (sent, are_gone) = (threads.sent, threads.are_gone);
        std::mem::replace(&mut *threads, Threads { sent, are_gone, ..Threads::default() })
    }

    /// From now on, no earlier message is there any more.
    pub fn lose_messages(&self) {
        if let Some(threads) = &self.threads {
            lock(threads).are_gone = true;
        }
    }

    /// Refuses the next messages so, in order.
    pub fn refuse(&self, answers: impl IntoIterator<Item = ChatError>) {
        lock(&self.answers).extend(answers);
    }

    /// Forgets the answers that it was to give: it takes messages again.
    pub fn accept(&self) {
        lock(&self.answers).clear();
        lock(&self.of_edits).clear();
    }

    /// Refuses the next edits so, in order, whatever becomes of messages.
    pub fn refuse_edits(&self, answers: impl IntoIterator<Item = ChatError>) {
        lock(&self.of_edits).extend(answers);
    }

    /// Refuses the next messages to this channel so, in order; to the default's under no name.
    pub fn refuse_in(&self, channel: &str, answers: impl IntoIterator<Item = ChatError>) {
        lock(&self.of_channels).entry(channel.to_owned()).or_default().extend(answers);
    }

    /// From now on, messages to this channel are never answered.
    pub fn hang_in(&self, channel: Option<&str>) {
        *lock(&self.hanging) = channel.map(|channel| (channel.to_owned(), false));
    }

    /// Returns once a message to that channel is on its way.
    pub async fn until_it_hangs(&self) {
        while !lock(&self.hanging).as_ref().is_some_and(|(_, waited_for)| *waited_for) {
            tokio::task::yield_now().await;
        }
    }

    /// Takes out where the messages taken so far went: by channel, nothing for the default; what goes there in place of
    /// another with that one after an arrow.
    pub fn take_routes(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.routes))
    }

    /// Takes out the messages taken so far.
    pub fn take(&self) -> Vec<(Notification, Form)> {
        std::mem::take(&mut lock(&self.taken))
    }
}

impl Chat for ScriptedChat {
    async fn send(&self, notification: &Notification, form: Form, to: Route<'_>) -> Result<Delivered, ChatError> {
        if let Some(answer) = lock(&self.answers).pop_front() {
            return Err(answer);
        }
        let (channel, route) = match to {
            Route::Default => ("", String::new()),
            Route::Channel(channel) => (channel, channel.to_owned()),
            Route::InsteadOf { channel, reason } => ("", format!("→{channel}: {reason}")),
        };
        if let Some(answer) = lock(&self.of_channels).get_mut(channel).and_then(VecDeque::pop_front) {
            return Err(answer);
        }
        let hangs = match &mut *lock(&self.hanging) {
            Some((hanging, waited_for)) if hanging == channel => {
                *waited_for = true;
                true
            }
            _ => false,
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        // Another task may run between taking a message and answering.
        tokio::task::yield_now().await;
        lock(&self.taken).push((notification.clone(), form));
        lock(&self.routes).push(route);
        let Some(threads) = &self.threads else { return Ok(Delivered::default()) };
        let mut threads = lock(threads);
        threads.sent += 1;
        let channel = if channel.is_empty() { DEFAULT_CHANNEL } else { channel };
        Ok(Delivered { channel: Some(channel.to_owned()), ts: Some(threads.sent.to_string()) })
    }

    async fn reply(&self, notification: &Notification, form: Form, to: &Place) -> Result<Delivered, EditError> {
        let Some(threads) = &self.threads else { return Err(EditError::Gone) };
        if lock(threads).are_gone {
            return Err(EditError::Gone);
        }
        let channel = (to.channel != DEFAULT_CHANNEL).then_some(&*to.channel);
        let delivered = self.send(notification, form, Route::to(channel)).await?;
        lock(threads).replies.push(to.ts.clone());
        Ok(delivered)
    }

    async fn edit(
        &self,
        message: &LiveMessage,
        _: &Notification,
        form: Form,
        _: &[Acknowledgement],
    ) -> Result<(), EditError> {
        let Some(threads) = &self.threads else { return Err(EditError::Gone) };
        if lock(threads).are_gone {
            return Err(EditError::Gone);
        }
        let answer = lock(&self.of_edits).pop_front().or_else(|| lock(&self.answers).pop_front());
        if let Some(answer) = answer {
            return Err(answer.into());
        }
        let mut threads = lock(threads);
        threads.edits.push(message.clone());
        threads.forms.push(form);
        Ok(())
    }
}
