//! The one table of all settings: names and defaults for the reader, the texts for the help and docs/CONFIGURATION.md.

use std::fmt::Write as _;

/// A setting and its documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name of the setting and of its environment variable.
    pub name: &'static str,
    /// What it is, in a sentence or two.
    pub what: &'static str,
    /// Whether its value must not be shown.
    pub secret: bool,
    /// A value that is accepted; for a secret, only its shape.
    pub example: &'static str,
    /// The value that is used if the setting is not set.
    pub default: Option<&'static str>,
    /// Its name in a parameter store, below the prefix; `None` if it can only be a variable.
    pub parameter: Option<&'static str>,
}

pub(crate) const GITHUB_TOKEN: Setting = Setting {
    name: "GITHUB_TOKEN",
    what: "Personal access token with read access to self-hosted runners. Set either this or a GitHub App",
    secret: true,
    example: "ghp_…",
    default: None,
    parameter: Some("github-token"),
};
pub(crate) const GITHUB_APP_ID: Setting = Setting {
    name: "GITHUB_APP_ID",
    what: "App ID or client ID of a GitHub App with read access to self-hosted runners. Set it together with GITHUB_APP_PRIVATE_KEY",
    secret: false,
    example: "123456",
    default: None,
    parameter: Some("github-app-id"),
};
pub(crate) const GITHUB_APP_PRIVATE_KEY: Setting = Setting {
    name: "GITHUB_APP_PRIVATE_KEY",
    what: "Private key of the GitHub App: PEM text, as it is, on one line or in base64, or `@` and the path of a PEM file",
    secret: true,
    example: "@/etc/runner-monitor/app.pem",
    default: None,
    parameter: Some("github-app-private-key"),
};
pub(crate) const GITHUB_API_URL: Setting = Setting {
    name: "GITHUB_API_URL",
    what: "Address of GitHub's REST API: `https://HOST/api/v3` for GitHub Enterprise Server, `https://api.NAME.ghe.com` for data residency",
    secret: false,
    example: "https://github.example.com/api/v3",
    default: Some("https://api.github.com"),
    parameter: Some("github-api-url"),
};
pub(crate) const GITHUB_API_VERSION: Setting = Setting {
    name: "GITHUB_API_VERSION",
    what: "Version of the REST API to request (`X-GitHub-Api-Version`)",
    secret: false,
    example: "2026-03-10",
    default: Some("2022-11-28"),
    parameter: None,
};
pub(crate) const GITHUB_REQUESTS_PER_MINUTE: Setting = Setting {
    name: "GITHUB_REQUESTS_PER_MINUTE",
    what: "Maximum requests to GitHub per minute: 1 to 100000, or `off` for no limit",
    secret: false,
    example: "300",
    default: Some("900"),
    parameter: None,
};
pub(crate) const GITHUB_MAX_CONCURRENT_REQUESTS: Setting = Setting {
    name: "GITHUB_MAX_CONCURRENT_REQUESTS",
    what: "Maximum concurrent requests to GitHub: 1 to 100000, or `off` for 500, the most that one process keeps open",
    secret: false,
    example: "20",
    default: Some("100"),
    parameter: None,
};
pub(crate) const REPOS: Setting = Setting {
    name: "REPOS",
    what: "Repositories to monitor: `owner/name`, or `owner/*` for all repositories of an account that the credential can see",
    secret: false,
    example: "acme/web,acme-labs/*",
    default: None,
    parameter: Some("repositories"),
};
pub(crate) const ORGANIZATIONS: Setting = Setting {
    name: "ORGANIZATIONS",
    what: "Organizations whose own runners are monitored",
    secret: false,
    example: "[\"acme\"]",
    default: None,
    parameter: Some("organizations"),
};
pub(crate) const ENTERPRISES: Setting = Setting {
    name: "ENTERPRISES",
    what: "Enterprises whose own runners are monitored",
    secret: false,
    example: "acme-corp",
    default: None,
    parameter: Some("enterprises"),
};
pub(crate) const SLACK_WEBHOOK: Setting = Setting {
    name: "SLACK_WEBHOOK",
    what: "Incoming webhook of the Slack channel that receives the alerts",
    secret: true,
    example: "https://hooks.slack.com/services/…",
    default: None,
    parameter: Some("slack-webhook"),
};
pub(crate) const SLACK_WEBHOOKS: Setting = Setting {
    name: "SLACK_WEBHOOKS",
    what: "Webhooks of further channels: a JSON object with the channel names that the policy uses. Set it together with SLACK_WEBHOOK, the default channel",
    secret: true,
    example: "{\"gpu-alerts\":\"https://hooks.slack.com/services/…\"}",
    default: None,
    parameter: Some("slack-webhooks"),
};
pub(crate) const SLACK_BOT_TOKEN: Setting = Setting {
    name: "SLACK_BOT_TOKEN",
    what: "Bot token of the Slack app, so that an alert is updated when its outage ends. Set it together with SLACK_CHANNEL; it takes precedence over SLACK_WEBHOOK",
    secret: true,
    example: "xoxb-…",
    default: None,
    parameter: Some("slack-bot-token"),
};
pub(crate) const SLACK_CHANNEL: Setting = Setting {
    name: "SLACK_CHANNEL",
    what: "Default channel of the bot, by id or name, used unless the policy names another",
    secret: false,
    example: "C0123456789",
    default: None,
    parameter: Some("slack-channel"),
};
pub(crate) const SLACK_API_URL: Setting = Setting {
    name: "SLACK_API_URL",
    what: "Address of Slack's Web API, if it is not slack.com, for example for GovSlack",
    secret: false,
    example: "https://slack-gov.com/api",
    default: Some("https://slack.com/api"),
    parameter: None,
};
pub(crate) const SLACK_SIGNING_SECRET: Setting = Setting {
    name: "SLACK_SIGNING_SECRET",
    what: "Signing secret of the Slack app, which proves that a slash command or button press comes from Slack, and from which sessions of the page are made. Needed to answer them",
    secret: true,
    example: "8f74…",
    default: None,
    parameter: Some("slack-signing-secret"),
};
pub(crate) const GITHUB_WEBHOOK_SECRET: Setting = Setting {
    name: "GITHUB_WEBHOOK_SECRET",
    what: "Secret of the webhook with which GitHub reports workflow jobs. Needed to receive them (`run --webhooks`; on AWS the parameter `ReceiveJobs`)",
    secret: true,
    example: "3f9c…",
    default: None,
    parameter: Some("github-webhook-secret"),
};
pub(crate) const SLACK_ADMINS: Setting = Setting {
    name: "SLACK_ADMINS",
    what: "Ids of the Slack users and user groups who may mute more than one target, or for longer than 24 h; user groups need SLACK_BOT_TOKEN. If it is not set, nobody may do this, except for muting a name or label that exists in several targets",
    secret: false,
    example: "U0123456789,S0123456789",
    default: None,
    parameter: Some("slack-admins"),
};
pub(crate) const STATELYDB_ACCESS_KEY: Setting = Setting {
    name: "STATELYDB_ACCESS_KEY",
    what: "Access key of StatelyDB. This and the next two are needed if state is stored in StatelyDB (`--store stately`)",
    secret: true,
    example: "CAISR…",
    default: None,
    parameter: Some("statelydb-access-key"),
};
pub(crate) const STATELYDB_STORE_ID: Setting = Setting {
    name: "STATELYDB_STORE_ID",
    what: "Id of the StatelyDB store, a number",
    secret: false,
    example: "7204785912541003",
    default: None,
    parameter: Some("statelydb-store-id"),
};
pub(crate) const STATELYDB_SCHEMA_ID: Setting = Setting {
    name: "STATELYDB_SCHEMA_ID",
    what: "Id of the StatelyDB schema under which schema/schema.ts was published, a number",
    secret: false,
    example: "5371490217854203",
    default: None,
    parameter: Some("statelydb-schema-id"),
};
pub(crate) const STATELYDB_REGION: Setting = Setting {
    name: "STATELYDB_REGION",
    what: "Region of the StatelyDB store. If it is not set, the global address is used",
    secret: false,
    example: "us-east-1",
    default: None,
    parameter: Some("statelydb-region"),
};
pub(crate) const STATELYDB_ENDPOINT: Setting = Setting {
    name: "STATELYDB_ENDPOINT",
    what: "Address of your own StatelyDB data plane, used instead of the region's",
    secret: false,
    example: "http://127.0.0.1:3030",
    default: None,
    parameter: None,
};
pub(crate) const STATELYDB_NO_AUTH: Setting = Setting {
    name: "STATELYDB_NO_AUTH",
    what: "`1` if that data plane needs no access key",
    secret: false,
    example: "1",
    default: None,
    parameter: None,
};
pub(crate) const DYNAMODB_TABLE: Setting = Setting {
    name: "DYNAMODB_TABLE",
    what: "Name or ARN of the DynamoDB table, if state is stored there (`--store dynamodb`). The credentials, region and address are those of the AWS SDK (`AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL_DYNAMODB`)",
    secret: false,
    example: "runner-monitor",
    default: None,
    parameter: None,
};
pub(crate) const POLICY: Setting = Setting {
    name: "POLICY",
    what: "Alert thresholds, and the channel for each alert: JSON text, or the path of a JSON file",
    secret: false,
    example: "{\"failureThreshold\":2,\"unreachableAfter\":\"20m\"}",
    default: Some("{}"),
    parameter: Some("policy"),
};
pub(crate) const ALLOW_HTTP_HOSTS: Setting = Setting {
    name: "ALLOW_HTTP_HOSTS",
    what: "Hosts that may be reached over plain http, in addition to this machine",
    secret: false,
    example: "github.internal,10.0.0.7",
    default: None,
    parameter: None,
};

