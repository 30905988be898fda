//! `runner-monitor status`: the stored state, without asking GitHub.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use monitor_domain::fleet::Fleet;
use monitor_domain::time::Timestamp;
use monitor_pipeline::items::Mute;
use monitor_pipeline::monitoring::Monitoring;
use monitor_pipeline::records::read_mutes;
use monitor_telemetry::SystemClock;
use monitor_web::text::{ago, counted, one_line};
use monitor_web::view::{self, TargetView, version_ends};
use serde_json::json;

use crate::Outcome;
use crate::args::parse_within;
use crate::fleet_view::{Rows, RowsArgument, View, fleet_table, is_unhealthy, totals, unreachable_list};
use crate::forecast::Forecast;
use crate::local_time::minute;
use crate::out;
use crate::selection::{Named, Selection};
use crate::setup;
use crate::stopping::stop_on_signal;
use crate::store::{ChosenStore, StoreArgument};
use crate::table::{Screen, Tone, wrapped};
use crate::web_server::pause;

#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    #[command(flatten)]
    pub(crate) rows: RowsArgument,
    /// Show it again every 5 seconds, or at this interval, until stopped; a store that is a service is read every 15
    /// seconds at most
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "5s", value_parser = parse_watch, conflicts_with = "json")]
    pub(crate) watch: Option<Duration>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

fn parse_watch(text: &str) -> Result<Duration, String> {
    parse_within(text, Duration::from_secs(1)..=Duration::from_secs(3_600), "1s to 1h, for example 5s")
}

pub(crate) async fn run(arguments: &Status) -> anyhow::Result<Outcome> {
    let store = setup::existing_store(&arguments.store).await?;
    let Some(interval) = arguments.watch else { return show(&store, arguments).await };
    // Reading a service costs, so it is read no more often than for the page.
    let interval = interval.max(pause(&store));
    let mut stop = stop_on_signal()?;
    let terminal = console::Term::stdout();
    loop {
        if terminal.is_term() {
            terminal.clear_screen()?;
        }
        show(&store, arguments).await?;
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(Outcome::Healthy),
        }
    }
}

/// Prints the stored state once.
async fn show(store: &ChosenStore, arguments: &Status) -> anyhow::Result<Outcome> {
    let Monitoring { now, monitor, not_complete, fleets: stored } = Monitoring::read(store, &SystemClock).await?;
    let named = arguments.selection.named();
    let unknown: Vec<&Named> = named.iter().filter(|name| !stored.iter().any(|fleet| knows(fleet, name))).collect();
    let fleets: Vec<Fleet> = stored.into_iter().filter_map(|fleet| selected(fleet, &arguments.selection)).collect();
    let targets: Vec<monitor_domain::target::Target> = fleets.iter().map(|fleet| fleet.record.target.clone()).collect();
    let ends = version_ends(store, &targets).await?;
    let mutes = read_mutes(store, &SystemClock).await?;
    if arguments.json {
        let mutes: Vec<_> = mutes
            .iter()
            .map(|mute| json!({"scope": mute.scope.to_string(), "since": mute.since, "until": mute.until, "reason": mute.reason}))
            .collect();
        let targets: Vec<TargetView<'_>> = fleets.iter().map(|fleet| TargetView::of(fleet, &ends)).collect();
        let monitoring = view::monitoring(monitor.ticked_at, &not_complete);
        out::print_json(json!({"now": now, "monitoring": monitoring, "targets": targets, "mutes": mutes}))?;
    } else if !fleets.is_empty() || named.is_empty() {
        let screen = Screen::of_stdout();
        let view = View { now, screen, rows: arguments.rows.rows(), just_checked: false };
        let table = fleet_table(&fleets, view);
        let ahead = Forecast::of(&fleets, &ends).text(view);
        let unreachable = unreachable(&fleets);
        let list = match unreachable.is_empty() {
            true => String::new(),
            false => unreachable_list(&unreachable, arguments.rows.rows() == Rows::All, screen),
        };
        out::print(format_args!("{table}{list}{ahead}\n{}\n", wrapped(&summary(&fleets, now), 0, screen.width)))?;
        let concerned =
            mutes.iter().filter(|mute| named.is_empty() || fleets.iter().any(|fleet| concerns(mute, fleet)));
        for mute in concerned {
            let reason = mute.reason.as_ref().map_or_else(String::new, |reason| format!(" ({})", one_line(reason)));
            let line = format!("Muted until {}: {}{reason}", minute(mute.until), one_line(&mute.scope.to_string()));
            out::print(format_args!("{}\n", Tone::Faint.paint(&wrapped(&line, 2, screen.width), screen.colour)))?;
        }
        if !not_complete.is_empty() {
            let line = wrapped(&format!("Monitoring is not complete: {}", not_complete.join("; ")), 2, screen.width);
            out::print(format_args!("{}\n", Tone::Bad.paint(&line, screen.colour)))?;
        }
    }
    unknown.iter().for_each(|name| out::error(&unknown_text(name)));
    let is_nothing = fleets.is_empty() && !named.is_empty() && unknown.is_empty();
    if is_nothing {
        out::error(&"no stored runner matches all of these together");
    }
    let is_complete = !is_nothing
        && unknown.is_empty()
        && not_complete.is_empty()
        && fleets.iter().all(|fleet| fleet.record.failing.is_none());
    Ok(Outcome::of(is_complete, !fleets.iter().any(is_unhealthy)))
}

