//! The weekly report.

use monitor_domain::availability::Availability;
use monitor_domain::time::spoken_duration;
use monitor_domain::weekly::{PlannedChecks, ReportRow, ReportedRemoval, ReportedVersion, Shortlist, WeeklyReport};

use super::{counted, part, place};
use crate::document::{Line, Mark, Section};

/// The report as one list: targets, pools, runners, versions and removals.
pub(super) fn week_reported(report: &WeeklyReport) -> Section {
    let outages = counted(report.outages, "outage", "outages");
    let recovery = match report.mean_time_to_recovery() {
        Some(mean) => {
            format!("; {} recovered, after {} on average", report.recovered, spoken_duration(mean))
        }
        None => String::new(),
    };
    let runners = counted(report.runners, "runner", "runners");
    let targets = counted(report.targets, "target", "targets");
    let available = percent(report.availability());
    let lead = Line::of("From ").on(report.from).text(" to ").on(report.until).text(format!(
        ", {runners} in {targets} were available {available} of the observed time, with {outages}{recovery}.{}",
        checks(report.checks)
    ));
    let lead = match report.unread {
        0 => lead,
        unread => {
            let missing = counted(unread, "target is", "targets are");
            lead.text(format!(" {missing} missing from this report: their records could not be read in time."))
        }
    };
    let mut items = Vec::new();
    let of_target =
        |row: &ReportRow| Line::default().name(&place(&row.target)).text(format!(": {}", available_with_outages(row)));
    list(
        &mut items,
        &report.worst_targets,
        of_target,
        ("more target was", "more targets were"),
        "not always available",
    );
    let of_pool = |row: &ReportRow| {
        let of = Line::default().name(&row.name).text(" of ").name(&place(&row.target));
        let outages = counted(row.outages, "outage", "outages");
        of.text(format!(": enough runners online {} of the time, {outages}", percent(row.availability())))
    };
    list(&mut items, &report.worst_pools, of_pool, ("more pool was", "more pools were"), "short of runners");
    let of_runner = |row: &ReportRow| {
        let of = Line::default().name(&row.name).text(" of ").name(&place(&row.target));
        let down = spoken_duration(row.availability().down);
        of.text(format!(": offline for {down} in {}", counted(row.outages, "outage", "outages")))
    };
    list(&mut items, &report.worst_runners, of_runner, ("more runner was", "more runners were"), "offline at times");
    let of_version = |one: &ReportedVersion| {
        let who =
            format!("{} of {}", counted(one.runners, "runner", "runners"), counted(one.targets, "target", "targets"));
        let ends = if one.ends_at <= report.until { " ended on " } else { " ends on " };
        Line::of("Runner version ").short_name(&one.version, 30).text(ends).on(one.ends_at).text(format!(": {who}"))
    };
    list(&mut items, &report.versions, of_version, ("more version ends", "more versions end"), "soon");
    let of_removal = |one: &ReportedRemoval| {
        let runner = Line::of("GitHub removes ").name(&one.runner).text(" of ").name(&place(&one.target));
        runner.text(" from ").on(one.earliest).text(" on, unless it connects")
    };
    list(&mut items, &report.removals, of_removal, ("more runner is", "more runners are"), "removed within a week");
    Section {
        brief: Line::of(format!(", {outages} in {targets}.")),
        lead,
        total: items.len(),
        items,
        advice: vec![Line::of("Details: ").command("runner-monitor report --since 7d")],
        ..part(Mark::Info, format!("Weekly report: runners available {available} of the time"))
    }
}

/// Adds the entries of a list, and a line for those that were left out.
fn list<T>(
    items: &mut Vec<Line>,
    entries: &Shortlist<T>,
    line: impl Fn(&T) -> Line,
    (one, many): (&str, &str),
    what: &str,
) {
    items.extend(entries.shown.iter().map(line));
    if entries.more > 0 {
        items.push(Line::of(format!("{} {what}", counted(entries.more, one, many))));
    }
}

fn available_with_outages(row: &ReportRow) -> String {
    format!("available {} of the time, {}", percent(row.availability()), counted(row.outages, "outage", "outages"))
}

fn checks(checks: Option<PlannedChecks>) -> String {
    match checks {
        Some(PlannedChecks { planned, missed: 0 }) => format!(" Of about {planned} checks none was missed."),
        Some(PlannedChecks { planned, missed }) => format!(" Of about {planned} checks at most {missed} were missed."),
        None => String::new(),
    }
}

fn percent(availability: Availability) -> String {
    availability.percent().unwrap_or_else(|| "an unknown part".to_owned())
}
