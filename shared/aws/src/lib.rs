#![doc = include_str!("../README.md")]

pub mod batch;
mod clients;
mod dead_letters;
mod environment;
mod failure;
pub mod host;
pub mod metrics;
mod own_function;
mod parameters;
mod queue;
mod reloading_config;
mod sdk;
#[cfg(feature = "testing")]
pub mod testing;

pub use clients::github_and_store;
pub use dead_letters::DeadLetters;
pub use environment::{LambdaEnvironment, QueueUrls};
pub use failure::Failure;
pub use own_function::{DEFERRED, OwnFunction};
pub use queue::Queue;
pub use reloading_config::ReloadingConfig;
pub use sdk::Sdk;
