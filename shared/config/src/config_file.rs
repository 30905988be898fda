//! The configuration file: each setting under the name of its variable in lower case, and the policy as a table.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::faults::Wrong;
use crate::files::read_file;
use crate::misspelt::{known, meant};
use crate::quoting::{quoted, shown};
use crate::reference::{LISTS, MAY_BE_LISTS, POLICY, SLACK_WEBHOOKS, Setting, of_files};

/// The largest configuration file, in KB. A long list of repositories has some 100.
const MAX_FILE_KB: usize = 4096;

impl Setting {
    /// Its key in a configuration file.
    pub fn key(&self) -> String {
        self.name.strip_prefix("RUNNER_MONITOR_").unwrap_or(self.name).to_ascii_lowercase()
    }

    /// An example of its line in a configuration file.
    pub(crate) fn example_line(&self) -> String {
        let (key, example) = (self.key(), self.example);
        if self.name == POLICY.name {
            return "[policy] and below it failureThreshold = 2".to_owned();
        }
        if LISTS.contains(&self.name) {
            let entry = example.trim_matches(['[', ']', '"']).split(',').next().unwrap_or_default();
            return format!("{key} = [\"{entry}\"]");
        }
        let quote = if example.contains('"') { "'" } else { "\"" };
        format!("{key} = {quote}{example}{quote}")
    }
}

/// A configuration file as read. `Debug` shows no values, because some are secrets.
pub struct ConfigFile {
    path: PathBuf,
    /// The values by the names of the variables.
    values: BTreeMap<&'static str, String>,
}

/// Every fault of a configuration file, at least one. Shows no secret.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigFileFaults {
    path: PathBuf,
    faults: Vec<String>,
}

impl ConfigFileFaults {
    /// Faults in the values of a file, each with its key.
    pub fn new(path: &Path, faults: Vec<String>) -> Self {
        Self { path: path.to_owned(), faults }
    }
}

impl fmt::Display for ConfigFileFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = monitor_domain::quote::shown(&self.path.to_string_lossy(), 300);
        match &self.faults[..] {
            [only] => write!(f, "the configuration file {path}: {only}"),
            all => {
                write!(f, "{} faults in the configuration file {path}:", all.len())?;
                all.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
            }
        }
    }
}

impl std::error::Error for ConfigFileFaults {}

impl ConfigFile {
    /// Reads a file, and reports every fault of its form. The values are checked when the settings are read.
    pub fn read(path: &Path) -> Result<Self, ConfigFileFaults> {
        let fault = |text: String| ConfigFileFaults::new(path, vec![text]);
        let text = read_file(&path.to_string_lossy(), MAX_FILE_KB).map_err(|error| {
            fault(format!("it cannot be read ({error}); correct the path, or write it with `runner-monitor init`"))
        })?;
        Self::parse(path, &text)
    }

    /// Reads the text of a file.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigFileFaults> {
        let table: Table = text.parse().map_err(|error| ConfigFileFaults::new(path, vec![flaw(text, &error)]))?;
        let (mut values, mut faults) = (BTreeMap::new(), Vec::new());
        for (key, value) in &table {
            let Some(setting) = of_files().find(|setting| setting.key() == *key) else {
                faults.push(unknown(key));
                continue;
            };
            match as_text(setting, value) {
                Ok(text) => drop(values.insert(setting.name, text)),
                Err(wrong) => faults.push(format!("{key}: {}", wrong.text())),
            }
        }
        match faults.is_empty() {
            true => Ok(Self { path: path.to_owned(), values }),
            false => Err(ConfigFileFaults::new(path, faults)),
        }
    }

    /// The value for a variable.
    pub fn value(&self, variable: &str) -> Option<&str> {
        self.values.get(variable).map(String::as_str)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The place of a value, for messages.
    pub fn place(&self, variable: &str) -> Option<String> {
        let setting = of_files().find(|setting| setting.name == variable)?;
        self.value(variable).map(|_| format!("`{}` in {}", setting.key(), self.path.display()))
    }

    /// Whether a value is a secret itself, and not the path of a file that holds it.
    pub fn holds_secrets(&self) -> bool {
        let is_secret = |name: &str| of_files().any(|setting| setting.secret && setting.name == name);
        self.values.iter().any(|(name, value)| is_secret(name) && !value.starts_with('@'))
    }
}

