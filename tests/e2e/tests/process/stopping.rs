//! A signal ends `runner-monitor run` in every state, within 8 s: the unit files let a supervisor wait that long.

use std::io::{PipeReader, Write as _};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use monitor_e2e::{Setting, fleet, repository};
use monitor_fakes::{FakeGitHub, wall_clock_ms};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(90);
/// The time that the README and the unit files promise.
const STOPS_WITHIN: Duration = Duration::from_secs(8);

struct Program {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Program {
    /// Starts it with no signal ignored: of tests that run in the background, it would inherit an ignored SIGINT.
    fn start(github_url: String, repositories: usize, change: impl FnOnce(&mut Command)) -> Self {
        Self::start_under(&["env", "--default-signal=HUP,INT"], github_url, repositories, change)
    }

    fn start_under(
        launcher: &[&str],
        github_url: String,
        repositories: usize,
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().join("store.db");
        let repositories = (0..repositories).map(repository).collect();
        let setting = Setting { github_url, webhook: None, repositories, policy: "{}", store: &store };
        let command = setting.command(&["run", "--every", "5m"]).expect("the program is built");
        let command = command.as_std();
        let mut launched = Command::new(launcher[0]);
        launched.args(&launcher[1..]).arg(command.get_program()).args(command.get_args()).env_clear();
        launched.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        launched.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        launched.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        change(&mut launched);
        Self { child: launched.spawn().expect("it starts"), _folder: folder }
    }

    fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Waits until the program handles SIGTERM itself.
    async fn listens(&self) {
        let path = format!("/proc/{}/status", self.pid());
        until("it handles SIGTERM", || {
            let status = std::fs::read_to_string(&path).expect("it runs");
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a mask");
            u64::from_str_radix(mask.trim(), 16).expect("a number") >> 14 & 1 == 1
        })
        .await;
    }

    async fn send(&self, signal: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.expect("kill").success());
    }

    /// Waits for its end. Returns the exit status, how long that took, and its log if it is piped.
    async fn ended(mut self) -> (ExitStatus, Duration, String) {
        let began = Instant::now();
        let mut log = String::new();
        let reading = async {
            if let Some(mut stderr) = self.child.stderr.take() {
                stderr.read_to_string(&mut log).await.expect("text");
            }
            self.child.wait().await.expect("an ending")
        };
        let status = tokio::time::timeout(LONG, reading).await.expect("it ends");
        (status, began.elapsed(), log)
    }

    async fn stops_in_time(self, signal: &str) -> String {
        self.send(signal).await;
        let (status, took, log) = self.ended().await;
        assert!(took < STOPS_WITHIN, "{took:?}\n{log}");
        assert_eq!(status.code(), Some(0), "{log}");
        log
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A GitHub that accepts every request and answers none; returns its address and its number of connections.
async fn hanging_github() -> (String, tokio::sync::watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (count, counted) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
            let _ = count.send(held.len());
        }
    });
    (url, counted)
}

#[tokio::test]
async fn with_1500_repositories_at_900_requests_a_minute() {
    let mut state = fleet(1_500, 1);
    state.limits.points_per_minute = u64::MAX;
    let github = FakeGitHub::start_with(state, 0, wall_clock_ms).await.expect("a free port");
    let program = Program::start(github.base_url(), 1_500, |command| {
        command.env("GITHUB_REQUESTS_PER_MINUTE", "900");
    });
    until("the minute is used up", || github.state().counters().requests >= 900).await;
    let log = program.stops_in_time("-TERM").await;
    assert!(log.contains("stopping") && log.lines().last().is_some_and(|line| line.contains("stopped")), "{log}");
}

#[tokio::test]
async fn while_github_answers_nothing_and_for_sighup_and_sigint_too() {
    for signal in ["-TERM", "-HUP", "-INT"] {
        let (url, mut connections) = hanging_github().await;
        let program = Program::start(url, 3, |_| {});
        connections.wait_for(|count| *count > 0).await.expect("a request");
        let log = program.stops_in_time(signal).await;
        assert!(log.contains(&format!("SIG{}", &signal[1..])) && log.contains("stopped"), "{log}");
    }
}

#[tokio::test]
async fn at_once_at_the_second_signal() {
    let (url, mut connections) = hanging_github().await;
    let program = Program::start(url, 3, |_| {});
    connections.wait_for(|count| *count > 0).await.expect("a request");
    program.send("-TERM").await;
    // The kernel merges two pending signals of the same kind, so the second one is of another kind.
    program.send("-INT").await;
    let (status, took, log) = program.ended().await;
    assert!(took < Duration::from_secs(2), "{took:?}\n{log}");
    assert!(matches!(status.code(), Some(130 | 143)), "{status}\n{log}");
    assert!(log.contains("stopped at the second signal"), "{log}");
}

#[tokio::test]
async fn while_another_process_holds_the_store() {
    let (url, _) = hanging_github().await;
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store.db");
    drop(monitor_embedded::store::EmbeddedStore::open(&store).expect("a store"));
    let holder = rusqlite::Connection::open(&store).expect("the store");
    holder.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let mut program = Program::start(url, 3, |command| {
        command.env("RUNNER_MONITOR_STORE", &store);
    });
    // The lock has an effect: a tick has waited for it and failed.
    let mut log = tokio::io::BufReader::new(program.child.stderr.take().expect("a log")).lines();
    let failed = async { while !log.next_line().await.expect("text").expect("it runs").contains("the tick failed") {} };
    tokio::time::timeout(LONG, failed).await.expect("the store is locked");
    program.stops_in_time("-TERM").await;
    holder.execute_batch("ROLLBACK").expect("it was held all the time");
}

#[tokio::test]
async fn while_nobody_reads_its_log() {
    let (url, _) = hanging_github().await;
    let (unread, mut full): (PipeReader, _) = std::io::pipe().expect("a pipe");
    full.write_all(&[b'\n'; 65_536]).expect("as much as a pipe holds");
    let program = Program::start(url, 3, |command| {
        command.stderr(full);
    });
    program.listens().await;
    program.stops_in_time("-TERM").await;
    drop(unread);
}

#[tokio::test]
async fn not_by_a_sighup_that_nohup_ignores() {
    let (url, mut connections) = hanging_github().await;
    let program = Program::start_under(&["env", "--default-signal=INT", "nohup"], url, 3, |_| {});
    connections.wait_for(|count| *count > 0).await.expect("a request");
    program.send("-HUP").await;
    let log = program.stops_in_time("-TERM").await;
    assert!(log.contains("SIGTERM") && !log.contains("SIGHUP") && !log.contains("second"), "{log}");
}
