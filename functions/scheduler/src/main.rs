//! The scheduler as a Lambda: at each tick a job for every target.

mod handler;
mod scheduler;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use monitor_aws::{Sdk, Variables, host};

use crate::scheduler::Scheduler;

fn main() -> ExitCode {
    let scheduler = Scheduler::new(&Variables::of_process(), &Sdk::new());
    host::serve(async |event, invocation| scheduler.handle(event, invocation).await)
}
