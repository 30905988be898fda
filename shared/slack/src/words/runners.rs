//! Runners that flap, flap no more, or are registered again.

use monitor_domain::change::RunnerName;
use monitor_domain::notices::Flap;

use super::{MAX_ITEMS, Scene, counted, part, who};
use crate::document::{Line, Mark, Part};

impl Scene<'_> {
    pub(super) fn flapping(&self, flaps: &[Flap]) -> Part {
        const QUIET: &str = " Its single outages are no longer told, until it has stayed online for a while.";
        let verb = if flaps.len() == 1 { " keeps" } else { " keep" };
        let title = who(flaps, |flap| &flap.runner.name).text(verb).text(" going offline and coming back");
        let advice = Line::default().strong("Try first:").text(
            " its network and proxy, a host that sleeps or runs out of memory, or two hosts using one registration.",
        );
        let part = match flaps {
            [one] => Part {
                brief: outages_since(one),
                lead: Line::of("GitHub reported ")
                    .name(&one.runner.name)
                    .text(" offline again and again: ")
                    .and(outages_since(one))
                    .text(".")
                    .text(QUIET),
                ..part(Mark::Warning, title)
            },
            _ => Part {
                brief: Line::of("single outages of these are no longer told"),
                lead: Line::of(
                    "GitHub reported them offline again and again. Their single outages are no longer told, until they \
                     have stayed online for a while.",
                ),
                items: flaps.iter().take(MAX_ITEMS).map(item).collect(),
                total: flaps.len(),
                ..part(Mark::Warning, title)
            },
        };
        Part { advice: vec![advice], ..part }
    }

    pub(super) fn calm(&self, flaps: &[Flap]) -> Part {
        let title = who(flaps, |flap| &flap.runner.name);
        match flaps {
            [Flap { runner, healthy_since: Some(since), .. }] => Part {
                brief: Line::of("online since ").at(*since),
                lead: Line::of("GitHub has reported ")
                    .name(&runner.name)
                    .text(" online without a break since ")
                    .at(*since)
                    .text(", after ")
                    .and(outages_since(&flaps[0]))
                    .text(". Its outages are told one by one again."),
                ..part(Mark::Good, title.text(" steady again"))
            },
            [one] => Part {
                brief: outages_since(one),
                lead: Line::default()
                    .name(&one.runner.name)
                    .text(" is no longer watched. It had kept going offline and coming back: ")
                    .and(outages_since(one))
                    .text("."),
                ..part(Mark::Info, title.text(" no longer watched"))
            },
            _ => Part {
                brief: Line::of("told one by one again"),
                lead: Line::of("They no longer keep going offline. What is still watched is told one by one again."),
                items: flaps.iter().take(MAX_ITEMS).map(item).collect(),
                total: flaps.len(),
                ..part(Mark::Good, title.text(" steady again"))
            },
        }
    }

    pub(super) fn returned(&self, runners: &[RunnerName]) -> Part {
        let title = who(runners, |runner| &runner.name).text(" registered again");
        match runners {
            [one] => Part {
                brief: Line::of("GitHub lists it again"),
                lead: Line::of("GitHub lists ").name(&one.name).text(" again, after it was no longer registered."),
                ..part(Mark::Good, title)
            },
            _ => Part {
                brief: Line::of("GitHub lists them again"),
                lead: Line::of("GitHub lists them again, after they were no longer registered."),
                items: runners.iter().take(MAX_ITEMS).map(|runner| Line::default().name(&runner.name)).collect(),
                total: runners.len(),
                ..part(Mark::Good, title)
            },
        }
    }
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
