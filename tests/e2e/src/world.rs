use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use monitor_fakes::github::State;
use monitor_fakes::http::Answer;
use monitor_fakes::server::{Server, lock};
use monitor_fakes::{FakeGitHub, FakeSlack, wall_clock_ms};
use monitor_slack::incoming::SigningSecret;
use tokio::process::Command;
use tokio::time::Instant;

use crate::{Running, Setting, TOKEN, fleet, repository};

/// The time limit for everything that must happen.
pub const LONG: Duration = Duration::from_secs(90);
/// The time that the README and the unit files promise after SIGTERM: 2 s less than Docker waits.
pub const STOPS_WITHIN: Duration = Duration::from_secs(8);
/// One failed check opens an outage and one good check ends it, so that every check has an effect.
pub const EVERY_CHECK_COUNTS: &str = r#"{"failureThreshold":1,"successThreshold":1,"recheckInterval":"10s"}"#;
/// A signing secret of Slack.
pub const SIGNING_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";

/// What the program has around it: a fake GitHub, a fake Slack, and a folder for its store.
pub struct World {
    /// The fake GitHub.
    pub github: FakeGitHub,
    /// The fake Slack, with one webhook.
    pub slack: FakeSlack,
    /// The repositories to watch.
    pub repositories: Vec<String>,
    /// The webhook; `None` for the console.
    pub webhook: Option<String>,
    /// The policy as JSON.
    pub policy: &'static str,
    /// The store's file.
    pub store: PathBuf,
    /// The folder that holds it.
    pub folder: tempfile::TempDir,
}

impl World {
    /// A world with this many repositories of two runners each, all of them watched.
    pub async fn new(repositories: usize, policy: &'static str) -> Self {
        Self::of(fleet(repositories, 2), repositories, policy).await
    }

    /// A world with this GitHub, of which the program watches the first repositories.
    pub async fn of(mut state: State, repositories: usize, policy: &'static str) -> Self {
        state.limits.points_per_minute = u64::MAX;
        let github = FakeGitHub::start_with(state, 0, wall_clock_ms).await.expect("a free port");
        let slack = FakeSlack::start().await.expect("a free port");
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            repositories: (0..repositories).map(repository).collect(),
            webhook: Some(slack.webhook_url()),
            policy,
            store: folder.path().join("store.db"),
            github,
            slack,
            folder,
        }
    }

    /// The settings of the program in this world.
    pub fn setting(&self) -> Setting<'_> {
        Setting {
            github_url: self.github.base_url(),
            webhook: self.webhook.clone(),
            repositories: self.repositories.clone(),
            policy: self.policy,
            store: &self.store,
        }
    }

    /// The program with its settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.setting().command(arguments).expect("the program is built")
    }

    /// Starts the program.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments)).expect("the program starts")
    }

    /// Runs a command to its end; returns its exit code, output and errors, none of which contain the token.
    pub async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        self.run_with(arguments, &[]).await
    }

    /// The same with changed variables.
    pub async fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        let Output { status, stdout, stderr } = command.output().await.expect("the program starts");
        let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
        assert!(!stdout.contains(TOKEN) && !stderr.contains(TOKEN), "the output contains the token:\n{stdout}{stderr}");
        (status.code().expect("an exit code"), stdout, stderr)
    }

    /// Sets the status of the first runner of a repository.
    pub fn set(&self, target: &str, status: &str) {
        let mut github = self.github.state();
        let id = github.runners(target)[0].id;
        github.set_runner(target, id, status, false);
    }

    /// Waits for this many messages in Slack; returns the texts of all.
    pub async fn texts(&self, count: usize) -> Vec<String> {
        let messages = self.slack.wait_for_messages(count, LONG).await.expect("messages");
        messages.iter().map(|message| message.text().to_owned()).collect()
    }
}

/// The variables of a program whose store is this table in DynamoDB.
pub fn dynamodb_variables<'a>(url: &'a str, table: &'a str) -> [(&'static str, &'a str); 6] {
    [
        ("DYNAMODB_TABLE", table),
        ("AWS_ENDPOINT_URL_DYNAMODB", url),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "planted-secret-key"),
        // Without it, the SDK asks for the credentials of a machine in EC2.
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]
}

/// Runs a command to its end; returns its exit code and all that it printed, which contains no planted secret.
pub async fn printed(mut command: Command) -> (i32, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().await.expect("the program starts");
    let printed = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert!(!printed.contains("planted"), "{printed}");
    (status.code().expect("an exit code"), printed)
}

/// The same command, started by another program.
pub fn under(launcher: &[&str], command: &Command) -> Command {
    let command = command.as_std();
    let mut launched = Command::new(launcher[0]);
    launched.args(&launcher[1..]).arg(command.get_program()).args(command.get_args());
    launched.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    launched.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    launched.kill_on_drop(true).stdin(Stdio::null());
    launched
}

/// The same command, started by a shell that first runs other commands.
pub fn after(prelude: &str, command: &Command) -> Command {
    under(&["/bin/sh", "-c", &format!("{prelude}; exec \"$0\" \"$@\"")], command)
}

/// Waits until something is so; panics with what `otherwise` says.
pub async fn until(is_so: impl Fn() -> bool, otherwise: impl Fn() -> String) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "timed out: {}", otherwise());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A request as Slack signs it at this time.
pub fn signed(
    http: &reqwest::Client,
    url: &str,
    body: impl Into<Vec<u8>>,
    at_secs: i64,
    secret: &str,
) -> reqwest::RequestBuilder {
    let body = body.into();
    let signature = SigningSecret::new(secret).sign(at_secs, &body);
    let request = http.post(url).body(body).header("X-Slack-Signature", signature);
    request.header("X-Slack-Request-Timestamp", at_secs)
}

/// A client of this machine's servers.
pub fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// A dead-man's switch, with the times and paths of its heartbeats.
pub struct Switch {
    server: Server,
    beats: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Switch {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        let beats = Arc::<Mutex<Vec<(Instant, String)>>>::default();
        let beating = Arc::clone(&beats);
        let server = Server::start(0, move |request| {
            lock(&beating).push((Instant::now(), format!("{} {}", request.method, request.path)));
            Answer::new(200, "text/plain", "")
        });
        Self { server: server.await.expect("a free port"), beats }
    }

    /// The address to call.
    pub fn url(&self) -> String {
        format!("{}/ping", self.server.base_url())
    }

    /// The number of heartbeats so far.
    pub fn count(&self) -> usize {
        lock(&self.beats).len()
    }

    /// The time of the last heartbeat.
    pub fn last(&self) -> Option<Instant> {
        lock(&self.beats).last().map(|(at, _)| *at)
    }

    /// Method and path of every heartbeat.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.beats).iter().map(|(_, request)| request.clone()).collect()
    }
}
