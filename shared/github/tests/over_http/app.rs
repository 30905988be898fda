//! GitHub Apps: tokens that are fetched, shared, renewed and refused.

use std::time::Duration;

use futures_util::future::join_all;
use monitor_domain::observation::{Fault as Sort, Lookup};
use monitor_domain::runner::RunnerId;
use monitor_domain::subject::CredentialId;
use monitor_fakes::github::{APP_PRIVATE_KEY_PEM, APP_PUBLIC_KEY_DER, Access, Endpoint, Fault, Strikes};
use monitor_github::{Credential, GitHub, KeyError, Secret, Settings, SettingsError};
use monitor_pipeline::items::AccessToken;
use monitor_pipeline::ports::RunnerSource;

use crate::world::{World, failure, pages, quick, shape, tags, target};

const APP: u64 = 7;

/// The world with an App that is installed on `Acme`.
async fn world() -> (World, u64) {
    let world = World::start().await;
    let mut state = world.fake.state();
    state.add_app(APP, APP_PUBLIC_KEY_DER);
    let installation = state.install_app(APP, "Acme");
    drop(state);
    (world, installation)
}

fn app(world: &World) -> GitHub {
    app_numbered(world, APP)
}

fn app_numbered(world: &World, app_id: u64) -> GitHub {
    let credential = Credential::App { app_id: app_id.to_string(), private_key: Secret::new(APP_PRIVATE_KEY_PEM) };
    world.with(Settings { credential, ..world.settings() })
}

#[tokio::test]
async fn one_token_serves_an_account_until_shortly_before_its_end() {
    let (world, _) = world().await;
    let ids = world.add_runners("acme/web", 3);
    let github = app(&world);
    let web = target("acme/web");
    assert_eq!(github.credential(&web), CredentialId::app_installation("acme"));

    let first = pages(github.list(&web, &[]).await);
    assert_eq!(shape(&first), ["3"]);
    let again = pages(github.list(&web, &tags(&first)).await);
    assert_eq!(shape(&again), ["=3"]);
    assert_eq!(shape(&pages(github.list(&target("orgs/acme"), &[]).await)), ["0"]);
    let found = github.runner(&web, RunnerId(ids[0])).await;
    assert!(matches!(found, Ok(Lookup::Found(_))), "{found:?}");
    assert_eq!(github.repositories_of("acme").await.unwrap(), std::slice::from_ref(&web));
    assert_eq!(world.requests_of(Endpoint::CreateAccessToken), 1);

    world.advance(Duration::from_secs(54 * 60));
    assert!(github.list(&web, &[]).await.pages.is_ok());
    assert_eq!(world.requests_of(Endpoint::CreateAccessToken), 1);
    world.advance(Duration::from_secs(2 * 60));
    // Another token has other ETags.
    assert_eq!(shape(&pages(github.list(&web, &tags(&first)).await)), ["3"]);
    assert_eq!(world.requests_of(Endpoint::CreateAccessToken), 2);
}

#[tokio::test]
async fn the_stored_token_is_shared_by_every_process() {
    let (world, _) = world().await;
    world.add_runners("acme/web", 3);
    let web = target("acme/web");
    let (one, other) = (app(&world), app(&world));
    let first = one.prepare(&web, None).await.unwrap();
    assert_eq!(first.credential, CredentialId::app_installation("acme"));
    assert_eq!(one.prepare(&web, Some(&first)).await, None, "it is stored already");
    let known = tags(&pages(one.list(&web, &[]).await));
    assert_eq!(other.prepare(&web, Some(&first)).await, None);
    assert_eq!(
        shape(&pages(other.list(&web, &known).await)),
        ["=3"],
        "a page that one has read is a 304 for the other"
    );
    assert_eq!(world.requests_of(Endpoint::CreateAccessToken), 1);

    // Shortly before its end the first caller gets another one, and the others use that.
    world.advance(Duration::from_secs(56 * 60));
    let second = other.prepare(&web, Some(&first)).await.unwrap();
    assert_eq!(one.prepare(&web, Some(&second)).await, None);
    assert_eq!(world.requests_of(Endpoint::CreateAccessToken), 2);
    // A stalled process stores the old one again: it is replaced again, and no process uses it.
    assert_eq!(one.prepare(&web, Some(&first)).await, Some(second.clone()));
    assert_eq!(app(&world).prepare(&web, Some(&second)).await, None);
    assert_eq!(world.requests_of(Endpoint::CreateAccessToken), 2);
}

