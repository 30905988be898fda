//! `runner-monitor jobs`: the jobs that wait for a runner, and why.

use clap::Args;
use monitor_domain::jobs::Queue;
use monitor_pipeline::monitoring::watched;
use monitor_pipeline::ports::Clock as _;
use monitor_pipeline::stages::waiting_jobs;
use monitor_telemetry::SystemClock;
use monitor_web::text::{ago, counted, one_line, sentence};
use serde_json::json;

use crate::Outcome;
use crate::local_time::minute;
use crate::out;
use crate::setup;
use crate::store::StoreArgument;
use crate::table::{Screen, wrapped};

#[derive(Debug, Args)]
pub(crate) struct Jobs {
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) async fn run(arguments: &Jobs) -> anyhow::Result<Outcome> {
    let store = setup::existing_store(&arguments.store).await?;
    let now = SystemClock.now();
    let (queues, unread) = waiting_jobs(&store, watched(&store).await?, now).await;
    let outcome = if unread.is_empty() { Outcome::Healthy } else { Outcome::Incomplete };
    if arguments.json {
        let queues: Vec<_> = queues
            .iter()
            .map(|(target, queue)| {
                let Queue { labels, waiting } = queue;
                json!({"target": target, "labels": labels, "waiting": waiting})
            })
            .collect();
        out::print_json(json!({"now": now, "queues": queues, "unread": unread}))?;
        return Ok(outcome);
    }
    let width = Screen::of_stdout().width;
    let mut text = String::new();
    for (target, queue) in &queues {
        let Queue { labels, waiting } = queue;
        let head = format!(
            "{waiting} for {} in {target}, the oldest since {} ({}). {}",
            one_line(&labels.join(", ")),
            minute(waiting.since),
            ago(waiting.since, now),
            sentence(&waiting.reason, minute),
        );
        text += &format!("{}\n", wrapped(&head, 0, width));
        for job in &waiting.jobs {
            let line =
                format!("{} in {}, since {}  {}", one_line(&job.name), job.repository, minute(job.queued_at), job.url);
            text += &format!("  {line}\n");
        }
        let more = usize::try_from(waiting.count).unwrap_or(usize::MAX).saturating_sub(waiting.jobs.len());
        if more > 0 {
            text += &format!("  and {}\n", counted(more, "other"));
        }
    }
    for target in &unread {
        text += &format!("The jobs of {target} could not be read.\n");
    }
    if queues.is_empty() && unread.is_empty() {
        text += "No job waits for a runner, as far as GitHub has reported.\n";
    }
    out::print(format_args!("{text}"))?;
    Ok(outcome)
}
