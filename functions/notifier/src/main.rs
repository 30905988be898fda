//! The notifier as a Lambda: sends the pending notifications of the subjects in a batch of state-change messages.

use std::process::ExitCode;

use monitor_aws::{LambdaEnvironment, Sdk, host};
use monitor_function_notifier::Notifier;

fn main() -> ExitCode {
    let notifier = Notifier::new(&LambdaEnvironment::of_process(), &Sdk::of_lambda());
    host::serve(async |event, invocation| notifier.handle(event, invocation).await)
}
