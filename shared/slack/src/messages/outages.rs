//! Runners that GitHub reports offline, no longer lists, or reports online again.

use std::time::Duration;

use monitor_domain::notifications::NotificationItem;
use monitor_domain::outage::{Ending, Outage, RemovedBy};
use monitor_domain::pool::PoolCounts;
use monitor_domain::runner::Status;
use monitor_domain::time::{Timestamp, spoken_duration};

use super::detail::{
    Moment, began_unseen, cause, consequence, elsewhere, ended_versions, facts, labels, lasted_until, names, runners,
    since, since_first, system, to_do, what_to_do,
};
use super::{MAX_ITEMS, MessageBuilder, counted, part, place};
use crate::document::{Line, Mark, Section};

/// The longest name of a job in a line about its runner.
const JOB_IN_ITEM: usize = 60;
/// The most pools named in a title.
const POOLS_IN_TITLE: usize = 2;

impl MessageBuilder<'_> {
    pub(super) fn offline(&self, outages: &[Outage]) -> Section {
        let consequence = consequence(outages, outages.len());
        let part = match outages {
            [Outage { pool: Some(pool), .. }] => self.one_pool_short(&outages[0], *pool),
            [one] => self.one_offline(one),
            _ => self.several_offline(outages, consequence.clone()),
        };
        let all_offline = self.notification.counts.online == 0;
        Section {
            brief: Line::of(" ")
                .and(since_first(outages))
                .text(".")
                .and(ended_versions(outages))
                .and(elsewhere(outages, self.web.is_github_com()))
                .and(consequence),
            advice: what_to_do(outages, all_offline, self.web.is_github_com()),
            ..part
        }
    }

    fn one_offline(&self, outage: &Outage) -> Section {
        let confirmed = spoken_duration(outage.confirmed_at.since(outage.started_at));
        let (what, reported) = match outage.status {
            Status::Unknown => (" not online", " in an unrecognized state that is neither online nor offline "),
            _ => (" offline", " offline "),
        };
        let lead = Line::of("GitHub reports ").name(&outage.runner_name).text(reported).and(since(outage));
        Section {
            lead: lead.text(format!(", confirmed after {confirmed}.")).and(cause(std::slice::from_ref(outage))),
            facts: facts(outage, Moment::New),
            link: self.runner_link(outage, "Open this runner on GitHub"),
            ..part(Mark::Alarm, runners(std::slice::from_ref(outage)).text(what).text(self.share(1)))
        }
    }

    fn one_pool_short(&self, outage: &Outage, pool: PoolCounts) -> Section {
        let confirmed = spoken_duration(outage.confirmed_at.since(outage.started_at));
        let lead = Line::of("Too few runners with ").and(labels(&outage.labels, 10)).text(" are online ");
        Section {
            lead: lead.and(since(outage)).text(format!(", confirmed after {confirmed}.")),
            ..part(Mark::Alarm, Line::default().name(&outage.runner_name).text(format!(": {pool}")))
        }
    }

    /// The title for several outages, pools first: `pool gpu: 1 of 4 online, at least 2 wanted; a, b offline (2 of 8)`.
    fn offline_title(&self, outages: &[Outage]) -> Line {
        let (pools, single): (Vec<&Outage>, Vec<&Outage>) = outages.iter().partition(|outage| outage.pool.is_some());
        let mut title = Line::default();
        for (index, outage) in pools.iter().take(POOLS_IN_TITLE).enumerate() {
            let counts = outage.pool.map_or_else(String::new, |pool| format!(": {pool}"));
            title = if index > 0 { title.text("; ") } else { title }.short_name(&outage.runner_name, 40).text(counts);
        }
        if pools.len() > POOLS_IN_TITLE {
            title = title.text(format!("; {} more", counted(pools.len() - POOLS_IN_TITLE, "pool", "pools")));
        }
        if single.is_empty() {
            return title;
        }
        let title = if pools.is_empty() { title } else { title.text("; ") };
        title
            .and(names(single.iter().map(|outage| &*outage.runner_name)))
            .text(" offline")
            .text(self.share(single.len()))
    }

    fn several_offline(&self, outages: &[Outage], consequence: Line) -> Section {
        let items = outages.iter().take(MAX_ITEMS).map(|outage| self.offline_item(outage));
        let lead = match outages.iter().any(|outage| outage.pool.is_some()) {
            true => "Too few runners are online, the first ",
            false => "GitHub reports them offline, the first ",
        };
        Section {
            lead: Line::of(lead).and(since_first(outages)).text(".").and(consequence).and(cause(outages)),
            items: items.collect(),
            total: outages.len(),
            ..part(Mark::Alarm, self.offline_title(outages))
        }
    }

    /// ` (3 of 4)`: these runners, or all that are offline now, out of the target's runners.
    fn share(&self, now: usize) -> String {
        let total = usize::try_from(self.notification.counts.total).unwrap_or(usize::MAX);
        let down = usize::try_from(self.notification.counts.down).unwrap_or(usize::MAX);
        match () {
            () if down > now && total >= down => format!(" (now {down} of {total})"),
            () if total >= now => format!(" ({now} of {total})"),
            () => String::new(),
        }
    }

    fn offline_item(&self, outage: &Outage) -> Line {
        if let Some(pool) = outage.pool {
            return Line::default().name(&outage.runner_name).text(format!(": {pool}, ")).and(since(outage));
        }
        let line =
            Line::default().name(&outage.runner_name).text(" ").and(since(outage)).and(was_running_a_job(outage));
        let line = match &outage.last_healthy {
            Some(last) => {
                let before = spoken_duration(outage.started_at.since(last.at));
                line.text(format!(" (healthy at most {before} before)"))
            }
            None => line,
        };
        let line = line
            .text(" · ")
            .and(system(&outage.os, outage.version.as_deref()))
            .text(" · ")
            .and(labels(&outage.labels, 4));
        let line = line.text(" · ").text(match outage.peers.total {
            0 => "no other runner with these".to_owned(),
            total => format!("{} of {total} others with these online", outage.peers.online),
        });
        match self.runner_link(outage, "open") {
            Some(link) => line.text(" · ").and(link),
            None => line,
        }
    }

    pub(super) fn monitoring_starts(&self, outages: &[Outage]) -> Section {
        const FROM_NOW_ON: &str = " You will be alerted about changes from now on.";
        let offline = outages.iter().filter(|outage| outage.pool.is_none()).count();
        let share = if offline > 0 { self.share(offline) } else { String::new() };
        let title = runners(outages).text(of_pools_or(outages, " short of runners", " offline")).text(share);
        let item = |outage: &Outage| {
            if let Some(pool) = outage.pool {
                return Line::default().name(&outage.runner_name).text(format!(": {pool}"));
            }
            let line = Line::default().name(&outage.runner_name).and(was_running_a_job(outage));
            let line = line
                .text(" · ")
                .and(system(&outage.os, outage.version.as_deref()))
                .text(" · ")
                .and(labels(&outage.labels, 4));
            match self.runner_link(outage, "open") {
                Some(link) => line.text(" · ").and(link),
                None => line,
            }
        };
        let consequence = consequence(outages, outages.len());
        Section {
            brief: Line::of(" when monitoring started.").and(consequence.clone()).text(FROM_NOW_ON),
            lead: Line::of(of_pools_or(outages, "Already short of runners", "Already offline"))
                .text(" when monitoring started (")
                .at(first_start(outages))
                .text(").")
                .and(consequence)
                .text(FROM_NOW_ON),
            items: outages.iter().take(MAX_ITEMS).map(item).collect(),
            total: outages.len(),
            advice: to_do(if offline == 0 {
                Vec::new()
            } else {
                vec![
                    Line::of("Remove runners that are no longer needed on GitHub, or list them in the policy's ")
                        .command("ignore")
                        .text("."),
                ]
            }),
            ..part(Mark::Warning, title)
        }
    }

    pub(super) fn removed(&self, outages: &[Outage]) -> Section {
        let rule = |outage: &Outage| {
            let days = if outage.ephemeral { "1 day" } else { "14 days" };
            match outage.removed_by() {
                Some(RemovedBy::GitHub) => format!(" GitHub removed it: it had not connected for {days}."),
                Some(RemovedBy::Somebody) => {
                    " Somebody removed it: GitHub itself removes a runner only after 14 days offline.".to_owned()
                }
                Some(RemovedBy::Unknown) | None => {
                    format!(" GitHub removes a runner after {days} offline; otherwise somebody removed it.")
                }
            }
        };
        let since_when = |outage: &Outage| match (outage.status, outage.resolved_at) {
            (Status::Offline, Some(missed)) => {
                Line::of("missing since ").at(missed).text(", offline ").and(since(outage))
            }
            _ => Line::of("missing since ").at(outage.started_at),
        };
        let title = runners(outages).text(" no longer registered");
        let item = |outage: &Outage| {
            let line = Line::default().name(&outage.runner_name).text(": ").and(since_when(outage));
            let by = if outage.was_removed_by_github() { ", removed by GitHub" } else { "" };
            line.text(by)
                .and(was_running_a_job(outage))
                .text(" · ")
                .and(system(&outage.os, outage.version.as_deref()))
                .text(" · ")
                .and(labels(&outage.labels, 4))
        };
        // A runner that was offline before its removal has job and peer data as old as its outage.
        let new: Vec<Outage> = outages.iter().filter(|outage| is_new(outage)).cloned().collect();
        let consequence = if new.is_empty() { Line::default() } else { consequence(&new, outages.len()) };
        let rule_of_all = if outages.iter().all(Outage::was_removed_by_github) {
            " GitHub removed them: they had not connected for long enough."
        } else {
            " GitHub removes a runner after 14 days offline, an ephemeral one after 1 day; otherwise somebody removed it."
        };
        let part = match outages {
            [one] => Section {
                brief: if one.was_removed_by_github() {
                    Line::of(format!(": removed by GitHub after {} offline.", spoken_duration(one.kept_for())))
                } else {
                    Line::of(": ").and(since_when(one)).text(".").and(consequence)
                },
                lead: Line::of("GitHub no longer lists ")
                    .name(&one.runner_name)
                    .text(": ")
                    .and(since_when(one))
                    .text(".")
                    .text(rule(one)),
                facts: facts(one, if is_new(one) { Moment::New } else { Moment::Later }),
                ..part(Mark::Warning, title)
            },
            _ => Section {
                brief: Line::of(".").and(consequence.clone()),
                lead: Line::of("GitHub no longer lists them.").and(consequence).text(rule_of_all),
                items: outages.iter().take(MAX_ITEMS).map(item).collect(),
                total: outages.len(),
                ..part(Mark::Warning, title)
            },
        };
        let advice = Line::of("If this was not on purpose, register it again on its host with ")
            .command("config.sh")
            .text(" (Windows: ")
            .command("config.cmd")
            .text(").");
        Section { advice: to_do(vec![advice]), ..part }
    }

    /// Whether the runner of an ended outage may still be offline or missing: the same message says so, or the runner
    /// has just been registered again.
    fn may_be_away(&self, over: &Outage) -> bool {
        let is_same = |outage: &Outage| outage.runner_id == over.runner_id;
        over.ending == Some(Ending::Removed)
            || self.notification.items.iter().any(|item| match item {
                NotificationItem::Offline { outages }
                | NotificationItem::MuteEnded { outages }
                | NotificationItem::StillOffline { outages, .. }
                | NotificationItem::RemovalNear { outages, .. }
                | NotificationItem::MonitoringStarts { outages }
                | NotificationItem::Removed { outages } => outages.iter().any(is_same),
                NotificationItem::Flapping { runners } => runners.iter().any(|flap| flap.runner.id == over.runner_id),
                _ => false,
            })
    }

    /// Outages that have ended although not all of their runners are back online.
    fn over(&self, outages: &[Outage]) -> Section {
        let (was, lead) = match outages.len() {
            1 if outages[0].pool.is_some() => (" was short of runners earlier", "This outage has ended."),
            1 => (" was offline earlier", "This outage has ended, but the runner may not be online now."),
            _ => (" were offline earlier", "These outages have ended, but the runners may not be online now."),
        };
        Section {
            brief: Line::of(format!(", for {}.", longest(outages))),
            lead: Line::of(lead),
            items: outages.iter().take(MAX_ITEMS).map(ended_item).collect(),
            total: outages.len(),
            ..part(Mark::Info, runners(outages).text(was))
        }
    }

    pub(super) fn recovered(&self, outages: &[Outage]) -> Section {
        if outages.iter().any(|outage| self.may_be_away(outage)) {
            return self.over(outages);
        }
        let title = runners(outages).text(of_pools_or(outages, has_enough_again(outages), " back online"));
        let offline = of_pools_or(outages, "", " offline");
        let brief = Line::of(format!(" after {}{offline}.", longest(outages)));
        match outages {
            [one] if one.pool.is_some() => Section {
                brief,
                lead: Line::of("Enough runners with ")
                    .and(labels(&one.labels, 10))
                    .text(" are online again")
                    .and(since_if(one.resolved_at))
                    .text(format!(", after {} (", lasted(one)))
                    .and(since(one))
                    .text(")."),
                ..part(Mark::Good, runners(outages).text(has_enough_again(outages)))
            },
            [one] => Section {
                brief,
                lead: Line::of("GitHub reports ")
                    .name(&one.runner_name)
                    .text(" online again")
                    .and(since_if(one.resolved_at))
                    .text(format!(", after {} offline (", lasted(one)))
                    .and(since(one))
                    .text(")."),
                ..part(Mark::Good, title)
            },
            _ => Section {
                brief,
                lead: Line::of(of_pools_or(
                    outages,
                    "Enough of their runners are online again",
                    "GitHub reports them online again",
                ))
                .text(format!(", after {}{offline}.", longest(outages))),
                items: outages.iter().take(MAX_ITEMS).map(ended_item).collect(),
                total: outages.len(),
                ..part(Mark::Good, title)
            },
        }
    }

    pub(super) fn came_and_went(&self, outages: &[Outage]) -> Section {
        const TOO_SHORT: &str = " This was over before an alert could be sent.";
        if outages.iter().any(|outage| self.may_be_away(outage)) {
            return self.over(outages);
        }
        match outages {
            [one] if one.pool.is_some() => Section {
                brief: Line::of(": it has enough again."),
                lead: Line::of("Too few of its runners were online from ")
                    .at(one.started_at)
                    .text(" to ")
                    .at(one.resolved_at.unwrap_or(one.confirmed_at))
                    .text(".")
                    .text(TOO_SHORT),
                ..part(Mark::Info, runners(outages).text(format!(" was short of runners for {}", lasted(one))))
            },
            [one] => Section {
                brief: Line::of(": back online.").text(had_a_job(one)),
                lead: Line::of("GitHub reported ")
                    .name(&one.runner_name)
                    .text(" offline from ")
                    .at(one.started_at)
                    .text(" to ")
                    .at(one.resolved_at.unwrap_or(one.confirmed_at))
                    .text(" and reports it online again.")
                    .text(had_a_job(one))
                    .text(TOO_SHORT),
                ..part(Mark::Info, runners(outages).text(format!(" was offline for {}", lasted(one))))
            },
            _ => Section {
                brief: Line::of(format!(
                    ": all {}, after {}.",
                    of_pools_or(outages, "have enough again", "back online"),
                    longest(outages)
                )),
                lead: Line::of(of_pools_or(
                    outages,
                    "Too few of their runners were online.",
                    "GitHub reported them offline and reports them online again.",
                ))
                .text(TOO_SHORT),
                items: outages.iter().take(MAX_ITEMS).map(ended_item).collect(),
                total: outages.len(),
                ..part(
                    Mark::Info,
                    runners(outages).text(of_pools_or(
                        outages,
                        " were short of runners for a while",
                        " were offline for a while",
                    )),
                )
            },
        }
    }

    /// A message about outages after some of them have ended, or as a reminder.
    pub(super) fn live(&self, outages: &[Outage]) -> Section {
        let open: Vec<&Outage> = outages.iter().filter(|outage| outage.is_open()).collect();
        let reminded_at = self.notification.items.iter().find_map(|item| match item {
            NotificationItem::StillOffline { raised_at, .. } | NotificationItem::RemovalNear { raised_at, .. } => {
                Some(*raised_at)
            }
            _ => None,
        });
        if let Some(raised_at) = reminded_at.filter(|_| open.len() == outages.len()) {
            return self.still_offline(outages, raised_at, false);
        }
        let all_ended_as = |ending| outages.iter().all(|outage| outage.ending == Some(ending));
        let (mark, title) = match open.len() {
            0 if all_ended_as(Ending::Recovered) => {
                (Mark::Good, runners(outages).text(of_pools_or(outages, has_enough_again(outages), " back online")))
            }
            0 if all_ended_as(Ending::Removed) => (Mark::Info, runners(outages).text(" no longer registered")),
            0 => (Mark::Info, runners(outages).text(of_pools_or(outages, " no longer short", " no longer offline"))),
            _ => {
                let is_short = open.iter().all(|outage| outage.pool.is_some());
                let still = if is_short { " still short of runners" } else { " still offline" };
                (Mark::Alarm, names(open.iter().map(|outage| &*outage.runner_name)).text(still))
            }
        };
        let over = outages.len() - open.len();
        let lead = match outages {
            [one] => Line::of("It was ").and(course(one)).text("."),
            _ if open.is_empty() => {
                Line::of(format!("All {} outages are over, after {}.", outages.len(), longest(outages)))
            }
            _ => Line::of(format!("{over} of {} over:", counted(outages.len(), "outage", "outages"))),
        };
        let items = match outages {
            [_] => Vec::new(),
            _ => {
                let mut sorted: Vec<&Outage> = outages.iter().collect();
                sorted.sort_by_key(|outage| !outage.is_open());
                let item = |outage: &&Outage| Line::default().name(&outage.runner_name).text(": ").and(course(outage));
                sorted.iter().take(MAX_ITEMS).map(item).collect()
            }
        };
        let moment = if open.is_empty() { Moment::Over } else { Moment::Later };
        Section {
            brief: if open.is_empty() {
                Line::of(format!(" after {}.", longest(outages)))
            } else {
                Line::of(format!(": {over} of {} over.", counted(outages.len(), "outage", "outages")))
            },
            lead,
            facts: if let [one] = outages { facts(one, moment) } else { Vec::new() },
            total: if outages.len() > 1 { outages.len() } else { 0 },
            items,
            link: if let [one] = outages { self.runner_link(one, "Open this runner on GitHub") } else { None },
            ..part(mark, title)
        }
    }

    /// A target that was taken off the list of targets and added again before a message about either was sent.
    pub(super) fn monitored_again(&self, outages: &[Outage], since: Timestamp) -> Section {
        const REPORTED_AGAIN: &str = " Runners that are still offline are reported again.";
        let lead = match &self.target {
            Some(target) => Line::default().name(&place(target)),
            None => Line::of("It"),
        };
        let closed = match outages.len() {
            0 => "",
            _ => " These outages were open when it was taken off and are now closed:",
        };
        Section {
            brief: Line::of(": monitored again since ").at(since).text("."),
            lead: lead
                .text(" was taken off the list of targets, and has been monitored again since ")
                .at(since)
                .text(".")
                .text(REPORTED_AGAIN)
                .text(closed),
            title: Line::of("Monitoring of ").and(self.its_name()).text(" was interrupted"),
            ..self.no_longer_monitored(outages, true)
        }
    }

    pub(super) fn no_longer_monitored(&self, outages: &[Outage], whole_target: bool) -> Section {
        let item = |outage: &Outage| {
            let what = if outage.pool.is_some() { " short of runners " } else { " offline " };
            Line::default().name(&outage.runner_name).text(what).and(since(outage))
        };
        let list = Section {
            items: outages.iter().take(MAX_ITEMS).map(item).collect(),
            total: outages.len(),
            ..Section::default()
        };
        let open = match outages.len() {
            0 => "",
            1 => " One outage was still open and is now closed:",
            _ => " These outages were still open and are now closed:",
        };
        if whole_target {
            let what = match &self.target {
                Some(target) => Line::default().name(&place(target)),
                None => Line::of("It"),
            };
            let still_open = match outages {
                [] => Line::default(),
                _ => Line::of(of_pools_or(outages, " Still short at that time: ", " Still offline at that time: "))
                    .and(runners(outages))
                    .text("."),
            };
            Section {
                mark: Mark::Info,
                title: Line::of("Monitoring of ").and(self.its_name()).text(" has ended"),
                brief: Line::of(": taken off the list of targets.").and(still_open),
                lead: what
                    .text(" was taken off the list of targets. You will no longer be alerted about its runners.")
                    .text(open),
                ..list
            }
        } else {
            Section {
                mark: Mark::Info,
                title: runners(outages).text(" no longer monitored"),
                brief: Line::of(of_pools_or(outages, ": no longer in the policy.", ": excluded by policy.")),
                lead: Line::of(of_pools_or(outages, "No longer in the policy.", "Excluded by policy.")).text(open),
                ..list
            }
        }
    }
}

