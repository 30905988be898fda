//! What lies ahead, and what was: versions that end, removals, and the report.

use monitor_fakes::github::{RunnerSpec, State};
use serde_json::Value;

use crate::Bench;

const DAY_MS: i64 = 86_400_000;

/// Runners with a version that ends in ten days, one that has ended, one without an end, and one that is not listed.
async fn bench() -> Bench {
    let mut github = State::new();
    github.add_token("token");
    github.add_target("acme/web");
    for (name, version) in [("old", "2.335.0"), ("ends", "2.336.0"), ("new", "2.337.0"), ("strange", "2.100.0")] {
        let version = Some(version.to_owned());
        github.add_runner("acme/web", RunnerSpec { version, ..RunnerSpec::new(name) });
    }
    let now_ms = monitor_fakes::wall_clock_ms();
    github.versions.extend([
        ("2.335.0".to_owned(), Some(now_ms - 3 * DAY_MS)),
        ("2.336.0".to_owned(), Some(now_ms + 10 * DAY_MS + 60_000)),
        ("2.337.0".to_owned(), None),
    ]);
    Bench::of(github).await
}

/// The line with this text, without what comes before and after its words.
fn line<'a>(text: &'a str, with: &str) -> &'a str {
    text.lines().find(|line| line.contains(with)).unwrap_or_else(|| panic!("no line with {with}: {text}")).trim()
}

