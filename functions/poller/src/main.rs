//! The poller as a Lambda: looks at the targets that a batch of jobs names.

mod handler;
mod poller;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use monitor_aws::{Sdk, Variables, host};

use crate::poller::Poller;

fn main() -> ExitCode {
    let poller = Poller::new(&Variables::of_process(), &Sdk::new());
    host::serve(async |event, invocation| poller.handle(event, invocation).await)
}
