//! Why an invocation failed, as Lambda reports it.

use std::fmt;

use lambda_runtime::Diagnostic;
use monitor_config::SettingFaults;

/// Why an invocation failed. Neither `Display` nor `Debug` shows a secret.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Settings are missing or cannot be used.
    #[error(transparent)]
    Settings(SettingFaults),
    /// The parameters of SSM could not be read.
    #[error("the parameters could not be read: {0}")]
    Parameters(String),
    /// A client could not be made from the settings.
    #[error("{0}")]
    Setup(String),
    /// The event is not one that this function accepts.
    #[error("{0}")]
    Event(String),
    /// The work was aborted; another invocation may complete it.
    #[error("aborted: {0}")]
    Aborted(String),
}

impl Failure {
    /// A client could not be made.
    pub fn setup(error: impl fmt::Display) -> Self {
        Failure::Setup(error.to_string())
    }

    fn kind(&self) -> &'static str {
        match self {
            Failure::Settings(_) => "Settings",
            Failure::Parameters(_) => "Parameters",
            Failure::Setup(_) => "Setup",
            Failure::Event(_) => "Event",
            Failure::Aborted(_) => "Aborted",
        }
    }
}

impl fmt::Debug for Failure {
    // lambda_runtime logs this form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.kind())
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self { error_type: failure.kind().to_owned(), error_message: failure.to_string() }
    }
}

impl From<monitor_http::SetupError> for Failure {
    fn from(error: monitor_http::SetupError) -> Self {
        Self::setup(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lambda_and_the_log_show_the_kind_of_each_failure() {
        let text = || "why".to_owned();
        for (failure, kind, message) in [
            (Failure::Settings(SettingFaults(Vec::new())), "Settings", ""),
            (Failure::Parameters(text()), "Parameters", "the parameters could not be read: why"),
            (Failure::setup("why"), "Setup", "why"),
            (Failure::Event(text()), "Event", "why"),
            (Failure::Aborted(text()), "Aborted", "aborted: why"),
        ] {
            assert!(format!("{failure:?}").starts_with(&format!("{kind}: ")), "{failure:?}");
            let diagnostic = Diagnostic::from(failure);
            assert_eq!(diagnostic.error_type, kind);
            assert!(diagnostic.error_message.ends_with(message), "{diagnostic:?}");
        }
    }
}
