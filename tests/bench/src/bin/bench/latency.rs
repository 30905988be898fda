//! From a runner going offline in GitHub's answer to the message in Slack, without the poll interval.

use std::time::Duration;

use anyhow::{Context, ensure};
use monitor_aws::testing::CHANGES;
use monitor_function_notifier::Notifier;
use monitor_function_poller::Poller;
use serde_json::json;
use tokio::time::Instant;

use crate::measure::{median, ms, quantile};
use crate::table::Table;
use crate::world::{Terms, World, invocation, job, messages, repository};

pub(crate) fn measure(table: &mut Table, outages: usize) -> anyhow::Result<()> {
    table.section("From GitHub's answer to Slack");
    for github_latency_ms in [0, 50] {
        let terms = Terms { repositories: outages, github_latency_ms, is_limited: false, speed: 1 };
        let world = World::start(terms)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut times = runtime.block_on(alerts(&world, outages))?;
        let what = |part: &str| format!("runner offline → message, GitHub at {github_latency_ms} ms, {part}");
        table.add(what("median"), median(&mut times), "ms").note(format!(
            "of {outages}; poller, fake SQS and notifier in process, `failureThreshold` 1; Slack and store at 0 ms"
        ));
        table.add(what("p99"), quantile(&mut times, 0.99), "ms");
    }
    Ok(())
}

async fn alerts(world: &World, outages: usize) -> anyhow::Result<Vec<f64>> {
    // One reading confirms an outage: this measures the path, not the confirmation time.
    let variables = world.variables(r#"{"failureThreshold":1}"#, &[]);
    let (poller, notifier) = (Poller::new(&variables, &world.sdk()), Notifier::new(&variables, &world.sdk()));
    let empty = json!({"batchItemFailures": []});
    let check = async |number: usize| {
        let answer = poller.handle(messages("checks", [&*job(&repository(number))]), invocation()).await?;
        ensure!(answer == empty, "{answer}");
        let changes = world.aws.take_sent(CHANGES);
        if !changes.is_empty() {
            let event = messages("changes.fifo", changes.iter().map(|message| &*message.body));
            let answer = notifier.handle(event, invocation()).await?;
            ensure!(answer == empty, "{answer}");
        }
        Ok(())
    };
    for number in 0..outages {
        check(number).await?;
    }
    let mut times = Vec::new();
    for number in 0..outages {
        let id = world.github.state().runners(&repository(number))[0].id;
        world.github.state().set_runner(&repository(number), id, "offline", false);
        let messages_before = world.slack.messages().len();
        let began = Instant::now();
        check(number).await?;
        let arrived = world.slack.wait_for_messages(messages_before + 1, Duration::from_secs(1)).await;
        times.push(ms(began.elapsed()));
        let text = arrived.ok().and_then(|messages| messages.last().map(|message| format!("{message:?}")));
        ensure!(text.context("no message was sent")?.contains("offline"), "another message was sent");
    }
    Ok(times)
}
