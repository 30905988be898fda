//! `runner-monitor run --slack-commands`: requests as Slack sends them, over HTTP and with real signatures.

use std::sync::atomic::{AtomicU64, Ordering};

use monitor_e2e::{LONG, Running, SIGNING_SECRET, World, http, signed, until};
use monitor_fakes::wall_clock_ms;
use monitor_slack::incoming::MAX_BODY_BYTES;
use reqwest::StatusCode;
use serde_json::Value;

struct Bench {
    world: World,
    running: Running,
    http: reqwest::Client,
    url: String,
}

impl Bench {
    /// Starts the program and waits for its first cycle; the next one is an hour away.
    async fn start() -> Self {
        let policy = r#"{"failureThreshold":1,"successThreshold":1,"recheckInterval":"10s","unreachableAfter":"3h"}"#;
        let world = World::new(3, policy).await;
        let arguments = ["run", "--every", "1h", "--slack-commands", "127.0.0.1:0", "--log-format", "json"];
        let mut command = world.command(&arguments);
        command.env("SLACK_SIGNING_SECRET", SIGNING_SECRET);
        let mut running = Running::start(command).expect("it starts");
        let answering = running.event("answering Slack").await;
        let url = format!("http://{}/slack", answering["address"].as_str().expect("an address"));
        running.event("cycle complete").await;
        world.slack.wait_for_messages(1, LONG).await.expect("the start of monitoring");
        Self { world, running, http: http(), url }
    }

    async fn post(&self, body: impl Into<Vec<u8>>, signed_at: i64, secret: &str) -> (StatusCode, String) {
        let request = signed(&self.http, &self.url, body, signed_at, secret);
        let answer = request.send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("its body"))
    }

    async fn ask(&self, body: &str) -> Value {
        // No two requests of Slack are equal.
        static TRIGGERS: AtomicU64 = AtomicU64::new(0);
        let body = format!("{body}&trigger_id={}", TRIGGERS.fetch_add(1, Ordering::Relaxed));
        let (status, body) = self.post(body, now_secs(), SIGNING_SECRET).await;
        assert_eq!(status, StatusCode::OK);
        serde_json::from_str(&body).expect("JSON")
    }

    fn asked_of_github(&self) -> u64 {
        self.world.github.state().counters().requests
    }
}

fn now_secs() -> i64 {
    wall_clock_ms() / 1_000
}

fn text(answer: &Value) -> &str {
    answer["text"].as_str().expect("a text")
}

#[tokio::test]
async fn commands_are_answered_and_a_recheck_is_done() {
    let bench = Bench::start().await;
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

    bench.world.set("acme/app-1", "offline");
    let before = bench.world.slack.messages().len();
    let sent = bench.ask("command=%2Frunner-recheck&text=acme%2Fapp-1&user_id=U1").await;
    assert!(text(&sent).contains("Checking acme/app-1 again"), "{sent}");
    // The next tick is an hour away: it can only be the recheck that finds it.
    let notified = bench.world.slack.wait_for_messages(before + 1, LONG).await.expect("an alert");
    assert!(notified[before].text().contains("app-1-runner-0 offline"), "{}", notified[before].text());
    let history = bench.ask("command=%2Frunner-history&text=app-1-runner-0&user_id=U1").await;
    assert!(text(&history).contains("app-1-runner-0: 1 outage"), "{history}");

    // A button is answered through the response URL of its message.
    let reply_url = format!("{}/actions/T0FAKE/1/notasecretreply", bench.world.slack.base_url());
    let recheck = r#"{\"command\":\"recheck\",\"target\":\"acme/app-2\"}"#;
    let payload = format!(
        r#"{{"type":"block_actions","user":{{"id":"U1"}},"response_url":"{reply_url}","actions":[{{"action_id":"recheck","value":"{recheck}"}}]}}"#
    );
    let body: String = payload.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let (status, answer) = bench.post(format!("payload={body}"), now_secs(), SIGNING_SECRET).await;
    assert_eq!((status, &*answer), (StatusCode::OK, ""));
    let messages = bench.world.slack.wait_for_messages(before + 2, LONG).await.expect("an answer");
    assert!(messages[before + 1].text().contains("Checking acme/app-2 again"));
    assert!(messages[before + 1].path.starts_with("/actions/"));
    let log = bench.running.kill().await;
    assert!(!log.contains("notasecretreply"), "{log}");
}

