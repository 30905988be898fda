//! What queues do: hand out the unusable, the same twice, the old after the new.

use std::time::Duration;

use anyhow::ensure;
use monitor_fakes::wall_clock_ms;
use monitor_stately_server::{Fault, RpcCode, Trouble};
use serde_json::{Value, json};

use super::{Scenario, scenario};
use crate::emulator::Outcome;
use crate::world::{SOON, World};

/// Five of them, half a minute apart.
const DELIVERIES: Duration = Duration::from_secs(200);

pub(super) fn all() -> Vec<Scenario> {
    vec![
        scenario!(a_job_that_fails_each_time_is_set_aside_by_the_queue_and_others_are_done),
        scenario!(a_poisoned_message_is_set_aside_with_its_reason_and_its_batch_is_not_harmed),
        scenario!(messages_delivered_twice_and_out_of_order_change_nothing),
    ]
}

async fn a_poisoned_message_is_set_aside_with_its_reason_and_its_batch_is_not_harmed(
    world: &World,
) -> anyhow::Result<()> {
    world.begin().await?;
    world.set_runner("acme/api", "offline");
    // All in one batch: what is good stands between what is not.
    world.mapping("ChecksQueue").enable(false).await;
    let poison = [r#"{"repo":"acme/web"}"#, "acme/web", r#"{"repository":"acme"}"#];
    for body in [poison[0], r#"{"repository":"acme/api"}"#, poison[1], poison[2]] {
        world.aws("sqs", &["send-message", "--queue-url", "{ChecksQueue}", "--message-body", body]).await?;
    }
    world.mapping("ChecksQueue").enable(true).await;
    let letters = world.wait_for_dead_letters("ChecksDeadLetterQueue", poison.len(), SOON).await?;
    for body in poison {
        let letter = letters.iter().find(|letter| letter["Body"] == body);
        let reason =
            letter.map(|letter| letter["MessageAttributes"]["reason"]["StringValue"].clone()).unwrap_or_default();
        let reason = reason.as_str().unwrap_or_default();
        ensure!(reason.contains(r#"{"repository":"owner/name"}"#), "{body} with the reason {reason:?}: {letters:?}");
    }
    let typing = letters.iter().find(|letter| letter["Body"] == poison[0]).map(ToString::to_string).unwrap_or_default();
    ensure!(typing.contains("`repo`"), "the reason names the field: {typing}");
    let log = world.log("PollerFunction")?;
    ensure!(log.contains("`repo`"), "the log line names the field");
    let texts = world.texts(2).await?;
    ensure!(texts[1].contains("api-1"), "{texts:?}");

    world.send("ChangesQueue", r#"{"subject":7}"#).await?;
    let letters = world.wait_for_dead_letters("ChangesDeadLetterQueue", 1, SOON).await?;
    let reason = letters[0]["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap_or_default();
    ensure!(reason.contains("subject"), "{letters:?}");
    world.set_runner("acme/api", "online");
    world.send("ChecksQueue", r#"{"repository":"acme/api"}"#).await?;
    world.texts(3).await?;
    world.settled().await?;
    world.no_dead_letters().await
}

async fn a_job_that_fails_each_time_is_set_aside_by_the_queue_and_others_are_done(world: &World) -> anyhow::Result<()> {
    world.begin().await?;
    // The store is away. Nothing but the queue's own count of deliveries ends this.
    world.stately.state().inject(Fault::once(Trouble::Bare(RpcCode::Unavailable)).times(u64::MAX));
    let before = world.function("PollerFunction").invocations();
    world.send("ChecksQueue", r#"{"repository":"acme/web"}"#).await?;
    let letters = world.wait_for_dead_letters("ChecksDeadLetterQueue", 1, DELIVERIES).await?;
    ensure!(letters[0]["Body"] == r#"{"repository":"acme/web"}"#, "{letters:?}");
    let deliveries = world.function("PollerFunction").invocations() - before;
    ensure!(deliveries == 5, "{deliveries} deliveries; the template's maxReceiveCount is 5");
    world.stately.state().clear_faults();
    world.set_runner("acme/api", "offline");
    world.send("ChecksQueue", r#"{"repository":"acme/api"}"#).await?;
    let texts = world.texts(2).await?;
    ensure!(texts[1].contains("api-1"), "{texts:?}");
    world.settled().await?;
    world.no_dead_letters().await
}

async fn messages_delivered_twice_and_out_of_order_change_nothing(world: &World) -> anyhow::Result<()> {
    world.begin().await?;
    // Every batch twice, by both mappings.
    world.mapping("ChecksQueue").forget_deletes(1);
    world.mapping("ChangesQueue").forget_deletes(1);
    world.set_runner("acme/web", "offline");
    let (polls, tellings) = invocations(world);
    world.send("ChecksQueue", r#"{"repository":"acme/web"}"#).await?;
    world.texts(2).await?;
    world
        .until("a second delivery of job and wake-up", SOON, |world| {
            let (polled, told) = invocations(world);
            polled >= polls + 2 && told >= tellings + 2
        })
        .await?;
    world.settled().await?;
    ensure!(world.slack.messages().len() == 2, "told twice: {:?}", world.texts(2).await?);

    // What the schedule sent before the outage comes after it: not worth a request.
    world.set_runner("acme/web", "online");
    let old =
        json!({"version": 1, "repository": "acme/web", "reason": "schedule", "requestedAt": "2026-01-01T00:00:00Z"});
    let asked = world.github.state().target_counters("acme/web").requests;
    deliver(world, &[record("old", &old)]).await?;
    ensure!(world.github.state().target_counters("acme/web").requests == asked, "GitHub was asked for an old job");

    // In one batch: a job, the old one once more, and the same record again. Of two that find the end one is first.
    let by_hand = record("new", &json!({"repository": "acme/web"}));
    deliver(world, &[by_hand.clone(), record("old", &old), by_hand]).await?;
    let texts = world.texts(3).await?;
    ensure!(texts[2].contains("web-1") && texts[2].contains("online"), "{texts:?}");
    world.settled().await?;
    ensure!(world.slack.messages().len() == 3, "{:?}", world.texts(3).await?);
    world.no_dead_letters().await
}

/// Invokes the poller with records that no queue holds.
async fn deliver(world: &World, records: &[Value]) -> anyhow::Result<()> {
    match world.invoke("PollerFunction", &json!({"Records": records})).await? {
        Outcome::Answer(answer) => ensure!(answer == json!({"batchItemFailures": []}), "{answer}"),
        Outcome::Error(error) => anyhow::bail!("{error}"),
    }
    Ok(())
}

fn record(id: &str, body: &Value) -> Value {
    let now = wall_clock_ms().to_string();
    json!({"messageId": id, "receiptHandle": id, "body": body.to_string(), "md5OfBody": "",
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": now, "SenderId": "AIDA",
            "ApproximateFirstReceiveTimestamp": now},
        "messageAttributes": {}, "eventSource": "aws:sqs", "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:checks"})
}

fn invocations(world: &World) -> (u64, u64) {
    (world.function("PollerFunction").invocations(), world.function("NotifierFunction").invocations())
}
