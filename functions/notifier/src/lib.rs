//! The notifier as a Lambda: sends the pending notifications of the subjects in a batch of state-change messages.

mod handler;
mod notifier;
#[cfg(test)]
mod tests;

pub use notifier::Notifier;