impl fmt::Debug for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigFile").field("path", &self.path).field("set", &self.values.keys()).finish()
    }
}

/// Where and why a text is not valid TOML. The parser's own display quotes the line, which may hold a secret.
fn flaw(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    format!("must be TOML: line {line}: {}", quoted(error.message()))
}

fn unknown(key: &str) -> String {
    let known = known();
    let meant = meant(key, &known).and_then(|name| of_files().find(|setting| setting.name == name));
    let hint = match meant {
        Some(setting) => format!("did you mean `{}`?", setting.key()),
        None => "`runner-monitor settings` lists all".to_owned(),
    };
    format!("{}: is not a setting; {hint}", shown(key))
}

/// A value as its variable would hold it.
fn as_text(setting: &Setting, value: &Value) -> Result<String, Wrong> {
    let wrong = |must_be: &str| Wrong::new(must_be, format!("for example {}", setting.example_line()));
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(_) | Value::Boolean(_) | Value::Float(_) | Value::Datetime(_) => Ok(value.to_string()),
        Value::Array(entries) if MAY_BE_LISTS.contains(&setting.name) => {
            let entries: Option<Vec<&str>> = entries.iter().map(Value::as_str).collect();
            entries.map(|entries| entries.join(",")).ok_or_else(|| wrong("must be a list of texts"))
        }
        Value::Table(table) if [POLICY.name, SLACK_WEBHOOKS.name].contains(&setting.name) => {
            let must_be = "must hold texts in quotes, numbers, lists and tables";
            if !is_json(value) {
                return Err(wrong(must_be));
            }
            serde_json::to_string(table).map_err(|_| wrong(must_be))
        }
        Value::Array(_) => Err(wrong("must be a single value; found a list")),
        Value::Table(_) => Err(wrong("must be a value; found a table")),
    }
}

