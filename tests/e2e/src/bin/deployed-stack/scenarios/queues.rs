//! What queues may deliver: unusable messages, duplicates, old messages after new ones.

use anyhow::ensure;
use monitor_fakes::github::{self, Strikes};
use monitor_fakes::wall_clock_ms;
use monitor_stately_server::{Fault, RpcCode, Trouble};
use serde_json::{Value, json};

use super::{Records, Scenario, scenario};
use crate::emulator::Outcome;
use crate::world::{SOON, Setting, World};

/// The template's `maxReceiveCount`.
const MAX_RECEIVE_COUNT: u64 = 5;
/// In each window of this length, at most one check by hand of a target begins.
const BY_HAND_WINDOW_MS: i64 = 15_000;

pub(super) fn all() -> Vec<Scenario> {
    vec![
        scenario!(a_job_that_kills_its_poller_every_time_is_dead_lettered_by_the_queue_and_others_are_done),
        scenario!(a_poisoned_message_is_dead_lettered_with_its_reason_and_its_batch_is_not_harmed),
        scenario!(a_state_change_message_that_fails_holds_back_the_later_ones_of_its_subject, store_away)
            .needing(Records::StatelyDb),
        scenario!(messages_delivered_twice_and_out_of_order_change_nothing),
    ]
}

/// A client retries an unavailable store for some seconds before it fails.
fn store_away() -> Setting {
    Setting { visibility_secs: 20, ..Setting::default() }
}

async fn a_poisoned_message_is_dead_lettered_with_its_reason_and_its_batch_is_not_harmed(
    world: &World,
) -> anyhow::Result<()> {
    world.begin().await?;
    world.set_runner("acme/api", "offline");
    // All in one batch: the valid message is between invalid ones.
    world.mapping("ChecksQueue").disable().await;
    let poison = [r#"{"repo":"acme/web"}"#, "acme/web", r#"{"repository":"acme"}"#];
    for body in [poison[0], r#"{"repository":"acme/api"}"#, poison[1], poison[2]] {
        world.aws("sqs", &["send-message", "--queue-url", "{ChecksQueue}", "--message-body", body]).await?;
    }
    world.mapping("ChecksQueue").enable().await;
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

async fn a_job_that_kills_its_poller_every_time_is_dead_lettered_by_the_queue_and_others_are_done(
    world: &World,
) -> anyhow::Result<()> {
    world.begin().await?;
    world.github.state().fault(github::Fault::Hang, Strikes::always().target("acme/web"));
    // Both of the first two deliveries must be in the same one.
    world.until("the start of a window", SOON, |_| wall_clock_ms() % BY_HAND_WINDOW_MS < 2_000).await?;
    world.send("ChecksQueue", r#"{"repository":"acme/web"}"#).await?;
    // Only the queue's own delivery count ends this. The second delivery finds that the target was just requested, and
    // is replaced by one more check.
    for delivery in 1..=1 + MAX_RECEIVE_COUNT {
        world
            .until(&format!("delivery {delivery}"), SOON, |world| {
                world.github.state().counters().unanswered == delivery
            })
            .await?;
        world.function("PollerFunction").kill()?;
    }
    let letters = world.wait_for_dead_letters("ChecksDeadLetterQueue", 1, SOON).await?;
    let body: Value = serde_json::from_str(letters[0]["Body"].as_str().unwrap_or_default())?;
    ensure!(body["repository"] == "acme/web" && body["reason"] == "recheck", "{letters:?}");
    let unanswered = world.github.state().counters().unanswered;
    ensure!(unanswered == 1 + MAX_RECEIVE_COUNT, "{unanswered} deliveries, against the template's maxReceiveCount");
    world.set_runner("acme/api", "offline");
    world.send("ChecksQueue", r#"{"repository":"acme/api"}"#).await?;
    let texts = world.texts(2).await?;
    ensure!(texts[1].contains("api-1"), "{texts:?}");
    world.settled().await?;
    world.no_dead_letters().await
}

async fn a_state_change_message_that_fails_holds_back_the_later_ones_of_its_subject(
    world: &World,
) -> anyhow::Result<()> {
    world.begin().await?;
    world.mapping("ChangesQueue").disable().await;
    let notified_before = world.journal("NotifierFunction")?.len();
    for number in 1..=3 {
        // The number is like a field of a later release: it is ignored.
        let body = json!({"version": 1, "subject": "acme/web", "number": number}).to_string();
        world.send_in_group("ChangesQueue", &body, "web").await?;
    }
    world.stately.state().inject(Fault::once(Trouble::Bare(RpcCode::Unavailable)).times(u64::MAX));
    world.mapping("ChangesQueue").enable().await;
    world
        .until("a state-change message fails", SOON, |world| {
            world.journal("NotifierFunction").is_ok_and(|journal| journal.len() > notified_before)
        })
        .await?;
    world.stately.state().clear_faults();
    world.settled().await?;
    let mut failures = 0;
    let mut done: Vec<String> = Vec::new();
    for invocation in &world.journal("NotifierFunction")?[notified_before..] {
        let failed = invocation["outcome"]["batchItemFailures"].to_string();
        for record in invocation["event"]["Records"].as_array().into_iter().flatten() {
            let has_failed = record["messageId"].as_str().is_some_and(|id| failed.contains(id));
            failures += usize::from(has_failed);
            done.extend((!has_failed).then(|| record["attributes"]["SequenceNumber"].to_string()));
        }
    }
    ensure!(failures > 0, "the store's fault affected no message");
    ensure!(done.len() == 3, "{done:?}");
    ensure!(!world.plan().true_fifo || done.is_sorted(), "out of order: {done:?}");
    world.no_dead_letters().await
}

async fn messages_delivered_twice_and_out_of_order_change_nothing(world: &World) -> anyhow::Result<()> {
    world.begin().await?;
    // Both mappings deliver their next batch twice.
    world.mapping("ChecksQueue").forget_deletes(1);
    world.mapping("ChangesQueue").forget_deletes(1);
    world.set_runner("acme/web", "offline");
    let (polls, notifier_invocations) = invocations(world);
    world.send("ChecksQueue", r#"{"repository":"acme/web"}"#).await?;
    world.texts(2).await?;
    world
        .until("a second delivery of job and state-change message", SOON, |world| {
            let (polled, notified) = invocations(world);
            polled >= polls + 2 && notified >= notifier_invocations + 2
        })
        .await?;
    world.settled().await?;
    ensure!(world.slack.messages().len() == 2, "notified twice: {:?}", world.texts(2).await?);

    // A job from before the outage arrives after it: it must cause no request.
    world.set_runner("acme/web", "online");
    let old =
        json!({"version": 1, "repository": "acme/web", "reason": "schedule", "requestedAt": "2026-01-01T00:00:00Z"});
    let asked = world.github.state().target_counters("acme/web").requests;
    deliver(world, &[record("old", &old)]).await?;
    ensure!(world.github.state().target_counters("acme/web").requests == asked, "GitHub was asked for an old job");

    // One batch: a job, the old one again, and the first one again. Only one of the two equal jobs ends the outage.
    let by_hand = record("new", &json!({"repository": "acme/web"}));
    deliver(world, &[by_hand.clone(), record("old", &old), by_hand]).await?;
    let texts = world.texts(3).await?;
    ensure!(texts[2].contains("web-1") && texts[2].contains("online"), "{texts:?}");
    world.settled().await?;
    ensure!(world.slack.messages().len() == 3, "{:?}", world.texts(3).await?);
    world.no_dead_letters().await
}

/// Invokes the poller with records that are in no queue.
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
