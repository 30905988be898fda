//! The configuration file, and the program that writes it.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use monitor_fakes::FakeSlack;

use crate::Bench;

/// The variables of the bench, all empty, so that they count as not set.
const UNSET: [(&str, &str); 4] = [("GITHUB_TOKEN", ""), ("GITHUB_API_URL", ""), ("REPOS", ""), ("POLICY", "")];

impl Bench {
    /// Writes a configuration file.
    fn config(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("monitor.toml");
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs the program with a configuration file and without the variables of the bench.
    async fn with_config(&self, text: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
        let path = self.config(text);
        let arguments = [&["--config", path.to_str().unwrap()], arguments].concat();
        self.output(&arguments, &UNSET).await
    }

    /// What is needed to check the bench's target.
    fn enough(&self) -> String {
        format!("github_token = \"token\"\ngithub_api_url = \"{}\"\nrepos = [\"acme/web\"]\n", self.github.base_url())
    }

    /// Runs `init` with these answers.
    async fn init(&self, arguments: &[&str], answers: String) -> (Option<i32>, String, String) {
        let mut command = self.command(&[&["init"], arguments].concat());
        command.envs(UNSET).env("HOME", self.folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let output = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        });
        let output = output.await.unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), stdout, stderr)
    }

    fn default_file(&self) -> PathBuf {
        self.folder.path().join(".config/runner-monitor/runner-monitor.toml")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_has_every_setting_and_the_environment_takes_precedence() {
    let bench = Bench::new().await;
    let text = bench.enough() + "[policy]\nfailureThreshold = 1\n";
    let (code, stdout, stderr) = bench.with_config(&text, &["check"]).await;
    assert!(code == Some(1) && stdout.contains("build-0"), "{code:?} {stdout}{stderr}");
    let path = bench.config(&text);
    let (code, _, stderr) = bench
        .output(&["check", "--config", path.to_str().unwrap()], &[UNSET[0], UNSET[1], ("REPOS", "acme/none")])
        .await;
    assert_eq!(code, Some(2), "{stderr}");
    // The variable names the file, and an argument replaces a value of it.
    let variables = [&UNSET[..], &[("RUNNER_MONITOR_CONFIG", path.to_str().unwrap())]].concat();
    let (code, stdout, _) = bench.output(&["status"], &variables).await;
    assert!(code != Some(0) && stdout.contains("build-0"), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_have_their_defaults_in_the_file() {
    let bench = Bench::new().await;
    let store = bench.folder.path().join("of-the-file.db");
    let text = bench.enough() + &format!("check_interval = \"20s\"\nstore = \"{}\"\n", store.display());
    let path = bench.config(&text);
    let variables =
        [&UNSET[..], &[("RUNNER_MONITOR_STORE", ""), ("RUNNER_MONITOR_CONFIG", path.to_str().unwrap())]].concat();
    let (code, stdout, stderr) = bench.output(&["config", "check"], &variables).await;
    assert!(code == Some(0) && stdout.contains("Interval: 20 s"), "{stdout}{stderr}");
    let (_, stdout, _) = bench.output(&["config", "show", "--json"], &variables).await;
    let shown: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let of = |name: &str| shown["settings"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!(of("CHECK_INTERVAL")["value"], "20s");
    assert_eq!((&of("CHECK_INTERVAL")["origin"], &of("PENDING_LIMIT")["origin"]), (&"file".into(), &"default".into()));
    assert_eq!(of("GITHUB_TOKEN")["value"], "(set, not shown)");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_file_name_the_key_the_file_and_the_fix() {
    let bench = Bench::new().await;
    for (line, expected) in [
        ("repositories = [\"acme/api\"]", "repositories: is not a setting; did you mean `repos`?"),
        ("check_interval = \"5s\"", "check_interval: must be a duration from 10s to 1h, for example 5m; found `5s`"),
        ("slack_webhook = https://hooks.slack.com/services/T/B/hunter2", "must be TOML: line 4: "),
        (
            "[policy]\nfailureTreshold = 2",
            "POLICY: failureTreshold: is not a key of the policy; did you mean `failureThreshold`?",
        ),
        ("slack_channel = \"C0123456789\"\nslack_bot_token = \"x y\"", "(`slack_bot_token` in "),
    ] {
        for command in [&["check"][..], &["run"], &["config", "check"]] {
            let (code, stdout, stderr) = bench.with_config(&(bench.enough() + line), command).await;
            assert!(code == Some(2) && stderr.contains(expected), "{command:?}: {stdout}{stderr}");
            assert!(stderr.contains("monitor.toml") || line.starts_with("[policy]"), "{stderr}");
            assert!(!stderr.contains("hunter2"), "{stderr}");
        }
    }
    let (code, _, stderr) = bench.output(&["check", "--config", "/nowhere/x.toml"], &UNSET).await;
    assert!(
        code == Some(2) && stderr.contains("the configuration file /nowhere/x.toml: it cannot be read"),
        "{stderr}"
    );
    // What needs no settings works all the same.
    for command in [&["settings"][..], &["config", "schema"], &["completions", "bash"], &["--help"]] {
        let (code, _, stderr) = bench.with_config("nonsense", command).await;
        assert_eq!(code, Some(0), "{command:?}: {stderr}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_secrets_that_others_can_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new().await;
    let path = bench.config(&bench.enough());
    for (mode, is_warned) in [(0o644, true), (0o600, false)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let arguments = ["config", "check", "--config", path.to_str().unwrap()];
        let (_, _, stderr) = bench.output(&arguments, &UNSET).await;
        assert_eq!(stderr.contains("holds secrets, and others on this machine can read it"), is_warned, "{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn init_asks_tries_and_writes_a_file_that_works() {
    let bench = Bench::new().await;
    let slack = FakeSlack::start().await.unwrap();
    let github = bench.github.base_url();
    let webhook = slack.webhook_url();
    // A wrong token is shown to be wrong, and asked for again.
    let answers =
        format!("nonsense\n{github}\n\nhttps://gitlab.com/acme/web\nacme/web\nwrong\nmaybe\nn\n\ntoken\n{webhook}\n\n");
    let (code, stdout, stderr) = bench.init(&[], answers).await;
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(
        stdout.contains("GitHub refuses the token (401)") && stdout.contains("acme/web: reachable; 2 runners"),
        "{stdout}"
    );
    assert!(stdout.contains("Slack: accepted the test message") && !stdout.contains(&webhook), "{stdout}");
    let file = bench.default_file();
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&file).unwrap()) & 0o777, 0o600);
    let home = [&UNSET[..], &[("HOME", bench.folder.path().to_str().unwrap())]].concat();
    let (code, stdout, stderr) = bench.output(&["check"], &home).await;
    assert!(code == Some(1) && stdout.contains("build-0"), "{stdout}{stderr}");
    let (code, _, stderr) = bench.init(&[], String::new()).await;
    assert!(code == Some(2) && stderr.contains("exists: edit it, or replace it with --force"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn init_writes_nothing_if_the_answers_end() {
    let bench = Bench::new().await;
    let (code, stdout, stderr) = bench.init(&[], format!("{}\nacme/web\n", bench.github.base_url())).await;
    assert!(code == Some(2) && stderr.contains("the answers ended before the question `Token"), "{stdout}{stderr}");
    assert!(!bench.default_file().exists());
    let (code, stdout, stderr) = bench.init(&[], "x\n".repeat(20)).await;
    assert!(code == Some(2) && stderr.contains("5 answers were refused"), "{stdout}{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn init_takes_a_github_app() {
    let bench = Bench::new().await;
    bench.github.state().add_app(1, monitor_fakes::github::APP_PUBLIC_KEY_DER);
    let key = bench.folder.path().join("app.pem");
    fs::write(&key, monitor_fakes::github::APP_PRIVATE_KEY_PEM).unwrap();
    let answers = format!("{}\nacme/web\n\n1\n{}\ny\n\n", bench.github.base_url(), key.display());
    let (code, stdout, stderr) = bench.init(&[], answers).await;
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    let text = fs::read_to_string(bench.default_file()).unwrap();
    assert!(text.contains(&format!("github_app_private_key = \"@{}\"", key.display())), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn config_check_reports_every_fault_by_its_name() {
    let bench = Bench::new().await;
    let variables = [
        ("CHECK_INTERVAL", "1s"),
        ("WEB_HOST", "a b"),
        ("REPOS", "acme"),
        ("GITHUB_TOKEN", ""),
        ("RUNNER_MONITOR_CONFIG", ""),
    ];
    let (code, _, stderr) = bench.output(&["config", "check"], &variables).await;
    assert!(code == Some(2) && stderr.starts_with("error: 4 faults in the configuration:\n"), "{stderr}");
    for expected in
        ["CHECK_INTERVAL: must be a duration from 10s", "WEB_HOST: ", "REPOS: must be", "GITHUB_TOKEN: a credential"]
    {
        assert!(stderr.contains(expected), "{expected}: {stderr}");
    }
    for (variables, expected) in [
        ([("WEB", "0.0.0.0:8093"), ("WEB_HOST", "")], "the page shows the names of your runners to everybody"),
        ([("WEB", "127.0.0.1:8093"), ("SLACK_COMMANDS", "127.0.0.1:8093")], "WEB and SLACK_COMMANDS are both"),
        ([("HEARTBEAT_URL", "hunter2"), ("WEB", "")], "HEARTBEAT_URL: must be the https address"),
    ] {
        let (code, _, stderr) = bench.output(&["config", "check"], &variables).await;
        assert!(code == Some(2) && stderr.contains(expected) && !stderr.contains("hunter2"), "{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_shows_the_configuration_shows_a_secret() {
    let bench = Bench::new().await;
    let secret = "ghp_0123456789hunter2hunter2hunter2hunter2";
    let (code, _, stderr) = bench.output(&["status"], &[("RUNNER_MONITOR_CONFIG", secret)]).await;
    assert!(code == Some(2) && !stderr.contains("hunter2"), "{stderr}");
    let with_password = [("GITHUB_API_URL", "https://me:hunter2@github.example.com/api/v3"), ("GITHUB_TOKEN", secret)];
    for arguments in [&["config", "show"][..], &["config", "show", "--all", "--json"]] {
        let (_, stdout, stderr) = bench.output(arguments, &with_password).await;
        assert!(!stdout.contains("hunter2") && !stderr.contains("hunter2"), "{stdout}{stderr}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_reached_is_not_a_missing_file() {
    let bench = Bench::new().await;
    let folder = bench.folder.path().join(".config/runner-monitor");
    fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink("/nowhere/x.toml", folder.join("runner-monitor.toml")).unwrap();
    let (code, _, stderr) =
        bench.output(&["config", "check"], &[("HOME", bench.folder.path().to_str().unwrap())]).await;
    assert!(code == Some(2) && stderr.contains("runner-monitor.toml: it cannot be read"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn init_says_at_once_where_it_cannot_write() {
    let bench = Bench::new().await;
    for (place, expected) in [("", "is a folder: name a file"), ("folder-that-is-a-file/x.toml", "cannot be written")] {
        fs::write(bench.folder.path().join("folder-that-is-a-file"), "").unwrap();
        let config = bench.folder.path().join(place);
        let (code, stdout, stderr) =
            bench.init(&["--force", "--config", config.to_str().unwrap()], String::new()).await;
        assert!(code == Some(2) && stderr.contains(expected) && stdout.is_empty(), "{place}: {stdout}{stderr}");
    }
}
