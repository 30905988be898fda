//! `health`, as a probe runs it: whether monitoring is complete, and nothing about the runners.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::Bench;

/// Runs the monitor for one cycle.
async fn one_cycle(bench: &Bench) {
    let mut child = bench.command(&["run", "--every", "10s"]).stdout(Stdio::null()).spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let ended = tokio::task::spawn_blocking(move || {
        let mut log = stderr.lines().map_while(Result::ok);
        assert!(log.any(|line| line.contains("cycle complete")), "it ended before the cycle did");
        let stopped = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(stopped.unwrap().success());
        // A full pipe would block the program.
        log.for_each(drop);
        child.wait()
    });
    assert_eq!(ended.await.unwrap().unwrap().code(), Some(0));
}

fn change(bench: &Bench, sql: &str) {
    let store = rusqlite::Connection::open(bench.folder.path().join("store.db")).unwrap();
    assert!(store.execute(sql, []).unwrap() > 0, "{sql}");
}

/// The exit code and output of `health`, which reads no setting, and the reasons in its JSON.
async fn health(bench: &Bench) -> (Option<i32>, String, Value) {
    let unset = [("GITHUB_TOKEN", ""), ("REPOS", ""), ("POLICY", "")];
    let (code, stdout, stderr) = bench.output(&["health"], &unset).await;
    let (code_of_json, document, _) = bench.output(&["health", "--json"], &unset).await;
    assert_eq!(code, code_of_json, "{stdout}{stderr}{document}");
    let document: Value = serde_json::from_str(&document).unwrap_or_default();
    (code, stdout + &stderr, document["monitoring"]["notComplete"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_complete_after_a_cycle_whatever_the_runners_do_and_not_when_the_monitor_has_stopped() {
    let bench = Bench::new().await;
    one_cycle(&bench).await;
    let (code, printed, reasons) = health(&bench).await;
    assert_eq!((code, reasons), (Some(0), json!([])), "{printed}");
    assert!(printed.starts_with("Monitoring is complete: the last tick was "), "{printed}");
    let (code, printed, _) = bench.output(&["status"], &[]).await;
    assert!(code == Some(1) && printed.contains("build-0"), "a runner is offline: {printed}");

    // The heartbeat, and the commit of the tick.
    change(
        &bench,
        "UPDATE items SET body = json_replace(body, '$.at', '2026-01-01T00:00:00.000Z',
         '$.nextTickAt', '2026-01-01T00:00:10.000Z', '$.tickedAt', '2026-01-01T00:00:00.000Z')
         WHERE section = 'watchlist' OR (section = 'last-seen' AND subject = 'monitor')",
    );
    let (code, printed, reasons) = health(&bench).await;
    assert!(code == Some(1) && reasons.as_array().is_some_and(|reasons| reasons.len() == 1), "{printed}");
    assert!(printed.starts_with("Monitoring is not complete: the tick failed: the last tick was "), "{printed}");

    // A target that was never checked.
    change(
        &bench,
        r#"UPDATE items SET body = json_insert(body, '$.targets[#]', 'acme/api') WHERE section = 'watchlist'"#,
    );
    let (code, printed, _) = health(&bench).await;
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!((code, lines.len()), (Some(1), 2), "{printed}");
    assert!(lines[1].contains("1 of 2 targets were not checked, the first is acme/api"), "{printed}");
    let (code, status, _) = bench.output(&["status"], &[]).await;
    assert!(code == Some(2) && status.contains("Monitoring is not complete: the tick failed"), "the same: {status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_a_tick_is_not_complete_and_a_missing_or_unreadable_one_is_an_error() {
    let bench = Bench::new().await;
    let store = bench.folder.path().join("store.db");
    let (code, printed, _) = health(&bench).await;
    assert!(code == Some(2) && printed.starts_with("error: there is no store at "), "{printed}");
    assert!(!store.exists());

    // A single check is no monitor.
    bench.check(&[]).await;
    let (code, printed, reasons) = health(&bench).await;
    assert_eq!((code, reasons), (Some(1), json!(["`run` has not used this store yet"])), "{printed}");
    assert_eq!(printed, "Monitoring is not complete: `run` has not used this store yet\n");

    std::fs::write(&store, "no database").unwrap();
    let (code, printed, _) = health(&bench).await;
    assert!(code == Some(2) && printed.starts_with("error: "), "{printed}");
}
