//! The policy: JSON text or a file with it, checked against what is watched and how often.

use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use monitor_domain::policy::{Policy, PolicyDocument};
use monitor_domain::target::TargetSpec;
use monitor_domain::time::{format_duration, parse_duration};
use serde_json::Value;

use crate::faults::{Fault, Wrong};
use crate::reference::POLICY;
use crate::secret::{quoted, shown};

/// A policy or a key is far smaller; what is larger was not meant.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reads a small text file whole.
pub(crate) fn read_file(path: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

/// Reads a policy. `configured` is none where the list of targets is itself at fault: then no key is called strange.
pub(crate) fn policy(
    text: &str,
    configured: Option<&[TargetSpec]>,
    every: Option<Duration>,
) -> Result<Policy, Vec<Fault>> {
    let (json, place) = if text.starts_with(['{', '[', '"']) {
        (text.to_owned(), String::new())
    } else {
        let path = text.strip_prefix('@').unwrap_or(text);
        let json = read_file(path).map_err(|error| {
            let what = format!("the file `{}` cannot be read ({error})", shown(path));
            vec![Wrong::new(what, format!("mend the path, or write JSON as in {}", POLICY.example)).of(&POLICY)]
        })?;
        (json, format!("the file `{}` ", shown(path)))
    };
    let unreadable = |reason: &str| {
        let what = format!("{place}is no policy: {}", quoted(reason));
        vec![Wrong::new(what, format!("write JSON as in {}", POLICY.example)).of(&POLICY)]
    };
    let value: Value = serde_json::from_str(&json).map_err(|error| unreadable(&error.to_string()))?;
    // serde would read an array as the fields in their order.
    if !value.is_object() {
        return Err(unreadable("it is no JSON object"));
    }
    let document: PolicyDocument = serde_json::from_str(&json).map_err(|error| unreadable(&error.to_string()))?;
    let every_key: Vec<TargetSpec>;
    let configured = match configured {
        Some(configured) => configured,
        None => {
            every_key = owners_of_keys(&value);
            &every_key
        }
    };
    let policy = Policy::new(document, configured).map_err(|faults| {
        let fault = |fault: &dyn ToString| Fault { setting: POLICY.name, text: quoted(&fault.to_string()) };
        faults.iter().map(|one| fault(one)).collect::<Vec<_>>()
    })?;
    let faults = every.map_or(Vec::new(), |every| too_soon_blind(&policy, &value, every));
    if faults.is_empty() { Ok(policy) } else { Err(faults) }
}

/// Accounts that every key under `targets` matches: a pattern matches itself.
fn owners_of_keys(policy: &Value) -> Vec<TargetSpec> {
    let keys = policy["targets"].as_object().into_iter().flat_map(|targets| targets.keys());
    keys.map(|key| TargetSpec::RepositoriesOf(key.split('/').next().unwrap_or_default().to_owned())).collect()
}

/// Between two checks nothing is seen. A target that fails once must not count as blind before it was tried again.
fn too_soon_blind(policy: &Policy, document: &Value, every: Duration) -> Vec<Fault> {
    let of_targets = document["targets"].as_object().into_iter().flatten().filter_map(|(key, overrides)| {
        let blind = parse_duration(overrides["blind"].as_str()?).ok()?;
        Some((format!("targets.{key}.blind"), blind))
    });
    let least = every.saturating_mul(2);
    let all = std::iter::once(("blind".to_owned(), policy.base().blind)).chain(of_targets);
    all.filter(|(_, blind)| *blind < least)
        .map(|(place, blind)| {
            let [blind, least, every] = [blind, least, every].map(format_duration);
            let what = format!("{}: {blind} is less than twice the interval of {every}", quoted(&place));
            Wrong::new(what, format!("use at least {least}, or check more often")).of(&POLICY)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(300);

    fn faults(text: &str, configured: Option<&[&str]>, every: Duration) -> Vec<String> {
        let configured: Option<Vec<TargetSpec>> =
            configured.map(|specs| specs.iter().map(|spec| spec.parse().unwrap()).collect());
        match policy(text, configured.as_deref(), Some(every)) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn blind_is_at_least_twice_the_interval_everywhere() {
        let text = r#"{"targets":{"acme/web":{"blind":"9m"},"acme/api":{"blind":"10m"}}}"#;
        assert_eq!(
            faults(text, Some(&["acme/*"]), EVERY),
            ["POLICY: targets.acme/web.blind: 9m is less than twice the interval of 5m; \
              use at least 10m, or check more often"]
        );
        assert_eq!(faults("{}", Some(&[]), Duration::from_secs(600)).len(), 1);
        assert!(faults(r#"{"blind":"20m"}"#, Some(&[]), Duration::from_secs(600)).is_empty());
        assert_eq!(faults("{}", Some(&[]), Duration::MAX).len(), 1);
        assert!(policy("{}", Some(&[]), None).is_ok());
    }

    #[test]
    fn keys_are_not_called_strange_when_the_list_is_at_fault() {
        let text = r#"{"targets":{"acme/web":{},"ac*/x?":{},"*":{},"orgs/acme":{},"":{}}}"#;
        assert_eq!(faults(text, Some(&["other/web"]), EVERY).len(), 4);
        assert!(faults(text, None, EVERY).is_empty());
    }

    #[test]
    fn what_is_no_policy_is_told_without_what_looks_like_a_secret() {
        for (text, expected) in [
            ("{\"confrim\":3}", "unknown field `confrim`"),
            ("{", "EOF while parsing"),
            ("[]", "is no policy"),
            ("/nowhere/policy.json", "the file `/nowhere/policy.json` cannot be read"),
            ("{\"blind\":\"ghp_0123\"}", "hidden"),
            ("ghp_0123", "hidden"),
            ("/dev/zero", "larger than 1 MiB"),
        ] {
            let faults = faults(text, Some(&[]), EVERY);
            assert!(faults.len() == 1 && faults[0].contains(expected), "{text}: {faults:?}");
            assert!(!faults[0].contains("0123"), "{faults:?}");
        }
    }
}
