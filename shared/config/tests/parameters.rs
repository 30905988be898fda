//! Settings from a parameter store below the environment: names, parts of lists, hints, and which parameters are read.

use std::collections::BTreeMap;

use monitor_config::{
    HostOptions, NotifierSettings, Parameters, Prefix, Settings, Source, StoreChoice, StoreSettings, read_or_wanted,
};

const NOTHING: [(&str, &str); 0] = [];
const CHECKING: HostOptions = HostOptions {
    every: None,
    targets: Vec::new(),
    store: Some(StoreChoice::BySettings),
    without_chat: true,
    slack_commands: false,
    webhooks: false,
    alerts: false,
};

fn lookup(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> + Clone + use<> {
    let variables: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    move |name| variables.get(name).cloned()
}

fn parameters(values: &[(&str, &str)]) -> Parameters {
    values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn prefix() -> Prefix {
    Prefix::new("/github-runner-monitor").expect("it names a folder")
}

const COMPLETE: [(&str, &str); 5] = [
    ("github-token", "ghp_planted"),
    ("repositories", "[\"acme/web\"]"),
    ("statelydb-access-key", "key-planted"),
    ("statelydb-store-id", "1"),
    ("statelydb-schema-id", "2"),
];

fn read(variables: &[(&str, &str)], values: &[(&str, &str)]) -> Result<Settings, String> {
    let (prefix, parameters) = (prefix(), parameters(values));
    let source = Source::parameters(lookup(variables), &prefix, &parameters);
    Settings::read(&source, &CHECKING).map_err(|faults| faults.to_string())
}

fn targets(settings: &Settings) -> Vec<String> {
    settings.targets.iter().map(ToString::to_string).collect()
}

#[test]
fn parameters_are_enough_and_a_variable_takes_precedence_over_its_parameter() {
    assert_eq!(targets(&read(&[], &COMPLETE).unwrap()), ["acme/web"]);
    let settings = read(&[("REPOS", "acme/cli"), ("STATELYDB_STORE_ID", " ")], &COMPLETE).unwrap();
    assert_eq!(targets(&settings), ["acme/cli"]);
    assert!(matches!(settings.store, Some(StoreSettings::StatelyDb(store)) if store.store_id.get() == 1));
}

#[test]
fn a_list_continues_in_further_parameters_each_in_its_own_format() {
    let more =
        [("repositories/2", "acme/api, acme/cli"), ("repositories/3", "[\"acme/db\"]"), ("repositories/5", "x/y")];
    let values = [&COMPLETE[..], &more].concat();
    assert_eq!(targets(&read(&[], &values).unwrap()), ["acme/web", "acme/api", "acme/cli", "acme/db"]);
    assert_eq!(parameters(&values).parts_of("repositories"), 3);
    assert_eq!(parameters(&values).parts_of("organizations"), 0);
    let broken = read(&[], &[&COMPLETE[..], &[("repositories/2", "[\"acme/api\"")]].concat()).unwrap_err();
    assert!(broken.contains("REPOS: must be a JSON array") && broken.contains("/repositories "), "{broken}");
}

#[test]
fn every_missing_parameter_is_reported_at_once_with_the_command_that_sets_it() {
    let error_text = read(&[], &NOTHING).unwrap_err();
    for command in [
        "--name /github-runner-monitor/github-token --type SecureString --value file:///dev/stdin",
        "--name /github-runner-monitor/github-app-private-key --type SecureString --value file://app.pem",
        "--name /github-runner-monitor/repositories --type String --value 'acme/web,acme-labs/*'",
        "--name /github-runner-monitor/statelydb-access-key --type SecureString",
        "--name /github-runner-monitor/statelydb-store-id --type String --value '7204785912541003'",
        "--name /github-runner-monitor/statelydb-schema-id --type String",
    ] {
        assert!(error_text.contains(&format!("aws ssm put-parameter {command}")), "{command}: {error_text}");
    }
    assert!(!error_text.contains("slack"), "a host that sends nothing needs no webhook: {error_text}");
    assert!(error_text.starts_with("5 faults in the settings:"), "{error_text}");
}

#[test]
fn a_malformed_parameter_is_reported_with_its_command_and_a_malformed_variable_without() {
    let values = [&COMPLETE[2..], &[("github-token", "a b"), ("repositories", "acme"), ("policy", "{")]].concat();
    let error_text = read(&[("STATELYDB_STORE_ID", "x")], &values).unwrap_err();
    for (start, end) in [
        (
            "GITHUB_TOKEN: must not contain white space",
            "/github-token --type SecureString --value file:///dev/stdin --overwrite",
        ),
        // An example must not overwrite their other values.
        ("REPOS: must be owner/name", "/repositories --type String --value file://repositories.txt --overwrite"),
        ("POLICY: must be JSON: it ends unexpectedly", "/policy --type String --value file://policy.txt --overwrite"),
        (
            "STATELYDB_STORE_ID: must be a number",
            "set STATELYDB_STORE_ID, for example STATELYDB_STORE_ID=7204785912541003",
        ),
    ] {
        let line = error_text.lines().find(|line| line.trim_start().starts_with(start));
        assert!(line.is_some_and(|line| line.ends_with(end)), "{start}: {error_text}");
    }
    assert_eq!(error_text.lines().count(), 5, "{error_text}");
}

#[test]
fn a_complete_environment_needs_no_parameter_and_an_incomplete_one_the_missing_ones() {
    let environment = [
        ("GITHUB_TOKEN", "ghp_x"),
        ("REPOS", "acme/web"),
        ("STATELYDB_ACCESS_KEY", "key"),
        ("STATELYDB_STORE_ID", "1"),
        ("STATELYDB_SCHEMA_ID", "2"),
    ];
    let checking = |source: &Source<'_>| Settings::read(source, &CHECKING);
    assert!(read_or_wanted(lookup(&environment), checking).is_ok());

    let wanted = read_or_wanted(lookup(&environment[1..]), checking).unwrap_err();
    assert_eq!(wanted.lists, ["organizations", "enterprises"]);
    for (name, is_wanted) in
        [("github-token", true), ("policy", true), ("statelydb-store-id", false), ("slack-webhook", false)]
    {
        assert_eq!(wanted.single.contains(&name), is_wanted, "{name}: {wanted:?}");
    }

    let in_dynamodb = read_or_wanted(lookup(&[("DYNAMODB_TABLE", "runner-monitor")]), checking).unwrap_err();
    assert!(!in_dynamodb.single.iter().any(|name| name.starts_with("statelydb-")), "{in_dynamodb:?}");

    let wanted = read_or_wanted(lookup(&[]), NotifierSettings::read).unwrap_err();
    assert!(wanted.lists.is_empty() && wanted.single.contains(&"slack-webhook"), "{wanted:?}");
    assert!(!wanted.single.contains(&"github-token"), "a host without requests to GitHub needs no token: {wanted:?}");
}

#[test]
fn the_notifier_needs_the_webhook_and_the_store() {
    let (prefix, values) =
        (prefix(), [&COMPLETE[2..], &[("slack-webhook", "https://hooks.slack.com/services/T/B/planted")]].concat());
    let complete = parameters(&values);
    let settings = NotifierSettings::read(&Source::parameters(lookup(&[]), &prefix, &complete)).unwrap();
    assert_eq!(settings.web_url, "https://github.com");
    let nothing = parameters(&[]);
    let error_text =
        NotifierSettings::read(&Source::parameters(lookup(&[]), &prefix, &nothing)).unwrap_err().to_string();
    assert!(
        error_text.contains("SLACK_WEBHOOK: must be set to send alerts; read -rs value; printf %s"),
        "{error_text}"
    );
    assert_eq!(error_text.lines().count(), 5, "{error_text}");
    for shown in [format!("{settings:?}"), format!("{complete:?}")] {
        assert!(!shown.contains("planted"), "{shown}");
    }
}

#[test]
fn a_command_that_sets_a_parameter_fetches_no_url_and_contains_no_secret() {
    let prefix = prefix();
    let values = parameters(&[("github-api-url", "ftp://x"), ("slack-webhook", "x"), ("slack-webhooks", "{")]);
    let error_text = [
        Settings::read(&Source::parameters(lookup(&[]), &prefix, &values), &CHECKING).unwrap_err().to_string(),
        NotifierSettings::read(&Source::parameters(lookup(&[]), &prefix, &values)).unwrap_err().to_string(),
    ]
    .concat();
    let commands: Vec<&str> = error_text.lines().filter(|line| line.contains("aws ssm put-parameter")).collect();
    assert!(commands.len() >= 8, "{error_text}");
    for command in &commands {
        // Version 1 of the AWS CLI would fetch the value from this address.
        assert!(!command.contains("--value 'http") && !command.contains("--value http"), "{command}");
        if command.contains("--type SecureString") {
            assert!(command.contains("--value file://"), "{command}");
        }
    }
    for wanted in [
        "read -rs value; printf %s \"$value\" | aws ssm put-parameter --name /github-runner-monitor/slack-webhook \
         --type SecureString --value file:///dev/stdin --overwrite",
        "printf %s 'https://github.example.com/api/v3' | aws ssm put-parameter --name /github-runner-monitor/github-api-url \
         --type String --value file:///dev/stdin --overwrite",
        "--value file://slack-webhooks.txt --overwrite, rm slack-webhooks.txt",
    ] {
        assert!(error_text.contains(wanted), "{wanted}: {error_text}");
    }
}

#[test]
fn a_prefix_is_a_folder_and_without_one_there_is_no_store() {
    assert_eq!(Prefix::new("x/y/").unwrap().name_of("policy"), "/x/y/policy");
    assert!(Prefix::new(" ").is_none() && Prefix::new("/").is_none());
}
