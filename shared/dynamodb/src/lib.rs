#![doc = include_str!("../README.md")]

mod error;
mod layout;
mod parts;
mod row;
mod sdk;
mod store;
mod table;

pub use layout::{KEY, Place, Range, SORT_KEY, SortKeys, TARGETS_INDEX, TARGETS_INDEX_KEY};
pub use row::{EXPIRES_AT, Row, place};
pub use sdk::{Consumed, SdkTable};
pub use store::{DynamoStore, MAX_BATCH};
pub use table::{Page, Table, Try, Write};
