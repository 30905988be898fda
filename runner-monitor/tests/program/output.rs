//! Commands whose output nobody reads, or whose output cannot be written.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tokio::time::Instant;

use crate::Bench;

const LONG: Duration = Duration::from_secs(90);

/// Every command that prints a result and ends.
const COMMANDS: [&[&str]; 13] = [
    &["check"],
    &["check", "--json"],
    &["status"],
    &["status", "--json"],
    &["health"],
    &["health", "--json"],
    &["history"],
    &["history", "--json"],
    &["doctor"],
    &["doctor", "--json"],
    &["settings"],
    &["--help"],
    &["--version"],
];

/// A pipe whose reader is gone.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_left_does_not_change_the_exit_code() {
    let bench = Bench::new().await;
    let mut codes = Vec::new();
    for arguments in COMMANDS {
        let (code, stderr) = bench.run(arguments, Stdio::piped()).await;
        assert_eq!(bench.run(arguments, unread()).await, (code, stderr), "{arguments:?}");
        codes.extend(code);
    }
    assert_eq!(codes, [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
    // Nor does it if standard error has no reader.
    let mut command = bench.command(&["status", "--target", "acme/other"]);
    let status = tokio::task::spawn_blocking(move || command.stderr(unread()).status()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn output_that_cannot_be_written_is_an_error() {
    let bench = Bench::new().await;
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for arguments in COMMANDS.into_iter().chain([&["demo"][..]]) {
        let (code, stderr) = bench.run(arguments, full()).await;
        assert!(stderr.starts_with("error: cannot write to standard output: No space left"), "{arguments:?}: {stderr}");
        assert_eq!((code, stderr.lines().count()), (Some(2), 1), "{arguments:?}: {stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_runs_to_its_end_even_if_nobody_reads() {
    let bench = Bench::new().await;
    let (code, stderr) = bench.run(&["demo", "--speed", "300"], unread()).await;
    assert!(code == Some(0) && stderr.is_empty(), "{code:?}: {stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_keeps_monitoring_when_nobody_reads_its_output() {
    let bench = Bench::new().await;
    let mut child = bench.command(&["run", "--every", "10s"]).stdout(unread()).spawn().unwrap();
    let (line, log) = mpsc::channel();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|one| line.send(one)));
    let ending = tokio::task::spawn_blocking(move || {
        let deadline = Instant::now() + LONG;
        let logged = |words: &str| {
            let left = || deadline.saturating_duration_since(Instant::now());
            while !log.recv_timeout(left()).unwrap_or_else(|error| panic!("no {words:?}: {error}")).contains(words) {}
        };
        logged("cannot write to the console");
        logged("cycle complete");
        let ended = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(ended.unwrap().success());
        logged("stopped");
        child.wait()
    });
    assert_eq!(ending.await.unwrap().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn json_has_the_documented_keys() {
    let bench = Bench::new().await;
    let page = include_str!("../../../docs/RUNNING.md");
    let rows = page.split("\n## JSON\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<&str> = rows.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(rows.len(), 8);
    for row in rows {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let (command, keys) = (cells.next().unwrap().trim_matches('`'), cells.next().unwrap());
        // Words in parentheses explain a key.
        let mut documented: Vec<&str> =
            keys.split("), `").flat_map(|part| part.split(" (").next().unwrap().split(", ")).collect();
        documented.iter_mut().for_each(|key| *key = key.trim_matches('`'));
        documented.sort();
        let arguments: Vec<&str> = command.split(' ').chain(["--json"]).collect();
        let (_, stdout, stderr) = bench.output(&arguments, &[]).await;
        let document: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{command}: {error}: {stdout}{stderr}"));
        let mut keys: Vec<&str> = document.keys().map(String::as_str).collect();
        keys.sort();
        assert_eq!(keys, documented, "{command}");
        assert_eq!(document["version"], 1, "{command}");
        if let Some(now) = document.get("now") {
            assert!(now.as_str().is_some_and(|now| now.ends_with('Z') && now.contains('T')), "{now}");
        }
    }
}

/// What bash offers for the last word of a command line.
fn completions(script: &str, words: &[&str]) -> String {
    let line = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let ask = format!(
        "{script}\nCOMP_WORDS=({line}) COMP_CWORD={}\n_runner__monitor runner-monitor '{}' '{}'\nprintf '%s ' \"${{COMPREPLY[@]}}\"",
        words.len() - 1,
        words[words.len() - 1],
        words[words.len() - 2]
    );
    let output = Command::new("bash").args(["--norc", "-c", &ask]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_completes_commands_and_their_options() {
    let bench = Bench::new().await;
    let (_, script, _) = bench.output(&["completions", "bash"], &[]).await;
    for (words, expected) in [
        (&["runner-monitor", "hist"][..], "history"),
        (&["runner-monitor", "check", "--st"], "--store"),
        (&["runner-monitor", "config", ""], "schema"),
        (&["runner-monitor", "completions", "z"], "zsh"),
    ] {
        let offered = completions(&script, words);
        assert!(offered.split(' ').any(|word| word == expected), "{words:?}: {offered}");
    }
}
