//! Answers to slash commands: the fleet, single runners, and what has been.

use std::time::Duration;

use monitor_domain::fleet::{Counts, Fleet};
use monitor_domain::outage::{Ending, Outage};
use monitor_domain::runner::{Health, Runner, Status};
use monitor_domain::target::Target;
use monitor_domain::time::{Timestamp, spoken_duration};
use monitor_pipeline::commands::{Answer, Answered};

use super::detail::{fact, labels, system};
use super::outages::lasted;
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
    Document { place: String::new(), parts, omitted: 0, footer: scene.age(&seen, answered.ticked_at) }
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
    fn overview(&self, fleets: &[Fleet]) -> Vec<Part> {
        let targets = counted(fleets.len(), "target", "targets");
        if fleets.is_empty() {
            return vec![Part {
                brief: Line::of("nothing is on record yet"),
                lead: Line::of("Nothing is on record yet: the first tick of the schedule settles the list of targets."),
                ..part(Mark::Info, "No target is watched")
            }];
        }
        let counts = sum(fleets);
        let runners: Vec<(&Target, &Runner)> =
            fleets.iter().flat_map(|fleet| fleet.runners.iter().map(|runner| (&fleet.record.target, runner))).collect();
        let mut unwell: Vec<_> = runners.iter().filter(|(_, runner)| rank(runner) < Rank::Well).collect();
        unwell.sort_by_key(|(target, runner)| (rank(runner), since(runner), (*target).clone(), runner.id));
        let blind: Vec<&Fleet> = fleets.iter().filter(|fleet| fleet.record.failing.is_some()).collect();
        let mark = mark(&counts, unwell.is_empty() && blind.is_empty());
        let (title, lead) = (in_figures(&counts), self.lead(&counts, &runners));
        let mut parts = vec![Part {
            brief: Line::of(format!("in {targets}")),
            lead: lead.text(format!(", in {targets}.")),
            items: unwell.iter().take(MAX_UNWELL).map(|(target, runner)| self.line(Some(target), runner)).collect(),
            total: unwell.len(),
            ..part(mark, title)
        }];
        if !blind.is_empty() {
            parts.push(Part {
                lead: Line::of("What is told of them is as old as their last look."),
                items: blind.iter().take(MAX_LINES).map(|fleet| self.blind(fleet)).collect(),
                total: blind.len(),
                ..part(Mark::Alarm, format!("{} cannot be seen", counted(blind.len(), "target", "targets")))
            });
        }
        parts.push(self.in_single(fleets));
        parts
    }

    /// Targets in figures, those with trouble first.
    fn in_single(&self, fleets: &[Fleet]) -> Part {
        let mut sorted: Vec<(&Fleet, Counts)> =
            fleets.iter().map(|fleet| (fleet, Counts::of(&fleet.runners))).collect();
        let order = |(fleet, counts): &(&Fleet, Counts)| {
            let is_well = counts.down == 0 && counts.online == counts.total && fleet.record.failing.is_none();
            (is_well, std::cmp::Reverse(counts.down), counts.total == 0, fleet.record.target.clone())
        };
        sorted.sort_by_key(order);
        let line = |(fleet, counts): &(&Fleet, Counts)| {
            let line = Line::default().name(&place(&fleet.record.target)).text(": ").text(figures(counts));
            let line = if fleet.record.failing.is_some() { line.text(", cannot be seen") } else { line };
            match fleet.seen_at() {
                Some(at) => line.text(format!(" · seen {}", ago(at, self.now))),
                None => line.text(" · not seen yet"),
            }
        };
        Part {
            lead: Line::of("More of one: ").command("/runner-status TARGET").text("."),
            items: sorted.iter().take(MAX_LINES).map(line).collect(),
            total: sorted.len(),
            ..part(Mark::Info, "By target")
        }
    }

    fn target(&self, fleet: &Fleet) -> Vec<Part> {
        let target = &fleet.record.target;
        let counts = Counts::of(&fleet.runners);
        let mut runners: Vec<&Runner> = fleet.runners.iter().collect();
        runners.sort_by_key(|runner| (rank(runner), (rank(runner) < Rank::Well).then(|| since(runner)), &runner.name));
        let is_well = runners.iter().all(|runner| rank(runner) == Rank::Well) && fleet.record.failing.is_none();
        let named: Vec<(&Target, &Runner)> = runners.iter().map(|runner| (target, *runner)).collect();
        let (title, lead) = match (fleet.seen_at(), counts.total) {
            (None, 0) => ("not seen yet".to_owned(), Line::of("No look at it has succeeded yet.")),
            (_, 0) => ("no runners".to_owned(), Line::of("GitHub lists no runner of it.")),
            _ => (in_figures(&counts), self.lead(&counts, &named).text(".")),
        };
        let mut parts = vec![Part {
            brief: lead.clone(),
            lead,
            items: runners.iter().take(MAX_LINES).map(|runner| self.line(None, runner)).collect(),
            total: runners.len(),
            link: Some(Line::default().link("All runners on GitHub", self.web.runners_page(target))),
            ..part(mark(&counts, is_well), Line::default().name(&place(target)).text(": ").text(title))
        }];
        if fleet.record.failing.is_some() {
            let lead = self.blind(fleet).text(". What stands above is as old as the last look that succeeded.");
            parts.push(Part { lead, ..part(Mark::Alarm, "It cannot be seen") });
        }
        parts
    }

    fn runners(&self, asked: &str, fleets: &[Fleet]) -> Vec<Part> {
        let all = || fleets.iter().flat_map(|fleet| fleet.runners.iter().map(move |runner| (fleet, runner)));
        let mut found: Vec<(&Fleet, &Runner)> = all().collect();
        if let [(fleet, runner)] = found[..] {
            return vec![self.one(fleet, runner)];
        }
        found.sort_by_key(|(fleet, runner)| (rank(runner), &runner.name, &fleet.record.target, runner.id));
        let counts = Counts::of(found.iter().map(|(_, runner)| *runner));
        let title = Line::default().name(asked).text(": ").text(in_figures(&counts).replacen("runners ", "", 1));
        let named: Vec<(&Target, &Runner)> =
            found.iter().map(|(fleet, runner)| (&fleet.record.target, *runner)).collect();
        let targets = counted(fleets.len(), "target", "targets");
        let is_well = found.iter().all(|(_, runner)| rank(runner) == Rank::Well);
        let mut parts = vec![Part {
            brief: Line::of(format!("in {targets}")),
            lead: self.lead(&counts, &named).text(format!(", in {targets}.")),
            items: named.iter().take(MAX_LINES).map(|(target, runner)| self.line(Some(target), runner)).collect(),
            total: found.len(),
            ..part(mark(&counts, is_well), title)
        }];
        parts.extend(self.some_blind(fleets));
        parts
    }

    fn one(&self, fleet: &Fleet, runner: &Runner) -> Part {
        let target = &fleet.record.target;
        let mark = match rank(runner) {
            Rank::Offline => Mark::Alarm,
            Rank::Gone | Rank::Doubtful | Rank::Flapping => Mark::Warning,
            Rank::Well => Mark::Good,
        };
        let mut facts = vec![
            fact("Labels", labels(&runner.labels, 10)),
            fact("System", system(&runner.os, runner.version.as_deref())),
            fact("First seen", Line::default().on(runner.first_seen_at)),
        ];
        if let Some(last) = runner.open_outage().and_then(|outage| outage.last_healthy) {
            facts.insert(0, fact("Last healthy", Line::default().on(last.at).text(format!(", {}", last.status))));
        }
        if runner.ephemeral {
            facts.push(fact("Kind", "ephemeral: leaves after one job"));
        }
        let status = self.status(runner);
        let lead = Line::default().name(&runner.name).text(" in ").name(&place(target)).text(": ").and(status.clone());
        let lead = match &fleet.record.failing {
            Some(_) => lead.text(". ").and(self.blind(fleet)).text("."),
            None => lead.text("."),
        };
        Part {
            brief: status,
            lead,
            facts,
            link: Some(
                Line::default().link("Open this runner on GitHub", self.web.runner_page(target, runner.current_id)),
            ),
            advice: vec![Line::of("What has been: ").command("/runner-history NAME")],
            ..part(mark, Line::default().name(&runner.name).text(format!(" {} in ", word(runner))).name(&place(target)))
        }
    }

    fn history(&self, name: &str, outages: &[(Target, Outage)], total: usize, fleets: &[Fleet]) -> Vec<Part> {
        let now: Vec<(&Target, &Runner)> =
            fleets.iter().flat_map(|fleet| fleet.runners.iter().map(|runner| (&fleet.record.target, runner))).collect();
        let open = outages.iter().filter(|(_, outage)| outage.is_open()).count();
        let title = match total {
            0 => "no outage on record".to_owned(),
            total => format!("{} on record", counted(total, "outage", "outages")),
        };
        let first = now
            .first()
            .map(|(target, runner)| Line::of("Now, in ").name(&place(target)).text(": ").and(self.status(runner)));
        let lead = match (&now[..], first) {
            ([_], Some(first)) => first.text("."),
            ([], _) | (_, None) => Line::of("No runner of this name is registered any more."),
            (several, _) => {
                let online = several.iter().filter(|(_, runner)| runner.status.is_healthy()).count();
                let targets = counted(fleets.len(), "target", "targets");
                Line::of(format!("{online} of {} such runners in {targets} online now.", several.len()))
            }
        };
        let lead = if total > 0 { lead.text(" Outages, the newest first:") } else { lead };
        let several = outages
            .iter()
            .any(|(target, outage)| *target != outages[0].0 || outage.runner_name != outages[0].1.runner_name);
        let line = |(target, outage): &(Target, Outage)| {
            let who = Line::default().name(&outage.runner_name).text(" in ").name(&place(target)).text(": ");
            if several { who } else { Line::default() }.and(self.outage(outage))
        };
        let mut parts = vec![Part {
            brief: lead.clone(),
            lead,
            items: outages.iter().take(MAX_LINES).map(line).collect(),
            total,
            ..part(
                if open > 0 { Mark::Alarm } else { Mark::Info },
                Line::default().name(name).text(format!(": {title}")),
            )
        }];
        parts.extend(self.some_blind(fleets));
        parts
    }

    /// One line about an outage.
    fn outage(&self, outage: &Outage) -> Line {
        let in_job = if outage.in_job { ", in mid-job" } else { "" };
        let what = if outage.status == Status::Unknown { "not registered" } else { "offline" };
        let line = match (outage.resolved_at, outage.ending) {
            (Some(end), ending) => {
                let how = match ending {
                    Some(Ending::Removed) => ", then no longer registered",
                    Some(Ending::NoLongerMonitored) => ", then no longer monitored",
                    Some(Ending::Recovered) | None => "",
                };
                Line::default()
                    .on(outage.started_at)
                    .text(" to ")
                    .on(end)
                    .text(format!(": {what} for {}{how}", lasted(outage)))
            }
            _ => {
                let so_far = spoken_duration(self.now.since(outage.started_at));
                Line::default().on(outage.started_at).text(format!(": {what} for {so_far} so far"))
            }
        };
        line.text(in_job)
    }

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

