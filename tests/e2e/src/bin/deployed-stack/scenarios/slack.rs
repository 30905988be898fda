//! Refusals and failures of Slack.

use std::time::Duration;

use anyhow::ensure;
use monitor_fakes::slack::Fault;

use super::{Scenario, scenario};
use crate::world::{SOON, World};

/// The delay until the message of a failed attempt is delivered again.
const BACKOFF: Duration = Duration::from_secs(30);

pub(super) fn all() -> Vec<Scenario> {
    vec![
        scenario!(a_failed_post_to_slack_is_retried_when_the_next_attempt_is_due),
        scenario!(a_short_rate_limit_of_slack_is_waited_out),
    ]
}

async fn a_failed_post_to_slack_is_retried_when_the_next_attempt_is_due(world: &World) -> anyhow::Result<()> {
    world.begin().await?;
    world.slack.state().fault_next(Fault::Answer(500, "internal_error"), 1);
    world.set_runner("acme/web", "offline");
    world.send("ChecksQueue", r#"{"repository":"acme/web"}"#).await?;
    world.until("Slack answers 500", SOON, |world| !world.slack.state().refusals().is_empty()).await?;
    let refused = tokio::time::Instant::now();
    // No tick is needed: the message of the failed attempt is delivered again.
    let texts = world.texts(2).await?;
    ensure!(texts[1].contains("web-1"), "{texts:?}");
    ensure!(refused.elapsed() > BACKOFF / 2, "the post was retried too early");
    world.settled().await?;
    ensure!(world.slack.messages().len() == 2, "{:?}", world.texts(2).await?);
    world.no_dead_letters().await
}

async fn a_short_rate_limit_of_slack_is_waited_out(world: &World) -> anyhow::Result<()> {
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
