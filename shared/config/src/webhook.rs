//! The settings of a host that receives GitHub's reports of workflow jobs, and does nothing else.

use crate::credential::webhook_secret;
use crate::faults::SettingFaults;
use crate::reader::Reader;
use crate::reference::GITHUB_WEBHOOK_SECRET;
use crate::source::Source;
use monitor_domain::secret::Secret;

/// The settings for receiving reports of workflow jobs.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// The secret with which GitHub signs the deliveries.
    pub github_webhook_secret: Secret,
}

impl WebhookSettings {
    /// Reads only the secret.
    pub fn read(source: &Source<'_>) -> Result<Self, SettingFaults> {
        let mut reader = Reader { source, faults: Vec::new() };
        match reader.webhook_secret() {
            Some(github_webhook_secret) => Ok(Self { github_webhook_secret }),
            None => Err(reader.into_faults()),
        }
    }
}

/// Reads only the webhook's secret; `None` if it is not set.
pub fn github_webhook_secret(source: &Source<'_>) -> Result<Option<Secret>, SettingFaults> {
    let mut reader = Reader { source, faults: Vec::new() };
    let secret = reader.read(&GITHUB_WEBHOOK_SECRET, webhook_secret);
    if reader.faults.is_empty() { Ok(secret) } else { Err(reader.into_faults()) }
}

impl Reader<'_> {
    /// The webhook's secret; `None`, with a fault added, if it is missing or malformed.
    pub(crate) fn webhook_secret(&mut self) -> Option<Secret> {
        self.needed(&GITHUB_WEBHOOK_SECRET, "to receive reports of workflow jobs", webhook_secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_is_read() {
        let read = |value: Option<&'static str>| {
            WebhookSettings::read(&Source::variables(|name: &str| {
                assert_eq!(name, "GITHUB_WEBHOOK_SECRET");
                value.map(str::to_owned)
            }))
        };
        let settings = read(Some("It's a Secret to Everybody")).unwrap();
        assert_eq!(settings.github_webhook_secret.expose(), "It's a Secret to Everybody");
        assert!(!format!("{settings:?}").contains("Everybody"));
        for wrong in [None, Some("two\nlines")] {
            let faults = read(wrong).unwrap_err().to_string();
            assert!(faults.contains("GITHUB_WEBHOOK_SECRET") && !faults.contains("lines"), "{faults}");
        }
    }
}
