//! The names of runner groups.

use monitor_domain::observation::Fault as Sort;
use monitor_fakes::github::{Endpoint, Fault, Strikes};
use monitor_pipeline::ports::RunnerSource;

use crate::world::{World, target};

#[tokio::test]
async fn the_groups_of_organizations_and_enterprises_are_named() {
    let world = World::start().await;
    world.fake.state().groups.insert(2, "GPU".to_owned());
    let github = world.github();
    for name in ["orgs/acme", "enterprises/big"] {
        let groups = github.groups(&target(name)).await.unwrap();
        assert_eq!(groups, [(1, "Default".to_owned()), (2, "GPU".to_owned())], "{name}");
    }
    assert_eq!(world.requests_of(Endpoint::ListGroups), 2);
}

#[tokio::test]
async fn many_groups_are_read_page_by_page() {
    let world = World::start().await;
    world.fake.state().groups.extend((2..=250).map(|id| (id, "x".repeat(150))));
    let groups = world.github().groups(&target("orgs/acme")).await.unwrap();
    assert_eq!((groups.len(), groups[249].1.len(), world.requests_of(Endpoint::ListGroups)), (250, 100, 3));
}

#[tokio::test]
async fn no_answer_is_a_failure_that_names_the_groups() {
    let world = World::start().await;
    world.fake.state().fault(Fault::BrokenJson, Strikes::always());
    let failure = world.github().groups(&target("orgs/acme")).await.unwrap_err();
    assert_eq!(failure.fault, Sort::BrokenAnswer);
    assert!(failure.to_string().contains("the runner groups of orgs/acme"), "{failure}");
}
