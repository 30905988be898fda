//! The program as a process, with a fake GitHub, a fake Slack and a dead-man's switch that counts its heartbeats.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use monitor_e2e::{Running, Setting, TOKEN, fleet};
use monitor_fakes::{FakeGitHub, FakeSlack, wall_clock_ms};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::Instant;

use super::front::Front;

/// The shortest interval that the program accepts.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);
/// After this long without a heartbeat a dead-man's switch fires: two intervals, plus time for a busy machine.
pub(crate) const SILENCE: Duration = Duration::from_secs(23);
/// The time limit for everything that must happen.
pub(crate) const LONG: Duration = Duration::from_secs(90);
/// How long a supervisor waits after SIGTERM: 2 s less than Docker.
const STOPS_WITHIN: Duration = Duration::from_secs(8);
/// One failed check opens an outage, so that every check has an effect.
const POLICY: &str = r#"{"failureThreshold":1,"successThreshold":1,"recheckInterval":"10s","unreachableAfter":"1m"}"#;

/// A dead-man's switch, with the times of its heartbeats.
#[derive(Clone, Default)]
struct Switch(Arc<Mutex<Vec<Instant>>>);

impl Switch {
    async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/ping", listener.local_addr().expect("an address"));
        let this = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(this.clone().serve(stream));
            }
        });
        url
    }

    /// Answers all requests on one connection, so that heartbeats need no new descriptor.
    async fn serve(self, mut stream: TcpStream) {
        let mut request = Vec::new();
        while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
            if request.ends_with(b"\r\n\r\n") {
                self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
                request.clear();
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    }

    fn beats(&self) -> Vec<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

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
    pub(crate) github: FakeGitHub,
    pub(crate) slack: FakeSlack,
    pub(crate) running: Running,
    /// The TLS proxy, if the options request it.
    pub(crate) front: Option<Front>,
    switch: Switch,
    folder: tempfile::TempDir,
}

impl World {
    /// Starts the program.
    pub(crate) async fn start(options: Options) -> Self {
        let count = options.fleet.unwrap_or(3);
        let mut state = fleet(count, 2);
        state.limits.points_per_minute = u64::MAX;
        state.add_target("orgs/empty");
        if let Some(limit) = options.hourly_limit {
            state.set_hourly_limit(TOKEN, limit);
        }
        let github = FakeGitHub::start_with(state, 0, wall_clock_ms).await.expect("a free port");
        let slack = FakeSlack::start().await.expect("a free port");
        let (folder, switch) = (tempfile::tempdir().expect("a folder"), Switch::default());
        let heartbeat = switch.listen().await;
        let repositories = match options.repositories.is_empty() {
            true => (0..count).map(monitor_e2e::repository).collect(),
            false => options.repositories,
        };
        let front = match options.with_front {
            true => Some(Front::start(github.base_url(), folder.path()).await),
            false => None,
        };
        let setting = Setting {
            github_url: front.as_ref().map_or_else(|| github.base_url(), |front| front.url.clone()),
            webhook: Some(slack.webhook_url()),
            repositories,
            policy: options.policy.unwrap_or(POLICY),
            store: &store_in(folder.path()),
        };
        let mut arguments = vec!["run", "--every", "10s"];
        arguments.extend(options.arguments);
        let mut command = setting.command(&arguments).expect("the program is built");
        command.env("HEARTBEAT_URL", heartbeat);
        if let Some(front) = &front {
            command.env("SSL_CERT_FILE", &front.certificate);
        }
        if !options.prelude.is_empty() {
            command = after(options.prelude, &command);
        }
        command.envs(options.variables);
        let running = Running::start(command).expect("the program starts");
        Self { github, slack, running, front, switch, folder }
    }

    /// Starts the program and waits for its first heartbeat and message: it works, and nothing is pending.
    pub(crate) async fn start_well(options: Options) -> Self {
        let this = Self::start(options).await;
        this.beats(1).await;
        // The message about the start of monitoring.
        this.slack.wait_for_messages(1, LONG).await.expect("a first message");
        this
    }

    pub(crate) fn store(&self) -> PathBuf {
        store_in(self.folder.path())
    }

    /// Waits for this many more heartbeats.
    pub(crate) async fn beats(&self, more: usize) {
        let before = self.switch.beats().len();
        self.until("a heartbeat", || self.switch.beats().len() >= before + more).await;
    }

    /// Waits until the heartbeat has stopped.
    pub(crate) async fn falls_silent(&self) {
        let began = Instant::now();
        let quiet_since = || self.switch.beats().last().copied().map_or(began, |last| last.max(began));
        self.until("silence", || quiet_since().elapsed() >= SILENCE).await;
    }

    /// Asserts that the heartbeat continues without a gap that would fire a dead-man's switch.
    pub(crate) async fn stays_well_for(&self, duration: Duration) {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            let last = self.switch.beats().last().copied().expect("a heartbeat");
            assert!(last.elapsed() < SILENCE, "no heartbeat for {:?}:\n{}", last.elapsed(), self.running.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The number of heartbeats so far.
    pub(crate) fn heartbeats(&self) -> usize {
        self.switch.beats().len()
    }

    /// Waits for a message that contains this text, among those from number `from` on.
    pub(crate) async fn says(&self, text: &str, from: usize) {
        let said = || self.slack.messages().iter().skip(from).any(|message| message.text().contains(text));
        self.until(text, said).await;
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.slack.messages().iter().map(|message| message.text().to_owned()).collect()
    }

    /// Sets the status of the first runner of a repository.
    pub(crate) fn set(&self, target: &str, status: &str) {
        let mut github = self.github.state();
        let id = github.runners(target)[0].id;
        github.set_runner(target, id, status, false);
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + LONG;
        while !is_so() {
            assert!(
                Instant::now() < deadline,
                "no {what} within {LONG:?}; in Slack: {:?}\n{}",
                self.texts(),
                self.running.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sets a soft limit of the running program with `prlimit`, for example `--nofile=10:`. It can be raised again.
    pub(crate) async fn limit(&self, limit: &str) {
        let pid = self.running.pid().to_string();
        let set = Command::new("prlimit").args(["--pid", &pid, limit]).status().await.expect("prlimit of util-linux");
        assert!(set.success(), "{limit}");
    }

    /// Stops the program with SIGTERM: it must exit with 0 within the time that a supervisor waits.
    pub(crate) async fn stops_in_time(self) -> String {
        let began = Instant::now();
        let log = self.running.stop().await;
        assert!(began.elapsed() < STOPS_WITHIN, "it took {:?} to end:\n{log}", began.elapsed());
        log
    }
}

fn store_in(folder: &Path) -> PathBuf {
    folder.join("store.db")
}

/// The same command, started by a shell that first runs other commands.
fn after(prelude: &str, command: &Command) -> Command {
    let command = command.as_std();
    let mut shell = Command::new("/bin/sh");
    shell.env_clear().arg("-c").arg(format!("{prelude}; exec \"$0\" \"$@\"")).arg(command.get_program());
    shell.args(command.get_args());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.kill_on_drop(true).stdin(std::process::Stdio::null());
    shell
}
