//! `runner-monitor run --slack-commands`: requests as Slack sends them, over HTTP and with real signatures.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use monitor_e2e::{Setting, fleet, repository};
use monitor_fakes::{FakeGitHub, FakeSlack, wall_clock_ms};
use monitor_slack::incoming::{MAX_BODY_BYTES, SigningSecret};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const LONG: Duration = Duration::from_secs(90);

struct Bench {
    github: FakeGitHub,
    slack: FakeSlack,
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    seen: String,
    http: reqwest::Client,
    url: String,
    _folder: tempfile::TempDir,
}

impl Bench {
    /// Starts the program and waits for its first cycle; the next one is an hour away.
    async fn start() -> Self {
        let mut state = fleet(3, 2);
        state.limits.points_per_minute = u64::MAX;
        let github = FakeGitHub::start_with(state, 0, wall_clock_ms).await.expect("a free port");
        let slack = FakeSlack::start().await.expect("a free port");
        let folder = tempfile::tempdir().expect("a folder");
        let store: PathBuf = folder.path().join("store.db");
        let setting = Setting {
            github_url: github.base_url(),
            webhook: Some(slack.webhook_url()),
            repositories: (0..3).map(repository).collect(),
            policy: r#"{"failureThreshold":1,"successThreshold":1,"recheckInterval":"10s","unreachableAfter":"3h"}"#,
            store: &store,
        };
        let arguments = ["run", "--every", "1h", "--slack-commands", "127.0.0.1:0", "--log-format", "json"];
        let mut command = setting.command(&arguments).expect("the program is built");
        command.env("SLACK_SIGNING_SECRET", SECRET).stderr(std::process::Stdio::piped());
        let mut child = command.stdout(std::process::Stdio::null()).spawn().expect("it starts");
        let log = BufReader::new(child.stderr.take().expect("a log")).lines();
        let http = reqwest_client();
        let (seen, url) = (String::new(), String::new());
        let mut this = Self { github, slack, child, log, seen, http, url, _folder: folder };
        let answering = this.wait_for("answering Slack").await;
        this.url = format!("http://{}/slack", answering["address"].as_str().expect("an address"));
        this.wait_for("cycle complete").await;
        this.slack.wait_for_messages(1, LONG).await.expect("the start of monitoring");
        this
    }

    /// Waits for the next log line with this message.
    async fn wait_for(&mut self, message: &str) -> Value {
        let lines = async {
            while let Some(line) = self.log.next_line().await.expect("a line") {
                self.seen.push_str(&line);
                self.seen.push('\n');
                let event: Value = serde_json::from_str(&line).expect("a line of JSON");
                if event["message"] == message {
                    return event;
                }
            }
            panic!("the program ended");
        };
        tokio::time::timeout(LONG, lines).await.unwrap_or_else(|_| panic!("no \"{message}\""))
    }

    async fn post(&self, body: impl Into<Vec<u8>>, signed_at: i64, secret: &str) -> (StatusCode, String) {
        let body = body.into();
        let signature = SigningSecret::new(secret).sign(signed_at, &body);
        let request = self.http.post(&self.url).body(body).header("X-Slack-Signature", signature);
        let answer = request.header("X-Slack-Request-Timestamp", signed_at).send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("its body"))
    }

    async fn ask(&self, body: &str) -> Value {
        // No two requests of Slack are equal.
        static TRIGGERS: AtomicU64 = AtomicU64::new(0);
        let body = format!("{body}&trigger_id={}", TRIGGERS.fetch_add(1, Ordering::Relaxed));
        let (status, body) = self.post(body, now_secs(), SECRET).await;
        assert_eq!(status, StatusCode::OK);
        serde_json::from_str(&body).expect("JSON")
    }

    fn asked_of_github(&self) -> u64 {
        self.github.state().counters().requests
    }
}

fn reqwest_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

fn now_secs() -> i64 {
    wall_clock_ms() / 1_000
}

fn text(answer: &Value) -> &str {
    answer["text"].as_str().expect("a text")
}

