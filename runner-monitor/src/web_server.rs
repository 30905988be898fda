//! The page over HTTP, on one machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use monitor_config::Secret;
use monitor_pipeline::ports::{Clock, Store};
use monitor_slack::WebBase;
use monitor_web::{Access, Hosts, Options, router};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::error;

use crate::args::PageArguments;
use crate::config_file;
use crate::store::ChosenStore;

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
