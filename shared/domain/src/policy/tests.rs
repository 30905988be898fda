//! The policy as it is written, and what holds for whom.

use super::*;

fn policy(json: &str, configured: &[&str]) -> Result<Policy, Vec<String>> {
    let document: PolicyDocument = serde_json::from_str(json).map_err(|error| vec![error.to_string()])?;
    let configured: Vec<TargetSpec> = configured.iter().map(|spec| spec.parse().unwrap()).collect();
    Policy::new(document, &configured).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

#[test]
fn the_narrowest_place_wins() {
    let policy = policy(
        r#"{"confirm":4,"recheck":"90s","ignore":["test-*"],
            "targets":{"acme/*":{"confirm":5},"acme/web":{"confirm":2,"ignore":["tmp-*"]}},
            "labels":{"gpu":{"confirm":6}},
            "runners":{"gpu-a*":{"confirm":7},"gpu-a1":{"removed":"quiet"}}}"#,
        &["acme/web", "acme/api"],
    )
    .unwrap();
    let web: Target = "Acme/Web".parse().unwrap();
    let api: Target = "acme/api".parse().unwrap();
    let gpu = ["GPU".to_owned()];
    assert_eq!(policy.base().confirm, 4);
    assert_eq!(policy.for_target(&web).thresholds().confirm, 2);
    assert_eq!(policy.for_target(&api).thresholds().confirm, 5);
    assert_eq!(policy.for_target(&web).for_runner("x", &gpu).confirm, 6);
    let narrowest = policy.for_target(&web).for_runner("gpu-a1", &gpu);
    assert_eq!((narrowest.confirm, narrowest.removed), (7, Removed::Quiet));
    assert_eq!(narrowest.recheck, Duration::from_secs(90));
    assert!(policy.for_target(&web).ignores("tmp-1") && !policy.for_target(&api).ignores("tmp-1"));
    assert!(policy.for_target(&api).ignores("TEST-1"));
}

#[test]
fn the_channel_of_the_narrowest_place_wins() {
    let policy = policy(
        r##"{"targets":{"acme/*":{"channel":"#all"},"acme/web":{"channel":"C0WEB","confirm":2}},
            "labels":{"gpu":{"channel":"#gpu"},"gpu-a*":{"confirm":6}},
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
    assert_eq!(of("acme/web", "gpu-1", "gpu-a100").as_deref(), Some("C0WEB"), "its place names no channel");
    assert_eq!(of("acme/web", "spot-2", "gpu").as_deref(), Some("#spot"));
    assert_eq!(of("acme/web", "spot-1", "gpu"), None, "the default by its name");
    assert_eq!(of("orgs/acme", "build-1", "linux"), None);
    assert!(policy.routes_by_label());
    let places: Vec<&str> = policy.channels().map(|(place, _)| place).collect();
    assert_eq!(places.len(), 5);
    assert_eq!(places[0], "targets.acme/*.channel");
}

#[test]
fn a_channel_in_the_wrong_place_or_form_is_a_fault_that_does_not_repeat_it() {
    let faults = policy(
        r#"{"channel":"C0123456789","labels":{"gpu":{"channel":"https://hooks.slack.com/services/hunter2"}},
            "runners":{"a":{"channel":""}},"targets":{"acme/web":{"channel":"two words"}}}"#,
        &["acme/web"],
    )
    .unwrap_err();
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert!(faults[0].starts_with("channel: the default channel is the setting SLACK_CHANNEL"), "{faults:?}");
    assert!(faults[1].starts_with("targets.acme/web.channel: names no channel; write its id"), "{faults:?}");
    assert!(!faults.concat().contains("hunter2"), "{faults:?}");
}

#[test]
fn every_fault_is_named_with_its_place_and_mend() {
    let faults = policy(
        r#"{"confirm":0,"recheck":"1h","targets":{"acme/wob":{"confirm":2}},"runners":{"a":{"blind":"20m"}}}"#,
        &["acme/web"],
    )
    .unwrap_err();
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert_eq!(faults[0], "confirm: 0 is out of range; use 1 to 20");
    assert_eq!(faults[1], "recheck: 1h is out of range; use 10s to 15m");
    assert!(faults[2].starts_with("targets.acme/wob: matches no configured target"));
    assert!(faults[3].starts_with("runners.a.blind: holds for whole targets"));
    assert!(policy(r#"{"confrim":3}"#, &[]).unwrap_err()[0].contains("unknown field `confrim`"));
    assert!(policy(r#"{"blind":"soon"}"#, &[]).unwrap_err()[0].contains("`soon` is no duration"));
    assert!(policy(r#"{"targets":{"acme/web":{}}}"#, &["acme/*"]).is_ok());
}
