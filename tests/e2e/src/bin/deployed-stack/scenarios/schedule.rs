//! From the schedule to Slack.

use anyhow::ensure;

use super::{Scenario, scenario};
use crate::world::{SOON, Setting, World};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        scenario!(a_scheduled_outage_is_confirmed_and_its_start_and_end_are_notified, confirmed),
        scenario!(a_recheck_by_hand_with_the_aws_cli_finds_an_outage_between_two_ticks),
    ]
}

/// As in production, except for the time between two checks.
fn confirmed() -> Setting {
    Setting { policy: r#"{"failureThreshold":2,"successThreshold":2,"recheckInterval":"10s"}"#, ..Setting::default() }
}

async fn a_scheduled_outage_is_confirmed_and_its_start_and_end_are_notified(world: &World) -> anyhow::Result<()> {
    let report = world.tick().await?;
    ensure!(report["targets"] == 2, "{report}");
    let begun = world.texts(1).await?;
    ensure!(begun[0].contains("2 targets"), "{begun:?}");
    world.settled().await?;

    world.set_runner("acme/web", "offline");
    world.tick().await?;
    let texts = world.texts(2).await?;
    ensure!(texts[1].contains("web-1") && texts[1].contains("offline"), "{texts:?}");
    ensure!(!texts[1].contains("web-2") && !texts[1].contains("api-"), "only one runner is away: {texts:?}");
    // The first check, and the one that confirmed it: a message that SQS delivered with a delay.
    let checks = world.github.state().target_counters("acme/web").requests;
    ensure!(checks >= 3, "{checks} checks of acme/web: the outage was notified without a second check");
    world.settled().await?;

    world.set_runner("acme/web", "online");
    world.tick().await?;
    let texts = world.texts(3).await?;
    ensure!(texts[2].contains("web-1") && texts[2].contains("online"), "{texts:?}");
    world.settled().await?;
    world.tick().await?;
    world.settled().await?;
    ensure!(world.slack.messages().len() == 3, "something was notified twice: {:?}", world.texts(3).await?);
    world.no_dead_letters().await
}

async fn a_recheck_by_hand_with_the_aws_cli_finds_an_outage_between_two_ticks(world: &World) -> anyhow::Result<()> {
    world.begin().await?;
    world.set_runner("acme/api", "offline");
    let job = r#"{"repository":"acme/api"}"#;
    world.aws("sqs", &["send-message", "--queue-url", "{ChecksQueue}", "--message-body", job]).await?;
    let texts = world.texts(2).await?;
    ensure!(texts[1].contains("api-1") && texts[1].contains("offline"), "{texts:?}");
    ensure!(world.function("SchedulerFunction").invocations() == 1, "a tick found it");

    // Upper and lower case name the same target. A target that is not watched is refused in the log.
    world.set_runner("acme/api", "online");
    let job = r#"{"repository":"Acme/API"}"#;
    world.aws("sqs", &["send-message", "--queue-url", "{ChecksQueue}", "--message-body", job]).await?;
    let texts = world.texts(3).await?;
    ensure!(texts[2].contains("api-1") && texts[2].contains("online"), "{texts:?}");
    let job = r#"{"repository":"acme/unheard-of"}"#;
    world.aws("sqs", &["send-message", "--queue-url", "{ChecksQueue}", "--message-body", job]).await?;
    world
        .until("a log line about acme/unheard-of", SOON, |world| {
            world
                .log("PollerFunction")
                .is_ok_and(|log| log.contains("acme/unheard-of") && log.contains("not configured"))
        })
        .await?;
    world.settled().await?;
    ensure!(world.github.state().target_counters("acme/unheard-of").requests == 0, "GitHub was asked about it");
    world.no_dead_letters().await
}
