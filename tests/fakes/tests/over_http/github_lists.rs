//! Lists, pages, links, ETags and faults of listings.

use monitor_fakes::github::{Endpoint, Fault, RunnerSpec, Strikes};
use reqwest::Response;

use crate::client::{World, header, parts, send};

const WEB: &str = "/repos/acme/web/actions/runners";

/// The address of one relation in the `Link` header.
fn link(response: &Response, relation: &str) -> Option<String> {
    let link = header(response, "link");
    let part = link.split(", ").find(|part| part.ends_with(&format!("rel=\"{relation}\"")))?;
    let (url, _) = part.strip_prefix('<')?.split_once('>')?;
    Some(url.to_owned())
}

#[tokio::test]
async fn links_lead_through_all_pages() {
    let world = World::start().await;
    world.add_runners("enterprises/big", 205);
    world.add_runners("orgs/acme", 205);
    world.add_runners("acme/web", 205);
    for path in [WEB, "/orgs/acme/actions/runners", "/enterprises/big/actions/runners"] {
        let mut next = Some(format!("{}{path}?per_page=100", world.github.base_url()));
        let mut sizes = Vec::new();
        while let Some(url) = next {
            let response = send(world.client.get(url).bearer_auth("test-token")).await;
            next = link(&response, "next");
            let body: serde_json::Value = response.json().await.expect("JSON");
            assert_eq!(body["total_count"], 205);
            sizes.push(body["runners"].as_array().map(Vec::len));
        }
        assert_eq!(sizes, [Some(100), Some(100), Some(5)], "{path}");
    }
    let by_kind = world.github.state().counters().by_endpoint.clone();
    assert_eq!(by_kind.get(&Endpoint::ListRunners), Some(&9));
}

