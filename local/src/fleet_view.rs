//! A fleet on record as people and programs want to see it.

use monitor_domain::fleet::Fleet;
use monitor_domain::runner::{Health, Runner};
use monitor_domain::time::{Timestamp, spoken_duration};
use serde::Serialize;

use crate::table::{Row, Tone, ago, table};

/// The headings of the table.
const HEADINGS: [&str; 6] = ["target", "runner", "status", "for", "labels", "seen"];

/// A target as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TargetView<'a> {
    target: &'a str,
    /// When it was last seen as it is told here.
    seen_at: Option<Timestamp>,
    /// Why it cannot be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a str>,
    runners: Vec<RunnerView<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RunnerView<'a> {
    id: u64,
    name: &'a str,
    status: String,
    since: Timestamp,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    outage_started_at: Option<Timestamp>,
    os: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    labels: &'a [String],
    ephemeral: bool,
}

impl<'a> From<&'a Fleet> for TargetView<'a> {
    fn from(fleet: &'a Fleet) -> Self {
        Self {
            target: fleet.record.target.as_str(),
            seen_at: fleet.seen_at(),
            failure: fleet.record.failing.as_ref().map(|failing| failing.failure.detail.as_str()),
            runners: fleet.runners.iter().map(RunnerView::from).collect(),
        }
    }
}

impl<'a> From<&'a Runner> for RunnerView<'a> {
    fn from(runner: &'a Runner) -> Self {
        Self {
            id: runner.current_id.0,
            name: &runner.name,
            status: runner.status.to_string(),
            since: runner.status_since,
            verdict: verdict(runner),
            outage_started_at: runner.open_outage().map(|outage| outage.started_at),
            os: &runner.os,
            version: runner.version.as_deref(),
            labels: &runner.labels,
            ephemeral: runner.ephemeral,
        }
    }
}

fn verdict(runner: &Runner) -> &'static str {
    match &runner.health {
        Health::Healthy if runner.flapping.is_some() => "flapping",
        Health::Healthy if !runner.status.is_healthy() => "ignored",
        Health::Healthy => "healthy",
        Health::Suspect(_) if runner.never_connected() => "never connected",
        Health::Suspect(_) => "suspect",
        Health::Down(down) if down.good_count > 0 => "recovering",
        Health::Down(_) => "down",
        Health::Gone { .. } => "no longer registered",
        Health::Retired => "forgotten",
    }
}

/// The words for a runner's status, with the verdict where it says more.
pub(crate) fn status_words(runner: &Runner) -> String {
    match verdict(runner) {
        "healthy" | "down" => runner.status.to_string(),
        other => format!("{} ({other})", runner.status),
    }
}

/// How a runner stands out.
pub(crate) fn tone(runner: &Runner) -> Tone {
    match &runner.health {
        Health::Down(_) => Tone::Bad,
        Health::Suspect(_) if !runner.never_connected() => Tone::Doubtful,
        Health::Gone { .. } | Health::Retired => Tone::Faint,
        _ if runner.flapping.is_some() => Tone::Doubtful,
        _ if !runner.status.is_healthy() => Tone::Faint,
        _ => Tone::Plain,
    }
}

/// From how many targets without runners on they are only counted: `acme/*` finds many.
const MANY_EMPTY: usize = 6;

/// The table of all fleets.
pub(crate) fn fleet_table(fleets: &[Fleet], now: Timestamp, colour: bool) -> String {
    let is_empty = |fleet: &&Fleet| fleet.runners.is_empty() && fleet.record.failing.is_none();
    let empty = fleets.iter().filter(is_empty).count();
    let shown = fleets.iter().filter(|fleet| empty < MANY_EMPTY || !is_empty(fleet));
    let all: Vec<Row> = shown.flat_map(|fleet| rows(fleet, now)).collect();
    let mut laid_out = table(&HEADINGS, &all, colour);
    if empty >= MANY_EMPTY {
        laid_out.push_str(&Tone::Faint.paint(&format!("and {empty} targets without runners\n"), colour));
    }
    laid_out
}

/// A row for each runner, and one for a target without any or that cannot be seen.
fn rows(fleet: &Fleet, now: Timestamp) -> Vec<Row> {
    let target = fleet.record.target.as_str();
    let seen = fleet.seen_at().map_or_else(|| "never".to_owned(), |at| ago(at, now));
    let remark = |tone, text: &str| Row {
        tone,
        cells: vec![target.to_owned(), "–".to_owned(), text.to_owned(), String::new(), String::new(), seen.clone()],
    };
    let mut rows = Vec::new();
    if let Some(failing) = &fleet.record.failing {
        rows.push(remark(Tone::Bad, &format!("cannot be seen: {}", failing.failure)));
    } else if fleet.runners.is_empty() {
        rows.push(remark(Tone::Faint, "no runners"));
    }
    rows.extend(fleet.runners.iter().map(|runner| {
        let since = runner.open_outage().map_or(runner.status_since, |outage| outage.started_at);
        Row {
            tone: tone(runner),
            cells: vec![
                target.to_owned(),
                runner.name.clone(),
                status_words(runner),
                spoken_duration(now.since(since)),
                runner.labels.join(", "),
                seen.clone(),
            ],
        }
    }));
    rows
}

/// Whether something about a fleet is unhealthy: an open outage, a bad reading, or no sight of it.
pub(crate) fn is_unhealthy(fleet: &Fleet) -> bool {
    let bad = |runner: &Runner| {
        matches!(runner.health, Health::Down(_))
            || matches!(runner.health, Health::Suspect(_)) && !runner.never_connected()
    };
    fleet.runners.iter().any(bad)
}
