//! Where settings come from, and how a person changes them there.

use std::fmt;

use crate::config_file::ConfigFile;
use crate::misspelt::{Misspelt, misspelt};
use crate::reference::Setting;

pub(crate) type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;
pub(crate) type HowToSet<'a> = dyn Fn(&Setting) -> String + 'a;

/// Where settings come from: a lookup by name, and instructions to set a value.
///
/// The reader looks up the names of [`crate::reference`] and knows nothing else about the source.
pub struct Source<'a> {
    pub(crate) lookup: Box<Lookup<'a>>,
    pub(crate) how_to_set: Box<HowToSet<'a>>,
    /// Whether each fault ends with instructions: true if a setting is not simply a variable of the user's shell.
    pub(crate) explains_how: bool,
    /// The configuration file behind the variables, if there is one.
    pub(crate) file: Option<&'a ConfigFile>,
    /// The names of all variables that are set, if they are known: some may be misspelt settings.
    pub(crate) names: Vec<String>,
}

impl<'a> Source<'a> {
    /// A source in which `lookup` finds the variables.
    pub fn variables(lookup: impl Fn(&str) -> Option<String> + 'a) -> Self {
        Self::variables_and(lookup, None)
    }

    /// A source in which `lookup` finds the variables. What they do not have is read from the file.
    pub fn variables_and(lookup: impl Fn(&str) -> Option<String> + 'a, file: Option<&'a ConfigFile>) -> Self {
        let how_to_set = move |setting: &Setting| match file {
            None => in_variable(setting),
            Some(file) => {
                let (line, path) = (setting.example_line(), file.path().display());
                format!("set {}, or write {line} into {path}", setting.name)
            }
        };
        let both = move |name: &str| {
            let set = lookup(name).filter(|value| !value.trim().is_empty());
            set.or_else(|| Some(file?.value(name)?.to_owned()))
        };
        Self { lookup: Box::new(both), how_to_set: Box::new(how_to_set), explains_how: false, file, names: Vec::new() }
    }

    /// The environment of this process, and a configuration file for what it does not have.
    pub fn environment(file: Option<&'a ConfigFile>) -> Self {
        let is_set = |value: &std::ffi::OsStr| !value.to_string_lossy().trim().is_empty();
        let set = std::env::vars_os().filter(|(_, value)| is_set(value));
        let names = set.map(|(name, _)| name.to_string_lossy().into_owned()).collect();
        Self { names, ..Self::variables_and(variable, file) }
    }

    /// The place of a value in the configuration file; `None` if it comes from elsewhere.
    pub(crate) fn place(&self, name: &str) -> Option<String> {
        let file = self.file?;
        let is_from_file = (self.lookup)(name).as_deref() == file.value(name);
        file.place(name).filter(|_| is_from_file)
    }

    /// The value without surrounding white space; `None` if nothing is left.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    }

    /// Its variables that look like misspelt settings.
    pub(crate) fn misspelt(&self) -> Vec<Misspelt> {
        misspelt(&self.names, |name| self.value(name).is_some())
    }

    pub(crate) fn how_to_set(&self, setting: &Setting) -> String {
        (self.how_to_set)(setting)
    }
}

/// A variable of this process.
pub fn variable(name: &str) -> Option<String> {
    // A value that is not Unicode is read with replacement characters: names, addresses and secrets refuse them.
    // Leaving the value out would make it appear unset.
    Some(std::env::var_os(name)?.to_string_lossy().into_owned())
}

pub(crate) fn in_variable(setting: &Setting) -> String {
    let Setting { name, example, .. } = setting;
    // In a form that can be pasted into a shell.
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:,@…".contains(c);
    if example.chars().all(is_plain) {
        format!("set {name}, for example {name}={example}")
    } else {
        format!("set {name}, for example {name}='{example}'")
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}
