//! Mutes, reminders and acknowledgements: notifications about them and answers to the commands.

use monitor_domain::fleet::{Counts, Fleet};
use monitor_domain::muting::MuteRefusal;
use monitor_domain::outage::Outage;
use monitor_domain::runner::Runner;
use monitor_domain::scope::Scope;
use monitor_domain::target::Target;
use monitor_domain::time::{Timestamp, spoken_duration};
use monitor_pipeline::items::{Acknowledgement, Mute};
use monitor_pipeline::person::PersonId;

use super::detail::{Moment, began_unseen, facts, runners, since, since_first};
use super::foresight::removal;
use super::outages::{of_pools_or, was_running_a_job};
use super::{MAX_ITEMS, MessageBuilder, counted, part, place};
use crate::announcement::Covered;
use crate::document::{Line, Mark, Section};

/// The most people named as having acknowledged one message's outages.
const MAX_PEOPLE: usize = 5;

impl MessageBuilder<'_> {
    /// Outages whose alert a mute delayed: one line, and a list if there are several.
    pub(super) fn mute_ended(&self, outages: &[Outage]) -> Section {
        const HELD_BACK: &str = " A mute held this alert back until now.";
        let has_pool = outages.iter().any(|outage| outage.pool.is_some());
        let lead = match outages {
            [pool] if has_pool => Line::of("Too few of its runners are online ").and(since(pool)).text("."),
            _ if has_pool => Line::of("Too few runners are online, the first ").and(since_first(outages)).text("."),
            [one] => Line::of("GitHub reports ")
                .name(&one.runner_name)
                .text(" offline ")
                .and(since(one))
                .and(was_running_a_job(one))
                .text("."),
            _ => Line::of("GitHub reports them offline, the first ").and(since_first(outages)).text("."),
        };
        Section {
            brief: Line::of(" ").and(since_first(outages)).text(".").text(HELD_BACK),
            lead: lead.text(HELD_BACK),
            ..self.open(
                outages,
                Mark::Alarm,
                runners(outages).text(of_pools_or(outages, " short of runners", " offline")),
            )
        }
    }

    /// A reminder of open outages.
    pub(super) fn still_offline(&self, outages: &[Outage], raised_at: Timestamp, is_last: bool) -> Section {
        let lasts = |outage: &Outage| raised_at.since(outage.started_at);
        let longest = spoken_duration(outages.iter().map(lasts).max().unwrap_or_default());
        let bound = if outages.iter().any(began_unseen) { "at least " } else { "" };
        let up_to = if bound.is_empty() && outages.len() > 1 { "up to " } else { bound };
        let lead = match outages {
            [pool] if pool.pool.is_some() => Line::of("Too few of its runners have been online ")
                .and(since(pool))
                .text(format!(", for {up_to}{longest} now.")),
            [one] => Line::of("GitHub has reported ")
                .name(&one.runner_name)
                .text(" offline ")
                .and(since(one))
                .text(format!(", for {up_to}{longest} now"))
                .and(was_running_a_job(one))
                .text("."),
            _ if outages.iter().any(|outage| outage.pool.is_some()) => {
                Line::of(format!("Too few runners have been online for {up_to}{longest} now."))
            }
            _ => Line::of(format!("GitHub has reported them offline for {up_to}{longest} now.")),
        };
        let lead = match outages {
            [one] if one.removal().is_some() => lead.text(" GitHub removes it ").and(removal(one)).text("."),
            _ => lead,
        };
        let lead =
            lead.text(if is_last { " This is the last reminder; you will be notified when it ends." } else { "" });
        Section {
            brief: Line::of(" ").and(since_first(outages)).text(format!(" ({up_to}{longest}).")),
            lead,
            ..self.open(
                outages,
                Mark::Alarm,
                runners(outages).text(of_pools_or(outages, " still short of runners", " still offline")),
            )
        }
    }

    fn open(&self, outages: &[Outage], mark: Mark, title: Line) -> Section {
        match outages {
            [one] if one.pool.is_some() => part(mark, title),
            [one] => Section {
                facts: facts(one, Moment::Later),
                link: self.runner_link(one, "Open this runner on GitHub"),
                ..part(mark, title)
            },
            _ => {
                let item = |outage: &Outage| {
                    let line = Line::default().name(&outage.runner_name).text(" ").and(since(outage));
                    let line = match outage.removal() {
                        Some(_) => line.text(" · GitHub removes it ").and(removal(outage)),
                        None => line,
                    };
                    match self.runner_link(outage, "open") {
                        Some(link) => line.and(was_running_a_job(outage)).text(" · ").and(link),
                        None => line.and(was_running_a_job(outage)),
                    }
                };
                let items = outages.iter().take(MAX_ITEMS).map(item).collect();
                Section { items, total: outages.len(), ..part(mark, title) }
            }
        }
    }
}

