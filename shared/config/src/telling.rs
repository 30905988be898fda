//! What a host needs that tells people and looks at nothing itself.

use std::collections::BTreeSet;

use crate::addresses::{address, github, host, webhook};
use crate::credential::token;
use crate::faults::{Faults, Wrong};
use crate::reference::{
    ALLOW_HTTP_HOSTS, GITHUB_API_URL, SLACK_API_URL, SLACK_BOT_TOKEN, SLACK_CHANNEL, SLACK_WEBHOOK,
};
use crate::secret::{Secret, shown};
use crate::settings::Reader;
use crate::source::Source;
use crate::statelydb::StatelyDbSettings;

/// How people are told of what is on record in StatelyDB.
#[derive(Clone, Debug)]
pub struct TellingSettings {
    /// Where people are told.
    pub slack: SlackSettings,
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
        let slack = reader.slack(&allow_http_hosts);
        if slack.is_none() && reader.faults.is_empty() {
            reader.needed(&SLACK_WEBHOOK, "to tell anybody", |text| webhook(text, &allow_http_hosts));
        }
        match (addresses, slack, reader.statelydb(&allow_http_hosts)) {
            (Some(addresses), Some(slack), Some(statelydb)) if reader.faults.is_empty() => {
                Ok(Self { slack, web_url: addresses.web_url, statelydb, allow_http_hosts })
            }
            _ => Err(reader.into_faults()),
        }
    }
}

/// Where people are told in Slack.
#[derive(Clone, Debug)]
pub enum SlackSettings {
    /// An incoming webhook: a new message for each notice.
    Webhook(Secret),
    /// A bot: messages that are edited as their outages end.
    Bot {
        /// Its token.
        token: Secret,
        /// The channel, by id or name.
        channel: String,
        /// Where the Web API is, without a slash at the end.
        api_url: String,
    },
}

impl Reader<'_> {
    /// Where people are told; none where nothing is set, or with a fault noted.
    pub(crate) fn slack(&mut self, allow_http_hosts: &BTreeSet<String>) -> Option<SlackSettings> {
        let given = [SLACK_BOT_TOKEN, SLACK_CHANNEL].map(|setting| self.source.value(setting.name).is_some());
        // All are read in any case, so that what is wrong within them is told as well.
        let hook = self.read(&SLACK_WEBHOOK, |text| webhook(text, allow_http_hosts));
        let bot_token = self.read(&SLACK_BOT_TOKEN, bot_token);
        let channel = self.read(&SLACK_CHANNEL, channel);
        let api_url = self.read(&SLACK_API_URL, |text| api_url(text, allow_http_hosts));
        match given {
            [false, false] => return hook.map(SlackSettings::Webhook),
            [true, true] => {}
            [false, true] => {
                let mend = self.source.how_to_set(&SLACK_BOT_TOKEN);
                self.faults.push(Wrong::new("SLACK_CHANNEL is given without it", mend).of(&SLACK_BOT_TOKEN));
            }
            [true, false] => {
                let mend = self.source.how_to_set(&SLACK_CHANNEL);
                self.faults.push(Wrong::new("SLACK_BOT_TOKEN is given without it", mend).of(&SLACK_CHANNEL));
            }
        }
        Some(SlackSettings::Bot { token: bot_token?, channel: channel?, api_url: api_url? })
    }
}

fn bot_token(text: &str) -> Result<Secret, Wrong> {
    if text.starts_with("xoxb-") || text.starts_with("xoxe.xoxb-") {
        token(text)
    } else {
        Err(Wrong::new(
            "is no bot token",
            "copy the one that begins with xoxb- from the app's page \"OAuth & Permissions\"",
        ))
    }
}

/// An id, or a name with or without its sign.
fn channel(text: &str) -> Result<String, Wrong> {
    let name = text.strip_prefix('#').unwrap_or(text);
    let is_name = (1..=80).contains(&name.chars().count())
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if is_name {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        format!("`{}` is no channel", shown(text)),
        "write its id, as in C0123456789, or its name, as in #runners",
    ))
}

fn api_url(text: &str, allow_http_hosts: &BTreeSet<String>) -> Result<String, Wrong> {
    let url = address(text, allow_http_hosts)?;
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new("is more than scheme, host and path", "leave out the rest"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}
