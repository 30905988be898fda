//! The webhook and the bot against a fake Slack over HTTP, which checks every message by Slack's rules.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod limits;
mod outline;
#[allow(dead_code, reason = "shared with the tests of messages")]
mod samples;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use monitor_domain::notifications::{Notification, NotificationItem};
use monitor_domain::outage::{Ending, Outage};
use monitor_domain::secret::Secret;
use monitor_fakes::FakeSlack;
use monitor_fakes::slack::Fault;
use monitor_pipeline::items::{Delivered, LiveMessage};
use monitor_pipeline::ports::{Chat, ChatError, EditError, Form, Route};
use monitor_slack::{
    Bot, BotSettings, Console, Messenger, WebBase, Webhook, WebhookSettings, WebhookUrl, render_console,
};

/// A builder of HTTP clients. Whichever test comes first installs the crypto provider.
fn http() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

fn webhook_at(url: &str, timeout: Duration) -> Webhook {
    let http = http().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = WebhookUrl::parse(url, &[]).unwrap();
    Webhook::new(http, url, WebhookSettings { timeout, ..WebhookSettings::default() })
}

fn webhook(slack: &FakeSlack) -> Webhook {
    webhook_at(&slack.webhook_url(), Duration::from_secs(10))
}

fn sample(name: &str) -> Notification {
    samples::all().into_iter().find(|(known, _)| *known == name).unwrap().1
}

async fn fault(slack: &FakeSlack, fault: Fault) -> ChatError {
    slack.state().fault_next(fault, 1);
    webhook(slack).send(&sample("offline_one"), Form::Blocks, Route::Default).await.unwrap_err()
}

/// No error may show any part of the webhook's path.
fn assert_secret_kept(error: &ChatError) {
    let error_text = format!("{error} {error:?}");
    assert!(!error_text.contains("notasecret") && !error_text.contains("/services/"), "{error_text}");
}

