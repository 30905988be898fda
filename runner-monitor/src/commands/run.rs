//! `runner-monitor run`: monitors until stopped.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, FromArgMatches};
use monitor_config::{HostOptions, Secret, SettingFault, read_secret};
use monitor_domain::cycle::{PENDING_LIMITS, describe};
use monitor_domain::target::TargetSpec;
use monitor_telemetry::SystemClock;
use tracing::{info, warn};

use crate::Outcome;
use crate::args::{
    SLACK_COMMANDS, WEB, WEBHOOKS, is_from, parse_address, parse_target, parse_within, with_default_of_file,
};
use crate::clock::MachineClock;
use crate::config_file;
use crate::cycle::CycleReport;
use crate::descriptors;
use crate::engine::Engine;
use crate::loops::Servers;
use crate::setup;
use crate::stopping::stop_on_signal;
use crate::store::{STORE, StoreArgument, parse_store};
use crate::web_server::{PageArguments, WEB_HOST, WebServer, check_address, parse_web_host};
use crate::webhook_server::{WebhookServer, Webhooks};

/// The environment variable for `--heartbeat-url`.
const HEARTBEAT_URL: &str = "HEARTBEAT_URL";
/// The environment variable for `--pending-limit`.
const PENDING_LIMIT: &str = "PENDING_LIMIT";
/// The environment variable for `--every`.
const CHECK_INTERVAL: &str = "CHECK_INTERVAL";

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Targets to watch [default: those in REPOS, ORGANIZATIONS and ENTERPRISES]
    #[arg(value_name = "TARGET", value_parser = parse_target)]
    pub(crate) targets: Vec<TargetSpec>,
    /// The time between two checks of a target, 10s to 1h
    #[arg(long, value_name = "DURATION", default_value = "5m", env = CHECK_INTERVAL, value_parser = parse_interval)]
    pub(crate) every: Duration,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// The URL to call (GET) after each complete cycle, for a dead-man's switch. A cycle is complete if every target
    /// was checked, or its failed check was stored, and no notification has been pending beyond the limit. The URL
    /// often holds a key, and everybody on the machine can read arguments: set the variable instead, or write `@` and
    /// the path of a file that holds the URL
    #[arg(long, value_name = "@FILE", env = HEARTBEAT_URL, hide_env_values = true)]
    pub(crate) heartbeat_url: Option<String>,
    /// How long a notification may be pending before the heartbeat stops, 10s to 24h; less than three times --every
    /// counts as that
    #[arg(long, value_name = "DURATION", default_value = "15m", env = PENDING_LIMIT, value_parser = parse_pending_limit)]
    pub(crate) pending_limit: Duration,
    /// Answer Slack's slash commands and buttons at this address, behind a reverse proxy; needs SLACK_SIGNING_SECRET
    #[arg(long, value_name = "ADDRESS:PORT", env = SLACK_COMMANDS, value_parser = parse_address)]
    pub(crate) slack_commands: Option<SocketAddr>,
    /// Receive GitHub's reports of workflow jobs at this address, behind a reverse proxy; may be that of
    /// --slack-commands; needs GITHUB_WEBHOOK_SECRET
    #[arg(long, value_name = "ADDRESS:PORT", env = WEBHOOKS, value_parser = parse_address)]
    pub(crate) webhooks: Option<SocketAddr>,
    /// Serve the page, the JSON API under /api/v1, /metrics and /healthz at this address
    #[arg(long, value_name = "ADDRESS:PORT", env = WEB, value_parser = parse_address)]
    pub(crate) web: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) page: PageArguments,
}

impl Run {
    /// What `run` would use if it were started without arguments.
    pub(crate) fn of_settings() -> Result<Self, clap::Error> {
        let command = Self::augment_args(clap::Command::new("run")).mut_args(with_default_of_file);
        Self::from_arg_matches(&command.try_get_matches_from(["run"])?)
    }

    /// The fault of the addresses on which it would listen, if there is one.
    pub(crate) fn fault_of_addresses(&self) -> Option<anyhow::Error> {
        let web = self.web?;
        for (variable, address) in [(SLACK_COMMANDS, self.slack_commands), (WEBHOOKS, self.webhooks)] {
            if address == Some(web) && web.port() != 0 {
                return Some(anyhow::anyhow!("WEB and {variable} are both {web}: choose another port for one of them"));
            }
        }
        check_address(web, &self.page).err()
    }

