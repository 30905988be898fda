#![doc = include_str!("../README.md")]

mod addresses;
mod credential;
mod faults;
mod lists;
mod policy;
mod reference;
mod secret;
mod settings;
mod source;
mod statelydb;

pub use faults::{Fault, Faults};
pub use reference::{Setting, help_text, markdown_table, reference};
pub use secret::Secret;
pub use settings::{Credential, GitHubSettings, HostOptions, Limits, Settings};
pub use source::Source;
pub use statelydb::StatelyDbSettings;
