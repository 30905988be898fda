//! The faults of the settings, reported all at once.

use std::fmt;

use crate::reference::Setting;

/// One setting that cannot be used. Its text holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {text}")]
pub struct SettingFault {
    /// The name of the setting, or of the flag.
    pub setting: &'static str,
    /// What is wrong, and how to fix it if that is not obvious.
    pub text: String,
}

/// Every fault of the settings, at least one, in the order in which the settings are documented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingFaults(pub Vec<SettingFault>);

/// Why a value cannot be used, without the setting's name, which the function that reads the value does not know.
#[derive(Debug)]
pub(crate) struct Wrong {
    what: String,
    hint: String,
}

impl Wrong {
    pub(crate) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }

    /// The same fault, in a part of the value.
    pub(crate) fn within(self, part: &str) -> Self {
        Self { what: format!("{part} {}", self.what), ..self }
    }

    pub(crate) fn of(self, setting: &Setting) -> SettingFault {
        self.named(setting.name)
    }

    /// The fault and its fix.
    pub(crate) fn text(&self) -> String {
        if self.hint.is_empty() { self.what.clone() } else { format!("{}; {}", self.what, self.hint) }
    }

    /// The fault of a flag, or of a setting.
    pub(crate) fn named(self, name: &'static str) -> SettingFault {
        SettingFault { setting: name, text: self.text() }
    }
}

impl fmt::Display for SettingFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("1 fault in the settings:")?,
            count => write!(f, "{count} faults in the settings:")?,
        }
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for SettingFaults {}
