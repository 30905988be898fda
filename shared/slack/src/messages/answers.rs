//! Answers to slash commands: the fleet, single runners, and past outages.

mod fleet;
mod jobs;
mod others;
mod runners;

use std::time::Duration;

use monitor_domain::fleet::{Counts, Fleet};
use monitor_domain::jobs::JobName;
use monitor_domain::outage::{Ending, Outage};
use monitor_domain::runner::{Health, Runner, Status};
use monitor_domain::target::Target;
use monitor_domain::time::{Timestamp, spoken_duration};
use monitor_pipeline::commands::{Answer, Answered};

use super::detail::{self, began_unseen, fact, labels, lasted_until, system};
use super::foresight::removal;
use super::outages::{lasted, was_running_a_job};
use others::{nobody, not_watched, recheck_sent, unread};

use super::{counted, overrides, part, place};
use crate::document::{Document, Line, Mark, Section};
use crate::web::WebBase;

/// More lines than fit into a message; the rest is given as a number.
const MAX_LINES: usize = 120;
/// The most unhealthy runners in an overview: this leaves room for the list of targets.
const MAX_UNWELL: usize = 40;
/// Without a tick for this long, the monitor counts as stopped.
const STOPPED_AFTER: Duration = Duration::from_secs(15 * 60);

/// An answer, and how old it is.
pub(crate) fn document(answered: &Answered, web: &WebBase) -> Document {
    let stalled_since = answered.ticked_at.filter(|at| answered.now.since(*at) >= STOPPED_AFTER);
    let builder = AnswerBuilder { now: answered.now, web, stalled_since };
    let (mut parts, seen): (Vec<Section>, Vec<Option<Timestamp>>) = match &answered.answer {
        Answer::Overview { fleets } => (builder.overview(fleets), ages(fleets)),
        Answer::Target { fleet } => (builder.target(fleet), vec![fleet.seen_at()]),
        Answer::Runners { scope, fleets, similar } if fleets.is_empty() => {
            (vec![nobody(&scope.to_string(), "No runner, label or target is called ", true, similar)], Vec::new())
        }
        Answer::Runners { scope, fleets, .. } => (builder.runners(&scope.to_string(), fleets), ages(fleets)),
        Answer::Jobs { queues } => (vec![builder.jobs(queues)], Vec::new()),
        Answer::History { name, outages, total: 0, fleets, similar } if outages.is_empty() && fleets.is_empty() => {
            (vec![nobody(name, "No runner or stored outage is called ", false, similar)], Vec::new())
        }
        Answer::History { name, outages, total, fleets, .. } => {
            (builder.history(name, outages, *total, fleets), ages(fleets))
        }
        Answer::RecheckSent { target, seen_at } => (vec![recheck_sent(target)], vec![*seen_at]),
        Answer::Muted { mute, fleets } => (vec![overrides::muted(mute, fleets)], ages(fleets)),
        Answer::MuteRefused { scope, refusal, has_admins } => {
            (vec![overrides::mute_refused(scope, *refusal, *has_admins)], Vec::new())
        }
        Answer::Unmuted { mute } => (vec![overrides::unmuted(mute)], Vec::new()),
        Answer::NotMuted { scope, mutes } => (vec![overrides::not_muted(scope, mutes)], Vec::new()),
        Answer::Acknowledged { target, outages, by } => {
            (vec![overrides::acknowledged(target, *outages, by, answered.now)], Vec::new())
        }
        Answer::NotWatched { target, similar } => (vec![not_watched(target, similar)], Vec::new()),
    };
    parts.extend(overrides::mutes(&answered.mutes));
    parts.extend(unread(&answered.unread));
    // The most urgent part comes first.
    parts.splice(0..0, builder.monitor_stopped());
    Document { parts, footer: builder.age(&seen, answered.ticked_at), ..Document::default() }
}

fn ages(fleets: &[Fleet]) -> Vec<Option<Timestamp>> {
    fleets.iter().map(Fleet::seen_at).collect()
}

/// The context that all parts share.
struct AnswerBuilder<'a> {
    now: Timestamp,
    web: &'a WebBase,
    /// When the monitor last ran, if it has stopped.
    stalled_since: Option<Timestamp>,
}

/// The state of a runner, worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Offline,
    Gone,
    Suspect,
    Flapping,
    Well,
}

