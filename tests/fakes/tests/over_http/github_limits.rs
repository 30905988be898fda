//! Credentials, refusals and limits.
//!
//! GitHub's OpenAPI description has no errors for these requests, so each case names the page of GitHub's documentation
//! that it follows.

use monitor_fakes::github::{Access, Endpoint, Fault, Strikes};

use crate::client::{NOON_MS, World, header, parts, send};

const WEB: &str = "/repos/acme/web/actions/runners";

// https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api#user-agent
// https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api#failed-login-limit
#[tokio::test]
async fn a_request_needs_a_user_agent_and_a_valid_token() {
    let world = World::start().await;
    let nameless = world.get(WEB).header("user-agent", "");
    let response = send(nameless).await;
    assert_eq!(response.status(), 403);
    assert!(response.text().await.expect("text").contains("User-Agent"));

    let url = format!("{}{WEB}", world.github.base_url());
    assert_eq!(send(world.client.get(url)).await.status(), 401);
    let (status, body) = parts(world.get_as("unknown", WEB)).await;
    assert_eq!(status, 401);
    assert_eq!(body["message"], "Bad credentials");
    assert_eq!(body["status"], "401");
    assert_eq!(body["documentation_url"], "https://docs.github.com/rest");

    world.github.state().revoke_token("test-token");
    assert_eq!(world.ask(WEB).await.0, 401);
    assert_eq!(world.github.state().counters().by_error_status.get(&401), Some(&3));
}

// https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/token-expiration-and-revocation
#[tokio::test]
async fn a_token_reports_its_expiry_and_expires() {
    let world = World::start().await;
    world.github.state().add_expiring_token("short", NOON_MS + 60_000);
    let response = send(world.get_as("short", WEB)).await;
    assert_eq!(header(&response, "github-authentication-token-expiration"), "2026-11-23 12:01:00 UTC");
    let endless = send(world.get(WEB)).await;
    assert_eq!(header(&endless, "github-authentication-token-expiration"), "");
    world.advance_ms(60_000);
    assert_eq!(send(world.get_as("short", WEB)).await.status(), 401);
}

// https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
// https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api (single sign-on)
// https://developer.github.com/changes/2016-03-17-the-451-status-code-is-now-supported/
#[tokio::test]
async fn targets_refuse_with_githubs_statuses_and_messages() {
    let world = World::start().await;
    for (access, status, message) in [
        (Access::Hidden, 404, "Not Found"),
        (Access::MissingPermission, 403, "Resource not accessible by personal access token"),
        (Access::LegallyBlocked, 451, "Repository access blocked"),
    ] {
        world.github.state().set_access("acme/web", access);
        let (answered, body) = world.ask(WEB).await;
        assert_eq!((answered.as_u16(), &body["message"]), (status, &message.into()));
        if status != 451 {
            assert_eq!(body["status"], status.to_string());
            assert_eq!(
                body["documentation_url"],
                "https://docs.github.com/rest/actions/self-hosted-runners#list-self-hosted-runners-for-a-repository"
            );
        }
    }
    world.github.state().set_access("orgs/acme", Access::SsoRequired);
    let response = send(world.get("/orgs/acme/actions/runners")).await;
    assert_eq!(response.status(), 403);
    assert!(header(&response, "x-github-sso").starts_with("required; url=https://"));

    assert_eq!(world.ask("/repos/acme/unknown/actions/runners").await.0, 404);
    assert_eq!(world.ask("/no/such/thing").await.0, 404);
    world.github.state().remove_target("orgs/acme");
    assert_eq!(world.ask(WEB).await.0, 404);
}

// https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects
#[tokio::test]
async fn a_renamed_repository_redirects() {
    let world = World::start().await;
    let ids = world.add_runners("acme/web", 1);
    world.github.state().rename_repository("acme/web", "acme/site");
    let response = send(world.get(&format!("{WEB}/{}", ids[0]))).await;
    assert_eq!(response.status(), 301);
    let location = header(&response, "location");
    let (status, body) = parts(world.client.get(location).bearer_auth("test-token")).await;
    assert_eq!((status.as_u16(), &body["id"]), (200, &ids[0].into()));
    world.github.state().add_target("acme/web");
    assert_eq!(world.names(WEB).await.len(), 0);
}

// https://docs.github.com/en/rest/about-the-rest-api/api-versions
#[tokio::test]
async fn api_versions_are_checked_and_named() {
    let world = World::start().await;
    let ask = async |path: &str, version: &str| {
        let request = world.get(path).header("x-github-api-version", version);
        let response = send(request).await;
        (response.status().as_u16(), header(&response, "x-github-api-version-selected"))
    };
    let newest = "2026-03-10".to_owned();
    assert_eq!(ask(WEB, &newest).await, (200, newest.clone()));
    assert_eq!(ask(WEB, "2020-01-01").await.0, 400);
    assert_eq!(ask(&format!("/api/v3{WEB}"), &newest).await.0, 400);
    let unnamed = send(world.get(WEB)).await;
    assert_eq!(header(&unnamed, "x-github-api-version-selected"), "2022-11-28");
}

// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
#[tokio::test]
async fn the_primary_limit_ends_the_hour_of_one_token() {
    let world = World::start().await;
    world.github.state().set_hourly_limit("test-token", 2);
    world.github.state().add_token("other-token");
    let first = send(world.get(WEB)).await;
    assert_eq!(header(&first, "x-ratelimit-remaining"), "1");
    world.advance_ms(1_000);
    send(world.get(WEB)).await;
    let refused = send(world.get(WEB)).await;
    assert_eq!(refused.status(), 403);
    assert_eq!(header(&refused, "x-ratelimit-remaining"), "0");
    assert_eq!(header(&refused, "retry-after"), "");
    let reset: i64 = header(&refused, "x-ratelimit-reset").parse().expect("a number");
    assert_eq!(reset, NOON_MS / 1000 + 3_600);
    let body: serde_json::Value = refused.json().await.expect("JSON");
    assert!(body["message"].as_str().is_some_and(|text| text.starts_with("API rate limit exceeded")));

    assert_eq!(send(world.get_as("other-token", WEB)).await.status(), 200);
    let (status, limit) = world.ask("/rate_limit").await;
    assert_eq!((status.as_u16(), &limit["rate"]["remaining"]), (200, &0.into()));
    assert_eq!(world.github.state().counters().limited, 1);
    world.advance_ms(3_600_000 - 1_000);
    assert_eq!(send(world.get(WEB)).await.status(), 200);

    world.github.state().limits.status = 429;
    world.github.state().exhaust_token("test-token", NOON_MS);
    assert_eq!(send(world.get(WEB)).await.status(), 429);
}

// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
#[tokio::test]
async fn the_secondary_limit_is_a_rolling_minute() {
    let world = World::start().await;
    {
        let mut state = world.github.state();
        state.limits.points_per_minute = 2;
        state.limits.retry_after_secs = Some(7);
    }
    for _ in 0..2 {
        assert_eq!(send(world.get(WEB)).await.status(), 200);
    }
    let refused = send(world.get(WEB)).await;
    assert_eq!(refused.status(), 403);
    assert_eq!(header(&refused, "retry-after"), "7");
    assert_ne!(header(&refused, "x-ratelimit-remaining"), "0");
    world.advance_ms(60_000);
    assert_eq!(send(world.get(WEB)).await.status(), 200);

    let ordered = Fault::SecondaryLimit { status: 429, retry_after_secs: None };
    world.github.state().fault(ordered, Strikes::next(1));
    let refused = send(world.get(WEB)).await;
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, String::new()));
    assert_eq!(world.github.state().counters().limited, 2);
}

#[tokio::test]
async fn too_many_at_once_are_refused() {
    let world = World::start().await;
    world.github.state().limits.max_in_flight = 2;
    world.github.state().fault(Fault::Hang, Strikes::next(2).endpoint(Endpoint::ListRunners));
    let hanging = [world.get(WEB).send(), world.get(WEB).send()].map(tokio::spawn);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    while world.github.state().counters().requests < 2 {
        assert!(tokio::time::Instant::now() < deadline, "the two requests never arrived");
        tokio::task::yield_now().await;
    }
    let refused = send(world.get(WEB)).await;
    assert_eq!(refused.status(), 403);
    assert_eq!(world.github.state().counters().max_in_flight, 3);

    // The two requests are aborted, which frees their places.
    for request in hanging {
        request.abort();
        let _ = request.await;
    }
    while send(world.get(WEB)).await.status() != 200 {
        assert!(tokio::time::Instant::now() < deadline, "no place was freed");
    }
}

// https://docs.github.com/en/enterprise-server@3.19/admin/configuring-settings/configuring-user-applications-for-your-enterprise/configuring-rate-limits
#[tokio::test]
async fn an_enterprise_server_has_no_limits_and_no_limit_headers() {
    let world = World::start().await;
    world.github.state().set_hourly_limit("test-token", 0);
    world.github.state().limits.points_per_minute = 0;
    let response = send(world.get(&format!("/api/v3{WEB}"))).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "x-ratelimit-limit"), "");
    assert_eq!(header(&response, "x-github-enterprise-version"), "3.19.0");
    let (status, body) = world.ask("/api/v3/rate_limit").await;
    assert_eq!((status.as_u16(), &body["message"]), (404, &"Rate limiting is not enabled.".into()));
}
