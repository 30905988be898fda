//! The clients that the scheduler and the poller share.

use std::sync::Arc;

use monitor_config::Settings;
use monitor_github::GitHub;
use monitor_http::{BuiltInRoots, NetworkStore};
use monitor_pipeline::ports::Clock as _;
use monitor_telemetry::SystemClock;

use crate::failure::Failure;
use crate::sdk::Sdk;

/// GitHub and the store according to the settings. No request is sent yet.
pub fn github_and_store(settings: &Settings, sdk: &Sdk) -> Result<(GitHub, NetworkStore), Failure> {
    let roots = BuiltInRoots::read()?;
    let for_github = roots.clone();
    let github = monitor_http::github(move || for_github.http(), &settings.github, Arc::new(|| SystemClock.now()))?;
    let store = settings.store.as_ref().ok_or_else(|| Failure::setup("the settings of the store were not read"))?;
    let store = monitor_http::store(roots.http(), store, || sdk.dynamodb(), SystemClock.random())?;
    Ok((github, store))
}
