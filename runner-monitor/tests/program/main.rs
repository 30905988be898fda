//! The program as its operator runs it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ahead;
mod codes;
mod config;
mod health;
mod hints;
mod lists;
mod network;
mod output;
mod overrides;
mod page;
mod prompt;
mod readme;
mod secrets;
mod stately;

use std::process::{Command, Output, Stdio};

use monitor_fakes::FakeGitHub;
use monitor_fakes::github::{RunnerSpec, State};

/// A GitHub with one idle and one offline runner, and a folder for the store.
struct Bench {
    github: FakeGitHub,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let mut github = State::new();
        github.add_token("token");
        github.add_target("acme/web");
        for name in ["build-0", "build-1"] {
            github.add_runner("acme/web", RunnerSpec::new(name));
        }
        let runner = github.runners("acme/web")[0].id;
        github.set_runner("acme/web", runner, "offline", false);
        Self::of(github).await
    }

    async fn of(github: State) -> Self {
        let github = FakeGitHub::start_with(github, 0, monitor_fakes::wall_clock_ms).await.unwrap();
        Self { github, folder: tempfile::tempdir().unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runner-monitor"));
        command.env_clear().args(arguments).stdin(Stdio::null()).stderr(Stdio::piped());
        command.env("GITHUB_TOKEN", "token").env("GITHUB_API_URL", self.github.base_url()).env("REPOS", "acme/web");
        command.env("POLICY", r#"{"failureThreshold":1}"#).env("TZ", "UTC");
        command.env("RUNNER_MONITOR_STORE", self.folder.path().join("store.db"));
        command
    }

    /// Runs the program with additional variables; an empty one counts as not set.
    async fn output(&self, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        let Output { status, stdout, stderr } =
            tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
        (status.code(), stdout, stderr)
    }

    /// Runs `check` with additional variables; returns its exit code and all that it printed.
    async fn check(&self, variables: &[(&str, &str)]) -> (Option<i32>, String) {
        let (code, stdout, stderr) = self.output(&["check"], variables).await;
        (code, stdout + &stderr)
    }

    /// Runs the program; returns its exit code and its standard error.
    async fn run(&self, arguments: &[&str], stdout: impl Into<Stdio>) -> (Option<i32>, String) {
        let mut command = self.command(arguments);
        command.stdout(stdout);
        let Output { status, stderr, .. } =
            tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        (status.code(), String::from_utf8(stderr).unwrap())
    }
}
