//! The webhook against a Slack over HTTP, which judges every message by its own rules.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod samples;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use monitor_domain::notices::Notice;
use monitor_fakes::FakeSlack;
use monitor_fakes::slack::Fault;
use monitor_pipeline::items::Delivered;
use monitor_pipeline::ports::{Chat, ChatError, Form};
use monitor_slack::{Console, Messenger, WebBase, Webhook, WebhookSettings, WebhookUrl, render_console};

fn webhook_at(url: &str, timeout: Duration) -> Webhook {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = WebhookUrl::parse(url, &[]).unwrap();
    Webhook::new(http, url, WebhookSettings { timeout, ..WebhookSettings::default() })
}

fn webhook(slack: &FakeSlack) -> Webhook {
    webhook_at(&slack.webhook_url(), Duration::from_secs(10))
}

fn sample(name: &str) -> Notice {
    samples::all().into_iter().find(|(known, _)| *known == name).unwrap().1
}

async fn fault(slack: &FakeSlack, fault: Fault) -> ChatError {
    slack.state().fault_next(fault, 1);
    webhook(slack).send(&sample("offline_one"), Form::Blocks).await.unwrap_err()
}

/// No part of the webhook's path may be told.
fn assert_secret_kept(error: &ChatError) {
    let told = format!("{error} {error:?}");
    assert!(!told.contains("notasecret") && !told.contains("/services/"), "{told}");
}

#[tokio::test]
async fn every_sample_is_taken_in_both_forms() {
    let slack = FakeSlack::start().await.unwrap();
    let samples = samples::all();
    let webhook = webhook(&slack);
    for (name, notice) in &samples {
        for form in [Form::Blocks, Form::PlainText] {
            let sent = webhook.send(notice, form).await;
            assert_eq!(sent, Ok(Delivered::default()), "{name}: {:?}", slack.state().refusals().last());
        }
    }
    let messages = slack.messages();
    assert_eq!(messages.len(), 2 * samples.len());
    assert!(messages[0].body["blocks"].is_array() && messages[1].body["blocks"].is_null());
}

#[tokio::test]
async fn a_rate_limit_says_how_long_to_wait() {
    let slack = FakeSlack::start().await.unwrap();
    let busy = |secs| ChatError::Busy { retry_after: Duration::from_secs(secs) };
    assert_eq!(fault(&slack, Fault::RateLimited(7)).await, busy(7));
    assert_eq!(fault(&slack, Fault::RateLimited(0)).await, busy(1));
    assert_eq!(fault(&slack, Fault::RateLimited(u64::MAX)).await, busy(3_600));
    assert_eq!(fault(&slack, Fault::Answer(429, "rate_limited")).await, busy(30));
}

#[tokio::test]
async fn refused_content_is_told_from_a_dead_webhook() {
    let slack = FakeSlack::start().await.unwrap();
    for word in
        ["invalid_payload", "invalid_blocks", "no_text", "msg_too_long", "msg_blocks_too_long", "a_word_of_tomorrow"]
    {
        let error = fault(&slack, Fault::Answer(400, word)).await;
        assert!(matches!(&error, ChatError::ContentRefused(told) if told.contains(word)), "{error:?}");
    }
    let dead = [
        (400, "invalid_token"),
        (401, "invalid_auth"),
        (403, "action_prohibited"),
        (403, "invalid_token"),
        (404, "no_service"),
        (404, "channel_not_found"),
        (404, "<html>not found</html>"),
        (405, "method_not_allowed"),
        (410, "channel_is_archived"),
        (301, ""),
        (400, "<html>400 The plain HTTP request was sent to HTTPS port</html>"),
        (200, "<html>please log in</html>"),
        (200, r#"{"ok":false,"error":"invalid_auth"}"#),
    ];
    for (status, body) in dead {
        let error = fault(&slack, Fault::Answer(status, body)).await;
        let ChatError::Dead(told) = &error else { panic!("{status} {body}: {error:?}") };
        assert!(told.contains("127.0.0.1 answers") && told.contains("; "), "{told}");
        assert!(!told.contains("<html>"), "{told}");
        assert_secret_kept(&error);
    }
    assert!(slack.messages().is_empty());
    slack.state().fault_next(Fault::Answer(200, r#"{"ok":true}"#), 1);
    assert_eq!(webhook(&slack).send(&sample("offline_one"), Form::Blocks).await, Ok(Delivered::default()));
}

#[tokio::test]
async fn a_webhook_that_was_made_anew_is_dead_at_its_old_address() {
    let slack = FakeSlack::start().await.unwrap();
    let old = webhook(&slack);
    slack.state().replace_webhook("/services/T0FAKE/B0FAKE/notasecreteither");
    let error = old.send(&sample("offline_one"), Form::Blocks).await.unwrap_err();
    assert!(
        matches!(&error, ChatError::Dead(told) if told.contains("no_service") && told.contains("make a new one")),
        "{error:?}"
    );
    assert_secret_kept(&error);
}

#[tokio::test]
async fn what_may_pass_by_itself_is_transient_and_keeps_the_secret() {
    let slack = FakeSlack::start().await.unwrap();
    for trouble in [
        Fault::Answer(500, "rollup_error"),
        Fault::Answer(503, "<html>"),
        Fault::Answer(408, ""),
        Fault::Reset,
        Fault::LostAnswer,
    ] {
        let error = fault(&slack, trouble.clone()).await;
        assert!(matches!(error, ChatError::Transient(_)), "{trouble:?}: {error:?}");
        assert_secret_kept(&error);
    }
    slack.state().fault_next(Fault::Hang, 1);
    let impatient = webhook_at(&slack.webhook_url(), Duration::from_millis(200));
    let error = impatient.send(&sample("offline_one"), Form::Blocks).await.unwrap_err();
    assert!(
        matches!(&error, ChatError::Transient(told) if told.contains("no answer from 127.0.0.1 within 0.2 s")),
        "{error:?}"
    );
    assert_secret_kept(&error);

    let url = slack.webhook_url();
    drop(slack);
    let gone = webhook_at(&url, Duration::from_secs(5));
    let error = gone.send(&sample("offline_one"), Form::Blocks).await.unwrap_err();
    assert!(matches!(&error, ChatError::Transient(told) if told.contains("127.0.0.1")), "{error:?}");
    assert_secret_kept(&error);
    assert!(!format!("{gone:?}").contains("notasecret"), "{gone:?}");
}

/// Keeps what was written to it.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Takes nothing.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("no space left"))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_messenger_writes_to_the_console_or_to_slack() {
    let (paper, notice) = (Paper::default(), sample("offline_7_of_8"));
    let console = Messenger::Console(Console::new(paper.clone(), false, WebBase::default()));
    assert_eq!(console.send(&notice, Form::Blocks).await, Ok(Delivered::default()));
    let written = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    assert_eq!(written, render_console(&notice, false, &WebBase::default()) + "\n");

    let full = Messenger::Console(Console::new(Full, false, WebBase::default()));
    let error = full.send(&notice, Form::Blocks).await.unwrap_err();
    assert_eq!(error, ChatError::Transient("the console takes no output: no space left".to_owned()));

    let slack = FakeSlack::start().await.unwrap();
    let messenger = Messenger::Webhook(webhook(&slack));
    messenger.send(&notice, Form::Blocks).await.unwrap();
    assert_eq!(slack.messages().len(), 1);
}
