//! Lists that are incomplete, marked as partial, or never end.

use monitor_domain::observation::Fault as Sort;
use monitor_fakes::github::{Access, Endpoint, Fault, Links, RunnerSpec, Strikes};
use monitor_pipeline::ports::{Listing, RunnerSource};

use crate::script::{Script, http};
use crate::world::{World, pages, shape, target};

fn shortfall(listing: &Listing) -> Option<(u64, &str)> {
    let shortfall = listing.shortfall.as_ref()?;
    assert_eq!(shortfall.failure.fault, Sort::Incomplete);
    Some((shortfall.missing, &shortfall.failure.detail))
}

#[tokio::test]
async fn pages_without_links_are_read_as_far_as_the_count_goes() {
    let world = World::start().await;
    world.fake.state().links = Links::Missing;
    world.add_runners("acme/web", 250);
    let listing = world.github().list(&target("acme/web"), &[]).await;
    assert_eq!(listing.shortfall, None);
    assert_eq!(shape(&pages(listing)), ["100", "100", "50"]);
    // Without a count and without links, nothing shows that there is more.
    world.fake.state().enterprise_total_count = false;
    world.add_runners("enterprises/big", 7);
    let listing = world.github().list(&target("enterprises/big"), &[]).await;
    assert_eq!((listing.shortfall.clone(), shape(&pages(listing))), (None, vec!["7".to_owned()]));
}

#[tokio::test]
async fn a_list_with_fewer_runners_than_it_counts_says_what_is_missing() {
    let world = World::start().await;
    let ids = world.add_runners("acme/web", 150);
    world.fake.state().fault(Fault::Slip(ids[149]), Strikes::next(1));
    let listing = world.github().list(&target("acme/web"), &[]).await;
    let said = "acme/web: the list is incomplete: GitHub counts 150 runners and lists 149";
    assert_eq!(shortfall(&listing), Some((1, said)));
    assert_eq!(shape(&pages(listing)), ["100", "49"]);
    assert_eq!(world.github().list(&target("acme/web"), &[]).await.shortfall, None);
}

