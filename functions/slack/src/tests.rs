//! The function run on the sample events, signed as by Slack, over HTTP, with fakes of AWS, Slack and StatelyDB.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use monitor_access::AccessKeys;
use monitor_aws::testing::{CHECKS, FUNCTION, PREFIX, SIGNING_SECRET, World};
use monitor_domain::secret::Secret;
use monitor_domain::subject::Revision;
use monitor_domain::watchlist::Watchlist;
use monitor_fakes::aws::CallFault;
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::Put;
use monitor_pipeline::messages::CheckJob;
use monitor_pipeline::ports::{Clock as _, PutOutcome, Store};
use monitor_pipeline::testing::samples::{outage_item, runner_item, target, target_record};
use monitor_slack::incoming::{MAX_BODY_BYTES, SigningSecret};
use monitor_stately_server::{Fault, RpcCode, Trouble};
use monitor_telemetry::SystemClock;
use serde_json::{Value, json};

use crate::slack::Slack;

/// An installation that monitors acme/web and orgs/acme. Each has a runner-7; the one in acme/web had an outage.
async fn world() -> World {
    world_with(&[]).await
}

async fn world_with(variables: &[(&'static str, &str)]) -> World {
    let world = World::start(Slack::new, Slack::handle, variables).await;
    // Otherwise mutes would be announced there, among the answers.
    world.remove("slack-webhook");
    let names = ["acme/web", "orgs/acme"];
    let targets = names.iter().map(|name| target(name)).collect();
    let watchlist = Watchlist { revision: Revision(1), targets, ..Watchlist::default() };
    let of = |name: &str| [Item::Target(target_record(name, 1)), runner_item(name, 7), runner_item(name, 8)];
    let items =
        names.iter().flat_map(|name| of(name)).chain([Item::Watchlist(watchlist), outage_item("acme/web", 7, 3)]);
    assert_eq!(world.store.put(&items.map(Put::replacing).collect::<Vec<_>>()).await, Ok(PutOutcome::Done));
    world
}

/// The answer to a sample event that Slack signed.
async fn answer(world: &World, name: &str) -> Value {
    let response = world.invoke(signed(sample(name))).await.unwrap();
    assert_eq!(response["statusCode"], 200, "{name}: {response}");
    assert_eq!(response["headers"]["content-type"], "application/json; charset=utf-8", "{name}: {response}");
    serde_json::from_str(response["body"].as_str().unwrap()).unwrap()
}

async fn text(world: &World, name: &str) -> String {
    answer(world, name).await["text"].as_str().unwrap().to_owned()
}

/// A pressed button whose answer is sent to the fake Slack.
fn with_reply_url(world: &World, mut event: Value) -> Value {
    let reply_url = format!("{}/actions/T0FAKE/1/notasecretreply", world.slack.base_url());
    // The address is percent-encoded, like everything in the form.
    let encoded: String = reply_url.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let body = event["body"].as_str().unwrap().replace(
        "https%3A%2F%2Fhooks.slack.com%2Factions%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN",
        &encoded,
    );
    event["body"] = body.into();
    event
}

fn nothing_is_enqueued(world: &World) -> bool {
    world.aws.take_sent(CHECKS).is_empty() && world.aws.take_events(FUNCTION).is_empty()
}

fn sample(name: &str) -> Value {
    let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))).unwrap()
}

fn raw_body(event: &Value) -> Vec<u8> {
    let body = event["body"].as_str().unwrap();
    if event["isBase64Encoded"] == true { STANDARD.decode(body).unwrap() } else { body.as_bytes().to_vec() }
}

/// The event as Slack sends it now: no two requests are equal.
fn signed(mut event: Value) -> Value {
    static TRIGGERS: AtomicU64 = AtomicU64::new(0);
    if event["isBase64Encoded"] != true {
        let trigger_id = TRIGGERS.fetch_add(1, Ordering::Relaxed);
        event["body"] = format!("{}&trigger_id={trigger_id}", event["body"].as_str().unwrap()).into();
    }
    signed_at(event, SystemClock.now().epoch_secs(), SIGNING_SECRET)
}

fn signed_at(mut event: Value, at_secs: i64, secret: &str) -> Value {
    let signature = SigningSecret::new(secret).sign(at_secs, &raw_body(&event));
    event["headers"]["x-slack-request-timestamp"] = at_secs.to_string().into();
    event["headers"]["x-slack-signature"] = signature.into();
    event
}

