//! Lists of runners: pages, ETags, runners that move between pages, lookup by id.

use monitor_domain::observation::{Fault as Sort, Lookup};
use monitor_domain::runner::{RunnerId, Status};
use monitor_fakes::github::{Endpoint, Fault, RunnerSpec, Strikes};
use monitor_github::{Credential, GitHub, Secret, Settings};
use monitor_pipeline::ports::RunnerSource;

use crate::world::{World, pages, runners, shape, tags, target};

#[tokio::test]
async fn every_page_of_every_kind_of_target_is_read_in_order() {
    let world = World::start().await;
    let github = world.github();
    for name in ["acme/web", "orgs/acme", "enterprises/big"] {
        let ids = world.add_runners(name, 205);
        let before = world.requests();
        let read = pages(github.list(&target(name), &[]).await);
        assert_eq!(shape(&read), ["100", "100", "5"], "{name}");
        let read_ids: Vec<u64> = runners(read).iter().map(|runner| runner.id.0).collect();
        assert_eq!(read_ids, ids, "{name}");
        assert_eq!(world.requests() - before, 3, "{name}");
    }
}

#[tokio::test]
async fn a_target_without_runners_is_one_empty_page() {
    let world = World::start().await;
    let read = pages(world.github().list(&target("acme/web"), &[]).await);
    assert_eq!(shape(&read), ["0"]);
}

#[tokio::test]
async fn a_runner_is_read_as_github_reports_it() {
    let world = World::start().await;
    {
        let mut state = world.fake.state();
        state.add_runner("acme/web", RunnerSpec::new("idle").with_labels(&["gpu"]));
        state.add_runner("acme/web", RunnerSpec::new("busy").busy().ephemeral());
        state.add_runner("acme/web", RunnerSpec::new("died").offline().busy());
        state.add_runner("acme/web", RunnerSpec::new("new").never_connected());
    }
    let read = runners(pages(world.github().list(&target("acme/web"), &[]).await));
    let statuses: Vec<_> = read.iter().map(|runner| (&*runner.name, runner.status, runner.busy)).collect();
    assert_eq!(
        statuses,
        [
            ("idle", Status::Idle, false),
            ("busy", Status::Busy, true),
            ("died", Status::Offline, true),
            ("new", Status::Offline, false),
        ]
    );
    assert_eq!(read[0].labels.last().map(String::as_str), Some("gpu"));
    assert_eq!((read[0].version.as_deref(), read[3].version.as_deref()), (Some("2.331.0"), None));
    assert_eq!((read[0].ephemeral, read[1].ephemeral), (false, true));
    assert_eq!(read[0].os, "linux");
}

#[tokio::test]
async fn unchanged_pages_cost_no_quota_and_only_the_changed_one_is_read() {
    let world = World::start().await;
    let ids = world.add_runners("acme/web", 205);
    let github = world.github();
    let first = github.list(&target("acme/web"), &[]).await;
    assert_eq!(first.report.quota_remaining, Some(4_997));
    let known = tags(&pages(first));

    let again = github.list(&target("acme/web"), &known).await;
    assert_eq!(again.report.quota_remaining, Some(4_997));
    let again = pages(again);
    assert_eq!(shape(&again), ["=100", "=100", "=5"]);
    assert_eq!(tags(&again), known);

    world.fake.state().set_runner("acme/web", ids[150], "offline", false);
    let changed = pages(github.list(&target("acme/web"), &known).await);
    assert_eq!(shape(&changed), ["=100", "100", "=5"]);
    assert_ne!(tags(&changed)[1].etag, known[1].etag);
}

#[tokio::test]
async fn etags_of_another_token_are_not_sent() {
    let world = World::start().await;
    world.add_runners("acme/web", 3);
    let known = tags(&pages(world.github().list(&target("acme/web"), &[]).await));
    assert_eq!(known[0].given_to.len(), 16);
    world.fake.state().add_token("another");
    let other = Settings { credential: Credential::Token(Secret::new("another")), ..world.settings() };
    let read = pages(world.with(other).list(&target("acme/web"), &known).await);
    assert_eq!(shape(&read), ["3"]);
    assert_ne!(tags(&read)[0].given_to, known[0].given_to);
    assert_eq!(world.fake.state().counters().not_modified, 0);
}

