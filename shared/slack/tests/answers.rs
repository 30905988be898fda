//! What people read who ask, sample by sample; and that all of it keeps Slack's limits.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod limits;
mod outline;
#[allow(dead_code, reason = "shared with the test of notices")]
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
fn an_answer_is_for_whoever_asked_unless_the_channel_is_to_see_it() {
    let (_, reply) = answers::all().remove(0);
    let sent = |reply: &monitor_slack::Reply| serde_json::to_value(reply).unwrap();
    assert_eq!(sent(&reply)["response_type"], "ephemeral");
    assert!(sent(&reply)["text"].is_string() && sent(&reply)["blocks"].is_array());
    assert_eq!(sent(&reply.public(true))["response_type"], "in_channel");
}

#[test]
fn a_runner_is_never_said_to_be_down() {
    for (name, reply) in answers::all() {
        assert!(!outline(reply.message()).contains(" down"), "{name}");
    }
}
