//! The notifier as a Lambda: tells what is untold of the subjects that a batch of wake-ups names.

mod handler;
mod notifier;
#[cfg(test)]
mod tests;

pub use notifier::Notifier;
