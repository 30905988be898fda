//! Log lines about refused requests: a flood of requests gives a few lines, not one each.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use monitor_domain::time::Timestamp;
use tracing::warn;

/// The shortest time between two log lines with the same reason.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Counts refused requests by reason and logs each reason at most once a minute.
#[derive(Debug)]
pub struct Refusals<Reason>(Mutex<BTreeMap<Reason, Noted>>);

impl<Reason> Default for Refusals<Reason> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[derive(Debug)]
struct Noted {
    logged_at: Timestamp,
    /// The number of requests since then.
    unlogged: u64,
}

impl Noted {
    /// Whether it is time to log again. A clock that was set back must not silence the log.
    fn is_due(&self, now: Timestamp) -> bool {
        now < self.logged_at || now.since(self.logged_at) >= LOG_EVERY
    }
}

impl<Reason: Copy + Display + Ord> Refusals<Reason> {
    /// Counts a request, and logs it unless its reason was logged within the last minute.
    pub fn note(&self, reason: Reason, now: Timestamp) {
        if let Some(count) = self.counted(reason, now) {
            log(reason, count);
        }
    }

    /// Logs the counts whose minute has passed. A host calls it every minute if it can.
    pub fn log_due(&self, now: Timestamp) {
        self.taken(|noted| noted.is_due(now), now).into_iter().for_each(|(reason, count)| log(reason, count));
    }

    /// Logs all remaining counts: called before the process ends.
    pub fn log_rest(&self, now: Timestamp) {
        self.taken(|_| true, now).into_iter().for_each(|(reason, count)| log(reason, count));
    }

    fn noted(&self) -> MutexGuard<'_, BTreeMap<Reason, Noted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request; returns the number to log now, if any.
    fn counted(&self, reason: Reason, now: Timestamp) -> Option<u64> {
        let mut noted = self.noted();
        let Some(of_reason) = noted.get_mut(&reason) else {
            noted.insert(reason, Noted { logged_at: now, unlogged: 0 });
            return Some(1);
        };
        of_reason.unlogged += 1;
        of_reason.is_due(now).then(|| {
            of_reason.logged_at = now;
            std::mem::take(&mut of_reason.unlogged)
        })
    }

    /// Takes the counts of the reasons that are due.
    fn taken(&self, is_due: impl Fn(&Noted) -> bool, now: Timestamp) -> Vec<(Reason, u64)> {
        let mut noted = self.noted();
        let due = noted.iter_mut().filter(|(_, noted)| noted.unlogged > 0 && is_due(noted));
        due.map(|(reason, noted)| {
            noted.logged_at = now;
            (*reason, std::mem::take(&mut noted.unlogged))
        })
        .collect()
    }
}

fn log(reason: impl Display, count: u64) {
    warn!(%reason, count, "requests were refused");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Refusal;

    #[test]
    fn a_flood_is_one_line_a_minute_and_every_request_is_counted() {
        let refusals = Refusals::default();
        let at = |secs: i64| Timestamp::from_epoch_ms(1_800_000_000_000 + secs * 1_000);
        let flood = |count: usize, secs: i64| -> Vec<u64> {
            (0..count).filter_map(|_| refusals.counted(Refusal::BadSignature, at(secs))).collect()
        };
        let due = |secs: i64| refusals.taken(|noted| noted.is_due(at(secs)), at(secs));
        assert_eq!(flood(2_000, 0), [1]);
        assert_eq!(refusals.counted(Refusal::Ended, at(1)), Some(1), "each reason by itself");
        assert_eq!(due(59), []);
        assert_eq!(due(60), [(Refusal::BadSignature, 1_999)]);
        // Without a call every minute, the next request with the same reason is logged with the count.
        assert!(flood(5, 70).is_empty());
        assert_eq!(flood(5, 120), [6]);
        assert_eq!(refusals.taken(|_| true, at(121)), [(Refusal::BadSignature, 4)]);
        assert_eq!(due(500), []);
        // The clock is set back by a day.
        assert_eq!(flood(3, -86_400), [1]);
        assert_eq!(due(-86_330), [(Refusal::BadSignature, 2)]);
    }
}
