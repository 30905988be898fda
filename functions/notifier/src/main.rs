//! The notifier as a Lambda: tells what is untold of the subjects that a batch of wake-ups names.

mod handler;
mod notifier;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use monitor_aws::{Sdk, Variables, host};

use crate::notifier::Notifier;

fn main() -> ExitCode {
    let notifier = Notifier::new(&Variables::of_process(), &Sdk::new());
    host::serve(async |event, invocation| notifier.handle(event, invocation).await)
}
