//! Builds the clients from the settings: HTTP, GitHub, Slack or the console, and the store.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use monitor_config::{HostOptions, Settings, Source, StatelyDbSettings};
use monitor_embedded::store::EmbeddedStore;
use monitor_github::GitHub;
use monitor_pipeline::ports::Clock;
use monitor_slack::incoming::SigningSecret;
use monitor_slack::{Admins, Console, Messenger, Refusals, Replies, WebBase};
use monitor_stately::client::Client;
use monitor_stately::{HttpTransport, StatelyStore};
use monitor_telemetry::SystemClock;

use crate::args::StoreArgument;
use crate::slack_server::{Answering, SlackServer};
use crate::store::ChosenStore;
use crate::table::colour_on_stdout;

/// The settings from the environment. Targets given as arguments replace those of the settings.
pub(crate) fn settings(host_options: &HostOptions) -> anyhow::Result<Settings> {
    let mut settings = Settings::read(&Source::environment(), host_options)?;
    if !host_options.targets.is_empty() {
        settings.targets.clone_from(&host_options.targets);
    }
    Ok(settings)
}

/// The HTTP client for Slack and the heartbeat. An HTTP/1.1 connection carries one request at a time, so a connection
/// that timed out is never reused.
pub(crate) fn http() -> anyhow::Result<reqwest::Client> {
    monitor_http::client(monitor_http::http().http1_only()).context("the HTTP client could not be set up")
}

/// The GitHub client.
pub(crate) fn github(settings: &Settings, clock: &SystemClock) -> anyhow::Result<GitHub> {
    let clock = *clock;
    Ok(monitor_http::github(monitor_http::http, &settings.github, Arc::new(move || clock.now()))?)
}

/// The web address that links start with.
pub(crate) fn web_base(settings: &Settings) -> anyhow::Result<WebBase> {
    Ok(WebBase::parse(&settings.github.web_url)?)
}

/// Slack if it is set, otherwise the console. `buttons` is set if button presses are answered.
pub(crate) fn messenger(http: &reqwest::Client, settings: &Settings, buttons: bool) -> anyhow::Result<Messenger> {
    Ok(match &settings.slack {
        Some(slack) => {
            let (web_url, allow_http_hosts) = (&settings.github.web_url, &settings.allow_http_hosts);
            monitor_http::slack(http, slack, web_url, allow_http_hosts, buttons)?
        }
        None => Messenger::Console(Console::stdout(colour_on_stdout(), web_base(settings)?)),
    })
}

/// The server for requests from Slack.
pub(crate) async fn slack_server(
    address: SocketAddr,
    settings: &Settings,
    http: &reqwest::Client,
) -> anyhow::Result<SlackServer> {
    let secret = settings.slack_signing_secret.as_ref().context("the signing secret of Slack was not read")?;
    let messenger = messenger(http, settings, true)?;
    let answering = Answering {
        secret: SigningSecret::new(secret.expose()),
        web: web_base(settings)?,
        admins: Admins::new(&settings.slack_admins, Some(&messenger)),
        messenger,
        replies: Replies::new(http.clone()),
        refusals: Refusals::default(),
    };
    SlackServer::bind(address, answering).await
}

/// Opens the selected store. For a file, creates its folder.
pub(crate) fn store(argument: &StoreArgument, settings: &Settings) -> anyhow::Result<ChosenStore> {
    open(argument, settings.statelydb.as_ref(), settings.outage_retention)
}

fn open(
    argument: &StoreArgument,
    statelydb: Option<&StatelyDbSettings>,
    outage_retention: Duration,
) -> anyhow::Result<ChosenStore> {
    if argument.is_stately() {
        let settings = statelydb.context("the settings of StatelyDB were not read")?;
        let store = StatelyStore::new(stately_client(settings)?);
        return Ok(ChosenStore::Stately(Box::new(store)));
    }
    let path = argument.path()?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("the folder {} could not be created", folder.display()))?;
    }
    Ok(ChosenStore::Embedded(Box::new(EmbeddedStore::open(&path)?), outage_retention))
}

/// Opens a store for commands that only read: the file must exist.
pub(crate) fn existing_store(argument: &StoreArgument) -> anyhow::Result<ChosenStore> {
    if argument.is_stately() {
        return open(argument, Some(&StatelyDbSettings::read(&Source::environment())?), Duration::MAX);
    }
    let path = argument.path()?;
    anyhow::ensure!(
        path.exists(),
        "there is no store at {}: run `runner-monitor check` or `runner-monitor run` first, or name it with --store",
        path.display()
    );
    // Commands that only read delete nothing.
    open(argument, None, Duration::MAX)
}

/// The StatelyDB client.
pub(crate) fn stately_client(settings: &StatelyDbSettings) -> anyhow::Result<Client<HttpTransport>> {
    Ok(monitor_http::stately(monitor_http::http(), settings, SystemClock.random())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_are_kept_as_long_as_set_and_commands_that_only_read_delete_none() {
        let folder = tempfile::tempdir().unwrap();
        let argument = StoreArgument { store: Some(folder.path().join("new/store.db")) };
        let variables = |name: &str| match name {
            "GITHUB_TOKEN" => Some("x".to_owned()),
            "REPOS" => Some("acme/web".to_owned()),
            "OUTAGE_RETENTION" => Some("90d".to_owned()),
            _ => None,
        };
        let settings = Settings::read(&Source::variables(variables), &HostOptions::default()).unwrap();
        let kept = |store: ChosenStore| match store {
            ChosenStore::Embedded(_, keep_outages) => keep_outages,
            ChosenStore::Stately(_) => panic!("a file was chosen"),
        };
        assert_eq!(kept(store(&argument, &settings).unwrap()), Duration::from_secs(90 * 86_400));
        assert_eq!(kept(existing_store(&argument).unwrap()), Duration::MAX);
    }
}
