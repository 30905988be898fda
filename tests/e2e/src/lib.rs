#![doc = include_str!("../README.md")]

mod running;
mod world;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use monitor_fakes::github::{RunnerSpec, State};
use tokio::process::{Child, Command};

pub use running::Running;
pub use world::{
    EVERY_CHECK_COUNTS, LONG, SIGNING_SECRET, STOPS_WITHIN, Switch, World, after, dynamodb_variables, http, printed,
    signed, under, until,
};

/// The token that [`fleet`] accepts.
pub const TOKEN: &str = "e2e-token";

/// A GitHub with `targets` repositories (`acme/app-0`, …) of `runners` runners each (`app-0-runner-0`, …).
pub fn fleet(targets: usize, runners: usize) -> State {
    let mut github = State::new();
    github.add_token(TOKEN);
    for target in 0..targets {
        let name = repository(target);
        github.add_target(&name);
        for runner in 0..runners {
            github.add_runner(&name, RunnerSpec::new(&format!("app-{target}-runner-{runner}")));
        }
    }
    github
}

/// The name of a repository in [`fleet`], by its number.
pub fn repository(target: usize) -> String {
    format!("acme/app-{target}")
}

/// The path of the program under test.
pub fn program() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("RUNNER_MONITOR") {
        return Ok(path.into());
    }
    // target/PROFILE/BIN, or target/PROFILE/deps/TEST
    let own = std::env::current_exe()?;
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join("runner-monitor")).find(|path| path.exists());
    found.context("runner-monitor is not built: cargo build -p runner-monitor, with the same profile")
}

/// The settings with which the program is started.
pub struct Setting<'a> {
    /// The fake GitHub.
    pub github_url: String,
    /// The fake Slack's webhook; `None` for the console.
    pub webhook: Option<String>,
    /// The repositories to watch.
    pub repositories: Vec<String>,
    /// The policy as JSON.
    pub policy: &'a str,
    /// The store's file.
    pub store: &'a Path,
}

impl Setting<'_> {
    /// The program with its settings and no other environment variables.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(program()?);
        command.env_clear().args(arguments);
        command.env("GITHUB_TOKEN", TOKEN).env("GITHUB_API_URL", &self.github_url);
        command.env("REPOS", serde_json::to_string(&self.repositories)?).env("POLICY", self.policy);
        command.env("RUNNER_MONITOR_STORE", self.store);
        command.env("GITHUB_REQUESTS_PER_MINUTE", "off");
        if let Some(webhook) = &self.webhook {
            command.env("SLACK_WEBHOOK", webhook);
        }
        if let Some(log) = std::env::var_os("LOG") {
            command.env("LOG", log);
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        Ok(command)
    }

    /// Starts the program; its log is discarded unless LOG is set.
    pub fn start(&self, arguments: &[&str]) -> anyhow::Result<Child> {
        let mut command = self.command(arguments)?;
        command.stdout(Stdio::null());
        if std::env::var_os("LOG").is_none() {
            command.stderr(Stdio::null());
        }
        Ok(command.spawn()?)
    }
}
