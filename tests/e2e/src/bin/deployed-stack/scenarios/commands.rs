//! Slash commands, as an HTTP API forwards them.

use anyhow::{Context, bail, ensure};
use monitor_fakes::wall_clock_ms;
use monitor_slack::incoming::SigningSecret;
use serde_json::Value;

use super::{Scenario, scenario};
use crate::emulator::Outcome;
use crate::secrets;
use crate::world::World;

/// The address for the answer to a button in the samples.
const SAMPLE_REPLY_URL: &str =
    "https%3A%2F%2Fhooks.slack.com%2Factions%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN";

pub(super) fn all() -> Vec<Scenario> {
    vec![
        scenario!(a_slash_command_is_answered_from_the_store_and_has_a_target_rechecked),
        scenario!(a_pressed_button_is_answered_by_a_later_invocation),
    ]
}

async fn a_slash_command_is_answered_from_the_store_and_has_a_target_rechecked(world: &World) -> anyhow::Result<()> {
    world.begin().await?;
    let answer = ask(world, "slack-runner-status-all", secrets::SIGNING_SECRET).await?;
    let text = body(&answer)?;
    ensure!(answer["statusCode"] == 200 && text.contains("4 runners online"), "{answer}");

    world.set_runner("acme/web", "offline");
    let answer = ask(world, "slack-runner-recheck", secrets::SIGNING_SECRET).await?;
    ensure!(answer["statusCode"] == 200 && body(&answer)?.contains("acme/web"), "{answer}");
    let texts = world.texts(2).await?;
    ensure!(texts[1].contains("web-1") && texts[1].contains("offline"), "{texts:?}");
    world.settled().await?;
    let text = body(&ask(world, "slack-runner-history", secrets::SIGNING_SECRET).await?)?;
    ensure!(text.contains("web-1"), "the outage is missing from the history: {text}");

    // A request with a wrong signature gets no information and starts nothing.
    let asked = world.github.state().counters().requests;
    let answer = ask(world, "slack-runner-recheck", "another secret").await?;
    ensure!(answer["statusCode"] == 401 && !answer.to_string().contains("web"), "{answer}");
    world.settled().await?;
    ensure!(world.github.state().counters().requests == asked, "a request with a wrong signature started a check");
    world.no_dead_letters().await
}

async fn a_pressed_button_is_answered_by_a_later_invocation(world: &World) -> anyhow::Result<()> {
    world.begin().await?;
    let invocations = world.function("SlackFunction").invocations();
    let answer = ask(world, "slack-button-recheck", secrets::SIGNING_SECRET).await?;
    ensure!(answer["statusCode"] == 200 && answer["body"].is_null(), "{answer}");
    let texts = world.texts(2).await?;
    ensure!(texts[1].contains("Checking acme/web again"), "{texts:?}");
    world.settled().await?;
    ensure!(world.function("SlackFunction").invocations() == invocations + 2, "the button was answered more than once");
    world.no_dead_letters().await
}

/// Asks for the status of every target.
pub(super) async fn status(world: &World) -> anyhow::Result<()> {
    let answer = ask(world, "slack-runner-status-all", secrets::SIGNING_SECRET).await?;
    ensure!(answer["statusCode"] == 200, "{answer}");
    Ok(())
}

/// Sends a sample event, signed now; returns the answer.
async fn ask(world: &World, event: &str, secret: &str) -> anyhow::Result<Value> {
    let path = format!("{}/../../events/{event}.json", env!("CARGO_MANIFEST_DIR"));
    let mut event: Value = serde_json::from_str(&std::fs::read_to_string(&path).context(path)?)?;
    let at_secs = wall_clock_ms() / 1_000;
    // The sample asks for the history of a runner that does not exist here.
    let body = event["body"].as_str().unwrap_or_default().replace("text=runner-7", "text=web-1");
    let reply_url = format!("{}/actions/T0FAKE/1/notasecretreply", world.slack.base_url());
    let encoded: String = reply_url.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let body = body.replace(SAMPLE_REPLY_URL, &encoded);
    let signature = SigningSecret::new(secret).sign(at_secs, body.as_bytes());
    event["body"] = body.into();
    event["headers"]["x-slack-request-timestamp"] = at_secs.to_string().into();
    event["headers"]["x-slack-signature"] = signature.into();
    match world.invoke("SlackFunction", &event).await? {
        Outcome::Answer(answer) => Ok(answer),
        Outcome::Error(error) => bail!("{error}"),
    }
}

/// The body of an answer, with its blocks.
fn body(answer: &Value) -> anyhow::Result<String> {
    Ok(answer["body"].as_str().context("no body")?.to_owned())
}
