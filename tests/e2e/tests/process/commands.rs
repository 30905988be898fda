//! The output and exit codes of the commands.

use monitor_e2e::{TOKEN, World, fleet, repository};
use monitor_fakes::github::{APP_PRIVATE_KEY_PEM, APP_PUBLIC_KEY_DER, Access, Fault, RunnerSpec, State, Strikes};
use serde_json::Value;

/// A world without Slack.
async fn world(targets: usize) -> World {
    of(fleet(targets, 2), targets).await
}

async fn of(state: State, targets: usize) -> World {
    World { webhook: None, ..World::of(state, targets, "{}").await }
}

#[tokio::test]
async fn check_shows_healthy_runners_changes_and_unreachable_targets() {
    let world = world(2).await;
    let (code, stdout, _) = world.run(&["check"]).await;
    assert_eq!(code, 0, "{stdout}");
    assert!(stdout.contains("app-1-runner-1") && stdout.contains("First check of acme/app-0, acme/app-1."), "{stdout}");
    assert!(!stdout.contains('\x1b'), "colour without a terminal");

    let runner = world.github.state().runners("acme/app-1")[0].id;
    world.github.state().set_runner("acme/app-1", runner, "offline", false);
    let (code, stdout, _) = world.run(&["check"]).await;
    assert_eq!(code, 1, "{stdout}");
    assert!(stdout.contains("acme/app-1: app-1-runner-0: idle → offline"), "{stdout}");

    world.github.state().set_access("acme/app-0", Access::Hidden);
    let (code, stdout, _) = world.run(&["check"]).await;
    assert_eq!(code, 2, "{stdout}");
    assert!(stdout.contains("Unreachable:") && stdout.contains("acme/app-0: "), "{stdout}");
}

#[tokio::test]
async fn targets_as_arguments_need_no_list_and_json_is_valid() {
    let world = world(3).await;
    let (code, stdout, stderr) = world.run_with(&["check", "acme/app-2", "--json"], &[("REPOS", "")]).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    let document: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(document["targets"][0]["target"], "acme/app-2");
    assert_eq!(document["targets"][0]["runners"].as_array().map(Vec::len), Some(2));
    let (code, stdout, _) = world.run(&["check", "acme/*", "--json"]).await;
    let document: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((code, document["targets"].as_array().map(Vec::len)), (0, Some(3)));
}

#[tokio::test]
async fn every_kind_of_malformed_answer_is_reported_and_the_other_targets_are_checked() {
    const MANY: usize = 500;
    let world = world(MANY).await;
    {
        let mut github = world.github.state();
        let faults = [
            (0, Fault::BrokenJson),
            (1, Fault::CutOff),
            (2, Fault::HtmlPage),
            (3, Fault::Rubbish),
            (4, Fault::WrongShape),
            (5, Fault::StatusHtml(502)),
            (6, Fault::Reset),
        ];
        for (target, fault) in faults {
            github.fault(fault, Strikes::always().target(&repository(target)));
        }
        github.remove_target(&repository(7));
        github.set_access(&repository(8), Access::MissingPermission);
        github.set_access(&repository(9), Access::LegallyBlocked);
    }
    let (code, stdout, stderr) = world.run(&["check", "--json"]).await;
    assert_eq!(code, 2, "{stderr}");
    let document: Value = serde_json::from_str(&stdout).expect("JSON");
    let unseen = document["notSeen"].as_array().expect("a list");
    let mut named: Vec<&str> = unseen.iter().filter_map(|one| one["target"].as_str()).collect();
    named.sort_unstable();
    assert_eq!(named, (0..10).map(repository).collect::<Vec<_>>());
    assert!(unseen.iter().all(|one| one["reason"].as_str().is_some_and(|reason| reason.len() > 20)), "{unseen:?}");
    let seen = document["targets"].as_array().expect("a list").iter().filter(|target| !target["seenAt"].is_null());
    assert_eq!(seen.count(), MANY - 10);
}

#[tokio::test]
async fn an_expired_token_is_named_as_the_reason() {
    let world = world(3).await;
    world.github.state().revoke_token(TOKEN);
    let (code, stdout, _) = world.run(&["check"]).await;
    assert_eq!(code, 2);
    assert!(stdout.contains("401"), "{stdout}");
    let (code, stdout, _) = world.run(&["doctor"]).await;
    assert_eq!(code, 2);
    assert!(stdout.contains("BAD acme/app-0") && stdout.contains("401"), "{stdout}");
}

#[tokio::test]
async fn a_github_app_and_an_enterprise_are_checked() {
    let mut state = fleet(1, 2);
    state.add_target("orgs/acme");
    state.add_target("enterprises/acme-corp");
    for target in ["orgs/acme", "enterprises/acme-corp"] {
        state.add_runner(target, RunnerSpec::new("shared-1"));
    }
    state.add_app(1, APP_PUBLIC_KEY_DER);
    state.install_app(1, "acme");
    let world = of(state, 1).await;
    let (code, stdout, stderr) = world.run(&["check", "enterprises/acme-corp", "orgs/acme", "--json"]).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    let app = [("GITHUB_TOKEN", ""), ("GITHUB_APP_ID", "1"), ("GITHUB_APP_PRIVATE_KEY", APP_PRIVATE_KEY_PEM)];
    let (code, stdout, stderr) = world.run_with(&["check", "acme/app-0", "orgs/acme"], &app).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.contains("shared-1"), "{stdout}");
    let (code, stdout, _) = world.run_with(&["check", "enterprises/acme-corp"], &app).await;
    assert!(code == 2 && stdout.contains("enterprises/acme-corp: "), "{stdout}");
    assert!(!stdout.contains("PRIVATE KEY") && !stderr.contains("PRIVATE KEY"));
}

