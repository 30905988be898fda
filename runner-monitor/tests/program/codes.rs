//! Exit codes: the same for every command that reports the state of the runners.

use std::io::{BufRead, BufReader, Write};

use monitor_fakes::github::{Access, RunnerSpec, State};

use crate::Bench;

/// The exit codes of check, status, history and doctor.
async fn codes(bench: &Bench, target: &str, policy: &str) -> [Option<i32>; 4] {
    let variables = [("REPOS", target), ("POLICY", policy)];
    let mut codes = [None; 4];
    for (code, command) in codes.iter_mut().zip(["check", "status", "history", "doctor"]) {
        let arguments = match command {
            "status" | "history" => vec![command, target],
            _ => vec![command],
        };
        *code = bench.output(&arguments, &variables).await.0;
    }
    codes
}

fn set(bench: &Bench, of_it: usize, status: &str) {
    let mut github = bench.github.state();
    let id = github.runners("acme/web")[of_it].id;
    github.set_runner("acme/web", id, status, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn healthy_unhealthy_unreachable_and_unknown_have_the_same_code_in_every_command() {
    let bench = Bench::new().await;
    set(&bench, 0, "online");
    assert_eq!(codes(&bench, "acme/web", "{}").await, [Some(0); 4], "all is well");
    set(&bench, 0, "offline");
    // `doctor` checks the installation, not the state of the runners.
    assert_eq!(
        codes(&bench, "acme/web", r#"{"failureThreshold":1}"#).await,
        [Some(1), Some(1), Some(1), Some(0)],
        "an outage"
    );
    bench.github.state().set_access("acme/web", Access::Hidden);
    assert_eq!(
        codes(&bench, "acme/web", r#"{"failureThreshold":1}"#).await,
        [Some(2); 4],
        "unreachable, and an outage"
    );
    set(&bench, 0, "online");
    assert_eq!(codes(&bench, "acme/other", "{}").await, [Some(2); 4], "unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_never_connected_is_no_outage() {
    let mut github = State::new();
    github.add_token("token");
    github.add_target("acme/web");
    github.add_runner("acme/web", RunnerSpec::new("used"));
    github.add_runner("acme/web", RunnerSpec::new("ahead").never_connected());
    let bench = Bench::of(github).await;
    for command in ["check", "status"] {
        let (code, stdout, stderr) = bench.output(&[command], &[("POLICY", "{}")]).await;
        assert_eq!(code, Some(0), "{command}: {stdout}{stderr}");
        assert!(stdout.contains("offline (never connected)") && stdout.contains("1 of 2 runners offline"), "{stdout}");
    }
    let id = bench.github.state().runners("acme/web")[0].id;
    bench.github.state().set_runner("acme/web", id, "offline", false);
    let (code, stdout, _) = bench.output(&["check"], &[("POLICY", "{}")]).await;
    assert_eq!(code, Some(1), "a first failed check of a runner that was in use: {stdout}");
}

/// Starts a GitHub without runners whose clock is ahead of this machine's; returns its address.
fn github_with_clock_ahead(ahead: chrono::TimeDelta) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let now = chrono::DateTime::from_timestamp_millis(monitor_fakes::wall_clock_ms()).unwrap();
            let date = (now + ahead).format("%a, %d %b %Y %H:%M:%S GMT");
            let body = r#"{"total_count":0,"runners":[]}"#;
            let head =
                format!("HTTP/1.1 200 OK\r\ndate: {date}\r\ncontent-type: application/json\r\nconnection: close");
            let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_difference_has_the_right_sign() {
    let bench = Bench::new().await;
    // Half an hour past the full hour: a busy machine may take seconds to answer.
    for (ahead_minutes, expected) in [(150, "2 h 29 min behind GitHub's"), (-150, "2 h 30 min ahead of GitHub's")] {
        let github = github_with_clock_ahead(chrono::TimeDelta::seconds(ahead_minutes * 60));
        let (code, stdout, stderr) = bench.output(&["doctor"], &[("GITHUB_API_URL", &github)]).await;
        let line = stdout.lines().find(|line| line.contains("clock: ")).unwrap_or_default();
        let near = [expected.to_owned(), expected.replace("29 min", "30 min")];
        assert!(line.starts_with("BAD ") && near.iter().any(|words| line.contains(words)), "{stdout}{stderr}");
        assert_eq!(code, Some(1), "{stdout}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_filtered_by_target_runner_and_time() {
    let bench = Bench::new().await;
    bench.output(&["check"], &[]).await;
    set(&bench, 1, "offline");
    bench.output(&["check"], &[]).await;
    set(&bench, 1, "online");
    let recover = [("POLICY", r#"{"failureThreshold":1,"successThreshold":1}"#)];
    bench.output(&["check"], &recover).await;
    // Moves the open outage of build-0 and the ended one of build-1 into the past.
    let store = rusqlite::Connection::open(bench.folder.path().join("store.db")).unwrap();
    store
        .execute_batch(
            "UPDATE items SET body = json_set(body, '$.startedAt', '2001-01-01T00:00:00.000Z') WHERE section = 'outage';
             UPDATE items SET body = json_set(body, '$.resolvedAt', '2001-01-02T00:00:00.000Z')
             WHERE section = 'outage' AND json_extract(body, '$.resolvedAt') IS NOT NULL;",
        )
        .unwrap();
    drop(store);
    for (arguments, code, shown) in [
        (&[][..], 1, &["build-0", "build-1"][..]),
        (&["--since", "1h"], 1, &["build-0"]),
        (&["build-1"], 0, &["build-1"]),
        (&["BUILD-?"], 1, &["build-0", "build-1"]),
        (&["build-1", "--since", "1h"], 0, &[]),
        (&["--runner", "*-0"], 1, &["build-0"]),
        (&["acme/web"], 1, &["build-0", "build-1"]),
        (&["acme/*", "--runner", "build-1"], 0, &["build-1"]),
        (&["https://github.com/acme/web/settings/actions/runners"], 2, &[]),
        (&["--target", "acme/other"], 2, &[]),
        (&["nobody"], 2, &[]),
        (&["nobody", "build-1"], 2, &["build-1"]),
    ] {
        let (found, stdout, stderr) = bench.output(&[&["history"], arguments].concat(), &[]).await;
        assert_eq!(found, Some(code), "{arguments:?}: {stdout}{stderr}");
        for runner in ["build-0", "build-1"] {
            assert_eq!(stdout.contains(runner), shown.contains(&runner), "{arguments:?}: {stdout}");
        }
        assert_eq!(stderr.is_empty(), code < 2, "{arguments:?}: {stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_is_filtered_by_target_and_runner() {
    let bench = Bench::new().await;
    bench.output(&["check"], &[]).await;
    for (arguments, code, shown) in [
        (&[][..], 1, &["build-0", "build-1"][..]),
        (&["acme/web"], 1, &["build-0", "build-1"]),
        (&["build-1"], 0, &["build-1"]),
        (&["build-0"], 1, &["build-0"]),
        (&["--target", "acme/other"], 2, &[]),
        (&["build-9"], 2, &[]),
    ] {
        let (found, stdout, stderr) = bench.output(&[&["status"], arguments].concat(), &[]).await;
        assert_eq!(found, Some(code), "{arguments:?}: {stdout}{stderr}");
        for runner in ["build-0", "build-1"] {
            assert_eq!(stdout.contains(runner), shown.contains(&runner), "{arguments:?}: {stdout}");
        }
    }
    let (_, _, stderr) = bench.output(&["status", "acme/other"], &[]).await;
    assert!(stderr.contains("check it with `runner-monitor check 'acme/other'`"), "{stderr}");
}

/// Truncated store files: `doctor` must not call a file readable that a command cannot read.
#[tokio::test(flavor = "multi_thread")]
async fn doctor_reads_the_whole_store() {
    let bench = Bench::new().await;
    bench.output(&["check"], &[]).await;
    let path = bench.folder.path().join("store.db");
    let whole = std::fs::read(&path).unwrap();
    let (code, stdout, _) = bench.output(&["doctor"], &[]).await;
    assert!(code == Some(0) && stdout.contains(": readable, each of its "), "{stdout}");
    let mut damaged = 0;
    for part in 1..12 {
        let cut = || std::fs::write(&path, &whole[..whole.len() * part / 12]).unwrap();
        cut();
        let (status, ..) = bench.output(&["status"], &[]).await;
        cut();
        let (code, stdout, _) = bench.output(&["doctor"], &[]).await;
        let is_bad = stdout.contains("BAD store ");
        assert!(is_bad || status != Some(2), "status ends with 2 and doctor says: {stdout}");
        assert_eq!(code, Some(i32::from(is_bad)), "{stdout}");
        let path = path.to_str().unwrap();
        assert_eq!(stdout.matches(path).count(), 1, "the path once: {stdout}");
        damaged += u32::from(is_bad);
    }
    assert!(damaged >= 10, "{damaged}");
    std::fs::write(&path, &whole).unwrap();
    let store = rusqlite::Connection::open(&path).unwrap();
    store.execute_batch("UPDATE items SET body = '{}' WHERE section = 'outage'").unwrap();
    drop(store);
    let (code, stdout, _) = bench.output(&["doctor"], &[]).await;
    assert!(code == Some(1) && stdout.contains("BAD store") && stdout.contains("acme/web outage"), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_outage_comes_first_and_hidden_ones_count_for_the_exit_code() {
    let bench = Bench::new().await;
    bench.output(&["check"], &[]).await;
    set(&bench, 1, "offline");
    bench.output(&["check"], &[]).await;
    set(&bench, 1, "online");
    bench.output(&["check"], &[("POLICY", r#"{"failureThreshold":1,"successThreshold":1}"#)]).await;
    // The outage of build-0 is the older one, and the one that is open.
    let (code, stdout, _) = bench.output(&["history"], &[]).await;
    let of = |name: &str| stdout.find(name).unwrap_or_else(|| panic!("no {name} in {stdout}"));
    assert!(code == Some(1) && of("build-1") < of("build-0"), "{stdout}");
    let (code, stdout, _) = bench.output(&["history", "--limit", "1"], &[]).await;
    assert!(stdout.contains("build-1") && !stdout.contains("build-0"), "{stdout}");
    assert!(code == Some(1) && stdout.contains("2 outages, 1 shown (--limit)"), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_shows_the_remaining_quota_and_the_store_requests() {
    let bench = Bench::new().await;
    bench.github.state().add_target("acme/api");
    let both = [("REPOS", "acme/web,acme/api")];
    let (_, stdout, _) = bench.output(&["check"], &both).await;
    // Two requests: the second one's answer has the lower remaining quota.
    assert!(stdout.contains(", 4,998 requests left of the hourly quota"), "{stdout}");
    let (_, stdout, _) = bench.output(&["check", "--json"], &both).await;
    let store = stdout.split("\"store\":").nth(1).and_then(|rest| rest.split('}').next()).unwrap_or_default();
    let store: String = store.split_whitespace().collect();
    // Nothing changed at either target, so nothing is written.
    assert!(store.contains("\"writes\":0") && store.contains("\"itemsWritten\":0"), "{store}");
    assert!(!store.contains("\"reads\":0"), "{store}");
}
