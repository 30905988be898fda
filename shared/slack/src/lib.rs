#![doc = include_str!("../README.md")]

mod admins;
mod announcement;
mod answer;
mod blocks;
mod bot;
mod button;
mod command_handler;
mod console;
mod document;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod incoming;
mod messages;
mod messenger;
mod plain;
mod render;
mod reply;
mod text;
mod web;
mod webhook;
mod webhook_url;

pub use admins::Admins;
pub use announcement::{Announcement, Covered};
pub use answer::Taken;
pub use bot::{Bot, BotSettings};
pub use button::{open_in, with_buttons};
pub use command_handler::{CommandHandler, HttpAnswer, Replies};
pub use console::Console;
pub use messenger::Messenger;
pub use render::{Message, render, render_console, render_live, render_to};
pub use reply::Reply;
pub use web::{WebBase, WebBaseError};
pub use webhook::{Webhook, WebhookSettings};
pub use webhook_url::{WebhookUrl, WebhookUrlError};

/// Counts and logs the requests that Slack did not send.
pub type Refusals = monitor_access::Refusals<incoming::Refusal>;
