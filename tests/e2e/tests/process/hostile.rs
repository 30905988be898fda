//! `runner-monitor run --slack-commands` under attack: clients that hold connections open, and members that press
//! buttons too often.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use monitor_e2e::{LONG, Running, SIGNING_SECRET, Switch, World, after, http, signed, until};
use monitor_fakes::wall_clock_ms;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// The descriptors that a service has by default.
const DESCRIPTORS: u32 = 1_024;

struct Bench {
    world: World,
    running: Running,
    switch: Switch,
    address: SocketAddr,
    http: reqwest::Client,
}

impl Bench {
    async fn start() -> Self {
        let (world, switch) = (World::new(3, "{}").await, Switch::start().await);
        let arguments = ["run", "--every", "10s", "--log-format", "json", "--slack-commands", "127.0.0.1:0"];
        let mut command = world.command(&[&arguments[..], &["--heartbeat-url", &switch.url()]].concat());
        command.env("SLACK_SIGNING_SECRET", SIGNING_SECRET);
        let mut running =
            Running::start(after(&format!("ulimit -n {DESCRIPTORS}"), &command)).expect("the program starts");
        let answering = running.event("answering Slack").await;
        let address = answering["address"].as_str().and_then(|text| text.parse().ok()).expect("an address");
        Self { world, running, switch, address, http: http() }
    }

    fn url(&self) -> String {
        format!("http://{}/slack", self.address)
    }

    async fn ask(&self, body: String) -> reqwest::Result<reqwest::Response> {
        let request = signed(&self.http, &self.url(), body, wall_clock_ms() / 1_000, SIGNING_SECRET);
        request.timeout(Duration::from_secs(3)).send().await
    }

    async fn more_heartbeats(&self, count: usize) {
        let wanted = self.switch.count() + count;
        until(|| self.switch.count() >= wanted, || format!("no heartbeat:\n{}", self.running.log())).await;
    }

    fn asked_of_github(&self) -> u64 {
        self.world.github.state().counters().requests
    }

    /// A value of `/proc/PID/status`, in KiB.
    fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.pid()));
        let status = status.expect("a status");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field");
        line.trim_matches(|sign: char| !sign.is_ascii_digit()).parse().expect("a number")
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.running.pid())).expect("a folder").count()
    }

    /// Stops the program as a supervisor does; returns its log.
    async fn stops_in_time(self) -> String {
        let log = self.running.stops_in_time("-TERM").await;
        assert!(log.contains("stopped"), "{log}");
        log
    }
}

/// Hostile clients that hold this many connections open until they are dropped.
async fn strangers(address: SocketAddr, kind: &str, count: usize) -> Child {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/hostile.py");
    let mut command = Command::new("python3");
    command.arg(script).args([&address.ip().to_string(), &address.port().to_string(), kind, &count.to_string()]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("python3");
    let mut lines = BufReader::new(child.stdout.take().expect("output")).lines();
    let ready = tokio::time::timeout(LONG, lines.next_line()).await.expect("they are connected").expect("a line");
    assert_eq!(ready.as_deref(), Some("ready"), "{kind}");
    child
}

#[tokio::test]
async fn two_thousand_hostile_connections_cost_neither_memory_nor_checks_nor_answers() {
    let bench = Bench::start().await;
    bench.more_heartbeats(1).await;
    let (address, before_kib) = (bench.address, bench.memory("VmHWM:"));
    let _attack = tokio::join!(
        strangers(address, "idle", 500),
        strangers(address, "head", 500),
        strangers(address, "body", 500),
        strangers(address, "body", 500),
    );
    let checks = bench.asked_of_github();
    bench.more_heartbeats(3).await;
    assert!(bench.asked_of_github() >= checks + 6, "the checks must continue");
    let mut answered = 0;
    for _ in 0..10 {
        let answer = bench.ask("command=%2Frunner-status-all&text=&user_id=U1".to_owned()).await;
        answered += usize::from(answer.is_ok_and(|answer| answer.status().is_success()));
    }
    assert!(answered >= 8, "{answered} of 10 commands were answered within 3 s");
    let descriptors = bench.descriptors();
    assert!(descriptors < 512, "{descriptors} descriptors");
    let peak_kib = bench.memory("VmHWM:");
    println!(
        "peak {before_kib} KiB before, {peak_kib} KiB under attack, {descriptors} descriptors, {answered} of 10 commands answered"
    );
    // The thousand bodies alone have a gigabyte. What the program itself takes depends on how it was built.
    assert!(peak_kib < before_kib + 40 * 1_024, "{peak_kib} KiB at the peak, {before_kib} KiB before");
    let log = bench.stops_in_time().await;
    assert!(log.contains("incomplete requests were dropped"), "{log}");
    assert!(log.lines().filter(|line| line.contains("WARN")).count() < 20, "{log}");
}

#[tokio::test]
async fn a_request_that_never_completes_is_cut_off_and_does_not_delay_the_stop() {
    let bench = Bench::start().await;
    let at_secs = wall_clock_ms() / 1_000;
    let plausible = format!("X-Slack-Request-Timestamp: {at_secs}\r\nX-Slack-Signature: v0={}\r\n", "0a".repeat(32));
    let starts = [
        String::new(),
        "POST / HTTP/1.1\r\nHost: x\r\nX-Sl".to_owned(),
        format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n{plausible}\r\ncommand="),
        format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{plausible}\r\n9\r\ncom"),
    ];
    let open = async || {
        let mut streams = Vec::new();
        for start in &starts {
            let mut stream = TcpStream::connect(bench.address).await.expect("a connection");
            stream.write_all(start.as_bytes()).await.expect("it is taken");
            streams.push(stream);
        }
        streams
    };
    for (mut stream, start) in open().await.into_iter().zip(&starts) {
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{start:?} is still open");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{start:?}: {answer}");
    }
    // A request that cannot be from Slack is refused before its body.
    let mut stream = TcpStream::connect(bench.address).await.expect("a connection");
    let forged = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n";
    stream.write_all(forged.as_bytes()).await.expect("it is taken");
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(3), stream.read_to_string(&mut answer)).await;
    assert!(read.is_ok() && answer.starts_with("HTTP/1.1 401"), "{answer}");
    // A head that never ends.
    let mut stream = TcpStream::connect(bench.address).await.expect("a connection");
    stream.write_all(format!("POST / HTTP/1.1\r\nHost: {}", "x".repeat(32_768)).as_bytes()).await.expect("it is taken");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut answer)).await;
    let is_cut = answer.is_empty() || answer.starts_with(b"HTTP/1.1 4");
    assert!(read.is_ok() && is_cut, "{}", String::from_utf8_lossy(&answer));

    let held = open().await;
    bench.stops_in_time().await;
    drop(held);
}

