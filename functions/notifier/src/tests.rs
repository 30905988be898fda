//! The notifier run on the sample events: first with in-memory fakes, then with everything over HTTP.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use monitor_aws::batch::Budget;
use monitor_aws::testing::{self, CHANGES_DEAD, PREFIX, World, counted};
use monitor_domain::change::Event;
use monitor_domain::outage::Ending;
use monitor_domain::policy::Policy;
use monitor_fakes::slack::{BOT_TOKEN, CHANNEL};
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::Put;
use monitor_pipeline::ports::{ChatError, Clock as _, PutOutcome, Store};
use monitor_pipeline::stages::{Notify, NotifySettings};
use monitor_pipeline::testing::doubles::ScriptedChat;
use monitor_pipeline::testing::samples;
use monitor_stately_server::{Fault, RpcCode, Trouble};
use serde_json::{Value, json};

use crate::handler::{Batch, Report, WatchedChat};
use crate::notifier::Notifier;

type Installation = testing::Installation<Policy>;

const STATE_CHANGE: &str = include_str!("../../../events/notifier-state-change.json");
const CREDENTIAL: &str = include_str!("../../../events/notifier-credential.json");
const MALFORMED: &str = include_str!("../../../events/notifier-malformed.json");
const MIXED_GROUPS: &str = include_str!("../../../events/notifier-mixed-groups.json");

/// Stores that a runner of a target went offline.
async fn an_outage(store: &impl Store, target: &str) {
    let runner = samples::runner(1, "build-1");
    let outage = samples::outage(&runner, 1);
    let mut record = samples::target_record(target, 1);
    record.last_notifiable = record.revision;
    let change = samples::change(target, 1, Event::OutageOpened { outage: Box::new(outage) });
    let put = vec![Put::new(Item::Change(change)), Put::replacing(Item::Target(record))];
    assert_eq!(store.put(&put).await, Ok(PutOutcome::Done));
}

/// Stores that the runner is healthy again.
async fn a_recovery(store: &impl Store, target: &str) {
    let outage = samples::ended(&samples::outage(&samples::runner(1, "build-1"), 1), Ending::Recovered);
    let mut record = samples::target_record(target, 2);
    record.last_notifiable = record.revision;
    let change = samples::change(target, 2, Event::OutageClosed { outage: Box::new(outage) });
    let put = vec![Put::new(Item::Change(change)), Put::replacing(Item::Target(record))];
    assert_eq!(store.put(&put).await, Ok(PutOutcome::Done));
}

async fn with_outages_of(targets: &[&str]) -> Installation {
    let installation = Installation::new(Policy::default());
    for target in targets {
        an_outage(&installation.store, target).await;
    }
    installation
}

async fn handle(installation: &Installation, event: &str) -> Report {
    let Installation { store, chat, clock, settings: policy, notes, .. } = installation;
    let notify = Notify { store, chat: &WatchedChat::new(chat), clock, policy, settings: NotifySettings::default() };
    let budget = Budget::of(Duration::from_secs(60));
    let event: SqsEvent = serde_json::from_str(event).unwrap();
    Batch { notify: &notify, failure_sink: notes, budget, request_id: "request-1" }.handle(event).await
}

/// The reasons of the dead-lettered messages.
fn reasons(installation: &Installation) -> Vec<String> {
    installation.notes.dead_letter.take().into_iter().map(|(_, reason)| reason).collect()
}

fn failed(report: &Report) -> usize {
    report.response.batch_item_failures.len()
}

#[tokio::test]
async fn the_first_state_change_message_sends_what_is_pending_and_a_second_one_sends_nothing() {
    let installation = with_outages_of(&["acme/web"]).await;
    let report = handle(&installation, STATE_CHANGE).await;
    assert!(failed(&report) == 0 && !report.reload_settings);
    assert_eq!(installation.chat.take().len(), 1);
    let counted = counted(&report.metrics);
    assert_eq!((&counted["NotificationsSent"], &counted["MessagesDeadLettered"]), (&1.into(), &0.into()));
    assert!(counted["AlertLatency"].as_u64().is_some(), "{counted}");
    let report = handle(&installation, STATE_CHANGE).await;
    assert_eq!(testing::counted(&report.metrics)["NotificationsSent"], 0);
    assert!(installation.chat.take().is_empty());
}

