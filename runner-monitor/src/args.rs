//! The command line.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::builder::{OsStringValueParser, Resettable, TypedValueParser};
use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;
use monitor_config::{HostOptions, Secret, SettingFault, StoreChoice, read_secret};
use monitor_domain::cycle::PENDING_LIMITS;
use monitor_domain::muting::MUTE_LENGTHS;
use monitor_domain::quote::holds_secret;
use monitor_domain::target::{Target, TargetSpec, Written};
use monitor_domain::time::parse_duration;
use wildmatch::WildMatch;

use crate::config_file::{self, CONFIG};
use crate::fleet_view::Rows;
use crate::web_server::check_address;

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
  1  something is unhealthy: a runner or pool has an outage or is suspected of one, doctor found something to fix,
     or two stores differ after copy
  2  the answer is not complete: a target is unreachable or unknown, monitoring is not complete (status), a setting or
     argument is wrong, the store cannot be read, or the output cannot be written
health is about monitoring, not about runners: it ends with 1 if monitoring is not complete, and with 2 if the store is
missing or cannot be read. report shows the past, so it ends with 0 or 2 only. mute, unmute and acknowledge end with 0 if
everything was done, and with 2 if something that they name is not stored. run and demo end with 0 when they are stopped;
the demo ends with 1 if an alert is missing.";

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
    /// Check every target at each interval until stopped, and alert in Slack (or on the console, without SLACK_WEBHOOK)
    #[command(after_long_help = EXIT_CODES)]
    Run(Run),
    /// Show the stored state of targets and runners, without asking GitHub
    #[command(after_long_help = EXIT_CODES)]
    Status(Status),
    /// Say whether monitoring itself is complete, for probes; whether runners are offline makes no difference
    #[command(after_long_help = EXIT_CODES)]
    Health(Health),
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

/// The values of `--store` that select a service. A file of that name is written `./stately`.
const SERVICES: [(&str, &str, StoreChoice); 2] =
    [("stately", "StatelyDB", StoreChoice::StatelyDb), ("dynamodb", "DynamoDB", StoreChoice::DynamoDb)];

/// The environment variable for `--heartbeat-url`.
const HEARTBEAT_URL: &str = "HEARTBEAT_URL";
/// The environment variable for `--slack-commands`.
const SLACK_COMMANDS: &str = "SLACK_COMMANDS";
/// The environment variable for `--web`.
const WEB: &str = "WEB";
/// The environment variable for `--web-host`.
const WEB_HOST: &str = "WEB_HOST";

/// The environment variable for `--pending-limit`.
const PENDING_LIMIT: &str = "PENDING_LIMIT";
/// The environment variable for `--every`.
const CHECK_INTERVAL: &str = "CHECK_INTERVAL";

/// What `runner-monitor settings` ends with.
pub(crate) const SOURCES: &str = "\
Each setting is an environment variable, or a line of the configuration file: its name in lower case, RUNNER_MONITOR_STORE
as store, and the policy as the table [policy]. The environment takes precedence. `runner-monitor init` writes such a file.
A [secret] may also be in a file of its own, for example GITHUB_TOKEN=@/run/secrets/github-token
For logs: LOG (a level, such as debug, or info,monitor_github=debug) and NO_COLOR.
";

/// The fault of a value of the configuration file that is an argument; `None` if it is sound.
pub(crate) fn fault_of_value(variable: &str, value: &str) -> Option<String> {
    match variable {
        CHECK_INTERVAL => parse_interval(value).err(),
        PENDING_LIMIT => parse_pending_limit(value).err(),
        SLACK_COMMANDS | WEB => parse_address(value).err(),
        STORE => parse_store(value.into()).err(),
        WEB_HOST => value.split(',').find_map(|host| parse_web_host(host).err()),
        _ => None,
    }
}

impl Arguments {
    /// Parses the command line. The configuration file in use has the defaults of arguments with a variable.
    pub(crate) fn of_process() -> Result<Self, clap::Error> {
        Self::parse_with_file(std::env::args_os())
    }

