//! Runners that GitHub reports offline, lists no longer, or reports online again.

use std::time::Duration;

use monitor_domain::notices::News;
use monitor_domain::outage::{Ending, Outage};
use monitor_domain::runner::Status;
use monitor_domain::time::{Timestamp, spoken_duration};

use super::detail::{facts, labels, peers, system, try_first};
use super::{MAX_ITEMS, Scene, counted, part, place, who};
use crate::document::{Line, Mark, Part};

impl Scene<'_> {
    pub(super) fn offline(&self, outages: &[Outage]) -> Part {
        let part = match outages {
            [one] => self.one_offline(one),
            _ => self.several_offline(outages),
        };
        Part { advice: try_first(outages), ..part }
    }

    fn one_offline(&self, outage: &Outage) -> Part {
        let confirmed = spoken_duration(outage.confirmed_at.since(outage.started_at));
        let lead = Line::of("GitHub reports ").name(&outage.runner_name);
        let (what, reported) = match outage.status {
            Status::Unknown => (" not online", " neither online nor offline, but in a state not known here, since "),
            _ => (" offline", " offline since "),
        };
        Part {
            brief: Line::of("since ")
                .at(outage.started_at)
                .text(mid_job(outage))
                .text("; same labels: ")
                .text(peers(outage.peers)),
            lead: lead.text(reported).at(outage.started_at).text(format!(", confirmed after {confirmed}.")),
            facts: facts(outage),
            link: self.runner_link(outage, "Open this runner on GitHub"),
            ..part(Mark::Alarm, Line::default().name(&outage.runner_name).text(what))
        }
    }

    fn several_offline(&self, outages: &[Outage]) -> Part {
        let total = usize::try_from(self.notice.counts.total).unwrap_or(usize::MAX);
        let down = usize::try_from(self.notice.counts.down).unwrap_or(usize::MAX);
        let now = outages.len();
        let title = if down > now && total >= down {
            format!("{now} more runners offline ({down} of {total} in all)")
        } else if total >= now {
            format!("{now} of {total} runners offline")
        } else {
            format!("{now} runners offline")
        };
        let first = first_start(outages);
        let in_job = outages.iter().filter(|outage| outage.in_job).count();
        let alone = outages.iter().filter(|outage| outage.peers.online == 0).count();
        let mut brief = Line::of("since ").at(first);
        let mut lead = Line::of("GitHub reports them offline, the first since ").at(first).text(".");
        match in_job {
            0 => {}
            1 => (brief, lead) = (brief.text(", 1 in mid-job"), lead.text(" One was in mid-job.")),
            many => {
                brief = brief.text(format!(", {many} in mid-job"));
                lead = lead.text(format!(" {many} were in mid-job."));
            }
        }
        let stranded = match alone {
            0 => None,
            1 => Some("1 of them leaves no other runner online with its labels".to_owned()),
            many => Some(format!("{many} of them leave no other runner online with their labels")),
        };
        if let Some(stranded) = stranded {
            lead = lead.text(format!(" {stranded}: jobs that need these wait."));
            brief = brief.text(format!("; {stranded}"));
        }
        let items = outages.iter().take(MAX_ITEMS).map(|outage| self.offline_item(outage));
        Part { brief, lead, items: items.collect(), total: now, ..part(Mark::Alarm, title) }
    }

    fn offline_item(&self, outage: &Outage) -> Line {
        let line =
            Line::default().name(&outage.runner_name).text(" since ").at(outage.started_at).text(mid_job(outage));
        let line = match &outage.last_healthy {
            Some(last) => {
                line.text(format!(" (last healthy {} before)", spoken_duration(outage.started_at.since(last.at))))
            }
            None => line,
        };
        let line = line
            .text(" · ")
            .and(system(&outage.os, outage.version.as_deref()))
            .text(" · ")
            .and(labels(&outage.labels, 4));
        let line = line.text(" · ").text(match outage.peers.total {
            0 => "no others with these".to_owned(),
            total => format!("{} of {total} others online", outage.peers.online),
        });
        match self.runner_link(outage, "open") {
            Some(link) => line.text(" · ").and(link),
            None => line,
        }
    }

    pub(super) fn monitoring_starts(&self, outages: &[Outage]) -> Part {
        let total = self.notice.counts.total;
        let title = format!("Monitoring starts: {} of {total} runners offline", outages.len());
        let item = |outage: &Outage| {
            let line = Line::default().name(&outage.runner_name).text(mid_job(outage));
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
        Part {
            brief: Line::of("told once; from now on, each change"),
            lead: Line::of("Offline already at the first look, ")
                .at(first_start(outages))
                .text(", as GitHub reports. Listed this once; from now on each change is told."),
            items: outages.iter().take(MAX_ITEMS).map(item).collect(),
            total: outages.len(),
            advice: vec![
                Line::of("Runners that nobody needs any more: remove them on GitHub, or name them in the policy's ")
                    .command("ignore")
                    .text("."),
            ],
            ..part(Mark::Warning, title)
        }
    }

    pub(super) fn removed(&self, outages: &[Outage]) -> Part {
        const RULE: &str = " GitHub removes a runner by itself after 14 days offline, an ephemeral one after 1 day; \
                            else somebody removed it.";
        let since = |outage: &Outage| match (outage.status, outage.resolved_at) {
            (Status::Offline, Some(missed)) => {
                Line::of("missing since ").at(missed).text(", offline since ").at(outage.started_at)
            }
            _ => Line::of("missing since ").at(outage.started_at),
        };
        let title = who(outages, |outage| &outage.runner_name).text(" no longer registered");
        let item = |outage: &Outage| {
            let line = Line::default().name(&outage.runner_name).text(": ").and(since(outage)).text(mid_job(outage));
            line.text(" · ")
                .and(system(&outage.os, outage.version.as_deref()))
                .text(" · ")
                .and(labels(&outage.labels, 4))
        };
        let part = match outages {
            [one] => Part {
                brief: since(one).text(mid_job(one)),
                lead: Line::of("GitHub no longer lists ")
                    .name(&one.runner_name)
                    .text(": ")
                    .and(since(one))
                    .text(".")
                    .text(RULE),
                facts: facts(one),
                ..part(Mark::Warning, title)
            },
            _ => Part {
                brief: Line::of("GitHub no longer lists them"),
                lead: Line::of("GitHub no longer lists them.").text(RULE),
                items: outages.iter().take(MAX_ITEMS).map(item).collect(),
                total: outages.len(),
                ..part(Mark::Warning, title)
            },
        };
        let advice = Line::default()
            .strong("Try first:")
            .text(" if it was removed on purpose, nothing is to be done; if not, register it again on its host with ")
            .command("config.sh")
            .text(" (Windows: ")
            .command("config.cmd")
            .text(").");
        Part { advice: vec![advice], ..part }
    }

    /// Whether the runner of an outage that is over may be offline or missing all the same: the same message says so, or it
    /// has just been registered again.
    fn may_be_away(&self, over: &Outage) -> bool {
        let is_same = |outage: &Outage| outage.runner_id == over.runner_id;
        over.ending == Some(Ending::Removed)
            || self.notice.news.iter().any(|news| match news {
                News::Offline { outages }
                | News::MuteEnded { outages }
                | News::StillOffline { outages, .. }
                | News::MonitoringStarts { outages }
                | News::Removed { outages } => outages.iter().any(is_same),
                News::Flapping { runners } => runners.iter().any(|flap| flap.runner.id == over.runner_id),
                _ => false,
            })
    }

    /// Outages that are over of runners of which not all are back.
    fn over(&self, outages: &[Outage]) -> Part {
        let title = match outages {
            [one] => Line::of("Earlier outage of ").name(&one.runner_name).text(" is over"),
            _ => Line::of(format!("{} are over", counted(outages.len(), "earlier outage", "earlier outages"))),
        };
        Part {
            brief: Line::of(format!("after up to {}", longest(outages))),
            lead: Line::of("This says nothing about whether the runner is online now."),
            items: outages.iter().take(MAX_ITEMS).map(ended_item).collect(),
            total: outages.len(),
            ..part(Mark::Info, title)
        }
    }

    pub(super) fn recovered(&self, outages: &[Outage]) -> Part {
        if outages.iter().any(|outage| self.may_be_away(outage)) {
            return self.over(outages);
        }
        let title = who(outages, |outage| &outage.runner_name).text(" back online");
        match outages {
            [one] => Part {
                brief: Line::of("after ").text(lasted(one)).text(" offline"),
                lead: Line::of("GitHub reports ")
                    .name(&one.runner_name)
                    .text(" online again")
                    .and(since_if(one.resolved_at))
                    .text(format!(", after {} offline (since ", lasted(one)))
                    .at(one.started_at)
                    .text(")."),
                ..part(Mark::Good, title)
            },
            _ => Part {
                brief: Line::of(format!("after up to {} offline", longest(outages))),
                lead: Line::of(format!("GitHub reports them online again, after up to {} offline.", longest(outages))),
                items: outages.iter().take(MAX_ITEMS).map(ended_item).collect(),
                total: outages.len(),
                ..part(Mark::Good, title)
            },
        }
    }

    pub(super) fn came_and_went(&self, outages: &[Outage]) -> Part {
        if outages.iter().any(|outage| self.may_be_away(outage)) {
            let lead = Line::of("Each was over before a message about it could go out.");
            return Part { lead, ..self.over(outages) };
        }
        match outages {
            [one] => Part {
                brief: Line::of("back online").text(was_in_job(one)),
                lead: Line::of("GitHub reported ")
                    .name(&one.runner_name)
                    .text(" offline from ")
                    .at(one.started_at)
                    .text(" to ")
                    .at(one.resolved_at.unwrap_or(one.confirmed_at))
                    .text(mid_job(one))
                    .text(", and reports it online again. It was over before a message about it could go out."),
                ..part(
                    Mark::Info,
                    Line::default().name(&one.runner_name).text(format!(" was offline for {}", lasted(one))),
                )
            },
            _ => Part {
                brief: Line::of(format!("all back online, after up to {}", longest(outages))),
                lead: Line::of(
                    "GitHub reported them offline and reports them online again. It was over before a message about \
                     it could go out.",
                ),
                items: outages.iter().take(MAX_ITEMS).map(ended_item).collect(),
                total: outages.len(),
                ..part(Mark::Info, format!("{} were offline for a time", counted(outages.len(), "runner", "runners")))
            },
        }
    }

    /// A message about outages once some of them have ended, or when people are reminded of them.
    pub(super) fn live(&self, outages: &[Outage]) -> Part {
        let open = outages.iter().filter(|outage| outage.is_open()).count();
        let reminded_at = self.notice.news.iter().find_map(|news| match news {
            News::StillOffline { noticed_at, .. } => Some(*noticed_at),
            _ => None,
        });
        if let Some(noticed_at) = reminded_at.filter(|_| open == outages.len()) {
            return self.still_offline(outages, noticed_at, false);
        }
        let all_ended_as = |ending| outages.iter().all(|outage| outage.ending == Some(ending));
        let (mark, title) = match open {
            0 if all_ended_as(Ending::Recovered) => {
                (Mark::Good, who(outages, |outage| &outage.runner_name).text(" back online"))
            }
            0 if all_ended_as(Ending::Removed) => {
                (Mark::Info, who(outages, |outage| &outage.runner_name).text(" no longer registered"))
            }
            0 => (Mark::Info, who(outages, |outage| &outage.runner_name).text(" no longer offline")),
            open => (
                Mark::Alarm,
                Line::of(format!("{open} of {} still offline", counted(outages.len(), "runner", "runners"))),
            ),
        };
        let lead = match outages {
            [one] => Line::of("It was ").and(course(one)).text("."),
            _ if open == 0 => Line::of(format!("All of it is over, after up to {}.", longest(outages))),
            _ => Line::of("What has become of each:"),
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
        Part {
            brief: if open == 0 {
                Line::of(format!("after {}", longest(outages)))
            } else {
                Line::of("the others are back")
            },
            lead,
            facts: if let [one] = outages { facts(one) } else { Vec::new() },
            total: if outages.len() > 1 { outages.len() } else { 0 },
            items,
            link: if let [one] = outages { self.runner_link(one, "Open this runner on GitHub") } else { None },
            ..part(mark, title)
        }
    }

    /// A target that was taken off the list of targets and put on it again before a message about either could go out.
    pub(super) fn monitored_again(&self, outages: &[Outage], since: Timestamp) -> Part {
        const ANEW: &str = " Runners that are offline are reported anew.";
        let lead = match &self.target {
            Some(target) => Line::default().name(&place(target)),
            None => Line::of("It"),
        };
        let closed = match outages.len() {
            0 => "",
            _ => " These outages were open when it was taken off, and are closed:",
        };
        Part {
            brief: Line::of("monitored again since ").at(since),
            lead: lead
                .text(" was taken off the list of targets, and is monitored again since ")
                .at(since)
                .text(".")
                .text(ANEW)
                .text(closed),
            title: Line::of("Monitoring was interrupted"),
            ..self.no_longer_monitored(outages, true)
        }
    }

    pub(super) fn no_longer_monitored(&self, outages: &[Outage], whole_target: bool) -> Part {
        let item = |outage: &Outage| {
            Line::default().name(&outage.runner_name).text(" reported offline since ").at(outage.started_at)
        };
        let list =
            Part { items: outages.iter().take(MAX_ITEMS).map(item).collect(), total: outages.len(), ..Part::default() };
        let open = match outages.len() {
            0 => "",
            1 => " One outage was still open and is closed with this:",
            _ => " These outages were still open and are closed with this:",
        };
        if whole_target {
            let what = match &self.target {
                Some(target) => Line::default().name(&place(target)),
                None => Line::of("It"),
            };
            Part {
                mark: Mark::Info,
                title: Line::of("Monitoring has ended"),
                brief: Line::of("taken off the list of targets"),
                lead: what.text(" was taken off the list of targets: nothing more is told about it.").text(open),
                ..list
            }
        } else {
            Part {
                mark: Mark::Info,
                title: who(outages, |outage| &outage.runner_name).text(" no longer monitored"),
                brief: Line::of("by policy"),
                lead: Line::of(format!("The policy no longer wants to hear of this.{open}")),
                ..list
            }
        }
    }
}

pub(super) fn mid_job(outage: &Outage) -> &'static str {
    if outage.in_job { ", in mid-job" } else { "" }
}

