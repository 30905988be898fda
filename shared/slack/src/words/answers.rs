//! Answers to slash commands: the fleet, single runners, and what has been.

mod fleet;
mod others;
mod runners;

use std::time::Duration;

use monitor_domain::fleet::{Counts, Fleet};
use monitor_domain::outage::{Ending, Outage};
use monitor_domain::runner::{Health, Runner, Status};
use monitor_domain::target::Target;
use monitor_domain::time::{Timestamp, spoken_duration};
use monitor_pipeline::commands::{Answer, Answered};

use super::detail::{fact, labels, system};
use super::outages::lasted;
use others::{nobody, not_watched, recheck_sent, unread};

use super::{counted, part, place, wishes};
use crate::document::{Document, Line, Mark, Part};
use crate::web::WebBase;

/// More lines than fit into a message; what does not fit is told as a number.
const MAX_LINES: usize = 120;
/// In an overview, room is left for the list of targets.
const MAX_UNWELL: usize = 40;
/// Without a tick for so long, the monitor does not run.
const STANDSTILL: Duration = Duration::from_secs(15 * 60);

/// An answer, and how old it is.
pub(crate) fn document(answered: &Answered, web: &WebBase) -> Document {
    let scene = Scene { now: answered.now, web };
    let (mut parts, seen): (Vec<Part>, Vec<Option<Timestamp>>) = match &answered.answer {
        Answer::Overview { fleets } => (scene.overview(fleets), ages(fleets)),
        Answer::Target { fleet } => (scene.target(fleet), vec![fleet.seen_at()]),
        Answer::Runners { scope, fleets, similar } if fleets.is_empty() => {
            (vec![nobody(&scope.to_string(), "runner is called so, or has it as a label", similar)], Vec::new())
        }
        Answer::Runners { scope, fleets, .. } => (scene.runners(&scope.to_string(), fleets), ages(fleets)),
        Answer::History { name, outages, total: 0, fleets, similar } if outages.is_empty() && fleets.is_empty() => {
            (vec![nobody(name, "runner is called so, and no outage of such a one is on record", similar)], Vec::new())
        }
        Answer::History { name, outages, total, fleets, .. } => {
            (scene.history(name, outages, *total, fleets), ages(fleets))
        }
        Answer::RecheckSent { target, seen_at } => (vec![recheck_sent(target)], vec![*seen_at]),
        Answer::Muted { mute, fleets } => (vec![wishes::muted(mute, fleets)], ages(fleets)),
        Answer::MuteRefused { scope, refusal, has_admins } => {
            (vec![wishes::mute_refused(scope, *refusal, *has_admins)], Vec::new())
        }
        Answer::Unmuted { mute } => (vec![wishes::unmuted(mute)], Vec::new()),
        Answer::NotMuted { scope, mutes } => (vec![wishes::not_muted(scope, mutes)], Vec::new()),
        Answer::Acknowledged { target, outages, by } => {
            (vec![wishes::acknowledged(target, *outages, by, answered.now)], Vec::new())
        }
        Answer::NotWatched { target, similar } => (vec![not_watched(target, similar)], Vec::new()),
    };
    parts.extend(wishes::mutes(&answered.mutes));
    parts.extend(unread(&answered.unread));
    // The most urgent thing to know of what follows.
    parts.splice(0..0, scene.standstill(answered.ticked_at));
    Document { parts, footer: scene.age(&seen, answered.ticked_at), ..Document::default() }
}

fn ages(fleets: &[Fleet]) -> Vec<Option<Timestamp>> {
    fleets.iter().map(Fleet::seen_at).collect()
}

/// What every part needs to know.
struct Scene<'a> {
    now: Timestamp,
    web: &'a WebBase,
}

/// How a runner stands, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Offline,
    Gone,
    Doubtful,
    Flapping,
    Well,
}