fn with_body(body: &str, is_base64: bool) -> Value {
    let mut event = sample("slack-runner-status-all");
    (event["body"], event["isBase64Encoded"]) = (body.into(), is_base64.into());
    event
}

#[tokio::test]
async fn every_command_is_answered() {
    let world = world().await;
    assert!(text(&world, "slack-runner-status-all").await.contains("All 4 runners online in 2 targets."));
    assert!(text(&world, "slack-base64").await.contains("All 4 runners online"));
    assert!(text(&world, "slack-runner-status").await.contains("acme/web: all 2 runners online"));
    let named = answer(&world, "slack-runner-status-of-a-name").await;
    assert!(named["text"].as_str().unwrap().contains("runner-7: all 2 online in 2 targets."), "{named}");
    assert_eq!(named["response_type"], "in_channel");
    let history = answer(&world, "slack-runner-history").await;
    assert!(history["text"].as_str().unwrap().contains("runner-7: 1 outage."), "{history}");
    assert_eq!(history["response_type"], "ephemeral");
    assert!(text(&world, "slack-runner-help").await.contains("What you can ask"));
    assert!(text(&world, "slack-unknown-command").await.contains("/runner-reboot is not a command"));
    assert!(text(&world, "slack-empty-argument").await.contains("Say which runner"));
    assert!(nothing_is_enqueued(&world));

    assert!(text(&world, "slack-runner-recheck").await.contains("Checking acme/web again"));
    let jobs = world.aws.take_sent(CHECKS);
    assert!(jobs.len() == 1 && CheckJob::from_json(&jobs[0].body).unwrap().target == target("acme/web"));
    let names = world.aws.calls("GetParameters");
    for other in ["github-token", "repositories"] {
        assert!(!names.iter().any(|call| call.to_string().contains(other)), "it does not read {other}: {names:?}");
    }
}

#[tokio::test]
async fn a_link_to_the_page_is_given_if_the_page_is_deployed() {
    let none = answer(&world().await, "slack-runner-dashboard").await.to_string();
    assert!(none.contains("There is no page"), "{none}");
    let address = "https://abcdefghij.execute-api.eu-central-1.amazonaws.com";
    let world = world_with(&[("PAGE_URL", address)]).await;
    let given = answer(&world, "slack-runner-dashboard").await;
    assert_eq!(given["response_type"], "ephemeral");
    let given = given.to_string();
    let (_, link) = given.split_once(&format!("<{address}/open?link=")).unwrap();
    let token = link.split_once('|').unwrap().0;
    let keys = AccessKeys::new(&Secret::new(SIGNING_SECRET));
    assert!(keys.read_link(token, SystemClock.now()).is_ok(), "{given}");
}

#[tokio::test]
async fn the_signer_signs_every_event_as_slack_would() {
    let world = world().await;
    let folder = format!("{}/../../events", env!("CARGO_MANIFEST_DIR"));
    let sign = |arguments: &[&str], secret: &str, stdin: &str| {
        let mut command = Command::new("python3");
        command.arg(format!("{folder}/sign")).args(arguments).env("SLACK_SIGNING_SECRET", secret);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python3");
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    for name in ["slack-runner-status-all", "slack-runner-history", "slack-base64", "slack-button-acknowledge"] {
        let output = sign(&[&format!("{folder}/{name}.json")], SIGNING_SECRET, "");
        let event: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert_eq!(world.invoke(event).await.unwrap()["statusCode"], 200, "{name}");
        let unsigned = world.invoke(sample(name)).await.unwrap();
        assert_eq!(unsigned["statusCode"], 401, "{name}: a committed event has no valid signature");
    }
    let piped = sign(&["-"], SIGNING_SECRET, &sample("slack-runner-help").to_string());
    assert_eq!(world.invoke(String::from_utf8(piped.stdout).unwrap()).await.unwrap()["statusCode"], 200);
    for (arguments, secret, stdin, said) in [
        (&["-"][..], "", "{}", "SLACK_SIGNING_SECRET must be set"),
        (&["-"], SIGNING_SECRET, "{", "cannot read - as an event"),
        (&[], SIGNING_SECRET, "{}", "usage"),
    ] {
        let output = sign(arguments, secret, stdin);
        assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains(said), "{output:?}");
    }
}

