#![doc = include_str!("../README.md")]

mod aws;
mod crypto;
mod proxy;
mod roots;
mod store;
mod trust;

use std::time::Duration;

use monitor_config::StatelyDbSettings;
use monitor_stately::HttpTransport;
use monitor_stately::client::{Client, ClientSettings};
use monitor_stately::endpoint::Endpoint;

pub use aws::{sdk_http, sdk_timeouts};
pub use roots::{BuiltInRoots, http_for_any_machine};
pub use store::{NetworkStore, store};

/// Why a client could not be built, with a hint if there is one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SetupError(Box<dyn std::error::Error + Send + Sync>);

impl SetupError {
    fn of(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }

    fn saying(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }

    /// Why an HTTP client could not be built: mostly a fault in the trusted certificates, which reqwest does not name.
    fn of_client(error: &dyn std::error::Error) -> Self {
        Self::saying(trust::fault().unwrap_or_else(|| {
            let reasons: Vec<String> = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
            format!(
                "HTTP could not be set up ({}): install the system's CA certificates (package ca-certificates), or name a PEM file with them in SSL_CERT_FILE",
                reasons.join(": "),
            )
        }))
    }
}

/// An HTTP/2 connection, in use or not, is pinged if nothing has arrived for this long.
const PING_AFTER: Duration = Duration::from_secs(10);
/// A connection that does not answer a ping for this long is closed. Its requests fail at once, and later ones use a
/// new connection.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// A builder of HTTP clients: TLS by rustls on ring, with the machine's own root certificates, through the proxy that
/// the environment names.
///
/// A Lambda and its timers are frozen between invocations: a ping that was in progress closes its connection after the
/// thaw, and the request on it is sent again.
pub fn http() -> reqwest::ClientBuilder {
    // Set once per process; a second call finds it already set.
    let _ = crypto::provider().install_default();
    let rules = proxy::rules();
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(Duration::from_secs(90))
        .http2_keep_alive_interval(PING_AFTER)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .http2_keep_alive_while_idle(true)
        .proxy(reqwest::Proxy::custom(move |url| rules.proxy_of(url)))
}

/// Builds the client of a builder from [`http`].
pub fn client(http: reqwest::ClientBuilder) -> Result<reqwest::Client, SetupError> {
    http.build().map_err(|error| SetupError::of_client(&error))
}

/// A client that trusts [`BuiltInRoots`], for AWS.
pub fn client_with_built_in_roots() -> Result<reqwest::Client, SetupError> {
    // A call has to end within one invocation of a function, so the time to connect is shorter than elsewhere.
    client(BuiltInRoots::read()?.http().connect_timeout(Duration::from_secs(3)))
}

/// GitHub according to the settings, over clients that `http` builds: one at a time, and a new one after a request
/// timed out.
pub fn github(
    http: impl Fn() -> reqwest::ClientBuilder + Send + Sync + 'static,
    settings: &monitor_config::GitHubSettings,
    clock: monitor_github::Clock,
) -> Result<monitor_github::GitHub, SetupError> {
    use monitor_github::Credential;

    let credential = match &settings.credential {
        monitor_config::Credential::Token(token) => Credential::Token(token.clone()),
        monitor_config::Credential::App { id, private_key } => {
            Credential::App { app_id: id.clone(), private_key: private_key.clone() }
        }
    };
    let mut asked = monitor_github::Settings::new(credential);
    asked.api_url.clone_from(&settings.api_url);
    asked.api_version.clone_from(&settings.api_version);
    let number = |limit: std::num::NonZeroU32| usize::try_from(limit.get()).unwrap_or(usize::MAX);
    asked.max_requests_per_minute = settings.limits.requests_per_minute.map(number);
    // Even without a limit, no more than one machine can keep open.
    asked.max_concurrent_requests = settings.limits.max_concurrent_requests.map_or(500, number);
    asked.proxy = proxy::named(&settings.api_url);
    let github = monitor_github::GitHub::new(client(http())?, asked, clock).map_err(SetupError::of)?;
    Ok(github.with_new_clients(move || http().build().ok()))
}

/// Slack according to the settings, with links that start with `web_url`. With `buttons`, a bot's alerts get buttons;
/// a server has to answer when one is pressed.
pub fn slack(
    http: &reqwest::Client,
    settings: &monitor_config::SlackSettings,
    web_url: &str,
    allow_http_hosts: &std::collections::BTreeSet<String>,
    buttons: bool,
) -> Result<monitor_slack::Messenger, SetupError> {
    use monitor_config::SlackSettings;
    use monitor_slack::{Bot, BotSettings, Messenger, WebBase, Webhook, WebhookSettings, WebhookUrl};

    let web = WebBase::parse(web_url).map_err(SetupError::of)?;
    Ok(match settings {
        SlackSettings::Webhook { url, named } => {
            let hosts: Vec<String> = allow_http_hosts.iter().cloned().collect();
            let read = |url: &monitor_config::Secret| WebhookUrl::parse(url.expose(), &hosts).map_err(SetupError::of);
            let named =
                named.0.iter().map(|(name, url)| Ok((name.clone(), read(url)?))).collect::<Result<_, SetupError>>()?;
            let settings = WebhookSettings { web, ..WebhookSettings::default() };
            Messenger::Webhook(Webhook::new(http.clone(), read(url)?, settings).with_named(named))
        }
        SlackSettings::Bot { token, channel, api_url } => {
            let settings = BotSettings { web, api_url: api_url.clone(), buttons, ..BotSettings::default() };
            Messenger::Bot(Bot::new(http.clone(), token.clone(), channel, settings))
        }
    })
}

/// A client of StatelyDB according to the settings. It configures HTTP/2 itself, so it takes the builder.
pub fn stately(
    http: reqwest::ClientBuilder,
    settings: &StatelyDbSettings,
    jitter_seed: u64,
) -> Result<Client<HttpTransport>, SetupError> {
    let endpoint = match &settings.endpoint {
        Some(own) => Endpoint::parse(own).map_err(SetupError::of)?,
        None => Endpoint::of_region(settings.region.as_deref()).map_err(SetupError::of)?,
    };
    let access_key = settings.access_key.clone();
    let mut asked = ClientSettings::new(settings.store_id.get(), settings.schema_id.get(), access_key);
    asked.jitter_seed = jitter_seed;
    let transport = HttpTransport::new(http, endpoint).map_err(|error| SetupError::of_client(&error))?;
    Ok(Client::new(transport, asked))
}