fn was_in_job(outage: &Outage) -> &'static str {
    if outage.in_job { "; it was in mid-job" } else { "" }
}

/// From when to when an outage was, or since when it is.
fn course(outage: &Outage) -> Line {
    let line = match (outage.resolved_at, outage.ending) {
        (Some(end), ending) => {
            let line = Line::of("offline from ").at(outage.started_at).text(" to ").at(end);
            let then = match ending {
                Some(Ending::Removed) => ", then no longer registered",
                Some(Ending::NoLongerMonitored) => ", then no longer monitored",
                Some(Ending::Recovered) | None => "",
            };
            line.text(format!(" ({}){then}", lasted(outage)))
        }
        _ => Line::of("offline since ").at(outage.started_at),
    };
    line.text(mid_job(outage))
}

/// One line of a list of outages that ended.
fn ended_item(outage: &Outage) -> Line {
    let line = Line::default().name(&outage.runner_name).text(format!(" after {}: ", lasted(outage)));
    let line = line.at(outage.started_at).text(" to ").at(outage.resolved_at.unwrap_or(outage.confirmed_at));
    line.text(was_in_job(outage))
}

fn since_if(moment: Option<Timestamp>) -> Line {
    moment.map_or_else(Line::default, |moment| Line::of(" since ").at(moment))
}

fn duration(outage: &Outage) -> Duration {
    outage.resolved_at.unwrap_or(outage.confirmed_at).since(outage.started_at)
}

pub(super) fn lasted(outage: &Outage) -> String {
    spoken_duration(duration(outage))
}

fn longest(outages: &[Outage]) -> String {
    spoken_duration(outages.iter().map(duration).max().unwrap_or_default())
}

pub(super) fn first_start(outages: &[Outage]) -> Timestamp {
    outages.iter().map(|outage| outage.started_at).min().unwrap_or_default()
}
