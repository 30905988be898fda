#![doc = include_str!("../README.md")]

mod error;
mod layout;
mod parts;
mod row;
mod store;

pub use layout::{KEY, SORT_KEY, TARGETS_INDEX, TARGETS_INDEX_KEY};
pub use row::EXPIRES_AT;
pub use store::{Consumed, DynamoStore, MAX_BATCH};
