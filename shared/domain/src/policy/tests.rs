//! Parsing and precedence of the policy.

use super::*;
use crate::subject::CredentialId;

fn policy(json: &str, configured: &[&str]) -> Result<Policy, Vec<String>> {
    let document: PolicyDocument = serde_json::from_str(json).map_err(|error| vec![error.to_string()])?;
    let configured: Vec<TargetSpec> = configured.iter().map(|spec| spec.parse().unwrap()).collect();
    Policy::new(document, &configured).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

#[test]
fn the_most_specific_rule_wins() {
    let policy = policy(
        r#"{"failureThreshold":4,"recheckInterval":"90s","ignore":["test-*"],
            "targets":{"acme/*":{"failureThreshold":5},"acme/web":{"failureThreshold":2,"ignore":["tmp-*"]}},
            "labels":{"gpu":{"failureThreshold":6}},
            "runners":{"gpu-a*":{"failureThreshold":7},"gpu-a1":{"onRemoved":"ignore"}}}"#,
        &["acme/web", "acme/api"],
    )
    .unwrap();
    let web: Target = "Acme/Web".parse().unwrap();
    let api: Target = "acme/api".parse().unwrap();
    let gpu = ["GPU".to_owned()];
    assert_eq!(policy.base().failure_threshold, 4);
    assert_eq!(policy.for_target(&web).thresholds().failure_threshold, 2);
    assert_eq!(policy.for_target(&api).thresholds().failure_threshold, 5);
    assert_eq!(policy.for_target(&web).for_runner("x", &gpu).failure_threshold, 6);
    let most_specific = policy.for_target(&web).for_runner("gpu-a1", &gpu);
    assert_eq!((most_specific.failure_threshold, most_specific.on_removed), (7, OnRemoved::Ignore));
    assert_eq!(most_specific.recheck_interval, Duration::from_secs(90));
    assert!(policy.for_target(&web).ignores("tmp-1") && !policy.for_target(&api).ignores("tmp-1"));
    assert!(policy.for_target(&api).ignores("TEST-1"));
}

#[test]
fn the_channel_of_the_most_specific_rule_wins() {
    let policy = policy(
        r##"{"targets":{"acme/*":{"channel":"#all"},"acme/web":{"channel":"C0WEB","failureThreshold":2}},
            "labels":{"gpu":{"channel":"#gpu"},"gpu-a*":{"failureThreshold":6}},
            "runners":{"spot-*":{"channel":"#spot"},"spot-1":{"channel":"#runners"}}}"##,
        &["acme/web", "acme/api", "orgs/acme"],
    )
    .unwrap()
    .with_default_channel("runners");
    let of = |target: &str, name: &str, label: &str| {
        let target: Target = target.parse().unwrap();
        policy.for_target(&target).channel_for(name, &[label.to_owned()]).map(str::to_owned)
    };
    assert_eq!(policy.for_target(&"acme/web".parse().unwrap()).channel(), Some("C0WEB"));
    assert_eq!(policy.for_target(&"orgs/acme".parse().unwrap()).channel(), None);
    assert_eq!(of("acme/web", "build-1", "linux").as_deref(), Some("C0WEB"));
    assert_eq!(of("acme/api", "build-1", "linux").as_deref(), Some("#all"));
    assert_eq!(of("acme/api", "build-1", "GPU").as_deref(), Some("#gpu"));
    assert_eq!(of("acme/web", "gpu-1", "gpu-a100").as_deref(), Some("C0WEB"), "the label names no channel");
    assert_eq!(of("acme/web", "spot-2", "gpu").as_deref(), Some("#spot"));
    assert_eq!(of("acme/web", "spot-1", "gpu"), None, "the default channel by its name");
    assert_eq!(of("orgs/acme", "build-1", "linux"), None);
    assert!(policy.routes_by_label());
    let places: Vec<&str> = policy.channels().map(|(place, _)| place).collect();
    assert_eq!(places.len(), 5);
    assert_eq!(places[0], "targets.acme/*.channel");
}