pub(crate) const OUTAGE_RETENTION: Setting = Setting {
    name: "OUTAGE_RETENTION",
    what: "How long a file store keeps ended outages: 1d to 3650d. StatelyDB and DynamoDB keep them for 400 days",
    secret: false,
    example: "90d",
    default: Some("400d"),
    parameter: None,
};

const RUNNER_MONITOR_STORE: Setting = Setting {
    name: "RUNNER_MONITOR_STORE",
    what: "Store of the program: a file, `stately` or `dynamodb` (`--store`). The default is a file below `~/.local/state`",
    secret: false,
    example: "/var/lib/runner-monitor/store.db",
    default: None,
    parameter: None,
};
const CHECK_INTERVAL: Setting = Setting {
    name: "CHECK_INTERVAL",
    what: "Time between two checks of a target: 10s to 1h (`run --every`)",
    secret: false,
    example: "2m",
    default: Some("5m"),
    parameter: None,
};
const HEARTBEAT_URL: Setting = Setting {
    name: "HEARTBEAT_URL",
    what: "Address to call after each complete cycle, for a dead-man's switch (`run --heartbeat-url`)",
    secret: true,
    example: "https://hc-ping.com/…",
    default: None,
    parameter: None,
};
const PENDING_LIMIT: Setting = Setting {
    name: "PENDING_LIMIT",
    what: "How long a notification may be pending while the heartbeat goes on: 10s to 24h (`run --pending-limit`)",
    secret: false,
    example: "30m",
    default: Some("15m"),
    parameter: None,
};
const SLACK_COMMANDS: Setting = Setting {
    name: "SLACK_COMMANDS",
    what: "Address at which Slack's commands are answered (`run --slack-commands`)",
    secret: false,
    example: "127.0.0.1:8099",
    default: None,
    parameter: None,
};
const WEBHOOKS: Setting = Setting {
    name: "WEBHOOKS",
    what: "Address at which reports of workflow jobs are received (`run --webhooks`)",
    secret: false,
    example: "127.0.0.1:8098",
    default: None,
    parameter: None,
};
const WEB: Setting = Setting {
    name: "WEB",
    what: "Address at which the page is served (`run --web`)",
    secret: false,
    example: "127.0.0.1:8080",
    default: None,
    parameter: None,
};
const WEB_HOST: Setting = Setting {
    name: "WEB_HOST",
    what: "Host names or addresses under which the page is also served (`--web-host`)",
    secret: false,
    example: "runners.example.com",
    default: None,
    parameter: None,
};

