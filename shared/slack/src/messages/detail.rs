//! What a person wants to know about a runner that went offline: since when, what it means for jobs, and what to check
//! first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use monitor_domain::jobs::JobName;
use monitor_domain::observation::UNKNOWN_OS;
use monitor_domain::outage::{LastHealthy, Outage, Peers};
use monitor_domain::runner::Status;
use monitor_domain::time::{Timestamp, spoken_duration};

use crate::document::{Fact, Line};

/// From this number on, outages that begin together probably have a common cause.
const MANY: usize = 3;
/// Outages that began within this time of each other began together: checks are minutes apart.
const TOGETHER: Duration = Duration::from_secs(10 * 60);
/// The most runner names in a title.
const MAX_NAMES: usize = 3;
/// The longest name in a title; longer ones are cut.
const MAX_NAME_IN_TITLE: usize = 40;
/// The most labels in a sentence.
const MAX_LABELS: usize = 4;
/// Labels that GitHub adds automatically: every runner of a platform has them, so other labels say more.
const DEFAULT_LABELS: [&str; 7] = ["self-hosted", "linux", "windows", "macos", "x64", "arm", "arm64"];

/// How old an outage is when a message describes it: facts from its start may no longer hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// It has just been confirmed.
    New,
    /// It is still open; which runners can take its jobs may have changed since it began.
    Later,
    /// It has ended.
    Over,
}

/// The details of one runner's outage.
pub(super) fn facts(outage: &Outage, moment: Moment) -> Vec<Fact> {
    let last_healthy = match &outage.last_healthy {
        Some(LastHealthy { at, status: Status::Busy }) => Line::default().at(*at).text(" or later, running a job"),
        Some(LastHealthy { at, status }) => Line::default().at(*at).text(format!(" or later, {status}")),
        None => Line::of("Not since monitoring started"),
    };
    let job = match (moment, outage.in_job, outage.last_healthy) {
        (Moment::New, true, _) => Line::of("Was running ").and(its_job(outage)).text(", which will probably fail"),
        (_, true, _) => Line::of("Was running ").and(its_job(outage)).text(" when it went offline"),
        (_, false, Some(_)) => Line::of("None (idle when last seen)"),
        (_, false, None) => Line::of("None reported"),
    };
    let mut facts =
        vec![fact("Last healthy", last_healthy), fact("Job", job), fact("Labels", labels(&outage.labels, 10))];
    if moment == Moment::New {
        facts.push(fact("Same labels", peers(outage.peers)));
    }
    facts.push(fact("System", system(&outage.os, outage.version.as_deref())));
    facts
}

/// The job that a runner was running, with its link.
fn its_job(outage: &Outage) -> Line {
    outage.job.as_deref().map_or_else(|| Line::of("a job"), job)
}

