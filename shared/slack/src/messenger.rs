//! The place where people are told, chosen when a host starts.

use monitor_domain::notices::Notice;
use monitor_pipeline::items::Delivered;
use monitor_pipeline::ports::{Chat, ChatError, Form};

use crate::console::Console;
use crate::webhook::Webhook;

/// Either place.
#[derive(Debug)]
pub enum Messenger {
    /// Slack.
    Webhook(Webhook),
    /// The console.
    Console(Console),
}

impl Chat for Messenger {
    async fn send(&self, notice: &Notice, form: Form) -> Result<Delivered, ChatError> {
        match self {
            Messenger::Webhook(webhook) => webhook.send(notice, form).await,
            Messenger::Console(console) => console.send(notice, form).await,
        }
    }
}
