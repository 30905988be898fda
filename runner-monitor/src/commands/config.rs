//! `runner-monitor config`: what is set, where, and whether it is sound. `runner-monitor settings`: what can be set.

use clap::{Args, Subcommand};
use monitor_config::{HostOptions, Setting, Settings, help_text, json_schema, program_reference, reference};
use monitor_domain::quote::shown;
use monitor_domain::time::spoken_duration;
use monitor_web::text::counted;
use serde_json::json;

use crate::Outcome;
use crate::commands::run::{Run, fault_of_value, heartbeat_url};
use crate::config_file;
use crate::out;
use crate::table::{Give, Row, Screen, Tone, table, wrapped};

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

/// What `runner-monitor settings` ends with.
const SOURCES: &str = "\
Each setting is an environment variable, or a line of the configuration file: its name in lower case, RUNNER_MONITOR_STORE
as store, and the policy as the table [policy]. The environment takes precedence. `runner-monitor init` writes such a file.
A [secret] may also be in a file of its own, for example GITHUB_TOKEN=@/run/secrets/github-token
For logs: LOG (a level, such as debug, or info,monitor_github=debug) and NO_COLOR.
";

pub(crate) async fn run(arguments: &Config) -> anyhow::Result<Outcome> {
    match arguments.command {
        ConfigCommand::Check => check(),
        ConfigCommand::Show { all, json } => show(all, json),
        ConfigCommand::Schema => {
            out::print(format_args!("{:#}\n", json_schema()))?;
            Ok(Outcome::Healthy)
        }
    }
}

/// Lists every setting.
pub(crate) fn list() -> anyhow::Result<Outcome> {
    let (shared, own) = (help_text(reference()), help_text(program_reference()));
    out::print(format_args!("{shared}\nOf this program, and also arguments:\n{own}\n{SOURCES}"))?;
    Ok(Outcome::Healthy)
}

/// Reads everything that `run` would read, and reports every fault.
fn check() -> anyhow::Result<Outcome> {
    let mut faults = config_file::faults_of_variables(fault_of_value);
    // A wrong variable of an argument is reported by its name, and the rest is read without it.
    let run = if faults.is_empty() { Some(Run::of_settings()?) } else { None };
    let host_options = run.as_ref().map_or_else(HostOptions::default, Run::host_options);
    let settings = match Settings::read(&config_file::source(), &host_options) {
        Ok(settings) => Some(settings),
        Err(all) => {
            faults.extend(all.0.iter().map(ToString::to_string));
            None
        }
    };
    let heartbeat = match run.as_ref().map(Run::heartbeat_text).transpose() {
        Ok(heartbeat) => heartbeat.flatten(),
        Err(fault) => {
            faults.push(fault.to_string());
            None
        }
    };
    if let (Some(run), Some(url)) = (&run, &heartbeat) {
        let allowed = settings.as_ref().map(|settings| settings.allow_http_hosts.clone()).unwrap_or_default();
        faults
            .extend(heartbeat_url(url.expose(), run.heartbeat_source(), &allowed).err().map(|fault| fault.to_string()));
    }
    if let Some(run) = &run {
        faults.extend(run.fault_of_addresses().map(|fault| fault.to_string()));
    }
    let (Some(run), Some(settings), true) = (run, settings, faults.is_empty()) else {
        let lines: String = faults.iter().map(|fault| format!("\n  {fault}")).collect();
        anyhow::bail!("{} in the configuration:{lines}", counted(faults.len(), "fault"));
    };
    settings.misspelt.iter().for_each(|misspelt| out::warn(misspelt));
    config_file::exposure().iter().for_each(|exposure| out::warn(exposure));
    let file = match config_file::in_use() {
        Some(file) => format!("The configuration is valid: {} and the environment.", file.path().display()),
        None => "The configuration is valid. It comes from the environment alone.".to_owned(),
    };
    let slack = if settings.slack.is_some() { "Slack" } else { "the console, as Slack is not set" };
    let heartbeat = if heartbeat.is_some() { "a heartbeat" } else { "no heartbeat" };
    out::print(format_args!(
        "{file}\nTargets: {}. GitHub: {}. Interval: {}. Alerts: {slack}, {heartbeat}. Store: {}.\n\
         GitHub and Slack were not contacted; `runner-monitor doctor` does that.\n",
        settings.targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        settings.github.api_url,
        spoken_duration(run.every),
        run.store.place()?,
    ))?;
    Ok(Outcome::Healthy)
}

/// One setting as it is in force.
struct Shown {
    setting: &'static Setting,
    /// The value as it may be shown; `None` if there is none.
    value: Option<String>,
    origin: String,
}

fn show(all: bool, as_json: bool) -> anyhow::Result<Outcome> {
    let settings: Vec<Shown> = reference().iter().chain(program_reference()).map(shown_setting).collect();
    let file = config_file::in_use().map(|file| file.path().display().to_string());
    if as_json {
        let list: Vec<_> = settings
            .iter()
            .map(|one| {
                let Shown { setting, value, origin } = one;
                json!({"name": setting.name, "key": setting.key(), "value": value, "origin": origin, "secret": setting.secret})
            })
            .collect();
        out::print_json(json!({"file": file, "settings": list}))?;
        return Ok(Outcome::Healthy);
    }
    let rows: Vec<Row> = settings
        .into_iter()
        .filter(|one| all || one.value.is_some())
        .map(|Shown { setting, value, origin }| {
            let tone = if ["default", "not set"].contains(&&*origin) { Tone::Faint } else { Tone::Plain };
            Row { tone, cells: vec![setting.key(), value.unwrap_or_default(), origin] }
        })
        .collect();
    let screen = Screen::of_stdout();
    let table =
        table(&["setting", "value", "from"], &rows, &[(1, Give::ShrinkTo(20)), (2, Give::ShrinkTo(12))], screen);
    let file = file.map_or_else(
        || "No configuration file is used: `runner-monitor init` writes one.".to_owned(),
        |path| format!("The file is {path}."),
    );
    out::print(format_args!("{table}{}\n", wrapped(&file, 0, screen.width)))?;
    Ok(Outcome::Healthy)
}

fn shown_setting(setting: &'static Setting) -> Shown {
    let (value, origin) = match config_file::set_variable(setting.name) {
        Some(value) => (Some(value.trim().to_owned()), "environment"),
        None => match config_file::in_use().and_then(|file| file.value(setting.name)) {
            Some(value) => (Some(value.to_owned()), "file"),
            None => (setting.default.map(str::to_owned), if setting.default.is_some() { "default" } else { "not set" }),
        },
    };
    let value = value.map(|value| match setting.secret {
        true if value.starts_with("@/") => shown(&value, 200),
        true => "(set, not shown)".to_owned(),
        false if has_password(&value) => "(not shown, it holds a password)".to_owned(),
        false => shown(&value, 2_000),
    });
    Shown { setting, value, origin: origin.to_owned() }
}

/// Whether a value is an address with a user name or password.
fn has_password(value: &str) -> bool {
    reqwest::Url::parse(value).is_ok_and(|url| !url.username().is_empty() || url.password().is_some())
}
