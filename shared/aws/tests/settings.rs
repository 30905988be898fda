//! Settings from SSM: which are read, how long they are kept, when they are invalidated, and which errors are reported.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use monitor_aws::{Failure, LambdaEnvironment, QueueUrls, ReloadingConfig, Sdk};
use monitor_config::{Credential, HostOptions, SettingFaults, Settings, Source, StoreChoice};
use monitor_domain::time::Timestamp;
use monitor_fakes::FakeAws;
use monitor_fakes::aws::CallFault;

const PREFIX: &str = "/github-runner-monitor";
const COMPLETE: [(&str, &str); 5] = [
    ("github-token", "ghp_planted"),
    ("repositories", "acme/web"),
    ("statelydb-access-key", "key-planted"),
    ("statelydb-store-id", "1"),
    ("statelydb-schema-id", "2"),
];

struct World {
    aws: FakeAws,
    reloading_config: ReloadingConfig<Settings, Settings>,
}

fn read(source: &Source<'_>) -> Result<Settings, SettingFaults> {
    let options = HostOptions { store: Some(StoreChoice::BySettings), without_chat: true, ..HostOptions::default() };
    Settings::read(source, &options)
}

async fn world(variables: &[(&str, &str)], parameters: &[(&str, &str)]) -> World {
    let aws = FakeAws::start().await.expect("a port");
    for (name, value) in parameters {
        aws.set_parameter(&format!("{PREFIX}/{name}"), value);
    }
    let variables: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let variables = LambdaEnvironment::new(move |name| variables.get(name).cloned());
    let reloading_config =
        ReloadingConfig::new(&variables, &Sdk::for_fake(aws.base_url()), SettingFaults(Vec::new()), read, Ok);
    World { aws, reloading_config }
}

impl World {
    async fn at(&self, secs: i64) -> Result<Arc<Settings>, Failure> {
        self.reloading_config.get(Timestamp::from_epoch_ms(1_800_000_000_000 + secs * 1_000)).await
    }

    fn set(&self, name: &str, value: &str) {
        self.aws.set_parameter(&format!("{PREFIX}/{name}"), value);
    }

    fn names_asked(&self) -> Vec<Vec<String>> {
        let names = |call: &serde_json::Value| {
            let names = call["Names"].as_array().into_iter().flatten();
            names.filter_map(|name| Some(name.as_str()?.strip_prefix("/github-runner-monitor/")?.to_owned())).collect()
        };
        self.aws.calls("GetParameters").iter().map(names).collect()
    }
}

fn token(settings: &Settings) -> &str {
    let Credential::Token(token) = &settings.github.credential else { panic!("{settings:?}") };
    token.expose()
}

#[tokio::test]
async fn parameters_are_read_ten_at_a_time_and_cached_for_five_minutes() {
    let world = world(&[], &COMPLETE).await;
    world.aws.set_latency_ms(30);
    let first = world.at(0).await.expect("complete");
    assert_eq!(token(&first), "ghp_planted");
    let asked = world.names_asked();
    assert_eq!(asked.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10]);
    assert_eq!(world.aws.most_in_flight(), 2);
    let asked = asked.concat();
    for name in ["github-token", "policy", "enterprises", "repositories/2", "organizations/2"] {
        assert!(asked.contains(&name.to_owned()), "{name}: {asked:?}");
    }
    assert!(!asked.iter().any(|name| name.starts_with("slack")), "{asked:?}");

    world.set("repositories", "acme/web acme/new");
    assert!(Arc::ptr_eq(&first, &world.at(299).await.expect("kept")));
    assert_eq!(world.names_asked().len(), 2);
    assert_eq!(world.at(300).await.expect("read again").targets.len(), 2);
    // Unchanged settings are not rebuilt: clients remember request pace and tokens.
    let second = world.at(301).await.expect("kept");
    assert!(Arc::ptr_eq(&second, &world.at(700).await.expect("read again")));
    assert_eq!(world.names_asked().len(), 6);
}