#[tokio::test]
async fn commands_are_answered_and_a_recheck_is_done() {
    let mut bench = Bench::start().await;
    let status = bench.ask("command=%2Frunner-status-all&text=&user_id=U1").await;
    assert_eq!(
        (text(&status), &status["response_type"]),
        ("✅ All 6 runners online in 3 targets. ℹ️ By target", &"ephemeral".into())
    );
    let one = bench.ask("command=%2Frunner-status&text=app-1-runner-0+--public&user_id=U1").await;
    assert!(text(&one).contains("app-1-runner-0 idle in acme/app-1"), "{one}");
    assert_eq!(one["response_type"], "in_channel");
    let none = bench.ask("command=%2Frunner-history&text=app-1-runner-0&user_id=U1").await;
    assert!(text(&none).contains("app-1-runner-0: no outages"), "{none}");

    {
        let mut github = bench.github.state();
        let id = github.runners("acme/app-1")[0].id;
        github.set_runner("acme/app-1", id, "offline", false);
    }
    let before = bench.slack.messages().len();
    let sent = bench.ask("command=%2Frunner-recheck&text=acme%2Fapp-1&user_id=U1").await;
    assert!(text(&sent).contains("Checking acme/app-1 again"), "{sent}");
    // The next tick is an hour away: it can only be the recheck that finds it.
    let notified = bench.slack.wait_for_messages(before + 1, LONG).await.expect("an alert");
    assert!(notified[before].text().contains("app-1-runner-0 offline"), "{}", notified[before].text());
    let history = bench.ask("command=%2Frunner-history&text=app-1-runner-0&user_id=U1").await;
    assert!(text(&history).contains("app-1-runner-0: 1 outage"), "{history}");

    // A button is answered through the response URL of its message.
    let reply_url = format!("{}/actions/T0FAKE/1/notasecretreply", bench.slack.base_url());
    let recheck = r#"{\"command\":\"recheck\",\"target\":\"acme/app-2\"}"#;
    let payload = format!(
        r#"{{"type":"block_actions","user":{{"id":"U1"}},"response_url":"{reply_url}","actions":[{{"action_id":"recheck","value":"{recheck}"}}]}}"#
    );
    let body: String = payload.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let (status, answer) = bench.post(format!("payload={body}"), now_secs(), SECRET).await;
    assert_eq!((status, &*answer), (StatusCode::OK, ""));
    let messages = bench.slack.wait_for_messages(before + 2, LONG).await.expect("an answer");
    assert!(messages[before + 1].text().contains("Checking acme/app-2 again"));
    assert!(messages[before + 1].path.starts_with("/actions/"));
    bench.child.kill().await.expect("it ends");
    assert!(!bench.seen.contains("notasecretreply"), "{}", bench.seen);
}

#[tokio::test]
async fn a_muted_runner_is_notified_when_the_mute_ends() {
    let mut bench = Bench::start().await;
    let before = bench.slack.messages().len();
    let muted = bench.ask("command=%2Frunner-mute&text=app-2-runner-0+2h+new+disk&user_id=U1&user_name=anna").await;
    assert!(text(&muted).contains("app-2-runner-0 muted"), "{muted}");
    let said = bench.slack.wait_for_messages(before + 1, LONG).await.expect("the announcement in the channel");
    assert!(said[before].body.to_string().contains("Muted by <@U1>"), "{}", said[before].body);
    let logged = bench.wait_for("a mute was set").await;
    assert_eq!(
        (&logged["by"], &logged["by_name"], &logged["scope"]),
        (&"U1".into(), &"anna".into(), &"app-2-runner-0".into())
    );
    assert!(logged["until"].as_str().is_some_and(|until| until.ends_with('Z')), "{logged}");
    {
        let mut github = bench.github.state();
        let ids: Vec<u64> = github.runners("acme/app-2").iter().map(|runner| runner.id).collect();
        ids.iter().for_each(|id| github.set_runner("acme/app-2", *id, "offline", false));
    }
    let before = bench.slack.messages().len();
    bench.ask("command=%2Frunner-recheck&text=acme%2Fapp-2&user_id=U1").await;
    let notified = bench.slack.wait_for_messages(before + 1, LONG).await.expect("an alert");
    assert!(notified[before].text().contains("app-2-runner-1 offline"), "{}", notified[before].text());
    let unmuted = bench.ask("command=%2Frunner-unmute&text=app-2-runner-0&user_id=U1").await;
    assert!(text(&unmuted).contains("app-2-runner-0 no longer muted"), "{unmuted}");
    let said = bench.slack.wait_for_messages(before + 2, LONG).await.expect("the announcement in the channel");
    assert!(said[before + 1].body.to_string().contains("Unmuted by <@U1>"), "{}", said[before + 1].body);
    bench.ask("command=%2Frunner-recheck&text=acme%2Fapp-2&user_id=U1").await;
    let notified = bench.slack.wait_for_messages(before + 3, LONG).await.expect("the outage that the mute suppressed");
    assert!(notified[before + 2].text().contains("app-2-runner-0 offline since "), "{}", notified[before + 2].text());
    bench.child.kill().await.expect("it ends");
}

