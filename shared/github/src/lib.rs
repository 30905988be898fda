#![doc = include_str!("../README.md")]

mod app;
mod app_key;
mod client;
mod credential;
mod endpoint;
mod exchange;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod headers;
mod limits;
mod list;
mod pace;
mod probe;
mod refusal;
mod repositories;
mod sealed;
mod secret;
mod settings;
mod transfer;
mod wire;

pub use app_key::KeyError;
pub use client::{Clock, GitHub};
pub use endpoint::CredentialKind;
pub use probe::ProbeReport;
pub use secret::Secret;
pub use settings::{Credential, GITHUB_COM, Settings, SettingsError};
