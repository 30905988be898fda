//! The function's pages and settings, kept from one invocation to the next.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use monitor_access::Refusal;
use monitor_aws::host::{self, Invocation};
use monitor_aws::{Failure, LambdaEnvironment, QueueUrls, ReloadingConfig, Sdk};
use monitor_config::PageSettings;
use monitor_http::BuiltInRoots;
use monitor_pipeline::ports::Clock as _;
use monitor_slack::WebBase;
use monitor_telemetry::SystemClock;
use monitor_web::{Access, Hosts, Options, router};
use serde_json::Value;
use tokio::sync::watch;

use crate::handler;

/// The least time between two reads of the store, which charges for each. An open page asks twice a minute.
const PAUSE: Duration = Duration::from_secs(60);
/// The time that is left for an answer that the store was too slow for.
const RESERVE: Duration = Duration::from_secs(1);

/// The function. Its pages are created when they are first needed.
pub(crate) struct Web {
    reloading_config: ReloadingConfig<PageSettings, Router>,
}

impl Web {
    pub(crate) fn new(variables: &LambdaEnvironment, sdk: &Sdk) -> Self {
        let no_faults = QueueUrls::of(variables).into_faults();
        let for_pages = sdk.clone();
        let build = move |settings| pages(&settings, &for_pages);
        Self { reloading_config: ReloadingConfig::new(variables, sdk, no_faults, PageSettings::read, build) }
    }

    pub(crate) async fn handle(&self, event: Value, invocation: Invocation) -> Result<Value, Failure> {
        let request = host::request(event, "events/web-*.json")?;
        let pages = self.reloading_config.get(SystemClock.now()).await?;
        let within = invocation.left(SystemClock.now()).saturating_sub(RESERVE);
        let (response, refusal) = handler::answer(&pages, request, within, &invocation.request_id).await;
        if refusal == Some(Refusal::BadSignature) {
            // The secret may have been rotated. Forged requests cause few reads: each read that finds nothing new doubles
            // the pause before the next one.
            self.reloading_config.invalidate();
        }
        host::answer(&response)
    }
}

fn pages(settings: &PageSettings, sdk: &Sdk) -> Result<Router, Failure> {
    let PageSettings { slack_signing_secret, web_url, store } = settings;
    let roots = BuiltInRoots::read()?;
    let store = monitor_http::store(roots.http(), store, || sdk.dynamodb(), SystemClock.random())?;
    let web = WebBase::parse(web_url).map_err(Failure::setup)?;
    let options = Options {
        hosts: Hosts::Any,
        access: Some(Access::new(slack_signing_secret, true)),
        streams: false,
        pause: PAUSE,
        github: Arc::new(move |target, id| web.runner_page(target, id)),
        // Nothing is stopped: Lambda ends the process between two requests.
        stop: watch::channel(false).1,
    };
    Ok(router(Arc::new(store), SystemClock, options))
}
