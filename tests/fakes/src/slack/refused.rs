//! The refusal of a message.

/// Why a payload is refused: Slack's error code, and a detailed reason.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) error: &'static str,
    pub(crate) reason: String,
}

impl Refused {
    pub(crate) fn new(error: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { error, reason }
    }
}
