//! What a host needs that answers slash commands and buttons, and neither looks at GitHub nor tells anybody by itself.

use std::collections::BTreeSet;

use crate::addresses::{github, host};
use crate::credential::token;
use crate::faults::{Faults, Wrong};
use crate::notifying::SlackSettings;
use crate::reference::{ALLOW_HTTP_HOSTS, GITHUB_API_URL, SLACK_ADMINS, SLACK_BOT_TOKEN, SLACK_SIGNING_SECRET};
use crate::secret::{Secret, shown};
use crate::settings::Reader;
use crate::source::Source;
use crate::statelydb::StatelyDbSettings;

/// How what is on record in StatelyDB is told to whoever asks.
#[derive(Clone, Debug)]
pub struct CommandSettings {
    /// What Slack signs its requests with.
    pub slack_signing_secret: Secret,
    /// Who may mute more than others: ids of people and user groups.
    pub slack_admins: Vec<String>,
    /// Where it is said who muted what, if anywhere.
    pub slack: Option<SlackSettings>,
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
        let slack = reader.slack(&allow_http_hosts);
        let slack_admins = reader.admins(slack.as_ref());
        match (addresses, signing_secret, reader.statelydb(&allow_http_hosts)) {
            (Some(addresses), Some(slack_signing_secret), Some(statelydb)) if reader.faults.is_empty() => {
                let web_url = addresses.web_url;
                Ok(Self { slack_signing_secret, slack_admins, slack, web_url, statelydb, allow_http_hosts })
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

    /// Who may mute more than others. A user group is read with the bot's token.
    pub(crate) fn admins(&mut self, slack: Option<&SlackSettings>) -> Vec<String> {
        let admins = self.list(&SLACK_ADMINS, admin);
        let has_bot = matches!(slack, Some(SlackSettings::Bot { .. }));
        if !has_bot && admins.iter().any(|id| id.starts_with('S')) {
            let how = self.source.how_to_set(&SLACK_BOT_TOKEN);
            let wrong = Wrong::new("names a user group, which needs a bot's token to be read", how);
            self.faults.push(wrong.of(&SLACK_ADMINS));
        }
        admins
    }
}

/// The id of a person or user group, as Slack shows it ("Copy member ID", "Copy group ID").
fn admin(text: &str) -> Result<String, Wrong> {
    let is_id = (9..=40).contains(&text.len())
        && text.starts_with(['U', 'W', 'S'])
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if is_id {
        return Ok(text.to_owned());
    }
    let how = "write ids as Slack shows them: U0123456789 of a person, S0123456789 of a user group";
    Err(Wrong::new(format!("`{}` is the id of neither a person nor a user group", shown(text)), how))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_missing_is_reported_at_once() {
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
        assert!(read("S0123456789", false).unwrap_err().contains("SLACK_ADMINS: names a user group"));
        for strange in ["@anna", "u0123456789", "C0123456789", "U1"] {
            let faults = read(strange, true).unwrap_err();
            assert!(faults.contains(&format!("SLACK_ADMINS: `{strange}` is the id of neither")), "{faults}");
        }
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
        assert!(settings.slack_admins.is_empty() && settings.slack.is_none());
        assert_eq!(settings.web_url, "https://github.com");
        assert!(!format!("{settings:?}").contains("8f74"));
    }
}