/// Whether the outage began with the removal: the runner was healthy until GitHub no longer listed it.
fn is_new(outage: &Outage) -> bool {
    outage.status == Status::Unknown
}

pub(super) fn was_running_a_job(outage: &Outage) -> Line {
    match &outage.job {
        _ if !outage.in_job => Line::default(),
        Some(job) => Line::of(", was running ").short_name(&job.name, JOB_IN_ITEM),
        None => Line::of(", was running a job"),
    }
}

fn had_a_job(outage: &Outage) -> &'static str {
    if outage.in_job { " It was running a job, which has probably failed." } else { "" }
}

/// `offline from 21:06 UTC to 23:06 UTC (2 h)`, or `offline since 21:06 UTC` for an open outage.
fn course(outage: &Outage) -> Line {
    let what = if outage.pool.is_some() { "short of runners" } else { "offline" };
    let line = match (outage.resolved_at, outage.ending) {
        (Some(end), ending) => {
            let from = if began_unseen(outage) { "from before" } else { "from" };
            let line = Line::of(format!("{what} {from} ")).at(outage.started_at).text(" to ").at(end);
            let then = match ending {
                Some(Ending::Removed) => ", then no longer registered",
                Some(Ending::NoLongerMonitored) => ", then no longer monitored",
                Some(Ending::Recovered) | None => "",
            };
            line.text(format!(" ({}){then}", lasted(outage)))
        }
        _ => Line::of(format!("{what} ")).and(since(outage)),
    };
    line.and(was_running_a_job(outage))
}

