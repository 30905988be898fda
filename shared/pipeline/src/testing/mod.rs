//! The contracts of the ports as suites that every adapter runs, and test doubles for the ports that a suite does not
//! test.

pub mod commands;
pub mod doubles;
pub mod queue;
pub mod samples;
pub mod stages;
pub mod store;
