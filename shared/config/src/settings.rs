//! The settings, and the function that reads them.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use monitor_domain::policy::Policy;
use monitor_domain::target::{TargetError, TargetKind, TargetSpec, Written};
use monitor_domain::time::parse_duration;

use crate::addresses::{GitHubAddresses, github};
use crate::credential::{app_id, private_key, token};
use crate::faults::{SettingFault, SettingFaults, Wrong};
use crate::lists::{merged, target};
use crate::misspelt::Misspelt;
use crate::notifying::SlackSettings;
use crate::policy::policy;
use crate::quoting::shown;
use crate::reader::Reader;
use crate::reference::*;
use crate::source::Source;
use crate::store::{StoreChoice, StoreSettings};
use monitor_domain::secret::Secret;

/// All settings of an installation.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How GitHub is reached.
    pub github: GitHubSettings,
    /// The configured targets without duplicates, in the order in which they are written. Empty only if
    /// [`HostOptions::targets`] is not.
    pub targets: Vec<TargetSpec>,
    /// Where notifications are sent in Slack, if anywhere.
    pub slack: Option<SlackSettings>,
    /// The secret with which Slack signs its requests; `None` unless [`HostOptions::slack_commands`].
    pub slack_signing_secret: Option<Secret>,
    /// The secret with which GitHub signs its reports of jobs; `None` unless [`HostOptions::webhooks`].
    pub github_webhook_secret: Option<Secret>,
    /// Ids of the users and user groups who may mute more than others; empty unless [`HostOptions::slack_commands`].
    pub slack_admins: Vec<String>,
    /// Where the state is stored; `None` unless [`HostOptions::store`] is set.
    pub store: Option<StoreSettings>,
    /// The thresholds and channels.
    pub policy: Policy,
    /// Hosts that may be reached over plain http in addition to this machine, in lower case.
    pub allow_http_hosts: BTreeSet<String>,
    /// How long a file store keeps ended outages; 1 day to 10 years.
    pub outage_retention: Duration,
    /// Variables that are set but not read, and look like unset settings.
    pub misspelt: Vec<Misspelt>,
}

/// How GitHub is reached.
#[derive(Clone, Debug)]
pub struct GitHubSettings {
    /// The address of its API, without a trailing slash.
    pub api_url: String,
    /// The address of its web pages, for links, without a trailing slash.
    pub web_url: String,
    /// The value of `X-GitHub-Api-Version`, for example 2022-11-28.
    pub api_version: String,
    /// The credential of all requests.
    pub credential: Credential,
    /// The limits of the request rate.
    pub limits: Limits,
}

/// The credential of requests to GitHub.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A personal access token.
    Token(Secret),
    /// A GitHub App, which gets a token for each installation.
    App {
        /// The App ID or client ID.
        id: String,
        /// Its private key: PEM text, PKCS#1 or PKCS#8, with lines that end with line feeds.
        private_key: Secret,
    },
}

/// The limits of requests to GitHub; `None` is no limit. The defaults are GitHub's own secondary limits
/// (docs.github.com/rest, "Rate limits for the REST API"): 900 points per minute, 100 concurrent requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most requests per minute.
    pub requests_per_minute: Option<NonZeroU32>,
    /// The most requests at the same time.
    pub max_concurrent_requests: Option<NonZeroU32>,
}

/// What the host itself knows, from its flags.
#[derive(Clone, Debug, Default)]
pub struct HostOptions {
    /// The interval between two checks of a target (`--every`); `None` if there is no schedule.
    pub every: Option<Duration>,
    /// Targets from elsewhere, for example from the command line. The policy may name them, and the settings need not
    /// name any target then; they are not added to [`Settings::targets`].
    pub targets: Vec<TargetSpec>,
    /// The service that stores the state, so that its settings are needed; `None` if a file does.
    pub store: Option<StoreChoice>,
    /// Whether another host sends the notifications, so that neither webhook nor bot is read.
    pub without_chat: bool,
    /// Whether requests from Slack are answered, so that its signing secret is needed.
    pub slack_commands: bool,
    /// Whether GitHub's reports of workflow jobs are received, so that the webhook's secret is needed.
    pub webhooks: bool,
    /// Whether alerts are sent: then a misspelt Slack setting is a fault if no setting says where to send them.
    pub alerts: bool,
}

