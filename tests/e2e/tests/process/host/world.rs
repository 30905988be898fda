//! The program as a process of its own, with a fake GitHub, a fake Slack and a dead-man's switch that counts its heartbeats.

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

/// The shortest interval that the program takes.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);
/// Without a heartbeat for so long a dead-man's switch goes off: two intervals and time for a busy machine.
pub(crate) const SILENCE: Duration = Duration::from_secs(23);
/// How long anything that must happen may take.
pub(crate) const LONG: Duration = Duration::from_secs(90);
/// What a supervisor waits after SIGTERM, with 2 s left before Docker kills.
const STOPS_WITHIN: Duration = Duration::from_secs(8);
/// One bad reading is an outage: every check decides.
const POLICY: &str = r#"{"failureThreshold":1,"successThreshold":1,"recheckInterval":"10s","unreachableAfter":"1m"}"#;

/// A dead-man's switch.
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

    /// Answers one request after the other, so that the connection outlives a lack of descriptors.
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

/// How a world differs from the ordinary one.
#[derive(Default)]
pub(crate) struct Options {
    /// What is monitored; without any, the three repositories that there are.
    pub(crate) repositories: Vec<String>,
    /// How many repositories there are; without any, three.
    pub(crate) fleet: Option<usize>,
    /// Requests an hour; without any, GitHub's own limit.
    pub(crate) hourly_limit: Option<u64>,
    /// Further arguments of `run`.
    pub(crate) arguments: Vec<&'static str>,
    /// Further variables.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// What a shell does before it becomes the program.
    pub(crate) prelude: &'static str,
    /// Another policy.
    pub(crate) policy: Option<&'static str>,
    /// GitHub over TLS and HTTP/2.
    pub(crate) with_front: bool,
}

pub(crate) struct World {
    pub(crate) github: FakeGitHub,
    pub(crate) slack: FakeSlack,
    pub(crate) running: Running,
    /// Where the options ask for it.
    pub(crate) front: Option<Front>,
    switch: Switch,
    folder: tempfile::TempDir,
}

impl World {
    /// The program just started.
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

    /// The program after its first heartbeats: it is well, and nothing is pending.
    pub(crate) async fn start_well(options: Options) -> Self {
        let this = Self::start(options).await;
        this.beats(1).await;
        // What monitoring starts with.
        this.slack.wait_for_messages(1, LONG).await.expect("a first message");
        this
    }

    pub(crate) fn store(&self) -> PathBuf {
        store_in(self.folder.path())
    }

    /// Waits for so many more heartbeats.
    pub(crate) async fn beats(&self, more: usize) {
        let before = self.switch.beats().len();
        self.until("a heartbeat", || self.switch.beats().len() >= before + more).await;
    }

    /// Waits until the heartbeat has stopped; `trouble` has begun.
    pub(crate) async fn falls_silent(&self) {
        let began = Instant::now();
        let quiet_since = || self.switch.beats().last().copied().map_or(began, |last| last.max(began));
        self.until("silence", || quiet_since().elapsed() >= SILENCE).await;
    }

    /// Asserts that the heartbeat goes on without a gap that a dead-man's switch would notice.
    pub(crate) async fn stays_well_for(&self, duration: Duration) {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            let last = self.switch.beats().last().copied().expect("a heartbeat");
            assert!(last.elapsed() < SILENCE, "no heartbeat for {:?}:\n{}", last.elapsed(), self.running.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// How many heartbeats there were.
    pub(crate) fn heartbeats(&self) -> usize {
        self.switch.beats().len()
    }

    /// Waits for a message with these words, among those from number `from` on.
    pub(crate) async fn says(&self, text: &str, from: usize) {
        let said = || self.slack.messages().iter().skip(from).any(|message| message.text().contains(text));
        self.until(text, said).await;
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.slack.messages().iter().map(|message| message.text().to_owned()).collect()
    }

    /// Takes the first runner of a repository offline, or brings it back.
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

    /// Sets a limit of the running program by `prlimit`, as in `--nofile=10`; a soft one, so that it can be lifted again.
    pub(crate) async fn limit(&self, limit: &str) {
        let pid = self.running.pid().to_string();
        let set = Command::new("prlimit").args(["--pid", &pid, limit]).status().await.expect("prlimit of util-linux");
        assert!(set.success(), "{limit}");
    }

    /// Ends the program by SIGTERM, whatever its trouble: within what a supervisor waits, with exit code 0.
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

/// The same command, after a shell has done something.
fn after(prelude: &str, command: &Command) -> Command {
    let command = command.as_std();
    let mut shell = Command::new("/bin/sh");
    shell.env_clear().arg("-c").arg(format!("{prelude}; exec \"$0\" \"$@\"")).arg(command.get_program());
    shell.args(command.get_args());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.kill_on_drop(true).stdin(std::process::Stdio::null());
    shell
}