impl AnswerBuilder<'_> {
    /// One runner on one line, with its target if the answer covers several.
    fn line(&self, fleet: &Fleet, runner: &Runner, with_target: bool) -> Line {
        let line = Line::default().name(&runner.name);
        let line = if with_target { line.text(" in ").name(&place(&fleet.record.target)) } else { line };
        let last_known = if with_target && fleet.record.failing.is_some() { "last known: " } else { "" };
        line.text(": ")
            .text(last_known)
            .and(self.status(runner, self.is_old(fleet)))
            .text(" · ")
            .and(labels(&runner.labels, 4))
            .and(self.version_end(fleet, runner))
    }

    /// When GitHub gives no more jobs to a runner's version, if that is near.
    fn version_end(&self, fleet: &Fleet, runner: &Runner) -> Line {
        match fleet.version_ends_at(runner) {
            Some(at) if at <= self.now => Line::of(" · version ended on ").on(at),
            Some(at) => Line::of(" · version ends on ").on(at),
            None => Line::default(),
        }
    }

    /// Whether the stored data of a target may be outdated: its checks fail, or the monitor has stopped.
    fn is_old(&self, fleet: &Fleet) -> bool {
        self.stalled_since.is_some() || fleet.record.failing.is_some()
    }

    /// A runner's state in a few words; its state when last checked if the data `is_old`.
    fn status(&self, runner: &Runner, is_old: bool) -> Line {
        if let Some(waiting) = &runner.waiting {
            return Line::of(format!("{waiting}, since ")).on(waiting.since);
        }
        if let Some(pool) = runner.pool {
            let since = if runner.open_outage().is_some() { ", short since " } else { ", since " };
            let at = runner.open_outage().map_or(runner.status_since, |outage| outage.started_at);
            return Line::of(format!("{pool}{since}")).on(at);
        }
        let since = |words: &str, at: Timestamp| {
            if is_old {
                return Line::of(format!("{} since ", words.trim_end_matches(','))).on(at);
            }
            Line::of(format!("{words} for {} (since ", spoken_duration(self.now.since(at)))).on(at).text(")")
        };
        match &runner.health {
            Health::Down(down) if down.healthy_count > 0 => Line::of("online again, not confirmed yet"),
            Health::Down(down) => {
                let outage = &down.outage;
                let what = if outage.status == Status::Unknown { "in an unrecognized state" } else { "offline" };
                let before = if began_unseen(outage) { "since before " } else { "since " };
                let line = if is_old {
                    Line::of(format!("{what} {before}")).on(outage.started_at)
                } else {
                    let lasted = lasted_until(outage, self.now);
                    Line::of(format!("{what} for {lasted} ({before}")).on(outage.started_at).text(")")
                };
                line.and(was_running_a_job(outage))
            }
            Health::Suspect(_) if runner.never_connected() => {
                since("registered, but not connected yet,", runner.first_seen_at)
            }
            Health::Suspect(suspicion) => since("reported offline, not confirmed yet,", suspicion.since),
            Health::Gone { since: at, .. } => since("no longer registered", *at),
            Health::Healthy | Health::Retired => {
                let line = match runner.status {
                    Status::Busy => match runner.current_job() {
                        Some(job) => self.running(job, runner, is_old),
                        None => since("running a job", runner.status_since),
                    },
                    status => since(&status.to_string(), runner.status_since),
                };
                match &runner.flapping {
                    Some(flapping) => line
                        .text(format!(
                            ", keeps going offline: {} since ",
                            counted(flapping.outages, "outage", "outages")
                        ))
                        .on(flapping.since),
                    None if !runner.status.is_healthy() => line.text(", excluded by policy"),
                    None => line,
                }
            }
        }
    }

    /// The job that a runner runs, and since when.
    fn running(&self, job: &JobName, runner: &Runner, is_old: bool) -> Line {
        let at = job.started_at.unwrap_or(runner.status_since);
        let line = Line::of("running ").and(detail::job(job));
        if is_old {
            return line.text(" since ").on(at);
        }
        let lasted = spoken_duration(self.now.since(at));
        line.text(format!(" for {lasted} (since ")).on(at).text(")")
    }

    /// Since when a target is not monitored, why, and the last known state of the requested runners.
    fn unreachable(&self, fleet: &Fleet) -> Line {
        let line = Line::default().name(&place(&fleet.record.target));
        let line = match &fleet.record.failing {
            Some(failing) => line.text(" since ").on(failing.since).text(": ").quote(&failing.failure.detail),
            None => line,
        };
        let counts = Counts::of(&fleet.runners);
        match fleet.seen_at() {
            Some(at) => line.text(". Last known (").on(at).text(format!("): {}", figures(&counts))),
            None => line.text(". Never checked successfully"),
        }
    }

    /// The first part of an answer with outdated data: these targets are as old as their last successful check.
    fn some_unreachable(&self, fleets: &[Fleet]) -> Option<Section> {
        let unreachable: Vec<&Fleet> = fleets.iter().filter(|fleet| is_unreachable(fleet)).collect();
        let which = match unreachable[..] {
            [] => return None,
            [one] => Line::default().name(&place(&one.record.target)),
            _ => Line::of(format!("{} of {}", unreachable.len(), counted(targets_in(fleets), "target", "targets"))),
        };
        let failing = || unreachable.iter().filter_map(|fleet| fleet.record.failing.as_ref());
        let since = failing().map(|failing| failing.since).min();
        let since = since.map_or_else(Line::default, |since| Line::of(" since ").on(since));
        let (mark, title) = if failing().any(|failing| failing.unreachable) {
            (Mark::Alarm, Line::of("Monitoring of ").and(which).text(" is down"))
        } else {
            (Mark::Warning, Line::of("The latest check of ").and(which).text(" failed"))
        };
        Some(Section {
            brief: Line::of(": no check has succeeded").and(since.clone()).text("."),
            lead: Line::of("No check has succeeded")
                .and(since)
                .text(". The data about these runners is from before that, and no alerts can be sent for them."),
            items: unreachable.iter().take(MAX_LINES).map(|fleet| self.unreachable(fleet)).collect(),
            total: unreachable.len(),
            ..part(mark, title)
        })
    }

    /// The counts of runners: of those monitored now or, if there are none, of those last known.
    fn figures_of(&self, fleets: &[Fleet]) -> Figures {
        let (unreachable, reachable): (Vec<&Fleet>, Vec<&Fleet>) =
            fleets.iter().filter(|fleet| fleet.is_target()).partition(|fleet| is_unreachable(fleet));
        let is_old = self.stalled_since.is_some() || (reachable.is_empty() && !unreachable.is_empty());
        let counted: Vec<&Fleet> =
            if is_old { unreachable.iter().copied().chain(reachable).collect() } else { reachable };
        let counts = Counts::of(counted.iter().flat_map(|fleet| &fleet.runners));
        let busy = counted.iter().flat_map(|fleet| &fleet.runners).filter(|runner| is_at_work(runner)).count();
        let left_out = if is_old { 0 } else { unreachable.len() };
        Figures { counts, busy, targets: counted.len(), left_out, is_old }
    }

    /// The age of the oldest data in the answer.
    fn age(&self, seen: &[Option<Timestamp>], ticked_at: Option<Timestamp>) -> Option<Line> {
        const RULE: &str = " or later: a check without changes is stored every 10 min.";
        let line = match (seen.iter().flatten().min(), ticked_at) {
            (Some(at), _) => {
                let which = if seen.len() > 1 { "Data as of " } else { "As of " };
                Line::of(which).on(*at).text(format!(" ({})", ago(*at, self.now))).text(RULE)
            }
            (None, Some(at)) => Line::of("The monitor last ran at ").on(at).text(format!(" ({}).", ago(at, self.now))),
            (None, None) => Line::of("The monitor has not run yet."),
        };
        Some(line)
    }

    /// Leads an answer if the monitor has stopped: the stored data is no longer updated.
    fn monitor_stopped(&self) -> Option<Section> {
        let at = self.stalled_since?;
        Some(Section {
            brief: Line::of(": no check since ").on(at).text(", so no alerts."),
            lead: Line::of("Its schedule last ran at ")
                .on(at)
                .text(format!(" ({}): nothing has been checked since, and no alerts can be sent.", ago(at, self.now))),
            ..part(Mark::Alarm, "The monitor has stopped")
        })
    }
}