#[tokio::test]
async fn a_request_that_slack_did_not_sign_is_refused_without_a_body_and_nothing_is_enqueued() {
    let world = world().await;
    let recheck = || sample("slack-runner-recheck");
    let now = SystemClock.now().epoch_secs();
    let mut truncated = signed(recheck());
    truncated["body"] = truncated["body"].as_str().unwrap()[1..].into();
    let mut without = recheck();
    without["headers"] = json!({});
    let mut encoded = signed(recheck());
    encoded["isBase64Encoded"] = true.into();
    let refused = [
        (signed_at(recheck(), now, "another"), 401),
        (signed_at(recheck(), now - 301, SIGNING_SECRET), 401),
        (signed_at(recheck(), now + 400, SIGNING_SECRET), 401),
        (truncated, 401),
        (without, 401),
        (encoded, 401),
        (signed(with_body(&STANDARD.encode(b"command=\xff"), true)), 401),
        (signed(with_body(&STANDARD.encode(vec![b'a'; MAX_BODY_BYTES + 1]), true)), 413),
        (signed(with_body(&"a".repeat(MAX_BODY_BYTES + 1), false)), 413),
    ];
    for (event, status) in refused {
        let response = world.invoke(event).await.unwrap();
        assert_eq!((&response["statusCode"], &response["body"]), (&status.into(), &Value::Null), "{response}");
    }
    assert!(nothing_is_enqueued(&world));
}

#[tokio::test]
async fn header_names_are_case_insensitive() {
    let world = world().await;
    let mut event = signed(sample("slack-runner-help"));
    let headers = event["headers"].as_object().unwrap().clone();
    event["headers"] = headers.into_iter().map(|(name, value)| (name.to_ascii_uppercase(), value)).collect();
    assert_eq!(world.invoke(event).await.unwrap()["statusCode"], 200);
}

#[tokio::test]
async fn a_pressed_button_is_deferred_and_is_answered_in_its_channel() {
    let world = world().await;
    let event = with_reply_url(&world, sample("slack-button-recheck"));
    let response = world.invoke(signed(event)).await.unwrap();
    assert_eq!((&response["statusCode"], &response["body"]), (&200.into(), &Value::Null), "{response}");
    assert!(world.aws.take_sent(CHECKS).is_empty());
    let later = world.aws.take_events(FUNCTION);
    assert_eq!(later.len(), 1);
    assert_eq!(world.invoke(&later[0]).await, Ok(Value::Null));
    assert_eq!(world.aws.take_sent(CHECKS).len(), 1);
    let messages = world.slack.messages();
    assert!(messages.len() == 1 && messages[0].text().contains("Checking acme/web again"), "{messages:?}");
    assert_eq!(messages[0].body["replace_original"], false);
}

#[tokio::test]
async fn mutes_can_be_set_listed_and_ended_and_an_acknowledgement_appears_in_the_message() {
    let world = world().await;
    assert!(text(&world, "slack-runner-mute").await.contains("runner-7 muted"));
    let shown = answer(&world, "slack-runner-status").await.to_string();
    assert!(shown.contains("1 mute") && shown.contains("new disk"), "{shown}");
    assert!(text(&world, "slack-runner-unmute").await.contains("runner-7 no longer muted"));
    assert!(text(&world, "slack-runner-unmute").await.contains("runner-7 is not muted"));

    let press = async |name: &str| {
        let response = world.invoke(signed(with_reply_url(&world, sample(name)))).await.unwrap();
        assert_eq!(response["statusCode"], 200, "{response}");
        assert_eq!(world.invoke(&world.aws.take_events(FUNCTION)[0]).await, Ok(Value::Null));
        world.slack.messages().last().unwrap().body.clone()
    };
    assert_eq!(press("slack-button-mute").await["replace_original"], false);
    assert!(answer(&world, "slack-runner-status").await.to_string().contains("1 mute"));
    let altered = press("slack-button-acknowledge").await;
    assert_eq!(altered["replace_original"], true);
    let blocks = altered["blocks"].to_string();
    assert!(blocks.contains("Acknowledged by <@U2CERLKJA>") && !blocks.contains("acknowledge\""), "{blocks}");
    assert!(world.aws.take_sent(CHECKS).is_empty());
}

