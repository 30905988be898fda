//! GitHub's limits, with a clock that the test controls. The order of the signs is that of
//! <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>

use std::time::Duration;

use futures_util::future::join_all;
use monitor_domain::observation::{Failure, Fault as Sort};
use monitor_domain::subject::CredentialId;
use monitor_domain::time::Timestamp;
use monitor_fakes::github::{Fault, Strikes};
use monitor_github::{GitHub, Settings};
use monitor_pipeline::ports::RunnerSource;

use crate::world::{TOKEN, World, failure, pages, shape, target};

fn until(failure: &Failure) -> Timestamp {
    match failure.fault {
        Sort::Limited { until } => until,
        _ => panic!("not limited: {failure:?}"),
    }
}

async fn lists(github: &GitHub) -> bool {
    github.list(&target("acme/web"), &[]).await.pages.is_ok()
}

#[tokio::test]
async fn while_a_limit_applies_no_request_is_sent_and_then_requests_resume() {
    let world = World::start().await;
    let github = world.github();
    for status in [403, 429] {
        let limit = Fault::SecondaryLimit { status, retry_after_secs: Some(90) };
        world.fake.state().fault(limit, Strikes::next(1));
        let ends_at = world.now().plus(Duration::from_secs(90));
        assert_eq!(until(&failure(&github, "acme/web").await), ends_at);
        let before = world.requests();
        world.advance(Duration::from_secs(89));
        // The limit applies to every request of the credential.
        assert_eq!(until(&failure(&github, "orgs/acme").await), ends_at);
        assert_eq!(until(&github.repositories_of("acme").await.unwrap_err()), ends_at);
        assert_eq!(world.requests(), before);
        world.advance(Duration::from_secs(1));
        assert!(lists(&github).await);
    }
}

#[tokio::test]
async fn a_used_up_quota_is_waited_for_until_its_reset() {
    let world = World::start().await;
    let github = world.github();
    assert!(lists(&github).await);
    world.advance(Duration::from_secs(600));
    world.fake.state().exhaust_token(TOKEN, world.now().epoch_ms());
    let failed = failure(&github, "acme/web").await;
    assert_eq!(until(&failed), world.now().plus(Duration::from_secs(3_000)));
    assert_eq!(failed.detail, "GitHub's rate limit is reached: no requests before 2026-11-23T13:00:00.000Z");
    let report = github.report(&CredentialId::token()).unwrap();
    assert_eq!((report.quota_remaining, report.quota_limit), (Some(0), Some(5_000)));
    assert_eq!(report.quota_resets_at, Some(until(&failed)));
    // The quota can still be requested: the scheduler needs it to plan the checks.
    let quota = github.quota(&target("acme/web")).await.unwrap();
    assert_eq!((quota.remaining, quota.resets_at), (0, until(&failed)));
    assert_eq!(until(&failure(&github, "acme/web").await), until(&failed));
    world.advance(Duration::from_secs(3_000));
    assert!(lists(&github).await);
}

#[tokio::test]
async fn a_limit_is_reported_at_once_even_if_the_pace_would_have_to_wait() {
    let world = World::start().await;
    let limit = Fault::SecondaryLimit { status: 403, retry_after_secs: Some(90) };
    world.fake.state().fault(limit, Strikes::next(1));
    let github = world.with(Settings { max_requests_per_minute: Some(1), ..world.settings() });
    let ends_at = until(&failure(&github, "acme/web").await);
    let again = tokio::time::timeout(Duration::from_secs(10), failure(&github, "acme/web")).await;
    assert_eq!(again.map(|failure| until(&failure)), Ok(ends_at));
}

#[tokio::test]
async fn requests_that_wait_when_the_limit_comes_are_not_sent() {
    let world = World::start().await;
    let limit = Fault::SecondaryLimit { status: 429, retry_after_secs: Some(90) };
    world.fake.state().fault(limit, Strikes::next(1));
    let github = world.with(Settings { max_concurrent_requests: 1, ..world.settings() });
    let failures = join_all((0..10).map(|_| failure(&github, "acme/web"))).await;
    assert!(failures.iter().all(|failure| until(failure) == until(&failures[0])));
    assert_eq!(world.requests(), 1);
}

#[tokio::test]
async fn no_more_than_a_hundred_requests_are_sent_at_the_same_time() {
    let world = World::start().await;
    world.fake.state().latency_ms = 100;
    let github = world.github();
    let listed = join_all((0..250).map(|_| lists(&github))).await;
    assert!(listed.iter().all(|listed| *listed));
    let most = world.fake.state().counters().max_in_flight;
    assert!((2..=100).contains(&most), "{most}");
}

// https://github.com/EnricoMi/publish-unit-test-result-action/issues/419: no `retry-after`, only a message.
#[tokio::test]
async fn the_wait_after_a_limit_that_does_not_say_how_long_grows() {
    let world = World::start().await;
    let github = world.github();
    let limit = Fault::SecondaryLimit { status: 403, retry_after_secs: None };
    world.fake.state().fault(limit, Strikes::next(3));
    for secs in [60, 120, 240] {
        let wait = Duration::from_secs(secs);
        assert_eq!(until(&failure(&github, "acme/web").await), world.now().plus(wait));
        world.advance(wait);
    }
    assert!(lists(&github).await);
    let limit = Fault::SecondaryLimit { status: 429, retry_after_secs: None };
    world.fake.state().fault(limit, Strikes::next(1));
    let ends_at = world.now().plus(Duration::from_secs(60));
    assert_eq!(until(&failure(&github, "acme/web").await), ends_at);
}

#[tokio::test]
async fn pages_that_reach_a_limit_together_cause_one_wait() {
    let world = World::start().await;
    world.add_runners("acme/web", 1_000);
    world.fake.state().limits.points_per_minute = 3;
    world.fake.state().limits.retry_after_secs = None;
    let github = world.github();
    let incomplete = github.list(&target("acme/web"), &[]).await.pages.unwrap_err();
    assert!(incomplete.partial);
    assert_eq!(until(&incomplete.failure), world.now().plus(Duration::from_secs(60)));
}

#[tokio::test]
async fn no_more_concurrent_requests_are_sent_than_the_settings_allow() {
    let world = World::start().await;
    world.add_runners("acme/web", 1_000);
    world.add_runners("orgs/acme", 1_000);
    {
        let mut state = world.fake.state();
        state.latency_ms = 50;
        state.limits.max_in_flight = 6;
    }
    let github = world.with(Settings { max_concurrent_requests: 6, ..world.settings() });
    let (web, acme) = (target("acme/web"), target("orgs/acme"));
    let listings = join_all([github.list(&web, &[]), github.list(&acme, &[])]).await;
    for listing in listings {
        assert_eq!(shape(&pages(listing)).len(), 10);
    }
    let counters = world.fake.state().counters().clone();
    assert_eq!(counters.limited, 0);
    // How many overlap depends on the machine, but some must.
    assert!((2..=6).contains(&counters.max_in_flight), "{counters:?}");
}
