//! A scripted chat.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use monitor_domain::notifications::Notification;

use super::lock;
use crate::items::{Acknowledgement, Delivered, LiveMessage, MessagePlace};
use crate::ports::{Chat, ChatError, EditError, Form, Route};

/// The id of the default channel.
const DEFAULT_CHANNEL: &str = "C1";

/// A chat that accepts every message after the planned errors are used up.
#[derive(Debug, Default)]
pub struct ScriptedChat {
    answers: Mutex<VecDeque<ChatError>>,
    /// Planned errors for edits only.
    of_edits: Mutex<VecDeque<ChatError>>,
    /// Planned errors for single channels; the default channel's key is empty.
    of_channels: Mutex<BTreeMap<String, VecDeque<ChatError>>>,
    taken: Mutex<Vec<(Notification, Form)>>,
    routes: Mutex<Vec<String>>,
    /// A channel that never answers, and whether a message to it is waiting.
    hanging: Mutex<Option<(String, bool)>>,
    /// `None` if the chat has no threads.
    threads: Option<Mutex<Threads>>,
}

/// The edits and replies in a chat that has threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Threads {
    /// The edited messages, as each edit left them.
    pub edits: Vec<LiveMessage>,
    /// The form of each edit.
    pub forms: Vec<Form>,
    /// The ids of the messages that got a reply.
    pub replies: Vec<String>,
    sent: u32,
    are_gone: bool,
}

impl ScriptedChat {
    /// A chat that returns the places of its messages, so that they can be edited and replied to.
    pub fn with_threads() -> Self {
        Self { threads: Some(Mutex::default()), ..Self::default() }
    }

    /// Takes out the edits and replies so far.
    pub fn take_threads(&self) -> Threads {
        let Some(threads) = &self.threads else { return Threads::default() };
        let mut threads = lock(threads);
        let (sent, are_gone) = (threads.sent, threads.are_gone);
        std::mem::replace(&mut *threads, Threads { sent, are_gone, ..Threads::default() })
    }

    /// From now on, all earlier messages are gone.
    pub fn lose_messages(&self) {
        if let Some(threads) = &self.threads {
            lock(threads).are_gone = true;
        }
    }

    /// Refuses the next messages with these errors, in order.
    pub fn refuse(&self, answers: impl IntoIterator<Item = ChatError>) {
        lock(&self.answers).extend(answers);
    }

    /// Drops the planned errors: messages are accepted again.
    pub fn accept(&self) {
        lock(&self.answers).clear();
        lock(&self.of_edits).clear();
    }

    /// Refuses the next edits with these errors, in order; messages are not affected.
    pub fn refuse_edits(&self, answers: impl IntoIterator<Item = ChatError>) {
        lock(&self.of_edits).extend(answers);
    }

    /// Refuses the next messages to this channel with these errors, in order; the default channel's name is empty.
    pub fn refuse_in(&self, channel: &str, answers: impl IntoIterator<Item = ChatError>) {
        lock(&self.of_channels).entry(channel.to_owned()).or_default().extend(answers);
    }

    /// From now on, messages to this channel are never answered.
    pub fn hang_in(&self, channel: Option<&str>) {
        *lock(&self.hanging) = channel.map(|channel| (channel.to_owned(), false));
    }

    /// Returns once a message to that channel is waiting for an answer.
    pub async fn until_it_hangs(&self) {
        while !lock(&self.hanging).as_ref().is_some_and(|(_, waited_for)| *waited_for) {
            tokio::task::yield_now().await;
        }
    }

    /// Takes out the routes of the messages accepted so far: the channel, empty for the default. A message sent there
    /// in place of another channel has that channel after an arrow.
    pub fn take_routes(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.routes))
    }

    /// Takes out the messages accepted so far.
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
        // Another task may run between accepting a message and answering.
        tokio::task::yield_now().await;
        lock(&self.taken).push((notification.clone(), form));
        lock(&self.routes).push(route);
        let Some(threads) = &self.threads else { return Ok(Delivered::default()) };
        let mut threads = lock(threads);
        threads.sent += 1;
        let channel = if channel.is_empty() { DEFAULT_CHANNEL } else { channel };
        Ok(Delivered { channel: Some(channel.to_owned()), ts: Some(threads.sent.to_string()) })
    }

    async fn reply(&self, notification: &Notification, form: Form, to: &MessagePlace) -> Result<Delivered, EditError> {
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