/// `Nightly / train in acme/web (open)`.
pub(super) fn job(job: &JobName) -> Line {
    let line = Line::default().name(&job.name).text(" in ").name(&super::place(&job.repository));
    if job.url.is_empty() { line } else { line.text(" (").link("open", job.url.clone()).text(")") }
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
        "" | "unknown" => Line::of("system not reported"),
        _ => Line::default().short_name(os, 30),
    };
    match version {
        Some(version) => os.text(", runner ").short_name(version, 30),
        None => os.text(", runner version not reported"),
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

/// `a, b, c and 4 more`.
pub(super) fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Line {
    let mut names = names.into_iter();
    let first: Vec<&str> = names.by_ref().take(MAX_NAMES).collect();
    let line = listed(&first, MAX_NAME_IN_TITLE);
    match names.count() {
        0 => line,
        more => line.text(format!(" and {more} more")),
    }
}

/// `a, b, c`.
fn listed(names: &[&str], max: usize) -> Line {
    let mut line = Line::default();
    for (index, name) in names.iter().enumerate() {
        line = if index > 0 { line.text(", ") } else { line }.short_name(name, max);
    }
    line
}

/// The names of the runners of outages.
pub(super) fn runners(outages: &[Outage]) -> Line {
    names(outages.iter().map(|outage| &*outage.runner_name))
}

/// Whether other runners can take the jobs.
pub(super) fn peers(Peers { total, online }: Peers) -> String {
    match (total, online) {
        (0, _) => "No other runner has these labels: jobs will queue".to_owned(),
        (1, 0) => "The only other runner with these labels is offline too: jobs will queue".to_owned(),
        (total, 0) => format!("All {total} other runners with these labels are offline too: jobs will queue"),
        (1, _) => "The only other runner with these labels is online".to_owned(),
        (total, online) => format!("{online} of {total} other runners with these labels online"),
    }
}

/// What newly confirmed outages mean for jobs, as sentences that follow others: jobs that were running, and labels
/// without any runner left. `named` is the number of runners that the preceding sentences are about.
pub(super) fn consequence(outages: &[Outage], named: usize) -> Line {
    let line = running_jobs(outages, named);
    let stranded = outages.iter().filter(|outage| outage.peers.online == 0).map(|outage| &*outage.labels);
    let stranded: BTreeSet<&[String]> = stranded.collect();
    let stranded: BTreeSet<Vec<&str>> = stranded.into_iter().map(most_specific_first).collect();
    let Some(first) = stranded.first() else {
        return match outages {
            // The title says of a pool how many of its runners are online.
            all if all.iter().all(|outage| outage.pool.is_some()) => line,
            [Outage { peers: Peers { total: 1, .. }, .. }] if named == 1 => {
                line.text(" The only other runner with its labels is online.")
            }
            [Outage { peers: Peers { total, online }, .. }] if named == 1 => {
                let are = if *online == 1 { "is" } else { "are" };
                line.text(format!(" {online} of {total} other runners with its labels {are} online."))
            }
            _ => line.text(" Other runners with the same labels are online."),
        };
    };
    let line = match first.len() {
        0 => line.text(" No runner left"),
        1 => line.text(" No runner left with label ").and(listed(first, MAX_NAME_IN_TITLE)),
        2..=MAX_LABELS => line.text(" No runner left with labels ").and(listed(first, MAX_NAME_IN_TITLE)),
        all => line
            .text(" No runner left with labels ")
            .and(listed(&first[..MAX_LABELS], MAX_NAME_IN_TITLE))
            .text(format!(" and {} more", all - MAX_LABELS)),
    };
    match stranded.len() {
        1 => line.text(": jobs will queue."),
        2 => line.text(", nor with 1 other set of labels: jobs will queue."),
        sets => line.text(format!(", nor with {} other sets of labels: jobs will queue.", sets - 1)),
    }
}

fn running_jobs(outages: &[Outage], named: usize) -> Line {
    match (named, outages.iter().filter(|outage| outage.in_job).count()) {
        (_, 0) => Line::default(),
        (1, _) => match outages.iter().find_map(|outage| outage.job.as_deref()) {
            Some(job) => {
                Line::of(" Was running ").short_name(&job.name, MAX_NAME_IN_TITLE).text(", which will probably fail.")
            }
            None => Line::of(" Was running a job, which will probably fail."),
        },
        (_, 1) => Line::of(" One was running a job, which will probably fail."),
        (_, many) => Line::of(format!(" {many} were running jobs, which will probably fail.")),
    }
}

/// The most specific labels first.
fn most_specific_first(labels: &[String]) -> Vec<&str> {
    let mut labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    labels.sort_by_key(|label| DEFAULT_LABELS.iter().any(|default| default.eq_ignore_ascii_case(label)));
    labels
}

/// Whether the runner was never seen healthy: then the outage began before it was detected.
pub(super) fn began_unseen(outage: &Outage) -> bool {
    outage.last_healthy.is_none()
}

/// `since 21:06 UTC`; `since before …` if the start was not observed.
pub(super) fn since(outage: &Outage) -> Line {
    Line::of(if began_unseen(outage) { "since before " } else { "since " }).at(outage.started_at)
}

/// `since` the start of the earliest outage.
pub(super) fn since_first(outages: &[Outage]) -> Line {
    outages.iter().min_by_key(|outage| outage.started_at).map_or_else(Line::default, since)
}

/// How long the outage lasted until `end`; `at least …` if its start was not observed.
pub(super) fn lasted_until(outage: &Outage, end: Timestamp) -> String {
    let lasted = spoken_duration(end.since(outage.started_at));
    if began_unseen(outage) { format!("at least {lasted}") } else { lasted }
}

/// The likeliest cause of newly confirmed outages, as a sentence that follows others. Empty if the data support none.
pub(super) fn cause(outages: &[Outage]) -> Line {
    let outages: Vec<&Outage> = outages.iter().filter(|outage| outage.is_of_runner()).collect();
    if outages.is_empty() {
        return Line::default();
    }
    let it = |one, several| if outages.len() == 1 { one } else { several };
    let mut ended: BTreeMap<(&str, Timestamp), usize> = BTreeMap::new();
    for outage in &outages {
        if let (Some(version), Some(at)) = (&outage.version, outage.version_ended_at) {
            *ended.entry((version, at)).or_default() += 1;
        }
    }
    if let Some(((version, at), with_it)) = ended.into_iter().max_by_key(|(_, with_it)| *with_it) {
        let of = if with_it < outages.len() { format!(" of {with_it} of them") } else { String::new() };
        let line = Line::of(format!(" Likely cause{of}: version ")).short_name(version, 30);
        return line.text(" of the runner ended on ").on(at).text(", and GitHub gives it no more jobs.");
    }
    if let Some(targets) = lost_targets(outages.iter().copied()) {
        return Line::of(format!(
            " All runners of at least {targets} targets went offline at about the same time: GitHub may have an incident."
        ));
    }
    let never_connected =
        |outage: &&Outage| outage.version.is_none() && outage.last_healthy.is_none() && outage.os == UNKNOWN_OS;
    if outages.iter().all(never_connected) {
        return Line::of(it(
            " Likely cause: its set-up was not finished. It is registered, and has never connected.",
            " Likely cause: their set-up was not finished. They are registered, and have never connected.",
        ));
    }
    if together(&outages) {
        return Line::of(" Likely cause: something that they share, such as a host, a network or power.");
    }
    match outages[..] {
        [one] if one.in_job => {
            Line::of(" Likely cause: the job, or what it did to the host (memory, disk, a restart).")
        }
        _ => Line::default(),
    }
}

/// The ended versions as a reason, short enough for the line that a phone shows.
pub(super) fn ended_versions(outages: &[Outage]) -> Line {
    let ended = outages.iter().find(|outage| outage.version_ended_at.is_some());
    match ended.and_then(|outage| outage.version.as_deref()) {
        Some(version) => Line::of(" Runner version ").short_name(version, 30).text(" has ended."),
        None => Line::default(),
    }
}

/// In how many targets, at least, all runners went offline at about the same time; `None` if that is not known of many.
fn lost_targets<'a>(outages: impl Iterator<Item = &'a Outage>) -> Option<u32> {
    outages.filter_map(|outage| outage.lost_targets).max()
}