    /// Parses a command line with the defaults of the configuration file in use.
    fn parse_with_file(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut command = Self::command()
            .mut_args(with_default_of_file)
            .mut_subcommands(|subcommand| subcommand.mut_args(with_default_of_file));
        let matches = command.clone().try_get_matches_from(arguments)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

/// The argument with its default from the configuration file. A variable that is set but empty counts as not set.
fn with_default_of_file(argument: Arg) -> Arg {
    let Some(variable) = argument.get_env().and_then(|variable| variable.to_str()).map(str::to_owned) else {
        return argument;
    };
    let is_empty = std::env::var_os(&variable).is_some_and(|value| value.to_string_lossy().trim().is_empty());
    let argument = if is_empty { argument.env(Resettable::Reset) } else { argument };
    match config_file::in_use().and_then(|file| file.value(&variable)) {
        Some(value) => argument.default_value(value.to_owned()).hide_default_value(true),
        None => argument,
    }
}

impl Run {
    /// What `run` would use if it were started without arguments.
    pub(crate) fn of_settings() -> Result<Self, clap::Error> {
        match Arguments::parse_with_file(["runner-monitor", "run"].map(OsString::from))?.command {
            Command::Run(run) => Ok(run),
            _ => Err(clap::Error::new(clap::error::ErrorKind::InvalidSubcommand)),
        }
    }

    /// The fault of the addresses on which it would listen, if there is one.
    pub(crate) fn fault_of_addresses(&self) -> Option<anyhow::Error> {
        let web = self.web?;
        if self.slack_commands == Some(web) && web.port() != 0 {
            return Some(anyhow::anyhow!("WEB and SLACK_COMMANDS are both {web}: choose another port for one of them"));
        }
        check_address(web, &self.page).err()
    }

    /// What the reader of the settings needs to know.
    pub(crate) fn host_options(&self) -> HostOptions {
        HostOptions {
            every: Some(self.every),
            targets: self.targets.clone(),
            store: self.store.service(),
            slack_commands: self.slack_commands.is_some(),
            alerts: true,
            ..HostOptions::default()
        }
    }
}

/// The environment variable for `--store`.
const STORE: &str = "RUNNER_MONITOR_STORE";

/// The store of the monitor's state: a file or a service.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreArgument {
    /// The store file, or `stately` for StatelyDB, or `dynamodb` for a DynamoDB table (see STATELYDB_… and
    /// DYNAMODB_TABLE in `runner-monitor settings`)
    /// [default: runner-monitor/store.db in $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "FILE", env = STORE, value_parser = OsStringValueParser::new().try_map(parse_store))]
    pub(crate) store: Option<PathBuf>,
}

impl StoreArgument {
    /// The service that is the store; `None` if it is a file.
    pub(crate) fn service(&self) -> Option<StoreChoice> {
        self.named_service().map(|(_, choice)| choice)
    }

    fn named_service(&self) -> Option<(&'static str, StoreChoice)> {
        let store = self.store.as_ref()?.as_os_str();
        let (_, name, choice) = SERVICES.into_iter().find(|(value, ..)| store == *value)?;
        Some((name, choice))
    }

    /// The store's location as messages show it.
    pub(crate) fn place(&self) -> anyhow::Result<String> {
        Ok(match self.named_service() {
            Some((name, _)) => name.to_owned(),
            None => self.path()?.display().to_string(),
        })
    }

