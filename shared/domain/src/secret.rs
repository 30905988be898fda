//! Texts that must not be shown.

use std::fmt;
use std::sync::Arc;

/// A token, key or webhook. It can be neither printed nor serialized; [`Secret::expose`] is the only way to its text.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a text without the white space at its ends: files and terminals add line breaks.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().trim().into())
    }

    /// The text itself, for the request that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(****)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(****)");
        assert_eq!(format!("{:#?}", Some(Secret::new("hunter2"))), "Some(\n    Secret(****),\n)");
        assert_eq!(Secret::new(" hunter2\n").expose(), "hunter2");
    }
}
