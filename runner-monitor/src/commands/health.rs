//! `runner-monitor health`: whether monitoring itself is complete, for probes. Runners make no difference to it.

use clap::Args;
use monitor_pipeline::monitoring::Monitoring;
use monitor_telemetry::SystemClock;
use monitor_web::text::ago;
use monitor_web::view;
use serde_json::json;

use crate::Outcome;
use crate::out;
use crate::setup;
use crate::store::StoreArgument;

#[derive(Debug, Args)]
pub(crate) struct Health {
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// Print JSON instead of lines
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) async fn run(arguments: &Health) -> anyhow::Result<Outcome> {
    let store = setup::existing_store(&arguments.store).await?;
    let Monitoring { now, monitor, mut not_complete, .. } = Monitoring::read(&store, &SystemClock).await?;
    let ticked_at = monitor.ticked_at;
    if ticked_at.is_none() {
        // A probe of a monitor that never gets to its first tick must not succeed. `status` is also for stores that only
        // `check` uses, where no tick is expected.
        not_complete.push("`run` has not used this store yet".to_owned());
    }
    if arguments.json {
        out::print_json(json!({"now": now, "monitoring": view::monitoring(ticked_at, &not_complete)}))?;
    } else if not_complete.is_empty() {
        let ticked = ticked_at.map_or_else(String::new, |at| format!(": the last tick was {}", ago(at, now)));
        out::print(format_args!("Monitoring is complete{ticked}.\n"))?;
    } else {
        let lines: String = not_complete.iter().map(|why| format!("Monitoring is not complete: {why}\n")).collect();
        out::print(format_args!("{lines}"))?;
    }
    Ok(Outcome::of(true, not_complete.is_empty()))
}