#[tokio::test]
async fn a_subject_with_nothing_pending_is_done() {
    let installation = with_outages_of(&[]).await;
    for event in [STATE_CHANGE, CREDENTIAL] {
        let report = handle(&installation, event).await;
        assert!(failed(&report) == 0 && installation.chat.take().is_empty(), "{event}");
    }
}

#[tokio::test]
async fn a_state_change_message_without_a_subject_is_dead_lettered_with_the_accepted_shape() {
    let installation = with_outages_of(&[]).await;
    let report = handle(&installation, MALFORMED).await;
    assert_eq!((failed(&report), &counted(&report.metrics)["MessagesDeadLettered"]), (0, &1.into()));
    let reasons = reasons(&installation);
    assert!(reasons[0].contains("accepted shape: {\"subject\":\"owner/name\"}"), "{reasons:?}");
}

#[tokio::test]
async fn each_subject_of_a_batch_is_notified_once() {
    let installation = with_outages_of(&["acme/web", "acme/api"]).await;
    let report = handle(&installation, MIXED_GROUPS).await;
    assert_eq!(failed(&report), 0);
    assert_eq!(installation.chat.take().len(), 2);
    let reasons = reasons(&installation);
    assert!(reasons.len() == 1 && reasons[0].contains("has version 9"), "{reasons:?}");
}

/// Milliseconds since the samples' clock showed `secs`.
fn since(installation: &Installation, secs: u64) -> Value {
    let taken = installation.clock.now().since(samples::at(secs)).as_millis();
    u64::try_from(taken).unwrap().into()
}

#[tokio::test]
async fn the_latency_of_a_message_is_that_of_its_oldest_outage() {
    // Sample 1 began at 60 s, sample 3 at 180 s: the oldest is neither always the first nor always the last.
    for ids in [[1, 3], [3, 1]] {
        let installation = with_outages_of(&[]).await;
        let opened = |runner: u64, id| {
            let outage = samples::outage(&samples::runner(runner, &format!("build-{runner}")), id);
            Event::OutageOpened { outage: Box::new(outage) }
        };
        let mut change = samples::change("acme/web", 1, opened(1, ids[0]));
        change.events.push(opened(2, ids[1]));
        let mut record = samples::target_record("acme/web", 1);
        record.last_notifiable = record.revision;
        let put = vec![Put::new(Item::Change(change)), Put::replacing(Item::Target(record))];
        assert_eq!(installation.store.put(&put).await, Ok(PutOutcome::Done));
        installation.clock.advance(Duration::from_secs(600));
        let counted = counted(&handle(&installation, STATE_CHANGE).await.metrics);
        assert_eq!(counted["AlertLatency"], since(&installation, 60), "{ids:?}");
        assert_eq!(counted["NotificationsSent"], 1, "{ids:?}");
    }
}

#[tokio::test]
async fn the_longest_latency_of_the_delivered_messages_is_logged_and_a_refused_one_has_none() {
    let installation = with_outages_of(&["acme/web", "acme/api"]).await;
    installation.clock.advance(Duration::from_secs(600));
    let counted = counted(&handle(&installation, MIXED_GROUPS).await.metrics);
    assert_eq!((&counted["NotificationsSent"], &counted["MessagesDeadLettered"]), (&2.into(), &1.into()));
    assert_eq!(counted["AlertLatency"], since(&installation, 60));

    let installation = with_outages_of(&["acme/web"]).await;
    installation.chat.refuse([ChatError::Dead("no_service".to_owned())]);
    let counted = testing::counted(&handle(&installation, STATE_CHANGE).await.metrics);
    assert_eq!((&counted["NotificationsSent"], &counted["AlertLatency"]), (&0.into(), &Value::Null));
}