/// Whether JSON can hold a value: it has neither dates nor `nan` and `inf`.
fn is_json(value: &Value) -> bool {
    match value {
        Value::Float(number) => number.is_finite(),
        Value::Datetime(_) => false,
        Value::Array(entries) => entries.iter().all(is_json),
        Value::Table(table) => table.iter().all(|(_, value)| is_json(value)),
        Value::String(_) | Value::Integer(_) | Value::Boolean(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{HostOptions, Settings};
    use crate::source::Source;

    fn parse(text: &str) -> Result<ConfigFile, String> {
        ConfigFile::parse(Path::new("/etc/monitor.toml"), text).map_err(|faults| faults.to_string())
    }

    #[test]
    fn each_setting_and_the_policy_can_be_in_the_file() {
        let file = parse(
            "github_token = \"token\"\nrepos = [\"acme/web\", \"acme/api\"]\norganizations = \"acme\"\n\
             github_api_version = 2022-11-28\ngithub_requests_per_minute = 300\nstore = \"./store.db\"\n\
             [policy]\nfailureThreshold = 2\nignore = [\"test-*\"]\n[policy.targets.\"acme/web\"]\nrecheckInterval = \"30s\"\n",
        )
        .unwrap();
        assert_eq!(file.value("RUNNER_MONITOR_STORE"), Some("./store.db"));
        let source = Source::variables_and(|_| None, Some(&file));
        let settings = Settings::read(&source, &HostOptions::default()).unwrap();
        let targets: Vec<String> = settings.targets.iter().map(ToString::to_string).collect();
        assert_eq!(targets, ["acme/web", "acme/api", "orgs/acme"]);
        assert_eq!(settings.policy.base().failure_threshold, 2);
        assert!(file.holds_secrets() && !format!("{file:?}").contains("\"token\""), "{file:?}");
    }

    #[test]
    fn the_environment_takes_precedence_and_an_empty_variable_does_not() {
        let file = parse("repos = \"acme/web\"\ngithub_token = \"@/run/token\"").unwrap();
        assert!(!file.holds_secrets());
        let read = |repos: &'static str| {
            let variables = move |name: &str| match name {
                "GITHUB_TOKEN" => Some("x".to_owned()),
                "REPOS" => Some(repos.to_owned()),
                _ => None,
            };
            Settings::read(&Source::variables_and(variables, Some(&file)), &HostOptions::default()).unwrap().targets[0]
                .to_string()
        };
        assert_eq!((read("acme/other"), read(" ")), ("acme/other".to_owned(), "acme/web".to_owned()));
    }

    #[test]
    fn each_fault_names_its_key_and_the_fix() {
        for (text, expected) in [
            ("repositories = \"a/b\"", "repositories: is not a setting; did you mean `repos`?"),
            ("slack_webhok = \"x\"", "did you mean `slack_webhook`?"),
            ("[github]\ntoken = \"x\"", "github: is not a setting; `runner-monitor settings` lists all"),
            ("repos = [1]", "repos: must be a list of texts; for example repos = [\"acme/web\"]"),
            ("github_token = [\"x\"]", "github_token: must be a single value; found a list"),
            ("[policy]\nrepeatInterval = 2022-01-01", "policy: must hold texts in quotes, numbers, lists and tables"),
            ("[policy]\nfailureThreshold = nan", "policy: must hold texts in quotes"),
            ("[repos]\na = 1", "repos: must be a value; found a table"),
            ("\n\nrepos = acme/web", "must be TOML: line 3: "),
            ("repos = \"a/b\"\nrepos = \"c/d\"", "must be TOML: line 2: "),
        ] {
            let fault = parse(text).unwrap_err();
            assert!(fault.starts_with("the configuration file /etc/monitor.toml: "), "{fault}");
            assert!(fault.contains(expected), "{text}: {fault}");
        }
        let both = parse("repositories = \"a/b\"\nx = 1").unwrap_err();
        assert!(both.starts_with("2 faults in the configuration file /etc/monitor.toml:\n  "), "{both}");
    }

    #[test]
    fn no_fault_shows_a_secret() {
        for text in ["github_token = ghp_hunter2", "ghp_hunter2 = 1", "slack_webhook = https://hooks.slack.com/hunter2"]
        {
            let fault = parse(text).unwrap_err();
            assert!(!fault.contains("hunter2"), "{fault}");
        }
    }

    #[test]
    fn a_wrong_value_is_reported_with_its_key_and_file() {
        let file = parse("github_token = \"x\"\nrepos = [\"acme\"]\n[policy]\nfailureTreshold = 2").unwrap();
        let source = Source::variables_and(|_| None, Some(&file));
        let faults = Settings::read(&source, &HostOptions::default()).unwrap_err().to_string();
        assert!(
            faults.contains("REPOS: must be owner/name") && faults.contains("(`repos` in /etc/monitor.toml)"),
            "{faults}"
        );
        let bare = parse("repos = \"a/b\"").unwrap();
        let faults = Settings::read(&Source::variables_and(|_| None, Some(&bare)), &HostOptions::default())
            .unwrap_err()
            .to_string();
        assert!(
            faults.contains("set GITHUB_TOKEN, or write github_token = \"ghp_…\" into /etc/monitor.toml"),
            "{faults}"
        );
    }

    #[test]
    fn the_example_on_the_page_is_sound() {
        let page = include_str!("../../../docs/CONFIGURATION.md");
        let text = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        assert!(!parse(text).unwrap().holds_secrets());
        assert!(text.lines().count() > 8, "{text}");
    }

    #[test]
    fn every_key_is_unlike_the_others() {
        let mut keys: Vec<String> = of_files().map(Setting::key).collect();
        keys.sort();
        let count = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}
