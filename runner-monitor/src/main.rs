//! The program for one machine: the whole pipeline in one process.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod clock;
mod command_line;
mod commands;
mod config_file;
mod connections;
mod cycle;
mod descriptors;
mod engine;
mod fleet_view;
mod forecast;
mod local_time;
mod loops;
mod out;
mod selection;
mod setup;
mod slack_server;
mod stopping;
mod store;
mod table;
mod web_server;
mod webhook_server;

use std::process::ExitCode;

use clap::CommandFactory;
use monitor_telemetry::Format;

use command_line::{Arguments, Command, LogFormat};

/// How a command ended. EXIT_CODES in `command_line` describes the exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is well.
    Healthy,
    /// Something is unhealthy, or has to be fixed.
    Unhealthy,
    /// The answer is not complete.
    Incomplete,
}

impl Outcome {
    /// The rule for every command: an incomplete answer outweighs an unhealthy one.
    pub(crate) fn of(is_complete: bool, is_healthy: bool) -> Self {
        match (is_complete, is_healthy) {
            (false, _) => Outcome::Incomplete,
            (true, false) => Outcome::Unhealthy,
            (true, true) => Outcome::Healthy,
        }
    }

    fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Outcome::Healthy => 0,
            Outcome::Unhealthy => 1,
            Outcome::Incomplete => 2,
        })
    }
}

fn main() -> ExitCode {
    if let Err(error) = command_line::without_secrets(std::env::args_os()) {
        out::error(&error);
        return Outcome::Incomplete.exit_code();
    }
    let loaded = config_file::load(&std::env::args_os().collect::<Vec<_>>(), commands::run::fault_of_value);
    let arguments = match Arguments::of_process() {
        Ok(arguments) => arguments,
        Err(help_or_error) => return print_clap_output(&help_or_error),
    };
    if let Err(faults) = loaded
        && arguments.command.needs_config()
    {
        out::error(&faults);
        return Outcome::Incomplete.exit_code();
    }
    let format = match arguments.log_format {
        LogFormat::Human => Format::Human,
        LogFormat::Json => Format::Json,
    };
    // Other commands print their results; the log is all that the daemon shows.
    let level = if matches!(arguments.command, Command::Run(_) | Command::Web(_)) { "info" } else { "error" };
    if let Err(error) = monitor_telemetry::init(format, level) {
        out::error(&error);
        return Outcome::Incomplete.exit_code();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            out::error(&format_args!("the runtime could not be started: {error}"));
            return Outcome::Incomplete.exit_code();
        }
    };
    let ended = runtime.block_on(async {
        match arguments.command {
            #[cfg(feature = "demo")]
            Command::Demo(demo) => commands::demo::run(&demo).await,
            Command::Check(check) => commands::check::run(&check).await,
            Command::Run(run) => commands::run::run(&run).await,
            Command::Status(status) => commands::status::run(&status).await,
            Command::Health(health) => commands::health::run(&health).await,
            Command::Jobs(jobs) => commands::jobs::run(&jobs).await,
            Command::History(history) => commands::history::run(&history).await,
            Command::Report(report) => commands::report::run(&report).await,
            Command::Doctor(doctor) => commands::doctor::run(&doctor).await,
            Command::Copy(copy) => commands::copy::run(&copy).await,
            Command::Web(web) => commands::web::run(&web).await,
            Command::Settings => commands::config::list(),
            Command::Config(config) => commands::config::run(&config).await,
            Command::Init(init) => commands::init::run(&init, arguments.config.as_deref()).await,
            Command::Mute(mute) => commands::overrides::mute(&mute).await,
            Command::Unmute(unmute) => commands::overrides::unmute(&unmute).await,
            Command::Acknowledge(acknowledge) => commands::overrides::acknowledge(&acknowledge).await,
            Command::Completions { shell } => commands::shell::completions(shell, Arguments::command()),
            Command::Man { folder } => commands::shell::manual_pages(&folder, Arguments::command()),
        }
    });
    // Remaining tasks are blocked on a store or a log; do not wait for them.
    runtime.shutdown_background();
    let outcome = ended.unwrap_or_else(|error| {
        out::error(&error);
        Outcome::Incomplete
    });
    outcome.exit_code()
}

/// Prints clap's output: help, the version, or the error in the command line.
fn print_clap_output(clap_error: &clap::Error) -> ExitCode {
    match out::ignore_broken_pipe(clap_error.print()) {
        Err(error) if !clap_error.use_stderr() => {
            out::error(&error);
            Outcome::Incomplete.exit_code()
        }
        _ => ExitCode::from(u8::try_from(clap_error.exit_code()).unwrap_or(2)),
    }
}
