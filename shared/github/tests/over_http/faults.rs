//! Every failure, classified by what can be done about it.

use std::time::Duration;

use monitor_domain::observation::Fault as Sort;
use monitor_fakes::github::{Access, Fault, Strikes};
use monitor_github::{Credential, GitHub, Secret, Settings};
use monitor_pipeline::ports::RunnerSource;

use crate::world::{World, failure, pages, target};

/// The kind and the message of a permanent fault, and after how many requests the client gave up.
async fn standing(fault: Fault) -> (Sort, String, u64) {
    let world = World::start().await;
    world.add_runners("acme/web", 5);
    world.fake.state().fault(fault, Strikes::always());
    let failure = failure(&world.github(), "acme/web").await;
    (failure.fault, failure.detail, world.requests())
}

/// Whether a list succeeds although the fault occurs `times` times.
async fn survives(fault: Fault, times: u32) -> bool {
    let world = World::start().await;
    world.add_runners("acme/web", 5);
    world.fake.state().fault(fault, Strikes::next(times));
    world.github().list(&target("acme/web"), &[]).await.pages.is_ok()
}

// In bursts, for runners in particular: https://github.com/actions/runner/issues/4399 (502),
// https://github.com/actions/runner/issues/3823 (500 and 503 for one runner).
#[tokio::test]
async fn a_request_that_github_does_not_serve_is_retried_twice() {
    for (fault, said) in [
        (Fault::Status(500), "GitHub answers 500 Internal Server Error"),
        (Fault::Status(502), "GitHub answers 502 Bad Gateway"),
        (Fault::StatusHtml(503), "GitHub answers 503 Service Unavailable"),
        // A load balancer that restarts.
        (Fault::Reset, "the connection to 127.0.0.1 broke before GitHub answered"),
    ] {
        assert_eq!(standing(fault.clone()).await, (Sort::Service, said.to_owned(), 3));
        assert!(survives(fault.clone(), 2).await, "{fault:?}");
    }
}

// Truncated: https://github.com/ExpediaGroup/github-helpers/issues/153 (Enterprise Server), also
// https://github.com/openclaw/clawsweeper/pull/480. HTML: https://github.com/mislav/hub/issues/1100 (single sign-on before an
// Enterprise Server). Size is bounded because memory is.
#[tokio::test]
async fn a_request_with_a_damaged_answer_is_retried_once() {
    let html = "page 1 of the runners of acme/web: expected a list of runners, got an HTML page";
    for (fault, got) in [
        (Fault::HtmlPage, "an HTML page"),
        (Fault::Rubbish, "an answer of more than 2000000 bytes"),
        (Fault::WrongShape, "JSON with an unexpected shape (line 1, column "),
        (Fault::BrokenJson, "truncated JSON"),
        (Fault::CutOff, "a truncated answer"),
        (Fault::StatusHtml(403), "an HTML page with status 403, probably from a proxy"),
        (Fault::StatusHtml(404), "an HTML page with status 404, probably from a proxy"),
    ] {
        let (sort, said, requests) = standing(fault.clone()).await;
        assert_eq!((sort, requests), (Sort::BrokenAnswer, 2), "{said}");
        let expected = format!("page 1 of the runners of acme/web: expected a list of runners, got {got}");
        assert!(said.starts_with(&expected), "{said}");
        assert!(survives(fault.clone(), 1).await, "{fault:?}");
        assert!(!survives(fault.clone(), 2).await, "{fault:?}");
    }
    assert_eq!(standing(Fault::HtmlPage).await.1, html);
}

// https://github.com/actions/actions-runner-controller/issues/3006
#[tokio::test]
async fn a_request_that_times_out_is_not_retried() {
    let world = World::start().await;
    world.fake.state().fault(Fault::Hang, Strikes::next(1));
    let timeout = Duration::from_millis(200);
    let github = world.with(Settings { timeout, ..world.settings() });
    let failure = failure(&github, "acme/web").await;
    assert_eq!(failure.fault, Sort::Service);
    assert_eq!(failure.detail, "GitHub did not answer within 200ms");
    assert_eq!(world.requests(), 1);
    // The slot of the request that timed out is free again.
    assert_eq!(pages(github.list(&target("acme/web"), &[]).await).len(), 1);
}

#[tokio::test]
async fn a_shorter_timeout_of_the_http_client_is_not_a_network_fault() {
    let world = World::start().await;
    world.fake.state().fault(Fault::Hang, Strikes::always());
    let impatient = reqwest::Client::builder().no_proxy().timeout(Duration::from_millis(200));
    let http = impatient.build().expect("an HTTP client");
    let now = world.now();
    let github = GitHub::new(http, world.settings(), std::sync::Arc::new(move || now)).expect("good settings");
    assert_eq!(failure(&github, "acme/web").await.fault, Sort::Service);
    assert_eq!(world.requests(), 1);
}

