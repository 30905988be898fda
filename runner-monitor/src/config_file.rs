//! The configuration file in use: that of `--config`, or the one at the default place, if there is one.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use monitor_config::{ConfigFile, ConfigFileFaults, Setting, Source, program_reference};
use monitor_domain::quote::{holds_secret, shown};

/// The environment variable for `--config`.
pub(crate) const CONFIG: &str = "RUNNER_MONITOR_CONFIG";

/// Says what is wrong with a value of a variable that is an argument; `None` if it is sound.
pub(crate) type FaultOfValue = fn(&str, &str) -> Option<String>;

/// Read once, before the command line: its values are defaults of arguments.
static IN_USE: OnceLock<ConfigFile> = OnceLock::new();

/// Reads the file that the arguments or the environment name. Without either, reads the file at the default place if it
/// exists.
pub(crate) fn load(arguments: &[OsString], fault_of_value: FaultOfValue) -> Result<(), ConfigFileFaults> {
    let is_there = |path: &PathBuf| match std::fs::symlink_metadata(path) {
        Ok(_) => true,
        // A file that is there but cannot be reached is an error, not a missing file.
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    };
    let Some(path) = named(arguments).or_else(|| default_path().filter(is_there)) else { return Ok(()) };
    let file = ConfigFile::read(&path)?;
    let faults = faults_of_arguments(&file, fault_of_value);
    if !faults.is_empty() {
        return Err(ConfigFileFaults::new(&path, faults));
    }
    let _ = IN_USE.set(file);
    Ok(())
}

/// The file in use.
pub(crate) fn in_use() -> Option<&'static ConfigFile> {
    IN_USE.get()
}

/// The environment, and the file for what it does not have.
pub(crate) fn source() -> Source<'static> {
    Source::environment(in_use())
}

/// A value of the environment or the file; an empty one counts as not set.
pub(crate) fn value(variable: &str) -> Option<String> {
    set_variable(variable).or_else(|| in_use()?.value(variable).map(str::to_owned))
}

/// A value of the environment; an empty one counts as not set.
pub(crate) fn set_variable(name: &str) -> Option<String> {
    monitor_config::variable(name).filter(|value| !value.trim().is_empty())
}

/// The file that `--config` or its variable names. The command line is not parsed yet, because the file has defaults
/// for it.
fn named(arguments: &[OsString]) -> Option<PathBuf> {
    let before_operands = arguments.iter().take_while(|argument| *argument != "--");
    let mut rest = before_operands.skip(1);
    while let Some(argument) = rest.next() {
        if argument == "--config" {
            return rest.next().map(PathBuf::from);
        }
        if let Some(path) = argument.to_str().and_then(|argument| argument.strip_prefix("--config=")) {
            return Some(PathBuf::from(path));
        }
    }
    std::env::var_os(CONFIG).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The default place, by the XDG base directory specification.
pub(crate) fn default_path() -> Option<PathBuf> {
    default_path_by(|variable| std::env::var_os(variable))
}

fn default_path_by(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    Some(base_folder(("XDG_CONFIG_HOME", ".config"), variable)?.join("runner-monitor/runner-monitor.toml"))
}

/// A base folder of the XDG specification: that of its variable, or the one in the home folder.
pub(crate) fn base_folder(
    (own, in_home): (&str, &str),
    variable: impl Fn(&str) -> Option<OsString>,
) -> Option<PathBuf> {
    // The specification says to ignore relative paths.
    let folder = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder(own).or_else(|| folder("HOME").map(|home| home.join(in_home)))
}

/// The faults of variables that are arguments of the program, with their names.
pub(crate) fn faults_of_variables(fault_of_value: FaultOfValue) -> Vec<String> {
    faults_of(|setting| setting.name.to_owned(), |setting| set_variable(setting.name), fault_of_value)
}

/// The faults of values of the file that are arguments of the program: no reader of settings sees them.
fn faults_of_arguments(file: &ConfigFile, fault_of_value: FaultOfValue) -> Vec<String> {
    faults_of(Setting::key, |setting| file.value(setting.name).map(str::to_owned), fault_of_value)
}

fn faults_of(
    name: impl Fn(&Setting) -> String,
    value: impl Fn(&Setting) -> Option<String>,
    fault_of_value: FaultOfValue,
) -> Vec<String> {
    let set = program_reference().iter().filter_map(|setting| Some((setting, value(setting)?)));
    let faults = set.filter_map(|(setting, value)| {
        let value = &*value;
        let fault = match !setting.secret && holds_secret(value) {
            true => "must not hold a secret, and it looks like a token, webhook or key".to_owned(),
            false => match fault_of_value(setting.name, value)? {
                fault if fault.contains("; found `") => fault,
                fault => format!("{fault}; found `{}`", shown(value, 100)),
            },
        };
        Some(format!("{}: {fault}", name(setting)))
    });
    faults.collect()
}

/// A warning if others on the machine can read the secrets in the file in use.
pub(crate) fn exposure() -> Option<String> {
    let file = in_use().filter(|file| file.holds_secrets())?;
    is_open(file.path()).then(|| {
        let path = file.path().display();
        format!("{path} holds secrets, and others on this machine can read it: run `chmod 600 {path}`")
    })
}

#[cfg(unix)]
fn is_open(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::run::fault_of_value;

    #[test]
    fn the_argument_that_names_the_file_is_found_anywhere_before_the_operands() {
        let of = |arguments: &[&str]| named(&arguments.iter().map(OsString::from).collect::<Vec<_>>());
        let file = Some(PathBuf::from("x.toml"));
        assert_eq!(of(&["runner-monitor", "--config", "x.toml", "check"]), file);
        assert_eq!(of(&["runner-monitor", "check", "--config=x.toml"]), file);
        assert_eq!(of(&["runner-monitor", "check", "--", "--config=x.toml"]), None);
        assert_eq!(of(&["--config"]), None);
    }

    #[test]
    fn the_default_place_follows_the_specification() {
        let of = |home: &str, config: &str| {
            default_path_by(|name| Some(OsString::from(if name == "HOME" { home } else { config })))
        };
        assert_eq!(of("/home/me", ""), Some(PathBuf::from("/home/me/.config/runner-monitor/runner-monitor.toml")));
        assert_eq!(of("", "/config"), Some(PathBuf::from("/config/runner-monitor/runner-monitor.toml")));
        assert_eq!(of("", "relative"), None);
    }

    #[test]
    fn values_of_arguments_are_checked_with_the_file() {
        let faults =
            |text: &str| faults_of_arguments(&ConfigFile::parse(Path::new("x.toml"), text).unwrap(), fault_of_value);
        assert_eq!(
            faults("check_interval = \"5s\"\nweb = \"8080\"\nstore = \":memory:\""),
            [
                "store: must be the path of a file: what is only in memory is lost when the command ends; found `:memory:`",
                "check_interval: must be a duration from 10s to 1h, for example 5m; found `5s`",
                "web: must be an address and a port, for example 127.0.0.1:8099; found `8080`",
            ]
        );
        let secret = faults("store = \"xoxb-123456789012-hunter2hunter2\"");
        assert!(secret[0].contains("must not hold a secret") && !secret[0].contains("hunter2"), "{secret:?}");
        assert!(faults("check_interval = \"1m\"\npending_limit = \"1h\"\nweb_host = [\"a\", \"b\"]").is_empty());
    }
}
