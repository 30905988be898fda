//! The real outside, built from settings: HTTP, GitHub, the place where people are told, the store.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use monitor_config::{HostOptions, Settings, Source, StatelyDbSettings};
use monitor_embedded::store::EmbeddedStore;
use monitor_github::GitHub;
use monitor_pipeline::ports::Clock;
use monitor_slack::incoming::SigningSecret;
use monitor_slack::{Console, Messenger, WebBase, Webhook, WebhookSettings, WebhookUrl};
use monitor_stately::client::{Client, ClientSettings};
use monitor_stately::endpoint::Endpoint;
use monitor_stately::{AccessKey, HttpTransport, StatelyStore};
use monitor_telemetry::SystemClock;

use crate::args::StoreArgument;
use crate::front_desk::FrontDesk;
use crate::store::ChosenStore;
use crate::table::colour_on_stdout;

/// The settings from the environment.
pub(crate) fn settings(host_options: &HostOptions) -> anyhow::Result<Settings> {
    Ok(Settings::read(&Source::environment(), host_options)?)
}

/// One HTTP client for all but StatelyDB, which is spoken to in its own way.
pub(crate) fn http() -> anyhow::Result<reqwest::Client> {
    http_settings().build().context("the HTTP client could not be set up")
}

/// TLS by rustls on ring, with the machine's own root certificates.
fn http_settings() -> reqwest::ClientBuilder {
    // Set once for the process; a second call finds it set.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(Duration::from_secs(90))
}

/// GitHub as the settings say.
pub(crate) fn github(http: &reqwest::Client, settings: &Settings, clock: &SystemClock) -> anyhow::Result<GitHub> {
    let of = &settings.github;
    let credential = match &of.credential {
        monitor_config::Credential::Token(token) => {
            monitor_github::Credential::Token(monitor_github::Secret::new(token.expose()))
        }
        monitor_config::Credential::App { id, private_key } => monitor_github::Credential::App {
            app_id: id.clone(),
            private_key: monitor_github::Secret::new(private_key.expose()),
        },
    };
    let mut asked = monitor_github::Settings::new(credential);
    asked.api_url.clone_from(&of.api_url);
    asked.api_version.clone_from(&of.api_version);
    let number = |limit: std::num::NonZeroU32| usize::try_from(limit.get()).unwrap_or(usize::MAX);
    asked.max_requests_per_minute = of.limits.requests_per_minute.map(number);
    // Without a limit, still no more than one machine can keep open.
    asked.max_concurrent_requests = of.limits.max_concurrent_requests.map_or(500, number);
    let clock = *clock;
    Ok(GitHub::new(http.clone(), asked, Arc::new(move || clock.now()))?)
}

/// The web address that links start with.
pub(crate) fn web_base(settings: &Settings) -> anyhow::Result<WebBase> {
    Ok(WebBase::parse(&settings.github.web_url)?)
}

/// The webhook, if one is set; else the console.
pub(crate) fn messenger(http: &reqwest::Client, settings: &Settings) -> anyhow::Result<Messenger> {
    let web = web_base(settings)?;
    Ok(match &settings.slack_webhook {
        Some(url) => {
            let hosts: Vec<String> = settings.allow_http_hosts.iter().cloned().collect();
            let url = WebhookUrl::parse(url.expose(), &hosts)?;
            Messenger::Webhook(Webhook::new(http.clone(), url, WebhookSettings { web, ..WebhookSettings::default() }))
        }
        None => Messenger::Console(Console::stdout(colour_on_stdout(), web)),
    })
}

/// Where requests of Slack's come in.
pub(crate) async fn front_desk(
    address: SocketAddr,
    settings: &Settings,
    http: &reqwest::Client,
) -> anyhow::Result<FrontDesk> {
    let secret = settings.slack_signing_secret.as_ref().context("the signing secret of Slack was not read")?;
    FrontDesk::bind(address, SigningSecret::new(secret.expose()), web_base(settings)?, http.clone()).await
}

/// Opens the store that was chosen; a file with its folder.
pub(crate) fn store(argument: &StoreArgument, statelydb: Option<&StatelyDbSettings>) -> anyhow::Result<ChosenStore> {
    if argument.is_stately() {
        let settings = statelydb.context("the settings of StatelyDB were not read")?;
        let store = StatelyStore::new(stately_client(settings)?);
        return Ok(ChosenStore::Stately(Box::new(store)));
    }
    let path = argument.path();
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("the folder {} could not be made", folder.display()))?;
    }
    let opened = EmbeddedStore::open(&path).with_context(|| format!("the store {} cannot be used", path.display()));
    opened.map(ChosenStore::Embedded)
}

/// Opens a store for commands that only read: a file must be there.
pub(crate) fn existing_store(argument: &StoreArgument) -> anyhow::Result<ChosenStore> {
    if argument.is_stately() {
        return store(argument, Some(&StatelyDbSettings::read(&Source::environment())?));
    }
    let path = argument.path();
    anyhow::ensure!(
        path.exists(),
        "there is no store at {}: run `runner-monitor check` or `runner-monitor run` first, or name it with --store",
        path.display()
    );
    store(argument, None)
}

/// A client of StatelyDB as the settings say.
pub(crate) fn stately_client(settings: &StatelyDbSettings) -> anyhow::Result<Client<HttpTransport>> {
    let endpoint = match &settings.endpoint {
        Some(own) => Endpoint::parse(own)?,
        None => Endpoint::of_region(settings.region.as_deref())?,
    };
    let access_key = settings.access_key.as_ref().map(|key| AccessKey::new(key.expose()));
    let mut asked = ClientSettings::new(settings.store_id.get(), settings.schema_id.get(), access_key);
    asked.jitter_seed = SystemClock.random();
    Ok(Client::new(HttpTransport::new(http_settings(), endpoint)?, asked))
}