    /// The file as given, or the default path of the XDG base directory specification.
    pub(crate) fn path(&self) -> anyhow::Result<PathBuf> {
        place_of_store(self.store.as_deref(), |variable| std::env::var_os(variable))
    }
}

/// A base folder of the XDG specification: that of its variable, or the one in the home folder.
pub(crate) fn base_folder(
    (own, in_home): (&str, &str),
    variable: impl Fn(&str) -> Option<OsString>,
) -> Option<PathBuf> {
    // The specification says to ignore relative paths.
    let folder = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder(own).or_else(|| folder("HOME").map(|home| home.join(in_home)))
}

fn place_of_store(given: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> anyhow::Result<PathBuf> {
    // An empty variable counts as not set.
    if let Some(path) = given.filter(|path| !path.as_os_str().is_empty()) {
        return Ok(path.to_owned());
    }
    let state = base_folder(("XDG_STATE_HOME", ".local/state"), variable).with_context(|| {
        format!("HOME is not set, so there is no place for the store: name its file with --store FILE or {STORE}")
    })?;
    Ok(state.join("runner-monitor/store.db"))
}

/// Accepts a path; refuses SQLite's special names (`:memory:`, `file:…`) and URLs.
fn parse_store(text: OsString) -> Result<PathBuf, String> {
    let shown = text.to_string_lossy();
    if shown == ":memory:" {
        return Err("must be the path of a file: what is only in memory is lost when the command ends".to_owned());
    }
    if shown.starts_with("file:") || shown.contains("://") {
        return Err(
            "must be the path of a file, not an address; write the path alone, for example ./store.db".to_owned()
        );
    }
    Ok(text.into())
}

/// Parses a target argument.
fn parse_target(text: &str) -> Result<TargetSpec, String> {
    parse_name(text)?.into_spec().map_err(|error| error.to_string())
}

/// Parses an argument that is a target or the name of a runner.
fn parse_name(text: &str) -> Result<Written, String> {
    monitor_config::written_target(&config_file::source(), text).map_err(|error| error.to_string())
}

/// Which targets and runners of the store to show.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Selection {
    /// Only these targets and runners; `*` in a runner's name matches anything
    #[arg(value_name = "TARGET_OR_RUNNER", value_parser = parse_name)]
    names: Vec<Written>,
    /// Only this target
    #[arg(long, value_name = "TARGET", value_parser = parse_target)]
    target: Option<TargetSpec>,
    /// Only runners of this name; `*` matches anything
    #[arg(long, value_name = "NAME")]
    runner: Option<String>,
}

/// One thing that a selection names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Target(TargetSpec),
    Runner(String),
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Target(spec) => spec.fmt(f),
            Named::Runner(name) => name.fmt(f),
        }
    }
}

impl Named {
    /// Whether it names this runner of this target. Without a runner: whether it names the target itself.
    pub(crate) fn covers(&self, target: &Target, runner: Option<&str>) -> bool {
        match (self, runner) {
            (Named::Target(spec), _) => spec.covers(target),
            (Named::Runner(pattern), Some(name)) => WildMatch::new_case_insensitive(pattern).matches(name),
            (Named::Runner(_), None) => false,
        }
    }
}

impl Selection {
    /// All targets and runners that the selection names.
    pub(crate) fn named(&self) -> Vec<Named> {
        let names = self.names.iter().map(|name| match name {
            Written::Spec(spec) => Named::Target(spec.clone()),
            Written::Name(name) => Named::Runner(name.clone()),
        });
        let flags =
            self.target.iter().cloned().map(Named::Target).chain(self.runner.iter().cloned().map(Named::Runner));
        names.chain(flags).collect()
    }

    /// Whether to show this runner of a target. Without a runner: whether to show the target itself.
    pub(crate) fn covers(&self, target: &Target, runner: Option<&str>) -> bool {
        let of = |name: &Written| match name {
            Written::Spec(spec) => Named::Target(spec.clone()),
            Written::Name(name) => Named::Runner(name.clone()),
        };
        let by_name = self.names.is_empty() || self.names.iter().any(|name| of(name).covers(target, runner));
        let by_target = self.target.as_ref().is_none_or(|spec| spec.covers(target));
        let by_runner = self.runner.as_ref().is_none_or(|name| Named::Runner(name.clone()).covers(target, runner));
        by_name && by_target && by_runner
    }

    /// Whether the selection names runners. A target without any of them then has nothing to show.
    pub(crate) fn is_by_runner(&self) -> bool {
        self.runner.is_some() || self.names.iter().any(|name| matches!(name, Written::Name(_)))
    }
}

