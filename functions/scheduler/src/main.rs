//! The scheduler as a Lambda: at each tick a job for every target.

use std::process::ExitCode;

use monitor_aws::{Sdk, Variables, host};
use monitor_function_scheduler::Scheduler;

fn main() -> ExitCode {
    let scheduler = Scheduler::new(&Variables::of_process(), &Sdk::new(monitor_outside::client_with_built_in_roots));
    host::serve(async |event, invocation| scheduler.handle(event, invocation).await)
}
