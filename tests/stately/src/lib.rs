#![doc = include_str!("../README.md")]

mod answer;
mod bidi;
mod envelope;
mod faults;
mod json;
mod keys;
mod list;
mod memory;
mod method;
mod methods;
mod protocol;
mod put;
mod record;
mod refusal;
mod schema;
mod server;
mod snapshot;
mod state;
mod table;
mod transaction;

pub use faults::{Fault, Trouble};
pub use keys::PrefixRule;
pub use memory::InMemory;
pub use method::Method;
pub use monitor_fakes::http::{Answer, Delivery, Request};
pub use refusal::RpcCode;
pub use schema::{Schema, SchemaError};
pub use server::StatelyServer;
pub use snapshot::SnapshotError;
pub use state::{Call, Settings, State};