#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How many times faster than real time the demo runs
    #[arg(long, default_value_t = 75, value_parser = |text: &str| whole_number(text, 1..=300, 75))]
    pub(crate) speed: u32,
    /// Start again at the end, until stopped
    #[arg(long)]
    pub(crate) forever: bool,
    /// Show the page of the demo's fleet at this address
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:8080", value_parser = parse_address)]
    pub(crate) web: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Targets to check [default: those in REPOS, ORGANIZATIONS and ENTERPRISES]
    #[arg(value_name = "TARGET", value_parser = parse_target)]
    pub(crate) targets: Vec<TargetSpec>,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// Also exit with 1 if GitHub gives no more jobs to the version of a runner within this time, or gives none now
    #[arg(long, value_name = "version-ends=DURATION", value_parser = parse_fail_on)]
    pub(crate) fail_on: Vec<FailOn>,
    #[command(flatten)]
    pub(crate) rows: RowsArgument,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// A reason for exit code 1, besides a runner that is offline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailOn {
    /// The version of a runner ends within this time.
    VersionEnds(Duration),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Targets to watch [default: those in REPOS, ORGANIZATIONS and ENTERPRISES]
    #[arg(value_name = "TARGET", value_parser = parse_target)]
    pub(crate) targets: Vec<TargetSpec>,
    /// The time between two checks of a target, 10s to 1h
    #[arg(long, value_name = "DURATION", default_value = "5m", env = CHECK_INTERVAL, value_parser = parse_interval)]
    pub(crate) every: Duration,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// The URL to call (GET) after each complete cycle, for a dead-man's switch. A cycle is complete if every target
    /// was checked and no notification has been pending beyond the limit. The URL often holds a key, and everybody on
    /// the machine can read arguments: set the variable instead, or write `@` and the path of a file that holds the URL
    #[arg(long, value_name = "@FILE", env = HEARTBEAT_URL, hide_env_values = true)]
    pub(crate) heartbeat_url: Option<String>,
    /// How long a notification may be pending before the heartbeat stops, 10s to 24h; at least three times --every
    #[arg(long, value_name = "DURATION", default_value = "15m", env = PENDING_LIMIT, value_parser = parse_pending_limit)]
    pub(crate) pending_limit: Duration,
    /// Answer Slack's slash commands and buttons at this address, behind a reverse proxy; needs SLACK_SIGNING_SECRET
    #[arg(long, value_name = "ADDRESS:PORT", env = SLACK_COMMANDS, value_parser = parse_address)]
    pub(crate) slack_commands: Option<SocketAddr>,
    /// Serve the page, the JSON API under /api/v1, /metrics and /healthz at this address
    #[arg(long, value_name = "ADDRESS:PORT", env = WEB, value_parser = parse_address)]
    pub(crate) web: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) page: PageArguments,
}

/// Under which names the page is served.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct PageArguments {
    /// Also serve the page under this host name, for example that of a reverse proxy; needed for an address other than
    /// this machine's own. Links to the page begin with https:// and the first name, unless it is written as
    /// http://NAME. If SLACK_SIGNING_SECRET is set, readers need a session: /runner-dashboard in Slack opens one
    #[arg(long, value_name = "NAME", env = WEB_HOST, value_delimiter = ',', value_parser = parse_web_host)]
    pub(crate) web_host: Vec<WebHost>,
}

/// A host name of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebHost {
    /// The name as requests have it, without a port.
    pub(crate) name: String,
    /// The address with which links begin.
    pub(crate) address: String,
}

impl WebHost {
    /// Whether readers reach the page over https.
    pub(crate) fn is_https(&self) -> bool {
        self.address.starts_with("https://")
    }
}

#[derive(Debug, Args)]
pub(crate) struct Web {
    /// The address to listen on
    #[arg(value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = parse_address)]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) page: PageArguments,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
}

impl Run {
    /// The source of the heartbeat's URL, for error messages. A wrong URL itself is not shown: it often holds a key.
    pub(crate) fn heartbeat_source(&self) -> &'static str {
        let given = self.heartbeat_url.as_deref().unwrap_or_default();
        if is_from(HEARTBEAT_URL, given) { HEARTBEAT_URL } else { "--heartbeat-url" }
    }

    /// The heartbeat's URL, read from a file if `@` and a path are given.
    pub(crate) fn heartbeat_text(&self) -> Result<Option<Secret>, SettingFault> {
        let given = self.heartbeat_url.as_deref().map(str::trim).filter(|given| !given.is_empty());
        given.map(|given| read_secret(self.heartbeat_source(), given)).transpose()
    }

    /// Whether the heartbeat's URL is on the command line, where everybody on the machine can read it.
    pub(crate) fn shows_heartbeat(&self) -> bool {
        let given = self.heartbeat_url.as_deref().unwrap_or_default();
        !given.is_empty() && !given.starts_with('@') && self.heartbeat_source() != HEARTBEAT_URL
    }
}

/// Whether a value came from a variable or the configuration file, or at least equals the value there.
fn is_from(variable: &str, value: &str) -> bool {
    let is_in_file = || config_file::in_use().and_then(|file| file.value(variable)) == Some(value);
    std::env::var_os(variable).is_some_and(|set| set == value) || is_in_file()
}

/// Which rows a table has.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct RowsArgument {
    /// List every runner, even if many have no problem
    #[arg(long, conflicts_with = "unhealthy")]
    all: bool,
    /// List only what needs attention
    #[arg(long)]
    unhealthy: bool,
}

