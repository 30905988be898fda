//! Where notifications are sent, chosen when a host starts.

use monitor_domain::notifications::Notification;
use monitor_pipeline::items::{Acknowledgement, Delivered, LiveMessage, MessagePlace};
use monitor_pipeline::ports::{Chat, ChatError, EditError, Form, Route};

use crate::answer::Taken;
use crate::bot::Bot;
use crate::console::Console;
use crate::render::Message;
use crate::webhook::Webhook;

/// Slack or the console.
#[derive(Debug)]
pub enum Messenger {
    /// Slack through a webhook: a new message for each notification.
    Webhook(Webhook),
    /// Slack through a bot token: messages are edited as long as their outages are open.
    Bot(Bot),
    /// Lines on standard output.
    Console(Console),
}

impl Messenger {
    /// Sends the test message; the console gets none.
    pub async fn send_test(&self, to: Route<'_>) -> Result<Taken, ChatError> {
        match self {
            Messenger::Webhook(webhook) => webhook.send_test(to).await,
            Messenger::Bot(bot) => bot.send_test(to).await,
            Messenger::Console(_) => Ok(Taken { delivered: Delivered::default(), oddity: None }),
        }
    }

    /// Announces in the default channel what a person has changed.
    pub async fn announce(&self, message: &Message) -> Result<(), ChatError> {
        match self {
            Messenger::Webhook(webhook) => webhook.announce(message).await,
            Messenger::Bot(bot) => bot.announce(message).await,
            Messenger::Console(console) => console.announce(message),
        }
    }
}

impl Chat for Messenger {
    async fn send(&self, notification: &Notification, form: Form, to: Route<'_>) -> Result<Delivered, ChatError> {
        match self {
            Messenger::Webhook(webhook) => webhook.send(notification, form, to).await,
            Messenger::Bot(bot) => bot.send(notification, form, to).await,
            Messenger::Console(console) => console.send(notification, form, to).await,
        }
    }

    async fn reply(&self, notification: &Notification, form: Form, to: &MessagePlace) -> Result<Delivered, EditError> {
        match self {
            Messenger::Bot(bot) => bot.reply(notification, form, to).await,
            Messenger::Webhook(_) | Messenger::Console(_) => Err(EditError::Gone),
        }
    }

    async fn edit(
        &self,
        message: &LiveMessage,
        notification: &Notification,
        form: Form,
        acknowledged: &[Acknowledgement],
    ) -> Result<(), EditError> {
        match self {
            Messenger::Bot(bot) => bot.edit(message, notification, form, acknowledged).await,
            Messenger::Webhook(_) | Messenger::Console(_) => Err(EditError::Gone),
        }
    }
}
