//! The program as a process, with a fake GitHub, a fake Slack and a dead-man's switch that counts its heartbeats.

use std::path::PathBuf;
use std::time::Duration;

use monitor_e2e::{LONG, Running, Switch, TOKEN, after, fleet, until};
use tokio::process::Command;
use tokio::time::Instant;

use super::front::Front;

/// The shortest interval that the program accepts.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);
/// After this long without a heartbeat a dead-man's switch fires: two intervals, plus time for a busy machine.
pub(crate) const SILENCE: Duration = Duration::from_secs(23);
/// One failed check opens an outage, so that every check has an effect.
const POLICY: &str = r#"{"failureThreshold":1,"successThreshold":1,"recheckInterval":"10s","unreachableAfter":"1m"}"#;

/// How a world differs from the default.
#[derive(Default)]
pub(crate) struct Options {
    /// What to monitor; if empty, all repositories of the fleet.
    pub(crate) repositories: Vec<String>,
    /// The number of repositories; three by default.
    pub(crate) fleet: Option<usize>,
    /// Requests per hour; GitHub's own limit by default.
    pub(crate) hourly_limit: Option<u64>,
    /// Additional arguments of `run`.
    pub(crate) arguments: Vec<&'static str>,
    /// Additional environment variables.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// Shell commands to run before the program starts.
    pub(crate) prelude: &'static str,
    /// A policy that replaces the default one.
    pub(crate) policy: Option<&'static str>,
    /// Whether GitHub is reached over TLS and HTTP/2.
    pub(crate) with_front: bool,
}

pub(crate) struct World {
    pub(crate) fakes: monitor_e2e::World,
    pub(crate) running: Running,
    /// The TLS proxy, if the options request it.
    pub(crate) front: Option<Front>,
    switch: Switch,
}

impl World {
    /// Starts the program.
    pub(crate) async fn start(options: Options) -> Self {
        let count = options.fleet.unwrap_or(3);
        let mut state = fleet(count, 2);
        state.add_target("orgs/empty");
        if let Some(limit) = options.hourly_limit {
            state.set_hourly_limit(TOKEN, limit);
        }
        let mut fakes = monitor_e2e::World::of(state, count, options.policy.unwrap_or(POLICY)).await;
        if !options.repositories.is_empty() {
            fakes.repositories = options.repositories;
        }
        let switch = Switch::start().await;
        let mut command = fakes.command(&[&["run", "--every", "10s"], &*options.arguments].concat());
        command.env("HEARTBEAT_URL", switch.url());
        let mut front = None;
        if options.with_front {
            let started = Front::start(fakes.github.base_url(), fakes.folder.path()).await;
            command.env("GITHUB_API_URL", &started.url).env("SSL_CERT_FILE", &started.certificate);
            front = Some(started);
        }
        if !options.prelude.is_empty() {
            command = after(options.prelude, &command);
        }
        command.envs(options.variables);
        let running = Running::start(command).expect("the program starts");
        Self { fakes, running, front, switch }
    }

    /// Starts the program and waits for its first heartbeat and message: it works, and nothing is pending.
    pub(crate) async fn start_well(options: Options) -> Self {
        let this = Self::start(options).await;
        this.beats(1).await;
        // The message about the start of monitoring.
        this.fakes.slack.wait_for_messages(1, LONG).await.expect("a first message");
        this
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.fakes.store.clone()
    }

    /// Waits for this many more heartbeats.
    pub(crate) async fn beats(&self, more: usize) {
        let before = self.switch.count();
        self.until("a heartbeat", || self.switch.count() >= before + more).await;
    }

    /// Waits until the heartbeat has stopped.
    pub(crate) async fn falls_silent(&self) {
        let began = Instant::now();
        let quiet_since = || self.switch.last().map_or(began, |last| last.max(began));
        self.until("silence", || quiet_since().elapsed() >= SILENCE).await;
    }

    /// Asserts that the heartbeat continues without a gap that would fire a dead-man's switch.
    pub(crate) async fn stays_well_for(&self, duration: Duration) {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            let last = self.switch.last().expect("a heartbeat");
            assert!(last.elapsed() < SILENCE, "no heartbeat for {:?}:\n{}", last.elapsed(), self.running.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The number of heartbeats so far.
    pub(crate) fn heartbeats(&self) -> usize {
        self.switch.count()
    }

    /// Waits for a message that contains this text, among those from number `from` on.
    pub(crate) async fn says(&self, text: &str, from: usize) {
        let said = || self.fakes.slack.messages().iter().skip(from).any(|message| message.text().contains(text));
        self.until(text, said).await;
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.fakes.slack.messages().iter().map(|message| message.text().to_owned()).collect()
    }

    pub(crate) fn set(&self, target: &str, status: &str) {
        self.fakes.set(target, status);
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        until(is_so, || format!("no {what}; in Slack: {:?}\n{}", self.texts(), self.running.log())).await;
    }

    /// Sets a soft limit of the running program with `prlimit`, for example `--nofile=10:`. It can be raised again.
    pub(crate) async fn limit(&self, limit: &str) {
        let pid = self.running.pid().to_string();
        let set = Command::new("prlimit").args(["--pid", &pid, limit]).status().await.expect("prlimit of util-linux");
        assert!(set.success(), "{limit}");
    }

    /// Stops the program with SIGTERM: it must exit with 0 within the time that a supervisor waits.
    pub(crate) async fn stops_in_time(self) -> String {
        self.running.stops_in_time("-TERM").await
    }
}
