#![doc = include_str!("../README.md")]

pub mod chat_notes;
pub mod commands;
pub mod counters;
pub mod expiry;
pub mod history;
pub mod inventory;
pub mod items;
pub mod json;
pub mod keys;
pub mod messages;
pub mod monitoring;
pub mod person;
pub mod ports;
pub mod records;
pub mod stages;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
