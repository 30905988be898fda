//! URLs of GitHub's web pages.

use std::fmt;

use monitor_domain::runner::RunnerId;
use monitor_domain::target::{Target, TargetKind};
use reqwest::Url;

const GITHUB_COM: &str = "https://github.com";
/// The longest base URL: links must leave room in a message.
const MAX_CHARS: usize = 200;

/// The base URL of GitHub's web pages: `https://github.com`, or the host of an Enterprise Server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebBase(String);

/// A URL that cannot be the base of links.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not an address of GitHub's web pages: {hint}")]
pub struct WebBaseError {
    given: String,
    hint: &'static str,
}

impl Default for WebBase {
    fn default() -> Self {
        Self(GITHUB_COM.to_owned())
    }
}

impl WebBase {
    /// From the address itself, at most 200 characters: `https://github.example.com`.
    pub fn parse(address: &str) -> Result<Self, WebBaseError> {
        let fault = |hint| WebBaseError { given: address.chars().take(MAX_CHARS).collect(), hint };
        let url = Url::parse(address.trim()).map_err(|_| fault("write it as https://github.example.com"))?;
        if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
            return Err(fault("write it as https://github.example.com"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            // The user information may be a secret.
            let given = url.host_str().unwrap_or_default().to_owned();
            return Err(WebBaseError { given, hint: "leave out the user name and password" });
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(fault("leave out what follows `?` or `#`"));
        }
        // The one character that would end a Slack link and that a URL may contain unescaped.
        let base = url.as_str().trim_end_matches('/').replace('|', "%7C");
        if base.len() > MAX_CHARS {
            return Err(fault("at most 200 characters"));
        }
        Ok(Self(base))
    }

    /// From the address of the API: `https://api.github.com`, `https://HOST/api/v3` of an Enterprise Server, or
    /// `https://api.NAME.ghe.com`.
    pub fn from_api_url(address: &str) -> Result<Self, WebBaseError> {
        let Self(base) = Self::parse(address)?;
        let base = base.strip_suffix("/api/v3").unwrap_or(&base);
        match base.strip_prefix("https://api.") {
            Some(host) if host == "github.com" || host.ends_with(".ghe.com") => Ok(Self(format!("https://{host}"))),
            _ => Ok(Self(base.to_owned())),
        }
    }

    /// Whether this is github.com rather than an Enterprise Server.
    pub(crate) fn is_github_com(&self) -> bool {
        self.0 == GITHUB_COM
    }

    /// The page that lists a target's runners.
    pub fn runners_page(&self, target: &Target) -> String {
        let owner = target.owner();
        let path = match target.kind() {
            TargetKind::Repository => format!("{owner}/{}", target.name()),
            TargetKind::Organization => format!("organizations/{owner}"),
            TargetKind::Enterprise => format!("enterprises/{owner}"),
            // No page of GitHub lists the runners of several repositories, and nothing links to it.
            TargetKind::Pools => owner.to_owned(),
        };
        format!("{self}/{path}/settings/actions/runners")
    }

    /// The page of one runner, by the id of its current registration.
    pub fn runner_page(&self, target: &Target, current_id: RunnerId) -> String {
        format!("{}/{current_id}", self.runners_page(target))
    }
}

impl fmt::Display for WebBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_from_the_kind_of_target() {
        let web = WebBase::default();
        let page = |target: &str| web.runner_page(&target.parse().unwrap(), RunnerId(7));
        assert_eq!(page("Acme/web"), "https://github.com/Acme/web/settings/actions/runners/7");
        assert_eq!(page("orgs/acme"), "https://github.com/organizations/acme/settings/actions/runners/7");
        assert_eq!(page("enterprises/big"), "https://github.com/enterprises/big/settings/actions/runners/7");
    }

    #[test]
    fn the_web_address_follows_from_the_api_address() {
        let web = |api: &str| WebBase::from_api_url(api).unwrap().to_string();
        assert_eq!(web("https://api.github.com"), "https://github.com");
        assert_eq!(web("https://api.github.com/"), "https://github.com");
        assert_eq!(web("https://git.acme.test/api/v3/"), "https://git.acme.test");
        assert_eq!(web("https://git.acme.test:8443/api/v3"), "https://git.acme.test:8443");
        assert_eq!(web("https://api.acme.ghe.com"), "https://acme.ghe.com");
        assert_eq!(web("http://127.0.0.1:4010"), "http://127.0.0.1:4010");
    }

    #[test]
    fn an_address_that_cannot_start_a_link_is_refused_with_a_hint() {
        for bad in ["", "github.com", "ftp://x", "https://x/?a=1", "https://x/#a"] {
            let error = WebBase::parse(bad).unwrap_err().to_string();
            assert!(error.contains(&format!("`{bad}`")), "{error}");
        }
        assert!(WebBase::parse(&format!("https://x/{}", "a".repeat(300))).is_err());
        let error = WebBase::parse("https://me:hunter2@git.acme.test").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        assert_eq!(WebBase::parse("https://x/a|b").unwrap().to_string(), "https://x/a%7Cb");
    }
}