#[tokio::test]
async fn of_two_stored_tokens_the_one_that_lasts_longer_is_kept() {
    let (world, _) = world().await;
    let web = target("acme/web");
    let (one, other) = (app(&world), app(&world));
    let first = one.prepare(&web, None).await.unwrap();
    world.advance(Duration::from_secs(600));
    let second = other.prepare(&web, None).await.unwrap();
    assert_eq!(other.prepare(&web, Some(&first)).await.as_ref(), Some(&second));
    assert_eq!(one.prepare(&web, Some(&second)).await, None);
    assert_eq!(one.prepare(&web, Some(&first)).await, Some(second), "it has taken over the newer one");
    assert_eq!(world.requests_of(Endpoint::CreateAccessToken), 2);
}

#[tokio::test]
async fn a_stored_token_that_no_longer_works_is_replaced() {
    let (world, _) = world().await;
    world.add_runners("acme/web", 3);
    let web = target("acme/web");
    let (one, other) = (app(&world), app(&world));
    let first = one.prepare(&web, None).await.unwrap();
    for sealed in ["", "bm9uZQ==", "no base64", &first.sealed[4..]] {
        let broken = AccessToken { sealed: sealed.to_owned(), ..first.clone() };
        assert_eq!(one.prepare(&web, Some(&broken)).await.as_ref(), Some(&first), "{sealed}");
    }

    // GitHub has revoked it: the process that detects this gets another, ignores the stored one, and replaces it.
    world.fake.state().revoke_installation_tokens();
    assert_eq!(other.prepare(&web, Some(&first)).await, None);
    assert!(other.list(&web, &[]).await.pages.is_ok());
    let second = other.prepare(&web, Some(&first)).await.unwrap();
    assert_ne!(second.sealed, first.sealed);
    assert_eq!(one.prepare(&web, Some(&second)).await, None);
    assert!(one.list(&web, &[]).await.pages.is_ok());
    assert_eq!(world.requests_of(Endpoint::CreateAccessToken), 2);

    // The revoked one is not used even while no other is available.
    world.fake.state().revoke_installation_tokens();
    world.fake.state().fault(Fault::Status(502), Strikes::always().endpoint(Endpoint::CreateAccessToken));
    assert!(other.list(&web, &[]).await.pages.is_err());
    let asked = world.requests();
    assert_eq!(other.prepare(&web, Some(&second)).await, None);
    assert!(other.list(&web, &[]).await.pages.is_err());
    assert_eq!(world.requests(), asked);
}

#[tokio::test]
async fn callers_that_need_a_token_at_the_same_time_wait_for_the_same_request() {
    let (world, _) = world().await;
    world.fake.state().latency_ms = 20;
    let github = app(&world);
    let web = target("acme/web");
    let listings = join_all((0..20).map(|_| github.list(&web, &[]))).await;
    assert!(listings.iter().all(|listing| listing.pages.is_ok()));
    assert_eq!(world.requests_of(Endpoint::GetInstallation), 1);
    assert_eq!(world.requests_of(Endpoint::CreateAccessToken), 1);
}

#[tokio::test]
async fn a_failure_to_get_a_token_is_shared_for_half_a_minute() {
    let (world, _) = world().await;
    world.fake.state().latency_ms = 20;
    world.fake.state().fault(Fault::Status(502), Strikes::always().endpoint(Endpoint::GetInstallation));
    let github = app(&world);
    let web = target("acme/web");
    let listings = join_all((0..20).map(|_| github.list(&web, &[]))).await;
    for listing in listings {
        assert_eq!(listing.pages.unwrap_err().failure.fault, Sort::Service);
    }
    assert_eq!(world.requests(), 3, "one request and its two retries");
    world.fake.state().clear_faults();
    world.advance(Duration::from_secs(29));
    assert_eq!(failure(&github, "orgs/acme").await.fault, Sort::Service);
    assert_eq!(world.requests(), 3);
    world.advance(Duration::from_secs(1));
    assert!(github.list(&web, &[]).await.pages.is_ok());
}