#[tokio::test]
async fn the_settings_name_the_admins_who_may_mute_more_than_one_target() {
    for (admins, expected) in
        [("U0123456789", "A mute of more than one target needs an admin"), ("U0123456789,U2CERLKJA", "runner-7 muted")]
    {
        let world = world().await;
        world.set("slack-admins", admins);
        let said = answer(&world, "slack-runner-mute").await.to_string();
        assert!(said.contains(expected), "{admins}: {said}");
    }
}

#[tokio::test]
async fn an_answer_that_slack_refuses_is_retried_and_an_old_one_is_not() {
    let world = world().await;
    let event = |asked_at: monitor_domain::time::Timestamp| {
        let mut event = sample("slack-later");
        event["deferred"]["askedAt"] = asked_at.to_string().into();
        event["deferred"]["replyTo"] = format!("{}/commands/T0FAKE/1/notasecretreply", world.slack.base_url()).into();
        event
    };
    let now = SystemClock.now();
    world.slack.state().fault_next(monitor_fakes::slack::Fault::Answer(503, "later"), 1);
    // Lambda invokes the function again with an event that failed.
    let error_text = world.invoke(event(now)).await.unwrap_err().to_string();
    assert!(error_text.starts_with("aborted: ") && !error_text.contains("notasecretreply"), "{error_text}");
    assert_eq!(world.invoke(event(now)).await, Ok(Value::Null));
    assert!(world.slack.messages()[0].text().contains("acme/web: all 2 runners online"));
    // As stored in events/: asked too long ago, or in the future.
    assert_eq!(world.invoke(event(now.minus(Duration::from_secs(1_801)))).await, Ok(Value::Null));
    assert_eq!(world.invoke(json!({"deferred": {}})).await, Ok(Value::Null));
    assert_eq!(world.slack.messages().len(), 1);
}

#[tokio::test]
async fn a_button_is_refused_if_lambda_does_not_accept_it_twice() {
    let world = world().await;
    let refused = |times| vec![CallFault::Refused(429, "TooManyRequestsException"); times];
    for (times, status, events) in [(1, 200, 1), (2, 503, 0)] {
        world.aws.plan("Invoke", refused(times));
        let response = world.invoke(signed(with_reply_url(&world, sample("slack-button-recheck")))).await.unwrap();
        assert_eq!((&response["statusCode"], world.aws.take_events(FUNCTION).len()), (&status.into(), events));
    }
}

#[tokio::test]
async fn a_slow_store_is_reported_within_the_time_that_slack_allows() {
    let world = world().await;
    world.statelydb.state().inject(Fault::once(Trouble::Bare(RpcCode::Unavailable)).times(1_000));
    let began = tokio::time::Instant::now();
    let text = text(&world, "slack-runner-status-all").await;
    assert!(text.contains("The answer follows here") || text.contains("cannot be read"), "{text}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_new_signing_secret_is_in_use_after_one_refused_request() {
    let world = world().await;
    assert!(text(&world, "slack-runner-help").await.contains("What you can ask"));
    let new_secret = "newsecretnewsecretnewsecret00000";
    let event = || signed_at(sample("slack-runner-help"), SystemClock.now().epoch_secs(), new_secret);
    world.set("slack-signing-secret", new_secret);
    assert_eq!(world.invoke(event()).await.unwrap()["statusCode"], 401);
    assert_eq!(world.invoke(event()).await.unwrap()["statusCode"], 200);
}

#[tokio::test]
async fn all_missing_settings_are_reported_together_and_another_functions_event_is_refused() {
    let world = world().await;
    world.remove("slack-signing-secret");
    world.remove("statelydb-store-id");
    let error_text = world.invoke(signed(sample("slack-runner-help"))).await.unwrap_err().to_string();
    for name in ["slack-signing-secret --type SecureString", "statelydb-store-id --type String"] {
        assert!(error_text.contains(&format!("aws ssm put-parameter --name {PREFIX}/{name}")), "{error_text}");
    }
    let strange = world.invoke(json!({"body": "marker"})).await.unwrap_err().to_string();
    assert!(strange.contains("events/sign") && !strange.contains("marker"), "{strange}");
}