    /// What the reader of the settings needs to know.
    pub(crate) fn host_options(&self) -> HostOptions {
        HostOptions {
            every: Some(self.every),
            targets: self.targets.clone(),
            store: self.store.service(),
            slack_commands: self.slack_commands.is_some(),
            webhooks: self.webhooks.is_some(),
            alerts: true,
            ..HostOptions::default()
        }
    }

    /// The source of the heartbeat's URL, for error messages. A wrong URL itself is not shown: it often holds a key.
    pub(crate) fn heartbeat_source(&self) -> &'static str {
        let given = self.heartbeat_url.as_deref().unwrap_or_default();
        if is_from(HEARTBEAT_URL, given) { HEARTBEAT_URL } else { "--heartbeat-url" }
    }

    /// The heartbeat's URL, read from a file if `@` and a path are given.
    pub(crate) fn heartbeat_text(&self) -> Result<Option<Secret>, SettingFault> {
        let given = self.heartbeat_url.as_deref().map(str::trim).filter(|given| !given.is_empty());
        given.map(|given| read_secret(self.heartbeat_source(), given)).transpose()
    }

    /// Whether the heartbeat's URL is on the command line, where everybody on the machine can read it.
    pub(crate) fn shows_heartbeat(&self) -> bool {
        let given = self.heartbeat_url.as_deref().unwrap_or_default();
        !given.is_empty() && !given.starts_with('@') && self.heartbeat_source() != HEARTBEAT_URL
    }
}

/// The fault of a value of the configuration file that is an argument; `None` if it is sound.
pub(crate) fn fault_of_value(variable: &str, value: &str) -> Option<String> {
    match variable {
        CHECK_INTERVAL => parse_interval(value).err(),
        PENDING_LIMIT => parse_pending_limit(value).err(),
        SLACK_COMMANDS | WEBHOOKS | WEB => parse_address(value).err(),
        STORE => parse_store(value.into()).err(),
        WEB_HOST => value.split(',').find_map(|host| parse_web_host(host).err()),
        _ => None,
    }
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    parse_within(text, Duration::from_secs(10)..=Duration::from_secs(3_600), "10s to 1h, for example 5m")
}

fn parse_pending_limit(text: &str) -> Result<Duration, String> {
    parse_within(text, PENDING_LIMITS, "10s to 24h, for example 15m")
}

