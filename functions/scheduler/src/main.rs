//! The scheduler as a Lambda: sends a job for every target at each tick.

use std::process::ExitCode;

use monitor_aws::{LambdaEnvironment, Sdk, host};
use monitor_function_scheduler::Scheduler;

fn main() -> ExitCode {
    let scheduler = Scheduler::new(&LambdaEnvironment::of_process(), &Sdk::of_lambda());
    host::serve(async |event, invocation| scheduler.handle(event, invocation).await)
}
