//! Slack's refusals.

use std::time::Duration;

use anyhow::ensure;
use monitor_fakes::slack::Fault;

use super::{Scenario, scenario};
use crate::world::{SOON, World};

/// A failed attempt is repeated after 30 s, at the next look. Two wake-ups of one minute are one to SQS.
const BACKOFF: Duration = Duration::from_secs(61);

pub(super) fn all() -> Vec<Scenario> {
    vec![
        scenario!(slack_in_trouble_is_asked_again_at_a_later_look_and_told_once),
        scenario!(a_short_limit_of_slacks_is_waited_out),
    ]
}

async fn slack_in_trouble_is_asked_again_at_a_later_look_and_told_once(world: &World) -> anyhow::Result<()> {
    world.begin().await?;
    world.slack.state().fault_next(Fault::Answer(500, "internal_error"), 1);
    world.set_runner("acme/web", "offline");
    world.send("ChecksQueue", r#"{"repository":"acme/web"}"#).await?;
    world.until("Slack answers 500", SOON, |world| !world.slack.state().refusals().is_empty()).await?;
    // Slack's trouble is no failure of the message: it is done, and nothing comes back.
    world.settled().await?;
    world.tick().await?;
    world.settled().await?;
    ensure!(world.slack.state().posts() == 2, "Slack was asked again too early");
    tokio::time::sleep(BACKOFF).await;
    world.tick().await?;
    let texts = world.texts(2).await?;
    ensure!(texts[1].contains("web-1"), "{texts:?}");
    world.settled().await?;
    ensure!(world.slack.messages().len() == 2, "{:?}", world.texts(2).await?);
    world.no_dead_letters().await
}

async fn a_short_limit_of_slacks_is_waited_out(world: &World) -> anyhow::Result<()> {
    world.begin().await?;
    world.slack.state().fault_next(Fault::RateLimited(2), 2);
    world.set_runner("acme/web", "offline");
    world.send("ChecksQueue", r#"{"repository":"acme/web"}"#).await?;
    let texts = world.texts(2).await?;
    ensure!(texts[1].contains("web-1"), "{texts:?}");
    let refused: Vec<u16> = world.slack.state().refusals().iter().map(|refusal| refusal.status).collect();
    ensure!(refused == [429, 429], "{refused:?}");
    world.settled().await?;
    ensure!(world.slack.messages().len() == 2, "{:?}", world.texts(2).await?);
    world.no_dead_letters().await
}
