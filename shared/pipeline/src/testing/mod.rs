//! The promises of the ports as suites that every adapter runs, and stand-ins for those ports that a suite is not about.

pub mod commands;
pub mod doubles;
pub mod queue;
pub mod samples;
pub mod stages;
pub mod store;
