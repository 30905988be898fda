//! The settings of the notify stage.

use std::time::Duration;

/// The settings of the notify stage.
#[derive(Clone, Copy, Debug)]
pub struct NotifySettings {
    /// How long a claim keeps other notifiers from sending; longer than a send can take with its waits.
    pub lease: Duration,
    /// The longest wait that the chat may ask for before the attempt is deferred.
    pub patience: Duration,
    /// The delay after the first failed attempt; doubled each time, up to `longest_backoff`.
    pub first_backoff: Duration,
    /// The longest time between two attempts.
    pub longest_backoff: Duration,
}

impl Default for NotifySettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(90),
            patience: Duration::from_secs(20),
            first_backoff: Duration::from_secs(30),
            longest_backoff: Duration::from_secs(900),
        }
    }
}
