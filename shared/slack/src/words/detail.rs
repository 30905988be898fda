//! What a person wants to know of a runner that went away, and where to look first.

use monitor_domain::outage::{LastHealthy, Outage, Peers};
use monitor_domain::runner::Status;

use crate::document::{Fact, Line};

/// So many at once have a common cause more often than not.
const MANY: usize = 3;

/// What a person wants to know of one runner.
pub(super) fn facts(outage: &Outage) -> Vec<Fact> {
    let last_healthy = match &outage.last_healthy {
        Some(LastHealthy { at, status: Status::Busy }) => Line::default().at(*at).text(", running a job"),
        Some(LastHealthy { at, status }) => Line::default().at(*at).text(format!(", {status}")),
        None => Line::of("not since it is watched"),
    };
    let work = if outage.in_job { "in mid-job: expect it to fail" } else { "none at the time, as far as GitHub said" };
    vec![
        fact("Last healthy", last_healthy),
        fact("Job", work),
        fact("Labels", labels(&outage.labels, 10)),
        fact("Same labels", peers(outage.peers)),
        fact("System", system(&outage.os, outage.version.as_deref())),
    ]
}

pub(super) fn fact(label: &'static str, value: impl Into<Line>) -> Fact {
    Fact { label, value: value.into() }
}

/// `Linux, runner 2.329.0`.
pub(super) fn system(os: &str, version: Option<&str>) -> Line {
    let os = match os.to_ascii_lowercase().as_str() {
        "linux" => Line::of("Linux"),
        "windows" => Line::of("Windows"),
        "macos" => Line::of("macOS"),
        "" | "unknown" => Line::of("system not known"),
        _ => Line::default().short_name(os, 30),
    };
    match version {
        Some(version) => os.text(", runner ").short_name(version, 30),
        None => os.text(", never connected yet"),
    }
}

/// The first labels, and how many more.
pub(super) fn labels(labels: &[String], max: usize) -> Line {
    if labels.is_empty() {
        return Line::of("none");
    }
    let mut line = Line::default();
    for (index, label) in labels.iter().take(max).enumerate() {
        line = if index > 0 { line.text(" ") } else { line }.short_name(label, 40);
    }
    match labels.len().saturating_sub(max) {
        0 => line,
        more => line.text(format!(" and {more} more")),
    }
}

/// Who else could take the jobs.
pub(super) fn peers(Peers { total, online }: Peers) -> String {
    match (total, online) {
        (0, _) => "no other runner has them: jobs that need them wait".to_owned(),
        (1, 0) => "the one other is not online: jobs that need them wait".to_owned(),
        (total, 0) => format!("none of {total} others online: jobs that need them wait"),
        (total, online) => format!("{online} of {total} {} online", if total == 1 { "other" } else { "others" }),
    }
}

/// Where to look, by what the runners run on.
pub(super) fn try_first(outages: &[Outage]) -> Vec<Line> {
    let mut advice = Vec::new();
    if outages.len() >= MANY {
        advice.push(Line::of("Several went at once: look at what they share, such as host, network, proxy or power."));
    }
    let on = |os: &str| outages.iter().any(|outage| outage.os.eq_ignore_ascii_case(os));
    let log = |line: Line| line.text(" and the newest log in the runner's ").command("_diag").text(" folder.");
    if on("linux") {
        let host = Line::of("Is the Linux host up? Then on it: ");
        advice.push(log(host.command("sudo systemctl status 'actions.runner.*'")));
    }
    if on("windows") {
        let host = Line::of("Is the Windows host up? Then on it, in PowerShell: ");
        advice.push(log(host.command("Get-Service 'actions.runner.*'")));
    }
    if on("macos") {
        let host = Line::of("Is the Mac up and awake? Then on it, in the runner's folder: ");
        advice.push(log(host.command("./svc.sh status")));
    }
    let known = |outage: &Outage| ["linux", "windows", "macos"].iter().any(|os| outage.os.eq_ignore_ascii_case(os));
    if !outages.iter().all(known) {
        advice.push(log(Line::of("Is the host up? Then on it: the runner's service or container")));
    }
    if let Some(first) = advice.first_mut() {
        *first = Line::default().strong("Try first:").text(" ").and(std::mem::take(first));
    }
    advice
}
