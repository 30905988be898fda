//! The URL for later answers. It is a secret: anyone who knows it can post to the conversation.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::webhook_url::WebhookUrl;

/// Slack's hosts for answers.
const HOSTS: [&str; 2] = ["hooks.slack.com", "hooks.slack-gov.com"];

/// A `response_url`: accepts up to five answers within 30 minutes. `Debug` shows only its host.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReplyUrl(WebhookUrl);

/// A `response_url` that is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address for the answer is not one of Slack's")]
pub struct ReplyUrlError;

impl ReplyUrl {
    /// Parses a URL on Slack's hosts, on this machine (for tests), or on a host in `allow_hosts`.
    pub fn parse(address: &str, allow_hosts: &[String]) -> Option<Self> {
        let url = WebhookUrl::parse(address, allow_hosts).ok()?;
        let host = url.host();
        let is_known = HOSTS.contains(&host) || url.is_loopback() || allow_hosts.iter().any(|allowed| allowed == host);
        is_known.then_some(Self(url))
    }

    pub(crate) fn address(&self) -> WebhookUrl {
        self.0.clone()
    }

    pub(crate) fn host(&self) -> &str {
        self.0.host()
    }
}

impl TryFrom<String> for ReplyUrl {
    type Error = ReplyUrlError;

    fn try_from(address: String) -> Result<Self, Self::Error> {
        Self::parse(&address, &[]).ok_or(ReplyUrlError)
    }
}

impl From<ReplyUrl> for String {
    fn from(url: ReplyUrl) -> Self {
        url.0.url().into()
    }
}

impl fmt::Debug for ReplyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplyUrl(https://{}/***)", self.host())
    }
}