impl Settings {
    /// Reads all settings. Reports every fault, not only the first; no fault shows a secret.
    pub fn read(source: &Source<'_>, host_options: &HostOptions) -> Result<Self, SettingFaults> {
        let mut reader = Reader { source, faults: Vec::new() };
        let allow_http_hosts = reader.http_hosts();
        let credential = reader.credential();
        let addresses = reader.read(&GITHUB_API_URL, |text| github(text, &allow_http_hosts));
        let api_version = reader.read(&GITHUB_API_VERSION, api_version);
        let requests_per_minute = reader.read(&GITHUB_REQUESTS_PER_MINUTE, limit);
        let max_concurrent_requests = reader.read(&GITHUB_MAX_CONCURRENT_REQUESTS, limit);
        let web_url = addresses.as_ref().map_or("https://github.com", |found| &*found.web_url);
        let targets = reader.targets(web_url, &host_options.targets);
        let slack = if host_options.without_chat { None } else { reader.slack(&allow_http_hosts) };
        let slack_signing_secret = host_options.slack_commands.then(|| reader.signing_secret()).flatten();
        let github_webhook_secret = host_options.webhooks.then(|| reader.webhook_secret()).flatten();
        let slack_admins = if host_options.slack_commands { reader.admins(slack.as_ref()) } else { Vec::new() };
        let all = targets.as_ref().map(|targets| [&targets[..], &host_options.targets].concat());
        let policy = reader.policy(all.as_deref(), host_options.every);
        let policy = policy.map(|policy| reader.routed(policy, slack.as_ref()));
        let store = host_options.store.and_then(|choice| reader.store(choice, &allow_http_hosts));
        let outage_retention = reader.read(&OUTAGE_RETENTION, retention);
        let misspelt = source.misspelt();
        let of_slack = misspelt.iter().find(|misspelt| misspelt.meant.starts_with("SLACK_"));
        if let (Some(misspelt), true, None) = (of_slack, host_options.alerts, &slack) {
            let setting = setting(misspelt.meant).unwrap_or(&SLACK_WEBHOOK);
            if !reader.faults.iter().any(|fault| fault.setting == setting.name) {
                reader.faults.push(Wrong::new("must be set, otherwise alerts reach nobody", "").of(setting));
            }
        }

        match (addresses, api_version, credential, requests_per_minute, max_concurrent_requests, targets, policy) {
            (
                Some(GitHubAddresses { api_url, web_url }),
                Some(api_version),
                Some(credential),
                Some(requests_per_minute),
                Some(max_concurrent_requests),
                Some(targets),
                Some(policy),
            ) if reader.faults.is_empty() => {
                let limits = Limits { requests_per_minute, max_concurrent_requests };
                let github = GitHubSettings { api_url, web_url, api_version, credential, limits };
                let outage_retention = outage_retention.unwrap_or_default();
                Ok(Self {
                    github,
                    targets,
                    slack,
                    slack_signing_secret,
                    github_webhook_secret,
                    slack_admins,
                    store,
                    policy,
                    allow_http_hosts,
                    outage_retention,
                    misspelt,
                })
            }
            _ => Err(reader.into_faults()),
        }
    }
}

/// Reads a target from a command line. The settings say where GitHub's web pages are.
pub fn written_target(source: &Source<'_>, text: &str) -> Result<Written, TargetError> {
    let mut reader = Reader { source, faults: Vec::new() };
    let allow_http_hosts = reader.http_hosts();
    let addresses = reader.read(&GITHUB_API_URL, |text| github(text, &allow_http_hosts));
    Written::read(text, addresses.as_ref().map_or("https://github.com", |found| &*found.web_url))
}

