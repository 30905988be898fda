//! Where settings are written, and how a person changes them there.

use std::fmt;

type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Where settings come from: a look-up by name, and the words for "do this to set it".
///
/// The reader asks by the names of [`crate::reference`] and knows nothing else of the place, so another place (a
/// parameter store, read beforehand) is another pair of functions.
pub struct Source<'a> {
    lookup: Box<Lookup<'a>>,
    how_to_set: fn(name: &str, example: &str) -> String,
}

impl<'a> Source<'a> {
    /// A place of its own kind. `how_to_set` phrases, for a name and an example, what a person does to set it there.
    pub fn new(
        lookup: impl Fn(&str) -> Option<String> + 'a,
        how_to_set: fn(name: &str, example: &str) -> String,
    ) -> Self {
        Self { lookup: Box::new(lookup), how_to_set }
    }

    /// Variables as `lookup` tells them.
    pub fn variables(lookup: impl Fn(&str) -> Option<String> + 'a) -> Self {
        Self::new(lookup, |name, example| format!("set {name}, as in {name}={example}"))
    }

    /// The environment of this process.
    pub fn environment() -> Self {
        // What is no Unicode comes in with replacement characters: names, addresses and secrets refuse them, whereas
        // leaving the value out would make it look unset.
        Self::variables(|name| Some(std::env::var_os(name)?.to_string_lossy().into_owned()))
    }

    /// The value without the white space around it; none where nothing else is in it.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    }

    pub(crate) fn how_to_set(&self, name: &str, example: &str) -> String {
        (self.how_to_set)(name, example)
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}
