//! The poller as a Lambda: checks the targets that a batch of jobs names.

use std::process::ExitCode;

use monitor_aws::{LambdaEnvironment, Sdk, host};
use monitor_function_poller::Poller;

fn main() -> ExitCode {
    let poller = Poller::new(&LambdaEnvironment::of_process(), &Sdk::of_lambda());
    host::serve(async |event, invocation| poller.handle(event, invocation).await)
}
