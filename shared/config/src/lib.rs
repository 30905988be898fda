#![doc = include_str!("../README.md")]

mod addresses;
mod commands;
mod credential;
mod faults;
mod files;
mod lists;
mod misspelt;
mod notifying;
mod page;
mod parameters;
mod policy;
mod quoting;
mod reader;
mod reference;
mod settings;
mod source;
mod statelydb;
mod store;

pub use commands::{CommandSettings, signing_secret};
pub use faults::{SettingFault, SettingFaults};
pub use files::read_secret;
pub use misspelt::Misspelt;
pub use monitor_domain::secret::Secret;
pub use notifying::{NamedWebhooks, NotifierSettings, SlackSettings};
pub use page::PageSettings;
pub use parameters::{Parameters, Prefix, Wanted, part_name, read_or_wanted};
pub use reference::{Setting, help_text, markdown_table, reference};
pub use settings::{Credential, GitHubSettings, HostOptions, Limits, Settings, written_target};
pub use source::{Source, variable};
pub use statelydb::StatelyDbSettings;
pub use store::{StoreChoice, StoreSettings};