fn recheck_sent(target: &Target) -> Part {
    Part {
        brief: Line::of("news of it come as an alert"),
        lead: Line::of("A look at ")
            .name(&place(target))
            .text(" is asked for and comes within seconds. What it finds is told as always: an outage once it is confirmed, nothing where all is as before. Afterwards: ")
            .command("/runner-status TARGET")
            .text("."),
        ..part(Mark::Info, Line::of("Looking at ").name(&place(target)).text(" again"))
    }
}

fn not_watched(target: &Target, similar: &[Target]) -> Part {
    Part {
        brief: Line::of("it is not on the list of targets"),
        lead: Line::default()
            .name(&place(target))
            .text(" is not on the list of targets. It is added where the monitor is set up, in its repositories, organizations or enterprises.")
            .text(if similar.is_empty() { "" } else { " Watched, and like it:" }),
        items: similar.iter().map(|target| Line::default().name(target.as_str())).collect(),
        total: similar.len(),
        ..part(Mark::Warning, Line::default().name(&place(target)).text(" is not watched"))
    }
}

fn nobody(asked: &str, what: &str, similar: &[String]) -> Part {
    Part {
        brief: Line::of(format!("no {what}")),
        lead: Line::of(format!("In the targets that are watched, no {what}.")).text(if similar.is_empty() {
            ""
        } else {
            " Like it:"
        }),
        items: similar.iter().map(|name| Line::default().name(name)).collect(),
        total: similar.len(),
        ..part(Mark::Warning, Line::of("Nothing goes by ").name(asked))
    }
}

fn unread(targets: &[Target]) -> Option<Part> {
    (!targets.is_empty()).then(|| Part {
        lead: Line::of("Their records did not come in time; they are left out here. Ask again in a minute."),
        items: targets.iter().take(20).map(|target| Line::default().name(&place(target))).collect(),
        total: targets.len(),
        ..part(Mark::Warning, format!("{} could not be read", counted(targets.len(), "target", "targets")))
    })
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
