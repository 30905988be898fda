//! A stored fleet as a table for people and as JSON for programs.

use std::cmp::Reverse;

use clap::Args;
use monitor_domain::fleet::{Counts, Fleet};
use monitor_domain::runner::{Health, Runner};
use monitor_domain::time::{Timestamp, spoken_duration};
use monitor_web::text::{ago, counted, grouped, one_line};
use monitor_web::view::condition;

use crate::table::{Give, Row, Screen, Tone, table, wrapped};

/// The table's column headings.
const HEADINGS: [&str; 6] = ["target", "runner", "status", "for", "labels", "checked"];
/// The last column: when the target was checked.
const CHECKED: usize = 5;
/// What is shortened first on a narrow terminal: the labels, and when the target was checked.
const GIVES: [(usize, Give); 11] = [
    (4, Give::ShrinkTo(20)),
    (CHECKED, Give::Drop),
    (4, Give::ShrinkTo(10)),
    (0, Give::ShrinkTo(24)),
    (1, Give::ShrinkTo(20)),
    (4, Give::Drop),
    (2, Give::ShrinkTo(16)),
    (0, Give::ShrinkTo(12)),
    (1, Give::ShrinkTo(12)),
    (3, Give::Drop),
    (2, Give::ShrinkTo(8)),
];

/// A runner's status as text, with its condition in parentheses if that says more.
pub(crate) fn status_text(runner: &Runner) -> String {
    match condition(runner) {
        "healthy" | "down" => match runner.current_job() {
            Some(job) => format!("{}: {}", runner.status, one_line(&job.name)),
            None => runner.status.to_string(),
        },
        other => format!("{} ({other})", runner.status),
    }
}

/// The tone of a runner's row.
pub(crate) fn tone(runner: &Runner) -> Tone {
    match &runner.health {
        Health::Down(_) => Tone::Bad,
        Health::Suspect(_) if !runner.never_connected() => Tone::Warning,
        Health::Gone { .. } | Health::Retired => Tone::Faint,
        _ if runner.flapping.is_some() => Tone::Warning,
        _ if !runner.status.is_healthy() => Tone::Faint,
        _ => Tone::Plain,
    }
}

/// With more rows than this, only those that need attention are shown.
const MANY_ROWS: usize = 40;
/// The most lines that one list below the table has.
const MANY_LINES: usize = 20;

/// Which rows the table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rows {
    /// All, or if there are many, those that need attention.
    #[default]
    Fitting,
    /// All, however many.
    All,
    /// Those that need attention.
    Unhealthy,
}

/// Which rows a table has.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct RowsArgument {
    /// List every runner, even if many have no problem
    #[arg(long, conflicts_with = "unhealthy")]
    all: bool,
    /// List only what needs attention
    #[arg(long)]
    unhealthy: bool,
}

impl RowsArgument {
    /// The rows to show.
    pub(crate) fn rows(self) -> Rows {
        match (self.all, self.unhealthy) {
            (_, true) => Rows::Unhealthy,
            (true, false) => Rows::All,
            (false, false) => Rows::Fitting,
        }
    }
}

/// How to show the table of all fleets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) now: Timestamp,
    pub(crate) screen: Screen,
    /// Which rows the table has.
    pub(crate) rows: Rows,
    /// Whether all targets were just checked, so that the column with the time is left out.
    pub(crate) just_checked: bool,
}

/// The table of all fleets, sorted by urgency. If there are many rows, healthy ones are only counted.
pub(crate) fn fleet_table(fleets: &[Fleet], view: View) -> String {
    let mut lines: Vec<Line> = fleets.iter().flat_map(|fleet| lines(fleet, view)).collect();
    lines.sort_by_key(|line| Reverse(line.urgency));
    let is_cut = match view.rows {
        Rows::Fitting => lines.len() > MANY_ROWS,
        Rows::All => false,
        Rows::Unhealthy => lines.iter().any(|line| line.urgency == 0),
    };
    let (shown, hidden): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| !is_cut || line.urgency > 0);
    let columns = if view.just_checked { CHECKED } else { HEADINGS.len() };
    let shown: Vec<Row> = shown
        .into_iter()
        .map(|Line { row, .. }| Row { cells: row.cells.into_iter().take(columns).collect(), ..row })
        .collect();
    let gives: Vec<(usize, Give)> = GIVES.into_iter().filter(|(column, _)| *column < columns).collect();
    let mut laid_out = String::new();
    if !shown.is_empty() || !is_cut {
        laid_out = table(&HEADINGS[..columns], &shown, &gives, view.screen);
    }
    if is_cut {
        let runners = hidden.iter().filter(|line| line.is_runner).count();
        let targets = hidden.len() - runners;
        let more = if shown.is_empty() { "runner" } else { "more runner" };
        let mut rest = vec![format!("{} without a problem", counted(runners, more))];
        if targets > 0 {
            rest.push(format!("{} without runners", counted(targets, "target")));
        }
        let line = format!("{} (--all lists them)", rest.join(", "));
        laid_out.push_str(&Tone::Faint.paint(&line, view.screen.colour));
        laid_out.push('\n');
    }
    laid_out
}

