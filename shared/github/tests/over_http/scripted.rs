//! Answers that the fake cannot produce, written out byte by byte.

use std::sync::Arc;

use monitor_domain::observation::Fault as Sort;
use monitor_domain::time::Timestamp;
use monitor_fakes::github::APP_PRIVATE_KEY_PEM;
use monitor_github::{Credential, CredentialKind, GitHub, Secret, Settings};
use monitor_pipeline::ports::RunnerSource;

use crate::script::{Script, http};
use crate::world::{NOON_MS, failure, github, pages, quick, runners, shape, tags, target, token};

pub(crate) fn asking(script: &Script) -> GitHub {
    let settings = Settings { api_url: script.base_url(), ..quick(token()) };
    github(settings, Arc::new(|| Timestamp::from_epoch_ms(NOON_MS)))
}

const ONE_RUNNER: &str = r#"{"total_count":1,"runners":[{"id":5,"name":"a","status":"online","busy":false}]}"#;

// https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects
#[tokio::test]
async fn the_token_is_sent_to_no_other_host() {
    let other = Script::start(|_| http("200 OK", &[], ONE_RUNNER)).await;
    let elsewhere = format!(
        "location: http://localhost:{}/repositories/1/actions/runners",
        other.base_url().rsplit_once(':').map_or("", |(_, port)| port)
    );
    let script = Script::start(move |_| http("301 Moved Permanently", &[&elsewhere], "{}")).await;
    let refused = failure(&asking(&script), "acme/web").await;
    assert_eq!(refused.fault, Sort::BrokenAnswer);
    assert!(refused.detail.contains("redirected to another address (localhost)"), "{refused}");
    assert!(other.heads().is_empty());
}

#[tokio::test]
async fn redirects_on_the_same_host_are_followed_with_the_query_but_not_endlessly() {
    let script = Script::start(|head| match head {
        _ if head.starts_with("GET /repos/acme/web/") => {
            http("307 Temporary Redirect", &["location: /repositories/1/x"], "")
        }
        _ if head.starts_with("GET /repositories/1/x?per_page=100&page=1 ") => http("200 OK", &[], ONE_RUNNER),
        _ => http("308 Permanent Redirect", &["location: /orgs/round/about"], ""),
    })
    .await;
    let github = asking(&script);
    assert_eq!(shape(&pages(github.list(&target("acme/web"), &[]).await)), ["1"]);
    let heads = script.heads();
    assert!(heads[1].contains("authorization: Bearer ghp_test-token"), "{heads:?}");

    let endless = failure(&github, "orgs/round").await;
    assert_eq!(endless.fault, Sort::BrokenAnswer);
    assert!(endless.detail.ends_with("redirects endlessly"), "{endless}");
}

#[tokio::test]
async fn a_request_carries_token_api_version_user_agent_and_page() {
    let script = Script::start(|_| http("200 OK", &["etag: W/\"one\""], ONE_RUNNER)).await;
    let github = asking(&script);
    let read = pages(github.list(&target("Acme/Web"), &[]).await);
    let again = github.list(&target("Acme/Web"), &tags(&read)).await;
    assert_eq!(runners(pages(again)).len(), 1);
    let heads = script.heads();
    assert!(heads[0].starts_with("GET /repos/Acme/Web/actions/runners?per_page=100&page=1 HTTP/1.1\r\n"), "{heads:?}");
    for line in [
        "accept: application/vnd.github+json",
        "x-github-api-version: 2022-11-28",
        "user-agent: github-runner-monitor/0.1.0",
        "authorization: Bearer ghp_test-token",
    ] {
        assert!(heads[0].contains(line), "{line}: {heads:?}");
    }
    assert!(!heads[0].contains("if-none-match"));
    assert!(heads[1].contains("if-none-match: W/\"one\""), "{heads:?}");
}

#[tokio::test]
async fn a_token_expiry_with_a_time_zone_is_read_too() {
    let expiry = "github-authentication-token-expiration: 2026-12-13 00:00:00 +0200";
    let script = Script::start(move |_| http("200 OK", &[expiry], ONE_RUNNER)).await;
    let listing = asking(&script).list(&target("acme/web"), &[]).await;
    assert_eq!(listing.report.expires_at, "2026-12-12T22:00:00Z".parse().ok());
}