/// The lists. One that is too long for a parameter continues in `NAME/2`, `NAME/3` and so on.
pub(crate) const LISTS: [&str; 3] = [REPOS.name, ORGANIZATIONS.name, ENTERPRISES.name];

/// The settings that hold more than one value.
pub(crate) const HOLD_MUCH: [&str; 5] =
    [REPOS.name, ORGANIZATIONS.name, ENTERPRISES.name, POLICY.name, SLACK_WEBHOOKS.name];

/// The settings that a configuration file may also write as a list.
pub(crate) const MAY_BE_LISTS: [&str; 6] =
    [REPOS.name, ORGANIZATIONS.name, ENTERPRISES.name, SLACK_ADMINS.name, ALLOW_HTTP_HOSTS.name, WEB_HOST.name];

/// The setting with this name.
pub(crate) fn setting(name: &str) -> Option<&'static Setting> {
    reference().iter().find(|setting| setting.name == name)
}

/// All settings, in the order in which they are documented.
pub fn reference() -> &'static [Setting] {
    const ALL: &[Setting] = &[
        GITHUB_TOKEN,
        GITHUB_APP_ID,
        GITHUB_APP_PRIVATE_KEY,
        GITHUB_API_URL,
        GITHUB_API_VERSION,
        GITHUB_REQUESTS_PER_MINUTE,
        GITHUB_MAX_CONCURRENT_REQUESTS,
        GITHUB_WEBHOOK_SECRET,
        REPOS,
        ORGANIZATIONS,
        ENTERPRISES,
        SLACK_WEBHOOK,
        SLACK_WEBHOOKS,
        SLACK_BOT_TOKEN,
        SLACK_CHANNEL,
        SLACK_API_URL,
        SLACK_SIGNING_SECRET,
        SLACK_ADMINS,
        STATELYDB_ACCESS_KEY,
        STATELYDB_STORE_ID,
        STATELYDB_SCHEMA_ID,
        STATELYDB_REGION,
        STATELYDB_ENDPOINT,
        STATELYDB_NO_AUTH,
        DYNAMODB_TABLE,
        POLICY,
        ALLOW_HTTP_HOSTS,
        OUTAGE_RETENTION,
    ];
    ALL
}

