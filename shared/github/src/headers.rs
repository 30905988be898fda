//! Reads the headers of GitHub's answers.

use chrono::{DateTime, NaiveDateTime};
use monitor_domain::observation::CredentialReport;
use monitor_domain::time::Timestamp;
use reqwest::Url;
use reqwest::header::HeaderMap;

/// A header's text, if it is present and ASCII.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A header's value as a whole number.
pub(crate) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}

/// The date of the answer by GitHub's clock, to the second.
pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = DateTime::parse_from_rfc2822(text(headers, "date")?).ok()?;
    Some(Timestamp::from_epoch_ms(date.timestamp_millis()))
}

/// The names in a list such as `x-oauth-scopes`; `None` if the header is missing.
pub(crate) fn names(headers: &HeaderMap, name: &str) -> Option<Vec<String>> {
    let names = text(headers, name)?.split(',').map(str::trim);
    Some(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// Updates a report. Values that the headers omit stay as they were.
pub(crate) fn update(report: &mut CredentialReport, headers: &HeaderMap) {
    let quota = |name| number(headers, name).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    let reset = number(headers, "x-ratelimit-reset").and_then(|secs| i64::try_from(secs).ok());
    let reset = reset.map(|secs| Timestamp::from_epoch_ms(secs.saturating_mul(1000)));
    let expiry = text(headers, "github-authentication-token-expiration").and_then(expiry);
    report.quota_remaining = quota("x-ratelimit-remaining").or(report.quota_remaining);
    report.quota_limit = quota("x-ratelimit-limit").or(report.quota_limit);
    report.quota_resets_at = reset.or(report.quota_resets_at);
    report.expires_at = expiry.or(report.expires_at);
}

/// Parses `2026-12-13 00:00:00 UTC` or `2026-12-13 00:00:00 +0200`.
fn expiry(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let epoch_ms = match text.strip_suffix("UTC") {
        Some(utc) => {
            let naive = NaiveDateTime::parse_from_str(utc.trim_end(), "%Y-%m-%d %H:%M:%S").ok()?;
            naive.and_utc().timestamp_millis()
        }
        None => DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S %z").ok()?.timestamp_millis(),
    };
    Some(Timestamp::from_epoch_ms(epoch_ms))
}

/// What a `Link` header says about the pages after this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Links {
    /// Whether there is a next page.
    pub(crate) next: bool,
    /// The number of the last page, if it is given.
    pub(crate) last: Option<u32>,
}

/// Reads the `Link` headers. Only numbers are taken from them: every page is requested at the configured address, so
/// that the token is sent nowhere else.
pub(crate) fn links(headers: &HeaderMap) -> Links {
    let mut links = Links::default();
    let values = headers.get_all("link").iter().filter_map(|value| value.to_str().ok());
    for link in values.flat_map(|value| value.split(", <")) {
        let Some((address, parameters)) = link.trim_start_matches('<').split_once('>') else { continue };
        if parameters.contains("rel=\"next\"") {
            links.next = true;
        }
        if parameters.contains("rel=\"last\"") {
            links.last = page_number(address);
        }
    }
    links
}

fn page_number(address: &str) -> Option<u32> {
    let url = Url::parse(address).ok()?;
    let (_, page) = url.query_pairs().find(|(name, _)| name == "page")?;
    page.parse().ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        pairs.collect()
    }

    #[test]
    fn links_say_whether_there_is_more_and_which_page_is_last() {
        let link = |value| links(&headers(&[("link", value)]));
        let first = "<https://api.github.com/repositories/1/actions/runners?per_page=100&page=2>; rel=\"next\", \
                     <https://api.github.com/repositories/1/actions/runners?per_page=100&page=7>; rel=\"last\"";
        assert_eq!(link(first), Links { next: true, last: Some(7) });
        let last = "<https://h/x?page=6>; rel=\"prev\", <https://h/x?page=1>; rel=\"first\"";
        assert_eq!(link(last), Links::default());
        let cursor = "<https://h/x?after=abc,def&per_page=9>; rel=\"next\"";
        assert_eq!(link(cursor), Links { next: true, last: None });
        assert_eq!(link("nonsense"), Links::default());
        assert_eq!(links(&HeaderMap::new()), Links::default());
    }

    #[test]
    fn a_token_expires_at_the_same_moment_in_either_format() {
        let midnight = "2026-12-13T00:00:00Z".parse().ok();
        assert_eq!(expiry("2026-12-13 00:00:00 UTC"), midnight);
        assert_eq!(expiry("2026-12-13 02:00:00 +0200"), midnight);
        assert_eq!(expiry("2026-12-12 19:00:00 -0500"), midnight);
        assert_eq!(expiry("soon"), None);
    }

    #[test]
    fn a_report_keeps_values_that_an_answer_omits() {
        let mut report = CredentialReport::default();
        update(
            &mut report,
            &headers(&[
                ("x-ratelimit-limit", "5000"),
                ("x-ratelimit-remaining", "4999"),
                ("x-ratelimit-reset", "1795436000"),
                ("github-authentication-token-expiration", "2026-12-13 00:00:00 UTC"),
            ]),
        );
        let before = report;
        assert_eq!(before.quota_resets_at, Some(Timestamp::from_epoch_ms(1_795_436_000_000)));
        update(&mut report, &headers(&[("x-ratelimit-remaining", "7")]));
        assert_eq!(report, CredentialReport { quota_remaining: Some(7), ..before });
    }

    #[test]
    fn dates_and_names_are_read() {
        let headers = headers(&[
            ("date", "Mon, 23 Nov 2026 12:00:00 GMT"),
            ("x-oauth-scopes", "repo, admin:org"),
            ("x-none", ""),
        ]);
        assert_eq!(date(&headers), Some(Timestamp::from_epoch_ms(1_795_435_200_000)));
        assert_eq!(names(&headers, "x-oauth-scopes"), Some(vec!["repo".to_owned(), "admin:org".to_owned()]));
        assert_eq!((names(&headers, "x-none"), names(&headers, "x-other")), (Some(vec![]), None));
    }
}
