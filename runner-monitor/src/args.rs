//! What the arguments of more than one command have in common.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Arg;
use clap::builder::Resettable;
use monitor_domain::target::{TargetSpec, Written};
use monitor_domain::time::parse_duration;

use crate::config_file;

/// The environment variable for `--slack-commands`.
pub(crate) const SLACK_COMMANDS: &str = "SLACK_COMMANDS";
/// The environment variable for `--webhooks`.
pub(crate) const WEBHOOKS: &str = "WEBHOOKS";
/// The environment variable for `--web`.
pub(crate) const WEB: &str = "WEB";

/// The argument with its default from the configuration file. A variable that is set but empty counts as not set.
pub(crate) fn with_default_of_file(argument: Arg) -> Arg {
    let Some(variable) = argument.get_env().and_then(|variable| variable.to_str()).map(str::to_owned) else {
        return argument;
    };
    let is_empty = std::env::var_os(&variable).is_some_and(|value| value.to_string_lossy().trim().is_empty());
    let argument = if is_empty { argument.env(Resettable::Reset) } else { argument };
    match config_file::in_use().and_then(|file| file.value(&variable)) {
        Some(value) => argument.default_value(value.to_owned()).hide_default_value(true),
        None => argument,
    }
}

/// Whether a value came from a variable or the configuration file, or at least equals the value there.
pub(crate) fn is_from(variable: &str, value: &str) -> bool {
    let is_in_file = || config_file::in_use().and_then(|file| file.value(variable)) == Some(value);
    std::env::var_os(variable).is_some_and(|set| set == value) || is_in_file()
}

/// Parses a target argument.
pub(crate) fn parse_target(text: &str) -> Result<TargetSpec, String> {
    parse_name(text)?.into_spec().map_err(|error| error.to_string())
}

/// Parses an argument that is a target or the name of a runner.
pub(crate) fn parse_name(text: &str) -> Result<Written, String> {
    monitor_config::written_target(&config_file::source(), text).map_err(|error| error.to_string())
}

/// Parses a duration within a range, which `allowed` describes together with an example.
pub(crate) fn parse_within(text: &str, range: RangeInclusive<Duration>, allowed: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    if range.contains(&duration) { Ok(duration) } else { Err(format!("must be a duration from {allowed}")) }
}

/// Parses a number within a range.
pub(crate) fn whole_number(text: &str, range: RangeInclusive<u32>, example: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        format!("must be a whole number from {} to {}, for example {example}", range.start(), range.end())
    })
}

/// Parses an address to listen on.
pub(crate) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let variable = [SLACK_COMMANDS, WEBHOOKS, WEB].into_iter().find(|variable| is_from(variable, text));
        let place = variable.map_or_else(String::new, |variable| format!("it is set by {variable}; "));
        format!("{place}must be an address and a port, for example 127.0.0.1:8099")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_range() {
        assert_eq!((whole_number("1", 1..=300, 75), whole_number("300", 1..=300, 75)), (Ok(1), Ok(300)));
        for bad in ["0", "301", "-1", "1.5", "abc", "", "99999999999"] {
            let expected = "must be a whole number from 1 to 300, for example 75";
            assert_eq!(whole_number(bad, 1..=300, 75).unwrap_err(), expected, "{bad}");
        }
    }
}
