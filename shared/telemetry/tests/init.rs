//! `init` in its own process, with the variables that it reads.

use std::io;
use std::process::Command;

use monitor_telemetry::{Format, LoggingError, init};

/// Whether the child succeeded, and what it wrote to stderr.
fn child(log: &str) -> io::Result<(bool, String)> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--exact", "in_the_child", "--ignored", "--nocapture"])
        .env("LOG", log)
        .env("RUST_LOG", "off")
        .env("RUST_BACKTRACE", "0")
        .output()?;
    Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

#[test]
#[ignore = "the other tests start it, each with its own variables"]
fn in_the_child() {
    if let Err(error) = init(Format::Json, "off") {
        panic!("{error}");
    }
    tracing::debug!(target: "monitor_test", "a debug event");
    assert_eq!(init(Format::Human, "info"), Err(LoggingError::AlreadySet));
}

#[test]
fn events_go_to_stderr_as_the_environment_says() {
    for (log, events) in [("debug", 1), ("info", 0)] {
        let (success, stderr) = child(log).unwrap();
        assert!(success, "{stderr}");
        assert_eq!(stderr.matches(r#""message":"a debug event""#).count(), events, "{log}: {stderr}");
    }
}

#[test]
fn a_filter_that_cannot_be_read_is_reported() {
    let (success, stderr) = child("verbose").unwrap();
    assert!(!success && stderr.contains("LOG: must be a level"), "{stderr}");
}
