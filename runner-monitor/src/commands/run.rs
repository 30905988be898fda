//! `runner-monitor run`: monitors until stopped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use monitor_domain::cycle::describe;
use monitor_telemetry::SystemClock;
use tracing::{info, warn};

use crate::Outcome;
use crate::args::Run;
use crate::clock::MachineClock;
use crate::config_file;
use crate::cycle::CycleReport;
use crate::descriptors;
use crate::engine::Engine;
use crate::setup;
use crate::stopping::stop_on_signal;
use crate::web_server::WebServer;

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
    let slack_server = match arguments.slack_commands {
        Some(address) => Some(setup::slack_server(address, &settings, &http, &arguments.page).await?),
        None => None,
    };

    let web_server = match arguments.web {
        Some(address) => Some(WebServer::bind(address, &arguments.page, setup::web_base(&settings)?).await?),
        None => None,
    };

    let stop = stop_on_signal()?;
    if let Some(slack_server) = &slack_server {
        info!(address = %slack_server.address()?, "answering Slack");
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
    let engine = Arc::new(Engine::new(store, github, chat, clock, what, limits, false));
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
    let ended = engine.run(stop, slack_server, web_server, on_cycle).await;
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
