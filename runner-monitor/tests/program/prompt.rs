//! First use: targets, settings, the store and many targets.

use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use tokio::time::Instant;

use crate::Bench;

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_accepted_in_the_same_forms_everywhere() {
    let bench = Bench::new().await;
    let page = format!("{}/acme/web/settings/actions/runners", bench.github.base_url());
    for target in ["acme/web", "Acme/Web.git", &page] {
        let (code, stdout, stderr) = bench.output(&["check", target], &[("REPOS", "")]).await;
        assert!(code == Some(1) && stdout.contains("build-0"), "{target}: {stdout}{stderr}");
        let (code, stdout, stderr) = bench.output(&["check"], &[("REPOS", target)]).await;
        assert!(code == Some(1) && stdout.contains("build-0"), "REPOS={target}: {stdout}{stderr}");
        for command in ["status", "history"] {
            let (code, stdout, stderr) = bench.output(&[command, target], &[]).await;
            assert!(code == Some(1) && stdout.contains("build-0"), "{command} {target}: {stdout}{stderr}");
        }
    }
    for (target, hint) in [
        ("org/acme", "write orgs/acme"),
        ("organization/acme", "write orgs/acme"),
        ("enterprise/acme", "write enterprises/acme"),
        ("acme", "for the organization write orgs/acme"),
        ("https://gitlab.com/acme/web", "only addresses below "),
    ] {
        let (code, _, stderr) = bench.output(&["check", target], &[]).await;
        assert!(code == Some(2) && stderr.contains(hint), "{target}: {stderr}");
    }
    for (variable, value, hint) in [
        ("REPOS", "acme", "or ORGANIZATIONS=acme"),
        ("REPOS", "org/acme", "write orgs/acme"),
        ("REPOS", "orgs/acme", "an organization belongs in ORGANIZATIONS"),
        ("ORGANIZATIONS", "acme/web", "a repository belongs in REPOS"),
    ] {
        let (code, _, stderr) = bench.output(&["check"], &[(variable, value)]).await;
        assert!(code == Some(2) && stderr.contains(hint), "{variable}={value}: {stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_setting_is_reported_with_the_right_name() {
    let bench = Bench::new().await;
    for (given, meant) in [("REPO", "REPOS"), ("REPOSITORIES", "REPOS"), ("ORGANISATIONS", "ORGANIZATIONS")] {
        let (code, _, stderr) = bench.output(&["check"], &[("REPOS", ""), (given, "acme/web")]).await;
        let hint = format!("{given} is set but is not a setting; did you mean {meant}?");
        assert!(code == Some(2) && stderr.contains(&hint), "{stderr}");
    }
    let (code, _, stderr) = bench.output(&["check"], &[("ORGANISATIONS", "acme")]).await;
    assert!(code == Some(1) && stderr.starts_with("warning: ORGANISATIONS is set"), "{stderr}");
    let (code, _, stderr) = bench.output(&["run"], &[("SLACK_WEBHOK", "https://x.test/y")]).await;
    assert!(code == Some(2) && stderr.contains("did you mean SLACK_WEBHOOK?"), "{stderr}");
    let (_, _, stderr) = bench.output(&["check"], &[]).await;
    assert_eq!(stderr, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_sends_a_test_or_says_why_not() {
    let bench = Bench::new().await;
    let (code, stdout, _) = bench.output(&["doctor", "--send-test"], &[]).await;
    assert!(code == Some(1) && stdout.contains("BAD Slack: no test message was sent: neither"), "{stdout}");
    assert!(!stdout.contains("Nothing to fix"), "{stdout}");
    for arguments in [&["doctor", "--send-test"][..], &["doctor"]] {
        let (code, stdout, _) = bench.output(arguments, &[("SLACK_WEBHOK", "https://x.test/y")]).await;
        assert!(code == Some(1) && stdout.contains("→ SLACK_WEBHOK is set but is not a setting; did you"), "{stdout}");
    }
    let (code, stdout, _) = bench.output(&["doctor"], &[]).await;
    assert!(code == Some(0) && stdout.contains("?   Slack: neither"), "{stdout}");
    // Nothing listens there: the hint must fit the settings in use.
    let webhook = [("SLACK_WEBHOOK", "http://127.0.0.1:1/x")];
    let (code, stdout, _) = bench.output(&["doctor", "--send-test"], &webhook).await;
    assert!(code == Some(1) && stdout.contains("create a new webhook"), "{stdout}");
    let bot = [("SLACK_BOT_TOKEN", "xoxb-1"), ("SLACK_CHANNEL", "ops"), ("SLACK_API_URL", "http://127.0.0.1:1")];
    let (code, stdout, _) = bench.output(&["doctor", "--send-test"], &bot).await;
    assert!(code == Some(1) && stdout.contains("invite the bot") && !stdout.contains("webhook"), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_a_path_is_refused_with_an_explanation() {
    let bench = Bench::new().await;
    for command in ["check", "status", "run"] {
        let (code, _, stderr) = bench.output(&[command], &[("RUNNER_MONITOR_STORE", "")]).await;
        assert!(code == Some(2) && stderr.starts_with("error: HOME is not set"), "{command}: {stderr}");
    }
    for place in [":memory:", "file:x.db"] {
        let (code, _, stderr) = bench.output(&["check", "--store", place], &[]).await;
        assert!(code == Some(2) && stderr.contains("must be the path of a file"), "{place}: {stderr}");
    }
    let folder = bench.folder.path().to_str().unwrap();
    let text = bench.folder.path().join("text");
    std::fs::write(&text, "not a store, and longer than the header of one. ".repeat(20)).unwrap();
    for (path, reason) in [(folder, "it is a folder"), (text.to_str().unwrap(), "is not a store of runner-monitor")] {
        let (code, _, stderr) = bench.output(&["check", "--store", path], &[]).await;
        assert!(code == Some(2) && stderr.contains(reason), "{stderr}");
        assert_eq!(stderr.matches(path).count(), 1, "the path once: {stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_in_the_heartbeat_url_is_never_shown() {
    let bench = Bench::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hunter2", listener.local_addr().unwrap());
    let file = bench.folder.path().join("heartbeat-url");
    std::fs::write(&file, format!("{url}\n")).unwrap();
    let at_file = format!("@{}", file.display());
    let mut child =
        bench.command(&["run", "acme/web", "--heartbeat-url", &at_file]).stdout(Stdio::null()).spawn().unwrap();
    let asked = tokio::task::spawn_blocking(move || {
        listener.set_nonblocking(true).unwrap();
        let deadline = Instant::now() + LONG;
        loop {
            match listener.accept() {
                Ok((mut stream, _)) => {
                    stream.set_nonblocking(false).unwrap();
                    let mut begin = [0; 12];
                    stream.read_exact(&mut begin).unwrap();
                    break String::from_utf8_lossy(&begin).into_owned();
                }
                Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => panic!("no heartbeat: {error}"),
            }
        }
    });
    let asked = asked.await;
    child.kill().unwrap();
    let stderr = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    child.wait().unwrap();
    assert_eq!(asked.unwrap(), "GET /hunter2", "{stderr}");
    assert!(!stderr.contains("hunter2") && !stderr.contains("everybody on this machine"), "{stderr}");

    let mut child = bench.command(&["run", "--heartbeat-url", &url]).stdout(Stdio::null()).spawn().unwrap();
    let stderr = child.stderr.take().unwrap();
    let warned = tokio::task::spawn_blocking(move || {
        std::io::BufRead::lines(std::io::BufReader::new(stderr))
            .map_while(Result::ok)
            .find(|line| line.contains("WARN"))
    });
    let line = warned.await.unwrap().unwrap_or_default();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.contains("set HEARTBEAT_URL instead") && !line.contains("hunter2"), "{line}");
    let absent = bench.output(&["run", "--heartbeat-url", "@/nowhere/key"], &[]).await;
    assert!(
        absent.0 == Some(2) && absent.2.contains("--heartbeat-url: the file `/nowhere/key` cannot be read"),
        "{absent:?}"
    );
}

/// The first check of many targets.
#[tokio::test(flavor = "multi_thread")]
async fn many_targets_are_counted() {
    let bench = Bench::new().await;
    {
        let mut github = bench.github.state();
        github.limits.points_per_minute = u64::MAX;
        for target in 0..60 {
            let name = format!("acme/app-{target}");
            github.add_target(&name);
            github.add_runner(&name, monitor_fakes::github::RunnerSpec::new(&format!("runner-{target}")));
        }
    }
    let variables = [("REPOS", "acme/*"), ("GITHUB_REQUESTS_PER_MINUTE", "off")];
    let (code, stdout, stderr) = bench.output(&["check"], &variables).await;
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    assert!(stdout.contains("First check of 61 targets.") && stdout.lines().count() < 12, "{stdout}");
    assert!(stdout.lines().nth(3).unwrap().contains("build-0"), "unhealthy runners come first: {stdout}");
    assert!(stdout.contains("61 more runners without a problem (--all lists them)"), "{stdout}");
    assert!(
        stdout.lines().last().unwrap().starts_with("1 of 62 runners offline in 61 targets; checked in "),
        "{stdout}"
    );
    let (code, stdout, _) = bench.output(&["status"], &[]).await;
    assert!(code == Some(1) && stdout.contains("1 of 62 runners offline in 61 targets, 1 open outage; "), "{stdout}");
    let (_, stdout, _) = bench.output(&["status", "--all"], &[]).await;
    assert_eq!(stdout.matches(" runner-").count(), 60, "{stdout}");
}

/// Failing property tests must leave no files in the source tree.
#[test]
fn property_tests_write_no_failures_to_the_source_tree() {
    assert_eq!(std::env::var("PROPTEST_DISABLE_FAILURE_PERSISTENCE").as_deref(), Ok("true"), ".cargo/config.toml");
}

/// The systemd unit in docs/RUNNING.md starts the program with valid arguments, and does not restart it in vain.
#[tokio::test(flavor = "multi_thread")]
async fn the_systemd_unit_starts_the_program_and_does_not_restart_it_for_a_wrong_setting() {
    let page = include_str!("../../../docs/RUNNING.md");
    let unit = page.split("```ini").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(&format!("{key}="))).unwrap_or_default();
    let started = value("ExecStart").strip_prefix("/usr/local/bin/runner-monitor ").unwrap();
    let arguments: Vec<&str> = started.split(' ').collect();
    let bench = Bench::new().await;
    let (code, _, stderr) = bench.output(&arguments, &[("REPOS", "acme")]).await;
    assert!(code == Some(2) && stderr.contains("REPOS: must be owner/name"), "{stderr}");
    assert_eq!(value("RestartPreventExitStatus"), "2");
    assert_eq!(value("Environment"), "RUNNER_MONITOR_STORE=/var/lib/runner-monitor/store.db");
    assert!(page.contains("sudo install -m 755 target/release/runner-monitor /usr/local/bin/"));
    assert!(page.contains("sudo runner-monitor status --store /var/lib/runner-monitor/store.db"));
}
