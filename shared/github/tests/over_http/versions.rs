//! The end of a version of the runner.

use std::time::Duration;

use monitor_domain::observation::Fault as Sort;
use monitor_domain::versions::{VersionEnd, VersionRecord};
use monitor_fakes::github::{Endpoint, Fault, Strikes};
use monitor_github::{GitHub, Settings};
use monitor_pipeline::ports::{RunnerSource, VersionAnswer};

use crate::world::{World, target};

async fn ask(
    github: &GitHub,
    name: &str,
    version: &str,
    known: Option<&VersionAnswer>,
    world: &World,
) -> VersionAnswer {
    let known = known.map(|answer| VersionRecord {
        version: version.to_owned(),
        asked_at: world.now(),
        failed: false,
        end: answer.end,
        tag: answer.tag.clone(),
    });
    github.version_end(&target(name), version, known.as_ref()).await.unwrap_or_else(|failure| panic!("{failure}"))
}

#[tokio::test]
async fn github_names_an_end_or_none_or_does_not_list_the_version() {
    let world = World::start().await;
    let end = world.now().plus(Duration::from_secs(86_400));
    world.fake.state().versions.extend([("2.336.0".to_owned(), Some(end.epoch_ms())), ("2.337.0".to_owned(), None)]);
    let github = world.github();
    assert!(github.answers_version_ends());
    for name in ["acme/web", "orgs/acme", "enterprises/big"] {
        let seconds = |end: VersionEnd| match end {
            VersionEnd::At { at } => Some(at.epoch_secs()),
            _ => None,
        };
        assert_eq!(seconds(ask(&github, name, "2.336.0", None, &world).await.end), Some(end.epoch_secs()), "{name}");
        assert_eq!(ask(&github, name, "2.337.0", None, &world).await.end, VersionEnd::NoDate, "{name}");
        assert_eq!(ask(&github, name, "2.100.0", None, &world).await.end, VersionEnd::Unlisted, "{name}");
    }
    assert_eq!(world.requests_of(Endpoint::GetVersion), 9);
}

#[tokio::test]
async fn an_unchanged_answer_costs_no_quota_and_a_changed_one_is_read() {
    let world = World::start().await;
    let end = world.now().plus(Duration::from_secs(86_400)).epoch_ms();
    world.fake.state().versions.insert("2.336.0".to_owned(), Some(end));
    let github = world.github();
    let first = ask(&github, "acme/web", "2.336.0", None, &world).await;
    assert!(first.tag.is_some());
    let again = ask(&github, "acme/web", "2.336.0", Some(&first), &world).await;
    assert_eq!((again.end, world.fake.state().counters().not_modified), (first.end, 1));
    world.fake.state().versions.insert("2.336.0".to_owned(), None);
    assert_eq!(ask(&github, "acme/web", "2.336.0", Some(&again), &world).await.end, VersionEnd::NoDate);
}

#[tokio::test]
async fn no_answer_is_a_failure_and_not_an_end() {
    let world = World::start().await;
    let github = world.github();
    for fault in [Fault::Status(502), Fault::HtmlPage, Fault::BrokenJson] {
        world.fake.state().versions.insert("2.336.0".to_owned(), None);
        world.fake.state().fault(fault.clone(), Strikes::always());
        let failed = github.version_end(&target("acme/web"), "2.336.0", None).await.unwrap_err();
        assert!(matches!(failed.fault, Sort::Service | Sort::BrokenAnswer), "{failed}");
        world.fake.state().clear_faults();
    }
}

#[tokio::test]
async fn an_enterprise_server_is_not_asked() {
    let world = World::start().await;
    let api_url = format!("{}/api/v3", world.settings().api_url);
    assert!(!world.with(Settings { api_url, ..world.settings() }).answers_version_ends());
}