#[tokio::test]
async fn a_flood_of_forged_requests_is_counted_and_not_logged_one_by_one() {
    let bench = Bench::start().await;
    let body = "command=%2Frunner-recheck&text=acme%2Fapp-1&user_id=U1";
    for _ in 0..2_000 {
        let request = signed(&bench.http, &bench.url(), body, wall_clock_ms() / 1_000, "another");
        assert_eq!(request.send().await.expect("an answer").status(), 401);
    }
    let log = bench.stops_in_time().await;
    let lines: Vec<Value> = log
        .lines()
        .filter(|line| line.contains("requests were refused"))
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert!(lines.len() <= 10, "{log}");
    assert_eq!(lines.iter().filter_map(|line| line["count"].as_u64()).sum::<u64>(), 2_000, "{lines:?}");
}

#[tokio::test]
async fn two_thousand_button_presses_for_one_target_cost_few_requests_to_github() {
    let bench = Bench::start().await;
    bench.more_heartbeats(1).await;
    let pressed = |target: usize, number: usize| {
        let value = format!(r#"{{\"command\":\"recheck\",\"target\":\"acme/app-{target}\"}}"#);
        let payload = format!(
            r#"{{"type":"block_actions","user":{{"id":"U1"}},"trigger_id":"{number}","actions":[{{"action_id":"recheck","value":"{value}"}}]}}"#
        );
        let body: String = payload.bytes().map(|byte| format!("%{byte:02X}")).collect();
        format!("payload={body}")
    };
    let asked = || bench.asked_of_github();
    let (before, began) = (asked(), Instant::now());
    for number in 0..2_000 {
        assert!(bench.ask(pressed(1, number)).await.expect("an answer").status().is_success());
    }
    // Waits until the queue is empty: no request to GitHub for 3 s.
    let settled = async {
        let mut last = (asked(), Instant::now());
        while last.1.elapsed() < Duration::from_secs(3) {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = asked();
            if now != last.0 {
                last = (now, Instant::now());
            }
        }
    };
    tokio::time::timeout(LONG, settled).await.expect("it settles");
    // One per window of 15 s, one recheck that waited, and three per cycle of 10 s.
    let secs = began.elapsed().as_secs();
    let most = secs / 15 + 3 + 3 * (secs / 10 + 2);
    let extra = asked() - before;
    println!("{extra} requests to GitHub within {secs} s of 2,000 presses");
    assert!(extra <= most, "{extra} requests within {secs} s");
    bench.more_heartbeats(2).await;
    bench.stops_in_time().await;
}
