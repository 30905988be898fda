//! The settings of a host that answers slash commands and buttons, and neither checks GitHub nor sends alerts.

use std::collections::BTreeSet;

use crate::addresses::github;
use crate::credential::token;
use crate::faults::{SettingFaults, Wrong};
use crate::notifying::SlackSettings;
use crate::quoting::shown;
use crate::reader::Reader;
use crate::reference::{GITHUB_API_URL, SLACK_ADMINS, SLACK_BOT_TOKEN, SLACK_SIGNING_SECRET};
use crate::source::Source;
use crate::store::{StoreChoice, StoreSettings};
use monitor_domain::secret::Secret;

/// The settings for answering commands from the stored state.
#[derive(Clone, Debug)]
pub struct CommandSettings {
    /// The secret with which Slack signs its requests.
    pub slack_signing_secret: Secret,
    /// Ids of the users and user groups who may mute more than others.
    pub slack_admins: Vec<String>,
    /// Where mutes are announced in Slack, if anywhere.
    pub slack: Option<SlackSettings>,
    /// The address of GitHub's web pages, for links, without a trailing slash.
    pub web_url: String,
    /// Where the state is stored.
    pub store: StoreSettings,
    /// Hosts that may be reached over plain http in addition to this machine, in lower case.
    pub allow_http_hosts: BTreeSet<String>,
}

impl CommandSettings {
    /// Reads only these settings. Reports every fault.
    pub fn read(source: &Source<'_>) -> Result<Self, SettingFaults> {
        let mut reader = Reader { source, faults: Vec::new() };
        let allow_http_hosts = reader.http_hosts();
        let addresses = reader.read(&GITHUB_API_URL, |text| github(text, &allow_http_hosts));
        let signing_secret = reader.signing_secret();
        let slack = reader.slack(&allow_http_hosts);
        let slack_admins = reader.admins(slack.as_ref());
        match (addresses, signing_secret, reader.store(StoreChoice::BySettings, &allow_http_hosts)) {
            (Some(addresses), Some(slack_signing_secret), Some(store)) if reader.faults.is_empty() => {
                let web_url = addresses.web_url;
                Ok(Self { slack_signing_secret, slack_admins, slack, web_url, store, allow_http_hosts })
            }
            _ => Err(reader.into_faults()),
        }
    }
}

/// Reads only the signing secret; `None` if it is not set.
pub fn signing_secret(source: &Source<'_>) -> Result<Option<Secret>, SettingFaults> {
    let mut reader = Reader { source, faults: Vec::new() };
    let secret = reader.read(&SLACK_SIGNING_SECRET, token);
    if reader.faults.is_empty() { Ok(secret) } else { Err(reader.into_faults()) }
}

impl Reader<'_> {
    /// The signing secret; `None`, with a fault added, if it is missing or malformed.
    pub(crate) fn signing_secret(&mut self) -> Option<Secret> {
        self.needed(&SLACK_SIGNING_SECRET, "to answer Slack requests", token)
    }

    /// Ids of the users and user groups who may mute more than others. Reading a user group needs the bot's token.
    pub(crate) fn admins(&mut self, slack: Option<&SlackSettings>) -> Vec<String> {
        let admins = self.list(&SLACK_ADMINS, admin);
        let has_bot = matches!(slack, Some(SlackSettings::Bot { .. }));
        if !has_bot && admins.iter().any(|id| id.starts_with('S')) {
            let how = self.source.how_to_set(&SLACK_BOT_TOKEN);
            let wrong = Wrong::new("must not name a user group without a bot token, which reads its members", how);
            self.faults.push(wrong.of(&SLACK_ADMINS));
        }
        admins
    }
}