#[tokio::test]
async fn a_slow_answer_is_waited_for() {
    assert!(survives(Fault::Slow(300), 1).await);
}

#[tokio::test]
async fn an_unreachable_github_is_a_network_fault() {
    let world = World::start().await;
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("its address").port()
    };
    let here = world.fake.base_url();
    for (api_url, said) in [
        // Nobody listens.
        (format!("http://127.0.0.1:{port}"), "no connection to 127.0.0.1: "),
        // A name that is never assigned, RFC 2606.
        ("http://github.invalid".to_owned(), "no connection to github.invalid: "),
        // TLS to a server without it.
        (here.replace("http:", "https:"), "no connection to 127.0.0.1: "),
    ] {
        let github = world.with(Settings { api_url, ..world.settings() });
        let failure = failure(&github, "acme/web").await;
        assert_eq!(failure.fault, Sort::Network, "{failure}");
        assert!(failure.detail.starts_with(said) && failure.detail.len() > said.len(), "{failure}");
    }
}

// https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
#[tokio::test]
async fn a_refused_token_is_the_credentials_fault() {
    let world = World::start().await;
    let ended_at = world.now().epoch_ms() - 1;
    world.fake.state().add_expiring_token("expired", ended_at);
    for token in ["unknown", "expired"] {
        let credential = Credential::Token(Secret::new(token));
        let failure = failure(&world.with(Settings { credential, ..world.settings() }), "acme/web").await;
        assert_eq!(failure.fault, Sort::Credential);
        assert!(failure.detail.starts_with("GitHub refuses the token (401)"), "{failure}");
    }
    assert_eq!(world.requests(), 2, "it is not retried");
}

// https://docs.github.com/en/rest/actions/self-hosted-runners names the permissions of each kind.
#[tokio::test]
async fn a_missing_permission_is_named_by_the_kind_of_target() {
    let world = World::start().await;
    let classic = world.github();
    let fine_grained = {
        world.fake.state().add_token("github_pat_x");
        let credential = Credential::Token(Secret::new("github_pat_x"));
        world.with(Settings { credential, ..world.settings() })
    };
    for name in ["acme/web", "orgs/acme", "enterprises/big"] {
        world.fake.state().set_access(name, Access::MissingPermission);
    }
    for (github, name, needs) in [
        (&classic, "acme/web", "it needs the scope `repo`"),
        (&classic, "orgs/acme", "it needs the scope `admin:org`"),
        (&classic, "enterprises/big", "it needs the scope `manage_runners:enterprise`"),
        (&fine_grained, "acme/web", "it needs the repository permission `Administration: read`"),
        (&fine_grained, "orgs/acme", "it needs the organization permission `Self-hosted runners: read`"),
    ] {
        let failure = failure(github, name).await;
        assert_eq!(failure.fault, Sort::Forbidden);
        assert!(failure.detail.ends_with(needs), "{failure}");
    }
}

// The header and the body are those in https://github.com/Astrotomic/opendor.me/issues/140
#[tokio::test]
async fn single_sign_on_is_distinguished_from_a_missing_permission() {
    let world = World::start().await;
    world.fake.state().set_access("acme/web", Access::SsoRequired);
    let failure = failure(&world.github(), "acme/web").await;
    assert_eq!(failure.fault, Sort::Forbidden);
    assert!(failure.detail.contains("single sign-on (403); authorise the token"), "{failure}");
}

// A 404 can also mean a missing permission:
// https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#404-not-found-for-an-existing-resource
#[tokio::test]
async fn an_invisible_target_is_reported_as_not_found() {
    let world = World::start().await;
    let github = world.github();
    let gone = failure(&github, "acme/gone").await;
    assert_eq!(gone.fault, Sort::NotFound);
    assert_eq!(gone.detail, "acme/gone: no such repository, or the credential has no access to it");
    let gone = failure(&github, "orgs/gone").await;
    assert_eq!(gone.detail, "orgs/gone: no such organization, or the credential has no access to it");

    world.fake.state().set_access("acme/web", Access::LegallyBlocked);
    let blocked = failure(&github, "acme/web").await;
    assert_eq!(blocked.fault, Sort::NotFound);
    assert!(blocked.detail.contains("legal reasons (451)"), "{blocked}");

    world.fake.state().fault(Fault::Status(410), Strikes::always());
    assert_eq!(failure(&github, "orgs/acme").await.fault, Sort::NotFound);
}

// An Enterprise Server may lack the newest version of the API.
#[tokio::test]
async fn an_unknown_api_version_is_named_as_the_likely_cause() {
    let world = World::start().await;
    let api_version = "2031-01-01".to_owned();
    let failure = failure(&world.with(Settings { api_version, ..world.settings() }), "acme/web").await;
    assert_eq!(failure.fault, Sort::BrokenAnswer);
    assert!(failure.detail.contains("(400 Bad Request); check the API version"), "{failure}");
    assert_eq!(world.requests(), 1);
}
