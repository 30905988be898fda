//! The settings from an environment or a parameter store, and the policy among them.

use std::collections::BTreeMap;
use std::time::Duration;

use monitor_config::{Credential, HostOptions, Settings, SlackSettings, Source, StoreChoice, reference};
use monitor_domain::policy::{Policy, PolicyDocument, Thresholds};
use monitor_domain::target::{Target, TargetSpec};

use crate::text_checks::{SECRET, assert_bearable};

const LONGEST: usize = 2_000;
/// A secret in the wrong setting can be recognized by such a prefix.
const MISPLACED: &str = "ghp_hunter2hunter2";

/// Each line is a setting, `NAME=value`; `\n` in a value is a line break. Errors contain no secrets.
pub(crate) fn settings(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let lines = text.lines().filter_map(|line| line.split_once('='));
    // A value that begins with an at sign, and a policy that is a path, name a file. Files are not part of this test.
    let is_file = |name: &str, value: &str| {
        let value = value.trim_start();
        value.starts_with('@') || (name == "POLICY" && !value.starts_with(['{', '[', '"']))
    };
    let values: BTreeMap<&str, String> = lines
        .filter(|(name, value)| !is_file(name, value))
        .map(|(name, value)| (name, value.replace("\\n", "\n")))
        .collect();
    let is_secret = |name: &str| reference().iter().any(|setting| setting.name == name && setting.secret);
    // Addresses are printed in lower case.
    let shows = |value: &str| value.to_lowercase().contains(SECRET);
    let of_plain = |shows: &dyn Fn(&str) -> bool| values.iter().any(|(name, value)| !is_secret(name) && shows(value));
    let in_plain = of_plain(&shows);
    let is_shown = of_plain(&|value| shows(&value.replace(MISPLACED, "")));
    let source = Source::variables(|name| values.get(name).cloned());
    let options = HostOptions {
        every: Some(Duration::from_secs(300)),
        targets: Vec::new(),
        store: Some(StoreChoice::BySettings),
        ..HostOptions::default()
    };
    match Settings::read(&source, &options) {
        Ok(settings) => {
            assert!(in_plain || !format!("{settings:?}").contains(SECRET), "Debug shows a secret");
            assert!(!settings.targets.is_empty(), "no targets and no fault");
            assert_targets(&settings.targets);
            assert_thresholds(settings.policy.base(), Duration::from_secs(600));
            assert!(!settings.github.api_url.ends_with('/') && !settings.github.web_url.ends_with('/'));
            let secrets = match &settings.github.credential {
                Credential::Token(token) => vec![token],
                Credential::App { private_key, .. } => vec![private_key],
            };
            let of_slack = settings.slack.iter().map(|slack| match slack {
                SlackSettings::Webhook { url: secret, .. } | SlackSettings::Bot { token: secret, .. } => secret,
            });
            for secret in secrets.into_iter().chain(of_slack) {
                assert!(!secret.expose().trim().is_empty(), "an empty secret");
            }
        }
        Err(faults) => {
            assert!(!faults.0.is_empty(), "refused without a fault");
            for fault in &faults.0 {
                let text = fault.to_string();
                assert!(is_shown || !text.contains(SECRET), "an error contains a secret: {text}");
                assert!(
                    reference().iter().any(|setting| setting.name == fault.setting),
                    "{} is not a setting",
                    fault.setting
                );
                assert_bearable(&text.replace(SECRET, "…"), LONGEST);
            }
        }
    }
}

/// In an accepted policy every threshold is within its bounds, for every target and runner.
pub(crate) fn policy(input: &[u8]) {
    let document = match serde_json::from_slice::<PolicyDocument>(input) {
        Ok(document) => document,
        Err(_) => return,
    };
    let configured: Vec<TargetSpec> =
        ["acme/web", "acme/*", "orgs/acme", "enterprises/big"].iter().map(|spec| spec.parse().unwrap()).collect();
    match Policy::new(document, &configured) {
        Ok(policy) => {
            assert_thresholds(policy.base(), Duration::ZERO);
            for target in ["acme/web", "acme/api", "orgs/acme", "enterprises/big"] {
                let target: Target = target.parse().unwrap();
                let policy = policy.for_target(&target);
                assert_thresholds(policy.thresholds(), Duration::ZERO);
                for name in ["build-7", "gpu-a1", ""] {
                    let labels = ["self-hosted".to_owned(), "gpu".to_owned()];
                    let thresholds = policy.for_runner(name, &labels);
                    assert_thresholds(&thresholds, Duration::ZERO);
                    let of_target = (policy.thresholds().recheck_interval, policy.thresholds().unreachable_after);
                    assert_eq!(
                        (thresholds.recheck_interval, thresholds.unreachable_after),
                        of_target,
                        "these apply to whole targets"
                    );
                    assert_eq!(policy.ignores(name), policy.ignores(&name.to_uppercase()), "case makes a difference");
                }
            }
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a fault");
            assert!(faults.iter().all(|fault| !fault.place.is_empty() && !fault.fault.is_empty()));
        }
    }
}

fn assert_targets(targets: &[TargetSpec]) {
    let mut identities: Vec<String> = targets.iter().map(|spec| spec.to_string().to_ascii_lowercase()).collect();
    identities.sort();
    identities.dedup();
    assert_eq!(identities.len(), targets.len(), "a target is listed twice");
}

fn assert_thresholds(thresholds: &Thresholds, least_unreachable_after: Duration) {
    let Thresholds {
        failure_threshold,
        success_threshold,
        recheck_interval,
        unreachable_after,
        forget_after,
        connect_grace,
        flap_threshold,
        ..
    } = *thresholds;
    let day = Duration::from_secs(86_400);
    assert!(
        (1..=20).contains(&failure_threshold)
            && (1..=20).contains(&success_threshold)
            && (2..=20).contains(&flap_threshold)
    );
    assert!((10..=900).contains(&recheck_interval.as_secs()), "SQS cannot delay a message by {recheck_interval:?}");
    assert!(
        unreachable_after >= least_unreachable_after
            && (Duration::from_secs(60)..=7 * day).contains(&unreachable_after)
    );
    assert!((Duration::from_secs(60)..=30 * day).contains(&forget_after) && connect_grace <= 30 * day);
    for span in [thresholds.flap_window, thresholds.flap_clear_after] {
        assert!((Duration::from_secs(60)..=7 * day).contains(&span));
    }
}
