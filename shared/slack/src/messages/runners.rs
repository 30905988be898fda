//! Runners that flap, stop flapping, or are registered again.

use monitor_domain::change::RunnerName;
use monitor_domain::notifications::Flap;

use super::detail::{names, to_do};
use super::{MAX_ITEMS, MessageBuilder, counted, part};
use crate::document::{Line, Mark, Section};

impl MessageBuilder<'_> {
    pub(super) fn flapping(&self, flaps: &[Flap]) -> Section {
        let verb = if flaps.len() == 1 { " keeps" } else { " keep" };
        let title = flapping_names(flaps).text(verb).text(" going offline and coming back");
        let advice = Line::of(
            "Check the network and proxy, whether the host sleeps or runs out of memory, and whether two hosts use one \
             registration.",
        );
        let paused = |which: &str, it: &str| {
            Line::of(format!(" {which} alerts are paused until {it} been online for the policy's "))
                .command("flapClearAfter")
                .text(".")
        };
        let part = match flaps {
            [one] => Section {
                brief: Line::of(": ")
                    .and(outages_since(one))
                    .text(". Individual alerts are paused until it stays online."),
                lead: Line::of("GitHub reported ")
                    .name(&one.runner.name)
                    .text(" offline repeatedly: ")
                    .and(outages_since(one))
                    .text(".")
                    .and(paused("Individual", "it has")),
                ..part(Mark::Warning, title)
            },
            _ => Section {
                brief: Line::of(". Their individual alerts are paused until they stay online."),
                lead: Line::of("GitHub reported them offline repeatedly.").and(paused("Their individual", "they have")),
                items: flaps.iter().take(MAX_ITEMS).map(item).collect(),
                total: flaps.len(),
                ..part(Mark::Warning, title)
            },
        };
        Section { advice: to_do(vec![advice]), ..part }
    }

    pub(super) fn calm(&self, flaps: &[Flap]) -> Section {
        let title = flapping_names(flaps);
        match flaps {
            [Flap { runner, healthy_since: Some(since), .. }] => Section {
                brief: Line::of(": online since ").at(*since).text(". Individual alerts resume."),
                lead: Line::of("GitHub has reported ")
                    .name(&runner.name)
                    .text(" online without a break since ")
                    .at(*since)
                    .text(", after ")
                    .and(outages_since(&flaps[0]))
                    .text(". Individual alerts resume."),
                ..part(Mark::Good, title.text(" stable again"))
            },
            [one] => Section {
                brief: Line::of(". It kept going offline: ").and(outages_since(one)).text("."),
                lead: Line::default()
                    .name(&one.runner.name)
                    .text(" is no longer monitored. It kept going offline and coming back: ")
                    .and(outages_since(one))
                    .text("."),
                ..part(Mark::Info, title.text(" no longer monitored"))
            },
            _ => Section {
                brief: Line::of(". Individual alerts resume."),
                lead: Line::of(
                    "They no longer keep going offline. Individual alerts resume for those still monitored.",
                ),
                items: flaps.iter().take(MAX_ITEMS).map(item).collect(),
                total: flaps.len(),
                ..part(Mark::Good, title.text(" stable again"))
            },
        }
    }

    pub(super) fn returned(&self, runners: &[RunnerName]) -> Section {
        let title = names(runners.iter().map(|runner| &*runner.name)).text(" registered again");
        match runners {
            [one] => Section {
                brief: Line::of(": GitHub lists it again. Alerts about it resume."),
                lead: Line::of("GitHub lists ")
                    .name(&one.name)
                    .text(" again after it was missing. Alerts about it resume."),
                ..part(Mark::Good, title)
            },
            _ => Section {
                brief: Line::of(": GitHub lists them again. Alerts about them resume."),
                lead: Line::of("GitHub lists them again after they were missing. Alerts about them resume."),
                items: runners.iter().take(MAX_ITEMS).map(|runner| Line::default().name(&runner.name)).collect(),
                total: runners.len(),
                ..part(Mark::Good, title)
            },
        }
    }
}

fn flapping_names(flaps: &[Flap]) -> Line {
    names(flaps.iter().map(|flap| &*flap.runner.name))
}

fn outages_since(flap: &Flap) -> Line {
    Line::of(format!("{} since ", counted(flap.outages, "outage", "outages"))).at(flap.since)
}

fn item(flap: &Flap) -> Line {
    let line = Line::default().name(&flap.runner.name).text(": ").and(outages_since(flap));
    match flap.healthy_since {
        Some(since) => line.text(", online since ").at(since),
        None => line,
    }
}