#[tokio::test]
async fn a_token_that_github_ended_early_is_renewed_once() {
    let (world, _) = world().await;
    world.add_runners("acme/web", 205);
    let github = app(&world);
    let web = target("acme/web");
    let known = tags(&pages(github.list(&web, &[]).await));
    world.fake.state().revoke_installation_tokens();
    let read = pages(github.list(&web, &known).await);
    assert_eq!(shape(&read), ["100", "100", "5"]);
    assert_eq!(world.requests_of(Endpoint::CreateAccessToken), 2);

    // Ten at once with a refused token: one renewal.
    world.fake.state().revoke_installation_tokens();
    let listings = join_all((0..10).map(|_| github.list(&web, &[]))).await;
    assert!(listings.iter().all(|listing| listing.pages.is_ok()));
    assert_eq!(world.requests_of(Endpoint::CreateAccessToken), 3);

    world.fake.state().fault(Fault::Status(401), Strikes::always().endpoint(Endpoint::ListRunners));
    let before = world.requests_of(Endpoint::ListRunners);
    let refused = failure(&github, "acme/web").await;
    assert_eq!(refused.fault, Sort::Credential);
    assert!(refused.detail.starts_with("GitHub refuses the token that it gave to the GitHub App (401)"), "{refused}");
    assert_eq!(world.requests_of(Endpoint::ListRunners) - before, 2);
}

#[tokio::test]
async fn an_app_that_is_not_installed_unknown_or_wrongly_signed_is_a_credential_fault() {
    let (world, installation) = world().await;
    world.fake.state().add_target("other/site");
    world.fake.state().add_app(9, vec![1, 2, 3]);
    let not_installed = failure(&app(&world), "other/site").await;
    let unknown = failure(&app_numbered(&world, 8), "acme/web").await;
    let wrong_key = failure(&app_numbered(&world, 9), "acme/web").await;
    for (failure, said) in [
        (not_installed, "the GitHub App is not installed on other: install it there"),
        (unknown, "GitHub knows no App with this app id"),
        (wrong_key, "GitHub refuses the GitHub App's signature (401)"),
    ] {
        assert_eq!(failure.fault, Sort::Credential, "{failure}");
        assert!(failure.detail.starts_with(said), "{failure}");
    }
    let github = app(&world);
    assert!(github.list(&target("acme/web"), &[]).await.pages.is_ok());
    world.fake.state().uninstall_app(installation);
    let uninstalled = failure(&github, "acme/web").await;
    assert!(uninstalled.detail.starts_with("the GitHub App is not installed on acme"), "{uninstalled}");
}

#[tokio::test]
async fn a_missing_repository_is_not_a_credential_fault_if_the_app_is_installed() {
    let (world, _) = world().await;
    let gone = failure(&app(&world), "acme/gone").await;
    assert_eq!(gone.fault, Sort::NotFound, "{gone}");
}

#[tokio::test]
async fn a_used_up_quota_of_the_app_itself_does_not_limit_its_installations() {
    let (world, _) = world().await;
    world.add_runners("acme/web", 3);
    world.fake.state().add_target("other/site");
    world.fake.state().install_app(APP, "other");
    let (web, github) = (target("acme/web"), app(&world));
    let stored = app(&world).prepare(&web, None).await.unwrap();
    let used_up_until = Sort::Limited { until: world.now().plus(Duration::from_secs(3_600)) };
    world.fake.state().exhaust_app(APP, world.now().epoch_ms());
    assert_eq!(failure(&github, "acme/web").await.fault, used_up_until);
    let asked = world.requests();
    // The App has one quota for all accounts.
    assert_eq!(failure(&github, "other/site").await.fault, used_up_until);
    assert_eq!(world.requests(), asked);
    // With a token, the account is read as usual.
    assert_eq!(github.prepare(&web, Some(&stored)).await, None);
    assert_eq!(shape(&pages(github.list(&web, &[]).await)), ["3"]);
    let left = github.report(&github.credential(&web)).unwrap().quota_remaining;
    assert_eq!(left, Some(4_999), "only the installation's quota is reported");
}