impl RowsArgument {
    /// The rows to show.
    pub(crate) fn rows(self) -> Rows {
        match (self.all, self.unhealthy) {
            (_, true) => Rows::Unhealthy,
            (true, false) => Rows::All,
            (false, false) => Rows::Fitting,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    #[command(flatten)]
    pub(crate) rows: RowsArgument,
    /// Show it again every 5 seconds, or at this interval, until stopped
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "5s", value_parser = parse_watch, conflicts_with = "json")]
    pub(crate) watch: Option<Duration>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Health {
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// Print JSON instead of lines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Only outages within this time: those that started or ended in it, and those that are still open
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) since: Option<Duration>,
    /// The maximum number of outages to show, latest first
    #[arg(long, default_value_t = 50, value_parser = |text: &str| whole_number(text, 0..=u32::MAX, 20))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Only these targets
    #[arg(value_name = "TARGET", value_parser = parse_target)]
    pub(crate) targets: Vec<TargetSpec>,
    /// How far back the report goes
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = parse_duration)]
    pub(crate) since: Duration,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// List every runner with outages
    #[arg(long)]
    pub(crate) all: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Send a test message to Slack, to every channel that the policy names
    #[arg(long)]
    pub(crate) send_test: bool,
    /// Check only StatelyDB, before its first use: write an item of every type, compare what is read back with the
    /// published schema, and remove it
    #[arg(long, conflicts_with = "send_test")]
    pub(crate) stately: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// Print JSON instead of lines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Copy {
    /// The store to read: a file, `stately` or `dynamodb`
    #[arg(long, value_name = "STORE", value_parser = OsStringValueParser::new().try_map(parse_store))]
    pub(crate) from: PathBuf,
    /// The store to write: a file, `stately` or `dynamodb`. It must be empty, or hold an earlier copy
    #[arg(long, value_name = "STORE", value_parser = OsStringValueParser::new().try_map(parse_store))]
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Replace the file if it exists
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check every setting as `run` would read it, without asking GitHub or Slack
    Check,
    /// Show each setting's value and where it comes from; secrets are not shown
    Show {
        /// Show settings that are not set as well
        #[arg(long)]
        all: bool,
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of the configuration file, for editors
    Schema,
}

#[derive(Debug, Args)]
pub(crate) struct Mute {
    /// A target, or the name or label of runners; `*` in a name matches anything
    #[arg(value_name = "TARGET_OR_RUNNER", value_parser = parse_name)]
    pub(crate) what: Written,
    /// How long, 1m to 30d
    #[arg(value_name = "DURATION", value_parser = parse_mute)]
    pub(crate) lasting: Duration,
    /// Why, for the others
    #[arg(value_name = "REASON")]
    pub(crate) reason: Vec<String>,
    /// Only the runner of this target
    #[arg(long = "in", value_name = "TARGET", value_parser = parse_target)]
    pub(crate) target: Option<TargetSpec>,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
}

#[derive(Debug, Args)]
pub(crate) struct Unmute {
    /// What was muted: a target, or the name or label of runners
    #[arg(value_name = "TARGET_OR_RUNNER", value_parser = parse_name)]
    pub(crate) what: Written,
    /// Only the runner of this target
    #[arg(long = "in", value_name = "TARGET", value_parser = parse_target)]
    pub(crate) target: Option<TargetSpec>,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
}

#[derive(Debug, Args)]
pub(crate) struct Acknowledge {
    /// Targets and runners; `*` in a runner's name matches anything
    #[arg(value_name = "TARGET_OR_RUNNER", value_parser = parse_name, required = true)]
    pub(crate) what: Vec<Written>,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
}

