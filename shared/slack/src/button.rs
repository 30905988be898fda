//! The buttons on an alert: each carries its command.

use std::time::Duration;

use monitor_domain::notifications::NotificationItem;
use monitor_domain::outage::Outage;
use monitor_domain::scope::Scope;
use monitor_domain::target::Target;
use monitor_pipeline::commands::Command;
use serde_json::{Value, json};

use crate::render::Message;

/// Slack's limit for the value of a button.
const MAX_VALUE_CHARS: usize = 2_000;
/// Slack's limit for the blocks of a message.
pub(crate) const MAX_BLOCKS: usize = 50;
/// The duration of *Mute*; no button does more than a slash command could.
pub(crate) const MUTE_BY_BUTTON: Duration = Duration::from_secs(2 * 3_600);

/// The outages of a notification item that a person can act on.
pub fn open_in(item: &NotificationItem) -> &[Outage] {
    match item {
        NotificationItem::Offline { outages }
        | NotificationItem::MonitoringStarts { outages }
        | NotificationItem::MuteEnded { outages }
        | NotificationItem::StillOffline { outages, .. }
        | NotificationItem::RemovalNear { outages, .. } => outages,
        _ => &[],
    }
}

/// The message with buttons for these open outages; unchanged if there are none, or no room.
pub fn with_buttons<'a>(
    mut message: Message,
    target: &Target,
    open: impl Iterator<Item = &'a Outage>,
    is_acknowledged: impl Fn(&Outage) -> bool,
) -> Message {
    let open: Vec<&Outage> = open.collect();
    let Some(blocks) = message.blocks.as_mut().filter(|blocks| !open.is_empty() && blocks.len() < MAX_BLOCKS) else {
        return message;
    };
    let scope = match open[..] {
        [one] => Scope::Runner { target: target.clone(), name: one.runner_name.clone() },
        _ => Scope::Target(target.clone()),
    };
    let outages: Vec<_> = open.iter().filter(|one| !is_acknowledged(one)).map(|one| (one.runner_id, one.id)).collect();
    let mute = Command::Mute { scope, lasting_secs: MUTE_BY_BUTTON.as_secs(), reason: None };
    let mut elements: Vec<Value> = Vec::new();
    elements.extend(button("Recheck now", &Command::Recheck { target: target.clone() }));
    elements.extend(button("Mute 2 h", &mute));
    if !outages.is_empty() {
        elements.extend(button("Acknowledge", &Command::Acknowledge { target: target.clone(), outages }));
    }
    blocks.push(json!({ "type": "actions", "elements": elements }));
    message
}

fn button(label: &str, command: &Command) -> Option<Value> {
    let (action_id, value) = action(command)?;
    let text = json!({ "type": "plain_text", "text": label, "emoji": false });
    Some(json!({ "type": "button", "text": text, "action_id": action_id, "value": value }))
}

/// The `action_id` and `value` of the button for a command; `None` if it has no button, or its value would be too
/// long.
pub(crate) fn action(command: &Command) -> Option<(&'static str, String)> {
    let value = serde_json::to_string(command).ok()?;
    let fits = value.encode_utf16().count() <= MAX_VALUE_CHARS;
    fits.then(|| action_id(command)).flatten().map(|id| (id, value))
}

/// The command of a pressed button; `None` if this release does not make such a button.
pub(crate) fn command(id: &str, value: &str) -> Option<Command> {
    let command: Command = serde_json::from_str(value).ok()?;
    let is_whole = command.lasting().is_none_or(|lasting| lasting == MUTE_BY_BUTTON);
    (action_id(&command) == Some(id) && is_whole).then_some(command)
}

/// Whether a button is one of ours.
pub(crate) fn is_ours(id: &str) -> bool {
    ["recheck", "mute", ACKNOWLEDGE].contains(&id)
}

/// The `action_id` of *Acknowledge*.
pub(crate) const ACKNOWLEDGE: &str = "acknowledge";

fn action_id(command: &Command) -> Option<&'static str> {
    match command {
        Command::Recheck { .. } => Some("recheck"),
        Command::Mute { .. } => Some("mute"),
        Command::Acknowledge { .. } => Some(ACKNOWLEDGE),
        Command::StatusAll
        | Command::Status { .. }
        | Command::Jobs
        | Command::History { .. }
        | Command::Unmute { .. } => None,
    }
}
