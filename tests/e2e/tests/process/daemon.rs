//! `runner-monitor run` from its start to SIGTERM.

use std::path::PathBuf;
use std::time::Duration;

use monitor_e2e::{Running, Setting, fleet, repository};
use monitor_fakes::{FakeGitHub, FakeSlack, slack};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc;

/// One bad reading is an outage, one good one its end: every look decides.
const POLICY: &str = r#"{"failureThreshold":1,"successThreshold":1,"recheckInterval":"10s"}"#;
const LONG: Duration = Duration::from_secs(90);

struct Bench {
    github: FakeGitHub,
    slack: FakeSlack,
    _folder: tempfile::TempDir,
    store: PathBuf,
}

impl Bench {
    async fn new() -> Self {
        let mut state = fleet(3, 2);
        state.limits.points_per_minute = u64::MAX;
        let github = FakeGitHub::start_with(state, 0, monitor_fakes::wall_clock_ms).await.expect("a free port");
        let slack = FakeSlack::start().await.expect("a free port");
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().join("store.db");
        Self { github, slack, _folder: folder, store }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let setting = Setting {
            github_url: self.github.base_url(),
            webhook: Some(self.slack.webhook_url()),
            repositories: (0..3).map(repository).collect(),
            policy: POLICY,
            store: &self.store,
        };
        setting.command(arguments).expect("the program is built")
    }

    fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments)).expect("the program starts")
    }

    fn set(&self, target: &str, status: &str) {
        let mut github = self.github.state();
        let id = github.runners(target)[0].id;
        github.set_runner(target, id, status, false);
    }

    async fn status(&self) -> (Option<i32>, String) {
        let output = self.command(&["status"]).output().await.expect("it starts");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    async fn texts(&self, count: usize) -> Vec<String> {
        let messages = self.slack.wait_for_messages(count, LONG).await.expect("messages");
        messages.iter().map(|message| message.text().to_owned()).collect()
    }
}

#[tokio::test]
async fn an_outage_reaches_slack_and_so_does_its_end_over_a_restart_and_sigterm_ends_it_cleanly() {
    let bench = Bench::new().await;
    let mut running = bench.start(&["run", "--every", "10s"]);
    assert!(bench.texts(1).await[0].contains("3 targets"), "{:?}", bench.texts(1).await);
    // Offline at its first check, it would be told with the start of monitoring.
    running.logged("cycle complete").await;
    bench.set("acme/app-1", "offline");
    let texts = bench.texts(2).await;
    assert!(texts[1].contains("app-1-runner-0 offline"), "{texts:?}");
    let log = running.stop().await;
    assert!(log.contains("cycle complete") && log.contains("targets=3") && log.contains("stopped"), "{log}");
    let (code, status) = bench.status().await;
    assert!(code == Some(1) && !status.contains("not complete"), "{status}");

    bench.set("acme/app-1", "online");
    let running = bench.start(&["run", "--every", "10s", "--log-format", "json"]);
    let texts = bench.texts(3).await;
    assert!(texts[2].contains("app-1-runner-0") && texts[2].contains("online"), "{texts:?}");
    let log = running.stop().await;
    let cycle = log.lines().find(|line| line.contains("cycle complete")).expect("a cycle");
    let cycle: serde_json::Value = serde_json::from_str(cycle).expect("JSON");
    assert_eq!((&cycle["targets"], &cycle["runners"]), (&3.into(), &6.into()));
    assert_eq!(bench.slack.messages().len(), 3, "nothing is told twice");
}

#[tokio::test]
async fn status_says_that_nobody_monitors_any_more() {
    let bench = Bench::new().await;
    let mut running = bench.start(&["run", "--every", "10s"]);
    running.logged("cycle complete").await;
    running.stop().await;
    let store = rusqlite::Connection::open(&bench.store).expect("the store");
    let back = "UPDATE items SET body = json_set(body, '$.at', '2026-01-01T00:00:00.000Z',
                '$.nextTickAt', '2026-01-01T00:00:10.000Z') WHERE section = 'last-seen' AND subject = 'monitor'";
    assert_eq!(store.execute(back, []).expect("a tick"), 1);
    let (code, status) = bench.status().await;
    assert!(
        code == Some(2) && status.contains("Monitoring is not complete: the tick failed: the last tick was "),
        "{status}"
    );
}

#[tokio::test]
async fn a_message_that_slack_did_not_take_is_sent_later_and_once() {
    let bench = Bench::new().await;
    bench.slack.state().fault_next(slack::Fault::Answer(500, "internal_error"), 1);
    bench.slack.state().fault_next(slack::Fault::RateLimited(1), 1);
    let running = bench.start(&["run", "--every", "10s"]);
    // The 500 is tried again after 30 s, at the next tick; the 429 a second later.
    bench.texts(1).await;
    running.stop().await;
    assert_eq!((bench.slack.messages().len(), bench.slack.state().posts()), (1, 3));
}

#[tokio::test]
async fn the_heartbeat_is_called_after_each_complete_cycle() {
    let bench = Bench::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/ping/secret-key", listener.local_addr().expect("an address"));
    let (beat, mut beats) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4_096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let _ = beat.send(String::from_utf8_lossy(&request[..read]).into_owned());
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        }
    });
    let running = bench.start(&["run", "--every", "10s", "--heartbeat-url", &url]);
    for _ in 0..2 {
        let request = tokio::time::timeout(LONG, beats.recv()).await.expect("a heartbeat").expect("a request");
        assert!(request.starts_with("GET /ping/secret-key "), "{request}");
    }
    let log = running.stop().await;
    assert!(!log.contains("secret-key"), "{log}");
}
