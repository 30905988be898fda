//! The page that the program serves.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use crate::Bench;

/// A program that serves the page.
struct Served {
    program: Child,
    address: String,
}

impl Served {
    /// Starts the program and reads the page's address from what it prints.
    async fn start(bench: &Bench, arguments: &[&str]) -> Self {
        let mut command = bench.command(arguments);
        command.stdout(Stdio::piped());
        let reading = tokio::task::spawn_blocking(move || {
            let mut program = command.spawn().unwrap();
            let stdout = BufReader::new(program.stdout.take().unwrap()).lines();
            let stderr = BufReader::new(program.stderr.take().unwrap()).lines();
            let address = |line: &str| {
                let at = line.find("127.0.0.1:")?;
                let address: String =
                    line[at..].chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
                (line.contains(" is at http://") && !line.contains("simulated") || line.contains("serving the page"))
                    .then_some(address)
            };
            let is_run = command.get_args().any(|argument| argument == "run");
            let mut lines: Box<dyn Iterator<Item = _> + Send> =
                if is_run { Box::new(stderr.map_while(Result::ok)) } else { Box::new(stdout.map_while(Result::ok)) };
            let found = lines.find_map(|line: String| address(&line));
            // The program must not meet a closed pipe.
            std::thread::spawn(move || lines.for_each(drop));
            (program, found.expect("the page's address"))
        });
        let (program, address) = reading.await.unwrap();
        Self { program, address }
    }

    async fn open(&self, path: &str) -> reqwest::Response {
        let http = monitor_http::client(monitor_http::http().http1_only()).unwrap();
        http.get(format!("http://{}{path}", self.address)).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.open(path).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Asks the program to stop; returns its exit code.
    async fn stop(mut self) -> Option<i32> {
        let id = rustix::process::Pid::from_child(&self.program);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        tokio::task::spawn_blocking(move || self.program.wait()).await.unwrap().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.program.kill();
    }
}

/// Asks until an answer is as it should be.
async fn until(served: &Served, path: &str, is_right: impl Fn(u16, &str) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (status, text) = served.get(path).await;
        if is_right(status, &text) {
            return;
        }
        assert!(Instant::now() < deadline, "{path}: {status} {text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_serves_the_page_and_stops_although_a_page_is_open() {
    let bench = Bench::new().await;
    let served = Served::start(&bench, &["run", "--web", "127.0.0.1:0", "--every", "10s"]).await;
    until(&served, "/", |status, text| status == 200 && text.contains("1 of 2 runners offline")).await;
    until(&served, "/healthz", |status, _| status == 200).await;
    let (status, metrics) = served.get("/metrics").await;
    assert!(status == 200 && metrics.contains("github_runner_up{runner=\"build-1\""), "{metrics}");
    // An open page holds a connection on which events arrive.
    let mut events = served.open("/events").await;
    assert!(events.chunk().await.unwrap().unwrap().starts_with(b"data:"));
    assert_eq!(served.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn web_serves_the_page_of_a_store_that_another_program_writes() {
    let bench = Bench::new().await;
    let (code, _) = bench.check(&[]).await;
    assert_eq!(code, Some(1), "a runner is offline");
    let served = Served::start(&bench, &["web", "127.0.0.1:0"]).await;
    let (status, page) = served.get("/target/acme/web").await;
    assert!(status == 200 && page.contains("build-0") && page.contains("build-1"), "{page}");
    let (status, why) = served.get("/healthz").await;
    assert!(status == 503 && why.contains("no tick"), "{why}");
    let document: serde_json::Value = serde_json::from_str(&served.get("/api/v1/fleet").await.1).unwrap();
    let (_, printed, _) = bench.output(&["status", "--json"], &[]).await;
    let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(document["targets"], printed["targets"], "the API says what status says");
    // Another program finds the runner online.
    let runner = bench.github.state().runners("acme/web")[0].id;
    bench.github.state().set_runner("acme/web", runner, "online", true);
    bench.check(&[]).await;
    until(&served, "/", |_, text| text.contains("1 runner busy")).await;
    assert_eq!(served.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_others_reach_needs_a_host_name() {
    let bench = Bench::new().await;
    let (code, _) = bench.check(&[]).await;
    assert_eq!(code, Some(1));
    for arguments in [&["web", "0.0.0.0:0"][..], &["run", "--web", "0.0.0.0:0"]] {
        let (code, _, stderr) = bench.output(arguments, &[]).await;
        assert!(code == Some(2) && stderr.contains("--web-host") && stderr.contains("127.0.0.1"), "{stderr}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, stderr) = bench.output(&["web", &address], &[]).await;
    assert!(code == Some(2) && stderr.contains("choose another address or port"), "{stderr}");
    let (code, _, stderr) = bench.output(&["web"], &[("RUNNER_MONITOR_STORE", "/nowhere/store.db")]).await;
    assert!(code == Some(2) && stderr.contains("there is no store at"), "{stderr}");
    let (code, _, stderr) = bench.output(&["run"], &[("WEB", "8080")]).await;
    assert!(code == Some(2) && stderr.contains("it is set by WEB"), "{stderr}");
}

#[cfg(feature = "demo")]
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_its_fleet_on_the_page() {
    let bench = Bench::new().await;
    let served = Served::start(&bench, &["demo", "--web", "127.0.0.1:0", "--speed", "75"]).await;
    until(&served, "/", |status, text| status == 200 && text.contains("acme/web")).await;
    assert_eq!(served.stop().await, Some(0));
}
