//! The policy: JSON text or a file with it, validated against the targets and the check interval.

use std::time::Duration;

use monitor_domain::policy::{Policy, PolicyDocument, PolicyFault, Thresholds};
use monitor_domain::target::TargetSpec;
use monitor_domain::time::{format_duration, parse_duration};
use serde_json::Value;

use crate::faults::{SettingFault, Wrong};
use crate::files::read_file;
use crate::quoting::{quoted, shown};
use crate::reference::POLICY;

/// The largest policy in a file, in KB. A policy is far smaller.
const MAX_POLICY_KB: usize = 1024;

/// Reads a policy. `configured` is `None` if the list of targets itself is faulty: then no key is reported as unknown.
pub(crate) fn policy(
    text: &str,
    configured: Option<&[TargetSpec]>,
    every: Option<Duration>,
) -> Result<Policy, Vec<SettingFault>> {
    let (json, place) = if text.starts_with(['{', '[', '"']) {
        (text.to_owned(), String::new())
    } else {
        let path = text.strip_prefix('@').unwrap_or(text);
        let json = read_file(path, MAX_POLICY_KB).map_err(|error| {
            let what = format!("the file `{}` cannot be read ({error})", shown(path));
            vec![
                Wrong::new(what, format!("correct the path, or write JSON, for example {}", POLICY.example))
                    .of(&POLICY),
            ]
        })?;
        (json, format!("the file `{}`: ", shown(path)))
    };
    let wrong =
        |what: String| vec![Wrong::new(place.clone() + &what, format!("for example {}", POLICY.example)).of(&POLICY)];
    let value: Value = serde_json::from_str(&json).map_err(|error| wrong(format!("must be JSON: {}", flaw(&error))))?;
    if !value.is_object() {
        let found = if value.is_array() { "a list" } else { "a single value" };
        return Err(wrong(format!("must be a JSON object; found {found}")));
    }
    let document: PolicyDocument =
        serde_json::from_str(&json).map_err(|error| wrong(format!("must be JSON: {}", flaw(&error))))?;
    let every_key: Vec<TargetSpec>;
    let configured = match configured {
        Some(configured) => configured,
        None => {
            every_key = owners_of_keys(&value);
            &every_key
        }
    };
    let policy = Policy::new(document, configured).map_err(|faults| {
        let text = |fault: &PolicyFault| format!("{place}{}", quoted(&fault.to_string()));
        faults.iter().map(|fault| SettingFault { setting: POLICY.name, text: text(fault) }).collect::<Vec<_>>()
    })?;
    let Some(every) = every else { return Ok(policy) };
    let Thresholds { unreachable_after, recheck_interval, .. } = *policy.base();
    let policy = if value["unreachableAfter"].is_null() {
        policy.with_unreachable_after(
            unreachable_after.max(every.saturating_mul(3)).max(shortest_unreachable_after(recheck_interval, every)),
        )
    } else {
        policy
    };
    let faults = too_short_unreachable_after(policy.base(), &value, every);
    if faults.is_empty() { Ok(policy) } else { Err(faults) }
}

/// Where and why a text is not valid JSON, without the position in the parser's own message.
fn flaw(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    if error.is_eof() {
        return format!("it ends unexpectedly at line {line}, column {column}");
    }
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    format!("{} at line {line}, column {column}", quoted(said))
}

/// Accounts that match every key under `targets`: a pattern matches itself.
fn owners_of_keys(policy: &Value) -> Vec<TargetSpec> {
    let keys = policy["targets"].as_object().into_iter().flat_map(|targets| targets.keys());
    keys.map(|key| TargetSpec::RepositoriesOf(key.split('/').next().unwrap_or_default().to_owned())).collect()
}

/// The shortest usable `unreachable_after`. A target whose check failed once must not count as unreachable before the
/// next check, and checks as far apart as `recheck_interval` must not count as a gap, even if one of them is missed.
fn shortest_unreachable_after(recheck_interval: Duration, every: Duration) -> Duration {
    // The next check that counts is the recheck, or the first tick at least half a `recheck_interval` later.
    let next_check = recheck_interval.min((recheck_interval / 2).saturating_add(every));
    every.saturating_mul(2).max(next_check.saturating_add(every))
}

