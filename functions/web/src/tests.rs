//! The function run on the sample events, over HTTP, with fakes of AWS and StatelyDB.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Router;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use monitor_access::AccessKeys;
use monitor_aws::host;
use monitor_aws::testing::{PREFIX, SIGNING_SECRET, World};
use monitor_domain::secret::Secret;
use monitor_domain::subject::Revision;
use monitor_domain::watchlist::Watchlist;
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::Put;
use monitor_pipeline::ports::{Clock as _, PutOutcome, Store};
use monitor_pipeline::testing::samples::{runner_item, target, target_record};
use monitor_stately_server::{Fault, RpcCode, Trouble};
use monitor_telemetry::SystemClock;
use serde_json::{Value, json};

use crate::handler;
use crate::web::Web;

/// An installation that monitors acme/web.
async fn world() -> World {
    let world = World::start(Web::new, Web::handle, &[]).await;
    let targets = vec![target("acme/web")];
    let watchlist = Watchlist { revision: Revision(1), targets, ..Watchlist::default() };
    let items = [Item::Watchlist(watchlist), Item::Target(target_record("acme/web", 1)), runner_item("acme/web", 7)];
    assert_eq!(world.store.put(&items.map(Put::replacing)).await, Ok(PutOutcome::Done));
    world
}

fn sample(name: &str) -> Value {
    let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))).unwrap()
}

fn get(address: &str, cookie: &str) -> Value {
    let mut event = sample("web-fleet");
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    (event["rawPath"], event["rawQueryString"]) = (path.into(), query.into());
    event["cookies"] = json!(["theme=dark", cookie]);
    event
}

/// The button behind a link that was just asked for.
fn press(secret: &str, number: u64) -> Value {
    let link = AccessKeys::new(&Secret::new(secret)).link(number, SystemClock.now());
    let mut event = sample("web-open");
    event["body"] = format!("link={}", link.expose()).into();
    event
}

async fn ask(world: &World, event: Value) -> Value {
    world.invoke(event).await.unwrap()
}

