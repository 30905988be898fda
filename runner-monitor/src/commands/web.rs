//! `runner-monitor web`: the page of a store that another program, or the deployed stack, writes.

use std::sync::Arc;

use monitor_telemetry::SystemClock;

use crate::Outcome;
use crate::args::Web;
use crate::out;
use crate::setup;
use crate::stopping::stop_on_signal;
use crate::web_server::{WebServer, pause};

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
