//! Send what a check leads to, and log how it ended.

use monitor_domain::observation::Fault;
use monitor_domain::target::{Target, TargetKind};
use monitor_domain::time::Timestamp;
use tracing::{debug, info, warn};

use super::Check;
use super::outcome::{Announced, CheckEnding, CheckOutcome, CheckReport};
use crate::messages::{CheckJob, Reason};
use crate::ports::{Clock, Outgoing, RunnerSource, Sender, Store};
use crate::stages::{Disposition, announce};

impl<St: Store, Gh: RunnerSource, Jobs: Sender, Changes: Sender, Cl: Clock> Check<'_, St, Gh, Jobs, Changes, Cl> {
    /// Sends the recheck and the state-change messages, and logs the result of the check.
    pub(super) async fn pass_on(&self, target: &Target, outcome: CheckOutcome, now: Timestamp) -> CheckReport {
        let mut disposition = Disposition::Done;
        if let Some(delay) = outcome.recheck {
            let job = CheckJob {
                target: target.clone(),
                reason: Reason::Recheck,
                requested_at: Some(now),
                valid_until: None,
            };
            let message = Outgoing { body: job.to_json(), delay, ..Outgoing::default() };
            if let Err(error) = self.jobs.send(vec![message]).await {
                // The next tick checks again in any case: the runner is settled later, never too early.
                warn!(target_id = %target, %error, "the recheck was not sent");
            }
        }
        for Announced { message, last } in &outcome.announced {
            if let Err(error) = announce(self.changes, message, *last, now).await {
                warn!(target_id = %target, %error, "the state-change message was not sent");
                disposition = error.into();
            }
        }
        match &outcome.ending {
            CheckEnding::Failed(failure) if matches!(failure.fault, Fault::Limited { .. }) => {
                info!(target_id = %target, %failure, "not checked: the credential is rate limited");
            }
            // This affects every target of the credential: the warning is logged once, for the credential.
            CheckEnding::Failed(failure) if failure.fault.is_shared() => {
                info!(target_id = %target, %failure, "not checked")
            }
            // The target that is not known has a warning of its own.
            CheckEnding::Failed(failure) if target.kind() == TargetKind::Pools => {
                info!(target_id = %target, %failure, "the pools stay as they are");
            }
            CheckEnding::Failed(failure) => warn!(target_id = %target, %failure, "not checked"),
            CheckEnding::Late(failure) => {
                warn!(target_id = %target, %failure, "the check took longer than the interval: it counts as failed");
            }
            CheckEnding::Seen(counts) => {
                let events = outcome.events.len();
                debug!(target_id = %target, runners = counts.total, online = counts.online, events, "checked");
            }
            ending => debug!(target_id = %target, ?ending, "checked"),
        }
        let CheckOutcome { ending, events, credential, pending_since, .. } = outcome;
        CheckReport { disposition, ending, events, credential, pending_since }
    }
}