#[tokio::test]
async fn status_and_history_read_only_the_store() {
    let world = world(1).await;
    let (code, _, stderr) = world.run(&["status"]).await;
    assert_eq!(code, 2);
    assert!(stderr.contains("there is no store at") && stderr.contains("runner-monitor check"), "{stderr}");

    let runner = world.github.state().runners("acme/app-0")[0].id;
    world.github.state().set_runner("acme/app-0", runner, "offline", true);
    world.run_with(&["check"], &[("POLICY", r#"{"failureThreshold":1}"#)]).await;
    let asked = world.github.state().counters().requests;
    let (code, stdout, _) = world.run(&["status"]).await;
    assert_eq!(code, 1, "{stdout}");
    assert!(stdout.contains("offline") && stdout.contains("1 open outage"), "{stdout}");
    let (code, stdout, _) = world.run(&["history", "--runner", "app-0-*", "--since", "1h"]).await;
    assert_eq!(code, 1);
    assert!(stdout.contains("app-0-runner-0") && stdout.contains("open"), "{stdout}");
    let (code, _, stderr) = world.run(&["history", "--runner", "nobody"]).await;
    assert!(code == 2 && stderr.contains("no runner called `nobody` is stored"), "{stderr}");
    let (_, stdout, _) = world.run(&["history", "--json"]).await;
    let document: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(document["outages"][0]["outage"]["runnerName"], "app-0-runner-0");
    assert_eq!(world.github.state().counters().requests, asked, "GitHub is not asked");
}

#[tokio::test]
async fn doctor_passes_a_sound_installation_and_gives_hints_for_others() {
    let world = world(2).await;
    let (code, stdout, stderr) = world.run(&["doctor"]).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.contains("ok  acme/app-0: reachable; 2 runners") && stdout.contains("Nothing to fix"), "{stdout}");
    world.github.state().set_access("acme/app-0", Access::MissingPermission);
    let (code, stdout, _) = world.run(&["doctor"]).await;
    assert_eq!(code, 2);
    assert!(stdout.contains("BAD acme/app-0") && stdout.contains("needs the scope `repo`"), "{stdout}");
}

#[tokio::test]
async fn doctor_tries_every_channel_that_the_policy_names() {
    const GPU_PATH: &str = "/services/T0FAKE/B0GPU/notasecreteither";
    let world = world(1).await;
    let slack = &world.slack;
    slack.state().add_webhook(GPU_PATH);
    let default = slack.webhook_url();
    let gpu = default.replace(slack.state().webhook_path(), GPU_PATH);
    let named = format!(r#"{{"gpu":"{gpu}","old":"{gpu}-revoked"}}"#);
    let policy = r#"{"labels":{"gpu":{"channel":"gpu"},"a100":{"channel":"gpu"}},"runners":{"x":{"channel":"old"}}}"#;
    let variables = [("SLACK_WEBHOOK", &*default), ("SLACK_WEBHOOKS", &*named), ("POLICY", policy)];
    let (code, stdout, stderr) = world.run_with(&["doctor", "--send-test"], &variables).await;
    assert_eq!((code, slack.messages().len()), (1, 2), "{stdout}{stderr}");
    assert!(stdout.contains("ok  Slack: accepted the test message"), "{stdout}");
    assert!(stdout.contains("ok  Slack, gpu: accepted the test message"), "{stdout}");
    assert!(stdout.contains("BAD Slack, old: ") && stdout.contains("no_service"), "{stdout}");
    assert!(!stdout.contains("notasecret") && !stderr.contains("notasecret"), "{stdout}{stderr}");
}

#[tokio::test]
async fn every_wrong_setting_is_named_at_once() {
    let world = world(1).await;
    let wrong = [("REPOS", "acme"), ("POLICY", r#"{"unknown":1}"#), ("GITHUB_TOKEN", ""), ("SLACK_WEBHOOK", "ftp://x")];
    let (code, _, stderr) = world.run_with(&["run"], &wrong).await;
    assert_eq!(code, 2);
    for (variable, _) in wrong {
        assert!(stderr.contains(variable), "{variable} is not named:\n{stderr}");
    }
}

#[tokio::test]
async fn help_names_the_commands_and_the_exit_codes() {
    let world = world(1).await;
    let (code, stdout, _) = world.run(&["--help"]).await;
    assert_eq!(code, 0);
    for word in ["demo", "check", "run", "status", "history", "doctor", "Exit codes", "Examples"] {
        assert!(stdout.contains(word), "{word}:\n{stdout}");
    }
    let (code, stdout, _) = world.run(&["settings"]).await;
    assert!(code == 0 && stdout.contains("GITHUB_TOKEN") && stdout.contains("SLACK_WEBHOOK"), "{stdout}");
    let (code, _, stderr) = world.run(&["check", "acme"]).await;
    assert!(code == 2 && stderr.contains("owner/name"), "{stderr}");
}

#[tokio::test]
async fn the_demo_sends_every_expected_alert() {
    // No settings: the environment is empty.
    let mut command = world(0).await.command(&["demo", "--speed", "100"]);
    command.env_clear();
    let output = command.output().await.expect("the program starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert!(stdout.contains("What happened, and which alert was sent") && !stdout.contains("MISSING"), "{stdout}");
    assert!(stdout.contains("acme: gpu-1, gpu-2, gpu-3 offline (3 of 4)"), "{stdout}");
    // Events are printed between the messages, with their minute.
    assert!(stdout.contains("[ 4 min] web-2 goes offline in the middle of a job\n"), "{stdout}");
}