/// The words for outages that are all of pools, or for others.
pub(super) fn of_pools_or<'w>(outages: &[Outage], of_pools: &'w str, others: &'w str) -> &'w str {
    if outages.iter().all(|outage| outage.pool.is_some()) { of_pools } else { others }
}

/// What is said of pools whose shortage is over.
fn has_enough_again(outages: &[Outage]) -> &'static str {
    if outages.len() == 1 { " has enough runners again" } else { " have enough runners again" }
}

/// One line of a list of outages that ended.
fn ended_item(outage: &Outage) -> Line {
    let from = if began_unseen(outage) { ": before " } else { ": " };
    let line = Line::default().name(&outage.runner_name).text(format!(" after {}{from}", lasted(outage)));
    let line = line.at(outage.started_at).text(" to ").at(end_of(outage));
    line.and(was_running_a_job(outage))
}

fn since_if(moment: Option<Timestamp>) -> Line {
    moment.map_or_else(Line::default, |moment| Line::of(" since ").at(moment))
}

fn end_of(outage: &Outage) -> Timestamp {
    outage.resolved_at.unwrap_or(outage.confirmed_at)
}

fn duration(outage: &Outage) -> Duration {
    end_of(outage).since(outage.started_at)
}

pub(super) fn lasted(outage: &Outage) -> String {
    lasted_until(outage, end_of(outage))
}

/// How long the outages lasted: `1 h`, `up to 2 h`, `at least 2 h`.
fn longest(outages: &[Outage]) -> String {
    match outages {
        [one] => lasted(one),
        _ => {
            let longest = spoken_duration(outages.iter().map(duration).max().unwrap_or_default());
            let bound = if outages.iter().any(began_unseen) { "at least" } else { "up to" };
            format!("{bound} {longest}")
        }
    }
}

pub(super) fn first_start(outages: &[Outage]) -> Timestamp {
    outages.iter().map(|outage| outage.started_at).min().unwrap_or_default()
}
