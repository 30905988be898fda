//! What a host needs that tells people and looks at nothing itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use monitor_domain::policy::{Policy, bare_channel, is_channel};
use monitor_domain::quote::looks_secret;

use crate::addresses::{address, github, host, webhook};
use crate::credential::token;
use crate::faults::{Faults, Wrong};
use crate::reference::{
    ALLOW_HTTP_HOSTS, GITHUB_API_URL, POLICY, SLACK_API_URL, SLACK_BOT_TOKEN, SLACK_CHANNEL, SLACK_WEBHOOK,
    SLACK_WEBHOOKS,
};
use crate::secret::{Secret, quoted, shown};
use crate::settings::Reader;
use crate::source::Source;
use crate::statelydb::StatelyDbSettings;

/// How people are told of what is on record in StatelyDB.
#[derive(Clone, Debug)]
pub struct NotifierSettings {
    /// Where people are told.
    pub slack: SlackSettings,
    /// Which channel is told of what. Its thresholds are not held against what is watched: that is for those who look.
    pub policy: Policy,
    /// Where GitHub's pages are, for links; without a slash at the end.
    pub web_url: String,
    /// How StatelyDB is reached.
    pub statelydb: StatelyDbSettings,
    /// Hosts that may be spoken to over plain http beside this machine, in lower case.
    pub allow_http_hosts: BTreeSet<String>,
}

impl NotifierSettings {
    /// Reads these settings alone. Every fault is reported.
    pub fn read(source: &Source<'_>) -> Result<Self, Faults> {
        let mut reader = Reader { source, faults: Vec::new() };
        let allow_http_hosts: BTreeSet<String> = reader.list(&ALLOW_HTTP_HOSTS, host).into_iter().collect();
        let addresses = reader.read(&GITHUB_API_URL, |text| github(text, &allow_http_hosts));
        let slack = reader.slack(&allow_http_hosts);
        if slack.is_none() && reader.faults.is_empty() {
            reader.needed(&SLACK_WEBHOOK, "to tell anybody", |text| webhook(text, &allow_http_hosts));
        }
        let policy = reader.policy(None, None).map(|policy| reader.routed(policy, slack.as_ref()));
        match (addresses, slack, policy, reader.statelydb(&allow_http_hosts)) {
            (Some(addresses), Some(slack), Some(policy), Some(statelydb)) if reader.faults.is_empty() => {
                Ok(Self { slack, policy, web_url: addresses.web_url, statelydb, allow_http_hosts })
            }
            _ => Err(reader.into_faults()),
        }
    }
}

/// Where people are told in Slack.
#[derive(Clone, Debug)]
pub enum SlackSettings {
    /// An incoming webhook: a new message for each notice.
    Webhook {
        /// Of the default channel.
        url: Secret,
        /// Those of further channels.
        named: NamedWebhooks,
    },
    /// A bot: messages that are edited as their outages end.
    Bot {
        /// Its token.
        token: Secret,
        /// The default channel, by id or name.
        channel: String,
        /// Where the Web API is, without a slash at the end.
        api_url: String,
    },
}

/// Webhooks by the names that the policy calls them, without a sign. `Debug` shows how many there are: whoever swapped
/// a name and its URL has written a secret in place of a name.
#[derive(Clone, Default)]
pub struct NamedWebhooks(pub BTreeMap<String, Secret>);

impl fmt::Debug for NamedWebhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamedWebhooks({})", self.0.len())
    }
}

impl Reader<'_> {
    /// Where people are told; none where nothing is set, or with a fault noted.
    pub(crate) fn slack(&mut self, allow_http_hosts: &BTreeSet<String>) -> Option<SlackSettings> {
        let given = [SLACK_BOT_TOKEN, SLACK_CHANNEL].map(|setting| self.source.value(setting.name).is_some());
        // All are read in any case, so that what is wrong within them is told as well.
        let hook = self.read(&SLACK_WEBHOOK, |text| webhook(text, allow_http_hosts));
        let has_named = self.source.value(SLACK_WEBHOOKS.name).is_some();
        let named = self.read(&SLACK_WEBHOOKS, |text| webhooks(text, allow_http_hosts));
        let bot_token = self.read(&SLACK_BOT_TOKEN, bot_token);
        let channel = self.read(&SLACK_CHANNEL, channel);
        let api_url = self.read(&SLACK_API_URL, |text| api_url(text, allow_http_hosts));
        match given {
            [false, false] => {
                if has_named && self.source.value(SLACK_WEBHOOK.name).is_none() {
                    let hint = self.source.how_to_set(&SLACK_WEBHOOK);
                    let wrong = Wrong::new("SLACK_WEBHOOKS is given without it, and it is the default", hint);
                    self.faults.push(wrong.of(&SLACK_WEBHOOK));
                }
                let named = if has_named { named? } else { NamedWebhooks::default() };
                return hook.map(|url| SlackSettings::Webhook { url, named });
            }
            [true, true] => {}
            [false, true] => {
                let hint = self.source.how_to_set(&SLACK_BOT_TOKEN);
                self.faults.push(Wrong::new("SLACK_CHANNEL is given without it", hint).of(&SLACK_BOT_TOKEN));
            }
            [true, false] => {
                let hint = self.source.how_to_set(&SLACK_CHANNEL);
                self.faults.push(Wrong::new("SLACK_BOT_TOKEN is given without it", hint).of(&SLACK_CHANNEL));
            }
        }
        Some(SlackSettings::Bot { token: bot_token?, channel: channel?, api_url: api_url? })
    }

    /// The policy with what is known of channels; those that it names and that cannot be are noted as faults.
    pub(crate) fn routed(&mut self, policy: Policy, slack: Option<&SlackSettings>) -> Policy {
        match slack {
            // Nobody is told, or everything comes to the console.
            None => policy,
            Some(SlackSettings::Bot { channel, .. }) => policy.with_default_channel(channel),
            Some(SlackSettings::Webhook { named, .. }) => {
                let is_unknown = |(_, channel): &(&str, &str)| !named.0.contains_key(bare_channel(channel));
                let faults = policy.channels().filter(is_unknown).map(|(place, channel)| {
                    let what = format!("{}: no webhook is called `{}`", quoted(place), shown(channel));
                    Wrong::new(what, "add it to SLACK_WEBHOOKS, or mend the name").of(&POLICY)
                });
                self.faults.extend(faults);
                policy
            }
        }
    }
}

/// Names with webhooks. Nothing of it is repeated: where a URL stands in place of a name, it is a secret.
fn webhooks(text: &str, allow_http_hosts: &BTreeSet<String>) -> Result<NamedWebhooks, Wrong> {
    let as_in = || format!("write names and URLs, as in {}", SLACK_WEBHOOKS.example);
    let named: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|_| Wrong::new("is no JSON object of texts", as_in()))?;
    let mut webhooks = BTreeMap::new();
    for (number, (name, url)) in (1..).zip(named) {
        if !is_channel(&name) || looks_secret(&name) {
            return Err(Wrong::new(format!("the name at place {number} of the alphabet is none"), as_in()));
        }
        let of_url = |wrong: Wrong| wrong.within(&format!("the URL whose name is at place {number} of the alphabet"));
        let url = webhook(url.trim(), allow_http_hosts).map_err(of_url)?;
        webhooks.insert(bare_channel(&name).to_owned(), url);
    }
    Ok(NamedWebhooks(webhooks))
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
    if is_channel(text) {
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
