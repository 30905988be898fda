//! The whole reader: what it accepts, every fault, and that no secret is ever shown.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use monitor_config::{
    Credential, HostOptions, NotifierSettings, SettingFaults, Settings, SlackSettings, Source, StoreChoice, reference,
};
use proptest::prelude::*;

const PEM: &str = "-----BEGIN RSA PRIVATE KEY-----\\nMIIEow\\n-----END RSA PRIVATE KEY-----";

type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

fn read_with(variables: &[(&str, &str)], host_options: &HostOptions) -> Result<Settings, SettingFaults> {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    let source = Source::variables(|name| variables.get(name).map(|value| (*value).to_owned()));
    Settings::read(&source, host_options)
}

/// Reads settings with a token and a repository, unless `variables` say otherwise, and with the service that they name.
fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingFaults> {
    let base = [
        ("GITHUB_TOKEN", "ghp_x"),
        ("REPOS", "acme/web"),
        ("SLACK_SIGNING_SECRET", "secret"),
        ("GITHUB_WEBHOOK_SECRET", "secret"),
        ("STATELYDB_ACCESS_KEY", "key"),
        ("STATELYDB_STORE_ID", "1"),
        ("STATELYDB_SCHEMA_ID", "2"),
    ];
    let names_store = |(name, _): &(&str, &str)| name.starts_with("STATELYDB_") || *name == "DYNAMODB_TABLE";
    let store = variables.iter().any(names_store).then_some(StoreChoice::BySettings);
    let slack_commands = variables.iter().any(|(name, _)| ["SLACK_SIGNING_SECRET", "SLACK_ADMINS"].contains(name));
    let webhooks = variables.iter().any(|(name, _)| *name == "GITHUB_WEBHOOK_SECRET");
    read_with(&[&base, variables].concat(), &HostOptions { store, slack_commands, webhooks, ..HostOptions::default() })
}

fn targets(settings: &Settings) -> Vec<String> {
    settings.targets.iter().map(ToString::to_string).collect()
}

#[test]
fn a_token_and_a_repository_are_enough() {
    let settings = read(&[("GITHUB_TOKEN", " ghp_x\r\n"), ("SLACK_WEBHOOK", ""), ("POLICY", "  ")]).unwrap();
    let Credential::Token(token) = &settings.github.credential else { panic!("{settings:?}") };
    assert_eq!(token.expose(), "ghp_x");
    assert_eq!(settings.github.api_url, "https://api.github.com");
    assert_eq!(settings.github.web_url, "https://github.com");
    assert_eq!(settings.github.api_version, "2022-11-28");
    let limits = settings.github.limits;
    assert_eq!(limits.requests_per_minute.map(|most| most.get()), Some(900));
    assert_eq!(limits.max_concurrent_requests.map(|most| most.get()), Some(100));
    assert!(settings.slack.is_none() && settings.allow_http_hosts.is_empty());
    assert_eq!(settings.policy.base(), &Default::default());
    assert_eq!(targets(&settings), ["acme/web"]);
}