#[tokio::test]
async fn every_sample_is_accepted_in_both_forms() {
    let slack = FakeSlack::start().await.unwrap();
    let samples = samples::all();
    let webhook = webhook(&slack);
    for (name, notification) in &samples {
        for form in [Form::Blocks, Form::PlainText] {
            let sent = webhook.send(notification, form, Route::Default).await;
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
async fn refused_content_is_distinguished_from_a_dead_webhook() {
    let slack = FakeSlack::start().await.unwrap();
    for word in ["invalid_payload", "invalid_blocks", "no_text", "msg_too_long", "msg_blocks_too_long"] {
        let error = fault(&slack, Fault::Answer(400, word)).await;
        assert!(matches!(&error, ChatError::ContentRefused(error_text) if error_text.contains(word)), "{error:?}");
    }
    let dead = [
        (400, "a_word_of_tomorrow"),
        (400, r#"{"ok":false,"error":"invalid_workflow_input"}"#),
        (422, "a_word_of_tomorrow"),
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
        (200, r#"{"ok":false,"error":"invalid_auth"}"#),
    ];
    for (status, body) in dead {
        let error = fault(&slack, Fault::Answer(status, body)).await;
        let ChatError::Dead(error_text) = &error else { panic!("{status} {body}: {error:?}") };
        assert!(error_text.contains("127.0.0.1 answered") && error_text.contains("; "), "{error_text}");
        assert!(!error_text.contains("<html>"), "{error_text}");
        assert_secret_kept(&error);
    }
    assert!(slack.messages().is_empty());
}

#[tokio::test]
async fn another_chats_success_counts_and_the_test_message_reports_that_it_is_not_slack() {
    let slack = FakeSlack::start().await.unwrap();
    for (status, body, oddity) in [
        (200, "ok", None),
        (200, r#"{"ok":true}"#, None),
        (200, "", Some("an empty body")),
        (204, "", Some("an empty body")),
        (202, "Accepted", Some("text")),
        (200, r#"{"success":true}"#, Some("JSON")),
        (200, "<html>thank you</html>", Some("a web page")),
    ] {
        slack.state().fault_next(Fault::Answer(status, body), 2);
        let sent = webhook(&slack).send(&sample("offline_one"), Form::Blocks, Route::Default).await;
        assert_eq!(sent, Ok(Delivered::default()), "{status} {body}");
        let said = webhook(&slack).send_test(Route::Default).await.unwrap().oddity;
        match (said, oddity) {
            (None, None) => {}
            (Some(said), Some(oddity)) if said.contains(oddity) && said.contains("127.0.0.1") => {}
            other => panic!("{status} {body}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_replaced_webhook_is_dead_at_its_old_url() {
    let slack = FakeSlack::start().await.unwrap();
    let old = webhook(&slack);
    slack.state().replace_webhook("/services/T0FAKE/B0FAKE/notasecreteither");
    let error = old.send(&sample("offline_one"), Form::Blocks, Route::Default).await.unwrap_err();
    assert!(
        matches!(&error, ChatError::Dead(error_text) if error_text.contains("no_service") && error_text.contains("create a new one")),
        "{error:?}"
    );
    assert_secret_kept(&error);
}

#[tokio::test]
async fn temporary_errors_are_transient_and_keep_the_secret() {
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
    let error = impatient.send(&sample("offline_one"), Form::Blocks, Route::Default).await.unwrap_err();
    assert!(
        matches!(&error, ChatError::Transient(error_text) if error_text.contains("no answer from 127.0.0.1 within 0.2 s")),
        "{error:?}"
    );
    assert_secret_kept(&error);

    let url = slack.webhook_url();
    drop(slack);
    let gone = webhook_at(&url, Duration::from_secs(5));
    let error = gone.send(&sample("offline_one"), Form::Blocks, Route::Default).await.unwrap_err();
    assert!(matches!(&error, ChatError::NotSent(error_text) if error_text.contains("127.0.0.1")), "{error:?}");
    assert_secret_kept(&error);
    assert!(!format!("{gone:?}").contains("notasecret"), "{gone:?}");
}

/// A resolver that resolves no name.
struct NoNames;

impl reqwest::dns::Resolve for NoNames {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(std::future::ready(Err("no such host".into())))
    }
}

#[tokio::test]
async fn a_message_that_was_never_sent_is_distinguished_from_one_that_may_have_arrived() {
    let slack = FakeSlack::start().await.unwrap();
    let plain = slack.webhook_url();
    let refused = "http://127.0.0.1:1/services/T0FAKE/B0FAKE/notasecretwebhook".to_owned();
    let by_tls = plain.replace("http://", "https://");
    let by_name = "https://hooks.acme.test/services/T0FAKE/B0FAKE/notasecretwebhook".to_owned();
    let client = || http().no_proxy().dns_resolver(Arc::new(NoNames)).build().unwrap();
    let proxied = || http().proxy(reqwest::Proxy::all("http://127.0.0.1:1").unwrap()).build().unwrap();
    let send = async |http: reqwest::Client, url: &str| {
        let webhook = Webhook::new(http, WebhookUrl::parse(url, &[]).unwrap(), WebhookSettings::default());
        let error = webhook.send(&sample("offline_one"), Form::Blocks, Route::Default).await.unwrap_err();
        assert_secret_kept(&error);
        error
    };
    for (what, http, url) in [
        ("refused", client(), &refused),
        ("TLS", client(), &by_tls),
        ("name", client(), &by_name),
        ("proxy", proxied(), &by_name),
    ] {
        let error = send(http, url).await;
        assert!(
            matches!(&error, ChatError::NotSent(said) if said.starts_with("no connection to ")),
            "{what}: {error:?}"
        );
    }
    assert!(slack.messages().is_empty());
    for fault in [Fault::Reset, Fault::LostAnswer, Fault::Answer(502, "")] {
        slack.state().fault_next(fault.clone(), 1);
        let error = send(client(), &plain).await;
        assert!(matches!(error, ChatError::Transient(_)), "{fault:?}: {error:?}");
    }
    let api_url = "http://127.0.0.1:1/api".to_owned();
    let settings = BotSettings { api_url, ..BotSettings::default() };
    let bot = Bot::new(client(), Secret::new("xoxb-1"), "#runners", settings);
    let error = bot.send(&sample("offline_one"), Form::Blocks, Route::Default).await.unwrap_err();
    assert!(matches!(error, ChatError::NotSent(_)), "{error:?}");
}

/// A writer that keeps everything written to it.
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

/// A writer that always fails.
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
    let (paper, notification) = (Paper::default(), sample("offline_7_of_8"));
    let console = Messenger::Console(Console::new(paper.clone(), false, WebBase::default()));
    assert_eq!(console.send(&notification, Form::Blocks, Route::Default).await, Ok(Delivered::default()));
    let written = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    assert_eq!(written, render_console(&notification, false, &WebBase::default()) + "\n");

    let full = Messenger::Console(Console::new(Full, false, WebBase::default()));
    let error = full.send(&notification, Form::Blocks, Route::Default).await.unwrap_err();
    assert_eq!(error, ChatError::Transient("cannot write to the console: no space left".to_owned()));

    let slack = FakeSlack::start().await.unwrap();
    let messenger = Messenger::Webhook(webhook(&slack));
    messenger.send(&notification, Form::Blocks, Route::Default).await.unwrap();
    assert_eq!(slack.messages().len(), 1);
}

fn bot(slack: &FakeSlack, token: &str) -> Bot {
    let settings = BotSettings { api_url: slack.api_url(), ..BotSettings::default() };
    let http = http().no_proxy().build().unwrap();
    Bot::new(http, Secret::new(token), monitor_fakes::slack::CHANNEL, settings)
}

fn outages_of(notification: &Notification) -> Vec<Outage> {
    match &notification.items[0] {
        NotificationItem::Offline { outages } => outages.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_bot_sends_edits_and_replies() {
    let slack = FakeSlack::start().await.unwrap();
    let bot = bot(&slack, monitor_fakes::slack::BOT_TOKEN);
    let opened = sample("offline_2_more");
    let place = bot.send(&opened, Form::Blocks, Route::Default).await.unwrap().place().expect("a place");
    assert_eq!(place.channel, monitor_fakes::slack::CHANNEL_ID);

    let mut outages = outages_of(&opened);
    for open in [1, 0] {
        let outage = &mut outages[open];
        outage.resolved_at = Some(outage.started_at.plus(Duration::from_secs(1_800)));
        outage.ending = Some(Ending::Recovered);
        let message = LiveMessage { place: place.clone(), outages: outages.clone() };
        bot.edit(&message, &opened, Form::Blocks, &[]).await.unwrap();
        bot.edit(&message, &opened, Form::Blocks, &[]).await.unwrap();
        bot.reply(&sample("recovered_one"), Form::Blocks, &place).await.unwrap();
    }
    let messages = slack.messages();
    assert_eq!(messages.len(), 3, "edits are not new messages");
    assert_eq!(messages[0].edits, 4);
    assert_eq!(messages[0].text(), "✅ acme/web: build-01, build-02 back online after up to 30 min.");
    assert!(messages[1..].iter().all(|reply| reply.body["thread_ts"] == *place.ts));
    assert!(messages.iter().all(|message| message.body["unfurl_links"] == false));

    slack.state().messages_are_gone = true;
    let message = LiveMessage { place: place.clone(), outages };
    assert_eq!(bot.edit(&message, &opened, Form::Blocks, &[]).await, Err(EditError::Gone));
    assert_eq!(bot.reply(&opened, Form::Blocks, &place).await.unwrap_err(), EditError::Gone);
}

#[tokio::test]
async fn an_edit_whose_layout_slack_refuses_is_accepted_as_plain_text() {
    let slack = FakeSlack::start().await.unwrap();
    let settings = BotSettings { api_url: slack.api_url(), buttons: true, ..BotSettings::default() };
    let http = http().no_proxy().build().unwrap();
    let bot = Bot::new(http, Secret::new(monitor_fakes::slack::BOT_TOKEN), monitor_fakes::slack::CHANNEL, settings);
    let opened = sample("offline_2_more");
    let place = bot.send(&opened, Form::Blocks, Route::Default).await.unwrap().place().unwrap();
    slack.state().edits_take_no_blocks = true;
    let message = LiveMessage { place, outages: outages_of(&opened) };
    let refused = bot.edit(&message, &opened, Form::Blocks, &[]).await.unwrap_err();
    assert!(matches!(&refused, EditError::Chat(ChatError::ContentRefused(why)) if why.ends_with("invalid_blocks")));
    assert_eq!(slack.messages()[0].edits, 0);
    bot.edit(&message, &opened, Form::PlainText, &[]).await.unwrap();
    let messages = slack.messages();
    assert_eq!((messages.len(), messages[0].edits), (1, 1));
    assert_eq!(messages[0].body["blocks"], serde_json::json!([]), "the text is shown, not the layout it had");
    assert!(messages[0].text().contains("build-"), "{}", messages[0].text());
    assert_eq!(messages[0].body["mrkdwn"], false);
}

#[tokio::test]
async fn a_reminder_is_also_shown_in_the_channel_and_open_outages_have_buttons() {
    let slack = FakeSlack::start().await.unwrap();
    let settings = BotSettings { api_url: slack.api_url(), buttons: true, ..BotSettings::default() };
    let http = http().no_proxy().build().unwrap();
    let bot = Bot::new(http, Secret::new(monitor_fakes::slack::BOT_TOKEN), monitor_fakes::slack::CHANNEL, settings);
    let opened = sample("offline_one");
    let place = bot.send(&opened, Form::Blocks, Route::Default).await.unwrap().place().expect("a place");
    bot.reply(&sample("still_offline_one"), Form::Blocks, &place).await.unwrap();
    bot.reply(&sample("recovered_one"), Form::Blocks, &place).await.unwrap();
    bot.send(&opened, Form::PlainText, Route::Default).await.unwrap();
    let messages = slack.messages();
    let buttons = |message: &monitor_fakes::slack::Message| -> Vec<String> {
        let blocks = message.body["blocks"].as_array().into_iter().flatten();
        let elements = blocks.filter(|block| block["type"] == "actions").flat_map(|block| block["elements"].as_array());
        elements.flatten().map(|button| button["action_id"].as_str().unwrap().to_owned()).collect()
    };
    let all = ["recheck", "mute", "acknowledge"];
    assert_eq!(messages.iter().map(buttons).collect::<Vec<_>>(), [&all[..], &all, &[], &[]]);
    let in_channel: Vec<bool> = messages.iter().map(|message| message.body["reply_broadcast"] == true).collect();
    assert_eq!(in_channel, [false, true, false, false]);
}

#[tokio::test]
async fn slacks_answers_to_a_bot_are_classified_by_what_can_be_done() {
    let slack = FakeSlack::start().await.unwrap();
    let answer = async |fault: Fault| {
        slack.state().fault_next(fault, 1);
        bot(&slack, monitor_fakes::slack::BOT_TOKEN)
            .send(&sample("offline_one"), Form::Blocks, Route::Default)
            .await
            .unwrap_err()
    };
    let busy = |secs| ChatError::Busy { retry_after: Duration::from_secs(secs) };
    assert_eq!(answer(Fault::RateLimited(7)).await, busy(7));
    assert_eq!(answer(Fault::Answer(200, r#"{"ok":false,"error":"ratelimited"}"#)).await, busy(30));
    for trouble in [
        Fault::Answer(503, "later"),
        Fault::Answer(200, r#"{"ok":false,"error":"internal_error"}"#),
        Fault::Answer(200, r#"{"ok":false,"error":"fatal_error"}"#),
        Fault::LostAnswer,
        Fault::Reset,
    ] {
        assert!(matches!(answer(trouble.clone()).await, ChatError::Transient(_)), "{trouble:?}");
    }
    for code in [r#"{"ok":false,"error":"invalid_blocks"}"#, r#"{"ok":false,"error":"msg_blocks_too_long"}"#] {
        assert!(matches!(answer(Fault::Answer(200, code)).await, ChatError::ContentRefused(_)), "{code}");
    }
    for (code, hint) in [
        (r#"{"ok":false,"error":"invalid_auth"}"#, "SLACK_BOT_TOKEN"),
        (r#"{"ok":false,"error":"token_revoked"}"#, "SLACK_BOT_TOKEN"),
        (r#"{"ok":false,"error":"account_inactive"}"#, "SLACK_BOT_TOKEN"),
        (r#"{"ok":false,"error":"missing_scope"}"#, "chat:write"),
        (r#"{"ok":false,"error":"channel_not_found"}"#, "SLACK_CHANNEL"),
        (r#"{"ok":false,"error":"is_archived"}"#, "SLACK_CHANNEL"),
        (r#"{"ok":false,"error":"not_in_channel"}"#, "invite the bot"),
        (r#"{"ok":false,"error":"a_word_of_tomorrow"}"#, "a_word_of_tomorrow"),
        (r#"{"ok":false,"error":"<html>"}"#, "answered with an error"),
        (r#"{"ok":false}"#, "answered with an error"),
    ] {
        let error = answer(Fault::Answer(200, code)).await;
        assert!(matches!(&error, ChatError::Dead(error_text) if error_text.contains(hint)), "{code}: {error:?}");
    }
    let wrong = bot(&slack, "xoxb-0-0-hunter2");
    let error = wrong.send(&sample("offline_one"), Form::Blocks, Route::Default).await.unwrap_err();
    assert!(matches!(&error, ChatError::Dead(error_text) if error_text.contains("invalid_auth")), "{error:?}");
    assert!(!format!("{error:?} {wrong:?}").contains("hunter2"));
    assert!(wrong.send_test(Route::Default).await.is_err());
    bot(&slack, monitor_fakes::slack::BOT_TOKEN).send_test(Route::Default).await.unwrap();
}

#[test]
fn an_edited_message_shows_the_state_of_each_outage() {
    use monitor_slack::render_live;
    let notification = sample("offline_7_of_8");
    let opened = outages_of(&notification);
    let ended = |outage: &Outage, ending| Outage {
        resolved_at: Some(outage.started_at.plus(Duration::from_secs(7_500))),
        ending: Some(ending),
        ..outage.clone()
    };
    let all = |ending: Ending| opened.iter().map(|outage| ended(outage, ending)).collect::<Vec<_>>();
    let mut some = all(Ending::Recovered);
    some[2..5].clone_from_slice(&opened[2..5]);
    some[6] = ended(&opened[6], Ending::Removed);
    let cases = [
        ("edited_one_is_back", all(Ending::Recovered)[..1].to_vec()),
        ("edited_some_are_back", some),
        ("edited_all_are_back", all(Ending::Recovered)),
        ("edited_all_are_removed", all(Ending::Removed)),
        ("edited_all_are_over", [all(Ending::Removed), all(Ending::Recovered)].concat()),
        ("edited_many", vec![opened[0].clone(); 50]),
    ];
    for (name, outages) in cases {
        let message = render_live(&outages, &notification, Form::Blocks, &[], &WebBase::default());
        limits::check(&message);
        insta::assert_snapshot!(name, outline::outline(&message));
        let plain = render_live(&outages, &notification, Form::PlainText, &[], &WebBase::default());
        limits::check(&plain);
        assert_eq!(plain.blocks.as_deref(), Some(&[][..]), "no layout is left in place of the text");
        if name == "edited_some_are_back" {
            insta::assert_snapshot!("edited_in_plain_text", outline::outline(&plain));
        }
    }
}