/// The settings of the program `runner-monitor` alone, which are arguments as well.
pub fn program_reference() -> &'static [Setting] {
    const ALL: &[Setting] =
        &[RUNNER_MONITOR_STORE, CHECK_INTERVAL, HEARTBEAT_URL, PENDING_LIMIT, SLACK_COMMANDS, WEBHOOKS, WEB, WEB_HOST];
    ALL
}

/// All settings that a configuration file may have.
pub(crate) fn of_files() -> impl Iterator<Item = &'static Setting> {
    reference().iter().chain(program_reference())
}

/// The settings as `--help` lists them, with a line break at the end of each line.
pub fn help_text(settings: &[Setting]) -> String {
    settings.iter().fold(String::new(), |mut text, setting| {
        let note = match (setting.secret, setting.default) {
            (true, _) => " [secret]".to_owned(),
            (false, Some(default)) => format!(" [default: {default}]"),
            (false, None) => String::new(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}\n      {}{note}", setting.name, setting.what.replace('`', ""));
        let _ = writeln!(text, "      for example {}", setting.example);
        text
    })
}

/// The settings as a table in Markdown, as docs/CONFIGURATION.md shows it.
pub fn markdown_table() -> String {
    let head = "| Variable | Parameter | What it is | Default | Example |\n|---|---|---|---|---|\n".to_owned();
    reference().iter().fold(head, |mut table, setting| {
        let default = setting.default.map_or("–".to_owned(), |default| format!("`{default}`"));
        let secret = if setting.secret { " (secret)" } else { "" };
        let parameter = setting.parameter.map_or("–".to_owned(), |parameter| format!("`{parameter}`"));
        let Setting { name, what, example, .. } = setting;
        let _ = writeln!(table, "| `{name}` | {parameter} | {what}{secret} | {default} | `{example}` |");
        table
    })
}

/// The settings of the program alone as a table in Markdown, as docs/CONFIGURATION.md shows it.
pub fn program_table() -> String {
    let head = "| Variable | In the file | What it is | Default | Example |\n|---|---|---|---|---|\n".to_owned();
    program_reference().iter().fold(head, |mut table, setting| {
        let default = setting.default.map_or("–".to_owned(), |default| format!("`{default}`"));
        let secret = if setting.secret { " (secret)" } else { "" };
        let Setting { name, what, example, .. } = setting;
        let _ = writeln!(table, "| `{name}` | `{}` | {what}{secret} | {default} | `{example}` |", setting.key());
        table
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_setting() {
        for table in [markdown_table(), program_table()] {
            assert!(include_str!("../../../docs/CONFIGURATION.md").contains(&table), "{table}");
        }
    }

    #[test]
    fn the_page_documents_every_key_of_the_policy() {
        let page = include_str!("../../../docs/CONFIGURATION.md");
        let documented: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        for key in monitor_domain::policy::reference() {
            let (start, accepts) = (format!("| `{}` | ", key.name), format!(" | {} | {}", key.accepted(), key.default));
            let line = documented.iter().find(|line| line.starts_with(&start));
            assert!(line.is_some_and(|line| line.contains(&accepts)), "{start}…{accepts} |: {line:?}");
        }
    }

    #[test]
    fn the_help_names_every_setting_and_default() {
        let help = help_text(reference());
        for setting in reference() {
            assert!(help.contains(&format!("  {}\n", setting.name)), "{help}");
        }
        assert!(help.contains("[default: https://api.github.com]"), "{help}");
    }
}
