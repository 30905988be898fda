//! Slash commands and buttons as a Lambda: answers what Slack asks, at once or by `response_url`.

mod handler;
mod slack;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use monitor_aws::{Sdk, Variables, host};

use crate::slack::Slack;

fn main() -> ExitCode {
    let slack = Slack::new(&Variables::of_process(), &Sdk::new(monitor_outside::client_with_built_in_roots));
    host::serve(async |event, invocation| slack.handle(event, invocation).await)
}
