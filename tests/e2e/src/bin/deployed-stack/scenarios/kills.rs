//! `kill -9` of a running function.

use std::time::Duration;

use anyhow::ensure;
use monitor_fakes::github::{self, Strikes};
use monitor_fakes::slack;

use super::{Scenario, scenario};
use crate::world::{SOON, World};

/// The claim of a killed notifier is taken over after 90 s, at the next check.
const LEASE: Duration = Duration::from_secs(92);

pub(super) fn all() -> Vec<Scenario> {
    vec![
        scenario!(a_notifier_killed_while_slack_holds_its_message_sends_it_later_and_once),
        scenario!(a_notifier_killed_between_slacks_acceptance_and_the_delivery_record_repeats_only_that_notification),
        scenario!(a_poller_killed_while_github_hangs_leaves_its_job_to_the_next),
    ]
}

async fn a_poller_killed_while_github_hangs_leaves_its_job_to_the_next(world: &World) -> anyhow::Result<()> {
    world.begin().await?;
    world.set_runner("acme/web", "offline");
    world.github.state().fault(github::Fault::Hang, Strikes::next(1).target("acme/web"));
    world.send("ChecksQueue", r#"{"repository":"acme/web"}"#).await?;
    world.until("GitHub hangs", SOON, |world| world.github.state().counters().unanswered == 1).await?;
    ensure!(world.function("PollerFunction").kill()? > 0, "no poller was running");
    let texts = world.texts(2).await?;
    ensure!(texts[1].contains("web-1") && texts[1].contains("offline"), "{texts:?}");
    ensure!(world.log("PollerFunction")?.contains("signal: killed"), "the emulator did not see the kill");
    world.settled().await?;
    ensure!(world.slack.messages().len() == 2, "{:?}", world.texts(2).await?);
    world.no_dead_letters().await
}

async fn a_notifier_killed_while_slack_holds_its_message_sends_it_later_and_once(world: &World) -> anyhow::Result<()> {
    world.begin().await?;
    kill_the_notifier(world, slack::Fault::Hang).await?;
    ensure!(world.slack.messages().len() == 1, "Slack kept a message that it never answered");
    notified_after_the_lease(world, 2).await
}

async fn a_notifier_killed_between_slacks_acceptance_and_the_delivery_record_repeats_only_that_notification(
    world: &World,
) -> anyhow::Result<()> {
    world.begin().await?;
    kill_the_notifier(world, slack::Fault::Slow(3_600_000)).await?;
    ensure!(world.slack.messages().len() == 2, "Slack did not accept the message before the kill");
    notified_after_the_lease(world, 3).await?;
    let texts = world.texts(3).await?;
    ensure!(texts[1] == texts[2], "not the same notification: {texts:?}");
    Ok(())
}

/// Opens an outage, and kills the notifier while its message is being posted.
async fn kill_the_notifier(world: &World, fault: slack::Fault) -> anyhow::Result<()> {
    world.slack.state().fault_next(fault, 1);
    let posts = world.slack.state().posts();
    world.set_runner("acme/web", "offline");
    world.send("ChecksQueue", r#"{"repository":"acme/web"}"#).await?;
    world.until("the notifier posts", SOON, |world| world.slack.state().posts() > posts).await?;
    let before = world.function("NotifierFunction").invocations();
    ensure!(world.function("NotifierFunction").kill()? > 0, "no notifier was running");
    // The message is redelivered, finds the claim and is retried later.
    let again = |world: &World| world.function("NotifierFunction").invocations() > before;
    world.until("the message is redelivered", SOON, again).await
}

/// The first check after the lease leads to the notification; after that nothing is pending.
async fn notified_after_the_lease(world: &World, messages: usize) -> anyhow::Result<()> {
    let (posts, checks) = (world.slack.state().posts(), world.function("PollerFunction").invocations());
    world.send("ChecksQueue", r#"{"repository":"acme/web"}"#).await?;
    let is_checked = |world: &World| world.function("PollerFunction").invocations() > checks;
    world.until("one more check", SOON, is_checked).await?;
    world.until("its end", SOON, |world| world.function("PollerFunction").at_work() == 0).await?;
    ensure!(world.slack.state().posts() == posts, "it was notified again while the claim was held");
    tokio::time::sleep(LEASE).await;
    world.tick().await?;
    let texts = world.texts(messages).await?;
    ensure!(texts[messages - 1].contains("web-1"), "{texts:?}");
    world.settled().await?;
    world.tick().await?;
    world.settled().await?;
    ensure!(world.slack.messages().len() == messages, "{:?}", world.texts(messages).await?);
    ensure!(world.log("NotifierFunction")?.contains("sent again"), "the log does not say that it may be a repetition");
    world.no_dead_letters().await
}