#[tokio::test(start_paused = true)]
async fn a_failing_store_returns_each_group_from_its_first_failure_on() {
    let installation = with_outages_of(&["acme/web", "acme/api"]).await;
    installation.server.state().inject(Fault::once(Trouble::Bare(RpcCode::Unavailable)).times(1_000));
    let report = handle(&installation, MIXED_GROUPS).await;
    // All five: the message with the newer version follows a failure in its group, so it is returned unhandled.
    assert_eq!(failed(&report), 5);
    assert!(reasons(&installation).is_empty() && report.reload_settings);
    installation.server.state().clear_faults();
    assert_eq!(failed(&handle(&installation, MIXED_GROUPS).await), 0);
    assert_eq!(installation.chat.take().len(), 2);
}

#[tokio::test]
async fn a_slack_failure_returns_the_message_and_a_dead_webhook_reloads_the_settings() {
    let installation = with_outages_of(&["acme/web"]).await;
    installation.chat.refuse([ChatError::Transient("500".to_owned())]);
    let report = handle(&installation, STATE_CHANGE).await;
    assert!(failed(&report) == 1 && !report.reload_settings);
    installation.clock.advance(Duration::from_secs(30));
    installation.chat.refuse([ChatError::Dead("no_service".to_owned())]);
    let report = handle(&installation, STATE_CHANGE).await;
    assert!(failed(&report) == 1 && report.reload_settings);
    installation.clock.advance(Duration::from_secs(60));
    assert_eq!(failed(&handle(&installation, STATE_CHANGE).await), 0);
    assert_eq!(installation.chat.take().len(), 1, "it stayed pending until then");
}

#[tokio::test]
async fn a_token_that_is_refused_at_an_edit_reloads_the_settings() {
    let dead = || ChatError::Dead("account_inactive".to_owned());
    for (refusal, returned, reload_settings) in [(dead(), 0, true), (ChatError::Transient("500".to_owned()), 1, false)]
    {
        let mut installation = with_outages_of(&["acme/web"]).await;
        installation.chat = ScriptedChat::with_threads();
        assert_eq!(failed(&handle(&installation, STATE_CHANGE).await), 0);
        a_recovery(&installation.store, "acme/web").await;
        installation.clock.advance(Duration::from_secs(60));
        installation.chat.refuse_edits([refusal.clone()]);
        let report = handle(&installation, STATE_CHANGE).await;
        assert_eq!((failed(&report), report.reload_settings), (returned, reload_settings), "{refusal}");
        assert!(installation.chat.take_threads().edits.is_empty(), "{refusal}");
    }
}

async fn world() -> World {
    World::start(Notifier::new, Notifier::handle, &[]).await
}

#[tokio::test]
async fn over_http_the_outage_reaches_slack_and_a_malformed_message_its_dead_letter_queue() {
    let world = world().await;
    an_outage(&world.store, "acme/web").await;
    assert_eq!(world.invoke(MIXED_GROUPS).await, Ok(json!({"batchItemFailures": []})));
    let messages = world.slack.messages();
    assert!(messages.len() == 1 && messages[0].text().contains("build-1"), "{:?}", messages.len());
    let dead_letter = world.aws.take_sent(CHANGES_DEAD);
    assert_eq!(dead_letter.len(), 1);
    assert!(dead_letter[0].group.is_some() && dead_letter[0].deduplication_id.is_some());
    let names = world.aws.calls("GetParameters");
    assert!(
        !names.iter().any(|call| call.to_string().contains("github-token")),
        "the notifier needs no GitHub token: {names:?}"
    );
}

