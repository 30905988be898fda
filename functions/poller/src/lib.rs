//! The poller as a Lambda: checks the targets that a batch of jobs names.

mod handler;
mod poller;
#[cfg(test)]
mod tests;

pub use poller::Poller;
