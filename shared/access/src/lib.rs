#![doc = include_str!("../README.md")]

mod keys;
mod refusals;

pub use keys::{AccessKeys, LINK_LASTS, OPEN_PATH, PageLinks, Refusal, SESSION_LASTS};
pub use refusals::Refusals;
