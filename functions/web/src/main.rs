//! The page as a Lambda: answers requests of people who have a session.

mod handler;
#[cfg(test)]
mod tests;
mod web;

use std::process::ExitCode;

use monitor_aws::{LambdaEnvironment, Sdk, host};

use crate::web::Web;

fn main() -> ExitCode {
    let web = Web::new(&LambdaEnvironment::of_process(), &Sdk::of_lambda());
    host::serve(async |event, invocation| web.handle(event, invocation).await)
}
