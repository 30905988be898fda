#![doc = include_str!("../README.md")]

pub mod commands;
pub mod items;
pub mod keys;
pub mod messages;
pub mod person;
pub mod ports;
pub mod records;
pub mod stages;
#[cfg(feature = "testing")]
pub mod testing;