#[tokio::test]
async fn a_rotated_secret_is_picked_up_as_soon_as_the_old_one_is_refused() {
    let world = world(&[], &COMPLETE).await;
    world.at(0).await.expect("complete");
    world.set("github-token", "ghp_new");
    assert_eq!(token(&world.at(1).await.expect("kept")), "ghp_planted");
    world.reloading_config.invalidate();
    assert_eq!(token(&world.at(1).await.expect("read again")), "ghp_new");
    // A secret that stays refused does not make every invocation read the settings.
    for secs in 2..60 {
        world.reloading_config.invalidate();
        world.at(secs).await.expect("as before");
    }
    let rounds = world.names_asked().len() / 2;
    assert!((4..=6).contains(&rounds), "{rounds}");
    world.set("github-token", "ghp_newer");
    world.reloading_config.invalidate();
    assert_eq!(token(&world.at(120).await.expect("read again")), "ghp_newer");
}

#[tokio::test]
async fn with_a_complete_environment_ssm_is_never_called() {
    let variables = [
        ("GITHUB_TOKEN", "ghp_of_the_environment"),
        ("REPOS", "acme/cli"),
        ("STATELYDB_ACCESS_KEY", "key"),
        ("STATELYDB_STORE_ID", "1"),
        ("STATELYDB_SCHEMA_ID", "2"),
    ];
    let complete = world(&variables, &COMPLETE).await;
    for secs in [0, 400] {
        complete.reloading_config.invalidate();
        assert_eq!(token(&complete.at(secs).await.expect("complete")), "ghp_of_the_environment");
    }
    assert!(complete.names_asked().is_empty());

    // One is missing: the others still come from the environment and are not read from SSM.
    let world = world(&variables[1..], &COMPLETE).await;
    let settings = world.at(0).await.expect("complete");
    assert_eq!((token(&settings), settings.targets[0].to_string()), ("ghp_planted", "acme/cli".to_owned()));
    let asked = world.names_asked().concat();
    assert!(!asked.iter().any(|name| name == "repositories" || name.starts_with("statelydb-store")), "{asked:?}");
}

#[tokio::test]
async fn an_empty_prefix_means_the_environment_alone() {
    let world = world(&[("PARAMETER_PREFIX", "")], &COMPLETE).await;
    let error_text = world.at(0).await.expect_err("nothing is set").to_string();
    assert!(error_text.contains("set GITHUB_TOKEN, for example") && !error_text.contains("aws ssm"), "{error_text}");
    assert!(world.names_asked().is_empty());
}

#[tokio::test]
async fn all_missing_settings_are_reported_together_and_read_again_next_time() {
    let world = world(&[], &COMPLETE[3..]).await;
    for _ in 0..2 {
        let error_text = world.at(0).await.expect_err("three are missing").to_string();
        for name in ["github-token", "repositories", "statelydb-access-key"] {
            assert!(
                error_text.contains(&format!("aws ssm put-parameter --name {PREFIX}/{name} --type ")),
                "{name}: {error_text}"
            );
        }
        assert!(!error_text.contains("statelydb-store-id"), "{error_text}");
    }
    COMPLETE.iter().for_each(|(name, value)| world.set(name, value));
    world.at(1).await.expect("fixed, and read at once");
}

#[tokio::test]
async fn a_list_in_several_parameters_costs_one_more_request_only_once() {
    let parts: Vec<(String, String)> =
        (2..=30).map(|part| (format!("repositories/{part}"), format!("a/{part}"))).collect();
    let parts: Vec<(&str, &str)> = parts.iter().map(|(name, value)| (&**name, &**value)).collect();
    let world = world(&[], &[&COMPLETE[..], &parts].concat()).await;
    assert_eq!(world.at(0).await.expect("complete").targets.len(), 30);
    let first = world.names_asked().len();
    world.aws.set_latency_ms(30);
    assert_eq!(world.at(400).await.expect("read again").targets.len(), 30);
    let again = world.names_asked().len() - first;
    assert_eq!(world.aws.most_in_flight(), again, "all of it in one round: {first} {again}");
    assert!(world.names_asked().iter().all(|names| names.len() <= 10));
}

