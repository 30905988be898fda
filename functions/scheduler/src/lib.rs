//! The scheduler as a Lambda: at each tick a job for every target.

mod handler;
mod scheduler;
#[cfg(test)]
mod tests;

pub use scheduler::Scheduler;