/// Who acknowledged the open outages of a message.
pub(super) fn acknowledgement_line(outages: &[Outage], acknowledged: &[Acknowledgement]) -> Vec<Line> {
    let is_open = |item: &&Acknowledgement| {
        let is_it = |outage: &Outage| (outage.runner_id, outage.id) == (item.runner_id, item.outage_id);
        outages.iter().any(|outage| outage.is_open() && is_it(outage))
    };
    let mut people: Vec<(&PersonId, Timestamp)> = Vec::new();
    for item in acknowledged.iter().filter(is_open) {
        if !people.iter().any(|(by, at)| (*by, *at) == (&item.by, item.at)) {
            people.push((&item.by, item.at));
        }
    }
    people.sort_by_key(|(_, at)| *at);
    people.into_iter().take(MAX_PEOPLE).map(|(by, at)| acknowledged_by(by, at)).collect()
}

/// Who acknowledged an outage, and when.
pub(crate) fn acknowledged_by(by: &PersonId, at: Timestamp) -> Line {
    Line::of("👀 Acknowledged by ").person(by).text(" ").on(at).text(": no further reminders")
}

pub(super) fn acknowledged(target: &Target, outages: usize, by: &PersonId, now: Timestamp) -> Section {
    Section {
        brief: Line::of(": no further reminders."),
        lead: acknowledged_by(by, now).text(", in ").name(&place(target)).text("."),
        ..part(Mark::Info, format!("{} acknowledged", counted(outages, "outage", "outages")))
    }
}

/// What becomes of outages during a mute. Those of a runner are never reported if the policy alerts about its pool only.
fn at_the_end(Covered { runners, pooled, pools, .. }: Covered) -> String {
    let reported = "Outages are recorded; those still open at the end are reported then";
    match pooled {
        0 => format!("{reported}."),
        _ if pooled == runners && pools == 0 => {
            "Outages are recorded. By policy only those of the pool are ever reported.".to_owned()
        }
        _ => format!(
            "{reported}, except those of {}, of which the policy alerts about the pool only.",
            counted(pooled, "runner", "runners")
        ),
    }
}

pub(super) fn muted(mute: &Mute, fleets: &[Fleet]) -> Section {
    let counts = Counts::of(fleets.iter().flat_map(|fleet| &fleet.runners));
    let places = match fleets.iter().filter(|fleet| fleet.is_target()).count() {
        0 if !fleets.is_empty() => "over all targets".to_owned(),
        targets => format!("in {}", counted(targets, "target", "targets")),
    };
    let pools = || fleets.iter().flat_map(|fleet| &fleet.pools);
    let runners = match (counts.total, pools().count()) {
        (0, pools) if pools > 0 => counted(pools, "pool", "pools"),
        (total, 0) => counted(total, "runner", "runners"),
        (total, of_them) => {
            format!("{} and {}", counted(total, "runner", "runners"), counted(of_them, "pool", "pools"))
        }
    };
    let notified = |runner: &&Runner| runner.open_outage().is_some_and(|outage| outage.visibility.is_notified());
    let down = pools().chain(fleets.iter().flat_map(|fleet| &fleet.runners)).filter(notified).count();
    let lead = Line::of("No alerts about ").text(format!("{runners} {places} until ")).on(mute.until).text(".");
    let at_the_end = at_the_end(Covered::of(fleets));
    let open = match down {
        0 => format!(" {at_the_end}"),
        down => format!(
            " {at_the_end} The end of {} is still reported.",
            counted(down, "outage that is already open", "outages that are already open")
        ),
    };
    Section {
        brief: Line::of(" until ").on(mute.until).text("."),
        lead: lead.text(open),
        advice: vec![Line::of("To end it earlier: ").command("/runner-unmute").text(" ").name(&mute.scope.to_string())],
        ..part(Mark::Info, scope(&mute.scope).text(" muted"))
    }
}