#[tokio::test]
async fn while_ssm_does_not_answer_the_previous_settings_stay_in_use() {
    let world = world(&[], &COMPLETE).await;
    world.aws.plan("GetParameters", [CallFault::Refused(400, "AccessDeniedException")]);
    let error_text = world.at(0).await.expect_err("not allowed");
    assert!(matches!(error_text, Failure::Parameters(_)), "{error_text}");
    let error_text = error_text.to_string();
    assert!(
        error_text.contains("AccessDeniedException: as planned; the function's role needs ssm:GetParameters on"),
        "{error_text}"
    );

    let first = world.at(1).await.expect("now it answers");
    world.aws.plan("GetParameters", std::iter::repeat_n(CallFault::Refused(400, "AccessDeniedException"), 2));
    assert!(Arc::ptr_eq(&first, &world.at(400).await.expect("the previous settings")));
    world.set("github-token", "ghp_new");
    assert!(Arc::ptr_eq(&first, &world.at(405).await.expect("left alone for a while")));
    assert_eq!(token(&world.at(411).await.expect("read again")), "ghp_new");
}

#[tokio::test]
async fn no_secret_is_in_any_error() {
    let broken = [
        ("github-token", "ghp_pl anted"),
        ("repositories", "ghp_planted"),
        ("statelydb-access-key", "key pl anted"),
        ("statelydb-store-id", "0123456789planted0123456789planted0123456789"),
        ("policy", "{\"ghp_planted\":1}"),
    ];
    let world = world(&[], &broken).await;
    let failure = world.at(0).await.expect_err("all of it is malformed");
    for shown in [
        failure.to_string(),
        format!("{failure:?}"),
        format!("{:?}", lambda_runtime::Diagnostic::from(failure.clone())),
    ] {
        assert!(!shown.contains("planted") && !shown.contains("anted"), "{shown}");
        assert!(shown.contains("POLICY: "), "{shown}");
    }
}

#[tokio::test]
async fn template_variables_and_settings_are_reported_together() {
    let aws = FakeAws::start().await.expect("a port");
    let variables = LambdaEnvironment::new(|name| match name {
        "CHECK_INTERVAL_SECS" => Some("soon".to_owned()),
        "CHANGES_QUEUE_URL" => Some("changes".to_owned()),
        _ => None,
    });
    let mut queue_urls = QueueUrls::of(&variables);
    assert_eq!(queue_urls.queue_url("CHECKS_QUEUE_URL"), "");
    queue_urls.queue_url("CHANGES_QUEUE_URL");
    assert_eq!(queue_urls.interval(), Duration::from_secs(300));
    let reloading_config =
        ReloadingConfig::new(&variables, &Sdk::for_fake(aws.base_url()), queue_urls.into_faults(), read, Ok);
    let error_text =
        reloading_config.get(Timestamp::from_epoch_ms(0)).await.map(|_| ()).expect_err("nothing is set").to_string();
    for start in
        ["CHECKS_QUEUE_URL: must be set", "CHANGES_QUEUE_URL: must be a URL", "CHECK_INTERVAL_SECS: must be", "REPOS: "]
    {
        assert!(error_text.contains(&format!("\n  {start}")), "{start}: {error_text}");
    }
}

#[test]
fn an_interval_is_between_a_minute_and_a_day() {
    for (text, secs, faults) in [
        ("", 300, 0),
        ("0", 300, 1),
        ("59", 300, 1),
        ("60", 60, 0),
        (" 600 ", 600, 0),
        ("86400", 86_400, 0),
        ("86401", 300, 1),
    ] {
        let variables = LambdaEnvironment::new(move |name| (name == "CHECK_INTERVAL_SECS").then(|| text.to_owned()));
        let mut queue_urls = QueueUrls::of(&variables);
        assert_eq!(queue_urls.interval(), Duration::from_secs(secs), "{text}");
        assert_eq!(queue_urls.into_faults().0.len(), faults, "{text}");
    }
}
