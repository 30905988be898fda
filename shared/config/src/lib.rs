#![doc = include_str!("../README.md")]

mod addresses;
mod commands;
mod config_file;
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
mod schema;
mod settings;
mod source;
mod statelydb;
mod store;

pub use commands::{CommandSettings, signing_secret};
pub use config_file::{ConfigFile, ConfigFileFaults};
pub use faults::{SettingFault, SettingFaults};
pub use files::read_secret;
pub use misspelt::Misspelt;
pub use monitor_domain::secret::Secret;
pub use notifying::{NamedWebhooks, NotifierSettings, SlackSettings};
pub use page::PageSettings;
pub use parameters::{Parameters, Prefix, Wanted, part_name, read_or_wanted};
pub use reference::{Setting, help_text, markdown_table, program_reference, program_table, reference};
pub use schema::json_schema;
pub use settings::{Credential, GitHubSettings, HostOptions, Limits, Settings, written_target};
pub use source::{Source, variable};
pub use statelydb::StatelyDbSettings;
pub use store::{StoreChoice, StoreSettings};
