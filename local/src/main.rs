//! The one-machine program: the whole pipeline in one process.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod clock;
mod commands;
mod cycle;
mod engine;
mod fleet_view;
mod front_desk;
mod out;
mod outside;
mod stopping;
mod store;
mod table;

use std::process::ExitCode;

use clap::Parser;
use monitor_telemetry::Format;

use args::{Arguments, Command, LogFormat};

/// How a command ended; see EXIT_CODES in `args`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 0
    Healthy,
    /// 1
    Unhealthy,
    /// 2
    NotSeen,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(help_or_error) => return said_by_clap(&help_or_error),
    };
    let format = match arguments.log_format {
        LogFormat::Human => Format::Human,
        LogFormat::Json => Format::Json,
    };
    // One look or a listing speaks for itself; the daemon's log is what there is to see of it.
    let level = if matches!(arguments.command, Command::Run(_)) { "info" } else { "error" };
    if let Err(error) = monitor_telemetry::init(format, level) {
        out::error(&error);
        return ExitCode::from(2);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            out::error(&format_args!("the runtime could not be started: {error}"));
            return ExitCode::from(2);
        }
    };
    let ended = runtime.block_on(async {
        match arguments.command {
            Command::Demo(demo) => commands::demo::run(&demo).await,
            Command::Check(check) => commands::check::run(&check).await,
            Command::Run(run) => commands::run::run(&run).await,
            Command::Status(status) => commands::status::run(&status).await,
            Command::History(history) => commands::history::run(&history).await,
            Command::Doctor(doctor) => commands::doctor::run(&doctor).await,
            Command::Settings => {
                out::print(format_args!("{}\n", monitor_config::help_text())).map(|()| Outcome::Healthy)
            }
        }
    });
    // What still runs waits for a store or a log: nobody waits for it.
    runtime.shutdown_background();
    match ended {
        Ok(Outcome::Healthy) => ExitCode::SUCCESS,
        Ok(Outcome::Unhealthy) => ExitCode::from(1),
        Ok(Outcome::NotSeen) => ExitCode::from(2),
        Err(error) => {
            out::error(&error);
            ExitCode::from(2)
        }
    }
}

/// Help, the version, or what is wrong with the command line.
fn said_by_clap(words: &clap::Error) -> ExitCode {
    match out::taken(words.print()) {
        Err(error) if !words.use_stderr() => {
            out::error(&error);
            ExitCode::from(2)
        }
        _ => ExitCode::from(u8::try_from(words.exit_code()).unwrap_or(2)),
    }
}