/// SettingFaults where `unreachable_after` is shorter than [`shortest_unreachable_after`]: in the policy itself, and in each
/// target's rule that sets it or `recheck_interval`.
fn too_short_unreachable_after(base: &Thresholds, document: &Value, every: Duration) -> Vec<SettingFault> {
    let of_targets = document["targets"].as_object().into_iter().flatten().filter_map(|(key, overrides)| {
        let own = |name: &str| parse_duration(overrides[name].as_str()?).ok();
        let (unreachable_after, recheck_interval) = (own("unreachableAfter"), own("recheckInterval"));
        let name = if unreachable_after.is_some() { "unreachableAfter" } else { "recheckInterval" };
        unreachable_after.or(recheck_interval)?;
        Some((
            format!("targets.{key}.{name}"),
            unreachable_after.unwrap_or(base.unreachable_after),
            recheck_interval.unwrap_or(base.recheck_interval),
        ))
    });
    let of_base = ("unreachableAfter".to_owned(), base.unreachable_after, base.recheck_interval);
    let all = std::iter::once(of_base).chain(of_targets);
    all.filter(|(_, unreachable_after, recheck_interval)| {
        *unreachable_after < shortest_unreachable_after(*recheck_interval, every)
    })
    .map(|(place, unreachable_after, recheck_interval)| {
        let (place, least) = (quoted(&place), format_duration(shortest_unreachable_after(recheck_interval, every)));
        let [unreachable_after_text, recheck_text, every_text] =
            [unreachable_after, recheck_interval, every].map(format_duration);
        if unreachable_after < every.saturating_mul(2) {
            let what = format!(
                "{place}: must be at least {least}, as checks are {every_text} apart; found {unreachable_after_text}"
            );
            Wrong::new(what, "raise it, or check more often").of(&POLICY)
        } else {
            let what = format!(
                "{place}: with `unreachableAfter` of {unreachable_after_text}, `recheckInterval` of {recheck_text} \
                     and checks every {every_text}, no two checks would be consecutive and no outage would be confirmed"
            );
            let hint = format!("set `unreachableAfter` to at least {least}, or a shorter `recheckInterval`");
            Wrong::new(what, hint).of(&POLICY)
        }
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
    fn unreachable_after_is_at_least_twice_the_interval_everywhere() {
        let text = r#"{"targets":{"acme/web":{"unreachableAfter":"9m"},"acme/api":{"unreachableAfter":"10m"}}}"#;
        assert_eq!(
            faults(text, Some(&["acme/*"]), EVERY),
            ["POLICY: targets.acme/web.unreachableAfter: must be at least 10m, as checks are 5m apart; found 9m; \
                 raise it, or check more often"]
        );
        assert!(faults(r#"{"unreachableAfter":"20m"}"#, Some(&[]), Duration::from_secs(600)).is_empty());
        assert_eq!(faults(r#"{"unreachableAfter":"19m"}"#, Some(&[]), Duration::from_secs(600)).len(), 1);
        assert!(policy("{}", Some(&[]), None).is_ok());
    }

    #[test]
    fn unreachable_after_follows_the_interval_if_it_is_not_set() {
        let unreachable_after = |text: &str, every_mins: u64| {
            let every = Duration::from_secs(every_mins * 60);
            policy(text, Some(&[]), Some(every)).unwrap().base().unreachable_after.as_secs() / 60
        };
        for (every_mins, expected) in [(1, 15), (2, 15), (3, 15), (5, 15), (10, 30), (15, 45), (60, 180)] {
            assert_eq!(unreachable_after("{}", every_mins), expected, "every {every_mins} minutes");
        }
        assert_eq!(
            unreachable_after(r#"{"recheckInterval":"15m"}"#, 5),
            17,
            "12.5 minutes to the next check, and one check may be missed"
        );
    }

    #[test]
    fn consecutive_checks_are_no_further_apart_than_unreachable_after() {
        let two = Duration::from_secs(120);
        for (text, every, place) in [
            (
                r#"{"unreachableAfter":"5m","recheckInterval":"10m"}"#,
                two,
                "unreachableAfter: with `unreachableAfter` of 5m",
            ),
            (
                r#"{"unreachableAfter":"10m","recheckInterval":"15m"}"#,
                EVERY,
                "unreachableAfter: with `unreachableAfter` of 10m",
            ),
            (
                r#"{"targets":{"acme/web":{"unreachableAfter":"12m","recheckInterval":"15m"}}}"#,
                EVERY,
                "targets.acme/web.unreachableAfter: with",
            ),
            (
                r#"{"unreachableAfter":"12m","targets":{"acme/web":{"recheckInterval":"15m"}}}"#,
                EVERY,
                "targets.acme/web.recheckInterval: with",
            ),
        ] {
            let faults = faults(text, Some(&["acme/web"]), every);
            assert!(faults.len() == 1 && faults[0].contains(place), "{text}: {faults:?}");
        }
        assert_eq!(
            faults(r#"{"unreachableAfter":"5m","recheckInterval":"10m"}"#, Some(&[]), two),
            ["POLICY: unreachableAfter: with `unreachableAfter` of 5m, `recheckInterval` of 10m and checks every 2m, \
                 no two checks would be consecutive and no outage would be confirmed; \
                 set `unreachableAfter` to at least 9m, or a shorter `recheckInterval`"]
        );
        assert!(faults(r#"{"unreachableAfter":"10m"}"#, Some(&[]), EVERY).is_empty());
    }

    #[test]
    fn keys_are_not_reported_as_unknown_when_the_list_is_faulty() {
        let text = r#"{"targets":{"acme/web":{},"ac*/x?":{},"*":{},"orgs/acme":{},"":{}}}"#;
        assert_eq!(faults(text, Some(&["other/web"]), EVERY).len(), 4);
        assert!(faults(text, None, EVERY).is_empty());
    }

    #[test]
    fn a_malformed_policy_is_reported_without_possible_secrets() {
        for (text, expected) in [
            (
                "{\"failureTreshold\":3}",
                "POLICY: failureTreshold: is not a key of the policy; did you mean `failureThreshold`?",
            ),
            ("{", "POLICY: must be JSON: it ends unexpectedly at line 1, column 1; for example {"),
            ("{\"failureThreshold\" 3}", "POLICY: must be JSON: expected `:` at line 1, column 21; for example {"),
            ("[]", "POLICY: must be a JSON object; found a list; for example {"),
            ("\"x\"", "POLICY: must be a JSON object; found a single value; for example {"),
            (
                "{\"failureThreshold\":\"many\"}",
                "POLICY: failureThreshold: must be a whole number from 1 to 20, for example 3; found `many`",
            ),
            ("/nowhere/policy.json", "the file `/nowhere/policy.json` cannot be read"),
            ("{\"unreachableAfter\":\"ghp_0123\"}", "hidden"),
            ("ghp_0123", "hidden"),
            ("/dev/zero", "larger than 1024 KB"),
        ] {
            let faults = faults(text, Some(&[]), EVERY);
            assert!(faults.len() == 1 && faults[0].contains(expected), "{text}: {faults:?}");
            assert!(!faults[0].contains("0123"), "{faults:?}");
        }
    }
}
