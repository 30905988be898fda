//! The incoming webhook, as the notifier uses it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use monitor_fakes::FakeSlack;
use monitor_fakes::slack::{Fault, State};
use reqwest::Client;
use serde_json::{Value, json};

use crate::client::{NOON_MS, client, header, send};

async fn post(client: &Client, url: &str, body: &Value) -> (u16, String) {
    let response = send(client.post(url).json(body)).await;
    let status = response.status().as_u16();
    (status, response.text().await.expect("text"))
}

fn answer(status: u16, body: &str) -> (u16, String) {
    (status, body.to_owned())
}

async fn start() -> (FakeSlack, Client, String) {
    let slack = FakeSlack::start().await.expect("a free port");
    let url = slack.webhook_url();
    (slack, client(), url)
}

#[tokio::test]
async fn messages_are_stored_in_the_order_sent() {
    let (slack, client, url) = start().await;
    let blocks = json!([{"type": "section", "text": {"type": "mrkdwn", "text": "*two*"}}]);
    for body in [json!({"text": "one"}), json!({"text": "two", "blocks": blocks})] {
        assert_eq!(post(&client, &url, &body).await, answer(200, "ok"));
    }
    let messages = slack.messages();
    assert_eq!((messages[0].text(), messages[1].text()), ("one", "two"));
    assert_eq!(messages[1].body["blocks"], blocks);
    slack.state().forget_messages();
    assert!(slack.messages().is_empty());
}

#[tokio::test]
async fn invalid_messages_are_refused_and_the_refusals_are_kept() {
    let (slack, client, url) = start().await;
    let long = "x".repeat(151);
    let header = json!([{"type": "header", "text": {"type": "plain_text", "text": long}}]);
    for (body, error) in [
        (json!({}), "no_text"),
        (json!({"text": " ", "blocks": []}), "no_text"),
        (json!({"text": 5}), "invalid_payload"),
        (json!(["text"]), "invalid_payload"),
        (json!({"text": "x", "blocks": "[]"}), "invalid_blocks"),
        (json!({"text": "x", "blocks": header}), "invalid_blocks"),
    ] {
        assert_eq!(post(&client, &url, &body).await, answer(400, error), "{body}");
    }
    let bare = send(client.post(&url).body("{\"text\":\"x\"}")).await;
    assert_eq!(bare.status(), 400);
    let broken = client.post(&url).header("content-type", "application/json").body("{");
    assert_eq!(send(broken).await.status(), 400);
    assert_eq!(send(client.get(&url)).await.status(), 405);
    let elsewhere = format!("{}/services/T0/B0/other", slack.base_url());
    assert_eq!(post(&client, &elsewhere, &json!({"text": "x"})).await, answer(404, "no_service"));
    slack.state().replace_webhook("/services/T0/B0/other");
    assert_eq!(post(&client, &url, &json!({"text": "x"})).await, answer(404, "no_service"));
    assert_eq!(post(&client, &elsewhere, &json!({"text": "x"})).await, answer(200, "ok"));

    assert_eq!(slack.messages().len(), 1);
    let refusals = slack.state().refusals().to_vec();
    assert_eq!(refusals.len(), 11);
    assert_eq!(refusals[5].to_string(), "400 invalid_blocks (blocks[0].text: text has 151 characters, at most 150)");
}

#[tokio::test]
async fn faults_apply_in_order_and_a_permanent_one_until_cleared() {
    let (slack, client, url) = start().await;
    {
        let mut state = slack.state();
        state.fault_next(Fault::RateLimited(3), 1);
        state.fault_next(Fault::Answer(500, "rollup_error"), 2);
        state.fault_always(Fault::Answer(410, "channel_is_archived"));
    }
    let message = json!({"text": "x"});
    let limited = send(client.post(&url).json(&message)).await;
    assert_eq!(limited.status(), 429);
    assert_eq!(header(&limited, "retry-after"), "3");
    for expected in [
        answer(500, "rollup_error"),
        answer(500, "rollup_error"),
        answer(410, "channel_is_archived"),
        answer(410, "channel_is_archived"),
    ] {
        assert_eq!(post(&client, &url, &message).await, expected);
    }
    assert!(slack.messages().is_empty());
    slack.state().clear_faults();
    assert_eq!(post(&client, &url, &message).await, answer(200, "ok"));
    assert_eq!(slack.state().posts(), 6);
}

#[tokio::test]
async fn a_lost_answer_stores_the_message_and_a_hang_or_reset_does_not() {
    let (slack, client, url) = start().await;
    let send = async |text: &str| {
        let request = client.post(&url).json(&json!({"text": text}));
        request.timeout(Duration::from_millis(500)).send().await
    };
    slack.state().fault_next(Fault::LostAnswer, 1);
    let lost = send("lost").await.expect_err("no answer");
    assert!(!lost.is_timeout());
    assert_eq!(slack.messages()[0].text(), "lost");

    slack.state().fault_next(Fault::Reset, 1);
    assert!(send("reset").await.is_err());
    slack.state().fault_next(Fault::Hang, 1);
    assert!(send("hang").await.expect_err("no answer").is_timeout());
    slack.state().fault_next(Fault::Slow(100), 1);
    let asked = tokio::time::Instant::now();
    assert_eq!(send("slow").await.expect("an answer").status(), 200);
    assert!(asked.elapsed() >= Duration::from_millis(100));
    assert_eq!(slack.messages().len(), 2);
}

#[tokio::test]
async fn one_message_per_second_can_be_enforced() {
    let mut state = State::new("/services/T1/B1/x");
    state.min_interval_ms = Some(1_000);
    let now_ms = Arc::new(AtomicI64::new(NOON_MS));
    let clock = Arc::clone(&now_ms);
    let slack = FakeSlack::start_with(state, 0, move || clock.load(Ordering::SeqCst)).await;
    let slack = slack.expect("a free port");
    let (client, url) = (client(), slack.webhook_url());
    let message = json!({"text": "x"});
    assert_eq!(post(&client, &url, &message).await.0, 200);
    now_ms.store(NOON_MS + 999, Ordering::SeqCst);
    let refused = send(client.post(&url).json(&message)).await;
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after").as_str()), (429, "1"));
    now_ms.store(NOON_MS + 1_000, Ordering::SeqCst);
    assert_eq!(post(&client, &url, &message).await.0, 200);
}

#[tokio::test]
async fn messages_can_be_waited_for() {
    let (slack, client, url) = start().await;
    let posting = tokio::spawn(async move {
        for text in ["one", "two", "three"] {
            post(&client, &url, &json!({"text": text})).await;
        }
    });
    let messages = slack.wait_for_messages(3, Duration::from_secs(5)).await;
    assert_eq!(messages.expect("three messages").len(), 3);
    posting.await.expect("posted");
    let late = slack.wait_for_messages(4, Duration::from_millis(50)).await;
    assert_eq!(late.expect_err("no fourth").to_string(), "3 of 4 messages arrived");
}
