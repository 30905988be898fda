//! The page over HTTP, on one machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use monitor_config::Secret;
use monitor_pipeline::ports::{Clock, Store};
use monitor_slack::WebBase;
use monitor_web::{Access, Hosts, Options, router};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::error;

use crate::config_file;
use crate::store::ChosenStore;

/// The environment variable for `--web-host`.
pub(crate) const WEB_HOST: &str = "WEB_HOST";

/// Under which names the page is served.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct PageArguments {
    /// Also serve the page under this host name, or under several with commas between them, for example that of a
    /// reverse proxy; needed for an address other than this machine's own. Links to the page begin with https:// and the
    /// first name, unless it is written as http://NAME. If SLACK_SIGNING_SECRET is set, readers need a session:
    /// /runner-dashboard in Slack opens one
    #[arg(long, value_name = "NAME", env = WEB_HOST, value_delimiter = ',', value_parser = parse_web_host)]
    pub(crate) web_host: Vec<WebHost>,
}

/// A host name of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebHost {
    /// The name as requests have it, without a port.
    pub(crate) name: String,
    /// The address with which links begin.
    pub(crate) address: String,
}

impl WebHost {
    /// Whether readers reach the page over https.
    pub(crate) fn is_https(&self) -> bool {
        self.address.starts_with("https://")
    }
}

/// Parses a host name, or the address of the page under it.
pub(crate) fn parse_web_host(text: &str) -> Result<WebHost, String> {
    let text = text.trim();
    let address = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let is_bare = |url: &reqwest::Url| {
        let has_user = !url.username().is_empty() || url.password().is_some();
        url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !has_user
    };
    let url = reqwest::Url::parse(&address).ok().filter(|url| matches!(url.scheme(), "https" | "http") && is_bare(url));
    let named = url.as_ref().and_then(|url| Some((url.host_str()?, url.as_str().trim_end_matches('/'))));
    let (name, address) = named.ok_or(
        "must be a host name, for example runners.example.com, or the page's address without a path, for example \
         http://runners.example.com:8080",
    )?;
    let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(WebHost { name, address: address.to_owned() })
}

/// The least time between two reads of a file.
const FILE_PAUSE: Duration = Duration::from_millis(500);
/// The least time between two reads of a service, which charges for each.
const SERVICE_PAUSE: Duration = Duration::from_secs(15);

/// The server of the page.
pub(crate) struct WebServer {
    listener: TcpListener,
    hosts: Vec<String>,
    access: Option<Access>,
    github: WebBase,
}

impl WebServer {
    /// Listens at an address. Beyond this machine only under a host name that is given: without sessions everybody who
    /// reaches the page reads the names of all runners.
    pub(crate) async fn bind(address: SocketAddr, page: &PageArguments, github: WebBase) -> anyhow::Result<Self> {
        check_address(address, page)?;
        let access = match page.web_host.first() {
            Some(host) => signing_secret()?.map(|secret| Access::new(&secret, host.is_https())),
            None => None,
        };
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("the page cannot listen on {address}: choose another address or port"))?;
        let hosts = page.web_host.iter().map(|host| host.name.clone()).collect();
        Ok(Self { listener, hosts, access, github })
    }

    /// Whether readers need a session.
    pub(crate) fn has_sessions(&self) -> bool {
        self.access.is_some()
    }

    /// The bound address. For port 0 it has the port that the system chose.
    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers requests until `stop` turns true, then lets answers in progress end.
    pub(crate) async fn serve<S: Store + 'static, Cl: Clock + Clone + 'static>(
        self,
        store: Arc<S>,
        pause: Duration,
        clock: Cl,
        mut stop: watch::Receiver<bool>,
    ) {
        let Self { listener, hosts, access, github } = self;
        let github = Arc::new(move |target: &_, id| github.runner_page(target, id));
        let hosts = Hosts::Named(hosts);
        let options = Options { hosts, access, streams: true, pause, github, stop: stop.clone() };
        let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
        let served = axum::serve(listener, router(store, clock, options)).with_graceful_shutdown(stopped).await;
        if let Err(error) = served {
            error!(%error, "the page is no longer served");
        }
    }
}

/// The signing secret, if it is set: also where no slash command is answered, because another process may do that.
fn signing_secret() -> anyhow::Result<Option<Secret>> {
    Ok(monitor_config::signing_secret(&config_file::source())?)
}

/// Refuses an address that shows the page to everybody.
pub(crate) fn check_address(address: SocketAddr, page: &PageArguments) -> anyhow::Result<()> {
    ensure!(
        address.ip().is_loopback() || !page.web_host.is_empty(),
        "the page shows the names of your runners to everybody who reaches {address}: listen on 127.0.0.1 with a \
         reverse proxy in front, and name its host with --web-host; with SLACK_SIGNING_SECRET readers then need a session"
    );
    Ok(())
}

/// The least time between two reads of a store for the page.
pub(crate) fn pause(store: &ChosenStore) -> Duration {
    match store {
        ChosenStore::Embedded(..) => FILE_PAUSE,
        ChosenStore::Network(_) => SERVICE_PAUSE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_of_the_page_is_a_name_or_an_address_without_a_path() {
        let read = |text: &str| parse_web_host(text).map(|host| (host.name, host.address));
        let is = |name: &str, address: &str| Ok((name.to_owned(), address.to_owned()));
        assert_eq!(read("Runners.example.com"), is("runners.example.com", "https://runners.example.com"));
        assert_eq!(read("runners.example.com:8443"), is("runners.example.com", "https://runners.example.com:8443"));
        assert_eq!(read("https://runners.example.com/"), is("runners.example.com", "https://runners.example.com"));
        assert_eq!(read("http://127.0.0.1:8080"), is("127.0.0.1", "http://127.0.0.1:8080"));
        assert_eq!(read(" [::1]:8080"), is("::1", "https://[::1]:8080"));
        for text in ["", "a b", "https://", "ftp://a", "a/b", "a?b", "https://user@a", "https://a/|x", "a>b", "a|b"] {
            assert!(read(text).is_err_and(|fault| fault.contains("runners.example.com")), "{text}");
        }
        let secure = ["a", "https://a", "http://a"].map(|text| parse_web_host(text).unwrap().is_https());
        assert_eq!(secure, [true, true, false]);
    }
}
