#![doc = include_str!("../README.md")]

mod app;
mod app_key;
mod bearer_token;
mod client;
mod credential;
mod endpoint;
mod exchange;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod groups;
mod headers;
mod hooks;
mod jobs;
mod limits;
mod list;
mod pace;
mod probe;
mod refusal;
mod repositories;
mod request;
mod requester;
mod runs;
mod sealed;
mod settings;
mod token_cache;
mod transport;
mod version;
mod wire;

pub use app_key::KeyError;
pub use client::GitHub;
pub use endpoint::CredentialKind;
pub use hooks::{HookDelivery, JobHook};
pub use jobs::{MAX_WEBHOOK_BYTES, RefusedDeliveries, WebhookRefusal, WebhookSecret, read_webhook};
pub use monitor_domain::secret::Secret;
pub use probe::ProbeReport;
pub use settings::{Credential, GITHUB_COM, Settings, SettingsError};
pub use transport::Clock;
