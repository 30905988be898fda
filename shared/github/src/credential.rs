//! The state of each credential, kept while the process lives.

use std::sync::{Mutex, PoisonError};

use monitor_domain::observation::CredentialReport;
use monitor_domain::time::Timestamp;
use reqwest::header::HeaderMap;

use crate::endpoint::Endpoint;
use crate::headers;
use crate::limits::Limits;
use crate::pace::Pace;
use crate::settings::Settings;
use crate::token_cache::TokenCache;

/// A credential's pace, limits, token and latest report.
pub(crate) struct CredentialState {
    pub(crate) pace: Pace,
    pub(crate) limits: Limits,
    /// The token of a GitHub App's installation; unused with a personal access token.
    pub(crate) token_cache: TokenCache,
    latest_report: Mutex<LatestReport>,
}

/// What the headers of the latest answers reported.
#[derive(Clone, Copy, Default)]
pub(crate) struct LatestReport {
    pub(crate) report: CredentialReport,
    /// This machine's clock minus GitHub's, in milliseconds.
    pub(crate) clock_ahead_ms: Option<i64>,
}

impl CredentialState {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            pace: Pace::new(settings.max_concurrent_requests, settings.max_requests_per_minute),
            limits: Limits::default(),
            token_cache: TokenCache::default(),
            latest_report: Mutex::default(),
        }
    }

    /// Stores what an answer's headers report. Answers to the App itself report the App's own quota, which is ignored.
    pub(crate) fn note(&self, headers: &HeaderMap, endpoint: Endpoint<'_>, now: Timestamp) {
        let mut latest_report = self.latest_report.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(endpoint, Endpoint::Installation(_)) {
            headers::update(&mut latest_report.report, headers);
        }
        if let Some(date) = headers::date(headers) {
            latest_report.clock_ahead_ms = Some(now.epoch_ms().saturating_sub(date.epoch_ms()));
        }
    }

    pub(crate) fn latest_report(&self) -> LatestReport {
        *self.latest_report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn the_quota_of_an_app_itself_is_not_that_of_its_installation() {
        let settings = Settings::new(crate::settings::Credential::Token(monitor_domain::secret::Secret::new("x")));
        let credential_state = CredentialState::new(&settings);
        let note = |remaining, endpoint| {
            let headers = [("x-ratelimit-remaining", remaining), ("date", "Thu, 01 Jan 1970 00:00:01 GMT")];
            let headers = headers
                .map(|(name, value)| (reqwest::header::HeaderName::from_static(name), HeaderValue::from_static(value)));
            credential_state.note(&HeaderMap::from_iter(headers), endpoint, Timestamp::from_epoch_ms(3_000));
            credential_state.latest_report()
        };
        assert_eq!(note("7", Endpoint::Installation("acme")).report, CredentialReport::default());
        assert_eq!(note("7", Endpoint::Repositories("acme")).report.quota_remaining, Some(7));
        assert_eq!(note("9", Endpoint::Installation("acme")).report.quota_remaining, Some(7));
        assert_eq!(credential_state.latest_report().clock_ahead_ms, Some(2_000));
    }
}
