//! Limits the checks that people ask for.

use std::time::Duration;

use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;

use super::Check;
use crate::items::{Item, Marker};
use crate::keys::Key;
use crate::messages::{CheckJob, Reason};
use crate::ports::{Clock, Outgoing, RunnerSource, Sender, Store};
use crate::records;
use crate::stages::Disposition;

/// At most one check of a target that people ask for begins in each window of this length.
const BY_HAND_WINDOW: Duration = Duration::from_secs(15);

impl<St: Store, Gh: RunnerSource, Jobs: Sender, Changes: Sender, Cl: Clock> Check<'_, St, Gh, Jobs, Changes, Cl> {
    /// Whether a check by hand may begin now. One begins in each window. The next job in the same window sends one more
    /// for the following window; that one covers all other jobs, because it begins after each of them was received.
    pub(super) async fn may_check_by_hand(&self, target: &Target, now: Timestamp) -> Result<bool, Disposition> {
        let window_secs = BY_HAND_WINDOW.as_secs().cast_signed();
        let window = now.epoch_secs().div_euclid(window_secs);
        let marker = |window: i64| Marker {
            subject: target.into(),
            number: window.max(1).unsigned_abs(),
            nonce: self.clock.random(),
            at: now,
        };
        let markers = [marker(window), marker(window + 1)];
        let keys = markers.each_ref().map(|marker| Item::Marker(marker.clone()).key());
        let stored = self.store.get(&keys).await?;
        let [this, next] = markers;
        let is_free = |key: &Key| !stored.iter().any(|item| item.key() == *key);
        if is_free(&keys[0]) && records::mark(self.store, self.clock, this).await? {
            return Ok(true);
        }
        if is_free(&keys[1]) && records::mark(self.store, self.clock, next).await? {
            // Sent as a recheck: as a manual job it would find its window taken by its own marker.
            let job = CheckJob {
                target: target.clone(),
                reason: Reason::Recheck,
                requested_at: Some(now),
                valid_until: None,
            };
            let begins = Timestamp::from_epoch_ms((window + 1) * window_secs * 1_000);
            let delay = Duration::from_secs(begins.since(now).as_millis().div_ceil(1_000).try_into().unwrap_or(0));
            self.jobs.send(vec![Outgoing { body: job.to_json(), delay, ..Outgoing::default() }]).await?;
        }
        Ok(false)
    }
}
