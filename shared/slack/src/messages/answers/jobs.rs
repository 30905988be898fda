//! The jobs that wait for a runner.

use monitor_domain::jobs::Queue;
use monitor_domain::target::Target;
use monitor_domain::time::spoken_duration;

use super::{AnswerBuilder, MAX_LINES, labels, part, place};
use crate::document::{Line, Mark, Section};
use crate::messages::jobs::{job_item, reason};

impl AnswerBuilder<'_> {
    pub(super) fn jobs(&self, queues: &[(Target, Queue)]) -> Section {
        let waiting: u64 = queues.iter().map(|(_, queue)| u64::from(queue.waiting.count)).sum();
        let mut items = Vec::new();
        for (target, Queue { labels: wanted, waiting }) in queues {
            let lasted = spoken_duration(self.now.since(waiting.since));
            let head = labels(wanted, 10).text(format!(": {waiting} in ")).name(&place(target));
            items.push(head.text(format!(", the oldest for {lasted}. ")).and(reason(&waiting.reason)));
            items.extend(waiting.jobs.iter().map(job_item));
        }
        let (mark, title) = match waiting {
            0 => (Mark::Good, "No job waits for a runner".to_owned()),
            1 => (Mark::Warning, "1 job waits for a runner".to_owned()),
            waiting => (Mark::Warning, format!("{waiting} jobs wait for a runner")),
        };
        let lead = match waiting {
            0 => "As far as GitHub has reported. Without a webhook it reports no jobs.",
            _ => "As GitHub has reported; the longest wait first.",
        };
        Section {
            lead: Line::of(lead),
            total: items.len(),
            items: items.into_iter().take(MAX_LINES).collect(),
            ..part(mark, title)
        }
    }
}
