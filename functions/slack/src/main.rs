//! Slash commands and buttons as a Lambda: answers Slack's requests at once, or later through `response_url`.

mod handler;
mod slack;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use monitor_aws::{LambdaEnvironment, Sdk, host};

use crate::slack::Slack;

fn main() -> ExitCode {
    let slack = Slack::new(&LambdaEnvironment::of_process(), &Sdk::of_lambda());
    host::serve(async |event, invocation| slack.handle(event, invocation).await)
}