/// A row of the table.
struct Line {
    row: Row,
    /// Whether the row is a runner's, not a target's.
    is_runner: bool,
    /// Higher values come first. Rows with 0 are only counted if there are many rows.
    urgency: u8,
}

/// A row for each runner, and one for the target if it has no runners or is unreachable.
fn lines(fleet: &Fleet, view: View) -> Vec<Line> {
    let target = fleet.record.target.as_str();
    let checked = fleet.seen_at().map_or_else(|| "never".to_owned(), |at| ago(at, view.now));
    let remark = |tone, text: &str, urgency| {
        let cells = [target, "–", text, "", "", &checked].map(str::to_owned).into();
        Line { row: Row { tone, cells }, is_runner: false, urgency }
    };
    let mut lines = Vec::new();
    if fleet.record.failing.is_some() {
        lines.push(remark(Tone::Bad, "unreachable", 3));
    } else if fleet.runners.is_empty() && fleet.is_target() {
        lines.push(remark(Tone::Faint, "no runners", 0));
    }
    lines.extend(fleet.pools_and_runners().map(|runner| {
        let since = runner.open_outage().map_or(runner.status_since, |outage| outage.started_at);
        let cells = vec![
            target.to_owned(),
            runner.name.clone(),
            runner.tally().unwrap_or_else(|| status_text(runner)),
            spoken_duration(view.now.since(since)),
            runner.labels.join(", "),
            checked.clone(),
        ];
        let tone = tone(runner);
        let urgency = match tone {
            Tone::Bad => 3,
            Tone::Warning => 2,
            _ => u8::from(!runner.status.is_healthy() && !runner.is_gone()),
        };
        Line { row: Row { tone, cells }, is_runner: runner.is_one(), urgency }
    }));
    lines
}

/// The unreachable targets, grouped by reason.
pub(crate) fn unreachable_list(unreachable: &[(String, String)], all: bool, screen: Screen) -> String {
    let mut by_reason: Vec<(String, Vec<&str>)> = Vec::new();
    for (target, reason) in unreachable {
        let reason = one_line(without_name(reason, target));
        match by_reason.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, targets)) => targets.push(target),
            None => by_reason.push((reason, vec![target])),
        }
    }
    let mut lines: Vec<String> = by_reason
        .iter()
        .flat_map(|(reason, targets)| match targets.len() {
            count if count > 3 && !all => {
                let more = grouped(count - 3);
                vec![format!("  {} and {more} more: {reason}", targets[..3].join(", "))]
            }
            _ => targets.iter().map(|target| format!("  {target}: {reason}")).collect(),
        })
        .map(|line| wrapped(&line, 4, screen.width))
        .collect();
    cut_to(&mut lines, all);
    let heading = Tone::Bad.paint("Unreachable:", screen.colour);
    format!("\n{heading}\n{}\n", lines.join("\n"))
}

/// The reason of a failure, without the name that its line already begins with.
pub(crate) fn without_name<'a>(reason: &'a str, name: &str) -> &'a str {
    let begins = ["", "the runners of ", "the repositories of "].map(|what| format!("{what}{name}: "));
    begins.iter().find_map(|begin| reason.strip_prefix(begin)).unwrap_or(reason)
}

/// Shortens a long list, unless `all` is set.
pub(crate) fn cut_to(lines: &mut Vec<String>, all: bool) {
    if lines.len() > MANY_LINES && !all {
        let more = grouped(lines.len() - MANY_LINES);
        lines.truncate(MANY_LINES);
        lines.push(format!("  and {more} more (--all lists them)"));
    }
}