#[tokio::test(flavor = "multi_thread")]
async fn check_and_status_list_versions_that_end_and_check_fails_on_them_if_asked_to() {
    let bench = bench().await;
    for _ in 0..2 {
        let (code, text) = bench.check(&[]).await;
        assert_eq!(code, Some(0), "{text}");
        assert!(line(&text, "2.335.0").starts_with("version 2.335.0 ended on "), "{text}");
        assert!(line(&text, "2.336.0").starts_with("version 2.336.0 ends in 10 d"), "{text}");
        assert!(line(&text, "2.336.0").ends_with(": acme/web ends"), "{text}");
        assert!(!text.contains("2.337.0") && !text.contains("2.100.0"), "{text}");
    }
    let (_, text, _) = bench.output(&["status"], &[]).await;
    assert!(text.contains("version 2.335.0 ended on ") && text.contains("version 2.336.0 ends in "), "{text}");
    for (runner, ahead, code) in [("old", "1d", 1), ("ends", "9d", 0), ("ends", "11d", 1), ("new", "300d", 0)] {
        let bench = self::bench().await;
        let others = r#"["old","ends","new","strange"]"#.replace(&format!("\"{runner}\""), "\"none\"");
        for name in ["old", "ends", "new", "strange"].into_iter().filter(|name| others.contains(name)) {
            let id = bench.github.state().runners("acme/web").iter().find(|one| one.spec.name == name).unwrap().id;
            bench.github.state().remove_runner("acme/web", id);
        }
        let fail_on = format!("version-ends={ahead}");
        let (found, text, stderr) = bench.output(&["check", "--fail-on", &fail_on], &[]).await;
        assert_eq!(found, Some(code), "{runner} {ahead}: {text}{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_has_the_end_of_each_version() {
    let bench = bench().await;
    for command in ["check", "status"] {
        let (_, text, _) = bench.output(&[command, "--json"], &[]).await;
        let document: Value = serde_json::from_str(&text).unwrap();
        let runners = document["targets"][0]["runners"].as_array().unwrap();
        let with_end: Vec<&str> = runners
            .iter()
            .filter(|runner| runner["versionEndsAt"].is_string())
            .map(|runner| runner["name"].as_str().unwrap())
            .collect();
        assert_eq!(with_end, ["old", "ends"], "{command}: {document:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_when_each_version_ends() {
    let bench = bench().await;
    let (code, text, _) = bench.output(&["doctor"], &[]).await;
    assert_eq!(code, Some(1), "an ended version is to be fixed: {text}");
    for (version, says) in [
        ("2.335.0", "ended on "),
        ("2.336.0", "ends in 10 d"),
        ("2.337.0", "GitHub has set no end"),
        ("2.100.0", "GitHub does not list it"),
    ] {
        assert!(line(&text, &format!("runner version {version}")).contains(says), "{version}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_server_has_nothing_ahead() {
    let bench = bench().await;
    let api_url = format!("{}/api/v3", bench.github.base_url());
    for command in ["check", "status", "doctor"] {
        let (code, text, stderr) = bench.output(&[command], &[("GITHUB_API_URL", &api_url)]).await;
        assert_eq!(code, Some(0), "{command}: {text}{stderr}");
        assert!(!text.contains("Ahead") && !text.contains("runner version"), "{command}: {text}");
    }
    assert_eq!(bench.github.state().counters().by_endpoint.get(&monitor_fakes::github::Endpoint::GetVersion), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_has_each_target_and_the_runners_with_outages() {
    let bench = Bench::new().await;
    let (code, text, _) = bench.output(&["report"], &[]).await;
    assert_eq!((code, text.contains("available")), (Some(2), false), "there is no store yet: {text}");
    assert_eq!(bench.check(&[]).await.0, Some(1));
    let (code, text, stderr) = bench.output(&["report"], &[]).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(line(&text, "acme/web build-0").ends_with("0.00 % available"), "{text}");
    assert!(line(&text, "in all").contains("1 outage"), "{text}");
    assert!(text.contains("50.00 % available since "), "{text}");
    let (_, text, _) = bench.output(&["report", "acme/web", "--since", "1h", "--json"], &[]).await;
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["targets"][0]["outages"], 1, "{document:#}");
    assert_eq!(document["targets"][0]["runners"][0]["availability"], 0.0);
    let (code, _, stderr) = bench.output(&["report", "acme/other"], &[]).await;
    assert_eq!((code, stderr.contains("acme/other is not stored")), (Some(2), true), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_short_is_listed_and_fails_the_check() {
    let bench = Bench::new().await;
    let pool = |minimum: u32| format!(r#"{{"failureThreshold":1,"pools":{{"linux":{{"minimumOnline":{minimum}}}}}}}"#);
    for (minimum, condition) in [(1, "healthy"), (2, "down")] {
        let policy = pool(minimum);
        let (code, text, stderr) = bench.output(&["check", "--json"], &[("POLICY", &policy)]).await;
        assert_eq!(code, Some(1), "build-0 is offline: {stderr}");
        let document: Value = serde_json::from_str(&text).unwrap();
        let found = &document["targets"][0]["pools"][0];
        assert_eq!(
            (&found["online"], &found["wanted"], &found["condition"]),
            (&1.into(), &minimum.into(), &condition.into())
        );
    }
    let short = pool(2);
    let (_, text) = bench.check(&[("POLICY", &short)]).await;
    assert!(line(&text, "pool linux").contains("1 of 2 online, at least 2 wanted"), "{text}");
    let (_, text, _) = bench.output(&["status"], &[]).await;
    assert!(line(&text, "pool linux").contains("1 of 2 online, at least 2 wanted"), "{text}");
    let (code, text, _) = bench.output(&["status", "build-1"], &[]).await;
    assert_eq!((code, text.contains("pool linux")), (Some(0), false), "only what is asked for: {text}");
    let (code, text, _) = bench.output(&["status", "pool linux"], &[]).await;
    assert_eq!((code, text.contains("pool linux"), text.contains("build-1")), (Some(1), true, false), "{text}");
    let (code, text, _) = bench.output(&["history", "pool linux"], &[]).await;
    assert_eq!((code, text.contains("pool linux")), (Some(1), true), "{text}");
    let (_, text, _) = bench.output(&["report"], &[]).await;
    assert!(line(&text, "pool linux").starts_with("pool linux of acme/web: enough online "), "{text}");
    assert!(line(&text, "pool linux").ends_with(", 1 outage"), "{text}");
    let (code, _, stderr) = bench.output(&["check"], &[("POLICY", r#"{"pools":{"linux":{}}}"#)]).await;
    assert_eq!((code, stderr.contains("pools.linux: needs minimumOnline")), (Some(2), true), "{stderr}");
}