#[tokio::test]
async fn an_empty_first_page_that_counts_runners_and_an_unrequested_304_are_broken_answers() {
    let empty = r#"{"total_count":4,"runners":[]}"#;
    let script = Script::start(move |head| match head {
        _ if head.starts_with("GET /orgs/") => http("304 Not Modified", &[], ""),
        _ => http("200 OK", &[], empty),
    })
    .await;
    let github = asking(&script);
    let failed = failure(&github, "acme/web").await;
    assert_eq!(failed.fault, Sort::BrokenAnswer);
    assert_eq!(
        failed.detail,
        "page 1 of the runners of acme/web: expected a list of runners, got none, although it counts 4"
    );
    let failed = failure(&github, "orgs/acme").await;
    assert_eq!(failed.fault, Sort::BrokenAnswer);
    assert!(failed.detail.ends_with("got status 304 Not Modified"), "{failed}");
}

#[tokio::test]
async fn a_later_page_that_fails_makes_the_list_partial() {
    // A link to another host: only its page number is used.
    let link =
        "link: <https://elsewhere.example/x?page=2>; rel=\"next\", <https://elsewhere.example/x?page=2>; rel=\"last\"";
    let script = Script::start(move |head| match head {
        _ if head.contains("&page=1 ") => http("200 OK", &[link], ONE_RUNNER),
        _ => http("200 OK", &["content-type: text/html"], "<html>Sign in</html>"),
    })
    .await;
    let listing = asking(&script).list(&target("acme/web"), &[]).await;
    let incomplete = listing.pages.unwrap_err();
    assert!(incomplete.partial);
    assert_eq!(
        incomplete.failure.detail,
        "page 2 of the runners of acme/web: expected a list of runners, got an HTML page"
    );
}

