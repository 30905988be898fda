//! The buttons on an alert: each carries the command that it stands for.

use std::time::Duration;

use monitor_pipeline::commands::Command;

/// What Slack takes as a button's value.
#[cfg(test)]
const MAX_VALUE_CHARS: usize = 2_000;
/// How long *Mute* mutes; no button asks for more than a slash command could.
pub(crate) const MUTE_BY_BUTTON: Duration = Duration::from_secs(2 * 3_600);

/// The `action_id` and `value` of the button for a command; none where there is no button for it, or its value would
/// be too long.
#[cfg(test)]
pub(crate) fn action(command: &Command) -> Option<(&'static str, String)> {
    let value = serde_json::to_string(command).ok()?;
    let fits = value.encode_utf16().count() <= MAX_VALUE_CHARS;
    fits.then(|| action_id(command)).flatten().map(|id| (id, value))
}

/// The command of a pressed button; none if it is not of this release's making.
pub(crate) fn command(id: &str, value: &str) -> Option<Command> {
    let command: Command = serde_json::from_str(value).ok()?;
    let is_whole = command.lasting().is_none_or(|lasting| lasting == MUTE_BY_BUTTON);
    (action_id(&command) == Some(id) && is_whole).then_some(command)
}

/// Whether a button is one of these.
pub(crate) fn is_ours(id: &str) -> bool {
    ["recheck", "mute", "acknowledge"].contains(&id)
}

fn action_id(command: &Command) -> Option<&'static str> {
    match command {
        Command::Recheck { .. } => Some("recheck"),
        Command::Mute { .. } => Some("mute"),
        Command::Acknowledge { .. } => Some("acknowledge"),
        Command::StatusAll | Command::Status { .. } | Command::History { .. } | Command::Unmute { .. } => None,
    }
}
