//! `runner-monitor config`: what is set, where, and whether it is sound. `runner-monitor settings`: what can be set.

use monitor_config::{Setting, help_text, json_schema, program_reference, reference};
use monitor_domain::quote::shown;
use monitor_domain::time::spoken_duration;
use monitor_web::text::counted;
use serde_json::json;

use crate::Outcome;
use crate::args::{Config, ConfigCommand, Run, SOURCES};
use crate::commands::run::heartbeat_url;
use crate::config_file;
use crate::out;
use crate::setup;
use crate::table::{Give, Row, Screen, Tone, table, wrapped};

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

/// Reads everything that `run` would read.
fn check() -> anyhow::Result<Outcome> {
    let run = Run::of_settings()?;
    let settings = setup::settings(&run.host_options())?;
    let heartbeat = run.heartbeat_text()?;
    if let Some(url) = &heartbeat {
        heartbeat_url(url.expose(), run.heartbeat_source(), &settings)?;
    }
    settings.misspelt.iter().for_each(|misspelt| out::warn(misspelt));
    config_file::exposure().iter().for_each(|exposure| out::warn(exposure));
    let file = match config_file::in_use() {
        Some(file) => format!("The configuration is valid: {} and the environment.", file.path().display()),
        None => "The configuration is valid. It comes from the environment alone.".to_owned(),
    };
    let slack = if settings.slack.is_some() { "Slack" } else { "the console, as Slack is not set" };
    let heartbeat = if heartbeat.is_some() { "with a heartbeat" } else { "without a heartbeat" };
    out::print(format_args!(
        "{file}\n{} in the target list, GitHub at {}, checks every {}, alerts to {slack}, {heartbeat}, store {}\n\
         Nothing was asked for: `runner-monitor doctor` tries it.\n",
        counted(settings.targets.len(), "line"),
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
    let variable = std::env::var_os(setting.name).map(|value| value.to_string_lossy().trim().to_owned());
    let (value, origin) = match variable.filter(|value| !value.is_empty()) {
        Some(value) => (Some(value), "environment"),
        None => match config_file::in_use().and_then(|file| file.value(setting.name)) {
            Some(value) => (Some(value.to_owned()), "file"),
            None => (setting.default.map(str::to_owned), if setting.default.is_some() { "default" } else { "not set" }),
        },
    };
    let value = value.map(|value| match setting.secret {
        true if value.starts_with("@/") => shown(&value, 200),
        true => "(set, not shown)".to_owned(),
        false => shown(&value, 2_000),
    });
    Shown { setting, value, origin: origin.to_owned() }
}