#[tokio::test]
async fn a_used_up_quota_of_an_installation_does_not_limit_the_app() {
    let (world, installation) = world().await;
    let (web, github) = (target("acme/web"), app(&world));
    world.fake.state().set_installation_hourly_limit(installation, 1);
    assert!(github.list(&web, &[]).await.pages.is_ok());
    let limited = failure(&github, "acme/web").await.fault;
    assert!(matches!(limited, Sort::Limited { .. }), "{limited:?}");
    // The token is renewed before the quota's hour is over.
    world.advance(Duration::from_secs(56 * 60));
    assert!(github.prepare(&web, None).await.is_some());
    assert_eq!(world.requests_of(Endpoint::CreateAccessToken), 2);
    let limited = failure(&github, "acme/web").await.fault;
    assert!(matches!(limited, Sort::Limited { .. }), "answers to the App itself do not end it: {limited:?}");
}

#[tokio::test]
async fn an_installation_on_a_user_and_a_renamed_repository_are_found() {
    let (world, _) = world().await;
    {
        let mut state = world.fake.state();
        state.add_target("users/jo");
        state.add_target("jo/dotfiles");
        state.add_target("jo/archive");
        state.set_archived("jo/archive", true);
        state.install_app(APP, "jo");
        state.rename_repository("acme/web", "acme/site");
    }
    let github = app(&world);
    assert!(github.list(&target("acme/web"), &[]).await.pages.is_ok());
    assert_eq!(github.repositories_of("jo").await.unwrap(), [target("jo/dotfiles")]);
}

#[tokio::test]
async fn an_enterprise_is_refused_without_a_request() {
    let (world, _) = world().await;
    let refused = failure(&app(&world), "enterprises/big").await;
    assert_eq!(refused.fault, Sort::Forbidden);
    assert!(
        refused.detail.contains("a GitHub App cannot read an enterprise's runners; use a classic token"),
        "{refused}"
    );
    assert_eq!(world.requests(), 0);
}

#[tokio::test]
async fn a_missing_permission_is_named_for_apps() {
    let (world, _) = world().await;
    world.fake.state().set_access("orgs/acme", Access::MissingPermission);
    let refused = failure(&app(&world), "orgs/acme").await;
    assert!(refused.detail.ends_with("the organization permission `Self-hosted runners: read`"), "{refused}");
}

#[test]
fn a_credential_that_cannot_be_used_is_refused_at_the_start() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let refused = |credential| {
        let clock = std::sync::Arc::new(monitor_domain::time::Timestamp::default);
        GitHub::new(reqwest::Client::new(), quick(credential), clock).map(drop)
    };
    let app = |app_id: &str, pem| Credential::App { app_id: app_id.to_owned(), private_key: Secret::new(pem) };
    let damaged = refused(app("7", "-----BEGIN RSA PRIVATE KEY-----"));
    assert_eq!(damaged, Err(SettingsError::PrivateKey(KeyError::Damaged)));
    assert_eq!(refused(app("\"7\"", APP_PRIVATE_KEY_PEM)), Err(SettingsError::AppId));
    assert_eq!(refused(app("Iv23liAbC", APP_PRIVATE_KEY_PEM)), Ok(()));
    for token in ["", "ghp x", "ghp\nx", "ghp_é"] {
        assert!(matches!(refused(Credential::Token(Secret::new(token))), Err(SettingsError::Token(_))), "{token}");
    }
    assert_eq!(refused(Credential::Token(Secret::new("ghp_x\n"))), Ok(()), "a line break at the end is removed");
}
