//! Every answer to a command, sample by sample; and that all of them keep Slack's limits.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod limits;
mod outline;
#[allow(dead_code, reason = "shared with the test of notifications")]
mod samples;

use outline::outline;
use samples::answers;

#[test]
fn every_answer_reads_as_it_did() {
    for (name, reply) in answers::all() {
        insta::assert_snapshot!(name, outline(reply.message()));
    }
}

#[test]
fn every_answer_keeps_the_limits() {
    for (_, reply) in answers::all() {
        limits::check(reply.message());
    }
}

#[test]
fn an_answer_is_private_unless_the_channel_should_see_it() {
    let (_, reply) = answers::all().remove(0);
    let sent = |reply: &monitor_slack::Reply| serde_json::to_value(reply).unwrap();
    assert_eq!(sent(&reply)["response_type"], "ephemeral");
    assert!(sent(&reply)["text"].is_string() && sent(&reply)["blocks"].is_array());
    assert_eq!(sent(&reply.public(true))["response_type"], "in_channel");
}

#[test]
fn a_runner_is_never_said_to_be_down() {
    for (name, reply) in answers::all() {
        let text = outline(reply.message());
        let mut of_runners = text.lines().filter(|line| !line.contains("Monitoring of "));
        assert!(of_runners.all(|line| !line.contains(" down")), "{name}: {text}");
    }
}

#[test]
fn an_answer_about_unreachable_targets_says_so_first_and_calls_nothing_healthy() {
    for (asked, reply) in answers::while_unreachable() {
        let read = outline(reply.message());
        assert!(read.starts_with("text: 🔴 Monitoring of "), "{asked}: {read}");
        assert!(read.contains("is down: no check has succeeded since 2026-11-23 21:05 UTC"), "{asked}: {read}");
        assert!(read.to_lowercase().contains("last known"), "{asked}: {read}");
        assert!(!read.contains('✅') && !read.contains("idle for"), "{asked}: {read}");
        assert!(!read.contains("GitHub reports"), "nothing is reported as current: {asked}: {read}");
    }
    let read = outline(answers::while_stopped().message());
    assert!(read.starts_with("text: 🔴 The monitor has stopped: no check since 2026-11-23 20:05 UTC"), "{read}");
    assert!(read.contains("Last known: all 2 runners online") && !read.contains('✅'), "{read}");
    let read = outline(answers::after_one_failed_check().message());
    assert!(read.starts_with("text: ⚠️ The latest check of acme/web failed") && !read.contains('✅'), "{read}");
}
