//! Refusals and failures of GitHub.

use std::time::Duration;

use anyhow::ensure;
use monitor_fakes::github::{Fault, Strikes};
use monitor_fakes::wall_clock_ms;

use super::{Scenario, scenario};
use crate::secrets;
use crate::world::{Setting, World};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        scenario!(a_refused_token_is_notified_once_and_a_rotated_one_is_used_at_the_first_401, impatient),
        scenario!(a_limited_credential_ends_its_jobs_without_an_event_or_a_dead_letter),
        scenario!(a_target_that_github_fails_for_leaves_the_others_alone),
    ]
}

/// An unreachable target is notified as early as possible: after two intervals of a minute.
fn impatient() -> Setting {
    let policy = r#"{"failureThreshold":1,"successThreshold":1,"recheckInterval":"10s","unreachableAfter":"2m"}"#;
    Setting { policy, interval_secs: 60, ..Setting::default() }
}

const INTERVAL: Duration = Duration::from_secs(61);
/// Each instance of the poller reads the parameters again after 10 s, then after 20 s, and so on.
const PATIENCE: Duration = Duration::from_secs(120);

async fn a_refused_token_is_notified_once_and_a_rotated_one_is_used_at_the_first_401(
    world: &World,
) -> anyhow::Result<()> {
    world.begin().await?;
    {
        let mut github = world.github.state();
        github.revoke_token(secrets::GITHUB_TOKEN);
        github.add_token(secrets::ROTATED_GITHUB_TOKEN);
    }
    world.set_runner("acme/web", "offline");
    world.tick().await?;
    world.settled().await?;
    tokio::time::sleep(INTERVAL).await;
    world.tick().await?;
    world.settled().await?;
    ensure!(world.slack.messages().len() == 1, "too early: {:?}", world.texts(1).await?);
    tokio::time::sleep(INTERVAL).await;
    world.tick().await?;
    let texts = world.texts(2).await?;
    ensure!(
        texts[1].contains("token") && texts[1].contains("2 targets"),
        "expected one notification for the credential: {texts:?}"
    );
    world.settled().await?;

    // Rotates the token as OPERATIONS.md says. No process is restarted.
    world.put_parameter("github-token", "SecureString", secrets::ROTATED_GITHUB_TOKEN).await?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while world.slack.messages().len() < 4 {
        ensure!(tokio::time::Instant::now() < deadline, "the new token is not used: {:?}", world.texts(2).await?);
        world.tick().await?;
        world.settled().await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let texts = world.texts(4).await?;
    ensure!(texts[2..].iter().any(|text| text.contains("web-1")), "the outage from the meantime is missing: {texts:?}");
    world.settled().await?;
    ensure!(world.slack.messages().len() == 4, "{:?}", world.texts(4).await?);
    world.no_dead_letters().await
}

async fn a_limited_credential_ends_its_jobs_without_an_event_or_a_dead_letter(world: &World) -> anyhow::Result<()> {
    world.begin().await?;
    world.github.state().exhaust_token(secrets::GITHUB_TOKEN, wall_clock_ms());
    world.set_runner("acme/web", "offline");
    let polled = world.function("PollerFunction").invocations();
    world.tick().await?;
    world.settled().await?;
    ensure!(world.github.state().counters().limited > 0, "no request met the limit");
    ensure!(world.slack.messages().len() == 1, "a notification without a check: {:?}", world.texts(1).await?);
    // Jobs are done, not returned to the queue: a limit that lasts an hour would use up their receives.
    let polled = world.function("PollerFunction").invocations() - polled;
    ensure!(polled <= 2, "{polled} invocations for 2 jobs");
    world.no_dead_letters().await?;

    // An instance that hit the limit sends no request until it is over; another instance has to hit it first.
    let asked = world.github.state().counters().requests;
    for _ in 0..4 {
        world.tick().await?;
        world.settled().await?;
    }
    let asked = world.github.state().counters().requests - asked;
    ensure!(asked <= 2, "{asked} requests by 8 jobs although GitHub said when to retry");
    ensure!(world.slack.messages().len() == 1, "{:?}", world.texts(1).await?);
    world.no_dead_letters().await
}

async fn a_target_that_github_fails_for_leaves_the_others_alone(world: &World) -> anyhow::Result<()> {
    world.begin().await?;
    world.github.state().fault(Fault::Status(500), Strikes::always().target("acme/web"));
    world.set_runner("acme/web", "offline");
    world.set_runner("acme/api", "offline");
    world.tick().await?;
    let texts = world.texts(2).await?;
    ensure!(texts[1].contains("api-1"), "{texts:?}");
    world.settled().await?;
    ensure!(world.slack.messages().len() == 2, "a failed check must not notify: {:?}", world.texts(2).await?);
    ensure!(world.log("PollerFunction")?.contains("acme/web"), "the failure is not in the log");
    world.github.state().clear_faults();
    world.tick().await?;
    let texts = world.texts(3).await?;
    ensure!(texts[2].contains("web-1"), "{texts:?}");
    world.settled().await?;
    world.no_dead_letters().await
}
