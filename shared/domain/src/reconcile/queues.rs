//! Evaluates the queues of a target: each like a runner that is offline while its oldest job waits too long.

use super::Reconciliation;
use super::evaluation::Evaluation;
use crate::jobs::Job;
use crate::queues::{JobsSeen, waiting_queues};
use crate::runner::Runner;

impl Reconciliation<'_> {
    /// Evaluates every queue with an overdue job, and ends the others.
    pub(super) fn evaluate_queues(&mut self) {
        // Without an answer about its jobs a queue stays as it is.
        let mut unanswered = Vec::new();
        let waiting = match self.context.jobs {
            JobsSeen::Unknown => return,
            JobsSeen::Off => Vec::new(),
            JobsSeen::Seen { jobs, confirmed, refused, unanswered: ids, elsewhere } => {
                unanswered.extend(jobs.iter().filter(|job| ids.contains(&job.id)).map(Job::queue_id));
                let runners: Vec<&Runner> = self.runners_after().chain(elsewhere).collect();
                waiting_queues(jobs, confirmed, refused, &runners, self.context.at)
            }
        };
        let mut queues = Vec::new();
        for queue in &waiting {
            let known = self.fleet.queues.iter().find(|known| known.id == queue.id());
            let mut evaluation = match known {
                Some(known) => Evaluation::new(known, &self.context),
                None => Evaluation::registered(Runner::first_queue(queue, self.context.at), &self.context),
            };
            evaluation.on_waiting(queue);
            queues.push(evaluation);
        }
        let is_settled =
            |known: &&Runner| !unanswered.contains(&known.id) && !waiting.iter().any(|queue| queue.id() == known.id);
        for known in self.fleet.queues.iter().filter(is_settled) {
            let mut evaluation = Evaluation::new(known, &self.context);
            match self.context.jobs {
                JobsSeen::Off => evaluation.retire_pool(),
                _ => evaluation.on_taken(),
            }
            queues.push(evaluation);
        }
        self.queues = queues;
    }
}