#[tokio::test]
async fn a_request_without_slacks_signature_is_refused_and_has_no_effect() {
    let mut bench = Bench::start().await;
    let before = bench.asked_of_github();
    let recheck = "command=%2Frunner-recheck&text=acme%2Fapp-1&user_id=UMARKER";
    let refused = (StatusCode::UNAUTHORIZED, String::new());
    assert_eq!(bench.post(recheck, now_secs(), "another secret").await, refused, "forged");
    assert_eq!(bench.post(recheck, now_secs() - 301, SECRET).await, refused, "replayed");
    assert_eq!(bench.post(recheck, now_secs() + 400, SECRET).await, refused, "ahead of its time");
    assert_eq!(bench.post(&b"command=\xff\xfe"[..], now_secs(), SECRET).await, refused, "no text");
    let unsigned = bench.http.post(&bench.url).body(recheck).send().await.expect("an answer");
    assert_eq!(unsigned.status(), StatusCode::UNAUTHORIZED);
    let large = vec![b'a'; MAX_BODY_BYTES + 1];
    assert_eq!(bench.post(large, now_secs(), SECRET).await, (StatusCode::PAYLOAD_TOO_LARGE, String::new()));
    let got = bench.http.get(&bench.url).send().await.expect("an answer");
    assert_eq!(got.status(), StatusCode::METHOD_NOT_ALLOWED);

    // The job queue is empty: the first job done is that of the valid request.
    bench.ask("command=%2Frunner-recheck&text=acme%2Fapp-2&user_id=U1").await;
    let deadline = tokio::time::Instant::now() + LONG;
    while bench.asked_of_github() == before {
        assert!(tokio::time::Instant::now() < deadline, "the recheck was not done");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(bench.asked_of_github(), before + 1);
    bench.child.kill().await.expect("it ends");
    while let Ok(Some(line)) = bench.log.next_line().await {
        bench.seen.push_str(&line);
    }
    for reason in
        ["signature does not match", "timestamp more than 300 s off", "not UTF-8", "no timestamp", "larger than 1 MiB"]
    {
        assert!(bench.seen.contains(reason), "{reason}: {}", bench.seen);
    }
    assert!(!bench.seen.contains("MARKER") && !bench.seen.contains(SECRET), "{}", bench.seen);
}

#[tokio::test]
async fn without_a_signing_secret_or_a_port_the_program_gives_a_hint() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store.db");
    let setting = Setting {
        github_url: "http://127.0.0.1:9".to_owned(),
        webhook: None,
        repositories: vec![repository(0)],
        policy: "{}",
        store: &store,
    };
    let run = |address: &str| setting.command(&["run", "--slack-commands", address]).expect("the program is built");
    let output = run("127.0.0.1:0").output().await.expect("it ends");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("SLACK_SIGNING_SECRET: must be set to answer Slack requests"), "{error}");
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = run(&address).env("SLACK_SIGNING_SECRET", SECRET).output().await.expect("it ends");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains(&format!("--slack-commands cannot listen on {address}")), "{error}");
}