// GitHub's 304 announces new pages only in its links: https://github.com/app-sre/github-mirror/pull/113
// It may leave out the ETag: https://github.com/NixOS/nix/pull/4470
#[tokio::test]
async fn a_304_may_announce_new_pages() {
    for (link, expected) in [
        ("link: <https://h/x?page=2>; rel=\"next\", <https://h/x?page=3>; rel=\"last\"", &["=1", "1", "1"][..]),
        ("link: <https://h/x?page=2>; rel=\"next\"", &["=1", "1"]),
    ] {
        let script = Script::start(move |head| match head {
            _ if head.contains("if-none-match") => http("304 Not Modified", &[link], ""),
            _ if head.contains("&page=1 ") => http("200 OK", &["etag: \"one\""], ONE_RUNNER),
            _ => {
                let page = if head.contains("&page=2 ") { 2 } else { 3 };
                http("200 OK", &[], &format!(r#"{{"runners":[{{"id":{page},"name":"r{page}","status":"online"}}]}}"#))
            }
        })
        .await;
        let github = asking(&script);
        let known = tags(&pages(github.list(&target("acme/web"), &[]).await));
        let read = pages(github.list(&target("acme/web"), &known).await);
        assert_eq!(shape(&read), expected, "{link}");
        assert_eq!(tags(&read)[0], known[0]);
    }
}

#[tokio::test]
async fn known_pages_are_requested_although_the_first_is_not_full() {
    let script = Script::start(|head| match head {
        _ if head.contains("if-none-match") => http("304 Not Modified", &[], ""),
        _ => http("200 OK", &["etag: \"one\""], ONE_RUNNER),
    })
    .await;
    let github = asking(&script);
    let one = tags(&pages(github.list(&target("acme/web"), &[]).await)).remove(0);
    let known = [one.clone(), one.clone(), one];
    assert_eq!(shape(&pages(github.list(&target("acme/web"), &known).await)), ["=1", "=1", "=1"]);
}

// ETags differ between tokens, and one that matched by chance would be trusted.
#[tokio::test]
async fn an_etag_is_sent_only_with_the_token_that_it_was_given_to() {
    let script = Script::start(|_| http("200 OK", &["etag: \"one\""], ONE_RUNNER)).await;
    let github = asking(&script);
    let mut known = tags(&pages(github.list(&target("acme/web"), &[]).await));
    known[0].given_to = "0123456789abcdef".to_owned();
    assert_eq!(shape(&pages(github.list(&target("acme/web"), &known).await)), ["1"]);
    let heads = script.heads();
    assert!(heads.len() == 2 && heads.iter().all(|head| !head.contains("if-none-match")), "{heads:?}");
}

#[tokio::test]
async fn an_answer_without_a_length_is_not_read_beyond_the_limit() {
    let script = Script::start(|_| {
        let body = " ".repeat(2_000_001);
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}{ONE_RUNNER}")
    })
    .await;
    let failed = failure(&asking(&script), "acme/web").await;
    assert!(failed.detail.ends_with("got an answer of more than 2000000 bytes"), "{failed}");
}

#[tokio::test]
async fn any_404_with_a_foreign_body_does_not_mean_that_a_runner_is_gone() {
    for body in ["", "no route", "{\"error\":\"no route\"}"] {
        let script = Script::start(move |_| http("404 Not Found", &[], body)).await;
        let answer = asking(&script).runner(&target("acme/web"), monitor_domain::runner::RunnerId(5)).await;
        assert_eq!(answer.unwrap_err().fault, Sort::BrokenAnswer, "{body}");
    }
}

#[tokio::test]
async fn repositories_are_followed_by_next_links_alone_and_disabled_ones_are_left_out() {
    let script = Script::start(|head| {
        let next = "link: <https://h/x?page=9>; rel=\"next\"";
        match head {
            _ if head.contains("&page=1 ") => http("200 OK", &[next], r#"[{"full_name":"acme/web"}]"#),
            _ if head.contains("&page=2 ") => http("200 OK", &[next], r#"[{"full_name":"acme/old","disabled":true}]"#),
            // The last page: one repository twice, because the pages shifted, and one with an impossible name.
            _ => http("200 OK", &[], r#"[{"full_name":"acme/api"},{"full_name":"acme/web"},{"full_name":"?"}]"#),
        }
    })
    .await;
    let repositories = asking(&script).repositories_of("acme").await.unwrap();
    assert_eq!(repositories, [target("acme/api"), target("acme/web")]);
}

#[tokio::test]
async fn a_runner_with_another_id_is_a_broken_answer_and_not_found() {
    let script = Script::start(|_| http("200 OK", &[], r#"{"id":6,"name":"a","status":"online"}"#)).await;
    let answer = asking(&script).runner(&target("acme/web"), monitor_domain::runner::RunnerId(5)).await;
    let failed = answer.unwrap_err();
    assert_eq!(failed.fault, Sort::BrokenAnswer);
    assert_eq!(failed.detail, "runner 5 of acme/web: expected a runner, got runner 6");
}

// https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps
#[tokio::test]
async fn a_classic_token_error_names_the_missing_scope() {
    let script = Script::start(|_| {
        let headers = ["x-oauth-scopes: read:org, repo", "x-accepted-oauth-scopes: admin:org, manage_runners:org"];
        http("404 Not Found", &headers, r#"{"message":"Not Found"}"#)
    })
    .await;
    let probed = asking(&script).probe(&target("orgs/acme")).await;
    assert_eq!(probed.kind, CredentialKind::ClassicToken);
    assert_eq!(probed.scopes.as_deref(), Some(&["read:org".to_owned(), "repo".to_owned()][..]));
    assert_eq!(probed.missing.as_deref(), Some("the scope `admin:org`"));
    assert_eq!(probed.runners.unwrap_err().fault, Sort::NotFound);
}

// GitHub refuses an App whose clock is ahead: https://github.com/microsoft/AL-Go/pull/2289
#[tokio::test]
async fn the_difference_to_githubs_clock_is_reported() {
    let script = Script::start(|_| http("200 OK", &["date: Mon, 23 Nov 2026 11:57:00 GMT"], ONE_RUNNER)).await;
    let probed = asking(&script).probe(&target("acme/web")).await;
    assert_eq!(probed.runners, Ok(1));
    assert_eq!(probed.clock_ahead_ms, Some(180_000));
}

// RFC 9110, 8.6: a POST without a body declares its length; some servers and proxies answer 411 otherwise.
#[tokio::test]
async fn the_request_for_an_app_token_declares_an_empty_body() {
    let script = Script::start(|head| match head {
        _ if head.starts_with("POST ") => {
            http("201 Created", &[], r#"{"token":"ghs_x","expires_at":"2026-11-23T13:00:00Z"}"#)
        }
        _ if head.contains("/installation ") => http("200 OK", &[], r#"{"id":42}"#),
        _ => http("200 OK", &[], ONE_RUNNER),
    })
    .await;
    let private_key = Secret::new(APP_PRIVATE_KEY_PEM);
    let credential = Credential::App { app_id: "7".to_owned(), private_key };
    let settings = Settings { api_url: script.base_url(), ..quick(credential) };
    let github = github(settings, Arc::new(|| Timestamp::from_epoch_ms(NOON_MS)));
    assert_eq!(shape(&pages(github.list(&target("acme/web"), &[]).await)), ["1"]);
    let heads = script.heads();
    assert!(heads[0].starts_with("GET /repos/acme/web/installation "), "{heads:?}");
    assert!(heads[1].starts_with("POST /app/installations/42/access_tokens "), "{heads:?}");
    assert!(heads[1].to_lowercase().contains("content-length: 0"), "{heads:?}");
    assert!(heads[2].contains("authorization: Bearer ghs_x"), "{heads:?}");
}