#[tokio::test]
async fn over_http_an_outage_goes_to_the_channel_of_the_policy_or_to_the_default_with_a_note() {
    const GPU_PATH: &str = "/services/T0FAKE/B0GPU/notasecreteither";
    let world = world().await;
    world.slack.state().add_webhook(GPU_PATH);
    let default = world.slack.webhook_url();
    let gpu = default.replace(world.slack.state().webhook_path(), GPU_PATH);
    world.set("slack-webhooks", &json!({ "gpu-alerts": gpu }).to_string());
    // The notifier ignores the rules for targets: only the poller uses them.
    let policy = json!({"unreachableAfter": "1m", "targets": {"acme/*": {"channel": "gpu-alerts"}, "other/x": {"failureThreshold": 2}}});
    world.set("policy", &policy.to_string());
    an_outage(&world.store, "acme/web").await;
    world.invoke(STATE_CHANGE).await.unwrap();
    assert_eq!(world.slack.messages().iter().map(|message| &*message.path).collect::<Vec<_>>(), [GPU_PATH]);

    world.slack.state().revoke_webhook(GPU_PATH);
    an_outage(&world.store, "acme/api").await;
    assert_eq!(world.invoke(MIXED_GROUPS).await, Ok(json!({"batchItemFailures": []})));
    let messages = world.slack.messages();
    assert_eq!(messages.len(), 2);
    assert!(default.ends_with(&messages[1].path), "{}", messages[1].path);
    assert!(
        messages[1].text().contains("This was for gpu-alerts, which accepts no messages"),
        "{}",
        messages[1].text()
    );
}

/// The slack function of the same stack answers when a button is pressed.
#[tokio::test]
async fn an_alert_of_a_bot_has_buttons() {
    let world = world().await;
    for (name, value) in [("slack-bot-token", BOT_TOKEN), ("slack-channel", CHANNEL)] {
        world.set(name, value);
    }
    an_outage(&world.store, "acme/web").await;
    assert_eq!(world.invoke(STATE_CHANGE).await, Ok(json!({"batchItemFailures": []})));
    let messages = world.slack.messages();
    assert_eq!(messages.len(), 1);
    let body = messages[0].body.to_string();
    assert!(body.contains("\"type\":\"actions\"") && body.contains("Acknowledge"), "{body}");
}

#[tokio::test]
async fn an_unreachable_channel_is_reported_as_a_settings_fault() {
    let world = world().await;
    world.set("policy", r#"{"labels":{"gpu":{"channel":"gpu-alerts"}}}"#);
    let error_text = world.invoke(STATE_CHANGE).await.unwrap_err().to_string();
    assert!(
        error_text.contains("labels.gpu.channel: no webhook is called `gpu-alerts`; add it to SLACK_WEBHOOKS"),
        "{error_text}"
    );
}

#[tokio::test]
async fn a_new_webhook_is_in_use_right_after_the_old_one_is_dead() {
    let world = world().await;
    an_outage(&world.store, "acme/web").await;
    world.slack.state().replace_webhook("/services/T0FAKE/B0FAKE/another");
    let put_off = world.invoke(STATE_CHANGE).await.unwrap();
    assert_eq!(put_off["batchItemFailures"].as_array().unwrap().len(), 1, "it is retried: {put_off}");
    world.set("slack-webhook", &world.slack.webhook_url());
    // The notification of another target uses the new webhook at once.
    an_outage(&world.store, "acme/api").await;
    world.invoke(MIXED_GROUPS).await.unwrap();
    assert_eq!(world.slack.messages().len(), 1);
}

#[tokio::test]
async fn all_missing_settings_are_reported_at_once() {
    let world = world().await;
    for name in ["slack-webhook", "statelydb-store-id"] {
        world.remove(name);
    }
    let error_text = world.invoke(STATE_CHANGE).await.unwrap_err().to_string();
    for name in ["slack-webhook --type SecureString", "statelydb-store-id --type String"] {
        assert!(error_text.contains(&format!("aws ssm put-parameter --name {PREFIX}/{name}")), "{error_text}");
    }
    assert_eq!(error_text.lines().count(), 3, "{error_text}");
}
