//! Settings in a parameter store such as AWS SSM: their names there, and their values after they were read.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::faults::SettingFaults;
use crate::lists::entries;
use crate::reference::{HOLD_MUCH, LISTS, Setting, reference, setting};
use crate::source::{Source, in_variable};

/// The folder of the parameters, for example `/github-runner-monitor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// A folder, with or without slashes at its ends. `None` if it is empty: then there is no parameter store.
    pub fn new(folder: &str) -> Option<Self> {
        let folder = folder.trim().trim_matches('/');
        (!folder.is_empty()).then(|| Self(format!("/{folder}")))
    }

    /// The full name of a parameter.
    pub fn name_of(&self, parameter: &str) -> String {
        format!("{}/{parameter}", self.0)
    }

    /// The command that sets a parameter, safe with versions 1 and 2 of the AWS CLI: version 1 fetches a value that is
    /// a URL, and a secret on a command line ends up in the history. An existing parameter with more than one value is
    /// fetched and edited, because an example would overwrite its other values.
    pub(crate) fn how_to_set(&self, parameter: &str, setting: &Setting, is_there: bool) -> String {
        const FROM_STDIN: &str = "file:///dev/stdin";
        let name = self.name_of(parameter);
        let kind = if setting.secret { "SecureString" } else { "String" };
        if is_there && HOLD_MUCH.contains(&setting.name) {
            let (shown, remove) = if setting.secret {
                (" --with-decryption", format!(", rm {parameter}.txt"))
            } else {
                ("", String::new())
            };
            return format!(
                "aws ssm get-parameter --name {name}{shown} --query Parameter.Value --output text > {parameter}.txt, edit the file, \
                 aws ssm put-parameter --name {name} --type {kind} --value file://{parameter}.txt --overwrite{remove}"
            );
        }
        let overwrite = if is_there { " --overwrite" } else { "" };
        let example = setting.example;
        // A setting that is a file for the program is a file for the AWS CLI too.
        let (before, value) = match example.strip_prefix('@') {
            Some(path) => (String::new(), format!("file://{}", path.rsplit('/').next().unwrap_or(path))),
            None if setting.secret => ("read -rs value; printf %s \"$value\" | ".to_owned(), FROM_STDIN.to_owned()),
            None if example.contains("://") => (format!("printf %s '{example}' | "), FROM_STDIN.to_owned()),
            None => (String::new(), format!("'{example}'")),
        };
        format!("{before}aws ssm put-parameter --name {name} --type {kind} --value {value}{overwrite}")
    }
}

impl<'a> Source<'a> {
    /// Variables, and the parameters of a store, read beforehand. A variable that is set takes precedence.
    pub fn parameters(
        variables: impl Fn(&str) -> Option<String> + Clone + 'a,
        prefix: &'a Prefix,
        parameters: &'a Parameters,
    ) -> Self {
        let given = move |name: &str| variables(name).filter(|value| !value.trim().is_empty());
        let given_too = given.clone();
        let lookup = move |name: &str| given(name).or_else(|| parameters.value(setting(name)?));
        let how_to_set = move |setting: &Setting| match setting.parameter {
            Some(parameter) if given_too(setting.name).is_none() => {
                prefix.how_to_set(parameter, setting, parameters.parts_of(parameter) > 0)
            }
            _ => in_variable(setting),
        };
        Self {
            lookup: Box::new(lookup),
            how_to_set: Box::new(how_to_set),
            explains_how: true,
            file: None,
            names: Vec::new(),
        }
    }
}

/// Parameters as read, by their names below the prefix. `Debug` shows no values, because some are secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// The value of a setting; for a list, all of its parts.
    pub(crate) fn value(&self, setting: &Setting) -> Option<String> {
        let parameter = setting.parameter?;
        let first = self.0.get(parameter)?;
        if self.part(parameter, 2).is_none() {
            return Some(first.clone());
        }
        let parts = std::iter::once(first).chain((2..).map_while(|number| self.part(parameter, number)));
        let mut all = Vec::new();
        for part in parts {
            match entries(part.trim()) {
                Ok(entries) => all.extend(entries),
                // The reader reports what is wrong with it.
                Err(_) => return Some(part.clone()),
            }
        }
        serde_json::to_string(&all).ok()
    }

    /// The number of parts of a list.
    pub fn parts_of(&self, parameter: &str) -> usize {
        match self.0.contains_key(parameter) {
            true => 1 + (2..).take_while(|number| self.part(parameter, *number).is_some()).count(),
            false => 0,
        }
    }

    fn part(&self, parameter: &str, number: usize) -> Option<&String> {
        self.0.get(&part_name(parameter, number))
    }
}

impl FromIterator<(String, String)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(parameters: I) -> Self {
        let mut all = BTreeMap::new();
        all.extend(parameters);
        Self(all)
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The name of a part of a list; `number` starts at 1.
pub fn part_name(parameter: &str, number: usize) -> String {
    if number <= 1 { parameter.to_owned() } else { format!("{parameter}/{number}") }
}

/// The parameters that a reader of settings needs and that the variables do not provide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Names of single parameters, below the prefix.
    pub single: Vec<&'static str>,
    /// Names of lists, which may continue in further parameters, see [`part_name`].
    pub lists: Vec<&'static str>,
}

/// Reads settings from variables alone; if they are not enough, returns the parameters to read.
pub fn read_or_wanted<T>(
    variables: impl Fn(&str) -> Option<String>,
    read: impl FnOnce(&Source<'_>) -> Result<T, SettingFaults>,
) -> Result<T, Wanted> {
    let missing = RefCell::new(BTreeSet::new());
    let lookup = |name: &str| {
        let value = variables(name).filter(|value| !value.trim().is_empty());
        if value.is_none() {
            missing.borrow_mut().insert(name.to_owned());
        }
        value
    };
    read(&Source::variables(lookup)).map_err(|_| {
        let missing = missing.borrow();
        let asked = reference().iter().filter(|setting| missing.contains(setting.name));
        let (lists, single): (Vec<&Setting>, Vec<&Setting>) = asked.partition(|setting| LISTS.contains(&setting.name));
        let parameters = |settings: Vec<&'static Setting>| settings.into_iter().filter_map(|s| s.parameter).collect();
        Wanted { single: parameters(single), lists: parameters(lists) }
    })
}