#[test]
fn a_fault_never_repeats_a_channel_in_the_wrong_place_or_form() {
    let faults = policy(
        r#"{"channel":"C0123456789","labels":{"gpu":{"channel":"https://hooks.slack.com/services/hunter2"}},
            "runners":{"a":{"channel":""}},"targets":{"acme/web":{"channel":"two words"}}}"#,
        &["acme/web"],
    )
    .unwrap_err();
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert!(faults[0].starts_with("channel: the default channel is the setting SLACK_CHANNEL"), "{faults:?}");
    assert!(
        faults[1].starts_with("targets.acme/web.channel: must be a channel's id or name, for example"),
        "{faults:?}"
    );
    assert!(!faults.concat().contains("hunter2"), "{faults:?}");
}

#[test]
fn every_fault_names_its_key_and_gives_a_hint() {
    let faults = policy(
        r#"{"failureThreshold":0,"recheckInterval":"1h","targets":{"acme/wob":{"failureThreshold":2}},"runners":{"a":{"unreachableAfter":"20m"}}}"#,
        &["acme/web"],
    )
    .unwrap_err();
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert_eq!(faults[0], "failureThreshold: must be a whole number from 1 to 20, for example 3; found 0");
    assert_eq!(faults[1], "recheckInterval: must be a duration from 10s to 15m, for example 60s; found `1h`");
    let [of_target, of_runner] =
        ["targets.acme/wob: matches no configured target", "runners.a.unreachableAfter: applies to whole"];
    assert!(faults.iter().any(|fault| fault.starts_with(of_target)), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.starts_with(of_runner)), "{faults:?}");
    assert!(policy(r#"{"targets":{"acme/web":{}}}"#, &["acme/*"]).is_ok());
}

/// Tries wrong values of every kind for each key.
#[test]
fn a_fault_says_what_the_key_accepts_and_never_what_a_parser_expected() {
    let wrong =
        ["-1", "1.5", "99999999999", "true", "\"soon\"", "\"\"", "[]", "{}", "[1]", "\"5\"", "\"-5m\"", "\"99999d\""];
    for key in reference() {
        for written in wrong {
            let policy =
                policy(&format!(r#"{{"targets":{{"acme/web":{{"{}":{written}}}}}}}"#, key.name), &["acme/web"]);
            let accepted = match key.name {
                "channel" => written.len() > 2 && written.starts_with('"'),
                "ignore" => written == "[]",
                _ => false,
            };
            assert_eq!(policy.is_ok(), accepted, "{}: {written}", key.name);
            for fault in policy.err().unwrap_or_default() {
                let start = format!("targets.acme/web.{}: must be ", key.name);
                assert!(fault.starts_with(&start) && fault.contains(&key.accepted()), "{fault}");
                assert!(fault.contains("for example "), "{fault}");
            }
        }
    }
    for (json, expected) in [
        (r#"{"failureThreshold":1,"failureThreshold":2}"#, "failureThreshold: is given twice"),
        (
            r#"{"recheckInterval":60}"#,
            "recheckInterval: must be a duration from 10s to 15m, for example 60s; found 60, which has no unit",
        ),
        (r#"{"onRemoved":"silent"}"#, "onRemoved: must be `alert` or `ignore`, for example \"alert\"; found `silent`"),
        (r#"{"failureTreshold":3}"#, "failureTreshold: is not a key of the policy; did you mean `failureThreshold`?"),
        (r#"{"MaxRepeat":3}"#, "MaxRepeat: is not a key of the policy; did you mean `maxRepeats`?"),
        (r#"{"label":{}}"#, "label: is not a key of the policy; did you mean `labels`?"),
        (r#"{"xyz":3}"#, "xyz: is not a key of the policy; the keys are failureThreshold, successThreshold, "),
        (r#"{"targets":{"acme/web":{"labels":{}}}}"#, "targets.acme/web.labels: must be at the top level"),
        (r#"{"targets":["acme/web"]}"#, "targets: must be an object of names with their keys, for example"),
        (r#"{"runners":{"a":1}}"#, "runners.a: must be an object of keys, for example"),
        (r#"{"labels":{"a":{},"a":{}}}"#, "labels.a: is given twice"),
        ("[]", "the policy: must be a JSON object, for example"),
    ] {
        let faults = policy(json, &["acme/web"]).unwrap_err();
        assert!(faults.len() == 1 && faults[0].starts_with(expected), "{json}: {faults:?}");
    }
}

#[test]
fn zero_means_never_where_it_is_documented_and_the_bounds_are_accepted() {
    let policy_of = |json: &str| policy(json, &["acme/web"]).unwrap();
    for never in ["0", "\"0\"", "\"0s\"", "\"0d\""] {
        let policy =
            policy_of(&format!(r#"{{"repeatInterval":{never},"targets":{{"acme/web":{{"repeatInterval":"24h"}}}}}}"#));
        assert_eq!(policy.base().repeat_interval, Duration::MAX, "{never}");
        let of_target = *policy.for_target(&"acme/web".parse().unwrap()).thresholds();
        assert_eq!(
            (of_target.repeat_interval, of_target.max_repeats),
            (Duration::from_secs(86_400), 3),
            "the target turns it on again"
        );
    }
    assert_eq!(policy_of(r#"{"connectGrace":0}"#).base().connect_grace, Duration::ZERO);
    assert_eq!(policy_of(r#"{"maxRepeats":0}"#).base().max_repeats, 0);
    for key in ["recheckInterval", "unreachableAfter", "forgetAfter", "flapWindow", "flapClearAfter"] {
        assert!(policy(&format!(r#"{{"{key}":0}}"#), &[]).is_err(), "{key}");
    }
    for key in reference() {
        let accepted = key.accepted();
        let bounds = accepted.split_once(" to ").map(|(least, most)| (least, most.split(',').next().unwrap_or(most)));
        for bound in bounds.into_iter().flat_map(|(least, most)| [least, most]) {
            let quote = if bound.ends_with(|c: char| c.is_ascii_digit()) { "" } else { "\"" };
            let json = format!(r#"{{"{}":{quote}{bound}{quote}}}"#, key.name);
            assert!(policy(&json, &[]).is_ok(), "{json}");
        }
        let default = match key.name {
            "channel" | "ignore" => continue,
            "onRemoved" => "\"alert\"".to_owned(),
            _ if key.default.ends_with(|c: char| c.is_ascii_digit()) => key.default.to_owned(),
            _ => format!("\"{}\"", key.default),
        };
        let policy = policy_of(&format!(r#"{{"{}":{default}}}"#, key.name));
        assert_eq!(policy.base(), &Thresholds::default(), "{} is documented with another default", key.name);
    }
}

#[test]
fn a_token_entered_as_a_name_is_refused_and_not_repeated() {
    let token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    for json in [
        format!(r#"{{"{token}":1}}"#),
        format!(r#"{{"ignore":["{token}"]}}"#),
        format!(r#"{{"labels":{{"{token}":{{}}}}}}"#),
        r#"{"runners":{"a":{"channel":"xoxb-123456789012-abcdefghijkl"}}}"#.to_owned(),
        format!(r#"{{"onRemoved":"{token}"}}"#),
    ] {
        let faults = policy(&json, &[]).unwrap_err().concat();
        assert!(!faults.contains("16C7e42F") && !faults.contains("123456789012"), "{faults}");
    }
}

#[test]
fn the_longer_of_two_patterns_wins_whatever_their_letters() {
    let target: Target = "acme/web".parse().unwrap();
    let failure_threshold = |json: &str| {
        let policy = policy(json, &["acme/web"]).unwrap();
        policy.for_target(&target).for_runner("gpu-build-1", &["gpu-a100".to_owned()]).failure_threshold
    };
    for section in ["runners", "labels"] {
        let (short, long) = if section == "runners" { ("gpu*", "*-build-1") } else { ("gpu*", "*-a100") };
        let [short, long] =
            [(short, 4), (long, 7)].map(|(name, count)| format!(r#""{name}":{{"failureThreshold":{count}}}"#));
        for both in [format!("{short},{long}"), format!("{long},{short}")] {
            assert_eq!(failure_threshold(&format!(r#"{{"{section}":{{{both}}}}}"#)), 7, "{section}: {both}");
        }
    }
}

#[test]
fn keys_for_whole_targets_are_refused_for_single_runners() {
    let of_targets: Vec<&PolicyKey> = reference().iter().filter(|key| key.of_targets_only).collect();
    assert_eq!(
        of_targets.iter().map(|key| key.name).collect::<Vec<_>>(),
        ["recheckInterval", "unreachableAfter", "ignore"]
    );
    for key in of_targets {
        let written = if key.name == "ignore" { r#"["test-*"]"# } else { "\"5m\"" };
        for section in ["labels", "runners"] {
            let faults =
                policy(&format!(r#"{{"{section}":{{"gpu":{{"{}":{written}}}}}}}"#, key.name), &[]).unwrap_err();
            let expected = format!("{section}.gpu.{}: applies to whole targets", key.name);
            assert!(faults.len() == 1 && faults[0].starts_with(&expected), "{faults:?}");
        }
        let of_target = format!(r#"{{"targets":{{"acme/web":{{"{}":{written}}}}}}}"#, key.name);
        assert!(policy(&of_target, &["acme/web"]).is_ok(), "{of_target}");
    }
}

#[test]
fn a_secret_is_hidden_even_if_the_text_would_be_cut_within_it() {
    let name = format!("{}ghp_16C7e42F292c6912E7710c838347Ae178B4a", "a ".repeat(LONGEST_KEY / 2 - 1));
    let faults = policy(&format!(r#"{{"{name}":1}}"#), &[]).unwrap_err();
    assert!(faults.len() == 1 && faults[0].starts_with("(hidden, it looks like a secret): is not a key"), "{faults:?}");
}

#[test]
fn a_targets_pool_replaces_the_general_one_with_the_same_labels() {
    let policy = policy(
        r#"{"pools":{"gpu":{"minimumOnline":2},"linux, X64":{"minimumOnline":"50%","alert":"pool"}},
            "targets":{"acme/web":{"pools":{"GPU":{"minimumOnline":5},"arm":{"minimumOnline":1}}}}}"#,
        &["acme/web", "acme/api"],
    )
    .unwrap();
    let pools = |target: &str| -> Vec<String> {
        let target: Target = target.parse().unwrap();
        policy.for_target(&target).pools().map(|rule| format!("{} {:?}", rule.name(), rule.minimum)).collect()
    };
    assert_eq!(pools("acme/api"), ["pool gpu Runners(2)", "pool linux,X64 Percent(50)"]);
    assert_eq!(pools("acme/web"), ["pool GPU Runners(5)", "pool linux,X64 Percent(50)", "pool arm Runners(1)"]);
    let api: Target = "acme/api".parse().unwrap();
    let api = policy.for_target(&api);
    let labels = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>();
    assert!(api.alerts_for_pool_only(&labels(&["Linux", "x64", "gpu"])));
    assert!(!api.alerts_for_pool_only(&labels(&["linux", "gpu"])));
}

#[test]
fn a_pool_over_a_credential_is_no_pool_of_its_targets_and_may_be_the_only_one_that_is_alerted_about() {
    let policy = policy(
        r#"{"pools":{"gpu":{"minimumOnline":2,"over":"credential","alert":"pool"},"arm":{"minimumOnline":1,"over":"target"}},
            "targets":{"*":{"failureThreshold":7,"pools":{"GPU":{"minimumOnline":5}}}}}"#,
        &["acme/web"],
    )
    .unwrap();
    let pools = |target: &Target| -> Vec<String> {
        policy.for_target(target).pools().map(|rule| format!("{} {:?}", rule.name(), rule.minimum)).collect()
    };
    let web: Target = "acme/web".parse().unwrap();
    let all = CredentialId::token().pools().unwrap();
    assert_eq!(pools(&web), ["pool arm Runners(1)", "pool GPU Runners(5)"]);
    assert_eq!(pools(&all), ["pool gpu Runners(2)"]);
    assert_eq!(policy.pools_over_credentials().len(), 1);
    let all = policy.for_target(&all);
    assert_eq!(all.thresholds().failure_threshold, 7, "a pattern that fits everything fits it too");
    assert!(!all.is_own_pool(policy.pools_over_credentials()[0]));
    let of_web = policy.for_target(&web);
    assert!(of_web.alerts_for_pool_only(&["GPU".to_owned()]) && !of_web.alerts_for_pool_only(&["arm".to_owned()]));
}

#[test]
fn a_pool_that_cannot_be_read_says_what_it_must_be() {
    for (pools, fault) in [
        (r#"[]"#, "pools: must be an object of labels"),
        (r#"{"gpu":2}"#, "pools.gpu: must be an object, for example"),
        (r#"{"gpu":{}}"#, "pools.gpu: needs minimumOnline"),
        (
            r#"{"gpu":{"minimumOnline":0}}"#,
            "`minimumOnline` must be a number of runners from 1 to 10000, or 1% to 100%",
        ),
        (r#"{"gpu":{"minimumOnline":"101%"}}"#, "found `101%`"),
        (r#"{"gpu":{"minimumOnline":"half"}}"#, "found `half`"),
        (r#"{"gpu":{"minimumOnline":1,"alert":"never"}}"#, "`alert` must be `each` or `pool`; found `never`"),
        (
            r#"{"gpu":{"minimumOnline":1,"minimum":2}}"#,
            "`minimum` is not a key of a pool; the keys are minimumOnline, alert, over",
        ),
        (
            r#"{"gpu":{"minimumOnline":1,"over":"app"}}"#,
            "pools.gpu: `over` must be `target` (each target has its own pool) or `credential` (one pool over all of its targets); found `app`",
        ),
        (r#"{"gpu":{"minimumOnline":1,"minimumOnline":2}}"#, "is given twice"),
        (r#"{"gpu":{"minimumOnline":1},"GPU":{"minimumOnline":2}}"#, "pools.GPU: is given twice"),
        (r#"{"gpu-*":{"minimumOnline":1}}"#, "must be labels with commas between them, without `*`"),
        (r#"{"gpu,":{"minimumOnline":1}}"#, "must be labels with commas between them"),
    ] {
        let faults = policy(&format!(r#"{{"pools":{pools}}}"#), &["acme/web"]).unwrap_err();
        assert!(faults.len() == 1 && faults[0].contains(fault), "{pools}: {faults:?}");
    }
    let of_target = r#"{"targets":{"acme/web":{"pools":{"gpu":{"minimumOnline":1,"over":"credential"}}}}}"#;
    let misplaced = policy(of_target, &["acme/web"]).unwrap_err();
    let expected = "targets.acme/web.pools.gpu: `over` must be `target` here";
    assert!(
        misplaced[0].starts_with(expected) && misplaced[0].contains("move the pool to the top level"),
        "{misplaced:?}"
    );
    let misplaced = policy(r#"{"runners":{"a":{"pools":{}}}}"#, &["acme/web"]).unwrap_err();
    assert!(misplaced[0].starts_with("runners.a.pools: "), "{misplaced:?}");
}

#[test]
fn repositories_to_be_polled_are_repositories_whose_runners_are_monitored() {
    let of = |jobs: &str| {
        policy(&format!(r#"{{"jobs":{jobs}}}"#), &["acme/web", "orgs/big"]).map(|policy| policy.polled().to_vec())
    };
    let names = |polled: Vec<Target>| polled.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(of(r#"{"poll":["Acme/Web","big/api","acme/web"]}"#).map(names).unwrap(), ["Acme/Web", "big/api"]);
    assert_eq!(of("null").map(names).unwrap(), [""; 0]);
    for (jobs, expected) in [
        ("7", "jobs: must be an object, for example {\"poll\":[\"acme/web\"]}; found 7"),
        (r#"{"watch":[]}"#, "jobs: `watch` is not a key of the jobs; the key is poll"),
        (r#"{"poll":[],"poll":[]}"#, "jobs: `poll` is given twice; keep one of them"),
        (
            r#"{"poll":"acme/web"}"#,
            "jobs: `poll` must be a list of repositories, for example [\"acme/web\"]; found `acme/web`",
        ),
        (
            r#"{"poll":["orgs/acme"]}"#,
            "jobs: `poll` must be a list of repositories, for example [\"acme/web\"]; found `orgs/acme`",
        ),
        (
            r#"{"poll":["acme/api"]}"#,
            "jobs.poll: add acme/api or orgs/acme to the list of targets: nothing monitors the runners of acme/api",
        ),
    ] {
        assert_eq!(of(jobs).unwrap_err(), [expected], "{jobs}");
    }
    let many: Vec<String> = (0..21).map(|number| format!("\"big/{number}\"")).collect();
    let fault = of(&format!(r#"{{"poll":[{}]}}"#, many.join(","))).unwrap_err();
    assert!(fault[0].contains("has 21 repositories, and at most 20 can be polled"), "{fault:?}");
    let misplaced = policy(r#"{"targets":{"acme/web":{"jobs":{"poll":[]}}}}"#, &["acme/web"]).unwrap_err();
    assert!(misplaced[0].contains("must be at the top level"), "{misplaced:?}");
}
