//! What probing a target reports.

use monitor_domain::observation::Fault as Sort;
use monitor_domain::time::Timestamp;
use monitor_fakes::github::Access;
use monitor_github::{Credential, CredentialKind, Secret, Settings};

use crate::world::{NOON_MS, World, target};

#[tokio::test]
async fn a_visible_target_is_reported_with_quota_expiry_and_clock() {
    let world = World::start().await;
    world.add_runners("acme/web", 130);
    let expires_at = Timestamp::from_epoch_ms(NOON_MS + 86_400_000);
    world.fake.state().add_expiring_token("github_pat_x", expires_at.epoch_ms());
    let credential = Credential::Token(Secret::new("github_pat_x"));
    let github = world.with(Settings { credential, ..world.settings() });
    let seen = github.probe(&target("acme/web")).await;
    assert_eq!(seen.runners, Ok(130));
    assert_eq!((seen.kind, seen.missing), (CredentialKind::FineGrainedToken, None));
    assert_eq!(seen.report.expires_at, Some(expires_at));
    assert_eq!((seen.report.quota_remaining, seen.report.quota_limit), (Some(4_999), Some(5_000)));
    // The server's `Date` is real, the test's clock is not, so only its presence is checked.
    assert!(seen.clock_ahead_ms.is_some());
    assert_eq!(world.requests(), 1);
}

#[tokio::test]
async fn a_missing_permission_is_reported_and_single_sign_on_is_not_called_one() {
    let world = World::start().await;
    let github = world.github();
    world.fake.state().set_access("orgs/acme", Access::MissingPermission);
    world.fake.state().set_access("acme/web", Access::SsoRequired);
    let lacking = github.probe(&target("orgs/acme")).await;
    assert_eq!(lacking.missing.as_deref(), Some("the scope `admin:org`"));
    let unauthorised = github.probe(&target("acme/web")).await;
    assert_eq!(unauthorised.missing, None);
    let failure = unauthorised.runners.unwrap_err();
    assert!(failure.detail.contains("single sign-on"), "{failure}");
}

#[tokio::test]
async fn a_refused_token_is_reported() {
    let world = World::start().await;
    world.fake.state().revoke_token(crate::world::TOKEN);
    let refused = world.github().probe(&target("acme/web")).await;
    assert_eq!(refused.runners.unwrap_err().fault, Sort::Credential);
    assert_eq!(refused.missing, None);
}