#[tokio::test]
async fn after_a_full_and_unchanged_last_page_the_next_is_requested() {
    let world = World::start().await;
    // Without a count, page 1 stays the same when page 2 is added.
    world.fake.state().enterprise_total_count = false;
    world.add_runners("enterprises/big", 100);
    let github = world.github();
    let big = target("enterprises/big");
    let first = pages(github.list(&big, &[]).await);
    assert_eq!(shape(&first), ["100"]);
    let second = pages(github.list(&big, &tags(&first)).await);
    assert_eq!(shape(&second), ["=100", "0"]);
    let third = pages(github.list(&big, &tags(&second)).await);
    assert_eq!(shape(&third), ["=100", "=0"], "an empty page is remembered, and free");

    world.add_runners("enterprises/big", 101);
    let fourth = pages(github.list(&big, &tags(&third)).await);
    assert_eq!(shape(&fourth), ["=100", "100", "1"]);
}

#[tokio::test]
async fn a_list_that_has_become_shorter_has_fewer_pages() {
    let world = World::start().await;
    world.fake.state().enterprise_total_count = false;
    let github = world.github();
    for name in ["acme/web", "enterprises/big"] {
        let ids = world.add_runners(name, 205);
        let known = tags(&pages(github.list(&target(name), &[]).await));
        for id in &ids[110..] {
            world.fake.state().remove_runner(name, *id);
        }
        let shorter = pages(github.list(&target(name), &known).await);
        assert_eq!(shape(&shorter)[1..], ["10"], "{name}");
    }
}

#[tokio::test]
async fn a_runner_that_slips_between_pages_is_not_a_fault_and_is_found_by_its_id() {
    let world = World::start().await;
    let ids = world.add_runners("acme/web", 3);
    world.fake.state().fault(Fault::Slip(ids[1]), Strikes::next(1));
    let github = world.github();
    let web = target("acme/web");
    let read = runners(pages(github.list(&web, &[]).await));
    assert_eq!(read.len(), 2);
    let Ok(Lookup::Found(runner)) = github.runner(&web, RunnerId(ids[1])).await else { panic!("not found") };
    assert_eq!((runner.id.0, &*runner.name), (ids[1], "runner-001"));

    world.fake.state().remove_runner("acme/web", ids[1]);
    assert_eq!(github.runner(&web, RunnerId(ids[1])).await, Ok(Lookup::NotFound));
}

#[tokio::test]
async fn a_404_that_is_not_githubs_own_does_not_mean_that_a_runner_is_gone() {
    let world = World::start().await;
    let ids = world.add_runners("acme/web", 1);
    world.fake.state().fault(Fault::StatusHtml(404), Strikes::always().endpoint(Endpoint::GetRunner));
    let failure = world.github().runner(&target("acme/web"), RunnerId(ids[0])).await.unwrap_err();
    assert_eq!(failure.fault, Sort::BrokenAnswer, "{failure}");
}

#[tokio::test]
async fn a_list_beyond_the_limit_is_refused_with_its_name() {
    let world = World::start().await;
    world.add_runners("acme/web", 205);
    let github = world.with(Settings { max_pages: 2, ..world.settings() });
    let incomplete = github.list(&target("acme/web"), &[]).await.pages.unwrap_err();
    assert!(incomplete.partial);
    assert_eq!(incomplete.failure.fault, Sort::BrokenAnswer);
    assert_eq!(
        incomplete.failure.detail,
        "acme/web has more than 2 pages of runners (200 runners), the most that are read"
    );
}

#[tokio::test]
async fn a_renamed_repository_is_followed_with_all_its_pages() {
    let world = World::start().await;
    let ids = world.add_runners("acme/web", 205);
    world.fake.state().rename_repository("acme/web", "acme/site");
    let github = world.github();
    let web = target("acme/web");
    let read = pages(github.list(&web, &[]).await);
    assert_eq!(shape(&read), ["100", "100", "5"]);
    // One redirect for the whole list, and one request for the new name.
    assert_eq!(world.requests(), 5);
    let again = pages(github.list(&web, &tags(&read)).await);
    assert_eq!(shape(&again), ["=100", "=100", "=5"]);
    let found = github.runner(&web, RunnerId(ids[0])).await;
    assert!(matches!(found, Ok(Lookup::Found(_))), "{found:?}");
}

#[tokio::test]
async fn an_enterprise_server_without_limits_is_requested_below_its_own_address() {
    let world = World::start().await;
    world.add_runners("acme/web", 101);
    let api_url = format!("{}/api/v3/", world.fake.base_url());
    let github: GitHub = world.with(Settings { api_url, max_requests_per_minute: None, ..world.settings() });
    let listing = github.list(&target("acme/web"), &[]).await;
    assert_eq!(listing.report.quota_limit, None);
    assert_eq!(shape(&pages(listing)), ["100", "1"]);
}
