//! What a host needs that answers slash commands and buttons, and neither looks at GitHub nor tells anybody by itself.

use std::collections::BTreeSet;

use crate::addresses::{github, host};
use crate::credential::token;
use crate::faults::Faults;
use crate::reference::{ALLOW_HTTP_HOSTS, GITHUB_API_URL, SLACK_SIGNING_SECRET};
use crate::secret::Secret;
use crate::settings::Reader;
use crate::source::Source;
use crate::statelydb::StatelyDbSettings;

/// How what is on record in StatelyDB is told to whoever asks.
#[derive(Clone, Debug)]
pub struct CommandSettings {
    /// What Slack signs its requests with.
    pub slack_signing_secret: Secret,
    /// Where GitHub's pages are, for links; without a slash at the end.
    pub web_url: String,
    /// How StatelyDB is reached.
    pub statelydb: StatelyDbSettings,
    /// Hosts that may be spoken to over plain http beside this machine, in lower case.
    pub allow_http_hosts: BTreeSet<String>,
}

impl CommandSettings {
    /// Reads these settings alone. Every fault is reported.
    pub fn read(source: &Source<'_>) -> Result<Self, Faults> {
        let mut reader = Reader { source, faults: Vec::new() };
        let allow_http_hosts: BTreeSet<String> = reader.list(&ALLOW_HTTP_HOSTS, host).into_iter().collect();
        let addresses = reader.read(&GITHUB_API_URL, |text| github(text, &allow_http_hosts));
        let signing_secret = reader.signing_secret();
        match (addresses, signing_secret, reader.statelydb(&allow_http_hosts)) {
            (Some(addresses), Some(slack_signing_secret), Some(statelydb)) if reader.faults.is_empty() => {
                Ok(Self { slack_signing_secret, web_url: addresses.web_url, statelydb, allow_http_hosts })
            }
            _ => Err(reader.into_faults()),
        }
    }
}

impl Reader<'_> {
    /// The signing secret; none with a fault noted.
    pub(crate) fn signing_secret(&mut self) -> Option<Secret> {
        self.needed(&SLACK_SIGNING_SECRET, "to answer Slack", token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_missing_is_told_at_once() {
        let faults = CommandSettings::read(&Source::variables(|_| None)).unwrap_err().to_string();
        for name in ["SLACK_SIGNING_SECRET", "STATELYDB_ACCESS_KEY", "STATELYDB_STORE_ID", "STATELYDB_SCHEMA_ID"] {
            assert!(faults.contains(name), "{faults}");
        }
        assert!(!faults.contains("GITHUB_TOKEN") && !faults.contains("SLACK_WEBHOOK"), "{faults}");
    }

    #[test]
    fn the_secret_is_taken_and_not_shown() {
        let variables = |name: &str| match name {
            "SLACK_SIGNING_SECRET" => Some(" 8f742231b10e8888abcd99yyyzzz85a5\n".to_owned()),
            "STATELYDB_STORE_ID" | "STATELYDB_SCHEMA_ID" => Some("7".to_owned()),
            "STATELYDB_ACCESS_KEY" => Some("key".to_owned()),
            _ => None,
        };
        let settings = CommandSettings::read(&Source::variables(variables)).unwrap();
        assert_eq!(settings.slack_signing_secret.expose(), "8f742231b10e8888abcd99yyyzzz85a5");
        assert_eq!(settings.web_url, "https://github.com");
        assert!(!format!("{settings:?}").contains("8f74"));
    }
}