/// What a browser sends after a link opened a session.
fn cookie(opened: &Value) -> String {
    assert_eq!((&opened["statusCode"], &opened["headers"]["location"]), (&303.into(), &"/".into()), "{opened}");
    let cookie = opened["cookies"][0].as_str().unwrap();
    assert!(cookie.starts_with("__Host-runner-monitor=") && cookie.ends_with("; HttpOnly; SameSite=Lax; Secure"));
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_link_opens_a_session_and_the_pages_are_shown() {
    let world = world().await;
    let opened = ask(&world, press(SIGNING_SECRET, 7)).await;
    assert!(opened["headers"].get("set-cookie").is_none(), "the gateway takes cookies from their own list: {opened}");
    let cookie = cookie(&opened);
    let fleet = ask(&world, get("/?q=runner&state=", &cookie)).await;
    assert_eq!((&fleet["statusCode"], &fleet["isBase64Encoded"]), (&200.into(), &false.into()), "{fleet}");
    assert_eq!(fleet["headers"]["content-type"], "text/html; charset=utf-8");
    assert!(fleet["body"].as_str().unwrap().contains("runner-7"), "{fleet}");
    for path in ["/target/acme/web", "/runner/7/acme/web", "/outages", "/api/v1/fleet", "/metrics", "/style.css"] {
        assert_eq!(ask(&world, get(path, &cookie)).await["statusCode"], 200, "{path}");
    }
    let mut again = get("/?q=runner&state=", &cookie);
    again["headers"]["if-none-match"] = fleet["headers"]["etag"].clone();
    let again = ask(&world, again).await;
    assert_eq!((&again["statusCode"], &again["body"]), (&304.into(), &Value::Null), "{again}");
    let events = ask(&world, get("/events", &cookie)).await;
    assert_eq!((&events["statusCode"], &events["body"]), (&204.into(), &Value::Null), "{events}");
}

#[tokio::test]
async fn without_a_session_nothing_is_public_whatever_host_is_claimed() {
    let world = world().await;
    for path in ["/", "/target/acme/web", "/api/v1/fleet", "/events", "/metrics", "/healthz", "/readyz", "/nothing"] {
        for host in ["abcdefghij.execute-api.eu-central-1.amazonaws.com", "localhost"] {
            let mut event = get(path, "");
            event["headers"]["host"] = host.into();
            let answer = ask(&world, event).await;
            assert_eq!(answer["statusCode"], 401, "{path}: {answer}");
            assert!(!answer.to_string().contains("acme"), "{path}: {answer}");
        }
    }
    assert_eq!(ask(&world, sample("web-fleet")).await["statusCode"], 401);
    assert_eq!(ask(&world, sample("web-open")).await["statusCode"], 403);
}

#[tokio::test]
async fn a_link_is_shown_any_number_of_times_and_used_once() {
    let world = world().await;
    let link = AccessKeys::new(&Secret::new(SIGNING_SECRET)).link(7, SystemClock.now());
    for _ in 0..2 {
        let shown = ask(&world, get(&format!("/open?link={}", link.expose()), "")).await;
        assert_eq!((&shown["statusCode"], &shown["cookies"]), (&200.into(), &json!([])), "{shown}");
    }
    cookie(&ask(&world, press(SIGNING_SECRET, 7)).await);
    let again = ask(&world, press(SIGNING_SECRET, 7)).await;
    assert_eq!((&again["statusCode"], &again["cookies"]), (&403.into(), &json!([])), "{again}");
}

#[tokio::test]
async fn it_reads_its_own_settings_only_and_writes_nothing_but_the_marker_of_a_link() {
    let world = world().await;
    let mut encoded = press(SIGNING_SECRET, 9);
    let form = STANDARD.encode(encoded["body"].as_str().unwrap());
    (encoded["body"], encoded["isBase64Encoded"]) = (form.into(), true.into());
    let cookie = cookie(&ask(&world, encoded).await);
    ask(&world, get("/", &cookie)).await;
    let calls = world.aws.calls("GetParameters");
    let asked = calls.iter().flat_map(|call| call["Names"].as_array().unwrap());
    let asked: BTreeSet<&str> = asked.map(|name| name.as_str().unwrap().trim_start_matches(PREFIX)).collect();
    // The role may read no other: SSM would refuse the whole call.
    let store = ["/statelydb-access-key", "/statelydb-store-id", "/statelydb-schema-id", "/statelydb-region"];
    assert_eq!(
        asked,
        ["/slack-signing-secret"].into_iter().chain(store).collect(),
        "github-api-url is a variable here"
    );
    assert!(world.slack.messages().is_empty());
}

#[tokio::test]
async fn a_new_signing_secret_ends_every_session_and_is_in_use_after_one_refused_request() {
    let world = world().await;
    let cookie = cookie(&ask(&world, press(SIGNING_SECRET, 7)).await);
    let new_secret = "newsecretnewsecretnewsecret00000";
    world.set("slack-signing-secret", new_secret);
    assert_eq!(ask(&world, press(new_secret, 8)).await["statusCode"], 403);
    assert_eq!(ask(&world, press(new_secret, 8)).await["statusCode"], 303);
    assert_eq!(ask(&world, get("/", &cookie)).await["statusCode"], 401);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_reported_and_no_link_is_used_up() {
    let world = world().await;
    let cookie = cookie(&ask(&world, press(SIGNING_SECRET, 7)).await);
    // Refused at once: a store that is unavailable is tried again for longer than a test should take.
    world.statelydb.state().inject(Fault::once(Trouble::Bare(RpcCode::PermissionDenied)).times(1_000));
    assert_eq!(ask(&world, press(SIGNING_SECRET, 8)).await["statusCode"], 503);
    assert_eq!(ask(&world, get("/", &cookie)).await["statusCode"], 503);
}

#[tokio::test(start_paused = true)]
async fn a_slow_page_is_given_up_before_the_gateway_gives_up() {
    let slow = Router::new().route("/", axum::routing::get(async || tokio::time::sleep(Duration::from_secs(60)).await));
    let request = host::request(sample("web-fleet"), "").unwrap();
    let (response, refusal) = handler::answer(&slow, request, Duration::from_secs(28), "request-1").await;
    assert_eq!((response.status_code, refusal), (504, None));
}

#[tokio::test]
async fn what_is_no_request_is_refused_without_a_quote_and_a_broken_one_is_answered() {
    let world = world().await;
    for strange in [json!({"body": "marker"}), json!({"requestContext": "marker"}), json!({"deferred": {}})] {
        let failure = world.invoke(strange).await.unwrap_err().to_string();
        assert!(failure.contains("events/web-") && !failure.contains("marker"), "{failure}");
    }
    for (field, value) in [("rawPath", "/a b"), ("rawPath", "marker"), ("rawQueryString", "a b"), ("cookies", "\n")] {
        let mut event = sample("web-fleet");
        event[field] = if field == "cookies" { json!([value]) } else { value.into() };
        assert_eq!(ask(&world, event).await["statusCode"], 400, "{field} {value:?}");
    }
    let mut broken = sample("web-open");
    broken["isBase64Encoded"] = true.into();
    assert_eq!(ask(&world, broken).await["statusCode"], 400);
    let world = World::start(Web::new, Web::handle, &[]).await;
    world.remove("slack-signing-secret");
    world.remove("statelydb-store-id");
    let failure = world.invoke(sample("web-fleet")).await.unwrap_err().to_string();
    for name in ["slack-signing-secret --type SecureString", "statelydb-store-id --type String"] {
        assert!(failure.contains(&format!("aws ssm put-parameter --name {PREFIX}/{name}")), "{failure}");
    }
}
