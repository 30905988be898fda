//! Evaluates the queues of a target: each like a runner that is offline while its oldest job waits too long.

use super::Reconciliation;
use super::evaluation::Evaluation;
use crate::queues::{JobsSeen, waiting_queues};
use crate::runner::Runner;

impl Reconciliation<'_> {
    /// Evaluates every queue with an overdue job, and ends the others.
    pub(super) fn evaluate_queues(&mut self) {
        let waiting = match self.context.jobs {
            JobsSeen::Unknown => return,
            JobsSeen::Off => Vec::new(),
            JobsSeen::Seen { jobs, confirmed, elsewhere, is_unconfirmed } => {
                let runners: Vec<&Runner> = self.runners_after().chain(elsewhere).collect();
                let mut waiting = waiting_queues(jobs, confirmed, &runners, self.context.at);
                waiting.iter_mut().for_each(|queue| queue.waiting.is_unconfirmed = *is_unconfirmed);
                waiting
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
        for known in self.fleet.queues.iter().filter(|known| !waiting.iter().any(|queue| queue.id() == known.id)) {
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
