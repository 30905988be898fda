//! GitHub's primary and secondary rate limits, counted for each token.

use std::collections::VecDeque;

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// The secondary limits and how a request beyond them is refused.
///
/// Source: <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Points of one token in any 60 s; a read takes 1, a write 5.
    pub points_per_minute: u64,
    /// The most requests in flight.
    pub max_in_flight: usize,
    /// Status of a refusal by a limit of either kind, 403 or 429.
    pub status: u16,
    /// Value of `retry-after` in a secondary refusal; `None` leaves the header out.
    pub retry_after_secs: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { points_per_minute: 900, max_in_flight: 100, status: 403, retry_after_secs: Some(60) }
    }
}

/// What one token has used.
#[derive(Clone)]
pub(crate) struct Usage {
    /// Requests per hour.
    pub(crate) limit: u64,
    used: u64,
    hour_began_ms: Option<i64>,
    points: VecDeque<(i64, u64)>,
    /// The most points taken in any minute.
    pub(crate) most_points: u64,
}

/// The primary limit as in the `x-ratelimit-*` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Primary {
    pub(crate) limit: u64,
    pub(crate) used: u64,
    pub(crate) remaining: u64,
    pub(crate) reset_epoch_secs: i64,
}

impl Usage {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, used: 0, hour_began_ms: None, points: VecDeque::new(), most_points: 0 }
    }

    /// The primary limit at this time; an hour starts with its first charged request.
    pub(crate) fn primary(&mut self, now_ms: i64) -> Primary {
        if self.hour_began_ms.is_some_and(|began| now_ms >= began + HOUR_MS) {
            self.hour_began_ms = None;
            self.used = 0;
        }
        let reset_ms = self.hour_began_ms.unwrap_or(now_ms) + HOUR_MS;
        Primary {
            limit: self.limit,
            used: self.used,
            remaining: self.limit.saturating_sub(self.used),
            reset_epoch_secs: reset_ms.div_euclid(1000) + i64::from(reset_ms % 1000 != 0),
        }
    }

    /// Charges one request to the primary limit.
    pub(crate) fn charge(&mut self, now_ms: i64) {
        self.hour_began_ms.get_or_insert(now_ms);
        self.used = (self.used + 1).min(self.limit);
    }

    /// Uses up the primary limit until its reset.
    pub(crate) fn exhaust(&mut self, now_ms: i64) {
        self.hour_began_ms.get_or_insert(now_ms);
        self.used = self.limit;
    }

    /// Takes points of the rolling minute; false if that would exceed the limit.
    pub(crate) fn take_points(&mut self, points: u64, per_minute: u64, now_ms: i64) -> bool {
        while matches!(self.points.front(), Some((at, _)) if now_ms - at >= MINUTE_MS) {
            self.points.pop_front();
        }
        let taken: u64 = self.points.iter().map(|(_, points)| points).sum();
        if taken + points > per_minute {
            return false;
        }
        self.points.push_back((now_ms, points));
        self.most_points = self.most_points.max(taken + points);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_begins_with_its_first_request_and_ends_after_3600_s() {
        let mut usage = Usage::new(2);
        assert_eq!(usage.primary(1_500).reset_epoch_secs, 3_602);
        usage.charge(5_000);
        usage.charge(6_000);
        usage.charge(7_000);
        let spent = usage.primary(3_604_999);
        assert_eq!((spent.used, spent.remaining), (2, 0));
        assert_eq!(spent.reset_epoch_secs, 3_605);
        assert_eq!(usage.primary(3_605_000).remaining, 2);
    }

    #[test]
    fn the_minute_rolls() {
        let mut usage = Usage::new(5_000);
        assert!(usage.take_points(1, 2, 0));
        assert!(usage.take_points(1, 2, 30_000));
        assert!(!usage.take_points(1, 2, 59_999));
        assert!(usage.take_points(1, 2, 60_000));
        assert!(!usage.take_points(1, 2, 60_000));
    }
}