/// The totals, for example `3 of 1,000 runners offline in 500 targets`.
pub(crate) fn totals(fleets: &[Fleet]) -> String {
    let counts = fleets.iter().map(|fleet| Counts::of(&fleet.runners));
    let sum =
        |of: fn(&Counts) -> u32| counts.clone().map(|counts| usize::try_from(of(&counts)).unwrap_or(0)).sum::<usize>();
    let (total, online) = (sum(|counts| counts.total), sum(|counts| counts.online));
    let targets = || fleets.iter().filter(|fleet| fleet.is_target());
    let unreachable = targets().filter(|fleet| fleet.record.failing.is_some()).count();
    let of_them = match unreachable {
        0 => String::new(),
        _ if targets().count() == 1 => ", which is unreachable".to_owned(),
        count => format!(", {} of them unreachable", grouped(count)),
    };
    let (runners, targets) = (counted(total, "runner"), counted(targets().count(), "target"));
    format!("{} of {runners} offline in {targets}{of_them}", grouped(total.saturating_sub(online)))
}

/// Whether a runner has an open outage or a suspected one. A runner that has never connected does not count.
pub(crate) fn is_unhealthy(fleet: &Fleet) -> bool {
    let bad = |runner: &Runner| {
        matches!(runner.health, Health::Down(_))
            || matches!(runner.health, Health::Suspect(_)) && !runner.never_connected()
    };
    fleet.pools_and_runners().any(bad)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use console::measure_text_width;
    use monitor_domain::fleet::Failing;
    use monitor_domain::observation::{Failure, Fault, ObservedRunner};
    use monitor_domain::outage::{Outage, OutageId, Peers, Visibility};
    use monitor_domain::runner::{Down, RunnerId, Status, Suspicion};
    use monitor_domain::subject::Revision;

    const NOW: Timestamp = Timestamp::from_epoch_ms(1_000_000_000);

    fn runner(id: u64, name: &str, status: Status, connected: bool) -> Runner {
        let observed = ObservedRunner {
            id: RunnerId(id),
            name: name.to_owned(),
            os: "linux".to_owned(),
            status,
            busy: false,
            labels: ["self-hosted", "linux", "x64", "a-label-that-is-rather-long"].map(str::to_owned).into(),
            ephemeral: false,
            group_id: None,
            version: connected.then(|| "2.331.0".to_owned()),
        };
        let mut runner = Runner::first_seen(&observed, true, NOW);
        if !status.is_healthy() {
            runner.health = Health::Suspect(Box::new(Suspicion {
                since: NOW,
                counted_at: NOW,
                unhealthy_count: 1,
                outage_id: OutageId(Revision(1)),
                is_baseline: false,
                last_healthy: None,
            }));
        }
        runner
    }

    fn fleet(target: usize, runners: Vec<Runner>) -> Fleet {
        let mut fleet = Fleet::unknown(format!("acme/app-{target}").parse().unwrap());
        fleet.record.watched_since = Some(NOW);
        fleet.record.observed_at = NOW;
        fleet.runners = runners;
        fleet
    }

    fn view(width: Option<usize>, all: bool) -> View {
        View {
            now: NOW,
            screen: Screen { colour: false, width },
            rows: if all { Rows::All } else { Rows::Fitting },
            just_checked: false,
        }
    }

    /// 500 targets with two runners each; three runners are offline and one target is unreachable.
    fn many() -> Vec<Fleet> {
        let status = |target, of_it| if target >= 497 && of_it == 1 { Status::Offline } else { Status::Idle };
        let of = |target: usize| {
            let named = |of_it: usize| {
                let name = format!("app-{target}-runner-{of_it}");
                runner(u64::try_from(of_it).unwrap(), &name, status(target, of_it), true)
            };
            fleet(target, vec![named(0), named(1)])
        };
        let mut fleets: Vec<Fleet> = (0..500).map(of).collect();
        let failure = Failure::new(Fault::Network, "no route to GitHub".to_owned());
        fleets[400].record.failing = Some(Failing { since: NOW, failure, unreachable: false, notified: false });
        fleets
    }

    #[test]
    fn only_unhealthy_targets_are_listed_when_there_are_many() {
        let fleets = many();
        assert_eq!(totals(&fleets), "3 of 1,000 runners offline in 500 targets, 1 of them unreachable");
        for width in [Some(80), None] {
            let shown = fleet_table(&fleets, view(width, false));
            let lines: Vec<&str> = shown.lines().collect();
            assert_eq!(lines.len(), 3 + 4 + 1, "{shown}");
            assert!(lines[3].contains("acme/app-400") && lines[3].contains("unreachable"), "{shown}");
            assert!((497..500).all(|target| shown.contains(&format!("app-{target}-runner-1"))), "{shown}");
            assert_eq!(lines[7], "997 more runners without a problem (--all lists them)");
            assert!(width.is_none_or(|width| lines.iter().all(|line| measure_text_width(line) <= width)), "{shown}");
        }
        let all = fleet_table(&fleets, view(Some(80), true));
        assert_eq!(all.lines().count(), 3 + 1_001);
        assert!(all.lines().nth(3).unwrap().contains("unreachable") && all.lines().nth(6).unwrap().contains("offline"));
        let well = fleet_table(&fleets[..100], view(Some(80), false));
        assert_eq!(well, "200 runners without a problem (--all lists them)\n");
        let few = fleet_table(&fleets[490..], view(None, false));
        assert_eq!(few.lines().count(), 3 + 20, "a few rows are all shown");
        assert!(few.contains("a-label-that-is-rather-long"), "nothing is cut without a terminal");
    }

    #[test]
    fn a_runner_registered_ahead_of_use_is_not_unhealthy() {
        let ahead = fleet(1, vec![runner(1, "new", Status::Offline, false)]);
        assert!(!is_unhealthy(&ahead));
        assert!(fleet_table(&[ahead], view(None, false)).contains("offline (never connected)"));
        assert!(is_unhealthy(&fleet(1, vec![runner(1, "used", Status::Offline, true)])));
        assert!(!is_unhealthy(&fleet(1, vec![runner(1, "used", Status::Idle, true)])));
    }

    #[test]
    fn unreachable_targets_are_grouped_by_reason() {
        let of = |count: usize| -> Vec<(String, String)> {
            (0..count).map(|target| (format!("acme/app-{target}"), format!("acme/app-{target}: no route"))).collect()
        };
        let screen = Screen::default();
        let two = unreachable_list(&of(2), false, screen);
        assert_eq!(two, "\nUnreachable:\n  acme/app-0: no route\n  acme/app-1: no route\n");
        let many = unreachable_list(&of(1_200), false, screen);
        assert_eq!(many, "\nUnreachable:\n  acme/app-0, acme/app-1, acme/app-2 and 1,197 more: no route\n");
        assert_eq!(unreachable_list(&of(1_200), true, screen).lines().count(), 1_202);
    }

    #[test]
    fn an_outage_lasts_from_its_start_even_if_the_status_changed_since() {
        let at = |minutes_ago: u64| NOW.minus(Duration::from_secs(minutes_ago * 60));
        let mut down = runner(1, "build-1", Status::Offline, true);
        down.status_since = at(5);
        let outage = Outage {
            id: OutageId(Revision(1)),
            runner_id: down.id,
            current_id: down.current_id,
            runner_name: down.name.clone(),
            os: down.os.clone(),
            version: None,
            version_ended_at: None,
            lost_targets: None,
            ephemeral: false,
            pool: None,
            waiting: None,
            labels: Vec::new(),
            status: Status::Unknown,
            in_job: false,
            job: None,
            started_at: at(90),
            confirmed_at: at(88),
            last_healthy: None,
            connected_at: None,
            peers: Peers::default(),
            visibility: Visibility::Alerted,
            resolved_at: None,
            ending: None,
        };
        down.health = Health::Down(Box::new(Down::new(outage)));
        let mut idle = runner(2, "build-2", Status::Idle, true);
        idle.status_since = at(5);
        let shown = fleet_table(&[fleet(1, vec![down, idle])], view(None, false));
        let row = |name: &str| shown.lines().find(|line| line.contains(name)).unwrap_or_default().to_owned();
        assert!(row("build-1").contains("1 h 30 min"), "{shown}");
        assert!(row("build-2").contains("5 min"), "{shown}");
    }
}