impl Reader<'_> {
    fn credential(&mut self) -> Option<Credential> {
        let given = [GITHUB_TOKEN, GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY]
            .map(|setting| self.source.value(setting.name).is_some());
        let set = |setting: &Setting| self.source.how_to_set(setting);
        let one_way = match given {
            [false, false, false] => {
                let ways = format!(
                    "{}; or a GitHub App: {}; {}",
                    set(&GITHUB_TOKEN),
                    set(&GITHUB_APP_ID),
                    set(&GITHUB_APP_PRIVATE_KEY)
                );
                Some(Wrong::new("a credential for GitHub must be set", ways).of(&GITHUB_TOKEN))
            }
            [true, false, false] | [false, true, true] => None,
            [false, true, false] => {
                let what = "must be set together with GITHUB_APP_ID";
                Some(Wrong::new(what, set(&GITHUB_APP_PRIVATE_KEY)).of(&GITHUB_APP_PRIVATE_KEY))
            }
            [false, false, true] => {
                let what = "must be set together with GITHUB_APP_PRIVATE_KEY";
                Some(Wrong::new(what, set(&GITHUB_APP_ID)).of(&GITHUB_APP_ID))
            }
            [true, _, _] => {
                let what = "must not be set together with a GitHub App";
                Some(
                    Wrong::new(what, "remove GITHUB_TOKEN, or GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY")
                        .of(&GITHUB_TOKEN),
                )
            }
        };
        let usable = one_way.is_none();
        self.faults.extend(one_way);
        // All three are read in any case, so that the faults within them are reported too.
        let token = self.read(&GITHUB_TOKEN, token).map(Credential::Token);
        let id = self.read(&GITHUB_APP_ID, app_id);
        let private_key = self.read(&GITHUB_APP_PRIVATE_KEY, private_key);
        let app = id.zip(private_key).map(|(id, private_key)| Credential::App { id, private_key });
        token.or(app).filter(|_| usable)
    }

    /// The targets of the three lists; `None` if an entry is malformed or there is no target.
    fn targets(&mut self, web_url: &str, elsewhere: &[TargetSpec]) -> Option<Vec<TargetSpec>> {
        let faults_before = self.faults.len();
        let targets = [
            (REPOS, TargetKind::Repository),
            (ORGANIZATIONS, TargetKind::Organization),
            (ENTERPRISES, TargetKind::Enterprise),
        ]
        .map(|(setting, kind)| self.list(&setting, |entry| target(kind, web_url, entry)))
        .concat();
        if self.faults.len() > faults_before {
            return None;
        }
        if targets.is_empty() && elsewhere.is_empty() {
            let ways = [REPOS, ORGANIZATIONS, ENTERPRISES].map(|setting| self.source.how_to_set(&setting));
            let wrong = Wrong::new("at least one target must be set", ways.join("; or "));
            self.faults.push(wrong.of(&REPOS));
            return None;
        }
        Some(merged(targets))
    }

    pub(crate) fn policy(&mut self, targets: Option<&[TargetSpec]>, every: Option<Duration>) -> Option<Policy> {
        let text = self.source.value(POLICY.name).or(POLICY.default.map(str::to_owned))?;
        policy(&text, targets, every).map_err(|faults| self.faults.extend(faults)).ok()
    }

    pub(crate) fn into_faults(self) -> SettingFaults {
        let mut faults = self.faults;
        for misspelt in self.source.misspelt() {
            let reported = reported_under(misspelt.meant);
            let of_it = |fault: &&mut SettingFault| fault.setting == reported || fault.setting == misspelt.meant;
            if let Some(fault) = faults.iter_mut().find(of_it) {
                fault.text = format!("{}; {misspelt}", fault.text);
            }
        }
        for fault in &mut faults {
            if let Some(place) = self.source.place(fault.setting) {
                fault.text = format!("{} ({place})", fault.text);
            }
        }
        if self.source.explains_how {
            for fault in &mut faults {
                let how = setting(fault.setting).map(|setting| self.source.how_to_set(setting)).unwrap_or_default();
                if !fault.text.contains(&how) {
                    fault.text = format!("{}: {how}", fault.text);
                }
            }
        }
        faults.sort_by_key(|fault| reference().iter().position(|setting| setting.name == fault.setting));
        SettingFaults(faults)
    }
}

/// The setting under which it is reported that this one is missing.
fn reported_under(name: &str) -> &str {
    match name {
        name if LISTS.contains(&name) => REPOS.name,
        "GITHUB_APP_ID" | "GITHUB_APP_PRIVATE_KEY" => GITHUB_TOKEN.name,
        name => name,
    }
}

/// Reads how long outages are kept.
fn retention(text: &str) -> Result<Duration, Wrong> {
    const DAY_SECS: u64 = 86_400;
    match parse_duration(text) {
        Ok(span) if (DAY_SECS..=3_650 * DAY_SECS).contains(&span.as_secs()) => Ok(span),
        _ => Err(Wrong::new(
            format!(
                "must be a duration from 1d to 3650d, for example {}; found `{}`",
                OUTAGE_RETENTION.example,
                shown(text)
            ),
            "",
        )),
    }
}

/// Reads a version of GitHub's REST API, which is a date.
fn api_version(text: &str) -> Result<String, Wrong> {
    let is_date = text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
    if is_date {
        return Ok(text.to_owned());
    }
    let example = GITHUB_API_VERSION.example;
    Err(Wrong::new(format!("must be a date, for example {example}; found `{}`", shown(text)), ""))
}

/// Reads a limit: a number from 1 to 100,000, or `off`.
fn limit(text: &str) -> Result<Option<NonZeroU32>, Wrong> {
    const MOST: u32 = 100_000;
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    match text.parse::<NonZeroU32>() {
        Ok(number) if number.get() <= MOST => Ok(Some(number)),
        _ => Err(Wrong::new(format!("must be a whole number from 1 to {MOST}, or off; found `{}`", shown(text)), "")),
    }
}