#[tokio::test]
async fn a_link_from_slack_opens_the_page_once() {
    let world = World::new(1, "{}").await;
    let arguments =
        ["run", "--every", "1h", "--slack-commands", "127.0.0.1:0", "--web", "127.0.0.1:0", "--log-format", "json"];
    let mut command = world.command(&arguments);
    command.env("SLACK_SIGNING_SECRET", SIGNING_SECRET).env("WEB_HOST", "runners.acme.test");
    let mut running = Running::start(command).expect("it starts");
    let of_slack = running.event("answering Slack").await["address"].as_str().expect("an address").to_owned();
    let serving = running.event("serving the page").await;
    assert_eq!(serving["sessions"], true, "{serving}");
    let page = format!("http://{}", serving["address"].as_str().expect("an address"));
    running.event("cycle complete").await;

    drop(http());
    let without_redirects = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let http = without_redirects.build().expect("a client");
    let body = "command=%2Frunner-dashboard&text=&user_id=U1";
    let answer = signed(&http, &format!("http://{of_slack}/slack"), body, now_secs(), SIGNING_SECRET).send().await;
    let answer = answer.expect("an answer").text().await.expect("its body");
    let (_, link) = answer.split_once("https://runners.acme.test/open?link=").expect("a link");
    let token = link.split_once('|').expect("its end").0;
    let host = |request: reqwest::RequestBuilder| request.header("host", "runners.acme.test");
    let get = async |cookie: &str| {
        let request = host(http.get(format!("{page}/"))).header("cookie", cookie);
        request.send().await.expect("an answer").status()
    };
    let open =
        async || host(http.post(format!("{page}/open"))).body(format!("link={token}")).send().await.expect("an answer");
    assert_eq!(get("").await, StatusCode::UNAUTHORIZED);
    let opened = open().await;
    let cookie =
        opened.headers()["set-cookie"].to_str().expect("a cookie").split(';').next().expect("its value").to_owned();
    assert_eq!(get(&cookie).await, StatusCode::OK);
    assert_eq!(open().await.status(), StatusCode::FORBIDDEN, "a second time");
    let metrics = http.get(format!("{page}/metrics")).send().await.expect("an answer");
    assert_eq!(metrics.status(), StatusCode::OK, "on this machine");
    let log = running.kill().await;
    assert!(log.contains("a session of the page was opened") && log.contains("a link that was used before"), "{log}");
    assert!(!log.contains(token) && !log.contains(SIGNING_SECRET) && !log.contains(&cookie), "{log}");
}