/// Counts of runners, and which data they are from.
struct Figures {
    counts: Counts,
    busy: usize,
    /// The number of targets that these runners belong to.
    targets: usize,
    /// The number of further targets that are not monitored now.
    left_out: usize,
    /// Whether they are from the last successful check rather than current.
    is_old: bool,
}

impl Figures {
    /// `2 of 8 runners offline`; `last known: …` if the data is old.
    fn title(&self) -> String {
        if self.is_old { format!("last known: {}", in_figures(&self.counts)) } else { in_figures(&self.counts) }
    }

    /// How many runners are online and busy, and in how many targets.
    fn lead(&self) -> Line {
        let Counts { total, online, .. } = self.counts;
        let busy = if self.busy > 0 { format!(", {} of them running a job", self.busy) } else { String::new() };
        let reports = if self.is_old { "When last checked, GitHub reported" } else { "GitHub reports" };
        let targets = match (self.targets, self.left_out) {
            (1, 0) => String::new(),
            _ => format!(", in {}", counted(self.targets, "target", "targets")),
        };
        let others = match self.left_out {
            0 => String::new(),
            left_out => format!(", not counting {} not monitored now", counted(left_out, "target", "targets")),
        };
        Line::of(format!(
            "{reports} {online} of {} online{busy}{targets}{others}.",
            counted(total, "runner", "runners")
        ))
    }