/// Whether a mute silences something of a fleet.
fn concerns(mute: &Mute, fleet: &Fleet) -> bool {
    let target = fleet.record.target.id();
    let mut all = fleet.pools_and_runners();
    mute.scope.target().is_some_and(|only| only.id() == target)
        || all.any(|runner| mute.scope.covers(target, &runner.name, &runner.labels))
}

/// The error for a name that matches nothing in the store.
pub(crate) fn unknown_text(name: &Named) -> String {
    match name {
        Named::Target(spec) => format!("{spec} is not stored: check it with `runner-monitor check '{spec}'`"),
        Named::Runner(name) => format!(
            "no runner called `{name}` is stored: `runner-monitor status --all` lists all; for an organization write orgs/NAME"
        ),
    }
}

fn knows(fleet: &Fleet, name: &Named) -> bool {
    let target = &fleet.record.target;
    let mut all = fleet.pools_and_runners();
    name.covers(target, None) || all.any(|runner| name.covers(target, Some(&runner.name)))
}

/// A fleet with the selected runners; `None` if nothing of it is selected.
fn selected(mut fleet: Fleet, selection: &Selection) -> Option<Fleet> {
    let target = fleet.record.target.clone();
    let is_whole = selection.covers(&target, None);
    for all in [&mut fleet.runners, &mut fleet.pools, &mut fleet.queues] {
        all.retain(|runner| selection.covers(&target, Some(&runner.name)));
    }
    (is_whole || fleet.pools_and_runners().next().is_some()).then_some(fleet)
}

fn unreachable(fleets: &[Fleet]) -> Vec<(String, String)> {
    let failing = fleets.iter().filter_map(|fleet| Some((&fleet.record.target, fleet.record.failing.as_ref()?)));
    failing.map(|(target, failing)| (target.to_string(), failing.failure.detail.clone())).collect()
}

fn summary(fleets: &[Fleet], now: Timestamp) -> String {
    let runners = fleets.iter().flat_map(Fleet::pools_and_runners);
    let open = runners.filter(|runner| runner.open_outage().is_some()).count();
    let checked: BTreeSet<String> = [
        fleets.iter().filter_map(Fleet::seen_at).max().map(|at| ago(at, now)),
        fleets.iter().filter_map(Fleet::seen_at).min().map(|at| ago(at, now)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let oldest = fleets.iter().filter_map(Fleet::seen_at).min().map(|at| ago(at, now));
    let age = match (oldest, checked.len()) {
        (None, _) => "nothing has been checked yet".to_owned(),
        (Some(oldest), 1) => format!("checked {oldest}"),
        (Some(oldest), _) => format!("the oldest check was {oldest}"),
    };
    format!("{}, {}; {age}", totals(fleets), counted(open, "open outage"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_summary_shows_the_oldest_check() {
        let now = Timestamp::from_epoch_ms(1_800_000_000_000);
        let fleet = |name: &str, minutes_ago: Option<u64>| {
            let mut fleet = Fleet::unknown(name.parse().unwrap());
            let at = minutes_ago.map(|minutes| now.minus(Duration::from_secs(minutes * 60)));
            (fleet.record.watched_since, fleet.record.observed_at) = (at, at.unwrap_or_default());
            fleet
        };
        let age = |fleets: &[Fleet]| summary(fleets, now).rsplit("; ").next().unwrap_or_default().to_owned();
        let (web, api, new) = (fleet("acme/web", Some(5)), fleet("acme/api", Some(90)), fleet("acme/new", None));
        assert_eq!(age(&[web.clone(), api.clone(), new.clone()]), "the oldest check was 1 h 30 min ago");
        assert_eq!(age(&[api, web.clone()]), "the oldest check was 1 h 30 min ago");
        assert_eq!(age(&[web.clone(), web]), "checked 5 min ago");
        assert_eq!(age(&[new]), "nothing has been checked yet");
    }
}