#[tokio::test]
async fn a_muted_runner_is_notified_when_the_mute_ends() {
    let mut bench = Bench::start().await;
    let before = bench.world.slack.messages().len();
    let muted = bench.ask("command=%2Frunner-mute&text=app-2-runner-0+2h+new+disk&user_id=U1&user_name=anna").await;
    assert!(text(&muted).contains("app-2-runner-0 muted"), "{muted}");
    let said = bench.world.slack.wait_for_messages(before + 1, LONG).await.expect("the announcement in the channel");
    assert!(said[before].body.to_string().contains("Muted by <@U1>"), "{}", said[before].body);
    let logged = bench.running.event("a mute was set").await;
    assert_eq!(
        (&logged["by"], &logged["by_name"], &logged["scope"]),
        (&"U1".into(), &"anna".into(), &"app-2-runner-0".into())
    );
    assert!(logged["until"].as_str().is_some_and(|until| until.ends_with('Z')), "{logged}");
    {
        let mut github = bench.world.github.state();
        let ids: Vec<u64> = github.runners("acme/app-2").iter().map(|runner| runner.id).collect();
        ids.iter().for_each(|id| github.set_runner("acme/app-2", *id, "offline", false));
    }
    let before = bench.world.slack.messages().len();
    bench.ask("command=%2Frunner-recheck&text=acme%2Fapp-2&user_id=U1").await;
    let notified = bench.world.slack.wait_for_messages(before + 1, LONG).await.expect("an alert");
    assert!(notified[before].text().contains("app-2-runner-1 offline"), "{}", notified[before].text());
    let unmuted = bench.ask("command=%2Frunner-unmute&text=app-2-runner-0&user_id=U1").await;
    assert!(text(&unmuted).contains("app-2-runner-0 no longer muted"), "{unmuted}");
    let said = bench.world.slack.wait_for_messages(before + 2, LONG).await.expect("the announcement in the channel");
    assert!(said[before + 1].body.to_string().contains("Unmuted by <@U1>"), "{}", said[before + 1].body);
    bench.ask("command=%2Frunner-recheck&text=acme%2Fapp-2&user_id=U1").await;
    let notified =
        bench.world.slack.wait_for_messages(before + 3, LONG).await.expect("the outage that the mute suppressed");
    assert!(notified[before + 2].text().contains("app-2-runner-0 offline since "), "{}", notified[before + 2].text());
}

#[tokio::test]
async fn a_request_without_slacks_signature_is_refused_and_has_no_effect() {
    let bench = Bench::start().await;
    let before = bench.asked_of_github();
    let recheck = "command=%2Frunner-recheck&text=acme%2Fapp-1&user_id=UMARKER";
    let refused = (StatusCode::UNAUTHORIZED, String::new());
    assert_eq!(bench.post(recheck, now_secs(), "another secret").await, refused, "forged");
    assert_eq!(bench.post(recheck, now_secs() - 301, SIGNING_SECRET).await, refused, "replayed");
    assert_eq!(bench.post(recheck, now_secs() + 400, SIGNING_SECRET).await, refused, "ahead of its time");
    assert_eq!(bench.post(&b"command=\xff\xfe"[..], now_secs(), SIGNING_SECRET).await, refused, "no text");
    let unsigned = bench.http.post(&bench.url).body(recheck).send().await.expect("an answer");
    assert_eq!(unsigned.status(), StatusCode::UNAUTHORIZED);
    let large = vec![b'a'; MAX_BODY_BYTES + 1];
    assert_eq!(bench.post(large, now_secs(), SIGNING_SECRET).await, (StatusCode::PAYLOAD_TOO_LARGE, String::new()));
    let got = bench.http.get(&bench.url).send().await.expect("an answer");
    assert_eq!(got.status(), StatusCode::METHOD_NOT_ALLOWED);

    // The job queue is empty: the first job done is that of the valid request.
    bench.ask("command=%2Frunner-recheck&text=acme%2Fapp-2&user_id=U1").await;
    until(|| bench.asked_of_github() > before, || "the recheck was not done".to_owned()).await;
    assert_eq!(bench.asked_of_github(), before + 1);
    let log = bench.running.kill().await;
    for reason in
        ["signature does not match", "timestamp more than 300 s off", "not UTF-8", "no timestamp", "larger than 1 MiB"]
    {
        assert!(log.contains(reason), "{reason}: {log}");
    }
    assert!(!log.contains("MARKER") && !log.contains(SIGNING_SECRET), "{log}");
}

#[tokio::test]
async fn without_a_signing_secret_or_a_port_the_program_gives_a_hint() {
    let world = World { webhook: None, ..World::new(1, "{}").await };
    let run = |address: &str| world.command(&["run", "--slack-commands", address]);
    let output = run("127.0.0.1:0").output().await.expect("it ends");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("SLACK_SIGNING_SECRET: must be set to answer Slack requests"), "{error}");
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = run(&address).env("SLACK_SIGNING_SECRET", SIGNING_SECRET).output().await.expect("it ends");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains(&format!("--slack-commands cannot listen on {address}")), "{error}");
}
