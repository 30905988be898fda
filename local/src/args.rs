//! The command line.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use monitor_domain::target::{Target, TargetSpec};
use monitor_domain::time::parse_duration;

const EXAMPLES: &str = "\
Examples:
  runner-monitor demo                       see it at work in a minute; needs no credential and no network
  GITHUB_TOKEN=… runner-monitor check acme/web orgs/acme
  GITHUB_TOKEN=… REPOS='[\"acme/web\"]' SLACK_WEBHOOK=https://hooks.slack.com/… runner-monitor run
  runner-monitor history --since 7d

A target is owner/name, owner/* (every repository of an account), orgs/NAME or enterprises/NAME.
Settings come from the environment: see `runner-monitor settings`.";

const EXIT_CODES: &str = "\
Exit codes:
  0  every runner that was looked at is healthy; for `run` and `demo`: ended as asked
  1  something is unhealthy; for `doctor`: something is to be mended
  2  could not look: a setting is wrong, the store cannot be read, or a target could not be seen; or standard output
     could not be written";

/// Tells your team when a self-hosted GitHub Actions runner goes offline: once, with the reason, and again when it is over.
#[derive(Debug, Parser)]
#[command(name = "runner-monitor", version, after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// How log lines are written to standard error
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human)]
    pub(crate) log_format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Single lines for people
    Human,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the monitor at work on a made-up fleet, with time running faster
    Demo(Demo),
    /// Look at every target once and show its runners and what changed; sends no message
    Check(Check),
    /// Watch until stopped, and tell Slack (or the console, without SLACK_WEBHOOK)
    Run(Run),
    /// Show what is on record, without asking GitHub
    Status(Status),
    /// Show outages on record, without asking GitHub
    History(History),
    /// Check settings, credentials, permissions, webhook, store and clock, and say what to mend
    Doctor(Doctor),
    /// List the settings that are read from the environment
    Settings,
}

/// The value of `--store` that stands for StatelyDB; a file of that name is `./stately`.
const STATELY: &str = "stately";

/// The variable that stands for `--heartbeat-url`.
const HEARTBEAT_URL: &str = "HEARTBEAT_URL";
/// The variable that stands for `--slack-commands`.
const SLACK_COMMANDS: &str = "SLACK_COMMANDS";

/// Where records are kept.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreArgument {
    /// The file in which records are kept, or `stately` for StatelyDB (see STATELYDB_… in `runner-monitor settings`)
    /// [default: runner-monitor/store.db in $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "FILE", env = "RUNNER_MONITOR_STORE")]
    pub(crate) store: Option<PathBuf>,
}

impl StoreArgument {
    /// Whether records are kept in StatelyDB.
    pub(crate) fn is_stately(&self) -> bool {
        self.store.as_ref().is_some_and(|store| store.as_os_str() == STATELY)
    }

    /// Where that is, for people.
    pub(crate) fn place(&self) -> String {
        if self.is_stately() { "StatelyDB".to_owned() } else { self.path().display().to_string() }
    }

    /// The file as given, or its place by the XDG base directory specification.
    pub(crate) fn path(&self) -> PathBuf {
        if let Some(path) = &self.store {
            return path.clone();
        }
        let directory =
            |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        let state = directory("XDG_STATE_HOME").or_else(|| directory("HOME").map(|home| home.join(".local/state")));
        state.map_or_else(|| PathBuf::from("runner-monitor.db"), |state| state.join("runner-monitor/store.db"))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How many times faster than life time runs
    #[arg(long, default_value_t = 75, value_parser = |text: &str| whole_number(text, 1..=300, 75))]
    pub(crate) speed: u32,
    /// Tell the story again and again, until stopped
    #[arg(long)]
    pub(crate) forever: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// What to look at; without any, what REPOS, ORGANIZATIONS and ENTERPRISES name
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<TargetSpec>,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The time between two looks at a target, 10s to 1h
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_interval)]
    pub(crate) every: Duration,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// Called (GET) after each cycle that looked at every target: give it to a dead-man's switch
    #[arg(long, value_name = "URL", env = HEARTBEAT_URL, hide_env_values = true)]
    pub(crate) heartbeat_url: Option<String>,
    /// Answer Slack's slash commands and buttons at this address, behind a reverse proxy; needs SLACK_SIGNING_SECRET
    #[arg(long, value_name = "ADDRESS:PORT", env = SLACK_COMMANDS, value_parser = parse_address)]
    pub(crate) slack_commands: Option<SocketAddr>,
}

impl Run {
    /// What the heartbeat's URL was given by: a wrong one is not shown, it often holds a key.
    pub(crate) fn heartbeat_source(&self) -> &'static str {
        let given = self.heartbeat_url.as_deref().unwrap_or_default();
        if is_from(HEARTBEAT_URL, given) { HEARTBEAT_URL } else { "--heartbeat-url" }
    }
}

/// Whether a value came from a variable, or is the same at least.
fn is_from(variable: &str, value: &str) -> bool {
    std::env::var_os(variable).is_some_and(|set| set == value)
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Only this target
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: Option<Target>,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// Only runners of this name; `*` stands for anything
    #[arg(long, value_name = "NAME")]
    pub(crate) runner: Option<String>,
    /// Only this target
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: Option<Target>,
    /// Only outages that began or ended since then
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) since: Option<Duration>,
    /// How many at most, the latest first
    #[arg(long, default_value_t = 50, value_parser = |text: &str| whole_number(text, 0..=u32::MAX, 20))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Send a test message to Slack
    #[arg(long)]
    pub(crate) send_test: bool,
    /// Check StatelyDB alone, before it is used: writes an item of every type, compares what comes back with the
    /// published schema, and removes it
    #[arg(long, conflicts_with = "send_test")]
    pub(crate) stately: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// Print JSON instead of lines
    #[arg(long)]
    pub(crate) json: bool,
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text).map_err(|error| error.to_string())?;
    let allowed = Duration::from_secs(10)..=Duration::from_secs(3_600);
    if allowed.contains(&interval) { Ok(interval) } else { Err("use 10s to 1h".to_owned()) }
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let place = if is_from(SLACK_COMMANDS, text) { "it is set by SLACK_COMMANDS; " } else { "" };
        format!("{place}write an address and a port, as in 127.0.0.1:8099")
    })
}

fn whole_number(text: &str, range: RangeInclusive<u32>, example: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("give a whole number from {} to {}, as in {example}", range.start(), range.end()))
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
    fn stately_is_no_file_unless_it_is_said_to_be_one() {
        let of = |store: &str| StoreArgument { store: Some(PathBuf::from(store)) };
        assert!(of("stately").is_stately());
        for file in ["./stately", "stately.db", "Stately", "stately/"] {
            assert!(!of(file).is_stately(), "{file}");
        }
        assert!(!StoreArgument { store: None }.is_stately());
    }

    #[test]
    fn intervals_have_a_unit_and_a_range() {
        assert_eq!(parse_interval("10s"), Ok(Duration::from_secs(10)));
        for bad in ["5s", "2h", "5", "soon"] {
            assert!(parse_interval(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_have_a_range() {
        assert_eq!((whole_number("1", 1..=300, 75), whole_number("300", 1..=300, 75)), (Ok(1), Ok(300)));
        for bad in ["0", "301", "-1", "1.5", "abc", "", "99999999999"] {
            let expected = "give a whole number from 1 to 300, as in 75";
            assert_eq!(whole_number(bad, 1..=300, 75).unwrap_err(), expected, "{bad}");
        }
    }
}
