//! GitHub's limits: recognized in answers, and remembered.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::DateTime;
use monitor_domain::observation::{Failure, Fault};
use monitor_domain::time::Timestamp;
use reqwest::header::HeaderMap;

use crate::headers::{number, text};

/// The wait after a limit that does not say how long; doubled with each further one, up to [`LONGEST_WAIT`]. GitHub
/// requires at least a minute, and longer each time:
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>
const SHORTEST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// One in this many requests of the hourly quota is never used, so that concurrent requests do not exhaust it.
const NEVER_USED: u64 = 50;
/// A longer wait than this is not a limit but a faulty header.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 60 * 60);

/// How an answer shows that a limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It says when the limit ends.
    Until(Timestamp),
    /// The hourly quota is used up until this moment.
    UsedUpUntil(Timestamp),
    /// It does not say when the limit ends.
    Unexplained,
}

/// The limit that an answer with this status shows, if any. `message` is the one in its body.
pub(crate) fn sign(status: u16, headers: &HeaderMap, message: Option<&str>, now: Timestamp) -> Option<Sign> {
    if !matches!(status, 403 | 429) {
        return None;
    }
    if let Some(until) = text(headers, "retry-after").and_then(|value| retry_after(value, now)) {
        return Some(Sign::Until(until));
    }
    if number(headers, "x-ratelimit-remaining") == Some(0) {
        let reset_secs = number(headers, "x-ratelimit-reset").and_then(|secs| i64::try_from(secs).ok());
        let reset = reset_secs.map(|secs| Timestamp::from_epoch_ms(secs.saturating_mul(1000)));
        // A reset in the past means that the clocks differ.
        let ahead = |reset: &Timestamp| *reset > now && *reset <= now.plus(LONGEST_ASKED);
        return Some(reset.filter(ahead).map_or(Sign::Unexplained, Sign::UsedUpUntil));
    }
    let message = message.unwrap_or_default().to_ascii_lowercase();
    let speaks_of_limit = message.contains("rate limit") || message.contains("abuse detection");
    (status == 429 || speaks_of_limit).then_some(Sign::Unexplained)
}

/// Parses seconds or a date.
fn retry_after(value: &str, now: Timestamp) -> Option<Timestamp> {
    let until = match value.trim().parse::<u64>() {
        Ok(secs) => now.plus(Duration::from_secs(secs)),
        Err(_) => Timestamp::from_epoch_ms(DateTime::parse_from_rfc2822(value).ok()?.timestamp_millis()),
    };
    Some(until.clamp(now.plus(Duration::from_secs(1)), now.plus(LONGEST_ASKED)))
}

/// When the next hour begins, if an answer shows that this hour's quota is almost used up. Every answer reports what is
/// left to all processes with the credential, so that they stop without knowing each other.
pub(crate) fn nearly_used_up(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let remaining = number(headers, "x-ratelimit-remaining")?;
    if remaining > number(headers, "x-ratelimit-limit")? / NEVER_USED {
        return None;
    }
    let reset_secs = number(headers, "x-ratelimit-reset").and_then(|secs| i64::try_from(secs).ok())?;
    let reset = Timestamp::from_epoch_ms(reset_secs.saturating_mul(1000));
    (reset > now && reset <= now.plus(LONGEST_ASKED)).then_some(reset)
}

/// The known limits of one credential, for as long as the process lives.
#[derive(Default)]
pub(crate) struct Limits(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    /// Until when GitHub accepts no request.
    until: Timestamp,
    /// Until when the hourly quota is almost used up.
    used_up_until: Timestamp,
    /// Limited answers since the last good one; those that arrive while a limit is known are not counted.
    in_a_row: u32,
}

impl Limits {
    /// The failure of a request that must not be sent. A free request may be sent if only the hourly quota is used up.
    pub(crate) fn refusal(&self, now: Timestamp, is_free: bool) -> Option<Failure> {
        let of_all = |memory: &Memory| memory.until.max(memory.used_up_until);
        let until = self.memory(|memory| if is_free { memory.until } else { of_all(memory) });
        (until > now).then(|| failure(until))
    }

    /// Remembers a limited answer.
    pub(crate) fn hit(&self, now: Timestamp, sign: Sign) -> Failure {
        self.memory(|memory| {
            let known = memory.until.max(memory.used_up_until) > now;
            if !known {
                memory.in_a_row = memory.in_a_row.saturating_add(1);
            }
            match sign {
                Sign::Until(until) => memory.until = until.max(memory.until),
                Sign::UsedUpUntil(until) => memory.used_up_until = until.max(memory.used_up_until),
                Sign::Unexplained if known => {}
                Sign::Unexplained => memory.until = now.plus(growing_wait(memory.in_a_row)),
            }
            failure(memory.until.max(memory.used_up_until))
        })
    }

    /// Remembers that no request may be sent until then, although none was refused.
    pub(crate) fn stop(&self, until: Timestamp) {
        self.memory(|memory| memory.used_up_until = until.max(memory.used_up_until));
    }

