//! Builds the clients from the settings: HTTP, GitHub, Slack or the console, and the store.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use aws_config::{BehaviorVersion, SdkConfig};
use monitor_access::PageLinks;
use monitor_config::{HostOptions, Settings, StatelyDbSettings, StoreSettings};
use monitor_embedded::store::EmbeddedStore;
use monitor_github::GitHub;
use monitor_http::http_for_any_machine;
use monitor_pipeline::ports::Clock;
use monitor_slack::incoming::SigningSecret;
use monitor_slack::{Admins, Console, Messenger, Refusals, Replies, WebBase};
use monitor_stately::HttpTransport;
use monitor_stately::client::Client;
use monitor_telemetry::SystemClock;

use crate::config_file;
use crate::slack_server::{Answering, SlackServer};
use crate::store::{ChosenStore, StoreArgument};
use crate::table::colour_on_stdout;
use crate::web_server::PageArguments;
use crate::webhook_server::Webhooks;

/// The settings from the environment and the configuration file. Targets given as arguments replace those of the settings.
pub(crate) fn settings(host_options: &HostOptions) -> anyhow::Result<Settings> {
    let mut settings = Settings::read(&config_file::source(), host_options)?;
    if !host_options.targets.is_empty() {
        settings.targets.clone_from(&host_options.targets);
    }
    Ok(settings)
}

/// The HTTP client for Slack and the heartbeat. An HTTP/1.1 connection carries one request at a time, so a connection
/// that timed out is never reused.
pub(crate) fn http() -> anyhow::Result<reqwest::Client> {
    monitor_http::client(http_for_any_machine().http1_only()).context("the HTTP client could not be set up")
}

/// The GitHub client.
pub(crate) fn github(settings: &Settings, clock: &SystemClock) -> anyhow::Result<GitHub> {
    let clock = *clock;
    Ok(monitor_http::github(http_for_any_machine, &settings.github, Arc::new(move || clock.now()))?)
}

/// The web address that links start with.
pub(crate) fn web_base(settings: &Settings) -> anyhow::Result<WebBase> {
    Ok(WebBase::parse(&settings.github.web_url)?)
}

/// The same for a command that reads no other settings.
pub(crate) fn web_base_of_environment() -> anyhow::Result<WebBase> {
    let api = config_file::value("GITHUB_API_URL");
    Ok(api.map(|address| WebBase::from_api_url(&address)).transpose()?.unwrap_or_default())
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
    page: &PageArguments,
    webhooks: Option<Arc<Webhooks>>,
) -> anyhow::Result<SlackServer> {
    let secret = settings.slack_signing_secret.as_ref().context("the signing secret of Slack was not read")?;
    let messenger = messenger(http, settings, true)?;
    let answering = Answering {
        secret: SigningSecret::new(secret.expose()),
        web: web_base(settings)?,
        page: page.web_host.first().map(|host| PageLinks::new(secret, &host.address)),
        admins: Admins::new(&settings.slack_admins, Some(&messenger)),
        messenger,
        replies: Replies::new(http.clone()),
        refusals: Refusals::default(),
    };
    SlackServer::bind(address, answering, webhooks).await
}

/// Opens the selected store. For a file, creates its folder.
pub(crate) async fn store(argument: &StoreArgument, settings: &Settings) -> anyhow::Result<ChosenStore> {
    match &settings.store {
        Some(service) => network_store(service).await,
        None => file(argument, settings.outage_retention),
    }
}

async fn network_store(settings: &StoreSettings) -> anyhow::Result<ChosenStore> {
    let sdk = match settings {
        StoreSettings::DynamoDb(_) => sdk_config().await?,
        StoreSettings::StatelyDb(_) => SdkConfig::builder().build(),
    };
    let dynamodb = || aws_sdk_dynamodb::Client::new(&sdk);
    let store = monitor_http::store(http_for_any_machine(), settings, dynamodb, SystemClock.random())?;
    Ok(ChosenStore::Network(store))
}

/// Region, credentials and addresses as every AWS program finds them: variables, profiles, SSO, containers, instances.
async fn sdk_config() -> anyhow::Result<SdkConfig> {
    let http = http()?;
    let sdk = aws_config::defaults(BehaviorVersion::latest())
        .http_client(monitor_http::sdk_http(move || Ok::<_, Infallible>(http.clone())))
        .timeout_config(monitor_http::sdk_timeouts());
    let sdk = sdk.load().await;
    anyhow::ensure!(sdk.region().is_some(), "no AWS region is set: set AWS_REGION, or the region of the AWS profile");
    Ok(sdk)
}

fn file(argument: &StoreArgument, outage_retention: Duration) -> anyhow::Result<ChosenStore> {
    let path = argument.path()?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("the folder {} could not be created", folder.display()))?;
    }
    Ok(ChosenStore::Embedded(Box::new(EmbeddedStore::open(&path)?), outage_retention))
}

/// Opens a store for a command that reads no other settings. For a file, creates it with its folder.
pub(crate) async fn new_store(argument: &StoreArgument) -> anyhow::Result<ChosenStore> {
    match argument.service() {
        Some(choice) => network_store(&StoreSettings::read(&config_file::source(), choice)?).await,
        None => file(argument, Duration::MAX),
    }
}

/// Opens a store for commands that only read: the file must exist.
pub(crate) async fn existing_store(argument: &StoreArgument) -> anyhow::Result<ChosenStore> {
    if argument.service().is_some() {
        return new_store(argument).await;
    }
    let path = argument.path()?;
    anyhow::ensure!(
        path.exists(),
        "there is no store at {}: run `runner-monitor check` or `runner-monitor run` first, or name it with --store",
        path.display()
    );
    // Commands that only read delete nothing.
    file(argument, Duration::MAX)
}

/// The StatelyDB client.
pub(crate) fn stately_client(settings: &StatelyDbSettings) -> anyhow::Result<Client<HttpTransport>> {
    Ok(monitor_http::stately(http_for_any_machine(), settings, SystemClock.random())?)
}

#[cfg(test)]
mod tests {
    use monitor_config::Source;

    use super::*;

    #[tokio::test]
    async fn outages_are_kept_as_long_as_set_and_commands_that_only_read_delete_none() {
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
            ChosenStore::Network(_) => panic!("a file was chosen"),
        };
        assert_eq!(kept(store(&argument, &settings).await.unwrap()), Duration::from_secs(90 * 86_400));
        assert_eq!(kept(existing_store(&argument).await.unwrap()), Duration::MAX);
    }
}
