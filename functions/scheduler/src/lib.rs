//! The scheduler as a Lambda: sends a job for every target at each tick.

mod handler;
mod scheduler;
#[cfg(test)]
mod tests;

pub use scheduler::Scheduler;