/// Reads the id of a user or user group, as Slack shows it ("Copy member ID", "Copy group ID").
fn admin(text: &str) -> Result<String, Wrong> {
    let is_id = (9..=40).contains(&text.len())
        && text.starts_with(['U', 'W', 'S'])
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if is_id {
        return Ok(text.to_owned());
    }
    let found = shown(text);
    let what = "must be the id of a user or user group, for example U0123456789 or S0123456789";
    Err(Wrong::new(format!("{what}; found `{found}`"), "use \"Copy member ID\" or \"Copy group ID\" in Slack"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_missing_settings_are_reported_at_once() {
        let faults = CommandSettings::read(&Source::variables(|_| None)).unwrap_err().to_string();
        for name in ["SLACK_SIGNING_SECRET", "STATELYDB_ACCESS_KEY", "STATELYDB_STORE_ID", "STATELYDB_SCHEMA_ID"] {
            assert!(faults.contains(name), "{faults}");
        }
        assert!(!faults.contains("GITHUB_TOKEN") && !faults.contains("SLACK_WEBHOOK"), "{faults}");
    }

    #[test]
    fn admins_are_ids_and_a_group_needs_the_bot() {
        let read = |admins: &'static str, has_bot: bool| {
            let variables = move |name: &str| match name {
                "SLACK_SIGNING_SECRET" => Some("8f742231b10e8888abcd99yyyzzz85a5".to_owned()),
                "STATELYDB_STORE_ID" | "STATELYDB_SCHEMA_ID" => Some("7".to_owned()),
                "STATELYDB_ACCESS_KEY" => Some("key".to_owned()),
                "SLACK_ADMINS" => Some(admins.to_owned()),
                "SLACK_BOT_TOKEN" if has_bot => Some("xoxb-1-2-notasecret".to_owned()),
                "SLACK_CHANNEL" if has_bot => Some("C0123456789".to_owned()),
                _ => None,
            };
            let settings = CommandSettings::read(&Source::variables(variables));
            settings.map(|settings| settings.slack_admins).map_err(|faults| faults.to_string())
        };
        assert_eq!(read("U0123456789, W0123456789", false).unwrap(), ["U0123456789", "W0123456789"]);
        assert_eq!(read(r#"["S0123456789"]"#, true).unwrap(), ["S0123456789"]);
        assert!(read("S0123456789", false).unwrap_err().contains("SLACK_ADMINS: must not name a user group"));
        for strange in ["@anna", "u0123456789", "C0123456789", "U1"] {
            let faults = read(strange, true).unwrap_err();
            assert!(faults.contains("SLACK_ADMINS: must be the id of a user"), "{faults}");
            assert!(faults.contains(&format!("found `{strange}`")), "{faults}");
        }
    }

    #[test]
    fn the_secret_is_read_and_not_shown() {
        let variables = |name: &str| match name {
            "SLACK_SIGNING_SECRET" => Some(" 8f742231b10e8888abcd99yyyzzz85a5\n".to_owned()),
            "STATELYDB_STORE_ID" | "STATELYDB_SCHEMA_ID" => Some("7".to_owned()),
            "STATELYDB_ACCESS_KEY" => Some("key".to_owned()),
            _ => None,
        };
        let settings = CommandSettings::read(&Source::variables(variables)).unwrap();
        assert_eq!(settings.slack_signing_secret.expose(), "8f742231b10e8888abcd99yyyzzz85a5");
        assert!(settings.slack_admins.is_empty() && settings.slack.is_none());
        assert_eq!(settings.web_url, "https://github.com");
        assert!(!format!("{settings:?}").contains("8f74"));
        let alone = signing_secret(&Source::variables(variables)).unwrap();
        assert_eq!(alone.unwrap().expose(), "8f742231b10e8888abcd99yyyzzz85a5");
        assert!(signing_secret(&Source::variables(|_| None)).unwrap().is_none());
        let wrong = signing_secret(&Source::variables(|_| Some("two words".to_owned()))).unwrap_err().to_string();
        assert!(wrong.contains("SLACK_SIGNING_SECRET") && !wrong.contains("two words"), "{wrong}");
    }
}