/// The answer to a mute that only an admin may set.
pub(super) fn mute_refused(asked: &Scope, refusal: MuteRefusal, has_admins: bool) -> Section {
    let what = match refusal {
        MuteRefusal::TooLong => "A mute for longer than 24 h",
        MuteRefusal::TooWide if has_admins => "A mute of more than one target",
        MuteRefusal::TooWide => "A pattern that covers more than one target",
        MuteRefusal::Unknown => {
            return Section {
                brief: Line::of(": nothing was changed."),
                lead: Line::of(
                    "This mute needs an admin, and Slack did not say whether you are one. Try again in a minute.",
                ),
                ..part(Mark::Warning, scope(asked).text(" is not muted"))
            };
        }
    };
    let lead = match has_admins {
        true => format!("{what} needs an admin: a person or user group listed in SLACK_ADMINS."),
        false => format!("{what} needs an admin, but SLACK_ADMINS lists none. The monitor's operator can set it."),
    };
    Section {
        brief: Line::of(": nothing was changed."),
        lead: Line::of(lead),
        advice: vec![Line::of("You can mute one target, runner or label for up to 24 h.")],
        ..part(Mark::Warning, scope(asked).text(" is not muted"))
    }
}

/// The announcement in the channel that somebody set a mute.
pub(crate) fn announced_mute(mute: &Mute, covered: Covered) -> Section {
    let Covered { runners, targets, .. } = covered;
    let what = match runners {
        // The mute is of a pool.
        0 => "about it".to_owned(),
        _ => format!("for {} in {}", counted(runners, "runner", "runners"), counted(targets, "target", "targets")),
    };
    let lead = Line::of("Muted by ").person(&mute.by).text(" until ").on(mute.until);
    let lead = lead.text(format!(": no alerts {what}"));
    let lead = match &mute.reason {
        Some(reason) => lead.text(". Reason: ").quote(reason).text("."),
        None => lead.text("."),
    };
    Section {
        brief: Line::of(" until ").on(mute.until).text("."),
        lead: lead.text(format!(" {}", at_the_end(covered))),
        advice: vec![Line::of("To end it now: ").command("/runner-unmute").text(" ").name(&mute.scope.to_string())],
        ..part(Mark::Info, scope(&mute.scope).text(" muted"))
    }
}

/// The announcement in the channel that somebody ended a mute.
pub(crate) fn announced_unmute(mute: &Mute, by: &PersonId) -> Section {
    let lead = Line::of("Unmuted by ").person(by).text(": alerts are on again. ");
    let lead = lead.person(&mute.by).text(" had muted it until ").on(mute.until).text(".");
    Section { brief: Line::of(": alerts are on again."), lead, ..part(Mark::Info, scope(&mute.scope).text(" unmuted")) }
}

pub(super) fn unmuted(mute: &Mute) -> Section {
    Section {
        brief: Line::of(": alerts resume."),
        lead: scope(&mute.scope).text(
            ": alerts resume. Runners that went offline during the mute and still are will be reported by the next \
             check, within minutes, unless the policy alerts about their pool only.",
        ),
        ..part(Mark::Info, scope(&mute.scope).text(" no longer muted"))
    }
}

pub(super) fn not_muted(asked: &Scope, mutes: &[Mute]) -> Section {
    let none = if mutes.is_empty() { " Nothing is muted." } else { " Currently muted:" };
    Section {
        brief: Line::of(": nothing was changed."),
        lead: Line::of("There is no mute for ").name(&asked.to_string()).text(".").text(none),
        items: mutes.iter().take(MAX_ITEMS).map(line).collect(),
        total: mutes.len(),
        ..part(Mark::Warning, scope(asked).text(" is not muted"))
    }
}

/// The mutes that the reader of an answer should know about.
pub(super) fn mutes(mutes: &[Mute]) -> Option<Section> {
    (!mutes.is_empty()).then(|| Section {
        lead: Line::of("Outages that they cover are recorded, but not alerted."),
        items: mutes.iter().take(MAX_ITEMS).map(line).collect(),
        total: mutes.len(),
        ..part(Mark::Info, counted(mutes.len(), "mute", "mutes"))
    })
}

fn line(mute: &Mute) -> Line {
    let line = scope(&mute.scope).text(" until ").on(mute.until).text(", by ").person(&mute.by);
    match &mute.reason {
        Some(reason) => line.text(": ").quote(reason),
        None => line,
    }
}

fn scope(scope: &Scope) -> Line {
    match scope {
        Scope::Target(target) => Line::default().name(&place(target)),
        Scope::Runner { target, name } => Line::default().name(name).text(" in ").name(&place(target)),
        Scope::Named(name) => Line::default().name(name),
    }
}
