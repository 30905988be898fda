//! What GitHub will do: stop giving jobs to a version of the runner, or remove a runner that stays offline.

use std::time::Duration;

use monitor_domain::change::RunnerName;
use monitor_domain::outage::Outage;
use monitor_domain::time::{Timestamp, spoken_duration};

use super::detail::{Moment, facts, names, runners, since, to_do};
use super::{MAX_ITEMS, MessageBuilder, counted, part};
use crate::document::{Line, Mark, Section};

const DAY: Duration = Duration::from_secs(86_400);
/// Where GitHub publishes the versions of the runner.
const RELEASES: &str = "https://github.com/actions/runner/releases";

impl MessageBuilder<'_> {
    pub(super) fn removal_near(&self, outages: &[Outage], raised_at: Timestamp) -> Section {
        let first = outages.iter().filter_map(|outage| outage.removal()?.earliest).min().unwrap_or(raised_at);
        let title = runners(outages).text(format!(
            " offline: GitHub removes {} {}",
            them(outages.len()),
            in_days(first.since(raised_at))
        ));
        let rule = Line::of("GitHub removes runners that have not connected for 14 days: ");
        let advice =
            Line::of("Start the runner, or its host, before that. Once removed it must be registered again with ")
                .command("config.sh")
                .text(" (Windows: ")
                .command("config.cmd")
                .text(").");
        let part = match outages {
            [one] => Section {
                lead: rule.and(removal(one)).text(". It has been offline ").and(since(one)).text("."),
                facts: facts(one, Moment::Later),
                link: self.runner_link(one, "Open this runner on GitHub"),
                ..part(Mark::Warning, title)
            },
            _ => {
                let item = |outage: &Outage| {
                    let line = Line::default().name(&outage.runner_name).text(": ").and(removal(outage));
                    line.text(" · offline ").and(since(outage))
                };
                Section {
                    lead: rule.text("the first of these from ").on(first).text(" on."),
                    items: outages.iter().take(MAX_ITEMS).map(item).collect(),
                    total: outages.len(),
                    ..part(Mark::Warning, title)
                }
            }
        };
        Section { brief: Line::of(", from ").on(first).text(" on."), advice: to_do(vec![advice]), ..part }
    }

    pub(super) fn version_ending(
        &self,
        version: &str,
        ends_at: Timestamp,
        raised_at: Timestamp,
        runners: &[RunnerName],
    ) -> Section {
        let left = ends_at.since(raised_at);
        let has_ended = left.is_zero();
        let named = names(runners.iter().map(|runner| &*runner.name));
        let title = named.text(": runner version ").short_name(version, 30);
        let title = if has_ended { title.text(" has ended") } else { title.text(format!(" ends {}", in_days(left))) };
        let (lead, brief) = if has_ended {
            let lead =
                Line::of("GitHub has given no jobs to version ").short_name(version, 30).text(" since ").on(ends_at);
            let lead = lead.text(". Such a runner connects, exits and shows as offline, and its jobs stay queued.");
            (lead, Line::of(". GitHub gives it no more jobs."))
        } else {
            let lead = Line::of("From ")
                .on(ends_at)
                .text(" on, GitHub gives no more jobs to version ")
                .short_name(version, 30);
            let lead = lead.text(": its runners will show as offline, and their jobs stay queued.");
            (lead, Line::of(": from ").on(ends_at).text(" on, GitHub gives it no more jobs."))
        };
        let count = counted(runners.len(), "runner has", "runners have");
        let advice = vec![
            Line::of(
                "Install a newer version: put it into the image from which runners are made, or unpack it over the old one \
                 on the host and restart the service. A runner with ",
            )
                .command("--disableupdate")
                .text(" does not update itself."),
            Line::default().link("Versions of the runner", RELEASES.to_owned()),
        ];
        let mark = if left <= DAY { Mark::Alarm } else { Mark::Warning };
        Section {
            brief,
            lead: lead.text(format!(" {count} it.")),
            items: if runners.len() > 1 {
                runners.iter().take(MAX_ITEMS).map(|runner| Line::default().name(&runner.name)).collect()
            } else {
                Vec::new()
            },
            total: if runners.len() > 1 { runners.len() } else { 0 },
            advice: to_do(advice),
            ..part(mark, title)
        }
    }
}

/// When GitHub removes a runner that stays offline: `from Dec 3 on`, or `by Dec 4` if it was never seen online.
pub(super) fn removal(outage: &Outage) -> Line {
    match outage.removal() {
        Some(removal) => match removal.earliest {
            Some(earliest) => Line::of("from ").on(earliest).text(" on"),
            None => Line::of("by ").on(removal.latest),
        },
        None => Line::of("at a time that is not known"),
    }
}

fn them(count: usize) -> &'static str {
    if count == 1 { "it" } else { "them" }
}

/// `in 3 days`, or in hours for a day or less.
fn in_days(left: Duration) -> String {
    match left.as_secs().div_ceil(86_400) {
        0..=1 => format!("in {}", spoken_duration(left)),
        days => format!("in {}", counted(days, "day", "days")),
    }
}