#[tokio::test]
async fn links_use_ids_and_keep_the_prefix_of_an_enterprise_server() {
    let world = World::start().await;
    world.add_runners("acme/web", 31);
    let response = send(world.get(WEB)).await;
    let last = link(&response, "last").expect("a last page");
    assert!(last.contains("/repositories/"), "{last}");
    let response = send(world.get(&format!("/api/v3{WEB}"))).await;
    let last = link(&response, "last").expect("a last page");
    assert!(last.contains("/api/v3/repositories/"), "{last}");
    let (status, body) = parts(world.client.get(last).bearer_auth("test-token")).await;
    assert_eq!(status, 200);
    assert_eq!(body["runners"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_list_can_be_filtered_by_name_and_an_enterprise_may_omit_the_count() {
    let world = World::start().await;
    world.add_runners("enterprises/big", 40);
    let (_, body) = world.ask("/enterprises/big/actions/runners?name=runner-007").await;
    assert_eq!(body["total_count"], 1);
    assert_eq!(body["runners"][0]["name"], "runner-007");
    world.github.state().enterprise_total_count = false;
    let (_, body) = world.ask("/enterprises/big/actions/runners").await;
    assert!(body.get("total_count").is_none());
}

#[tokio::test]
async fn an_unchanged_page_is_304_for_its_token_and_free_of_charge() {
    let world = World::start().await;
    let ids = world.add_runners("acme/web", 1);
    world.github.state().add_token("other-token");
    let first = send(world.get(WEB)).await;
    let etag = header(&first, "etag");
    assert!(etag.starts_with("W/\""), "{etag}");
    assert_eq!(header(&first, "x-ratelimit-used"), "1");

    let again = send(world.get(WEB).header("if-none-match", &etag)).await;
    assert_eq!(again.status(), 304);
    assert_eq!(header(&again, "etag"), etag);
    assert_eq!(header(&again, "x-ratelimit-used"), "1");
    assert_eq!(again.bytes().await.expect("a body").len(), 0);

    let other_token = world.get_as("other-token", WEB);
    let other_page = world.get(&format!("{WEB}?page=2"));
    for other in [other_token, other_page] {
        assert_eq!(send(other.header("if-none-match", &etag)).await.status(), 200);
    }
    world.github.state().set_runner("acme/web", ids[0], "offline", false);
    let changed = send(world.get(WEB).header("if-none-match", &etag)).await;
    assert_eq!(changed.status(), 200);
    assert_ne!(header(&changed, "etag"), etag);
    let counters = world.github.state().target_counters("acme/web");
    assert_eq!((counters.ok, counters.not_modified), (4, 1));
}

#[tokio::test]
async fn a_runner_is_found_by_id_until_it_is_removed_or_registered_again() {
    let world = World::start().await;
    let spec = RunnerSpec::new("build-1").offline().with_labels(&["gpu"]);
    let id = world.github.state().add_runner("ACME/web", spec);
    let (status, body) = world.ask(&format!("{WEB}/{id}")).await;
    assert_eq!((status.as_u16(), &body["status"]), (200, &"offline".into()));
    assert_eq!(body["labels"][3]["name"], "gpu");
    assert_eq!(body["labels"][3]["type"], "custom");

    let new_id = world.github.state().re_register("acme/web", id);
    assert_ne!(new_id, id);
    assert_eq!(world.ask(&format!("{WEB}/{id}")).await.0, 404);
    let (_, body) = world.ask(&format!("{WEB}/{new_id}")).await;
    assert_eq!((&body["name"], &body["status"]), (&"build-1".into(), &"online".into()));
    assert!(world.github.state().remove_runner("acme/web", new_id));
    assert!(!world.github.state().remove_runner("acme/web", new_id));
    assert_eq!(world.ask(&format!("{WEB}/{new_id}")).await.0, 404);
    assert_eq!(world.names(WEB).await, [""; 0]);
}

#[tokio::test]
async fn a_slipped_runner_is_on_no_page_of_one_listing_but_counted_and_found_by_id() {
    let world = World::start().await;
    let ids = world.add_runners("acme/web", 3);
    let fault = Fault::Slip(ids[1]);
    world.github.state().fault(fault, Strikes::next(1));
    let (_, first) = world.ask(&format!("{WEB}?per_page=2")).await;
    let second = world.names(&format!("{WEB}?per_page=2&page=2")).await;
    assert_eq!(first["total_count"], 3);
    assert_eq!(first["runners"][1]["name"], "runner-002");
    assert!(second.is_empty());
    assert_eq!(world.ask(&format!("{WEB}/{}", ids[1])).await.0, 200);
    assert_eq!(world.names(WEB).await.len(), 3);
}

#[tokio::test]
async fn a_listing_may_show_an_online_runner_offline_or_repeat_the_previous_listing() {
    let world = World::start().await;
    let ids = world.add_runners("acme/web", 1);
    let status = async || world.ask(WEB).await.1["runners"][0]["status"].clone();
    world.github.state().fault(Fault::FalseOffline(ids[0]), Strikes::next(2));
    assert_eq!([status().await, status().await], ["offline", "offline"]);
    assert_eq!(status().await, "online");

    world.github.state().set_runner("acme/web", ids[0], "offline", true);
    let stale = Strikes::next(1).target("acme/web");
    world.github.state().fault(Fault::Stale, stale);
    assert_eq!(status().await, "online");
    assert_eq!(status().await, "offline");
}

#[tokio::test]
async fn an_owner_lists_its_repositories_in_pages() {
    let world = World::start().await;
    for number in 0..35 {
        world.github.state().add_target(&format!("acme/r{number:02}"));
    }
    world.github.state().set_archived("acme/r00", true);
    world.github.state().add_target("users/jo");
    world.github.state().add_target("jo/dotfiles");
    let (_, first) = world.ask("/orgs/acme/repos").await;
    let (_, second) = world.ask("/orgs/acme/repos?page=2").await;
    assert_eq!(first.as_array().map(Vec::len), Some(30));
    assert_eq!(second.as_array().map(Vec::len), Some(6));
    assert_eq!(first[0]["full_name"], "Acme/r00");
    assert_eq!(first[0]["archived"], true);
    let (_, of_user) = world.ask("/users/jo/repos").await;
    assert_eq!(of_user[0]["full_name"], "jo/dotfiles");
    assert_eq!(of_user[0]["owner"]["type"], "User");
}