    fn brief(&self) -> Line {
        Line::of(format!(" in {}.", counted(self.targets, "target", "targets")))
    }

    fn mark(&self, is_well: bool) -> Mark {
        mark(&self.counts, is_well && !self.is_old && self.left_out == 0)
    }
}

/// Whether checks of a target fail, so that its stored data may be outdated. If the pools of a credential cannot be
/// evaluated, one of its targets is.
fn is_unreachable(fleet: &Fleet) -> bool {
    fleet.is_target() && fleet.record.failing.is_some()
}

/// How many targets these are. The pools of a credential are none.
pub(super) fn targets_in(fleets: &[Fleet]) -> usize {
    fleets.iter().filter(|fleet| fleet.is_target()).count()
}

fn is_at_work(runner: &Runner) -> bool {
    runner.status == Status::Busy && !runner.is_gone()
}

fn mark(counts: &Counts, is_well: bool) -> Mark {
    match (counts.down, is_well) {
        (0, true) => Mark::Good,
        (0, false) => Mark::Warning,
        _ => Mark::Alarm,
    }
}

/// `2 of 8 runners offline`.
fn in_figures(counts: &Counts) -> String {
    match *counts {
        Counts { total: 0, .. } => "no runners".to_owned(),
        Counts { total: 1, online: 1, down: 0 } => "1 runner online".to_owned(),
        Counts { total, online, down: 0 } if online == total => format!("all {total} runners online"),
        Counts { total, online, down: 0 } => format!("{online} of {total} runners online"),
        Counts { total, down, .. } => format!("{down} of {total} runners offline"),
    }
}

/// `8 runners, 6 online, 2 open outages`.
fn figures(counts: &Counts) -> String {
    let runners = counted(counts.total, "runner", "runners");
    match *counts {
        Counts { total: 0, .. } => "no runners".to_owned(),
        Counts { online, down: 0, .. } => format!("{runners}, {online} online"),
        Counts { online, down, .. } => {
            format!("{runners}, {online} online, {}", counted(down, "open outage", "open outages"))
        }
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn rank(runner: &Runner) -> Rank {
    match &runner.health {
        Health::Down(_) => Rank::Offline,
        Health::Gone { .. } | Health::Retired => Rank::Gone,
        Health::Suspect(_) => Rank::Suspect,
        Health::Healthy if runner.flapping.is_some() => Rank::Flapping,
        Health::Healthy => Rank::Well,
    }
}

fn is_well(runner: &Runner) -> bool {
    rank(runner) == Rank::Well
}

fn since(runner: &Runner) -> Timestamp {
    runner.open_outage().map_or(runner.status_since, |outage| outage.started_at)
}

/// The state in one or two words, for a title.
fn word(runner: &Runner) -> &'static str {
    match (&runner.health, runner.status) {
        (Health::Down(down), _) if down.healthy_count > 0 => "online again",
        (Health::Down(_), Status::Unknown) => "not online",
        (Health::Gone { .. } | Health::Retired, _) => "no longer registered",
        (Health::Suspect(_), _) if runner.never_connected() => "not yet connected",
        (_, Status::Busy) => "running a job",
        (_, Status::Idle) => "idle",
        (_, Status::Online) => "online",
        (_, Status::Offline) => "offline",
        (_, Status::Unknown) => "unknown",
    }
}

/// `3 min ago`.
fn ago(at: Timestamp, now: Timestamp) -> String {
    match now.since(at).as_secs() {
        0..60 => "just now".to_owned(),
        _ => format!("{} ago", spoken_duration(now.since(at))),
    }
}

/// The pools and runners of fleets, each with its fleet.
fn with_pools(fleets: &[Fleet]) -> impl Iterator<Item = (&Fleet, &Runner)> {
    fleets.iter().flat_map(|fleet| fleet.pools_and_runners().map(move |runner| (fleet, runner)))
}