#[tokio::test]
async fn a_server_that_always_returns_the_first_page_gets_two_requests() {
    let script = Script::start(|_| {
        let runner = |id| format!(r#"{{"id":{id},"name":"r{id}","status":"online"}}"#);
        let runners: Vec<String> = (1..=100).map(runner).collect();
        http("200 OK", &[], &format!(r#"{{"total_count":150,"runners":[{}]}}"#, runners.join(",")))
    })
    .await;
    let listing = crate::scripted::asking(&script).list(&target("acme/web"), &[]).await;
    assert_eq!(shortfall(&listing).map(|(missing, _)| missing), Some(50));
    assert_eq!(shape(&pages(listing)), ["100"]);
    assert_eq!(script.heads().len(), 2);
}

// A runner can move to the next page while the pages are read, and so be on both.
#[tokio::test]
async fn a_runner_on_two_pages_counts_once() {
    let script = Script::start(|head| {
        let link = "link: <https://h/x?page=2>; rel=\"next\", <https://h/x?page=2>; rel=\"last\"";
        match head {
            _ if head.contains("&page=1 ") => http("200 OK", &[link], r#"{"total_count":3,"runners":[{"id":1,"name":"a","status":"online"},{"id":2,"name":"b","status":"online"}]}"#),
            _ => http("200 OK", &[], r#"{"total_count":3,"runners":[{"id":2,"name":"b","status":"online"}]}"#),
        }
    })
    .await;
    let listing = crate::scripted::asking(&script).list(&target("acme/web"), &[]).await;
    assert_eq!(shortfall(&listing).map(|(missing, _)| missing), Some(1));
}

#[tokio::test]
async fn links_that_never_end_cost_one_more_request_and_not_a_hundred() {
    let world = World::start().await;
    world.fake.state().links = Links::Endless;
    world.add_runners("acme/web", 3);
    let listing = world.github().list(&target("acme/web"), &[]).await;
    assert_eq!(listing.shortfall, None, "every counted runner is listed");
    assert_eq!(shape(&pages(listing)), ["3"]);
    assert_eq!(world.requests(), 2);

    let repositories = world.github().repositories_of("acme").await.unwrap_err();
    assert_eq!(repositories.fault, Sort::BrokenAnswer);
    assert!(repositories.detail.starts_with("acme: the list of repositories never ends"), "{repositories}");
    assert_eq!(world.requests_of(Endpoint::ListRepositories), 2);
}

#[tokio::test]
async fn pages_that_repeat_themselves_without_a_count_are_a_failure() {
    let last = "link: <https://h/x?page=2>; rel=\"next\", <https://h/x?page=4000000>; rel=\"last\"";
    let next = "link: <https://h/x?page=2>; rel=\"next\"";
    for (link, most) in [(next, 2), (last, 11)] {
        let script =
            Script::start(move |_| http("200 OK", &[link], r#"{"runners":[{"id":1,"name":"a","status":"online"}]}"#))
                .await;
        let listing = crate::scripted::asking(&script).list(&target("enterprises/big"), &[]).await;
        let failed = listing.pages.unwrap_err();
        assert_eq!((failed.partial, failed.failure.fault), (true, Sort::BrokenAnswer));
        assert!(failed.failure.detail.contains("never ends"), "{}", failed.failure);
        assert!(script.heads().len() <= most, "{}", script.heads().len());
    }
}

#[tokio::test]
async fn a_runner_whose_id_cannot_be_stored_is_named_and_the_others_are_listed() {
    let world = World::start().await;
    world.add_runners("acme/web", 2);
    world.fake.state().add_runner_with_id("acme/web", RunnerSpec::new("odd"), u64::MAX);
    let github = world.github();
    let listing = github.list(&target("acme/web"), &[]).await;
    let (missing, said) = shortfall(&listing).unwrap();
    assert_eq!(missing, 1);
    assert!(
        said.starts_with("acme/web: runner `odd` cannot be monitored: the id is larger than 9223372036854775807"),
        "{said}"
    );
    let known = crate::world::tags(&pages(listing));
    // It is reported for as long as it exists, regardless of ETags.
    let again = github.list(&target("acme/web"), &known).await;
    assert_eq!(shortfall(&again).map(|(missing, _)| missing), Some(1));
    assert_eq!(shape(&pages(again)), ["2"]);
}

// `X-GitHub-SSO: partial-results`: https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
#[tokio::test]
async fn a_list_that_single_sign_on_makes_partial_is_refused() {
    let world = World::start().await;
    world.fake.state().set_access("orgs/acme", Access::SsoPartial);
    let failure = world.github().repositories_of("acme").await.unwrap_err();
    assert_eq!(failure.fault, Sort::Forbidden);
    assert!(failure.detail.contains("single sign-on") && failure.detail.contains("Configure SSO"), "{failure}");
    world.fake.state().set_access("orgs/acme", Access::Granted);
    assert_eq!(world.github().repositories_of("acme").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_renamed_repository_is_reported_with_its_new_name() {
    let world = World::start().await;
    world.add_runners("acme/web", 3);
    let github = world.github();
    assert_eq!(github.list(&target("acme/web"), &[]).await.moved_to, None);
    world.fake.state().rename_repository("acme/web", "Acme/Site");
    for _ in 0..3 {
        let listing = github.list(&target("acme/web"), &[]).await;
        assert_eq!(listing.moved_to, Some(target("acme/site")));
        assert_eq!(shape(&pages(listing)), ["3"]);
    }
    assert_eq!(world.requests_of(Endpoint::GetRepository), 1, "it is requested once");
    assert_eq!(github.list(&target("acme/site"), &[]).await.moved_to, None);
    // Another repository gets the old name: nothing is redirected any more.
    world.fake.state().add_target("acme/web");
    assert_eq!(github.list(&target("acme/web"), &[]).await.moved_to, None);
}

// GitHub sends this message to an address that is not on an organization's list: https://github.com/cli/cli/issues/4107
#[tokio::test]
async fn a_403_for_another_reason_is_quoted_and_names_no_permission() {
    let world = World::start().await;
    let message = "Although you appear to have the correct authorization credentials, the `acme` organization has an IP allow list enabled, and your IP address is not permitted to access this resource.";
    world.fake.state().set_access("orgs/acme", Access::Refused(message.to_owned()));
    let github = world.github();
    let failure = crate::world::failure(&github, "orgs/acme").await;
    assert_eq!(failure.fault, Sort::Forbidden);
    assert!(failure.detail.contains(message) && !failure.detail.contains("scope"), "{failure}");
    let probed = github.probe(&target("orgs/acme")).await;
    assert_eq!(probed.missing, None);
}

#[tokio::test]
async fn a_report_names_the_token_it_belongs_to() {
    let world = World::start().await;
    world.fake.state().add_token_with_moving_end("moving", 3_600_000);
    let credential = monitor_github::Credential::Token(monitor_github::Secret::new("moving"));
    let other = world.with(monitor_github::Settings { credential, ..world.settings() });
    let (one, two) = (world.github().list(&target("acme/web"), &[]).await, other.list(&target("acme/web"), &[]).await);
    assert!(one.report.token.is_some() && one.report.token != two.report.token);
    assert_eq!(two.report.expires_at, Some(world.now().plus(std::time::Duration::from_secs(3_600))));
}
