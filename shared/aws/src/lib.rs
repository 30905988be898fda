#![doc = include_str!("../README.md")]

pub mod batch;
mod dead_letters;
mod failure;
pub mod host;
mod http;
mod kept;
mod parameters;
mod queue;
mod sdk;
mod variables;

pub use dead_letters::DeadLetters;
pub use failure::Failure;
pub use kept::Kept;
pub use queue::Queue;
pub use sdk::Sdk;
pub use variables::{Variables, Wiring};
