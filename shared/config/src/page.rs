//! The settings of a host that shows the stored state, and does nothing else.

use crate::addresses::github;
use crate::faults::SettingFaults;
use crate::reader::Reader;
use crate::reference::GITHUB_API_URL;
use crate::source::Source;
use crate::store::{StoreChoice, StoreSettings};
use monitor_domain::secret::Secret;

/// The settings for showing the stored state to people with a session.
#[derive(Clone, Debug)]
pub struct PageSettings {
    /// The secret from which links and sessions are made.
    pub slack_signing_secret: Secret,
    /// The address of GitHub's web pages, for links, without a trailing slash.
    pub web_url: String,
    /// Where the state is stored.
    pub store: StoreSettings,
}

impl PageSettings {
    /// Reads only these settings. Reports every fault.
    pub fn read(source: &Source<'_>) -> Result<Self, SettingFaults> {
        let mut reader = Reader { source, faults: Vec::new() };
        let allow_http_hosts = reader.http_hosts();
        let addresses = reader.read(&GITHUB_API_URL, |text| github(text, &allow_http_hosts));
        let signing_secret = reader.signing_secret();
        match (addresses, signing_secret, reader.store(StoreChoice::BySettings, &allow_http_hosts)) {
            (Some(addresses), Some(slack_signing_secret), Some(store)) if reader.faults.is_empty() => {
                Ok(Self { slack_signing_secret, web_url: addresses.web_url, store })
            }
            _ => Err(reader.into_faults()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_the_store_and_the_address_of_github_are_read() {
        let variables = |name: &str| match name {
            "SLACK_SIGNING_SECRET" => Some("8f742231b10e8888abcd99yyyzzz85a5".to_owned()),
            "DYNAMODB_TABLE" => Some("runner-monitor".to_owned()),
            "GITHUB_API_URL" => Some("https://ghes.example.com/api/v3".to_owned()),
            _ => None,
        };
        let settings = PageSettings::read(&Source::variables(variables)).unwrap();
        assert_eq!(settings.web_url, "https://ghes.example.com");
        assert!(matches!(&settings.store, StoreSettings::DynamoDb(table) if table == "runner-monitor"));
        assert!(!format!("{settings:?}").contains("8f74"));
        let faults = PageSettings::read(&Source::variables(|_| None)).unwrap_err().to_string();
        assert!(faults.contains("SLACK_SIGNING_SECRET") && faults.contains("STATELYDB_STORE_ID"), "{faults}");
        assert!(!faults.contains("GITHUB_TOKEN") && !faults.contains("SLACK_WEBHOOK"), "{faults}");
    }
}
