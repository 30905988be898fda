//! Where an answer goes that takes longer: whoever knows the address can write into the conversation.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::webhook_url::WebhookUrl;

/// Slack's own hosts for answers.
const HOSTS: [&str; 2] = ["hooks.slack.com", "hooks.slack-gov.com"];

/// A `response_url`: takes up to five answers within half an hour. `Debug` shows its host only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReplyUrl(WebhookUrl);

/// An address that no answer is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address for the answer is none of Slack's")]
pub struct ReplyUrlError;

impl ReplyUrl {
    /// Reads an address of Slack's, of this machine itself (for tests), or of a host in `allow_hosts`.
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
