//! Queues in which jobs wait too long for a runner.

use std::time::Duration;

use monitor_domain::jobs::{JobName, Said, WaitReason};
use monitor_domain::outage::{Ending, Outage};
use monitor_domain::time::{Timestamp, spoken_duration};

use super::detail::labels;
use super::{MAX_ITEMS, MessageBuilder, counted, part, place};
use crate::document::{Line, Mark, Section};

/// The most queues named in a title.
const QUEUES_IN_TITLE: usize = 2;
/// The most labels of a queue in a sentence.
const LABELS: usize = 10;

impl MessageBuilder<'_> {
    pub(super) fn jobs_waiting(&self, queues: &[Outage]) -> Section {
        self.waiting(queues, Mark::Alarm, None)
    }

    pub(super) fn jobs_still_waiting(&self, queues: &[Outage], raised_at: Timestamp) -> Section {
        self.waiting(queues, Mark::Warning, Some(raised_at))
    }

    /// `now`: the time of a reminder. An alert may be edited, or held back by a mute, so it says only since when jobs wait.
    fn waiting(&self, queues: &[Outage], mark: Mark, now: Option<Timestamp>) -> Section {
        let of = |queue: &Outage| queue.waiting.as_deref().cloned();
        let mut title = Line::default();
        for (index, queue) in queues.iter().take(QUEUES_IN_TITLE).enumerate() {
            let Some(waiting) = of(queue) else { continue };
            title = if index > 0 { title.text("; ") } else { title };
            title = title.text(format!("{waiting} for ")).and(labels(&queue.labels, 4));
        }
        if queues.len() > QUEUES_IN_TITLE {
            title = title.text(format!("; {} more", counted(queues.len() - QUEUES_IN_TITLE, "queue", "queues")));
        }
        let section = Section { lacks_target: true, ..part(mark, title) };
        let [queue] = queues else {
            let item = |queue: &Outage| {
                let Some(waiting) = of(queue) else { return Line::default().name(&queue.runner_name) };
                labels(&queue.labels, LABELS)
                    .text(format!(": {waiting}, the first since "))
                    .at(waiting.since)
                    .text(". ")
                    .and(reason(&waiting.reason))
            };
            let first = queues.iter().filter_map(of).map(|waiting| waiting.since).min().unwrap_or_default();
            return Section {
                brief: Line::of(" since ").at(first).text("."),
                lead: Line::of("No runner takes them. The first has waited since ").at(first).text("."),
                items: queues.iter().take(MAX_ITEMS).map(item).collect(),
                total: queues.len(),
                ..section
            };
        };
        let Some(waiting) = of(queue) else { return section };
        let oldest = if waiting.count == 1 { "It has waited" } else { "The oldest has waited" };
        let lasted = now.map(|now| format!(" {}", spoken_duration(now.since(waiting.since)))).unwrap_or_default();
        let lead = Line::of(format!("{oldest}{lasted} for a runner with ")).and(labels(&queue.labels, LABELS));
        let unconfirmed = match waiting.is_unconfirmed {
            true => " GitHub does not confirm this: the credential lacks the permission `Actions: read`.",
            false => "",
        };
        Section {
            brief: Line::of(" since ").at(waiting.since).text(". ").and(reason(&waiting.reason)),
            lead: lead.text(" since ").at(waiting.since).text(". ").and(reason(&waiting.reason)).text(unconfirmed),
            items: waiting.jobs.iter().map(job_item).collect(),
            total: usize::try_from(waiting.count).unwrap_or(usize::MAX),
            advice: vec![what_helps(&waiting.reason)],
            ..section
        }
    }

    pub(super) fn jobs_taken(&self, queues: &[Outage]) -> Section {
        let are_taken = queues.iter().all(|queue| queue.ending != Some(Ending::NoLongerMonitored));
        let mut title = Line::of(if are_taken { "jobs no longer wait for " } else { "jobs for " });
        for (index, queue) in queues.iter().take(QUEUES_IN_TITLE).enumerate() {
            title = if index > 0 { title.text("; ") } else { title };
            title = title.and(labels(&queue.labels, 4));
        }
        if queues.len() > QUEUES_IN_TITLE {
            title = title.text(format!("; {} more", counted(queues.len() - QUEUES_IN_TITLE, "queue", "queues")));
        }
        if !are_taken {
            title = title.text(" no longer monitored");
        }
        let longest = queues.iter().map(lasted).max().unwrap_or_default();
        let spoken = spoken_duration(longest);
        let item = |queue: &Outage| {
            labels(&queue.labels, LABELS)
                .text(format!(": {}, since ", spoken_duration(lasted(queue))))
                .at(queue.started_at)
        };
        let mark = if are_taken { Mark::Good } else { Mark::Info };
        Section {
            brief: Line::of(if are_taken {
                format!(" after {spoken}.")
            } else {
                format!(". They waited too long for {spoken}.")
            }),
            lead: match queues {
                [one] => Line::of("Jobs waited too long from ")
                    .at(one.started_at)
                    .text(" to ")
                    .at(ended(one))
                    .text(format!(" ({spoken}).")),
                _ => Line::of(format!("In one of these queues jobs waited too long for {spoken}.")),
            },
            items: if queues.len() > 1 { queues.iter().take(MAX_ITEMS).map(item).collect() } else { Vec::new() },
            total: if queues.len() > 1 { queues.len() } else { 0 },
            lacks_target: true,
            ..part(mark, title)
        }
    }

    /// An earlier message about queues, updated.
    pub(super) fn live_queues(&self, queues: &[Outage]) -> Section {
        let (open, over): (Vec<Outage>, Vec<Outage>) = queues.iter().cloned().partition(Outage::is_open);
        if open.is_empty() { self.jobs_taken(&over) } else { self.jobs_waiting(&open) }
    }
}

fn ended(queue: &Outage) -> Timestamp {
    queue.resolved_at.unwrap_or(queue.confirmed_at)
}

/// How long some job of the queue waited too long: not always the same one.
fn lasted(queue: &Outage) -> Duration {
    ended(queue).since(queue.started_at)
}

pub(super) fn job_item(job: &JobName) -> Line {
    let line = Line::default().name(&job.name).text(" in ").name(&place(&job.repository)).text(", since ");
    let line = line.at(job.queued_at);
    if job.url.is_empty() { line } else { line.text(" · ").link("open", job.url.clone()) }
}

/// What a person can do about it.
fn what_helps(reason: &WaitReason) -> Line {
    match reason {
        WaitReason::NoRunner { .. } => {
            Line::of("Register a runner with these labels, or correct `runs-on` of the workflow.")
        }
        WaitReason::Idle { .. } => {
            Line::of("Check in the settings of its runner group that the repository may use it.")
        }
        WaitReason::Busy { .. } => Line::of("Add runners if this happens often."),
        WaitReason::VersionEnded { .. } => Line::of("Update the runners."),
        WaitReason::Offline { .. } => Line::of("See which they are: ").command("/runner-status LABEL").text("."),
    }
}

/// Why no runner takes the jobs, as a sentence.
pub(super) fn reason(reason: &WaitReason) -> Line {
    reason.sentence().into_iter().fold(Line::default(), |line, said| match said {
        Said::Words(words) => line.text(words),
        Said::Name(name) => line.name(name),
        Said::At(at) => line.at(at),
        Said::On(at) => line.on(at),
    })
}