#[test]
fn everything_can_be_set() {
    let settings = read(&[
        ("GITHUB_TOKEN", ""),
        ("GITHUB_APP_ID", "Iv23liABC"),
        ("GITHUB_APP_PRIVATE_KEY", PEM),
        ("GITHUB_API_URL", "http://github.internal:8080/api/v3/"),
        ("GITHUB_API_VERSION", "2026-03-10"),
        ("GITHUB_REQUESTS_PER_MINUTE", "OFF"),
        ("GITHUB_MAX_CONCURRENT_REQUESTS", "7"),
        ("REPOS", r#"["Acme/Web", "acme/web", "http://github.internal:8080/acme/api.git", "acme/*"]"#),
        ("ORGANIZATIONS", "acme, ACME orgs/labs"),
        ("ENTERPRISES", "corp"),
        ("SLACK_WEBHOOK", "http://[::1]:9/hook"),
        ("SLACK_WEBHOOKS", r##"{"#gpu":"http://[::1]:9/gpu","ops":" http://[::1]:9/ops "}"##),
        ("POLICY", r#"{"failureThreshold":2,"targets":{"acme/api":{"failureThreshold":5,"channel":"gpu"}}}"#),
        ("ALLOW_HTTP_HOSTS", "GitHub.internal"),
    ])
    .unwrap();
    let Credential::App { id, private_key } = &settings.github.credential else { panic!("{settings:?}") };
    assert_eq!((&**id, private_key.expose()), ("Iv23liABC", &*PEM.replace("\\n", "\n")));
    assert_eq!(settings.github.api_url, "http://github.internal:8080/api/v3");
    assert_eq!(settings.github.web_url, "http://github.internal:8080");
    assert_eq!(settings.github.limits.requests_per_minute, None);
    assert_eq!(settings.github.limits.max_concurrent_requests.map(|most| most.get()), Some(7));
    assert_eq!(targets(&settings), ["Acme/Web", "acme/api", "acme/*", "orgs/acme", "orgs/labs", "enterprises/corp"]);
    let Some(SlackSettings::Webhook { url, named }) = settings.slack else { panic!("a webhook") };
    assert_eq!(url.expose(), "http://[::1]:9/hook");
    let named: Vec<(&str, &str)> = named.0.iter().map(|(name, url)| (&**name, url.expose())).collect();
    assert_eq!(named, [("gpu", "http://[::1]:9/gpu"), ("ops", "http://[::1]:9/ops")]);
    let api = "acme/api".parse().unwrap();
    assert_eq!(settings.policy.base().failure_threshold, 2);
    assert_eq!(settings.policy.for_target(&api).thresholds().failure_threshold, 5);
    assert_eq!(settings.policy.for_target(&api).channel(), Some("gpu"));
}

#[test]
fn every_channel_of_the_policy_can_be_reached() {
    const POLICY: &str = r##"{"labels":{"gpu":{"channel":"gpu-alerts"}},"runners":{"spot-*":{"channel":"#runners"}}}"##;
    let hook = ("SLACK_WEBHOOK", "https://hooks.slack.com/services/T/B/x");
    let faults = read(&[hook, ("POLICY", POLICY)]).unwrap_err();
    let faults: Vec<String> = faults.0.iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            "POLICY: labels.gpu.channel: no webhook is called `gpu-alerts`; add it to SLACK_WEBHOOKS, or fix the name",
            "POLICY: runners.spot-*.channel: no webhook is called `#runners`; add it to SLACK_WEBHOOKS, or fix the name",
        ]
    );
    let named = r#"{"gpu-alerts":"https://hooks.slack.com/services/T/B/y","runners":"https://hooks.slack.com/z"}"#;
    let settings = read(&[hook, ("SLACK_WEBHOOKS", named), ("POLICY", POLICY)]).unwrap();
    assert!(!format!("{settings:?}").contains("hooks.slack"), "{settings:?}");
    // A bot finds its channels in Slack, the default one by its name too.
    let bot = [("SLACK_BOT_TOKEN", "xoxb-1-2"), ("SLACK_CHANNEL", "runners"), ("POLICY", POLICY)];
    let settings = read(&bot).unwrap();
    let policy = settings.policy.for_target(&"acme/web".parse().unwrap());
    assert_eq!(policy.channel_for("x", &["gpu".to_owned()]), Some("gpu-alerts"));
    assert_eq!(policy.channel_for("spot-1", &[]), None);
    // The console has only one channel, and a host that sends nothing needs none.
    assert!(read(&[("POLICY", POLICY)]).is_ok());
    let without_chat = HostOptions { without_chat: true, ..HostOptions::default() };
    assert!(
        read_with(&[("GITHUB_TOKEN", "x"), ("REPOS", "acme/web"), hook, ("POLICY", POLICY)], &without_chat).is_ok()
    );
}

#[test]
fn the_notifier_reads_the_channels_and_validates_no_threshold_against_targets() {
    let read = |policy: &str| {
        let policy = policy.to_owned();
        let variables = move |name: &str| match name {
            "SLACK_WEBHOOK" => Some("https://hooks.slack.com/services/T/B/x".to_owned()),
            "SLACK_WEBHOOKS" => Some(r#"{"web":"https://hooks.slack.com/services/T/B/y"}"#.to_owned()),
            "STATELYDB_STORE_ID" | "STATELYDB_SCHEMA_ID" => Some("7".to_owned()),
            "STATELYDB_ACCESS_KEY" => Some("key".to_owned()),
            "POLICY" => Some(policy.clone()),
            _ => None,
        };
        NotifierSettings::read(&Source::variables(variables))
    };
    let settings = read(r#"{"unreachableAfter":"1m","targets":{"acme/web":{"channel":"web"}}}"#).unwrap();
    assert_eq!(settings.policy.for_target(&"acme/web".parse().unwrap()).channel(), Some("web"));
    let faults = read(r#"{"targets":{"acme/web":{"channel":"wob"}}}"#).unwrap_err().to_string();
    assert!(faults.contains("targets.acme/web.channel: no webhook is called `wob`"), "{faults}");
}

#[test]
fn every_fault_names_its_setting_and_a_hint() {
    let app: &[_] = &[("GITHUB_TOKEN", ""), ("GITHUB_APP_ID", "1"), ("GITHUB_APP_PRIVATE_KEY", PEM)];
    // The variables, the start of the fault, and a part of the hint.
    let cases: &[Case<'_>] = &[
        (&[("GITHUB_TOKEN", "")], "GITHUB_TOKEN: a credential for GitHub must be set", "for example GITHUB_TOKEN=ghp_"),
        (&[("GITHUB_TOKEN", "a b")], "GITHUB_TOKEN: must not contain white space", "copy the token alone"),
        (&app[1..], "GITHUB_TOKEN: must not be set together with a GitHub App", "remove GITHUB_TOKEN, or"),
        (&app[1..2], "GITHUB_TOKEN: must not be set together", "remove"),
        (&app[..2], "GITHUB_APP_PRIVATE_KEY: must be set together with GITHUB_APP_ID", "set GITHUB_APP_PRIVATE_KEY"),
        (&[app[0], app[2]], "GITHUB_APP_ID: must be set together with GITHUB_APP_PRIVATE_KEY", "set GITHUB_APP_ID"),
        (&[app[0], ("GITHUB_APP_ID", "my app"), app[2]], "GITHUB_APP_ID: must be the App ID", "found `my app`"),
        (
            &[app[0], app[1], ("GITHUB_APP_PRIVATE_KEY", "x")],
            "GITHUB_APP_PRIVATE_KEY: must be a private key",
            "@ and its path",
        ),
        (
            &[app[0], app[1], ("GITHUB_APP_PRIVATE_KEY", "@/nowhere")],
            "GITHUB_APP_PRIVATE_KEY: the file `/nowhere` cannot be read",
            "write `@` and the whole path",
        ),
        (
            &[("GITHUB_API_URL", "https://ghes")],
            "GITHUB_API_URL: must be the address",
            "https://ghes/api/v3; found `https://ghes`",
        ),
        (&[("GITHUB_API_URL", "http://ghes/api/v3")], "GITHUB_API_URL: must start with https://", "ALLOW_HTTP_HOSTS"),
        (&[("GITHUB_API_VERSION", "v3")], "GITHUB_API_VERSION: must be a date", "found `v3`"),
        (
            &[("GITHUB_REQUESTS_PER_MINUTE", "0")],
            "GITHUB_REQUESTS_PER_MINUTE: must be a whole number from 1 to 100000, or off; found `0`",
            "or off",
        ),
        (&[("GITHUB_MAX_CONCURRENT_REQUESTS", "-1")], "GITHUB_MAX_CONCURRENT_REQUESTS: must be", "or off; found `-1`"),
        (&[("REPOS", " ")], "REPOS: at least one target", "set REPOS, for example REPOS='acme/web"),
        (&[("REPOS", "[]")], "REPOS: at least one target", "set ORGANIZATIONS, for example ORGANIZATIONS='[\"acme\"]'"),
        (&[("REPOS", ",")], "REPOS: at least one target", "set ENTERPRISES, for example ENTERPRISES=acme-corp"),
        (&[("REPOS", "[\"a/b\"")], "REPOS: must be a JSON array", "or one,two"),
        (
            &[("REPOS", "acme")],
            "REPOS: must be owner/name, or owner/*",
            "found `acme`; write acme/* for all of an account, or ORGANIZATIONS=acme",
        ),
        (&[("REPOS", "ghp_abcdef")], "REPOS: must be owner/name", "found `(hidden, it looks like a secret)`"),
        (
            &[("ORGANIZATIONS", "acme/web")],
            "ORGANIZATIONS: must be an organization's login",
            "found `acme/web`; a repository belongs in REPOS",
        ),
        (
            &[("ENTERPRISES", "a,b/c")],
            "ENTERPRISES: must be an enterprise's slug",
            "found `b/c`; a repository belongs in REPOS",
        ),
        (&[("SLACK_WEBHOOK", "hooks.slack.com/x")], "SLACK_WEBHOOK: must be a URL", "https://"),
        (
            &[("SLACK_WEBHOOK", "https://hooks.slack.com/")],
            "SLACK_WEBHOOK: must be a complete webhook URL",
            "copy it whole",
        ),
        (&[("SLACK_WEBHOOK", "http://chat/x")], "SLACK_WEBHOOK: must start with https://", "ALLOW_HTTP_HOSTS"),
        (
            &[("SLACK_WEBHOOKS", "{\"a\":\"https://x.test/y\"}")],
            "SLACK_WEBHOOK: must be set as the default channel, because SLACK_WEBHOOKS is set",
            "set SLACK_WEBHOOK, for example",
        ),
        (
            &[("SLACK_WEBHOOK", "https://x.test/y"), ("SLACK_WEBHOOKS", "[\"https://x.test/hunter2\"]")],
            "SLACK_WEBHOOKS: must be a JSON object of strings",
            "gpu-alerts",
        ),
        (
            &[("SLACK_WEBHOOK", "https://x.test/y"), ("SLACK_WEBHOOKS", "{\"https://x.test/hunter2\":\"a\"}")],
            "SLACK_WEBHOOKS: name 1 in alphabetical order must be a channel name; write names",
            "gpu-alerts",
        ),
        (
            &[
                ("SLACK_WEBHOOK", "https://x.test/y"),
                ("SLACK_WEBHOOKS", "{\"a\":\"https://x.test/y\",\"b\":\"http://x/hunter2\"}"),
            ],
            "SLACK_WEBHOOKS: the URL of name 2 in alphabetical order must start with https://",
            "ALLOW_HTTP_HOSTS",
        ),
        (
            &[("SLACK_SIGNING_SECRET", "")],
            "SLACK_SIGNING_SECRET: must be set to answer Slack requests",
            "set SLACK_SIGNING_SECRET",
        ),
        (
            &[("GITHUB_WEBHOOK_SECRET", "")],
            "GITHUB_WEBHOOK_SECRET: must be set to receive reports of workflow jobs",
            "set GITHUB_WEBHOOK_SECRET",
        ),
        (&[("SLACK_CHANNEL", "C1")], "SLACK_BOT_TOKEN: must be set together with SLACK_CHANNEL", "set SLACK_BOT_TOKEN"),
        (
            &[("SLACK_BOT_TOKEN", "xoxp-1"), ("SLACK_CHANNEL", "C1")],
            "SLACK_BOT_TOKEN: must be a bot token",
            "for example xoxb-",
        ),
        (
            &[("SLACK_BOT_TOKEN", "xoxb-1")],
            "SLACK_CHANNEL: must be set together with SLACK_BOT_TOKEN",
            "set SLACK_CHANNEL",
        ),
        (
            &[("SLACK_BOT_TOKEN", "xoxb-1"), ("SLACK_CHANNEL", "my channel")],
            "SLACK_CHANNEL: must be the id or name of a channel",
            "#runners; found `my channel`",
        ),
        (&[("SLACK_ADMINS", "@ada")], "SLACK_ADMINS: must be the id of a user", "found `@ada`"),
        (&[("SLACK_API_URL", "http://chat/api")], "SLACK_API_URL: must start with https://", "ALLOW_HTTP_HOSTS"),
        (&[("STATELYDB_ACCESS_KEY", "")], "STATELYDB_ACCESS_KEY: must be set", "set STATELYDB_ACCESS_KEY"),
        (
            &[("STATELYDB_STORE_ID", "store-1")],
            "STATELYDB_STORE_ID: must be a number",
            "found `store-1`; copy it from StatelyDB's console",
        ),
        (&[("STATELYDB_SCHEMA_ID", "")], "STATELYDB_SCHEMA_ID: must be set", "STATELYDB_SCHEMA_ID=5371490217854203"),
        (&[("STATELYDB_REGION", "us/east")], "STATELYDB_REGION: must be a region", "us-east-1; found `us/east`"),
        (
            &[("STATELYDB_ENDPOINT", "http://db:3030")],
            "STATELYDB_ENDPOINT: must start with https://",
            "ALLOW_HTTP_HOSTS",
        ),
        (
            &[("STATELYDB_ENDPOINT", "https://db/x")],
            "STATELYDB_ENDPOINT: must be scheme, host and port only",
            "remove the rest",
        ),
        (&[("STATELYDB_NO_AUTH", "1")], "STATELYDB_NO_AUTH: must be set together", "set STATELYDB_ENDPOINT"),
        (&[("DYNAMODB_TABLE", "my table")], "DYNAMODB_TABLE: must be the name of a table", "found `my table`"),
        (
            &[("POLICY", "{\"failureThreshold\":0}")],
            "POLICY: failureThreshold: must be a whole number",
            "from 1 to 20, for example 3; found 0",
        ),
        (&[("POLICY", "{\"targets\":{\"acme/x\":{}}}")], "POLICY: targets.acme/x: matches no", "remove the key"),
        (&[("POLICY", "/nowhere.json")], "POLICY: the file `/nowhere.json` cannot be read", "correct the path"),
        (
            &[("ALLOW_HTTP_HOSTS", "*.b, ghes"), ("GITHUB_API_URL", "http://ghes/api/v3")],
            "ALLOW_HTTP_HOSTS: must be a host name",
            "found `*.b`",
        ),
        (&[("OUTAGE_RETENTION", "0d")], "OUTAGE_RETENTION: must be a duration from 1d to 3650d", "found `0d`"),
        (&[("OUTAGE_RETENTION", "3651d")], "OUTAGE_RETENTION: must be a duration", "for example 90d; found `3651d`"),
        (&[("ALLOW_HTTP_HOSTS", "http://a")], "ALLOW_HTTP_HOSTS: must be a host name", "found `http://a`"),
        (&[("ALLOW_HTTP_HOSTS", "Büro.internal")], "ALLOW_HTTP_HOSTS: must be a host name", "found `Büro.internal`"),
    ];
    for (variables, start, hint) in cases {
        let faults = read(variables).unwrap_err();
        let text = faults.0[0].to_string();
        assert!(faults.0.len() == 1 && text.starts_with(start) && text.contains(hint), "{variables:?}: {faults}");
        assert_eq!(faults.to_string(), format!("1 fault in the settings:\n  {text}"));
        assert!(!text.contains("hunter2"), "{text}");
    }
    let at_fault: BTreeSet<&str> =
        cases.iter().filter_map(|case| case.1.split_once(':')).map(|(name, _)| name).collect();
    let all: BTreeSet<&str> = reference().iter().map(|setting| setting.name).collect();
    assert_eq!(at_fault, all, "a setting without a fault in this table");
}

#[test]
fn a_secret_is_refused_wherever_none_is_expected_and_never_repeated() {
    let hex = "0123456789abcdef0123456789abcdef01234567";
    let secrets = [
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "github_pat_11ABCDEFG0123456789_16C7e42F292c6912E7710c838347Ae178B4a",
        "xoxb-123456789012-16C7e42F292c6912E7710c83",
        "https://hooks.slack.com/services/T0/B0/16C7e42F292c6912E7710c83",
        hex,
    ];
    for setting in reference().iter().filter(|setting| !setting.secret) {
        for secret in secrets {
            for value in [secret.to_owned(), format!("acme/{secret}"), format!("[\"{secret}\"]"), format!("a,{secret}")]
            {
                let faults = read(&[(setting.name, &value)]).unwrap_err();
                assert!(faults.0.iter().any(|fault| fault.setting == setting.name), "{}: {faults}", setting.name);
                let error_text = faults.to_string();
                assert!(
                    !error_text.contains("16C7e42F") && !error_text.contains(hex),
                    "{}: {error_text}",
                    setting.name
                );
            }
        }
    }
    let faults = read(&[("REPOS", secrets[0])]).unwrap_err().to_string();
    assert!(faults.contains("REPOS: must not hold a secret") && faults.contains("such as acme/web"), "{faults}");
}

#[test]
fn all_faults_are_reported_at_once_in_the_documented_order() {
    let host_options = HostOptions { every: Some(Duration::from_secs(1200)), ..HostOptions::default() };
    let faults = read_with(
        &[
            ("ALLOW_HTTP_HOSTS", "*"),
            ("SLACK_WEBHOOK", "slack"),
            ("REPOS", "acme, acme/web x"),
            ("ORGANIZATIONS", "[1]"),
            ("POLICY", r#"{"targets":{"acme/web":{"unreachableAfter":"30m"},"acme/api":{"unreachableAfter":"30m"}}}"#),
            ("GITHUB_API_URL", "https://github.com"),
            ("GITHUB_APP_ID", "?"),
        ],
        &host_options,
    )
    .unwrap_err();
    let settings: Vec<&str> = faults.0.iter().map(|fault| fault.setting).collect();
    assert_eq!(
        settings,
        [
            "GITHUB_APP_ID",
            "GITHUB_APP_PRIVATE_KEY",
            "GITHUB_API_URL",
            "REPOS",
            "REPOS",
            "ORGANIZATIONS",
            "SLACK_WEBHOOK",
            "POLICY",
            "POLICY",
            "ALLOW_HTTP_HOSTS"
        ],
        "{faults}"
    );
    let text = faults.to_string();
    assert!(
        text.contains("targets.acme/web.unreachableAfter: must be at least 40m, as checks are 20m apart; found 30m"),
        "{text}"
    );
    assert!(text.contains(r#"write ["one","two"], or one,two"#), "{text}");
}

#[test]
fn a_host_may_name_targets_itself_and_the_policy_may_name_them_too() {
    let host_options = HostOptions { targets: vec!["acme/cli".parse().unwrap()], ..HostOptions::default() };
    let variables = [("GITHUB_TOKEN", "x"), ("POLICY", r#"{"targets":{"acme/cli":{"failureThreshold":2}}}"#)];
    assert!(read_with(&variables, &host_options).unwrap().targets.is_empty());
    assert!(read_with(&variables, &HostOptions::default()).is_err());
}

#[test]
fn the_policy_and_the_key_may_be_files() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("config-files");
    fs::create_dir_all(&folder).unwrap();
    let (policy, key) = (folder.join("policy.json"), folder.join("app.pem"));
    fs::write(&policy, "\n{\"failureThreshold\": 4}\n").unwrap();
    fs::write(&key, PEM.replace("\\n", "\r\n")).unwrap();
    let policy = policy.to_str().unwrap();
    let at_key = format!("@{}", key.display());
    for policy in [policy, &format!("@{policy}")] {
        let app = [("GITHUB_TOKEN", ""), ("GITHUB_APP_ID", "1"), ("GITHUB_APP_PRIVATE_KEY", &at_key)];
        let settings = read(&[&app[..], &[("POLICY", policy)]].concat()).unwrap();
        assert_eq!(settings.policy.base().failure_threshold, 4);
        let Credential::App { private_key, .. } = settings.github.credential else { panic!("{policy}") };
        assert_eq!(private_key.expose(), PEM.replace("\\n", "\n"));
    }
}

#[test]
fn the_table_and_the_reader_agree() {
    let asked = RefCell::new(BTreeSet::new());
    let source = Source::variables(|name| {
        asked.borrow_mut().insert(name.to_owned());
        None
    });
    Settings::read(
        &source,
        &HostOptions {
            store: Some(StoreChoice::BySettings),
            slack_commands: true,
            webhooks: true,
            ..HostOptions::default()
        },
    )
    .unwrap_err();
    let asked = asked.borrow();
    let documented: BTreeSet<&str> = reference().iter().map(|setting| setting.name).collect();
    assert_eq!(asked.iter().map(String::as_str).collect::<BTreeSet<_>>(), documented);
    assert_eq!(documented.len(), reference().len(), "a name is listed twice");
    for setting in reference() {
        // The examples of secrets are refused, so that nobody runs with `ghp_…`. Refused too: an App's id next to the
        // token, the user group of SLACK_ADMINS without a bot, and STATELYDB_NO_AUTH without a data plane.
        let refused = read(&[(setting.name, setting.example)]).is_err();
        let goes_with_another =
            matches!(setting.name, "GITHUB_APP_ID" | "SLACK_CHANNEL" | "SLACK_ADMINS" | "STATELYDB_NO_AUTH");
        assert_eq!(refused, setting.secret || goes_with_another, "{}", setting.name);
        if let Some(default) = setting.default {
            let (given, unset) = (read(&[(setting.name, default)]).unwrap(), read(&[]).unwrap());
            assert_eq!(format!("{given:?}"), format!("{unset:?}"), "{}", setting.name);
        }
    }
}

/// Text similar to the values of settings, so that the reader gets past its first validation.
fn value() -> impl Strategy<Value = String> {
    let similar = prop::sample::select(vec![
        "acme/web",
        "acme/*",
        "orgs/a",
        "[\"a/b\",",
        "]",
        "{\"targets\":{",
        "\"unreachableAfter\":\"9m\"",
        "}}",
        "\\n",
        "@",
        "https://",
        "http://",
        "[::1]",
        "/api/v3",
        ".ghe.com",
        "github.com",
        "off",
        "-----BEGIN PRIVATE KEY-----",
        "1",
        "é",
        "\u{0}",
        " ",
        ",",
    ]);
    prop_oneof![any::<String>(), prop::collection::vec(similar, 0..6).prop_map(|parts| parts.concat())]
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(values in prop::collection::vec(prop::option::of(value()), reference().len())) {
        let variables: BTreeMap<&str, String> = reference()
            .iter()
            .zip(values)
            .filter_map(|(setting, value)| Some((setting.name, value?)))
            .collect();
        let source = Source::variables(|name| variables.get(name).cloned());
        let every = Some(Duration::from_secs(300));
        match Settings::read(&source, &HostOptions { every, ..HostOptions::default() }) {
            Ok(settings) => prop_assert!(!settings.targets.is_empty()),
            Err(faults) => {
                prop_assert!(!faults.0.is_empty());
                prop_assert_eq!(faults.to_string().lines().count(), 1 + faults.0.len());
            }
        }
    }

    #[test]
    fn secrets_are_never_shown(
        planted in "[a-z0-9]{12,30}",
        around in prop::collection::vec(("[ -~]{0,6}", "[ -~]{0,6}"), 3),
        frame in 0..6_usize,
        valid in any::<bool>(),
        repos in value(),
        key_given in any::<bool>(),
    ) {
        let planted = format!("q{planted}q");
        let wrap = |at: usize| format!("{}{planted}{}", around[at].0, around[at].1);
        // The path of a file is shown.
        prop_assume!(!(0..3).any(|at| wrap(at).trim_start().starts_with("@/")));
        let token = if valid { planted.clone() } else { wrap(0) };
        let key = match frame {
            0 => format!("-----BEGIN PRIVATE KEY-----\\n{planted}\\n-----END PRIVATE KEY-----"),
            1 => format!("@{planted}"),
            2 => format!("-----BEGIN {planted}"),
            _ => wrap(1),
        };
        let webhook = match frame {
            3 => format!("https://hooks.slack.com/services/{planted}"),
            4 => format!("http://{planted}.example.com/{planted}"),
            5 => format!("{planted}://x"),
            _ => wrap(2),
        };
        let named = format!(r#"{{"{planted}":"{webhook}"}}"#);
        let mut variables = vec![
            ("GITHUB_TOKEN", &*token),
            ("SLACK_WEBHOOK", &webhook),
            ("SLACK_WEBHOOKS", &named),
            ("REPOS", &repos),
        ];
        if key_given {
            variables.extend([("GITHUB_APP_PRIVATE_KEY", &*key), ("GITHUB_APP_ID", "1")]);
            variables.remove(0);
        }
        let result = read_with(&variables, &HostOptions::default());
        let shown = match &result {
            Ok(settings) => format!("{settings:?} {settings:#?}"),
            Err(faults) => format!("{faults} {faults:?} {faults:#?}"),
        };
        prop_assert!(!shown.contains(&planted), "{}", shown);
    }
}
