//! What a host needs that tells people and looks at nothing itself.

use std::collections::BTreeSet;

use crate::addresses::{github, host, webhook};
use crate::faults::Faults;
use crate::reference::{ALLOW_HTTP_HOSTS, GITHUB_API_URL, SLACK_WEBHOOK};
use crate::secret::Secret;
use crate::settings::Reader;
use crate::source::Source;
use crate::statelydb::StatelyDbSettings;

/// How people are told of what is on record in StatelyDB.
#[derive(Clone, Debug)]
pub struct TellingSettings {
    /// The incoming webhook.
    pub slack_webhook: Secret,
    /// Where GitHub's pages are, for links; without a slash at the end.
    pub web_url: String,
    /// How StatelyDB is reached.
    pub statelydb: StatelyDbSettings,
    /// Hosts that may be spoken to over plain http beside this machine, in lower case.
    pub allow_http_hosts: BTreeSet<String>,
}

impl TellingSettings {
    /// Reads these settings alone. Every fault is reported.
    pub fn read(source: &Source<'_>) -> Result<Self, Faults> {
        let mut reader = Reader { source, faults: Vec::new() };
        let allow_http_hosts: BTreeSet<String> = reader.list(&ALLOW_HTTP_HOSTS, host).into_iter().collect();
        let addresses = reader.read(&GITHUB_API_URL, |text| github(text, &allow_http_hosts));
        let what_for = "to tell anybody";
        let webhook = reader.needed(&SLACK_WEBHOOK, what_for, |text| webhook(text, &allow_http_hosts));
        match (addresses, webhook, reader.statelydb(&allow_http_hosts)) {
            (Some(addresses), Some(slack_webhook), Some(statelydb)) if reader.faults.is_empty() => {
                Ok(Self { slack_webhook, web_url: addresses.web_url, statelydb, allow_http_hosts })
            }
            _ => Err(reader.into_faults()),
        }
    }
}
