//! The settings of a host that sends notifications and checks nothing itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use monitor_domain::policy::{Policy, bare_channel, is_channel};
use monitor_domain::quote::looks_secret;

use crate::addresses::{address, github, webhook};
use crate::credential::token;
use crate::faults::{SettingFaults, Wrong};
use crate::quoting::{quoted, shown};
use crate::reader::Reader;
use crate::reference::{
    GITHUB_API_URL, POLICY, SLACK_API_URL, SLACK_BOT_TOKEN, SLACK_CHANNEL, SLACK_WEBHOOK, SLACK_WEBHOOKS,
};
use crate::source::Source;
use crate::store::{StoreChoice, StoreSettings};
use monitor_domain::secret::Secret;

/// The settings for sending the notifications that are pending in the store.
#[derive(Clone, Debug)]
pub struct NotifierSettings {
    /// Where notifications are sent in Slack.
    pub slack: SlackSettings,
    /// The policy, for the channel of each notification. Its thresholds are not validated against the targets: the
    /// hosts that check do that.
    pub policy: Policy,
    /// The address of GitHub's web pages, for links, without a trailing slash.
    pub web_url: String,
    /// Where the state is stored.
    pub store: StoreSettings,
    /// Hosts that may be reached over plain http in addition to this machine, in lower case.
    pub allow_http_hosts: BTreeSet<String>,
}

impl NotifierSettings {
    /// Reads only these settings. Reports every fault.
    pub fn read(source: &Source<'_>) -> Result<Self, SettingFaults> {
        let mut reader = Reader { source, faults: Vec::new() };
        let allow_http_hosts = reader.http_hosts();
        let addresses = reader.read(&GITHUB_API_URL, |text| github(text, &allow_http_hosts));
        let slack = reader.slack(&allow_http_hosts);
        if slack.is_none() && reader.faults.is_empty() {
            reader.needed(&SLACK_WEBHOOK, "to send alerts", |text| webhook(text, &allow_http_hosts));
        }
        let policy = reader.policy(None, None).map(|policy| reader.routed(policy, slack.as_ref()));
        match (addresses, slack, policy, reader.store(StoreChoice::BySettings, &allow_http_hosts)) {
            (Some(addresses), Some(slack), Some(policy), Some(store)) if reader.faults.is_empty() => {
                Ok(Self { slack, policy, web_url: addresses.web_url, store, allow_http_hosts })
            }
            _ => Err(reader.into_faults()),
        }
    }
}

/// Where notifications are sent in Slack.
#[derive(Clone, Debug)]
pub enum SlackSettings {
    /// Incoming webhooks: each notification is a new message.
    Webhook {
        /// The webhook of the default channel.
        url: Secret,
        /// The webhooks of further channels.
        named: NamedWebhooks,
    },
    /// A bot: messages are edited when their outages end.
    Bot {
        /// The bot token, which starts with `xoxb-`.
        token: Secret,
        /// The default channel, by id or name.
        channel: String,
        /// The address of the Web API, without a trailing slash.
        api_url: String,
    },
}

/// Webhooks by the channel names that the policy uses, without `#`. `Debug` shows only how many there are: if a name
/// and its URL were swapped, the name is a secret.
#[derive(Clone, Default)]
pub struct NamedWebhooks(pub BTreeMap<String, Secret>);

impl fmt::Debug for NamedWebhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamedWebhooks({})", self.0.len())
    }
}

impl Reader<'_> {
    /// Where notifications are sent; `None` if nothing is set, or with a fault added.
    pub(crate) fn slack(&mut self, allow_http_hosts: &BTreeSet<String>) -> Option<SlackSettings> {
        let given = [SLACK_BOT_TOKEN, SLACK_CHANNEL].map(|setting| self.source.value(setting.name).is_some());
        // All are read in any case, so that the faults within them are reported too.
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
                    let wrong = Wrong::new("must be set as the default channel, because SLACK_WEBHOOKS is set", hint);
                    self.faults.push(wrong.of(&SLACK_WEBHOOK));
                }
                let named = if has_named { named? } else { NamedWebhooks::default() };
                return hook.map(|url| SlackSettings::Webhook { url, named });
            }
            [true, true] => {}
            [false, true] => {
                let hint = self.source.how_to_set(&SLACK_BOT_TOKEN);
                self.faults.push(Wrong::new("must be set together with SLACK_CHANNEL", hint).of(&SLACK_BOT_TOKEN));
            }
            [true, false] => {
                let hint = self.source.how_to_set(&SLACK_CHANNEL);
                self.faults.push(Wrong::new("must be set together with SLACK_BOT_TOKEN", hint).of(&SLACK_CHANNEL));
            }
        }
        Some(SlackSettings::Bot { token: bot_token?, channel: channel?, api_url: api_url? })
    }

    /// The policy with its default channel. Adds a fault for each channel that it names and that cannot be reached.
    pub(crate) fn routed(&mut self, policy: Policy, slack: Option<&SlackSettings>) -> Policy {
        match slack {
            // Nothing is sent, or everything is written to the console.
            None => policy,
            Some(SlackSettings::Bot { channel, .. }) => policy.with_default_channel(channel),
            Some(SlackSettings::Webhook { named, .. }) => {
                let is_unknown = |(_, channel): &(&str, &str)| !named.0.contains_key(bare_channel(channel));
                let faults = policy.channels().filter(is_unknown).map(|(place, channel)| {
                    let what = format!("{}: no webhook is called `{}`", quoted(place), shown(channel));
                    Wrong::new(what, "add it to SLACK_WEBHOOKS, or fix the name").of(&POLICY)
                });
                self.faults.extend(faults);
                policy
            }
        }
    }
}

/// Reads the names and webhooks. No fault quotes them: a URL in place of a name is a secret.
fn webhooks(text: &str, allow_http_hosts: &BTreeSet<String>) -> Result<NamedWebhooks, Wrong> {
    let as_in = || format!("write names and URLs, for example {}", SLACK_WEBHOOKS.example);
    let named: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|_| Wrong::new("must be a JSON object of strings", as_in()))?;
    let mut webhooks = BTreeMap::new();
    for (number, (name, url)) in (1..).zip(named) {
        if !is_channel(&name) || looks_secret(&name) {
            return Err(Wrong::new(format!("name {number} in alphabetical order must be a channel name"), as_in()));
        }
        let of_url = |wrong: Wrong| wrong.within(&format!("the URL of name {number} in alphabetical order"));
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
            "must be a bot token, for example xoxb-…",
            "copy it from the app's page \"OAuth & Permissions\"",
        ))
    }
}

/// Reads a channel: an id, or a name with or without `#`.
fn channel(text: &str) -> Result<String, Wrong> {
    if is_channel(text) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        format!("must be the id or name of a channel, for example C0123456789 or #runners; found `{}`", shown(text)),
        "",
    ))
}

fn api_url(text: &str, allow_http_hosts: &BTreeSet<String>) -> Result<String, Wrong> {
    let url = address(text, allow_http_hosts)?;
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new("must be scheme, host and path only", "remove the rest"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}
