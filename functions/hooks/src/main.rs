//! Reports of workflow jobs as a Lambda: verifies the deliveries of GitHub's webhook and puts them on the queue for checks.

mod handler;
mod hooks;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use monitor_aws::{LambdaEnvironment, Sdk, host};

use crate::hooks::Hooks;

fn main() -> ExitCode {
    let hooks = Hooks::new(&LambdaEnvironment::of_process(), &Sdk::of_lambda());
    host::serve(async |event, invocation| hooks.handle(event, invocation).await)
}
