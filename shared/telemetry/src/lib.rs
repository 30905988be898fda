#![doc = include_str!("../README.md")]

mod clock;
pub mod fields;
mod logging;

pub use clock::SystemClock;
pub use logging::{Format, LoggingError, init};
