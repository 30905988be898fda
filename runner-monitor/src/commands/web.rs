//! `runner-monitor web`: the page of a store that another program, or the deployed stack, writes.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use monitor_telemetry::SystemClock;

use crate::Outcome;
use crate::args::parse_address;
use crate::out;
use crate::setup;
use crate::stopping::stop_on_signal;
use crate::store::StoreArgument;
use crate::web_server::{PageArguments, WebServer, pause};

#[derive(Debug, Args)]
pub(crate) struct Web {
    /// The address to listen on
    #[arg(value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = parse_address)]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) page: PageArguments,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
}

pub(crate) async fn run(arguments: &Web) -> anyhow::Result<Outcome> {
    let store = Arc::new(setup::existing_store(&arguments.store).await?);
    let web_server = WebServer::bind(arguments.listen, &arguments.page, setup::web_base_of_environment()?).await?;
    let stop = stop_on_signal()?;
    let place = arguments.store.place()?;
    out::print(format_args!("The page of {place} is at http://{}/ until you stop it.\n", web_server.address()?))?;
    if web_server.has_sessions() {
        out::print(format_args!("Readers need a session: /runner-dashboard in Slack opens one.\n"))?;
    }
    let pause = pause(&store);
    web_server.serve(store, pause, SystemClock, stop).await;
    Ok(Outcome::Healthy)
}
