//! The settings of the GitHub client.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::app_key::KeyError;
use monitor_domain::secret::Secret;

/// The address of github.com's REST API.
pub const GITHUB_COM: &str = "https://api.github.com";

/// The settings of the GitHub client. [`Settings::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The credential of all requests.
    pub credential: Credential,
    /// The API's address; `https://HOST/api/v3` for an Enterprise Server. Default [`GITHUB_COM`].
    pub api_url: String,
    /// `X-GitHub-Api-Version`. Default `2022-11-28`, which every supported Enterprise Server supports.
    pub api_version: String,
    /// `User-Agent`, without which GitHub refuses every request.
    pub user_agent: String,
    /// The time limit for one request and its whole answer. Default 20 s.
    pub timeout: Duration,
    /// The proxy that the HTTP client uses, as `host:port`; named in an error if there is no connection.
    pub proxy: Option<String>,
    /// The most concurrent requests with one credential, at least 1. Default 100, GitHub's own limit:
    /// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits>
    pub max_concurrent_requests: usize,
    /// The most requests per minute with one credential, at least 1; `None` for a server without limits. Default 900,
    /// GitHub's own limit (same page).
    pub max_requests_per_minute: Option<usize>,
    /// The largest answer that is read, in bytes. Default 2 MB; a page of 100 runners has 30 to 60 KB.
    pub max_answer_bytes: usize,
    /// The most pages of 100 that a list may have. Default 100.
    pub max_pages: u32,
    /// The waits before each retry of a request that GitHub did not serve, randomly lengthened by up to half. Default
    /// 0.3 s and 1 s.
    pub retry_waits: Vec<Duration>,
}

impl Settings {
    /// The defaults, for github.com.
    pub fn new(credential: Credential) -> Self {
        Self {
            credential,
            api_url: GITHUB_COM.to_owned(),
            api_version: "2022-11-28".to_owned(),
            user_agent: concat!("github-runner-monitor/", env!("CARGO_PKG_VERSION")).to_owned(),
            timeout: Duration::from_secs(20),
            proxy: None,
            max_concurrent_requests: 100,
            max_requests_per_minute: Some(900),
            max_answer_bytes: 2_000_000,
            max_pages: 100,
            retry_waits: vec![Duration::from_millis(300), Duration::from_secs(1)],
        }
    }
}

/// The credential of requests to GitHub.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A personal access token, classic or fine-grained.
    Token(Secret),
    /// A GitHub App, which gets a token for each account that it is installed on.
    App {
        /// The App ID or client ID, from the App's settings page.
        app_id: String,
        /// The App's private key: PEM, PKCS#1 as from GitHub, or PKCS#8.
        private_key: Secret,
    },
}

/// Why the settings cannot be used, with a hint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The token is empty or contains characters that no token has.
    #[error("the GitHub token {0}: copy it again from the page where GitHub shows it")]
    Token(&'static str),
    /// The App's id is malformed.
    #[error("the GitHub App's id must be the App ID or client ID from the App's settings page, for example 123456")]
    AppId,
    /// The private key cannot be read.
    #[error("the GitHub App's private key cannot be used: {0}")]
    PrivateKey(#[from] KeyError),
    /// The API's address is malformed.
    #[error(
        "the GitHub API address {0}, for example https://api.github.com, or https://HOST/api/v3 for an Enterprise Server"
    )]
    ApiUrl(&'static str),
    /// A text does not fit into a header.
    #[error("the {0} must consist of ASCII letters, digits and punctuation")]
    Header(&'static str),
    /// A limit is zero, which would allow nothing.
    #[error("the {0} must be 1 or more")]
    Zero(&'static str),
}

impl Settings {
    /// The API's address without a trailing slash.
    pub(crate) fn parsed_api_url(&self) -> Result<Url, SettingsError> {
        let text = self.api_url.trim().trim_end_matches('/');
        let url = Url::parse(text).map_err(|_| SettingsError::ApiUrl("must be a URL"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(SettingsError::ApiUrl("must start with https:// or http://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SettingsError::ApiUrl("must not contain a user or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(SettingsError::ApiUrl("must end with its path"));
        }
        Ok(url)
    }

    /// The headers of every request.
    pub(crate) fn headers(&self) -> Result<HeaderMap, SettingsError> {
        let value = |text: &str, what| {
            let value = HeaderValue::from_str(text).ok();
            value.filter(|value| !value.is_empty()).ok_or(SettingsError::Header(what))
        };
        Ok(HeaderMap::from_iter([
            (HeaderName::from_static("accept"), HeaderValue::from_static("application/vnd.github+json")),
            (HeaderName::from_static("x-github-api-version"), value(&self.api_version, "API version")?),
            (HeaderName::from_static("user-agent"), value(&self.user_agent, "user agent")?),
        ]))
    }

    pub(crate) fn check_bounds(&self) -> Result<(), SettingsError> {
        for (is_zero, what) in [
            (self.timeout.is_zero(), "timeout"),
            (self.max_concurrent_requests == 0, "number of concurrent requests"),
            (self.max_requests_per_minute == Some(0), "number of requests per minute"),
            (self.max_answer_bytes == 0, "largest answer"),
            (self.max_pages == 0, "number of pages"),
        ] {
            if is_zero {
                return Err(SettingsError::Zero(what));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new(Credential::Token(Secret::new("ghp_x")))
    }

    #[test]
    fn an_address_is_read_without_its_trailing_slash_or_refused_with_a_hint() {
        let with = |api_url: &str| Settings { api_url: api_url.to_owned(), ..settings() }.parsed_api_url();
        assert_eq!(with("https://github.acme.example/api/v3/").unwrap().path(), "/api/v3");
        for bad in ["", "api.github.com", "ftp://x", "https://me:pw@x", "https://x?y=1"] {
            let error = with(bad).unwrap_err().to_string();
            assert!(error.contains("https://HOST/api/v3") && !error.contains("pw"), "{bad}: {error}");
        }
    }

    #[test]
    fn limits_of_zero_and_texts_that_do_not_fit_into_a_header_are_refused() {
        assert!(settings().check_bounds().is_ok());
        let none = Settings { max_requests_per_minute: Some(0), ..settings() };
        assert_eq!(none.check_bounds(), Err(SettingsError::Zero("number of requests per minute")));
        let agent = Settings { user_agent: "a\nb".to_owned(), ..settings() };
        assert_eq!(agent.headers(), Err(SettingsError::Header("user agent")));
    }

    #[test]
    fn debug_shows_no_secret() {
        let settings = Settings::new(Credential::Token(Secret::new("ghp_hidden\n")));
        assert!(!format!("{settings:?}").contains("hidden"));
    }
}
