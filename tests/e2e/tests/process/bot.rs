//! `runner-monitor run` with a bot token: an alert stays one message, in the channel that the policy names.

use monitor_e2e::{LONG, Running, World};
use monitor_fakes::slack::{BOT_TOKEN, CHANNEL};

#[tokio::test]
async fn an_alert_is_edited_when_it_is_over_and_its_end_is_posted_in_its_thread() {
    let policy = r##"{"failureThreshold":1,"successThreshold":1,"recheckInterval":"10s","runners":{"*-runner-0":{"channel":"#gpu-alerts"}}}"##;
    let world = World { webhook: None, ..World::new(1, policy).await };
    let slack = &world.slack;
    slack.state().add_channel("C0GPU", "#gpu-alerts");
    let mut command = world.command(&["run", "--every", "10s"]);
    command.env("SLACK_BOT_TOKEN", BOT_TOKEN).env("SLACK_CHANNEL", CHANNEL).env("SLACK_API_URL", slack.api_url());
    let mut running = Running::start(command).expect("the program starts");
    slack.wait_for_messages(1, LONG).await.expect("the start of monitoring");
    // A runner that is offline at its first check would be part of the message about the start of monitoring.
    running.logged("cycle complete").await;
    world.set("acme/app-0", "offline");
    let alert = slack.wait_for_messages(2, LONG).await.expect("an alert").remove(1);
    assert!(alert.text().contains("app-0-runner-0 offline"), "{}", alert.text());
    world.set("acme/app-0", "online");
    let messages = slack.wait_for_messages(3, LONG).await.expect("its end");
    assert_eq!((messages[1].edits, messages.len()), (1, 3));
    assert!(messages[1].text().contains("app-0-runner-0 back online"), "{}", messages[1].text());
    assert_eq!(messages[2].body["thread_ts"].as_str(), alert.ts.as_deref());
    let channels: Vec<_> = messages.iter().map(|message| message.body["channel"].as_str()).collect();
    assert_eq!(channels, [Some(CHANNEL), Some("C0GPU"), Some("C0GPU")], "edited and replied to by its id");
    running.stop().await;
}