impl Scene<'_> {
    /// One runner on one line, with its target where several are told of.
    fn line(&self, target: Option<&Target>, runner: &Runner) -> Line {
        let line = Line::default().name(&runner.name);
        let line = match target {
            Some(target) => line.text(" in ").name(&place(target)),
            None => line,
        };
        line.text(": ").and(self.status(runner)).text(" · ").and(labels(&runner.labels, 4))
    }

    /// How a runner is, in a few words.
    fn status(&self, runner: &Runner) -> Line {
        let since = |words: &str, at: Timestamp| {
            Line::of(format!("{words} for {} (since ", spoken_duration(self.now.since(at)))).on(at).text(")")
        };
        match &runner.health {
            Health::Down(down) if down.good_count > 0 => Line::of("online again, to be confirmed"),
            Health::Down(down) => {
                let what = if down.outage.status == Status::Unknown { "in a state not known here" } else { "offline" };
                let line = since(what, down.outage.started_at);
                if down.outage.in_job { line.text(", in mid-job") } else { line }
            }
            Health::Suspect(_) if runner.never_connected() => {
                since("registered and not yet connected", runner.first_seen_at)
            }
            Health::Suspect(suspicion) => since("reported offline, not confirmed yet,", suspicion.since),
            Health::Gone { since: at, .. } => since("no longer registered", *at),
            Health::Healthy | Health::Retired => {
                let line = match runner.status {
                    Status::Busy => since("running a job", runner.status_since),
                    status => since(&status.to_string(), runner.status_since),
                };
                match &runner.flapping {
                    Some(flapping) => line
                        .text(format!(
                            ", keeps going offline: {} since ",
                            counted(flapping.outages, "outage", "outages")
                        ))
                        .on(flapping.since),
                    None if !runner.status.is_healthy() => line.text(", of no concern by policy"),
                    None => line,
                }
            }
        }
    }

    /// Why a target cannot be seen.
    fn blind(&self, fleet: &Fleet) -> Line {
        let line = Line::default().name(&place(&fleet.record.target));
        match &fleet.record.failing {
            Some(failing) => {
                line.text(" cannot be seen since ").on(failing.since).text(": ").quote(&failing.failure.detail)
            }
            None => line,
        }
    }

    fn some_blind(&self, fleets: &[Fleet]) -> Option<Part> {
        let blind: Vec<&Fleet> = fleets.iter().filter(|fleet| fleet.record.failing.is_some()).collect();
        (!blind.is_empty()).then(|| Part {
            lead: Line::of("What is told of their runners is as old as their last look."),
            items: blind.iter().take(MAX_LINES).map(|fleet| self.blind(fleet)).collect(),
            total: blind.len(),
            ..part(Mark::Alarm, format!("{} cannot be seen", counted(blind.len(), "target", "targets")))
        })
    }

    /// How many are online, and at work.
    fn lead(&self, counts: &Counts, runners: &[(&Target, &Runner)]) -> Line {
        let busy = runners.iter().filter(|(_, runner)| runner.status == Status::Busy && !runner.is_gone()).count();
        let busy = if busy > 0 { format!(", {busy} of them running a job") } else { String::new() };
        Line::of(format!(
            "GitHub reports {} of {} online{busy}",
            counts.online,
            counted(counts.total, "runner", "runners")
        ))
    }

    /// How old the oldest of it is.
    fn age(&self, seen: &[Option<Timestamp>], ticked_at: Option<Timestamp>) -> Option<Line> {
        let oldest = seen.iter().flatten().min();
        let line = match oldest {
            Some(at) if seen.len() > 1 => Line::of("As on record; the oldest of these looks at GitHub was ")
                .on(*at)
                .text(format!(" ({})", ago(*at, self.now))),
            Some(at) => Line::of("As on record; the last look at GitHub was ")
                .on(*at)
                .text(format!(" ({})", ago(*at, self.now))),
            None => match ticked_at {
                Some(at) => Line::of("As on record; the monitor was last at work ")
                    .on(at)
                    .text(format!(" ({})", ago(at, self.now))),
                None => Line::of("As on record; the monitor has not been at work yet"),
            },
        };
        let rule = if oldest.is_some() { ". A look that finds nothing new is noted once in ten minutes." } else { "." };
        Some(line.text(rule))
    }

    /// The monitor does not run: what is on record gets no younger.
    fn standstill(&self, ticked_at: Option<Timestamp>) -> Option<Part> {
        let at = ticked_at.filter(|at| self.now.since(*at) >= STANDSTILL)?;
        Some(Part {
            lead: Line::of("Its schedule last ticked ")
                .on(at)
                .text(format!(" ({}): nothing has been looked at since, and no alert can come.", ago(at, self.now))),
            ..part(Mark::Alarm, "The monitor does not run")
        })
    }
}

fn sum(fleets: &[Fleet]) -> Counts {
    Counts::of(fleets.iter().flat_map(|fleet| &fleet.runners))
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
        Counts { total: 0, .. } => "No runners".to_owned(),
        Counts { total: 1, online: 1, down: 0 } => "1 runner online".to_owned(),
        Counts { total, online, down: 0 } if online == total => format!("All {total} runners online"),
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

fn rank(runner: &Runner) -> Rank {
    match &runner.health {
        Health::Down(_) => Rank::Offline,
        Health::Gone { .. } | Health::Retired => Rank::Gone,
        Health::Suspect(_) => Rank::Doubtful,
        Health::Healthy if runner.flapping.is_some() => Rank::Flapping,
        Health::Healthy => Rank::Well,
    }
}

fn since(runner: &Runner) -> Timestamp {
    runner.open_outage().map_or(runner.status_since, |outage| outage.started_at)
}

/// One word or two for a title.
fn word(runner: &Runner) -> &'static str {
    match (&runner.health, runner.status) {
        (Health::Down(down), _) if down.good_count > 0 => "online again",
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
