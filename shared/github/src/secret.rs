//! Text that must not be shown.

use std::fmt;
use std::sync::Arc;

/// A token or a private key. Its `Debug` form is masked, and only this crate can read it.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a text without the white space at its ends: files and terminals add line breaks.
    pub fn new(text: &str) -> Self {
        Self(text.trim().into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}
