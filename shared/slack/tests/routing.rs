//! Messages to several channels, by bot and by webhooks, against a fake Slack over HTTP.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod limits;
mod outline;
#[allow(dead_code, reason = "shared with the tests of messages")]
mod samples;

use std::collections::BTreeMap;

use monitor_domain::notifications::Notification;
use monitor_domain::secret::Secret;
use monitor_fakes::FakeSlack;
use monitor_fakes::slack::{BOT_TOKEN, CHANNEL, CHANNEL_ID};
use monitor_pipeline::items::{Delivered, LiveMessage};
use monitor_pipeline::ports::{Chat, ChatError, EditError, Form, Route};
use monitor_slack::{Bot, BotSettings, Messenger, WebBase, Webhook, WebhookSettings, WebhookUrl, render_to};

const GPU_PATH: &str = "/services/T0FAKE/B0GPU/notasecreteither";

fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

fn sample(name: &str) -> Notification {
    samples::all().into_iter().find(|(known, _)| *known == name).unwrap().1
}

fn bot(slack: &FakeSlack) -> Messenger {
    let settings = BotSettings { api_url: slack.api_url(), ..BotSettings::default() };
    Messenger::Bot(Bot::new(http(), Secret::new(BOT_TOKEN), CHANNEL, settings))
}

fn webhooks(slack: &FakeSlack) -> Messenger {
    let default = slack.webhook_url();
    let gpu = default.replace(slack.state().webhook_path(), GPU_PATH);
    let read = |url: &str| WebhookUrl::parse(url, &[]).unwrap();
    let named = BTreeMap::from([("gpu-alerts".to_owned(), read(&gpu))]);
    Messenger::Webhook(Webhook::new(http(), read(&default), WebhookSettings::default()).with_named(named))
}

/// The reason why a channel accepts nothing.
fn reason(sent: Result<Delivered, ChatError>) -> String {
    match sent {
        Err(ChatError::Dead(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_bot_posts_to_the_named_channel_and_edits_there() {
    let slack = FakeSlack::start().await.unwrap();
    slack.state().add_channel("C0GPU", "#gpu-alerts");
    let (bot, notification) = (bot(&slack), sample("offline_2_more"));
    for (to, id) in [
        (Route::Default, CHANNEL_ID),
        (Route::Channel("#gpu-alerts"), "C0GPU"),
        (Route::Channel("C0GPU"), "C0GPU"),
        (Route::InsteadOf { channel: "#old", reason: "is_archived" }, CHANNEL_ID),
    ] {
        let place = bot.send(&notification, Form::Blocks, to).await.unwrap().place().unwrap();
        assert_eq!(place.channel, id, "{to:?}");
        bot.reply(&sample("recovered_one"), Form::Blocks, &place).await.unwrap();
        bot.edit(&LiveMessage { place, outages: Vec::new() }, &notification, Form::Blocks, &[]).await.unwrap();
    }
    bot.send_test(Route::Channel("C0GPU")).await.unwrap();
    let taken: Vec<String> = slack.messages().iter().map(|message| message.body["channel"].to_string()).collect();
    assert_eq!(taken.iter().filter(|channel| *channel == "\"C0GPU\"").count(), 5, "{taken:?}");
}

#[tokio::test]
async fn an_archived_or_unknown_channel_is_dead_for_a_bot_in_every_method() {
    let slack = FakeSlack::start().await.unwrap();
    slack.state().add_channel("C0GPU", "#gpu-alerts");
    let (bot, notification) = (bot(&slack), sample("offline_one"));
    let to = Route::Channel("#gpu-alerts");
    let place = bot.send(&notification, Form::Blocks, to).await.unwrap().place().unwrap();
    slack.state().archive_channel("C0GPU");
    let taken = reason(bot.send(&notification, Form::Blocks, to).await);
    assert!(taken.contains("is_archived") && taken.contains("the policy's channel"), "{taken}");
    assert!(matches!(bot.reply(&notification, Form::Blocks, &place).await, Err(EditError::Chat(ChatError::Dead(_)))));
    let edited = bot.edit(&LiveMessage { place, outages: Vec::new() }, &notification, Form::Blocks, &[]).await;
    assert!(matches!(edited, Err(EditError::Chat(ChatError::Dead(_)))));
    let taken = reason(bot.send(&notification, Form::Blocks, Route::Channel("#nowhere")).await);
    assert!(taken.contains("channel_not_found"), "{taken}");
    bot.send(&notification, Form::Blocks, Route::InsteadOf { channel: "#nowhere", reason: &taken }).await.unwrap();
    assert!(slack.messages().last().unwrap().text().contains("This was for #nowhere, which accepts no messages"));
}

#[tokio::test]
async fn each_webhook_is_one_channel_and_a_revoked_one_is_dead() {
    let slack = FakeSlack::start().await.unwrap();
    slack.state().add_webhook(GPU_PATH);
    let (webhooks, notification) = (webhooks(&slack), sample("offline_one"));
    for to in [Route::Default, Route::Channel("gpu-alerts"), Route::Channel("#gpu-alerts")] {
        webhooks.send(&notification, Form::Blocks, to).await.unwrap();
    }
    let paths: Vec<String> = slack.messages().into_iter().map(|message| message.path).collect();
    let default = slack.state().webhook_path().to_owned();
    assert_eq!(paths, [&*default, GPU_PATH, GPU_PATH]);

    slack.state().revoke_webhook(GPU_PATH);
    let taken = reason(webhooks.send(&notification, Form::Blocks, Route::Channel("gpu-alerts")).await);
    assert!(taken.contains("no_service") && !taken.contains("notasecret") && !taken.contains("/services/"), "{taken}");
    let taken = reason(webhooks.send(&notification, Form::Blocks, Route::Channel("nowhere")).await);
    assert!(taken.contains("no webhook has this name; add it to SLACK_WEBHOOKS"), "{taken}");
    let shown = format!("{webhooks:?}");
    assert!(!shown.contains("notasecret") && !shown.contains("gpu"), "{shown}");
}

#[test]
fn a_message_meant_for_another_channel_says_so_first() {
    let to = Route::InsteadOf {
        channel: "#gpu-alerts",
        reason: "slack.com answers is_archived; set SLACK_CHANNEL, or the policy's channel, to one that exists",
    };
    for (name, form) in [("instead_of_another_channel", Form::Blocks), ("instead_of_plain", Form::PlainText)] {
        let message = render_to(&sample("offline_one"), form, to, &WebBase::default());
        limits::check(&message);
        insta::assert_snapshot!(name, outline::outline(&message));
    }
    // The longest messages with the longest first line are still within every limit.
    let (channel, reason) = ("c*`<!here>".repeat(20), "r*`<@U1>".repeat(200));
    for (name, notification) in samples::all() {
        for form in [Form::Blocks, Form::PlainText] {
            let to = Route::InsteadOf { channel: &channel, reason: &reason };
            let message = render_to(&notification, form, to, &WebBase::default());
            limits::check(&message);
            assert!(!serde_json::to_string(&message).unwrap().contains("<!here>"), "{name}");
        }
    }
}