pub(crate) async fn run(arguments: &Run) -> anyhow::Result<Outcome> {
    let slack_commands = arguments.slack_commands.is_some();
    let settings = setup::settings(&arguments.host_options())?;
    settings.misspelt.iter().for_each(|misspelt| warn!("{misspelt}"));
    config_file::exposure().iter().for_each(|exposure| warn!("{exposure}"));
    let clock = MachineClock;
    let http = setup::http()?;
    let github = setup::github(&settings, &SystemClock)?;
    let chat = setup::messenger(&http, &settings, slack_commands)?;
    let store = setup::store(&arguments.store, &settings).await?;
    let heartbeat = arguments.heartbeat_text()?;
    let heartbeat = heartbeat
        .map(|url| heartbeat_url(url.expose(), arguments.heartbeat_source(), &settings.allow_http_hosts))
        .transpose()?;
    if arguments.shows_heartbeat() {
        warn!(
            "the heartbeat's URL is an argument, which everybody on this machine can read: set HEARTBEAT_URL instead"
        );
    }
    let webhooks = settings.github_webhook_secret.as_ref().map(|secret| Arc::new(Webhooks::new(secret)));
    let is_shared = arguments.webhooks == arguments.slack_commands;
    let slack_server = match arguments.slack_commands {
        Some(address) => {
            let also = webhooks.clone().filter(|_| is_shared);
            Some(setup::slack_server(address, &settings, &http, &arguments.page, also).await?)
        }
        None => None,
    };
    let webhook_server = match (arguments.webhooks.filter(|_| !is_shared), webhooks) {
        (Some(address), Some(webhooks)) => Some(WebhookServer::bind(address, webhooks).await?),
        _ => None,
    };

    let web_server = match arguments.web {
        Some(address) => Some(WebServer::bind(address, &arguments.page, setup::web_base(&settings)?).await?),
        None => None,
    };

    let stop = stop_on_signal()?;
    if let Some(slack_server) = &slack_server {
        info!(address = %slack_server.address()?, "answering Slack");
    }
    if let Some(webhook_server) = &webhook_server {
        info!(address = %webhook_server.address()?, "receiving reports of workflow jobs");
    }
    if let Some(web_server) = &web_server {
        info!(address = %web_server.address()?, sessions = web_server.has_sessions(), "serving the page");
    }
    info!(
        lines = settings.targets.len(),
        every_secs = arguments.every.as_secs(),
        store = %arguments.store.place()?,
        slack = settings.slack.is_some(),
        "watching"
    );
    let what = (settings.policy.clone(), settings.targets.clone(), arguments.every);
    let limits = (arguments.pending_limit, descriptors::checks_at_once());
    let mut engine = Engine::new(store, github, chat, clock, what, limits, false);
    engine.settings.jobs = arguments.webhooks.is_some();
    let engine = Arc::new(engine);
    let on_cycle = move |report: CycleReport| {
        let CycleReport { targets, unseen, runners, online, down, quota_remaining, took, shortfalls } = report;
        let elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if !shortfalls.is_empty() {
            let reasons = describe(&shortfalls);
            warn!(reasons, targets, unseen, runners, online, down, quota_remaining, elapsed_ms, "cycle not complete");
            return;
        }
        info!(targets, unseen, runners, online, down, quota_remaining, elapsed_ms, "cycle complete");
        if let Some(url) = heartbeat.clone() {
            let http = http.clone();
            tokio::spawn(async move { beat(&http, url).await });
        }
    };
    let ended =
        engine.run(stop, Servers { slack: slack_server, webhook: webhook_server, web: web_server }, on_cycle).await;
    info!("stopped");
    // The error is in the log. Its exit code is not that of a wrong setting, after which a supervisor does not restart.
    Ok(if ended.is_ok() { Outcome::Healthy } else { Outcome::Unhealthy })
}

/// Parses and checks the heartbeat URL. It often holds a key, so no message shows it.
pub(crate) fn heartbeat_url(text: &str, source: &str, allowed_http: &BTreeSet<String>) -> anyhow::Result<reqwest::Url> {
    let fix = "must be the https address from your dead-man's switch, for example https://hc-ping.com/your-key";
    let url = reqwest::Url::parse(text).ok().with_context(|| format!("{source}: {fix}; found no URL"))?;
    let host = url.host_str().unwrap_or_default().to_lowercase();
    let is_loopback = host == "localhost" || host == "[::1]" || host.starts_with("127.");
    let may_be_plain = is_loopback || allowed_http.contains(&host);
    anyhow::ensure!(
        url.scheme() == "https" || url.scheme() == "http" && may_be_plain,
        "{source}: {fix}, or its host must be in ALLOW_HTTP_HOSTS; found plain http or another scheme"
    );
    Ok(url)
}

async fn beat(http: &reqwest::Client, url: reqwest::Url) {
    let answer = http.get(url).timeout(Duration::from_secs(10)).send().await;
    match answer.and_then(reqwest::Response::error_for_status).map_err(reqwest::Error::without_url) {
        Ok(_) => {}
        Err(error) => warn!(%error, "the heartbeat request failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_a_unit_and_a_range() {
        assert_eq!(parse_interval("10s"), Ok(Duration::from_secs(10)));
        for bad in ["5s", "2h", "5", "soon"] {
            assert!(parse_interval(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_pending_limit_has_a_range_and_the_default_of_the_domain() {
        let run = Run::of_settings().unwrap();
        assert_eq!(run.pending_limit, monitor_domain::cycle::DEFAULT_PENDING_LIMIT);
        assert_eq!(parse_pending_limit("24h"), Ok(Duration::from_secs(86_400)));
        for bad in ["9s", "25h", "15", ""] {
            assert!(parse_pending_limit(bad).is_err(), "{bad}");
        }
    }
}