    /// Remembers a good answer. One that arrives while a limit is known does not end it.
    pub(crate) fn served(&self, now: Timestamp) {
        self.memory(|memory| {
            if memory.until.max(memory.used_up_until) <= now {
                memory.in_a_row = 0;
            }
        });
    }

    fn memory<T>(&self, with: impl FnOnce(&mut Memory) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn growing_wait(in_a_row: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(in_a_row.saturating_sub(1));
    SHORTEST_WAIT.saturating_mul(doubled).min(LONGEST_WAIT)
}

fn failure(until: Timestamp) -> Failure {
    Failure::new(Fault::Limited { until }, format!("GitHub's rate limit is reached: no requests before {until}"))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    const NOW: Timestamp = Timestamp::from_epoch_ms(1_795_435_200_000);

    fn after(secs: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(secs))
    }

    fn read(status: u16, headers: &[(&'static str, &'static str)], message: &str) -> Option<Sign> {
        let headers =
            headers.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        sign(status, &headers.collect(), Some(message), NOW)
    }

    #[test]
    fn every_sign_of_a_limit_is_read_in_githubs_order_of_precedence() {
        let spent = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795436000")];
        let reset_passed = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795430000")];
        let both = [("retry-after", "30"), spent[0], spent[1]];
        assert_eq!(read(429, &both, ""), Some(Sign::Until(after(30))));
        assert_eq!(read(403, &spent, ""), Some(Sign::UsedUpUntil(after(800))));
        assert_eq!(read(403, &spent[..1], ""), Some(Sign::Unexplained));
        assert_eq!(read(403, &reset_passed, ""), Some(Sign::Unexplained));
        let dated = [("retry-after", "Mon, 23 Nov 2026 12:02:00 GMT")];
        assert_eq!(read(403, &dated, ""), Some(Sign::Until(after(120))));
        assert_eq!(read(429, &[("retry-after", "99999999999")], ""), Some(Sign::Until(after(86_400))));
        for message in ["You have exceeded a secondary rate limit.", "You have triggered an abuse detection mechanism."]
        {
            assert_eq!(read(403, &[], message), Some(Sign::Unexplained), "{message}");
        }
        assert_eq!(read(429, &[], "Whoa there!"), Some(Sign::Unexplained));
        assert_eq!(read(403, &[("x-ratelimit-remaining", "12")], "Resource not accessible"), None);
        assert_eq!(read(404, &spent, "Not Found"), None);
    }

    #[test]
    fn an_almost_used_up_quota_is_detected() {
        let named_end = |remaining, limit, reset| {
            let pairs =
                [("x-ratelimit-remaining", remaining), ("x-ratelimit-limit", limit), ("x-ratelimit-reset", reset)];
            let headers = pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            nearly_used_up(&HeaderMap::from_iter(headers), NOW)
        };
        assert_eq!(named_end("101", "5000", "1795436000"), None);
        assert_eq!(named_end("100", "5000", "1795436000"), Some(after(800)));
        assert_eq!(named_end("0", "40", "1795436000"), Some(after(800)));
        assert_eq!((named_end("0", "5000", "1795430000"), named_end("0", "5000", "9999999999")), (None, None));
        assert_eq!(nearly_used_up(&HeaderMap::new(), NOW), None);
        let limits = Limits::default();
        limits.stop(after(800));
        limits.served(NOW);
        assert_eq!(
            limits.refusal(after(799), false).map(|failure| failure.fault),
            Some(Fault::Limited { until: after(800) })
        );
        assert_eq!(limits.refusal(after(800), false), None);
    }

    #[test]
    fn waits_that_github_does_not_specify_double_up_to_15_minutes_and_restart_after_success() {
        let limits = Limits::default();
        let mut now = NOW;
        for wait_secs in [60, 120, 240, 480, 900, 900] {
            let failure = limits.hit(now, Sign::Unexplained);
            let until = now.plus(Duration::from_secs(wait_secs));
            assert_eq!(failure.fault, Fault::Limited { until });
            // Another answer of the same burst makes the wait neither longer nor shorter.
            assert_eq!(limits.hit(now, Sign::Unexplained), failure);
            assert_eq!(limits.refusal(now, true), Some(failure));
            limits.served(now);
            now = until;
            assert_eq!(limits.refusal(now, true), None);
        }
        limits.served(now);
        let until = now.plus(Duration::from_secs(60));
        assert_eq!(limits.hit(now, Sign::Unexplained).fault, Fault::Limited { until });
    }

    #[test]
    fn of_two_ends_of_a_limit_the_later_one_applies() {
        let limits = Limits::default();
        limits.hit(NOW, Sign::Until(after(600)));
        let failure = limits.hit(NOW, Sign::Until(after(30)));
        assert_eq!(failure.fault, Fault::Limited { until: after(600) });
    }
}
