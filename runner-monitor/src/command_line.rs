//! The command line as a whole: its commands, and what all of them have in common.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;
use monitor_domain::quote::holds_secret;

use crate::args::{SLACK_COMMANDS, WEB, WEBHOOKS, with_default_of_file};
use crate::commands::check::Check;
use crate::commands::config::{Config, ConfigCommand};
use crate::commands::copy::Copy;
#[cfg(feature = "demo")]
use crate::commands::demo::Demo;
use crate::commands::doctor::Doctor;
use crate::commands::health::Health;
use crate::commands::history::History;
use crate::commands::init::Init;
use crate::commands::jobs::Jobs;
use crate::commands::overrides::{Acknowledge, Mute, Unmute};
use crate::commands::report::Report;
use crate::commands::run::Run;
use crate::commands::status::Status;
use crate::commands::web::Web;
use crate::config_file::CONFIG;
use crate::store::STORE;
use crate::web_server::WEB_HOST;

/// What `--help` ends with.
fn examples() -> String {
    let demo = if cfg!(feature = "demo") {
        "  runner-monitor demo                       see it at work in a minute; needs no credential and no network\n"
    } else {
        ""
    };
    format!(
        "\
Examples:
{demo}  GITHUB_TOKEN=… runner-monitor check acme/web orgs/acme
  runner-monitor init                       asks for what is needed, tries it, and writes a configuration file
  runner-monitor run
  runner-monitor history --since 7d

A target is owner/name, owner/* (every repository of an account), orgs/NAME, enterprises/NAME, or its address on GitHub.
Settings come from the environment, then from the configuration file: see `runner-monitor settings`. A secret is never an
argument: everybody on the machine could read it there."
    )
}

/// The exit codes of [`crate::Outcome`]. docs/RUNNING.md repeats this text; a test compares the two.
const EXIT_CODES: &str = "\
Exit codes, the same for check, status, history, report, doctor and copy:
  0  all is well
  1  something is unhealthy: a runner, a pool or a queue of jobs has an outage, a runner or pool is suspected of one,
     doctor found something to fix, or two stores differ after copy
  2  the answer is not complete: a target is unreachable or unknown, monitoring is not complete (status), GitHub does
     not say when a version ends (check --fail-on), a setting or argument is wrong, the store cannot be read, or the
     output cannot be written
health is about monitoring, not about runners: it ends with 1 if monitoring is not complete, and with 2 if the store is
missing or cannot be read. report, jobs, web, init, config, settings and completions end with 0 or 2 only. mute, unmute
and acknowledge end with 0 if everything was done, and with 2 if something that they name is not stored. run and demo end
with 0 when they are stopped, and with 128 plus the signal's number at a second signal. run ends with 1 if the file of its
store is moved, replaced or deleted; the demo ends with 1 if an alert is missing.";

/// Alerts your team when a self-hosted GitHub Actions runner goes offline, with the reason, and again when it recovers.
#[derive(Debug, Parser)]
#[command(name = "runner-monitor", version, after_help = examples(), after_long_help = format!("{}\n\n{EXIT_CODES}", examples()))]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// The configuration file [default: runner-monitor/runner-monitor.toml in $XDG_CONFIG_HOME or ~/.config, if it exists]
    #[arg(long, global = true, value_name = "FILE", env = CONFIG)]
    pub(crate) config: Option<PathBuf>,

    /// The format of the log lines on standard error
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human)]
    pub(crate) log_format: LogFormat,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Single lines for people
    Human,
    /// One JSON object per line
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[cfg(feature = "demo")]
    /// Show the monitor at work on a made-up fleet, with time running faster
    Demo(Demo),
    /// Ask for a credential, targets and a Slack webhook, try them, and write the configuration file
    Init(Init),
    /// Check every target once and show its runners and what changed; sends no message
    #[command(visible_alias = "recheck", after_long_help = EXIT_CODES)]
    Check(Check),
    /// Check every target at each interval until stopped, and alert in Slack, or on the console without SLACK_WEBHOOK and
    /// SLACK_BOT_TOKEN
    #[command(after_long_help = EXIT_CODES)]
    Run(Run),
    /// Show the stored state of targets and runners, without asking GitHub
    #[command(after_long_help = EXIT_CODES)]
    Status(Status),
    /// Say whether monitoring itself is complete, for probes; whether runners are offline makes no difference
    #[command(after_long_help = EXIT_CODES)]
    Health(Health),
    /// Show the jobs that wait for a runner, and why, as GitHub's webhook has reported them or as they were polled
    #[command(after_long_help = EXIT_CODES)]
    Jobs(Jobs),
    /// Show the stored outages, without asking GitHub
    #[command(after_long_help = EXIT_CODES)]
    History(History),
    /// Show how available the runners were, with the worst of them, from the store alone
    #[command(after_long_help = EXIT_CODES)]
    Report(Report),
    /// Send no alerts for a target, or for runners by name or label, for some time
    #[command(after_long_help = EXIT_CODES)]
    Mute(Mute),
    /// End a mute
    #[command(after_long_help = EXIT_CODES)]
    Unmute(Unmute),
    /// Send no more reminders of the open outages of these targets or runners
    #[command(visible_alias = "ack", after_long_help = EXIT_CODES)]
    Acknowledge(Acknowledge),
    /// Serve the page, the JSON API and the metrics of a store that another monitor writes
    #[command(after_long_help = EXIT_CODES)]
    Web(Web),
    /// Check settings, credentials, permissions, Slack, store and clock, and say what to fix
    #[command(after_long_help = EXIT_CODES)]
    Doctor(Doctor),
    /// Copy everything from one store to another, for example from a file to DynamoDB, and compare both
    #[command(after_long_help = EXIT_CODES)]
    Copy(Copy),
    /// List every setting, with its variable and an example
    Settings,
    /// Show, check or describe the configuration
    Config(Config),
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder, which must exist
        folder: PathBuf,
    },
}

impl Command {
    /// Whether a configuration file with faults prevents it.
    pub(crate) fn needs_config(&self) -> bool {
        match self {
            #[cfg(feature = "demo")]
            Command::Demo(_) => false,
            Command::Init(_) | Command::Settings | Command::Completions { .. } | Command::Man { .. } => false,
            Command::Config(config) => !matches!(config.command, ConfigCommand::Schema),
            _ => true,
        }
    }
}

impl Arguments {
    /// Parses the command line. The configuration file in use has the defaults of arguments with a variable.
    pub(crate) fn of_process() -> Result<Self, clap::Error> {
        let mut command = Self::command()
            .mut_args(with_default_of_file)
            .mut_subcommands(|subcommand| subcommand.mut_args(with_default_of_file));
        let matches = command.clone().try_get_matches()?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

/// Refuses a secret in the arguments, and in the variables for arguments, before any message can repeat it.
pub(crate) fn without_secrets(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<()> {
    for (number, argument) in arguments.into_iter().enumerate() {
        anyhow::ensure!(
            !holds_secret(&argument.to_string_lossy()),
            "argument {number} must not hold a secret, and it looks like a token, webhook or key (not shown): set the variable \
             for it (`runner-monitor settings` lists them), and replace the secret, as everybody on the machine could read it"
        );
    }
    for variable in [STORE, SLACK_COMMANDS, WEBHOOKS, WEB, WEB_HOST, CONFIG] {
        let value = std::env::var_os(variable).unwrap_or_default();
        anyhow::ensure!(
            !holds_secret(&value.to_string_lossy()),
            "{variable} must not hold a secret, and it looks like a token, webhook or key (not shown): set the variable for it, \
             see `runner-monitor settings`"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_page_lists_the_same_exit_codes_as_the_help() {
        assert!(include_str!("../../docs/RUNNING.md").contains(EXIT_CODES), "{EXIT_CODES}");
    }
}
