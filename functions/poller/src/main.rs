//! The poller as a Lambda: looks at the targets that a batch of jobs names.

use std::process::ExitCode;

use monitor_aws::{Sdk, Variables, host};
use monitor_function_poller::Poller;

fn main() -> ExitCode {
    let poller = Poller::new(&Variables::of_process(), &Sdk::new(monitor_outside::client_with_built_in_roots));
    host::serve(async |event, invocation| poller.handle(event, invocation).await)
}
