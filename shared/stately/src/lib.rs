#![doc = include_str!("../README.md")]

pub mod canary;
pub mod client;
mod connect;
pub mod endpoint;
pub mod error;
pub mod fields;
mod http;
pub mod items;
pub mod key_path;
pub mod payload;
mod store;
pub mod timer;
mod token;
pub mod transport;
pub mod wire;

pub use http::HttpTransport;
pub use store::{MAX_BATCH, StatelyStore};