impl Acknowledge {
    /// What is acknowledged.
    pub(crate) fn selection(&self) -> Selection {
        Selection { names: self.what.clone(), ..Selection::default() }
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
    for variable in [STORE, SLACK_COMMANDS, WEB, WEB_HOST, CONFIG] {
        let value = std::env::var_os(variable).unwrap_or_default();
        anyhow::ensure!(
            !holds_secret(&value.to_string_lossy()),
            "{variable} must not hold a secret, and it looks like a token, webhook or key (not shown): set the variable for it, \
             see `runner-monitor settings`"
        );
    }
    Ok(())
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    parse_within(text, Duration::from_secs(10)..=Duration::from_secs(3_600), "10s to 1h, for example 5m")
}

fn parse_watch(text: &str) -> Result<Duration, String> {
    parse_within(text, Duration::from_secs(1)..=Duration::from_secs(3_600), "1s to 1h, for example 5s")
}

fn parse_mute(text: &str) -> Result<Duration, String> {
    parse_within(text, MUTE_LENGTHS, "1m to 30d, for example 2h")
}

fn parse_pending_limit(text: &str) -> Result<Duration, String> {
    parse_within(text, PENDING_LIMITS, "10s to 24h, for example 15m")
}

/// Parses a duration within a range, which `allowed` describes together with an example.
fn parse_within(text: &str, range: RangeInclusive<Duration>, allowed: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    if range.contains(&duration) { Ok(duration) } else { Err(format!("must be a duration from {allowed}")) }
}

fn parse_fail_on(text: &str) -> Result<FailOn, String> {
    const FORM: &str = "must be version-ends=DURATION, for example version-ends=14d";
    let ahead = text.strip_prefix("version-ends=").ok_or(FORM)?;
    parse_duration(ahead).map(FailOn::VersionEnds).map_err(|error| format!("{FORM}; the duration {error}"))
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let variable = [SLACK_COMMANDS, WEB].into_iter().find(|variable| is_from(variable, text));
        let place = variable.map_or_else(String::new, |variable| format!("it is set by {variable}; "));
        format!("{place}must be an address and a port, for example 127.0.0.1:8099")
    })
}

/// Parses a host name, or the address of the page under it.
fn parse_web_host(text: &str) -> Result<WebHost, String> {
    let text = text.trim();
    let address = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let is_bare = |url: &reqwest::Url| {
        let has_user = !url.username().is_empty() || url.password().is_some();
        url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !has_user
    };
    let url = reqwest::Url::parse(&address).ok().filter(|url| matches!(url.scheme(), "https" | "http") && is_bare(url));
    let named = url.as_ref().and_then(|url| Some((url.host_str()?, url.as_str().trim_end_matches('/'))));
    let (name, address) = named.ok_or(
        "must be a host name, for example runners.example.com, or the page's address without a path, for example \
         http://runners.example.com:8080",
    )?;
    let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(WebHost { name, address: address.to_owned() })
}

