//! The URL of an incoming webhook. It is a secret: anyone who knows it can post.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// A webhook's URL. `Debug` shows only its host.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

/// Why a URL is refused. Contains nothing of it but the host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookUrlError {
    /// Not a URL.
    #[error(
        "the Slack webhook URL is not a URL: copy it whole from the Slack app's page \"Incoming Webhooks\"; \
         it begins with https://hooks.slack.com/services/"
    )]
    NotAUrl,
    /// Plain http: the message and the URL would be sent unencrypted.
    #[error("the Slack webhook URL for {host} is not https: write https://, or allow plain http for this host")]
    Insecure {
        /// The host of the URL.
        host: String,
    },
    /// The path that identifies the webhook is missing.
    #[error("the Slack webhook URL for {host} has no path: copy it whole, with what follows the host")]
    NoPath {
        /// The host of the URL.
        host: String,
    },
}

impl WebhookUrl {
    /// Parses a URL. It must be https; plain http is accepted for this machine (`localhost`, 127.0.0.0/8, `[::1]`) and
    /// for the hosts in `allow_http_hosts`, written as in URLs, without port.
    pub fn parse(address: &str, allow_http_hosts: &[String]) -> Result<Self, WebhookUrlError> {
        let url = Url::parse(address.trim()).map_err(|_| WebhookUrlError::NotAUrl)?;
        let Some(host) = url.host_str().map(str::to_owned) else { return Err(WebhookUrlError::NotAUrl) };
        let allowed =
            || is_loopback(&host) || allow_http_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(&host));
        match url.scheme() {
            "https" => {}
            "http" if allowed() => {}
            "http" => return Err(WebhookUrlError::Insecure { host }),
            _ => return Err(WebhookUrlError::NotAUrl),
        }
        if url.path() == "/" {
            return Err(WebhookUrlError::NoPath { host });
        }
        Ok(Self(url))
    }

    /// The host, which is not secret.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    pub(crate) fn url(&self) -> Url {
        self.0.clone()
    }

    /// Whether it points to this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(self.host())
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({}://{}/***)", self.0.scheme(), self.host())
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "T000/B000/hunter2hunter2";

    fn parse(address: &str) -> Result<WebhookUrl, WebhookUrlError> {
        WebhookUrl::parse(address, &["slack.internal".to_owned()])
    }

    #[test]
    fn https_is_required_except_for_this_machine_and_allowed_hosts() {
        for good in [
            "https://hooks.slack.com",
            "http://127.0.0.1:4020",
            "http://localhost:1",
            "http://[::1]:80",
            "http://Slack.internal",
        ] {
            parse(&format!("{good}/services/{SECRET}")).unwrap();
        }
        let plain = parse(&format!("http://hooks.slack.com/services/{SECRET}"));
        assert_eq!(plain, Err(WebhookUrlError::Insecure { host: "hooks.slack.com".to_owned() }));
        assert!(matches!(parse("http://127.0.0.1.evil.test/x"), Err(WebhookUrlError::Insecure { .. })));
        for bad in ["", "xoxb-1-2", "hooks.slack.com/services/x", "ftp://hooks.slack.com/x", "file:///etc/passwd"] {
            assert_eq!(parse(bad), Err(WebhookUrlError::NotAUrl), "{bad}");
        }
        assert!(matches!(parse("https://hooks.slack.com"), Err(WebhookUrlError::NoPath { .. })));
    }

    #[test]
    fn the_secret_is_never_shown() {
        let url = parse(&format!("https://me:hunter2@hooks.slack.com/services/{SECRET}?k=hunter2")).unwrap();
        assert_eq!(format!("{url:?}"), "WebhookUrl(https://hooks.slack.com/***)");
        let error = parse(&format!("http://x.test/services/{SECRET}")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