/// The other targets as a reason, short enough for the line that a phone shows.
pub(super) fn elsewhere(outages: &[Outage], is_github_com: bool) -> Line {
    let first = if is_github_com { "GitHub's status" } else { "the GitHub server" };
    match lost_targets(outages.iter()) {
        Some(targets) if outages.iter().all(|outage| outage.version_ended_at.is_none()) => {
            Line::of(format!(" All runners of at least {targets} targets went offline: check {first} first."))
        }
        _ => Line::default(),
    }
}

/// Whether outages began together.
fn together(outages: &[&Outage]) -> bool {
    let starts = || outages.iter().map(|outage| outage.started_at);
    let spread = starts().max().unwrap_or_default().since(starts().min().unwrap_or_default());
    outages.len() >= MANY && spread <= TOGETHER
}

/// What to check, by operating system. `all_offline`: none of the target's runners is online.
pub(super) fn what_to_do(outages: &[Outage], all_offline: bool, is_github_com: bool) -> Vec<Line> {
    let mut advice = Vec::new();
    if outages.iter().any(|outage| outage.pool.is_some()) {
        advice.push(Line::of("See which runners of the pool are offline: ").command("/runner-status LABEL").text("."));
    }
    let outages: Vec<&Outage> = outages.iter().filter(|outage| outage.is_of_runner()).collect();
    let together = together(&outages);
    let has_ended_version = outages.iter().any(|outage| outage.version_ended_at.is_some());
    if !has_ended_version && lost_targets(outages.iter().copied()).is_some() {
        let first = Line::of("First check ");
        let first = if is_github_com {
            first.link("GitHub's status", "https://www.githubstatus.com".to_owned())
        } else {
            first.text("the GitHub server itself")
        };
        let then = ". If there is no incident, check what these targets share (network, proxy, power).";
        return to_do(vec![first.text(then)]);
    }
    if has_ended_version {
        let newer =
            Line::of("Install a newer version of the runner: on the host, or in the image that it starts from.");
        advice.push(newer);
    }
    if together {
        advice.push(Line::of("They failed together: check what they share (host, network, proxy, power)."));
    }
    // One target's notification knows nothing about other targets, so the reader has to compare.
    if together && all_offline {
        let elsewhere = Line::of("If runners of other targets went offline at the same time, first check ");
        advice.push(if is_github_com {
            elsewhere.link("GitHub's status", "https://www.githubstatus.com".to_owned()).text(".")
        } else {
            elsewhere.text("the GitHub server itself.")
        });
    }
    let on = |os: &str| outages.iter().any(|outage| outage.os.eq_ignore_ascii_case(os));
    let log = |line: Line| line.text(" and read the newest file in ").command("_diag/").text(".");
    if on("linux") {
        let host = Line::of("Check that the Linux host is up. If it is, run ");
        advice.push(log(host.command("systemctl status 'actions.runner.*'").text(" on it")));
    }
    if on("windows") {
        let host = Line::of("Check that the Windows host is up. If it is, run ");
        advice.push(log(host.command("Get-Service 'actions.runner.*'").text(" in PowerShell on it")));
    }
    if on("macos") {
        let host = Line::of("Check that the Mac is up and awake. If it is, run ");
        advice.push(log(host.command("./svc.sh status").text(" in the runner's folder")));
    }
    let known = |outage: &&Outage| ["linux", "windows", "macos"].iter().any(|os| outage.os.eq_ignore_ascii_case(os));
    if !outages.iter().all(known) {
        advice.push(log(Line::of("Check that the host is up. If it is, check the runner's service or container")));
    }
    to_do(advice)
}

/// Advice, with its heading.
pub(super) fn to_do(mut advice: Vec<Line>) -> Vec<Line> {
    if let Some(first) = advice.first_mut() {
        *first = Line::default().strong("What to do:").text(" ").and(std::mem::take(first));
    }
    advice
}