fn whole_number(text: &str, range: RangeInclusive<u32>, example: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        format!("must be a whole number from {} to {}, for example {example}", range.start(), range.end())
    })
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
    fn a_host_of_the_page_is_a_name_or_an_address_without_a_path() {
        let read = |text: &str| parse_web_host(text).map(|host| (host.name, host.address));
        let is = |name: &str, address: &str| Ok((name.to_owned(), address.to_owned()));
        assert_eq!(read("Runners.example.com"), is("runners.example.com", "https://runners.example.com"));
        assert_eq!(read("runners.example.com:8443"), is("runners.example.com", "https://runners.example.com:8443"));
        assert_eq!(read("https://runners.example.com/"), is("runners.example.com", "https://runners.example.com"));
        assert_eq!(read("http://127.0.0.1:8080"), is("127.0.0.1", "http://127.0.0.1:8080"));
        assert_eq!(read(" [::1]:8080"), is("::1", "https://[::1]:8080"));
        for text in ["", "a b", "https://", "ftp://a", "a/b", "a?b", "https://user@a", "https://a/|x", "a>b", "a|b"] {
            assert!(read(text).is_err_and(|fault| fault.contains("runners.example.com")), "{text}");
        }
        let secure = ["a", "https://a", "http://a"].map(|text| parse_web_host(text).unwrap().is_https());
        assert_eq!(secure, [true, true, false]);
    }

    #[test]
    fn a_service_is_a_file_only_if_written_as_a_path() {
        let of = |store: &str| StoreArgument { store: Some(PathBuf::from(store)) }.service();
        assert_eq!(of("stately"), Some(StoreChoice::StatelyDb));
        assert_eq!(of("dynamodb"), Some(StoreChoice::DynamoDb));
        for file in ["./stately", "stately.db", "Stately", "stately/", "./dynamodb", "DynamoDB"] {
            assert_eq!(of(file), None, "{file}");
        }
        assert_eq!(StoreArgument { store: None }.service(), None);
    }

    #[test]
    fn the_default_store_path_is_never_the_working_directory() {
        let of = |given: Option<&str>, home: &str, state: &str| {
            let variable = |name: &str| Some(OsString::from(if name == "HOME" { home } else { state }));
            place_of_store(given.map(Path::new), variable).map_err(|error| error.to_string())
        };
        let default = Ok(PathBuf::from("/home/me/.local/state/runner-monitor/store.db"));
        assert_eq!(of(None, "/home/me", ""), default);
        assert_eq!(of(Some(""), "/home/me", "relative"), default);
        assert_eq!(of(None, "", "/state"), Ok(PathBuf::from("/state/runner-monitor/store.db")));
        assert_eq!(of(Some("x.db"), "", ""), Ok(PathBuf::from("x.db")));
        let error = of(None, "", "").unwrap_err();
        assert!(error.starts_with("HOME is not set") && error.contains("--store FILE"), "{error}");
        for address in [":memory:", "file:x.db", "sqlite://x.db", "file:///x.db"] {
            assert!(parse_store(address.into()).unwrap_err().starts_with("must be the path of a file"), "{address}");
        }
        for path in ["./:memory:", "./file:x.db", "x.db", "/a b/c"] {
            assert_eq!(parse_store(path.into()), Ok(PathBuf::from(path)));
        }
    }

    #[test]
    fn a_selection_names_targets_runners_or_both() {
        let of = |arguments: &[&str]| {
            let arguments = [&["runner-monitor", "history"], arguments].concat();
            let Command::History(history) = Arguments::try_parse_from(arguments).unwrap().command else { panic!() };
            history.selection
        };
        let [web, api]: [Target; 2] = ["acme/web", "acme/api"].map(|name| name.parse().unwrap());
        for (arguments, expected) in [
            (&[][..], [true, true, true, true]),
            (&["acme/web"], [true, true, false, true]),
            (&["https://github.com/acme/web"], [true, true, false, true]),
            (&["build-*"], [true, true, true, false]),
            (&["BUILD-1"], [true, false, false, false]),
            (&["build-2", "acme/api"], [false, true, true, false]),
            (&["--target", "acme/web", "--runner", "build-*"], [true, true, false, false]),
            (&["--target", "acme/*"], [true, true, true, true]),
        ] {
            let selection = of(arguments);
            let covers = |target: &Target, runner: &str| selection.covers(target, Some(runner));
            let found =
                [covers(&web, "build-1"), covers(&web, "build-2"), covers(&api, "build-3"), covers(&web, "gpu")];
            assert_eq!(found, expected, "{arguments:?}");
        }
        assert!(of(&["build-1"]).is_by_runner() && !of(&["acme/web"]).is_by_runner());
    }

    #[test]
    fn the_page_lists_the_same_exit_codes_as_the_help() {
        assert!(include_str!("../../docs/RUNNING.md").contains(EXIT_CODES), "{EXIT_CODES}");
    }

    #[test]
    fn intervals_have_a_unit_and_a_range() {
        assert_eq!(parse_interval("10s"), Ok(Duration::from_secs(10)));
        for bad in ["5s", "2h", "5", "soon"] {
            assert!(parse_interval(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_reason_to_fail_is_a_name_with_a_time() {
        assert_eq!(parse_fail_on("version-ends=14d"), Ok(FailOn::VersionEnds(Duration::from_secs(14 * 86_400))));
        for bad in ["version-ends", "version-ends=", "version-ends=14", "versions=14d", ""] {
            assert!(parse_fail_on(bad).is_err_and(|error| error.contains("version-ends=14d")), "{bad}");
        }
    }

    #[test]
    fn the_pending_limit_has_a_range_and_the_default_of_the_domain() {
        let default = Arguments::try_parse_from(["runner-monitor", "run"]).unwrap();
        let Command::Run(run) = default.command else { panic!("not run") };
        assert_eq!(run.pending_limit, monitor_domain::cycle::DEFAULT_PENDING_LIMIT);
        assert_eq!(parse_pending_limit("24h"), Ok(Duration::from_secs(86_400)));
        for bad in ["9s", "25h", "15", ""] {
            assert!(parse_pending_limit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_have_a_range() {
        assert_eq!((whole_number("1", 1..=300, 75), whole_number("300", 1..=300, 75)), (Ok(1), Ok(300)));
        for bad in ["0", "301", "-1", "1.5", "abc", "", "99999999999"] {
            let expected = "must be a whole number from 1 to 300, for example 75";
            assert_eq!(whole_number(bad, 1..=300, 75).unwrap_err(), expected, "{bad}");
        }
    }
}
